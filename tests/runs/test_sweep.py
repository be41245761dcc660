"""A sweep is the same however it is made."""

import re
import shutil
from dataclasses import replace

import torch
from run_folders import begun_run, results, silent

import charlm_core as core
from charlm.runs.form import pack_state, unpack_state
from charlm.runs.identity import run_identity
from charlm.runs.sweep import train_sweep


def test_a_run_stopped_after_an_epoch_goes_on_to_the_same_bits(trained, tiny, tiny_config, tmp_path):
    run = begun_run(tiny_config, tiny, tmp_path)
    assert not run.is_finished()
    train_sweep([tiny_config], tiny, tmp_path, say=silent)
    assert results(run.folder) == results(trained[0])


def test_a_state_survives_packing_to_the_bit(tiny, tiny_config):
    state = core.train_epoch(core.initial_state(len(tiny.vocab), tiny_config), tiny, tiny_config)
    of = run_identity(tiny_config, tiny)
    again, made = unpack_state(pack_state(state, [], of), "x", of)
    assert (again.history, again.diverged, made) == (state.history, None, [])
    for name in ("weights", "best_weights", "moments"):
        a, b = getattr(state, name), getattr(again, name)
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_before_training_the_plan_says_what_is_there_and_what_is_not(trained, tiny, tiny_config, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    said: list[str] = []
    other = replace(tiny_config, seed=1, epochs=1)
    train_sweep([tiny_config, other, other], tiny, tmp_path, say=said.append)
    plan = r"tiny\.txt: 1 run to train, 1 found; at most \d+ seconds? left on this machine; 1 at a time"
    assert re.fullmatch(plan, said[0])
