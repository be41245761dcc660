"""Tables and sentences on the losses of runs: what was trained on what, how it went, which cell is better."""

import math
from itertools import chain, product

import pandas as pd

import charlm_core as core
from charlm import stats
from charlm.corpus import corpus_facts
from charlm.device import resolved_config
from charlm.protocol import CROSSING_LOSSES
from charlm.records import (
    Record,
    Records,
    cells_in,
    check_alike,
    counted,
    crossing_epoch,
    diverged_note,
    finished,
    last_gap,
    of_cell,
    published_numbers,
    rise_above_best,
    size_and_rate,
    span,
    trained_in,
)
from charlm.show import Finding, Table, make_table
from charlm.stats import MARGIN, MIN_SEEDS, VERDICT_RULE, Estimate, Key
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


def _against_published(e: Estimate, value: float | None) -> dict[str, float | None]:
    """Columns with a published number and how many standard deviations it lies from an estimate's mean."""
    if value is None or e.mean is None or not e.sd:
        return {"published": value, "deviations away": None}
    return {"published": value, "deviations away": (value - e.mean) / e.sd}


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


def loss_table(records: Records) -> Table:
    """Mean losses of each cell at the last epoch, beside the published ones where there are such, and at the best."""
    check_alike(records)
    known = published_numbers(records)
    rows = []
    for cell, (part, loss) in product(cells_in(records), {"training": "train_loss", "validation": "val_loss"}.items()):
        ours = of_cell(records, cell)
        last, best = (stats.seed_estimate(ours, f"{loss}_{epoch}") for epoch in ("last", "best"))
        row = {"cell": cell.upper(), "loss": part, "seeds": last.n, "last epoch": last.mean, "sd, last": last.sd}
        if known:
            row |= _against_published(last, known.get(cell, {}).get(f"{loss}_last"))
        rows.append(row | {"best epoch": best.mean, "sd, best": best.sd})
    caption = "Mean loss over seeds in nats per character, and its standard deviation (sd)."
    formats = dict.fromkeys(("last epoch", "sd, last", "best epoch", "sd, best"), "{:.4f}")
    formats["deviations away"] = "{:+.2f}"
    return make_table("losses", rows, caption, diverged_note(records), formats)


def stopping_table(records: Records) -> Table:
    """When training stopped, when it was best, and when validation passed training loss, beside the published."""
    check_alike(records)
    known = published_numbers(records)
    fields: tuple[tuple[str, str, Key], ...] = (
        ("stopped at", "epochs", "epochs"),
        ("best epoch", "best_epoch", "best_epoch"),
        ("crossing epoch", "crossing_epoch", crossing_epoch),
    )
    rows, notes = [], []
    for cell in cells_in(records):
        for name, field, key in fields:
            e = stats.seed_estimate(of_cell(records, cell), key)
            row = {"cell": cell.upper(), "epoch": name, "seeds": e.n, "mean": e.mean, "standard deviation": e.sd}
            if known:
                row |= _against_published(e, known.get(cell, {}).get(field))
            rows.append(row)
        never = len(finished(of_cell(records, cell))) - e.n
        if never:
            notes.append(f"In {counted(never, f'{cell.upper()} run')} validation is never above training loss.")
        if cell in known:
            train, validation = CROSSING_LOSSES[cell]
            notes.append(
                f"At the {cell.upper()}'s crossing the study quotes {train:.4f} (training) / {validation:.4f}."
            )
    caption = "Epochs: mean and standard deviation over seeds. Crossing: the first with validation above training loss."
    formats = {"mean": "{:.1f}", "standard deviation": "{:.1f}", "published": "{:.0f}"}
    note = " ".join(filter(None, [*notes, diverged_note(records)]))
    return make_table("stopping", rows, caption, note, formats)


def _shared_seeds(a: Records, b: Records) -> tuple[list[Record], list[Record]]:
    """The runs of the seeds that finished in both."""
    check_alike(a)
    check_alike(b)
    a, b = finished(a), finished(b)
    shared = {r["seed"] for r in a}.intersection(r["seed"] for r in b)
    a_shared = [r for r in a if r["seed"] in shared]
    b_shared = [r for r in b if r["seed"] in shared]
    return a_shared, b_shared


