"""The HTML edition: one file that loads nothing."""

import base64
import hashlib
import re
from pathlib import Path
from urllib.parse import quote

from nbconvert import TemplateExporter
from nbconvert.filters import Highlight2HTML
from nbformat.v4 import new_notebook

from charlm.drawing import FONT
from charlm.report.markdown import with_markup
from charlm.runs.embedded import data_block

TEMPLATES = Path(__file__).with_name("templates")
AS_IS = "/:=;()-.!*'@$+?[]|^`{}~"  # what stands for itself in an address
SANS = "system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"  # as in report.css


def write_html(document: dict, folder: Path, play: dict | None = None) -> None:
    """Write report.html; with models to be tried, where they are given, before what stands in their place."""
    styles = "".join((TEMPLATES / name).read_text("utf-8") for name in ("report.css", "play.css"))
    scripts = [(TEMPLATES / name).read_text("utf-8") for name in ("report.js", *(["play.js"] if play else []))]
    page = with_markup(document, "html5") | {"play": play, "styles": styles, "scripts": scripts}
    page["policy"] = policy([styles], scripts, "'wasm-unsafe-eval'" if play else "")
    exporter = TemplateExporter(
        extra_template_basedirs=[str(TEMPLATES.parent)],
        template_name=TEMPLATES.name,
        template_file=str(TEMPLATES / "report.html"),
    )
    # What the template takes is text, which Jinja escapes, but where it says `safe`.
    exporter.environment.autoescape = True
    exporter.environment.trim_blocks = exporter.environment.lstrip_blocks = True
    exporter.environment.filters |= {
        "embedded": lambda name: embedded(folder / "figures" / name),
        "highlighted": Highlight2HTML(pygments_lexer="python3"),
        "data_block": data_block,
    }
    html, _ = exporter.from_notebook_node(new_notebook(metadata={"charlm": page}))
    (folder / "report.html").write_text(html, "utf-8", newline="\n")


def policy(styles: list[str], scripts: list[str], compiled: str = "") -> str:
    """Lets the page load nothing, and run no script and take no style but these; and, where `compiled` says so, lets the
    scripts compile WebAssembly, which reaches nothing but the memory that they give it."""

    def hashes(parts: list[str]) -> str:
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(p.encode()).digest()).decode()}'" for p in parts)

    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": hashes(styles),
        "script-src": f"{hashes(scripts)} {compiled}".strip(),
        "worker-src": "blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


# ---------------------------------------------------------------------------------------------------------------------
# figures and their numbers, in the page itself


def embedded(file: Path) -> str:
    """A figure, or the numbers behind it, as an address that holds it all. That of a drawing for a phone stands in a list of
    images, in which a space or a comma would end it."""
    text = file.read_text("utf-8")
    if file.suffix == ".csv":
        return f"data:text/csv;charset=utf-8,{quote(text, safe=AS_IS + ',')}"
    svg = compact(in_the_pages_letters(text))
    if file.stem.endswith("-narrow"):
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    return f"data:image/svg+xml,{quote(svg, safe=AS_IS + ', ')}"


def compact(svg: str) -> str:
    """The drawing without what is not seen: comments, the spaces between its tags, and digits beyond a tenth of a point."""
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(?<![\d.])[1-9]\d*\.\d{2,}(?=[^<>]*>)", lambda number: f"{float(number[0]):.1f}", svg)  # in a tag
    return re.sub(r">\s+<", "><", svg)


def in_the_pages_letters(svg: str) -> str:
    svg = svg.replace(f"font-family: '{FONT}'; ", "")
    return re.sub(r"<svg\b[^>]*>", rf"\g<0><style>text{{font-family:{SANS}}}</style>", svg, count=1)
