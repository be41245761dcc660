"""One document of all notebooks, and from it the HTML and the PDF."""

import base64
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import nbformat
import pandas as pd
import pypandoc
import typst
from fontTools import unicodedata
from matplotlib import ft2font, get_data_path
from matplotlib.font_manager import findSystemFonts
from nbconvert.exporters import MarkdownExporter
from nbformat import NotebookNode
from traitlets.config import Config

from charlm.printable import visible
from charlm.report.execute import Job, ReportError
from charlm.show import Table, boxed, fenced

TEMPLATES = Path(__file__).with_name("templates")

# CommonMark as JupyterLab reads it, and the fenced divs that charlm.show writes
READER = (
    "commonmark+pipe_tables+strikeout+tex_math_dollars+autolink_bare_uris+smart+footnotes"
    "+gfm_auto_identifiers+fenced_divs"
)

INSTEAD = '<div id="play-instead">'  # as pandoc writes the box with what stands in the place of what can be tried

# ---------------------------------------------------------------------------------------------------------------------
# one document


def document(executed: Sequence[tuple[Job, NotebookNode]], results: dict, play: str = "") -> str:
    """The Markdown of the report: the last notebook, what can be tried, then the others, then the provenance."""
    seen: set[Path] = set()
    parts = []
    for job, notebook in [executed[-1], *executed[:-1]]:
        hidden = {"hide", "once"} if job.notebook in seen else {"hide"}
        seen.add(job.notebook)
        parts.append(as_markdown(notebook, job.parameters, hidden))
    parts.insert(1, play)
    about = results["provenance"]
    machine = about["machine"]
    facts = {
        "Software": f"Python {machine['python']}, torch {machine['torch']}, NumPy {about['numpy']}",
        "Rendered on": machine["cpu"],
        "Trained on": ", ".join(about["training_cpu"]),
        "Training time": f"{sum(r['seconds'] for r in results['runs']) / 3600:.1f} hours, all runs added up",
        "Device, precision": ", ".join(map(str, about["device"] + about["precision"])),
        "Threads a run": ", ".join(map(str, about["threads"])),
        "Training code, sha256": ", ".join(f"{code[:16]}…" for code in about["training_code"]),
        "Lock file, sha256": f"{about['lock_sha256'][:16]}…" if about["lock_sha256"] else None,
    }
    frame = pd.DataFrame({"what": facts.keys(), "value": facts.values()})
    table = Table("provenance", frame, "What this report was made with. Every number in it is in `results.json`.")
    parts.append(f"# Provenance\n\n{table._repr_mimebundle_()[0]['text/markdown']}")
    parts.append(
        boxed(".pdf", "The code behind each result is in the HTML edition of this report, and in the notebooks.")
    )
    return "\n\n".join(parts)


def as_markdown(notebook: NotebookNode, parameters: dict, hidden: set[str]) -> str:
    """An executed notebook as Markdown, without the cells that have one of the hidden tags."""
    notebook = nbformat.from_dict(notebook)
    notebook.cells = [c for c in notebook.cells if "injected-parameters" not in c.metadata.get("tags", [])]
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            shown = {k: v.name if isinstance(v, Path) else v for k, v in parameters.items()}
            cell.source += "\n\n# in this report\n" + "\n".join(f"{k} = {v!r}" for k, v in shown.items())
    settings = Config()
    settings.TagRemovePreprocessor.enabled = True
    settings.TagRemovePreprocessor.remove_cell_tags = hidden
    settings.ExtractOutputPreprocessor.enabled = False
    exporter = MarkdownExporter(config=settings, template_name="notebook", extra_template_basedirs=[str(TEMPLATES)])
    exporter.register_filter("folded", folded)
    exporter.register_filter("shown", shown_output)
    return exporter.from_notebook_node(notebook)[0] + boxed(".code .end", "")


def folded(cell: NotebookNode) -> str:
    """A code cell and what it wrote to standard output, for the filter to fold away after what the cell showed."""
    if not cell.source.strip():
        return ""
    # The kernel cuts a stream where it pleases: joined, it is the same every time.
    log = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    log = visible(re.sub(r"[^\n]*\r(?!\n)", "", log.replace("\r\n", "\n"))).rstrip("\n")
    code = fenced(cell.source, "python") + (f"\n{fenced(log)}" if log else "")
    return boxed(".code .end" if any(map(shown_output, cell.outputs)) else ".code", code)


