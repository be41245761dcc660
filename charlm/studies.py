"""Long studies: sweeps that take hours, made once and kept.

`make report` trains the main job and takes the runs of the studies from studies/*.json, which hold every run's record
(configuration, losses of every epoch, seconds, code, machine) and no weights. `make report STUDIES=name` trains a study
again, or for a text of one's own; of such a text the runs are looked up in runs/, and nothing is written to studies/.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path

import charlm_core as core
from charlm.benchmark.measures import (
    CUT,
    TUNING_CUT,
    best_dynamic_rate,
    best_short_run,
    with_benchmark_losses,
    with_short_losses,
)
from charlm.corpus import CORPORA, ROOT, load_corpus
from charlm.cure.measures import arm_of, by_arm, with_training_at_rest
from charlm.device import resolved_config
from charlm.files import write_json
from charlm.gradients.measures import with_gradient_curves
from charlm.meaning.measures import with_counting, with_measured_losses
from charlm.protocol import Study
from charlm.records import Record, Records, counted, of_cell
from charlm.runs.folder import Run, read_records, run_record
from charlm.runs.identity import training_code_hash
from charlm.runs.sweep import train_sweep
from charlm.show import Provenance, plain
from charlm.stats import best_settings
from charlm_core import CharlmError, Config, Corpus

STUDIES = ROOT / "studies"
STUDIED_CELLS = ("rnn", "lstm", "gru")
# The configuration that the source study began with.
LARGER = Config(hidden_size=2 * Config.hidden_size, learning_rate=2 * Config.learning_rate)
# Doubled from the protocol's until the lowest mean loss lay between two others.
LEARNING_RATES = {
    "rnn": (0.001, 0.002, 0.004),
    "lstm": (0.001, 0.002, 0.004, 0.008, 0.016),
    "gru": (0.001, 0.002, 0.004),
}
NO_LIMIT = 1000  # epochs that no run with the protocol's patience reaches
# Against overfitting: what others do to larger networks, and the dropouts to choose from (W. Zaremba et al., arXiv
# 1409.2329, have 0.5 and 0.65 for larger ones).
CURE = replace(LARGER, embedding=128, weight_decay=0.01, schedule="cosine", clip=1.0, epochs=20, patience=4)
DROPOUTS = {"rnn": (0.1, 0.2, 0.3), "lstm": (0.4, 0.5, 0.6), "gru": (0.3, 0.4, 0.5)}
DROPOUT_SEED = 12  # which has no part in what is compared
# The same against the number that everybody quotes, on the first nine tenths of the text. The state goes on from window to
# window, but now and then a window begins from a zero state, as those do by which it is judged; and each epoch cuts its
# windows elsewhere, so that no window is learnt by heart.
RECIPE = replace(
    CURE,
    chunk_length=128,
    split="sequential",
    carry=True,
    shift=True,
    forget=0.06,
    cut=CUT,
    dropout=0.4,
    epochs=16,
    patience=16,
)
TRIED: dict[str, tuple[dict, ...]] = {  # by short runs, each on all of RECIPE but for what is named
    "lstm": ({}, {"forget": 0.15}),
    "gru": ({"dropout": 0.3},),
    "rnn": ({"dropout": 0.1},),
}
# Runs of each cell on the last tenth, as many as were set before the first of them ended.
LAST_TENTH_SEEDS = {"lstm": 4, "gru": 3, "rnn": 3}

# ---------------------------------------------------------------------------------------------------------------------
# which runs a study is made of


def precision(corpus: Corpus) -> list[Config]:
    """Both cells of the report in float32 and in bfloat16."""
    return _both_precisions(Config())


def precision_larger(corpus: Corpus) -> list[Config]:
    """The same for the larger configuration."""
    return _both_precisions(LARGER)


def _both_precisions(base: Config) -> list[Config]:
    every = product(STUDIED_CELLS[:2], core.PRECISIONS, range(5))
    return [replace(base, cell=cell, precision=precision, seed=seed) for cell, precision, seed in every]


def cells(corpus: Corpus) -> list[Config]:
    """The three cells at one hidden size."""
    return [Config(cell=cell, seed=seed) for cell, seed in product(STUDIED_CELLS, range(10))]


def parameters(corpus: Corpus) -> list[Config]:
    """The three cells with as many parameters as the RNN has at the protocol's hidden size, until patience ends each run:
    at the protocol's 50 epochs the LSTM is still learning."""
    n = core.count_parameters(len(corpus.vocab), Config(cell="rnn"))
    configs = []
    for cell in STUDIED_CELLS:
        size = hidden_size(cell, n, len(corpus.vocab))
        configs += [Config(cell=cell, hidden_size=size, seed=seed, epochs=NO_LIMIT) for seed in range(10)]
    return configs


