"""The executed notebooks as one document of plain data. It knows no markup: the page and the PDF are made of the same.

The document is a tree of dicts and lists, as JSON has them. In it {"prose": [...]} is Markdown of an author, as pandoc has
read it, "id" is what links lead to, and "kind" tells a block: prose, a thing that a cell shows, or the code of a cell. The
document has sections, the chapters, and these have sections. Each of them has id, question, heading and answer, and lists of
blocks: before (the answer), text, fold and code.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from nbformat import NotebookNode

from charlm.printable import inline, visible
from charlm.report.address import CITATION, read_address
from charlm.report.collect import facts_rows
from charlm.report.execute import Job, ReportError
from charlm.report.markdown import changed, everything, prose_in, read_prose
from charlm.show import SIGNS, Figure, Samples
from charlm.tables import make_table

Block = dict[str, Any]
Placed = tuple[str, Block]  # a block, and where it goes: text, fold, aside or code

PLAY = "## Try it"  # the section of the models that can be tried
WORDS_A_MINUTE = 230
FACTS_CAPTION = "What this report was made with. Every number in it is in `results.json`."
HOW_TO_RUN = """## How to run it

In a copy of the project, `make report` trains what is missing and writes this report, `make quick` a small one in a minute or two;
`make lab` opens the notebooks.
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
    read_prose(placed)
    document = _sections(placed)
    document["sections"] = _showing(document["sections"])
    _move_code(document)
    _number_sections(document["sections"])
    labels = _number(document)
    citation = read_citation()
    document |= {
        "minutes": _minutes(document),
        "subtitle": inline(subtitle),
        "author": ", ".join(citation["authors"]),
        "date": str(citation.get("date-released", "")),
        "signs": SIGNS,
    }
    _resolve_links(document, labels)
    return document


def sections_in(document: dict) -> list[dict]:
    """The document itself, its chapters and their sections, in order."""
    return [it for it in everything(document) if "answer" in it]


# ---------------------------------------------------------------------------------------------------------------------
# from cells to blocks


def _placed_blocks(
    executed: Sequence[tuple[Job, NotebookNode]], results: dict, play: str | Sequence[Samples | Figure]
) -> list[Placed]:
    placed: list[Placed] = []
    provenance: list[Placed] = []
    seen: set[Path] = set()
    for job, notebook in [executed[-1], *executed[:-1]]:
        earlier = list(placed) if job.notebook in seen else []
        seen.add(job.notebook)
        for cell in notebook.cells:
            tags = set(cell.metadata.get("tags", []))
            if tags & {"injected-parameters", "hide"}:
                continue
            blocks = _cell_blocks(cell, job.parameters)
            if cell.source.splitlines()[:1] == [PLAY]:
                placed += _in_place_of_play(play)
            elif any(block["kind"] == "provenance" for _, block in blocks):
                provenance += blocks
            else:
                placed += [it for it in blocks if it not in earlier]  # executed again, it shows what is new
    facts = make_table("provenance", facts_rows(results), FACTS_CAPTION)
    placed += [_text("# Provenance"), ("fold", shown_block(facts)), *provenance, _text(HOW_TO_RUN)]
    placed += [_text("## How to cite it"), ("text", _citation())]
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
        return [_text(PLAY), _text(play)]
    text = {"prose": IN_THEIR_PLACE}
    shown = list(map(shown_block, play))
    return [_text(PLAY), ("text", {"kind": "play", "id": "play-instead", "text": text, "shown": shown})]


def _cell_blocks(cell: NotebookNode, parameters: dict) -> list[Placed]:
    """What a cell shows, and its code, which in a lesson stands in its place."""
    tags = set(cell.metadata.get("tags", []))
    place = next((tag for tag in ("fold", "aside") if tag in tags), "text")
    if cell.cell_type != "code":
        return [(place, {"kind": "prose", "text": {"prose": cell.source}})] if cell.source.strip() else []
    blocks = [block for output in cell.outputs if (block := _output_block(output))]
    shown: list[Placed] = [("fold" if block["kind"] == "provenance" else place, block) for block in blocks]
    if not cell.source.strip():
        return shown
    code = _code_block(cell, parameters)
    return [(place, code | {"kind": "step"}), *shown] if "lesson" in tags else [*shown, ("code", code)]


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
        return _block_of(facts)
    if markdown := output.data.get("text/markdown"):
        return _text(markdown)[1]
    return {"kind": "printed", "output": visible(output.data.get("text/plain", ""))}


