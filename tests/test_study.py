"""What the study says of given runs: estimates, verdicts, tables and sentences, checked by hand."""

import math

import numpy as np
import pytest
from scipy import stats
from synthetic import make_record, make_runs

import charlm_study as study

HALF = 4.302652729911275 / math.sqrt(3)  # t(0.975, 2 degrees of freedom) / √3: half an interval for three seeds, sd 1


def with_losses(cell, last, **config):
    """Records whose validation losses at the last and best epoch are given, a seed each."""
    return [make_record(cell, s, **config) | {"val_loss_last": x, "val_loss_best": x} for s, x in enumerate(last)]


# -----------------------------------------------------------------------------
# reading records


def test_the_published_lstm_is_0_0057_nats_better_at_the_last_epoch():
    p = study.PUBLISHED
    assert round(p["rnn"]["val_loss_last"] - p["lstm"]["val_loss_last"], 4) == 0.0057


def test_published_numbers_stand_beside_runs_of_the_studys_protocol():
    assert set(study.published(make_runs())) == {"rnn", "lstm"}


@pytest.mark.parametrize(
    "change",
    [
        {"corpus": "my.txt"},
        {"hidden_size": 512},
        {"learning_rate": 0.002},
        {"layers": 1},
        {"max_epochs": 2},
        {"patience": 1},
        {"batch_size": 32},
        {"chunk_length": 60},
    ],
)
def test_published_numbers_do_not_stand_beside_other_runs(change):
    assert study.published([make_record("rnn", 0), make_record("rnn", 1) | change]) == {}


@pytest.mark.parametrize(
    ("train", "val", "epoch"),
    [
        ([3, 2, 1], [2.5, 2.1, 1.9], 2),
        ([3, 2], [2, 1], None),
        ([1], [2], 1),
        ([1, 1], [1, 1], None),
        ([2, None], [1, None], None),
    ],
)
def test_crossing_is_the_first_epoch_with_validation_above_training(train, val, epoch):
    assert study.crossing_epoch({"train_loss": train, "val_loss": val}) == epoch


def test_cells_come_in_one_order_and_unknown_ones_last():
    assert study.cells([{"cell": c} for c in ("own", "gru", "lstm", "rnn", "gru")]) == ["rnn", "lstm", "gru", "own"]


@pytest.mark.parametrize("change", [{"hidden_size": 512}, {"corpus": "my.txt"}, {"precision": "bfloat16"}])
def test_runs_that_differ_in_more_than_their_seed_are_never_pooled(change):
    with pytest.raises(ValueError, match="more than their seed"):
        study.loss_table([make_record("rnn", 0), make_record("rnn", 1) | change])


def test_a_seed_counts_once():
    with pytest.raises(ValueError, match="repeat a seed"):
        study.loss_table([make_record("rnn", 3), make_record("rnn", 3)])


# -----------------------------------------------------------------------------
# estimates


def test_estimate_of_three_values_by_hand():
    e = study.estimate({0: 1.0, 1: 2.0, 2: 3.0})
    assert (e.n, e.mean, e.sd) == (3, 2.0, 1.0)
    assert e.interval == pytest.approx((2 - HALF, 2 + HALF))
    assert (e.low, e.high) == e.interval


@pytest.mark.parametrize(("values", "mean"), [({}, None), ({7: 1.5}, 1.5)])
def test_under_two_seeds_there_is_no_spread_and_no_interval(values, mean):
    e = study.estimate(values)
    assert (e.n, e.mean, e.sd, e.interval, e.low, e.high) == (len(values), mean, None, None, None, None)


def test_no_spread_gives_an_interval_without_width():
    assert study.estimate({0: 0.25, 1: 0.25, 2: 0.25}).interval == (0.25, 0.25)


