"""Texts to read beside each other: real text, what trained models write after the same beginning, and what a model writes
that only counts. All end at the end of a line, where they have one.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch import Tensor

from charlm import sampling
from charlm.corpus import split_corpus
from charlm.ngram import NGram, chunk_rows
from charlm.records import Record, Records, cells_in, finished, of_cell
from charlm.runs.folder import RUNS, best_record, load_weights
from charlm.text import is_heading, whole_lines
from charlm_core import Config, Corpus, decode, encode

LENGTH = 160  # characters after the beginning, at least
MORE = 80  # in which a line may come to its end
HIGHEST = 8  # order of the n-gram models that the counting model is chosen from


def beginning(text: str, prompt: str) -> str:
    """What all texts begin with: the speaker's name that occurs most often, on a line of its own, where the text has such
    lines, else `prompt`."""
    names = Counter(filter(is_heading, whole_lines(text)))
    return f"{names.most_common(1)[0][0]}\n" if names else prompt


def to_end_of_line(text: str, at_least: int) -> str:
    """The text up to the first end of a line that leaves it so many characters; where there is none, so many of them."""
    end = text.find("\n", at_least)
    return text[: end if end >= 0 else at_least]


def passage_after(text: str, begun: str, length: int) -> str | None:
    """The text where it begins so for the second time, or for the only one; None where it nowhere does."""
    first = text.find(begun)
    if first < 0:
        return None
    second = text.find(begun, first + 1)  # the first passage of a text is the one that everybody knows
    start = second if second >= 0 else first
    return text[start : start + len(begun) + length]


def counted_text(corpus: Corpus, config: Config, begun: str, length: int, temperature: float, seed: int) -> str:
    """What an n-gram model of the run's training chunks writes, drawn as a network's text is; its order is the one with the
    lowest loss on the validation chunks."""
    train, validation = split_corpus(corpus, config)
    size = len(corpus.vocab)
    model = NGram(list(chunk_rows(corpus, train, config)), HIGHEST, size)
    order = 1 + int(model.by_order(chunk_rows(corpus, validation, config)).mean(axis=(1, 2)).argmax())
    ids = list(encode(begun, corpus.vocab))
    uniform = sampling.uniforms(seed, np.zeros(1, int), np.arange(len(ids) + length))[0]  # (time,)
    every = np.arange(size)[:, None]
    while len(ids) < len(uniform):
        context = np.array(ids[max(0, len(ids) - order + 1) :], np.int64)
        # One row for each character that might follow, (vocabulary, context + 1); below its order a model needs no more.
        candidates = np.hstack([np.tile(context, (size, 1)), every])
        logits = model.by_order(candidates)[min(order, len(context) + 1) - 1, :, -1] if len(context) else np.zeros(size)
        p = sampling.temperature_softmax(logits[None], temperature)
        ids.append(int(sampling.draw(p, uniform[len(ids) : len(ids) + 1])[0]))
    return decode(np.array(ids), corpus.vocab)


def side_by_side(
    runs: Records, corpus: Corpus, begun: str, temperature: float, seed: int, folder: Path = RUNS
) -> list[dict]:
    """Items for charlm.show.Samples: real text, the best run of each cell, the counting model."""
    whole = decode(corpus.ids, corpus.vocab)
    real = passage_after(whole, begun, LENGTH + MORE)
    texts = {"real text": real} if real else {}
    best: Record | None = None
    for cell in cells_in(finished(runs)):
        best = best_record(of_cell(runs, cell))
        weights, config, vocab = load_weights(folder / best["run_id"])
        (drawn,) = sampling.sample(weights, config, vocab, [begun], LENGTH + MORE, temperature, seed, [0])
        texts[cell.upper()] = drawn
    if best:
        texts["counting"] = counted_text(corpus, config, begun, LENGTH + MORE, temperature, seed)
    items = []
    for label, text in texts.items():
        drawn_at = None if label == "real text" else temperature
        items.append(_item(label, text, begun, LENGTH, drawn_at, begun.endswith("\n")))
    return items


def _item(label: str, text: str, prompt: str, length: int, temperature: float | None, verse: bool) -> dict:
    whole = to_end_of_line(text, len(prompt) + length)
    return {"label": label, "text": whole, "prompt": prompt, "temperature": temperature, "verse": verse}


def drawn_items(
    weights: dict[str, Tensor],
    config: Config,
    vocab: str,
    prompts: Sequence[str],
    length: int,
    temperatures: Sequence[float],
    seed: int,
    numbers: Sequence[int],
) -> list[dict]:
    """Items for charlm.show.Samples: what a model writes after each prompt, `length` characters at least. They are named by
    what they differ in: by the temperature, or by the prompt where all have one."""
    texts = sampling.sample(weights, config, vocab, prompts, length + MORE, temperatures, seed, numbers)
    items = []
    for prompt, text, t in zip(prompts, texts, temperatures, strict=True):
        label = f"T = {t:g}" if len(set(temperatures)) > 1 else f"prompt {prompt!r}"
        items.append(_item(label, text, prompt, length, t, verse=True))
    return items
