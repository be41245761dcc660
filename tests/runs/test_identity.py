"""What a run is named by."""

import importlib
import sys
from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
import yardstick

import charlm.device
import charlm.runs.identity
import charlm_core as core
from charlm.device import resolved_config
from charlm.runs.identity import code_hash, code_of_module, run_id
from charlm_core import Config

# ---------------------------------------------------------------------------------------------------------------------
# identity


@pytest.mark.parametrize("change", [{"seed": 1}, {"cell": "rnn"}, {"epochs": 4}, {"threads": 2}])
def test_whatever_decides_the_result_changes_the_name(tiny, tiny_config, change):
    assert run_id(tiny_config, tiny) != run_id(replace(tiny_config, **change), tiny)
    assert run_id(tiny_config, tiny) != run_id(tiny_config, replace(tiny, sha256="0" * 64))


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
        hashes[name] = code_hash(__import__(f"hashed_{name}").f)
    assert hashes["plain"] == hashes["noted"] != hashes["other"]


def test_the_code_of_a_measurement_is_its_module_and_what_of_ours_that_imports_and_so_on(tmp_path, monkeypatch):
    sources = {"charlm_measures": "from charlm_words import x", "charlm_words": "import charlm_numbers\nx = 0"}
    hashes = []
    for folder, numbers in (("first", "y = 1"), ("noted", "y = 1  # one"), ("other", "y = 2")):
        (tmp_path / folder).mkdir()
        for name, source in (sources | {"charlm_numbers": numbers}).items():
            (tmp_path / folder / f"{name}.py").write_text(source)
            sys.modules.pop(name, None)
        monkeypatch.syspath_prepend(tmp_path / folder)
        importlib.import_module("charlm_measures")
        code_of_module.cache_clear()
        hashes.append(code_of_module("charlm_measures"))
    assert hashes[0] == hashes[1] != hashes[2]


TRAINING = """
count_chunks split_chunks batches CharModel initial_weights best_epoch is_finished arithmetic batch_loss evaluate
train_epoch
""".split()

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
    assert code_hash(*functions) == charlm.runs.identity.SAME_BITS[0]


def test_the_source_of_today_is_known_to_give_the_same_bits():
    assert charlm.runs.identity.training_source_hash() in charlm.runs.identity.SAME_BITS, WHY


@pytest.mark.parametrize("part", [*TRAINING, "WARM_UP", "SHIFT_STREAM", "stored_moments", "state_to_go_on_from"])
def test_every_part_of_the_training_is_in_its_source(part, monkeypatch):
    today = charlm.runs.identity.training_source_hash()
    other = 200 if part.isupper() else yardstick.CharModel
    monkeypatch.setattr(core, part, other)
    assert charlm.runs.identity.training_source_hash() != today


@pytest.mark.parametrize(
    "cell, precision, split",
    [*product(core.CELLS, core.PRECISIONS, ["shuffled"]), ("lstm", "float32", "sequential")],
)
def test_training_gives_the_bits_of_the_yardstick(tiny, tiny_config, cell, precision, split):
    if reason := charlm.device.why_untrainable(cell, "cpu", precision):
        pytest.skip(reason)
    config = resolved_config(replace(tiny_config, cell=cell, precision=precision, split=split, epochs=2))
    expected, found = trained_by(yardstick, tiny, config), trained_by(core, tiny, config)
    assert found.history == expected.history and found.diverged == expected.diverged
    for group in ("weights", "best_weights", "moments"):
        a, b = getattr(expected, group), getattr(found, group)
        assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_diverged_run_ends_at_the_same_step(tiny, tiny_config):
    config = resolved_config(replace(tiny_config, cell="rnn", learning_rate=1e38))
    expected, found = trained_by(yardstick, tiny, config), trained_by(core, tiny, config)
    assert expected.diverged is not None and found.diverged == expected.diverged


def test_a_run_has_the_name_that_it_always_had(tiny, tiny_config, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "2.13.0+cpu")
    corpus = replace(tiny, sha256="0" * 64)
    assert run_id(tiny_config, corpus) == "lstm-16-lr0.01-seed0-8039df4d6465"


def test_another_source_with_the_same_bits_leaves_the_name_as_it_is(tiny, tiny_config, monkeypatch):
    named = run_id(tiny_config, tiny)
    monkeypatch.setattr(charlm.runs.identity, "training_source_hash", lambda: "1" * 64)
    monkeypatch.setattr(charlm.runs.identity, "SAME_BITS", (*charlm.runs.identity.SAME_BITS, "1" * 64))
    charlm.runs.identity.training_code_hash.cache_clear()
    assert run_id(tiny_config, tiny) == named


def test_training_that_was_changed_for_an_experiment_has_runs_of_its_own(tiny, tiny_config, monkeypatch):
    named = run_id(tiny_config, tiny)
    monkeypatch.setattr(charlm.runs.identity, "training_source_hash", lambda: "2" * 64)
    charlm.runs.identity.training_code_hash.cache_clear()
    assert run_id(tiny_config, tiny) != named


@pytest.fixture(autouse=True)
def nothing_is_remembered():
    yield
    charlm.runs.identity.training_code_hash.cache_clear()


@dataclass(frozen=True)
class LaterConfig(Config):
    """A configuration with a field that this version does not have."""

    later: float = 0.0


def test_a_field_that_was_added_later_counts_only_away_from_its_default(tiny, tiny_config):
    named = run_id(tiny_config, tiny)
    assert run_id(LaterConfig(**vars(tiny_config)), tiny) == named
    assert run_id(LaterConfig(**vars(tiny_config), later=0.5), tiny) != named


def test_a_cell_of_ones_own_is_part_of_the_name(tiny, tiny_config, monkeypatch):
    monkeypatch.setitem(core.CELLS, "own", OwnCell)
    config = replace(tiny_config, cell="own")
    named = run_id(config, tiny)
    monkeypatch.setitem(core.CELLS, "own", OtherOwnCell)
    charlm.runs.identity.training_code_hash.cache_clear()
    assert run_id(config, tiny) != named


class OwnCell(torch.nn.RNN):
    pass


class OtherOwnCell(torch.nn.GRU):
    pass


def test_training_that_is_replaced_within_a_function_has_a_hash_of_its_own(monkeypatch):
    def train_epoch(state, corpus, config):
        raise ValueError

    today = charlm.runs.identity.training_source_hash()
    monkeypatch.setattr(core, "train_epoch", train_epoch)
    assert charlm.runs.identity.training_source_hash() != today
