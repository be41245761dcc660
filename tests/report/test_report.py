"""From executed notebooks to the report: results.json, the page and the PDF."""

import itertools
import json
import re

import fastjsonschema
import nbformat
import pytest
import typst
from pypdf import PdfReader
from small_notebooks import HOSTILE, STUDY, SUBTITLE, a_cell, arranged

import charlm.report.pdf
from charlm.report.collect import SCHEMA, as_csv, collect_results
from charlm.report.execute import ReportError
from charlm.report.pdf import make_pdf

SHOWN_HOSTILE = HOSTILE.replace("\0", "⟨U+0000⟩").replace("\u202e", "⟨U+202E⟩")

# ---------------------------------------------------------------------------------------------------------------------
# results.json


def test_results_hold_what_every_notebook_showed(results):
    assert [r["run_id"] for r in results["runs"]] == ["rnn-0", "rnn-1", "lstm-0", "lstm-1"]
    assert results["tables"]["runs-lstm"] == [{"run_id": "a|b", "loss": -1.25}, {"run_id": "<i>", "loss": 2.0}]
    assert results["figures"].keys() == {"curve-rnn", "curve-lstm", "card-one"}
    assert results["findings"]["claimed"]["heading"] == "One of them does"
    values = {"section": "claimed", "figure": "card-one"}
    assert results["findings"]["cards-1"] == {"text": "In *short*.", "values": values}
    assert results["samples"]["texts"][0]["text"] == HOSTILE
    assert results["study"] == STUDY


def test_the_numbers_of_a_figure_are_a_file_too_in_which_no_text_is_a_formula(built):
    assert (built / "figures" / "curve-rnn.csv").read_text("utf-8") == "x,word\n1,'=1+1\n"
    rows = [{"a": 1}, {"a": None, "b": [1, None]}, {"b": "-"}, {"b": -0.5}]
    assert as_csv(rows) == 'a,b\n1,\n,"[1, null]"\n,-\n,-0.5\n'


def test_the_schema_is_valid_and_describes_every_field():
    schema = json.loads(SCHEMA.read_text("utf-8"))
    fastjsonschema.compile(schema)

    def undescribed(node, path):
        for name, field in node.get("properties", {}).items():
            if "description" not in field:
                yield f"{path}.{name}"
            yield from undescribed(field, f"{path}.{name}")

    assert not list(undescribed(schema, ""))


def shown_by(*things):
    outputs = [nbformat.v4.new_output("display_data", metadata={"charlm": shown}) for shown in things]
    return [(None, nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=outputs)]))]


def test_results_that_break_the_schema_are_refused(tmp_path):
    with pytest.raises(ReportError, match=r"^results\.json\.runs\[0\] must contain .*'cell'"):
        collect_results(shown_by({"kind": "results", "data": {"runs": [{"run_id": "x"}]}}), STUDY, tmp_path)


@pytest.mark.parametrize(
    ("first", "second", "what"),
    [
        ({"kind": "table", "id": "gap", "rows": []}, {"kind": "table", "id": "gap", "rows": [{}]}, "gap"),
        ({"kind": "results", "data": {"extra": 1}}, {"kind": "results", "data": {"extra": 2}}, "extra"),
        ({"kind": "results", "data": {}}, {"kind": "results", "data": {"tables": 1}}, "tables"),
    ],
)
def test_two_things_of_one_name_are_refused(first, second, what, tmp_path):
    with pytest.raises(ReportError, match=f"{what} is shown twice"):
        collect_results(shown_by(first, second), STUDY, tmp_path)


# ---------------------------------------------------------------------------------------------------------------------
# the HTML edition


def test_the_page_asks_nothing_of_any_host(page, html):
    assert not {"link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert all(source.startswith("data:image/svg+xml,") for source in page.every("src"))
    assert not page.every("style")
    css = re.search("<style>(.*?)</style>", html, re.DOTALL)[1]
    assert "url(" not in css and "@import" not in css


def test_ids_are_unique_and_links_inside_the_page_arrive(page):
    ids = page.every("id")
    assert len(ids) == len(set(ids))
    assert {"fig-curve-rnn", "tbl-runs-lstm", "smp-texts"} <= set(ids)
    assert {href[1:] for href in page.every("href", "a") if href.startswith("#")} <= set(ids)


def test_the_page_says_what_it_is_and_the_summary_stands_first(page):
    assert page.tags[0][0] == "html" and dict(page.tags[0][1])["lang"] == "en"
    names = {a["name"]: a["content"] for tag, a in page.tags if tag == "meta" and "name" in a}
    assert names["viewport"] == "width=device-width, initial-scale=1"
    assert SUBTITLE in names["description"]
    told = [
        "The title & <b>all</b>",
        "4 runs",
        "Falls, see",
        "Provenance",
        "Made once, the rnn",
        "Made once, the lstm",
    ]
    order = [*told, "@software{charlm,"]
    assert sorted(order, key=page.text.rindex) == order


def elements(html, pattern):
    """What the page has between tags that match, tags in it and runs of white space left out."""
    return [" ".join(re.sub("<[^>]+>", " ", found).split()) for found in re.findall(pattern, html, re.DOTALL)]


def test_a_question_heads_its_section_with_its_number_and_what_was_found_stands_below_it(html):
    assert elements(html, '<section id="written" class="level1">.*?</div>') == [
        "1 What is written? It writes &lt;i&gt; Not much."
    ]
    assert "1 What is written?" in elements(html, "<nav.*?</nav>")[0]
    links = ["2 Which claims hold?", "In short .", "Or not."]  # contents and two cards
    assert elements(html, '<a href="#claimed">(.*?)</a>') == links


def test_the_page_is_there_for_screen_readers(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))
    assert {attributes.get("scope") for tag, attributes in page.tags if tag == "th"} == {"col", "row", "rowgroup"}
    assert page.every("alt", "img") == ["a small line", *['a "falling" <line>'] * 2]
    assert {"math", "mtable"} <= {tag for tag, _ in page.tags}
    assert "\\begin{aligned}" in page.text  # pandoc keeps the TeX as annotation


