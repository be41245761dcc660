"""How executed notebooks become one document of plain data."""

import re

import nbformat
import pandas as pd
import pytest
from small_notebooks import HOSTILE, SVG, a_cell, arranged

from charlm.printable import visible
from charlm.report.arrange import sections_in
from charlm.report.execute import ReportError
from charlm.report.markdown import everything, read_prose, with_markup
from charlm.show import Cards, Figure, Finding, Provenance, Table

ANSWER = Finding("gap", "Indeed.", {}, "It is so")


def section(document, id):
    """The chapter or section of this id."""
    return next(it for it in sections_in(document) if it["id"] == id)


def words(prose):
    """The text of prose, its markup left out."""
    return "".join(it.get("c", " ") for it in everything(prose) if it.get("t") in ("Str", "Space"))


def kinds(blocks):
    return [block["kind"] for block in blocks]


def a_figure(id="a", **looks):
    return Figure(id, SVG, b"png", "Falls.", "a line", [], **looks)


# ---------------------------------------------------------------------------------------------------------------------
# sections


def test_the_first_notebooks_heading_is_the_title_and_its_answer_stands_under_it():
    document = arranged(
        a_cell("# T"), a_cell("f", shows=Finding("summary", "All.", {}, "The answer")), a_cell("Prose.")
    )
    assert words(document["heading"]) == "The answer" and words(document["question"]) == "T"
    assert words(document["answer"]) == "All." and kinds(document["text"]) == ["prose"]


def test_a_finding_with_a_heading_heads_its_section_and_gives_it_its_id():
    (found, *_) = arranged(a_cell("# T"), a_cell("## Is it so?"), a_cell("f", shows=ANSWER))["sections"]
    assert (found["id"], words(found["question"]), words(found["heading"])) == ("gap", "Is it so?", "It is so")
    assert words(found["answer"]) == "Indeed." and found["text"] == []


def test_a_notebook_that_does_not_begin_with_its_title_is_refused():
    with pytest.raises(ReportError, match=r"1\.ipynb: begins with something else than its title"):
        arranged(a_cell("# T"), a_cell("# code", prints=" "))


def test_a_section_with_two_headings_is_refused():
    with pytest.raises(ReportError, match="the section gap has a second heading"):
        arranged(a_cell("# T\n\n## Q"), a_cell("f", shows=ANSWER), a_cell("f", shows=ANSWER))


def test_a_section_that_shows_nothing_is_left_out_and_a_chapter_that_has_none_left_too():
    document = arranged(
        a_cell("# Title"),
        a_cell("# One\n\n## Without an answer?"),
        a_cell("code", shows=None, prints=" "),
        a_cell("## Shown?\n\nprose"),
        a_cell("# Two\n\nprose before what was not made"),
        a_cell("code", shows=None, prints=" "),
        a_cell("## Not made?"),
        a_cell("folded", "fold"),
        a_cell("# Three\n\nprose alone"),
    )
    found = [(words(it["question"]), [words(b["question"]) for b in it["sections"]]) for it in document["sections"]]
    assert found[:2] == [("One", ["Shown?"]), ("Three", [])] and found[2][0] == "Provenance"


def test_a_number_sign_in_a_block_of_code_begins_no_section():
    document = arranged(a_cell("# T"), a_cell("## Q?\n\n```\n## no heading\n```"))
    assert [it["id"] for it in document["sections"]] == ["q", "provenance"]


def test_what_is_tagged_fold_folds_and_code_folds_apart():
    document = arranged(
        a_cell("# T"), a_cell("## Q?\n\nSeen."), a_cell("Folded.", "fold"), a_cell("x = 1", shows=a_figure())
    )
    found = section(document, "q")
    assert kinds(found["text"]) == ["prose", "figure"] and kinds(found["fold"]) == ["prose"]
    assert found["code"] == [{"kind": "code", "source": "x = 1", "log": ""}]
    assert found["text"][1]["code_at"] == found["code_at"] == "code-q"


def test_in_a_lesson_the_code_stands_in_its_place_with_what_it_prints():
    document = arranged(a_cell("# T"), a_cell("print(1)", "lesson", prints="1\n"), a_cell("f", shows=a_figure()))
    assert document["text"][0] == {"kind": "step", "source": "print(1)", "log": "1"}
    assert kinds(document["text"]) == ["step", "figure"]


def test_how_a_study_was_made_folds_in_the_last_chapter_with_its_code():
    made = Provenance("study-a", "Long ago.", {})
    document = arranged(a_cell("# T"), a_cell("## Q?"), a_cell("f", shows=ANSWER), a_cell("made()", shows=made))
    last = section(document, "provenance")
    assert kinds(last["fold"]) == ["table", "provenance"] and last["text"] == []
    assert [it["source"] for it in section(document, "how-to-run-it")["code"]] == ["made()"]


def test_the_code_of_screen_one_folds_with_that_of_the_first_section():
    document = arranged(a_cell("# T"), a_cell("a", shows=a_figure()), a_cell("## Q?"), a_cell("b", shows=a_figure("b")))
    assert [it["source"] for it in section(document, "q")["code"]] == ["a", "b"]
    assert document["text"][0]["code_at"] == "code-q"