def overfitting_table(base: Records, large: Records) -> Table | None:
    """The larger and faster configuration against the base for each cell of base, paired over seeds. Judged: base has
    the lower validation loss (last and best epoch); large overfits, which is to say that its gap (validation minus
    training loss at the last epoch) is larger than base's and that its validation loss ends above its own lowest.
    None without runs of both.
    """
    if not base or not large:
        return None
    first, second = size_and_rate(base[0]), size_and_rate(large[0])
    shown = cells_in(base)
    quantities: dict[str, Key] = {
        "validation loss, last epoch": "val_loss_last",
        "validation loss, best epoch": "val_loss_best",
        "gap, last epoch": last_gap,
        f"rise above best, {second} alone": rise_above_best,
    }
    pairs = {cell: _shared_seeds(of_cell(base, cell), of_cell(large, cell)) for cell in shown}
    by_cell: dict[str, list[dict]] = {cell: [] for cell in shown}
    for quantity, key in quantities.items():
        estimates = []
        for of_base, of_large in pairs.values():
            if key is rise_above_best:
                estimates.append(stats.seed_estimate(of_large, key))
            else:
                estimates.append(stats.paired_difference(of_large, of_base, key))
        for cell, e in zip(shown, stats.holm(estimates), strict=True):
            of_base, of_large = pairs[cell]
            row = {"cell": cell.upper(), "quantity": quantity, "seeds": e.n}
            row |= {first: stats.seed_estimate(of_base, key).mean, second: stats.seed_estimate(of_large, key).mean}
            row |= {"estimate": e.mean, "low": e.low, "high": e.high, "verdict": stats.judged_higher(e)}
            by_cell[cell].append(row)
    rows = list(chain.from_iterable(by_cell.values()))
    caption = (
        f"Hidden size / learning rate {second} minus {first}, means over the shared seeds in nats, with the 95% interval. "
        "Each verdict is on the estimate being above zero. Gap: validation minus training loss. The last line of a cell is "
        f"no difference: it is how far {second} ends above its own lowest validation loss."
    )
    formats = {first: "{:.4f}", second: "{:.4f}"}
    return make_table("overfitting", rows, caption, diverged_note([*base, *large]), formats)


def precision_table(records: Records) -> Table | None:
    """bfloat16 against float32 for each cell and configuration, paired over seeds. Equivalent: the 95% interval of the
    difference in the best validation loss lies inside ±MARGIN.
    """
    if not records:
        return None
    kinds: dict[tuple, list[Record]] = {}
    for r in records:
        kinds.setdefault((r["hidden_size"], r["learning_rate"], r["cell"] != "rnn", r["cell"]), []).append(r)
    rows = []
    for _, of_kind in sorted(kinds.items()):
        first = of_kind[0]
        sides = {precision: trained_in(of_kind, precision) for precision in core.PRECISIONS}
        e = stats.paired_difference(sides["bfloat16"], sides["float32"], "val_loss_best")
        row = {"cell": first["cell"].upper(), "hidden size / learning rate": size_and_rate(first), "seeds": e.n}
        for precision, runs in sides.items():
            row[precision] = stats.seed_estimate(runs, "val_loss_best").mean
        same = stats.judged_higher(e) == "no difference that matters"
        rows.append(row | {"estimate": e.mean, "low": e.low, "high": e.high, "equivalent": same})
    caption = (
        "Best validation loss in nats after training in float32 and in bfloat16 (autocast): means over seeds, the paired "
        f"difference and its 95% interval. Equivalent: the interval lies inside ±{MARGIN:g}."
    )
    formats = dict.fromkeys(core.PRECISIONS, "{:.4f}")
    return make_table("precision", rows, caption, diverged_note(records), formats)


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


def verdict_rule() -> Finding:
    """What a verdict is made from; the rule itself is in full_rule()."""
    text = (
        "A difference is judged from its 95% interval over seeds, paired where the cells share their splits. An interval "
        "that holds zero and reaches further than the margin is too close to call."
    )
    heading = "{margin:g} nats are the least that matters, {min_seeds} seeds the fewest that are judged"
    return Finding("verdict-rule", text, {"margin": MARGIN, "min_seeds": MIN_SEEDS}, heading)


def full_rule() -> Finding:
    return Finding("verdict-rule-in-full", VERDICT_RULE, {"margin": MARGIN, "min_seeds": MIN_SEEDS})


RNNS = "the RNN's"
# What the verdict on "the LSTM's loss is lower" says of the two cells, as the end of a sentence.
BETTER = {
    "not judged": "it is not judged",
    "no difference that matters": "neither is better",
    "confirmed": "the LSTM is better",
    "refuted": "the RNN is better",
    "too close to call": "it is too close to call",
}


