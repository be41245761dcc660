"""Estimates over seeds, and the rule by which a difference is judged. Losses are in nats per character."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit  # of Student's t; scipy.stats takes half a second to import

from charlm.records import (
    Record,
    Records,
    cells_in,
    check_alike,
    counted,
    finished,
    listed,
    of_cell,
    values_in,
    with_value,
)

Interval = tuple[float, float]  # low and high
Key = str | Callable[[Record], float | None]  # a field of a record, or a function of one

MARGIN = 0.01  # nats per character: the smallest difference that matters
MIN_SEEDS = 3
RESAMPLES = 1000  # of a bootstrap

# ---------------------------------------------------------------------------------------------------------------------
# estimates


@dataclass(frozen=True)
class Estimate:
    """The mean of one number a seed. Under two seeds there is no sd (n - 1 degrees of freedom) and no interval."""

    values: dict[int, float]  # seed -> value
    mean: float | None
    sd: float | None
    interval: Interval | None  # Student's t
    level: float = 0.95  # of the interval
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
        return Estimate(values, float(x[0]) if len(x) else None, None, None, dropped=tuple(dropped))
    mean = float(x.mean())
    sd = float(x.std(ddof=1))
    return Estimate(values, mean, sd, _t_interval(mean, sd, len(x), 0.05), dropped=tuple(dropped))


def _t_interval(mean: float, sd: float, n: int, share: float) -> Interval:
    """The interval of Student's t that misses with a chance of `share`, half of it on each side."""
    half = float(stdtrit(n - 1, 1 - share / 2)) * sd / math.sqrt(n)
    return mean - half, mean + half


