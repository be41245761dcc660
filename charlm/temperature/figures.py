"""Figures of temperature: the distribution, the measures, the distance from real text, quality and diversity."""

import unicodedata

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, PercentFormatter

from charlm.drawing import (
    ACCENT,
    DASHED,
    DOTTED,
    FAINT,
    GREY,
    INK,
    LEVEL,
    Dashes,
    drawn_twice,
    finish,
    label_point,
    legend_below,
    legend_entry,
    name_axes,
    on_phone,
    panels,
)
from charlm.records import counted, span
from charlm.show import Figure, escape_markdown, show_value
from charlm.temperature import measures
from charlm.temperature.measures import DIVERSITY, Closest, Measured
from charlm.temperature.texts import REAL, SHUFFLED
from charlm.text import entropy

# ---------------------------------------------------------------------------------------------------------------------
# the distribution


def name_character(c: str) -> str:
    """The character itself where it can be seen, else its name (space, newline, tab) or code point."""
    names = {" ": "space", "\n": "newline", "\t": "tab"}
    if c in names:
        return names[c]
    # Letters, numbers, punctuation and symbols show; marks alone, controls and other spaces do not.
    return c if unicodedata.category(c)[0] in "LNPS" else f"U+{ord(c):04X}"


LEAST_SHOWN = 0.001  # probability


@drawn_twice
def temperature_distribution(vocab: str, probabilities: dict[float, np.ndarray], context: str) -> Figure:
    """How the next-character distribution changes with temperature. probabilities: {temperature: (vocabulary,)}, all
    after the text context. Shown are the 15 most probable characters, whose order no temperature changes, and the rest as one
    dot. The axis is logarithmic: on it all are seen at any temperature, and their distances are divided by it.
    """
    temperatures = sorted(probabilities)
    order = np.argsort(-probabilities[temperatures[-1]], kind="stable")  # where none is rounded to zero
    top, others = order[:15], order[15:]
    canvas, axes = panels(len(temperatures), 1.0 if on_phone() else 1.9, sharex=True, sharey=True)
    x = np.arange(len(top))
    said, rows = [], []
    for ax, t in zip(axes, temperatures, strict=True):
        p = probabilities[t]
        ax.plot(x, p[top], "o-", color=ACCENT, ms=4, lw=1)
        ax.plot(len(x) + 0.5, p[others].sum(), "o", color=FAINT, ms=4)
        ax.set_yscale("log")
        ax.set_ylim(LEAST_SHOWN, 1)
        ax.set_yticks([0.01, 0.1, 1], ["0.01", "", "1"])
        ax.minorticks_off()
        ax.grid(axis="y")
        ax.tick_params(axis="x", length=0)
        ax.set_title(f"T = {t:g}: entropy {entropy(p):.2f} nats")
        said.append(f"{p.max():.3f} and {entropy(p):.2f} nats at T = {t:g}")
        rows += [{"temperature": t, "character": vocab[i], "probability": float(p[i])} for i in order]
    names = [name_character(vocab[i]) for i in top]
    axes[-1].set_xticks([*x, len(x) + 0.5], [*names, counted(len(others), "other")])
    for ax in axes:
        for tick in ax.get_xticklabels():
            tick.set_rotation(90 if len(tick.get_text()) > 1 else 0)
    canvas.supylabel("probability", fontsize=10)
    after = escape_markdown(repr(context[-20:]))
    caption = (
        f"The next character after {after}: its probability (logarithmic, from {LEAST_SHOWN:g}) and entropy, by "
        "temperature."
    )
    alt = (
        f"Dots of {counted(len(vocab), 'character')}, one a temperature. The probability of the likeliest, {names[0]}, "
        f"and the entropy: {'; '.join(said)}."
    )
    return finish(canvas, "temperature-distribution", caption, alt, rows)


# ---------------------------------------------------------------------------------------------------------------------
# the text

SHOWN = {  # panels of temperature_curves: title, and how its numbers are written
    "entropy": ("entropy, loss (nats)", "{:.2f}"),
    "words": ("real words", "{:.1%}"),
    "judge": ("judge's loss (nats)", "{:.2f}"),
    "distinct": ("distinct sequences", "{:.1%}"),
    "copied": ("longest copy (chars)", "{:.1f}"),
    "headings": ("speaker headings", "{:.1%}"),
}


def temperature_axis(ax: Axes) -> None:
    """A logarithmic axis with plain numbers on it."""
    ax.set_xscale("log")
    ticks = (0.1, 0.5, 1, 2, 10)
    ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()


