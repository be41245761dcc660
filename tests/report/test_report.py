"""From notebooks to the report, on small notebooks made here: no training, no PyTorch in their kernels."""

import itertools
import json
import re
from pathlib import Path

import jsonschema
import nbformat
import pytest
import typst
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from pypdf import PdfReader
from pypdf.generic import PdfObject
from small_notebooks import HOSTILE, STUDY, SUBTITLE, a_cell, arranged, plan

import charlm.report.make
import charlm.report.pdf
from charlm.report.collect import SCHEMA, as_csv, collect_results
from charlm.report.execute import ReportError
from charlm.report.html import write_html
from charlm.report.make import build_report
from charlm.report.markdown import with_markup
from charlm.report.pdf import make_pdf

SHOWN_HOSTILE = HOSTILE.replace("\0", "⟨U+0000⟩").replace("\u202e", "⟨U+202E⟩")


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """What is refused here is refused before any training, and what is made here needs none."""
    monkeypatch.setattr(charlm.report.make, "train_sweep", lambda *arguments: pytest.fail("it began to train"))


# ---------------------------------------------------------------------------------------------------------------------
# results.json


def test_results_hold_what_every_notebook_showed(results):
    assert [r["run_id"] for r in results["runs"]] == ["rnn-0", "rnn-1", "lstm-0", "lstm-1"]
    assert results["tables"]["runs-lstm"] == [{"run_id": "a|b", "loss": -1.25}, {"run_id": "<i>", "loss": 2.0}]
    assert results["figures"].keys() == {"curve-rnn", "curve-lstm", "card-one"}
    assert results["findings"]["count"]["values"]["n"] == 4  # the summary read the results of the others
    assert results["findings"]["claimed"]["heading"] == "One of them does"
    assert results["findings"]["cards-1"] == {
        "text": "In *short*.",
        "values": {"section": "claimed", "figure": "card-one"},
    }
    assert results["samples"]["texts"][0]["text"] == HOSTILE
    assert results["study"] == STUDY


def test_the_numbers_of_a_figure_are_a_file_too_in_which_no_text_is_a_formula(built):
    assert (built[0] / "figures" / "curve-rnn.csv").read_text("utf-8") == "word,x\n'=1+1,1\n"
    rows = [{"a": 1}, {"a": None, "b": [1, None]}, {"b": "-"}, {"b": -0.5}]
    assert as_csv(rows) == 'a,b\n1,\n,"[1, null]"\n,-\n,-0.5\n'


def test_results_are_strict_json_without_names_of_paths(built):
    text = (built[0] / "results.json").read_text("utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert text.endswith("}\n")
    assert "someone" not in text and str(Path.home()) not in text


def test_the_schema_is_valid_and_describes_every_field():
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)

    def undescribed(node, path):
        for name, field in node.get("properties", {}).items():
            if "description" not in field:
                yield f"{path}.{name}"
            yield from undescribed(field, f"{path}.{name}")

    assert not list(undescribed(schema, ""))
    required = schema["properties"]["runs"]["items"]["required"]
    asked = (
        "run_id corpus cell hidden_size learning_rate seed precision epochs best_epoch train_loss_last val_loss_last "
    )
    asked += "train_loss_best val_loss_best train_loss val_loss"
    assert set(asked.split()) <= set(required)


def test_results_that_break_the_schema_are_refused(built, notebooks, tmp_path):
    executed = [(plan(notebooks, tmp_path)[0], output_notebook(kind="results", data={"runs": [{"run_id": "x"}]}))]
    with pytest.raises(ReportError, match=r"results\.schema\.json at \$\.runs\[0\].*required"):
        collect_results(executed, STUDY, tmp_path)


@pytest.mark.parametrize(
    ("shown", "what"),
    [
        ({"kind": "finding", "id": "gap", "text": "{}", "values": {}}, "finding gap"),
        ({"kind": "results", "data": {"extra": 1}}, "extra"),
        ({"kind": "results", "data": {"tables": 1}}, "tables"),
    ],
)
def test_an_id_or_key_that_comes_twice_is_refused_naming_both(shown, what, notebooks, tmp_path):
    first, second, _ = plan(notebooks, tmp_path)
    executed = [(job, output_notebook(**shown, n=n)) for n, job in enumerate((first, second))]
    with pytest.raises(ReportError, match=f"{what} comes from .*(training.*rnn.*lstm|charlm.report and again)"):
        collect_results(executed, STUDY, tmp_path)


