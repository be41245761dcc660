"""Figures of measured runs, all finished: beside n-gram models, by position in the chunk, and the gap by epoch. None of no
run."""

import numpy as np
from matplotlib.axes import Axes

from charlm import stats
from charlm.drawing import (
    DASHED,
    GREY,
    INK,
    Dashes,
    colour,
    count_axis,
    dashes,
    drawn_twice,
    finish,
    label_point,
    label_right,
    legend_below,
    legend_entry,
    name_axes,
    panels,
)
from charlm.meaning import measures
from charlm.meaning.measures import ORDERS
from charlm.records import Records, cells_in, counted, finished, last_gap, of_cell, one_a_seed
from charlm.show import Figure
from charlm.stats import MARGIN

EVERY_ORDER = range(1, ORDERS + 1)
NGRAM_DASHES: Dashes = (0, (1, 1))
LOWEST_GAP = -0.1  # nats: where the panel of gaps begins


@drawn_twice
def ngram_floor(runs: Records) -> Figure | None:
    """Loss of n-gram models by order, on validation and on training chunks, and the loss of each cell across it."""
    if not runs:
        return None
    by_seed = one_a_seed(runs)
    best = measures.best_order(runs)
    floor = float(np.mean([r["ngram"][best - 1] for r in by_seed]))
    losses = {cell: stats.seed_estimate(of_cell(runs, cell), "loss").known_mean for cell in cells_in(runs)}
    canvas, (whole, closer) = panels(2, 2.8, sharex=True)
    for ax in (whole, closer):
        on_train = _draw_seeds_and_mean(ax, by_seed, "ngram_train", DASHED, GREY, "o")
        on_validation = _draw_seeds_and_mean(ax, by_seed, "ngram", "solid", INK, "o")
        for cell, loss in losses.items():
            ax.axhline(loss, color=colour(cell), lw=1.8, ls=dashes(cell))
        ax.grid(axis="y")
        ax.set_xticks(EVERY_ORDER)
    label_point(whole, "on its training text", (ORDERS, on_train[-1]), (4, -7), GREY, ha="right", va="top")
    whole.margins(y=0.4)
    lowest = min(floor, *losses.values())
    highest = max(floor, *losses.values())
    room = 0.5 * (highest - lowest) + MARGIN
    closer.set_ylim(lowest - room, highest + room)
    closer.set_title("the same, near the lowest")
    name_axes(canvas, "order n: predicted from the n − 1 characters before", "loss (nats)")
    ends = [(cell.upper(), loss, colour(cell)) for cell, loss in losses.items()]
    if on_validation[-1] < highest + room:  # else it ends above the closer look
        ends.append(("counting", float(on_validation[-1]), INK))
    label_right(closer, ends)
    named = [f"{cell.upper()} {loss:.4f}" for cell, loss in losses.items()]
    said = f"Counting is best at order {best}, {floor:.4f}; {', '.join(named)}."
    cells = ", ".join(cell.upper() for cell in losses)
    caption = f"Counting on validation text, seeds thin, mean bold; flat lines: {cells}."
    rows = []
    for r in by_seed:
        for order, validation, training in zip(EVERY_ORDER, r["ngram"], r["ngram_train"], strict=True):
            losses_of_order = {"ngram": float(validation), "ngram_train": float(training)}
            rows.append({"order": order, "seed": r["seed"]} | losses_of_order)
    return finish(canvas, "ngram-floor", caption, f"Two lines over order, and a level line for each cell. {said}", rows)


def _draw_seeds_and_mean(ax: Axes, runs: Records, key: str, ls: Dashes, c: str, mark: str | None = None) -> np.ndarray:
    """Losses that are counted from 1, each seed thin and the mean bold. Returns the mean."""
    losses = [r[key] for r in runs]
    x = range(1, 1 + len(losses[0]))
    for of_seed in losses:
        ax.plot(x, of_seed, color=c, lw=0.8, alpha=0.6)
    mean = np.mean(losses, axis=0)
    ax.plot(x, mean, color=c, lw=2, ls=ls, marker=mark, ms=4)
    return mean


