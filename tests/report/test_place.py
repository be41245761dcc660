"""A report is put in place whole, or not at all."""

import json
import os
import shutil
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest

from charlm.report.place import DOCUMENTS, place_report
from charlm_core import CharlmError


def stage_report(folder, tag):
    """A staged report whose every file holds the tag, with a figure of its own beside one that all have."""
    results = {"tag": tag, "figures": {"common": {}, f"of-{tag}": {}}}
    (folder / "figures").mkdir(parents=True)
    for name in (*DOCUMENTS, *(f"figures/{id}.{kind}" for id in results["figures"] for kind in ("svg", "png", "csv"))):
        (folder / name).write_text(tag)
    (folder / "results.json").write_text(json.dumps(results))


@pytest.fixture
def put(tmp_path):
    """Puts the new report where the old one is, and tells what is there."""
    stage_report(tmp_path / "new", "new")
    stage_report(tmp_path / "out", "old")
    (tmp_path / "out" / "figures" / "mine.svg").write_text("mine")

    def put():
        out = tmp_path / "out"
        place_report(
            tmp_path / "new", json.loads((tmp_path / "new" / "results.json").read_text()), out, out / "figures"
        )

    return put


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_report_takes_the_place_of_another_with_its_figures_and_of_nothing_else(put, tmp_path):
    (tmp_path / "out" / ".charlm-half").mkdir()  # as a process leaves it that was killed here
    (tmp_path / "out" / ".charlm-half" / "old-report.pdf").write_text("older")
    put()
    assert files_in(tmp_path / "out") == files_in(tmp_path / "new") | {"figures/mine.svg": "mine"}
    assert [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()] == ["figures"]


def test_of_two_reports_for_one_folder_one_waits_for_the_other(put, tmp_path, monkeypatch):
    with ThreadPoolExecutor(1) as pool:
        second: list[Future] = []
        replace = os.replace

        def while_the_first_moves(*paths):
            if not second:
                second.append(pool.submit(put))
                with suppress(TimeoutError):  # it waits, or would be through by now
                    second[0].result(timeout=0.5)
            replace(*paths)

        monkeypatch.setattr(os, "replace", while_the_first_moves)
        put()
        second[0].result()
    assert files_in(tmp_path / "out") == files_in(tmp_path / "new") | {"figures/mine.svg": "mine"}


@pytest.mark.parametrize("failing", [0, 8, 9, 17])  # of nine moves away and nine in
def test_when_putting_is_interrupted_everything_is_as_before(put, failing, tmp_path, monkeypatch):
    before = files_in(tmp_path / "out")
    calls, replace = [], os.replace

    def flaky(*paths):
        calls.append(paths)
        if len(calls) == failing + 1:
            raise KeyboardInterrupt
        replace(*paths)

    monkeypatch.setattr(os, "replace", flaky)
    with pytest.raises(KeyboardInterrupt):
        put()
    assert files_in(tmp_path / "out") == before


def test_what_cannot_be_put_back_is_kept_beside_the_report(put, tmp_path, monkeypatch):
    before = files_in(tmp_path / "out")
    calls, replace = [], os.replace

    def failing(*paths):
        calls.append(paths)
        if len(calls) > 12:  # nine are away, three new ones in place: neither the next nor any way back
            raise OSError(5, "Input/output error")
        replace(*paths)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(CharlmError, match=r"cannot put back .*charlm-half"):
        put()
    half = files_in(tmp_path / "out" / ".charlm-half")
    assert {name: half.get(f"old-{name.rpartition('/')[2]}", text) for name, text in before.items()} == before
    assert sum(name.startswith("old-") for name in half) == 9
    monkeypatch.setattr(os, "replace", replace)
    monkeypatch.setattr(shutil, "copyfile", failing)
    with pytest.raises(CharlmError, match="what was there is as it was"):
        put()
    kept = files_in(tmp_path / "out")
    assert before.keys() <= kept.keys() and not any(name.startswith(".charlm") for name in kept)


def test_a_disk_that_is_full_is_named_and_nothing_was_moved(put, tmp_path, monkeypatch):
    before = files_in(tmp_path / "out")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(CharlmError, match="No space left on device: what was there is as it was, and what is trained"):
        put()
    assert files_in(tmp_path / "out") == before


def test_a_folder_of_the_readers_that_has_the_name_of_a_file_is_left_alone(put, tmp_path):
    (tmp_path / "out" / "report.pdf").unlink()
    (tmp_path / "out" / "report.pdf").mkdir()
    (tmp_path / "out" / "report.pdf" / "mine").write_text("mine")
    before = files_in(tmp_path / "out")
    with pytest.raises(CharlmError, match="cannot write to"):
        put()
    assert files_in(tmp_path / "out") == before


def test_names_of_figures_are_not_trusted(put, tmp_path):
    (tmp_path / "out" / "results.json").write_text('{"figures": {"../../precious": {}}}')
    (tmp_path / "precious.svg").write_text("x")
    put()
    assert (tmp_path / "precious.svg").exists()
