"""The ways to compare RNN and LSTM: what each says, and the one figure of all. From results.json, as the summary is."""

import textwrap
from dataclasses import dataclass
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from charlm import stats
from charlm.drawing import (
    BAND,
    DOTTED,
    INK,
    WIDTH,
    as_svg,
    colour,
    finish,
    legend_below,
    legend_entry,
    marker,
    styled,
)
from charlm.records import cells_in, counted, diverged_note
from charlm.show import Figure, finding_values, verdict_icon
from charlm.stats import MARGIN

WIDE = 11.0  # inches
# What the verdict on the claim that the LSTM is better says of the two.
WINNERS = {"confirmed": "the LSTM is better", "refuted": "the RNN is better"}
# Findings of one comparison each, by what is alike in it.
COMPARISONS = {
    "same-hidden-size": "same hidden size",
    "same-parameters": "same number of parameters",
    "tuned": "each with its own learning rate",
    "cure": "larger, with dropout",
}


@dataclass(frozen=True)
class Comparison:
    """One way to compare the cells: the mean loss of each, its difference to the RNN's as (low, high) of the 95% interval
    (pairs of runs of one seed), and the verdict on the claim that the LSTM is better."""

    name: str
    seeds: tuple[int, ...]
    losses: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    verdict: str


def ways_to_compare(results: dict) -> list[Comparison]:
    """The study's settings at the last and the best epoch, and the comparisons that were made of this corpus; none where
    not both cells finished."""
    ways = [way for way in (_of_epoch(results, epoch) for epoch in ("last", "best")) if way]
    for id, name in COMPARISONS.items():
        values = finding_values(results, id)
        if "lstm_minus_rnn" in values and "losses" in values:
            ways.append(_of_comparison(values, name))
    return [way for way in ways if {"rnn", "lstm"} <= way.losses.keys()]


def _of_epoch(results: dict, epoch: str) -> Comparison | None:
    c = results["contrasts"].get(f"losses/{epoch}/lstm-rnn")
    if c is None:
        return None
    intervals = {} if c["low"] is None else {"lstm": (c["low"], c["high"])}
    losses = {"rnn": c["second_mean"], "lstm": c["first_mean"]}
    judged = stats.claim_verdict(c["verdict"], stats.LOWER)
    return Comparison(f"the study's settings, {epoch} epoch", tuple(map(int, c["values"])), losses, intervals, judged)


def _of_comparison(values: dict, name: str) -> Comparison:
    intervals = {}
    # JSON sorts its keys.
    losses = {cell: values["losses"][cell] for cell in cells_in([{"cell": cell} for cell in values["losses"]])}
    for cell in losses:
        against = values.get(f"{cell}_minus_rnn")
        if against and against["low"] is not None:
            intervals[cell] = (against["low"], against["high"])
    verdict = values["lstm_minus_rnn"]["verdict"]
    return Comparison(name, tuple(values["seeds"]), losses, intervals, verdict)


# ---------------------------------------------------------------------------------------------------------------------
# the figure


class Counting(NamedTuple):
    """The best n-gram model: its loss, its order, and the seeds of the splits that it was counted on."""

    loss: float
    order: int
    seeds: tuple[int, ...]


def counting(results: dict) -> Counting | None:
    values = finding_values(results, "against-counting")
    return Counting(values["floor"], values["order"], tuple(values["seeds"])) if "floor" in values else None


@styled
def comparison_figure(results: dict) -> Figure | None:
    """A row for each way: the mean loss of every cell, and how far it may lie from the RNN's. None without a way."""
    ways = ways_to_compare(results)
    if not ways:
        return None
    floor = counting(results)
    wide = _drawing(ways, floor, is_wide=True)
    narrow = _drawing(ways, floor, is_wide=False)
    heard = [f"{way.name}: {_losses_in_words(way)}; {WINNERS.get(way.verdict, way.verdict)}" for way in ways]
    alt = f"Rows of dots, one row a way to compare. {'. '.join(heard)}."
    return finish(
        wide,
        "ways-to-compare",
        _caption(results, ways),
        alt,
        _rows(ways, floor),
        wide=True,
        narrow=as_svg(narrow, "ways-narrow"),
    )


