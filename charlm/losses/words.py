"""Tables and sentences on the losses of runs: what was trained on what, how it went, which cell is better."""

import math

import pandas as pd

import charlm_core as core
from charlm.corpus import corpus_facts
from charlm.device import resolved_config
from charlm.records import (
    Records,
    cells_in,
    counted,
    crossing_epoch,
    diverged_note,
    finished,
    rise_above_best,
    size_and_rate,
    span,
)
from charlm.show import Finding, Table
from charlm.tables import make_table
from charlm_core import Config, Corpus

# ---------------------------------------------------------------------------------------------------------------------
# what is trained on what


def training_title(cell: str) -> Finding:
    return Finding(f"title-{cell}", "# Training the {cell}", {"cell": cell.upper()})


def setup(corpus: Corpus, config: Config) -> Finding:
    """What every run reads, and what is kept from it."""
    values = {
        "characters": len(corpus.ids),
        "length": config.chunk_length,
        "share": config.validation_share,
        "chunks": core.count_chunks(len(corpus.ids), config.chunk_length),
    }
    text = (
        "A model reads one of {chunks:,} chunks character by character from a zero state, and predicts at each the one that "
        "follows. Which chunks are kept for validation depends on the seed alone, so both cells of a seed train and are "
        "judged on the same ones."
    )
    heading = "{characters:,} characters in chunks of {length}, {share:.0%} of them for validation"
    return Finding(f"setup-{config.cell}", text, values, heading)


def corpus_table(corpus: Corpus, config: Config) -> Table:
    known = corpus_facts(corpus)
    n = core.count_chunks(len(corpus.ids), config.chunk_length)
    train, validation = core.split_chunks(n, config)
    rows = {
        "characters": f"{known['characters']:,}",
        "distinct characters": f"{known['distinct']:,}",
        "lines": f"{known['lines']:,}",
        f"chunks of {config.chunk_length}": f"{n:,}",
        "of these for training": f"{len(train):,}, in {math.ceil(len(train) / config.batch_size):,} batches of {config.batch_size}",
        "of these for validation": f"{len(validation):,}",
        "source": known["source"] or "a text of the user's",
        "licence": known["licence"] or "not known",
        "sha256": known["sha256"][:16] + "…",
    }
    frame = pd.DataFrame({"corpus": rows.keys(), known["title"]: rows.values()})
    return Table(f"corpus-{config.cell}", frame, "What the models are trained on.")


def model_table(corpus: Corpus, config: Config) -> Table:
    resolved = resolved_config(config)
    rows = {
        "cell": config.cell.upper(),
        "layers": config.layers,
        "hidden size": config.hidden_size,
        "parameters": f"{core.count_parameters(len(corpus.vocab), config):,}",
        "optimizer": f"Adam, learning rate {config.learning_rate:g}",
        "epochs": f"at most {config.epochs}, patience {config.patience}",
        "arithmetic": f"{resolved.precision}, {resolved.device}, {counted(config.threads, 'thread')}",
    }
    frame = pd.DataFrame({"model": rows.keys(), "value": [str(v) for v in rows.values()]})
    return Table(f"model-{config.cell}", frame, f"The {config.cell.upper()} and how it is trained.")


# ---------------------------------------------------------------------------------------------------------------------
# tables


def run_table(records: Records) -> Table:
    """A row a run: where it stopped, its best and its crossing epoch, its losses. The caption has what all share."""
    order = cells_in(records)
    shown = sorted(records, key=lambda r: (order.index(r["cell"]), r["hidden_size"], r["learning_rate"], r["seed"]))
    cells = [r["cell"].upper() for r in shown]
    sizes = [size_and_rate(r) for r in shown]
    columns = {}  # what the runs differ in
    shared = []  # and what they do not, which the caption says
    if len(set(cells)) > 1:
        columns["cell"] = cells
    else:
        shared += cells[:1]
    if len(set(sizes)) > 1:
        columns["hidden size / learning rate"] = sizes
    else:
        shared += [f"hidden size / learning rate {size}" for size in sizes[:1]]
    rows = []
    for i, r in enumerate(shown):
        done = r["status"] == "finished"
        row = {name: values[i] for name, values in columns.items()}
        row |= {"seed": r["seed"], "stopped at": r["epochs"], "best epoch": r["best_epoch"]}
        row |= {
            "crossing epoch": crossing_epoch(r),
            "training, last": r["train_loss_last"] if done else None,
            "validation, last": r["val_loss_last"] if done else None,
            "training, best": r["train_loss_best"],
            "validation, best": r["val_loss_best"],
            "run": r["run_id"].rpartition("-")[2],
        }
        rows.append(row)
    runs = counted(len(rows), "run")
    which = f"{runs}: {', '.join(shared)}" if shared else runs
    caption = f"{which}."
    id = f"runs-{order[0]}" if len(order) == 1 else "runs"
    return make_table(id, rows, caption, diverged_note(records))


# ---------------------------------------------------------------------------------------------------------------------
# sentences


def course(records: Records) -> Finding:
    """When the runs of one cell were best and stopped, and what came in between."""
    (cell,) = cells_in(records)
    runs = finished(records)
    id, name = f"course-{cell}", cell.upper()
    if not runs:
        return Finding(id, diverged_note(records), {}, f"No run of the {name} finished")
    best, last = ([r[key] for r in runs] for key in ("best_epoch", "epochs"))
    values = {"cell": name, "best": span(best), "last": span(last)}
    if best == last:
        text = "Its limit of epochs ended the training while validation loss was at its lowest."
    else:
        values["rise"] = span([rise_above_best(r) for r in runs], "{:.3f}")
        text = "From its best epoch to the last, validation loss rises by {rise} nats"
        falls = [r["train_loss_best"] - r["train_loss_last"] for r in runs]
        if min(falls) > 0:
            values["fall"] = span(falls, "{:.3f}")
            text += ", while training loss goes on falling, by {fall}"
        text += "."
    crossings = [epoch for epoch in map(crossing_epoch, runs) if epoch]
    if crossings:
        values["crossing"] = span(crossings)
        of_how_many = "" if len(crossings) == len(runs) else f", in {len(crossings)} of {len(runs)} runs"
        text += f" Validation first lies above training loss at epoch {{crossing}}{of_how_many}."
    else:
        text += " It is never above training loss."
    return Finding(id, text, values, "The {cell} is best at epoch {best} and stops at {last}")
