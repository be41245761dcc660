"""How a figure is drawn: one style for all, and the parts that figures of several rooms share.

A figure function gives the drawing, a caption with the finding, a text that says what is seen, and the rows of numbers
behind it. All sentences are computed from the data.

A figure is drawn twice: as wide as its subject needs, panels side by side, and for a phone 4.4 inches wide, panels below each
other, so that letters of 10 points can be read where an inch is some 80 pixels. Nothing here touches pyplot or global state, and
the same numbers give the same bytes.
"""

import io
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar
from warnings import catch_warnings, filterwarnings

from matplotlib import rc_context, rcParams, style
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from charlm.show import Figure
from charlm.stats import Estimate

# ---------------------------------------------------------------------------------------------------------------------
# style

PHONE, TEXT, WIDE = 4.4, 7.0, 11.0  # inches: the width of a drawing for a phone, of the page's text, and of the page
PANEL = 4.8  # inches: the width of a panel beside another, at most
SMALL = (2.6, 1.25)  # inches: a drawing on a card
# On a dark page a filter turns lightness around: a grey is dark enough here to be light enough there.
INK, GREY, FAINT, BAND, ACCENT = "#222222", "#5A5A5A", "#8A8A8A", "#E2E2E2", "#6A3D9A"
# Apart for colour-blind readers too, and dark enough on white to set text in.
COLOURS = {"rnn": "#BF4900", "lstm": "#0068A8", "gru": "#007A5A"}
LEVEL = COLOURS["gru"]  # of real text
MARKERS = {"rnn": "o", "lstm": "s", "gru": "^"}

# How a line is broken: a name of matplotlib's, or an offset and the lengths of dash and gap.
Dashes = str | tuple[float, tuple[float, float]]
DASHED = (0, (3, 1.5))
DOTTED = (0, (1, 1.5))
DASHES: dict[str, Dashes] = {
    "rnn": "solid",
    "lstm": (0, (5, 2)),
    "gru": (0, (2, 1.5)),
}  # for lines that may lie on others

FONT = "DejaVu Sans"  # comes with matplotlib; it is wide, so other letters have room where the page has others
STYLE = {
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.08,
    "figure.constrained_layout.w_pad": 0.08,
    "font.family": FONT,
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
    "legend.fontsize": 10,
    "legend.handlelength": 1.6,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.2,
    "svg.fonttype": "none",
}


@contextmanager
def _in_style() -> Iterator[None]:
    # From the defaults: a reader's own settings change no figure.
    with style.context(["default", STYLE]), catch_warnings():
        filterwarnings("ignore", "Glyph .* missing from")  # of a character that the font lacks: a box stands for it
        yield


styled = _in_style()
_on_phone: ContextVar[bool] = ContextVar("on_phone", default=False)


def on_phone() -> bool:
    """Whether it is the drawing for a phone that is being made."""
    return _on_phone.get()


P = ParamSpec("P")
Drawn = TypeVar("Drawn", Figure, Figure | None)


def drawn_twice(draw: Callable[P, Drawn]) -> Callable[P, Drawn]:
    """Lets a function that makes a figure make it in the one style, and once more for a phone."""

    @wraps(draw)
    def twice(*args: P.args, **kwargs: P.kwargs) -> Drawn:
        with _in_style():
            figure = draw(*args, **kwargs)
            token = _on_phone.set(True)
            try:
                narrow = draw(*args, **kwargs)
            finally:
                _on_phone.reset(token)
        return replace(figure, narrow=narrow.svg) if figure and narrow else figure

    return twice


def colour(cell: str) -> str:
    return COLOURS.get(cell, INK)


def marker(cell: str) -> str:
    return MARKERS.get(cell, "v")


def dashes(cell: str) -> Dashes:
    return DASHES.get(cell, "dotted")


# ---------------------------------------------------------------------------------------------------------------------
# parts