def test_sections_of_the_first_notebook_are_numbered_beside_the_chapters_that_follow():
    document = arranged(a_cell("# T\n\n## A\n\nText."), a_cell("# One\n\n## B"), a_cell("f", shows=ANSWER))
    found = [(it["id"], [below["id"] for below in it["sections"]]) for it in document["sections"]]
    assert found == [("a", []), ("one", ["gap"]), ("provenance", ["how-to-run-it", "how-to-cite-it"])]
    assert [it.get("number") for it in sections_in(document)] == [None, "1", "2", "2.1", "3", "3.1", "3.2"]


def test_what_stands_before_the_answer_is_read_before_it():
    (found, *_) = arranged(a_cell("# T"), a_cell("## Q?\n\nA term."), a_cell("f", shows=ANSWER), a_cell("More."))[
        "sections"
    ]
    assert words(found["before"]) == "A term." and words(found["text"]) == "More."


def test_what_a_notebook_shows_again_is_there_once():
    document = arranged(a_cell("# T\n\nSaid."), a_cell("f", shows=a_figure()), times=2)
    assert kinds(document["text"]) == ["prose", "figure"] and words(document["text"][0]) == "Said."


def test_the_time_to_read_counts_what_is_open():
    long = "word " * 2300
    assert arranged(a_cell("# T"), a_cell(f"## Q?\n\n{long}"), a_cell(long, "fold"))["minutes"] == 10


# ---------------------------------------------------------------------------------------------------------------------
# numbers and links


def test_what_is_shown_is_numbered_and_what_is_folded_apart():
    table = Table("t", pd.DataFrame({"x": [1]}), "")
    shown = [
        a_cell("f", shows=a_figure("a")),
        a_cell("f", "fold", shows=a_figure("b")),
        a_cell("f", shows=a_figure("c")),
    ]
    document = arranged(a_cell("# T"), *shown, a_cell("f", "fold", shows=table))
    labels = {it["id"]: it["label"] for it in everything(document) if "label" in it and "kind" in it}
    assert labels.pop("tbl-provenance") == "Table\u00a0A2"
    assert labels == {
        "fig-a": "Figure\u00a01",
        "fig-c": "Figure\u00a02",
        "fig-b": "Figure\u00a0A1",
        "tbl-t": "Table\u00a0A1",
    }


def test_a_link_to_what_has_a_number_says_it():
    document = arranged(
        a_cell("# T\n\nSee [Figure](#fig-a) and [below](#q)."), a_cell("f", shows=a_figure()), a_cell("## Q\n\nP.")
    )
    assert words(document["text"][0]) == "See Figure\u00a01 and below."
    (link, _) = [it["c"] for it in everything(document["text"][0]) if it.get("t") == "Link"]
    assert link[2] == ["#fig-a", "Falls."]  # and its caption where one points at it


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        (a_cell("See [Figure](#fig-absent)."), "#fig-absent leads nowhere"),
        (a_cell("![x](http://example.org/x.png)"), "example.org/x.png is no Figure"),
        (a_cell("f", shows=Cards("cards", [{"text": "a", "section": "absent", "figure": None}])), "no section: absent"),
    ],
)
def test_a_document_with_what_leads_nowhere_is_refused(shown, message):
    with pytest.raises(ReportError, match=re.escape(message)):
        arranged(a_cell("# T"), shown)


def test_a_formula_that_makes_no_sense_is_refused():
    with pytest.raises(ReportError, match="Could not convert TeX math"):
        with_markup(arranged(a_cell("# T\n\n$\\frac{a}$")), "html5")


# ---------------------------------------------------------------------------------------------------------------------
# what is shown


def test_a_cell_of_the_readers_own_shows_its_markdown_or_its_text():
    own = nbformat.v4.new_code_cell("x")
    own.outputs = [
        nbformat.v4.new_output("display_data", {"text/markdown": "*a*", "text/plain": "p"}),
        nbformat.v4.new_output("execute_result", {"text/plain": HOSTILE, "text/html": "<b>"}, execution_count=1),
    ]
    opening = arranged(a_cell("# T"), own)["text"]
    assert kinds(opening) == ["prose", "printed"] and opening[1]["output"] == visible(HOSTILE)


# ---------------------------------------------------------------------------------------------------------------------
# Markdown of an author


def markup_of(*texts, to="html5"):
    tree = [{"prose": text} for text in texts]
    read_prose(tree)
    return [it["prose"] for it in with_markup(tree, to)]


def test_html_in_markdown_is_text():
    for html in markup_of("<b>x</b>", "<script>alert(1)</script>", "a\n\n<div onclick='x'>\n\nb"):
        assert not re.search("<(b|script|div)", html) and "&lt;" in html


HOSTILE_PIECES = ("::: a\nx\n:::", "```\n::::::\nopen", "a\n:::::::::\nb", "- a\n\n      :::", "> ```", "$$", "<!--")


@pytest.mark.parametrize("to", ["html5", "typst"])
def test_no_piece_of_markdown_ends_or_swallows_another(to):
    pieces = markup_of(*(piece for text in HOSTILE_PIECES for piece in ("before", text, "after")), to=to)
    assert len(pieces) == 3 * len(HOSTILE_PIECES)
    for before, text, after in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True):
        assert "before" in before and "after" in after and "after" not in text
