"""The command that makes the report."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from small_notebooks import RUNS, Page, notebook

import charlm.report.__main__
import charlm.report.make
from charlm.corpus import ROOT
from charlm.protocol import Study
from charlm.report import execute
from charlm.report.__main__ import main
from charlm.report.execute import Job, ReportError
from charlm.report.place import report_folders
from charlm_core import CharlmError


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


def test_another_study_may_not_overwrite_the_report(tiny_file, capsys):
    assert main(["--corpus", str(tiny_file), "--out", str(ROOT / "report")]) == 2
    assert "report/ and figures/ are for the unchanged study" in capsys.readouterr().err


def test_nor_its_figures(tiny_file, capsys):
    assert main(["--corpus", str(tiny_file), "--out", str(ROOT)]) == 2
    assert "report/ and figures/ are for the unchanged study" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seeds", "0"], "--seeds: '0': needs a whole number from 1 to 1000"),
        (["--seeds", "9" * 20], "needs a whole number from 1 to 1000"),
        (["--epochs", "two"], "--epochs: 'two': needs a whole number from 1 to 1000000"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(arguments, message, capsys):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_mistakes_end_in_one_line(tiny_file, tmp_path, capsys):
    assert main(["--corpus", str(tmp_path / "absent.txt")]) == 2
    assert main(["--corpus", str(tiny_file), "--out", str(tiny_file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "absent.txt" in lines[0]
    assert "is a file" in lines[1]


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


def test_a_text_too_large_for_the_memory_is_refused_before_training(tiny_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**6))
    assert "give a shorter text, of 5,000 characters at most" in refused(tmp_path, capsys, tiny_file, tmp_path / "out")


@pytest.mark.skipif(sys.platform == "darwin", reason="its file system has no such names")
def test_a_corpus_whose_name_is_not_utf8_is_refused_before_training(tiny_text, tmp_path, capsys):
    file = tmp_path / "caf\udce9.txt"
    file.write_text(tiny_text)
    line = refused(tmp_path, capsys, file, tmp_path / "out")
    assert "caf\\udce9.txt' is not UTF-8: rename the file or its folder" in line


def test_a_report_is_of_the_text_as_it_was_first_read_whatever_its_files_name(tiny_text, tmp_path, monkeypatch, capsys):
    name = "a\nb\u202e {{x}} \"'\\" + "n" * 200 + ".txt"
    if sys.platform == "win32":
        name = re.sub(r'[\n"\\]', "", name)[:200]
    (tmp_path / name).write_text(tiny_text)
    reading = notebook(
        tmp_path / "reading.ipynb",
        '#parameters\ncorpus: str = ""  # a path',
        "md:# T",
        "len(open(corpus).read())",
        f"from charlm.show import *\ncell = 'rnn'\n{RUNS}",
    )

    def train(study, corpus, say):
        (tmp_path / name).write_text("another text")
        return []

    monkeypatch.setattr(execute, "BUILD", tmp_path / "build")
    monkeypatch.setattr(charlm.report.make, "train_missing", train)
    monkeypatch.setattr(execute, "jobs", lambda study, corpus, results: [Job(reading, {"corpus": corpus}, frozenset())])
    assert main(["--corpus", str(tmp_path / name)]) == 0
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.endswith("are there"))
    page = Page(Path(line.removesuffix(" and report.pdf are there")).read_text("utf-8"))
    assert f"corpus = {name!r}" in page.text and str(len(tiny_text)) in page.text


def test_a_strange_folder_is_named_in_one_line(monkeypatch, capsys):
    monkeypatch.setattr(charlm.report.__main__, "make_report", lambda study, out, *more: out)
    assert main(["--out", "o\nut\udce9"]) == 0
    assert "o↵ut⟨U+DCE9⟩" in capsys.readouterr().out


def test_the_plan_passes_what_the_notebooks_know():
    for job in execute.jobs(Study(), "shakespeare-268k", Path("results.json")):
        execute.check_parameters(job)


def test_help_says_what_the_defaults_are(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "(5)" in text and "(50)" in text and "shakespeare-268k" in text


def test_a_mistake_in_a_cell_is_a_users_mistake():
    assert not issubclass(ReportError, CharlmError)
