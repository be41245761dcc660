"""Real text set aside, and the texts that a model draws beside it.

The real pieces are set aside: the words, the speakers and the n-gram judge that all texts are held against come from the
rest of the corpus, so real text is as new to them as drawn text is. To the model the pieces are not new (validation text
is scattered in chunks too short to read), so what it learnt from them counts as unknown in its text: a bias against it
that is as small as their share of the corpus.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from charlm import sampling
from charlm.corpus import split_corpus
from charlm.ngram import NGram
from charlm.text import is_heading, whole_lines, whole_words
from charlm_core import Config, Corpus, decode

STUDY_TEMPERATURES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # the source study's temperatures
GRID = (*(i / 10 for i in range(1, 21)), 3.0, 5.0, 10.0)
TOP_K = (1, 2, 3, 5, 10)
TOP_P = (0.2, 0.4, 0.6, 0.8, 0.9)
MAX_TEXT = 2_000_000  # characters of a corpus, from its beginning, that drawn text is held against
SET_ASIDE = 0.2  # of the corpus, at most
MIN_PIECES = 8  # as long as that leaves them any length
JUDGE_ORDER = 5  # of the n-gram model that judges texts
LETTERS = 26  # of each case, at most, that texts are begun with
BEGUN, FIRST_LINE = 20, 40  # texts for each of them, and their characters, that show how a text begins

# ---------------------------------------------------------------------------------------------------------------------
# real text


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
    judge: NGram


def set_aside(corpus: Corpus, config: Config, samples: int, length: int) -> RealText:
    """So many pieces of so many characters, evenly spaced over the corpus or the MAX_TEXT characters that it begins with;
    of a short corpus fewer and then shorter ones, at most a fifth of it. config says which chunks the model was trained on.
    """
    ids = np.asarray(corpus.ids[:MAX_TEXT])
    room = int(SET_ASIDE * len(ids))
    samples = min(samples, max(MIN_PIECES, room // length))
    length = max(2, min(length, room // samples))
    starts = np.linspace(0, len(ids) - length, samples).astype(int)
    is_rest = np.ones(len(ids), bool)
    is_rest[starts[:, None] + np.arange(length)] = False

    passages = _passages(ids, is_rest)
    lexicon: set[str] = set()
    speakers: set[str] = set()
    for passage in passages:
        text = decode(passage, corpus.vocab)
        lexicon.update(whole_words(text))
        speakers.update(filter(is_heading, whole_lines(text)))
    pieces = [decode(ids[i : i + length], corpus.vocab) for i in starts]
    trained = _passages(ids, is_rest & _read_in_training(corpus, config, len(ids)))
    return RealText(
        vocab=corpus.vocab,
        pieces=pieces,
        scope="the corpus" if len(ids) == len(corpus.ids) else f"the first {len(ids):,} characters of the corpus",
        share=samples * length / len(ids),
        lexicon=frozenset(lexicon),
        speakers=frozenset(speakers),
        training=[decode(passage, corpus.vocab) for passage in trained],
        judge=NGram(passages, JUDGE_ORDER, len(corpus.vocab)),
    )


def _read_in_training(corpus: Corpus, config: Config, n: int) -> np.ndarray:
    """Which of the first n characters the model was trained on: (n,) booleans."""
    chunks, _ = split_corpus(corpus, config)
    is_read = np.zeros(len(corpus.ids), bool)
    for step in range(config.chunk_length + 1):  # the character after a chunk is its last target
        is_read[chunks * config.chunk_length + step] = True
    return is_read[:n]


def _passages(ids: np.ndarray, kept: np.ndarray) -> list[np.ndarray]:
    """The runs of characters (n,) that are kept, from n booleans."""
    edges = np.flatnonzero(np.diff(kept, prepend=False, append=False))
    return [ids[a:b] for a, b in edges.reshape(-1, 2)]


# ---------------------------------------------------------------------------------------------------------------------
# drawn text

Way = tuple[str, float]  # how a text came to be: ("T", 0.5), ("top-k", 5) and ("top-p", 0.9) at T = 1, or one of these:
REAL: Way = ("real", 0)  # the pieces
SHUFFLED: Way = ("shuffled", 0)  # the pieces with their characters in a random order

SETTINGS: dict[str, tuple[float, ...]] = {"T": GRID, "top-k": TOP_K, "top-p": TOP_P}
DRAWN: list[Way] = [(kind, value) for kind, values in SETTINGS.items() for value in values]


def draw_texts(weights: dict[str, Tensor], config: Config, real: RealText, seed: int = 0) -> dict[Way, list[str]]:
    """For each of DRAWN as many texts as there are real pieces, each as long as a piece and begun with its first character;
    and the pieces themselves, as they are and shuffled.
    """
    n = len(real.pieces)
    firsts = [piece[0] for piece in real.pieces]
    ways = [way for way in DRAWN for _ in range(n)]
    texts = sampling.sample(
        weights,
        config,
        real.vocab,
        prompts=firsts * len(DRAWN),
        length=len(real.pieces[0]) - 1,
        temperature=[value if kind == "T" else 1.0 for kind, value in ways],
        seed=seed,
        numbers=list(range(n)) * len(DRAWN),
        top_k=[int(value) if kind == "top-k" else 0 for kind, value in ways],
        top_p=[value if kind == "top-p" else 1.0 for kind, value in ways],
    )
    by_way = {REAL: real.pieces, SHUFFLED: _shuffled(real.pieces, seed)}
    for i, way in enumerate(DRAWN):
        by_way[way] = texts[i * n : (i + 1) * n]
    return by_way


def _shuffled(texts: Sequence[str], seed: int) -> list[str]:
    """The texts with their characters in a random order."""
    order = np.random.default_rng(seed)
    # Places are shuffled, not characters: an array of strings loses each NUL at the end of an element.
    return ["".join(text[i] for i in order.permutation(len(text))) for text in texts]


def letters_of(corpus: Corpus) -> list[str]:
    """The LETTERS most frequent letters of each case, upper case first; none where the corpus has not both."""
    counts = np.bincount(corpus.ids, minlength=len(corpus.vocab))
    by_count = [corpus.vocab[i] for i in np.argsort(-counts, kind="stable")]
    upper = list(filter(str.isupper, by_count))[:LETTERS]
    lower = list(filter(str.islower, by_count))[:LETTERS]
    return upper + lower if upper and lower else []


def begin_texts(
    weights: dict[str, Tensor], config: Config, vocab: str, prompts: Sequence[str], seed: int = 0
) -> dict[str, list[str]]:
    """BEGUN texts for each prompt at T = 0.5, long enough to show their first line."""
    numbers = list(range(BEGUN))
    repeated = [prompt for prompt in prompts for _ in numbers]
    texts = sampling.sample(weights, config, vocab, repeated, FIRST_LINE, 0.5, seed, numbers * len(prompts))
    return {prompt: texts[i * BEGUN : (i + 1) * BEGUN] for i, prompt in enumerate(prompts)}
