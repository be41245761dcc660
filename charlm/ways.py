"""The ways to compare RNN and LSTM in one figure, from the contrasts in results.json."""

import textwrap
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from charlm import stats
from charlm.drawing import (
    BAND,
    INK,
    PHONE,
    WIDE,
    colour,
    drawn_twice,
    finish,
    legend_below,
    legend_entry,
    marker,
    on_phone,
)
from charlm.records import counted
from charlm.show import MISSING, SIGNS, Figure
from charlm.stats import MARGIN

WINNERS = {stats.LOWER: "lstm", stats.HIGHER: "rnn"}  # by the verdict on LSTM − RNN
DOTS = {"rnn": "●", "lstm": "■"}  # their markers, as text
# The keys of one contrast each, by how the two are compared.
COMPARISONS = {
    "equal settings, last epoch": "losses/last/lstm-rnn",
    "equal settings, best epoch": "losses/best/lstm-rnn",
    "equally many parameters, best epoch": "cells/same-parameters/lstm-rnn",
    "a learning rate for each, best epoch": "cells/own-rate/lstm-rnn",
}


@dataclass(frozen=True)
class Comparison:
    """One way to compare, and the contrast of LSTM and RNN in it."""

    name: str
    contrast: dict

    @property
    def verdict(self) -> str:
        return self.contrast["verdict"]

    @property
    def told(self) -> str:
        """The verdict as readers know it."""
        if self.verdict in WINNERS:
            return f"the {WINNERS[self.verdict].upper()} is better"
        return self.verdict

    @property
    def converged(self) -> bool:
        return not self.contrast["notes"]


def ways_to_compare(results: dict) -> list[Comparison]:
    """Those in which both cells were compared, in the order of COMPARISONS."""
    contrasts = results["contrasts"]
    asked = {name: contrasts.get(key) for name, key in COMPARISONS.items()}
    return [Comparison(name, c) for name, c in asked.items() if c and c["n"]]


# ---------------------------------------------------------------------------------------------------------------------
# the figure


@drawn_twice
def comparison_figure(results: dict) -> Figure | None:
    """A row for each way: both mean losses, and how far the LSTM's may lie from the RNN's. None without a way."""
    ways = ways_to_compare(results)
    if not ways:
        return None
    heard = []
    for way in ways:
        losses = f"RNN {way.contrast['second_mean']:.4f}, LSTM {way.contrast['first_mean']:.4f}"
        heard.append(f"{way.name}: {losses}; {way.told}{'' if way.converged else ', runs cut short'}")
    alt = f"Rows of two dots, one row a way to compare. {'. '.join(heard)}."
    return finish(_drawing(ways), "ways-to-compare", _caption(ways), alt, _rows(ways))


def _drawing(ways: list[Comparison]) -> Canvas:
    """Names and verdicts stand at the two ends of a row, or above it where there is no room at the sides."""
    size = (PHONE, 0.9 * len(ways) + 1.4) if on_phone() else (WIDE, 0.62 * len(ways) + 1.0)
    canvas = Canvas(figsize=size, layout="constrained")
    ax = canvas.subplots()
    for y, way in enumerate(ways):
        if on_phone():
            _draw_way(ax, way, y + 0.16, 0.24)
            _name_above(ax, way, y)
        else:
            _draw_way(ax, way, y, 0.36)
            _name_at_ends(ax, way, y)
    ax.set_yticks([])
    ax.set_ylim(len(ways) - 0.5, -0.5)
    ax.set_xlabel("validation loss (nats per character), lower is better")
    ax.grid(axis="x")
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    legend_below(canvas, _legend())
    return canvas


def _draw_way(ax: Axes, way: Comparison, y: float, half: float) -> None:
    """A row around y, half of it on each side: the RNN above, the LSTM below."""
    c = way.contrast
    rnn, lstm = c["second_mean"], c["first_mean"]
    ends = [y - half, y + half]
    ax.fill_betweenx(ends, rnn - MARGIN, rnn + MARGIN, color=BAND, lw=0)
    ax.plot([rnn, rnn], ends, color=colour("rnn"), lw=1.2)
    if c["low"] is not None:
        ax.plot([rnn + c["low"], rnn + c["high"]], [y + half / 3] * 2, color=colour("lstm"), lw=2)
    for cell, loss, height in (("rnn", rnn, y - half / 3), ("lstm", lstm, y + half / 3)):
        ax.plot(loss, height, marker(cell), color=colour(cell), mec="white", mew=0.6, ms=8, zorder=3)


def _verdict_style(way: Comparison) -> dict[str, Any]:
    ink = colour(WINNERS[way.verdict]) if way.verdict in WINNERS else INK
    return {"color": ink, "weight": "bold" if way.converged else "normal", "va": "center"}


def _with_icon(way: Comparison) -> str:
    sign = DOTS[WINNERS[way.verdict]] if way.verdict in WINNERS else SIGNS.get(way.verdict, MISSING)
    return f"{sign} {way.told}" + ("" if way.converged else "\n(runs cut short)")


def _name_at_ends(ax: Axes, way: Comparison, y: float) -> None:
    across = ax.get_yaxis_transform()
    lines = [line for part in way.name.split(", ") for line in textwrap.wrap(part, 24)]
    name = "\n".join([*lines, counted(way.contrast["n"], "run") + " each"])
    ax.text(-0.015, y, name, transform=across, ha="right", va="center", linespacing=1.25)
    ax.text(1.015, y, _with_icon(way), transform=across, fontsize=11, **_verdict_style(way))


def _name_above(ax: Axes, way: Comparison, y: float) -> None:
    across = ax.get_yaxis_transform()
    on_lines = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    name = f"{way.name}, {counted(way.contrast['n'], 'run')} each"
    ax.text(0, y - 0.40, name, transform=across, va="center", bbox=on_lines)
    verdict = _with_icon(way).replace("\n", " ")
    ax.text(0, y - 0.22, verdict, transform=across, bbox=on_lines, **_verdict_style(way))


def _legend() -> list[Line2D]:
    return [
        legend_entry("RNN, mean", colour("rnn"), marker=marker("rnn"), ms=8, ls=""),
        legend_entry("LSTM, mean and interval", colour("lstm"), marker=marker("lstm"), ms=8, lw=2),
        legend_entry(f"RNN ± {MARGIN:g} nats", BAND, lw=9, solid_capstyle="butt"),
    ]


def _caption(ways: list[Comparison]) -> str:
    levels = [way.contrast["level"] for way in ways if way.contrast["low"] is not None]
    if not levels:
        return "Dots: mean losses. So few runs have no interval."
    return (
        f"Bar: how far the LSTM's mean may be from the RNN's ({100 * min(levels):.3g}% interval, some are wider). Wholly left of the RNN's line, the LSTM "
        "is better; wholly right, the RNN; wholly in the grey band, the difference is too small to matter."
    )


def _rows(ways: list[Comparison]) -> list[dict]:
    rows: list[dict] = []
    for way in ways:
        c = way.contrast
        about = {"way": way.name, "seeds": c["n"], "verdict": way.verdict}
        rows.append(about | {"cell": "rnn", "val_loss": c["second_mean"]})
        between = {f"minus_rnn_{end}": c[end] for end in ("low", "high", "level")}
        rows.append(about | {"cell": "lstm", "val_loss": c["first_mean"]} | between)
    return rows