def holm(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The estimates with intervals whose chance that any of them misses is 5% at most: the smallest p-value of m at level
    1 − 0.05/m, the next at 1 − 0.05/(m − 1), and so on; from the first that includes zero on, all at that one's level.

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
        widened[i] = replace(e, interval=(low, high), level=1 - share)
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


def best_settings(records: Records, field: str) -> dict[str, Any]:
    """{cell: the value of a field with which the mean lowest validation loss is least}, the smallest of equals; a value with
    which a run diverged is out."""
    best = {}
    for cell in cells_in(records):
        means = {}
        for value in values_in(of_cell(records, cell), field):
            tried = with_value(of_cell(records, cell), field, value)
            if finished(tried) == tried:
                means[value] = seed_estimate(tried, "val_loss_best").known_mean
        if means:
            best[cell] = min(means, key=means.__getitem__)
    return best


# ---------------------------------------------------------------------------------------------------------------------
# verdicts


LOWER, HIGHER, SAME = "lower", "higher", "no difference that matters"
OPEN, NOT_JUDGED = "too close to call", "not judged"
VERDICTS = (LOWER, HIGHER, SAME, OPEN, NOT_JUDGED)


def direction(interval: Interval | None, n: int, margin: float = MARGIN) -> str:
    """One of VERDICTS on a difference, from its interval (low, high) and the number of seeds behind it. Notebook 2 has the rule
    in words."""
    if n < MIN_SEEDS or interval is None:
        return NOT_JUDGED
    low, high = interval
    if -margin < low and high < margin:
        return SAME
    if low <= 0 <= high:
        return OPEN
    return HIGHER if low > 0 else LOWER


def claim_verdict(found: str, claimed: str) -> str:
    """What a direction says of the claim that it is `claimed`, LOWER or HIGHER: confirmed or refuted, or itself where there
    is none."""
    return "confirmed" if found == claimed else {LOWER: "refuted", HIGHER: "refuted"}.get(found, found)


# ---------------------------------------------------------------------------------------------------------------------
# a claimed difference, made once: in the cell of a notebook that asks

FEW = "so few seeds cannot tell"
LOG10 = "log10"  # the unit of a ratio, judged as a logarithm and shown as a number of times
# What is compared most often, in words.
QUANTITIES = {
    "val_loss_last": "validation loss, last epoch",
    "val_loss_best": "validation loss, best epoch",
    "train_loss_last": "training loss, last epoch",
    "train_loss_best": "training loss, best epoch",
}


def two_digits(number: float) -> str:
    """'170', '0.017', '8.6e-05'."""
    return f"{float(f'{number:.2g}'):g}"


def factor(log: float | None) -> float | None:
    """The ratio of which this is the logarithm."""
    return None if log is None else 10.0**log


@dataclass(frozen=True)
class Contrast:
    """One difference, first − second, over seeds; in nats per character unless `unit` says otherwise.

    key: path-like, "losses/best/lstm-rnn". means: of first and second over the seeds of the difference, where both were
    measured. notes: what has to be said of it, as "not converged".
    """

    key: str
    first: str
    second: str
    quantity: str
    difference: Estimate
    means: tuple[float | None, float | None] = (None, None)
    margin: float = MARGIN
    unit: str = "nats"
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """One of VERDICTS, by direction()."""
        return direction(self.difference.interval, self.difference.n, self.margin)

    def say(self, *, lower: str, higher: str, same: str, open: str, few: str = FEW) -> str:
        """The one of these that the verdict chooses; `few` where it is not judged."""
        return dict(zip(VERDICTS, (lower, higher, same, open, few), strict=True))[self.verdict]

    def __format__(self, spec: str) -> str:
        """As in "The LSTM's loss is {best} than the RNN's": "0.0124 nats higher (95% interval 0.0067 to 0.0181 higher; 5
        seeds)", of a ratio "2.4 times (95% interval 1.9 to 3.2; 5 seeds)". With :short, no bracket. With :size, the number
        alone."""
        e = self.difference
        if e.mean is None:
            return "not known"
        size = two_digits(10.0**e.mean) if self.unit == LOG10 else f"{abs(e.mean):.4f}"
        if spec == "size":
            return size
        side = "higher" if e.mean > 0 else "lower"
        words = f"{size} times" if self.unit == LOG10 else f"{size} {self.unit} {side}"
        return words if spec == "short" else f"{words} ({self._reach()})"

    def _reach(self) -> str:
        e = self.difference
        if e.interval is None:
            return f"{counted(e.n, 'seed')}, so no interval"
        low, high = e.interval
        if self.unit == LOG10:
            reach = f"{two_digits(10.0**low)} to {two_digits(10.0**high)}"
        elif low * high > 0:
            near, far = sorted([abs(low), abs(high)])
            side = "higher" if low > 0 else "lower"
            reach = f"{near:.4f} to {far:.4f} {side}"
        else:
            reach = f"{abs(low):.4f} lower to {high:.4f} higher"
        return f"{100 * e.level:.3g}% interval {reach}; {counted(e.n, 'seed')}"

    @property
    def facts(self) -> dict:
        """What results.json has of it under its key."""
        e = self.difference
        facts: dict = {"first": self.first, "second": self.second, "quantity": self.quantity, "unit": self.unit}
        facts |= {"values": e.values, "first_mean": self.means[0], "second_mean": self.means[1]}
        facts |= {"mean": e.mean, "sd": e.sd, "low": e.low, "high": e.high, "level": e.level, "n": e.n}
        return facts | {"margin": self.margin, "verdict": self.verdict, "notes": list(self.notes)}


def contrast(
    key: str,
    first: Records,
    second: Records | None,
    quantity: Key,
    *,
    names: tuple[str, str] | None = None,
    words: str = "",
    notes: Sequence[str] = (),
    margin: float = MARGIN,
    unit: str = "nats",
) -> Contrast:
    """The difference of a field of the records, or of a function of one, paired over the seeds that finished in both.

    Without `second`, quantity is the difference itself. `names` are those of the two sides, else they are the cells'; `words`
    say what is compared, else QUANTITIES does.
    """
    if second is None:
        difference = seed_estimate(first, quantity)
        means: tuple[float | None, float | None] = (None, None)
    else:
        difference = paired_difference(first, second, quantity)
        means = (_shared_mean(first, quantity, difference), _shared_mean(second, quantity, difference))
    if names is None:
        names = (_cell_of(first), _cell_of(second or ()))
    words = words or QUANTITIES[str(quantity)]
    return Contrast(key, *names, words, difference, means, margin, unit, tuple(filter(None, notes)))


def _shared_mean(records: Records, quantity: Key, difference: Estimate) -> float | None:
    shared = [r for r in records if r["seed"] in difference.values]
    return seed_estimate(shared, quantity).mean


def _cell_of(records: Sequence[Record]) -> str:
    return " and ".join(cell.upper() for cell in cells_in(records))


def family(*contrasts: Contrast) -> list[Contrast]:
    """The contrasts with the wider intervals that are due to those that are judged at once (see holm)."""
    widened = holm([c.difference for c in contrasts])
    return [replace(c, difference=e) for c, e in zip(contrasts, widened, strict=True)]


def by_cell(
    key: str,
    first: Records,
    second: Records | None,
    quantity: Key,
    *,
    names: tuple[str, str],
    words: str = "",
    unit: str = "nats",
    at_once: bool = True,
) -> dict[str, Contrast]:
    """The same contrast in every cell that has runs on both sides, {cell: contrast} with the keys "<key>/<cell>"; one family,
    unless each is judged alone. What is compared is told with the cell's name."""
    cells = [cell for cell in cells_in(first) if second is None or of_cell(second, cell)]
    each = []
    for cell in cells:
        other = None if second is None else of_cell(second, cell)
        c = contrast(f"{key}/{cell}", of_cell(first, cell), other, quantity, names=names, words=words, unit=unit)
        each.append(replace(c, quantity=f"{cell.upper()}, {c.quantity}"))
    return dict(zip(cells, family(*each) if at_once else each, strict=True))


def pairwise(key: str, records: Records, quantity: Key, notes: Sequence[str] = ()) -> list[Contrast]:
    """Every two cells as one family, with keys "<key>/lstm-rnn": the later one minus the earlier in the order of cells_in()."""
    each = []
    for a, b in combinations(cells_in(records), 2):
        sides = of_cell(records, b), of_cell(records, a)
        each.append(contrast(f"{key}/{b}-{a}", *sides, quantity, notes=notes))
    return family(*each)


def ranking(contrasts: Sequence[Contrast]) -> str:
    """The order of the cells that were compared two by two: 'GRU best, then RNN, then LSTM', 'GRU best, then RNN and LSTM
    alike', 'RNN or LSTM: too close to call'."""
    means: dict[str, float] = {}
    between: dict[frozenset[str], str] = {}
    for c in contrasts:
        for name, mean in zip((c.first, c.second), c.means, strict=True):
            if mean is not None:
                means.setdefault(name, mean)
        between[frozenset((c.first, c.second))] = c.verdict
    groups: list[list[str]] = []
    for name in sorted(means, key=means.__getitem__):
        if groups and all(between[frozenset((name, other))] not in (LOWER, HIGHER) for other in groups[-1]):
            groups[-1].append(name)
        else:
            groups.append([name])
    said = []
    for group in groups:
        verdicts = {between[frozenset(pair)] for pair in combinations(group, 2)}
        if len(group) == 1:
            said.append(group[0])
        elif verdicts == {SAME}:
            said.append(f"{listed(group)} alike")
        else:
            why = FEW if NOT_JUDGED in verdicts else OPEN
            said.append(f"{' or '.join(group)}: {why}")
    if len(groups) > 1 and len(groups[0]) == 1:
        said[0] += " best"
    return ", then ".join(said) or "no two cells are compared"


WEAKEST_FIRST = (NOT_JUDGED, LOWER, SAME, OPEN, HIGHER)  # of verdicts on what is claimed to be higher


def weakest(*contrasts: Contrast) -> Contrast:
    """Of contrasts that all have to be higher, the one that is least so: its verdict is that on all."""
    return min(contrasts, key=lambda c: WEAKEST_FIRST.index(c.verdict))


def say_all(
    contrasts: Iterable[Contrast], *, lower: str, higher: str, same: str, open: str, mixed: str, few: str
) -> str:
    """What say() says where all have one verdict, else `mixed`."""
    verdicts = {c.verdict: c for c in contrasts}
    if len(verdicts) > 1:
        return mixed
    for c in verdicts.values():
        return c.say(lower=lower, higher=higher, same=same, open=open, few=few)
    return few


def per_cell(contrasts: dict[str, Contrast]) -> str:
    """'0.0124 nats higher (RNN) and 0.0021 nats lower (LSTM, too close to call)'."""
    said = []
    for cell, c in contrasts.items():
        about = [cell.upper(), OPEN] if c.verdict == OPEN else [cell.upper()]
        said.append(f"{c:short} ({', '.join(about)})")
    return listed(said)
