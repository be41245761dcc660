"""Markdown of an author: pandoc reads it, and writes it as HTML or as typst's markup.

All pieces go through pandoc together, because each start of it takes a while. In between, a piece is a list of pandoc's
blocks, plain data: {"t": the type of an element, "c": what is in it}.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

import pypandoc

from charlm.report.execute import ReportError

# CommonMark as JupyterLab reads it, and the fenced divs that hold the pieces apart
READER = "commonmark+pipe_tables+strikeout+tex_math_dollars+autolink_bare_uris+smart+gfm_auto_identifiers+fenced_divs"
WRITERS = {
    "html5": ["--mathml", "--syntax-highlighting=none", "--shift-heading-level-by=1"],  # the title is h1
    "typst": [],
}
API = [1, 23, 1]  # of pandoc's blocks, whose version pandoc wants to be told
PLAIN: list = ["", [], []]  # no id, no classes, no attributes


def read_markdown(texts: Sequence[str]) -> list[list]:
    """The blocks of each text. What it holds of HTML is read as text: it would not reach the PDF, and may be hostile."""
    longest = max(map(len, re.findall(":+", "".join(texts))), default=0)
    fence = ":" * max(3, 1 + longest)  # which no text can close
    document = "\n\n".join(f"{fence} piece\n{text}\n{fence}" for text in texts)
    read = json.loads(_pandoc(document, "--from", READER, "--to", "json"))
    return [changed(div["c"][1], _harmless) for div in read["blocks"]]


def write_markup(pieces: Sequence[list], to: str) -> list[str]:
    """Each list of blocks as HTML ("html5") or typst's markup ("typst")."""
    mark = f"end of {hashlib.sha256(json.dumps(pieces).encode()).hexdigest()}"  # which no piece can hold
    end = {"t": "RawBlock", "c": [to, mark]}
    blocks = [block for piece in pieces for block in (*_with_formulas(piece, to), end)]
    document = {"pandoc-api-version": API, "meta": {}, "blocks": blocks}
    written = _pandoc(json.dumps(document), "--from", "json", "--to", to, "--wrap", "none", *WRITERS[to])
    # The page's policy allows no style in a tag, and pandoc has one in cells that are set to a side.
    written = re.sub(r'(<m?t[dh][^>]*) style="text-align: (\w+);[^"]*"', r'\1 class="\2"', written)
    return [piece.strip("\n") for piece in written.split(mark)[:-1]]


def changed(tree: Any, change: Callable[[dict], dict]) -> Any:
    """The tree with change(element) in the place of each of its elements, the inner ones first."""
    if isinstance(tree, list):
        return [changed(branch, change) for branch in tree]
    if not isinstance(tree, dict):
        return tree
    return change({key: changed(branch, change) for key, branch in tree.items()})


def _harmless(element: dict) -> dict:
    match element:
        case {"t": "RawInline", "c": [_, text]}:
            return {"t": "Str", "c": text}
        case {"t": "RawBlock", "c": [_, text]}:
            return {"t": "CodeBlock", "c": [PLAIN, text]}
        case {"t": "Image", "c": [_, _, [source, _]]}:
            raise ReportError(f"the image {source} is no Figure: nothing is fetched")
    return element


def _is_formula(block: dict) -> bool:
    match block:
        case {"t": "Para", "c": [{"t": "Math", "c": [{"t": "DisplayMath"}, _]}]}:
            return True
    return False


def _with_formulas(blocks: list, to: str) -> list:
    """The blocks with formulas that scroll where they are too wide for the page, and stay with what introduces them in the
    PDF."""
    attributes = [["tabindex", "0"], ["role", "group"], ["aria-label", "Formula"]]
    made = []
    for block, below in zip(blocks, [*blocks[1:], {}], strict=False):
        if to == "html5" and _is_formula(block):
            formula = {"t": "Plain", "c": block["c"]}
            made.append({"t": "Div", "c": [["", ["scroll", "formula"], attributes], [formula]]})
        elif to == "typst" and _is_formula(below):
            made += [{"t": "RawBlock", "c": [to, "#block(sticky: true)["]}, block, {"t": "RawBlock", "c": [to, "]"]}]
        else:
            made.append(block)
    return made


def _pandoc(text: str, *options: str) -> str:
    """What pandoc makes of a text. Raises ReportError with the first line of what it says."""
    command = [pypandoc.get_pandoc_path(), "--fail-if-warnings", "--eol", "lf", *options]
    done = subprocess.run(command, input=text.encode(), capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        raise ReportError(f"the report's Markdown: {said[0] if said else 'pandoc failed'}")
    return done.stdout.decode()