def _drawing(ways: list[Comparison], floor: Counting | None, is_wide: bool) -> Canvas:
    """Names and verdicts stand at the two ends of a row, or above it where there is no room at the sides."""
    size = (WIDE, 0.62 * len(ways) + 1.15) if is_wide else (WIDTH, 0.95 * len(ways) + 1.6)
    canvas = Canvas(figsize=size, layout="constrained")
    ax = canvas.subplots()
    for y, way in enumerate(ways):
        if is_wide:
            _draw_way(ax, way, y, 0.36, floor)
            _name_at_ends(ax, way, y)
        else:
            _draw_way(ax, way, y + 0.16, 0.26, floor)
            _name_above(ax, way, y)
    ax.set_yticks([])
    ax.set_ylim(len(ways) - 0.5, -0.5)
    ax.set_xlabel("validation loss (nats per character), lower is better")
    ax.grid(axis="x")
    for side in ("left", "right", "top"):
        ax.spines[side].set_visible(False)
    legend_below(canvas, _legend(ways, floor), 6 if is_wide else 2)
    return canvas


def _draw_way(ax: Axes, way: Comparison, y: float, half: float, floor: Counting | None) -> None:
    """A row around y, half of it on each side."""
    rnn = way.losses["rnn"]
    ends = [y - half, y + half]
    ax.fill_betweenx(ends, rnn - MARGIN, rnn + MARGIN, color=BAND, lw=0)
    ax.plot([rnn, rnn], ends, color=colour("rnn"), lw=1.2)
    if floor:
        ax.plot([floor.loss] * 2, ends, color=INK, lw=1.8, ls="solid" if floor.seeds == way.seeds else DOTTED)
    for i, (cell, loss) in enumerate(way.losses.items()):
        height = y + 0.66 * half * (i - (len(way.losses) - 1) / 2)  # dots of a row stand apart
        if cell in way.intervals:
            low, high = way.intervals[cell]
            ax.plot([rnn + low, rnn + high], [height] * 2, color=colour(cell), lw=2)
        ax.plot(loss, height, marker(cell), color=colour(cell), mec="white", mew=0.6, ms=8, zorder=3)


def _with_icon(way: Comparison) -> str:
    words = WINNERS.get(way.verdict, way.verdict)
    return f"{verdict_icon(words)} {words}"


def _verdict_style(way: Comparison) -> dict[str, Any]:
    winner = {"confirmed": colour("lstm"), "refuted": colour("rnn")}.get(way.verdict, INK)
    return {"color": winner, "weight": "bold", "va": "center"}


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
    ax.text(0, y - 0.22, _with_icon(way), transform=across, bbox=on_lines, **_verdict_style(way))


def _legend(ways: list[Comparison], floor: Counting | None) -> list[Line2D]:
    cells = list(dict.fromkeys(cell for way in ways for cell in way.losses))
    entries = [legend_entry(cell.upper(), colour(cell), marker=marker(cell), ms=8, lw=2) for cell in cells]
    entries.append(legend_entry(f"RNN ± {MARGIN:g}", BAND, lw=9))
    if floor:
        entries.append(legend_entry(f"counting ({floor.order}-gram)", INK, lw=1.8))
        if any(way.seeds != floor.seeds for way in ways):
            entries.append(legend_entry("the same, other splits", INK, lw=1.8, ls=DOTTED))
    return entries


def _caption(results: dict, ways: list[Comparison]) -> str:
    kinds = len({way.verdict for way in ways})
    said = f"{counted(len(ways), 'way')} to compare, {counted(kinds, 'verdict')}."
    bars = "Bars: 95% interval of the difference from the RNN, seed by seed."
    return f"{said} {bars} {diverged_note(results['runs'])}"


def _losses_in_words(way: Comparison) -> str:
    return ", ".join(f"{cell.upper()} {loss:.4f}" for cell, loss in way.losses.items())


def _rows(ways: list[Comparison], floor: Counting | None) -> list[dict]:
    rows: list[dict] = []
    for way in ways:
        for cell, loss in way.losses.items():
            low, high = way.intervals.get(cell, (None, None))
            about = {"way": way.name, "seeds": len(way.seeds), "cell": cell, "val_loss": loss}
            rows.append(about | {"minus_rnn_low": low, "minus_rnn_high": high, "verdict": way.verdict})
    if floor:
        rows.append(
            {"way": "counting", "seeds": len(floor.seeds), "cell": f"{floor.order}-gram", "val_loss": floor.loss}
        )
    return rows
