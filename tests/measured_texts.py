"""Measured texts that look like real ones, made without a model."""

import numpy as np

from charlm.corpus import load_corpus
from charlm.temperature.claims import MIN_TEXTS
from charlm.temperature.measures import Measured
from charlm.temperature.texts import GRID, REAL, SHUFFLED


def corpus_of(text, tmp_path):
    path = tmp_path / "own.txt"
    path.write_text(text, "utf-8")
    return load_corpus(path)


TYPICAL = {"words": 0.95, "judge": 1.4, "distinct": 0.7, "copied": 18.0, "headings": 0.9}
CHANCE = {"words": 0.2, "judge": 5.0, "distinct": 0.99, "copied": 5.0, "headings": 0.0}


def sums(values, n, spread=0.03):
    """Texts that spread evenly around a value of each measure; None has nothing to count."""
    around = np.resize([-spread, spread, 0.5 * spread, -0.5 * spread], n)
    return {m: np.array([around * (v or 1) + (v or 0), np.ones(n)]) * (v is not None) for m, v in values.items()}


def make(drawn=lambda t: {}, real=TYPICAL, shuffled=CHANCE, n=MIN_TEXTS, spread=0.03, truncated=None):
    """Measured texts: those at T have the values of real text but for what drawn(T) says."""
    found = {REAL: sums(real, n, spread), SHUFFLED: sums(shuffled, n, spread)}
    found |= {("T", t): sums(real | drawn(t), n, spread) for t in GRID}
    return Measured(found | {way: sums(real | v, n, spread) for way, v in (truncated or {}).items()})


def away(best):
    """Judge's loss that rises with T and is that of real text at the best one."""
    return lambda t: {"judge": 1.4 + t - best}


def words_by(up_to_one, from_two):
    return lambda t: {"words": up_to_one if t <= 1 else from_two if t >= 2 else 0.6}


def begun_by(upper, lower):
    """Texts of which a share begins with a speaker, a share for each letter."""
    letters = dict(zip("ABCDEFGH", upper, strict=False)) | dict(zip("abcdefgh", lower, strict=False))
    return {c: ["ANNA:\nhello"] * round(20 * k) + ["And so"] * round(20 * (1 - k)) for c, k in letters.items()}
