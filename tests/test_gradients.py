"""How far back a gradient reaches: norms that can be worked out by hand, and what is said of given ones."""

import json
import math
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from synthetic import make_record, make_runs

import charlm_gradients as gradients
import charlm_runs
import charlm_study as study
from charlm_core import CharModel, Config, count_chunks, initial_weights, split_chunks
from charlm_corpus import CharlmError

V = 3  # characters of the vocabulary
TEXT = np.random.default_rng(0).integers(V, size=(26, 4))  # windows of 25 characters and the one after: (time, windows)


def model(cell="rnn", layers=1, hidden_size=1, **given):
    """Configuration and weights of a tiny model, all weights zero but those given by name, rnn.weight_hh_l0 as w_hh."""
    config = Config(cell=cell, layers=layers, hidden_size=hidden_size)
    weights = {name: torch.zeros_like(w) for name, w in CharModel(V, config).state_dict().items()}
    names = {"w_ih": "rnn.weight_ih_l0", "w_hh": "rnn.weight_hh_l0", "b_ih": "rnn.bias_ih_l0", "head": "head.weight"}
    for name, values in given.items():
        weights[names[name]] = torch.tensor(values, dtype=torch.float32)
    return weights, config


def decay(*ratios, length=30):
    """Curves of one cell that fall by these factors a step, a seed each."""
    return {seed: np.array([r**k for k in range(length)]) for seed, r in enumerate(ratios)}


def judged(ratio, spread=1.02):
    """Ratio between FAR and NEAR as given, over three seeds that differ a little."""
    steps = gradients.FAR - gradients.NEAR
    return decay(*((ratio * f) ** (1 / steps) for f in (1 / spread, 1, spread)))


# -----------------------------------------------------------------------------
# norms


@pytest.mark.parametrize("w", [0.5, -0.9, 1.3])
def test_the_norms_of_a_one_unit_rnn_are_the_product_in_closed_form(w):
    u, v = np.array([0.3, -0.8, 0.5]), np.array([1.0, -2.0, 0.5])
    norms = gradients.norms(*model(w_ih=[u.tolist()], w_hh=[[w]], head=v[:, None].tolist()), TEXT)
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


def test_without_recurrent_weights_nothing_but_the_last_character_counts():
    norms = gradients.norms(*model(w_ih=[[0.3, -0.8, 0.5]], head=[[1], [-2], [0.5]]), TEXT)
    assert (norms[0] > 0).all()
    assert (norms[1:] == 0).all()


def test_a_saturated_rnn_forgets_at_once():
    norms = gradients.norms(*model(w_ih=[[4, 4, 4]], w_hh=[[1]], head=[[1], [-2], [0.5]]), TEXT)
    assert (norms[1] < 1e-3 * norms[0]).all()


def test_an_lstm_with_an_open_forget_gate_carries_the_gradient_without_loss():
    # Gates in PyTorch's order: input, forget, cell, output. Only the cell gate sees the character.
    w_ih = [[0, 0, 0], [0, 0, 0], [0.02, 0.02, 0.02], [0, 0, 0]]
    norms = gradients.norms(*model("lstm", w_ih=w_ih, b_ih=[0, 50, 0, 50], head=[[1], [-2], [0.5]]), TEXT)
    assert (norms[0] > 0).all()
    assert norms == pytest.approx(np.tile(norms[0], (25, 1)), rel=1e-4)


def test_an_lstm_with_a_half_open_forget_gate_halves_it_at_every_step():
    w_ih = [[0, 0, 0], [0, 0, 0], [0.02, 0.02, 0.02], [0, 0, 0]]
    norms = gradients.norms(*model("lstm", w_ih=w_ih, b_ih=[0, 0, 0, 50], head=[[1], [-2], [0.5]]), TEXT)
    assert norms[1:] / norms[:-1] == pytest.approx(np.full((24, 4), 0.5), rel=1e-4)


def test_norms_too_small_to_square_in_float32_are_still_there():
    norms = gradients.norms(*model(w_ih=[[1e-3, 0, 0]], w_hh=[[0.1]], head=[[1], [-2], [0.5]]), TEXT)
    assert (norms[23] > 0).all()
    assert norms[23].max() < 1e-23


def test_a_window_is_measured_whatever_stands_beside_it():
    weights, config = initial_weights(V, Config(hidden_size=8)), Config(hidden_size=8)
    alone = gradients.norms(weights, config, TEXT[:, :1])
    assert gradients.norms(weights, config, TEXT)[:, :1] == pytest.approx(alone, rel=1e-4)


