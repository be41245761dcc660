"""Figures of losses: by epoch, of every seed, and of the difference within a seed."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from charlm import stats
from charlm.drawing import (
    DASHED,
    FAINT,
    GREY,
    INK,
    WIDTH,
    Dashes,
    colour,
    count_axis,
    draw_seeds,
    finish,
    label_point,
    legend_below,
    legend_entry,
    name_cells,
    panels,
    seeds_and_mean,
    styled,
)
from charlm.losses import words
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
    size_and_rate,
)
from charlm.show import Figure
from charlm.stats import MARGIN, Estimate


def span(values: Sequence[int]) -> str:
    """'28' or '28 to 31'."""
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def signed(number: float) -> str:
    """Four digits with a sign, a real minus."""
    return f"{number:+.4f}".replace("-", "−")


# ---------------------------------------------------------------------------------------------------------------------
# loss by epoch


def mean_curve(records: Records, key: str) -> np.ndarray:
    """Mean over seeds for the epochs that all of them reached: (epochs,)."""
    reached = min(r["epochs"] for r in records)
    return np.mean([r[key][:reached] for r in records], axis=0)


def draw_curves(ax: Axes, records: Records, c: str) -> None:
    """Mean over seeds bold, validation solid and training dashed; every seed thin, its best and last epoch marked."""
    mark = "." if max(r["epochs"] for r in records) == 1 else None  # a line of one point cannot be seen
    _draw_curve(ax, records, "train_loss", mark, color=c, ls=DASHED, alpha=0.55)
    _draw_curve(ax, records, "val_loss", mark, color=c, ls="solid", alpha=1)
    for r in records:
        ax.plot(r["best_epoch"], r["val_loss_best"], "o", color=c, mec="white", mew=0.6, ms=5.5, zorder=3)
        ax.plot(r["epochs"], r["val_loss_last"], "s", mfc="none", mec=c, mew=1.1, ms=7, zorder=3)


def _draw_curve(ax: Axes, records: Records, key: str, mark: str | None, color: str, ls: Dashes, alpha: float) -> None:
    for r in records:
        ax.plot(range(1, r["epochs"] + 1), r[key], color=color, lw=0.7, alpha=0.4 * alpha, marker=mark)
    mean = mean_curve(records, key)
    ax.plot(range(1, len(mean) + 1), mean, color=color, ls=ls, lw=2, alpha=alpha)


def label_curves(ax: Axes, records: Records, c: str) -> None:
    """The names of the two mean curves at their right end, the upper one's above and the lower one's below."""
    longest = max(r["epochs"] for r in records)
    train = mean_curve(records, "train_loss")[-1]
    validation = mean_curve(records, "val_loss")[-1]
    for name, y, other in (("training", train, validation), ("validation", validation, train)):
        label_point(ax, name, (longest, y), (8, 0), c, va="bottom" if y > other else "top")


def frame_curves(canvas: Canvas, axes: Sequence[Axes], lines: Sequence[Line2D] = ()) -> None:
    """What all panels with curves share, once the curves are in them, and below them what the marks mean."""
    marks = [
        legend_entry("best epoch", GREY, ls="", marker="o", ms=5.5),
        legend_entry("last epoch", GREY, ls="", marker="s", ms=7, mfc="none", mew=1.1),
    ]
    legend_below(canvas, [*lines, *marks], 4, columnspacing=1.2, handletextpad=0.5)
    for ax in axes:
        ax.grid(axis="y")
        ax.margins(x=0.02)
        ax.set_ylabel("loss (nats per character)")
    axes[-1].set_xlabel("epoch")
    count_axis(axes[-1])


def curve_rows(records: Records) -> list[dict]:
    rows = []
    for r in records:
        about = {key: r[key] for key in ("cell", "hidden_size", "learning_rate", "seed")}
        losses = zip(r["train_loss"], r["val_loss"], strict=True)
        for epoch, (train, validation) in enumerate(losses, start=1):
            rows.append(about | {"epoch": epoch, "train_loss": train, "val_loss": validation})
    return rows


def curve_finding(name: str, records: Records) -> str:
    """What the curves of one configuration show."""
    if not records:
        return f"{name}: no run finished."
    best_epochs = span([r["best_epoch"] for r in records])
    best = stats.seed_estimate(records, "val_loss_best").known_mean
    last_epochs = span([r["epochs"] for r in records])
    gap = stats.seed_estimate(records, last_gap).known_mean
    side = "above" if gap > 0 else "below"
    crossings = [epoch for epoch in map(crossing_epoch, records) if epoch]
    if not crossings:
        crossed = "is never above"
    elif len(crossings) == len(records):
        crossed = f"first lies above training loss at epoch {span(crossings)}"
    else:
        runs = f"{len(crossings)} of {len(records)} runs"
        crossed = f"first lies above training loss at epoch {span(crossings)}, in {runs}"
    return (
        f"{name}, {counted(len(records), 'seed')}: validation loss is lowest at epoch {best_epochs} (mean {best:.4f}); "
        f"training ends at epoch {last_epochs}, where validation loss lies {abs(gap):.4f} nats {side} training loss in "
        f"the mean. It {crossed}."
    )


def curve_sight(name: str, records: Records) -> str:
    """What the eye sees of the mean curves of one configuration."""
    if not records:
        return f"{name}: nothing drawn."
    ends = []
    for key, part in (("train_loss", "training"), ("val_loss", "validation")):
        mean = mean_curve(records, key)
        ends.append(f"mean {part} loss from {mean[0]:.2f} at epoch 1 to {mean[-1]:.2f} at epoch {len(mean)}")
    return f"{name}: {' and '.join(ends)}."


@styled
def loss_curves(records: Records) -> Figure:
    """Training and validation loss by epoch, a panel for each cell."""
    check_alike(records)
    done = {c: finished(of_cell(records, c)) for c in cells_in(records)}
    canvas, axes = panels(len(done), 3.2 if len(done) == 1 else 2.5, sharex=True, sharey=True)
    findings, sights, rows = [], [], []
    for ax, (cell, runs) in zip(axes, done.items(), strict=True):
        ax.set_title(f"{cell.upper()}, {counted(len(runs), 'seed')}", color=colour(cell))
        if runs:
            draw_curves(ax, runs, colour(cell))
            label_curves(ax, runs, colour(cell))
        else:
            ax.text(0.5, 0.5, "no run finished", transform=ax.transAxes, ha="center")
        findings.append(curve_finding(cell.upper(), runs))
        sights.append(curve_sight(cell.upper(), runs))
        rows += curve_rows(runs)
    frame_curves(canvas, axes)
    id = f"loss-curves-{next(iter(done))}" if len(done) == 1 else "loss-curves"
    caption = (
        "Loss by epoch: each seed thin, the mean of the epochs that all seeds reached bold. "
        f"{' '.join(findings)} {diverged_note(records)}"
    )
    return finish(canvas, id, caption, f"Loss by epoch. {' '.join(sights)}", rows)


@styled
def overfitting_curves(base: Records, large: Records) -> Figure | None:
    """Loss curves of two configurations, the base in the cell's colour and the larger in black, a panel a cell. None
    without runs of both.
    """
    if not base or not large:
        return None
    shown = cells_in([*base, *large])
    canvas, axes = panels(len(shown), 2.6, sharex=True, sharey=True)
    findings, sights, rows = [], [], []
    for ax, cell in zip(axes, shown, strict=True):
        for records, c in ((base, colour(cell)), (large, INK)):
            runs = finished(of_cell(records, cell))
            name = f"{cell.upper()} {size_and_rate(records[0])}"
            ax.set_title(name, color=c, loc="left" if records is base else "right")
            findings.append(curve_finding(name, runs))
            sights.append(curve_sight(name, runs))
            rows += curve_rows(runs)
            if runs:
                draw_curves(ax, runs, c)
    lines = [
        legend_entry("validation", GREY, lw=2),
        legend_entry("training", GREY, lw=2, ls=DASHED, alpha=0.7),
    ]
    frame_curves(canvas, axes, lines)
    caption = (
        "Hidden size / learning rate compared; validation loss solid, training loss dashed, means bold. "
        f"{' '.join(findings)} {diverged_note([*base, *large])}"
    )
    return finish(canvas, "overfitting", caption, f"Loss by epoch. {' '.join(sights)}", rows)


# ---------------------------------------------------------------------------------------------------------------------
# RNN and LSTM compared

EPOCHS = {"last": "last epoch", "best": "best epoch"}
THE_STUDYS: Dashes = (0, (2, 1))


def join_seeds(ax: Axes, estimates: Sequence[Estimate]) -> None:
    """A line for every seed that two neighbours share; each estimate has its place along x, from 0."""
    for i, (a, b) in enumerate(pairwise(estimates)):
        for seed in sorted(a.values.keys() & b.values.keys()):
            ax.plot([i, i + 1], [a.values[seed], b.values[seed]], color=FAINT, lw=0.9)


@styled
def loss_comparison(records: Records) -> Figure:
    """Validation loss of every seed at the last and the best epoch, lines between runs of one seed."""
    check_alike(records)
    known = published_numbers(records)
    done = finished(records)
    canvas = Canvas(figsize=(WIDTH, 3.8), layout="constrained")
    axes = canvas.subplots(1, 2, sharey=True)
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
                ax.plot([i - 0.17, i + 0.17], [published] * 2, color=INK, lw=1.5, ls=THE_STUDYS, zorder=4)
            rows += [{"cell": cell, "epoch": epoch, "seed": s, "val_loss": v} for s, v in e.values.items()]
            names[cell] = f"{cell.upper()} {e.mean:.4f}"
        means.append(f"{', '.join(names.values())} at the {title}")
        ax.set_title(title)
        ax.grid(axis="y")
        ax.set_xlim(-0.55, max(len(names), 1) - 0.45)
        name_cells(ax, {cell: name.replace(" ", "\n") for cell, name in names.items()})
    axes[0].set_ylabel("validation loss (nats per character)")
    entries = seeds_and_mean()
    if known:
        entries.append(legend_entry("the study's run", INK, lw=1.5, ls=THE_STUDYS))
    legend_below(canvas, entries, 3)
    said = f"Mean over seeds: {'; '.join(means)}." if done else "No run finished."
    caption = f"Validation loss of every run; lines join the runs of one seed. {said} {diverged_note(records)}"
    return finish(canvas, "loss-comparison", caption, f"Dots for the validation loss of each run. {said}", rows)


@styled
def seed_differences(records: Records) -> Figure:
    """LSTM minus RNN in validation loss: each seed, the mean with its interval, and what is too little to matter."""
    canvas, (ax,) = panels(1, 2.7)
    ax.axvspan(-MARGIN, MARGIN, color="#ECECEC", lw=0)
    ax.axvline(0, color=INK, lw=1)
    rows, sights = [], []
    reach = [1.6 * MARGIN]  # how far from zero there is something to see
    for y, (epoch, title) in enumerate(EPOCHS.items()):
        e = stats.lstm_minus_rnn(records, epoch)
        differences = list(e.values.values())
        rows += [{"epoch": epoch, "seed": s, "lstm_minus_rnn": v} for s, v in e.values.items()]
        reach += map(abs, (*differences, *(e.interval or ())))
        if e.mean is None:
            continue
        ax.plot(differences, [y - 0.2] * e.n, "o", color=FAINT, mec="white", mew=0.5, ms=7, zorder=3)
        ax.plot(e.mean, y, "D", color=INK, ms=6, zorder=4)
        if e.interval:
            ax.plot(e.interval, [y] * 2, color=INK, lw=2)
        ax.text(e.mean, y + 0.14, signed(e.mean), ha="center", va="top")
        least, most = signed(min(differences)), signed(max(differences))
        sights.append(f"{title}: mean {signed(e.mean)}, seeds from {least} to {most}")
    ax.set_xlim(-1.25 * max(reach), 1.25 * max(reach))
    ax.set_ylim(1.5, -0.5)
    ax.set_yticks([0, 1], list(EPOCHS.values()))
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.set_xlabel("LSTM − RNN, validation loss (nats per character)")
    for x, side, text, c in (
        (0, "left", "← LSTM lower", colour("lstm")),
        (0.5, "center", f"within ±{MARGIN:g}", GREY),
        (1, "right", "RNN lower →", colour("rnn")),
    ):
        ax.text(x, 1.03, text, transform=ax.transAxes, ha=side, color=c)
    findings = " ".join(words.rnn_or_lstm(records, epoch).filled for epoch in EPOCHS)
    caption = (
        "LSTM minus RNN in validation loss, within each seed (dots), and the mean with its 95% interval (bar). "
        f"{findings} {diverged_note(records)}"
    )
    alt = f"Dots left and right of zero. {'. '.join(sights)}." if sights else "No seed finished in both cells."
    return finish(canvas, "paired-difference", caption, alt, rows)