def output_notebook(**shown):
    output = nbformat.v4.new_output("display_data", {"text/plain": ""}, metadata={"charlm": shown})
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=[output])])


# ---------------------------------------------------------------------------------------------------------------------
# the HTML edition


def test_the_page_asks_nothing_of_any_host(built, page):
    assert not {"link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert all(source.startswith("data:image/svg+xml,") for source in page.every("src"))
    assert not page.every("style")
    css = re.search("<style>(.*?)</style>", (built[0] / "report.html").read_text("utf-8"), re.DOTALL)[1]
    assert "url(" not in css and "@import" not in css


def test_ids_are_unique_and_links_inside_the_page_arrive(page):
    ids = page.every("id")
    assert len(ids) == len(set(ids))
    assert {"fig-curve-rnn", "tbl-runs-lstm", "smp-texts"} <= set(ids)
    assert {href[1:] for href in page.every("href", "a") if href.startswith("#")} <= set(ids)


def test_the_page_says_what_it_is(page):
    attributes = dict(page.tags[0][1])
    assert page.tags[0][0] == "html" and attributes["lang"] == "en"
    names = {a["name"]: a["content"] for tag, a in page.tags if tag == "meta" and "name" in a}
    assert names["viewport"] == "width=device-width, initial-scale=1"
    assert SUBTITLE in names["description"]
    assert "The title & <b>all</b>" in page.text


def test_the_summary_stands_first(page):
    order = ["The title", "4 runs", "Training the RNN", "Training the LSTM", "Provenance"]
    assert sorted(order, key=page.text.rindex) == order


def test_figures_and_tables_are_numbered_and_links_name_their_numbers(page):
    text = " ".join(page.text.split())
    assert "Figure 1. Falls, see Table 2 and T" in text
    assert "Table 3. All runs." in text
    assert "Table A1. Less asked for." in text  # what is folded is counted apart
    assert "as in Figure 2" in text
    assert "4 runs; Samples 1;" in text


def elements(built, pattern):
    """What the page has between tags that match, tags in it and runs of white space left out."""
    page = (built[0] / "report.html").read_text("utf-8")
    return [" ".join(re.sub("<[^>]+>", " ", found).split()) for found in re.findall(pattern, page, re.DOTALL)]


def test_a_question_heads_its_section_with_its_number_and_what_was_found_stands_below_it(built):
    assert elements(built, '<section id="written" class="level1">.*?</div>') == [
        "1 What is written? It writes &lt;i&gt; Not much."
    ]
    assert "1 What is written?" in elements(built, "<nav.*?</nav>")[0]
    links = ["2 Which claims hold?", "Which claims hold?", "Which claims hold?"]  # contents and two cards
    assert elements(built, '<a href="#claimed">(.*?)</a>') == links


def test_headings_leave_out_no_level(page):
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(below - above <= 1 for above, below in itertools.pairwise(levels))


def test_what_folds_stands_at_the_end_of_its_section_once_and_code_after_it(built):
    (fold, code) = (
        elements(built, '<details class="how"><summary>(.*?)</details>')[0],
        elements(built, 'id="code-.*?</details>'),
    )
    assert "Told in the fold." in fold and "Table A1. Less asked for." in fold
    assert "A lesser heading" in fold and "Less of an answer." in fold
    page = (built[0] / "report.html").read_text("utf-8")
    assert "<strong>A lesser heading</strong>" in page
    assert len(code) == len(set(re.findall('id="code-[^"]*"', page))) == len(re.findall('<details class="code">', page))


def test_provenance_stands_at_the_end(built):
    (end,) = elements(built, '<section id="provenance".*')
    assert "Made once, the rnn." in end and "Made once, the lstm." in end
    assert "@software{charlm," in end


def test_what_a_sample_was_given_is_set_off_line_by_line(built):
    page = (built[0] / "report.html").read_text("utf-8")
    verse = re.search('<div class="verse" dir="auto">(.*?)</div>', page, re.DOTALL)[1]
    assert verse == (
        '<span class="line"><b class="prompt">To</b>\n</span><span class="line">\n</span>'
        '<span class="line">be\n</span><span class="line">or\n</span>'
    )


def test_rows_of_claims_are_grouped_and_keep_their_ids(built):
    (table,) = elements(built, "<table>(?:(?!</table>).)*confirmed.*?</table>")
    assert table == "claim n ✓ confirmed a 1 c 3 ✗ refuted b 2"
    page = (built[0] / "report.html").read_text("utf-8")
    assert re.findall('<tr id="(claim-.)">', page) == ["claim-1", "claim-3", "claim-2"]


def test_every_head_of_a_table_says_what_it_is_the_head_of(page):
    scopes = [attributes.get("scope") for tag, attributes in page.tags if tag == "th"]
    assert set(scopes) == {"col", "row", "rowgroup"}


def test_every_image_has_its_alternative_text(page):
    assert page.every("alt", "img") == ["a small line", *['a "falling" <line>'] * 2]


def test_formulas_are_mathml(page):
    assert {"math", "mtable"} <= {tag for tag, _ in page.tags}
    assert "\\begin{aligned}" in page.text  # pandoc keeps the TeX as annotation


def test_hostile_text_is_shown_to_the_letter(page):
    assert SHOWN_HOSTILE in page.text
    assert page.every("href", "a").count("http://x.y") == 0
    assert "a|b" in page.text and "1. <b> `label`" in page.text
    assert "{'a plain': '<output>'}" in page.text


def test_code_and_log_are_folded_away_and_hidden_cells_are_gone(page):
    assert "details" in {tag for tag, _ in page.tags}
    assert "runs: 2" in page.text and "working" not in page.text.replace('"working"', "")
    assert "not for readers" not in page.text
    assert page.text.count("Told once") == 1 + 1  # contents and section


def test_in_a_lesson_the_code_stands_with_what_it_gives(tmp_path):
    code = a_cell("print('a bar:', '█')", "lesson", prints="a bar: █")
    document = arranged(a_cell("# Title\n\n# How?"), a_cell("A step.", "lesson"), code)
    write_html(document, tmp_path)
    html = (tmp_path / "report.html").read_text("utf-8")
    fold = re.search('<details class="code">.*?</details>', html, re.DOTALL)[0]
    assert html.index("A step.") < html.index(fold) and fold.index("print") < fold.index("a bar: █")
    make_pdf(document, tmp_path, lambda line: None)
    pdf = " ".join(page.extract_text() for page in PdfReader(tmp_path / "report.pdf").pages)
    assert "print" not in pdf and "A step." in pdf and "a bar: █" not in pdf


def test_parameters_are_shown_without_folders(page):
    assert "corpus = 'my.txt'" in page.text
    assert "someone" not in page.text and "injected" not in page.text


# ---------------------------------------------------------------------------------------------------------------------
# the PDF edition


def test_the_pdf_has_the_same_numbers_texts_and_no_code(built):
    stage, _ = built
    assert (stage / "report.pdf").read_bytes().startswith(b"%PDF")
    source = stage / "report.typ"
    text = " ".join(" ".join(page.extract_text() for page in PdfReader(stage / "report.pdf").pages).split())
    assert "Figure 1." in text and "Samples 1." in text and "Table 3." in text
    assert "import pandas" not in text
    raw = typst.query(source, "raw", root=stage, field="text")
    assert SHOWN_HOSTILE in json.loads(raw)
    assert json.loads(typst.query(source, "image", root=stage, field="alt")) == ['a "falling" <line>'] * 2
    before, _, appendix = text.partition("Appendix: tables and methods")
    assert "Less asked for." not in before and "Less asked for." in appendix


def test_the_pdf_says_what_it_is_and_is_tagged_for_screen_readers(built):
    pdf = PdfReader(built[0] / "report.pdf")
    root = pdf.trailer["/Root"]
    assert pdf.metadata.title == "The title & <b>all</b>" and pdf.metadata.author == "charlm contributors"
    assert root["/Lang"] == "en" and root["/MarkInfo"]["/Marked"] and root["/StructTreeRoot"]
    assert [entry.title for entry in pdf.outline if not isinstance(entry, list)][-2:] == [
        "5 Provenance",
        "Appendix: tables and methods",
    ]


HELLO = "In Chinese \u4f60\u597d, in Korean \uc548\ub155\ud558\uc138\uc694, a tag \U000e0041 and é → ∑."


def make_pdf_with(fonts, folder, monkeypatch):
    """What is said of a PDF that is made where the system has these fonts, its first page, and its fonts' names."""
    monkeypatch.setattr(charlm.report.pdf, "findSystemFonts", lambda: fonts)
    (folder / "figures").mkdir()
    said: list[str] = []
    make_pdf(arranged(a_cell(f"# T\n\n{HELLO}")), folder, said.append)
    page = PdfReader(folder / "report.pdf").pages[0]
    return (
        said,
        page.extract_text(),
        {font["/BaseFont"] for font in map(PdfObject.get_object, page["/Resources"]["/Font"].values())},
    )


def test_scripts_that_no_font_has_are_named_in_one_line_and_on_the_first_page(tmp_path, monkeypatch):
    (line,), text, _ = make_pdf_with([], tmp_path, monkeypatch)
    assert "Hangul (5), Han (2), symbols (1)" in line and "\n" not in line
    assert "Hangul (5), Han (2), symbols (1)" in " ".join(text.split())


def test_a_font_of_the_system_is_used_where_it_has_them(tmp_path, monkeypatch):
    square = [("moveTo", [(0, 0)]), ("lineTo", [(0, 500)]), ("lineTo", [(500, 500)]), ("closePath", [])]
    pen = T2CharStringPen(500, None)
    for do, points in square:
        getattr(pen, do)(*points)
    glyphs = {name: pen.getCharString() for name in (".notdef", "glyph")}
    build = FontBuilder(1000, isTTF=False)
    build.setupGlyphOrder([*glyphs])
    build.setupCharacterMap({ord(c): "glyph" for c in HELLO if ord(c) > 0x3000})
    build.setupHorizontalMetrics(dict.fromkeys(glyphs, (500, 0)))
    build.setupHorizontalHeader(ascent=800, descent=-200)
    build.setupNameTable({"familyName": "Ours", "styleName": "Regular", "psName": "Ours-Regular"})
    build.setupCFF("Ours-Regular", {}, glyphs, {})
    build.setupOS2(sTypoAscender=800, sTypoDescender=-200)
    build.setupPost()
    build.save(tmp_path / "ours.otf")
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    said, text, names = make_pdf_with([str(broken), str(tmp_path / "ours.otf")], tmp_path, monkeypatch)
    assert said == [] and "box" not in text
    assert any("Ours-Regular" in name for name in names)


# ---------------------------------------------------------------------------------------------------------------------
# the same bytes


def test_the_same_notebooks_give_the_same_bytes_in_every_locale(built, notebooks, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    build_report(plan(notebooks, tmp_path), STUDY, SUBTITLE, tmp_path, lambda line: None)
    for name in ("report.html", "report.pdf", "results.json", "figures/curve-rnn.svg", "figures/curve-lstm.png"):
        assert (tmp_path / name).read_bytes() == (built[0] / name).read_bytes(), name


@pytest.mark.parametrize("to", ["html5", "typst"])
def test_no_locale_changes_them(to, monkeypatch):
    title = "café · 😀 “x” -- *a* $x$ # y"
    documents = []
    for locale in ("C", "C.UTF-8"):
        monkeypatch.setenv("LC_ALL", locale)
        documents.append(with_markup(arranged(a_cell(f"# {title}\n\nText é."), subtitle=title), to))
    assert documents[0] == documents[1]
    assert documents[0]["subtitle"] == title and "café · 😀" in documents[0]["heading"]["prose"]
