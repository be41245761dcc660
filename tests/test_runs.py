"""Runs: what names them, what is stored, that nothing damaged is believed, that a sweep is the same however it is made."""

import json
import pickle
import shutil
from dataclasses import replace

import pytest
import torch

import charlm_core as core
import charlm_runs as runs
from charlm_corpus import CharlmError
from charlm_runs import Run


def silent(line):
    pass


def results(folder):
    """What two equal runs must share to the bit."""
    return [(folder / f"{name}.safetensors").read_bytes() for name in ("best", "last")] + [runs.read(folder)["history"]]


# ---------------------------------------------------------------------------------------------------------------------
# identity


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"cell": "rnn"}, {"learning_rate": 0.02}, {"epochs": 4}, {"threads": 2}]
)
def test_whatever_decides_the_result_changes_the_name(tiny, tiny_config, change):
    assert runs.run_id(tiny_config, tiny) != runs.run_id(replace(tiny_config, **change), tiny)


def test_the_corpus_changes_the_name(tiny, tiny_config):
    assert runs.run_id(tiny_config, tiny) != runs.run_id(tiny_config, replace(tiny, sha256="0" * 64))


def test_comments_and_docstrings_do_not_change_the_code_hash_and_code_does(tmp_path, monkeypatch):
    bodies = {
        "plain": "def f(x):\n    return x + 1\n",
        "noted": 'def f(x):\n    """Adds."""\n    # one\n    return x + 1\n',
        "other": "def f(x):\n    return x + 2\n",
    }
    monkeypatch.syspath_prepend(tmp_path)
    hashes = {}
    for name, body in bodies.items():
        (tmp_path / f"hashed_{name}.py").write_text(body)
        hashes[name] = runs.code_hash(__import__(f"hashed_{name}").f)
    assert hashes["plain"] == hashes["noted"] != hashes["other"]


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
        weights, config, vocab = runs.weights(folder, which)
        model = core.CharModel(len(vocab), config)
        model.load_state_dict(weights)
        n = core.count_chunks(len(tiny.ids), config.chunk_length)
        with core.arithmetic(config):
            loss = core.evaluate(model, tiny.ids, core.split_chunks(n, config)[1], config)
        assert loss == record[f"val_loss_{which}"]


def test_a_finished_run_is_not_trained_again(trained, tiny, tiny_config, monkeypatch):
    monkeypatch.setattr(core, "train_epoch", None)
    said = []
    assert runs.sweep([tiny_config], tiny, trained[0].parent, say=said.append) == [trained[1]]
    assert said == []


