"""What temperature does to a model's distribution and to its text: measures, tables and sentences computed from them.

Two kinds of text are looked at. Validation text, which the model was not trained on, shows the distribution itself: its
entropy, and its loss as a prediction of what really follows. Text that the model draws shows what a reader gets; it is
measured beside real text, piece by piece of equal length and number, because most measures depend on both.

The real pieces are set aside: the words, the speakers and the n-gram judge that all texts are held against come from the
rest of the corpus, so real text is as new to them as drawn text is. To the model the pieces are not new (validation text
is scattered in chunks too short to read), so what it learnt from them counts as unknown in its text: a bias against it
that is as small as their share of the corpus.
"""

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import charlm_core as core
import charlm_ngram
import charlm_runs
import charlm_text
from charlm_corpus import Corpus, decode, encode
from charlm_show import Finding, Table
from charlm_study import MIN_SEEDS, Records, estimate, finished, make_table

STUDY = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # the source study's temperatures
GRID = (*(i / 10 for i in range(1, 21)), 3.0, 5.0, 10.0)
TOP_K = (1, 2, 3, 5, 10)
TOP_P = (0.2, 0.4, 0.6, 0.8, 0.9)

MAX_LOGITS = 3_000_000  # numbers held at a time: what bounds memory and time for a large vocabulary
MAX_TEXT = 2_000_000  # characters of a corpus, from its beginning, that drawn text is held against
SET_ASIDE = 0.2  # of the corpus, at most
MIN_PIECES = 8  # as long as that leaves them any length
UNLIKELY = 0.01  # a character the model gives less than this at T = 1 counts as unlikely
N_GRAM = 4  # characters: long enough to tell repetition, short enough for many to be distinct
OTHERS = 9  # texts in which a sequence may be found again
JUDGE_ORDER = 5  # of the n-gram model that judges texts
RESAMPLES = 1000  # of the bootstrap
BEGUN, FIRST_LINE = 100, 40  # texts for each prompt, and their characters, that show how a text begins

Interval = tuple[float, float] | None  # 95%

# ---------------------------------------------------------------------------------------------------------------------
# the distribution, on validation text


