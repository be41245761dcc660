"""Figures of what cures the overfitting."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from charlm import stats
from charlm.drawing import (
    ACCENT,
    DASHED,
    DOTTED,
    GREY,
    LEVEL,
    colour,
    count_axis,
    draw_seeds,
    drawn_twice,
    finish,
    label_point,
    legend_below,
    legend_entry,
    marker,
    panels,
    seeds_and_mean,
)
from charlm.records import Record, Records, cells_in, finished, of_cell
from charlm.show import Figure

DASHES_OF_ARMS = ("solid", DOTTED, DASHED, "solid")


@drawn_twice
def arms_compared(arms: dict[str, Records]) -> Figure | None:
    """Two panels: a cell's validation loss by epoch in each arm, and the best loss of every run, beside the counting model's.
    None without a finished run."""
    runs = [r for some in arms.values() for r in finished(some)]
    if not runs:
        return None
    canvas, (by_epoch, best) = panels(2, 2.9)
    cells = cells_in(runs)
    shown = "lstm" if "lstm" in cells else cells[0]
    rows = _curves(by_epoch, shown, {arm: finished(of_cell(some, shown)) for arm, some in arms.items()})
    by_epoch.set_title(f"{shown.upper()}, every run, by epoch")
    said = []
    for i, (arm, some) in enumerate(arms.items()):
        for j, cell in enumerate(cells):
            e = stats.seed_estimate(of_cell(some, cell), "val_loss_best")
            if e.n:
                at = i + 0.27 * (j - (len(cells) - 1) / 2)
                draw_seeds(best, cell, e, at - 0.04, at + 0.06)
                said.append(f"{cell.upper()}, {arm}, {e.known_mean:.3f}")
            rows += [{"cell": cell, "arm": arm, "seed": s, "val_loss_best": v} for s, v in e.values.items()]
    _counting_line(best, runs)
    best.set_xticks(range(len(arms)), list(arms))
    best.set_xlim(-0.55, len(arms) - 0.45)
    best.set_ylabel("best validation loss\n(nats per character)")
    best.grid(axis="y")
    of_cells = [legend_entry(cell.upper(), colour(cell), marker=marker(cell), ls="", ms=6) for cell in cells]
    legend_below(canvas, [*of_cells, *seeds_and_mean()], 3)
    caption = "Left: dots mark the best epoch of each run."
    alt = f"Curves of validation loss by epoch, and dots for the best loss of each run. Means: {'; '.join(said)}."
    return finish(canvas, "cure", caption, alt, rows)


def _curves(ax: Axes, cell: str, arms: dict[str, Records]) -> list[dict]:
    """Validation loss by epoch, a line a run; its lowest point is marked."""
    rows = []
    top = max(stats.seed_estimate(runs, "val_loss_best").known_mean for runs in arms.values() if runs) + 0.15
    styles = zip(arms.items(), (GREY, LEVEL, ACCENT, colour(cell)), DASHES_OF_ARMS, strict=False)
    for (arm, runs), c, dash in styles:
        for r in runs:
            epochs = range(1, len(r["val_loss"]) + 1)
            ax.plot(epochs, r["val_loss"], color=c, lw=1, ls=dash)
            ax.plot(r["best_epoch"], r["val_loss_best"], "o", color=c, ms=4, mec="white", mew=0.6, zorder=3)
            for n, v in zip(epochs, r["val_loss"], strict=True):
                rows.append({"cell": cell, "arm": arm, "seed": r["seed"], "epoch": n, "val_loss": v})
        if runs:
            longest = max(runs, key=lambda r: len(r["val_loss"]))
            at = len(longest["val_loss"])
            while longest["val_loss"][at - 1] > top:
                at -= 1
            label_point(ax, arm, (at, longest["val_loss"][at - 1]), (5, 0), c, va="center")
    ax.set_ylim(min(row["val_loss"] for row in rows) - 0.02, top)
    ax.margins(x=0.12)
    count_axis(ax)
    ax.set_xlabel("epoch")
    ax.set_ylabel("validation loss\n(nats per character)")
    ax.grid()
    return rows


def _counting_line(ax: Axes, records: Sequence[Record]) -> None:
    measured = [r for r in records if r.get("counting") is not None]
    if not measured:
        return
    e = stats.seed_estimate(measured, "counting")
    ax.axhline(e.known_mean, color=ACCENT, lw=1.4, ls=DASHED)
    across = ax.get_yaxis_transform()  # at the left and below, where no arm has its dots
    ax.text(0.01, e.known_mean, f"counting {e.known_mean:.3f}", transform=across, color=ACCENT, ha="left", va="top")
