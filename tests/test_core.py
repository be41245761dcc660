"""The experiment: text and ids, configuration, split, model, training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import history

import charlm_core as core
from charlm_core import CharlmError, Config, State, decode, encode

# ---------------------------------------------------------------------------------------------------------------------
# configuration


def test_the_default_configuration_is_the_protocol_of_the_study():
    c = Config()
    assert (c.hidden_size, c.layers, c.learning_rate, c.batch_size) == (256, 2, 0.001, 64)
    assert (c.chunk_length, c.validation_share, c.epochs, c.patience) == (30, 0.2, 50, 5)


@pytest.mark.parametrize(
    "field, value",
    [
        ("cell", "transformer"),
        ("layers", 1.5),
        ("learning_rate", float("nan")),
        ("chunk_length", True),
        ("split_seed", "seed"),
        ("precision", "float16"),
        ("hidden_size", 10**400),
        ("learning_rate", 10**400),
        ("dropout", 1.0),
        ("weight_decay", float("inf")),
        ("schedule", "linear"),
        ("carry", True),  # of a shuffled split
        ("shift", True),  # of chunks that nothing is carried between
        *((name, high * 2) for name, (_, high) in core.RANGES.items()),
        *((name, low - 1) for name, (low, _) in core.RANGES.items()),
    ],
)
def test_a_senseless_value_is_named_with_its_field(field, value):
    with pytest.raises(CharlmError, match=field):
        Config(**{field: value})


# ---------------------------------------------------------------------------------------------------------------------
# data


def test_the_study_corpus_has_8944_chunks_and_112_training_batches():
    n = core.count_chunks(268_330, 30)
    train, validation = core.split_chunks(n, Config())
    assert n == 8944 and len(validation) == 1788
    assert -(-len(train) // 64) == 112


def test_the_split_uses_every_chunk_once_and_depends_on_the_seed_only():
    train, validation = core.split_chunks(100, Config(seed=3))
    assert sorted([*train, *validation]) == list(range(100))
    other_cell = core.split_chunks(100, Config(seed=3, cell="rnn", hidden_size=8))
    assert np.array_equal(other_cell[1], validation)
    assert not np.array_equal(core.split_chunks(100, Config(seed=4))[1], validation)


def test_a_split_seed_takes_the_place_of_the_seed_for_the_split_alone():
    train, validation = core.split_chunks(100, Config(seed=3))
    other = core.split_chunks(100, Config(seed=7, split_seed=3))
    assert np.array_equal(other[0], train) and np.array_equal(other[1], validation)
    base = Config(hidden_size=4)
    a, b, c = (core.initial_weights(5, x) for x in (base, replace(base, split_seed=9), replace(base, seed=9)))
    assert torch.equal(a["head.weight"], b["head.weight"]) and not torch.equal(a["head.weight"], c["head.weight"])


def test_a_sequential_split_keeps_the_end_of_the_text_for_validation():
    train, validation = core.split_chunks(10, Config(split="sequential"))
    assert train.tolist() == list(range(8)) and validation.tolist() == [8, 9]


@pytest.mark.parametrize("n_characters, n_chunks", [(0, 0), (30, 0), (31, 1), (61, 2)])
def test_a_chunk_needs_a_last_target(n_characters, n_chunks):
    assert core.count_chunks(n_characters, 30) == n_chunks


def test_a_corpus_without_both_kinds_of_chunk_is_too_short():
    with pytest.raises(CharlmError, match="too short"):
        core.split_chunks(4, Config())


# ---------------------------------------------------------------------------------------------------------------------
# model and training


def test_drawing_initial_weights_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    core.initial_weights(5, Config(hidden_size=4))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cell, gates", [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_parameter_count_is_that_of_the_formula(cell, gates):
    v, h = 62, 256
    layers = gates * (h * (v + h) + 2 * h) + gates * (h * 2 * h + 2 * h)
    assert core.count_parameters(v, Config(cell=cell)) == layers + v * h + v


def test_an_epoch_leaves_the_state_before_it_as_it_was(tiny, tiny_config):
    state = core.initial_state(len(tiny.vocab), tiny_config)
    first = core.train_epoch(state, tiny, tiny_config)
    copies = {k: m.clone() for k, m in first.moments.items()}
    again = core.train_epoch(state, tiny, tiny_config)
    core.train_epoch(first, tiny, tiny_config)
    assert again.history == first.history
    assert all(torch.equal(first.moments[k], copies[k]) for k in copies)


def test_training_stops_at_the_last_epoch_or_after_patience_epochs_without_a_better_loss():
    config = Config(epochs=50, patience=2)
    assert not core.is_finished(State({}, {}, history=history(3, 2, 2.5)), config)
    assert core.is_finished(State({}, {}, history=history(3, 2, 2.5, 2)), config)  # equal is not better
    assert not core.is_finished(State({}, {}, history=history(3, 2, 2.5, 1.9)), config)
    assert core.is_finished(State({}, {}, history=history(3, 2)), Config(epochs=2))


def test_the_best_epoch_is_the_earliest_with_the_lowest_validation_loss():
    assert core.best_epoch(history(3, 1, 2, 1)) == 2
    assert core.best_epoch([]) is None


def test_best_weights_are_those_of_the_best_epoch(tiny, tiny_config):
    # A learning rate this high makes a later epoch worse than an earlier one.
    config = replace(tiny_config, cell="rnn", learning_rate=0.5, epochs=8, patience=8)
    state, by_epoch = core.initial_state(len(tiny.vocab), config), {}
    while not core.is_finished(state, config):
        state = core.train_epoch(state, tiny, config)
        by_epoch[len(state.history)] = state.weights
    best = core.best_epoch(state.history)
    assert best is not None and best < len(state.history)
    assert all(torch.equal(state.best_weights[k], by_epoch[best][k]) for k in state.weights)


# ---------------------------------------------------------------------------------------------------------------------
# prompts


def test_a_prompt_is_encoded_by_its_place_in_the_vocabulary():
    assert encode("cab", "abc").tolist() == [2, 0, 1]
    assert encode("", "abc").tolist() == []
    assert decode(np.array([], int), "abc") == ""


def test_a_prompt_outside_the_vocabulary_names_character_and_position():
    with pytest.raises(CharlmError, match=r"prompt: .* of 3 characters: 'é' \(U\+00E9\) at position 3, '😀'"):
        encode("abéé😀", "abc")
    with pytest.raises(CharlmError, match=r"'5' \(U\+0035\) at position 5 and 4 more"):
        encode("123456789123", "abc")
    with pytest.raises(CharlmError, match=r"'\\udce9' \(U\+DCE9\) at position 1"):  # of a command line that is no UTF-8
        encode("\udce9", "abc")