# ---------------------------------------------------------------------------------------------------------------------
# from the facts of a thing of charlm.show to a block


NUMBERED = {"figure": ("fig-", "Figure"), "table": ("tbl-", "Table"), "samples": ("smp-", "Samples")}


def shown_block(shown: Any) -> Block:
    """The block of a thing of charlm.show."""
    block = _block_of(shown._repr_mimebundle_()[1]["charlm"])
    assert block
    return block


def _block_of(facts: dict) -> Block | None:
    """Nothing for results, which are for results.json alone."""
    kind = facts["kind"]
    if kind not in BLOCKS:
        return None
    prefix, _ = NUMBERED.get(kind, ("", ""))
    return {"kind": kind, "id": prefix + facts["id"]} | BLOCKS[kind](facts)


def _figure(facts: dict) -> dict:
    looks = {"is_wide": facts["wide"], "has_narrow": bool(facts["narrow"])}
    return {"file": facts["id"], "caption": _line(facts["caption"]), "alt": inline(facts["alt"])} | looks


def _table(facts: dict) -> dict:
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
        "caption": _line(facts["caption"]),
        "note": facts["note"] and {"prose": facts["note"]},
        "columns": [{"name": inline(names[i]), "is_right": facts["right"][i]} for i in kept],
        "grouped_by": by,
        "groups": [{"name": name, "rows": rows} for name, rows in groups.items()],
    }


def _samples(facts: dict) -> dict:
    """Each text as what was given and what was drawn, of verse line by line."""
    items = []
    for item in facts["items"]:
        given = visible(item.get("prompt", ""))
        drawn = visible(item["text"]).removeprefix(given)
        lines = [[line, ""] for line in given.split("\n")]
        first, *others = drawn.split("\n")
        lines[-1][1] = first
        lines += [["", line] for line in others]
        verse = lines if item.get("verse") else None
        items.append({"label": inline(item["label"]), "given": given, "drawn": drawn, "verse": verse})
    return {"caption": _line(facts["caption"]), "has_columns": facts["columns"], "items": items}


def _finding(facts: dict) -> dict:
    return {"heading": _line(facts.get("heading", "")), "text": {"prose": facts["text"]}}


def _cards(facts: dict) -> dict:
    items = []
    for item in facts["items"]:
        drawn = item["figure"] and {"file": item["figure"]["id"], "alt": inline(item["figure"]["alt"])}
        items.append({"text": _line(item["text"]), "section": item["section"], "figure": drawn})
    return {"items": items}


BLOCKS = {
    "figure": _figure,
    "table": _table,
    "samples": _samples,
    "finding": _finding,
    "provenance": _finding,
    "cards": _cards,
}


# ---------------------------------------------------------------------------------------------------------------------
# how to cite it


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


def _section(id: str, question: list, is_chapter: bool) -> dict:
    asked = {"prose": [{"t": "Plain", "c": question}]}
    section: dict = {"id": id, "question": asked, "heading": asked, "answer": None, "is_chapter": is_chapter}
    return section | {part: [] for part in ("before", "text", "aside", "fold", "code", "sections")}


def _sections(placed: list[Placed]) -> dict:
    """What stands under the title, with the chapters as its sections. The sections of the summary, which comes first, stand
    beside the chapters that follow it."""
    document = here = _section("report", [{"t": "Str", "c": "Report"}], is_chapter=False)
    titles = 0
    for place, block in placed:
        if place != "text":
            here[place].append(block)
        elif block.get("heading"):
            if here["answer"]:
                raise ReportError(f"the section {here['id']} has a second heading")
            here |= {"heading": block["heading"], "answer": block["text"]}
            here["before"], here["text"] = here["text"], []
            here["id"] = here["id"] if here is document else block["id"]
        elif "text" not in block:
            here["text"].append(block)
        else:
            for header, text in _at_headings(block["text"]["prose"]):
                if header:
                    level, (id, *_), words = header["c"]
                    titles += level == 1
                    section = _section(id, words, is_chapter=level == 1)
                    if level == 1 and titles == 1:
                        document |= {"question": section["question"], "heading": section["heading"]}
                    else:
                        above = document if level == 1 or titles < 2 else document["sections"][-1]
                        above["sections"].append(section)
                        here = section
                if text:
                    here["text"].append(block | {"text": {"prose": text}})
    return document


