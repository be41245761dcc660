"""The folder of a run: what is stored, and that nothing damaged is believed."""

import getpass
import json
import pickle
import random
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hostile import WRECKS, directory, flip, pipe, repack, rewrite, ruin
from posix_only import posix
from run_folders import begun_run, results, silent

import charlm.runs.__main__
import charlm.runs.folder
import charlm.runs.form
import charlm_core as core
import generate
from charlm.files import Damaged
from charlm.runs.files import STATE
from charlm.runs.folder import Run, kept_measurement, load_weights, run_folders, run_record, stored_records
from charlm.runs.form import pack_state, unpack_state
from charlm.runs.identity import run_identity
from charlm.runs.inventory import run_status
from charlm.runs.sweep import train_sweep
from charlm_core import CharlmError, CharModel

# ---------------------------------------------------------------------------------------------------------------------
# a finished run


def test_a_run_holds_both_weights_and_a_record_that_names_neither_host_nor_user_nor_folder(trained, tiny, tiny_config):
    folder, record = trained
    assert {p.name for p in folder.iterdir()} - {"lock"} == {"best.safetensors", "last.safetensors", "run.json"}
    assert record["epochs"] == len(record["val_loss"]) == 3
    assert record["val_loss_last"] == record["val_loss"][-1]
    assert record["val_loss_best"] == min(record["val_loss"]) == record["val_loss"][record["best_epoch"] - 1]
    assert record["parameters"] == core.count_parameters(len(tiny.vocab), tiny_config)
    text = json.dumps(record, allow_nan=False)
    assert str(folder.parent) not in text and socket.gethostname() not in text and f'"{getpass.getuser()}"' not in text


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


def test_a_state_survives_packing_to_the_bit(tiny, tiny_config):
    state = core.train_epoch(core.initial_state(len(tiny.vocab), tiny_config), tiny, tiny_config)
    of = run_identity(tiny_config, tiny)
    again, made = unpack_state(pack_state(state, [], of), "x", of)
    assert (again.history, again.diverged, made) == (state.history, None, [])
    for name in ("weights", "best_weights", "moments"):
        a, b = getattr(state, name), getattr(again, name)
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_what_a_process_left_that_was_killed_after_the_results_is_tidied(folder, tiny, tiny_config, tmp_path):
    (folder / ".half-01234567-run.json").write_bytes(b"half")
    (folder / STATE).write_bytes(b"")
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert {p.name for p in folder.iterdir()} - {"lock"} == {"best.safetensors", "last.safetensors", "run.json"}


# ---------------------------------------------------------------------------------------------------------------------
# damage


@pytest.fixture(scope="module")
def first_epoch(tiny, tiny_config, tmp_path_factory):
    """The folder of a run that has trained an epoch of three."""
    return begun_run(tiny_config, tiny, tmp_path_factory.mktemp("begun")).folder


@pytest.fixture
def begun(first_epoch, tiny, tiny_config, tmp_path):
    """A copy of it."""
    shutil.copytree(first_epoch, tmp_path / first_epoch.name)
    return Run.of(tiny_config, tiny, tmp_path)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


@pytest.mark.parametrize("name", ["run.json", "best.safetensors"])
@pytest.mark.parametrize("harm", [flip, lambda path: path.write_bytes(pickle.dumps(Bomb())), Path.unlink])
def test_a_damaged_file_is_named_and_never_believed(folder, name, harm):
    harm(folder / name)
    unfinished = not (folder / "run.json").exists()
    with pytest.raises(CharlmError, match="no finished run" if unfinished else name):
        load_weights(folder)
    assert run_status(folder, deep=True)["status"] == ("unfinished" if unfinished else "damaged")


def test_sound_weights_that_are_not_those_of_the_run_are_not_believed(folder):
    repack(folder / "best.safetensors", lambda tensors, _: tensors["head.bias"].add_(1))
    with pytest.raises(Damaged, match=r"run\.json has another checksum"):
        load_weights(folder)


def test_the_state_of_another_run_is_not_gone_on_from(begun, tiny, tiny_config, tmp_path):
    other = Run.of(replace(tiny_config, seed=1), tiny, tmp_path)
    shutil.copytree(begun.folder, other.folder)
    with pytest.raises(CharlmError, match="is of another run"):
        train_sweep([other.config], tiny, tmp_path, say=silent)


def test_a_folder_under_another_runs_name_is_not_taken_for_it(folder):
    with pytest.raises(CharlmError, match=folder.name):
        run_record(folder.rename(folder.with_name("rnn-1-seed0-000000000000")))


def test_a_measure_of_a_run_has_the_same_values_in_the_same_memory_order_when_it_is_read_again(tmp_path):
    measured = torch.arange(12.0, dtype=torch.float64).reshape(3, 4).T
    first = kept_measurement(tmp_path, "colour", {"of": 1}, lambda: {"x": measured})["x"]
    again = kept_measurement(tmp_path, "colour", {"of": 1}, lambda: pytest.fail("measured twice"))["x"]
    assert torch.equal(first, measured) and torch.equal(again, measured) and first.stride() == again.stride()


@pytest.mark.parametrize("change", ["damage", "what it depends on", "code"])
def test_a_measure_is_made_again_when_its_file_is_damaged_or_what_it_depends_on_has_changed(
    tmp_path, monkeypatch, change
):
    kept_measurement(tmp_path, "colour", {"of": 1}, lambda: {"x": torch.zeros(1)})
    if change == "damage":
        flip(tmp_path / "colour.safetensors")
    if change == "code":
        monkeypatch.setattr(charlm.runs.folder, "code_of_module", lambda name: "changed")
    of = 2 if change == "what it depends on" else 1
    assert kept_measurement(tmp_path, "colour", {"of": of}, lambda: {"x": torch.ones(1)})["x"] == 1


