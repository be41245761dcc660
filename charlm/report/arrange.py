"""The executed notebooks as one document of plain data. It knows no markup: the page and the PDF are made of the same.

The document is a tree of dicts and lists, as JSON has them. In it {"prose": [...]} is Markdown of an author, as pandoc has
read it, "id" is what links lead to, and "kind" tells a block: prose, a thing that a cell shows, or the code of a cell. A
chapter, like each of its sections, has id, question, heading, answer, and lists of blocks: text, fold and code.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from nbformat import NotebookNode

from charlm.printable import inline, visible
from charlm.report.address import CITATION, read_address
from charlm.report.execute import Job, ReportError
from charlm.report.markdown import changed, read_markdown, write_markup
from charlm.show import Figure, Samples, make_table

Block = dict[str, Any]
Placed = tuple[str, Block]  # a block, and where it goes: text, fold, lesson, aside or code

WORDS_A_MINUTE = 230
NUMBERED = {"figure": "Figure", "table": "Table", "samples": "Samples"}
HOW_TO_RUN = """## How to run it

In a copy of the project, `make report` trains what is missing, executes the notebooks in `notebooks/` and writes this report;
`make quick` does the same on a small scale, in a minute or two. `make lab` opens the notebooks in JupyterLab.
"""
IN_THEIR_PLACE = """In the HTML edition, in a browser that runs scripts, trained models can be tried here; in their place stands
what they wrote and how they read.
"""


def arrange(
    executed: Sequence[tuple[Job, NotebookNode]],
    results: dict,
    subtitle: str,
    play: str | Sequence[Samples | Figure] = "",
) -> dict:
    """The document: the last notebook, then the others, then what the report was made with. At the place that is kept for
    the models that can be tried stands what they wrote, or a line of Markdown on why there are none.
    """
    placed = _placed_blocks(executed, results, play)
    _read_prose(placed)
    opening, *chapters = _chapters(placed)
    chapters = _showing(chapters)
    _move_code(opening, chapters)
    sections = [opening, *(it for chapter in chapters for it in (chapter, *chapter["sections"]))]
    labels = _number(sections)
    citation = read_citation()
    document = {
        "title": opening["heading"],
        "question": opening["answer"] and opening["question"],
        "standfirst": opening["answer"],
        "opening": opening["text"],
        "aside": opening["aside"],
        "chapters": chapters,
        "minutes": _minutes(sections),
        "subtitle": inline(subtitle),
        "author": ", ".join(citation["authors"]),
        "date": str(citation.get("date-released", "")),
    }
    _name_cards(document, {it["id"]: it["question"] for it in sections})
    _resolve_links(document, labels)
    return document


def everything(tree: Any) -> Iterator[dict]:
    """Every dict of a tree, the outer ones first."""
    if isinstance(tree, dict):
        yield tree
        tree = tree.values()
    elif not isinstance(tree, list | tuple):
        return
    for branch in tree:
        yield from everything(branch)


def prose_in(tree: Any) -> list[dict]:
    return [it for it in everything(tree) if "prose" in it]


def with_markup(document: dict, to: str) -> dict:
    """A copy of the document whose prose is HTML ("html5") or typst's markup ("typst")."""
    copied = deepcopy(document)
    found = prose_in(copied)
    for it, markup in zip(found, write_markup([it["prose"] for it in found], to), strict=True):
        it["prose"] = markup
    return copied


# ---------------------------------------------------------------------------------------------------------------------
# from cells to blocks


def _placed_blocks(
    executed: Sequence[tuple[Job, NotebookNode]], results: dict, play: str | Sequence[Samples | Figure]
) -> list[Placed]:
    placed: list[Placed] = []
    provenance: list[Placed] = []
    references: list[str] = []
    seen: set[Path] = set()
    for job, notebook in [executed[-1], *executed[:-1]]:
        hidden = {"injected-parameters", "hide"} | ({"once"} if job.notebook in seen else set())
        seen.add(job.notebook)
        for cell in notebook.cells:
            tags = set(cell.metadata.get("tags", []))
            if tags & hidden:
                continue
            if "references" in tags:
                references += [line for line in cell.source.splitlines() if line.startswith("- ")]
            elif "play" in tags:
                placed += _in_place_of_play(play)
            elif "provenance" in tags:
                provenance += _cell_blocks(cell, job.parameters)
            else:
                placed += _cell_blocks(cell, job.parameters)
    facts = _facts(make_table("provenance", facts_rows(results), FACTS_CAPTION))
    placed += [_text("# Provenance"), ("text", table_block(facts)), *provenance, _text(HOW_TO_RUN)]
    placed += [_text("## How to cite it"), ("text", _citation())]
    if references:
        placed.append(_text("\n".join(["## References\n", *sorted(set(references), key=str.casefold)])))
    return placed


