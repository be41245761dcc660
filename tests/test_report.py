"""The pipeline from notebooks to the report, on small notebooks made here: no training, no PyTorch in their kernels."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import nbformat
import pytest
import typst
from posix_only import posix, press_ctrl_c, start_in_a_terminal

import charlm_report as report
from charlm_corpus import CharlmError
from charlm_study import Study

HOSTILE = (
    "\n`a` ``` $x^2$ <script>alert(1)</script> ]]> \\ | {{ x }} {% y %}\n::::: div\n#let x = 1 #panic() @fig <tbl-a>\n"
    "```\n*b* _i_ [l](http://x.y) \\u{41} ~~~ &amp; \0 \u202e " + "w" * 200
)
SHOWN_HOSTILE = HOSTILE.replace("\0", "⟨U+0000⟩").replace("\u202e", "⟨U+202E⟩")

RUNS = """
common = dict(corpus="c", hidden_size=2, layers=1, learning_rate=0.1, precision="float32", device="cpu", threads=1,
              parameters=9, status="finished", epochs=1, best_epoch=1, train_loss_last=1.5, val_loss_last=1.25,
              train_loss_best=1.5, val_loss_best=1.25, train_loss=[1.5], val_loss=[1.25], seconds=1.0,
              code="c0de", machine={"cpu": "a CPU"})
runs = [dict(common, run_id=f"{cell}-{seed}", cell=cell, seed=seed) for seed in range(2)]
print("working", end="\\r")
print("runs:", len(runs))
Results({"runs": runs})
"""
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20pt" height="10pt" viewBox="0 0 20 10">'
    '<rect width="9" height="9"/></svg>'
)


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """What is refused here is refused before any training, and what is made here needs none."""
    monkeypatch.setattr(report, "train", lambda *arguments: pytest.fail("it began to train"))


def notebook(path, *cells):
    """A notebook file. A cell is Markdown when it starts with "md:", else code; "#tag" in the first line tags it."""
    made = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    )
    for n, source in enumerate(cells):
        tag = re.match(r"(?:md:)?#(parameters|hide|once)\n", source)
        source = source[tag.end() :] if tag else source.removeprefix("md:")
        new = nbformat.v4.new_markdown_cell if cells[n].startswith("md:") else nbformat.v4.new_code_cell
        made.cells.append(new(source, id=f"cell-{n}", metadata={"tags": [tag[1]]} if tag else {}))
    nbformat.write(made, path)
    return path


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    """Two notebooks in the way of the study's: one executed for each cell, and a summary that reads their results."""
    folder = tmp_path_factory.mktemp("notebooks")
    notebook(
        folder / "training.ipynb",
        '#parameters\ncorpus: str = "default"  # a path\ncell: str = "lstm"  # rnn or lstm',
        "import pandas as pd\nfrom IPython.display import Markdown\nfrom charlm_show import *",
        'Markdown(f"# Training the {cell.upper()}")',
        "md:#once\n## Told once\n\nProse with $h_t = \\tanh(b)$:\n- an item, as in [Figure](#fig-curve-lstm)\n\n"
        "$$\\begin{aligned} a &= b \\\\ c &= f \\odot d \\end{aligned}$$",
        "#hide\nprint('not for readers')",
        RUNS,
        f'Figure(f"curve-{{cell}}", {SVG!r}, b"png", "Falls, see [Table](#tbl-runs-rnn) and $T$.", \'a "falling" <line>\')',
        'Table(f"runs-{cell}", pd.DataFrame({"run_id": ["a|b", "<i>"], "loss": [-1.25, 2]}), "All *runs*.", '
        '{"loss": "{:.3f}"}, "The note.")',
    )
    notebook(
        folder / "summary.ipynb",
        '#parameters\nresults: str = "nowhere"  # a path',
        "import json\nfrom charlm_show import *\nfound = json.load(open(results))",
        "md:# The title & <b>all</b>",
        'Finding("count", "**{n}** runs; [Samples](#smp-texts); odd: {odd}", '
        f'{{"n": len(found["runs"]), "odd": {HOSTILE!r}}})',
        f'Samples("texts", [{{"label": "1. <b> `label`", "text": {HOSTILE!r}}}], "What it writes.")',
        '{"a plain": "<output>"}',
    )
    return folder


