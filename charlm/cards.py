"""The small figures of the summary's cards, from results.json."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from charlm.drawing import ACCENT, BAND, FAINT, GREY, INK, SMALL, colour, dashes, finish, label_right, styled
from charlm.show import Figure, finding_values
from charlm.stats import MARGIN


def small_figures(results: dict) -> dict[str, Figure]:
    """{id of the finding that a card leads to: its drawing}, as far as results have the numbers."""
    drawn = {
        "enough-seeds": pairs_figure(results),
        "against-counting": counting_figure(results),
        "cure-effect": cure_figure(results),
        "benchmark": benchmark_figure(results),
        "gradients": reach_figure(results),
        "temperature-closest": closest_figure(results),
    }
    return {id: figure for id, figure in drawn.items() if figure}


def _panel() -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=SMALL, layout="constrained")
    return canvas, canvas.subplots()


def _rows(results: dict, id: str) -> list[dict]:
    return results["figures"].get(id, {}).get("rows", [])


@styled
def pairs_figure(results: dict) -> Figure | None:
    """How far each LSTM run lies above each RNN run at the last epoch, and the study's own pair."""
    values = finding_values(results, "enough-seeds")
    if not values.get("differences"):
        return None
    canvas, ax = _panel()
    differences = values["differences"]
    ax.hist(differences, bins=24, color=GREY)
    ax.axvline(0, color=INK, lw=1)
    ax.axvline(-values["published"], color=ACCENT, lw=2)
    ax.text(-values["published"], 1.0, "study ", transform=ax.get_xaxis_transform(), color=ACCENT, ha="right", va="top")
    ax.set_yticks([])
    ax.locator_params(axis="x", nbins=4)
    ax.set_xlabel("LSTM − RNN, nats")
    ax.spines["left"].set_visible(False)
    alt = f"A histogram of {values['pairs']} differences between two runs, {values['lower']} of them below zero; the study's pair is marked."
    return finish(canvas, "card-seeds", "", alt, [{"difference": d} for d in differences])


def counting_figure(results: dict) -> Figure | None:
    """The losses of the cells and of the counting model."""
    values = finding_values(results, "against-counting")
    cells = [name.removesuffix("_mean") for name in values if name.endswith("_mean")]
    losses = {cell: values["floor"] + values[f"{cell}_mean"] for cell in cells}
    return _losses_beside("card-counting", losses, "counting", values.get("floor"))


def cure_figure(results: dict) -> Figure | None:
    """The same of the larger cells with dropout."""
    values = finding_values(results, "cure-and-counting")
    return _losses_beside("card-cure", values.get("losses", {}), "counting", values.get("counting"))


def benchmark_figure(results: dict) -> Figure | None:
    """The loss of the LSTM and the lowest that is quoted."""
    values = finding_values(results, "benchmark")
    losses = {"lstm": values["mean"]} if values else {}
    return _losses_beside("card-benchmark", losses, "quoted", values.get("target"))


@styled
def _losses_beside(id: str, losses: dict[str, float], other: str, reference: float | None) -> Figure | None:
    """A dot for each cell's loss, with a line to that of the other."""
    if reference is None or not losses:
        return None
    losses = {cell.upper(): loss for cell, loss in losses.items()} | {other: reference}
    canvas, ax = _panel()
    ax.axvspan(reference - MARGIN, reference + MARGIN, color=BAND, lw=0)  # what is too little to matter
    for y, (name, loss) in enumerate(losses.items()):
        c = colour(name.lower())
        ax.plot([reference, loss], [y, y], color=c, lw=2)
        ax.plot(loss, y, "o", color=c, ms=7)
    ax.set_yticks(range(len(losses)), list(losses))
    ax.set_ylim(len(losses) - 0.5, -0.5)
    ax.margins(x=0.15)
    ax.locator_params(axis="x", nbins=3)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    told = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    rows = [{"predictor": name, "val_loss": loss} for name, loss in losses.items()]
    return finish(canvas, id, "", f"Dots for the validation loss: {told}.", rows)


@styled
def reach_figure(results: dict) -> Figure | None:
    """The norm of the gradient by steps back after training, a line a cell."""
    norms: dict[str, dict[int, list[float]]] = {}
    for row in _rows(results, "gradient-norms"):
        if row["measured"] == "after training" and row["norm"] > 0:
            norms.setdefault(row["cell"], {}).setdefault(row["steps_back"], []).append(row["norm"])
    if not norms:
        return None
    canvas, ax = _panel()
    ends, rows = [], []
    for cell, by_step in norms.items():
        means = {step: float(np.exp(np.mean(np.log(each)))) for step, each in by_step.items()}
        first = means.get(1, 1.0)
        ax.plot(list(means), [mean / first for mean in means.values()], color=colour(cell), lw=2, ls=dashes(cell))
        ends.append((cell.upper(), list(means.values())[-1] / first, colour(cell)))
        rows += [{"cell": cell, "steps_back": step, "relative": mean / first} for step, mean in means.items()]
    ax.set_yscale("log")
    ax.set_yticks([1, 0.01], ["1", "0.01"])
    ax.minorticks_off()
    ax.set_xlabel("steps back")
    ax.locator_params(axis="x", nbins=3)
    label_right(ax, ends)
    alt = f"Falling lines of the gradient by steps back, for {' and '.join(name for name, _, _ in ends)}."
    return finish(canvas, "card-gradients", "", alt, rows)


@styled
def closest_figure(results: dict) -> Figure | None:
    """The distance from real text over temperature."""
    rows = [r for r in _rows(results, "temperature-distance") if r["temperature"] is not None and r["distance"] > 0]
    if not rows:
        return None
    canvas, ax = _panel()
    ax.plot([r["temperature"] for r in rows], [r["distance"] for r in rows], color=ACCENT, lw=2)
    best = min(rows, key=lambda r: r["distance"])
    ax.axvline(best["temperature"], color=FAINT, lw=1)
    ax.plot(best["temperature"], best["distance"], "D", color=ACCENT, ms=7)
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xticks([0.1, 1, 10], ["0.1", "1", "10"])
    ax.set_yticks([])
    ax.minorticks_off()
    ax.set_xlabel("temperature")
    ax.set_ylabel("distance", color=GREY)
    alt = f"The distance from real text over temperature, smallest at {best['temperature']:g}."
    return finish(canvas, "card-temperature", "", alt, rows)
