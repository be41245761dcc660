"""Long studies: sweeps that take hours, made once and kept.

`make report` trains the main job and takes the runs of the studies from studies/*.json, which hold every run's record
(configuration, losses of every epoch, seconds, code, machine) and no weights. `make report STUDIES=name` trains a study
again, or for a text of one's own; of such a text the runs are looked up in runs/, and nothing is written to studies/.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import charlm_comparison as comparison
import charlm_core as core
import charlm_gradients
import charlm_meaning
import charlm_runs
from charlm_core import Config
from charlm_corpus import CORPORA, ROOT, CharlmError, Corpus
from charlm_show import Finding, plain
from charlm_study import Record, Study, count

STUDIES = ROOT / "studies"
CELLS = ("rnn", "lstm", "gru")
# The configuration that the source study began with.
LARGER = {"hidden_size": 2 * Config.hidden_size, "learning_rate": 2 * Config.learning_rate}
# Doubled from the protocol's until the lowest mean loss lay between two others.
LEARNING_RATES = {
    "rnn": (0.001, 0.002, 0.004),
    "lstm": (0.001, 0.002, 0.004, 0.008, 0.016),
    "gru": (0.001, 0.002, 0.004),
}


def precision(corpus: Corpus) -> list[Config]:
    """Both cells of the report in float32 and in bfloat16."""
    return _both_precisions()


def precision_larger(corpus: Corpus) -> list[Config]:
    """The same for the larger configuration."""
    return _both_precisions(**LARGER)


def _both_precisions(**larger: float) -> list[Config]:
    kinds = [(cell, p) for cell in CELLS[:2] for p in core.PRECISIONS]
    return [Config(cell=cell, seed=seed, precision=p, **larger) for cell, p in kinds for seed in range(5)]


def cells(corpus: Corpus) -> list[Config]:
    """The three cells at one hidden size."""
    return [Config(cell=cell, seed=seed) for cell in CELLS for seed in range(10)]


def parameters(corpus: Corpus) -> list[Config]:
    """The three cells with as many parameters as the RNN has at the protocol's hidden size."""
    n = core.count_parameters(len(corpus.vocab), Config(cell="rnn"))
    sizes = {cell: hidden_size(cell, n, len(corpus.vocab)) for cell in CELLS}
    return [Config(cell=cell, hidden_size=size, seed=seed) for cell, size in sizes.items() for seed in range(10)]


def hidden_size(cell: str, n_parameters: int, vocabulary_size: int) -> int:
    """The hidden size with which a cell comes nearest to a number of parameters."""

    def off(size: int) -> int:
        return abs(core.count_parameters(vocabulary_size, Config(cell=cell, hidden_size=size)) - n_parameters)

    return min(range(1, Config.hidden_size + 1), key=off)


def learning_rates(corpus: Corpus) -> list[Config]:
    """The three cells at several learning rates."""
    return [Config(cell=c, learning_rate=rate, seed=s) for c in CELLS for rate in LEARNING_RATES[c] for s in range(3)]


def tuned(corpus: Corpus) -> list[Config]:
    """The three cells, each at the rate that learning_rates found best, with seeds that had no say in that; none where
    that study was not made."""
    swept = read("learning_rates", corpus).runs
    seeds = [s for s in range(10 + len({r["seed"] for r in swept})) if s not in {r["seed"] for r in swept}]
    rates = comparison.best_rates(swept)
    return [Config(cell=cell, learning_rate=rate, seed=seed) for cell, rate in rates.items() for seed in seeds]


def split(corpus: Corpus) -> list[Config]:
    """Every one of three splits with every one of three seeds for the weights and the order of the chunks."""
    crossed = [(a, b) for a in range(3) for b in range(3)]
    # Where the two are the same number, it is the run of that seed, which is there already.
    return [Config(cell=c, seed=a, split_seed=None if a == b else b) for c in CELLS[:2] for a, b in crossed]


def sequential(corpus: Corpus) -> list[Config]:
    """Both cells of the report with the end of the text for validation."""
    return [Config(cell=cell, seed=seed, split="sequential") for cell in CELLS[:2] for seed in range(5)]


CONFIGURATIONS = {
    f.__name__: f for f in (precision, precision_larger, cells, parameters, learning_rates, tuned, split, sequential)
}
TIMED = ("cells", "parameters", "tuned")  # whose cells are compared in seconds too
# What is measured on a study's trained models, since their weights are not kept.
MEASURES = {"cells": charlm_gradients.measured, "sequential": charlm_meaning.measured}


