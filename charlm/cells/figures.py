"""Figures of the fair comparison."""

import textwrap

from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D

from charlm import stats
from charlm.cells import measures
from charlm.drawing import DASHES, MARKERS, WIDTH, colour, draw_seeds, finish, panels, seeds_and_mean, styled
from charlm.records import Records, cells_in, diverged_note, finished, of_cell
from charlm.show import Figure


@styled
def cells_compared(groups: dict[str, Records]) -> Figure | None:
    """Best validation loss of every run, a panel for each group of records: {title: records}. None without records."""
    groups = {title: records for title, records in groups.items() if finished(records)}
    if not groups:
        return None
    canvas = Canvas(figsize=(WIDTH, 3.6), layout="constrained")
    axes = canvas.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    rows, said, notes = [], [], []
    for ax, (title, records) in zip(axes, groups.items(), strict=True):
        shown = cells_in(finished(records))
        for i, cell in enumerate(shown):
            e = stats.seed_estimate(of_cell(records, cell), "val_loss_best")
            draw_seeds(ax, cell, e, i, i + 0.27)
            rows += [{"group": title, "cell": cell, "seed": s, "val_loss": v} for s, v in e.values.items()]
            said.append(f"{cell.upper()} {e.mean:.4f} ({title})")
        ax.set_title(textwrap.fill(title, 17), fontsize=9)
        ax.grid(axis="y")
        ax.set_xlim(-0.5, len(shown) - 0.2)
        ax.set_xticks(range(len(shown)), [cell.upper() for cell in shown])
        for tick, cell in zip(ax.get_xticklabels(), shown, strict=True):
            tick.set_color(colour(cell))
        notes.append(diverged_note(records))
    axes[0].set_ylabel("best validation loss\n(nats per character)")
    canvas.legend(handles=seeds_and_mean(), loc="outside lower center", ncols=2)
    found = f"Mean over seeds: {'; '.join(said)}."
    caption = " ".join(["Validation loss of every run at its best epoch.", found, *filter(None, notes)])
    return finish(canvas, "cells-compared", caption, f"Dots for the validation loss of each run. {found}", rows)


OFF_SCALE = 0.15  # nats above the lowest loss: where a panel of learning rates ends


@styled
def loss_by_learning_rate(records: Records) -> Figure | None:
    """Best validation loss against learning rate, a line a cell, every seed a dot. None without records. A loss that
    would press the others flat is written at the upper edge."""
    if not finished(records):
        return None
    canvas, (ax,) = panels(1, 2.9)
    rows, said, key = [], [], []
    chosen = measures.best_rates(records)
    top = min(r["val_loss_best"] for r in finished(records)) + OFF_SCALE
    above = False
    for cell in cells_in(finished(records)):
        runs, c = of_cell(finished(records), cell), colour(cell)
        rates = measures.rates_in(runs)
        means = [stats.seed_estimate(measures.at_rate(runs, x), "val_loss_best").mean for x in rates]
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
    ticks = measures.rates_in(records)
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
        f"{diverged_note(records)}".strip()
    )
    return finish(canvas, "learning-rates", caption, f"A line for each cell over the learning rate. {found}", rows)
