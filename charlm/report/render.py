"""One document of all notebooks, and from it the HTML and the PDF."""

import base64
import hashlib
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pypandoc
import typst
from fontTools import unicodedata
from matplotlib import ft2font, get_data_path
from matplotlib.font_manager import findSystemFonts
from nbformat import NotebookNode

from charlm.printable import inline, visible
from charlm.report.execute import Job, ReportError
from charlm.show import Table, boxed, escape_markdown, fenced, verdict_icon

TEMPLATES = Path(__file__).with_name("templates")

# CommonMark as JupyterLab reads it, and the fenced divs that charlm.show writes
READER = (
    "commonmark+pipe_tables+strikeout+tex_math_dollars+autolink_bare_uris+smart+footnotes"
    "+gfm_auto_identifiers+fenced_divs"
)
WORDS_A_MINUTE = 230

HOW_TO_RUN = """## How to run it

In a copy of the project, `make report` trains what is missing, executes the notebooks in `notebooks/` and writes this report;
`make quick` does the same on a small scale, in about a minute. `make lab` opens the notebooks in JupyterLab.
"""

# ---------------------------------------------------------------------------------------------------------------------
# one document


def document(executed: Sequence[tuple[Job, NotebookNode]], results: dict) -> str:
    """The Markdown of the report: the last notebook, then the others, then the provenance and the references."""
    seen: set[Path] = set()
    text: list[str] = []
    provenance: list[str] = []
    references: list[str] = []
    for job, notebook in [executed[-1], *executed[:-1]]:
        hidden = {"injected-parameters", "hide"} | ({"once"} if job.notebook in seen else set())
        seen.add(job.notebook)
        for cell in notebook.cells:
            tags = set(cell.metadata.get("tags", []))
            if tags & hidden:
                continue
            if "references" in tags:
                references += [line for line in cell.source.splitlines() if line.startswith("- ")]
            elif "provenance" in tags:
                provenance.append(as_markdown(cell, job.parameters))
            else:
                text.append(as_markdown(cell, job.parameters))
    text += ["# Provenance", facts_table(results), *provenance, HOW_TO_RUN]
    if references:
        text += ["## References", "\n".join(sorted(set(references), key=str.casefold))]
    return "\n\n".join(text)


def facts_table(results: dict) -> str:
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
    return table._repr_mimebundle_()[0]["text/markdown"]


def as_markdown(cell: NotebookNode, parameters: dict) -> str:
    """A cell of an executed notebook: what it shows, and for the filter to fold away, its code."""
    tags = cell.metadata.get("tags", [])
    if cell.cell_type == "code":
        shown = "\n\n".join(filter(None, map(shown_output, cell.outputs)))
    else:
        shown = cell.source
    for tag in ("fold", "aside"):
        if tag in tags and shown:
            shown = boxed(f".{tag}", shown)
    if cell.cell_type != "code" or not cell.source.strip():
        return shown
    source = cell.source
    if "parameters" in tags:
        given = {k: v.name if isinstance(v, Path) else v for k, v in parameters.items()}
        source += "\n\n# in this report\n" + "\n".join(f"{k} = {v!r}" for k, v in given.items())
    # The kernel cuts a stream where it pleases: joined, it is the same every time.
    log = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    log = visible(re.sub(r"[^\n]*\r(?!\n)", "", log.replace("\r\n", "\n"))).rstrip("\n")
    return f"{shown}\n\n" + boxed(".code", fenced(source, "python") + (f"\n{fenced(log)}" if log else ""))


def shown_output(output: NotebookNode) -> str:
    """An output of a cell: its Markdown where it has some, else its plain text. Results and streams show nothing."""
    facts = output.get("metadata", {}).get("charlm", {})
    kind = facts.get("kind")
    if output.output_type == "stream" or kind == "results":
        return ""
    if kind == "finding":
        heading = boxed(".heading", facts["heading"]) if "heading" in facts else ""
        return boxed(f"#{facts['id']} .finding", f"{heading}\n{facts['text']}")
    if kind == "cards":
        return boxed(f"#{facts['id']} .cards", "\n".join(map(card, facts["items"])))
    if kind == "tiles":
        return boxed(f"#{facts['id']} .tiles", "\n".join(map(tile, facts["items"])))
    if "text/markdown" in output.data:
        return output.data["text/markdown"]
    return fenced(visible(output.data.get("text/plain", "")))


def card(item: dict) -> str:
    figure = item["figure"]
    attributes = f'.card section="{item["section"]}"' + (f' figure="{figure["id"]}"' if figure else "")
    return boxed(attributes, item["text"] + (f"\n\n{fenced(inline(figure['alt']))}" if figure else ""))


def tile(item: dict) -> str:
    verdict = f"{verdict_icon(item['verdict'])} {item['verdict']}"
    return boxed(f'.tile target="{item["target"]}"', f"{escape_markdown(item['label'])}\n\n{escape_markdown(verdict)}")


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


def make_html(markdown: str, subtitle: str, folder: Path) -> None:
    page = pandoc(markdown, "html5", "report.html", subtitle, "--mathml")

    # No text can hold a tag or a comment: pandoc writes each < of it as an entity.
    def embed(match: re.Match) -> str:
        before, name = match.groups()
        content = base64.b64encode((folder / name).read_bytes()).decode()
        kind = "image/svg+xml" if name.endswith(".svg") else "text/csv;charset=utf-8"
        return f'{before}"data:{kind};base64,{content}"'

    page = re.sub(
        r'(<(?:img src|source media="[^"]*" srcset|a download="[^"]*" href)=)"(figures/[a-z0-9-]+\.(?:svg|csv))"',
        embed,
        page,
    )
    # The policy allows no style in a tag, and pandoc has one in the cells of aligned formulas.
    page = re.sub(r'<mtd([^>]*) style="text-align: (left|right); padding-[a-z]+: 0"', r'<mtd\1 class="\2"', page)
    minutes = max(1, round(words_open(page) / WORDS_A_MINUTE))
    page = page.replace("<!-- minutes -->", f"{minutes} {'minute' if minutes == 1 else 'minutes'} to read")
    (folder / "report.html").write_text(secured(page), "utf-8", newline="\n")


class _OpenText(HTMLParser):
    """The text that a reader of the page sees without opening anything."""

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: object) -> None:
        if tag in ("head", "nav", "details", "script", "dialog", "annotation"):
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self.inside and tag == self.inside[-1]:
            self.inside.pop()

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.text.append(data)


def words_open(page: str) -> int:
    """How many words stand in the page outside its folds and its contents."""
    parser = _OpenText()
    parser.feed(page)
    return len(" ".join(parser.text).split())


def secured(page: str) -> str:
    """The page with a policy that lets it load nothing, and run no script and take no style but those in it."""

    def hashes(tag: str) -> str:
        parts = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(p.encode()).digest()).decode()}'" for p in parts)

    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": hashes("style"),
        "script-src": hashes("script"),
        "worker-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    policy = "; ".join(f"{name} {value}" for name, value in rules.items())
    return page.replace("<!-- policy -->", f'<meta http-equiv="Content-Security-Policy" content="{policy}">', 1)


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
