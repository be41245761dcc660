"""The fair comparison in numbers, against tables and numbers that are known."""

import math

import numpy as np
import pytest

from charlm.cells import measures
from charlm.cells.measures import PARTS


@pytest.mark.parametrize("sd, difference, n", [(1.0, 1.0, 10), (1.0, 0.5, 34), (0.0, 0.1, 2)])
def test_seeds_needed_are_those_of_the_tables_of_the_paired_t_test(sd, difference, n):
    assert measures.seeds_needed(sd, difference) == n


def test_how_many_pairs_are_lower_has_the_interval_of_drawing_the_runs_again():
    assert measures.lower_in_resamples([1, 2], [3, 4]) == (4, 4)
    assert measures.lower_in_resamples([3, 9], [5, 5]) == (0, 4)  # 9 twice, and 3 twice


def test_what_a_split_does_is_told_from_what_a_seed_does():
    ramp, sd = np.tile(np.arange(4.0), (3, 1)), np.std(range(4), ddof=1)
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


def test_a_part_is_the_surer_the_more_splits_and_seeds_there_are():
    few, many = measures.spread(random_layout(4, 4)), measures.spread(random_layout(30, 30))
    for part in PARTS:
        sd, low, high = many[part]
        assert low < sd < high and (high - low) / sd < (few[part][2] - few[part][1]) / few[part][0]
    sd, low, high = many["rest"]
    assert (high - low) / sd == pytest.approx(2 * 1.96 / math.sqrt(2 * 29 * 29), rel=0.1)  # that of chi, many degrees
