"""The numbers that the source study published, against runs of its protocol."""

import math
from collections.abc import Mapping
from dataclasses import replace

from charlm import stats
from charlm.records import Records, crossing_epoch, of_cell, published_numbers
from charlm.stats import MIN_SEEDS, Estimate, Key

REPRODUCED, NOT_REPRODUCED = "reproduced", "not reproduced"
# Of each cell: what it is, its name in PUBLISHED, how it is read from a record, its unit.
NUMBERS: tuple[tuple[str, str, Key, str], ...] = (
    ("stops at epoch", "epochs", "epochs", "epochs"),
    ("training loss, last epoch", "train_loss_last", "train_loss_last", "nats"),
    ("validation loss, last epoch", "val_loss_last", "val_loss_last", "nats"),
    ("first epoch with validation above training", "crossing_epoch", crossing_epoch, "epochs"),
)


def away_from(e: Estimate, value: float) -> Estimate:
    """How far the mean lies from a value, with the spread of one more run: with this, the interval of the mean is that of
    the prediction, and includes zero where the prediction includes the value."""
    if e.n < MIN_SEEDS or e.mean is None or e.sd is None:
        return stats.estimate({})
    return replace(e, mean=e.mean - value, sd=e.sd * math.sqrt(e.n + 1))


def published_rows(records: Records) -> list[dict]:
    """A row for each published number of the cells of these runs, one family by Holm's method: the mean of the runs, the
    interval in which one more run falls with the chance `level`, and whether the published number lies in it. None unless
    all runs follow the study's protocol."""
    rows, found, away = [], [], []
    for cell, known in published_numbers(records).items():
        for name, field, key, unit in NUMBERS:
            e = stats.seed_estimate(of_cell(records, cell), key)
            rows.append({"cell": cell, "number": name, "unit": unit, "published": known[field]})
            found.append(e)
            away.append(away_from(e, known[field]))
    for row, e, widened in zip(rows, found, stats.holm(away), strict=True):
        row |= {"mean": e.mean, "sd": e.sd, "low": None, "high": None, "level": widened.level, "n": e.n}
        row["verdict"] = stats.NOT_JUDGED
        if widened.interval:
            low, high = widened.interval
            row |= {"low": low + row["published"], "high": high + row["published"]}
            row["verdict"] = REPRODUCED if low <= 0 <= high else NOT_REPRODUCED
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
