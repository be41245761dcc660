"""The PDF edition."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import typst
from matplotlib import ft2font, get_data_path
from matplotlib.font_manager import findSystemFonts

from charlm.report.execute import ReportError
from charlm.report.html import TEMPLATES
from charlm.report.markdown import with_markup


def make_pdf(document: dict, folder: Path, say: Callable[[str], None]) -> None:
    """Write report.pdf, of the arranged document, which its template finds beside it."""
    source = Path(shutil.copyfile(TEMPLATES / "report.typ", folder / "report.typ"))
    text = json.dumps(with_markup(document, "typst"), ensure_ascii=False)
    (folder / "report.json").write_text(text, "utf-8", newline="\n")
    fonts = folder / "fonts"
    fonts.mkdir(exist_ok=True)
    # Not matplotlib's folder itself: its last-resort font draws a box for every character there is.
    own = sorted(Path(get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf"))
    for path in own:
        shutil.copy(path, fonts)
    # The system's fonts only where they are needed, so that the same report has the same bytes on other machines.
    rare = {ord(c) for c in text + source.read_text("utf-8") if not c.isspace()}.difference(*map(_characters_in, own))
    missing = rare.difference(*map(_characters_in, findSystemFonts())) if rare else rare
    boxes = ""
    if missing:
        boxes = (
            f"a box stands for each of {len(missing)} characters that no font of the machine had; the text of the HTML edition "
            "has them, its figures have boxes too"
        )
        say(f"report.pdf: {boxes}, and a font of the system would be taken")
    try:
        typst.compile(
            source,
            folder / "report.pdf",
            root=folder,
            font_paths=[fonts],
            ignore_system_fonts=not rare,
            sys_inputs={"boxes": boxes},
        )
    except typst.TypstError as error:
        raise ReportError(f"the report as PDF: {error.message}") from error


def _characters_in(font: str | Path) -> set[int]:
    """The code points that a font has a glyph for."""
    try:
        return set(ft2font.FT2Font(font).get_charmap())
    except (OSError, RuntimeError):  # not to be read, or a bitmap font
        return set()