def plan(notebooks, stage):
    return [
        report.Job(
            notebooks / "training.ipynb",
            {"corpus": Path("/home/someone/my.txt"), "cell": cell},
            frozenset({"figure", "results"}),
        )
        for cell in ("rnn", "lstm")
    ] + [report.Job(notebooks / "summary.ipynb", {"results": stage / "results.json"}, frozenset())]


STUDY = {"corpus": "c", "corpus_sha256": "0" * 64, "seeds": 2, "epochs": 1}
SUBTITLE = "c & <d> · 2 seeds"


@pytest.fixture(scope="module")
def built(notebooks, tmp_path_factory):
    """The folder with a report, and what was said while it was made."""
    stage, said = tmp_path_factory.mktemp("stage"), []
    report.build(plan(notebooks, stage), STUDY, SUBTITLE, stage, said.append)
    return stage, said


@pytest.fixture(scope="module")
def results(built):
    return json.loads((built[0] / "results.json").read_text("utf-8"))


class Page(HTMLParser):
    """What a browser would see of the page: tags with their attributes, and the text of all elements."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def every(self, attribute, tag=None):
        return [a[attribute] for t, a in self.tags if attribute in a and tag in (None, t)]


@pytest.fixture(scope="module")
def page(built):
    return Page((built[0] / "report.html").read_text("utf-8"))


# -----------------------------------------------------------------------------
# results.json


def test_results_hold_what_every_notebook_showed(results):
    assert [r["run_id"] for r in results["runs"]] == ["rnn-0", "rnn-1", "lstm-0", "lstm-1"]
    assert results["tables"]["runs-lstm"] == [{"run_id": "a|b", "loss": -1.25}, {"run_id": "<i>", "loss": 2.0}]
    assert results["figures"].keys() == {"curve-rnn", "curve-lstm"}
    assert results["findings"]["count"]["values"]["n"] == 4  # the summary read the results of the others
    assert results["samples"]["texts"][0]["text"] == HOSTILE
    assert results["study"] == STUDY


def test_results_are_strict_json_without_names_of_paths(built):
    text = (built[0] / "results.json").read_text("utf-8")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert text.endswith("}\n")
    assert "someone" not in text and str(Path.home()) not in text


def test_the_schema_is_valid_and_describes_every_field():
    schema = json.loads(report.SCHEMA.read_text("utf-8"))
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
    with pytest.raises(report.ReportError, match=r"results\.schema\.json at \$\.runs\[0\].*required"):
        report.collect(executed, STUDY, tmp_path)


@pytest.mark.parametrize(
    ("shown", "what"),
    [
        ({"kind": "finding", "id": "gap", "text": "", "values": {}}, "finding gap"),
        ({"kind": "results", "data": {"extra": 1}}, "extra"),
        ({"kind": "results", "data": {"tables": 1}}, "tables"),
    ],
)
def test_an_id_or_key_that_comes_twice_is_refused_naming_both(shown, what, notebooks, tmp_path):
    first, second, _ = plan(notebooks, tmp_path)
    executed = [(first, output_notebook(**shown)), (second, output_notebook(**shown))]
    with pytest.raises(report.ReportError, match=f"{what} comes from .*(training.*rnn.*lstm|charlm_report and again)"):
        report.collect(executed, STUDY, tmp_path)


def output_notebook(**shown):
    output = nbformat.v4.new_output("display_data", {"text/plain": ""}, metadata={"charlm": shown})
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", outputs=[output])])


# -----------------------------------------------------------------------------
# the HTML edition


def test_the_page_asks_nothing_of_any_host(built, page):
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.every("src"))
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
    assert "Figure 1. Falls, see Table 1 and T" in text
    assert "Table 2. All runs." in text
    assert "as in Figure 2" in text
    assert "4 runs; Samples 1;" in text


def test_every_image_has_its_alternative_text(page):
    assert page.every("alt", "img") == ['a "falling" <line>'] * 2


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


def test_parameters_are_shown_without_folders(page):
    assert "corpus = 'my.txt'" in page.text
    assert "someone" not in page.text and "injected" not in page.text


# -----------------------------------------------------------------------------
# the PDF edition


def test_the_pdf_has_the_same_numbers_texts_and_no_code(built):
    stage, _ = built
    assert (stage / "report.pdf").read_bytes().startswith(b"%PDF")
    source = stage / "report.typ"
    text = source.read_text("utf-8")
    assert "Figure~1." in text and "Samples~1." in text and "Table~3." in text
    assert "import pandas" not in text and "HTML edition" in text
    raw = typst.query(source, "raw", root=stage, field="text")
    assert SHOWN_HOSTILE in json.loads(raw)
    assert json.loads(typst.query(source, "image", root=stage, field="alt")) == ['a "falling" <line>'] * 2


def test_characters_without_a_glyph_are_named_once(built, notebooks, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "findSystemFonts", lambda: [])
    (tmp_path / "figures").mkdir()
    said = []
    report.make_pdf("# T\n\nA tag \U000e0041 and \u4f60, é → ∑.", "s", tmp_path, said.append)
    assert len(said) == 1
    assert "U+4F60, U+E0041" in said[0]


# -----------------------------------------------------------------------------
# what a document cannot have


@pytest.mark.parametrize(
    ("markdown", "message"),
    [
        ("See [Figure](#fig-absent).", "#fig-absent leads nowhere"),
        ("![x](http://example.org/x.png)", "example.org/x.png is no Figure"),
        ("$\\frac{a}$", "Could not convert TeX math"),
    ],
)
def test_a_document_that_would_come_out_wrong_is_refused(markdown, message):
    with pytest.raises(report.ReportError, match=re.escape(message)):
        report.pandoc(f"# T\n\n{markdown}", "html5", "report.html", "", "--mathml")


# -----------------------------------------------------------------------------
# the same bytes


def test_the_same_notebooks_give_the_same_bytes(built, notebooks, tmp_path):
    report.build(plan(notebooks, tmp_path), STUDY, SUBTITLE, tmp_path, lambda line: None)
    for name in ("report.html", "report.pdf", "results.json", "figures/curve-rnn.svg", "figures/curve-lstm.png"):
        assert (tmp_path / name).read_bytes() == (built[0] / name).read_bytes(), name


# -----------------------------------------------------------------------------
# failures


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """BUILD in a folder of the test, and an earlier report that no failure may touch."""
    monkeypatch.setattr(report, "BUILD", tmp_path / "build")
    out = tmp_path / "out"
    out.mkdir()
    for name in report.DOCUMENTS:
        (out / name).write_text("earlier")
    return out


def run_with(monkeypatch, job, tiny_file, out):
    """The command's exit code when its plan is this one job."""
    monkeypatch.setattr(report, "train", lambda *arguments: [])
    monkeypatch.setattr(report, "jobs", lambda *arguments: [job])
    return report.main(["--corpus", str(tiny_file), "--out", str(out)])


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("# why\n\nraise ValueError('one\\ntwo')", 1, "cell 3 (# why): ValueError: two"),
        ("1 / 0  # `tick`", 1, "cell 3 (1 / 0 # `tick`): ZeroDivisionError: division by zero"),
        (
            "from charlm_corpus import CharlmError\nraise CharlmError('give a file')",
            2,
            "cell 3 (from charlm_corpus import CharlmError): give a file",
        ),
        (
            "import os; os.kill(os.getpid(), 9)",
            1,
            "cell 3 (import os; os.kill(os.getpid(), 9)): the kernel died",
        ),
        ("import os; os._exit(0)", 1, "cell 3 (import os; os._exit(0)): the kernel died"),
        ("import sys; sys.exit(0)", 1, "cell 3 (import sys; sys.exit(0)): SystemExit: 0: the cell ended the notebook"),
    ],
)
def test_a_cell_that_fails_is_named_in_one_line(source, code, message, elsewhere, tiny_file, monkeypatch, capfd):
    path = notebook(elsewhere.parent / "failing.ipynb", "md:# T", "#parameters\nx: int = 1  # help", source)
    job = report.Job(path, {"x": 2}, frozenset())
    assert run_with(monkeypatch, job, tiny_file, elsewhere) == code
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"charlm_report: {path.parent.name}/failing.ipynb, cell 3")
    assert message in line
    assert {(elsewhere / name).read_text() for name in report.DOCUMENTS} == {"earlier"}
    kept = nbformat.read(report.BUILD / "partial-failing.ipynb", as_version=4)
    assert "partial" in kept.cells[0].source and "cell 3" in kept.cells[0].source
    assert [p.name for p in report.BUILD.iterdir()] == ["partial-failing.ipynb"]