def validation_logits(
    weights: dict[str, Tensor], config: core.Config, corpus: Corpus, at_most: int = 300
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (time, chunks, vocabulary) and the characters that really follow (time, chunks), on the first validation
    chunks of the run's own split.
    """
    _, chunks = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    few = max(2, min(at_most, MAX_LOGITS // (config.chunk_length * len(corpus.vocab))))
    return core.chunk_logits(weights, config, corpus.ids, chunks[:few])


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
            e = estimate(dict(enumerate(values.mean(0).tolist())))  # characters of one chunk are no independent draws
            row |= {name: e.mean, f"{name}_low": e.low, f"{name}_high": e.high}
        rows.append(row)
    return rows


# ---------------------------------------------------------------------------------------------------------------------
# real text and drawn text


@dataclass(frozen=True)
class RealText:
    """Pieces of the corpus that are set aside, and what the rest of it knows."""

    vocab: str
    pieces: list[str]  # all of one length
    scope: str  # where they are from
    share: float  # of it that they are
    lexicon: frozenset[str]
    speakers: frozenset[str]
    training: list[str]  # passages that the model was trained on: validation chunks and pieces are cut out
    judge: charlm_ngram.NGram


def set_aside(corpus: Corpus, config: core.Config, samples: int, length: int) -> RealText:
    """So many pieces of so many characters, evenly spaced over the corpus; of a short corpus fewer and then shorter
    ones, at most a fifth of it. config says which chunks the model was trained on.
    """
    ids = np.asarray(corpus.ids[:MAX_TEXT])
    room = int(SET_ASIDE * len(ids))
    samples = min(samples, max(MIN_PIECES, room // length))
    length = max(2, min(length, room // samples))
    starts = np.linspace(0, len(ids) - length, samples).astype(int)
    rest = np.ones(len(ids), bool)
    rest[(starts[:, None] + np.arange(length)).ravel()] = False

    chunks, _ = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    trained = np.zeros(len(ids) + config.chunk_length + 1, bool)
    for step in range(config.chunk_length + 1):  # the character after a chunk is its last target
        trained[np.minimum(chunks * config.chunk_length + step, len(trained) - 1)] = True

    kept = _passages(ids, rest)
    texts = [decode(passage, corpus.vocab) for passage in kept]
    return RealText(
        corpus.vocab,
        [decode(ids[i : i + length], corpus.vocab) for i in starts],
        "the corpus" if len(ids) == len(corpus.ids) else f"the first {len(ids):,} characters of the corpus",
        samples * length / len(ids),
        frozenset(word for t in texts for word in charlm_text.whole_words(t)),
        frozenset(line for t in texts for line in charlm_text.whole_lines(t) if charlm_text.is_heading(line)),
        [decode(passage, corpus.vocab) for passage in _passages(ids, rest & trained[: len(ids)])],
        charlm_ngram.NGram(kept, JUDGE_ORDER, len(corpus.vocab)),
    )


def _passages(ids: np.ndarray, kept: np.ndarray) -> list[np.ndarray]:
    """The runs of characters (n,) that are kept, from n booleans."""
    edges = np.flatnonzero(np.diff(kept, prepend=False, append=False))
    return [ids[a:b] for a, b in edges.reshape(-1, 2)]


Way = tuple[str, float]  # how a text came to be: ("T", 0.5), ("top-k", 5) and ("top-p", 0.9) at T = 1, or one of these:
REAL, SHUFFLED = ("real", 0), ("shuffled", 0)  # the pieces, and the pieces with their characters in a random order


DRAWN: list[Way] = [*(("T", t) for t in GRID), *(("top-k", k) for k in TOP_K), *(("top-p", p) for p in TOP_P)]


def draw_texts(weights: dict[str, Tensor], config: core.Config, real: RealText, seed: int = 0) -> dict[Way, list[str]]:
    """For each of DRAWN as many texts as there are real pieces, each as long as a piece and begun with its first character;
    and the pieces themselves, as they are and shuffled.
    """
    n, length = len(real.pieces), len(real.pieces[0])

    def settings(kind: str, otherwise: float) -> list[float]:
        return [value if name == kind else otherwise for name, value in DRAWN for _ in range(n)]

    texts = core.sample(
        weights,
        config,
        real.vocab,
        [piece[0] for piece in real.pieces] * len(DRAWN),
        length - 1,
        settings("T", 1.0),
        seed,
        list(range(n)) * len(DRAWN),
        top_k=settings("top-k", 0),
        top_p=settings("top-p", 1.0),
    )
    order = np.random.default_rng(seed)
    # Places, not characters: an array of strings loses each NUL at the end of an element.
    shuffled = ["".join(piece[i] for i in order.permutation(len(piece))) for piece in real.pieces]
    drawn = {way: texts[i * n : (i + 1) * n] for i, way in enumerate(DRAWN)}
    return {REAL: real.pieces, SHUFFLED: shuffled} | drawn


def begin_texts(
    weights: dict[str, Tensor], config: core.Config, vocab: str, prompts: Sequence[str], seed: int = 0
) -> dict[str, list[str]]:
    """BEGUN texts for each prompt at T = 0.5, long enough to show their first line."""
    prompts, numbers = list(dict.fromkeys(prompts)), list(range(BEGUN))
    every = [prompt for prompt in prompts for _ in numbers]
    texts = core.sample(weights, config, vocab, every, FIRST_LINE, 0.5, seed, numbers * len(prompts))
    return {prompt: texts[i * BEGUN : (i + 1) * BEGUN] for i, prompt in enumerate(prompts)}


# ---------------------------------------------------------------------------------------------------------------------
# measures of text

MEASURES = ("words", "judge", "distinct", "copied", "headings")


def measure(texts: dict[Way, list[str]], real: RealText) -> dict[Way, dict[str, np.ndarray]]:
    """Each measure as a numerator and a denominator for every text, (2, texts); its value is the ratio of their sums.

    words: real words of all. judge: nats that the n-gram model needs, of characters. distinct: sequences of N_GRAM
    characters that are neither earlier in the text nor in OTHERS more, of all. copied: characters of the longest passage that occurs in the training text, of 1.
    headings: speakers that the rest of the corpus has, of lines that end in a colon.
    """
    copied = iter(charlm_text.longest_copies([t for some in texts.values() for t in some], real.training))
    found = {}
    for way, some in texts.items():
        ids = encode("".join(some), real.vocab).reshape(len(some), -1)  # (texts, length)
        nats = -real.judge.log_probabilities(ids)  # (texts, length - 1)
        pairs = {
            "words": [charlm_text.real_words(t, real.lexicon) for t in some],
            "judge": [(row.sum(), len(row)) for row in nats],
            "distinct": charlm_text.distinct(some, N_GRAM, OTHERS),
            "copied": [(next(copied), 1) for _ in some],
            "headings": [charlm_text.headings(t, real.speakers) for t in some],
        }
        found[way] = {name: np.array(pairs[name], float).T for name in MEASURES}
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
    weights, config, _ = charlm_runs.weights(folder)

    def draw() -> dict[str, Tensor]:
        real = set_aside(corpus, config, samples, length)
        sums = measure(draw_texts(weights, config, real, seed), real)
        return {f"{way} {name}": torch.from_numpy(x) for way, some in sums.items() for name, x in some.items()}

    sums = charlm_runs.kept(folder, "texts", _depends_on(samples, length, seed), draw)
    return Measured(
        {way: {name: sums[f"{way} {name}"].numpy() for name in MEASURES} for way in (REAL, SHUFFLED, *DRAWN)}
    )


def _depends_on(samples: int, length: int, seed: int) -> dict:
    """What the measures of a run's texts depend on beside the run."""
    code = charlm_runs.code_hash(core, charlm_text, charlm_ngram, sys.modules[__name__])
    return {"code": code, "samples": samples, "length": length, "seed": seed}


def percentiles(resampled: np.ndarray) -> Interval:
    """The 95% interval of what a bootstrap gave; None where a resample in twenty or more gave no number."""
    known = resampled[np.isfinite(resampled)]
    if len(known) <= 0.95 * len(resampled):
        return None
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def rows(distribution: list[dict], measured: Measured) -> list[dict]:
    """The rows of `distributions` with the measures of the texts drawn at each temperature and their intervals."""
    return [row | values(measured, ("T", row["temperature"])) for row in distribution]


def values(measured: Measured, way: Way) -> dict:
    """Every measure of one way and its interval, as name, name_low and name_high."""
    found = {}
    for name in MEASURES:
        low, high = measured.interval(way, name) or (None, None)
        found |= {name: measured.value(way, name), f"{name}_low": low, f"{name}_high": high}
    return found


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


def closest(measured: Measured) -> Closest | None:
    """The distance is the mean over the measures of ((drawn - real) / sd)², with the sd over real pieces. A measure on
    which all of these agree has no unit and is left out; where drawn text has nothing to count (no words, no line with a
    colon), it counts as 0. The range is the 95% bootstrap interval of the temperature
    with the smallest distance. None where no measure is left.
    """
    grid = measured.values("T")
    names = [name for name in MEASURES if measured.unit(name)]
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
# the source study's claims about text: what decides is fixed here, before a run is measured

MIN_TEXTS = 40  # fewer are not judged
AS_REAL, AS_RANDOM = 0.9, 0.5  # of the real-word rate of real text
UPPER, LOWER = 0.5, 0.1  # of the texts that begin with a speaker
BEST = (0.5, 1.0)  # the study's range, its end left out

CLAIM_RULE = f"""\
The texts come from one trained run, so the intervals leave out how runs differ; that is shown beside them where enough
runs were trained. Each claim is judged from them, on at least {MIN_TEXTS} texts at a temperature or of a case; with fewer
it is *not judged*. It is *confirmed* where every part of it holds, *refuted* where the opposite of a part holds, otherwise
*too close to call*. A 95% interval has to lie wholly on one side of a threshold.

- A prompt *gives a speaker* where the share of texts that begin with one, drawn at T = 0.5, is above {UPPER:.0%}, and
  gives none where it is below {LOWER:.0%}. The opposites: below {UPPER:.0%} after upper case, above {LOWER:.0%} after
  lower case.
- Words are *real* where the share of words that the rest of the corpus has is above {AS_REAL:.0%} of the share in real
  text set aside, and *random* where it is below {AS_RANDOM:.0%} of it. Where real text has no larger share than the
  same text with its characters shuffled, words cannot tell and the claim is *not judged*.
- A range of temperatures is *best* where it holds the whole 95% interval of the temperature at which drawn text is
  closest to real text; the opposite is that it holds none of it. Where drawn text is no closer than shuffled text,
  the claim is *not judged*."""


def claim_rule() -> Finding:
    values = {"min_texts": MIN_TEXTS, "as_real": AS_REAL, "as_random": AS_RANDOM, "upper": UPPER, "lower": LOWER}
    return Finding("temperature-claim-rule", CLAIM_RULE, values)


def _verdict(holds: Sequence[bool], opposite: Sequence[bool]) -> str:
    return "refuted" if any(opposite) else "confirmed" if all(holds) else "too close to call"


def speaker_shares(begun: dict[str, list[str]], real: RealText) -> tuple[charlm_text.Share, charlm_text.Share] | None:
    """The share of texts that begin with a speaker, after upper-case and after lower-case prompts. None where the corpus
    has no speakers, or the prompts not both cases."""
    upper, lower = (
        [text for prompt, texts in begun.items() if case(prompt[0]) for text in texts]
        for case in (str.isupper, str.islower)
    )
    if not real.speakers or not upper or not lower:
        return None
    up, low = (charlm_text.share(sum(map(charlm_text.starts_speaker, texts)), len(texts)) for texts in (upper, lower))
    return up, low


def claim_speakers(begun: dict[str, list[str]], real: RealText) -> dict | None:
    """On the texts begun with each prompt. None where it cannot be asked."""
    shares = speaker_shares(begun, real)
    if not shares:
        return None
    up, low = shares
    judged = _verdict([up.low > UPPER, low.high < LOWER], [up.high < UPPER, low.low > LOWER])
    return {
        "claim": "Upper-case prompts give speaker names, lower-case ones do not.",
        "published": "upper case: names; lower case: prose",
        "measured": f"{up.rate:.1%} of the texts after upper case begin with one, {low.rate:.1%} after lower case "
        f"(95% interval {low.low:.1%} to {low.high:.1%})",
        "interval": [up.low, up.high],
        "n": up.total + low.total,
        "verdict": judged if min(up.total, low.total) >= MIN_TEXTS else "not judged",
    }


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


def claim_words(measured: Measured) -> dict | None:
    """At the study's temperatures. None where there are no words to look up."""
    found = {t: relative_words(measured, t) for t in STUDY}
    if not all(found.values()):
        return None
    (one, low, high), two = found[1.0], found[2.0]
    parts = {t: f for t, f in found.items() if t <= 1}, {t: f for t, f in found.items() if t >= 2}
    judged = _verdict(
        [f[1] > AS_REAL for f in parts[0].values()] + [f[2] < AS_RANDOM for f in parts[1].values()],
        [f[2] < AS_REAL for f in parts[0].values()] + [f[1] > AS_RANDOM for f in parts[1].values()],
    )
    text = f"{one:.1%} of real text's rate at T = 1, {two[0]:.1%} at T = 2 (95% interval {two[1]:.1%} to {two[2]:.1%})"
    if not words_tell(measured):
        judged, text = "not judged", "real text has no more real words than its shuffled characters; " + text
    return {
        "claim": "Words are real up to T = 1 and look random from T = 2.",
        "published": "real up to T = 1, random from T = 2",
        "measured": text,
        "interval": [low, high],
        "n": measured.n,
        "verdict": judged if measured.n >= MIN_TEXTS else "not judged",
    }


def claim_best(near: Closest | None, measured: Measured) -> dict | None:
    """None where no measure could be taken."""
    if near is None:
        return None
    inside = BEST[0] <= near.low and near.high < BEST[1]
    outside = near.high < BEST[0] or near.low >= BEST[1]
    text = f"closest to real text at T = {near.best:g}"
    if not near.learnt:
        text += ", but no closer than the shuffled characters of real text"
    return {
        "claim": "0.5 ≤ T < 1 is best.",
        "published": "0.5 ≤ T < 1",
        "measured": text,
        "interval": [near.low, near.high],
        "n": measured.n,
        "verdict": _verdict([inside], [outside]) if near.learnt and measured.n >= MIN_TEXTS else "not judged",
    }


def claims(begun: dict[str, list[str]], real: RealText, measured: Measured, near: Closest | None) -> list[dict]:
    """The claims that can be asked of this corpus."""
    found = claim_speakers(begun, real), claim_words(measured), claim_best(near, measured)
    return [claim for claim in found if claim]


# ---------------------------------------------------------------------------------------------------------------------
# whether other runs say the same


def of_run(folder: Path, corpus: Corpus, samples: int, length: int, seed: int) -> dict[str, Tensor]:
    """What the claims are judged from, of one run; NaN for what this corpus does not have. closest: the temperature of
    the text closest to real text. words: real words at the STUDY's temperatures as a share of those of real text. names:
    the share of texts that begin with a speaker after upper and after lower case."""
    weights, config, vocab = charlm_runs.weights(folder)
    real = set_aside(corpus, config, samples, length)
    measured = measured_texts(folder, corpus, samples, length, seed)
    near = closest(measured)
    words = [relative_words(measured, t) if words_tell(measured) else None for t in STUDY]
    shares = speaker_shares(begin_texts(weights, config, vocab, core.default_prompts(vocab), seed), real)
    found = {"closest": [near.best if near and near.learnt else math.nan]}
    found |= {"words": [w[0] if w else math.nan for w in words]}
    found |= {"names": [s.rate for s in shares] if shares else [math.nan, math.nan]}
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in found.items()}


