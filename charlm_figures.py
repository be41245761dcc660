"""The figures: one style, one function a figure, each giving the drawing, a caption with the finding, a text that
says what is seen, and the rows of numbers behind it. All sentences are computed from the data.

A figure is 5.2 inches wide with letters of 10 points, so that it can be read on a phone: panels stand below each
other. Nothing here touches pyplot or global state, and the same numbers give the same bytes.
"""

import io
import math
import textwrap
import unicodedata
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from matplotlib import font_manager, rc_context, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

import charlm_comparison as comparison
import charlm_gradients as gradients
import charlm_meaning as meaning
import charlm_study as study
import charlm_temperature as temperature
from charlm_show import Figure, escape_markdown
from charlm_study import Records
from charlm_temperature import Closest, Measured
from charlm_text import entropy

# ---------------------------------------------------------------------------------------------------------------------
# style

WIDTH = 5.2  # inches
INK, GREY, FAINT, ACCENT = "#222222", "#5A5A5A", "#B5B5B5", "#6A3D9A"
# Apart for colour-blind readers too, and dark enough on white to set text in.
COLOURS = {"rnn": "#BF4900", "lstm": "#0068A8", "gru": "#007A5A"}
LEVEL = COLOURS["gru"]  # of real text
MARKERS = {"rnn": "o", "lstm": "s", "gru": "^"}
DASHED = (0, (3, 1.5))

STYLE = {
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so every machine has the same letters
    "font.size": 10,
    "text.parse_math": False,  # a corpus may well have dollar signs in it
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.fonttype": "path",
}
styled = style.context(["default", STYLE])  # from the defaults: a reader's own settings change no figure


def colour(cell: str) -> str:
    return COLOURS.get(cell, INK)


def panels(n: int, height: float, **kwargs: bool) -> tuple[Canvas, list[Axes]]:
    """A canvas with n axes below each other, each so many inches high."""
    canvas = Canvas(figsize=(WIDTH, n * height), layout="constrained")
    return canvas, list(canvas.subplots(n, 1, squeeze=False, **kwargs)[:, 0])


def finish(canvas: Canvas, id: str, caption: str, alt: str, rows: list[dict]) -> Figure:
    """Draw to SVG, and to PNG at twice the pixels of a plain screen."""
    svg, png = io.StringIO(), io.BytesIO()
    with rc_context({"svg.hashsalt": id}):  # without it the ids inside are random
        canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    canvas.savefig(png, format="png", dpi=192, metadata={"Software": None})
    return Figure(id, svg.getvalue(), png.getvalue(), caption.strip(), alt.strip(), rows)


def span(values: Sequence[int]) -> str:
    """'28' or '28 to 31'."""
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def signed(number: float) -> str:
    """Four digits with a sign, a real minus."""
    return f"{number:+.4f}".replace("-", "−")


# ---------------------------------------------------------------------------------------------------------------------
# training


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
    best = study.seed_estimate(records, "val_loss_best").mean
    apart = study.seed_estimate(records, study.gap).mean
    crossings = [e for e in map(study.crossing_epoch, records) if e]
    some = "" if len(crossings) == len(records) else f", in {len(crossings)} of {len(records)} runs"
    return (
        f"{name}, {study.count(len(records), 'seed')}: validation loss is lowest at epoch "
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
    study.check_alike(records)
    done = {c: study.finished(study.of(records, c)) for c in study.cells(records)}
    canvas, axes = panels(len(done), 3.2 if len(done) == 1 else 2.5, sharex=True, sharey=True)
    for ax, (cell, runs) in zip(axes, done.items(), strict=True):
        ax.set_title(f"{cell.upper()}, {study.count(len(runs), 'seed')}", color=colour(cell))
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
        f"{caption} {study.diverged_note(records)}",
        alt,
        [row for runs in done.values() for row in curve_rows(runs)],
    )


