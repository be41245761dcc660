"""Figures of measured runs: beside n-gram models, by position in the chunk, and the steps of the gap."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from charlm import stats
from charlm.drawing import DASHED, DASHES, FAINT, GREY, INK, colour, finish, nothing_drawn, panels, styled
from charlm.meaning import measures
from charlm.meaning.measures import GAP, ORDERS
from charlm.records import Records, cells_in, check_alike, counted, diverged_note, finished, of_cell
from charlm.show import Figure
from charlm.stats import MARGIN


@styled
def ngram_floor(runs: Records) -> Figure:
    """Loss of n-gram models by order, on validation and on training chunks, and the loss of each cell across it."""
    note, runs = diverged_note(runs), finished(runs)
    if not runs:
        return nothing_drawn(note, "ngram-floor")
    check_alike(runs)
    seeds = measures.one_a_seed(runs)
    orders = range(1, ORDERS + 1)
    best = measures.best_order(runs)
    floor = stats.seed_estimate(seeds, measures.ngram_loss(best)).mean
    found = {c: stats.seed_estimate(of_cell(runs, c), "loss") for c in cells_in(runs)}
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
    room = 0.5 * (max(near) - min(near)) + MARGIN
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
    note, runs = diverged_note(runs), finished(runs)
    if not runs:
        return nothing_drawn(note, "loss-by-position")
    check_alike(runs)
    order = measures.best_order(runs)
    shown = cells_in(runs)
    canvas, axes = panels(len(shown), 2.5, sharex=True, sharey=True)
    sights, rows = [], []
    for ax, cell in zip(axes, shown, strict=True):
        ours, c = of_cell(runs, cell), colour(cell)
        read = range(1, 1 + len(ours[0]["loss_positions"]))
        grams = np.mean([r["ngram_positions"][order - 1] for r in measures.one_a_seed(runs)], axis=0)
        ax.plot(read, grams, color=GREY, lw=1.4, ls=(0, (1, 1)))
        means = []
        for key, dashes in (("loss_positions", "solid"), ("carried_positions", DASHED)):
            for r in ours:
                ax.plot(read, r[key], color=c, lw=0.6, alpha=0.3)
            means.append(np.mean([r[key] for r in ours], axis=0))
            ax.plot(read, means[-1], color=c, lw=2, ls=dashes, marker="." if len(read) == 1 else None)
        ax.set_title(f"{cell.upper()}, {counted(len(ours), 'seed')}", color=c)
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
    note, runs = diverged_note(runs), finished(runs)
    if not runs:
        return nothing_drawn(note, "gap-steps")
    check_alike(runs)
    shown = cells_in(runs)
    canvas, (ax,) = panels(1, 3.4)
    rows, sights = [], []
    for i, cell in enumerate(shown):
        c, ours = colour(cell), of_cell(runs, cell)
        found = [stats.seed_estimate(ours, key) for key in GAP.values()]
        for y, (name, e) in enumerate(zip(GAP, found, strict=True)):
            at = y + 0.3 * (i - (len(shown) - 1) / 2)
            ax.plot(e.values.values(), [at] * e.n, "o", color=c, alpha=0.35, ms=5, mec="none")
            ax.plot(e.mean, at, "D", color=c, ms=6)
            if e.interval:
                ax.plot(e.interval, [at] * 2, color=c, lw=2)
            rows += [{"cell": cell, "loss": name, "seed": s, "value": float(v)} for s, v in e.values.items()]
        losses = ", ".join(f"{name} {e.mean:.4f}" for name, e in zip(GAP, found, strict=True))
        sights.append(f"{cell.upper()}: {losses}")
    ax.set_yticks(range(len(GAP)), [name.replace(", ", "\n") for name in GAP])
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
