"""The numbers that the source study published, against runs of its protocol."""

import math
from collections.abc import Mapping

from scipy.special import stdtr, stdtrit

from charlm import stats
from charlm.records import Records, crossing_epoch, of_cell, published_numbers
from charlm.stats import MIN_SEEDS, Estimate, Interval, Key

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
# Of each cell: what it is, its name in PUBLISHED, how it is read from a record, its unit.
NUMBERS: tuple[tuple[str, str, Key, str], ...] = (
    ("stops at epoch", "epochs", "epochs", "epochs"),
    ("training loss, last epoch", "train_loss_last", "train_loss_last", "nats"),
    ("validation loss, last epoch", "val_loss_last", "val_loss_last", "nats"),
    ("first epoch with validation above training", "crossing_epoch", crossing_epoch, "epochs"),
)


def one_more_run(e: Estimate, level: float = 0.95) -> Interval | None:
    """The prediction interval for the value of one more seed; None under MIN_SEEDS."""
    if e.n < MIN_SEEDS or e.mean is None or e.sd is None:
        return None
    half = float(stdtrit(e.n - 1, (1 + level) / 2)) * e.sd * math.sqrt(1 + 1 / e.n)
    return e.mean - half, e.mean + half


def chance_of_one_more_run(e: Estimate, value: float) -> float:
    """The chance that one more seed falls as far from the mean as this value, or further; 1 where it is not known."""
    if e.n < MIN_SEEDS or e.mean is None or not e.sd:
        return 1.0
    t = abs(value - e.mean) / (e.sd * math.sqrt(1 + 1 / e.n))
    return float(2 * stdtr(e.n - 1, -t))


def published_rows(records: Records) -> list[dict]:
    """A row for each published number of the cells of these runs, one family by Holm's method: the mean of the runs, the
    interval in which one more run falls with the chance `level`, and whether the published number lies in it. None unless
    all runs follow the study's protocol."""
    rows, chances = [], []
    for cell, known in published_numbers(records).items():
        for name, field, key, unit in NUMBERS:
            e = stats.seed_estimate(of_cell(records, cell), key)
            rows.append({"cell": cell, "number": name, "unit": unit, "published": known[field], "estimate": e})
            chances.append(chance_of_one_more_run(e, known[field]))
    level = None  # of all that come after the first that is reproduced
    for rank, i in enumerate(sorted(range(len(rows)), key=chances.__getitem__)):
        row = rows[i]
        e = row.pop("estimate")
        here = level or 1 - 0.05 / (len(rows) - rank)
        interval = one_more_run(e, here)
        low, high = interval or (None, None)
        row |= {"mean": e.mean, "sd": e.sd, "low": low, "high": high, "level": here, "n": e.n}
        row["verdict"] = stats.NOT_JUDGED
        if low is not None and high is not None:
            row["verdict"] = REPRODUCED if low <= row["published"] <= high else NOT_REPRODUCED
            level = level or (here if row["verdict"] == REPRODUCED else None)
    return rows


def agreed_rows(judging: Records, others: Mapping[str, Records]) -> list[dict]:
    """The rows of the runs that judge; where another set of runs says the opposite, that number is too close to call."""
    rows = published_rows(judging)
    opposite = {REPRODUCED: NOT_REPRODUCED, NOT_REPRODUCED: REPRODUCED}
    for runs in others.values():
        for row, other in zip(rows, published_rows(runs), strict=False):
            if other["verdict"] == opposite.get(row["verdict"]):
                row["verdict"] = stats.OPEN
    return rows
