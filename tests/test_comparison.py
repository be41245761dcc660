"""The fair comparison: corrected intervals, learning rates, the parts of a spread, and how many seeds it takes."""

import math

import numpy as np
import pytest
from synthetic import make_record, make_runs

import charlm_comparison as comparison


@pytest.mark.parametrize("sd, difference, n", [(1.0, 1.0, 10), (1.0, 0.5, 34), (0.0, 0.1, 2)])
def test_seeds_needed_are_those_of_the_tables_of_the_paired_t_test(sd, difference, n):
    assert comparison.seeds_needed(sd, difference) == n


def test_what_a_split_does_is_told_from_what_a_seed_does():
    ramp, sd = np.tile(np.arange(4.0), (4, 1)), np.std(range(4), ddof=1)
    assert comparison.parts(ramp.T) == pytest.approx([sd, 0, 0])
    assert comparison.parts(ramp) == pytest.approx([0, sd, 0])
    one_pair_of_four = np.array([[2.0, 0.0], [0.0, 0.0]])  # all mean squares are 1
    assert comparison.parts(one_pair_of_four) == pytest.approx([0, 0, 1])


def random_layout(splits, seeds, sds=(3, 1, 2)):
    rng = np.random.default_rng(0)
    a, b, rest = (
        sd * rng.normal(size=n) for sd, n in zip(sds, ((splits, 1), (1, seeds), (splits, seeds)), strict=True)
    )
    return {(i, j): (a + b + rest)[i, j] for i in range(splits) for j in range(seeds)}


def test_the_parts_of_a_spread_are_recovered_from_random_numbers():
    found = comparison.spread(random_layout(60, 60))
    assert [found[part][0] for part in comparison.PARTS] == pytest.approx([3, 1, 2], rel=0.2)


def test_a_part_is_the_surer_the_more_splits_and_seeds_there_are():
    few, many = comparison.spread(random_layout(4, 4)), comparison.spread(random_layout(30, 30))
    for part in comparison.PARTS:
        sd, low, high = many[part]
        assert low < sd < high and (high - low) / sd < (few[part][2] - few[part][1]) / few[part][0]
    sd, low, high = many["together"]
    assert (high - low) / sd == pytest.approx(2 * 1.96 / math.sqrt(2 * 29 * 29), rel=0.1)  # that of chi, many degrees


def crossed_runs(cell, wobble=0.0):
    pairs = [(a, b) for a in range(4) for b in range(4)]
    return [
        make_record(cell, b, split_seed=None if a == b else a) | {"val_loss_best": 1.5 + 0.1 * a + wobble * b}
        for a, b in pairs
    ]


def test_the_spread_table_takes_every_split_with_every_seed():
    rows = comparison.spread_table([*crossed_runs("rnn"), *crossed_runs("lstm", 0.01)]).frame.to_dict("records")
    assert [r["loss of"] for r in rows] == ["RNN", "LSTM", "LSTM − RNN"]
    assert [r["runs"] for r in rows] == [16, 16, 16]
    sd = np.std(range(4), ddof=1)
    assert rows[0]["split"] == pytest.approx(0.1 * sd) and rows[0]["seed"] == pytest.approx(0, abs=1e-6)
    assert rows[2]["split"] == pytest.approx(0, abs=1e-6) and rows[2]["seed"] == pytest.approx(0.01 * sd)


def test_an_incomplete_cross_has_no_parts():
    rows = comparison.spread_table(crossed_runs("rnn")[:-1]).frame.to_dict("records")
    assert rows[0]["split"] is None and rows[0]["split, 95%"] is None


def with_loss(cell, losses, **config):
    return [make_record(cell, s, **config) | {"val_loss_best": x} for s, x in enumerate(losses)]


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
    found = comparison.pair_findings([*with_loss("rnn", [1.6, 1.601, 1.602]), *with_loss("lstm", lstm)], "it", "size")
    assert f"- RNN or LSTM: {lead}; the LSTM's loss is " in found.filled


def test_three_cells_make_three_corrected_differences():
    runs = [r for i, cell in enumerate(("rnn", "lstm", "gru")) for r in with_loss(cell, [1.5 + i, 1.52 + i, 1.51 + i])]
    found = comparison.pairs(runs)
    assert list(found) == [("rnn", "lstm"), ("rnn", "gru"), ("lstm", "gru")]
    assert [e.mean for e in found.values()] == pytest.approx([1, 2, 1])


