"""What temperature does to a model's distribution and to its text: the measures.

Two kinds of text are looked at. Validation text, which the model was not trained on, shows the distribution itself: its
entropy, and its loss as a prediction of what really follows. Text that the model draws shows what a reader gets; it is
measured beside real text, piece by piece of equal length and number, because most measures depend on both.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import charlm_core as core
from charlm import ngram, sampling, stats, text
from charlm.records import Records, finished
from charlm.runs.folder import RUNS, kept_measurement, load_weights
from charlm.runs.identity import code_hash
from charlm.stats import MIN_SEEDS
from charlm.temperature import texts
from charlm.temperature.texts import (
    DRAWN,
    GRID,
    REAL,
    SHUFFLED,
    STUDY_TEMPERATURES,
    RealText,
    Way,
    begin_texts,
    draw_texts,
    set_aside,
)
from charlm.text import (
    Share,
    distinct_sequences,
    known_headings,
    longest_copies,
    real_words,
    starts_speaker,
    wilson_share,
)
from charlm_core import Config, Corpus, encode

MAX_VALIDATION_LOGITS = 3_000_000  # numbers held at a time: what bounds memory and time for a large vocabulary
UNLIKELY = 0.01  # a character the model gives less than this at T = 1 counts as unlikely
N_GRAM = 4  # characters: long enough to tell repetition, short enough for many to be distinct
OTHERS = 9  # texts in which a sequence may be found again
RESAMPLES = 1000  # of the bootstrap
AS_REAL, AS_RANDOM = 0.9, 0.5  # of the real-word rate of real text
BEST_RANGE = (0.5, 1.0)  # the study's range, its end left out

Interval = tuple[float, float] | None  # 95%

# ---------------------------------------------------------------------------------------------------------------------
# the distribution, on validation text


def validation_logits(
    weights: dict[str, Tensor], config: Config, corpus: Corpus, at_most: int = 300
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (time, chunks, vocabulary) and the characters that really follow (time, chunks), on the first validation
    chunks of the run's own split.
    """
    _, chunks = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    few = max(2, min(at_most, MAX_VALIDATION_LOGITS // (config.chunk_length * len(corpus.vocab))))
    return sampling.chunk_logits(weights, config, corpus.ids, chunks[:few])


def distributions(logits: np.ndarray, targets: np.ndarray, temperatures: Sequence[float] = GRID) -> list[dict]:
    """A row a temperature, from the logits (time, chunks, vocabulary) and characters (time, chunks) of validation text:
    entropy and loss, mean nats per character with its 95% interval over chunks, and the probability of drawing a
    character that has less than UNLIKELY at T = 1.
    """
    z = torch.from_numpy(logits).double()
    follows = torch.from_numpy(targets)[..., None]
    unlikely = z.log_softmax(-1) < math.log(UNLIKELY)
    rows = []
    for t in temperatures:
        log_p = (z / t).log_softmax(-1)
        p = log_p.exp()
        entropy = -(p * log_p.clamp(min=-1e9)).sum(-1)  # 0 log 0 is 0
        loss = -log_p.gather(-1, follows)[..., 0]
        row = {"temperature": t, "unlikely": float((p * unlikely).sum(-1).mean())}
        for name, values in (("entropy", entropy), ("loss", loss)):
            e = stats.estimate(
                dict(enumerate(values.mean(0).tolist()))
            )  # characters of one chunk are no independent draws
            row |= {name: e.mean, f"{name}_low": e.low, f"{name}_high": e.high}
        rows.append(row)
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# measures of text

TEXT_MEASURES = ("words", "judge", "distinct", "copied", "headings")


def measure_texts(texts: dict[Way, list[str]], real: RealText) -> dict[Way, dict[str, np.ndarray]]:
    """Each measure as a numerator and a denominator for every text, (2, texts); its value is the ratio of their sums.

    words: real words of all. judge: nats that the n-gram model needs, of characters. distinct: sequences of N_GRAM
    characters that are neither earlier in the text nor in OTHERS more, of all. copied: characters of the longest passage that occurs in the training text, of 1.
    headings: speakers that the rest of the corpus has, of lines that end in a colon.
    """
    copied = iter(longest_copies([t for some in texts.values() for t in some], real.training))
    found = {}
    for way, some in texts.items():
        ids = encode("".join(some), real.vocab).reshape(len(some), -1)  # (texts, length)
        nats = -real.judge.log_probabilities(ids)  # (texts, length - 1)
        pairs = {
            "words": [real_words(t, real.lexicon) for t in some],
            "judge": [(row.sum(), len(row)) for row in nats],
            "distinct": distinct_sequences(some, N_GRAM, OTHERS),
            "copied": [(next(copied), 1) for _ in some],
            "headings": [known_headings(t, real.speakers) for t in some],
        }
        found[way] = {name: np.array(pairs[name], float).T for name in TEXT_MEASURES}
    return found


class Measured:
    """Measures of texts with their intervals, by a bootstrap over whole texts (characters and words of one text are no
    independent draws). Drawn texts of one number share their prompt and random numbers, so one resample takes the same
    numbers in every way of drawing, and differences between ways are paired. What a text's `distinct` is, beside its
    neighbours, is taken as given.

    B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap, 1993; 95% intervals are percentiles.
    """

    def __init__(self, sums: dict[Way, dict[str, np.ndarray]], seed: int = 0) -> None:
        self.sums, self.n = sums, len(sums[REAL]["copied"][0])
        rng = np.random.default_rng(seed)
        # How often each text is in a resample, (resamples, texts): real and drawn texts are resampled apart.
        self._real, self._drawn = (rng.multinomial(self.n, [1 / self.n] * self.n, RESAMPLES) for _ in range(2))

    def values(self, kind: str) -> list[float]:
        """The settings that were measured of one kind, in their order."""
        return [value for name, value in self.sums if name == kind]

    def value(self, way: Way, name: str) -> float | None:
        """None where there is nothing to count, such as words in a text of digits."""
        numerator, denominator = self.sums[way][name].sum(-1)
        return float(numerator / denominator) if denominator else None

    def resampled(self, way: Way, name: str) -> np.ndarray:
        """The value in each resample: (resamples,), NaN where there is nothing to count."""
        counts = self._real if way in (REAL, SHUFFLED) else self._drawn
        numerator, denominator = (counts @ self.sums[way][name].T).T
        return np.divide(numerator, denominator, np.full(RESAMPLES, np.nan), where=denominator > 0)

    def interval(self, way: Way, name: str) -> Interval:
        return percentiles(self.resampled(way, name))

    def unit(self, name: str) -> float | None:
        """Standard deviation of a measure over the real pieces (of a ratio, linearised: W. G. Cochran, Sampling
        Techniques, 1977, chapter 6); None where it is 0 or not known.
        """
        value = self.value(REAL, name)
        if value is None:
            return None
        numerator, denominator = self.sums[REAL][name]
        return float(np.std((numerator - value * denominator) / denominator.mean(), ddof=1)) or None


def measured_texts(folder: Path, corpus: Corpus, samples: int, length: int, seed: int = 0) -> Measured:
    """The real pieces and what a run draws beside them, measured; kept in its folder, since to draw it takes long."""
    weights, config, _ = load_weights(folder)

    def draw() -> dict[str, Tensor]:
        real = set_aside(corpus, config, samples, length)
        sums = measure_texts(draw_texts(weights, config, real, seed), real)
        return {f"{way} {name}": torch.from_numpy(x) for way, some in sums.items() for name, x in some.items()}

    sums = kept_measurement(folder, "texts", _depends_on(samples, length, seed), draw)
    return Measured(
        {way: {name: sums[f"{way} {name}"].numpy() for name in TEXT_MEASURES} for way in (REAL, SHUFFLED, *DRAWN)}
    )


def _depends_on(samples: int, length: int, seed: int) -> dict:
    """What the measures of a run's texts depend on beside the run."""
    code = code_hash(sampling, ngram, text, texts, sys.modules[__name__])
    return {"code": code, "samples": samples, "length": length, "seed": seed}


def percentiles(resampled: np.ndarray) -> Interval:
    """The 95% interval of what a bootstrap gave; None where a resample in twenty or more gave no number."""
    known = resampled[np.isfinite(resampled)]
    if len(known) <= 0.95 * len(resampled):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def measure_rows(distribution: list[dict], measured: Measured) -> list[dict]:
    """The rows of `distributions` with the measures of the texts drawn at each temperature and their intervals."""
    return [row | values_of_way(measured, ("T", row["temperature"])) for row in distribution]


def values_of_way(measured: Measured, way: Way) -> dict:
    """Every measure of one way and its interval, as name, name_low and name_high."""
    found = {}
    for name in TEXT_MEASURES:
        low, high = measured.interval(way, name) or (None, None)
        found |= {name: measured.value(way, name), f"{name}_low": low, f"{name}_high": high}
    return found


def apart(a: dict, b: dict, name: str) -> int:
    """1 where a measure is higher in a, -1 where it is lower, 0 where the 95% intervals meet or are not known."""
    ends = [r[f"{name}_{end}"] for r in (a, b) for end in ("low", "high")]
    if None in ends:
        return 0
    return int(ends[0] > ends[3]) - int(ends[1] < ends[2])


# ---------------------------------------------------------------------------------------------------------------------
# which temperature gives text closest to real text


@dataclass(frozen=True)
class Closest:
    """The distance from real text at each temperature, and the temperature where it is smallest."""

    distance: dict[float, float]
    names: list[str]  # of the measures in it
    best: float
    low: float
    high: float
    shuffled: float  # the distance of shuffled real text
    learnt: bool  # whether text at the best temperature is closer than shuffled text, in 97.5% of the resamples


def closest_temperature(measured: Measured) -> Closest | None:
    """The distance is the mean over the measures of ((drawn - real) / sd)², with the sd over real pieces. A measure on
    which all of these agree has no unit and is left out; where drawn text has nothing to count (no words, no line with a
    colon), it counts as 0. The range is the 95% bootstrap interval of the temperature
    with the smallest distance. None where no measure is left.
    """
    grid = measured.values("T")
    names = [name for name in TEXT_MEASURES if measured.unit(name)]
    if not names:
        return None

    def distance(way: Way) -> tuple[float, np.ndarray]:
        """The distance, and that of each resample (resamples,)."""
        point, again = [], []
        for name in names:
            apart = (measured.value(way, name) or 0) - measured.value(REAL, name)
            point.append((apart / measured.unit(name)) ** 2)
            drawn, real = (np.nan_to_num(measured.resampled(w, name)) for w in (way, REAL))
            again.append(((drawn - real) / measured.unit(name)) ** 2)
        return float(np.mean(point)), np.mean(again, axis=0)

    found = {t: distance(("T", t)) for t in grid}
    at = np.argmin([again for _, again in found.values()], axis=0)  # (resamples,)
    low, high = np.percentile(np.array(grid)[at], [2.5, 97.5], method="nearest")
    best = min(grid, key=lambda t: found[t][0])
    shuffled, shuffled_again = distance(SHUFFLED)
    learnt = bool(np.mean(found[best][1] < shuffled_again) >= 0.975)
    return Closest({t: d for t, (d, _) in found.items()}, names, best, float(low), float(high), shuffled, learnt)


# ---------------------------------------------------------------------------------------------------------------------
# top-k and top-p beside temperature

DIVERSITY = "distinct"


def at_equal_diversity(measured: Measured, name: str, at: float = 0.5) -> list[dict]:
    """What a measure is with top-k and top-p where they give the diversity of temperature `at`, by linear interpolation
    between their settings, and how far that lies from its value at this temperature, with a 95% interval.
    """
    here = ("T", at)
    found = []
    for kind in ("top-k", "top-p"):
        ways = [(kind, value) for value in measured.values(kind)]
        if not ways or None in [measured.value(way, m) for way in (here, *ways) for m in (DIVERSITY, name)]:
            continue
        x, y = ([measured.value(way, m) for way in ways] for m in (DIVERSITY, name))
        xs, ys = (np.array([measured.resampled(way, m) for way in ways]).T for m in (DIVERSITY, name))
        value = _interpolate(measured.value(here, DIVERSITY), np.array(x), np.array(y))
        again = [
            _interpolate(*row) for row in zip(measured.resampled(here, DIVERSITY), xs, ys, strict=True)
        ] - measured.resampled(here, name)
        low, high = percentiles(again) or (None, None)
        difference = value - measured.value(here, name)
        found.append({"way": kind, "value": value, "difference": difference, "low": low, "high": high})
    return [row for row in found if math.isfinite(row["value"])]


def _interpolate(wanted: float, x: np.ndarray, y: np.ndarray) -> float:
    """y at x = wanted; NaN outside the x there are."""
    order = np.argsort(x, kind="stable")
    return float(np.interp(wanted, x[order], y[order], np.nan, np.nan))


# ---------------------------------------------------------------------------------------------------------------------
# what the claims about text are judged from


def speaker_shares(begun: dict[str, list[str]], real: RealText) -> tuple[Share, Share] | None:
    """The share of texts that begin with a speaker, after upper-case and after lower-case prompts. None where the corpus
    has no speakers, or the prompts not both cases."""
    upper, lower = (
        [text for prompt, texts in begun.items() if case(prompt[0]) for text in texts]
        for case in (str.isupper, str.islower)
    )
    if not real.speakers or not upper or not lower:
        return None
    up, low = (wilson_share(sum(map(starts_speaker, texts)), len(texts)) for texts in (upper, lower))
    return up, low


def relative_words(measured: Measured, t: float) -> tuple[float, float, float] | None:
    """The real-word rate at a temperature as a share of that of real text, with its interval; None without words."""
    way = ("T", t)
    drawn, real = measured.value(way, "words"), measured.value(REAL, "words")
    with np.errstate(divide="ignore", invalid="ignore"):
        interval = percentiles(measured.resampled(way, "words") / measured.resampled(REAL, "words"))
    return (drawn / real, *interval) if drawn is not None and real and interval else None


def words_tell(measured: Measured) -> bool:
    """Whether real text has more real words than the same text with its characters shuffled."""
    apart = percentiles(measured.resampled(REAL, "words") - measured.resampled(SHUFFLED, "words"))
    return apart is not None and apart[0] > 0


# ---------------------------------------------------------------------------------------------------------------------
# whether other runs say the same


def claim_measures(folder: Path, corpus: Corpus, samples: int, length: int, seed: int) -> dict[str, Tensor]:
    """What the claims are judged from, of one run; NaN for what this corpus does not have. closest: the temperature of
    the text closest to real text. words: real words at the STUDY_TEMPERATURES as a share of those of real text. names:
    the share of texts that begin with a speaker after upper and after lower case."""
    weights, config, vocab = load_weights(folder)
    real = set_aside(corpus, config, samples, length)
    measured = measured_texts(folder, corpus, samples, length, seed)
    near = closest_temperature(measured)
    words = [relative_words(measured, t) if words_tell(measured) else None for t in STUDY_TEMPERATURES]
    shares = speaker_shares(begin_texts(weights, config, vocab, sampling.default_prompts(vocab), seed), real)
    found = {"closest": [near.best if near and near.learnt else math.nan]}
    found |= {"words": [w[0] if w else math.nan for w in words]}
    found |= {"names": [s.rate for s in shares] if shares else [math.nan, math.nan]}
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in found.items()}


def rows_across_runs(
    records: Records, corpus: Corpus, samples: int, length: int, seed: int = 0, runs: Path = RUNS
) -> list[dict]:
    """A row for every finished run; none under MIN_SEEDS of them. What was measured is kept in the runs' folders."""
    shown = finished(records)
    if len({r["seed"] for r in shown}) < MIN_SEEDS:
        return []
    of = _depends_on(samples, length, seed)
    rows = []
    for r in shown:
        folder = runs / r["run_id"]
        found = kept_measurement(
            folder, "temperature", of, partial(claim_measures, folder, corpus, samples, length, seed)
        )
        m = {k: v.tolist() for k, v in found.items()}
        words = {f"words_{t:g}": x for t, x in zip(STUDY_TEMPERATURES, m["words"], strict=True)}
        row = {"cell": r["cell"], "seed": r["seed"], "closest": m["closest"][0]} | words
        row |= {"upper": m["names"][0], "lower": m["names"][1]}
        rows.append({k: None if x != x else x for k, x in row.items()})
    return rows
