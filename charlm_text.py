"""Measures of text, and of the distributions that it is drawn from."""

import unicodedata
from collections.abc import Container, Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import entr
from scipy.stats import binomtest


def words(text: str) -> list[str]:
    """The words of a text in order, case-folded: runs of letters, their marks, and apostrophes inside. Where a
    script writes no spaces between words (Chinese, Thai), a run between two punctuation marks counts as one word.
    """
    text = text.casefold().replace("’", "'")
    apart = {ord(c): " " for c in set(text) if not _in_word(c)}
    return [w for w in (w.strip("'") for w in text.translate(apart).split()) if w]


def _in_word(c: str) -> bool:
    # Python's \w leaves out combining marks: words of Hindi or of decomposed French would fall apart at each.
    return c in "'’" or unicodedata.category(c)[0] in "LM"


def lexicon(text: str) -> frozenset[str]:
    """The set of words of a text."""
    return frozenset(words(text))


class Share(NamedTuple):
    """How many of how many: rate with its 95 % Wilson interval, all three None where total is 0."""

    correct: int
    total: int
    rate: float | None
    low: float | None
    high: float | None


def share(correct: int, total: int) -> Share:
    if total == 0:
        return Share(0, 0, None, None, None)
    low, high = binomtest(correct, total).proportion_ci(method="wilson")
    return Share(correct, total, correct / total, float(low), float(high))


def real_word_rate(texts: Sequence[str], lexicon: Container[str]) -> Share:
    """Share of the words in texts (a list of generated texts) that are in the lexicon. A last word that may have
    been cut off is left out. The interval takes the words as independent. Short words are hit by chance: even
    random letters score above zero.
    """
    if isinstance(texts, str):
        raise TypeError("real_word_rate takes a list of texts")
    found = []
    for text in texts:
        whole = words(text)
        if text and _in_word(text[-1]):
            whole = whole[:-1]
        found += [w in lexicon for w in whole]
    return share(sum(found), len(found))


def starts_speaker(text: str) -> bool:
    """Whether the first line is a speaker's name as plays print it: words and a colon, nothing else."""
    line, newline, _ = text.partition("\n")
    return bool(newline) and line.endswith(":") and bool(words(line)) and not set(line[:-1]) & set(".,;:!?-")


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy in nats of distributions over the last axis: (..., vocabulary) gives (...)."""
    return entr(np.asarray(probabilities, dtype=np.float64)).sum(axis=-1)


def distinct(texts: Sequence[str], n: int) -> float | None:
    """Share of the n-character sequences in the texts that are distinct; None where there is none. It falls as texts grow."""
    grams = [text[i : i + n] for text in texts for i in range(len(text) - n + 1)]
    return len(set(grams)) / len(grams) if grams else None
