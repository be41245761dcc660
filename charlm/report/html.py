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
from charlm.report.address import read_address, with_address
from charlm.report.markdown import with_markup
from charlm.runs.embedded import data_block

TEMPLATES = Path(__file__).with_name("templates")
AS_IS = "/:=;()-.!*'@$+?[]|^`{}~"  # what stands for itself in an address
SANS = "system-ui,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"  # as in report.css
DARK = 0x12  # of the page in dark mode: each of red, green and blue, as in report.css


def write_html(document: dict, folder: Path, play: dict | None = None) -> None:
    """Write report.html; with models to be tried, where they are given, before what stands in their place."""
    styles = "".join((TEMPLATES / name).read_text("utf-8") for name in ("report.css", "play.css"))
    scripts = [(TEMPLATES / name).read_text("utf-8") for name in ("report.js", *(["play.js"] if play else []))]
    page = with_markup(document, "html5") | {"play": play, "styles": styles, "scripts": scripts}
    page["policy"] = policy([styles], scripts)
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
    if address := read_address():
        html = with_address(html, address)
    (folder / "report.html").write_text(html, "utf-8", newline="\n")


def policy(styles: list[str], scripts: list[str]) -> str:
    """Lets the page load nothing, and run no script and take no style but these."""

    def hashes(parts: list[str]) -> str:
        return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(p.encode()).digest()).decode()}'" for p in parts)

    rules = {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": hashes(styles),
        "script-src": hashes(scripts),
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
    svg = compact(in_both_schemes(text))
    if file.stem.endswith("-narrow"):
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
    return f"data:image/svg+xml,{quote(svg, safe=AS_IS + ', ')}"


def compact(svg: str) -> str:
    """The drawing without what is not seen: comments, the spaces between its tags, and digits beyond a tenth of a point."""
    svg = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<\?xml.*?\?>|<!DOCTYPE.*?>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"(?<![\d.])[1-9]\d*\.\d{2,}(?=[^<>]*>)", lambda number: f"{float(number[0]):.1f}", svg)  # in a tag
    return re.sub(r">\s+<", "><", svg)


def in_both_schemes(svg: str) -> str:
    """The drawing with colours for a dark page beside those for a light one, which it has, and with the page's letters."""
    colours = sorted({"000000", "ffffff", *re.findall(r"(?:fill|stroke): #([0-9a-f]{6})\b", svg)})
    light = "".join(f"--c{c}:#{c};" for c in colours)
    dark = "".join(f"--c{c}:#{dark_colour(c)};" for c in colours)
    svg = svg.replace(f"font-family: '{FONT}'; ", "")
    style = f"<style>:root{{{light}fill:var(--c000000)}}text{{font-family:{SANS}}}@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    svg = re.sub(r"(fill|stroke): #([0-9a-f]{6})\b", r"\1: var(--c\2)", svg)
    return re.sub(r"<svg\b[^>]*>", lambda tag: tag[0] + style, svg, count=1)


def dark_colour(colour: str) -> str:
    """The colour (rrggbb) that stands out from the dark page as much as this one does from white, and, as far as that goes,
    has its hue. The measure is the contrast of WCAG 2.2, which on a dark page needs more for the same effect."""

    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    def coded(value: float) -> int:
        return round(255 * (value * 12.92 if value <= 0.0031308 else 1.055 * value ** (1 / 2.4) - 0.055))

    def luminance(rgb: list[float]) -> float:
        return 0.2126 * rgb[0] + 0.7152 * rgb[1] + 0.0722 * rgb[2]

    rgb = [linear(int(colour[i : i + 2], 16) / 255) for i in (0, 2, 4)]
    page = linear(DARK / 255)
    contrast = 1 + 1.4 * (1.05 / (luminance(rgb) + 0.05) - 1)
    wanted = min(contrast * (page + 0.05) - 0.05, 0.85)
    if luminance(rgb) > 0:
        rgb = [value * wanted / luminance(rgb) for value in rgb]
        lost = luminance(rgb) - luminance([min(value, 1) for value in rgb])
        rgb = [min(value, 1) for value in rgb]
        if lost > 0:  # what red, green or blue cannot give comes from white
            share = lost / (1 - luminance(rgb))
            rgb = [value + share * (1 - value) for value in rgb]
    else:
        rgb = [wanted] * 3
    return "".join(f"{coded(value):02x}" for value in rgb)
