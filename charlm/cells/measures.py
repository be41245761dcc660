"""The fair comparison: differences between cells, their best learning rates, what the luck of a run is made of, and
how many seeds are enough. Pure functions from the records of studies to numbers.
"""

import math
from itertools import combinations

import numpy as np
from scipy.special import nctdtr, stdtrit

from charlm import stats
from charlm.protocol import PUBLISHED
from charlm.records import Record, Records, cells_in, finished, of_cell
from charlm.stats import Estimate

COMPARED_LOSS = "val_loss_best"  # what cells are compared by
POWER = 0.8  # the chance with which a difference that is there shall be found
PUBLISHED_DIFFERENCE = abs(PUBLISHED["lstm"]["val_loss_last"] - PUBLISHED["rnn"]["val_loss_last"])

# ---------------------------------------------------------------------------------------------------------------------
# cells


def pairwise_differences(records: Records) -> dict[tuple[str, str], Estimate]:
    """{(a, b): estimate of loss of b − a} for every two cells, paired over seeds, intervals by Holm."""
    both = list(combinations(cells_in(records), 2))
    found = [stats.paired_difference(of_cell(records, b), of_cell(records, a), COMPARED_LOSS) for a, b in both]
    return dict(zip(both, stats.holm(found), strict=True))


def seeds_needed(sd: float, difference: float) -> int:
    """Pairs of runs with which a two-sided t test at 5% finds a difference, given the standard deviation of the
    differences, with the probability POWER (from the noncentral t distribution)."""
    for n in range(2, 100_000):
        critical, shift = stdtrit(n - 1, 0.975), difference / (sd / math.sqrt(n)) if sd else math.inf
        if not math.isfinite(shift) or nctdtr(n - 1, shift, critical) <= 1 - POWER:
            return n
    return 100_000


# ---------------------------------------------------------------------------------------------------------------------
# learning rates


def rates_in(records: Records) -> list[float]:
    return sorted({r["learning_rate"] for r in records})


def at_rate(records: Records, rate: float) -> list[Record]:
    return [r for r in records if r["learning_rate"] == rate]


def best_rates(records: Records) -> dict[str, float]:
    """{cell: learning rate with the lowest mean validation loss}; a rate at which a run diverged is out."""
    found = {}
    for cell in cells_in(records):
        runs = of_cell(records, cell)
        whole = [x for x in rates_in(runs) if all(r["status"] == "finished" for r in at_rate(runs, x))]
        if whole:
            found[cell] = min(whole, key=lambda x: stats.seed_estimate(at_rate(runs, x), COMPARED_LOSS).mean)
    return found


# ---------------------------------------------------------------------------------------------------------------------
# what the luck of a run is made of

PARTS = ("split", "seed", "together")
LAYOUT_RESAMPLES = 2000


def parts(x: np.ndarray) -> np.ndarray:
    """Standard deviations (..., 3) of what the split, the seed and the two together do, from values (..., splits, seeds):
    the random effects of a two-way layout without repeats, by the method of moments, where a negative variance is zero.
    (S. R. Searle, G. Casella, C. E. McCulloch, Variance Components, 1992, section 4.3.)
    """
    a, b = x.shape[-2:]
    rows, columns = x.mean(axis=-1, keepdims=True), x.mean(axis=-2, keepdims=True)
    rest = x - rows - columns + x.mean(axis=(-2, -1), keepdims=True)
    ms_rest = (rest**2).sum(axis=(-2, -1)) / ((a - 1) * (b - 1))
    ms_rows, ms_columns = b * rows.var(axis=(-2, -1), ddof=1), a * columns.var(axis=(-2, -1), ddof=1)
    variances = np.stack([(ms_rows - ms_rest) / b, (ms_columns - ms_rest) / a, ms_rest], axis=-1)
    return np.sqrt(np.maximum(0.0, variances))


def spread(crossed: dict[tuple[int, int], float]) -> dict[str, tuple[float, float, float]]:
    """{part: (standard deviation, low, high)} from one value for every pair of split and seed. low and high hold 95% of
    what a layout of this size finds where the found parts are the true ones (parametric bootstrap, percentiles)."""
    splits, seeds = (sorted({pair[i] for pair in crossed}) for i in (0, 1))
    found = parts(np.array([[crossed[a, b] for b in seeds] for a in splits]))
    rng, (a, b) = np.random.default_rng(0), (len(splits), len(seeds))
    drawn = [rng.normal(size=(LAYOUT_RESAMPLES, *shape)) for shape in ((a, 1), (1, b), (a, b))]
    low, high = np.quantile(parts(sum(sd * z for sd, z in zip(found, drawn, strict=True))), (0.025, 0.975), axis=0)
    return {name: tuple(map(float, x)) for name, x in zip(PARTS, zip(found, low, high, strict=True), strict=True)}


def crossed(records: Records) -> dict[tuple[int, int], Record]:
    """{(split, seed): record} of the finished runs of one cell."""
    number = {True: "seed", False: "split_seed"}
    return {(r[number[r["split_seed"] is None]], r["seed"]): r for r in finished(records)}