def test_a_difference_is_paired_by_seed_whatever_the_order():
    a = [make_record("lstm", s) | {"val_loss_last": x} for s, x in ((2, 1.2), (0, 1.0), (1, 1.1))]
    b = [make_record("rnn", s) | {"val_loss_last": x} for s, x in ((0, 1.5), (1, 1.5), (2, 1.5))]
    e = study.paired_difference(a, b, "val_loss_last")
    assert e.values == pytest.approx({0: -0.5, 1: -0.4, 2: -0.3})
    assert (e.mean, e.sd) == pytest.approx((-0.4, 0.1))
    assert e.interval == pytest.approx((-0.4 - 0.1 * HALF, -0.4 + 0.1 * HALF))


def test_seeds_without_a_finished_pair_are_dropped_and_named():
    a = [make_record("lstm", 0), make_record("lstm", 1, epochs=4, diverged=True), make_record("lstm", 2)]
    b = [make_record("rnn", 0), make_record("rnn", 1), make_record("rnn", 3)]
    e = study.paired_difference(a, b, "val_loss_best")
    assert (list(e.values), e.dropped) == ([0], (1, 2, 3))


def estimates(*samples):
    return [study.estimate(dict(enumerate(sample))) for sample in samples]


def test_holm_of_one_difference_leaves_it_as_it_is():
    (e,) = estimates([1, 2, 3])
    assert study.holm([e])[0].interval == pytest.approx(e.interval)


def test_holm_widens_the_interval_of_the_smallest_p_value_most():
    clear, weak = estimates([10.0, 10.1, 10.2], [0.5, 1.5, 1.0])
    first, second = study.holm([clear, weak])
    half = stats.t.ppf(1 - 0.025 / 2, 2) * 0.1 / np.sqrt(3)  # level 1 - 0.05 / 2
    assert (first.low, first.high) == pytest.approx((10.1 - half, 10.1 + half))
    assert second.interval == pytest.approx(weak.interval)  # level 1 - 0.05 / 1


def test_holm_stops_at_the_first_difference_that_may_be_zero():
    a, b = estimates([-1.0, 0.0, 1.2], [-1.0, 0.0, 1.1])
    first, second = study.holm([a, b])
    for e, found in ((a, first), (b, second)):
        half = stats.t.ppf(1 - 0.025 / 2, 2) * e.sd / np.sqrt(3)
        assert found.interval == pytest.approx((e.mean - half, e.mean + half))


def test_holm_keeps_the_order_and_what_has_no_interval():
    one, clear = estimates([1.0], [5.0, 5.1])
    assert study.holm([one, clear])[0] == one


def test_a_difference_can_be_taken_of_a_function_of_the_record():
    a, b = make_runs(["rnn"], 2), make_runs(["lstm"], 2)
    e = study.paired_difference(a, b, study.gap)
    assert e.values[0] == pytest.approx(
        a[0]["val_loss_last"] - a[0]["train_loss_last"] - b[0]["val_loss_last"] + b[0]["train_loss_last"]
    )


# -----------------------------------------------------------------------------
# verdicts: each rule on each side, claimed to be below zero


@pytest.mark.parametrize(
    ("interval", "n", "verdict"),
    [
        ((-0.05, -0.04), 2, "not judged"),
        ((-0.05, -0.04), 3, "confirmed"),
        (None, 3, "not judged"),
        ((-0.009, 0.009), 3, "no difference that matters"),
        ((-0.009, -0.001), 3, "no difference that matters"),  # clear, but too small: this rule comes first
        ((-0.01, -0.001), 3, "confirmed"),  # 0.01 is the smallest that matters
        ((0.001, 0.01), 3, "refuted"),
        ((-0.03, -0.0001), 5, "confirmed"),
        ((-0.03, 0.0), 5, "too close to call"),
        ((0.0, 0.03), 5, "too close to call"),
        ((0.0001, 0.03), 5, "refuted"),
        ((-0.5, 0.5), 5, "too close to call"),
        ((-0.02, -0.02), 5, "confirmed"),
    ],
)
def test_verdict(interval, n, verdict):
    assert study.verdict(interval, n, claimed_sign=-1) == verdict