def across_runs(
    records: Records, corpus: Corpus, samples: int, length: int, seed: int = 0, runs: Path = charlm_runs.RUNS
) -> list[dict]:
    """A row for every finished run; none under MIN_SEEDS of them. What was measured is kept in the runs' folders."""
    shown = finished(records)
    if len({r["seed"] for r in shown}) < MIN_SEEDS:
        return []
    of = _depends_on(samples, length, seed)
    rows = []
    for r in shown:
        folder = runs / r["run_id"]
        found = charlm_runs.kept(folder, "temperature", of, partial(of_run, folder, corpus, samples, length, seed))
        m = {k: v.tolist() for k, v in found.items()}
        words = {f"words_{t:g}": x for t, x in zip(STUDY, m["words"], strict=True)}
        row = {"cell": r["cell"], "seed": r["seed"], "closest": m["closest"][0]} | words
        row |= {"upper": m["names"][0], "lower": m["names"][1]}
        rows.append({k: None if x != x else x for k, x in row.items()})
    return rows


def runs_table(rows: list[dict]) -> Table | None:
    """A row a run."""
    if not rows:
        return None
    columns = {"closest": "closest at T"} | {f"words_{t:g}": f"words at {t:g}" for t in (0.5, 1.0, 2.0)}
    columns |= {"upper": "names, upper case", "lower": "names, lower case"}
    columns = {k: name for k, name in columns.items() if any(r[k] is not None for r in rows)}
    lines = [{"cell": r["cell"].upper(), "seed": r["seed"]} | {name: r[k] for k, name in columns.items()} for r in rows]
    caption = (
        "What the claims about text are judged from, of every run. Closest: the temperature at which drawn text is closest to "
        "real text. Words: the share of real words, relative to real text. Names: the share of texts that begin with a "
        "speaker's name after a prompt of that case."
    )
    formats = dict.fromkeys(columns.values(), "{:.1%}") | {columns.get("closest"): "{:g}"}
    return make_table("temperature-runs", lines, caption, formats=formats)


