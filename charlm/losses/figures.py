"""Figures of losses: by epoch, of every seed, and of the difference within a seed."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from charlm import stats
from charlm.drawing import DASHED, FAINT, GREY, INK, WIDTH, colour, draw_seeds, finish, panels, seeds_and_mean, styled
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
from charlm.stats import MARGIN


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
    for key, dashes, alpha in (("train_loss", DASHED, 0.55), ("val_loss", "solid", 1)):
        for r in records:
            ax.plot(range(1, r["epochs"] + 1), r[key], color=c, lw=0.7, alpha=0.4 * alpha, marker=mark)
        mean = mean_curve(records, key)
        ax.plot(range(1, len(mean) + 1), mean, color=c, ls=dashes, lw=2, alpha=alpha)
    for r in records:
        ax.plot(r["best_epoch"], r["val_loss_best"], "o", color=c, mec="white", mew=0.6, ms=5.5, zorder=3)
        ax.plot(r["epochs"], r["val_loss_last"], "s", mfc="none", mec=c, mew=1.1, ms=7, zorder=3)


def label_curves(ax: Axes, records: Records, c: str) -> None:
    """The names of the two mean curves at their right end, the upper one's above and the lower one's below."""
    longest = max(r["epochs"] for r in records)
    train, val = mean_curve(records, "train_loss")[-1], mean_curve(records, "val_loss")[-1]
    for name, y, other in (("training", train, val), ("validation", val, train)):
        where = {"xytext": (8, 0), "textcoords": "offset points", "va": "bottom" if y > other else "top"}
        ax.annotate(name, (longest, y), color=c, **where)


def frame_curves(canvas: Canvas, axes: Sequence[Axes], lines: Sequence[Line2D] = ()) -> None:
    """What all panels with curves share, once the curves are in them, and below them what the marks mean."""
    handles = [
        *lines,
        Line2D([], [], color=GREY, ls="", marker="o", ms=5.5, label="best epoch"),
        Line2D([], [], color=GREY, ls="", marker="s", ms=7, mfc="none", mew=1.1, label="last epoch"),
    ]
    canvas.legend(handles=handles, loc="outside lower center", ncols=4, columnspacing=1.2, handletextpad=0.5)
    for ax in axes:
        ax.grid(axis="y")
        ax.margins(x=0.02)
        ax.set_ylabel("loss (nats per character)")
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def curve_rows(records: Records) -> list[dict]:
    about = ("cell", "hidden_size", "learning_rate", "seed")
    return [
        {k: r[k] for k in about} | {"epoch": i + 1, "train_loss": r["train_loss"][i], "val_loss": r["val_loss"][i]}
        for r in records
        for i in range(r["epochs"])
    ]


def curve_finding(name: str, records: Records) -> str:
    """What the curves of one configuration show."""
    if not records:
        return f"{name}: no run finished."
    best = stats.seed_estimate(records, "val_loss_best").mean
    apart = stats.seed_estimate(records, last_gap).mean
    crossings = [e for e in map(crossing_epoch, records) if e]
    some = "" if len(crossings) == len(records) else f", in {len(crossings)} of {len(records)} runs"
    return (
        f"{name}, {counted(len(records), 'seed')}: validation loss is lowest at epoch "
        f"{span([r['best_epoch'] for r in records])} (mean {best:.4f}); training ends at epoch "
        f"{span([r['epochs'] for r in records])}, where validation loss lies {abs(apart):.4f} nats "
        f"{'above' if apart > 0 else 'below'} training loss in the mean. It "
        + (f"first lies above training loss at epoch {span(crossings)}{some}." if crossings else "is never above.")
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
    for ax, (cell, runs) in zip(axes, done.items(), strict=True):
        ax.set_title(f"{cell.upper()}, {counted(len(runs), 'seed')}", color=colour(cell))
        if runs:
            draw_curves(ax, runs, colour(cell))
            label_curves(ax, runs, colour(cell))
        else:
            ax.text(0.5, 0.5, "no run finished", transform=ax.transAxes, ha="center")
    frame_curves(canvas, axes)
    caption = "Loss by epoch: each seed thin, the mean of the epochs that all seeds reached bold. "
    caption += " ".join(curve_finding(c.upper(), runs) for c, runs in done.items())
    alt = "Loss by epoch. " + " ".join(curve_sight(c.upper(), runs) for c, runs in done.items())
    return finish(
        canvas,
        f"loss-curves-{next(iter(done))}" if len(done) == 1 else "loss-curves",
        f"{caption} {diverged_note(records)}",
        alt,
        [row for runs in done.values() for row in curve_rows(runs)],
    )


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
        for records, c, side in ((base, colour(cell), "left"), (large, INK, "right")):
            runs = finished(of_cell(records, cell))
            name = f"{cell.upper()} {size_and_rate(records[0])}"
            ax.set_title(name, color=c, loc=side)
            findings.append(curve_finding(name, runs))
            sights.append(curve_sight(name, runs))
            rows += curve_rows(runs)
            if runs:
                draw_curves(ax, runs, c)
    lines = [Line2D([], [], color=GREY, lw=2, label="validation")]
    lines.append(Line2D([], [], color=GREY, lw=2, ls=DASHED, alpha=0.7, label="training"))
    frame_curves(canvas, axes, lines)
    caption = "Hidden size / learning rate compared; validation loss solid, training loss dashed, means bold. "
    caption += f"{' '.join(findings)} {diverged_note([*base, *large])}"
    return finish(canvas, "overfitting", caption, "Loss by epoch. " + " ".join(sights), rows)


# ---------------------------------------------------------------------------------------------------------------------
# RNN and LSTM compared

EPOCHS = {"last": "last epoch", "best": "best epoch"}


@styled
def loss_comparison(records: Records) -> Figure:
    """Validation loss of every seed at the last and the best epoch, lines between runs of one seed."""
    check_alike(records)
    done = finished(records)
    shown, known = cells_in(done), published_numbers(records)
    canvas = Canvas(figsize=(WIDTH, 3.8), layout="constrained")
    axes = canvas.subplots(1, 2, sharey=True)
    rows, means = [], []
    for ax, (epoch, title) in zip(axes, EPOCHS.items(), strict=True):
        found = {c: stats.seed_estimate(of_cell(done, c), f"val_loss_{epoch}") for c in shown}
        for i, (a, b) in enumerate(pairwise(shown)):
            for seed in sorted(found[a].values.keys() & found[b].values.keys()):
                ax.plot([i, i + 1], [found[a].values[seed], found[b].values[seed]], color=FAINT, lw=0.9)
        for i, (cell, e) in enumerate(found.items()):
            draw_seeds(ax, cell, e, i, i + (-0.27 if i == 0 else 0.27))
            if value := known.get(cell, {}).get(f"val_loss_{epoch}"):
                ax.plot([i - 0.17, i + 0.17], [value] * 2, color=INK, lw=1.5, ls=(0, (2, 1)), zorder=4)
            rows += [{"cell": cell, "epoch": epoch, "seed": s, "val_loss": v} for s, v in e.values.items()]
        means.append(f"{', '.join(f'{c.upper()} {e.mean:.4f}' for c, e in found.items())} at the {title}")
        ax.set_title(title)
        ax.grid(axis="y")
        ax.set_xlim(-0.55, max(len(shown), 1) - 0.45)
        ax.set_xticks(range(len(shown)), [f"{c.upper()}\n{e.mean:.4f}" for c, e in found.items()])
        for tick, cell in zip(ax.get_xticklabels(), shown, strict=True):
            tick.set_color(colour(cell))
    axes[0].set_ylabel("validation loss (nats per character)")
    key = seeds_and_mean()
    if known:
        key.append(Line2D([], [], color=INK, lw=1.5, ls=(0, (2, 1)), label="the study's run"))
    canvas.legend(handles=key, loc="outside lower center", ncols=3)
    said = f"Mean over seeds: {'; '.join(means)}." if shown else "No run finished."
    caption = f"Validation loss of every run; lines join the runs of one seed. {said} {diverged_note(records)}"
    return finish(canvas, "loss-comparison", caption, f"Dots for the validation loss of each run. {said}", rows)


@styled
def seed_differences(records: Records) -> Figure:
    """LSTM minus RNN in validation loss: each seed, the mean with its interval, and what is too little to matter."""
    canvas, (ax,) = panels(1, 2.7)
    ax.axvspan(-MARGIN, MARGIN, color="#ECECEC", lw=0)
    ax.axvline(0, color=INK, lw=1)
    rows, sights, reach = [], [], [1.6 * MARGIN]
    for y, (epoch, title) in enumerate(EPOCHS.items()):
        e = stats.lstm_minus_rnn(records, epoch)
        seen = list(e.values.values())
        rows += [{"epoch": epoch, "seed": s, "lstm_minus_rnn": v} for s, v in e.values.items()]
        reach += map(abs, (*seen, *(e.interval or ())))
        if not seen:
            continue
        ax.plot(seen, [y - 0.2] * e.n, "o", color=FAINT, mec="white", mew=0.5, ms=7, zorder=3)
        ax.plot(e.mean, y, "D", color=INK, ms=6, zorder=4)
        if e.interval:
            ax.plot(e.interval, [y] * 2, color=INK, lw=2)
        ax.text(e.mean, y + 0.14, signed(e.mean), ha="center", va="top")
        sights.append(f"{title}: mean {signed(e.mean)}, seeds from {signed(min(seen))} to {signed(max(seen))}")
    ax.set_xlim(-1.25 * max(reach), 1.25 * max(reach))
    ax.set_ylim(1.5, -0.5)
    ax.set_yticks([0, 1], EPOCHS.values())
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
    caption = "LSTM minus RNN in validation loss, within each seed (dots), and the mean with its 95% interval (bar). "
    caption += f"{findings} {diverged_note(records)}"
    alt = f"Dots left and right of zero. {'. '.join(sights)}." if sights else "No seed finished in both cells."
    return finish(canvas, "paired-difference", caption, alt, rows)
