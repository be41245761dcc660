"""The figure of the number that everybody quotes."""

import textwrap

from charlm import stats
from charlm.benchmark.measures import CARRIED, QUOTED, WINDOWS, loss_by
from charlm.drawing import GREY, colour, drawn_twice, finish, label_point, marker, name_axes, panels
from charlm.records import Records, cells_in, finished, of_cell
from charlm.show import Figure

ROW = 0.36  # inches
Line = tuple[str, float, tuple[float, float] | None, str, str]  # name, loss, interval, colour, marker


@drawn_twice
def quoted_losses(records: Records) -> Figure | None:
    """What others have published and ours in windows of 256, and in a panel of its own ours with the state carried on: a row a
    model. None without runs."""
    done = finished(records)
    if not done:
        return None
    quoted: list[Line] = [(name, loss, None, GREY, "D") for name, loss in QUOTED.items()]
    shown = {"windows of 256": quoted + _ours(done, WINDOWS)}
    shown["state carried on"] = _ours(done, CARRIED)
    height = max(map(len, shown.values()))
    canvas, axes = panels(len(shown), 1.0 + ROW * height, sharex=True)
    rows = []
    for ax, (title, lines) in zip(axes, shown.items(), strict=True):
        ax.set_title(title)
        for place, (name, loss, interval, c, mark) in enumerate(lines):
            if interval:
                ax.plot(interval, [place] * 2, color=c, lw=2)
            ax.plot(loss, place, mark, color=c, ms=6, mec="white", mew=0.6, zorder=3)
            low, high = interval or (None, None)
            label_point(ax, f"{loss:.4f}", (high or loss, place), (8, 0), c, va="center")
            rows.append({"evaluation": title, "model": name, "loss": loss, "low": low, "high": high})
        ax.set_yticks(range(len(lines)), [textwrap.fill(name, 22) for name, *_ in lines])
        for tick, (_, _, _, c, _) in zip(ax.get_yticklabels(), lines, strict=True):
            tick.set_color(c)
        ax.set_ylim(height - 0.5, -0.7)
        ax.margins(x=0.2)
        ax.grid(axis="x")
    axes[0].axvline(min(QUOTED.values()), color=GREY, lw=0.8, ls="dotted")
    name_axes(canvas, "loss on the last tenth (nats)", "")
    said = "; ".join(f"{row['model']} {row['loss']:.4f} ({row['evaluation']})" for row in rows)
    caption = (
        "As published, and ours with 95% intervals; dotted, the lowest quoted. Not to be compared "
        "between the panels: a state that is carried on knows more."
    )
    return finish(canvas, "benchmark", caption, f"A row for each model with its loss: {said}.", rows)


def _ours(done: Records, evaluation: str) -> list[Line]:
    lines: list[Line] = []
    for cell in cells_in(done):
        e = stats.seed_estimate(of_cell(done, cell), loss_by(evaluation))
        lines.append((cell.upper(), e.known_mean, e.interval, colour(cell), marker(cell)))
    return lines