def test_a_kernel_that_dies_between_cells_is_named_too(elsewhere, tiny_file, monkeypatch, capfd):
    late = """
import os, threading, time
def die():
    while len(In) < 3:  # the cell after this one has not begun
        time.sleep(0.01)
    os._exit(0)
threading.Thread(target=die).start()"""
    path = notebook(elsewhere.parent / "late.ipynb", late, "time.sleep(600)", "2")
    assert run_with(monkeypatch, report.Job(path, {}, frozenset()), tiny_file, elsewhere) == 1
    assert "cell 2 (time.sleep(600)): the kernel died" in capfd.readouterr().err


def test_a_mistyped_parameter_is_an_error_before_anything_runs(notebooks, elsewhere, tiny_file, monkeypatch, capfd):
    job = report.Job(notebooks / "training.ipynb", {"cel": "rnn"}, frozenset())
    assert run_with(monkeypatch, job, tiny_file, elsewhere) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert "training.ipynb: no parameter 'cel'; its parameters cell has corpus, cell" in line


def test_a_run_that_no_notebook_shows_is_missed(notebooks, elsewhere, tiny_file, monkeypatch, capfd):
    path = notebook(elsewhere.parent / "few.ipynb", "md:# T")
    monkeypatch.setattr(report, "train", lambda *arguments: [{"run_id": "rnn-7"}])
    monkeypatch.setattr(report, "jobs", lambda *arguments: [report.Job(path, {}, frozenset())])
    assert report.main(["--corpus", str(tiny_file), "--out", str(elsewhere)]) == 1
    assert capfd.readouterr().err == "charlm_report: no notebook shows the runs rnn-7\n"
    assert {(elsewhere / name).read_text() for name in report.DOCUMENTS} == {"earlier"}