@pytest.mark.parametrize(("interval", "verdict"), [((0.02, 0.03), "confirmed"), ((-0.03, -0.02), "refuted")])
def test_verdict_of_a_claim_on_the_other_side(interval, verdict):
    assert study.verdict(interval, 3, claimed_sign=1) == verdict


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("confirmed", "confirmed", "confirmed"),
        ("confirmed", "too close to call", "too close to call"),
        ("no difference that matters", "too close to call", "no difference that matters"),
        ("refuted", "confirmed", "refuted"),
        ("refuted", "not judged", "not judged"),
    ],
)
def test_a_claim_of_two_parts_is_as_good_as_the_weaker(first, second, both):
    assert study.verdict_of_both(first, second) == study.verdict_of_both(second, first) == both


def test_the_printed_rule_names_every_verdict_and_both_thresholds():
    words = ["not judged", "no difference that matters", "confirmed", "refuted", "too close to call"]
    places = [study.VERDICT_RULE.index(f"*{w}*") for w in words]
    assert places == sorted(places)
    assert f"±{study.MARGIN:g}" in study.VERDICT_RULE
    assert f"under {study.MIN_SEEDS} seeds" in study.VERDICT_RULE


# -----------------------------------------------------------------------------
# sentences


@pytest.mark.parametrize(
    ("lstm", "lead", "words"),
    [
        ([1.50, 1.51, 1.49], "The LSTM is better", "0.1000 nats lower than the RNN's"),
        ([1.70, 1.71, 1.69], "The RNN is better", "0.1000 nats higher than the RNN's"),
        ([1.601, 1.602, 1.600], "No difference that matters", "(95% interval 0.0026 lower to 0.0046 higher; 3 seeds)"),
        ([1.50, 1.65, 1.63], "Too close to call", "lower to"),
        ([1.50, 1.51], "Not judged, for want of 3 seeds", "; 2 seeds)"),
        ([1.50], "Not judged", "(1 seed, so no interval)"),
        ([1.60, 1.60, 1.60], "No difference that matters", "within 0.0001 nats of the RNN's"),
    ],
)
def test_the_answer_to_rnn_or_lstm_follows_from_the_numbers(lstm, lead, words):
    records = with_losses("rnn", [1.6] * len(lstm)) + with_losses("lstm", lstm)
    for epoch in ("last", "best"):
        finding = study.rnn_or_lstm(records, epoch)
        assert finding.id == f"rnn-or-lstm-{epoch}"
        assert finding.text.startswith(f"**{lead}")
        assert f"at the {epoch} epoch" in finding.text
        assert words in finding.text


def test_an_interval_on_one_side_of_zero_is_told_from_near_to_far():
    e = study.Estimate({0: 0, 1: 0, 2: 0}, -0.03, 0.01, (-0.05, -0.01))
    assert study.in_words(e, "it") == "0.0300 nats lower than it (95% interval 0.0100 to 0.0500 lower; 3 seeds)"


def test_the_studys_claim_is_judged_at_the_last_epoch_of_its_own_protocol_only():
    ours, other = make_runs(), make_runs(corpus="my.txt")
    assert "The study's claim" in study.rnn_or_lstm(ours, "last").text
    assert study.rnn_or_lstm(ours, "last").values["published"] == -0.0057
    assert "study" not in study.rnn_or_lstm(ours, "best").text
    assert "study" not in study.rnn_or_lstm(other, "last").text


@pytest.mark.parametrize("cells", [["rnn"], ["gru"], []])
def test_rnn_and_lstm_are_not_compared_where_one_is_missing(cells):
    finding = study.rnn_or_lstm(make_runs(cells), "best")
    assert "not compared" in finding.text
    assert finding.values["verdict"] == "not judged"


def test_a_seed_that_diverged_is_named_in_the_answer():
    records = [*make_runs(seeds=3), make_record("rnn", 8), make_record("lstm", 8, epochs=1, diverged=True)]
    assert "left out: 8." in study.rnn_or_lstm(records, "best").text


# -----------------------------------------------------------------------------
# tables


def rows(table):
    return table.frame.to_dict("records")


