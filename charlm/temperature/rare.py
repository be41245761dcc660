"""What follows a character that the model holds unlikely: in text that it draws, and in real text."""

import math
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from charlm import sampling
from charlm.ngram import NGram
from charlm.temperature.measures import UNLIKELY, validation_chunks
from charlm.temperature.texts import JUDGE_ORDER, RealText
from charlm.text import real_words, whole_words, with_whole_words
from charlm_core import Config, Corpus, decode, encode

AFTER = 10  # characters after a rare one that are looked at
RARE_MEASURES = ("rare", "itself", "judge", "words", "elsewhere")


def after_rare(
    weights: dict[str, Tensor], config: Config, corpus: Corpus, real: RealText, seed: int = 0
) -> dict[str, dict[str, float]]:
    """RARE_MEASURES of validation chunks ("real"), and of as many texts ("drawn") that the model draws at T = 1, as long as a
    chunk and begun with its first character, by random numbers that follow from `seed` and the run's own, so that each run
    draws for itself. The judge and the words are those of the training text alone, to which all of these are new. NaN where
    there is nothing to count.

    rare: the share of characters to which the model gives less than UNLIKELY. itself, judge: nats that the judge needs for such
    a character, and a character in the AFTER ones that follow it. words: the share of real words among all that the character
    and those AFTER are part of. elsewhere: the same share around characters with no rare one within AFTER.
    """
    length = config.chunk_length
    starts = validation_chunks(config, corpus) * length
    chunks = corpus.ids[starts[:, None] + np.arange(length)]  # (chunks, time)
    begun = [corpus.vocab[i] for i in chunks[:, 0]]
    own_seed = (seed + config.seed) % 2**32
    texts = sampling.sample(weights, config, corpus.vocab, begun, length - 1, 1.0, own_seed, range(len(begun)))
    drawn = encode("".join(texts), corpus.vocab).reshape(chunks.shape)
    judge = NGram([encode(passage, corpus.vocab) for passage in real.training], JUDGE_ORDER, len(corpus.vocab))
    lexicon = frozenset(chain.from_iterable(map(whole_words, real.training)))
    found = {}
    for name, ids in (("drawn", drawn), ("real", chunks)):
        # The last character of all has none to follow it, so any does.
        every = np.append(ids, ids[-1, -1])
        logits, follows = sampling.chunk_logits(weights, config, every, np.arange(len(ids)))
        log_p = torch.from_numpy(logits[:-1]).double().log_softmax(-1)  # (time - 1, chunks, vocabulary)
        own = log_p.gather(-1, torch.from_numpy(follows[:-1, :, None]))[..., 0].numpy().T  # (chunks, time - 1)
        nats = -judge.log_probabilities(ids)  # of the same characters
        found[name] = _around_rare(own < math.log(UNLIKELY), nats, [decode(row, corpus.vocab) for row in ids], lexicon)
    return found


def _around_rare(rare: np.ndarray, nats: np.ndarray, texts: list[str], lexicon: frozenset[str]) -> dict[str, float]:
    """RARE_MEASURES, from which characters are rare and what the judge needs for each (texts, time - 1): those from the second
    on of every text."""
    n = rare.shape[1]
    near = np.array([rare[:, max(0, i - AFTER) : i + AFTER + 1].any(1) for i in range(n)]).T
    after = [nats[row, i + 1 : i + 1 + AFTER] for row, i in np.argwhere(rare) if i + AFTER < n]
    found = {"rare": float(rare.mean()), "itself": _mean(nats[rare]), "judge": _mean(np.array(after))}
    for name, places in (("words", rare), ("elsewhere", ~near)):
        windows = [
            with_whole_words(texts[row], i + 1, i + 2 + AFTER) for row, i in np.argwhere(places) if i + AFTER < n
        ]
        counts = np.array([real_words(window, lexicon) for window in windows]).reshape(-1, 2).sum(0)
        found[name] = float(counts[0] / counts[1]) if counts[1] else math.nan
    return found


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
