"""A sweep is the same however it is made."""

import re
from dataclasses import replace

import torch
from run_folders import results, silent

import charlm.runs.sweep
import charlm_core as core
from charlm.runs.files import pack_state, unpack_state
from charlm.runs.folder import Run
from charlm.runs.identity import run_identity
from charlm.runs.sweep import Plan, sweep_plan, train_sweep

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


def test_one_worker_and_two_workers_give_the_same_bits(trained, tiny, tiny_config, tmp_path):
    configs = [replace(tiny_config, cell=cell, epochs=2) for cell in ("rnn", "gru")] + [tiny_config]
    one = train_sweep(configs, tiny, tmp_path / "one", workers=1, say=silent)
    two = train_sweep(configs, tiny, tmp_path / "two", workers=2, say=silent)
    for a, b in zip(one, two, strict=True):
        assert results(tmp_path / "one" / a["run_id"]) == results(tmp_path / "two" / b["run_id"])
    assert results(tmp_path / "two" / trained[0].name) == results(trained[0])


# ---------------------------------------------------------------------------------------------------------------------
# the plan


def test_the_plan_counts_what_is_there_and_what_is_not(trained, tiny, tiny_config):
    configs = [tiny_config, replace(tiny_config, seed=1), replace(tiny_config, seed=1)]
    plan = sweep_plan(configs, tiny, trained[0].parent)
    assert (len(plan.courses), plan.found) == (1, 1)
    assert plan.most > 0 and plan.megabytes > 0
    assert sweep_plan([tiny_config], tiny, trained[0].parent) == Plan({}, 1, 0, 0, 0)


def test_before_training_the_plan_is_said(tiny, tiny_config, tmp_path):
    said: list[str] = []
    train_sweep([tiny_config], tiny, tmp_path, say=said.append)
    assert re.match(r"tiny\.txt: 1 run to train, 0 found; about \d+ seconds? on this machine, 0 MB in ", said[0])
    assert said[1] == "training 1 run, 1 at a time"
