"""The ways to compare RNN and LSTM in one figure, from the contrasts in results.json."""

import textwrap
from dataclasses import dataclass, replace
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from charlm import stats
from charlm.drawing import (
    BAND,
    DOTTED,
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
from charlm.records import cells_in, counted
from charlm.show import MISSING, SIGNS, Figure, finding_values
from charlm.stats import MARGIN

# What the verdict on LSTM − RNN says of the two.
WINNERS = {stats.LOWER: "the LSTM is better", stats.HIGHER: "the RNN is better"}
# The beginning of the keys of one comparison each, by what is alike in it.
COMPARISONS = {
    "the study's settings, last epoch": "losses/last",
    "the study's settings, best epoch": "losses/best",
    "same hidden size": "cells/same-size",
    "same number of parameters": "cells/same-parameters",
    "each with its own learning rate": "cells/own-rate",
    "larger, with the cure": "cure/cells",
}


@dataclass(frozen=True)
class Comparison:
    """One way to compare: the mean loss of each cell, and the contrasts of the others with the RNN, by cell."""

    name: str
    losses: dict[str, float]
    contrasts: dict[str, dict]

    @property
    def verdict(self) -> str:
        return self.contrasts["lstm"]["verdict"]

    @property
    def told(self) -> str:
        """The verdict as readers know it."""
        return WINNERS.get(self.verdict, self.verdict)

    @property
    def seeds(self) -> frozenset[str]:
        return frozenset(self.contrasts["lstm"]["values"])

    @property
    def converged(self) -> bool:
        return not self.contrasts["lstm"]["notes"]


def ways_to_compare(results: dict) -> list[Comparison]:
    """Those in which both cells were compared, in the order of COMPARISONS. Where the best epoch and the same hidden size are
    one comparison, by the same runs, it is one row, with all of the latter's cells."""
    found = {name: _way(results["contrasts"], name, beginning) for name, beginning in COMPARISONS.items()}
    ways = {name: way for name, way in found.items() if way}
    best, size = ways.get("the study's settings, best epoch"), ways.get("same hidden size")
    if best and size and best.contrasts["lstm"]["values"] == size.contrasts["lstm"]["values"]:
        ways[best.name] = replace(size, name=best.name)
        del ways[size.name]
    return list(ways.values())


def _way(contrasts: dict[str, dict], name: str, beginning: str) -> Comparison | None:
    against = {}
    for key, c in contrasts.items():
        if key.startswith(f"{beginning}/") and key.endswith("-rnn") and c["n"]:
            against[key.removeprefix(f"{beginning}/").removesuffix("-rnn")] = c
    if "lstm" not in against:
        return None
    losses = {"rnn": against["lstm"]["second_mean"]} | {cell: c["first_mean"] for cell, c in against.items()}
    order = cells_in([{"cell": cell} for cell in losses])
    return Comparison(name, {cell: losses[cell] for cell in order}, against)


# ---------------------------------------------------------------------------------------------------------------------
# the figure


@drawn_twice
def comparison_figure(results: dict) -> Figure | None:
    """A row for each way: the mean loss of every cell, and how far it may lie from the RNN's. None without a way."""
    ways = ways_to_compare(results)
    if not ways:
        return None
    floor = finding_values(results, "against-counting")
    heard = []
    for way in ways:
        losses = ", ".join(f"{cell.upper()} {loss:.4f}" for cell, loss in way.losses.items())
        heard.append(f"{way.name}: {losses}; {way.told}{'' if way.converged else ', not converged'}")
    alt = f"Rows of dots, one row a way to compare. {'. '.join(heard)}."
    return finish(_drawing(ways, floor), "ways-to-compare", _caption(ways), alt, _rows(ways, floor))


def _drawing(ways: list[Comparison], floor: dict) -> Canvas:
    """Names and verdicts stand at the two ends of a row, or above it where there is no room at the sides."""
    size = (PHONE, 0.95 * len(ways) + 1.6) if on_phone() else (WIDE, 0.62 * len(ways) + 1.15)
    canvas = Canvas(figsize=size, layout="constrained")
    ax = canvas.subplots()
    for y, way in enumerate(ways):
        if on_phone():
            _draw_way(ax, way, y + 0.16, 0.26, floor)
            _name_above(ax, way, y)
        else:
            _draw_way(ax, way, y, 0.36, floor)
            _name_at_ends(ax, way, y)
    ax.set_yticks([])
    ax.set_ylim(len(ways) - 0.5, -0.5)
    ax.set_xlabel("validation loss (nats per character), lower is better")
    ax.grid(axis="x")
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    legend_below(canvas, _legend(ways, floor))
    return canvas


def _draw_way(ax: Axes, way: Comparison, y: float, half: float, floor: dict) -> None:
    """A row around y, half of it on each side."""
    rnn = way.losses["rnn"]
    ends = [y - half, y + half]
    ax.fill_betweenx(ends, rnn - MARGIN, rnn + MARGIN, color=BAND, lw=0)
    ax.plot([rnn, rnn], ends, color=colour("rnn"), lw=1.2)
    if "floor" in floor:
        ax.plot([floor["floor"]] * 2, ends, color=INK, lw=1.8, ls="solid" if _same_splits(way, floor) else DOTTED)
    for i, (cell, loss) in enumerate(way.losses.items()):
        height = y + 0.66 * half * (i - (len(way.losses) - 1) / 2)  # dots of a row stand apart
        c = way.contrasts.get(cell, {})
        if c.get("low") is not None:
            ax.plot([rnn + c["low"], rnn + c["high"]], [height] * 2, color=colour(cell), lw=2)
        ax.plot(loss, height, marker(cell), color=colour(cell), mec="white", mew=0.6, ms=8, zorder=3)


def _same_splits(way: Comparison, floor: dict) -> bool:
    return way.seeds == {str(seed) for seed in floor["seeds"]}


def _verdict_style(way: Comparison) -> dict[str, Any]:
    winner = {stats.LOWER: colour("lstm"), stats.HIGHER: colour("rnn")}.get(way.verdict, INK)
    return {"color": winner, "weight": "bold" if way.converged else "normal", "va": "center"}


def _with_icon(way: Comparison) -> str:
    sign = "▲" if way.verdict in WINNERS else SIGNS.get(way.verdict, MISSING)
    return f"{sign} {way.told}" + ("" if way.converged else "\n(not converged)")


def _name_at_ends(ax: Axes, way: Comparison, y: float) -> None:
    across = ax.get_yaxis_transform()
    lines = [line for part in way.name.split(", ") for line in textwrap.wrap(part, 24)]
    name = "\n".join([*lines, counted(len(way.seeds), "seed")])
    ax.text(-0.015, y, name, transform=across, ha="right", va="center", linespacing=1.25)
    ax.text(1.015, y, _with_icon(way), transform=across, fontsize=11, **_verdict_style(way))


def _name_above(ax: Axes, way: Comparison, y: float) -> None:
    across = ax.get_yaxis_transform()
    on_lines = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    name = f"{way.name}, {counted(len(way.seeds), 'seed')}"
    ax.text(0, y - 0.40, name, transform=across, va="center", bbox=on_lines)
    verdict = _with_icon(way).replace("\n", " ")
    ax.text(0, y - 0.22, verdict, transform=across, bbox=on_lines, **_verdict_style(way))


def _legend(ways: list[Comparison], floor: dict) -> list[Line2D]:
    cells = list(dict.fromkeys(cell for way in ways for cell in way.losses))
    entries = [legend_entry(cell.upper(), colour(cell), marker=marker(cell), ms=8, lw=2) for cell in cells]
    entries.append(legend_entry(f"RNN ± {MARGIN:g}", BAND, lw=9))
    if "floor" in floor:
        entries.append(legend_entry(f"counting ({floor['order']}-gram)", INK, lw=1.8))
        if not all(_same_splits(way, floor) for way in ways):
            entries.append(legend_entry("the same, other splits", INK, lw=1.8, ls=DOTTED))
    return entries


def _caption(ways: list[Comparison]) -> str:
    levels = sorted({100 * c["level"] for way in ways for c in way.contrasts.values()})
    said = f"{levels[0]:.3g}%" if len(levels) == 1 else f"{levels[0]:.3g}% to {levels[-1]:.3g}%"
    return (
        f"Bars: the interval of the difference from the RNN, seed by seed ({said}). A cell is better where its whole bar lies left of the RNN's line, worse "
        f"right of it; a bar within the grey band, {MARGIN:g} nats either way, does not matter."
    )


def _rows(ways: list[Comparison], floor: dict) -> list[dict]:
    rows: list[dict] = []
    for way in ways:
        for cell, loss in way.losses.items():
            c = way.contrasts.get(cell, {})
            about = {"way": way.name, "seeds": len(way.seeds), "cell": cell, "val_loss": loss}
            rows.append(
                about | {f"minus_rnn_{end}": c.get(end) for end in ("low", "high", "level")} | {"verdict": way.verdict}
            )
    if "floor" in floor:
        order = f"{floor['order']}-gram"
        rows.append({"way": "counting", "seeds": len(floor["seeds"]), "cell": order, "val_loss": floor["floor"]})
    return rows
