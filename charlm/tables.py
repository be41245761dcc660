"""Tables of runs by groups, and of claimed differences: the two kinds that every chapter has."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from charlm import stats
from charlm.records import Records, cells_in, counted, crossing_epoch, diverged_note, finished, size_and_rate
from charlm.show import Table
from charlm.stats import LOG10, Contrast, Key, factor

FORMATS = {
    "training, last": "{:.4f}",
    "validation, last": "{:.4f}",
    "training, best": "{:.4f}",
    "validation, best": "{:.4f}",
    "mean": "{:.4f}",
    "standard deviation": "{:.4f}",
    "published": "{:.4f}",
    "deviations away": "{:+.1f}",
    "estimate": "{:+.4f}",
    "low": "{:+.4f}",
    "high": "{:+.4f}",
    "level": "{:.1%}",
}


SIZE_AND_RATE = "hidden size / learning rate"


def make_table(
    id: str,
    rows: list[dict],
    caption: str,
    note: str = "",
    formats: dict[str, str] | None = None,
    groups: str = "",
    contrasts: tuple[Contrast, ...] = (),
) -> Table:
    """Table with the formats that FORMATS (or formats, first) has for its columns."""
    frame = pd.DataFrame(rows, dtype=object)  # so that None stays None, and whole numbers beside it stay whole
    formats = {c: f for c, f in (FORMATS | (formats or {})).items() if c in frame.columns}
    return Table(id, frame, caption, formats, note, groups, contrasts)


def group_table(
    id: str,
    groups: Mapping[str, Records],
    columns: Mapping[str, Key],
    caption: str,
    *,
    note: str = "",
    group: str = "cell",
    spread: Sequence[str] = (),
    formats: dict[str, str] | None = None,
) -> Table | None:
    """A row a group of runs: how many finished, and the mean over seeds of each column, a field of the records or a function
    of one. A column that `spread` names has its standard deviation beside it. None without a run."""
    rows = []
    formats = dict(formats or {})
    for name, runs in groups.items():
        row: dict[str, object] = {group: name, "seeds": len(finished(runs))}
        for column, key in columns.items():
            e = stats.seed_estimate(runs, key)
            row[column] = e.mean
            formats.setdefault(column, "{:.4f}")
            if column in spread:
                row[f"{column}, sd"] = e.sd
                formats[f"{column}, sd"] = formats[column]
        if runs:
            rows.append(row)
    if not rows:
        return None
    notes = [note, diverged_note([r for runs in groups.values() for r in runs])]
    return make_table(id, rows, caption, " ".join(filter(None, notes)), formats)


def contrast_table(id: str, contrasts: Iterable[Contrast], caption: str, note: str = "") -> Table | None:
    """A row a contrast, in results.json under its key; None without any that was found."""
    found = [c for c in contrasts if c.difference.n]
    if not found:
        return None
    rows = []
    formats = {"first": "{:.4f}", "second": "{:.4f}"}
    for c in found:
        e = c.difference
        numbers = {"first": c.means[0], "second": c.means[1], "estimate": e.mean, "low": e.low, "high": e.high}
        if c.unit == LOG10:
            numbers = {name: factor(number) for name, number in numbers.items()}
            formats |= dict.fromkeys(numbers, "{:.3g}")
        sign = "/" if c.unit == LOG10 else "−"
        row = {"compared": f"{c.first} {sign} {c.second}", "in": c.quantity, "seeds": e.n} | numbers
        rows.append(row | {"level": None if e.interval is None else e.level, "verdict": c.verdict})
    dropped = sorted({seed for c in found for seed in c.difference.dropped})
    if dropped:
        note += f" Seeds without a finished run on both sides are left out: {', '.join(map(str, dropped))}."
    notes = dict.fromkeys(filter(None, [note.strip(), *(line for c in found for line in c.notes)]))
    return make_table(id, rows, caption, " ".join(notes), formats, contrasts=tuple(found))


def run_table(records: Records) -> Table:
    """A row a run: where it stopped, its best and its crossing epoch, its losses. The caption has what all share."""
    order = cells_in(records)
    rows: list[dict] = []
    for r in sorted(records, key=lambda r: (order.index(r["cell"]), r["hidden_size"], r["learning_rate"], r["seed"])):
        done = r["status"] == "finished"
        row = {
            "cell": r["cell"].upper(),
            SIZE_AND_RATE: size_and_rate(r),
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
        rows.append(row)
    shared = []
    for column, named in (("cell", "{}"), (SIZE_AND_RATE, f"{SIZE_AND_RATE} {{}}")):
        if len({row[column] for row in rows}) == 1:
            (value, *_) = [row.pop(column) for row in rows]
            shared.append(named.format(value))
    caption = ": ".join(filter(None, [counted(len(rows), "run"), ", ".join(shared)])) + "."
    id = f"runs-{order[0]}" if len(order) == 1 else "runs"
    return make_table(id, rows, caption, diverged_note(records))