def _text(markdown: str) -> Placed:
    return "text", {"kind": "prose", "text": {"prose": markdown}}


def _line(markdown: str) -> dict | None:
    """Markdown that is no paragraph, or nothing where it is empty."""
    return {"prose": " ".join(markdown.split()), "is_line": True} if markdown else None


def _in_place_of_play(play: str | Sequence[Samples | Figure]) -> list[Placed]:
    if not play:
        return []
    if isinstance(play, str):
        return [_text("## Try it"), _text(play)]
    shown = [shape for it in play if (shape := shown_block(_facts(it)))]
    text = {"prose": IN_THEIR_PLACE}
    return [_text("## Try it"), ("text", {"kind": "play", "id": "play-instead", "text": text, "shown": shown})]


def _facts(shown: Any) -> dict:
    return shown._repr_mimebundle_()[1]["charlm"]


def _cell_blocks(cell: NotebookNode, parameters: dict) -> list[Placed]:
    """What a cell shows, and its code. In a lesson the code is what there is to read, and stands before what it gives."""
    tags = set(cell.metadata.get("tags", []))
    place = next((tag for tag in ("lesson", "fold", "aside") if tag in tags), "text")
    if "provenance" in tags:
        place = "fold"
    if cell.cell_type != "code":
        return [(place, {"kind": "prose", "text": {"prose": cell.source}})] if cell.source.strip() else []
    blocks = [block for output in cell.outputs if (block := _output_block(output))]
    shown: list[Placed] = [(place, block) for block in blocks]
    if not cell.source.strip():
        return shown
    code = _code_block(cell, parameters)
    return [(place, code), *shown] if place == "lesson" else [*shown, ("code", code)]


def _code_block(cell: NotebookNode, parameters: dict) -> Block:
    """The source of a cell of code, with the parameters of this report, and what it printed."""
    source = cell.source
    if "parameters" in cell.metadata.get("tags", []):
        given = {k: v.name if isinstance(v, Path) else v for k, v in parameters.items()}
        source += "\n\n# in this report\n" + "\n".join(f"{k} = {v!r}" for k, v in given.items())
    # The kernel cuts a stream where it pleases: joined, it is the same every time.
    log = "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")
    log = visible(re.sub(r"[^\n]*\r(?!\n)", "", log.replace("\r\n", "\n"))).rstrip("\n")
    return {"kind": "code", "source": source, "log": log}


def _output_block(output: NotebookNode) -> Block | None:
    """What an output shows: a thing of charlm.show, else Markdown, else plain text."""
    if output.output_type == "stream":
        return None
    if facts := output.get("metadata", {}).get("charlm"):
        return shown_block(facts)
    if markdown := output.data.get("text/markdown"):
        return _text(markdown)[1]
    return {"kind": "printed", "output": visible(output.data.get("text/plain", ""))}


# ---------------------------------------------------------------------------------------------------------------------
# from the facts of a thing of charlm.show to a block


def shown_block(facts: dict) -> Block | None:
    return SHOWN[facts["kind"]](facts)


def figure_block(facts: dict) -> Block:
    return {
        "kind": "figure",
        "id": f"fig-{facts['id']}",
        "file": facts["id"],
        "caption": _line(facts["caption"]),
        "alt": inline(facts["alt"]),
        "is_wide": facts["wide"],
        "has_narrow": bool(facts["narrow"]),
    }


def table_block(facts: dict) -> Block:
    """Rows that have the same in the column that groups them stand together, under it."""
    names, by = facts["columns"], facts["groups"]
    kept = [i for i, name in enumerate(names) if name != by]
    groups: dict[str, list[dict]] = {}
    for number, cells in enumerate(facts["cells"], 1):
        row: dict[str, Any] = {"cells": [cells[i] for i in kept]}
        if facts["row_ids"]:
            row["id"] = f"{facts['row_ids']}-{number}"
        groups.setdefault(cells[names.index(by)] if by else "", []).append(row)
    return {
        "kind": "table",
        "id": f"tbl-{facts['id']}",
        "caption": _line(facts["caption"]),
        "note": facts["note"] and {"prose": facts["note"]},
        "columns": [{"name": names[i], "is_right": facts["right"][i]} for i in kept],
        "grouped_by": by,
        "groups": [{"name": name, "rows": rows} for name, rows in groups.items()],
    }