def test_loss_table_has_mean_deviation_and_distance_to_the_published_value():
    table = study.loss_table(with_losses("rnn", [1.6, 1.61, 1.62]) + with_losses("lstm", [1.58, 1.59, 1.6]))
    row = next(r for r in rows(table) if (r["cell"], r["epoch"], r["loss"]) == ("RNN", "last", "validation"))
    assert row["seeds"] == 3
    assert (row["mean"], row["standard deviation"]) == pytest.approx((1.61, 0.01))
    assert row["published"] == 1.6059
    assert row["deviations away"] == pytest.approx(-0.41)
    assert "0.4 (RNN) and 1.0 (LSTM) standard deviations" in table.caption
    assert table.frame.query("epoch == 'best'")["published"].isna().all()


def test_other_runs_have_no_published_columns():
    for table in (study.loss_table, study.stopping_table):
        shown = table(make_runs(corpus="my.txt"))
        assert not {"published", "deviations away"} & set(shown.frame.columns)
        assert "study" not in shown.caption + shown.note


def test_one_seed_has_no_deviation():
    table = study.loss_table(make_runs(["rnn"], 1))
    assert table.frame["standard deviation"].isna().all()
    assert table.frame["deviations away"].isna().all()
    assert "standard deviations from" not in table.caption


def test_diverged_runs_are_in_no_mean_and_are_named():
    good, bad = make_runs(["rnn"], 3), make_record("rnn", 9, epochs=4, diverged=True)
    table = study.loss_table([*good, bad])
    assert rows(table) == rows(study.loss_table(good))
    assert table.note == "1 run diverged and is in no mean: RNN 256 / 0.001, seed 9, in epoch 5."


def test_a_cell_whose_runs_all_diverged_is_shown_without_numbers():
    for table in (study.loss_table, study.stopping_table, study.run_table):
        shown = table([*make_runs(["lstm"], 2), make_record("rnn", 0, epochs=0, diverged=True)])
        assert "RNN" in set(shown.frame["cell"])
        assert "diverged" in shown.note


def test_stopping_table_by_hand():
    records = [make_record("rnn", s) | {"epochs": e, "best_epoch": e - 5} for s, e in enumerate((27, 28, 29))]
    row = rows(study.stopping_table(records))[0]
    assert (row["epoch"], row["mean"], row["standard deviation"]) == ("stopped at", 28, 1)
    assert (row["published"], row["deviations away"]) == (28, 0)


def test_runs_that_never_cross_are_counted():
    table = study.stopping_table(make_runs(["gru"], 2, max_epochs=2))
    assert rows(table)[2]["seeds"] == 0
    assert "In 2 GRU runs validation is never above training loss." in table.note


def test_run_table_has_a_row_a_run_and_its_name():
    records = make_runs(["lstm"], 3)
    table = study.run_table(records[::-1])
    assert table.id == "runs-lstm"
    assert list(table.frame["run"]) == [r["run_id"].rpartition("-")[2] for r in records]
    assert list(table.frame["validation, best"]) == [r["val_loss_best"] for r in records]
    assert table.caption.startswith("3 runs: LSTM, hidden size / learning rate 256 / 0.001.")


def test_run_table_of_several_configurations_shows_what_differs():
    table = study.run_table(make_runs(seeds=1) + make_runs(seeds=1, hidden_size=512, learning_rate=0.002))
    assert table.id == "runs"
    assert list(table.frame.columns[:2]) == ["cell", "hidden size / learning rate"]
    assert list(table.frame["hidden size / learning rate"]) == ["256 / 0.001", "512 / 0.002"] * 2


# -----------------------------------------------------------------------------
# overfitting


def overfitting_runs(base, large, cell="rnn"):
    """Three seeds each; base and large are (training last, validation best, validation last)."""

    def runs(losses, **config):
        keys = ("train_loss_last", "val_loss_best", "val_loss_last")
        return [
            make_record(cell, s, **config) | {k: x + 0.001 * s for k, x in zip(keys, losses, strict=True)}
            for s in range(3)
        ]

    return runs(base), runs(large, hidden_size=512, learning_rate=0.002)


