"""The figure of gradients: their norm by steps back."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from charlm.drawing import (
    DASHED,
    DOTTED,
    GREY,
    INK,
    colour,
    count_axis,
    dashes,
    drawn_twice,
    finish,
    label_point,
    label_right,
    legend_below,
    legend_entry,
    marker,
    name_axes,
    on_phone,
    panels,
)
from charlm.gradients.measures import FAR, NEAR, VANISHED, fall
from charlm.records import Records, cells_in, finished, of_cell
from charlm.show import Figure
from charlm.stats import factor, seed_estimate, two_digits


def relative(curve: np.ndarray) -> np.ndarray:
    """The curve as a multiple of its norm one step back; NaN where a logarithmic axis has no place for it."""
    near = curve[NEAR]
    return np.where(curve > 0, curve, np.nan) / (near if near > 0 else np.nan)


def _draw_norms(ax: Axes, cell: str, runs: Records) -> np.ndarray:
    """The curves of a cell's runs, each seed thin and the geometric mean bold. Returns the mean, (steps back,)."""
    each = np.array([relative(np.array(r["gradient"])) for r in runs])  # (seeds, steps back)
    mean = np.exp(np.log(each).mean(axis=0))
    ax.plot(each.T, color=colour(cell), lw=0.8, alpha=0.6)
    # Lines may lie on each other: a broken one shows what is under it.
    ax.plot(mean, color=colour(cell), lw=2.4, ls=dashes(cell))
    ax.plot(FAR, mean[FAR], marker(cell), color=colour(cell), ms=6.5, mec="white", mew=0.6, zorder=3)
    ax.hlines(mean[FAR], FAR, len(mean) - 1, color=colour(cell), lw=1, ls=DOTTED)  # to its number at the right
    return mean


def _norm_rows(name: str, runs: Records) -> list[dict]:
    rows = []
    for r in runs:
        about = {"measured": name, "cell": r["cell"], "seed": r["seed"]}
        rows += [about | {"steps_back": k, "norm": float(f"{x:.8g}")} for k, x in enumerate(r["gradient"])]
    return rows


def _set_scales(ax: Axes, length: int, chunk_length: int) -> None:
    """The scales of a panel of so many steps back, and lines where a gradient has vanished and where training ended."""
    if length > chunk_length:
        ax.axvline(chunk_length - 1, color=INK, lw=1)
        at_bottom = ("data", "axes fraction")
        label_point(ax, "beyond training →", (chunk_length - 1, 0), (4, 3), INK, xycoords=at_bottom)
    ax.axhline(VANISHED, color=GREY, lw=1, ls=DASHED)
    ax.update_datalim([(NEAR, 1.0)])  # in view even where every norm is zero
    ax.set_xlim(0, max(length - 1, 1))
    count_axis(ax)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(numticks=6))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.grid()


@drawn_twice
def gradient_norms(measured: dict[str, Records], chunk_length: int) -> Figure:
    """Norm of the gradient by steps back, relative to one step back, a panel for each of {what was measured: runs}."""
    canvas, axes = panels(len(measured), 2.0 if on_phone() else 2.8)
    said, rows = [], []
    for ax, (name, records) in zip(axes, measured.items(), strict=True):
        ends = []
        ratios = []
        longest = 0
        for cell in cells_in(finished(records)):
            runs = finished(of_cell(records, cell))
            mean = _draw_norms(ax, cell, runs)
            longest = max(longest, len(mean))
            ratio = factor(seed_estimate(runs, fall).mean)
            shown = "not known" if ratio is None else two_digits(ratio)
            ratios.append(f"{cell.upper()} {shown}")
            if np.isfinite(mean[FAR]):
                ends.append((ratios[-1], float(mean[FAR]), colour(cell)))
            rows += _norm_rows(name, runs)
        said.append(f"{name}: {', '.join(ratios) or 'no run finished'}")
        ax.set_title(name)
        _set_scales(ax, longest or chunk_length, chunk_length)
        label_right(ax, ends)
    name_axes(canvas, "k, steps back", f"gradient, relative to k = {NEAR}")
    entries = [
        legend_entry("mean", GREY, marker="o", ms=6.5, mec="white", lw=2),
        legend_entry("one seed", GREY, lw=0.9),
        legend_entry(f"{VANISHED:g}: vanished below", GREY, lw=1, ls=DASHED),
    ]
    legend_below(canvas, entries, 3)
    finding = f"At k = {FAR} it is, {'; '.join(said)}."
    caption = (
        "How much the loss of a character depends on the input k steps before it: seeds thin, geometric mean bold. "
        f"At the right, the mean at k = {FAR}, which is judged. Scales differ."
    )
    alt = f"Lines of the norm of the gradient, relative to k = {NEAR}, on a logarithmic axis. {finding}"
    return finish(canvas, "gradient-norms", caption, alt, rows)