def shown_output(output: NotebookNode) -> str:
    """An output of a cell: its Markdown where it has some, else its plain text. Results and streams show nothing."""
    if output.output_type == "stream" or output.metadata.get("charlm", {}).get("kind") == "results":
        return ""
    if "text/markdown" in output.data:
        return output.data["text/markdown"]
    return fenced(visible(output.data.get("text/plain", "")))


# ---------------------------------------------------------------------------------------------------------------------
# HTML and PDF


def pandoc(markdown: str, to: str, template: str, subtitle: str, *options: str) -> str:
    """The document in another format. Raises ReportError with the first line of what pandoc or the filter says."""
    command = [pypandoc.get_pandoc_path(), "--from", READER, "--to", to, "--standalone", "--fail-if-warnings"]
    command += ["--template", TEMPLATES / template, "--lua-filter", TEMPLATES / "report.lua"]
    command += ["--metadata", f"subtitle={subtitle}", "--wrap", "none", "--eol", "lf", *options]
    done = subprocess.run(command, input=markdown.encode(), capture_output=True)
    if done.returncode:
        said = [
            line for line in done.stderr.decode(errors="replace").splitlines() if not line.startswith("Error running")
        ]
        raise ReportError(f"the report as {to}: {said[0] if said else 'pandoc failed'}")
    return done.stdout.decode()


def make_html(markdown: str, subtitle: str, folder: Path, play: str = "") -> None:
    """Write report.html, with the HTML of what can be tried before what stands in its place."""
    page = pandoc(markdown, "html5", "report.html", subtitle, "--mathml", "--toc", "--toc-depth", "3")

    def embed(match: re.Match) -> str:
        svg = base64.b64encode((folder / match[1]).read_bytes()).decode()
        return f'<img src="data:image/svg+xml;base64,{svg}"'

    # No text can hold a tag: pandoc writes each < of it as an entity.
    page = re.sub(r'<img src="(figures/[a-z0-9-]+\.svg)"', embed, page)
    page = page.replace(INSTEAD, play + INSTEAD, 1)
    (folder / "report.html").write_text(page, "utf-8", newline="\n")


def make_pdf(markdown: str, subtitle: str, folder: Path, say: Callable[[str], None]) -> None:
    source = folder / "report.typ"
    source.write_text(pandoc(markdown, "typst", "report.typ", subtitle), "utf-8", newline="\n")
    fonts = folder / "fonts"
    fonts.mkdir(exist_ok=True)
    # Not matplotlib's folder itself: its last-resort font draws a box for every character there is.
    own = sorted(Path(get_data_path(), "fonts", "ttf").glob("DejaVuSans*.ttf"))
    for path in own:
        shutil.copy(path, fonts)
    # Of the system's fonts only those that are needed, so that the same report has the same bytes on other machines.
    rare = {ord(c) for c in source.read_text("utf-8") if not c.isspace()}.difference(*map(_characters_in, own))
    useful, missing = _fonts_for(rare, findSystemFonts())
    for number, path in enumerate(useful):
        shutil.copy(path, fonts / f"{number}-{path.name}")
    boxes = ""
    if missing:
        scripts = Counter(_script(c) for c in missing)
        named = ", ".join(f"{script} ({n})" for script, n in scripts.most_common())
        boxes = f"a box stands for characters that no font of the machine had: {named}; the HTML edition has them"
        say(f"report.pdf: {boxes}, and a font of the system would be taken")
    try:
        typst.compile(
            source,
            folder / "report.pdf",
            root=folder,
            font_paths=[fonts],
            ignore_system_fonts=True,
            sys_inputs={"boxes": boxes},
        )
    except typst.TypstError as error:
        raise ReportError(f"the report as PDF: {error.message}") from error


def _fonts_for(characters: set[int], fonts: Iterable[str]) -> tuple[list[Path], set[int]]:
    """As few of the fonts as have what can be had of the characters (code points), and the characters that none has."""
    useful: list[Path] = []
    # macOS has a font with a box for every character there is.
    has = (
        {Path(f): characters & _characters_in(f) for f in sorted(fonts) if "LastResort" not in f} if characters else {}
    )
    while has and characters:
        best = max(has, key=lambda path: len(has[path] & characters))
        if not has[best] & characters:
            break
        useful.append(best)
        characters = characters - has[best]
    return useful, characters


def _characters_in(font: str | Path) -> set[int]:
    """The code points that a font has a glyph for."""
    try:
        return set(ft2font.FT2Font(font).get_charmap())
    except (OSError, RuntimeError):  # not to be read, or a bitmap font
        return set()


def _script(code: int) -> str:
    name = unicodedata.script_name(unicodedata.script(chr(code)))
    return {"Common": "symbols", "Inherited": "marks"}.get(name, name)
