"""The small figures of the summary's cards, from results.json."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from charlm.drawing import ACCENT, BAND, FAINT, GREY, INK, SMALL, colour, dashes, finish, label_right, styled
from charlm.show import Figure, finding_values


def small_figures(results: dict) -> dict[str, Figure]:
    """{id of the finding that a card leads to: its drawing}, as far as results have the numbers."""
    drawn = {
        "enough-seeds": chance_figure(results),
        "against-counting": counting_figure(results),
        "cure-and-counting": cure_figure(results),
        "benchmark": benchmark_figure(results),
        "gradients-and-loss": reach_figure(results),
        "temperature-closest": closest_figure(results),
    }
    return {id: figure for id, figure in drawn.items() if figure}


def _panel() -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=SMALL, layout="constrained")
    return canvas, canvas.subplots()


def _rows(results: dict, id: str) -> list[dict]:
    return results["figures"].get(id, {}).get("rows", [])


@styled
def chance_figure(results: dict) -> Figure | None:
    """How two runs differ by chance, and the part that differs by more than the study's two did."""
    values = finding_values(results, "enough-seeds")
    if not values.get("unpaired_sd"):
        return None
    sd, difference, share = values["unpaired_sd"], values["difference"], values["one"]
    canvas, ax = _panel()
    x = np.linspace(-3 * sd, 3 * sd, 241)
    density = np.exp(-0.5 * (x / sd) ** 2)
    ax.fill_between(x, density, where=abs(x) <= difference, color=BAND, lw=0)
    ax.fill_between(x, density, where=abs(x) >= difference, color=ACCENT, alpha=0.6, lw=0)
    ax.plot(x, density, color=INK, lw=1.2)
    ax.text(0.98, 0.95, f"{share:.0%}", transform=ax.transAxes, ha="right", va="top", color=ACCENT, weight="bold")
    ax.set_xticks([-difference, difference], ["", ""])
    ax.set_xlabel(f"beyond ±{difference:.4f} nats")
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    alt = f"A bell curve of the difference between two runs; {share:.0%} of it lie beyond ±{difference:.4f} nats."
    return finish(canvas, "card-seeds", "", alt, [{"sd": sd, "difference": difference, "share": share}])


@styled
def counting_figure(results: dict) -> Figure | None:
    """The losses of the cells and of the counting model."""
    values = finding_values(results, "against-counting")
    cells = [cell for cell in ("rnn", "lstm", "gru") if f"{cell}_mean" in values]
    if not cells:
        return None
    losses = {cell.upper(): values["floor"] + values[f"{cell}_mean"] for cell in cells}
    return _losses_beside("card-counting", losses, "counting", values["floor"])


@styled
def cure_figure(results: dict) -> Figure | None:
    """The same of the larger cells with dropout."""
    values = finding_values(results, "cure-and-counting")
    losses = {cell.upper(): values[cell]["loss"] for cell in ("rnn", "lstm", "gru") if cell in values}
    return _losses_beside("card-cure", losses, "counting", values["counting"]) if losses else None


@styled
def benchmark_figure(results: dict) -> Figure | None:
    """The loss of the best cell and the lowest that is quoted."""
    values = finding_values(results, "benchmark")
    if not values:
        return None
    return _losses_beside("card-benchmark", {values["cell"]: values["mean"]}, "quoted", values["target"])


def _losses_beside(id: str, losses: dict[str, float], other: str, reference: float) -> Figure:
    """A dot for each loss, with a line to that of the other."""
    losses = losses | {other: reference}
    canvas, ax = _panel()
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
