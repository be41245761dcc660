"""Training as it is seen while it goes on, and what came of it: the losses so far, and a text."""

import base64
import html
import io
from typing import Any

from matplotlib.figure import Figure as Canvas

from charlm import sampling
from charlm.drawing import DASHED, colour, count_axis, legend_below, legend_entry, panels, styled
from charlm.printable import visible
from charlm.records import Records, finished
from charlm.runs.folder import RUNS, load_weights
from charlm.runs.progress import in_lab
from charlm.show import Finding, Samples, preformatted
from charlm_core import CharlmError, Config, Corpus, State

LIVE_LENGTH = 200  # characters of the text while training goes on
TEMPERATURE = 0.7
SEED = 0  # the same random numbers every time, so that the weights are all that changes


class LiveView:
    """In JupyterLab one output, which grows with every epoch; elsewhere nothing, so that a log stays a log. train_sweep()
    calls it after each."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.histories: dict[int, list[dict]] = {}  # by seed
        self.handle: Any = None

    def __call__(self, config: Config, state: State) -> None:
        if not in_lab() or not state.history:
            return
        from IPython.display import display

        self.histories[config.seed] = state.history
        source = base64.b64encode(drawn_losses(config.cell, self.histories)).decode()
        label, text = self.text(config, state)
        image = f'<img style="max-width: 100%" src="data:image/png;base64,{source}" width="520" alt="loss by epoch">'
        page = f"{image}<p>{html.escape(label)}</p>{preformatted(text)}"
        bundle = {"text/html": page, "text/plain": f"{label}\n{text}"}
        if self.handle:
            self.handle.update(bundle, raw=True)
        else:
            self.handle = display(bundle, raw=True, display_id=True)

    def text(self, config: Config, state: State) -> tuple[str, str]:
        """What the weights write now, and a line that says so."""
        row = state.history[-1]
        label = f"seed {config.seed}, epoch {row['epoch']}, validation loss {row['val_loss']:.4f}"
        vocab = self.corpus.vocab
        prompts = sampling.default_prompts(vocab)[:1]
        try:
            (text,) = sampling.sample(state.weights, config, vocab, prompts, LIVE_LENGTH, TEMPERATURE, SEED)
        except CharlmError as e:  # a cell of one's own
            return label, str(e)
        return f"{label}, temperature {TEMPERATURE:g}:", visible(text)


@styled
def drawn_losses(cell: str, histories: dict[int, list[dict]]) -> bytes:
    """Training and validation loss of every seed as far as it has come, as PNG."""
    canvas: Canvas
    canvas, (ax,) = panels(1, 2.6)
    c = colour(cell)
    for history in histories.values():
        epochs = [row["epoch"] for row in history]
        ax.plot(epochs, [row["train_loss"] for row in history], ls=DASHED, color=c, marker=".")
        ax.plot(epochs, [row["val_loss"] for row in history], color=c, marker=".")
    ax.grid(axis="y")
    ax.set_xlabel("epoch")
    ax.set_ylabel("loss (nats)")
    count_axis(ax)
    legend_below(canvas, [legend_entry("training", c, ls=DASHED), legend_entry("validation", c)])
    png = io.BytesIO()
    canvas.savefig(png, format="png", dpi=192)
    return png.getvalue()


def written(records: Records, length: int = 300, temperature: float = TEMPERATURE) -> Samples | Finding:
    """A text by the run with the lowest validation loss, from the weights of its best epoch."""
    runs = finished(records)
    cell = records[0]["cell"]
    if not runs:
        return Finding(f"written-{cell}", "No run finished, and nothing is written.", {})
    best = min(runs, key=lambda r: r["val_loss_best"])
    weights, config, vocab = load_weights(RUNS / best["run_id"])
    prompts = sampling.default_prompts(vocab)[:1]
    try:
        (text,) = sampling.sample(weights, config, vocab, prompts, length, temperature, SEED)
    except CharlmError as e:  # a cell of one's own
        return Finding(f"written-{cell}", "{reason}", {"reason": str(e)})
    label = f"{cell.upper()}, seed {best['seed']}, epoch {best['best_epoch']}, temperature {temperature:g}"
    items = [{"label": label, "text": text, "prompt": prompts[0], "temperature": temperature}]
    return Samples(f"written-{cell}", items, "What the run with the lowest validation loss writes.")
