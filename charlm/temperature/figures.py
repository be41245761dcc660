"""Figures of temperature: the distribution, the measures, the distance from real text, quality and diversity."""

import unicodedata
from collections.abc import Sequence
from functools import cache

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from charlm.drawing import ACCENT, DASHED, FAINT, GREY, INK, LEVEL, STYLE, WIDTH, finish, panels, styled
from charlm.records import counted
from charlm.show import Figure, escape_markdown
from charlm.temperature import measures
from charlm.temperature.measures import DIVERSITY, Closest, Measured
from charlm.temperature.texts import REAL, SHUFFLED
from charlm.text import entropy

# ---------------------------------------------------------------------------------------------------------------------
# the distribution


@cache
def _font() -> FT2Font:
    return font_manager.get_font(font_manager.findfont(STYLE["font.family"]))


def name_character(c: str) -> str:
    """The character itself where it can be seen and drawn, else its name (space, newline, tab) or code point."""
    names = {" ": "space", "\n": "newline", "\t": "tab"}
    if c in names:
        return names[c]
    # Letters, numbers, punctuation and symbols show; marks alone, controls and other spaces do not.
    shows = unicodedata.category(c)[0] in "LNPS" and _font().get_char_index(ord(c))
    return c if shows else f"U+{ord(c):04X}"


@styled
def temperature_distribution(vocab: str, probabilities: dict[float, np.ndarray], context: str) -> Figure:
    """How the next-character distribution changes with temperature. probabilities: {temperature: (vocabulary,)}, all
    after the text context. Shown are the 15 most probable characters (at the temperature nearest to 1, which orders
    them as any other does) and the rest as one bar.
    """
    temperatures = sorted(probabilities)
    p = {t: np.asarray(probabilities[t], dtype=np.float64) for t in temperatures}
    order = np.argsort(-p[min(temperatures, key=lambda t: abs(t - 1))], kind="stable")
    top, others = order[:15], order[15:]
    canvas, axes = panels(len(temperatures), 0.85, sharex=True, sharey=True)
    canvas.set_figheight(0.85 * len(temperatures) + 0.8)
    x = np.arange(len(top))
    for ax, t in zip(axes, temperatures, strict=True):
        ax.bar(x, p[t][top], color=ACCENT, width=0.75)
        ax.bar(len(x) + 0.5, p[t][others].sum(), color=FAINT, width=0.75)
        ax.set_ylim(0, 1)
        ax.set_yticks([0, 0.5, 1], ["0", "", "1"])
        ax.grid(axis="y")
        ax.tick_params(axis="x", length=0)
        # Not at the right edge, where the bar of the rest may be high.
        where = {"x": len(x) - 0.6, "y": 0.94, "transform": ax.get_xaxis_transform(), "ha": "right", "va": "top"}
        ax.text(s=f"T = {t:g}, entropy {entropy(p[t]):.2f} nats", **where)
    names = [name_character(vocab[i]) for i in top]
    if len(others):
        axes[-1].set_xticks([*x, len(x) + 0.5], [*names, counted(len(others), "other")])
    else:
        axes[-1].set_xticks(x, names)
        axes[-1].set_xlim(-0.6, len(x) - 0.4)
    for tick in axes[-1].get_xticklabels():
        tick.set_rotation(90 if len(tick.get_text()) > 1 else 0)
    canvas.supylabel("probability", fontsize=10)

    ends = [temperatures[0], temperatures[-1]][: len(temperatures)]
    said = "; ".join(
        f"at T = {t:g} the most probable character, {name_character(vocab[int(p[t].argmax())])}, has "
        f"{p[t].max():.3f} and the entropy is {entropy(p[t]):.2f} nats"
        for t in ends
    )
    caption = f"The next character after {escape_markdown(repr(context[-20:]))}: {escape_markdown(said)}."
    alt = f"Bar charts of {counted(len(vocab), 'character')}, one a temperature: {said}."
    rows = [
        {"temperature": t, "character": vocab[i], "probability": float(p[t][i])} for t in temperatures for i in order
    ]
    return finish(canvas, "temperature-distribution", caption, alt, rows)


# ---------------------------------------------------------------------------------------------------------------------
# the text

SHOWN = {  # panels of temperature_curves: title, and how its numbers are written
    "entropy": ("entropy and loss (nats)", "{:.2f}"),
    "words": ("real words", "{:.1%}"),
    "judge": ("judge's loss (nats)", "{:.2f}"),
    "distinct": ("distinct sequences", "{:.1%}"),
    "copied": ("longest copy (characters)", "{:.1f}"),
    "headings": ("speaker headings", "{:.1%}"),
}