@styled
def overfitting(base: Records, large: Records) -> Figure | None:
    """Loss curves of two configurations, the base in the cell's colour and the larger in black, a panel a cell. None
    without runs of both.
    """
    if not base or not large:
        return None
    shown = study.cells([*base, *large])
    canvas, axes = panels(len(shown), 2.6, sharex=True, sharey=True)
    findings, sights, rows = [], [], []
    for ax, cell in zip(axes, shown, strict=True):
        for records, c, side in ((base, colour(cell), "left"), (large, INK, "right")):
            runs = study.finished(study.of(records, cell))
            name = f"{cell.upper()} {study.configuration(records[0])}"
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
    caption += f"{' '.join(findings)} {study.diverged_note([*base, *large])}"
    return finish(canvas, "overfitting", caption, "Loss by epoch. " + " ".join(sights), rows)


# ---------------------------------------------------------------------------------------------------------------------
# comparison

EPOCHS = {"last": "last epoch", "best": "best epoch"}


def draw_seeds(ax: Axes, cell: str, e: study.Estimate, at: float, beside: float) -> None:
    """A cell's value of every seed, and beside them their mean with its interval."""
    c = colour(cell)
    ax.plot([at] * e.n, e.values.values(), MARKERS.get(cell, "v"), color=c, ms=6, mec="white", mew=0.6, zorder=3)
    ax.plot(beside, e.mean, "D", color=c, ms=5)
    if e.interval:
        ax.plot([beside] * 2, e.interval, color=c, lw=2)


def seeds_and_mean() -> list[Line2D]:
    """What the marks of draw_seeds are, for a legend."""
    return [
        Line2D([], [], color=GREY, marker="o", ls="", label="one seed"),
        Line2D([], [], color=GREY, marker="D", ms=5, lw=2, label="mean, 95%"),
    ]


@styled
def loss_comparison(records: Records) -> Figure:
    """Validation loss of every seed at the last and the best epoch, lines between runs of one seed."""
    study.check_alike(records)
    done = study.finished(records)
    shown, known = study.cells(done), study.published(records)
    canvas = Canvas(figsize=(WIDTH, 3.8), layout="constrained")
    axes = canvas.subplots(1, 2, sharey=True)
    rows, means = [], []
    for ax, (epoch, title) in zip(axes, EPOCHS.items(), strict=True):
        found = {c: study.seed_estimate(study.of(done, c), f"val_loss_{epoch}") for c in shown}
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
    caption = f"Validation loss of every run; lines join the runs of one seed. {said} {study.diverged_note(records)}"
    return finish(canvas, "loss-comparison", caption, f"Dots for the validation loss of each run. {said}", rows)


@styled
def paired_difference(records: Records) -> Figure:
    """LSTM minus RNN in validation loss: each seed, the mean with its interval, and what is too little to matter."""
    canvas, (ax,) = panels(1, 2.7)
    ax.axvspan(-study.MARGIN, study.MARGIN, color="#ECECEC", lw=0)
    ax.axvline(0, color=INK, lw=1)
    rows, sights, reach = [], [], [1.6 * study.MARGIN]
    for y, (epoch, title) in enumerate(EPOCHS.items()):
        e = study.lstm_minus_rnn(records, epoch)
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
        (0.5, "center", f"within ±{study.MARGIN:g}", GREY),
        (1, "right", "RNN lower →", colour("rnn")),
    ):
        ax.text(x, 1.03, text, transform=ax.transAxes, ha=side, color=c)
    findings = " ".join(study.rnn_or_lstm(records, epoch).filled for epoch in EPOCHS)
    caption = "LSTM minus RNN in validation loss, within each seed (dots), and the mean with its 95% interval (bar). "
    caption += f"{findings} {study.diverged_note(records)}"
    alt = f"Dots left and right of zero. {'. '.join(sights)}." if sights else "No seed finished in both cells."
    return finish(canvas, "paired-difference", caption, alt, rows)


