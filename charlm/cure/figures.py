"""Figures of what cures the overfitting."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from charlm import stats
from charlm.drawing import (
    ACCENT,
    DASHED,
    GREY,
    colour,
    count_axis,
    dashes,
    draw_seeds,
    drawn_twice,
    finish,
    label_point,
    legend_below,
    panels,
    seeds_and_mean,
)
from charlm.records import Record, Records, cells_in, finished, of_cell
from charlm.show import Figure


@drawn_twice
def cure_compared(without: Records, treated: Records) -> Figure | None:
    """Two panels: the LSTM's validation loss by epoch, and the best loss of every run of each cell, without and with the
    cure, beside the counting model's. None where there is nothing to compare."""
    cells = [cell for cell in cells_in(finished(treated)) if finished(of_cell(without, cell))]
    if not cells:
        return None
    canvas, (by_epoch, best) = panels(2, 2.7)
    shown = "lstm" if "lstm" in cells else cells[0]
    rows = _curves(by_epoch, shown, of_cell(without, shown), of_cell(treated, shown))
    by_epoch.set_title(f"{shown.upper()}, every run, by epoch")
    said = []
    for i, cell in enumerate(cells):
        before, after = (stats.seed_estimate(of_cell(runs, cell), "val_loss_best") for runs in (without, treated))
        draw_seeds(best, cell, before, i - 0.3, i - 0.17)
        draw_seeds(best, cell, after, i + 0.17, i + 0.3)
        for name, e in (("without", before), ("with", after)):
            rows += [{"cell": cell, "cure": name, "seed": s, "val_loss_best": v} for s, v in e.values.items()]
        said.append(f"{cell.upper()} {before.known_mean:.3f} → {after.known_mean:.3f}")
    _counting_line(best, treated)
    places = [i + side for i in range(len(cells)) for side in (-0.24, 0.24)]
    best.set_xticks(places, len(cells) * ["without", "with"])
    for i, cell in enumerate(cells):
        best.text(
            i, 1.01, cell.upper(), transform=best.get_xaxis_transform(), color=colour(cell), ha="center", weight="bold"
        )
    best.set_xlim(-0.55, len(cells) - 0.45)
    best.set_ylabel("best validation loss\n(nats per character)")
    best.grid(axis="y")
    legend_below(canvas, seeds_and_mean())
    caption = "Dots mark the best epoch of each run."
    alt = f"Curves of validation loss by epoch, and dots for the best loss of each run. {'; '.join(said)}."
    return finish(canvas, "cure", caption, alt, rows)


def _curves(ax: Axes, cell: str, without: Records, treated: Records) -> list[dict]:
    """Validation loss by epoch, a line a run; its lowest point is marked."""
    rows = []
    top = max(stats.seed_estimate(runs, "val_loss_best").known_mean for runs in (without, treated)) + 0.2
    for name, runs, c in (("without", finished(without), GREY), ("with", finished(treated), colour(cell))):
        for r in runs:
            epochs = range(1, len(r["val_loss"]) + 1)
            ax.plot(epochs, r["val_loss"], color=c, lw=1, ls=dashes(cell) if name == "with" else "solid")
            ax.plot(r["best_epoch"], r["val_loss_best"], "o", color=c, ms=4, mec="white", mew=0.6, zorder=3)
            rows += [
                {"cell": cell, "cure": name, "seed": r["seed"], "epoch": n, "val_loss": v}
                for n, v in zip(epochs, r["val_loss"], strict=True)
            ]
        longest = max(runs, key=lambda r: len(r["val_loss"]))
        last = (len(longest["val_loss"]), min(longest["val_loss"][-1], top))
        label_point(ax, name, last, (5, 0), c, va="center")
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
    name = f"counting ({measured[0]['counting_order']}-gram) {e.known_mean:.3f}"
    ax.text(0.995, e.known_mean, name, transform=ax.get_yaxis_transform(), color=ACCENT, ha="right", va="bottom")
