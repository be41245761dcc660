"""What temperature does to a model's distribution and to its text: the measures.

Two kinds of text are looked at. Validation text, which the model was not trained on, shows the distribution itself: its
entropy, and its loss as a prediction of what really follows. Text that the model draws shows what a reader gets; it is
measured beside real text, piece by piece of equal length and number, because most measures depend on both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from charlm import sampling, stats
from charlm.corpus import split_corpus
from charlm.runs.folder import kept_measurement, load_weights
from charlm.stats import RESAMPLES, Estimate
from charlm.temperature.texts import DRAWN, GRID, REAL, SHUFFLED, RealText, Way, draw_texts, set_aside
from charlm.text import distinct_sequences, known_headings, longest_copies, real_words, starts_speaker
from charlm_core import Config, Corpus, encode

MAX_VALIDATION_LOGITS = 4_000_000  # numbers held at a time: what bounds memory and time for a large vocabulary
UNLIKELY = 0.01  # a character the model gives less than this at T = 1 counts as unlikely
N_GRAM = 4  # characters: long enough to tell repetition, short enough for many to be distinct
OTHERS = 9  # texts in which a sequence may be found again
AS_REAL, AS_RANDOM = 0.9, 0.5  # of the real-word rate of real text
BEST_RANGE = (0.5, 1.0)  # the study's range, its end left out

# ---------------------------------------------------------------------------------------------------------------------
# the distribution, on validation text


def validation_chunks(config: Config, corpus: Corpus) -> np.ndarray:
    """The validation chunks of a run's own split; evenly spaced ones where memory should not hold all."""
    _, chunks = split_corpus(corpus, config)
    affordable = max(2, MAX_VALIDATION_LOGITS // (config.chunk_length * len(corpus.vocab)))
    return chunks[:: math.ceil(len(chunks) / affordable)]


def distributions(
    weights: dict[str, Tensor], config: Config, corpus: Corpus, temperatures: Sequence[float] = GRID
) -> list[dict]:
    """A row a temperature, of the characters of validation_chunks(): entropy and loss, mean nats per character with its 95%
    interval over chunks, and the probability of drawing a character that has less than UNLIKELY at T = 1.
    """
    logits, targets = sampling.chunk_logits(weights, config, corpus.ids, validation_chunks(config, corpus))
    z = torch.from_numpy(logits).double()  # (time, chunks, vocabulary)
    follows = torch.from_numpy(targets)[..., None]  # (time, chunks, 1)
    unlikely = z.log_softmax(-1) < math.log(UNLIKELY)
    rows = []
    for t in temperatures:
        log_p = (z / t).log_softmax(-1)
        p = log_p.exp()
        entropy = -(p * log_p.clamp(min=-1e9)).sum(-1)  # (time, chunks); 0 log 0 is 0
        loss = -log_p.gather(-1, follows)[..., 0]  # (time, chunks)
        row: dict[str, float | None] = {"temperature": t}
        row["unlikely"] = float((p * unlikely).sum(-1).mean())
        for name, values in (("entropy", entropy), ("loss", loss)):
            # One value a chunk, because its characters are no independent draws.
            by_chunk = dict(enumerate(values.mean(0).tolist()))
            e = stats.estimate(by_chunk)
            row |= {name: e.mean, f"{name}_low": e.low, f"{name}_high": e.high}
        rows.append(row)
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# measures of text

TEXT_MEASURES = ("words", "judge", "distinct", "copied", "headings")


def measure_texts(texts: dict[Way, list[str]], real: RealText) -> dict[Way, dict[str, np.ndarray]]:
    """Each measure as a numerator and a denominator for every text, (2, texts); its value is the ratio of their sums.

    words: real words of all. judge: nats that the n-gram model needs, of characters. distinct: sequences of N_GRAM
    characters that are neither earlier in the text nor in OTHERS more, of all. copied: characters of the longest passage
    that occurs in the training text, of 1. headings: speakers that the rest of the corpus has, of lines that end in a
    colon.
    """
    # All at once, because the training text takes longest.
    copied = iter(longest_copies(list(chain.from_iterable(texts.values())), real.training))
    sums = {}
    for way, of_way in texts.items():
        ids = encode("".join(of_way), real.vocab).reshape(len(of_way), -1)  # (texts, length)
        nats = -real.judge.log_probabilities(ids)  # (texts, length - 1)
        pairs: dict[str, list] = {name: [] for name in TEXT_MEASURES}
        pairs["distinct"] = distinct_sequences(of_way, N_GRAM, OTHERS)
        for i, drawn in enumerate(of_way):
            pairs["words"].append(real_words(drawn, real.lexicon))
            pairs["judge"].append((nats[i].sum(), len(nats[i])))
            pairs["copied"].append((next(copied), 1))
            pairs["headings"].append(known_headings(drawn, real.speakers))
        sums[way] = {name: np.array(pairs[name], float).T for name in TEXT_MEASURES}
    return sums


class Measured:
    """Measures of texts with their intervals, by a bootstrap over whole texts (characters and words of one text are no
    independent draws). Drawn texts of one number share their prompt and random numbers, so one resample takes the same
    numbers in every way of drawing, and differences between ways are paired. What a text's `distinct` is, beside its
    neighbours, is taken as given.

    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993; 95% intervals are percentiles.
    """

    def __init__(self, sums: dict[Way, dict[str, np.ndarray]], seed: int = 0) -> None:
        self.sums = sums
        self.n = sums[REAL]["copied"].shape[1]
        rng = np.random.default_rng(seed)
        alike = [1 / self.n] * self.n
        # How often each text is in a resample, (resamples, texts): real and drawn texts are resampled apart.
        self._real = rng.multinomial(self.n, alike, RESAMPLES)
        self._drawn = rng.multinomial(self.n, alike, RESAMPLES)

    def values(self, kind: str) -> list[float]:
        """The settings that were measured of one kind, in their order."""
        return [value for name, value in self.sums if name == kind]

    def resampled(self, way: Way, name: str) -> np.ndarray:
        """The value, and after it that in each resample: (1 + resamples,), NaN where there is nothing to count, such as words
        in a text of digits."""
        sums = self.sums[way][name]  # (2, texts)
        counts = self._real if way in (REAL, SHUFFLED) else self._drawn
        numerator, denominator = np.vstack([sums.sum(-1), counts @ sums.T]).T
        return np.divide(numerator, denominator, np.full(1 + RESAMPLES, np.nan), where=denominator > 0)

    def value(self, way: Way, name: str) -> float | None:
        return with_interval(self.resampled(way, name))[0]

    def unit(self, name: str) -> float | None:
        """Standard deviation of a measure over the real pieces (of a ratio, linearised: W. G. Cochran, Sampling
        Techniques, 1977, chapter 6); None where it is 0 or not known.
        """
        value = self.value(REAL, name)
        if value is None:
            return None
        numerator, denominator = self.sums[REAL][name]  # (texts,) each
        deviations = (numerator - value * denominator) / denominator.mean()
        return float(np.std(deviations, ddof=1)) or None


def measured_texts(folder: Path, corpus: Corpus, samples: int, length: int, seed: int = 0) -> Measured:
    """The real pieces and what a run draws beside them, measured; kept in its folder, since to draw it takes long."""
    weights, config, _ = load_weights(folder)

    def draw() -> dict[str, Tensor]:
        real = set_aside(corpus, config, samples, length)
        sums = measure_texts(draw_texts(weights, config, real, seed), real)
        tensors = {}
        for way, by_name in sums.items():
            for name, values in by_name.items():
                tensors[f"{way} {name}"] = torch.from_numpy(values)
        return tensors

    depends_on = {"samples": samples, "length": length, "seed": seed}
    kept = kept_measurement(folder, "texts", depends_on, draw)
    sums = {}
    for way in (REAL, SHUFFLED, *DRAWN):
        sums[way] = {name: kept[f"{way} {name}"].numpy() for name in TEXT_MEASURES}
    return Measured(sums)


def with_interval(resampled: np.ndarray) -> tuple[float | None, float | None, float | None]:
    """A number and its 95% interval, from (1 + resamples,): the number and what a bootstrap gave. None for what is not known:
    the interval where a resample in twenty or more gave no number."""
    value = float(resampled[0]) if np.isfinite(resampled[0]) else None
    known = resampled[1:][np.isfinite(resampled[1:])]
    if len(known) <= 0.95 * RESAMPLES:
        return value, None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return value, float(low), float(high)


def values_of_way(measured: Measured, way: Way) -> dict[str, float | None]:
    """Every measure of one way and its interval, as name, name_low and name_high."""
    values: dict[str, float | None] = {}
    for name in TEXT_MEASURES:
        ends = (name, f"{name}_low", f"{name}_high")
        values |= zip(ends, with_interval(measured.resampled(way, name)), strict=True)
    return values


def apart(a: dict, b: dict, name: str) -> int:
    """1 where a measure is higher in a, -1 where it is lower, 0 where the 95% intervals meet or are not known."""
    low, high = f"{name}_low", f"{name}_high"
    if None in (a[low], a[high], b[low], b[high]):
        return 0
    if a[low] > b[high]:
        return 1
    return -1 if a[high] < b[low] else 0


# ---------------------------------------------------------------------------------------------------------------------
# which temperature gives text closest to real text


@dataclass(frozen=True)
class Closest:
    """The distance from real text at each temperature, and the temperature where it is smallest."""

    distance: dict[float, float]
    best: float
    low: float
    high: float
    shuffled: float  # the distance of shuffled real text
    learnt: bool  # whether text at the best temperature is closer than shuffled text, in 97.5% of the resamples
    alone: dict[str, tuple[float, float, float]]  # best, low, high by one measure alone
    parts: dict[str, float]  # of each measure in the square of the smallest distance, largest first


def closest_temperature(measured: Measured) -> Closest | None:
    """The distance is the root mean square over the measures of (drawn - real) / sd, with the sd over real pieces: it counts in
    standard deviations of a real piece. A measure on which all of these agree has no unit and is left out; where drawn text
    has nothing to count (no words, no line with a colon), it counts as 0. The range is the 95% bootstrap interval of the
    temperature with the smallest distance. None where no measure is left.
    """
    units = {}
    for name in TEXT_MEASURES:
        unit = measured.unit(name)
        if unit:
            units[name] = unit
    if not units:
        return None
    grid = measured.values("T")
    # (temperatures, measures, 1 + resamples)
    differences = np.array([_differences(measured, ("T", t), units) for t in grid])
    distances = _root_mean_square(differences)  # (temperatures, 1 + resamples)
    shuffled = _root_mean_square(_differences(measured, SHUFFLED, units))
    best, low, high = _nearest(grid, distances)
    alone = {}
    for i, name in enumerate(units):
        if np.ptp(differences[:, i, 0]):  # what is the same at every temperature, such as no heading, speaks for none
            alone[name] = _nearest(grid, np.abs(differences[:, i]))
    closer = np.mean(distances[grid.index(best), 1:] < shuffled[1:])
    by_temperature = dict(zip(grid, distances[:, 0].tolist(), strict=True))
    learnt = bool(closer >= 0.975)
    squares = differences[grid.index(best), :, 0] ** 2  # (measures,)
    parts = pd.Series(squares / (squares.sum() or 1.0), list(units)).sort_values(ascending=False, kind="stable")
    return Closest(by_temperature, best, low, high, float(shuffled[0]), learnt, alone, parts.to_dict())


def _differences(measured: Measured, way: Way, units: dict[str, float]) -> np.ndarray:
    """How far a way's texts are from real text in each measure: (measures, 1 + resamples), of the texts and of each resample."""
    rows = []
    for name, unit in units.items():
        drawn, real = (np.nan_to_num(measured.resampled(each, name)) for each in (way, REAL))
        rows.append((drawn - real) / unit)
    return np.array(rows)


def _root_mean_square(differences: np.ndarray) -> np.ndarray:
    """Over the measures: (..., measures, resamples) gives (..., resamples)."""
    return np.sqrt(np.mean(differences**2, axis=-2))


def _nearest(grid: list[float], distances: np.ndarray) -> tuple[float, float, float]:
    """The temperature with the smallest of the distances (temperatures, 1 + resamples), and its 95% interval."""
    nearest = np.array(grid)[distances.argmin(0)]
    low, high = np.percentile(nearest[1:], [2.5, 97.5], method="nearest")
    return float(nearest[0]), float(low), float(high)


# ---------------------------------------------------------------------------------------------------------------------
# quality where texts are equally diverse

DIVERSITY = "distinct"


def at_equal_diversity(
    measured: Measured, name: str, here: Way = ("T", 0.5), kinds: Sequence[str] = ("top-k", "top-p")
) -> list[dict]:
    """What a measure is in other ways of drawing where they give the diversity of texts that came to be so, by linear
    interpolation between their settings, and how far that lies from its value here, with a 95% interval.
    """
    diversity = measured.resampled(here, DIVERSITY)  # (1 + resamples,)
    rows = []
    for kind in kinds:
        ways = [(kind, value) for value in measured.values(kind)]
        x = np.array([measured.resampled(way, DIVERSITY) for way in ways])  # (ways, 1 + resamples)
        y = np.array([measured.resampled(way, name) for way in ways])
        if not ways or np.isnan([x[:, 0], y[:, 0]]).any():
            continue
        values = np.array([_interpolate(*each) for each in zip(diversity, x.T, y.T, strict=True)])
        value, _, _ = with_interval(values)
        difference, low, high = with_interval(values - measured.resampled(here, name))
        if difference is not None:
            rows.append({"way": kind, "value": value, "difference": difference, "low": low, "high": high})
    return rows


def _interpolate(wanted: float, x: np.ndarray, y: np.ndarray) -> float:
    """y at x = wanted; NaN outside the x there are."""
    order = np.argsort(x, kind="stable")
    return float(np.interp(wanted, x[order], y[order], np.nan, np.nan))


# ---------------------------------------------------------------------------------------------------------------------
# what the claims about text are judged from


def speaker_shares(begun: dict[str, list[str]], real: RealText) -> tuple[Estimate, Estimate] | None:
    """The share of texts that begin with a speaker, after upper-case and after lower-case letters: its mean over letters, since
    one letter differs from the next. None where the corpus has no speakers, or the letters are not of both cases."""
    upper: list[float] = []
    lower: list[float] = []
    for letter, drawn in begun.items():
        share = sum(map(starts_speaker, drawn)) / len(drawn)
        (upper if letter.isupper() else lower).append(share)
    if not real.speakers or not upper or not lower:
        return None
    return _mean_share(upper), _mean_share(lower)


def _mean_share(shares: list[float]) -> Estimate:
    """Estimate of the mean of shares, its interval cut off at 0 and 1."""
    e = stats.estimate(dict(enumerate(shares)))
    if e.interval is None:
        return e
    low, high = e.interval
    return replace(e, interval=(max(low, 0.0), min(high, 1.0)))


def relative_words(measured: Measured, t: float) -> tuple[float, float, float] | None:
    """The real-word rate at a temperature as a share of that of real text, with its interval; None without words."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = measured.resampled(("T", t), "words") / measured.resampled(REAL, "words")
    rate, low, high = with_interval(shares)
    return None if rate is None or low is None or high is None else (rate, low, high)


def words_tell(measured: Measured) -> bool:
    """Whether real text has more real words than the same text with its characters shuffled."""
    _, low, _ = with_interval(measured.resampled(REAL, "words") - measured.resampled(SHUFFLED, "words"))
    return low is not None and low > 0