def test_measuring_leaves_the_weights_without_gradients_and_the_threads_as_they_were():
    weights, config = initial_weights(V, Config(hidden_size=8)), Config(hidden_size=8, threads=2)
    threads = torch.get_num_threads()
    gradients.norms(weights, config, TEXT)
    assert all(w.grad is None and not w.requires_grad for w in weights.values())
    assert torch.get_num_threads() == threads


# -----------------------------------------------------------------------------
# windows and curves


def test_a_window_of_the_chunk_length_is_a_validation_chunk(tiny, tiny_config):
    ids = gradients.windows(tiny, tiny_config, 30)
    _, chunks = split_chunks(count_chunks(len(tiny.ids), 30), tiny_config)
    texts = {tuple(tiny.ids[30 * c : 30 * c + 31]) for c in chunks}
    assert ids.shape[0] == 31
    assert {tuple(column) for column in ids.T} <= texts


def test_a_longer_window_ends_where_a_validation_chunk_ends():
    corpus = SimpleNamespace(ids=np.arange(300))
    config = Config(chunk_length=10)
    _, chunks = split_chunks(29, config)
    ids = gradients.windows(corpus, config, 25)
    assert (np.diff(ids, axis=0) == 1).all()
    assert ids[-1].tolist() == [10 * c + 10 for c in chunks if 10 * c + 10 >= 25]


