"""Choosing and reading run records.

A run record is the dict that charlm.runs gives and results.json holds under "runs". Losses are in nats per
character. A run whose loss stopped being a finite number ("diverged") enters no mean; what is shown names it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from charlm.protocol import PROTOCOL, PUBLISHED
from charlm_core import CELLS, Config

Record = dict[str, Any]  # a run; what is measured of it is added under names of its own
Records = Sequence[Record]

# ---------------------------------------------------------------------------------------------------------------------
# choosing


def finished(records: Records) -> list[Record]:
    return [r for r in records if r["status"] == "finished"]


def of_cell(records: Records, cell: str) -> list[Record]:
    return [r for r in records if r["cell"] == cell]


def with_value(records: Records, field: str, value: object) -> list[Record]:
    return [r for r in records if r[field] == value]


def values_in(records: Records, field: str) -> list:
    return sorted({r[field] for r in records})


def one_a_seed(records: Records) -> list[Record]:
    """A record of each seed, for what does not depend on the cell: the models that count."""
    return list({r["seed"]: r for r in records}.values())


def cut_short(records: Records) -> str:
    """A sentence on the runs that the limit of epochs stopped, and not that they had ceased to get better; or none."""
    said = []
    for cell in cells_in(records):
        runs = finished(of_cell(records, cell))
        cut = [r for r in runs if r["epochs"] - r["best_epoch"] < r["patience"]]
        if cut:
            said.append(
                f"{len(cut)} of {counted(len(runs), 'run')} of the {cell.upper()} (after {cut[0]['epochs']} epochs)"
            )
    if not said:
        return ""
    return f"Not converged, stopped by the limit of epochs while they may still have got better: {'; '.join(said)}."


def cells_in(records: Records) -> list[str]:
    """The cells present, in the order in which everything is shown: that of CELLS, then any that are no longer there."""
    cells = {r["cell"] for r in records}
    return [cell for cell in CELLS if cell in cells] + sorted(cells - CELLS.keys())


def check_alike(records: Records) -> None:
    """ValueError where runs of one cell differ in more than their seed: their mean would mean nothing."""
    for cell in cells_in(records):
        runs = of_cell(records, cell)
        kinds = {tuple(r[key] for key in (*PROTOCOL, "precision")) for r in runs}
        seeds = [r["seed"] for r in runs]
        if len(kinds) > 1 or len(set(seeds)) < len(seeds):
            raise ValueError(f"{cell} runs differ in more than their seed, or repeat a seed: {kinds}, seeds {seeds}")


def published_numbers(records: Records) -> dict[str, dict]:
    """The published numbers that may stand beside these runs, {cell: numbers}: none unless all follow PROTOCOL."""
    for record in records:
        if any(record[key] != value for key, value in PROTOCOL.items()):
            return {}
    return {cell: PUBLISHED[cell] for cell in cells_in(records) if cell in PUBLISHED}


# ---------------------------------------------------------------------------------------------------------------------
# reading


def crossing_epoch(record: Record) -> int | None:
    """The first epoch (from 1) whose validation loss is above its training loss; None where there is none."""
    losses = zip(record["train_loss"], record["val_loss"], strict=True)
    for epoch, (train, validation) in enumerate(losses, start=1):
        # The last epoch of a diverged run may lack a loss.
        if train is not None and validation is not None and validation > train:
            return epoch
    return None


def last_gap(record: Record) -> float:
    """Validation minus training loss at the last epoch."""
    return record["val_loss_last"] - record["train_loss_last"]


def gap_at_best(record: Record) -> float:
    """The same at the best epoch."""
    return record["val_loss_best"] - record["train_loss_best"]


def rise_above_best(record: Record) -> float:
    """How far validation loss at the last epoch lies above its lowest value."""
    return record["val_loss_last"] - record["val_loss_best"]


def size_and_rate(run: Record | Config) -> str:
    """Of a record or a configuration: '512 / 0.002'."""
    known = run if isinstance(run, dict) else vars(run)
    return f"{known['hidden_size']} / {known['learning_rate']:g}"


def diverged_note(records: Records) -> str:
    """A sentence that names the diverged runs; empty where there is none."""
    lost = [r for r in records if r["status"] == "diverged"]
    if not lost:
        return ""
    named = []
    for r in lost:
        named.append(f"{r['cell'].upper()} {size_and_rate(r)}, seed {r['seed']}, in epoch {r['diverged']['epoch']}")
    verb = "is" if len(lost) == 1 else "are"
    return f"{counted(len(lost), 'run')} diverged and {verb} in no mean: {'; '.join(named)}."


def counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def span(values: Sequence[int | float], form: str = "{:g}") -> str:
    """'28' or '28 to 31'."""
    ends = dict.fromkeys((form.format(min(values)), form.format(max(values))))
    return " to ".join(ends)


def listed(names: Iterable[str]) -> str:
    """'a', 'a and b', 'a, b and c'; nothing of none."""
    all_names = list(names)
    if len(all_names) < 2:
        return "".join(all_names)
    return f"{', '.join(all_names[:-1])} and {all_names[-1]}"
