"""Losses on the last tenth of tiny shakespeare, each evaluation with its name.

The text is cut at one character: what stands before it is training text, what follows validation text. A loss is the
mean over all characters of the validation text but the first, in nats per character, in float32 on the CPU.

windows-256   windows of 256 characters that lie end to end, each from a zero state: as GPTs of that context are evaluated,
              except that theirs are drawn at random
carried       one pass through the text with the state carried on, from a zero state at the cut
dynamic       the same, and the weights go on learning from the text that was read: after every so many characters a step of
              gradient descent on their loss, which was taken before it. B. Krause et al., ICML 2018
"""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import clip_grad_norm_
from torch.utils._pytree import tree_map

import charlm_core as core
from charlm.records import Record, Records, finished, of_cell
from charlm.runs.folder import RUNS, load_weights
from charlm.runs.sweep import count_cores
from charlm.sampling import on_cpu
from charlm_core import CharModel, Config, Corpus, Memory

CUT = 1_003_854  # characters: the first nine tenths of tiny shakespeare, as nanoGPT cuts it
TUNING_CUT = CUT * 9 // 10  # the last tenth of these is the validation text of the short runs
SPLIT = "90/10"
WINDOWS, CARRIED, DYNAMIC = "windows-256", "carried", "dynamic"
WINDOW = 256  # characters
WINDOWS_A_BATCH = 64  # windows read side by side
PASS_LENGTH = 1_000  # characters read at a time where the state is carried on
STEP_LENGTH = 50  # characters between two steps of a dynamic evaluation
DYNAMIC_RATES = (0.03, 0.1, 0.3)  # learning rates of such steps, to choose from
RANDOM_WINDOWS = 200 * 64  # that nanoGPT draws for one evaluation

# Losses of others on the same split: transformers of about 10 million weights in windows of 256 drawn at random, and two
# recurrent networks (L. Feng et al., arXiv 2410.01201: 3 layers of 384).
QUOTED = {
    "minLSTM": 1.555,
    "minGRU": 1.548,
    "nanoGPT, its README": 1.4697,
    "nanoGPT, three seeds by AI-Scientist": 1.4655,
    "the same with a tuned learning rate": 1.4603,
}
# Of three recipes before the present one: their mean losses in windows of 256, three seeds of the LSTM each.
EARLIER_RECIPES = (1.4892, 1.4686, 1.4699)


def best_short_run(records: Records) -> Record | None:
    """The short run with the lowest loss in windows of 256, at its last epoch; None without records."""
    return min(finished(records), key=loss_by(WINDOWS), default=None)


# ---------------------------------------------------------------------------------------------------------------------
# a model on a text


def trained_model(folder: Path) -> CharModel:
    """The model of a finished run, for reading, with the weights of its last epoch: no validation loss chose them."""
    weights, config, _ = load_weights(folder, "last")
    model, _ = on_cpu(weights, config)
    return model


def text_between(corpus: Corpus, begin: int, end: int | None = None) -> Tensor:
    """The ids (n,) of a stretch of the text."""
    return torch.from_numpy(np.asarray(corpus.ids[begin:end]).astype(np.int64))


def character_losses(model: CharModel, inputs: Tensor, targets: Tensor, state: Memory = None) -> tuple[Tensor, Memory]:
    """Loss of every target: inputs and targets (time, rows) → (time, rows), and the state after them."""
    logits, state = model(inputs, state)  # (time, rows, vocabulary)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape), state


@torch.no_grad()
def window_losses(model: CharModel, text: Tensor) -> list[Tensor]:
    """Losses window by window, (time,) each; the last window may be shorter."""
    n = core.count_chunks(len(text), WINDOW)
    config = Config(chunk_length=WINDOW, batch_size=WINDOWS_A_BATCH, device="cpu")
    losses: list[Tensor] = []
    for inputs, targets in core.batches(text.numpy(), np.arange(n), config):
        of_rows, _ = character_losses(model, inputs, targets)
        losses += of_rows.T  # (rows, time)
    if n * WINDOW < len(text) - 1:
        rest = text[n * WINDOW :, None]  # (time + 1, 1)
        of_rest, _ = character_losses(model, rest[:-1], rest[1:])
        losses.append(of_rest[:, 0])
    return losses


def carried_losses(model: CharModel, text: Tensor, rate: float | None = None) -> Tensor:
    """Loss of every character but the first (n - 1,), each given all of the text before it; with a learning rate by weights
    that have learnt from it, which changes the model."""
    dynamic = rate is not None
    length = STEP_LENGTH if dynamic else PASS_LENGTH
    optimizer = torch.optim.SGD(model.parameters(), lr=rate or 0.0)
    losses = []
    state: Memory = None
    with torch.set_grad_enabled(dynamic):
        for first in range(0, len(text) - 1, length):
            piece = text[first : first + length + 1, None]  # (time + 1, 1)
            of_piece, state = character_losses(model, piece[:-1], piece[1:], state)
            state = tree_map(Tensor.detach, state)
            losses.append(of_piece[:, 0].detach())
            if dynamic:
                optimizer.zero_grad()
                of_piece.mean().backward()
                clip_grad_norm_(model.parameters(), 1.0)  # as in training
                optimizer.step()
    return torch.cat(losses)