def temperature_axis(ax: Axes, temperatures: Sequence[float]) -> None:
    """A logarithmic axis with plain numbers on it."""
    least, most = min(temperatures), max(temperatures)
    ax.set_xscale("log")
    ticks = [m * 10.0**e for e in range(-3, 4) for m in (1, 2, 5) if least <= m * 10.0**e <= most] or [least]
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    ax.minorticks_off()


def draw_band(ax: Axes, x: Sequence[float], rows: list[dict], name: str, c: str, **line: object) -> None:
    """A measure over x with its interval; a number that is missing leaves a gap."""
    mean, low, high = (np.array([r[f"{name}{end}"] for r in rows], dtype=float) for end in ("", "_low", "_high"))
    ax.fill_between(x, low, high, color=c, alpha=0.22, lw=0)
    ax.plot(x, mean, color=c, **{"lw": 1.8, "marker": "o", "ms": 3} | line)


@styled
def temperature_curves(rows: list[dict], measured: Measured) -> Figure:
    """Every measure against temperature, a panel each, with the level of real text as a band. rows and measured are
    those of charlm.temperature.measures. A measure that real text has no value of is left out.
    """
    real, shuffled = (measures.values_of_way(measured, way) for way in (REAL, SHUFFLED))
    names = [name for name in SHOWN if name == "entropy" or real[name] is not None]
    height = (len(names) + 1) // 2
    canvas = Canvas(figsize=(WIDTH, 1.75 * height + 0.5), layout="constrained")
    grid = canvas.subplots(height, 2, squeeze=False, sharex=True)
    t = [r["temperature"] for r in rows]
    said = []
    for ax, name in zip(grid.flat, names, strict=False):
        title, form = SHOWN[name]
        ax.set_title(title, fontsize=9)
        ax.grid()
        draw_band(ax, t, rows, name, ACCENT)
        if name == "entropy":
            draw_band(ax, t, rows, "loss", INK, ls=DASHED, marker=None)
            for line, c, beside in (("loss", INK, (9, -2)), ("entropy", ACCENT, (0, 8))):
                ax.annotate(line, (t[0], rows[0][line]), xytext=beside, textcoords="offset points", color=c, fontsize=9)
        else:
            band = real[f"{name}_low"], real[f"{name}_high"]
            if None not in band:
                ax.axhspan(*band, color=LEVEL, alpha=0.25, lw=0)
            ax.axhline(real[name], color=LEVEL, lw=1.4)
            if shuffled[name] is not None:
                ax.axhline(shuffled[name], color=GREY, lw=1.2, ls=(0, (1, 1.5)))
        share = form.endswith("%}")
        ax.set_ylim(*((-0.04, 1.04) if share else (0, None)))
        if share:
            ax.set_yticks([0, 0.5, 1], ["0", "50%", "100%"])
        known = [(r["temperature"], form.format(r[name])) for r in rows if r[name] is not None]
        ends = " and ".join(f"{number} at T = {at:g}" for at, number in [*known[:1], *known[1:][-1:]])
        level = "" if name == "entropy" else f", {form.format(real[name])} in real text"
        said.append(f"{title.removesuffix(' and loss (nats)')}: {ends or 'no drawn text has any'}{level}")
    temperature_axis(grid[0, 0], t)
    for ax in grid.flat[len(names) :]:
        ax.set_visible(False)
    for ax in (grid[-1, 0], grid.flat[len(names) - 1]):
        ax.set_xlabel("temperature T")
        ax.tick_params(labelbottom=True)
    key = [
        Line2D([], [], color=ACCENT, marker="o", ms=3, lw=1.8, label="drawn text"),
        Line2D([], [], color=LEVEL, lw=1.4, label="real text"),
        Line2D([], [], color=GREY, lw=1.2, ls=(0, (1, 1.5)), label="real text, shuffled"),
    ]
    canvas.legend(handles=key, loc="outside lower center", ncols=3)
    finding = "; ".join(said)
    caption = (
        f"Measures over temperature (logarithmic), shaded with their 95% intervals. {finding[:1].upper()}{finding[1:]}."
    )
    levels = [{"temperature": None, "text": name} | v for name, v in (("real", real), ("shuffled", shuffled))]
    data = [{"text": "drawn"} | r for r in rows] + levels
    return finish(canvas, "temperature-curves", caption, f"Line charts over temperature. {finding}.", data)