def saved(*cells):
    """A notebook as papermill saves it, whatever happened: every cell "completed"."""
    made = nbformat.v4.new_notebook()
    for source, count, started in cells:
        cell = nbformat.v4.new_code_cell(source, execution_count=count)
        cell.metadata["papermill"] = {"status": "completed", "exception": False, "start_time": started}
        made.cells.append(cell)
    return made


@pytest.mark.parametrize("counts", [(1, None), (2, 1), (1, 3)])
def test_cells_that_were_not_all_executed_in_turn_are_found(counts):
    made = saved(("a", counts[0], "now"), ("b", counts[1], "now"))
    found = report.find_failure(report.Job(Path("x/y.ipynb"), {}, frozenset()), made, None)
    assert "x/y.ipynb, cell" in str(found) and "not executed in its turn" in str(found)


def test_a_notebook_that_does_not_show_what_it_should_is_found():
    job = report.Job(Path("x/y.ipynb"), {}, frozenset({"figure", "table"}))
    found = report.find_failure(job, saved(("a", 1, "now"), ("", None, None)), None)
    assert str(found) == "x/y.ipynb: shows no figure and no table, which the report needs"


@posix
def test_ctrl_c_says_so_and_leaves_no_kernel(tmp_path, tiny_file):
    path = notebook(
        tmp_path / "long.ipynb", "import os, time\nprint('kernel', os.getpid(), flush=True)\ntime.sleep(600)"
    )
    script = textwrap.dedent(f"""
        import sys, charlm_report as report
        from pathlib import Path
        report.BUILD = Path({str(tmp_path / "build")!r})
        report.train = lambda *arguments: []
        report.jobs = lambda *arguments: [report.Job(Path({str(path)!r}), {{}}, frozenset())]
        sys.exit(report.main(["--corpus", {str(tiny_file)!r}, "--out", {str(tmp_path / "out")!r}]))
    """)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = start_in_a_terminal([sys.executable, "-c", script], **pipes)
    kernel = next(int(line.split()[1]) for line in process.stdout if line.startswith("kernel"))
    press_ctrl_c(process)
    _, err = process.communicate()
    assert process.returncode == 130
    assert err == "charlm_report: interrupted; what is trained is kept\n"
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)
    assert list((tmp_path / "build").iterdir()) == []