def _at_headings(blocks: list) -> Iterator[tuple[dict | None, list]]:
    """Each heading of a chapter or a section with the blocks below it; before the first one, blocks without a heading."""
    starts = [i for i, block in enumerate(blocks) if block["t"] == "Header" and block["c"][0] <= 2]
    yield None, blocks[: starts[0]] if starts else blocks
    for start, end in pairwise([*starts, len(blocks)]):
        yield blocks[start], blocks[start + 1 : end]


def _showing(chapters: list[dict]) -> list[dict]:
    """Without the sections that show nothing, of a study that was not made or a question that this text does not answer, and
    without the chapters that have no section left."""
    kept = []
    for chapter in chapters:
        sections = [it for it in chapter["sections"] if it["answer"] or it["text"]]
        was_to_show = chapter["sections"] or (chapter["is_chapter"] and chapter["code"])  # more than prose
        shows = sections or chapter["answer"] or any(it["kind"] != "prose" for it in chapter["text"])
        if shows or not was_to_show:
            kept.append(chapter | {"sections": sections})
    return kept


def _move_code(document: dict) -> None:
    """Let the code of screen one and of the heads of chapters fold with that of the section that comes next, and each section
    know where its code is: code_at."""
    moves = [(above, above["sections"][0]) for above in sections_in(document) if above["sections"]]
    for above, below in reversed(moves):
        for part in ("code", "fold") if above is document else ("code",):
            below[part] = above[part] + below[part]
            above[part] = []
    for section in sections_in(document):
        section["code_at"] = f"code-{section['id']}" if section["code"] else ""
    for above, below in reversed(moves):
        above["code_at"] = below["code_at"]


def _number_sections(sections: list[dict], above: str = "") -> None:
    """Number chapters 1, 2, ... and the sections of each 1.1, 1.2, ..."""
    for n, section in enumerate(sections, 1):
        section["number"] = f"{above}{n}"
        _number_sections(section["sections"], f"{above}{n}.")


def _number(document: dict) -> dict[str, str]:
    """Number what is shown; what is folded away has numbers of its own, A1, A2, ... Returns {id: such as "Figure 3"}."""
    labels: dict[str, str] = {}
    counts: Counter = Counter()
    for section in sections_in(document):
        for part, letter in (("before", ""), ("text", ""), ("fold", "A")):
            for it in everything(section[part]):
                if it.get("kind") in NUMBERED:
                    series = f"{NUMBERED[it['kind']][1]}\u00a0{letter}"
                    counts[series] += 1
                    it["label"] = labels[it["id"]] = f"{series}{counts[series]}"
                    it["code_at"] = section["code_at"]
    return labels


def _minutes(document: dict) -> int:
    """How long it takes to read what is not folded away."""
    told = [
        [it["question"], it["before"], it["answer"] and it["heading"], it["answer"], it["text"]]
        for it in sections_in(document)
    ]
    words = 0
    for it in everything(told):
        words += it.get("t") == "Str"
        words += sum(len(text.split()) for text in [*it.get("cells", []), it.get("drawn", "")])
    return max(1, round(words / WORDS_A_MINUTE))


# ---------------------------------------------------------------------------------------------------------------------
# links


def _words(prose: dict | None) -> str:
    return " ".join(it["c"] for it in everything(prose) if it.get("t") == "Str")


def _resolve_links(document: dict, labels: dict[str, str]) -> None:
    """Let a link to what has a number say that number, and its caption where one points at it. Raises ReportError where a link
    leads nowhere."""
    ids = {it["id"] for it in everything(document) if "id" in it}
    ids |= {it["c"][1][0] for it in everything(document) if it.get("t") == "Header"}

    captions = {it["id"]: it["caption"] for it in everything(document) if it.get("kind") in NUMBERED}

    def resolved(element: dict) -> dict:
        if element.get("t") == "Link" and element["c"][2][0].startswith("#"):
            id = element["c"][2][0][1:]
            if id not in ids:
                raise ReportError(f"the link to #{id} leads nowhere: no cell shows it")
            if id in labels:
                element["c"][1] = [{"t": "Str", "c": labels[id]}]
                element["c"][2][1] = _words(captions[id])
        return element

    for it in prose_in(document):
        it["prose"] = changed(it["prose"], resolved)
    questions = {it["id"]: it["question"] for it in sections_in(document)}
    for it in everything(document):
        if "section" in it:  # a card, which names it by its question
            if it["section"] not in questions:
                raise ReportError(f"a card leads to no section: {it['section']}")
            it["question"] = questions[it["section"]]
