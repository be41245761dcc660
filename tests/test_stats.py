"""Estimates and verdicts, checked by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from synthetic import make_record, with_loss

from charlm import stats
from charlm.tables import contrast_table

HALF = 4.302652729911275 / math.sqrt(3)  # t(0.975, 2 degrees of freedom) / √3: half an interval for three seeds, sd 1

# ---------------------------------------------------------------------------------------------------------------------
# estimates


def test_estimate_of_three_values_by_hand():
    e = stats.estimate({0: 1.0, 1: 2.0, 2: 3.0})
    assert (e.n, e.mean, e.sd) == (3, 2.0, 1.0)
    assert e.interval == pytest.approx((2 - HALF, 2 + HALF))
    assert (e.low, e.high) == e.interval


@pytest.mark.parametrize(("values", "mean"), [({}, None), ({7: 1.5}, 1.5)])
def test_under_two_seeds_there_is_no_spread_and_no_interval(values, mean):
    e = stats.estimate(values)
    assert (e.n, e.mean, e.sd, e.interval, e.low, e.high) == (len(values), mean, None, None, None, None)


def test_a_difference_is_paired_by_seed_whatever_the_order():
    a = [make_record("lstm", s) | {"val_loss_last": x} for s, x in ((2, 1.2), (0, 1.0), (1, 1.1))]
    b = [make_record("rnn", s) | {"val_loss_last": x} for s, x in ((0, 1.5), (1, 1.5), (2, 1.5))]
    e = stats.paired_difference(a, b, "val_loss_last")
    assert e.values == pytest.approx({0: -0.5, 1: -0.4, 2: -0.3})
    assert (e.mean, e.sd) == pytest.approx((-0.4, 0.1))
    assert e.interval == pytest.approx((-0.4 - 0.1 * HALF, -0.4 + 0.1 * HALF))


def test_seeds_without_a_finished_pair_are_dropped_and_named():
    a = [make_record("lstm", 0), make_record("lstm", 1, epochs=4, diverged=True), make_record("lstm", 2)]
    b = [make_record("rnn", 0), make_record("rnn", 1), make_record("rnn", 3)]
    e = stats.paired_difference(a, b, "val_loss_best")
    assert (list(e.values), e.dropped) == ([0], (1, 2, 3))


def estimates(*samples):
    return [stats.estimate(dict(enumerate(sample))) for sample in samples]


def test_holm_widens_the_interval_of_the_smallest_p_value_most():
    clear, weak = estimates([10.0, 10.1, 10.2], [0.5, 1.5, 1.0])
    first, second = stats.holm([clear, weak])
    half = scipy.stats.t.ppf(1 - 0.025 / 2, 2) * 0.1 / np.sqrt(3)  # level 1 - 0.05 / 2
    assert (first.low, first.high) == pytest.approx((10.1 - half, 10.1 + half))
    assert second.interval == pytest.approx(weak.interval)  # level 1 - 0.05 / 1


def test_holm_stops_at_the_first_difference_that_may_be_zero():
    a, b = estimates([-1.0, 0.0, 1.2], [-1.0, 0.0, 1.1])
    first, second = stats.holm([a, b])
    for e, found in ((a, first), (b, second)):
        half = scipy.stats.t.ppf(1 - 0.025 / 2, 2) * e.sd / np.sqrt(3)
        assert found.interval == pytest.approx((e.mean - half, e.mean + half))


def test_holm_counts_what_has_no_spread_as_certain():
    weak, certain = stats.holm(estimates([0.5, 1.5, 1.0], [5.0, 5.0, 5.0]))
    assert (weak.level, certain.level) == (0.95, 0.975)


# ---------------------------------------------------------------------------------------------------------------------
# verdicts: each rule on each side


@pytest.mark.parametrize(
    ("interval", "n", "verdict"),
    [
        ((-0.05, -0.04), 2, "not judged"),
        (None, 3, "not judged"),
        ((-0.009, -0.001), 3, "no difference that matters"),  # clear, but too small: this rule comes first
        ((-0.01, -0.001), 3, "lower"),  # 0.01 is the smallest that matters
        ((0.001, 0.01), 3, "higher"),
        ((-0.03, 0.0), 5, "too close to call"),
        ((0.0, 0.03), 5, "too close to call"),
        ((-0.5, 0.5), 5, "too close to call"),
    ],
)
def test_direction(interval, n, verdict):
    assert stats.direction(interval, n) == verdict


def test_a_claim_has_a_side():
    assert stats.claim_verdict(stats.LOWER, stats.LOWER) == "confirmed"
    assert stats.claim_verdict(stats.HIGHER, stats.LOWER) == "refuted"
    assert stats.claim_verdict(stats.SAME, stats.HIGHER) == stats.SAME


def test_the_best_setting_has_the_lowest_mean_and_no_diverged_run():
    runs = [
        *with_loss("rnn", [1.6, 1.62], learning_rate=0.001),
        *with_loss("rnn", [1.5, 1.52], learning_rate=0.002),
        *with_loss("rnn", [1.4], learning_rate=0.004),
        make_record("rnn", 1, learning_rate=0.004, diverged=True, epochs=3),
    ]
    assert stats.best_settings(runs, "learning_rate") == {"rnn": 0.002}
    assert stats.best_settings([], "learning_rate") == {}


# ---------------------------------------------------------------------------------------------------------------------
# contrasts


def contrast_of(differences, key="a/b", margin=0.01):
    return stats.Contrast(key, "LSTM", "RNN", "loss", stats.estimate(dict(enumerate(differences))), margin=margin)


SAID = {"lower": "less", "higher": "more", "same": "alike", "open": "open"}


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        ([-0.1, -0.11, -0.09], "0.1000 nats lower (95% interval 0.0752 to 0.1248 lower; 3 seeds)"),
        ([0.02, -0.01, 0.02], "0.0100 nats higher (95% interval 0.0330 lower to 0.0530 higher; 3 seeds)"),
        ([0.02], "0.0200 nats higher (1 seed, so no interval)"),
        ([], "not known"),
    ],
)
def test_a_contrast_in_words_has_its_interval_and_level(differences, words):
    c = contrast_of(differences)
    assert f"{c}" == words and f"{c:short}" == words.partition(" (")[0]


def test_a_ratio_is_a_difference_of_logarithms_and_said_as_a_number_of_times():
    c = replace(contrast_of([1.0, 1.1, 0.9]), unit=stats.LOG10)
    assert f"{c}" == "10 times (95% interval 5.6 to 18; 3 seeds)"
    assert (f"{c:short}", f"{c:size}") == ("10 times", "10")
    table = contrast_table("ratios", [c], "")
    assert table
    (row,) = table.frame.to_dict("records")
    assert (row["compared"], row["first"], row["estimate"]) == ("LSTM / RNN", None, pytest.approx(10))


def test_a_contrast_is_of_shared_seeds_and_so_are_its_means():
    c = stats.contrast("a/b", with_loss("lstm", [1.5, 1.6, 1.7]), with_loss("rnn", [1.0, 1.2]), "val_loss_best")
    assert (c.first, c.second, c.difference.n, c.difference.dropped) == ("LSTM", "RNN", 2, (2,))
    assert c.means == pytest.approx((1.55, 1.1)) and c.difference.mean == pytest.approx(0.45)


def test_a_contrast_may_have_a_margin_of_its_own():
    assert contrast_of([0.1, 0.11, 0.09], margin=0.2).verdict == stats.SAME


def test_cells_are_compared_two_by_two_the_later_minus_the_earlier_as_one_family():
    runs = [r for cell, x in (("rnn", 1.0), ("lstm", 1.2), ("gru", 1.5)) for r in with_loss(cell, [x, x, x])]
    found = stats.pairwise("a", runs, "val_loss_best")
    assert [c.key for c in found] == ["a/lstm-rnn", "a/gru-rnn", "a/gru-lstm"]
    assert [c.difference.mean for c in found] == pytest.approx([0.2, 0.5, 0.3])
    assert sorted(c.difference.level for c in found) == pytest.approx([1 - 0.05 / m for m in (1, 2, 3)])


@pytest.mark.parametrize(("at_once", "levels"), [(True, {0.95, 0.975}), (False, {0.95})])
def test_contrasts_of_the_cells_are_one_family_or_each_judged_alone(at_once, levels):
    runs = [*with_loss("rnn", [1.0, 1.1, 1.2]), *with_loss("lstm", [2.0, 2.1, 2.2])]
    found = stats.by_cell("a", runs, None, "val_loss_best", names=("", ""), at_once=at_once)
    assert {c.difference.level for c in found.values()} == levels and [*found] == ["rnn", "lstm"]


@pytest.mark.parametrize(
    ("losses", "order"),
    [
        ({"rnn": 1.6, "lstm": 1.6001, "gru": 1.4}, "GRU best, then RNN and LSTM alike"),
        ({"rnn": 1.4, "lstm": 1.6, "gru": 1.4001}, "RNN and GRU alike, then LSTM"),
    ],
)
def test_cells_are_ranked_by_the_verdicts_between_them(losses, order):
    runs = [r for cell, x in losses.items() for r in with_loss(cell, [x, x + 0.001, x - 0.001])]
    assert stats.ranking(stats.pairwise("a", runs, "val_loss_best")) == order


def test_a_claim_of_several_parts_has_the_verdict_of_the_weakest():
    weakest_first = [contrast_of(x) for x in ([0.1], [-0.1, -0.11, -0.09], [0, 0, 0], [-1, 1, 1], [0.1, 0.11, 0.09])]
    for i, weakest in enumerate(weakest_first):
        assert stats.weakest(*reversed(weakest_first[i:])) is weakest


def test_a_difference_that_is_too_close_to_call_is_said_to_be_so_in_each_cell():
    by_cell = {"rnn": contrast_of([-1, 1, 1]), "lstm": contrast_of([0.1, 0.11, 0.09])}
    assert stats.per_cell(by_cell) == "0.3333 nats higher (RNN, too close to call) and 0.1000 nats higher (LSTM)"


def test_a_sentence_on_several_is_mixed_where_their_verdicts_differ():
    less, more = contrast_of([-0.1, -0.11, -0.09]), contrast_of([0.1, 0.11, 0.09])
    both = SAID | {"mixed": "mixed", "few": "too few"}
    assert stats.say_all([less, less], **both) == "less"
    assert stats.say_all([less, more], **both) == "mixed"
    assert stats.say_all([], **both) == "too few"