def test_what_folds_stands_at_the_end_of_its_section_once_and_code_after_it(html, page):
    fold = elements(html, '<details class="how"><summary>(.*?)</details>')[0]
    assert "Told in the fold." in fold and "Table A1. Less asked for." in fold
    assert "<strong>A lesser heading</strong>" in html and "Less of an answer." in fold
    assert "runs: 2" in page.text and "working" not in page.text.replace('"working"', "")
    assert "not for readers" not in page.text
    assert page.text.count("Told once") == 1 + 1  # contents and section
    assert "corpus = 'my.txt'" in page.text and "someone" not in page.text


def test_what_a_sample_was_given_is_set_off_line_by_line(html):
    verse = re.search('<div class="verse" dir="auto">(.*?)</div>', html, re.DOTALL)[1]
    assert verse == (
        '<span class="line"><b class="prompt">To</b>\n</span><span class="line">\n</span>'
        '<span class="line">be\n</span><span class="line">or\n</span>'
    )


def test_rows_of_claims_are_grouped(html):
    (table,) = elements(html, "<table>(?:(?!</table>).)*confirmed.*?</table>")
    assert table == "claim verdict odd a – x c ✓ confirmed even b – y"


def test_hostile_text_is_shown_to_the_letter(page):
    assert SHOWN_HOSTILE in page.text
    assert page.every("href", "a").count("http://x.y") == 0
    assert "a|b" in page.text and "1. <b> `label`" in page.text


# ---------------------------------------------------------------------------------------------------------------------
# the PDF edition


def test_the_pdf_has_the_same_numbers_texts_and_no_code(built):
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(built / "report.pdf").pages).split())
    assert "Figure 1." in text and "Samples 1." in text and "Table 3." in text and "A step." in text
    assert "Results({" not in text and "a bar: █" not in text
    source = built / "report.typ"
    assert SHOWN_HOSTILE in json.loads(typst.query(source, "raw", root=built, field="text"))
    assert json.loads(typst.query(source, "image", root=built, field="alt")) == ['a "falling" <line>'] * 2
    before, _, appendix = text.partition("Appendix: tables and methods")
    assert "Less asked for." not in before and "Less asked for." in appendix


def test_the_pdf_says_what_it_is_and_is_tagged_for_screen_readers(built):
    pdf = PdfReader(built / "report.pdf")
    root = pdf.trailer["/Root"]
    assert pdf.metadata.title == "The title & <b>all</b>" and pdf.metadata.author == "charlm contributors"
    assert root["/Lang"] == "en" and root["/MarkInfo"]["/Marked"] and root["/StructTreeRoot"]
    chapters = [entry.title for entry in pdf.outline if not isinstance(entry, list)]
    assert chapters[-2:] == ["4 Provenance", "Appendix: tables and methods"]


def test_characters_that_no_font_has_are_counted_in_one_line_and_on_the_first_page(tmp_path, monkeypatch):
    monkeypatch.setattr(charlm.report.pdf, "findSystemFonts", list)
    said: list[str] = []
    make_pdf(arranged(a_cell("# T\n\nIn Chinese \u4f60\u597d, a tag \U000e0041 and é → ∑.")), tmp_path, said.append)
    (line,) = said
    assert "a box stands for each of 3 characters" in line
    text = PdfReader(tmp_path / "report.pdf").pages[0].extract_text()
    assert "a box stands for each of 3 characters" in " ".join(text.split())


def test_the_same_notebooks_give_the_same_bytes_in_every_locale(build, built, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    build(tmp_path)
    for name in ("report.html", "report.pdf", "results.json", "figures/curve-rnn.svg", "figures/curve-lstm.png"):
        assert (tmp_path / name).read_bytes() == (built / name).read_bytes(), name
