"""Estimates and verdicts, checked by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from synthetic import make_record, make_runs, with_loss

from charlm import stats
from charlm.records import last_gap
from charlm.stats import MARGIN, MIN_SEEDS, VERDICT_RULE
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


def test_no_spread_gives_an_interval_without_width():
    assert stats.estimate({0: 0.25, 1: 0.25, 2: 0.25}).interval == (0.25, 0.25)


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


def test_holm_of_one_difference_leaves_it_as_it_is():
    (e,) = estimates([1, 2, 3])
    assert stats.holm([e])[0].interval == pytest.approx(e.interval)


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


def test_holm_keeps_the_order_and_what_has_no_interval():
    one, clear = estimates([1.0], [5.0, 5.1])
    assert stats.holm([one, clear])[0] == one


def test_a_difference_can_be_taken_of_a_function_of_the_record():
    a, b = make_runs(["rnn"], 2), make_runs(["lstm"], 2)
    e = stats.paired_difference(a, b, last_gap)
    assert e.values[0] == pytest.approx(
        a[0]["val_loss_last"] - a[0]["train_loss_last"] - b[0]["val_loss_last"] + b[0]["train_loss_last"]
    )


# ---------------------------------------------------------------------------------------------------------------------
# verdicts: each rule on each side


@pytest.mark.parametrize(
    ("interval", "n", "verdict"),
    [
        ((-0.05, -0.04), 2, "not judged"),
        ((-0.05, -0.04), 3, "lower"),
        (None, 3, "not judged"),
        ((-0.009, 0.009), 3, "no difference that matters"),
        ((-0.009, -0.001), 3, "no difference that matters"),  # clear, but too small: this rule comes first
        ((-0.01, -0.001), 3, "lower"),  # 0.01 is the smallest that matters
        ((0.001, 0.01), 3, "higher"),
        ((-0.03, -0.0001), 5, "lower"),
        ((-0.03, 0.0), 5, "too close to call"),
        ((0.0, 0.03), 5, "too close to call"),
        ((0.0001, 0.03), 5, "higher"),
        ((-0.5, 0.5), 5, "too close to call"),
        ((-0.02, -0.02), 5, "lower"),
    ],
)
def test_direction(interval, n, verdict):
    assert stats.direction(interval, n) == verdict


@pytest.mark.parametrize(
    ("found", "claimed", "verdict"),
    [
        (stats.LOWER, stats.LOWER, "confirmed"),
        (stats.HIGHER, stats.LOWER, "refuted"),
        (stats.LOWER, stats.HIGHER, "refuted"),
        (stats.SAME, stats.HIGHER, stats.SAME),
    ],
)
def test_a_claim_has_a_side(found, claimed, verdict):
    assert stats.claim_verdict(found, claimed) == verdict


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
    assert stats.verdict_of_both(first, second) == stats.verdict_of_both(second, first) == both


def test_the_printed_rule_names_every_verdict_and_both_thresholds():
    words = ["not judged", "no difference that matters", "lower", "higher", "too close to call"]
    places = [VERDICT_RULE.index(f"*{w}*") for w in words]
    assert places == sorted(places)
    assert f"±{MARGIN:g}" in VERDICT_RULE
    assert f"under {MIN_SEEDS} seeds" in VERDICT_RULE


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
    ("differences", "verdict", "said"),
    [
        ([-0.1, -0.11, -0.09], stats.LOWER, "less"),
        ([0.1, 0.11, 0.09], stats.HIGHER, "more"),
        ([0.001, 0.0, -0.001], stats.SAME, "alike"),
        ([0.1, -0.1, 0.05], stats.OPEN, "open"),
        ([0.1, 0.11], stats.NOT_JUDGED, stats.FEW),
    ],
)
def test_a_contrast_says_what_its_verdict_chooses(differences, verdict, said):
    c = contrast_of(differences)
    assert c.verdict == verdict and c.say(**SAID) == said


def test_one_sentence_is_missing_and_python_says_which():
    with pytest.raises(TypeError, match="open"):
        contrast_of([0.1]).say(lower="", higher="", same="")


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


@pytest.mark.parametrize(("number", "said"), [(172.4, "170"), (0.01684, "0.017"), (8.61e-5, "8.6e-05"), (1, "1")])
def test_a_ratio_is_said_with_two_digits(number, said):
    assert stats.two_digits(number) == said


def test_a_contrast_is_of_shared_seeds_and_so_are_its_means():
    c = stats.contrast("a/b", with_loss("lstm", [1.5, 1.6, 1.7]), with_loss("rnn", [1.0, 1.2]), "val_loss_best")
    assert (c.first, c.second, c.difference.n, c.difference.dropped) == ("LSTM", "RNN", 2, (2,))
    assert c.means == pytest.approx((1.55, 1.1)) and c.difference.mean == pytest.approx(0.45)


def test_a_family_keeps_its_keys_and_widens_its_intervals():
    alone = [contrast_of([0.1, 0.12, 0.11], "a/1"), contrast_of([0.5, 0.52, 0.51], "a/2")]
    together = stats.family(*alone)
    assert [c.key for c in together] == ["a/1", "a/2"]
    assert sorted(c.difference.level for c in together) == [0.95, 0.975]


@pytest.mark.parametrize(
    ("losses", "order"),
    [
        ({"rnn": 1.6, "lstm": 1.5, "gru": 1.4}, "GRU best, then LSTM, then RNN"),
        ({"rnn": 1.6, "lstm": 1.6001, "gru": 1.4}, "GRU best, then RNN and LSTM alike"),
        ({"rnn": 1.4, "lstm": 1.6, "gru": 1.4001}, "RNN and GRU alike, then LSTM"),
        ({"rnn": 1.4, "lstm": 1.4001, "gru": 1.4002}, "RNN, LSTM and GRU alike"),
    ],
)
def test_cells_are_ranked_by_the_verdicts_between_them(losses, order):
    runs = [r for cell, x in losses.items() for r in with_loss(cell, [x, x + 0.001, x - 0.001])]
    assert stats.ranking(stats.pairwise("a", runs, "val_loss_best")) == order


def test_a_claim_of_two_parts_has_the_verdict_of_the_weaker():
    surely, alike = contrast_of([0.1, 0.11, 0.09], "a/1"), contrast_of([0.001, 0.0, -0.001], "a/2")
    assert stats.weakest(surely, alike) is alike and stats.weakest(surely, surely) is surely


def test_a_sentence_on_several_is_mixed_where_their_verdicts_differ():
    less, more = contrast_of([-0.1, -0.11, -0.09]), contrast_of([0.1, 0.11, 0.09])
    both = SAID | {"mixed": "mixed", "few": "too few"}
    assert stats.say_all([less, less], **both) == "less"
    assert stats.say_all([less, more], **both) == "mixed"
    assert stats.say_all([], **both) == "too few"