# ---------------------------------------------------------------------------------------------------------------------
# temperature


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
        axes[-1].set_xticks([*x, len(x) + 0.5], [*names, study.count(len(others), "other")])
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
    alt = f"Bar charts of {study.count(len(vocab), 'character')}, one a temperature: {said}."
    rows = [
        {"temperature": t, "character": vocab[i], "probability": float(p[t][i])} for t in temperatures for i in order
    ]
    return finish(canvas, "temperature-distribution", caption, alt, rows)


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
    those of charlm_temperature. A measure that real text has no value of is left out.
    """
    real, shuffled = (temperature.values(measured, way) for way in (temperature.REAL, temperature.SHUFFLED))
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
    caption = (
        f"{said}. The mean squared difference in {study.count(len(near.names), 'measure')}, in standard deviations."
    )
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
    x_name, qualities = temperature.DIVERSITY, ("words", "judge")
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
        x, y = measured.value(temperature.REAL, x_name), measured.value(temperature.REAL, name)
        if None not in (x, y):
            ends = [measured.interval(temperature.REAL, m) or (v, v) for m, v in ((x_name, x), (name, y))]
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
    level = measured.value(temperature.REAL, x_name)
    said = f"Real text: {', '.join(sights)} at {level:.1%} diversity. " if sights and level is not None else ""
    caption = f"Quality against diversity, the share of sequences that repeat nothing. {said}"
    alt = f"Three curves of quality over diversity. {said}"
    return finish(canvas, "quality-diversity", caption, alt, data)


# ---------------------------------------------------------------------------------------------------------------------
# the fair comparison


@styled
def cells_compared(groups: dict[str, Records]) -> Figure | None:
    """Best validation loss of every run, a panel for each group of records: {title: records}. None without records."""
    groups = {title: records for title, records in groups.items() if study.finished(records)}
    if not groups:
        return None
    canvas = Canvas(figsize=(WIDTH, 3.6), layout="constrained")
    axes = canvas.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    rows, said, notes = [], [], []
    for ax, (title, records) in zip(axes, groups.items(), strict=True):
        shown = study.cells(study.finished(records))
        for i, cell in enumerate(shown):
            e = study.seed_estimate(study.of(records, cell), "val_loss_best")
            draw_seeds(ax, cell, e, i, i + 0.27)
            rows += [{"group": title, "cell": cell, "seed": s, "val_loss": v} for s, v in e.values.items()]
            said.append(f"{cell.upper()} {e.mean:.4f} ({title})")
        ax.set_title(textwrap.fill(title, 17), fontsize=9)
        ax.grid(axis="y")
        ax.set_xlim(-0.5, len(shown) - 0.2)
        ax.set_xticks(range(len(shown)), [cell.upper() for cell in shown])
        for tick, cell in zip(ax.get_xticklabels(), shown, strict=True):
            tick.set_color(colour(cell))
        notes.append(study.diverged_note(records))
    axes[0].set_ylabel("best validation loss\n(nats per character)")
    canvas.legend(handles=seeds_and_mean(), loc="outside lower center", ncols=2)
    found = f"Mean over seeds: {'; '.join(said)}."
    caption = " ".join(["Validation loss of every run at its best epoch.", found, *filter(None, notes)])
    return finish(canvas, "cells-compared", caption, f"Dots for the validation loss of each run. {found}", rows)


OFF_SCALE = 0.15  # nats above the lowest loss: where a panel of learning rates ends


@styled
def learning_rates(records: Records) -> Figure | None:
    """Best validation loss against learning rate, a line a cell, every seed a dot. None without records. A loss that
    would press the others flat is written at the upper edge."""
    if not study.finished(records):
        return None
    canvas, (ax,) = panels(1, 2.9)
    rows, said, key = [], [], []
    chosen = comparison.best_rates(records)
    top = min(r["val_loss_best"] for r in study.finished(records)) + OFF_SCALE
    above = False
    for cell in study.cells(study.finished(records)):
        runs, c = study.of(study.finished(records), cell), colour(cell)
        rates = comparison.rates(runs)
        means = [study.seed_estimate(comparison.at_rate(runs, x), "val_loss_best").mean for x in rates]
        line, dot = {"lw": 1.8, "ls": DASHES.get(cell, "dotted")}, {"marker": MARKERS.get(cell, "v"), "ms": 5}
        ax.plot(rates, means, color=c, **line)
        for r in runs:
            x, y = r["learning_rate"], r["val_loss_best"]
            if y <= top:
                ax.plot(x, y, color=c, mec="white", mew=0.6, **dot)
            else:
                above = True
                ax.annotate(f"↑ {y:.2f}", (x, top), xytext=(0, -3), textcoords="offset points", va="top", color=c)
        key.append(Line2D([], [], color=c, label=cell.upper(), **line, **dot))
        rows += [
            {"cell": cell, "learning_rate": r["learning_rate"], "seed": r["seed"], "val_loss": r["val_loss_best"]}
            for r in runs
        ]
        if cell in chosen:
            said.append(f"{cell.upper()} {min(means):.4f} at {chosen[cell]:g}")
    ax.set_xscale("log")
    ticks = comparison.rates(records)
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    ax.minorticks_off()
    ax.set_xlim(ticks[0] * 0.85, ticks[-1] * 1.35)
    ax.set_xlabel("learning rate (logarithmic)")
    ax.set_ylabel("best validation loss\n(nats per character)")
    ax.grid()
    if above:
        ax.set_ylim(top=top)  # not before every run is drawn: it ends the scaling of the axis
    canvas.legend(handles=key, loc="outside lower center", ncols=len(key))
    found = f"Lowest mean: {'; '.join(said)}." if said else "At every learning rate a run diverged."
    caption = (
        f"Best validation loss by learning rate; every dot is a run, an arrow names a loss above the panel. {found} "
        f"{study.diverged_note(records)}".strip()
    )
    return finish(canvas, "learning-rates", caption, f"A line for each cell over the learning rate. {found}", rows)


# ---------------------------------------------------------------------------------------------------------------------
# what the loss means: of measured runs, see charlm_meaning

DASHES = {"rnn": "solid", "lstm": (0, (5, 2)), "gru": (0, (2, 1.5))}  # lines that may lie on one another


def nothing_drawn(note: str, id: str) -> Figure:
    """The figure that stands where no run finished."""
    canvas, (ax,) = panels(1, 1)
    ax.axis("off")
    ax.text(0.5, 0.5, "no run finished", ha="center")
    return finish(canvas, id, f"No run finished. {note}", "No run finished, nothing is drawn.", [])


@styled
def ngram_floor(runs: Records) -> Figure:
    """Loss of n-gram models by order, on validation and on training chunks, and the loss of each cell across it."""
    note, runs = study.diverged_note(runs), study.finished(runs)
    if not runs:
        return nothing_drawn(note, "ngram-floor")
    study.check_alike(runs)
    seeds = meaning.one_a_seed(runs)
    orders = range(1, meaning.ORDERS + 1)
    best = meaning.best_order(runs)
    floor = study.seed_estimate(seeds, meaning.ngram(best)).mean
    found = {c: study.seed_estimate(study.of(runs, c), "loss") for c in study.cells(runs)}
    canvas, axes = panels(2, 2.5, sharex=True)
    for ax in axes:
        for key, dashes, c in (("ngram_train", DASHED, FAINT), ("ngram", "solid", INK)):
            for r in seeds:
                ax.plot(orders, r[key], color=c, lw=0.7, alpha=0.4)
            ax.plot(orders, np.mean([r[key] for r in seeds], axis=0), "o", ls=dashes, color=c, lw=2, ms=4)
        for cell, e in found.items():
            ax.axhline(e.mean, color=colour(cell), lw=1.8, ls=DASHES.get(cell, "dotted"))
        ax.grid(axis="y")
        ax.set_ylabel("loss (nats per character)")
    near = [floor, *(e.mean for e in found.values())]
    room = 0.5 * (max(near) - min(near)) + study.MARGIN
    axes[1].set_ylim(min(near) - room, max(near) + room)
    axes[1].set_title("the same, near the lowest")
    axes[1].set_xticks(orders)
    axes[1].set_xlabel("order: n of the n-grams")
    legend = [Line2D([], [], color=INK, lw=2, marker="o", ms=4, label=f"n-gram, order {best} lowest: {floor:.3f}")]
    legend.append(Line2D([], [], color=FAINT, lw=2, ls=DASHED, marker="o", ms=4, label="n-gram, training"))
    for cell, e in found.items():
        style = {"color": colour(cell), "lw": 1.8, "ls": DASHES.get(cell, "dotted")}
        legend.append(Line2D([], [], **style, label=f"{cell.upper()}: {e.mean:.3f}"))
    canvas.legend(handles=legend, loc="outside lower center", ncols=2, columnspacing=1.2)
    said = (
        f"The n-gram models' lowest mean on validation chunks is {floor:.4f}, at order {best}; "
        f"{', '.join(f'{c.upper()} {e.mean:.4f}' for c, e in found.items())}."
    )
    caption = (
        "Loss of n-gram models by order, on validation and on training chunks, each seed thin, the mean bold; level lines: "
        f"the cells' validation loss at the best epoch, from a zero state. {said} {note}"
    )
    rows = [
        {"order": k, "seed": r["seed"]} | {key: float(r[key][k - 1]) for key in ("ngram", "ngram_train")}
        for r in seeds
        for k in orders
    ]
    return finish(canvas, "ngram-floor", caption, f"Two lines over order, and a level line for each cell. {said}", rows)


@styled
def loss_by_position(runs: Records) -> Figure:
    """Loss by position in the chunk, from a zero state and with the state carried on, a panel for each cell."""
    note, runs = study.diverged_note(runs), study.finished(runs)
    if not runs:
        return nothing_drawn(note, "loss-by-position")
    study.check_alike(runs)
    order = meaning.best_order(runs)
    shown = study.cells(runs)
    canvas, axes = panels(len(shown), 2.5, sharex=True, sharey=True)
    sights, rows = [], []
    for ax, cell in zip(axes, shown, strict=True):
        ours, c = study.of(runs, cell), colour(cell)
        read = range(1, 1 + len(ours[0]["loss_positions"]))
        grams = np.mean([r["ngram_positions"][order - 1] for r in meaning.one_a_seed(runs)], axis=0)
        ax.plot(read, grams, color=GREY, lw=1.4, ls=(0, (1, 1)))
        means = []
        for key, dashes in (("loss_positions", "solid"), ("carried_positions", DASHED)):
            for r in ours:
                ax.plot(read, r[key], color=c, lw=0.6, alpha=0.3)
            means.append(np.mean([r[key] for r in ours], axis=0))
            ax.plot(read, means[-1], color=c, lw=2, ls=dashes, marker="." if len(read) == 1 else None)
        ax.set_title(f"{cell.upper()}, {study.count(len(ours), 'seed')}", color=c)
        ax.grid(axis="y")
        ax.set_ylabel("loss (nats per character)")
        sights.append(
            f"{cell.upper()}: from {means[0][0]:.2f} to {means[0][-1]:.2f} from a zero state, from {means[1][0]:.2f} to "
            f"{means[1][-1]:.2f} with the state carried on"
        )
        rows += [
            {"cell": cell, "seed": r["seed"], "read": i, "zero": float(zero), "carried": float(carried)}
            for r in ours
            for i, zero, carried in zip(read, r["loss_positions"], r["carried_positions"], strict=True)
        ]
    axes[-1].set_xlabel("characters of the chunk read")
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    key = [
        Line2D([], [], color=INK, lw=2, label="zero state"),
        Line2D([], [], color=INK, lw=2, ls=DASHED, label="carried on"),
        Line2D([], [], color=GREY, lw=1.4, ls=(0, (1, 1)), label=f"n-gram, order {order}"),
    ]
    canvas.legend(handles=key, loc="outside lower center", ncols=3, columnspacing=1.2)
    seen = "; ".join(sights)
    caption = f"Validation loss by position in the chunk, each seed thin, the mean bold. {seen}. {note}"
    return finish(canvas, "loss-by-position", caption, f"Lines over the position. {seen}.", rows)


@styled
def gap_steps(runs: Records) -> Figure:
    """The losses between which the gap of the last epoch lies: every seed, and the mean with its interval."""
    note, runs = study.diverged_note(runs), study.finished(runs)
    if not runs:
        return nothing_drawn(note, "gap-steps")
    study.check_alike(runs)
    shown = study.cells(runs)
    canvas, (ax,) = panels(1, 3.4)
    rows, sights = [], []
    for i, cell in enumerate(shown):
        c, ours = colour(cell), study.of(runs, cell)
        found = [study.seed_estimate(ours, key) for key in meaning.GAP.values()]
        for y, (name, e) in enumerate(zip(meaning.GAP, found, strict=True)):
            at = y + 0.3 * (i - (len(shown) - 1) / 2)
            ax.plot(e.values.values(), [at] * e.n, "o", color=c, alpha=0.35, ms=5, mec="none")
            ax.plot(e.mean, at, "D", color=c, ms=6)
            if e.interval:
                ax.plot(e.interval, [at] * 2, color=c, lw=2)
            rows += [{"cell": cell, "loss": name, "seed": s, "value": float(v)} for s, v in e.values.items()]
        losses = ", ".join(f"{name} {e.mean:.4f}" for name, e in zip(meaning.GAP, found, strict=True))
        sights.append(f"{cell.upper()}: {losses}")
    ax.set_yticks(range(len(meaning.GAP)), [name.replace(", ", "\n") for name in meaning.GAP])
    ax.invert_yaxis()
    ax.grid(axis="x")
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel("loss at the last epoch (nats per character)")
    key = [Line2D([], [], color=colour(c), marker="D", ms=6, lw=2, label=f"{c.upper()}: mean, 95%") for c in shown]
    key.append(Line2D([], [], color=GREY, marker="o", ms=5, ls="", alpha=0.5, label="one seed"))
    canvas.legend(handles=key, loc="outside lower center", ncols=3, columnspacing=1.2)
    seen = "; ".join(sights)
    caption = f"What lies between training and validation loss at the last epoch. {seen}. {note}"
    return finish(canvas, "gap-steps", caption, f"Rows of dots, one row a loss. {seen}.", rows)


# ---------------------------------------------------------------------------------------------------------------------
# gradients

SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def relative(curve: np.ndarray) -> np.ndarray:
    """The curve as a multiple of its norm one step back; NaN where a logarithmic axis has no place for it."""
    near = curve[gradients.NEAR]
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
def gradient_norms(measured: dict[str, gradients.Curves], chunk_length: int) -> Figure:
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
            at = gradients.FAR, mean[gradients.FAR]
            ax.plot(*at, MARKERS.get(cell, "v"), color=colour(cell), ms=6.5, mec="white", mew=0.6, zorder=3)
            if np.isfinite(mean).any():
                end[cell] = mean[np.isfinite(mean)][-1]
            rows += [
                {"measured": name, "cell": cell, "seed": seed, "steps_back": k, "norm": float(x)}
                for seed, curve in of.items()
                for k, x in enumerate(curve)
            ]
        ratios = {c.upper(): gradients.factor(gradients.falls(of).mean) for c, of in by_cell.items()}
        words = ", ".join(
            f"{c} {gradients.two_digits(x)}" if x is not None else f"{c} not known" for c, x in ratios.items()
        )
        said.append(f"{name}: {words or 'no run finished'}")
        longest = max((len(curve) for of in by_cell.values() for curve in of.values()), default=chunk_length)
        if longest > chunk_length:
            ax.axvline(chunk_length - 1, color=INK, lw=1)
            where = {"xytext": (4, -3), "textcoords": "offset points", "va": "top"}
            ax.annotate(
                "further than in training →", (chunk_length - 1, 1), xycoords=("data", "axes fraction"), **where
            )
        ax.set_title(name)
        ax.axhline(gradients.VANISHED, color=GREY, lw=1, ls=DASHED)
        ax.set_xlim(0, max(longest - 1, 1))
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        ax.grid()
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_formatter(lambda y, _: "10" + str(round(math.log10(y))).translate(SUPERSCRIPT))
    for ax, end in zip(axes, ends, strict=True):
        label_ends(ax, end)
    axes[-1].set_xlabel("k, steps back")
    canvas.supylabel(f"norm of the gradient, relative to k = {gradients.NEAR}", fontsize=10)
    key = [
        Line2D([], [], color=GREY, marker="o", ms=6.5, mec="white", lw=2, label=f"mean, marked at k = {gradients.FAR}"),
        Line2D([], [], color=GREY, lw=0.7, label="one seed"),
        Line2D([], [], color=GREY, lw=1, ls=DASHED, label=f"ratio {gradients.VANISHED:g}"),
    ]
    canvas.legend(handles=key, loc="outside lower center", ncols=3)
    finding = f"At k = {gradients.FAR} it is, {'; '.join(said)}."
    caption = (
        "How much the loss of a character depends on the input k steps before it: norm of the gradient, median over windows "
        f"of text, relative to k = {gradients.NEAR}. Each seed thin, the geometric mean bold. {finding}"
    )
    alt = f"Lines of the norm of the gradient, relative to k = {gradients.NEAR}, on a logarithmic axis. {finding}"
    return finish(canvas, "gradient-norms", caption, alt, rows)