def do_runs_agree(rows: list[dict]) -> Finding | None:
    """How far the runs differ in what the claims are judged from."""
    at = [r["closest"] for r in rows if r["closest"] is not None]
    if not at:
        return None
    shown = {"n": len(at), "low": min(at), "high": max(at), "inside": sum(BEST[0] <= t < BEST[1] for t in at)}
    text = "**Do other runs say the same?** All runs of both cells were measured in this way. Text is closest to real text "
    text += "at T = {low:g} to {high:g}" if min(at) < max(at) else "at T = {low:g} in all of them"
    text += "; for {inside} of {n} runs that lies in " + f"{BEST[0]:g} ≤ T < {BEST[1]:g}."
    for key, what in (
        ("words_1", "The share of real words at T = 1, relative to real text,"),
        ("upper", "The share of texts that begin with a speaker's name after upper case"),
    ):
        e = estimate(dict(enumerate(r[key] for r in rows if r[key] is not None)))
        if e.sd is not None:
            text += f" {what} is {{{key}:.1%}} on average (standard deviation over runs {{{key}_sd:.1%}})."
            shown |= {key: e.mean, f"{key}_sd": e.sd}
    return Finding("temperature-runs", text, shown)


# ---------------------------------------------------------------------------------------------------------------------
# tables


