"""The fair comparison in numbers, against tables and numbers that are known."""

import math

import numpy as np
import pytest
from synthetic import make_record, with_loss

from charlm.cells import measures, words
from charlm.cells.measures import PARTS


@pytest.mark.parametrize("sd, difference, n", [(1.0, 1.0, 10), (1.0, 0.5, 34), (0.0, 0.1, 2)])
def test_seeds_needed_are_those_of_the_tables_of_the_paired_t_test(sd, difference, n):
    assert measures.seeds_needed(sd, difference) == n


def test_what_a_split_does_is_told_from_what_a_seed_does():
    ramp, sd = np.tile(np.arange(4.0), (4, 1)), np.std(range(4), ddof=1)
    assert measures.parts(ramp.T) == pytest.approx([sd, 0, 0])
    assert measures.parts(ramp) == pytest.approx([0, sd, 0])
    one_pair_of_four = np.array([[2.0, 0.0], [0.0, 0.0]])  # all mean squares are 1
    assert measures.parts(one_pair_of_four) == pytest.approx([0, 0, 1])


def random_layout(splits, seeds, sds=(3, 1, 2)):
    rng = np.random.default_rng(0)
    a, b, rest = (
        sd * rng.normal(size=n) for sd, n in zip(sds, ((splits, 1), (1, seeds), (splits, seeds)), strict=True)
    )
    return {(i, j): (a + b + rest)[i, j] for i in range(splits) for j in range(seeds)}


def test_the_parts_of_a_spread_are_recovered_from_random_numbers():
    found = measures.spread(random_layout(60, 60))
    assert [found[part][0] for part in PARTS] == pytest.approx([3, 1, 2], rel=0.2)


def test_a_part_is_the_surer_the_more_splits_and_seeds_there_are():
    few, many = measures.spread(random_layout(4, 4)), measures.spread(random_layout(30, 30))
    for part in PARTS:
        sd, low, high = many[part]
        assert low < sd < high and (high - low) / sd < (few[part][2] - few[part][1]) / few[part][0]
    sd, low, high = many["together"]
    assert (high - low) / sd == pytest.approx(2 * 1.96 / math.sqrt(2 * 29 * 29), rel=0.1)  # that of chi, many degrees


def test_three_cells_make_three_corrected_differences():
    runs = [r for i, cell in enumerate(("rnn", "lstm", "gru")) for r in with_loss(cell, [1.5 + i, 1.52 + i, 1.51 + i])]
    found = measures.pairwise_differences(runs)
    assert list(found) == [("rnn", "lstm"), ("rnn", "gru"), ("lstm", "gru")]
    assert [e.mean for e in found.values()] == pytest.approx([1, 2, 1])


def test_a_cells_best_rate_has_the_lowest_mean_and_no_diverged_run():
    runs = [
        *with_loss("rnn", [1.6, 1.62], learning_rate=0.001),
        *with_loss("rnn", [1.5, 1.52], learning_rate=0.002),
        *with_loss("rnn", [1.4], learning_rate=0.004),
        make_record("rnn", 1, learning_rate=0.004, diverged=True, epochs=3),
    ]
    assert measures.best_rates(runs) == {"rnn": 0.002}
    lowest = [r["learning rate"] for r in words.rate_table(runs).frame.to_dict("records") if r["lowest"]]
    assert lowest == [0.002]
