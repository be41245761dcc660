"""Figures of losses: by epoch, and of every seed."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from charlm import stats
from charlm.drawing import (
    DASHED,
    FAINT,
    GREY,
    INK,
    Dashes,
    colour,
    count_axis,
    draw_seeds,
    drawn_twice,
    finish,
    label_point,
    legend_below,
    legend_entry,
    name_axes,
    panels,
    seeds_and_mean,
)
from charlm.records import (
    Records,
    cells_in,
    counted,
    crossing_epoch,
    diverged_note,
    finished,
    of_cell,
    published_numbers,
    size_and_rate,
    span,
)
from charlm.show import Figure
from charlm.stats import Estimate

THE_STUDYS = "the study's run"
STUDYS_MARK: dict[str, Any] = {"marker": "X", "color": INK, "mec": "white", "mew": 0.8, "ms": 9, "zorder": 5}


def marks() -> list[Line2D]:
    """What the marks of draw_curves are, for a legend."""
    return [
        legend_entry("best epoch", GREY, ls="", marker="o", ms=5.5),
        legend_entry("last epoch", GREY, ls="", marker="s", ms=6.5, mfc="none", mew=1.2),
    ]


# ---------------------------------------------------------------------------------------------------------------------
# loss by epoch


def mean_curve(records: Records, key: str) -> np.ndarray:
    """Mean over seeds for the epochs that all of them reached: (epochs,)."""
    reached = min(r["epochs"] for r in records)
    return np.mean([r[key][:reached] for r in records], axis=0)


def draw_curves(ax: Axes, records: Records, c: str) -> None:
    """Training loss dashed; mean over seeds bold; every seed thin, its best and last epoch marked."""
    _draw_curve(ax, records, "train_loss", color=c, ls=DASHED)
    _draw_curve(ax, records, "val_loss", color=c, ls="solid")
    for r in records:
        ax.plot(r["best_epoch"], r["val_loss_best"], "o", color=c, mec="white", mew=0.6, ms=5.5, zorder=3)
        ax.plot(r["epochs"], r["val_loss_last"], "s", mfc="none", mec=c, mew=1.2, ms=6.5, zorder=3)


def _draw_curve(ax: Axes, records: Records, key: str, color: str, ls: Dashes) -> None:
    mark = "." if max(r["epochs"] for r in records) == 1 else None  # a line of one point cannot be seen
    for r in records:
        ax.plot(range(1, r["epochs"] + 1), r[key], color=color, lw=0.9, alpha=0.7, marker=mark)
    mean = mean_curve(records, key)
    ax.plot(range(1, len(mean) + 1), mean, color=color, ls=ls, lw=2)


def label_curves(ax: Axes, records: Records, c: str) -> None:
    """The names of the two mean curves where they have parted, the upper one's above and the lower one's below."""
    train = mean_curve(records, "train_loss")
    validation = mean_curve(records, "val_loss")
    at = round(0.7 * (len(train) - 1))
    for name, curve, other in (("training", train, validation), ("validation", validation, train)):
        up = curve[at] > other[at]
        if up:
            label_point(ax, name, (at + 1, curve[at]), (0, 6), c, ha="center", va="bottom")
        else:  # curves fall: below at the left there is room
            label_point(ax, name, (at + 1, curve[at]), (-10, -6), c, ha="right", va="top")


def curve_rows(records: Records) -> list[dict]:
    rows = []
    for r in records:
        about = {key: r[key] for key in ("cell", "hidden_size", "learning_rate", "seed")}
        losses = zip(r["train_loss"], r["val_loss"], strict=True)
        for epoch, (train, validation) in enumerate(losses, start=1):
            rows.append(about | {"epoch": epoch, "train_loss": train, "val_loss": validation})
    return rows


def curve_sight(name: str, records: Records) -> str:
    """What the eye sees of the mean curves of one configuration."""
    if not records:
        return f"{name}: nothing drawn."
    ends = []
    for key, part in (("train_loss", "training"), ("val_loss", "validation")):
        mean = mean_curve(records, key)
        ends.append(f"mean {part} loss from {mean[0]:.2f} at epoch 1 to {mean[-1]:.2f} at epoch {len(mean)}")
    return f"{name}: {' and '.join(ends)}."


CURVES_SHOWN = 1.0  # nats above the lowest loss: where the panels of loss curves end


@drawn_twice
def loss_curves(records: Records, id: str = "loss-curves") -> Figure | None:
    """Training and validation loss by epoch, a panel a cell, all on one scale. None where no run finished."""
    runs = finished(records)
    if not runs:
        return None
    known = published_numbers(runs)
    cells = cells_in(runs)
    canvas, axes = panels(len(cells), 3.8, sharex=True, sharey=True)
    found = []
    for ax, cell in zip(axes, cells, strict=True):
        of_panel = of_cell(runs, cell)
        best = span([r["best_epoch"] for r in of_panel])
        last = span([r["epochs"] for r in of_panel])
        found.append(f"{cell.upper()}: lowest at epoch {best}, the end at {last}")
        draw_curves(ax, of_panel, colour(cell))
        label_curves(ax, of_panel, colour(cell))
        for r in of_panel:
            crossing = crossing_epoch(r)
            if crossing:
                ax.plot(crossing, r["val_loss"][crossing - 1], "D", color="white", mec=INK, mew=0.9, ms=4.5, zorder=4)
        for key in ("train_loss_last", "val_loss_last") if cell in known else ():
            ax.plot(known[cell]["epochs"], known[cell][key], **STUDYS_MARK)
        ax.set_title(f"{cell.upper()}, {counted(len(of_panel), 'seed')}", color=colour(cell))
        ax.grid(axis="y")
        ax.margins(x=0.02)
        count_axis(ax)
    lowest = min(min(r["train_loss"] + r["val_loss"]) for r in runs)
    axes[0].set_ylim(lowest - 0.08, lowest + CURVES_SHOWN)
    name_axes(canvas, "epoch", "loss (nats per character)")
    entries = [*marks(), legend_entry("validation passes training", INK, ls="", marker="D", ms=4.5, mfc="white")]
    if known:
        entries.append(legend_entry(THE_STUDYS, ls="", **STUDYS_MARK))
    legend_below(canvas, entries)
    seen = " ".join(curve_sight(cell.upper(), of_cell(runs, cell)) for cell in cells)
    caption = f"{'; '.join(found)}. Training loss dashed; seeds thin, mean bold. {diverged_note(records)}"
    return finish(canvas, id, caption, f"Loss by epoch. {seen}", curve_rows(runs))


@drawn_twice
def overfitting_curves(base: Records, large: Records) -> Figure | None:
    """Loss curves of two configurations, the base in the cell's colour and the larger in black, a panel a cell. None
    without runs of both.
    """
    if not base or not large:
        return None
    shown = cells_in([*base, *large])
    canvas, axes = panels(len(shown), 3, sharex=True, sharey=True)
    sights, rows = [], []
    for ax, cell in zip(axes, shown, strict=True):
        for records, c in ((base, colour(cell)), (large, INK)):
            runs = finished(of_cell(records, cell))
            name = f"{cell.upper()} {size_and_rate(records[0])}"
            ax.set_title(name, color=c, loc="left" if records is base else "right")
            sights.append(curve_sight(name, runs))
            rows += curve_rows(runs)
            if runs:
                draw_curves(ax, runs, c)
        ax.grid(axis="y")
        ax.margins(x=0.02)
        count_axis(ax)
    lowest = min(row["train_loss"] for row in rows)
    axes[0].set_ylim(lowest - 0.08, lowest + 1.3 * CURVES_SHOWN)
    name_axes(canvas, "epoch", "loss (nats)")
    lines = [legend_entry("validation", GREY, lw=2), legend_entry("training", GREY, lw=2, ls=DASHED)]
    legend_below(canvas, [*lines, *marks()])
    caption = (
        f"Hidden size / learning rate {size_and_rate(base[0])} in colour, {size_and_rate(large[0])} in black; seeds thin, the "
        f"mean bold. {diverged_note([*base, *large])}"
    )
    return finish(canvas, "overfitting", caption, f"Loss by epoch. {' '.join(sights)}", rows)


# ---------------------------------------------------------------------------------------------------------------------
# RNN and LSTM compared

EPOCHS = {"last": "last epoch", "best": "best epoch"}


def join_seeds(ax: Axes, estimates: Sequence[Estimate]) -> None:
    """A line for every seed that two neighbours share; each estimate has its place along x, from 0."""
    for i, (a, b) in enumerate(pairwise(estimates)):
        for seed in sorted(a.values.keys() & b.values.keys()):
            ax.plot([i, i + 1], [a.values[seed], b.values[seed]], color=FAINT, lw=0.9)


@drawn_twice
def loss_comparison(records: Records) -> Figure | None:
    """Validation loss of every seed at the last and the best epoch, lines between runs of one seed. None where no run
    finished."""
    known = published_numbers(records)
    done = finished(records)
    if not done:
        return None
    canvas, axes = panels(2, 3.2, sharey=True)
    rows, means = [], []
    for ax, (epoch, title) in zip(axes, EPOCHS.items(), strict=True):
        key = f"val_loss_{epoch}"
        losses = {cell: stats.seed_estimate(of_cell(done, cell), key) for cell in cells_in(done)}
        join_seeds(ax, list(losses.values()))
        names = {}
        for i, (cell, e) in enumerate(losses.items()):
            draw_seeds(ax, cell, e, i, i + (-0.27 if i == 0 else 0.27))
            published = known.get(cell, {}).get(key)
            if published:
                ax.plot(i, published, **STUDYS_MARK)
            rows += [{"cell": cell, "epoch": epoch, "seed": s, "val_loss": v} for s, v in e.values.items()]
            names[cell] = f"{cell.upper()} {e.mean:.4f}"
        means.append(f"{', '.join(names.values())} at the {title}")
        ax.set_title(title)
        ax.grid(axis="y")
        ax.set_xlim(-0.55, len(names) - 0.45)
        ax.set_xticks(range(len(names)), [name.replace(" ", "\n") for name in names.values()])
        for tick, cell in zip(ax.get_xticklabels(), names, strict=True):
            tick.set_color(colour(cell))
    canvas.supylabel("validation loss (nats)", fontsize=10)
    entries = seeds_and_mean()
    if known:
        entries.append(legend_entry(THE_STUDYS, ls="", **STUDYS_MARK))
    legend_below(canvas, entries)
    caption = f"Validation loss of every run; lines join the runs of one seed. {diverged_note(records)}"
    alt = f"Dots for the validation loss of each run. Mean over seeds: {'; '.join(means)}."
    return finish(canvas, "loss-comparison", caption, alt, rows)
