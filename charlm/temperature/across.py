"""What the chapter says of every run, kept in the runs' folders."""

import math
from collections.abc import Sequence
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

# Of one run. closest: the temperature of the text closest to real text, over all measures and by each of them alone. words_t:
# real words at a temperature as a share of those of real text. upper, lower: the share of texts that begin with a speaker after
# letters of this case. loss, entropy: on validation text.
RUN_MEASURES = (
    "closest",
    *TEXT_MEASURES,
    *(f"words_{t:g}" for t in STUDY_TEMPERATURES),
    *("upper", "lower", "loss", "entropy"),
)


def run_measures(folder: Path, corpus: Corpus, samples: int, length: int, seed: int) -> dict[str, Tensor]:
    """RUN_MEASURES of one run ("run"), and RARE_MEASURES ("drawn", "real"); NaN for what this corpus does not have."""
    weights, config, vocab = load_weights(folder)
    real = set_aside(corpus, config, samples, length)
    measured = measures.measured_texts(folder, corpus, samples, length, seed)
    found = dict.fromkeys(RUN_MEASURES, math.nan)
    near = measures.closest_temperature(measured)
    if near and near.learnt:
        found["closest"] = near.best
        for name, (best, _, _) in near.alone.items():
            found[name] = best
    if measures.words_tell(measured):
        for t in STUDY_TEMPERATURES:
            relative = measures.relative_words(measured, t)
            if relative:
                found[f"words_{t:g}"] = relative[0]
    letters = letters_of(corpus)
    begun = begin_texts(weights, config, vocab, letters, seed) if letters and real.speakers else {}
    shares = measures.speaker_shares(begun, real)
    if shares:
        found["upper"], found["lower"] = (share.known_mean for share in shares)
    (at_one,) = measures.distributions(weights, config, corpus, [1.0])
    found["loss"], found["entropy"] = at_one["loss"], at_one["entropy"]
    by_side = {"run": found} | rare.after_rare(weights, config, corpus, real, seed)
    return {side: torch.tensor(list(values.values()), dtype=torch.float64) for side, values in by_side.items()}


def kept_run_measures(folder: Path, corpus: Corpus, samples: int, length: int, seed: int) -> dict[str, Tensor]:
    """The same, kept in the run's folder."""
    depends_on = {"samples": samples, "length": length, "seed": seed}
    return kept_measurement(
        folder, "temperature", depends_on, lambda: run_measures(folder, corpus, samples, length, seed)
    )


def rows_across_runs(
    records: Records, corpus: Corpus, samples: int, length: int, seed: int = 0, runs: Path = RUNS
) -> list[dict]:
    """The record of every finished run with its RUN_MEASURES, and its RARE_MEASURES as "drawn" and "real"; under MIN_SEEDS of
    them, of the best run alone. What was measured is kept in the runs' folders."""
    shown = finished(records)
    if len({r["seed"] for r in shown}) < MIN_SEEDS:
        shown = [best_record(records)]
    rows = []
    for r in shown:
        kept = kept_run_measures(runs / r["run_id"], corpus, samples, length, seed)
        row = r | _named(RUN_MEASURES, kept["run"])
        rows.append(row | {side: _named(RARE_MEASURES, kept[side]) for side in ("drawn", "real")})
    return rows


def _named(names: Sequence[str], values: Tensor) -> dict[str, float | None]:
    """The values by their names; None for NaN, which JSON does not have."""
    numbers = (None if value.isnan() else value.item() for value in values)
    return dict(zip(names, numbers, strict=True))
