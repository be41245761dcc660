"""How far back a gradient reaches: norms that can be worked out by hand."""

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from gradient_curves import decay
from run_folders import put_zeros
from synthetic import make_record

import charlm_core as core
from charlm.gradients import measures
from charlm.gradients.measures import CHARACTERS, FAR, KEPT_CURVES, LONG
from charlm.records import check_alike
from charlm.runs.folder import load_weights
from charlm_core import CharModel, Config

V = 3  # characters of the vocabulary
TEXT = np.random.default_rng(0).integers(V, size=(26, 4))  # windows of 25 characters and the one after: (time, windows)


def model(cell="rnn", layers=1, hidden_size=1, **given) -> tuple[dict[str, torch.Tensor], Config]:
    """Configuration and weights of a tiny model, all weights zero but those given by name, rnn.weight_hh_l0 as w_hh."""
    config = Config(cell=cell, layers=layers, hidden_size=hidden_size)
    weights = {name: torch.zeros_like(w) for name, w in CharModel(V, config).state_dict().items()}
    names = {"w_ih": "rnn.weight_ih_l0", "w_hh": "rnn.weight_hh_l0", "b_ih": "rnn.bias_ih_l0", "head": "head.weight"}
    for name, values in given.items():
        weights[names[name]] = torch.tensor(values, dtype=torch.float32)
    return weights, config


# ---------------------------------------------------------------------------------------------------------------------
# norms


@pytest.mark.parametrize("w", [-0.9, 1.3])
def test_the_norms_of_a_one_unit_rnn_are_the_product_in_closed_form(w):
    u, v = np.array([0.3, -0.8, 0.5]), np.array([1.0, -2.0, 0.5])
    norms = measures.norms(*model(w_ih=[u.tolist()], w_hh=[[w]], head=v[:, None].tolist()), TEXT)
    for column in range(TEXT.shape[1]):
        h, slopes = 0.0, []
        for i in TEXT[:-1, column]:
            h = math.tanh(u[i] + w * h)
            slopes.append(1 - h * h)
        p = np.exp(v * h) / np.exp(v * h).sum()
        at_state = abs((p - np.eye(V)[TEXT[-1, column]]) @ v)  # |dL/dh_n|
        for k in range(25):
            by_hand = at_state * abs(w) ** k * math.prod(slopes[24 - k :]) * np.linalg.norm(u)
            assert norms[k, column] == pytest.approx(by_hand, rel=1e-4)


def test_an_lstm_with_an_open_forget_gate_carries_the_gradient_without_loss():
    # Gates in PyTorch's order: input, forget, cell, output. Only the cell gate sees the character.
    w_ih = [[0, 0, 0], [0, 0, 0], [0.02, 0.02, 0.02], [0, 0, 0]]
    norms = measures.norms(*model("lstm", w_ih=w_ih, b_ih=[0, 50, 0, 50], head=[[1], [-2], [0.5]]), TEXT)
    assert (norms[0] > 0).all()
    assert norms == pytest.approx(np.tile(norms[0], (25, 1)), rel=1e-4)


def test_norms_too_small_to_square_in_float32_are_still_there():
    norms = measures.norms(*model(w_ih=[[1e-3, 0, 0]], w_hh=[[0.1]], head=[[1], [-2], [0.5]]), TEXT)
    assert (norms[23] > 0).all()
    assert norms[23].max() < 1e-23


# ---------------------------------------------------------------------------------------------------------------------
# windows and curves


def test_a_longer_window_ends_where_a_validation_chunk_ends():
    corpus = SimpleNamespace(ids=np.arange(300))
    config = Config(chunk_length=10)
    _, chunks = core.split_chunks(29, config)
    ids = measures.windows(corpus, config, 25)
    assert (np.diff(ids, axis=0) == 1).all()
    assert ids[-1].tolist() == [10 * c + 10 for c in chunks if 10 * c + 10 >= 25]


