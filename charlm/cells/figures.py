"""Figures of the fair comparison."""

from charlm import stats
from charlm.drawing import (
    colour,
    dashes,
    drawn_twice,
    finish,
    label_point,
    legend_below,
    legend_entry,
    marker,
    panels,
)
from charlm.records import Records, cells_in, diverged_note, finished, of_cell, values_in, with_value
from charlm.show import Figure

OFF_SCALE = 0.15  # nats above the lowest loss: where a panel of learning rates ends


@drawn_twice
def loss_by_learning_rate(records: Records) -> Figure | None:
    """Best validation loss against learning rate, a line a cell, every seed a dot. None without records. A loss that
    would press the others flat is written at the upper edge."""
    done = finished(records)
    if not done:
        return None
    canvas, (ax,) = panels(1, 2.9)
    rows, lowest, entries = [], [], []
    chosen = stats.best_settings(records, "learning_rate")
    top = min(r["val_loss_best"] for r in done) + OFF_SCALE
    for cell in cells_in(done):
        runs = of_cell(done, cell)
        c = colour(cell)
        means = {}
        for rate in values_in(runs, "learning_rate"):
            means[rate] = stats.seed_estimate(with_value(runs, "learning_rate", rate), "val_loss_best").known_mean
        ax.plot(list(means), list(means.values()), color=c, lw=1.8, ls=dashes(cell))
        for r in runs:
            rate, loss = r["learning_rate"], r["val_loss_best"]
            if loss <= top:
                ax.plot(rate, loss, color=c, mec="white", mew=0.6, marker=marker(cell), ms=5)
            else:
                label_point(ax, f"↑ {loss:.2f}", (rate, top), (0, -3), c, va="top")
            rows.append({"cell": cell, "learning_rate": rate, "seed": r["seed"], "val_loss": loss})
        entries.append(legend_entry(cell.upper(), c, lw=1.8, ls=dashes(cell), marker=marker(cell), ms=5))
        if cell in chosen:
            lowest.append(f"{cell.upper()} {min(means.values()):.4f} at {chosen[cell]:g}")
    ax.set_xscale("log")
    ticks = values_in(records, "learning_rate")
    ax.set_xticks(ticks, [f"{x:g}" for x in ticks])
    ax.minorticks_off()
    ax.set_xlim(ticks[0] * 0.85, ticks[-1] * 1.35)
    ax.set_xlabel("learning rate (logarithmic)")
    ax.set_ylabel("best validation loss (nats)")
    ax.grid()
    if any(row["val_loss"] > top for row in rows):
        ax.set_ylim(top=top)  # not before every run is drawn: it ends the scaling of the axis
    legend_below(canvas, entries)
    said = f"Lowest mean: {'; '.join(lowest)}." if lowest else "At every learning rate a run diverged."
    caption = f"Every dot is a run; arrows: losses above the panel. {said} {diverged_note(records)}"
    return finish(canvas, "learning-rates", caption, f"A line for each cell over the learning rate. {said}", rows)
