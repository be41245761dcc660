"""What is said of given gradients."""

import math

import numpy as np
import pytest
from gradient_curves import decay
from synthetic import make_runs

from charlm.gradients import measures, words
from charlm.gradients.measures import FACTOR_MARGIN, FAR, NEAR, VANISHED
from charlm.stats import MIN_SEEDS


def judged(ratio, spread=1.02):
    """Ratio between FAR and NEAR as given, over three seeds that differ a little."""
    steps = FAR - NEAR
    return decay(*((ratio * f) ** (1 / steps) for f in (1 / spread, 1, spread)))


# ---------------------------------------------------------------------------------------------------------------------
# ratios


@pytest.mark.parametrize(
    ("ratios", "said"), [((0.5, 0.5), "2"), ((0.5, 0.8), "2 to 5"), ((0.5, 1), "2 to beyond 29"), ((1, 1), "beyond 29")]
)
def test_how_far_it_reaches_over_the_seeds(ratios, said):
    assert words.reached(decay(*ratios), 0.5) == said


# ---------------------------------------------------------------------------------------------------------------------
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
    e = measures.falls(curves)
    assert measures.vanishes(e) == verdict
    assert measures.vanishes(e, claimed=False) == opposite


@pytest.mark.parametrize(
    ("rnn", "lstm", "verdict"),
    [
        (0.01, 0.1, "confirmed"),
        (0.1, 0.01, "refuted"),
        (0.01, 0.011, "no difference that matters"),
    ],
)
def test_one_cell_falls_less_than_another_by_a_factor_that_matters(rnn, lstm, verdict):
    e = measures.quotient(measures.falls(judged(lstm, 1.1)), measures.falls(judged(rnn)))
    assert measures.falls_less(e) == verdict


def test_a_wide_quotient_is_too_close_to_call():
    e = measures.quotient(measures.falls(judged(0.02, 30)), measures.falls(judged(0.01)))
    assert measures.falls_less(e) == "too close to call"


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
    finding = words.vanishing({"rnn": judged(rnn), "lstm": judged(lstm)}, "after")
    assert finding.values["claim"] == claim
    assert finding.filled.startswith(
        f"**That after training the RNN's gradient vanishes and the LSTM's does not: {claim}.**"
    )


def test_each_cell_is_judged_by_its_numbers():
    finding = words.vanishing({"rnn": judged(0.01), "gru": judged(0.5)}, "before")
    assert finding.values["rnn"]["ratio"] == pytest.approx(0.01)
    assert "- RNN: ratio 0.01 (95% interval 0.0095 to 0.011; 3 seeds); that its gradient vanishes is *confirmed*." in (
        finding.filled
    )
    assert "- The GRU's ratio is 50 (95% interval" in finding.filled
    assert "needs a finished run of each: *not judged*" in finding.filled


def test_one_seed_is_shown_and_not_judged():
    finding = words.vanishing({"rnn": decay(0.5), "lstm": decay(0.9)}, "after")
    assert "(1 seed, so no interval); that its gradient vanishes is *not judged*" in finding.filled
    assert finding.values["claim"] == "not judged"


def test_what_training_changes_is_a_factor_by_cell():
    finding = words.learned({"rnn": judged(0.001), "gru": judged(0.1)}, {"rnn": judged(0.1)})
    assert finding.values["rnn"]["factor"] == pytest.approx(100)
    assert finding.filled.startswith(
        "Training multiplies the ratio by 100 (95% interval 100 to 100; 3 seeds) in the RNN."
    )
    assert "No cell" in words.learned({"rnn": judged(0.001)}, {}).filled


def test_the_experiment_is_compared_with_the_gradient():
    after = {"rnn": judged(0.01), "lstm": judged(0.1)}
    replaced = {"rnn": {s: np.array([2, 0.01]) for s in range(3)}, "lstm": {s: np.array([2, 0.1]) for s in range(3)}}
    finding = words.by_replacement(replaced, after)
    assert "RNN 2 and 0.01 nats, ratio 0.005" in finding.filled
    assert "That it falls less: *confirmed*, as by the gradient." in finding.filled
    other = words.by_replacement({"rnn": replaced["lstm"], "lstm": replaced["rnn"]}, after)
    assert "*refuted*, where by the gradient it is *confirmed*." in other.filled


def test_an_experiment_on_windows_that_are_all_alike_has_no_numbers():
    finding = words.by_replacement({"rnn": {0: np.array([math.nan, math.nan])}}, {"rnn": decay(0.5)})
    assert "RNN not known and not known nats, ratio not known" in finding.filled
    nothing = {c: {0: np.array([math.nan, math.nan])} for c in ("rnn", "lstm")}
    assert "times the RNN's" not in words.by_replacement(nothing, {c: decay(0.5) for c in nothing}).filled
    assert "not measured" in words.by_replacement({}, {}).filled


def runs_with(difference):
    """Three seeds of both cells, the LSTM's best validation loss so much above the RNN's."""
    return [
        r | {"val_loss_best": 1.5 + difference * (r["cell"] == "lstm") + 1e-4 * r["seed"] * (r["cell"] == "rnn")}
        for r in make_runs(seeds=3)
    ]