def hidden_size(cell: str, n_parameters: int, vocabulary_size: int) -> int:
    """The hidden size with which a cell comes nearest to a number of parameters."""

    def off(size: int) -> int:
        return abs(core.count_parameters(vocabulary_size, Config(cell=cell, hidden_size=size)) - n_parameters)

    return min(range(1, Config.hidden_size + 1), key=off)


def learning_rates(corpus: Corpus) -> list[Config]:
    """The three cells at several learning rates."""
    configs = []
    for cell in STUDIED_CELLS:
        for rate, seed in product(LEARNING_RATES[cell], range(3)):
            configs.append(Config(cell=cell, learning_rate=rate, seed=seed))
    return configs


def tuned(corpus: Corpus) -> list[Config]:
    """The three cells, each at the rate that learning_rates found best, with seeds that had no say in that; none where
    that study was not made."""
    swept = read_study("learning_rates", corpus).runs
    taken = {r["seed"] for r in swept}
    seeds = [seed for seed in range(10 + len(taken)) if seed not in taken]
    configs = []
    for cell, rate in best_settings(swept, "learning_rate").items():
        configs += [Config(cell=cell, learning_rate=rate, seed=seed) for seed in seeds]
    return configs


def split(corpus: Corpus) -> list[Config]:
    """Every one of three splits with every one of three seeds for the weights and the order of the chunks."""
    configs = []
    for cell, seed, split_seed in product(STUDIED_CELLS[:2], range(3), range(3)):
        # Where the two are the same number, it is the run of that seed, which is there already.
        configs.append(Config(cell=cell, seed=seed, split_seed=None if split_seed == seed else split_seed))
    return configs


def sequential(corpus: Corpus) -> list[Config]:
    """Both cells of the report with the end of the text for validation."""
    every = product(STUDIED_CELLS[:2], range(5))
    return [Config(cell=cell, seed=seed, split="sequential") for cell, seed in every]


def dropouts(corpus: Corpus) -> list[Config]:
    """The three larger cells with several dropouts each, to choose one of them for each."""
    return [
        replace(CURE, cell=cell, dropout=share, seed=DROPOUT_SEED) for cell, each in DROPOUTS.items() for share in each
    ]


def arms(corpus: Corpus) -> list[Config]:
    """What of the cure it is that cures: nothing of it, dropout alone, the rest of it without dropout, all of it; for each
    cell the dropout that was best on another seed. None where those runs were not made."""
    chosen = best_settings(read_study("dropouts", corpus).runs, "dropout")
    configs = []
    for seed, cell in product(range(5), chosen):
        for arm, share in product((LARGER, CURE), (0.0, chosen[cell])):
            configs.append(replace(arm, cell=cell, dropout=share, seed=seed))
    return configs


def more_text(corpus: Corpus) -> list[Config]:
    """The larger LSTM on the study's text, and on twice and four times as many characters of the text that it is the
    beginning of; what is added is for training alone."""
    n = CORPORA[Study.corpus]["characters"]
    base = replace(LARGER, cell="lstm", precision="bfloat16", validation_characters=n)
    return [replace(base, characters=times * n, seed=seed) for times, seed in product((1, 2, 4), range(3))]