@drawn_twice
def loss_by_position(runs: Records) -> Figure | None:
    """Loss by position in the chunk, from a zero state and with the state carried on, a panel for each cell."""
    if not runs:
        return None
    order = measures.best_order(runs)
    shown = cells_in(runs)
    canvas, axes = panels(len(shown), 2.8, sharex=True, sharey=True)
    by_seed = [r["ngram_positions"][order - 1] for r in one_a_seed(runs)]  # (time,) each
    grams = np.mean(by_seed, axis=0)
    read = range(1, 1 + len(grams))
    sights, rows = [], []
    for ax, cell in zip(axes, shown, strict=True):
        ours = of_cell(runs, cell)
        ax.plot(read, grams, color=GREY, lw=1.4, ls=NGRAM_DASHES)
        zero = _draw_seeds_and_mean(ax, ours, "loss_positions", "solid", colour(cell))
        carried = _draw_seeds_and_mean(ax, ours, "carried_positions", DASHED, colour(cell))
        ax.set_title(f"{cell.upper()}, {counted(len(ours), 'seed')}", color=colour(cell))
        ax.grid(axis="y")
        count_axis(ax)
        sights.append(
            f"{cell.upper()}: from {zero[0]:.2f} to {zero[-1]:.2f} from a zero state, from {carried[0]:.2f} to "
            f"{carried[-1]:.2f} with the state carried on"
        )
        for r in ours:
            losses = zip(r["loss_positions"], r["carried_positions"], strict=True)
            for n, (of_zero, of_carried) in enumerate(losses, start=1):
                about = {"cell": cell, "seed": r["seed"], "read": n}
                rows.append(about | {"zero": float(of_zero), "carried": float(of_carried)})
    name_axes(canvas, "characters of the chunk read", "loss (nats)")
    entries = [
        legend_entry("zero state", INK, lw=2),
        legend_entry("carried on", INK, lw=2, ls=DASHED),
        legend_entry(f"n-gram, order {order}", GREY, lw=1.4, ls=NGRAM_DASHES),
    ]
    legend_below(canvas, entries)
    seen = "; ".join(sights)
    caption = "Validation loss by position in the chunk, each seed thin, the mean bold."
    return finish(canvas, "loss-by-position", caption, f"Lines over the position. {seen}.", rows)


@drawn_twice
def half_and_half(runs: Records) -> Figure | None:
    """A row a predictor: counting, each network, and both half and half, every seed a dot and the mean beside it."""
    if not runs:
        return None
    order = measures.best_order(runs)
    counting = stats.seed_estimate(runs, lambda r: r["ngram"][order - 1])
    lines = [("counting", INK, counting)]
    for cell in cells_in(runs):
        ours = of_cell(runs, cell)
        lines.append((f"{cell.upper()} alone", colour(cell), stats.seed_estimate(ours, "loss")))
        half = stats.seed_estimate(ours, lambda r: r["together"][order - 1])
        lines.append((f"{cell.upper()} and counting", colour(cell), half))
    canvas, (ax,) = panels(1, 0.9 + 0.36 * len(lines))
    rows = []
    for y, (name, c, e) in enumerate(lines):
        ax.plot(list(e.values.values()), [y] * e.n, "o", color=c, alpha=0.5, ms=5, mec="none")
        ax.plot(e.known_mean, y, "D", color=c, ms=6)
        label_point(ax, f"{e.known_mean:.4f}", (e.known_mean, y), (0, 7), c, ha="center", va="bottom")
        rows += [{"predictor": name, "seed": seed, "val_loss": float(v)} for seed, v in e.values.items()]
    ax.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    ax.set_ylim(len(lines) - 0.5, -0.8)
    ax.margins(x=0.12)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    ax.set_xlabel("validation loss (nats per character)")
    said = "; ".join(f"{name} {e.known_mean:.4f}" for name, _, e in lines)
    caption = f"Counting (order {order}), the networks, and both half and half; a dot a seed, a diamond the mean."
    return finish(canvas, "together", caption, f"A row for each predictor with its loss: {said}.", rows)