def test_what_a_process_left_that_was_killed_after_the_results_is_tidied(trained, tiny, tiny_config, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    (folder / ".half-1").mkdir()
    (folder / ".half-1" / "run.json").write_bytes(b"half")
    (folder / runs.STATE).write_bytes(b"")
    runs.sweep([tiny_config], tiny, tmp_path, say=silent)
    assert sorted(p.name for p in folder.iterdir() if p.name != "lock") == [
        "best.safetensors",
        "last.safetensors",
        "run.json",
    ]


def test_the_best_run_has_the_lowest_validation_loss(trained, tiny, tiny_config, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    (worse,) = runs.sweep([replace(tiny_config, epochs=1)], tiny, tmp_path, say=silent)
    assert worse["val_loss_best"] > trained[1]["val_loss_best"]
    assert runs.best(runs.stored(tmp_path)) == trained[1]


def test_without_a_trained_run_the_error_says_how_to_make_one(tmp_path):
    with pytest.raises(CharlmError, match=r"no trained run.*make report"):
        runs.best(runs.stored(tmp_path))


def test_a_diverged_run_is_finished_and_says_where(tiny, tiny_config, tmp_path):
    said = []
    config = replace(tiny_config, cell="rnn", learning_rate=1e38)
    (record,) = runs.sweep([config], tiny, tmp_path, say=said.append)
    assert record["status"] == "diverged" and record["diverged"]["epoch"] >= 1
    assert "DIVERGED" in said[-1] and "learning rate" in said[-1]
    json.dumps(record, allow_nan=False)


# ---------------------------------------------------------------------------------------------------------------------
# the same bits, however it is made


def test_two_runs_of_one_configuration_are_equal_to_the_bit(trained, tiny, tiny_config, tmp_path):
    runs.sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(tmp_path / trained[0].name) == results(trained[0])


def test_a_run_stopped_after_an_epoch_goes_on_to_the_same_bits(trained, tiny, tiny_config, tmp_path):
    run = Run.of(tiny_config, tiny, tmp_path)
    run.save(runs.advance(run.load(), run.config, tiny))
    assert not run.is_finished()
    runs.sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(run.folder) == results(trained[0])


def test_a_state_survives_packing_to_the_bit(tiny, tiny_config):
    state = core.train_epoch(core.initial_state(len(tiny.vocab), tiny_config), tiny, tiny_config)
    of = runs.identity(tiny_config, tiny)
    again, made = runs.unpack_state(runs.pack_state(state, [{"seconds": 1.5}], of), "x", of)
    assert (again.history, again.diverged, made) == (state.history, None, [{"seconds": 1.5}])
    for name in ("weights", "best_weights", "moments"):
        a, b = getattr(state, name), getattr(again, name)
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_one_worker_and_two_workers_give_the_same_bits(trained, tiny, tiny_config, tmp_path):
    configs = [replace(tiny_config, cell=cell, epochs=2) for cell in ("rnn", "gru")] + [tiny_config]
    one = runs.sweep(configs, tiny, tmp_path / "one", workers=1, say=silent)
    two = runs.sweep(configs, tiny, tmp_path / "two", workers=2, say=silent)
    for a, b in zip(one, two, strict=True):
        assert results(tmp_path / "one" / a["run_id"]) == results(tmp_path / "two" / b["run_id"])
    assert results(tmp_path / "two" / trained[0].name) == results(trained[0])


# ---------------------------------------------------------------------------------------------------------------------
# the plan


def test_the_plan_counts_what_is_there_and_what_is_not(trained, tiny, tiny_config):
    configs = [tiny_config, replace(tiny_config, seed=1), replace(tiny_config, seed=1)]
    plan = runs.plan(configs, tiny, trained[0].parent)
    assert (plan["train"], plan["found"]) == (1, 1)
    assert plan["minutes"] > 0 and plan["megabytes"] > 0
    assert runs.plan([tiny_config], tiny, trained[0].parent) == {"train": 0, "found": 1, "minutes": 0, "megabytes": 0}


# ---------------------------------------------------------------------------------------------------------------------
# damage


@pytest.mark.parametrize("name", ["run.json", "best.safetensors", "last.safetensors"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign", "pickle", "delete"])
def test_a_damaged_file_is_named_and_never_believed(trained, tmp_path, name, damage):
    folder = tmp_path / trained[0].name
    shutil.copytree(trained[0], folder)
    spoil(folder / name, damage)
    with pytest.raises(CharlmError, match="no finished run" if (name, damage) == ("run.json", "delete") else name):
        runs.weights(folder, name.partition(".")[0] if "safetensors" in name else "best")
    deep = runs.status(folder, deep=True)["status"]
    assert deep == ("unfinished" if (name, damage) == ("run.json", "delete") else "damaged")


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "foreign", "pickle", "delete"])
def test_a_damaged_state_is_named_and_not_gone_on_from(trained, tiny, tiny_config, tmp_path, damage):
    run = Run.of(tiny_config, tiny, tmp_path)
    run.save(runs.advance(run.load(), run.config, tiny))
    spoil(run.folder / runs.STATE, damage)
    if damage == "delete":  # nothing to go on from: from the start
        runs.sweep([tiny_config], tiny, tmp_path, say=silent)
        assert results(run.folder) == results(trained[0])
        return
    with pytest.raises(CharlmError, match=r"state\.safetensors"):
        runs.sweep([tiny_config], tiny, tmp_path, say=silent)


@pytest.mark.parametrize("where", [0, 4, 9, 100, 300, -200, -5])
def test_a_flipped_bit_anywhere_in_a_state_is_found(tiny, tiny_config, tmp_path, where):
    run = Run.of(tiny_config, tiny, tmp_path)
    data = bytearray(run.load())
    data[where] ^= 1
    with pytest.raises(CharlmError, match="it"):
        runs.unpack_state(bytes(data), "it", run.identity)


def test_the_state_of_another_run_is_not_gone_on_from(tiny, tiny_config, tmp_path):
    run, other = (Run.of(replace(tiny_config, seed=s), tiny, tmp_path) for s in (0, 1))
    other.save(runs.advance(other.load(), other.config, tiny))
    run.folder.mkdir()
    shutil.copy(other.folder / runs.STATE, run.folder)
    with pytest.raises(CharlmError, match="is of another run"):
        runs.sweep([tiny_config], tiny, tmp_path, say=silent)


def test_a_run_whose_results_were_deleted_is_trained_again(trained, tiny, tiny_config, tmp_path):
    folder = tmp_path / trained[0].name
    shutil.copytree(trained[0], folder)
    (folder / "run.json").unlink()
    spoil(folder / "best.safetensors", "flip")
    runs.sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(folder) == results(trained[0])


def test_a_folder_under_another_runs_name_is_not_taken_for_it(trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / "rnn-1-seed0-000000000000")
    with pytest.raises(CharlmError, match=trained[0].name):
        runs.record(tmp_path / "rnn-1-seed0-000000000000")


def test_a_measure_of_a_run_has_the_same_values_in_the_same_memory_order_when_it_is_read_again(tmp_path):
    measured = torch.arange(12.0, dtype=torch.float64).reshape(3, 4).T
    first = runs.kept(tmp_path, "meaning", {"code": "a"}, lambda: {"x": measured})["x"]
    again = runs.kept(tmp_path, "meaning", {"code": "a"}, lambda: pytest.fail("measured twice"))["x"]
    assert torch.equal(first, measured) and torch.equal(again, measured) and first.stride() == again.stride()


@pytest.mark.parametrize("change", ["flip", "code"])
def test_a_measure_is_made_again_when_its_file_is_damaged_or_its_code_has_changed(tmp_path, change):
    runs.kept(tmp_path, "meaning", {"code": "a"}, lambda: {"x": torch.zeros(1)})
    if change == "flip":
        spoil(tmp_path / "meaning.safetensors", "flip")
    code = "b" if change == "code" else "a"
    assert runs.kept(tmp_path, "meaning", {"code": code}, lambda: {"x": torch.ones(1)})["x"] == 1


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
