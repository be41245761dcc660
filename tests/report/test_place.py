"""A report is put in place whole, or not at all."""

import json
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from posix_only import make_pipe, posix

from charlm.report import execute
from charlm.report.place import DOCUMENTS, locked, place_files, place_report, staged
from charlm_core import CharlmError


def test_a_set_is_put_in_place_whole_and_stale_files_go(tmp_path):
    for name in ("a", "stale", "mine"):
        (tmp_path / name).write_text("old")
    source = tmp_path / "source"
    source.write_text("new")
    stale = [tmp_path / "stale", tmp_path / "absent"]
    place_files({tmp_path / "a": source, tmp_path / "deep" / "b": source}, lambda: stale)
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
        place_files({tmp_path / name: source for name in "abc"}, lambda: [tmp_path / "stale"])
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
        place_files({tmp_path / "a": source, tmp_path / "b": source})
    folder = Path(str(told.value).partition("its files are in ")[2])
    assert (folder / "old-a").read_text() == "old" and (tmp_path / "b").read_text() == "old"


def test_a_folder_of_the_readers_that_has_the_name_of_a_file_is_left_alone(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    source = tmp_path / "source"
    source.write_text("new")
    with pytest.raises(IsADirectoryError):
        place_files({tmp_path / "b": source, tmp_path / "a": source})
    place_files({tmp_path / "b": source}, lambda: [tmp_path / "a"])
    assert (tmp_path / "a" / "deep").is_dir()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "source"]


def stage_report(folder, tag):
    """A staged report whose every file holds the tag, with a figure of its own beside one that all have."""
    results = {"tag": tag, "figures": {"common": {}, f"of-{tag}": {}}}
    (folder / "figures").mkdir(parents=True)
    for name in (*DOCUMENTS, *(f"figures/{id}.{kind}" for id in results["figures"] for kind in ("svg", "png", "csv"))):
        (folder / name).write_text(tag)
    (folder / "results.json").write_text(json.dumps(results))
    return results


def put(stage, out):
    place_report(stage, json.loads((stage / "results.json").read_text()), out, out / "figures")


def test_of_reports_that_are_put_into_one_folder_at_once_one_is_there_whole(tmp_path):
    tags, out = ("one", "two", "three"), tmp_path / "out"
    for tag in tags:
        stage_report(tmp_path / tag, tag)
    with ProcessPoolExecutor(len(tags)) as pool:
        for _ in range(8):
            list(pool.map(put, [tmp_path / tag for tag in tags], [out] * len(tags)))
            tag = json.loads((out / "results.json").read_text())["tag"]
            whole = {p.relative_to(tmp_path / tag): p.read_text() for p in (tmp_path / tag).rglob("*") if p.is_file()}
            assert {p.relative_to(out): p.read_text() for p in out.rglob("*") if p.is_file()} == whole
            assert [p.name for p in out.iterdir() if p.is_dir()] == ["figures"]


def tags_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


class Killed(BaseException):
    """Stands for the end of a process, after which it does nothing more."""


def killed_at(moment, monkeypatch, do):
    """Do something in a process that is killed before its so-manieth file is copied or renamed; whether it came to that."""
    calls = count()

    def mortal(function):
        def call(*arguments, **options):
            if next(calls) >= moment:
                raise Killed
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for module, name in ((os, "replace"), (shutil, "copyfile")):
            patch.setattr(module, name, mortal(getattr(module, name)))
        patch.setattr(shutil, "rmtree", lambda *arguments, **options: None)
        try:
            do()
        except Killed:
            return True
    return False


