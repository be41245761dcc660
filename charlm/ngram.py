"""A character n-gram model with interpolated Kneser-Ney smoothing: what a loss can be reached by counting alone.

Own code, because the libraries that have it (nltk, KenLM) are made for words, count one Python tuple at a time or want
files and a compiler; here all characters of a text are counted and scored at once by sorting whole numbers.

R. Kneser and H. Ney, Improved backing-off for m-gram language modeling, ICASSP 1995. The interpolated form and the
discount are those of S. F. Chen and J. Goodman, An empirical study of smoothing techniques for language modeling,
Computer Speech and Language 13, 1999, section 2.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from charlm_core import Config, Corpus

FALLBACK = 0.5  # the discount where a text is too small, or too regular, to estimate one


@dataclass(frozen=True)
class Counts:
    """Counts of the distinct grams of one length: what of them a probability is made of."""

    discount: float
    seen: np.ndarray  # (grams,) count of the gram
    total: np.ndarray  # (contexts,) sum of the counts of the grams that begin with the context
    kinds: np.ndarray  # (contexts,) different characters after it

    @classmethod
    def of(cls, counts: np.ndarray, contexts: np.ndarray, n_contexts: int) -> "Counts":
        """From the count of each distinct gram and the number of its context, both (grams,)."""
        total = np.bincount(contexts, counts, n_contexts)
        kinds = np.bincount(contexts, minlength=n_contexts)
        return cls(discount(counts), *(n.astype(np.int32) for n in (counts, total, kinds)))

    def interpolate(self, grams: np.ndarray, contexts: np.ndarray, below: np.ndarray) -> np.ndarray:
        """Probability of the last character of each gram from that of the order below. All arrays have one shape; a gram
        or a context that was never counted is -1. A context that nothing follows leaves `below` as it is."""
        total = np.where(contexts >= 0, _at(self.total, contexts), 0)
        seen = np.where(grams >= 0, _at(self.seen, grams) - self.discount, 0)
        spread = self.discount * _at(self.kinds, contexts) * below  # what the discount took, for the order below
        counted = (seen + spread) / np.maximum(total, 1)  # by 1 where nobody looks, and not by 0
        return np.where(total > 0, counted, below)


def discount(counts: np.ndarray) -> float:
    """D = n1 / (n1 + 2 n2), with n1 grams counted once and n2 twice. Without any of either the formula says nothing (D = 0
    would leave no probability for what was not seen, D = 1 none for what was seen once), and D is FALLBACK."""
    n1 = np.count_nonzero(counts == 1)
    n2 = np.count_nonzero(counts == 2)
    return n1 / (n1 + 2 * n2) if n1 and n2 else FALLBACK


class NGram:
    """The model of order n, and with it those of all the orders below: a character given the n - 1 before it.

    p(c | context) = (count(context c) - D) / count(context) + D · kinds(context) / count(context) · p(c | shorter context)

    where kinds(context) is how many different characters follow it, and the first term is 0 for what was not seen. Below
    the order n a gram's count is not how often it occurs but how many different characters stand before it (the start of
    a sequence counts as one); below order 1 every character of the vocabulary has the same probability.
    """

    def __init__(self, sequences: Sequence[np.ndarray], order: int, vocabulary_size: int) -> None:
        """sequences: arrays of ids, of any lengths; no gram reaches over the end of one."""
        self.order, self.vocabulary_size = order, vocabulary_size
        # Of each length: character · number of contexts + context of its distinct grams, sorted.
        self.keys = [np.zeros(1, np.int64)]
        self.occurring: list[Counts] = []  # of lengths from 1: grams counted by how often they occur
        self.preceded: list[Counts] = []  # and by how many different characters stand before them
        ids = np.concatenate(list(sequences))  # (characters,)
        # Of each character in its sequence.
        place = np.concatenate([np.arange(len(s), dtype=np.int32) for s in sequences])
        shorter = np.zeros(len(ids), np.int32)  # number of the gram, one character shorter, that ends at each character
        ends = np.arange(len(ids), dtype=np.int32)  # where grams of this length end, in the order of their contexts
        for length in range(1, order + 1):
            # Sorted by character too they are in the order of their grams: a stable sort of few bits takes linear time.
            ends = ends[np.argsort(ids[ends], kind="stable")]
            wholes = ids[ends] * np.int64(len(self.keys[-1])) + shorter[ends - 1]
            is_first = np.ones(len(ends), bool)  # of the grams that are alike
            is_first[1:] = wholes[1:] != wholes[:-1]
            first = np.flatnonzero(is_first)
            if length > 1:
                # A distinct gram is one different character before the shorter gram that it ends in.
                before = np.bincount(shorter[ends[first]], minlength=len(self.keys[-1]))
                before[np.unique(shorter[place == length - 2])] += 1  # the start of a sequence
                self.preceded.append(self._counts(before, length - 1))
            self.keys.append(wholes[first])
            self.occurring.append(self._counts(np.diff(first, append=len(ends)), length))
            shorter = np.full(len(ids), -1, np.int32)
            shorter[ends] = np.cumsum(is_first, dtype=np.int32) - 1
            ends = ends[ends < len(ids) - 1] + 1
            ends = ends[place[ends] >= length]

    def _counts(self, counts: np.ndarray, length: int) -> Counts:
        contexts = len(self.keys[length - 1])
        return Counts.of(counts, self.keys[length] % contexts, contexts)

    def log_probabilities(self, ids: np.ndarray) -> np.ndarray:
        """Natural logarithms of the probabilities of all characters but the first, given up to order - 1 before them:
        (..., time) of ids gives (..., time - 1) of float64, for one sequence or for rows of equal length. Where fewer
        than order - 1 characters stand before, it is the model of the order that needs no more."""
        return self.by_order(ids)[-1]

    def by_order(self, ids: np.ndarray) -> np.ndarray:
        """The same for every order from 1 to this one: (order, ..., time - 1)."""
        time = np.arange(ids.shape[-1])
        results = np.empty((self.order, *ids.shape))  # (order, ..., time)
        p = np.full(ids.shape, 1 / self.vocabulary_size)  # of the order below, as the orders above go on from it
        grams = np.zeros(ids.shape, np.int64)  # number of the gram of the length below that ends at each character
        for i in range(self.order):
            # The context of a gram is the gram, one character shorter, that ends just before its last character.
            contexts = np.where(time >= i, np.roll(grams, 1, axis=-1), -1)
            keys = np.where(contexts >= 0, ids * np.int64(len(self.keys[i])) + contexts, -1)
            grams = _find(self.keys[i + 1], keys)
            highest = self.occurring[i].interpolate(grams, contexts, p)
            results[i] = np.where(time >= i, highest, results[i - 1])
            if i < self.order - 1:
                p = self.preceded[i].interpolate(grams, contexts, p)
        return np.log(results[..., 1:], out=results[..., 1:])


def chunk_rows(corpus: Corpus, chunks: np.ndarray, config: Config) -> np.ndarray:
    """The ids of each chunk and of the character after it: (chunks, time + 1)."""
    return corpus.ids[chunks[:, None] * config.chunk_length + np.arange(config.chunk_length + 1)]


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each wanted number stands in the sorted keys, -1 where it does not."""
    if not len(keys):
        return np.full(wanted.shape, -1)
    order = np.argsort(wanted, axis=None)  # in order they are found several times faster
    in_order = wanted.ravel()[order]
    places = np.searchsorted(keys, in_order)
    places[keys[np.minimum(places, len(keys) - 1)] != in_order] = -1
    found = np.empty(wanted.shape, np.int32)
    found.reshape(-1)[order] = places
    return found


def _at(values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """values[indices], and anything where an index is -1, even if there are no values."""
    return values[indices] if len(values) else np.zeros(indices.shape)
