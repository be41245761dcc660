"""What is said of the fair comparison."""

import numpy as np
import pytest
from synthetic import make_record, make_runs, with_loss

from charlm.cells import words


def crossed_runs(cell, wobble=0.0):
    pairs = [(a, b) for a in range(4) for b in range(4)]
    return [
        make_record(cell, b, split_seed=None if a == b else a) | {"val_loss_best": 1.5 + 0.1 * a + wobble * b}
        for a, b in pairs
    ]


def test_the_spread_table_takes_every_split_with_every_seed():
    rows = words.spread_table([*crossed_runs("rnn"), *crossed_runs("lstm", 0.01)]).frame.to_dict("records")
    assert [r["loss of"] for r in rows] == ["RNN", "LSTM", "LSTM − RNN"]
    assert [r["runs"] for r in rows] == [16, 16, 16]
    sd = np.std(range(4), ddof=1)
    assert rows[0]["split"] == pytest.approx(0.1 * sd) and rows[0]["seed"] == pytest.approx(0, abs=1e-6)
    assert rows[2]["split"] == pytest.approx(0, abs=1e-6) and rows[2]["seed"] == pytest.approx(0.01 * sd)


def test_an_incomplete_cross_has_no_parts():
    rows = words.spread_table(crossed_runs("rnn")[:-1]).frame.to_dict("records")
    assert rows[0]["split"] is None and rows[0]["split, 95%"] is None


@pytest.mark.parametrize(
    "lstm, lead",
    [
        ([1.50, 1.51, 1.49], "**the LSTM is better**"),
        ([1.70, 1.71, 1.69], "**the RNN is better**"),
        ([1.60, 1.601, 1.599], "**no difference that matters**"),
        ([1.50, 1.70, 1.65], "**too close to call**"),
    ],
)
def test_two_cells_are_compared_by_the_rule(lstm, lead):
    found = words.pair_findings([*with_loss("rnn", [1.6, 1.601, 1.602]), *with_loss("lstm", lstm)], "it")
    assert found.id == "it-pairs"
    assert f"- RNN or LSTM: {lead}; the LSTM's loss is " in found.filled


GOOD, BAD = [1.50, 1.51, 1.49], [1.70, 1.71, 1.69]


@pytest.mark.parametrize(
    ("losses", "order"),
    [
        ({"rnn": BAD, "lstm": BAD, "gru": GOOD}, "the GRU is better than the LSTM and the RNN"),
        ({"rnn": BAD, "lstm": GOOD, "gru": GOOD}, "the GRU and the LSTM are better than the RNN"),
        ({"rnn": GOOD, "lstm": GOOD}, "no cell is shown to be better"),
        ({"rnn": [1.5], "lstm": [1.7]}, "no cell is shown to be better"),
    ],
)
def test_the_heading_of_a_comparison_says_who_is_better_than_whom(losses, order):
    runs = [r for cell, of_cell in losses.items() for r in with_loss(cell, of_cell)]
    finding = words.comparison(runs, "it", "At one size")
    assert finding.heading == f"At one size {order}"
    assert finding.values["losses"] == pytest.approx({cell: sum(x) / len(x) for cell, x in losses.items()})
    assert finding.values["seeds"] == list(range(len(losses["rnn"])))


def test_the_cell_table_multiplies_epochs_with_seconds_timed_alone():
    runs = [r | {"epochs": n} for r, n in zip(with_loss("rnn", [1.5, 1.6]), (20, 30), strict=True)]
    (row,) = words.cell_table({"it": (runs, {"rnn-256": 2.0})}).frame.to_dict("records")
    assert row["seconds"] == 50.0 and row["validation, best"] == pytest.approx(1.55)
    (row,) = words.cell_table({"it": (runs, {})}).frame.to_dict("records")
    assert row["seconds"] is None


def test_runs_that_the_limit_of_epochs_cut_short_are_counted():
    cut = make_record("lstm", 0, epochs=20, max_epochs=20)
    stopped = make_record("lstm", 1, epochs=20, max_epochs=20) | {"best_epoch": 15}
    runs = [*make_runs(["rnn"], 2), cut, stopped]
    said = "Stopped by the limit of epochs while they may still have got better: 1 of 2 runs of the LSTM (after 20)."
    assert said in words.pair_findings(runs, "it").filled
    assert words.cut_short(make_runs(["rnn"], 2)) == ""


SWEPT = [
    *with_loss("rnn", [1.6, 1.61, 1.62], learning_rate=0.001),
    *with_loss("rnn", [1.7, 1.71, 1.72], learning_rate=0.002),
    *with_loss("lstm", [1.7, 1.71, 1.72], learning_rate=0.001),
    *with_loss("lstm", [1.5, 1.51, 1.52], learning_rate=0.002),
]


def test_cells_meet_each_at_its_own_rate():
    own = words.runs_at_own_rate(SWEPT, [])
    assert {(r["cell"], r["learning_rate"]) for r in own} == {("rnn", 0.001), ("lstm", 0.002)}
    finding = words.chosen_rates(SWEPT, [])
    assert finding.values["at"] == "RNN 0.001, LSTM 0.002" and "on the very losses" in finding.filled


def test_cells_are_compared_on_seeds_that_did_not_choose_their_rates():
    fresh = [*with_loss("rnn", [1.61, 1.6, 1.62], learning_rate=0.001)]
    fresh += with_loss("lstm", [1.71, 1.7, 1.72], learning_rate=0.002)
    assert words.runs_at_own_rate(SWEPT, fresh) == fresh
    assert "Chosen on 3 seeds; the cells are compared on others" in words.chosen_rates(SWEPT, fresh).filled


def test_luck_is_of_what_moves_the_loss_more_in_every_cell():
    split = [*crossed_runs("rnn"), *crossed_runs("lstm", 0.01)]
    assert "the split of the corpus more than the seed" in words.what_luck_is(split).heading
    both = [*crossed_runs("rnn"), *crossed_runs("lstm", 1.0)]
    assert "not the same in each cell" in words.what_luck_is(both).heading
    assert words.what_luck_is(crossed_runs("rnn")[:-1]) is None


def test_pairing_needs_fewer_seeds_where_the_cells_move_together():
    losses = [1.5, 1.6, 1.55, 1.58]
    runs = [*with_loss("rnn", losses), *with_loss("lstm", [x + 0.001 * (-1) ** i for i, x in enumerate(losses)])]
    values = words.enough_seeds(runs).values
    assert values["paired"] < values["unpaired"]
    assert values["n"] == 4 and values["difference"] == pytest.approx(0.0057)


def test_without_a_spread_nobody_says_how_many_seeds_it_takes():
    assert words.enough_seeds(make_runs(seeds=1)) is words.enough_seeds([]) is None


def test_of_a_study_that_was_not_made_nothing_is_said():
    assert words.comparison([], "it", "At one size") is None
    assert words.cell_table({"it": ([], {})}) is None and words.pair_findings([], "it") is None
    assert words.rate_table([]) is None and words.runs_at_own_rate([], []) == [] and words.spread_table([]) is None
    assert words.chosen_rates([], []) is words.what_luck_is([]) is None
