"""The command that makes the report."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import papermill
import psutil
import pytest
from small_notebooks import RUNS, Page, notebook

import charlm.report.__main__
import charlm.report.make
from charlm.corpus import ROOT
from charlm.protocol import Study
from charlm.report import execute, place
from charlm.report.__main__ import main
from charlm.report.execute import Job
from charlm.report.place import report_folders


@pytest.mark.parametrize(
    ("study", "out", "folder", "figures"),
    [
        (Study(), None, "build/report", None),
        (Study(seeds=5, epochs=50), None, "build/report", None),
        (Study(), "report", "report", "figures"),
        (Study(), "x", "x", "x/figures"),
        (Study.quick(), None, "build/report-tiny.txt-seeds-1-epochs-2", None),
        (Study(seeds=1), None, "build/report-tiny.txt-seeds-1-epochs-50", None),
        (Study(corpus="tiny.txt"), None, "build/report-tiny-txt-SHA-seeds-5-epochs-50", None),
        (Study(corpus="tiny.txt"), "x", "x", "x/figures"),
    ],
)
def test_a_report_goes_to_build_and_where_it_is_asked_for_the_unchanged_study_alone_to_report(
    study, out, folder, figures, tiny
):
    folder = folder.replace("SHA", tiny.sha256[:6])
    found = report_folders(study, tiny, out and ROOT / out)
    assert found == (ROOT / folder, ROOT / (figures or f"{folder}/figures"))


@pytest.mark.parametrize("given, asked", [([], False), (["--own-text"], True)])
def test_a_text_of_your_own_goes_into_the_page_on_request_alone(given, asked, monkeypatch, tmp_path):
    def make_report(study, out, say, studies, own_text):
        assert own_text is asked
        return tmp_path

    monkeypatch.setattr(charlm.report.__main__, "make_report", make_report)
    assert main(["--quick", *given]) == 0


@pytest.mark.parametrize("out", [ROOT / "report", ROOT])
def test_another_study_may_overwrite_neither_the_report_nor_its_figures(out, tiny_file, capsys):
    assert main(["--corpus", str(tiny_file), "--out", str(out)]) == 2
    assert "report/ and figures/ are for the unchanged study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds: '0': needs a whole number from 1 to 1000"),
        (["--epochs", "two"], "--epochs: 'two': needs a whole number from 1 to 1000000"),
        (["--corpus", "absent.txt"], "absent.txt"),
        (["--out", ""], "--out: needs the name of a folder"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments, message, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def refused(tmp_path, capsys, corpus, out):
    """The one line of a report that is refused, and leaves nothing where it would go."""
    before = sorted(tmp_path.rglob("*"))
    assert main(["--corpus", str(corpus), "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert sorted(tmp_path.rglob("*")) == before
    return line


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file", "cannot write to"),
        ("file/out", "cannot write to"),
        ("o\nu\x1bt/" + "n" * 300, r"o↵u⟨U\+001B⟩t"),
        ("drawn", "cannot write to .*figures"),
    ],
)
def test_a_folder_that_cannot_be_written_is_found_out_before_training(out, message, tiny_file, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    (tmp_path / "drawn").mkdir()
    (tmp_path / "drawn" / "figures").write_text("")
    assert re.search(message, refused(tmp_path, capsys, tiny_file, tmp_path / out))


def test_a_text_too_large_for_the_memory_is_refused_before_training(tiny_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**6))
    assert "give a shorter text, of 5,000 characters at most" in refused(tmp_path, capsys, tiny_file, tmp_path / "out")


def test_a_text_may_have_any_name(tiny_text, tmp_path, monkeypatch, capsys):
    name = "a\nb\u202e {{x}} \"'\\" + "n" * 200 + ".txt"
    if sys.platform == "win32":
        name = re.sub(r'[\n"\\]', "", name)[:200]
    (tmp_path / name).write_text(tiny_text)
    reading = notebook(
        tmp_path / "reading.ipynb",
        "md:# T",
        '#parameters\ncorpus: str = ""  # a path',
        "len(open(corpus).read())",
        f"from charlm.show import *\ncell = 'rnn'\n{RUNS}",
    )
    monkeypatch.setattr(place, "BUILD", tmp_path / "build")
    monkeypatch.setattr(charlm.report.make, "train_sweep", lambda *arguments, **options: [])
    monkeypatch.setattr(execute, "jobs", lambda study, corpus, results: [Job(reading, {"corpus": corpus})])
    monkeypatch.chdir(tmp_path)
    assert main(["--corpus", name]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.endswith("are there"))
    page = Page(Path(line.removesuffix(" and report.pdf are there")).read_text("utf-8"))
    assert f"corpus = {name!r}" in page.text and str(len(tiny_text)) in page.text


def test_a_strange_folder_is_named_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(charlm.report.__main__, "make_report", lambda study, out, *more: out)
    assert main(["--out", "o\nut\udce9"]) == 0
    assert "o↵ut⟨U+DCE9⟩" in capsys.readouterr().out


def test_the_plan_passes_what_the_notebooks_know():
    for job in execute.jobs(Study(), "shakespeare-268k", Path("results.json")):
        assert job.parameters.keys() <= papermill.inspect_notebook(str(job.notebook)).keys()