def panels(n: int, height: float, sharex: bool = False, sharey: bool = False) -> tuple[Canvas, list[Axes]]:
    """A canvas with n axes, each so many inches high: side by side, three at most, and for a phone below each other and less
    high."""
    columns = _columns(n)
    rows = math.ceil(n / columns)
    width = TEXT if columns == 1 else min(WIDE, columns * PANEL)
    if on_phone():
        width = PHONE
        height *= 0.8 if n > 1 else 1
    canvas = Canvas(figsize=(width, rows * height), layout="constrained")
    axes = canvas.subplots(rows, columns, squeeze=False, sharex=sharex, sharey=sharey).ravel()
    for unused in axes[n:]:
        unused.set_visible(False)
    return canvas, list(axes[:n])


def _columns(n: int) -> int:
    return 1 if on_phone() else min(n, 3)


def name_axes(canvas: Canvas, x: str, y: str) -> None:
    """What the axes of panels alike are: x below the last panel of each column, y once at their left."""
    shown = [ax for ax in canvas.axes if ax.get_visible()]  # row after row
    for ax in shown[-_columns(len(shown)) :]:
        ax.set_xlabel(x)
        ax.tick_params(labelbottom=True)  # sharex leaves the numbers to the last row, where a panel may be missing
    canvas.supylabel(y, fontsize=10)


def count_axis(ax: Axes) -> None:
    """Whole numbers along the x axis, at round steps."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def label_point(
    ax: Axes, label: str, point: tuple[float, float], beside: tuple[float, float], c: str, **style: Any
) -> None:
    """A text beside a point, moved from it by (right, up) in points of print."""
    ax.annotate(label, point, xytext=beside, textcoords="offset points", color=c, **style)


def label_right(ax: Axes, ends: Sequence[tuple[str, float, str]]) -> None:
    """Names (text, height, colour) at the right of a panel whose limits are set, each at its height or as near as there is
    room for a line of text.
    """
    ax.autoscale_view()  # what is to be seen is not settled before
    right = ax.get_xlim()[1]
    to_share = ax.transData + ax.transAxes.inverted()
    line = 14 / 72 * rcParams["figure.dpi"] / ax.bbox.height  # of 14 points, as a share of the panel
    above = -1.0
    for text, y, c in sorted(ends, key=lambda end: end[1]):
        share = float(to_share.transform((right, y))[1])
        above = max(share, above + line)
        ax.text(1.02, above, text, color=c, transform=ax.transAxes, va="center")


def legend_entry(label: str, color: str, **style: Any) -> Line2D:
    """A line, or with ls="" a marker, as the legend shows it."""
    return Line2D([], [], color=color, label=label, **style)


def legend_below(canvas: Canvas, entries: Sequence[Line2D], columns: int = 2) -> None:
    """A legend below all panels: in one line where there is room, and for a phone in so many columns."""
    canvas.legend(handles=list(entries), loc="outside lower center", ncols=columns if on_phone() else len(entries))


def draw_seeds(ax: Axes, cell: str, e: Estimate, at: float, beside: float) -> None:
    """A cell's value of every seed, and beside them their mean with its interval."""
    c = colour(cell)
    ax.plot([at] * e.n, list(e.values.values()), marker(cell), color=c, ms=6, mec="white", mew=0.6, zorder=3)
    ax.plot(beside, e.known_mean, "D", color=c, ms=5)
    if e.interval:
        ax.plot([beside] * 2, e.interval, color=c, lw=2)


def seeds_and_mean() -> list[Line2D]:
    """What the marks of draw_seeds are, for a legend."""
    return [
        legend_entry("one seed", GREY, marker="o", ls=""),
        legend_entry("mean, 95%", GREY, marker="D", ms=5, lw=2),
    ]


def as_svg(canvas: Canvas, salt: str) -> str:
    svg = io.StringIO()
    with rc_context({"svg.hashsalt": salt}):  # without it the ids inside are random
        canvas.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return svg.getvalue()


def finish(canvas: Canvas, id: str, caption: str, alt: str, rows: list[dict]) -> Figure:
    """Draw to SVG, and to PNG at twice the pixels of a plain screen, which a phone does not need."""
    caption, alt = caption.strip(), alt.strip()
    if on_phone():
        return Figure(id, as_svg(canvas, f"{id}-narrow"), b"", caption, alt, rows)
    png = io.BytesIO()
    canvas.savefig(png, format="png", dpi=192, metadata={"Software": None})
    return Figure(id, as_svg(canvas, id), png.getvalue(), caption, alt, rows, wide=bool(canvas.get_figwidth() > TEXT))