def check_names(names: Sequence[str]) -> list[str]:
    """The names of studies, all of them for "all"; raises CharlmError for an unknown one."""
    for name in names:
        if name not in [*CONFIGURATIONS, "all"]:
            raise CharlmError(f"no study {name!r}: choose all, or one or more of {', '.join(CONFIGURATIONS)}")
    return list(CONFIGURATIONS) if "all" in names else list(dict.fromkeys(names))


@dataclass(frozen=True)
class Made:
    """What a study found. epoch_seconds: of one epoch of each "<cell>-<hidden size>", timed alone, one thread."""

    study: str
    corpus_sha256: str
    runs: list[Record] = field(default_factory=list)
    epoch_seconds: dict[str, float] = field(default_factory=dict)


def make(name: str, corpus: Corpus, say: Callable[[str], None] = print, folder: Path = STUDIES) -> Made:
    """Train what a study lacks, and write studies/<name>.json where the corpus is that of the report."""
    configs = CONFIGURATIONS[name](corpus)
    if not configs:
        raise CharlmError(f"the study {name} goes on from another: make report STUDIES='learning_rates {name}'")
    runs = charlm_runs.sweep(configs, corpus, say=say)
    if name in MEASURES:
        runs = [plain(r) for r in MEASURES[name](runs, corpus)]
    kinds = {f"{c.cell}-{c.hidden_size}": c for c in configs} if name in TIMED else {}
    seconds = {kind: epoch_seconds(config, corpus) for kind, config in kinds.items()}
    made = Made(name, corpus.sha256, runs, seconds)
    if corpus.sha256 == CORPORA[Study.corpus]["sha256"]:
        folder.mkdir(exist_ok=True)
        text = json.dumps(asdict(made), indent=1, allow_nan=False)
        charlm_runs.write(folder / f"{name}.json", f"{text}\n".encode())
        say(f"studies/{name}.json: {count(len(runs), 'run')}")
    return made


def epoch_seconds(config: Config, corpus: Corpus) -> float:
    """Seconds of one epoch of training and validation in this process: the faster of two."""
    config, seconds = replace(config, seed=0).resolve(), []
    state = core.initial_state(len(corpus.vocab), config)
    for _ in range(2):
        start = time.perf_counter()
        core.train_epoch(state, corpus, config)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def read(name: str, corpus: Corpus, folder: Path = STUDIES) -> Made:
    """A study on this corpus: from studies/, else from runs/ where all its runs are trained, else one without runs."""
    path = folder / f"{name}.json"
    if path.is_file():
        try:
            made = Made(**json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise CharlmError(f"{path} is damaged: take it from the repository again, or remove it") from error
        if made.corpus_sha256 == corpus.sha256:
            return made
    runs = [charlm_runs.Run.of(config, corpus) for config in CONFIGURATIONS[name](corpus)]
    if not all(r.is_finished() for r in runs):
        return Made(name, corpus.sha256)
    found = [charlm_runs.record(r.folder) for r in runs]
    return Made(name, corpus.sha256, MEASURES[name](found, corpus) if name in MEASURES else found)


def made_with(made: Made) -> Finding:
    """Where a study's runs come from: their number, machine and machine time, and whether the code is still today's."""
    id, records = f"study-{made.study.replace('_', '-')}", made.runs
    if not records:
        text = (
            "The study *{name}* has not been made for this corpus: `make report STUDIES=" + made.study + "` makes it."
        )
        return Finding(id, text, {"name": made.study})
    current = all(r["code"] == charlm_runs.training_code_hash(r["cell"]) for r in records)
    values = {
        "name": made.study,
        "runs": len(records),
        "hours": sum(r["seconds"] for r in records) / 3600,
        "cpu": ", ".join(sorted({r["machine"]["cpu"] for r in records})),
        "precision": ", ".join(sorted({r["precision"] for r in records})),
        "code": "with today's training code" if current else "with training code that has changed since",
    }
    text = (
        "Study *{name}*: {runs} runs, {hours:.1f} hours of one core of {cpu} with other work beside, in {precision}, made once "
        "{code} and kept in studies/."
    )
    return Finding(id, text, values)
