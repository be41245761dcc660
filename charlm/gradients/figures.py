"""The figure of gradients: their norm by steps back."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from charlm.drawing import DASHED, GREY, INK, MARKERS, colour, finish, panels, styled
from charlm.gradients import measures
from charlm.gradients.measures import FAR, NEAR, VANISHED, Curves
from charlm.gradients.words import two_digits
from charlm.show import Figure

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def relative(curve: np.ndarray) -> np.ndarray:
    """The curve as a multiple of its norm one step back; NaN where a logarithmic axis has no place for it."""
    near = curve[NEAR]
    return np.where(curve > 0, curve, np.nan) / (near if near > 0 else np.nan)


def label_ends(ax: Axes, ends: dict[str, float]) -> None:
    """The cells' names at the right of the panel, each at the height where its line ends or as near as there is room."""
    low, high = np.log(ax.get_ylim())
    above = -np.inf
    for cell, y in sorted(ends.items(), key=lambda item: item[1]):
        above = max((np.log(y) - low) / (high - low), above)  # as a share of the panel
        ax.text(1.02, above, cell.upper(), color=colour(cell), transform=ax.transAxes, va="center")
        above += 0.11


@styled
def gradient_norms(measured: dict[str, Curves], chunk_length: int) -> Figure:
    """Norm of the gradient by steps back, relative to one step back, a panel for each of {what was measured: curves}."""
    canvas, axes = panels(len(measured), 2.4, sharey=True)
    ends: list[dict[str, float]] = [{} for _ in axes]
    said, rows = [], []
    for ax, end, (name, by_cell) in zip(axes, ends, measured.items(), strict=True):
        for cell, of in by_cell.items():
            each = np.array([relative(curve) for curve in of.values()])  # (seeds, steps back)
            mean = np.exp(np.log(each).mean(axis=0))
            ax.plot(each.T, color=colour(cell), lw=0.7, alpha=0.4)
            ax.plot(mean, color=colour(cell), lw=2)
            at = FAR, mean[FAR]
            ax.plot(*at, MARKERS.get(cell, "v"), color=colour(cell), ms=6.5, mec="white", mew=0.6, zorder=3)
            if np.isfinite(mean).any():
                end[cell] = mean[np.isfinite(mean)][-1]
            rows += [
                {"measured": name, "cell": cell, "seed": seed, "steps_back": k, "norm": float(x)}
                for seed, curve in of.items()
                for k, x in enumerate(curve)
            ]
        ratios = {c.upper(): measures.factor(measures.falls(of).mean) for c, of in by_cell.items()}
        words = ", ".join(f"{c} {two_digits(x)}" if x is not None else f"{c} not known" for c, x in ratios.items())
        said.append(f"{name}: {words or 'no run finished'}")
        longest = max((len(curve) for of in by_cell.values() for curve in of.values()), default=chunk_length)
        if longest > chunk_length:
            ax.axvline(chunk_length - 1, color=INK, lw=1)
            where = {"xytext": (4, -3), "textcoords": "offset points", "va": "top"}
            ax.annotate(
                "further than in training →", (chunk_length - 1, 1), xycoords=("data", "axes fraction"), **where
            )
        ax.set_title(name)
        ax.axhline(VANISHED, color=GREY, lw=1, ls=DASHED)
        ax.set_xlim(0, max(longest - 1, 1))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ax.grid()
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_formatter(lambda y, _: "10" + str(round(math.log10(y))).translate(SUPERSCRIPT))
    for ax, end in zip(axes, ends, strict=True):
        label_ends(ax, end)
    axes[-1].set_xlabel("k, steps back")
    canvas.supylabel(f"norm of the gradient, relative to k = {NEAR}", fontsize=10)
    key = [
        Line2D([], [], color=GREY, marker="o", ms=6.5, mec="white", lw=2, label=f"mean, marked at k = {FAR}"),
        Line2D([], [], color=GREY, lw=0.7, label="one seed"),
        Line2D([], [], color=GREY, lw=1, ls=DASHED, label=f"ratio {VANISHED:g}"),
    ]
    canvas.legend(handles=key, loc="outside lower center", ncols=3)
    finding = f"At k = {FAR} it is, {'; '.join(said)}."
    caption = (
        "How much the loss of a character depends on the input k steps before it: norm of the gradient, median over windows "
        f"of text, relative to k = {NEAR}. Each seed thin, the geometric mean bold. {finding}"
    )
    alt = f"Lines of the norm of the gradient, relative to k = {NEAR}, on a logarithmic axis. {finding}"
    return finish(canvas, "gradient-norms", caption, alt, rows)