def draw_band(ax: Axes, rows: list[dict], name: str, c: str, ls: Dashes = "solid", marker: str | None = "o") -> None:
    """A measure over temperature with its interval; a number that is missing leaves a gap."""
    frame = pd.DataFrame(rows, dtype=float)  # None becomes NaN
    temperatures = frame["temperature"]
    ax.fill_between(temperatures, frame[f"{name}_low"], frame[f"{name}_high"], color=c, alpha=0.22, lw=0)
    ax.plot(temperatures, frame[name], color=c, lw=1.8, ls=ls, marker=marker, ms=3)


def _draw_levels(ax: Axes, name: str, real: dict, shuffled: dict) -> None:
    """A measure of real text with its interval, and of its shuffled characters."""
    low, high = real[f"{name}_low"], real[f"{name}_high"]
    if low is not None and high is not None:
        ax.axhspan(low, high, color=LEVEL, alpha=0.25, lw=0)
    ax.axhline(real[name], color=LEVEL, lw=1.4)
    if shuffled[name] is not None:
        ax.axhline(shuffled[name], color=GREY, lw=1.2, ls=DOTTED)


@drawn_twice
def temperature_curves(rows: list[dict], measured: Measured) -> Figure:
    """Every measure against temperature, a panel each, with the level of real text as a band. rows and measured are
    those of charlm.temperature.measures. A measure that real text has no value of is left out.
    """
    real = measures.values_of_way(measured, REAL)
    shuffled = measures.values_of_way(measured, SHUFFLED)
    names = [name for name in SHOWN if name == "entropy" or real[name] is not None]
    canvas, axes = panels(len(names), 2.1, sharex=True)
    coldest, hottest = rows[0], rows[-1]
    said = []
    for ax, name in zip(axes, names, strict=True):
        title, form = SHOWN[name]
        ax.set_title(title)
        ax.grid()
        draw_band(ax, rows, name, ACCENT)
        ends = " and ".join(f"{show_value(r[name], form)} at T = {r['temperature']:g}" for r in (coldest, hottest))
        if name == "entropy":
            draw_band(ax, rows, "loss", INK, ls=DASHED, marker=None)
            label_point(ax, "loss", (coldest["temperature"], coldest["loss"]), (9, -2), INK)
            label_point(ax, "entropy", (hottest["temperature"], hottest["entropy"]), (0, 6), ACCENT, ha="right")
            said.append(f"entropy: {ends}")
        else:
            _draw_levels(ax, name, real, shuffled)
            said.append(f"{title}: {ends}, {form.format(real[name])} in real text")
        if form.endswith("%}"):
            ax.set_ylim(-0.04, 1.04)
            ax.set_yticks([0, 0.5, 1], ["0", "50%", "100%"])
        else:
            ax.set_ylim(0, None)
    temperature_axis(axes[0])
    name_axes(canvas, "temperature T", "")
    entries = [
        legend_entry("drawn text", ACCENT, marker="o", ms=3, lw=1.8),
        legend_entry("real text", LEVEL, lw=1.4),
        legend_entry("real text, shuffled", GREY, lw=1.2, ls=DOTTED),
    ]
    legend_below(canvas, entries)
    finding = "; ".join(said)
    caption = "Measures over temperature (logarithmic axis), shaded with their 95% intervals; real text as a level."
    data = [{"text": "drawn"} | r for r in rows]
    data.append({"temperature": None, "text": "real"} | real)
    data.append({"temperature": None, "text": "shuffled"} | shuffled)
    return finish(canvas, "temperature-curves", caption, f"Line charts over temperature. {finding}.", data)


@drawn_twice
def temperature_distance(near: Closest | None) -> Figure | None:
    """The distance of drawn text from real text over temperature, and where it may be smallest. None where no measure of text
    could be taken."""
    if near is None:
        return None
    canvas, (ax,) = panels(1, 2.4)
    ax.axvspan(near.low / 1.04, near.high * 1.04, color=LEVEL, alpha=0.25, lw=0)
    ax.plot(list(near.distance), list(near.distance.values()), "o-", color=ACCENT, lw=2, ms=4)
    ax.plot(near.best, near.distance[near.best], "D", color=ACCENT, mec="white", mew=0.8, ms=9, zorder=3)
    ax.axhline(near.shuffled, color=GREY, lw=1.2, ls=DOTTED)
    temperature_axis(ax)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))  # some number stands there, however short the axis
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.grid()
    ax.set_xlabel("temperature T (logarithmic)")
    ax.set_title("distance from real text (sd, logarithmic)")
    entries = [
        legend_entry("drawn text", ACCENT, marker="o", ms=4, lw=2),
        legend_entry("real text, shuffled", GREY, lw=1.2, ls=DOTTED),
    ]
    legend_below(canvas, entries)
    reach = span([near.low, near.high])
    said = f"Smallest at T = {near.best:g} (in 95% of resamples of the texts {reach}, shaded)"
    caption = f"{said}. Distance: root mean square of the measures, in standard deviations."
    data: list[dict] = [{"temperature": t, "distance": d} for t, d in near.distance.items()]
    data.append({"temperature": None, "distance": near.shuffled})
    return finish(
        canvas, "temperature-distance", caption, f"The distance from real text over temperature. {said}.", data
    )