@drawn_twice
def gap_by_epoch(runs: Records, longer: Records = ()) -> Figure | None:
    """Validation minus training loss by epoch, a line a run; and, where there are runs on longer and longer texts, the same at the
    best epoch by the number of characters."""
    if not runs:
        return None
    longer = finished(longer)
    canvas, axes = panels(2 if longer else 1, 2.8, sharey=True)
    rows, said = [], []
    for cell in cells_in(runs):
        ours = of_cell(runs, cell)
        for r in ours:
            gaps = np.subtract(r["val_loss"], r["train_loss"])  # (epochs,)
            best = r["best_epoch"]
            axes[0].plot(range(1, 1 + len(gaps)), gaps, color=colour(cell), lw=1.2, ls=dashes(cell))
            axes[0].plot(best, gaps[best - 1], "o", color=colour(cell), ms=5, mec="white", zorder=3)
            for n, gap in enumerate(gaps, start=1):
                rows.append({"cell": cell, "seed": r["seed"], "epoch": n, "gap": float(gap)})
        mean = stats.seed_estimate(ours, last_gap).known_mean
        said.append(f"{cell.upper()} {mean:.3f} at the last epoch")
    axes[0].axhline(0, color=GREY, lw=1)
    begun = any(row["gap"] > LOWEST_GAP for row in rows)  # else nothing would be seen
    if begun:
        axes[0].set_ylim(bottom=LOWEST_GAP)
    axes[0].set_xlabel("epoch")
    axes[0].grid(axis="y")
    count_axis(axes[0])
    canvas.supylabel("validation − training loss (nats)", fontsize=10)
    entries = [legend_entry(cell.upper(), colour(cell), ls=dashes(cell), lw=1.5) for cell in cells_in(runs)]
    entries.append(legend_entry("best epoch", GREY, marker="o", ms=5, ls=""))
    legend_below(canvas, entries, 3)
    lower = "; the first epochs lie lower" if begun else ""
    caption = f"Every run, with its best epoch{lower}."
    if longer:
        axes[0].set_title("by epoch")
        larger = f"{longer[0]['cell'].upper()} {longer[0]['hidden_size']}"
        axes[1].set_title(f"{larger}, by characters of text, best epoch")
        said.append(_draw_gap_by_text(axes[1], longer, rows))
        caption = f"Left: every run{lower}. Right: {larger} at its best epoch, by the length of its text."
    seen = "; ".join(said)
    return finish(canvas, "gap-by-epoch", caption, f"Validation minus training loss: {seen}.", rows)


def _draw_gap_by_text(ax: Axes, longer: Records, rows: list[dict]) -> str:
    """The gap of every run over the length of its text, and the line of the means; in words, the means."""
    by_length: dict[int, list[float]] = {}
    for r in longer:
        gap = r["val_loss_best"] - r["train_loss_best"]
        by_length.setdefault(r["characters"], []).append(gap)
        rows.append({"cell": r["cell"], "seed": r["seed"], "characters": r["characters"], "gap": gap})
        ax.plot(r["characters"], gap, "o", color=colour(r["cell"]), ms=5, mec="white")
    means = {characters: float(np.mean(by_length[characters])) for characters in sorted(by_length)}
    ax.plot(list(means), list(means.values()), color=colour(longer[0]["cell"]), lw=1.5)
    ax.set_xscale("log", base=2)
    ax.set_xticks(list(means), [f"{characters / 1e6:.2g} million" for characters in means])
    ax.minorticks_off()
    ax.margins(x=0.12)
    ax.set_xlabel("characters of text")
    ax.grid(axis="y")
    return ", ".join(f"{mean:.3f} with {characters:,} characters" for characters, mean in means.items())