def short_runs(corpus: Corpus) -> list[Config]:
    """Short runs on the first nine tenths alone, whose last tenth is validation text: to choose what TRIED names."""
    base = replace(RECIPE, cut=TUNING_CUT, characters=CUT)
    configs = []
    for cell, each in TRIED.items():
        configs += [replace(base, cell=cell, **options) for options in each]
    return configs


def last_tenth(corpus: Corpus) -> list[Config]:
    """Some seeds of each cell with what its short runs found best, on all of the first nine tenths; none where those were
    not made."""
    tried = read_study("short_runs", corpus).runs
    configs = []
    for cell, seeds in LAST_TENTH_SEEDS.items():
        chosen = best_short_run(of_cell(tried, cell))
        if chosen:
            options = {name: chosen[name] for each in TRIED[cell] for name in each}
            configs += [replace(RECIPE, cell=cell, seed=seed, **options) for seed in range(seeds)]
    return configs


def _with_rest_and_counting(runs: Records, corpus: Corpus) -> list[Record]:
    """All with their loss at rest; those with all of the cure with counting beside them."""
    measured = with_training_at_rest(runs, corpus)
    cured = iter(with_counting(by_arm(measured)["all"], corpus))
    return [next(cured) if arm_of(r) == "all" else r for r in measured]


def _with_losses_on_the_last_tenth(runs: Records, corpus: Corpus) -> list[Record]:
    return with_benchmark_losses(runs, corpus, best_dynamic_rate(read_study("short_runs", corpus).runs))


STUDIES_OF_CELLS = (precision, precision_larger, cells, parameters, learning_rates, tuned, split, sequential)
STUDIES_OF_OVERFITTING = (dropouts, arms)
STUDIES_OF_WHOLE_TEXT = (more_text, short_runs, last_tenth)
CONFIGURATIONS = {f.__name__: f for f in (*STUDIES_OF_CELLS, *STUDIES_OF_OVERFITTING, *STUDIES_OF_WHOLE_TEXT)}
WHOLE_TEXT = "tiny-shakespeare"  # which the source study's text is the beginning of
OF_WHOLE_TEXT = [f.__name__ for f in STUDIES_OF_WHOLE_TEXT]
GOES_ON_FROM = {
    "tuned": "learning_rates",
    "arms": "dropouts",
    "last_tenth": "short_runs",
}
TIMED = ("cells", "parameters", "tuned")  # whose cells are compared in seconds too
# What is measured on a study's trained models, since their weights are not kept.
STUDY_MEASURES: dict[str, Callable[[Records, Corpus], list[Record]]] = {
    "cells": with_gradient_curves,
    "sequential": with_measured_losses,
    "arms": _with_rest_and_counting,
    "short_runs": with_short_losses,
    "last_tenth": _with_losses_on_the_last_tenth,
}


def check_names(names: Sequence[str]) -> list[str]:
    """The names of studies, all of them for "all"; raises CharlmError for an unknown one."""
    for name in names:
        if name not in [*CONFIGURATIONS, "all"]:
            raise CharlmError(f"no study {name!r}: choose all, or one or more of {', '.join(CONFIGURATIONS)}")
    return list(CONFIGURATIONS) if "all" in names else list(dict.fromkeys(names))


# ---------------------------------------------------------------------------------------------------------------------
# making and reading one


@dataclass(frozen=True)
class Made:
    """What a study found. epoch_seconds: of one epoch of each "<cell>-<hidden size>", timed alone, one thread."""

    study: str
    corpus_sha256: str
    runs: list[Record] = field(default_factory=list)
    epoch_seconds: dict[str, float] = field(default_factory=dict)