WAYS = {  # colour, marker, and the name in the legend
    "T": (ACCENT, "o", "temperature"),
    "top-k": (INK, "s", "top-k at T = 1"),
    "top-p": ("#C2185B", "^", "top-p at T = 1"),
}


def _quality_rows(measured: Measured, kind: str, name: str) -> list[dict]:
    """A row for every setting of a way of drawing where diversity and quality are both known."""
    rows = []
    for setting in measured.values(kind):
        diversity, value = (measured.value((kind, setting), each) for each in (DIVERSITY, name))
        if diversity is not None and value is not None and not (kind == "T" and setting > 2):
            rows.append({"way": kind, "setting": setting, DIVERSITY: diversity, "quality": name, "value": value})
    return rows


def _label_temperatures(ax: Axes, rows: list[dict], c: str, beside: tuple[float, float], va: str) -> None:
    for row in rows:
        if row["setting"] in (0.2, 0.5, 1.0, 2.0):
            label_point(ax, f"T = {row['setting']:g}", (row[DIVERSITY], row["value"]), beside, c, va=va)


def _draw_real(ax: Axes, real: dict, name: str) -> None:
    """Real text as a star, with the intervals of both measures as a cross."""
    x, y = real[DIVERSITY], real[name]
    ax.plot([real[f"{DIVERSITY}_low"], x, real[f"{DIVERSITY}_high"]], [y, y, y], color=LEVEL, lw=2, zorder=4)
    ax.plot([x, x, x], [real[f"{name}_low"], y, real[f"{name}_high"]], color=LEVEL, lw=2, zorder=4)
    ax.plot(x, y, "*", color=LEVEL, ms=13, mec="white", mew=0.8, zorder=5)


@drawn_twice
def quality_diversity(measured: Measured) -> Figure:
    """Quality against diversity for temperature, top-k and top-p, with real text as a point. Temperatures above 2, where
    diversity stands still, are left out.
    """
    canvas, axes = panels(2, 2.75, sharex=True)
    data, sights = [], []
    real = measures.values_of_way(measured, REAL)
    sides = {"words": ((3, 4), "bottom"), "judge": ((3, -5), "top")}  # the outer side of each curve
    for ax, (name, side) in zip(axes, sides.items(), strict=True):
        title, form = SHOWN[name]
        ax.set_title(title)
        ax.grid()
        for kind, (c, mark, _) in WAYS.items():
            rows = _quality_rows(measured, kind, name)
            diversities = [row[DIVERSITY] for row in rows]
            ax.plot(diversities, [row["value"] for row in rows], f"{mark}-", color=c, lw=1.6, ms=4.5)
            data += rows
            if kind == "T":
                _label_temperatures(ax, rows, c, *side)
        ax.margins(x=0.1, y=0.12)
        if real[DIVERSITY] is not None and real[name] is not None:
            _draw_real(ax, real, name)
            star = {"way": "real", "setting": None, DIVERSITY: real[DIVERSITY], "quality": name, "value": real[name]}
            data.append(star)
            sights.append(f"{title} {form.format(real[name])}")
        if form.endswith("%}"):
            ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    name_axes(canvas, f"{SHOWN[DIVERSITY][0]} (diversity)", "")
    axes[-1].xaxis.set_major_formatter(PercentFormatter(1, 0))
    entries = [legend_entry(label, c, marker=mark, ms=4.5, lw=1.6) for c, mark, label in WAYS.values()]
    entries.append(legend_entry("real text", LEVEL, marker="*", ms=11, ls=""))
    legend_below(canvas, entries)
    said = f"Real text: {', '.join(sights)} at {real[DIVERSITY]:.1%} diversity. " if sights else ""
    caption = "Quality against diversity, the share of sequences that repeat nothing."
    alt = f"Three curves of quality over diversity. {said}"
    return finish(canvas, "quality-diversity", caption, alt, data)