def test_no_more_than_a_set_number_of_characters_is_read():
    corpus = SimpleNamespace(ids=np.zeros(100_000, np.int64))
    for length in (30, 100):
        assert measures.windows(corpus, Config(), length).shape == (length + 1, CHARACTERS // length)


def test_the_long_window_fits_the_shortest_of_texts():
    long, short = (SimpleNamespace(ids=np.zeros(n, np.int64)) for n in (100_000, 30 * 6 + 1))
    configs = [Config(seed=seed) for seed in range(5)]
    assert measures.longest_window(configs, long) == LONG
    length = measures.longest_window(configs, short)
    assert 30 <= length <= 100
    for config in configs:
        assert measures.windows(short, config, length).shape[1] >= 1


def test_before_training_the_gradient_is_the_median_over_windows_with_the_initial_weights(tiny):
    configs = [Config(cell=c, hidden_size=4, seed=s) for c in ("gru", "rnn") for s in (0, 1)]
    records = measures.before_training(configs, tiny)
    check_alike(records)
    assert [(r["cell"], r["seed"]) for r in records] == [("gru", 0), ("gru", 1), ("rnn", 0), ("rnn", 1)]
    weights = core.initial_weights(len(tiny.vocab), configs[0])
    by_hand = np.median(measures.norms(weights, configs[0], measures.windows(tiny, configs[0], 30)), axis=1)
    assert records[0]["gradient"] == by_hand.tolist()


def test_the_curves_of_runs_are_kept(trained, folder, tiny):
    _, record = trained
    diverged = make_record("rnn", diverged=True)
    kept = measures.with_gradient_curves([record, diverged], tiny, folder.parent)
    assert kept[1] == diverged
    weights, config, _ = load_weights(folder)
    again = json.loads(json.dumps(kept))[0]
    for name, length in zip(KEPT_CURVES, (None, 100), strict=True):
        assert again[name] == measures.curve(weights, config, tiny, length).tolist()
    put_zeros(folder / "gradients.safetensors")
    found, _ = measures.with_gradient_curves([record, diverged], tiny, folder.parent)
    assert not any(found["gradient"])


# ---------------------------------------------------------------------------------------------------------------------
# replacing a character


def test_the_change_is_that_of_the_loss_in_nats():
    # The state is the sum of what was read, far from saturation; the head turns it into the logits (h, 0, 0).
    given = {"w_ih": [[0, 1e-3, 2e-3]], "w_hh": [[1]], "head": [[100], [0], [0]]}
    ids = np.zeros((26, 2), np.int64)
    ids[-2 - FAR] = [1, 2]
    ids[-1] = 1

    def loss(h):
        return math.log(math.exp(100 * h) + 2)

    near, far = measures.changes(*model(**given), ids)
    assert math.isnan(near)  # both windows have the same character there
    assert far == pytest.approx(loss(2e-3) - loss(1e-3), rel=1e-2)


def test_changes_too_small_for_a_loss_in_float32_are_still_told():
    # Each step back halves what is left: 2**-20 of a change of 1e-4. A loss of 1 in float32 has steps of 1e-7.
    near, far = measures.changes(*model(w_ih=[[0, 1e-4, 2e-4]], w_hh=[[0.5]], head=[[1], [-2], [0.5]]), TEXT)
    assert 0 < far < 1e-8 < near


# ---------------------------------------------------------------------------------------------------------------------
# ratios


def test_the_ratio_of_a_geometric_decay():
    (run,) = decay(0.5)
    assert measures.fall(run) == pytest.approx(19 * math.log10(0.5))


@pytest.mark.parametrize(
    ("ratios", "said"),
    [((0.5, 0.5), "2"), ((0.5, 1), "2 to beyond 29"), ((0,), None)],
)
def test_how_far_it_reaches_over_the_seeds(ratios, said):
    assert measures.reached(decay(*ratios), 0.5) == said


def test_a_gradient_rounded_to_zero_counts_as_the_smallest_number_and_not_as_none():
    assert measures.log_ratio(0, 1) == pytest.approx(math.log10(2**-149))


@pytest.mark.parametrize(("far", "near"), [(1, 0), (1, math.inf), (math.nan, 1)])
def test_there_is_no_ratio_without_a_finite_norm_to_start_from(far, near):
    assert measures.log_ratio(far, near) is None
    flat = {"gradient": [near] * FAR + [far]}
    assert measures.fall(flat) is None