def random_batches_error(losses: Sequence[Tensor]) -> float:
    """Standard error of a mean over as many random windows as nanoGPT draws, from the losses of windows that lie end to
    end: the noise that such an evaluation adds."""
    means = [float(window.mean()) for window in losses if len(window) == WINDOW]
    return float(np.std(means, ddof=1)) / math.sqrt(RANDOM_WINDOWS)


def averaged(losses: Sequence[Tensor]) -> Tensor:
    """Losses of the average of several models' probabilities, from each one's losses (n,) of the same characters."""
    return math.log(len(losses)) - torch.logsumexp(-torch.stack(list(losses)).double(), dim=0)


# ---------------------------------------------------------------------------------------------------------------------
# the runs of a study


def with_short_losses(records: Records, corpus: Corpus, runs: Path = RUNS) -> list[Record]:
    """The short runs with their losses by evaluation on their own validation text; the LSTM that was best with those by the
    rate of a dynamic evaluation too, as [[rate, loss], …]."""
    text = text_between(corpus, TUNING_CUT, CUT)
    measured = [r | {"losses": _means(losses)} for r, losses, _ in _measured(records, text, None, runs)]
    best = best_short_run(of_cell(measured, "lstm"))
    if best is None:
        return measured
    folder = runs / best["run_id"]

    def tried(rate: float) -> list[float]:
        with _reading():
            losses = carried_losses(trained_model(folder), text, rate)
        return [rate, float(losses.double().mean())]

    tries = _on_all_cores(tried, DYNAMIC_RATES)
    return [r | {"dynamic_rates": tries} if r is best else r for r in measured]


def best_dynamic_rate(records: Records) -> float | None:
    """The rate with the lowest loss, the first of equals; None where none was tried."""
    tried = [pair for r in records for pair in r.get("dynamic_rates", [])]
    return min(tried, key=lambda pair: pair[1])[0] if tried else None


def with_benchmark_losses(
    records: Records, corpus: Corpus, dynamic_rate: float | None = None, runs: Path = RUNS
) -> list[Record]:
    """The finished runs with their losses by evaluation (a dynamic one of the LSTM where its rate is given: it takes minutes
    a run), what random batches would add as noise to the one from windows (random_batches), and the losses of the average
    of the probabilities of all runs of the cell (together)."""
    found = _measured(records, text_between(corpus, CUT), dynamic_rate, runs)
    together = {}
    for cell in {r["cell"] for r, _, _ in found}:
        alike = [losses for r, losses, _ in found if r["cell"] == cell]
        of_all = {evaluation: averaged([losses[evaluation] for losses in alike]) for evaluation in (WINDOWS, CARRIED)}
        together[cell] = _means(of_all)
    measured = []
    for r, losses, error in found:
        fields = {"losses": _means(losses), "random_batches": error, "together": together[r["cell"]]}
        measured.append(r | fields)
    return measured


def _measured(
    records: Records, text: Tensor, dynamic_rate: float | None, runs: Path
) -> list[tuple[Record, dict[str, Tensor], float]]:
    """The finished runs, each with its losses (n - 1,) by evaluation, and the error that random batches would add."""

    def losses_of(r: Record) -> tuple[Record, dict[str, Tensor], float]:
        model = trained_model(runs / r["run_id"])
        with _reading():
            windows = window_losses(model, text)
            losses = {WINDOWS: torch.cat(windows), CARRIED: carried_losses(model, text)}
            if dynamic_rate is not None and r["cell"] == "lstm":
                losses[DYNAMIC] = carried_losses(model, text, dynamic_rate)
        return r, losses, random_batches_error(windows)

    return _on_all_cores(losses_of, finished(records))


def _on_all_cores(measure: Callable, arguments: Sequence) -> list:
    """measure() of each, side by side. Threads are enough: PyTorch lets go of Python's lock while it computes."""
    with ThreadPoolExecutor(count_cores()) as pool:
        return list(pool.map(measure, arguments))


def _reading():
    """One thread, so that the bits are the same on a machine with more."""
    return core.arithmetic(Config(device="cpu"))


def _means(losses: dict[str, Tensor]) -> dict[str, float]:
    return {evaluation: float(values.double().mean()) for evaluation, values in losses.items()}


def loss_by(evaluation: str):
    """A run's loss by an evaluation, for stats.seed_estimate; None where it was not made."""
    return lambda r: r["losses"].get(evaluation)


def benchmark_rows(records: Records, corpus_name: str) -> list[dict]:
    """A row a run and evaluation, as results.json has them."""
    rows = []
    for r in finished(records):
        for evaluation in (WINDOWS, CARRIED):
            row = {
                "cell": r["cell"],
                "corpus": corpus_name,
                "split": SPLIT,
                "evaluation": evaluation,
                "seed": r["seed"],
            }
            row |= {"val_loss": r["losses"][evaluation], "parameters": r["parameters"], "train_seconds": r["seconds"]}
            rows.append(row | {"machine": r["machine"]["cpu"]})
    return rows
