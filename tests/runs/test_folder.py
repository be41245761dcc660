"""The folder of a run: what is stored, and that nothing damaged is believed."""

import builtins
import errno
import json
import os
import pickle
import random
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hostile import WRECKS, directory, loop, pipe, repack, rewrite, ruin
from posix_only import posix
from run_folders import FUZZ, results, silent

import charlm.files
import charlm.runs.files
import charlm.runs.folder
import charlm.runs.form
import charlm.runs.inventory
import charlm.runs.sweep
import charlm_core as core
import generate
from charlm.files import Damaged
from charlm.runs.__main__ import main
from charlm.runs.files import STATE, unpack_state
from charlm.runs.folder import (
    Run,
    best_record,
    kept_measurement,
    load_weights,
    run_folders,
    run_record,
    stored_records,
)
from charlm.runs.inventory import run_status
from charlm.runs.sweep import train_sweep
from charlm_core import CharlmError, CharModel

# ---------------------------------------------------------------------------------------------------------------------
# a finished run


def test_a_run_holds_both_weights_and_a_readable_record(trained, tiny, tiny_config):
    folder, record = trained
    assert sorted(p.name for p in folder.iterdir() if p.name != "lock") == [
        "best.safetensors",
        "last.safetensors",
        "run.json",
    ]
    assert record["epochs"] == len(record["val_loss"]) == 3
    assert record["val_loss_last"] == record["val_loss"][-1]
    assert record["val_loss_best"] == min(record["val_loss"]) == record["val_loss"][record["best_epoch"] - 1]
    assert record["parameters"] == core.count_parameters(len(tiny.vocab), tiny_config)
    json.dumps(record, allow_nan=False)


def test_a_record_names_neither_host_nor_user_nor_folder(trained):
    import getpass
    import socket

    text = json.dumps(trained[1])
    assert str(trained[0].parent) not in text
    assert socket.gethostname() not in text
    assert f'"{getpass.getuser()}"' not in text


def test_stored_weights_give_the_stored_losses(trained, tiny):
    folder, record = trained
    for which in ("best", "last"):
        weights, config, vocab = load_weights(folder, which)
        model = CharModel(len(vocab), config)
        model.load_state_dict(weights)
        n = core.count_chunks(len(tiny.ids), config.chunk_length)
        with core.arithmetic(config):
            loss = core.evaluate(model, tiny.ids, core.split_chunks(n, config)[1], config)
        assert loss == record[f"val_loss_{which}"]


def test_a_finished_run_is_not_trained_again(trained, tiny, tiny_config, monkeypatch):
    monkeypatch.setattr(core, "train_epoch", None)
    said: list[str] = []
    assert train_sweep([tiny_config], tiny, trained[0].parent, say=said.append) == [trained[1]]
    assert said == []