def samples_block(facts: dict) -> Block:
    return {
        "kind": "samples",
        "id": f"smp-{facts['id']}",
        "caption": _line(facts["caption"]),
        "has_columns": facts["columns"],
        "items": [_sample(item) for item in facts["items"]],
    }


def _sample(item: dict) -> dict:
    """A text as what was given and what was drawn, and line by line."""
    text = visible(item["text"])
    given = visible(item.get("prompt", ""))
    drawn = text[len(given) :]
    lines = [[line, ""] for line in given.split("\n")]
    first, *others = drawn.split("\n")
    lines[-1][1] = first
    lines += [["", line] for line in others]
    is_verse = bool(item.get("verse"))
    return {"label": inline(item["label"]), "given": given, "drawn": drawn, "lines": lines, "is_verse": is_verse}


def finding_block(facts: dict) -> Block:
    heading = _line(facts.get("heading", ""))
    return {"kind": "finding", "id": facts["id"], "heading": heading, "text": {"prose": facts["text"]}}


def cards_block(facts: dict) -> Block:
    items = []
    for item in facts["items"]:
        drawn = item["figure"] and {"file": item["figure"]["id"], "alt": inline(item["figure"]["alt"])}
        items.append({"text": _line(item["text"]), "to": item["section"], "figure": drawn})
    return {"kind": "cards", "id": facts["id"], "items": items}


def tiles_block(facts: dict) -> Block:
    items = [{"label": inline(it["label"]), "verdict": it["verdict"], "to": it["target"]} for it in facts["items"]]
    return {"kind": "tiles", "id": facts["id"], "items": items}


def no_block(facts: dict) -> None:
    """Results, which are for results.json alone."""


SHOWN = {
    "figure": figure_block,
    "table": table_block,
    "samples": samples_block,
    "finding": finding_block,
    "cards": cards_block,
    "tiles": tiles_block,
    "results": no_block,
}


# ---------------------------------------------------------------------------------------------------------------------
# what the report was made with, and how to cite it

FACTS_CAPTION = "What this report was made with. Every number in it is in `results.json`."


def facts_rows(results: dict) -> list[dict]:
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
    return [{"what": what, "value": value} for what, value in facts.items()]


def read_citation() -> dict:
    """What CITATION.cff says; authors are a list of names there."""
    citation = yaml.safe_load(CITATION.read_text("utf-8"))
    names = [a.get("name") or f"{a['given-names']} {a['family-names']}" for a in citation["authors"]]
    return citation | {"authors": names}


