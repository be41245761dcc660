"""The figure of the number that everybody quotes."""

import textwrap

from charlm import stats
from charlm.benchmark.measures import CARRIED, QUOTED, WINDOWS, loss_by
from charlm.drawing import GREY, colour, drawn_twice, finish, label_point, marker, panels
from charlm.records import Records, cells_in, finished, of_cell
from charlm.show import Figure

ROW = 0.4  # inches


@drawn_twice
def quoted_losses(records: Records) -> Figure | None:
    """A row a model: what others have published, and ours by both evaluations. None without runs."""
    done = finished(records)
    if not done:
        return None
    lines: list[tuple[str, float, tuple[float, float] | None, str, str]] = []  # name, loss, interval, colour, marker
    for name, loss in QUOTED.items():
        lines.append((name, loss, None, GREY, "D"))
    for cell in cells_in(done):
        for evaluation, how in ((WINDOWS, "windows of 256"), (CARRIED, "state carried on")):
            e = stats.seed_estimate(of_cell(done, cell), loss_by(evaluation))
            lines.append((f"{cell.upper()}, {how}", e.known_mean, e.interval, colour(cell), marker(cell)))
    canvas, (ax,) = panels(1, 0.9 + ROW * len(lines))
    rows = []
    lowest = min(QUOTED.values())
    for place, (name, loss, interval, c, mark) in enumerate(lines):
        if interval:
            ax.plot(interval, [place] * 2, color=c, lw=2)
        ax.plot(loss, place, mark, color=c, ms=6, mec="white", mew=0.6, zorder=3)
        low, high = interval or (None, None)
        # Where the line of the lowest does not cross it.
        if loss < lowest:
            label_point(ax, f"{loss:.4f}", (loss, place), (6, 6), c, ha="right")
        else:
            label_point(ax, f"{loss:.4f}", (high or loss, place), (8, 0), c, va="center")
        rows.append({"model": name, "loss": loss, "low": low, "high": high})
    ax.axvline(lowest, color=GREY, lw=0.8, ls="dotted")
    ax.set_yticks(range(len(lines)), [textwrap.fill(name, 22) for name, *_ in lines])
    for tick, (_, _, _, c, _) in zip(ax.get_yticklabels(), lines, strict=True):
        tick.set_color(c)
    ax.set_ylim(len(lines) - 0.5, -0.7)
    ax.margins(x=0.25)
    ax.set_xlabel("loss on the last tenth (nats)")
    ax.grid(axis="x")
    said = "; ".join(f"{name} {loss:.4f}" for name, loss, *_ in lines)
    caption = "The last tenth of tiny shakespeare: transformers of about 10 million weights as published, and ours with 95% intervals."
    return finish(canvas, "benchmark", caption, f"A row for each model with its loss: {said}.", rows)