def make_study(name: str, corpus: Corpus, say: Callable[[str], None] = print, folder: Path = STUDIES) -> Made:
    """Train what a study lacks, and write studies/<name>.json where the corpus is that of the report. A study of the whole
    of its text is made for that report alone."""
    if name in OF_WHOLE_TEXT:
        if not is_of_study(corpus):
            say(f"{name}: is about {WHOLE_TEXT} alone, so there is nothing to make for {corpus.name}")
            return Made(name, corpus.sha256)
        corpus = load_corpus(WHOLE_TEXT)
    configs = CONFIGURATIONS[name](corpus)
    if not configs:
        raise CharlmError(f"the study {name} goes on from another: make report STUDIES='{GOES_ON_FROM[name]} {name}'")
    runs = train_sweep(configs, corpus, say=say)
    if name in STUDY_MEASURES:
        runs = [plain(r) for r in STUDY_MEASURES[name](runs, corpus)]
    seconds = {}
    if name in TIMED:
        kinds = {f"{c.cell}-{c.hidden_size}": c for c in configs}
        seconds = {kind: epoch_seconds(config, corpus) for kind, config in kinds.items()}
    made = Made(name, corpus.sha256, runs, seconds)
    if corpus.sha256 == CORPORA[corpus_of(name)]["sha256"]:
        write_json(folder / f"{name}.json", asdict(made))
        say(f"studies/{name}.json: {counted(len(runs), 'run')}")
    return made


def is_of_study(corpus: Corpus) -> bool:
    """Whether it is the source study's text."""
    return corpus.sha256 == CORPORA[Study.corpus]["sha256"]


def corpus_of(name: str) -> str:
    """The name of the corpus of which this study is kept."""
    return WHOLE_TEXT if name in OF_WHOLE_TEXT else Study.corpus


def epoch_seconds(config: Config, corpus: Corpus) -> float:
    """Seconds of one epoch of training and validation in this process: the faster of two."""
    config = resolved_config(replace(config, seed=0))
    seconds = []
    state = core.initial_state(len(corpus.vocab), config)
    for _ in range(2):
        start = time.perf_counter()
        core.train_epoch(state, corpus, config)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def read_study(name: str, corpus: Corpus, folder: Path = STUDIES) -> Made:
    """A study on this corpus: from studies/, else from runs/ where all its runs are trained, else one without runs."""
    path = folder / f"{name}.json"
    if os.path.lexists(path):
        kept = read_records(path)
        if kept["corpus_sha256"] == corpus.sha256:
            return Made(name, corpus.sha256, kept["runs"], kept["epoch_seconds"])
    runs = [Run.of(config, corpus) for config in CONFIGURATIONS[name](corpus)]
    if not runs or not all(r.is_finished() for r in runs):
        return Made(name, corpus.sha256)
    records = [run_record(r.folder) for r in runs]
    if name in STUDY_MEASURES:
        records = STUDY_MEASURES[name](records, corpus)
    return Made(name, corpus.sha256, records)


def made_with(made: Made) -> Provenance:
    """Where a study's runs come from: their number, machine and machine time, and whether the code is still today's."""
    id = f"study-{made.study.replace('_', '-')}"
    records = made.runs
    if not records:
        text = f"*{{name}}* was not made for this corpus: its `make report` with `STUDIES={made.study}` makes it."
        return Provenance(id, text, {"name": made.study})
    current = all(r["code"] == training_code_hash(r["cell"]) for r in records)
    seconds = sum(r["seconds"] for r in records)
    processors = sorted({r["machine"]["cpu"] for r in records})
    precisions = sorted({r["precision"] for r in records})
    values = {
        "name": made.study,
        "runs": counted(len(records), "run"),
        "hours": seconds / 3600,
        "cpu": ", ".join(processors),
        "precision": ", ".join(precisions),
    }
    text = "*{name}*: {runs}, {hours:.1f} core-hours under load on {cpu}, {precision}."
    if not current:
        text += " The training code has changed since."
    return Provenance(id, text, values)
