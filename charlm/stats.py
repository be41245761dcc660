"""Estimates over seeds, and the rule by which a difference is judged. Losses are in nats per character."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit  # of Student's t; scipy.stats takes half a second to import

from charlm.records import Record, Records, check_alike, counted, finished, of_cell

Key = str | Callable[[Record], float | None]  # a field of a record, or a function of one

MARGIN = 0.01  # nats per character: the smallest difference that matters
MIN_SEEDS = 3

VERDICT_RULE = f"""\
The smallest difference that matters is {MARGIN:g} nats per character. A claim that one loss is lower than another
is judged from the 95% interval of the difference, paired over seeds where it can be. The first line that fits
decides:

- under {MIN_SEEDS} seeds: *not judged*;
- the interval lies wholly inside ±{MARGIN:g}: *no difference that matters*;
- the interval lies beyond zero on the claimed side: *confirmed*;
- the interval lies beyond zero on the other side: *refuted*;
- otherwise: *too close to call*.

Where one claim is judged of several cells or epochs at once, the intervals are widened by Holm's method: of m differences,
the one with the smallest p-value gets an interval of level 1 − 0.05/m, the next of level 1 − 0.05/(m − 1), and so on; from
the first that includes zero on, all have that one's level."""

# ---------------------------------------------------------------------------------------------------------------------
# estimates


@dataclass(frozen=True)
class Estimate:
    """The mean of one number a seed. Under two seeds there is no sd (n - 1 degrees of freedom) and no interval."""

    values: dict[int, float]  # seed -> value
    mean: float | None
    sd: float | None
    interval: tuple[float, float] | None  # 95%, Student's t
    dropped: tuple[int, ...] = ()  # seeds that could not be paired

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def low(self) -> float | None:
        return self.interval and self.interval[0]

    @property
    def high(self) -> float | None:
        return self.interval and self.interval[1]


def estimate(values: dict[int, float], dropped: Sequence[int] = ()) -> Estimate:
    """Estimate of the mean from {seed: value}. A spread of zero gives an interval of width zero."""
    x = np.array(list(values.values()), dtype=float)
    if len(x) < 2:
        return Estimate(values, float(x[0]) if len(x) else None, None, None, tuple(dropped))
    mean, sd = float(x.mean()), float(x.std(ddof=1))
    half = float(stdtrit(len(x) - 1, 0.975)) * sd / math.sqrt(len(x))
    return Estimate(values, mean, sd, (mean - half, mean + half), tuple(dropped))


def holm(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The estimates with intervals whose chance that any of them misses is 5% at most, as VERDICT_RULE says.

    S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statist. 6 (1979).
    """
    p = [_p_value(e) for e in estimates]
    found: list[Estimate] = list(estimates)
    level = None
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        e, share = estimates[i], level or 0.05 / (len(p) - rank)
        if e.interval is None:
            continue
        half = float(stdtrit(e.n - 1, 1 - share / 2)) * e.sd / math.sqrt(e.n)
        found[i] = Estimate(e.values, e.mean, e.sd, (e.mean - half, e.mean + half), e.dropped)
        if level is None and found[i].low <= 0 <= found[i].high:
            level = share
    return found


def _p_value(e: Estimate) -> float:
    """Of Student's t test that the mean is zero, two-sided."""
    if e.interval is None:
        return 1.0
    if not e.sd:
        return 1.0 if e.mean == 0 else 0.0
    return float(2 * stdtr(e.n - 1, -abs(e.mean) / (e.sd / math.sqrt(e.n))))


def seed_estimate(records: Records, key: Key) -> Estimate:
    """Estimate of key, a field of the record or a function of it, over the finished runs that have it."""
    get = key if callable(key) else lambda r: r[key]
    values = {r["seed"]: get(r) for r in sorted(finished(records), key=lambda r: r["seed"])}
    return estimate({s: v for s, v in values.items() if v is not None})


def paired_difference(a_records: Records, b_records: Records, key: Key) -> Estimate:
    """Estimate of a - b over the seeds that finished in both; the others are in dropped. A seed splits the corpus in
    the same way for every cell, so the difference within a seed is free of the luck of the split.
    """
    check_alike(a_records)
    check_alike(b_records)
    a, b = seed_estimate(a_records, key).values, seed_estimate(b_records, key).values
    seeds = {r["seed"] for r in [*a_records, *b_records]}
    shared = sorted(a.keys() & b.keys())
    return estimate({s: a[s] - b[s] for s in shared}, dropped=sorted(seeds - set(shared)))


def lstm_minus_rnn(records: Records, epoch: str) -> Estimate:
    """Estimate of the difference in validation loss at the "last" or the "best" epoch, two that are judged at once."""
    epochs = ("last", "best")
    found = [paired_difference(of_cell(records, "lstm"), of_cell(records, "rnn"), f"val_loss_{e}") for e in epochs]
    return holm(found)[epochs.index(epoch)]


# ---------------------------------------------------------------------------------------------------------------------
# verdicts


def verdict(interval: tuple[float, float] | None, n: int, claimed_sign: int, margin: float = MARGIN) -> str:
    """What VERDICT_RULE says of a difference claimed to be above zero (claimed_sign 1) or below it (-1), from its 95%
    interval (low, high) and the number of seeds behind it.
    """
    if n < MIN_SEEDS or interval is None:
        return "not judged"
    low, high = interval
    if -margin < low and high < margin:
        return "no difference that matters"
    if low > 0 or high < 0:
        return "confirmed" if (low > 0) == (claimed_sign > 0) else "refuted"
    return "too close to call"


def verdict_of_both(first: str, second: str) -> str:
    """The verdict on a claim with two parts that both have to hold: that of the weaker part."""
    order = ["not judged", "refuted", "no difference that matters", "too close to call", "confirmed"]
    return min(first, second, key=order.index)


def difference_in_words(e: Estimate, than: str) -> str:
    """A difference as '0.0312 nats lower than <than> (95% interval 0.0280 to 0.0344 lower; 5 seeds)'."""
    if e.mean is None:
        return "not known"
    side = "lower" if e.mean < 0 else "higher"
    size = f"{abs(e.mean):.4f}"
    words = f"within 0.0001 nats of {than}" if size == "0.0000" else f"{size} nats {side} than {than}"
    if e.interval is None:
        return f"{words} ({counted(e.n, 'seed')}, so no interval)"
    if e.low * e.high > 0:
        near, far = sorted(map(abs, e.interval))
        reach = f"{near:.4f} to {far:.4f} {side}"
    else:
        reach = f"{abs(e.low):.4f} lower to {e.high:.4f} higher"
    return f"{words} (95% interval {reach}; {counted(e.n, 'seed')})"