def test_after_a_placing_that_was_killed_at_any_moment_the_next_leaves_one_report_and_nothing_else(
    tmp_path, monkeypatch
):
    for tag in ("one", "two", "three"):
        stage_report(tmp_path / tag, tag)
    for moment in count():
        out = tmp_path / f"out-{moment}"
        put(tmp_path / "one", out)
        (out / "figures" / "mine.svg").write_text("mine")
        killed = killed_at(moment, monkeypatch, lambda out=out: put(tmp_path / "two", out))
        put(tmp_path / "three", out)
        assert tags_in(out) == tags_in(tmp_path / "three") | {"figures/mine.svg": "mine"}
        assert [path.name for path in out.rglob("*") if path.is_dir()] == ["figures"]
        if not killed:
            break
    assert moment > 9


@pytest.mark.parametrize("earlier", [True, False])
def test_a_report_that_cannot_be_put_there_says_so_truly(earlier, tmp_path, monkeypatch):
    results = stage_report(tmp_path / "stage", "new")
    out = tmp_path / "out"
    if earlier:
        stage_report(out, "old")
    before = {p: p.read_text() for p in out.rglob("*") if p.is_file()}

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(CharlmError, match="No space left on device: what was there is as it was, and what is trained"):
        place_report(tmp_path / "stage", results, out, out / "figures")
    assert {p: p.read_text() for p in out.rglob("*") if p.is_file()} == before


def test_figures_of_the_earlier_report_go_when_the_new_one_lacks_them(tmp_path):
    stage, out = tmp_path / "stage", tmp_path / "out"
    (stage / "figures").mkdir(parents=True)
    (out / "figures").mkdir(parents=True)
    for name in (*DOCUMENTS, "figures/new.svg", "figures/new.png", "figures/new.csv"):
        (stage / name).write_text("new")
    (out / "results.json").write_text('{"figures": {"old": {}, "../../precious": {}}}')
    for name in ("out/figures/old.svg", "out/figures/mine.svg", "precious.svg"):
        (tmp_path / name).write_text("x")
    place_report(stage, {"figures": {"new": {}}}, out, out / "figures")
    assert sorted(p.name for p in (out / "figures").iterdir()) == ["mine.svg", "new.csv", "new.png", "new.svg"]
    assert (tmp_path / "precious.svg").exists()


@posix
def test_a_pipe_in_the_place_of_a_report_is_not_waited_for(tmp_path):
    stage_report(tmp_path / "stage", "new")
    (tmp_path / "out").mkdir()
    make_pipe(tmp_path / "out" / "results.json")
    put(tmp_path / "stage", tmp_path / "out")
    assert tags_in(tmp_path / "out") == tags_in(tmp_path / "stage")


# ---------------------------------------------------------------------------------------------------------------------
# where it is made


def test_a_report_is_made_in_a_folder_that_goes_however_it_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "BUILD", tmp_path / "build")
    with pytest.raises(KeyboardInterrupt), staged() as stage:
        (stage / "report.html").write_text("half")
        raise KeyboardInterrupt
    assert list((tmp_path / "build").iterdir()) == []


def test_what_a_killed_process_left_goes_and_what_a_living_one_works_in_stays(tmp_path, monkeypatch):
    build = tmp_path / "build"
    monkeypatch.setattr(execute, "BUILD", build)
    (build / "charlm-stage-0123" / "figures").mkdir(parents=True)
    (build / "charlm-stage-0123.lock").touch()
    for name in ("charlm-stage-mine", "stage-mine"):
        (build / name).mkdir()
    with locked(build / "charlm-stage-4567.lock"):
        (build / "charlm-stage-4567").mkdir()
        with staged():
            pass
        assert sorted(path.name for path in build.iterdir()) == [
            "charlm-stage-4567",
            "charlm-stage-4567.lock",
            "charlm-stage-mine",
            "stage-mine",
        ]


def test_where_the_project_cannot_be_written_it_is_made_among_temporary_files(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(execute, "BUILD", tmp_path / "file" / "build")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with staged() as stage:
        assert stage.parent == tmp_path
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@posix
def test_who_has_no_home_gets_one_there(tmp_path, monkeypatch):
    """Without one no kernel starts."""
    monkeypatch.setattr(execute, "BUILD", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "absent"))
    with staged() as stage:
        assert Path.home() == stage
