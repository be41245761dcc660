"""Tables and sentences on the losses of runs: what was trained on what, how it went, which cell is better."""

import math
from itertools import chain, product

import pandas as pd

import charlm_core as core
from charlm import stats
from charlm.corpus import corpus_facts
from charlm.device import resolved_config
from charlm.protocol import CROSSING_LOSSES, PUBLISHED
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
    trained_in,
)
from charlm.show import Finding, Table, make_table
from charlm.stats import MARGIN, MIN_SEEDS, VERDICT_RULE, Estimate, Key
from charlm_core import Config, Corpus

# ---------------------------------------------------------------------------------------------------------------------
# what is trained on what


def training_title(cell: str) -> Finding:
    return Finding(f"title-{cell}", "# Training the {cell}", {"cell": cell.upper()})


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
        "epochs": f"at most {config.epochs}; stop after {config.patience} without a better validation loss",
        "arithmetic": f"{resolved.precision} on {resolved.device}, {counted(config.threads, 'thread')} a run",
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
    caption = (
        f"{which}. Losses in nats per character, at the last epoch and at the best (lowest validation loss). Crossing: "
        "the first epoch with validation above training loss."
    )
    id = f"runs-{order[0]}" if len(order) == 1 else "runs"
    return make_table(id, rows, caption, diverged_note(records))


def loss_table(records: Records) -> Table:
    """Mean loss of each cell at the last and the best epoch, beside the published value where there is one."""
    check_alike(records)
    known = published_numbers(records)
    losses = {"training": "train_loss", "validation": "val_loss"}
    rows = []
    away = []
    for cell, epoch, (part, loss) in product(cells_in(records), ("last", "best"), losses.items()):
        key = f"{loss}_{epoch}"
        e = stats.seed_estimate(of_cell(records, cell), key)
        row = {"cell": cell.upper(), "epoch": epoch, "loss": part, "seeds": e.n}
        row |= {"mean": e.mean, "standard deviation": e.sd}
        if known:
            beside = _against_published(e, known.get(cell, {}).get(key))
            row |= beside
            if loss == "val_loss" and beside["deviations away"] is not None:
                away.append(f"{abs(beside['deviations away']):.1f} ({cell.upper()})")
        rows.append(row)
    caption = "Losses in nats per character: mean and standard deviation over seeds."
    if away:
        caption += f" The published validation loss lies {' and '.join(away)} standard deviations from our mean."
    return make_table("losses", rows, caption, diverged_note(records))


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
    caption = (
        "Epochs: mean and standard deviation over seeds. The best epoch has the lowest validation loss; the "
        "crossing epoch is the first with validation above training loss."
    )
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
        f"Hidden size / learning rate {second} against {first}: means over the shared seeds, the difference "
        f"({second} minus {first}) in nats per character and its 95% interval. Each verdict is on the estimate "
        "being above zero. Gap: validation minus training loss. The last line of a cell is no difference: it is "
        f"how far {second} ends above its own lowest validation loss."
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
        "Best validation loss in nats per character after training in float32 and in bfloat16 (autocast): means over "
        f"seeds, the paired difference and its 95% interval. Equivalent: the interval lies inside ±{MARGIN:g}."
    )
    formats = dict.fromkeys(core.PRECISIONS, "{:.4f}")
    return make_table("precision", rows, caption, diverged_note(records), formats)


# ---------------------------------------------------------------------------------------------------------------------
# sentences


def verdict_rule() -> Finding:
    return Finding("verdict-rule", VERDICT_RULE, {"margin": MARGIN, "min_seeds": MIN_SEEDS})


def rnn_or_lstm(records: Records, epoch: str) -> Finding:
    """Which of the two has the lower validation loss at the "last" or the "best" epoch: a Finding. The question takes
    no side; the study's claim, made of the last epoch, is judged where the runs follow its protocol.
    """
    e = stats.lstm_minus_rnn(records, epoch)
    judged = stats.judged_lower(e)
    words = stats.difference_in_words(e, "the RNN's")
    lead = {
        "not judged": f"Not judged, for want of {MIN_SEEDS} seeds",
        "no difference that matters": f"No difference that matters, the interval lies inside ±{MARGIN:g}",
        "confirmed": "The LSTM is better",
        "refuted": "The RNN is better",
        "too close to call": "Too close to call",
    }[judged]
    text = f"**{lead}:** at the {epoch} epoch the LSTM's validation loss is {words}."
    if e.n == 0:
        text = f"RNN and LSTM are not compared at the {epoch} epoch: no seed finished in both."
    if e.n and e.dropped:
        text += f" Seeds that did not finish in both, and are left out: {', '.join(map(str, e.dropped))}."
    values: dict[str, float | str | None] = {"n": e.n, "mean": e.mean, "sd": e.sd}
    values |= {"low": e.low, "high": e.high, "verdict": judged}
    if epoch == "last" and {"rnn", "lstm"} <= published_numbers(records).keys():
        published = round(PUBLISHED["lstm"]["val_loss_last"] - PUBLISHED["rnn"]["val_loss_last"], 4)
        values["published"] = published
        text += f" The study's claim that the LSTM is better (by {-published} nats, one run each): *{judged}*."
    return Finding(f"rnn-or-lstm-{epoch}", text, values)


def overfitting_verdicts(base: Records, large: Records) -> Finding:
    """The two claims about the larger configuration, judged for each cell: a Finding. Both may be empty."""
    table = overfitting_table(base, large)
    if table is None:
        text = "Whether a larger configuration overfits is *not judged*: it was not trained on this corpus."
        return Finding("overfitting-verdicts", text, {})
    rows = table.frame.to_dict("records")
    first, second = size_and_rate(base[0]), size_and_rate(large[0])
    lines = []
    values: dict[str, str] = {}
    for cell in cells_in(base):
        last, best, wider, risen = (r["verdict"] for r in rows if r["cell"] == cell.upper())
        overfits = stats.verdict_of_both(wider, risen)
        values |= {f"{cell}_overfits": overfits, f"{cell}_last": last, f"{cell}_best": best}
        lines.append(
            f"- {cell.upper()}: that {second} overfits (a larger gap than {first}, and validation loss ending "
            f"above its lowest): *{overfits}*. That {first} has the lower validation loss: *{last}* at the last epoch, "
            f"*{best}* at the best."
        )
    return Finding("overfitting-verdicts", "\n".join(lines), values)


def precision_check(records: Records) -> Finding:
    """For which configurations bfloat16 may stand for float32: a Finding. records may be empty."""
    table = precision_table(records)
    if table is None:
        return Finding("precision-check", "Whether bfloat16 is equivalent to float32 is not known for this corpus.", {})
    same: list[str] = []
    other: list[str] = []
    for r in table.frame.to_dict("records"):
        names = same if r["equivalent"] else other
        names.append(f"{r['cell']} {r['hidden size / learning rate']}")
    text = "**bfloat16 is equivalent to float32** for {same}." if same else "**bfloat16 is equivalent nowhere.**"
    if other:
        text += " That it is has not been shown for {other}: there training stays with float32."
    return Finding("precision-check", text, {"same": ", ".join(same), "other": ", ".join(other)})