def test_no_more_than_a_set_number_of_characters_is_read():
    corpus = SimpleNamespace(ids=np.zeros(100_000, np.int64))
    for length in (30, 100):
        assert gradients.windows(corpus, Config(), length).shape == (length + 1, gradients.CHARACTERS // length)


@pytest.mark.parametrize(("length", "says"), [(20, "do not reach 20 steps back"), (5000, "use shorter windows")])
def test_windows_that_cannot_be_had_are_refused(length, says):
    with pytest.raises(CharlmError, match=says):
        gradients.windows(SimpleNamespace(ids=np.zeros(3001, np.int64)), Config(), length)


def test_a_chunk_too_short_to_judge_is_refused(tiny):
    config = Config(chunk_length=20, hidden_size=4)
    with pytest.raises(CharlmError, match="use at least 21"):
        gradients.curves([(initial_weights(len(tiny.vocab), config), config)], tiny)


def test_the_long_window_fits_the_shortest_of_texts():
    long, short = (SimpleNamespace(ids=np.zeros(n, np.int64)) for n in (100_000, 30 * 6 + 1))
    configs = [Config(seed=seed) for seed in range(5)]
    assert gradients.longest_window(configs, long) == gradients.LONG
    length = gradients.longest_window(configs, short)
    assert 30 <= length <= 100
    for config in configs:
        assert gradients.windows(short, config, length).shape[1] >= 1


def test_a_curve_is_the_median_over_windows_by_cell_and_seed(tiny):
    configs = [Config(cell=c, hidden_size=4, seed=s) for c in ("gru", "rnn") for s in (0, 1)]
    models = [(initial_weights(len(tiny.vocab), c), c) for c in configs]
    found = gradients.curves(models, tiny, 40)
    assert [(cell, list(of)) for cell, of in found.items()] == [("rnn", [0, 1]), ("gru", [0, 1])]
    by_hand = np.median(gradients.norms(*models[0], gradients.windows(tiny, configs[0], 40)), axis=1)
    assert found["gru"][0].tolist() == by_hand.tolist()


def test_the_curves_of_runs_are_kept(trained, tiny, tmp_path, monkeypatch):
    folder, record = trained
    folder = shutil.copytree(folder, tmp_path / folder.name)
    monkeypatch.setattr(gradients, "code_hash", lambda *functions: "code")
    diverged = make_record("rnn", diverged=True)
    kept = gradients.measured([record, diverged], tiny, folder.parent)
    assert kept[1] == diverged
    weights, config, _ = charlm_runs.weights(folder)
    again = json.loads(json.dumps(kept))
    for name, length in zip(gradients.KEPT, (None, 100), strict=True):
        curves = gradients.kept(again, name)
        assert curves.keys() == {"lstm"}
        expected = gradients.curves([(weights, config)], tiny, length)["lstm"][0]
        assert np.array_equal(curves["lstm"][0], expected)
    monkeypatch.setattr(gradients, "curve", None)  # it is not asked for again
    assert gradients.measured([record, diverged], tiny, folder.parent) == kept


# -----------------------------------------------------------------------------
# replacing a character


def test_replacing_a_character_that_cannot_matter_changes_nothing():
    near, far = gradients.changes(*model(w_ih=[[0.3, -0.8, 0.5]], head=[[1], [-2], [0.5]]), TEXT)
    assert near == far == 0


def test_the_change_is_that_of_the_loss_in_nats():
    # The state is the sum of what was read, far from saturation; the head turns it into the logits (h, 0, 0).
    given = {"w_ih": [[0, 1e-3, 2e-3]], "w_hh": [[1]], "head": [[100], [0], [0]]}
    ids = np.zeros((26, 2), np.int64)
    ids[-2 - gradients.FAR] = [1, 2]
    ids[-1] = 1

    def loss(h):
        return math.log(math.exp(100 * h) + 2)

    near, far = gradients.changes(*model(**given), ids)
    assert math.isnan(near)  # both windows have the same character there
    assert far == pytest.approx(loss(2e-3) - loss(1e-3), rel=1e-2)


def test_changes_too_small_for_a_loss_in_float32_are_still_told():
    # Each step back halves what is left: 2**-20 of a change of 1e-4. A loss of 1 in float32 has steps of 1e-7.
    near, far = gradients.changes(*model(w_ih=[[0, 1e-4, 2e-4]], w_hh=[[0.5]], head=[[1], [-2], [0.5]]), TEXT)
    assert 0 < far < 1e-8 < near


# -----------------------------------------------------------------------------
# ratios


def test_the_ratio_of_a_geometric_decay():
    assert gradients.fall(decay(0.5)[0]) == pytest.approx(19 * math.log10(0.5))


@pytest.mark.parametrize(
    ("ratio", "share", "k"), [(0.5, 0.5, 2), (0.8, 0.5, 5), (0.8, 0.1, 12), (1, 0.5, None), (1.1, 0.5, None)]
)
def test_the_first_step_at_most_that_part_of_the_one_step_norm(ratio, share, k):
    # 0.8 to the 4th is 0.41, to the 3rd 0.51; to the 11th 0.086, to the 10th 0.107; counted from one step back
    assert gradients.first_below(decay(ratio)[0], share) == k


@pytest.mark.parametrize(
    ("ratios", "said"), [((0.5, 0.5), "2"), ((0.5, 0.8), "2 to 5"), ((0.5, 1), "2 to beyond 29"), ((1, 1), "beyond 29")]
)
def test_how_far_it_reaches_over_the_seeds(ratios, said):
    assert gradients.reached(decay(*ratios), 0.5) == said


def test_a_gradient_rounded_to_zero_counts_as_the_smallest_number_and_not_as_none():
    assert gradients.log_ratio(0, 1) == pytest.approx(math.log10(2**-149))


@pytest.mark.parametrize(("far", "near"), [(0, 0), (1, 0), (1, math.inf), (math.inf, 1), (math.nan, 1), (1, math.nan)])
def test_there_is_no_ratio_without_a_finite_norm_to_start_from(far, near):
    assert gradients.log_ratio(far, near) is None


def test_ratios_are_averaged_as_logarithms_and_seeds_without_one_are_named():
    of = {0: decay(1)[0], 1: decay(10 ** (-2 / 19))[0], 2: np.zeros(30)}
    e = gradients.falls(of)
    assert (e.n, e.dropped) == (2, (2,))
    assert gradients.factor(e.mean) == pytest.approx(0.1)


def test_a_quotient_is_paired_by_seed():
    a, b = gradients.of_seeds({0: 1.0, 1: 2.0, 2: 3.0}), gradients.of_seeds({1: 0.5, 2: 1.0, 3: 9.0})
    e = gradients.quotient(a, b)
    assert (e.values, e.dropped) == ({1: 1.5, 2: 2.0}, (0, 3))


# -----------------------------------------------------------------------------
# verdicts and sentences


@pytest.mark.parametrize(
    ("curves", "verdict", "opposite"),
    [
        (judged(0.01), "confirmed", "refuted"),
        (judged(0.5), "refuted", "confirmed"),
        (judged(0.1), "too close to call", "too close to call"),
        (decay(0.1, 0.1), "not judged", "not judged"),
        (decay(0.1, 0.1, 0.1), "confirmed", "refuted"),
        ({}, "not judged", "not judged"),
    ],
)
def test_a_gradient_vanishes_when_the_interval_lies_below_a_tenth(curves, verdict, opposite):
    e = gradients.falls(curves)
    assert gradients.vanishes(e) == verdict
    assert gradients.vanishes(e, claimed=False) == opposite


@pytest.mark.parametrize(
    ("rnn", "lstm", "verdict"),
    [
        (0.01, 0.1, "confirmed"),
        (0.1, 0.01, "refuted"),
        (0.01, 0.011, "no difference that matters"),
    ],
)
def test_one_cell_falls_less_than_another_by_a_factor_that_matters(rnn, lstm, verdict):
    e = gradients.quotient(gradients.falls(judged(lstm, 1.1)), gradients.falls(judged(rnn)))
    assert gradients.falls_less(e) == verdict


def test_a_wide_quotient_is_too_close_to_call():
    e = gradients.quotient(gradients.falls(judged(0.02, 30)), gradients.falls(judged(0.01)))
    assert gradients.falls_less(e) == "too close to call"


@pytest.mark.parametrize(
    ("rnn", "lstm", "claim"),
    [
        (0.01, 0.5, "confirmed"),
        (0.01, 0.02, "refuted"),
        (0.5, 0.6, "refuted"),
        (0.01, 0.1, "too close to call"),
    ],
)
def test_the_textbooks_claim_needs_both_of_its_parts(rnn, lstm, claim):
    finding = gradients.vanishing({"rnn": judged(rnn), "lstm": judged(lstm)}, "after")
    assert finding.values["claim"] == claim
    assert finding.filled.startswith(
        f"**That after training the RNN's gradient vanishes and the LSTM's does not: {claim}.**"
    )


def test_each_cell_is_judged_by_its_numbers():
    finding = gradients.vanishing({"rnn": judged(0.01), "gru": judged(0.5)}, "before")
    assert finding.values["rnn"]["ratio"] == pytest.approx(0.01)
    assert "- RNN: ratio 0.01 (95% interval 0.0095 to 0.011; 3 seeds). That its gradient vanishes: *confirmed*." in (
        finding.filled
    )
    assert "- The GRU's ratio is 50 (95% interval" in finding.filled
    assert "needs a finished run of each: *not judged*" in finding.filled


def test_one_seed_is_shown_and_not_judged():
    finding = gradients.vanishing({"rnn": decay(0.5), "lstm": decay(0.9)}, "after")
    assert "(1 seed, so no interval). That its gradient vanishes: *not judged*" in finding.filled
    assert finding.values["claim"] == "not judged"


def test_what_training_changes_is_a_factor_by_cell():
    finding = gradients.learned({"rnn": judged(0.001), "gru": judged(0.1)}, {"rnn": judged(0.1)})
    assert finding.values["rnn"]["factor"] == pytest.approx(100)
    assert finding.filled.startswith(
        "Training multiplies the ratio by 100 (95% interval 100 to 100; 3 seeds) in the RNN."
    )
    assert "No cell" in gradients.learned({"rnn": judged(0.001)}, {}).filled


def test_the_experiment_is_compared_with_the_gradient():
    after = {"rnn": judged(0.01), "lstm": judged(0.1)}
    replaced = {"rnn": {s: np.array([2, 0.01]) for s in range(3)}, "lstm": {s: np.array([2, 0.1]) for s in range(3)}}
    finding = gradients.by_replacement(replaced, after)
    assert "RNN 2 and 0.01 nats, ratio 0.005" in finding.filled
    assert "That it falls less: *confirmed*, as by the gradient." in finding.filled
    other = gradients.by_replacement({"rnn": replaced["lstm"], "lstm": replaced["rnn"]}, after)
    assert "*refuted*, where by the gradient it is *confirmed*." in other.filled


def test_an_experiment_on_windows_that_are_all_alike_has_no_numbers():
    finding = gradients.by_replacement({"rnn": {0: np.array([math.nan, math.nan])}}, {"rnn": decay(0.5)})
    assert "RNN not known and not known nats, ratio not known" in finding.filled
    nothing = {c: {0: np.array([math.nan, math.nan])} for c in ("rnn", "lstm")}
    assert "times the RNN's" not in gradients.by_replacement(nothing, {c: decay(0.5) for c in nothing}).filled
    assert "not measured" in gradients.by_replacement({}, {}).filled


def runs_with(difference):
    """Three seeds of both cells, the LSTM's best validation loss so much above the RNN's."""
    return [
        r | {"val_loss_best": 1.5 + difference * (r["cell"] == "lstm") + 1e-4 * r["seed"] * (r["cell"] == "rnn")}
        for r in make_runs(seeds=3)
    ]


@pytest.mark.parametrize(
    ("rnn", "lstm", "difference", "says"),
    [
        (0.01, 0.1, -0.1, "that the one causes the other is not shown"),
        (0.01, 0.1, 0.1, "does not show as a lower loss"),
        (0.01, 0.1, 0.001, "does not show as a lower loss"),
        (0.1, 0.01, -0.1, "is *refuted*, so there is no longer reach to pay off"),
        (0.01, 0.011, -0.1, "is *no difference that matters*, so there is no longer reach"),
    ],
)
def test_reach_is_set_against_the_loss(rnn, lstm, difference, says):
    finding = gradients.reach_and_loss({"rnn": judged(rnn), "lstm": judged(lstm)}, runs_with(difference))
    assert says in finding.filled
    assert f"{abs(difference):.3f}" in finding.filled


def test_reach_is_not_set_against_a_loss_that_is_too_close_to_call():
    runs = [r | {"val_loss_best": 1.5 + 0.05 * (r["seed"] - 1) * (r["cell"] == "lstm")} for r in make_runs(seeds=3)]
    finding = gradients.reach_and_loss({"rnn": judged(0.01), "lstm": judged(0.1)}, runs)
    assert "too close to call, and with it whether the reach pays off" in finding.filled


def test_the_gru_stands_beside_them_where_it_was_trained():
    after = {"rnn": judged(0.01), "lstm": judged(0.1), "gru": judged(0.001)}
    grus = [r | {"val_loss_best": 1.4} for r in make_runs(["gru"], 3)]
    finding = gradients.reach_and_loss(after, runs_with(0.0) + grus)
    assert "GRU's gradient falls less than the RNN's is *refuted*; its validation loss" in finding.filled
    assert "0.1001 nats lower than the RNN's" in finding.filled
    assert "GRU" not in gradients.reach_and_loss(after, runs_with(0.0)).filled


def test_reach_is_not_judged_without_both_cells_and_three_seeds():
    assert "needs a finished run of both cells" in gradients.reach_and_loss({"rnn": judged(0.1)}, []).filled
    few = gradients.reach_and_loss({"rnn": decay(0.5), "lstm": decay(0.9)}, make_runs(seeds=1))
    assert "Not judged, for want of 3 seeds" in few.filled


def test_the_table_has_a_row_for_each_cell_of_each_measurement():
    table = gradients.table({"before": {"rnn": judged(0.01), "gru": decay(1)}, "after": {"rnn": decay(0.5, 0.5)}})
    first, second, third = table.frame.to_dict("records")
    assert (first["measured"], first["cell"], first["seeds"]) == ("before", "RNN", 3)
    assert first["ratio"] == pytest.approx(0.01)
    assert (second["low"], second["half"], second["a tenth"]) == (None, "beyond 29", "beyond 29")
    assert (third["measured"], third["half"], third["a tenth"]) == ("after", "2", "5")
    assert third["norm at 1"] == pytest.approx(0.5)


def test_a_gradient_that_is_zero_everywhere_has_a_row_without_numbers():
    (row,) = gradients.table({"before": {"rnn": {0: np.zeros(30)}}}).frame.to_dict("records")
    assert (row["seeds"], row["norm at 1"], row["ratio"], row["half"]) == (0, None, None, None)


def test_the_table_names_diverged_runs():
    (lost,) = make_runs(["rnn"], 1, epochs=3, diverged=True)
    assert "diverged" in gradients.table({"after": {"lstm": decay(0.5)}}, [lost]).note


def test_the_rule_names_its_numbers():
    rule = gradients.rule().filled
    for number in (gradients.NEAR, gradients.FAR, gradients.VANISHED, gradients.MARGIN, study.MIN_SEEDS):
        assert f"{number:g}" in rule


@pytest.mark.parametrize(("number", "said"), [(172.4, "170"), (0.01684, "0.017"), (8.61e-5, "8.6e-05"), (1, "1")])
def test_numbers_are_said_with_two_digits(number, said):
    assert gradients.two_digits(number) == said