@pytest.mark.parametrize(
    ("rnn", "lstm", "difference", "says"),
    [
        (0.01, 0.1, -0.1, "has both the longer reach and the lower loss"),
        (0.01, 0.1, 0.1, "does not show as a lower loss"),
        (0.01, 0.1, 0.001, "does not show as a lower loss"),
        (0.1, 0.01, -0.1, "not shown to reach further"),
        (0.01, 0.011, -0.1, "not shown to reach further"),
    ],
)
def test_reach_is_set_against_the_loss(rnn, lstm, difference, says):
    finding = words.reach_and_loss({"rnn": judged(rnn), "lstm": judged(lstm)}, runs_with(difference))
    assert says in finding.heading
    assert f"{abs(difference):.3f}" in words.losses_beside(runs_with(difference)).filled
    assert ("causes the other is not shown" in finding.filled) == ("both" in says)


def test_reach_is_not_set_against_a_loss_that_is_too_close_to_call():
    runs = [r | {"val_loss_best": 1.5 + 0.05 * (r["seed"] - 1) * (r["cell"] == "lstm")} for r in make_runs(seeds=3)]
    finding = words.reach_and_loss({"rnn": judged(0.01), "lstm": judged(0.1)}, runs)
    assert finding.heading == "Whether the LSTM's longer reach pays off is too close to call"


def test_the_gru_stands_beside_them_where_it_was_trained():
    after = {"rnn": judged(0.01), "lstm": judged(0.1), "gru": judged(0.001)}
    grus = [r | {"val_loss_best": 1.4} for r in make_runs(["gru"], 3)]
    finding = words.reach_and_loss(after, runs_with(0.0) + grus)
    assert "The GRU's gradient reaches less far than the RNN's" in finding.filled
    assert "by the loss, the GRU is better" in finding.filled
    assert "the GRU's is 0.1001 nats lower than the RNN's" in words.losses_beside(runs_with(0.0) + grus).filled
    assert "GRU" not in words.reach_and_loss(after, runs_with(0.0)).filled


def test_reach_is_not_judged_without_both_cells_and_three_seeds():
    assert "needs a finished run of both cells" in words.reach_and_loss({"rnn": judged(0.1)}, []).filled
    few = words.reach_and_loss({"rnn": decay(0.5), "lstm": decay(0.9)}, make_runs(seeds=1))
    assert "not judged" in few.heading


@pytest.mark.parametrize(
    ("after", "heading"),
    [
        (
            {"rnn": judged(0.01), "lstm": judged(0.05)},
            "every cell's gradient vanishes, the LSTM's more slowly than the RNN's",
        ),
        ({"rnn": judged(0.01), "lstm": judged(0.5)}, "the gradient of the RNN vanishes, the LSTM's more slowly"),
        ({"rnn": judged(0.5), "lstm": judged(0.5)}, "no cell's gradient is shown to vanish"),
        ({"gru": judged(0.01)}, "every cell's gradient vanishes"),
        ({"rnn": decay(0.5)}, "is not judged"),
        ({}, "is not known"),
    ],
)
def test_the_heading_says_whose_gradient_vanishes(after, heading):
    assert heading in words.how_far_back(after).heading


def test_the_table_has_a_row_for_each_cell_of_each_measurement():
    table = words.gradient_table({"before": {"rnn": judged(0.01), "gru": decay(1)}, "after": {"rnn": decay(0.5, 0.5)}})
    first, second, third = table.frame.to_dict("records")
    assert (first["measured"], first["cell"], first["seeds"]) == ("before", "RNN", 3)
    assert first["ratio"] == pytest.approx(0.01)
    assert (second["low"], second["half"], second["a tenth"]) == (None, "beyond 29", "beyond 29")
    assert (third["measured"], third["half"], third["a tenth"]) == ("after", "2", "5")
    assert third["norm at 1"] == pytest.approx(0.5)


def test_a_gradient_that_is_zero_everywhere_has_a_row_without_numbers():
    (row,) = words.gradient_table({"before": {"rnn": {0: np.zeros(30)}}}).frame.to_dict("records")
    assert (row["seeds"], row["norm at 1"], row["ratio"], row["half"]) == (0, None, None, None)


def test_the_table_names_diverged_runs():
    (lost,) = make_runs(["rnn"], 1, epochs=3, diverged=True)
    assert "diverged" in words.gradient_table({"after": {"lstm": decay(0.5)}}, [lost]).note


def test_the_rule_names_its_numbers():
    rule = words.gradient_rule().filled
    for number in (NEAR, FAR, VANISHED, FACTOR_MARGIN, MIN_SEEDS):
        assert f"{number:g}" in rule


@pytest.mark.parametrize(("number", "said"), [(172.4, "170"), (0.01684, "0.017"), (8.61e-5, "8.6e-05"), (1, "1")])
def test_numbers_are_said_with_two_digits(number, said):
    assert words.two_digits(number) == said