def table(rows: list[dict], measured: Measured) -> Table:
    """The study's temperatures, and real text beside them."""
    columns = {"entropy": "entropy", "loss": "loss", "unlikely": "unlikely", "words": "real words", "judge": "judge"}
    columns |= {"distinct": "distinct", "copied": "copied", "headings": "headings"}
    shown = [{"text": "drawn", "T": r["temperature"]} | r for r in rows if r["temperature"] in STUDY]
    shown += [
        {"text": name, "T": None} | values(measured, way) for name, way in (("real", REAL), ("shuffled", SHUFFLED))
    ]
    lines = [{k: r[k] for k in ("text", "T")} | {c: r.get(k) for k, c in columns.items()} for r in shown]
    caption = (
        "What temperature does. Entropy and loss in nats per character, on validation text. Unlikely: the chance of drawing "
        f"a character to which the model gives less than {100 * UNLIKELY:g}% at T = 1. Real words: the share of words that "
        "the rest of the corpus has. Judge: loss of the text under an n-gram model of the rest, in nats per character. "
        f"Distinct: the share of a text's {N_GRAM}-character sequences that it does not repeat, from itself or from {OTHERS} "
        "other texts drawn alike. Copied: characters of the longest "
        "passage that occurs in the training text, mean. Headings: of the lines that end in a colon, the share that is a "
        f"speaker's name of the rest. {measured.n} texts a row; their intervals are in the figure."
    )
    formats = {"T": "{:g}", "entropy": "{:.3f}", "loss": "{:.3f}", "judge": "{:.2f}", "copied": "{:.1f}"}
    formats |= dict.fromkeys(("unlikely", "real words", "distinct", "headings"), "{:.1%}")
    return make_table("temperature-measures", lines, caption, formats=formats)


