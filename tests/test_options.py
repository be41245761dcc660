"""What goes beyond the study: each option does what it says, is off by default, and survives being stopped."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from run_folders import begun_run, silent

import charlm_core as core
from charlm.runs.folder import load_weights, without_embedding
from charlm.runs.identity import decisive_fields, run_id
from charlm.runs.sweep import train_sweep
from charlm.sampling import Stepper
from charlm_core import CharlmError, CharModel, Config

OPTIONS: dict[str, dict] = {
    "embedding": {"embedding": 8},
    "dropout": {"dropout": 0.5},
    "weight decay": {"weight_decay": 0.1},
    "schedule": {"schedule": "cosine"},
    "clip": {"clip": 0.1},
    "carry": {"carry": True, "split": "sequential"},
    "shift": {"shift": True, "carry": True, "split": "sequential"},
    "forget": {"forget": 0.3, "carry": True, "split": "sequential"},
    "more text": {"characters": 5000, "validation_characters": 3000},
    "cut": {"cut": 4000, "split": "sequential"},
}
ALL = "all at once"
OPTIONS[ALL] = {k: v for option in OPTIONS.values() for k, v in option.items() if "characters" not in k}


def trained(corpus, config, epochs):
    """States after each of so many epochs, in one go."""
    states = [core.initial_state(len(corpus.vocab), config)]
    for _ in range(epochs):
        states.append(core.train_epoch(states[-1], corpus, config))
    return states[1:]


@pytest.mark.parametrize(
    "cell, option", [("lstm", "dropout"), ("lstm", "more text"), ("lstm", ALL), ("rnn", ALL), ("gru", ALL)]
)
def test_a_run_with_the_option_that_was_stopped_goes_on_to_the_same_bits(tiny, tiny_config, tmp_path, cell, option):
    run = begun_run(replace(tiny_config, cell=cell, epochs=2, **OPTIONS[option]), tiny, tmp_path)
    (record,) = train_sweep([run.config], tiny, tmp_path, workers=1, say=silent)
    whole = trained(tiny, run.config, 2)[-1]
    assert record["val_loss"] == [row["val_loss"] for row in whole.history]
    last, _, _ = load_weights(run.folder, "last")
    expected, _ = without_embedding(whole.weights, run.config)
    assert last.keys() == expected.keys() and all(torch.equal(last[name], expected[name]) for name in expected)


@pytest.fixture(scope="module")
def plain(tiny, tiny_config):
    """The weights of an epoch without any option."""
    return trained(tiny, tiny_config, 1)[0].weights


@pytest.mark.parametrize("option", OPTIONS)
def test_the_option_changes_what_is_learnt_and_the_name(plain, tiny, tiny_config, option):
    config = replace(tiny_config, **OPTIONS[option])
    assert run_id(config, tiny) != run_id(tiny_config, tiny)
    weights = trained(tiny, config, 1)[0].weights
    assert not all(torch.equal(plain[name], weights[name]) for name in plain)


def test_every_option_at_its_default_is_the_plain_configuration():
    added = {name for option in OPTIONS.values() for name in option} - {"split"}
    first = decisive_fields(Config())
    assert added.isdisjoint(first) and added | set(first) == set(vars(Config()))


# ---------------------------------------------------------------------------------------------------------------------
# embedding


@pytest.mark.parametrize("cell", core.CELLS)
def test_a_network_with_an_embedding_is_read_as_the_same_function_of_one_hot_characters(tiny, tiny_config, cell):
    config = replace(tiny_config, cell=cell, embedding=8)
    weights = core.initial_weights(len(tiny.vocab), config)
    read, without = without_embedding(weights, config)
    assert without.embedding == 0 and read["rnn.weight_ih_l0"].shape[1] == len(tiny.vocab)
    losses = [evaluated(weights, tiny, config), evaluated(read, tiny, without)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)


def evaluated(weights, corpus, config):
    """The loss on validation text."""
    model = CharModel(len(corpus.vocab), config)
    model.load_state_dict(weights)
    _, validation = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    with core.arithmetic(config):
        return core.evaluate(model, corpus.ids, validation, config)


def test_text_is_not_written_from_weights_with_an_embedding(tiny, tiny_config):
    config = replace(tiny_config, embedding=8)
    with pytest.raises(CharlmError, match=r"embedding = 8: .*load_weights"):
        Stepper(core.initial_weights(len(tiny.vocab), config), config)


# ---------------------------------------------------------------------------------------------------------------------
# dropout, schedule, clip


def test_dropout_is_off_when_a_loss_is_measured(tiny, tiny_config):
    config = replace(tiny_config, dropout=0.5)
    state = trained(tiny, config, 1)[0]
    losses = [evaluated(state.weights, tiny, config) for _ in range(2)]
    assert losses == [state.history[-1]["val_loss"]] * 2


def test_every_epoch_drops_other_units(tiny, tiny_config):
    still = replace(
        tiny_config, split="sequential", carry=True, learning_rate=1e-38
    )  # order and weights stay as they are
    for dropout, losses in ((0.0, 1), (0.5, 2)):
        history = trained(tiny, replace(still, dropout=dropout), 2)[-1].history
        assert len({row["train_loss"] for row in history}) == losses


def test_the_cosine_rises_for_100_steps_and_ends_at_zero():
    config = Config(learning_rate=0.01, schedule="cosine")
    rates = [core.learning_rate(step, 1000, config) for step in range(1, 1001)]
    assert rates[0] == pytest.approx(0.0001, rel=1e-3)
    assert max(rates) == pytest.approx(0.01, rel=0.03) and 90 < int(np.argmax(rates)) < 105
    assert rates[499] == pytest.approx(0.005, rel=1e-3) and rates[-1] == pytest.approx(0, abs=1e-9)
    assert core.learning_rate(1, 1000, Config()) == core.learning_rate(999, 1000, Config()) == 0.001


def test_clipping_bounds_the_norm_of_the_gradient(tiny, tiny_config, monkeypatch):
    norms = []

    def noted(self, *args, **kwargs):
        gradients = [p.grad for group in self.param_groups for p in group["params"]]
        norms.append(float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))))

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    core.train_epoch(core.initial_state(len(tiny.vocab), tiny_config), tiny, replace(tiny_config, clip=0.01))
    assert norms and max(norms) <= 0.01 * 1.001


# ---------------------------------------------------------------------------------------------------------------------
# the text: streams, more of it, a cut


def test_streams_run_through_the_text_side_by_side():
    config = Config(carry=True, split="sequential", batch_size=3)
    assert core.chunk_order(np.arange(11), 1, config).reshape(-1, 3).tolist() == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_carrying_lowers_the_training_loss_of_short_windows(tiny, tiny_config):
    plain = replace(tiny_config, split="sequential", chunk_length=3, batch_size=8)
    a, b = (trained(tiny, config, 2)[-1] for config in (plain, replace(plain, carry=True)))
    assert b.history[-1]["train_loss"] < a.history[-1]["train_loss"] - 0.05


def test_a_shift_begins_every_window_of_an_epoch_so_many_characters_later_and_is_new_for_each():
    config = Config(carry=True, shift=True, split="sequential", chunk_length=7, batch_size=2, seed=1, device="cpu")
    ids = np.arange(100, dtype=np.uint8)  # each character is its own position
    train = np.arange(9)
    met = []
    for epoch in range(1, 21):
        shift = core.window_shift(epoch, config)
        windows = list(core.batches(ids, core.chunk_order(train, epoch, config), config, shift))
        assert [inputs[0].tolist() for inputs, _ in windows] == [[7 * i + shift, 7 * (i + 4) + shift] for i in range(4)]
        met.append(shift)
    assert min(met) == 0 and max(met) == 6
    assert met != [core.window_shift(epoch, replace(config, seed=2)) for epoch in range(1, 21)]


@pytest.mark.parametrize("n_train", [8, 9, 10])
def test_no_shift_takes_training_beyond_its_text(n_train):
    config = Config(carry=True, shift=True, split="sequential", chunk_length=7, batch_size=2, device="cpu")
    ids = np.arange(100, dtype=np.uint8)
    order = core.chunk_order(np.arange(n_train), 1, config)
    last = max(int(targets.max()) for _, targets in core.batches(ids, order, config, shift=6))
    assert last <= 7 * n_train


def test_forgotten_streams_begin_again_from_zero_and_the_others_go_on():
    after = torch.arange(1.0, 25.0, requires_grad=True).reshape(2, 3, 4)  # (layers, batch, hidden)
    found = core.state_to_go_on_from((after, 2 * after), torch.tensor([False, True, False]))
    assert isinstance(found, tuple)
    for part, before in zip(found, (after, 2 * after), strict=True):
        assert torch.equal(part[:, [0, 2]], before[:, [0, 2]]) and not part[:, 1].any()
        assert not part.requires_grad


def test_about_the_asked_share_of_windows_begins_from_zero(tiny, tiny_config, monkeypatch):
    shares = []

    def noted(after, forgotten):
        shares.append(forgotten.float().mean().item())
        return real(after, forgotten)

    real = core.state_to_go_on_from
    monkeypatch.setattr(core, "state_to_go_on_from", noted)
    config = replace(tiny_config, split="sequential", carry=True, forget=0.25, chunk_length=2, batch_size=8)
    core.train_epoch(core.initial_state(len(tiny.vocab), config), tiny, config)
    assert len(shares) > 50 and np.mean(shares) == pytest.approx(0.25, abs=0.08)


def test_shifted_windows_need_training_text_in_one_piece():
    with pytest.raises(CharlmError, match="validation_characters"):
        Config(carry=True, shift=True, split="sequential", validation_characters=1000)


def test_more_text_is_for_training_alone_and_leaves_validation_as_it_was():
    few = Config(seed=3)
    more = replace(few, characters=90_000, validation_characters=30_000)
    train, validation = core.split_chunks(core.count_chunks(30_000, 30), few)
    larger, same = core.split_chunks(core.count_chunks(10**6, 30), more)
    assert np.array_equal(same, validation)
    assert np.array_equal(larger[: len(train)], train)
    assert larger[len(train) :].tolist() == list(range(999, core.count_chunks(90_000, 30)))


def test_no_character_beyond_the_cut_is_trained_on_and_none_before_it_is_validated_on():
    config = Config(split="sequential", cut=1000, chunk_length=30)
    train, validation = core.split_chunks(core.count_chunks(2000, 30), config)
    assert train[-1] * 30 + 30 < 1000 <= train[-1] * 30 + 60  # the last target is before the cut
    assert validation[0] * 30 >= 1000 > validation[0] * 30 - 30
    assert validation[-1] == core.count_chunks(2000, 30) - 1


def test_a_text_that_is_too_short_for_the_streams_is_an_error():
    with pytest.raises(CharlmError, match=r"carry = True: 63 training chunks.*64 streams"):
        core.chunk_order(np.arange(63), 1, Config(carry=True, split="sequential"))