def _citation() -> Block:
    """BibTeX, but for the brace at its end: the project's address is added where the report is published."""
    citation = read_citation()
    fields = {
        "author": " and ".join(f"{{{name}}}" for name in citation["authors"]),
        "title": f"{{{citation['title']}}}",
        "version": citation["version"],
        "year": str(citation.get("date-released", ""))[:4],
        "license": citation["license"],
        "url": read_address(),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return {"kind": "cite", "bibtex": ",\n".join(["@software{charlm", *lines]), "has_url": bool(fields["url"])}


# ---------------------------------------------------------------------------------------------------------------------
# from blocks to sections


def _read_prose(placed: list[Placed]) -> None:
    """Put in the place of all Markdown what pandoc reads it as."""
    found = prose_in(placed)
    for it, blocks in zip(found, read_markdown([it["prose"] for it in found]), strict=True):
        if it.pop("is_line", False):
            blocks = [block | {"t": "Plain"} if block["t"] == "Para" else block for block in blocks]
        it["prose"] = blocks


def _section(id: str, question: list) -> dict:
    asked = {"prose": [{"t": "Plain", "c": question}]}
    section: dict = {"id": id, "question": asked, "heading": asked, "answer": None, "is_lesson": False}
    return section | {part: [] for part in ("text", "aside", "fold", "code", "sections")}


def _chapters(placed: list[Placed]) -> list[dict]:
    """What stands under the title, then the chapters. Those of the summary, which comes first, are its sections."""
    opening = here = _section("report", [{"t": "Str", "c": "Report"}])
    chapters = [opening]
    titles = 0
    for place, block in placed:
        if place == "lesson":
            here["is_lesson"] = True
            place = "fold"
        if place != "text":
            (opening if place == "aside" else here)[place].append(block)
        elif block.get("heading"):
            if here["answer"]:
                raise ReportError(f"the section {here['id']} has a second heading")
            here |= {"id": block["id"], "heading": block["heading"], "answer": block["text"]}
        elif "text" not in block:
            here["text"].append(block)
        else:
            for header, text in _at_headings(block["text"]["prose"]):
                if header:
                    level, (id, *_), words = header["c"]
                    titles += level == 1
                    below = _section(id, words)
                    if level == 1 and titles == 1:
                        opening |= {"question": below["question"], "heading": below["heading"]}
                    else:
                        (chapters if level == 1 or titles < 2 else chapters[-1]["sections"]).append(below)
                        here = below
                if text:
                    here["text"].append(block | {"text": {"prose": text}})
    return chapters


def _at_headings(blocks: list) -> Iterator[tuple[dict | None, list]]:
    """Each heading of a chapter or a section with the blocks below it; before the first one, blocks without a heading."""
    starts = [i for i, block in enumerate(blocks) if block["t"] == "Header" and block["c"][0] <= 2]
    yield None, blocks[: starts[0]] if starts else blocks
    for start, end in pairwise([*starts, len(blocks)]):
        yield blocks[start], blocks[start + 1 : end]


def _showing(chapters: list[dict]) -> list[dict]:
    """Without the sections that show nothing, of a study that was not made or a question that this text does not answer, and
    without the chapters that have no section left."""

    def shows(section: dict) -> bool:
        return bool(section["answer"] or section["text"])

    kept = []
    for chapter in chapters:
        sections = list(filter(shows, chapter["sections"]))
        if sections or (not chapter["sections"] and shows(chapter)):
            kept.append(chapter | {"sections": sections})
    return kept


def _move_code(opening: dict, chapters: list[dict]) -> None:
    """Let the code of screen one and of the heads of chapters fold with that of the section that comes next, and each section
    know where its code is: code_at."""
    moves = [(chapter, chapter["sections"][0]) for chapter in chapters if chapter["sections"]]
    moves.append((opening, chapters[0]))
    for above, below in moves:
        below["code"] = above["code"] + below["code"]
        above["code"] = []
    chapters[0]["fold"] = opening["fold"] + chapters[0]["fold"]
    opening["fold"] = []
    for section in (it for chapter in chapters for it in (chapter, *chapter["sections"])):
        section["code_at"] = f"code-{section['id']}" if section["code"] else ""
    for above, below in moves:
        above["code_at"] = below["code_at"]


def _number(sections: list[dict]) -> dict[str, str]:
    """Number what is shown; what is folded away has numbers of its own, A1, A2, ... Returns {id: such as "Figure 3"}."""
    labels: dict[str, str] = {}
    counts: Counter = Counter()
    for section in sections:
        for part, letter in (("text", ""), ("fold", "A")):
            for it in everything(section[part]):
                if it.get("kind") in NUMBERED:
                    series = f"{NUMBERED[it['kind']]}\u00a0{letter}"
                    counts[series] += 1
                    it["label"] = labels[it["id"]] = f"{series}{counts[series]}"
                    it["code_at"] = section["code_at"]
    return labels


def _minutes(sections: list[dict]) -> int:
    """How long it takes to read what is not folded away."""
    words = 0
    told = [[it["question"], it["answer"] and it["heading"], it["answer"], it["text"]] for it in sections]
    for it in everything(told):
        words += it.get("t") == "Str"
        words += sum(len(text.split()) for text in [*it.get("cells", []), it.get("drawn", "")])
    return max(1, round(words / WORDS_A_MINUTE))


# ---------------------------------------------------------------------------------------------------------------------
# links


def _name_cards(document: dict, questions: dict[str, dict]) -> None:
    """Cards name the sections that they lead to by their questions."""
    for it in everything(document):
        if it.get("kind") == "cards":
            for card in it["items"]:
                if card["to"] not in questions:
                    raise ReportError(f"the card {it['id']} leads to no section: {card['to']}")
                card["question"] = questions[card["to"]]


def _resolve_links(document: dict, labels: dict[str, str]) -> None:
    """Let a link to what has a number say that number. Raises ReportError where a link leads nowhere."""
    ids = {"report"} | {it["id"] for it in everything(document) if "id" in it}
    ids |= {it["c"][1][0] for it in everything(document) if it.get("t") == "Header"}

    def check(id: str) -> None:
        if id not in ids:
            raise ReportError(f"the link to #{id} leads nowhere: no cell shows it")

    def resolved(element: dict) -> dict:
        if element.get("t") == "Link" and element["c"][2][0].startswith("#"):
            id = element["c"][2][0][1:]
            check(id)
            if id in labels:
                element["c"][1] = [{"t": "Str", "c": labels[id]}]
        return element

    for it in prose_in(document):
        it["prose"] = changed(it["prose"], resolved)
    for it in everything(document):
        if "to" in it:
            check(it["to"])