# ---------------------------------------------------------------------------------------------------------------------
# form: what is read is what this project writes, or is damaged


@pytest.mark.parametrize("wreck", WRECKS)
def test_a_wrecked_run_is_damaged_in_one_line_and_no_other_is(folder, tmp_path, wreck):
    sound = shutil.copytree(folder, tmp_path / "sound")
    rewrite(sound, lambda about: about.update(run_id="sound"))
    WRECKS[wreck](folder)
    found = {folder.name: run_status(folder, deep=True) for folder in run_folders(tmp_path)}
    assert (found["sound"]["status"], found[folder.name]["status"]) == ("finished", "damaged")
    problem = found[folder.name]["problem"]
    assert str(folder) in problem and len(problem) < 600 and problem.isprintable()
    with pytest.raises(Damaged):
        load_weights(folder)


@pytest.mark.parametrize(
    "wreck",
    [
        flip,
        directory,
        pytest.param(pipe, marks=posix),
        lambda path: repack(path, lambda _, about: about.pop("history")),
        lambda path: repack(path, lambda tensors, _: tensors.pop("weights/head.bias")),
        lambda path: repack(path, lambda tensors, _: tensors.update({"other/x": torch.zeros(1)})),
        lambda path: repack(path, lambda tensors, _: tensors.update({"moments/head.bias/step": torch.zeros(3)})),
    ],
)
def test_a_state_that_is_damaged_or_of_another_form_is_not_gone_on_from(begun, wreck):
    wreck(begun.folder / STATE)
    with pytest.raises(Damaged, match=r"state\.safetensors"):
        begun.load()


@pytest.mark.parametrize("config", [{"colour": "red"}, {"cell": "mine"}, {"layers": "two"}])
def test_a_sound_run_of_another_version_is_told_from_a_damaged_one(folder, tmp_path, config):
    rewrite(folder, lambda about: about["config"].update(config))
    about = run_status(folder)
    assert about["status"] == "of another version" and next(iter(config)) in about["problem"]
    assert stored_records(tmp_path, say=silent) == []


def test_a_run_whose_model_was_changed_since_is_of_another_version(folder, monkeypatch):
    monkeypatch.setattr(charlm.runs.form, "training_code_hash", lambda cell: "changed")
    monkeypatch.setitem(core.CELLS, "lstm", core.CELLS["gru"])
    assert run_status(folder, deep=True)["status"] == "of another version"


def test_a_diverged_run_is_finished_and_says_where(tiny, tiny_config, tmp_path):
    said: list[str] = []
    config = replace(tiny_config, cell="rnn", learning_rate=1e38)
    (record,) = train_sweep([config], tiny, tmp_path, say=said.append)
    assert record["status"] == "diverged" and record["diverged"]["epoch"] >= 1
    assert "DIVERGED" in said[-1] and "learning rate" in said[-1]


def test_a_run_whose_results_were_deleted_is_trained_again(folder, trained, tiny, tiny_config, tmp_path):
    (folder / "run.json").unlink()
    flip(folder / "best.safetensors")
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(folder) == results(trained[0])


def test_a_file_where_a_run_should_be_is_damaged(tmp_path):
    (tmp_path / "file").touch()
    assert run_status(tmp_path / "file")["status"] == "damaged"


def test_a_field_that_is_gone_is_read_at_the_value_that_changed_nothing(folder, trained):
    rewrite(folder, lambda about: about["config"].update(average=0.0))
    assert run_record(folder)["val_loss"] == trained[1]["val_loss"]
    load_weights(folder)
    rewrite(folder, lambda about: about["config"].update(average=0.5))
    with pytest.raises(CharlmError, match=r"another version.*average"):
        run_record(folder)


def test_whatever_happens_to_a_run_folder_is_told_in_one_line(
    trained, first_epoch, tiny, tiny_config, tmp_path, capsys, monkeypatch
):
    statuses = {"finished", "diverged", "unfinished", "damaged", "of another version"}  # and never unreadable
    for seed in range(15):
        rng = random.Random(seed)
        base = tmp_path / str(seed)
        folder = base / "runs" / first_epoch.name
        shutil.copytree(rng.choice([trained[0], first_epoch]), folder)
        (base / "outside").write_bytes(b"of weeks")
        monkeypatch.setattr(charlm.runs.__main__, "RUNS", folder.parent)
        done = ruin(folder, rng)
        before = _bytes(folder)
        deep = [run_status(folder, deep) for deep in (False, True)]
        assert {about["status"] for about in deep} <= statuses, done
        assert charlm.runs.__main__.main(["list"]) == 0
        assert charlm.runs.__main__.main(["verify", folder.name]) in (0, 1)
        assert len(capsys.readouterr().out.splitlines()) == 2, done
        assert generate.main(["--run", str(folder), "--length", "3"]) in (0, 2)
        out, err = capsys.readouterr()
        assert (out == "") == (len(err.splitlines()) == 1) and "\x1b" not in out + err, done
        stored_records(folder.parent, say=silent)
        assert _bytes(folder) == before, done
        try:
            train_sweep([tiny_config], tiny, folder.parent, say=silent)
        except CharlmError:
            assert _bytes(folder) == before, done
        else:
            assert deep[1]["status"] in ("finished", "diverged", "unfinished"), done
            assert results(folder) == results(trained[0]) or done.startswith(("value", "tensor")), done
        assert {p: p.read_bytes() for p in base.iterdir() if p.is_file()} == {base / "outside": b"of weeks"}, done


def _bytes(folder):
    """All that the regular files of a folder hold, beside the lock."""
    files = (p for p in folder.rglob("*") if p.name != "lock" and p.is_file() and p.stat().st_size < 2**30)
    return {p: p.read_bytes() for p in files}