def heading_table(drawn: dict[str, list[str]]) -> Table:
    """For each prompt, the share of texts that begin with a speaker's name on a line of its own."""
    rows = []
    for prompt, texts in drawn.items():
        s = charlm_text.share(sum(map(charlm_text.starts_speaker, texts)), len(texts))
        case = "upper" if prompt[0].isupper() else "lower" if prompt[0].islower() else "none"
        rows.append(
            {"prompt": prompt, "case": case, "texts": s.total, "headings": s.rate, "low": s.low, "high": s.high}
        )
    caption = (
        "How a text drawn at T = 0.5 begins after each prompt: the share that starts with a heading as plays print a speaker's name (words "
        "and a colon alone on the first line), with its 95% interval."
    )
    return make_table("headings", rows, caption, formats=dict.fromkeys(("headings", "low", "high"), "{:.1%}"))


def claim_table(found: list[dict]) -> Table:
    lines = []
    for c in found:
        shown = {k: c[k] for k in ("claim", "published", "measured")}
        low, high = c["interval"] or (None, None)
        lines.append(shown | {"low": low, "high": high, "texts": c["n"], "verdict": c["verdict"]})
    caption = (
        "The source study's claims about text, and what was measured. Low and high are the 95% interval of the first "
        "number measured. The study had one sample of each kind. Texts: behind each number, or, where prompts are compared, behind both together."
    )
    return make_table("temperature-claims", lines, caption, formats=dict.fromkeys(("low", "high"), "{:.3f}"))


# ---------------------------------------------------------------------------------------------------------------------
# sentences


def what_is_measured(real: RealText) -> Finding:
    text = (
        "Real text to compare with: {n} pieces of {length} characters, evenly spaced over {scope} and {share:.1%} of it, "
        "are set aside. At every temperature as many texts as long are drawn, each begun with the first character of a "
        "piece. The words, the speakers and the judge (a {order}-gram model with Kneser-Ney smoothing, which shares with "
        "the network nothing but the text) come from the rest, and copies are looked for in the rest of the training text; so "
        "real pieces and drawn texts are measured alike. The pieces with their characters shuffled show what chance reaches."
    )
    n, length = len(real.pieces), len(real.pieces[0])
    return Finding(
        "temperature-texts",
        text,
        {"n": n, "length": length, "scope": real.scope, "share": real.share, "order": real.judge.order},
    )


