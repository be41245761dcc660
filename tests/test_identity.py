"""A run keeps its name while its training gives the same bits, and gets another as soon as it may not."""

from dataclasses import dataclass, replace

import pytest
import torch
import yardstick

import charlm_core as core
import charlm_runs as runs

TRAINING = "count_chunks split_chunks batches CharModel initial_weights best_epoch is_finished arithmetic batch_loss"
TRAINING = [*TRAINING.split(), "evaluate", "train_epoch"]

WHY = (
    "the source of the training is another than those known to give the same bits. Where the comparison with the yardstick"
    " passes, add its hash to SAME_BITS; where it must not pass, this test may fail: the runs get names of their own"
)


def trained_by(module, corpus, config):
    """The state at the end of training with the functions of a module."""
    state = module.initial_state(len(corpus.vocab), config)
    while not module.is_finished(state, config):
        state = module.train_epoch(state, corpus, config)
    return state


def test_the_yardstick_is_the_source_that_runs_are_named_by():
    functions = [getattr(yardstick, name) for name in TRAINING]
    assert runs.code_hash(*functions) == runs.SAME_BITS[0]


def test_the_source_of_today_is_known_to_give_the_same_bits():
    assert runs.training_source_hash() in runs.SAME_BITS, WHY


@pytest.mark.parametrize("precision", core.PRECISIONS)
@pytest.mark.parametrize("cell", core.CELLS)
@pytest.mark.parametrize("split", core.SPLITS)
def test_training_gives_the_bits_of_the_yardstick(tiny, tiny_config, cell, precision, split):
    if reason := core.why_not(cell, "cpu", precision):
        pytest.skip(reason)
    config = replace(tiny_config, cell=cell, precision=precision, split=split, epochs=2).resolve()
    expected, found = trained_by(yardstick, tiny, config), trained_by(core, tiny, config)
    assert found.history == expected.history and found.diverged == expected.diverged
    for group in ("weights", "best_weights", "moments"):
        a, b = getattr(expected, group), getattr(found, group)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_diverged_run_ends_at_the_same_step(tiny, tiny_config):
    config = replace(tiny_config, cell="rnn", learning_rate=1e38).resolve()
    expected, found = trained_by(yardstick, tiny, config), trained_by(core, tiny, config)
    assert expected.diverged is not None and found.diverged == expected.diverged


def test_a_run_has_the_name_that_it_always_had(tiny, tiny_config, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    corpus = replace(tiny, sha256="0" * 64)
    assert runs.run_id(tiny_config, corpus) == "lstm-16-lr0.01-seed0-8039df4d6465"


def test_another_source_with_the_same_bits_leaves_the_name_as_it_is(tiny, tiny_config, monkeypatch):
    named = runs.run_id(tiny_config, tiny)
    monkeypatch.setattr(runs, "training_source_hash", lambda: "1" * 64)
    monkeypatch.setattr(runs, "SAME_BITS", (*runs.SAME_BITS, "1" * 64))
    runs.training_code_hash.cache_clear()
    assert runs.run_id(tiny_config, tiny) == named


def test_training_that_was_changed_for_an_experiment_has_runs_of_its_own(tiny, tiny_config, monkeypatch):
    named = runs.run_id(tiny_config, tiny)
    monkeypatch.setattr(runs, "training_source_hash", lambda: "2" * 64)
    runs.training_code_hash.cache_clear()
    assert runs.run_id(tiny_config, tiny) != named


@pytest.fixture(autouse=True)
def nothing_is_remembered():
    yield
    runs.training_code_hash.cache_clear()


@dataclass(frozen=True)
class LaterConfig(core.Config):
    """A configuration with a field that this version does not have."""

    later: float = 0.0


def test_a_field_that_was_added_later_counts_only_away_from_its_default(tiny, tiny_config):
    named = runs.run_id(tiny_config, tiny)
    assert runs.run_id(LaterConfig(**vars(tiny_config)), tiny) == named
    assert runs.run_id(LaterConfig(**vars(tiny_config), later=0.5), tiny) != named


def test_a_cell_of_ones_own_is_part_of_the_name(tiny, tiny_config, monkeypatch):
    monkeypatch.setitem(core.CELLS, "own", OwnCell)
    config = replace(tiny_config, cell="own")
    named = runs.run_id(config, tiny)
    monkeypatch.setitem(core.CELLS, "own", OtherOwnCell)
    runs.training_code_hash.cache_clear()
    assert runs.run_id(config, tiny) != named


class OwnCell(torch.nn.RNN):
    pass


class OtherOwnCell(torch.nn.GRU):
    pass