# -----------------------------------------------------------------------------
# putting it in place


def test_a_set_is_put_in_place_whole_and_stale_files_go(tmp_path):
    for name in ("a", "stale", "mine"):
        (tmp_path / name).write_text("old")
    source = tmp_path / "source"
    source.write_text("new")
    stale = [tmp_path / "stale", tmp_path / "absent"]
    report.place({tmp_path / "a": source, tmp_path / "deep" / "b": source}, lambda: stale)
    source.unlink()
    assert {p.name: p.read_text() for p in tmp_path.rglob("*") if p.is_file()} == {
        "a": "new",
        "b": "new",
        "mine": "old",
    }


@pytest.mark.parametrize("failing", [0, 1, 2, 3])
def test_when_putting_fails_everything_is_as_before(tmp_path, monkeypatch, failing):
    for name in ("a", "b", "stale"):
        (tmp_path / name).write_text("old")
    source = tmp_path / "source"
    source.write_text("new")
    calls, replace = [], os.replace

    def flaky(*paths):
        calls.append(paths)
        if len(calls) == failing + 1:
            raise OSError(28, "No space left on device")
        replace(*paths)

    monkeypatch.setattr(os, "replace", flaky)
    with pytest.raises(OSError, match="No space"):
        report.place({tmp_path / name: source for name in "abc"}, lambda: [tmp_path / "stale"])
    kept = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert kept == {"a": "old", "b": "old", "stale": "old", "source": "new"}


