"""What the chapter says of every run, kept in the runs' folders."""

import math
import sys
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from charlm.records import Records, finished
from charlm.runs.folder import RUNS, best_record, kept_measurement, load_weights
from charlm.stats import MIN_SEEDS
from charlm.temperature import measures, rare
from charlm.temperature.measures import TEXT_MEASURES
from charlm.temperature.rare import RARE_MEASURES
from charlm.temperature.texts import STUDY_TEMPERATURES, begin_texts, letters_of, set_aside
from charlm_core import Corpus


def run_measures(folder: Path, corpus: Corpus, samples: int, length: int, seed: int) -> dict[str, Tensor]:
    """What the chapter says of one run; NaN for what this corpus does not have. closest: the temperature of the text closest to
    real text, over all measures and by each of TEXT_MEASURES alone. words: real words at the STUDY_TEMPERATURES as a share of
    those of real text. names: the share of texts that begin with a speaker after upper and after lower case. confidence: loss
    and entropy on validation text. drawn, real: RARE_MEASURES."""
    weights, config, vocab = load_weights(folder)
    real = set_aside(corpus, config, samples, length)
    measured = measures.measured_texts(folder, corpus, samples, length, seed)
    near = measures.closest_temperature(measured)
    closest = [math.nan] * (1 + len(TEXT_MEASURES))
    if near and near.learnt:
        closest = [near.best, *(near.alone.get(name, closest)[0] for name in TEXT_MEASURES)]
    words = [math.nan] * len(STUDY_TEMPERATURES)
    if measures.words_tell(measured):
        for i, t in enumerate(STUDY_TEMPERATURES):
            if relative := measures.relative_words(measured, t):
                words[i] = relative[0]
    names = [math.nan, math.nan]
    letters = letters_of(corpus)
    begun = begin_texts(weights, config, vocab, letters, seed) if letters and real.speakers else {}
    if shares := measures.speaker_shares(begun, real):
        names = [share.known_mean for share in shares]
    (at_one,) = measures.distributions(*measures.validation_logits(weights, config, corpus), [1.0])
    after = rare.after_rare(weights, config, corpus, real, seed)
    lists = {"closest": closest, "words": words, "names": names, "confidence": [at_one["loss"], at_one["entropy"]]}
    lists |= {side: [after[side][name] for name in RARE_MEASURES] for side in ("drawn", "real")}
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in lists.items()}


def rows_across_runs(
    records: Records, corpus: Corpus, samples: int, length: int, seed: int = 0, runs: Path = RUNS
) -> list[dict]:
    """The record of every finished run with its measures; under MIN_SEEDS of them, of the best run alone. What was measured is
    kept in the runs' folders."""
    shown = finished(records)
    if len({r["seed"] for r in shown}) < MIN_SEEDS:
        shown = [best_record(records)]
    depends_on = measures.depends_on(samples, length, seed, rare, sys.modules[__name__])
    rows = []
    for r in shown:
        folder = runs / r["run_id"]
        measure = partial(run_measures, folder, corpus, samples, length, seed)
        kept = kept_measurement(folder, "temperature", depends_on, measure)
        row = dict(r)
        for name, t in zip(("closest", *TEXT_MEASURES), kept["closest"], strict=True):
            row[name] = _or_none(t)
        for t, share in zip(STUDY_TEMPERATURES, kept["words"], strict=True):
            row[f"words_{t:g}"] = _or_none(share)
        row["upper"], row["lower"] = map(_or_none, kept["names"])
        row["loss"], row["entropy"] = kept["confidence"].tolist()
        for side in ("drawn", "real"):
            row[side] = dict(zip(RARE_MEASURES, map(_or_none, kept[side]), strict=True))
        rows.append(row)
    return rows


def _or_none(number: Tensor) -> float | None:
    """A number, or None for NaN, which JSON does not have."""
    return None if number.isnan() else number.item()
