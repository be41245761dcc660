"""Larger networks with and without a cure of their overfitting. Functions of the records of studies; losses in nats per
character."""

from dataclasses import replace
from pathlib import Path

import charlm_core as core
from charlm import stats
from charlm.device import check_device
from charlm.records import Record, Records, cells_in, finished, of_cell
from charlm.runs.folder import RUNS, load_weights
from charlm_core import CharModel, Corpus

BEST_LOSS = "val_loss_best"  # what the cure is judged by

# ---------------------------------------------------------------------------------------------------------------------
# choosing


def dropouts_in(records: Records) -> list[float]:
    return sorted({r["dropout"] for r in records})


def with_dropout(records: Records, dropout: float) -> list[Record]:
    return [r for r in records if r["dropout"] == dropout]


def best_dropout(records: Records) -> float | None:
    """The dropout with the lowest mean best validation loss, the smallest of equals; one with which a run diverged is
    out. None without records."""
    means = {}
    for dropout in dropouts_in(records):
        tried = with_dropout(records, dropout)
        if finished(tried) == tried:
            means[dropout] = stats.seed_estimate(tried, BEST_LOSS).known_mean
    return min(means, key=means.__getitem__) if means else None


def best_dropouts(records: Records) -> dict[str, float]:
    """{cell: dropout with the lowest mean best validation loss}; a cell of which every dropout diverged is out."""
    chosen = {cell: best_dropout(of_cell(records, cell)) for cell in cells_in(records)}
    return {cell: dropout for cell, dropout in chosen.items() if dropout is not None}


def treated(records: Records) -> list[Record]:
    """The runs with dropout."""
    return [r for r in records if r.get("dropout")]


def untreated(records: Records) -> list[Record]:
    """Those without; records of the time before there was dropout say nothing of it."""
    return [r for r in records if not r.get("dropout")]


# ---------------------------------------------------------------------------------------------------------------------
# measuring


def with_training_at_rest(records: Records, corpus: Corpus, runs: Path = RUNS) -> list[Record]:
    """The records with train_at_rest, the loss of the best epoch's weights on the training chunks, without dropout: what
    is recorded while training has it on. None for a run that diverged."""
    measured = []
    for r in records:
        loss = _training_at_rest(runs / r["run_id"], corpus) if r["status"] == "finished" else None
        measured.append(r | {"train_at_rest": loss})
    return measured


def _training_at_rest(folder: Path, corpus: Corpus) -> float:
    weights, config, vocab = load_weights(folder, "best")
    config = replace(config, device="cpu")
    check_device(config)  # the run may have been trained on another machine
    train, _ = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    model = CharModel(len(vocab), config)
    model.load_state_dict(weights)
    with core.arithmetic(config):
        return core.evaluate(model, corpus.ids, train, config)


# ---------------------------------------------------------------------------------------------------------------------
# functions of a record, for stats.seed_estimate


def above_counting(r: Record) -> float | None:
    """How far the best validation loss lies above that of the n-gram model on the same split."""
    return None if r.get("counting") is None else r[BEST_LOSS] - r["counting"]


def rise_to_last(r: Record) -> float:
    """Validation loss at the last epoch minus that at the best."""
    return r["val_loss_last"] - r[BEST_LOSS]


def gap_at_best(r: Record) -> float:
    """Validation minus recorded training loss at the best epoch."""
    return r[BEST_LOSS] - r["train_loss_best"]


def gap_at_rest(r: Record) -> float | None:
    """The same with the weights at rest and without dropout."""
    return None if r.get("train_at_rest") is None else r[BEST_LOSS] - r["train_at_rest"]


def text_share(r: Record) -> int:
    """How many times the text of which the validation chunks are a part was read."""
    return round(r["characters"] / r["validation_characters"])