def test_files_that_cannot_be_put_back_are_kept_and_the_message_says_where(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    source = tmp_path / "source"
    source.write_text("new")
    replace = os.replace

    def broken(path, target):
        if path.name in ("new-b", "old-a"):
            raise OSError(5, "Input/output error")
        replace(path, target)

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(
        CharlmError, match=r"cannot write to .*a, nor put back what was there: its files are in "
    ) as told:
        report.place({tmp_path / "a": source, tmp_path / "b": source})
    folder = Path(str(told.value).partition("its files are in ")[2])
    assert (folder / "old-a").read_text() == "old" and (tmp_path / "b").read_text() == "old"


def test_a_folder_of_the_readers_that_has_the_name_of_a_file_is_left_alone(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    source = tmp_path / "source"
    source.write_text("new")
    with pytest.raises(IsADirectoryError):
        report.place({tmp_path / "b": source, tmp_path / "a": source})
    report.place({tmp_path / "b": source}, lambda: [tmp_path / "a"])
    assert (tmp_path / "a" / "deep").is_dir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "source"]


def staged(folder, tag):
    """A staged report whose every file holds the tag, with a figure of its own beside one that all have."""
    results = {"tag": tag, "figures": {"common": {}, f"of-{tag}": {}}}
    (folder / "figures").mkdir(parents=True)
    for name in (*report.DOCUMENTS, *(f"figures/{id}.{kind}" for id in results["figures"] for kind in ("svg", "png"))):
        (folder / name).write_text(tag)
    (folder / "results.json").write_text(json.dumps(results))
    return results


def put(stage, out):
    report.place_report(stage, json.loads((stage / "results.json").read_text()), out, out / "figures")


def test_of_reports_that_are_put_into_one_folder_at_once_one_is_there_whole(tmp_path):
    tags, out = ("one", "two", "three"), tmp_path / "out"
    for tag in tags:
        staged(tmp_path / tag, tag)
    with ProcessPoolExecutor(len(tags)) as pool:
        for _ in range(20):
            list(pool.map(put, [tmp_path / tag for tag in tags], [out] * len(tags)))
            tag = json.loads((out / "results.json").read_text())["tag"]
            whole = {p.relative_to(tmp_path / tag): p.read_text() for p in (tmp_path / tag).rglob("*") if p.is_file()}
            assert {p.relative_to(out): p.read_text() for p in out.rglob("*") if p.is_file()} == whole
            assert [p.name for p in out.iterdir() if p.is_dir()] == ["figures"]


@pytest.mark.parametrize("earlier", [True, False])
def test_a_report_that_cannot_be_put_there_says_so_truly(earlier, tmp_path, monkeypatch):
    results = staged(tmp_path / "stage", "new")
    out = tmp_path / "out"
    if earlier:
        staged(out, "old")
    before = {p: p.read_text() for p in out.rglob("*") if p.is_file()}

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(CharlmError, match="No space left on device: what was there is as it was, and what is trained"):
        report.place_report(tmp_path / "stage", results, out, out / "figures")
    assert {p: p.read_text() for p in out.rglob("*") if p.is_file()} == before


def test_figures_of_the_earlier_report_go_when_the_new_one_lacks_them(tmp_path):
    stage, out = tmp_path / "stage", tmp_path / "out"
    (stage / "figures").mkdir(parents=True)
    (out / "figures").mkdir(parents=True)
    for name in (*report.DOCUMENTS, "figures/new.svg", "figures/new.png"):
        (stage / name).write_text("new")
    (out / "results.json").write_text('{"figures": {"old": {}, "../../precious": {}}}')
    for name in ("out/figures/old.svg", "out/figures/mine.svg", "precious.svg"):
        (tmp_path / name).write_text("x")
    report.place_report(stage, {"figures": {"new": {}}}, out, out / "figures")
    assert sorted(p.name for p in (out / "figures").iterdir()) == ["mine.svg", "new.png", "new.svg"]
    assert (tmp_path / "precious.svg").exists()


# -----------------------------------------------------------------------------
# the command


@pytest.mark.parametrize(
    ("study", "out", "folder", "figures"),
    [
        (Study(), None, "report", "figures"),
        (Study(seeds=5, epochs=50), None, "report", "figures"),
        (Study(), "x", "x", "x/figures"),
        (Study.quick(), None, "build/report-tiny.txt-seeds-1-epochs-2", None),
        (Study(seeds=1), None, "build/report-tiny.txt-seeds-1-epochs-50", None),
        (Study(corpus="tiny.txt"), None, "build/report-tiny-txt-SHA-seeds-5-epochs-50", None),
        (Study(corpus="tiny.txt"), "x", "x", "x/figures"),
    ],
)
def test_only_the_unchanged_study_goes_to_report(study, out, folder, figures, tiny):
    folder = folder.replace("SHA", tiny.sha256[:6])
    found = report.folders(study, tiny, out and report.ROOT / out)
    assert found == (report.ROOT / folder, report.ROOT / (figures or f"{folder}/figures"))


def test_another_study_may_not_overwrite_the_report(tiny_file, capsys):
    assert report.main(["--corpus", str(tiny_file), "--out", str(report.ROOT / "report")]) == 2
    assert "report/ and figures/ are for the unchanged study" in capsys.readouterr().err


def test_nor_its_figures(tiny_file, capsys):
    assert report.main(["--corpus", str(tiny_file), "--out", str(report.ROOT)]) == 2
    assert "report/ and figures/ are for the unchanged study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "'0': give a whole number of at least 1"),
        (["--epochs", "two"], "'two': give a whole number of at least 1"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        report.main(arguments)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


def test_mistakes_end_in_one_line(tiny_file, tmp_path, capsys):
    assert report.main(["--corpus", str(tmp_path / "absent.txt")]) == 2
    assert report.main(["--corpus", str(tiny_file), "--out", str(tiny_file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "absent.txt" in lines[0]
    assert "is a file" in lines[1]


def refused(tmp_path, capsys, corpus, out):
    """The one line of a report that is refused, and leaves nothing where it would go."""
    before = sorted(tmp_path.rglob("*"))
    assert report.main(["--corpus", str(corpus), "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sorted(tmp_path.rglob("*")) == before
    return line


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file/out", "cannot write to"),
        ("out/" + "n" * 300, "cannot write to"),
        ("o\nu\x1bt/" + "n" * 300, r"o↵u⟨U\+001B⟩t"),
        ("loop/out", "cannot write to|leads nowhere"),
        ("nowhere", "cannot write to"),
        ("taken", "report.pdf is a folder"),
        ("drawn", "cannot write to .*figures"),
    ],
)
def test_a_folder_that_cannot_be_written_is_found_out_before_training(out, message, tiny_file, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "taken" / "report.pdf").mkdir(parents=True)
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "figures").write_text("")
    assert re.search(message, refused(tmp_path, capsys, tiny_file, tmp_path / out))


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system has no such names")
def test_a_corpus_whose_name_is_not_utf8_is_refused_before_training(tiny_text, tmp_path, capsys):
    file = tmp_path / "caf\udce9.txt"
    file.write_text(tiny_text)
    line = refused(tmp_path, capsys, file, tmp_path / "out")
    assert "caf\\udce9.txt' is not UTF-8: rename the file or its folder" in line


@pytest.mark.parametrize("name", ["a\nb\u202e {{x}} \"'\\.txt", "n" * 250 + ".txt"], ids=["strange", "long"])
def test_a_report_of_a_file_with_any_other_name_comes_to_its_end(name, tiny_text, tmp_path, monkeypatch, capsys):
    if sys.platform == "win32":
        name = re.sub(r'[\n"\\]', "", name)[:200]
    monkeypatch.setattr(report, "BUILD", tmp_path / "build")
    monkeypatch.setattr(report, "train", lambda *arguments: [])
    (tmp_path / name).write_text(tiny_text)
    reading = notebook(
        tmp_path / "reading.ipynb",
        '#parameters\ncorpus: str = ""  # a path',
        "md:# T",
        "len(open(corpus).read())",
        f"from charlm_show import *\ncell = 'rnn'\n{RUNS}",
    )
    plan = lambda study, corpus, results: [report.Job(reading, {"corpus": corpus}, frozenset())]  # noqa: E731
    monkeypatch.setattr(report, "jobs", plan)
    assert report.main(["--corpus", str(tmp_path / name)]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.endswith("are there"))
    page = Page(Path(line.removesuffix(" and report.pdf are there")).read_text("utf-8"))
    assert f"corpus = {name!r}" in page.text and str(len(tiny_text)) in page.text


def test_a_strange_folder_is_named_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(report, "make_report", lambda study, out, *more: out)
    assert report.main(["--out", "o\nut\udce9"]) == 0
    assert "o↵ut⟨U+DCE9⟩" in capsys.readouterr().out


def test_the_plan_passes_what_the_notebooks_know():
    for job in report.jobs(Study(), "shakespeare-268k", Path("results.json")):
        report.check_parameters(job)


def test_help_says_what_the_defaults_are(capsys):
    with pytest.raises(SystemExit):
        report.main(["--help"])
    text = capsys.readouterr().out
    assert "(5)" in text and "(50)" in text and "shakespeare-268k" in text


def test_a_mistake_in_a_cell_is_a_users_mistake():
    assert not issubclass(report.ReportError, CharlmError)
