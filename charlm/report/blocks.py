"""What a cell shows, as blocks: plain data, without markup.

A block is a dict with a "kind": prose, a thing of charlm.show, printed text or code. In it {"prose": text} is an author's Markdown.
"""

import re
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from charlm.printable import inline, visible

Block = dict[str, Any]
Placed = tuple[str, Block]  # a block, and the part of its section that it is put into: text, fold, aside or code

NUMBERED = {"figure": ("fig-", "Figure"), "table": ("tbl-", "Table"), "samples": ("smp-", "Samples")}


def cell_blocks(cell: NotebookNode, parameters: dict) -> list[Placed]:
    """What the tags of a cell say of it, charlm/report/__init__.py has."""
    tags = cell.metadata.get("tags", [])
    if "hide" in tags or "injected-parameters" in tags or not cell.source.strip():
        return []
    part = "text"
    for name in ("fold", "aside"):
        if name in tags:
            part = name
    if cell.cell_type != "code":
        return [(part, prose(cell.source))]
    shown = []
    for output in cell.outputs:
        block = _output_block(output)
        if block:
            shown.append(("fold" if block["kind"] == "provenance" else part, block))
    code = _code_block(cell, parameters)
    if "lesson" in tags:
        return [(part, code | {"kind": "step"}), *shown]
    return [*shown, ("code", code)]


def prose(markdown: str | list) -> Block:
    """Of Markdown, or of what pandoc has read it as."""
    return {"kind": "prose", "text": {"prose": markdown}}


def _code_block(cell: NotebookNode, parameters: dict) -> Block:
    """The source of a cell of code, with the parameters of this report, and what it printed."""
    source = cell.source
    if "parameters" in cell.metadata.get("tags", []):
        source += "\n\n# in this report"
        for name, value in parameters.items():
            given = value.name if isinstance(value, Path) else value
            source += f"\n{name} = {given!r}"
    # The kernel cuts a stream where it pleases: joined, it is the same every time.
    log = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    log = re.sub(r"[^\n]*\r(?!\n)", "", log.replace("\r\n", "\n"))  # a line that was written over
    return {"kind": "code", "source": source, "log": visible(log).rstrip("\n")}


def _output_block(output: NotebookNode) -> Block | None:
    """A thing of charlm.show, else Markdown, else plain text; nothing for what is printed, which stands with the code, and for
    results, which are for results.json alone."""
    if output.output_type == "stream":
        return None
    facts = output.metadata.get("charlm")
    if facts:
        return shown_block(facts) if facts["kind"] in MAKERS else None
    if "text/markdown" in output.data:
        return prose(output.data["text/markdown"])
    return {"kind": "printed", "output": visible(output.data.get("text/plain", ""))}


def shown_block(facts: dict) -> Block:
    """The block of a thing of charlm.show."""
    kind = facts["kind"]
    prefix, _ = NUMBERED.get(kind, ("", ""))
    return {"kind": kind, "id": prefix + facts["id"]} | MAKERS[kind](facts)


def _line(markdown: str) -> dict | None:
    """Markdown without a paragraph around it; nothing where it is empty."""
    return {"prose": markdown, "is_line": True} if markdown else None


def _figure(facts: dict) -> dict:
    return {
        "file": facts["id"],
        "caption": _line(facts["caption"]),
        "alt": inline(facts["alt"]),
        "is_wide": facts["wide"],
        "has_narrow": bool(facts["narrow"]),
    }


def _table(facts: dict) -> dict:
    """Rows that have the same in the column that groups them stand together, under it."""
    names, by = facts["columns"], facts["groups"]
    kept = [i for i, name in enumerate(names) if name != by]
    groups: dict[str, list[list[str]]] = {}
    for cells in facts["cells"]:
        group = cells[names.index(by)] if by else ""
        groups.setdefault(group, []).append([cells[i] for i in kept])
    return {
        "caption": _line(facts["caption"]),
        "note": facts["note"] and {"prose": facts["note"]},
        "columns": [{"name": inline(names[i]), "is_right": facts["right"][i]} for i in kept],
        "grouped_by": by,
        "groups": [{"name": name, "rows": rows} for name, rows in groups.items()],
    }


def _samples(facts: dict) -> dict:
    """Each text as what was given and what was drawn."""
    items = []
    for item in facts["items"]:
        given = visible(item.get("prompt", ""))
        drawn = visible(item["text"]).removeprefix(given)
        verse = _verse(given, drawn) if item.get("verse") else None
        items.append({"label": inline(item["label"]), "given": given, "drawn": drawn, "verse": verse})
    return {"caption": _line(facts["caption"]), "has_columns": facts["columns"], "items": items}


def _verse(given: str, drawn: str) -> list[list[str]]:
    """The same line by line; the one in which the given text ends has some of both."""
    first, *others = drawn.split("\n")
    lines = [[line, ""] for line in given.split("\n")]
    lines[-1][1] = first
    return lines + [["", line] for line in others]


def _finding(facts: dict) -> dict:
    return {"heading": _line(facts.get("heading", "")), "text": {"prose": facts["text"]}}


def _cards(facts: dict) -> dict:
    items = []
    for item in facts["items"]:
        figure = item["figure"]
        drawn = figure and {"file": figure["id"], "alt": inline(figure["alt"])}
        items.append({"text": _line(item["text"]), "section": item["section"], "figure": drawn})
    return {"items": items}


MAKERS = {
    "figure": _figure,
    "table": _table,
    "samples": _samples,
    "finding": _finding,
    "provenance": _finding,
    "cards": _cards,
}
