"""Long studies: sweeps that take hours, made once and kept.

`make report` trains the main job and takes the runs of the studies from studies/*.json, which hold every run's record
(configuration, losses of every epoch, seconds, code, machine) and no weights. `make report STUDIES=name` trains a study
again, or for a text of one's own; of such a text the runs are looked up in runs/, and nothing is written to studies/.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import charlm_core as core
import charlm_runs
from charlm_core import Config
from charlm_corpus import CORPORA, ROOT, CharlmError, Corpus
from charlm_show import Finding
from charlm_study import LARGER, Record, Records, Study, count

STUDIES = ROOT / "studies"
CELLS = ("rnn", "lstm", "gru")
LEARNING_RATES = (0.0005, 0.001, 0.002, 0.004)


def precision(corpus: Corpus) -> list[Config]:
    """Both cells of the report in both of its configurations, in float32 and in bfloat16."""
    sizes, seeds = ({}, LARGER), range(5)
    return [
        Config(cell=cell, seed=seed, precision=p, **size)
        for size in sizes
        for cell in CELLS[:2]
        for p in core.PRECISIONS
        for seed in seeds
    ]


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
    return [Config(cell=c, learning_rate=rate, seed=s) for c in CELLS for rate in LEARNING_RATES for s in range(3)]


def split(corpus: Corpus) -> list[Config]:
    """Every one of four splits with every one of four seeds for the weights and the order of the chunks."""
    crossed = [(a, b) for a in range(4) for b in range(4)]
    # Where the two are the same number, it is the run of that seed, which is there already.
    return [Config(cell=c, seed=a, split_seed=None if a == b else b) for c in CELLS[:2] for a, b in crossed]


def sequential(corpus: Corpus) -> list[Config]:
    """Both cells of the report with the end of the text for validation."""
    return [Config(cell=cell, seed=seed, split="sequential") for cell in CELLS[:2] for seed in range(5)]


CONFIGURATIONS = {f.__name__: f for f in (precision, cells, parameters, learning_rates, split, sequential)}


def check_names(names: Sequence[str]) -> list[str]:
    """The names of studies, all of them for "all"; raises CharlmError for an unknown one."""
    for name in names:
        if name not in [*CONFIGURATIONS, "all"]:
            raise CharlmError(f"no study {name!r}: choose all, or one or more of {', '.join(CONFIGURATIONS)}")
    return list(CONFIGURATIONS) if "all" in names else list(dict.fromkeys(names))


def make(name: str, corpus: Corpus, say: Callable[[str], None] = print, folder: Path = STUDIES) -> Records:
    """Train what a study lacks, and write studies/<name>.json where the corpus is that of the report."""
    records = charlm_runs.sweep(CONFIGURATIONS[name](corpus), corpus, say=say)
    if corpus.sha256 == CORPORA[Study.corpus]["sha256"]:
        about = {"study": name, "corpus": corpus.name, "corpus_sha256": corpus.sha256, "runs": records}
        folder.mkdir(exist_ok=True)
        charlm_runs.write(folder / f"{name}.json", (json.dumps(about, indent=1, allow_nan=False) + "\n").encode())
        say(f"studies/{name}.json: {count(len(records), 'run')}")
    return records


def read(name: str, corpus: Corpus, folder: Path = STUDIES) -> list[Record]:
    """The records of a study on this corpus: from studies/, else from runs/ where all of them are trained, else none."""
    path = folder / f"{name}.json"
    if path.is_file():
        try:
            about = json.loads(path.read_text("utf-8"))
            if about["corpus_sha256"] == corpus.sha256:
                return about["runs"]
        except (ValueError, KeyError, TypeError) as error:
            raise CharlmError(f"{path} is damaged: take it from the repository again, or remove it") from error
    runs = [charlm_runs.Run.of(config, corpus) for config in CONFIGURATIONS[name](corpus)]
    return [charlm_runs.record(r.folder) for r in runs] if all(r.is_finished() for r in runs) else []


def made_with(name: str, records: Records) -> Finding:
    """Where a study's runs come from: their number, machine and machine time, and whether the code is still today's."""
    if not records:
        text = "The study `{name}` has not been made for this corpus: `make report STUDIES={name}` makes it."
        return Finding(f"study-{name.replace('_', '-')}", text.replace("`{name}`", "*{name}*"), {"name": name})
    current = all(r["code"] == charlm_runs.training_code_hash(r["cell"]) for r in records)
    values = {
        "name": name,
        "runs": len(records),
        "hours": sum(r["seconds"] for r in records) / 3600,
        "cpu": ", ".join(sorted({r["machine"]["cpu"] for r in records})),
        "precision": ", ".join(sorted({r["precision"] for r in records})),
        "code": "with today's training code" if current else "with training code that has changed since",
    }
    text = (
        "Study *{name}*: {runs} runs, {hours:.1f} hours of one core of {cpu}, in {precision}, made once {code} and kept in "
        "studies/."
    )
    return Finding(f"study-{name.replace('_', '-')}", text, values)