@pytest.mark.parametrize(
    ("large", "overfits", "last", "best"),
    [
        ((1.1, 1.62, 1.70), "confirmed", "confirmed", "confirmed"),
        ((1.6, 1.55, 1.58), "refuted", "refuted", "refuted"),  # a smaller gap, a lower loss
        ((1.3, 1.60, 1.605), "no difference that matters", "no difference that matters", "confirmed"),  # no rise
    ],
)
def test_overfitting_is_a_larger_gap_and_a_rise_above_the_best(large, overfits, last, best):
    finding = study.overfitting(*overfitting_runs((1.38, 1.58, 1.60), large))
    assert finding.values == {"rnn_overfits": overfits, "rnn_last": last, "rnn_best": best}
    assert "512 / 0.002 overfits" in finding.text


def test_overfitting_table_by_hand():
    base, large = overfitting_runs((1.38, 1.58, 1.60), (1.1, 1.62, 1.70))
    last, best, gap, rise = rows(study.overfitting_table(base, large[::-1]))
    assert (last["256 / 0.001"], last["512 / 0.002"], last["estimate"]) == pytest.approx((1.601, 1.701, 0.1))
    assert best["estimate"] == pytest.approx(0.04)
    assert gap["estimate"] == pytest.approx(0.6 - 0.22)
    assert (rise["256 / 0.001"], rise["512 / 0.002"], rise["estimate"]) == pytest.approx((0.02, 0.08, 0.08))


def test_overfitting_uses_the_shared_seeds_only():
    base, large = make_runs(["rnn"], 5), make_runs(["rnn"], 3, hidden_size=512)
    large[1] = make_record("rnn", 1, epochs=2, diverged=True, hidden_size=512)
    table = study.overfitting_table(base, large)
    assert set(table.frame["seeds"]) == {2}
    assert set(table.frame["verdict"]) == {"not judged"}
    assert "RNN 512 / 0.001, seed 1" in table.note


def test_overfitting_is_not_judged_without_runs_of_the_larger_configuration():
    for base, large in (([], []), (make_runs(seeds=1), [])):
        assert "*not judged*" in study.overfitting(base, large).text
        assert study.overfitting_table(base, large) is None


def test_overfitting_of_a_cell_without_a_finished_pair_is_not_judged():
    table = study.overfitting_table(make_runs(seeds=3), make_runs(["rnn"], 3, hidden_size=512))
    assert set(table.frame.query("cell == 'LSTM'")["verdict"]) == {"not judged"}


# -----------------------------------------------------------------------------
# precision


def in_both(cell, float32, bfloat16, **config):
    sides = {"float32": float32, "bfloat16": bfloat16}
    return [r | {"precision": p} for p, losses in sides.items() for r in with_losses(cell, losses, **config)]


@pytest.mark.parametrize(
    ("bfloat16", "equivalent"),
    [
        ([1.601, 1.602, 1.600], True),
        ([1.631, 1.632, 1.630], False),
        ([1.500, 1.700, 1.600], False),
        ([1.600, 1.600], False),
    ],
)
def test_bfloat16_is_equivalent_where_the_interval_lies_inside_the_margin(bfloat16, equivalent):
    runs = in_both("rnn", [1.6] * len(bfloat16), bfloat16)
    (row,) = study.precision_table(runs).frame.to_dict("records")
    assert row["equivalent"] is equivalent
    assert row["estimate"] == pytest.approx(sum(bfloat16) / len(bfloat16) - 1.6)
    lead = "**bfloat16 is equivalent to float32** for RNN 256 / 0.001."
    assert (study.precision_check(runs).filled == lead) is equivalent


def test_configurations_for_which_bfloat16_is_not_shown_to_be_equivalent_are_named():
    runs = in_both("rnn", [1.6] * 3, [1.6] * 3)
    runs += in_both("lstm", [1.6] * 3, [1.7] * 3, hidden_size=512, learning_rate=0.002)
    text = study.precision_check(runs).filled
    assert "for RNN 256 / 0.001. That it is has not been shown for LSTM 512 / 0.002: there" in text


def test_without_runs_in_both_precisions_nothing_is_said_to_be_equivalent():
    assert study.precision_table([]) is None
    assert "not known" in study.precision_check([]).filled