def test_the_cell_table_multiplies_epochs_with_seconds_timed_alone():
    runs = [r | {"epochs": n} for r, n in zip(with_loss("rnn", [1.5, 1.6]), (20, 30), strict=True)]
    (row,) = comparison.cell_table(runs, "it", {"rnn-256": 2.0}).frame.to_dict("records")
    assert row["seconds"] == 50.0 and row["validation, best"] == pytest.approx(1.55)
    (row,) = comparison.cell_table(runs, "it", {}).frame.to_dict("records")
    assert row["seconds"] is None


def test_runs_that_the_limit_of_epochs_cut_short_are_counted():
    cut = make_record("lstm", 0, epochs=20, max_epochs=20)
    stopped = make_record("lstm", 1, epochs=20, max_epochs=20) | {"best_epoch": 15}
    runs = [*make_runs(["rnn"], 2), cut, stopped]
    said = "Stopped by the limit of epochs while they may still have got better: 1 of 2 runs of the LSTM (after 20)."
    assert comparison.cell_table(runs, "it", {}).note == said
    assert said in comparison.pair_findings(runs, "it", "size").filled
    assert comparison.cut_short(make_runs(["rnn"], 2)) == ""


def test_a_cells_best_rate_has_the_lowest_mean_and_no_diverged_run():
    runs = [
        *with_loss("rnn", [1.6, 1.62], learning_rate=0.001),
        *with_loss("rnn", [1.5, 1.52], learning_rate=0.002),
        *with_loss("rnn", [1.4], learning_rate=0.004),
        make_record("rnn", 1, learning_rate=0.004, diverged=True, epochs=3),
    ]
    assert comparison.best_rates(runs) == {"rnn": 0.002}
    lowest = [r["learning rate"] for r in comparison.rate_table(runs).frame.to_dict("records") if r["lowest"]]
    assert lowest == [0.002]


SWEPT = [
    *with_loss("rnn", [1.6, 1.61, 1.62], learning_rate=0.001),
    *with_loss("rnn", [1.7, 1.71, 1.72], learning_rate=0.002),
    *with_loss("lstm", [1.7, 1.71, 1.72], learning_rate=0.001),
    *with_loss("lstm", [1.5, 1.51, 1.52], learning_rate=0.002),
]


def test_tuned_cells_meet_each_at_its_own_rate():
    text = comparison.tuned(SWEPT, []).filled
    assert "**the LSTM is better**; the LSTM's loss is 0.1000 nats lower" in text
    assert "The rates (RNN 0.001, LSTM 0.002) were chosen on these very losses" in text.replace("&#44;", ",")


def test_tuned_cells_are_compared_on_seeds_that_did_not_choose_their_rates():
    fresh = [*with_loss("rnn", [1.61, 1.6, 1.62], learning_rate=0.001)]
    fresh += with_loss("lstm", [1.71, 1.7, 1.72], learning_rate=0.002)
    text = comparison.tuned(SWEPT, fresh).filled
    assert "**the RNN is better**; the LSTM's loss is 0.1000 nats higher" in text
    assert "were chosen on 3 other seeds" in text


def test_pairing_needs_fewer_seeds_where_the_cells_move_together():
    losses = [1.5, 1.6, 1.55, 1.58]
    runs = [*with_loss("rnn", losses), *with_loss("lstm", [x + 0.001 * (-1) ** i for i, x in enumerate(losses)])]
    values = comparison.enough_seeds(runs).values
    assert values["paired"] < values["unpaired"]
    assert values["n"] == 4 and values["difference"] == pytest.approx(0.0057)


def test_without_a_spread_nobody_says_how_many_seeds_it_takes():
    assert "not known" in comparison.enough_seeds(make_runs(seeds=1)).filled


def test_a_study_that_was_not_made_shows_nothing():
    assert comparison.cell_table([], "it", {}) is None and comparison.pair_findings([], "it", "size") is None
    assert (
        comparison.rate_table([]) is None and comparison.tuned([], []) is None and comparison.spread_table([]) is None
    )
    assert comparison.enough_seeds([]) is None