@styled
def temperature_distance(near: Closest | None) -> Figure:
    """The distance of drawn text from real text over temperature, and where it may be smallest."""
    canvas, (ax,) = panels(1, 2.8)
    if near is None:
        ax.text(0.5, 0.5, "no measure of text could be taken", transform=ax.transAxes, ha="center")
        said = "No measure of text could be taken."
        return finish(canvas, "temperature-distance", said, said, [])
    ax.axvspan(near.low / 1.04, near.high * 1.04, color=LEVEL, alpha=0.25, lw=0)
    ax.plot(near.distance.keys(), near.distance.values(), "o-", color=ACCENT, lw=2, ms=4)
    ax.plot(near.best, near.distance[near.best], "D", color=ACCENT, mec="white", mew=0.8, ms=9, zorder=3)
    ax.axhline(near.shuffled, color=GREY, lw=1.2, ls=(0, (1, 1.5)))
    where = {"xytext": (-2, -4), "textcoords": "offset points", "ha": "left", "va": "top"}
    ax.annotate("real text, shuffled", (min(near.distance), near.shuffled), color=GREY, **where)
    temperature_axis(ax, list(near.distance))
    if min(near.shuffled, *near.distance.values()) > 0:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
    ax.grid()
    ax.set_xlabel("temperature T (logarithmic)")
    ax.set_title("distance from real text (logarithmic)")
    reach = f"{near.low:g}" if near.low == near.high else f"{near.low:g} to {near.high:g}"
    said = (
        f"Drawn text is closest to real text at T = {near.best:g} (distance {near.distance[near.best]:.2f}; 95% interval of "
        f"this temperature {reach}, shaded)"
    )
    caption = f"{said}. The mean squared difference in {counted(len(near.names), 'measure')}, in standard deviations."
    data = [{"temperature": t, "distance": d} for t, d in near.distance.items()]
    data.append({"temperature": None, "distance": near.shuffled})
    return finish(canvas, "temperature-distance", caption, f"A line over temperature. {said}.", data)


WAYS = {"T": (ACCENT, "o", "temperature"), "top-k": (INK, "s", "top-k at T = 1")}
WAYS |= {"top-p": ("#C2185B", "^", "top-p at T = 1")}


@styled
def quality_diversity(measured: Measured) -> Figure:
    """Quality against diversity for temperature, top-k and top-p, with real text as a point. Temperatures above 2, where
    diversity stands still, are left out.
    """
    x_name, qualities = DIVERSITY, ("words", "judge")
    canvas, axes = panels(2, 2.75, sharex=True)
    data, sights = [], []
    for ax, name in zip(axes, qualities, strict=True):
        title, form = SHOWN[name]
        ax.set_title(title)
        ax.grid()
        for kind, (c, mark, _) in WAYS.items():
            settings = [v for v in measured.values(kind) if kind != "T" or v <= 2]
            points = [(v, measured.value((kind, v), x_name), measured.value((kind, v), name)) for v in settings]
            points = [p for p in points if None not in p]
            ax.plot([x for _, x, _ in points], [y for *_, y in points], f"{mark}-", color=c, lw=1.6, ms=4.5)
            data += [{"way": kind, "setting": v, x_name: x, "quality": name, "value": y} for v, x, y in points]
            for v, x, y in points:
                if kind == "T" and v in (0.2, 0.5, 1.0, 2.0):
                    up = name == "words"  # the outer side of the curve
                    where = {
                        "xytext": (3, 4 if up else -5),
                        "textcoords": "offset points",
                        "va": "bottom" if up else "top",
                    }
                    ax.annotate(f"T = {v:g}", (x, y), color=c, fontsize=9, **where)
        ax.margins(x=0.1, y=0.12)
        x, y = measured.value(REAL, x_name), measured.value(REAL, name)
        if None not in (x, y):
            ends = [measured.interval(REAL, m) or (v, v) for m, v in ((x_name, x), (name, y))]
            ax.plot(ends[0], [y, y], color=LEVEL, lw=2, zorder=4)
            ax.plot([x, x], ends[1], color=LEVEL, lw=2, zorder=4)
            ax.plot(x, y, "*", color=LEVEL, ms=13, mec="white", mew=0.8, zorder=5)
            data.append({"way": "real", "setting": None, x_name: x, "quality": name, "value": y})
            sights.append(f"{title} {form.format(y)}")
        if form.endswith("%}"):
            ax.yaxis.set_major_formatter(PercentFormatter(1, 0))
    axes[-1].set_xlabel(f"{SHOWN[x_name][0]} (diversity)")
    axes[-1].xaxis.set_major_formatter(PercentFormatter(1, 0))
    key = [Line2D([], [], color=c, marker=m, ms=4.5, lw=1.6, label=label) for c, m, label in WAYS.values()]
    key.append(Line2D([], [], color=LEVEL, marker="*", ms=11, ls="", label="real text"))
    canvas.legend(handles=key, loc="outside lower center", ncols=4, columnspacing=1.0, handlelength=1.5)
    level = measured.value(REAL, x_name)
    said = f"Real text: {', '.join(sights)} at {level:.1%} diversity. " if sights and level is not None else ""
    caption = f"Quality against diversity, the share of sequences that repeat nothing. {said}"
    alt = f"Three curves of quality over diversity. {said}"
    return finish(canvas, "quality-diversity", caption, alt, data)
