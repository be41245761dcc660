"""The executed notebooks as one document of plain data. It knows no markup: the page and the PDF are made of the same.

The document is a tree of dicts and lists, as JSON has them. A notebook is a chapter of it, its `##` are the sections of the chapter;
but the first notebook, the summary, is the document itself, so that its sections and the chapters stand side by side. Document,
chapters and sections have the same fields: id, question, heading and answer, lists of blocks (before the answer, text, aside, fold,
code), and sections. In a block {"prose": [...]} is Markdown of an author, as pandoc has read it, and "id" is what links lead to.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import yaml
from nbformat import NotebookNode

from charlm.corpus import ROOT
from charlm.printable import inline
from charlm.report.blocks import NUMBERED, Placed, cell_blocks, prose, shown_block
from charlm.report.collect import facts_rows
from charlm.report.execute import Job, ReportError
from charlm.report.markdown import everything, read_prose
from charlm.show import SIGNS, Figure, Samples, facts_of
from charlm.tables import make_table

PLAY = "## Try it"  # the section of the models that can be tried
WORDS_A_MINUTE = 230
FACTS_CAPTION = "What this report was made with. Every number in it is in `results.json`."
HOW_TO_RUN = """## How to run it

In a copy of the project, `make report` trains what is missing and writes this report, `make quick` a small one;
`make lab` opens the notebooks.
"""
IN_THEIR_PLACE = """In the HTML edition, in a browser that runs scripts, trained models can be tried here; in their place stands
what they wrote and how they read.
"""


def arrange(
    executed: Sequence[tuple[Job, NotebookNode]],
    results: dict,
    subtitle: str,
    play: str | Sequence[Samples | Figure],
) -> dict:
    """The document: the last notebook, then the others, then what the report was made with. `play` is what the models that can be
    tried wrote, or a line of Markdown on why there are none.
    """
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    authors = [a.get("name") or f"{a['given-names']} {a['family-names']}" for a in citation["authors"]]
    notebooks = _placed_blocks(executed, play)
    facts = make_table("provenance", facts_rows(results), FACTS_CAPTION)
    notebooks["provenance"] = [
        _text("# Provenance"),
        ("fold", shown_block(facts_of(facts))),
        *notebooks["provenance"],
        _text(HOW_TO_RUN),
        _text("## How to cite it"),
        ("text", {"kind": "cite", "bibtex": _bibtex(citation, authors)}),
    ]
    read_prose(notebooks)
    document, *chapters = [_chapter(name, placed) for name, placed in notebooks.items()]
    document["id"] = "report"
    document["sections"] = _showing(document["sections"] + chapters)
    _place_code(document)
    _number_sections(document["sections"])
    labels = _number_blocks(document)
    document |= {
        "minutes": _minutes(document),
        "subtitle": inline(subtitle),
        "author": ", ".join(authors),
        "date": str(citation.get("date-released", "")),
        "links": project_links(citation.get("repository-code", "")),
        "signs": SIGNS,
    }
    _resolve_links(document, labels)
    return document


def sections_in(section: dict) -> list[dict]:
    """The document, chapter or section itself and all below it, in order."""
    found = [section]
    for below in section["sections"]:
        found += sections_in(below)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# the blocks of each notebook


def _placed_blocks(
    executed: Sequence[tuple[Job, NotebookNode]], play: str | Sequence[Samples | Figure]
) -> dict[str, list[Placed]]:
    """The blocks of each notebook, the summary first, and those of them that are for the last chapter, provenance. A notebook that
    was executed again adds what is new."""
    notebooks: dict[str, list[Placed]] = {}
    provenance: list[Placed] = []
    for job, notebook in [executed[-1], *executed[:-1]]:
        placed: list[Placed] = []
        for cell in notebook.cells:
            blocks = cell_blocks(cell, job.parameters)
            if any(block["kind"] == "provenance" for _, block in blocks):
                provenance += blocks
            elif cell.source.splitlines()[:1] == [PLAY]:
                placed += _in_place_of_play(play)
            else:
                placed += blocks
        earlier = notebooks.setdefault(job.notebook.name, [])
        earlier += [it for it in placed if it not in earlier]
    return notebooks | {"provenance": provenance}


def _text(markdown: str) -> Placed:
    return "text", prose(markdown)


def _in_place_of_play(play: str | Sequence[Samples | Figure]) -> list[Placed]:
    if isinstance(play, str):
        return [_text(PLAY), _text(play)]
    shown = [shown_block(facts_of(it)) for it in play]
    text = {"prose": IN_THEIR_PLACE}
    return [_text(PLAY), ("text", {"kind": "play", "id": "play-instead", "text": text, "shown": shown})]


def _bibtex(citation: dict, authors: list[str]) -> str:
    fields = {
        "author": " and ".join(f"{{{name}}}" for name in authors),
        "title": f"{{{citation['title']}}}",
        "version": citation["version"],
        "year": str(citation.get("date-released", ""))[:4],
        "license": citation["license"],
        "url": citation.get("repository-code", ""),
    }
    lines = [f"  {name} = {{{value}}}" for name, value in fields.items() if value]
    return ",\n".join(["@software{charlm", *lines]) + "\n}"


def project_links(address: str) -> dict[str, str]:
    """Where the project is on the web: {what is there: address}, as far as CITATION.cff has its field repository-code."""
    if not address:
        return {}
    links = {"repository": address, "notebooks on the web": f"{address}/tree/HEAD/notebooks"}
    repository = address.removeprefix("https://github.com/")
    if repository != address:
        links["notebooks to run (Binder)"] = f"https://mybinder.org/v2/gh/{repository}/HEAD?labpath=notebooks"
    return links


# ---------------------------------------------------------------------------------------------------------------------
# from blocks to sections


def _chapter(name: str, placed: list[Placed]) -> dict:
    """A chapter with its sections, of the blocks of a notebook: the first heading is the title, each other one begins a section. A
    finding with a heading answers the section in which it stands."""
    blocks = list(_at_headings(placed))
    if not blocks or blocks[0][0] != "heading":
        raise ReportError(f"{name}: begins with something else than its title, a line that begins with #")
    chapter = here = _section(blocks[0][1])
    for part, block in blocks[1:]:
        if part == "heading":
            here = _section(block)
            chapter["sections"].append(here)
        elif part == "text" and block.get("heading"):
            if here["answer"]:
                raise ReportError(f"the section {here['id']} has a second heading")
            here |= {"id": block["id"], "heading": block["heading"], "answer": block["text"]}
            here |= {"before": here["text"], "text": []}
        else:
            here[part].append(block)
    return chapter


def _at_headings(placed: list[Placed]) -> Iterator[Placed]:
    """The same with the headings of chapters and sections apart from the prose between them."""
    for part, block in placed:
        if part != "text" or block["kind"] != "prose":
            yield part, block
            continue
        between: list[dict] = []
        for element in block["text"]["prose"]:
            if element["t"] == "Header" and element["c"][0] <= 2:
                if between:
                    yield "text", prose(between)
                    between = []
                yield "heading", element
            else:
                between.append(element)
        if between:
            yield "text", prose(between)


def _section(header: dict) -> dict:
    _, (id, *_), words = header["c"]
    asked = {"prose": [{"t": "Plain", "c": words}]}
    section: dict = {"id": id, "question": asked, "heading": asked, "answer": None}
    return section | {part: [] for part in ("before", "text", "aside", "fold", "code", "sections")}


def _showing(sections: list[dict]) -> list[dict]:
    """Without those that only compute: of a study that was not made, or a question that this text does not answer."""
    kept = []
    for section in sections:
        section["sections"] = _showing(section["sections"])
        shows = section["answer"] or section["sections"] or any(it["kind"] != "prose" for it in section["text"])
        if shows or (section["text"] and not section["code"]):
            kept.append(section)
    return kept


def _place_code(document: dict) -> None:
    """Let what folds of screen one, and the code of the heads of chapters, fold with that of the section that comes next, and each
    section know where its code is: code_at."""
    sections = sections_in(document)
    for above in sections:
        if above["sections"]:
            below = above["sections"][0]
            for part in ("fold", "code") if above is document else ("code",):
                below[part] = above[part] + below[part]
                above[part] = []
    for section in reversed(sections):
        section["code_at"] = f"code-{section['id']}" if section["code"] else ""
        if section["sections"]:
            section["code_at"] = section["sections"][0]["code_at"]


def _number_sections(sections: list[dict], above: str = "") -> None:
    """Number chapters 1, 2, ... and the sections of each 1.1, 1.2, ..."""
    for n, section in enumerate(sections, 1):
        section["number"] = f"{above}{n}"
        _number_sections(section["sections"], f"{above}{n}.")


def _number_blocks(document: dict) -> dict[str, str]:
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
    words = 0
    for section in sections_in(document):
        heading = section["answer"] and section["heading"]
        for it in everything([section["question"], section["before"], heading, section["answer"], section["text"]]):
            words += it.get("t") == "Str"
            words += sum(len(text.split()) for text in [*it.get("cells", []), it.get("drawn", "")])
    return max(1, round(words / WORDS_A_MINUTE))


# ---------------------------------------------------------------------------------------------------------------------
# links


def _resolve_links(document: dict, labels: dict[str, str]) -> None:
    """Let a link to what has a number say that number, and its caption where one points at it. Raises ReportError where a link
    leads nowhere."""
    ids = {it["id"] for it in everything(document) if "id" in it}
    ids |= {it["c"][1][0] for it in everything(document) if it.get("t") == "Header"}
    captions = {it["id"]: it["caption"] for it in everything(document) if it.get("kind") in NUMBERED}

    for it in everything(document):
        if it.get("t") == "Link" and it["c"][2][0].startswith("#"):
            id = it["c"][2][0].removeprefix("#")
            if id not in ids:
                raise ReportError(f"the link to #{id} leads nowhere: no cell shows it")
            if id in labels:
                words = [word["c"] for word in everything(captions[id]) if word.get("t") == "Str"]
                it["c"][1:] = [{"t": "Str", "c": labels[id]}], [f"#{id}", " ".join(words)]
    questions = {it["id"]: it["question"] for it in sections_in(document)}
    for it in everything(document):
        if "section" in it:  # a card, which names it by its question
            if it["section"] not in questions:
                raise ReportError(f"a card leads to no section: {it['section']}")
            it["question"] = questions[it["section"]]