def rnn_or_lstm(records: Records) -> Finding:
    """Which of the two has the lower validation loss, at the last and at the best epoch."""
    at_last, at_best = (stats.lstm_minus_rnn(records, epoch) for epoch in ("last", "best"))
    values = {"n": at_last.n, "last_mean": at_last.mean, "best_mean": at_best.mean}
    last, best = BETTER[stats.judged_lower(at_last)], BETTER[stats.judged_lower(at_best)]
    text = f"The LSTM's validation loss is {_side_of(at_last, 'last')} and {_side_of(at_best, 'best')}."
    if not at_last.n:
        heading, text = "RNN and LSTM are not compared", "No seed finished in both."
    elif at_last.n < MIN_SEEDS:
        heading = f"{counted(at_last.n, 'seed')} of each cannot tell RNN and LSTM apart"
    elif last == best:
        heading = f"RNN or LSTM: at the last and at the best epoch {last}"
    else:
        heading = f"At the last epoch {last}, at the best {best}"
    return Finding("rnn-or-lstm", text, values, heading)


def _side_of(e: Estimate, epoch: str) -> str:
    """'0.0124 nats higher than the RNN's at the last epoch'."""
    return f"{stats.difference_in_words(e, RNNS).partition(' (')[0]} at the {epoch} epoch"


def difference_at(records: Records, epoch: str) -> Finding:
    """The difference of the two at the "last" or the "best" epoch, with its interval."""
    e = stats.lstm_minus_rnn(records, epoch)
    judged = stats.judged_lower(e)
    lead = {
        "not judged": f"Not judged, for want of {MIN_SEEDS} seeds",
        "no difference that matters": f"No difference that matters, the interval lies inside ±{MARGIN:g}",
        "confirmed": "The LSTM is better",
        "refuted": "The RNN is better",
        "too close to call": "Too close to call",
    }[judged]
    text = f"**{lead}:** at the {epoch} epoch the LSTM's validation loss is {stats.difference_in_words(e, RNNS)}."
    if e.n == 0:
        text = f"RNN and LSTM are not compared at the {epoch} epoch: no seed finished in both."
    if e.n and e.dropped:
        text += f" Seeds that did not finish in both, and are left out: {', '.join(map(str, e.dropped))}."
    values: dict[str, float | str | None] = {"n": e.n, "mean": e.mean, "sd": e.sd}
    values |= {"low": e.low, "high": e.high, "verdict": judged}
    return Finding(f"rnn-or-lstm-{epoch}", text, values)


# What the verdict on "it overfits" answers to the question whether it does.
OVERFITS = {"confirmed": "yes", "refuted": "no", "no difference that matters": "no"}


def does_larger_overfit(base: Records, large: Records) -> Finding | None:
    """Whether the larger and faster configuration overfits, for each cell: a wider gap to training than base's, and a
    validation loss that ends above its own lowest. None where one of them was not trained."""
    table = overfitting_table(base, large)
    if table is None:
        return None
    rows = table.frame.to_dict("records")
    second = size_and_rate(large[0])
    values: dict[str, str] = {"size": second}
    said, best = [], []
    for cell in cells_in(base):
        _, at_best, gap, rise = (r for r in rows if r["cell"] == cell.upper())
        overfits = stats.verdict_of_both(gap["verdict"], rise["verdict"])
        values[f"{cell}_overfits"] = overfits
        said.append(f"{cell.upper()}: {OVERFITS.get(overfits, overfits)}")
        if at_best["estimate"] is not None:
            side = "lower" if at_best["estimate"] < 0 else "higher"
            best.append(f"{abs(at_best['estimate']):.4f} nats {side} ({cell.upper()})")
    text = (
        "To overfit is to have a wider gap to training than {base} has, and to end above one's own lowest validation loss. At "
        f"the best epoch the larger model's loss is {' and '.join(best) or 'not known'}."
    )
    values["base"] = size_and_rate(base[0])
    return Finding("overfitting", text, values, f"Does {{size}} overfit? {'; '.join(said)}")


def precision_check(records: Records) -> Finding | None:
    """For which configurations bfloat16 may stand for float32. None without runs in both."""
    table = precision_table(records)
    if table is None:
        return None
    same: list[str] = []
    other: list[str] = []
    for r in table.frame.to_dict("records"):
        names = same if r["equivalent"] else other
        names.append(f"{r['cell']} {r['hidden size / learning rate']}")
    heading = "bfloat16 gives the same loss as float32 in {few} of {n} configurations"
    text = "Where the processor is faster with numbers of 16 bits than with those of 32, training uses them."
    if other:
        text += " That the loss is the same has not been shown for {other}: there training stays with float32."
    values = {"same": ", ".join(same), "other": ", ".join(other), "few": len(same), "n": len(same) + len(other)}
    return Finding("precision-check", text, values, heading)
