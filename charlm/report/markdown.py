"""Markdown of an author: pandoc reads it, and writes it as HTML or as typst's markup.

All pieces go through pandoc together, because each start of it takes a while. In between, a piece is a list of pandoc's
blocks, plain data: {"t": the type of an element, "c": what is in it}.
"""

import hashlib
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from copy import deepcopy
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


def read_prose(tree: Any) -> None:
    """Put in the place of each text in {"prose": text} the blocks that pandoc reads it as, without a paragraph around them
    where "is_line" says so. What it holds of HTML is read as text: it would not reach the PDF, and may be hostile."""
    found = prose_in(tree)
    texts = [it["prose"] for it in found]
    fence = ":" * (3 + max(map(len, re.findall(":+", "".join(texts))), default=0))  # which no text can close
    document = "\n\n".join(f"{fence} piece\n{text}\n{fence}" for text in texts)
    read = json.loads(_pandoc(document, "--from", READER, "--to", "json"))
    for it, piece in zip(found, read["blocks"], strict=True):
        blocks = changed(piece["c"][1], _harmless)
        is_line = it.pop("is_line", False)
        it["prose"] = [block | {"t": "Plain"} if is_line and block["t"] == "Para" else block for block in blocks]


def with_markup(tree: Any, to: str) -> Any:
    """A copy of the tree whose prose is HTML ("html5") or typst's markup ("typst")."""
    tree = deepcopy(tree)
    found = prose_in(tree)
    pieces = [it["prose"] for it in found]
    mark = f"end of {hashlib.sha256(json.dumps(pieces).encode()).hexdigest()}"  # which no piece can hold
    end = {"t": "RawBlock", "c": [to, mark]}
    if to == "html5":
        pieces = changed(pieces, _scrolling)
    blocks = [block for piece in pieces for block in (*piece, end)]
    document = {"pandoc-api-version": API, "meta": {}, "blocks": blocks}
    markup = _pandoc(json.dumps(document), "--from", "json", "--to", to, "--wrap", "none", *WRITERS[to])
    # The page's policy allows no style in a tag, and pandoc has one in cells that are set to a side.
    markup = re.sub(r'(<m?t[dh][^>]*) style="text-align: (\w+);[^"]*"', r'\1 class="\2"', markup)
    for it, written in zip(found, markup.split(mark)[:-1], strict=True):
        it["prose"] = written.strip("\n")
    return tree


def prose_in(tree: Any) -> list[dict]:
    return [it for it in everything(tree) if "prose" in it]


def everything(tree: Any) -> Iterator[dict]:
    """Every dict of a tree, the outer ones first."""
    if isinstance(tree, dict):
        yield tree
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        return
    for branch in tree:
        yield from everything(branch)


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
            return {"t": "CodeBlock", "c": [["", [], []], text]}
        case {"t": "Image", "c": [_, _, [source, _]]}:
            raise ReportError(f"the image {source} is no Figure: nothing is fetched")
    return element


def _scrolling(element: dict) -> dict:
    """In the page, a formula that is too wide for it scrolls by itself, and by keyboard."""
    match element:
        case {"t": "Para", "c": [{"t": "Math", "c": [{"t": "DisplayMath"}, _]}]}:
            attributes = [["tabindex", "0"], ["role", "group"], ["aria-label", "Formula"]]
            return {"t": "Div", "c": [["", ["scroll", "formula"], attributes], [element | {"t": "Plain"}]]}
    return element


def _pandoc(text: str, *options: str) -> str:
    """What pandoc makes of a text. Raises ReportError with the first line of what it says."""
    command = [pypandoc.get_pandoc_path(), "--fail-if-warnings", "--eol", "lf", *options]
    done = subprocess.run(command, input=text.encode(), capture_output=True)
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        raise ReportError(f"the report's Markdown: {said[0] if said else 'pandoc failed'}")
    return done.stdout.decode()