def test_what_a_process_left_that_was_killed_after_the_results_is_tidied(trained, tiny, tiny_config, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    (folder / ".half-1").mkdir()
    (folder / ".half-1" / "run.json").write_bytes(b"half")
    (folder / STATE).write_bytes(b"")
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert sorted(p.name for p in folder.iterdir() if p.name != "lock") == [
        "best.safetensors",
        "last.safetensors",
        "run.json",
    ]


def test_the_best_run_has_the_lowest_validation_loss(trained, tiny, tiny_config, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    (worse,) = train_sweep([replace(tiny_config, epochs=1)], tiny, tmp_path, say=silent)
    assert worse["val_loss_best"] > trained[1]["val_loss_best"]
    assert best_record(stored_records(tmp_path)) == trained[1]


def test_without_a_trained_run_the_error_says_how_to_make_one(tmp_path):
    with pytest.raises(CharlmError, match=r"no trained run.*make report"):
        best_record(stored_records(tmp_path))


def test_a_diverged_run_is_finished_and_says_where(tiny, tiny_config, tmp_path):
    said: list[str] = []
    config = replace(tiny_config, cell="rnn", learning_rate=1e38)
    (record,) = train_sweep([config], tiny, tmp_path, say=said.append)
    assert record["status"] == "diverged" and record["diverged"]["epoch"] >= 1
    assert "DIVERGED" in said[-1] and "learning rate" in said[-1]
    json.dumps(record, allow_nan=False)


# ---------------------------------------------------------------------------------------------------------------------
# damage


@pytest.mark.parametrize("name", ["run.json", "best.safetensors"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign", "pickle", "delete"])
def test_a_damaged_file_is_named_and_never_believed(trained, tmp_path, name, damage):
    folder = tmp_path / trained[0].name
    shutil.copytree(trained[0], folder)
    spoil(folder / name, damage)
    with pytest.raises(CharlmError, match="no finished run" if (name, damage) == ("run.json", "delete") else name):
        load_weights(folder, name.partition(".")[0] if "safetensors" in name else "best")
    deep = run_status(folder, deep=True)["status"]
    assert deep == ("unfinished" if (name, damage) == ("run.json", "delete") else "damaged")


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign", "pickle", "delete"])
def test_a_damaged_state_is_named_and_not_gone_on_from(begun, trained, tiny, tiny_config, tmp_path, damage):
    spoil(begun.folder / STATE, damage)
    if damage == "delete":  # nothing to go on from: from the start
        train_sweep([tiny_config], tiny, tmp_path, say=silent)
        assert results(begun.folder) == results(trained[0])
        return
    with pytest.raises(CharlmError, match=r"state\.safetensors"):
        train_sweep([tiny_config], tiny, tmp_path, say=silent)


@pytest.mark.parametrize("where", [0, 4, 9, 100, 300, -200, -5])
def test_a_flipped_bit_anywhere_in_a_state_is_found(tiny, tiny_config, tmp_path, where):
    run = Run.of(tiny_config, tiny, tmp_path)
    data = bytearray(run.load())
    data[where] ^= 1
    with pytest.raises(CharlmError, match="it"):
        unpack_state(bytes(data), "it", run.identity)


def test_the_state_of_another_run_is_not_gone_on_from(tiny, tiny_config, tmp_path):
    run, other = (Run.of(replace(tiny_config, seed=s), tiny, tmp_path) for s in (0, 1))
    other.save(charlm.runs.sweep.train_one_epoch(other.load(), other.config, tiny))
    run.folder.mkdir()
    shutil.copy(other.folder / STATE, run.folder)
    with pytest.raises(CharlmError, match="is of another run"):
        train_sweep([tiny_config], tiny, tmp_path, say=silent)


def test_a_run_whose_results_were_deleted_is_trained_again(trained, tiny, tiny_config, tmp_path):
    folder = tmp_path / trained[0].name
    shutil.copytree(trained[0], folder)
    (folder / "run.json").unlink()
    spoil(folder / "best.safetensors", "flip")
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(folder) == results(trained[0])


def test_a_folder_under_another_runs_name_is_not_taken_for_it(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "rnn-1-seed0-000000000000")
    with pytest.raises(CharlmError, match=trained[0].name):
        run_record(tmp_path / "rnn-1-seed0-000000000000")


def test_a_measure_of_a_run_has_the_same_values_in_the_same_memory_order_when_it_is_read_again(tmp_path):
    measured = torch.arange(12.0, dtype=torch.float64).reshape(3, 4).T
    first = kept_measurement(tmp_path, "meaning", {"code": "a"}, lambda: {"x": measured})["x"]
    again = kept_measurement(tmp_path, "meaning", {"code": "a"}, lambda: pytest.fail("measured twice"))["x"]
    assert torch.equal(first, measured) and torch.equal(again, measured) and first.stride() == again.stride()


@pytest.mark.parametrize("change", ["flip", "code"])
def test_a_measure_is_made_again_when_its_file_is_damaged_or_its_code_has_changed(tmp_path, change):
    kept_measurement(tmp_path, "meaning", {"code": "a"}, lambda: {"x": torch.zeros(1)})
    if change == "flip":
        spoil(tmp_path / "meaning.safetensors", "flip")
    code = "b" if change == "code" else "a"
    assert kept_measurement(tmp_path, "meaning", {"code": code}, lambda: {"x": torch.ones(1)})["x"] == 1


# ---------------------------------------------------------------------------------------------------------------------
# form: what is read is what this project writes, or is damaged


@pytest.fixture(scope="module")
def other(tiny, tiny_config, tmp_path_factory):
    """(folder, record) of another finished run."""
    runs = tmp_path_factory.mktemp("other")
    (record,) = train_sweep([replace(tiny_config, epochs=1)], tiny, runs, say=silent)
    return runs / record["run_id"], record


@pytest.fixture
def beside(trained, other, tmp_path):
    """A copy of the finished run, to be damaged, beside another run that is sound."""
    shutil.copytree(other[0], tmp_path / other[0].name)
    return shutil.copytree(trained[0], tmp_path / trained[0].name), other[1]


@pytest.fixture(scope="module")
def first_epoch(tiny, tiny_config, tmp_path_factory):
    """The folder of a run that has trained an epoch of three."""
    run = Run.of(tiny_config, tiny, tmp_path_factory.mktemp("begun"))
    run.save(charlm.runs.sweep.train_one_epoch(run.load(), run.config, tiny))
    return run.folder


@pytest.fixture
def begun(first_epoch, tiny, tiny_config, tmp_path):
    """A copy of it."""
    shutil.copytree(first_epoch, tmp_path / first_epoch.name)
    return Run.of(tiny_config, tiny, tmp_path)


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_wrecked_run_is_damaged_in_one_line_and_no_other_is(beside, tmp_path, wreck):
    folder, sound = beside
    WRECKS[wreck](folder)
    found = {about["run_id"]: about for about in map(run_status, run_folders(tmp_path))}
    assert found[folder.name]["status"] == "damaged"
    assert str(folder) in found[folder.name]["problem"] and len(found[folder.name]["problem"]) < 600
    assert found[folder.name]["problem"].isprintable()
    assert found[sound["run_id"]]["status"] == "finished"
    assert stored_records(tmp_path, say=silent) == [sound]
    with pytest.raises(Damaged):
        load_weights(folder)


@pytest.mark.parametrize("name", ["run.json", "best.safetensors", "meaning.safetensors"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(beside, monkeypatch, name):
    folder, _ = beside
    kept_measurement(folder, "meaning", {}, lambda: {})
    opened = builtins.open

    def refuse(path, *arguments, **options):
        if Path(path).name == name and Path(path).parent == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(builtins, "open", refuse)
    about = run_status(folder, deep=True)
    assert about["status"] == ("finished" if name == "meaning.safetensors" else "unreadable")
    assert f"{name} cannot be read" in about["problem"]
    assert "remove" not in about["problem"] and "delete" not in about["problem"]


def test_a_folder_that_may_not_be_listed_is_not_called_damaged(beside, monkeypatch):
    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "listdir", refuse)
    assert run_status(beside[0])["status"] == "unreadable"


def test_a_file_a_loop_or_a_link_to_nothing_where_a_run_should_be_is_damaged(tmp_path):
    (tmp_path / "file").touch()
    loop(tmp_path / "loop")
    (tmp_path / "link").symlink_to("nothing")
    assert [run_status(tmp_path / name)["status"] for name in ("file", "loop", "link")] == ["damaged"] * 3


@pytest.mark.parametrize(
    "wreck",
    [
        loop,
        directory,
        pytest.param(pipe, marks=posix),
        lambda path: repack(path, lambda _, about: about["identity"]["config"].update(layers=100)),
        lambda path: repack(path, lambda _, about: about.pop("history")),
        lambda path: repack(path, lambda tensors, _: tensors.pop("weights/head.bias")),
        lambda path: repack(path, lambda tensors, _: tensors.update({"other/x": torch.zeros(1)})),
        lambda path: repack(path, lambda tensors, _: tensors.update({"weights/head.bias": torch.zeros(3)})),
        lambda path: repack(path, lambda tensors, _: tensors.update({"moments/head.bias/step": torch.zeros(3)})),
    ],
)
def test_a_state_of_another_form_is_damaged_and_not_gone_on_from(begun, wreck):
    wreck(begun.folder / STATE)
    assert run_status(begun.folder)["status"] == "damaged"
    with pytest.raises(Damaged, match=r"state\.safetensors"):
        begun.load()


def test_a_state_whose_vocabulary_is_of_another_size_is_not_gone_on_from(tiny, tiny_config, tmp_path):
    run = Run.of(tiny_config, tiny, tmp_path)
    larger = Run(run.config, replace(tiny, vocab=tiny.vocab + "z"), run.folder)
    run.save(charlm.runs.sweep.train_one_epoch(run.load(), run.config, tiny))
    with pytest.raises(Damaged, match="another vocabulary"):
        larger.load()


@pytest.mark.parametrize(
    "config", [{"colour": "red"}, {"cell": "mine"}, {"split": "by hand"}, {"layers": "two"}, {"layers": 10**7}]
)
def test_a_sound_run_of_another_version_is_told_from_a_damaged_one(trained, tmp_path, config):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    rewrite(folder, lambda about: about["config"].update(config))
    about = run_status(folder)
    assert about["status"] == "of another version" and next(iter(config)) in about["problem"]
    assert stored_records(tmp_path, say=silent) == []


def test_a_field_that_is_gone_is_read_at_the_value_that_changed_nothing(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    rewrite(folder, lambda about: about["config"].update(average=0.0))
    assert run_record(folder)["val_loss"] == trained[1]["val_loss"]
    load_weights(folder)
    rewrite(folder, lambda about: about["config"].update(average=0.5))
    with pytest.raises(CharlmError, match=r"another version.*average"):
        run_record(folder)


def test_a_sound_state_of_another_version_is_told_from_a_damaged_one(begun):
    repack(begun.folder / STATE, lambda _, about: about["identity"]["config"].update(colour="red"))
    assert run_status(begun.folder)["status"] == "of another version"


def test_a_run_whose_model_was_changed_since_is_of_another_version(trained, tmp_path, monkeypatch):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    for module in (charlm.runs.form, charlm.runs.inventory):
        monkeypatch.setattr(module, "training_code_hash", lambda cell: "changed")
    monkeypatch.setitem(core.CELLS, "lstm", core.CELLS["gru"])
    assert run_status(folder)["status"] == "of another version"


def test_a_record_with_more_in_it_than_is_read_is_sound(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    rewrite(folder, lambda about: about.update(note="by hand"))
    assert run_record(folder) == trained[1]


def test_a_measure_that_cannot_be_read_is_made_again(tmp_path):
    directory(tmp_path / "meaning.safetensors")
    assert kept_measurement(tmp_path, "meaning", {}, lambda: {"x": torch.ones(1)})["x"] == 1


def test_what_is_kept_of_a_run_is_known_for_a_file_of_a_run(tmp_path):
    with pytest.raises(ValueError, match="KEPT_NAMES"):
        kept_measurement(tmp_path, "colour", {}, lambda: {"x": torch.ones(1)})


def test_whatever_happens_to_a_run_folder_is_told_in_one_line(
    trained, first_epoch, tiny, tiny_config, tmp_path, capsys
):
    statuses = {"finished", "diverged", "unfinished", "damaged", "of another version"}  # and never unreadable
    for i in range(FUZZ or 30):
        seed = random.randrange(2**32) if FUZZ else i
        rng = random.Random(seed)
        start = time.monotonic()
        base = tmp_path / str(seed)
        folder = base / "runs" / first_epoch.name
        shutil.copytree(rng.choice([trained[0], first_epoch]), folder)
        (base / "outside").write_bytes(b"of weeks")
        done = ruin(folder, rng)
        before = _bytes(folder)
        try:
            deep = [run_status(folder, deep) for deep in (False, True)]
            assert {about["status"] for about in deep} <= statuses
            assert all(main([c, *names, "--runs", str(folder.parent)]) in (0, 1) for c, names in _commands(folder))
            assert len(capsys.readouterr().out.splitlines()) == 2
            assert generate.main(["--run", str(folder), "--length", "3"]) in (0, 2)
            out, err = capsys.readouterr()
            assert (out == "") == (len(err.splitlines()) == 1) and "\x1b" not in out + err
            stored_records(folder.parent, say=silent)
            assert _bytes(folder) == before
            try:
                train_sweep([tiny_config], tiny, folder.parent, say=silent)
            except CharlmError:
                assert _bytes(folder) == before
            else:
                assert deep[1]["status"] in ("finished", "diverged", "unfinished")
                assert results(folder) == results(trained[0]) or done.startswith(("value", "tensor"))
            assert {p: p.read_bytes() for p in base.iterdir() if p.is_file()} == {base / "outside": b"of weeks"}
            assert not FUZZ or time.monotonic() < start + 20
        except BaseException:
            print(f"seed {seed}: {done}")
            raise
        shutil.rmtree(base)


def _commands(folder):
    return [("list", []), ("verify", [folder.name])]


def _bytes(folder):
    """All that the regular files of a folder hold, beside the lock."""
    files = (p for p in folder.rglob("*") if p.name != "lock" and p.is_file() and p.stat().st_size < 2**30)
    return {p: p.read_bytes() for p in files}


def spoil(path, damage):
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 4
    if damage == "delete":
        path.unlink()
    else:
        half = data[: len(data) // 2]
        bomb = pickle.dumps(Bomb())
        content = {"truncate": half, "flip": data, "empty": b"", "foreign": b'{"a": 1}', "pickle": bomb}
        path.write_bytes(content[damage])


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))