def what_changes(rows: list[dict], vocabulary_size: int) -> Finding:
    cold, hot = rows[0], rows[-1]
    return Finding(
        "temperature-entropy",
        "**What temperature changes: how evenly probability is spread.** From T = {t0:g} to T = {t1:g} the mean entropy of "
        "the next character goes from {h0:.3f} to {h1:.3f} nats; all {v} characters equally likely would be {even:.3f}.",
        {
            "t0": cold["temperature"],
            "t1": hot["temperature"],
            "h0": cold["entropy"],
            "h1": hot["entropy"],
            "v": vocabulary_size,
            "even": math.log(vocabulary_size),
        },
    )


def what_does_not(rows: list[dict]) -> Finding:
    best = min(rows, key=lambda r: r["loss"])
    others = "; ".join(
        f"{r['loss']:.3f} at T = {r['temperature']:g}" for r in rows if r is not best and r["temperature"] in STUDY
    )
    text = (
        "**What it does not change: what the model knows.** The ranking of the characters is the same at every T. As a "
        "prediction of validation text the distribution is best at T = {t:g} among those measured, with a loss of "
        "{loss:.3f} nats per character ({others})."
    )
    if best["temperature"] >= 1:
        text += " So a temperature below that does not make the distribution truer: by this measure it makes it worse."
    return Finding("temperature-loss", text, {"t": best["temperature"], "loss": best["loss"], "others": others})


def what_is_read(measured: Measured) -> Finding:
    """The real-word rates at three temperatures, and up to where and from where on they are those of real text or less
    than half of them.
    """
    found = {t: f for t in measured.values("T") if (f := relative_words(measured, t))}
    if not found:
        return Finding("temperature-words", "The drawn texts hold no words that could be looked up in the corpus.", {})
    rates = "; ".join(f"{measured.value(('T', t), 'words'):.1%} at T = {t:g}" for t in (0.5, 1.0, 2.0) if t in found)
    text = "**What a reader sees.** Words that the rest of the corpus has: {rates}; {real:.1%} in real text"
    numbers = {"rates": rates, "real": measured.value(REAL, "words"), "chance": measured.value(SHUFFLED, "words")}
    text += ", {chance:.1%} in its shuffled characters." if numbers["chance"] is not None else "."
    if not words_tell(measured):
        return Finding(
            "temperature-words", text + " In this corpus the rate tells nothing: chance reaches it.", numbers
        )
    ts = list(found)
    high = _leading(ts, lambda t: found[t][1] > AS_REAL)
    low = _leading(ts[::-1], lambda t: found[t][2] < AS_RANDOM)
    text += " Over {as_real:.0%} of real text's rate, with the whole 95% interval, is reached "
    text += "up to T = {high:g}" if high is not None else "at no low temperature"
    text += "; under {as_random:.0%} of it "
    text += "is left from T = {low:g} on." if low is not None else "is left at no high one."
    return Finding(
        "temperature-words", text, numbers | {"high": high, "low": low, "as_real": AS_REAL, "as_random": AS_RANDOM}
    )


def _leading(values: Sequence[float], holds: Callable[[float], bool]) -> float | None:
    """The last value before the first of which something does not hold; None where that is the first of all."""
    leading = list(takewhile(holds, values))
    return leading[-1] if leading else None


LABELS = {"words": "real words", "judge": "judge's loss", "distinct": "distinct sequences", "copied": "longest copy"}
LABELS |= {"headings": "speaker headings"}


def what_is_closest(near: Closest | None) -> Finding:
    if near is None:
        return Finding(
            "temperature-closest", "No measure of the text could be taken, so no temperature is closest.", {}
        )
    text = (
        "**Which temperature gives text closest to real text.** The distance is the mean squared difference from real text "
        "over {n} measures ({names}), each in standard deviations of the real pieces. It is smallest at T = {best:g}, where "
        "it is {least:.2f}; 95% interval of that temperature: "
    )
    text += "{low:g} to {high:g}" if near.low < near.high else "{low:g} alone, on this grid"
    text += ". It is {half:.2f} at T = 0.5, {one:.2f} at T = 1, and {shuffled:.2f} for shuffled real text."
    if not near.learnt:
        text += " Text at the best temperature is not closer than shuffled text: by these measures nothing was learnt."
    shown = {"n": len(near.names), "names": ", ".join(LABELS[name] for name in near.names), "best": near.best}
    shown |= {"least": near.distance[near.best], "low": near.low, "high": near.high, "shuffled": near.shuffled}
    shown |= {"half": near.distance.get(0.5), "one": near.distance.get(1.0), "learnt": near.learnt}
    return Finding("temperature-closest", text, shown)


