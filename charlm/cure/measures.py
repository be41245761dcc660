"""Larger networks with and without a cure of their overfitting. Functions of the records of studies; losses in nats per
character."""

from pathlib import Path

import torch
from torch import Tensor

import charlm_core as core
from charlm.corpus import split_corpus
from charlm.device import check_device
from charlm.records import Record, Records
from charlm.runs.folder import RUNS, kept_measurement, load_weights
from charlm.sampling import on_cpu
from charlm_core import Corpus

# ---------------------------------------------------------------------------------------------------------------------
# arms


# Best validation losses with all of an earlier cure, means of seeds 0 to 4: one-hot, dropout 0.4, in bfloat16.
EARLIER = {"rnn": 1.6063, "lstm": 1.5078, "gru": 1.5049}
ARMS = ("nothing", "dropout", "rest", "all")


def arm_of(record: Record) -> str:
    """Which of ARMS a run is: nothing of the cure, dropout alone, the rest of it without dropout, all of it."""
    if record["schedule"] == "cosine":
        return "all" if record["dropout"] else "rest"
    return "dropout" if record["dropout"] else "nothing"


def by_arm(records: Records) -> dict[str, list[Record]]:
    """The runs of each arm, {arm: records}."""
    return {arm: [r for r in records if arm_of(r) == arm] for arm in ARMS}


# ---------------------------------------------------------------------------------------------------------------------
# measuring


def with_training_at_rest(records: Records, corpus: Corpus, runs: Path = RUNS) -> list[Record]:
    """The records with train_at_rest, the loss of the best epoch's weights on the training chunks, without dropout: what
    is recorded while training has it on. None for a run that diverged."""
    measured = []
    for r in records:
        loss = _kept_at_rest(runs / r["run_id"], corpus) if r["status"] == "finished" else None
        measured.append(r | {"train_at_rest": loss})
    return measured


def _kept_at_rest(folder: Path, corpus: Corpus) -> float:
    """The same of one run, kept in its folder."""

    def measure() -> dict[str, Tensor]:
        return {"training": torch.tensor(_training_at_rest(folder, corpus), dtype=torch.float64)}

    return kept_measurement(folder, "rest", {}, measure)["training"].item()


def _training_at_rest(folder: Path, corpus: Corpus) -> float:
    weights, config, _ = load_weights(folder, "best")
    model, config = on_cpu(weights, config)
    check_device(config)  # the run may have been trained on another machine
    train, _ = split_corpus(corpus, config)
    with core.arithmetic(config):
        return core.evaluate(model, corpus.ids, train, config)
