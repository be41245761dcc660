"""What temperature does to a model's distribution and to its text: measures, tables and sentences computed from them.

Two kinds of text are looked at. Validation text, which the model was not trained on, shows the distribution itself: its
entropy, and its loss as a prediction of what really follows. Text that the model draws shows what a reader gets.
"""

import math
from collections.abc import Container

import numpy as np
from scipy.special import log_softmax
from torch import Tensor

import charlm_core as core
import charlm_text
from charlm_corpus import Corpus
from charlm_show import Finding, Table
from charlm_study import estimate, make_table

MAX_LOGITS = 30_000_000  # numbers held at a time: what bounds the memory for a large vocabulary
UNLIKELY = 0.01  # a character the model gives less than this at T = 1 counts as unlikely
N_GRAM = 4  # characters: long enough to tell repetition, short enough for many to be distinct


def validation_logits(
    weights: dict[str, Tensor], config: core.Config, corpus: Corpus, at_most: int = 500
) -> tuple[np.ndarray, np.ndarray]:
    """Logits (time, chunks, vocabulary) and the characters that really follow (time, chunks), on the first validation
    chunks of the run's own split.
    """
    _, chunks = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    few = max(2, min(at_most, MAX_LOGITS // (config.chunk_length * len(corpus.vocab))))
    return core.chunk_logits(weights, config, corpus.ids, chunks[:few])


def measures(
    logits: np.ndarray, targets: np.ndarray, drawn: dict[float, list[str]], lexicon: Container[str]
) -> list[dict]:
    """A row a temperature, from the logits (time, chunks, vocabulary) and characters (time, chunks) of validation text
    and the texts drawn, {temperature: texts}. Means and their 95 % intervals: entropy and loss (nats per character)
    over chunks, share of real words over words. unlikely: probability of drawing a character below UNLIKELY at T = 1.
    """
    unlikely = log_softmax(logits.astype(np.float64), axis=-1) < math.log(UNLIKELY)
    rows = []
    for t, texts in drawn.items():
        log_p = log_softmax(logits.astype(np.float64) / t, axis=-1)
        p = np.exp(log_p)
        entropy = -(p * np.where(p > 0, log_p, 0)).sum(-1)  # 0 log 0 is 0
        loss = -np.take_along_axis(log_p, targets[..., None], -1)[..., 0]
        row = {"temperature": t}
        for name, values in (("entropy", entropy), ("loss", loss)):
            e = estimate(dict(enumerate(values.mean(axis=0))))  # characters of one chunk are no independent draws
            row |= {name: e.mean, f"{name}_low": e.low, f"{name}_high": e.high}
        words = charlm_text.real_word_rate(texts, lexicon)
        row |= {"real_words": words.rate, "real_words_low": words.low, "real_words_high": words.high}
        row |= {"words": words.total, "unlikely": float((p * unlikely).sum(-1).mean())}
        row |= {"distinct": charlm_text.distinct(texts, N_GRAM)}
        rows.append(row)
    return rows


def real_distinct(text: str, drawn: dict[float, list[str]]) -> float | None:
    """The measure `distinct` of as much real text, in pieces as long, as was drawn at each temperature."""
    texts = next(iter(drawn.values()))
    starts = np.linspace(0, max(0, len(text) - len(texts[0])), len(texts)).astype(int)
    return charlm_text.distinct([text[i : i + len(texts[0])] for i in starts], N_GRAM)


def table(rows: list[dict], samples: int) -> Table:
    shown = [
        {
            "T": r["temperature"],
            "entropy": r["entropy"],
            "loss": r["loss"],
            "unlikely": r["unlikely"],
            "words": r["words"],
            "real words": r["real_words"],
            "low": r["real_words_low"],
            "high": r["real_words_high"],
            "distinct": r["distinct"],
        }
        for r in rows
    ]
    caption = (
        "What temperature does. Entropy and loss in nats per character, on validation text. Unlikely: the chance of drawing "
        f"a character to which the model gives less than {100 * UNLIKELY:g} % at T = 1. Real words: share of the drawn words "
        f"that occur in the corpus, with its 95 % interval. Distinct: share of distinct {N_GRAM}-character sequences among "
        f"those drawn. {samples} texts a temperature."
    )
    percent = dict.fromkeys(("unlikely", "real words", "low", "high", "distinct"), "{:.1%}")
    formats = {"T": "{:g}", "entropy": "{:.3f}", "loss": "{:.3f}", "words": "{:,}", **percent}
    return make_table("temperature-measures", shown, caption, formats=formats)


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
        "How a text begins after each prompt: the share that starts with a heading as plays print a speaker's name (words "
        "and a colon alone on the first line), with its 95 % interval."
    )
    return make_table("headings", rows, caption, formats=dict.fromkeys(("headings", "low", "high"), "{:.1%}"))


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
    at = {r["temperature"]: r for r in rows}
    others = "; ".join(f"{r['loss']:.3f} at T = {r['temperature']:g}" for r in rows if r is not best)
    text = (
        "**What it does not change: what the model knows.** The ranking of the characters is the same at every T. As a "
        "prediction of validation text the distribution is best at T = {t:g} among those measured, with a loss of "
        "{loss:.3f} nats per character ({others})."
    )
    if best is at.get(1.0):
        text += " So a lower temperature does not make the distribution truer: by this measure it makes it worse."
    return Finding("temperature-loss", text, {"t": best["temperature"], "loss": best["loss"], "others": others})


def what_is_read(rows: list[dict]) -> Finding:
    """The real-word rates, and up to where and from where on they are high and low."""
    known = [r for r in rows if r["real_words"] is not None]
    if not known:
        return Finding("temperature-words", "The drawn texts hold no words that could be looked up in the corpus.", {})
    rates = "; ".join(
        f"{r['real_words']:.1%} at T = {r['temperature']:g} ({r['real_words_low']:.1%} to {r['real_words_high']:.1%})"
        for r in known
    )
    high = [r["temperature"] for r in known if r["real_words"] >= 0.9]
    low = [r["temperature"] for r in known if r["real_words"] < 0.5]
    text = "**What a reader sees.** Words that occur in the corpus: {rates}; 95 % intervals. At least nine words in ten are "
    text += "real at T = {high}" if high else "real at no measured temperature"
    text += "; fewer than half are at T = {low}." if low else "; at none are fewer than half."
    values = {"rates": rates, "high": ", ".join(f"{t:g}" for t in high), "low": ", ".join(f"{t:g}" for t in low)}
    return Finding("temperature-words", text, values)


def why_it_helps(rows: list[dict], real: float | None) -> Finding:
    """T = 0.5 against T = 1: how often an unlikely character is drawn, and what that does to words and variety."""
    at = {r["temperature"]: r for r in rows}
    half, one = at[0.5], at[1.0]
    values = {"u1": one["unlikely"], "u05": half["unlikely"], "w1": one["real_words"], "w05": half["real_words"]}
    values |= {"word1": 1 - (1 - one["unlikely"]) ** 5, "word05": 1 - (1 - half["unlikely"]) ** 5}
    values |= {"d1": one["distinct"], "d05": half["distinct"], "real": real, "ce1": one["loss"], "ce05": half["loss"]}
    text = (
        "**Why a lower temperature gives more plausible text.** A sampler draws every character as often as the "
        "distribution says, its errors included, and each draw becomes input: a character that does not fit spoils the word "
        "and the text goes on from there. At T = 1 a character that the model itself holds unlikely (below {cut:.0%}) comes "
        "with probability {u1:.2%} a character, {word1:.1%} for five in a row; at T = 0.5 with {u05:.3%} and {word05:.1%}. "
        "The share of real words is {w05:.1%} at T = 0.5 and {w1:.1%} at T = 1."
    )
    if (half["distinct"] or 0) < (one["distinct"] or 0):
        text += (
            " The price is variety: {d05:.1%} of the four-character sequences are distinct at T = 0.5, {d1:.1%} at T = 1, and "
            "{real:.1%} in as much real text."
        )
    return Finding("temperature-why", text, values | {"cut": UNLIKELY})