def what_truncation_does(measured: Measured) -> Finding:
    """Top-k and top-p against T = 0.5 in real words, where they give as much diversity."""
    found = at_equal_diversity(measured, "words")
    if not found:
        return Finding(
            "truncation", "Top-k and top-p reach no diversity at which they could be compared with T = 0.5.", {}
        )
    here = measured.value(("T", 0.5), "words")
    lines, numbers = [], {"here": here, "diversity": measured.value(("T", 0.5), DIVERSITY)}
    for r in found:
        if r["low"] is None:
            lead = "is not judged"
        else:
            lead = "is higher" if r["low"] > 0 else "is lower" if r["high"] < 0 else "cannot be told apart"
        reach = "" if r["low"] is None else f", 95% interval {points(r['low'])} to {points(r['high'])}"
        lines.append(f"with {r['way']} it {lead}: {r['value']:.1%} ({points(r['difference'])} points{reach})")
        numbers |= {f"{r['way']}_{k}": r[k] for k in ("value", "difference", "low", "high")}
    text = (
        "**Top-k and top-p at equal diversity.** Where they give as many distinct sequences as T = 0.5 ({diversity:.1%}), "
        "the share of real words, {here:.1%} at T = 0.5, compares as follows: {lines}."
    )
    return Finding("truncation", text, numbers | {"lines": "; ".join(lines)})


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign, a real minus."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def why_it_helps(rows: list[dict], measured: Measured) -> Finding:
    """T = 0.5 against T = 1: how often an unlikely character is drawn, and what that does to words and variety."""
    at = {r["temperature"]: r for r in rows}
    half, one, real = at[0.5], at[1.0], values(measured, REAL)
    numbers = {"u1": one["unlikely"], "u05": half["unlikely"], "cut": UNLIKELY, "n": N_GRAM}
    numbers |= {"word1": 1 - (1 - one["unlikely"]) ** 5, "word05": 1 - (1 - half["unlikely"]) ** 5}
    for name in ("words", "distinct", "judge", "copied"):
        numbers |= {f"{name}05": half[name], f"{name}1": one[name], f"{name}_real": real[name]}
    text = (
        "**Why a lower temperature gives more plausible text.** A sampler draws every character as often as the "
        "distribution says, its errors included, and each draw becomes input: a character that does not fit spoils the word "
        "and the text goes on from there. At T = 1 a character that the model itself holds unlikely (below {cut:.0%}) comes "
        "with probability {u1:.2%} a character, {word1:.1%} for five in a row; at T = 0.5 with {u05:.3%} and {word05:.1%}."
    )
    if half["words"] is not None and one["words"] is not None:
        text += " The share of real words is {words05:.1%} at T = 0.5, {words1:.1%} at T = 1 and {words_real:.1%} in real text."
    if apart(half, one, "distinct") < 0:
        text += (
            " The price is variety: of a text's {n}-character sequences {distinct05:.1%} repeat neither the text nor others at "
            "T = 0.5, {distinct1:.1%} at T = 1, and {distinct_real:.1%} in real text."
        )
    if apart(half, real, "judge") < 0:
        text += (
            " Drawn that low, text is more predictable than real text: the judge needs {judge05:.2f} nats a "
            "character at T = 0.5, {judge_real:.2f} for real text and {judge1:.2f} at T = 1."
        )
    return Finding("temperature-why", text, numbers)


def apart(a: dict, b: dict, name: str) -> int:
    """1 where a measure is higher in a, -1 where it is lower, 0 where the 95% intervals meet or are not known."""
    ends = [r[f"{name}_{end}"] for r in (a, b) for end in ("low", "high")]
    if None in ends:
        return 0
    return int(ends[0] > ends[3]) - int(ends[1] < ends[2])
