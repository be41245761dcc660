"""Estimates over seeds, and the rule by which a difference is judged. Losses are in nats per character."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtr, stdtrit  # of Student's t; scipy.stats takes half a second to import

from charlm.records import Record, Records, check_alike, counted, finished, of_cell

Interval = tuple[float, float]  # low and high
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
    interval: Interval | None  # 95%, Student's t
    dropped: tuple[int, ...] = ()  # seeds that could not be paired

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def known_mean(self) -> float:
        """The mean, for who knows that there is a seed."""
        if self.mean is None:
            raise ValueError("no seed, so no mean")
        return self.mean

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
    mean = float(x.mean())
    sd = float(x.std(ddof=1))
    return Estimate(values, mean, sd, _t_interval(mean, sd, len(x), 0.05), tuple(dropped))


def _t_interval(mean: float, sd: float, n: int, share: float) -> Interval:
    """The interval of Student's t that misses with a chance of `share`, half of it on each side."""
    half = float(stdtrit(n - 1, 1 - share / 2)) * sd / math.sqrt(n)
    return mean - half, mean + half


def holm(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The estimates with intervals whose chance that any of them misses is 5% at most, as VERDICT_RULE says.

    S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statist. 6 (1979).
    """
    p = [_p_value(e) for e in estimates]
    by_p = sorted(range(len(p)), key=p.__getitem__)
    widened = list(estimates)
    level = None  # of all that come after the first interval that includes zero
    for rank, i in enumerate(by_p):
        e = estimates[i]
        share = level or 0.05 / (len(p) - rank)
        if e.mean is None or e.sd is None:
            continue
        low, high = _t_interval(e.mean, e.sd, e.n, share)
        widened[i] = replace(e, interval=(low, high))
        if level is None and low <= 0 <= high:
            level = share
    return widened


def _p_value(e: Estimate) -> float:
    """Of Student's t test that the mean is zero, two-sided."""
    if e.mean is None or e.sd is None:
        return 1.0
    if e.sd == 0:
        return 1.0 if e.mean == 0 else 0.0
    t = abs(e.mean) / (e.sd / math.sqrt(e.n))
    return float(2 * stdtr(e.n - 1, -t))


def seed_estimate(records: Records, key: Key) -> Estimate:
    """Estimate of key, a field of the record or a function of it, over the finished runs that have it."""
    values = {}
    for r in sorted(finished(records), key=lambda r: r["seed"]):
        value = key(r) if callable(key) else r[key]
        if value is not None:
            values[r["seed"]] = value
    return estimate(values)


def paired_difference(a_records: Records, b_records: Records, key: Key) -> Estimate:
    """Estimate of a - b over the seeds that finished in both; the others are in dropped. A seed splits the corpus in
    the same way for every cell, so the difference within a seed is free of the luck of the split.
    """
    check_alike(a_records)
    check_alike(b_records)
    a = seed_estimate(a_records, key).values
    b = seed_estimate(b_records, key).values
    seeds = {r["seed"] for r in [*a_records, *b_records]}
    shared = a.keys() & b.keys()
    differences = {s: a[s] - b[s] for s in sorted(shared)}
    return estimate(differences, dropped=sorted(seeds - shared))


def lstm_minus_rnn(records: Records, epoch: str) -> Estimate:
    """Estimate of the difference in validation loss at the "last" or the "best" epoch, two that are judged at once."""
    rnn = of_cell(records, "rnn")
    lstm = of_cell(records, "lstm")
    epochs = ("last", "best")
    differences = [paired_difference(lstm, rnn, f"val_loss_{e}") for e in epochs]
    return holm(differences)[epochs.index(epoch)]


# ---------------------------------------------------------------------------------------------------------------------
# verdicts


def verdict(interval: Interval | None, n: int, claimed_sign: int, margin: float = MARGIN) -> str:
    """What VERDICT_RULE says of a difference claimed to be above zero (claimed_sign 1) or below it (-1), from its 95%
    interval (low, high) and the number of seeds behind it.
    """
    if n < MIN_SEEDS or interval is None:
        return "not judged"
    low, high = interval
    if -margin < low and high < margin:
        return "no difference that matters"
    if low <= 0 <= high:
        return "too close to call"
    return "confirmed" if (low > 0) == (claimed_sign > 0) else "refuted"


def verdict_of_both(first: str, second: str) -> str:
    """The verdict on a claim with two parts that both have to hold: that of the weaker part."""
    order = ["not judged", "refuted", "no difference that matters", "too close to call", "confirmed"]
    return min(first, second, key=order.index)


def judged_lower(e: Estimate) -> str:
    """The verdict on the claim that a difference is below zero."""
    return verdict(e.interval, e.n, claimed_sign=-1)


def judged_higher(e: Estimate) -> str:
    """The verdict on the claim that a difference is above zero."""
    return verdict(e.interval, e.n, claimed_sign=1)


def difference_in_words(e: Estimate, than: str) -> str:
    """A difference as '0.0312 nats lower than <than> (95% interval 0.0280 to 0.0344 lower; 5 seeds)'."""
    if e.mean is None:
        return "not known"
    side = "lower" if e.mean < 0 else "higher"
    size = f"{abs(e.mean):.4f}"
    words = f"within 0.0001 nats of {than}" if size == "0.0000" else f"{size} nats {side} than {than}"
    if e.interval is None:
        return f"{words} ({counted(e.n, 'seed')}, so no interval)"
    low, high = e.interval
    if low * high > 0:
        near, far = sorted([abs(low), abs(high)])
        reach = f"{near:.4f} to {far:.4f} {side}"
    else:
        reach = f"{abs(low):.4f} lower to {high:.4f} higher"
    return f"{words} (95% interval {reach}; {counted(e.n, 'seed')})"
