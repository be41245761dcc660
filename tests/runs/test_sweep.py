"""A sweep is the same however it is made."""

import re
import shutil
import threading
from dataclasses import replace

import torch
from run_folders import results, silent

import charlm.runs.sweep
import charlm_core as core
from charlm.runs.files import pack_state, unpack_state
from charlm.runs.folder import Run
from charlm.runs.identity import run_identity
from charlm.runs.progress import Progress
from charlm.runs.sweep import train_sweep

# ---------------------------------------------------------------------------------------------------------------------
# the same bits, however it is made


def test_two_runs_of_one_configuration_are_equal_to_the_bit(trained, tiny, tiny_config, tmp_path):
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(tmp_path / trained[0].name) == results(trained[0])


def test_a_run_stopped_after_an_epoch_goes_on_to_the_same_bits(trained, tiny, tiny_config, tmp_path):
    run = Run.of(tiny_config, tiny, tmp_path)
    run.save(charlm.runs.sweep.train_one_epoch(run.load(), run.config, tiny))
    assert not run.is_finished()
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(run.folder) == results(trained[0])


def test_a_state_survives_packing_to_the_bit(tiny, tiny_config):
    state = core.train_epoch(core.initial_state(len(tiny.vocab), tiny_config), tiny, tiny_config)
    of = run_identity(tiny_config, tiny)
    again, made = unpack_state(pack_state(state, [{"seconds": 1.5}], of), "x", of)
    assert (again.history, again.diverged, made) == (state.history, None, [{"seconds": 1.5}])
    for name in ("weights", "best_weights", "moments"):
        a, b = getattr(state, name), getattr(again, name)
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_one_worker_and_two_workers_give_the_same_bits_and_tell_their_steps(
    trained, tiny, tiny_config, tmp_path, monkeypatch
):
    configs = [replace(tiny_config, cell="rnn", epochs=2), tiny_config]
    names = {Run.of(config, tiny).name for config in configs}
    for workers in (1, 2):
        heard: set[str] = set()
        first = threading.Event()

        def tell_step(self, name, step, heard=heard, first=first):
            heard.add(name)
            first.set()

        monkeypatch.setattr(Progress, "tell_step", tell_step)
        train_sweep(configs, tiny, tmp_path / str(workers), workers, say=silent)
        assert first.wait(10) and heard <= names
    for name in names:
        assert results(tmp_path / "1" / name) == results(tmp_path / "2" / name)
    assert results(tmp_path / "2" / trained[0].name) == results(trained[0])


# ---------------------------------------------------------------------------------------------------------------------
# the plan


def test_before_training_the_plan_says_what_is_there_and_what_is_not(trained, tiny, tiny_config, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    said: list[str] = []
    other = replace(tiny_config, seed=1, epochs=1)
    train_sweep([tiny_config, other, other], tiny, tmp_path, say=said.append)
    plan = r"tiny\.txt: 1 run to train, 1 found; about \d+ seconds? on this machine, 0 MB in .+; 1 at a time"
    assert re.fullmatch(plan, said[0])
