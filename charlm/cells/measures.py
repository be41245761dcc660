"""The fair comparison: differences between cells, their best learning rates, what the luck of a run is made of, and
how many seeds are enough. Pure functions from the records of studies to numbers.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import nctdtr, stdtrit

from charlm import stats
from charlm.records import Record, Records, finished, of_cell, with_value
from charlm.stats import RESAMPLES

POWER = 0.8  # the chance with which a difference that is there shall be found
MOST_PAIRS = 100_000  # where seeds_needed() stops looking


def seeds_needed(sd: float, difference: float) -> int:
    """Pairs of runs with which a two-sided t test at 5% finds a difference, given the standard deviation of the
    differences, with the probability POWER (from the noncentral t distribution)."""
    if not sd:
        return 2  # the fewest that give a standard deviation at all
    for n in range(2, MOST_PAIRS):
        critical = stdtrit(n - 1, 0.975)
        shift = difference / (sd / math.sqrt(n))  # the noncentrality: standard errors that the difference is worth
        missed = nctdtr(n - 1, shift, critical)
        if not math.isfinite(shift) or missed <= 1 - POWER:
            return n
    return MOST_PAIRS


def runs_at_own_rate(swept: Records, records: Records) -> list[Record]:
    """The runs of each cell at its own best learning rate of those swept: `records`, of other seeds, or without any those
    of the sweep itself."""
    if records:
        return list(records)
    own = []
    for cell, rate in stats.best_settings(swept, "learning_rate").items():
        own += with_value(of_cell(swept, cell), "learning_rate", rate)
    return own


def lower_in_resamples(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """In how many of the pairs of one value of each the first is lower: (low, high), which hold 95% of what is found where
    the values are drawn again (bootstrap, percentiles)."""
    rng = np.random.default_rng(0)
    drawn = (rng.choice(np.asarray(values), (RESAMPLES, len(values))) for values in (first, second))
    lower = [np.sum(np.less.outer(*pair)) for pair in zip(*drawn, strict=True)]
    low, high = np.percentile(lower, [2.5, 97.5])
    return float(low), float(high)


# ---------------------------------------------------------------------------------------------------------------------
# what the luck of a run is made of

PARTS = ("split", "seed", "rest")


def parts(x: np.ndarray) -> np.ndarray:
    """Standard deviations (..., 3) due to the split, to the seed, and to what is left, from values (..., splits, seeds): the
    random effects of a two-way layout without repeats, by the method of moments, where a negative variance is zero.
    (S. R. Searle, G. Casella, C. E. McCulloch, Variance Components, 1992, section 4.3.)
    """
    splits, seeds = x.shape[-2:]
    of_split = x.mean(axis=-1, keepdims=True)  # (..., splits, 1)
    of_seed = x.mean(axis=-2, keepdims=True)  # (..., 1, seeds)
    rest = x - of_split - of_seed + x.mean(axis=(-2, -1), keepdims=True)  # (..., splits, seeds)
    # Mean squares, (...): what each is expected to be is a sum of variances, which the differences below take apart.
    ms_rest = (rest**2).sum(axis=(-2, -1)) / ((splits - 1) * (seeds - 1))
    ms_split = seeds * of_split.var(axis=(-2, -1), ddof=1)
    ms_seed = splits * of_seed.var(axis=(-2, -1), ddof=1)
    variances = np.stack([(ms_split - ms_rest) / seeds, (ms_seed - ms_rest) / splits, ms_rest], axis=-1)
    return np.sqrt(np.maximum(0.0, variances))


def is_whole(crossed: dict[tuple[int, int], float]) -> bool:
    """Whether there is a value for every pair of split and seed, and at least two of each."""
    splits = {split for split, _ in crossed}
    seeds = {seed for _, seed in crossed}
    return len(splits) > 1 and len(seeds) > 1 and len(crossed) == len(splits) * len(seeds)


def spread(crossed: dict[tuple[int, int], float]) -> dict[str, tuple[float, float, float]]:
    """{part: (standard deviation, low, high)} from one value for every pair of split and seed. low and high hold 95% of
    what a layout of this size finds where the found parts are the true ones (parametric bootstrap, percentiles)."""
    pairs = sorted(crossed)  # by split, then by seed
    splits = len({split for split, _ in pairs})
    seeds = len(pairs) // splits
    sds = parts(np.array([crossed[pair] for pair in pairs]).reshape(splits, seeds))  # (3,)

    rng = np.random.default_rng(0)
    of_split = sds[0] * rng.normal(size=(RESAMPLES, splits, 1))
    of_seed = sds[1] * rng.normal(size=(RESAMPLES, 1, seeds))
    rest = sds[2] * rng.normal(size=(RESAMPLES, splits, seeds))
    again = parts(of_split + of_seed + rest)  # (resamples, 3)
    lows, highs = np.quantile(again, (0.025, 0.975), axis=0)  # (3,) each
    spreads = {}
    for i, name in enumerate(PARTS):
        spreads[name] = (float(sds[i]), float(lows[i]), float(highs[i]))
    return spreads


def crossed(records: Records) -> dict[tuple[int, int], Record]:
    """{(split, seed): record} of the finished runs of one cell."""
    by_pair = {}
    for r in finished(records):
        split = r["seed"] if r["split_seed"] is None else r["split_seed"]
        by_pair[split, r["seed"]] = r
    return by_pair
