"""Tables and sentences on the losses of runs: what was trained on what, how it went, which cell is better."""

import math

import pandas as pd

import charlm_core as core
from charlm import stats
from charlm.corpus import corpus_facts
from charlm.device import resolved_config
from charlm.protocol import PUBLISHED
from charlm.records import (
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
from charlm.stats import MARGIN, MIN_SEEDS, VERDICT_RULE, Estimate
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


def _against_published(e: Estimate, value: float | None) -> dict:
    """Columns with a published number and how many standard deviations it lies from an estimate's mean."""
    away = (value - e.mean) / e.sd if None not in (value, e.mean) and e.sd else None
    return {"published": value, "deviations away": away}


def run_table(records: Records) -> Table:
    """A row a run: where it stopped, its best and its crossing epoch, its losses. The caption has what all share."""
    order = cells_in(records)
    shown = sorted(records, key=lambda r: (order.index(r["cell"]), r["hidden_size"], r["learning_rate"], r["seed"]))
    fields = {"cell": lambda r: r["cell"].upper(), "hidden size / learning rate": size_and_rate}
    varying = [k for k, f in fields.items() if len({f(r) for r in shown}) > 1]
    fixed = [f"{k} {f(shown[0])}" if k != "cell" else f(shown[0]) for k, f in fields.items() if k not in varying]
    rows = []
    for r in shown:
        done = r["status"] == "finished"
        rows.append(
            {k: fields[k](r) for k in varying}
            | {
                "seed": r["seed"],
                "stopped at": r["epochs"],
                "best epoch": r["best_epoch"],
                "crossing epoch": crossing_epoch(r),
                "training, last": r["train_loss_last"] if done else None,
                "validation, last": r["val_loss_last"] if done else None,
                "training, best": r["train_loss_best"],
                "validation, best": r["val_loss_best"],
                "run": r["run_id"].rpartition("-")[2],
            }
        )
    caption = (
        f"{counted(len(rows), 'run')}{': ' * bool(fixed)}{', '.join(fixed)}. Losses in nats per character, at the "
        "last epoch and at the best (lowest validation loss). Crossing: the first epoch with validation above "
        "training loss."
    )
    id = f"runs-{order[0]}" if len(order) == 1 else "runs"
    return make_table(id, rows, caption, diverged_note(records))


def loss_table(records: Records) -> Table:
    """Mean loss of each cell at the last and the best epoch, beside the published value where there is one."""
    check_alike(records)
    known = published_numbers(records)
    rows, away = [], []
    for cell in cells_in(records):
        for epoch in ("last", "best"):
            for part, key in (("training", "train_loss"), ("validation", "val_loss")):
                e = stats.seed_estimate(of_cell(records, cell), f"{key}_{epoch}")
                row = {"cell": cell.upper(), "epoch": epoch, "loss": part, "seeds": e.n}
                row |= {"mean": e.mean, "standard deviation": e.sd}
                if known:
                    row |= _against_published(e, known.get(cell, {}).get(f"{key}_{epoch}"))
                    if key == "val_loss" and row["deviations away"] is not None:
                        away.append(f"{abs(row['deviations away']):.1f} ({cell.upper()})")
                rows.append(row)
    caption = "Losses in nats per character: mean and standard deviation over seeds."
    if away:
        caption += f" The published validation loss lies {' and '.join(away)} standard deviations from our mean."
    return make_table("losses", rows, caption, diverged_note(records))


def stopping_table(records: Records) -> Table:
    """When training stopped, when it was best, and when validation passed training loss, beside the published."""
    check_alike(records)
    known = published_numbers(records)
    rows, notes = [], []
    for cell in cells_in(records):
        for name, field, key in (
            ("stopped at", "epochs", "epochs"),
            ("best epoch", "best_epoch", "best_epoch"),
            ("crossing epoch", "crossing_epoch", crossing_epoch),
        ):
            e = stats.seed_estimate(of_cell(records, cell), key)
            row = {"cell": cell.upper(), "epoch": name, "seeds": e.n, "mean": e.mean, "standard deviation": e.sd}
            if known:
                row |= _against_published(e, known.get(cell, {}).get(field))
            rows.append(row)
        never = len(finished(of_cell(records, cell))) - e.n
        if never:
            notes.append(f"In {counted(never, f'{cell.upper()} run')} validation is never above training loss.")
        if cell in known:
            train, val = known[cell]["crossing_losses"]
            notes.append(f"At the {cell.upper()}'s crossing the study quotes {train:.4f} (training) / {val:.4f}.")
    caption = (
        "Epochs: mean and standard deviation over seeds. The best epoch has the lowest validation loss; the "
        "crossing epoch is the first with validation above training loss."
    )
    formats = {"mean": "{:.1f}", "standard deviation": "{:.1f}", "published": "{:.0f}"}
    return make_table("stopping", rows, caption, " ".join([*notes, diverged_note(records)]).strip(), formats)


def overfitting_table(base: Records, large: Records) -> Table | None:
    """The larger and faster configuration against the base for each cell of base, paired over seeds. Judged: base has
    the lower validation loss (last and best epoch); large overfits, which is to say that its gap (validation minus
    training loss at the last epoch) is larger than base's and that its validation loss ends above its own lowest.
    None without runs of both.
    """
    if not base or not large:
        return None
    rows: list[dict] = []
    first, second = size_and_rate(base[0]), size_and_rate(large[0])
    shown = cells_in(base)
    for quantity, key in (
        ("validation loss, last epoch", "val_loss_last"),
        ("validation loss, best epoch", "val_loss_best"),
        ("gap, last epoch", last_gap),
        (f"rise above best, {second} alone", rise_above_best),
    ):
        found, means = [], []
        for cell in shown:
            a, b = of_cell(base, cell), of_cell(large, cell)
            e = stats.paired_difference(b, a, key)
            means.append([stats.seed_estimate([r for r in side if r["seed"] in e.values], key).mean for side in (a, b)])
            if key is rise_above_best:
                e = stats.estimate(
                    {r["seed"]: rise_above_best(r) for r in finished(b) if r["seed"] in e.values}, e.dropped
                )
            found.append(e)
        for cell, e, (mean, other) in zip(shown, stats.holm(found), means, strict=True):
            row = {"cell": cell.upper(), "quantity": quantity, "seeds": e.n, first: mean, second: other}
            row |= {"estimate": e.mean, "low": e.low, "high": e.high, "verdict": stats.verdict(e.interval, e.n, 1)}
            rows.append(row)
    rows.sort(key=lambda row: shown.index(row["cell"].lower()))
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
    rows = []
    kinds = sorted(
        {(r["hidden_size"], r["learning_rate"], r["cell"]) for r in records}, key=lambda k: (*k[:2], k[2] != "rnn")
    )
    for kind in kinds:
        of_kind = [r for r in records if (r["hidden_size"], r["learning_rate"], r["cell"]) == kind]
        sides = {p: trained_in(of_kind, p) for p in core.PRECISIONS}
        e = stats.paired_difference(sides["bfloat16"], sides["float32"], "val_loss_best")
        row = {"cell": kind[2].upper(), "hidden size / learning rate": size_and_rate(of_kind[0]), "seeds": e.n}
        row |= {p: stats.seed_estimate(side, "val_loss_best").mean for p, side in sides.items()}
        same = stats.verdict(e.interval, e.n, 1) == "no difference that matters"
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
    judged = stats.verdict(e.interval, e.n, claimed_sign=-1)
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
    values = {"n": e.n, "mean": e.mean, "sd": e.sd, "low": e.low, "high": e.high, "verdict": judged}
    if epoch == "last" and {"rnn", "lstm"} <= published_numbers(records).keys():
        values["published"] = round(PUBLISHED["lstm"]["val_loss_last"] - PUBLISHED["rnn"]["val_loss_last"], 4)
        by = -values["published"]
        text += f" The study's claim that the LSTM is better (by {by} nats, one run each): *{judged}*."
    return Finding(f"rnn-or-lstm-{epoch}", text, values)


def overfitting_verdicts(base: Records, large: Records) -> Finding:
    """The two claims about the larger configuration, judged for each cell: a Finding. Both may be empty."""
    if not base or not large:
        text = "Whether a larger configuration overfits is *not judged*: it was not trained on this corpus."
        return Finding("overfitting-verdicts", text, {})
    rows = overfitting_table(base, large).frame.to_dict("records")
    first, second = size_and_rate(base[0]), size_and_rate(large[0])
    lines, values = [], {}
    for cell in cells_in(base):
        last, best, wider, risen = (r["verdict"] for r in rows if r["cell"] == cell.upper())
        values |= {f"{cell}_overfits": stats.verdict_of_both(wider, risen), f"{cell}_last": last, f"{cell}_best": best}
        lines.append(
            f"- {cell.upper()}: that {second} overfits (a larger gap than {first}, and validation loss ending "
            f"above its lowest): *{values[f'{cell}_overfits']}*. That {first} has the lower validation loss: "
            f"*{last}* at the last epoch, *{best}* at the best."
        )
    return Finding("overfitting-verdicts", "\n".join(lines), values)


def precision_check(records: Records) -> Finding:
    """For which configurations bfloat16 may stand for float32: a Finding. records may be empty."""
    if not records:
        return Finding("precision-check", "Whether bfloat16 is equivalent to float32 is not known for this corpus.", {})
    rows = precision_table(records).frame.to_dict("records")
    names = {
        same: [f"{r['cell']} {r['hidden size / learning rate']}" for r in rows if r["equivalent"] is same]
        for same in (True, False)
    }
    text = "**bfloat16 is equivalent to float32** for {same}." if names[True] else "**bfloat16 is equivalent nowhere.**"
    if names[False]:
        text += " That it is has not been shown for {other}: there training stays with float32."
    return Finding("precision-check", text, {"same": ", ".join(names[True]), "other": ", ".join(names[False])})
