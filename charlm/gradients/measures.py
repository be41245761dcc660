"""Does the gradient vanish? How much the loss of a character depends on the input k steps before it, measured.

For a window of text with one-hot characters x_1 … x_n, read from a zero state, and the loss L of the character that
follows it, the norm at k steps back is ‖∂L/∂x_{n−k}‖, Euclidean, in nats. By the chain rule it is the product that
Pascanu, Mikolov and Bengio examine (On the difficulty of training recurrent neural networks, ICML 2013; first Hochreiter's
diploma thesis, 1991): the loss's gradient at the last state, times the Jacobians of k steps, times the way in from the
input, which is the same for every k. Taken at the input it means the same for every cell, whatever its state consists of.

A curve of norms is the median over windows: a few windows with a huge gradient do not decide it, it exists where some
norms are zero, and it is the same on a linear and a logarithmic scale. A record of a run has its curve as "gradient", a list
indexed by k. Ratios are averaged over seeds as logarithms.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import charlm_core as core
from charlm.corpus import split_corpus
from charlm.records import Record, Records, finished
from charlm.runs.folder import RUNS, kept_measurement, load_weights
from charlm.sampling import on_cpu
from charlm_core import CharModel, Config, Corpus

CHARACTERS = 960  # read for each curve: 32 chunks of 30
LONG = 100  # characters of a window that reaches further back than training did
NEAR, FAR = 1, 20  # steps back whose ratio is judged
VANISHED = 0.1  # of the norm at NEAR: what is less at FAR has vanished
FACTOR_MARGIN = 2.0  # a factor between two cells' ratios that is too small to matter
KEPT_CURVES = ("gradient", "gradient_long")  # names of a run's curves in its record
TINY = float(np.finfo(np.float32).smallest_subnormal)  # what stands for a gradient that float32 has rounded to zero

# ---------------------------------------------------------------------------------------------------------------------
# measuring


def windows(corpus: Corpus, config: Config, length: int) -> np.ndarray:
    """Windows of consecutive text that end where a validation chunk of the run's split ends, each with the character
    that follows: ids (length + 1, windows) of int64, CHARACTERS in all and spread evenly over the text. A window of the
    chunk length is a validation chunk; a longer one begins in the text before it, training text or not.
    """
    _, chunks = split_corpus(corpus, config)
    ends = (chunks + 1) * config.chunk_length
    ends = ends[ends >= length]
    few = min(len(ends), max(2, CHARACTERS // length))
    ends = ends[np.linspace(0, len(ends) - 1, few).astype(int)]  # (windows,)
    places = ends - length + np.arange(length + 1)[:, None]  # (length + 1, windows)
    return corpus.ids[places].astype(np.int64)


def longest_window(configs: Sequence[Config], corpus: Corpus) -> int:
    """LONG, or less where the text of one of the configurations has no validation chunk so far from its beginning."""
    ends = []
    for config in configs:
        _, chunks = split_corpus(corpus, config)
        ends.append((int(chunks[-1]) + 1) * config.chunk_length)
    return min(LONG, *ends)


def to_differentiate(weights: dict[str, Tensor], config: Config) -> tuple[CharModel, Config]:
    """The model on one CPU thread, whatever it was trained on and in; its weights want no gradient. The recurrent layers are
    in float32. The head is in float64: a character far back may change a loss by less than float32 can tell of it.
    """
    model, config = on_cpu(weights, config, precision="float32", threads=1)
    model.requires_grad_(False)
    model.head.double()
    return model, config


def last_losses(model: CharModel, one_hot: Tensor, following: Tensor) -> Tensor:
    """Loss of the character after each window in nats, (windows,), from one_hot (length, windows, vocabulary)."""
    hidden, _ = model.rnn(one_hot)  # (length, windows, hidden)
    return F.cross_entropy(model.head(hidden[-1].double()), following, reduction="none")


def norms(weights: dict[str, Tensor], config: Config, ids: np.ndarray) -> np.ndarray:
    """‖∂L/∂x_{n−k}‖ for windows of ids (length + 1, windows): float64 (length, windows), the first axis is k."""
    model, config = to_differentiate(weights, config)
    text = torch.from_numpy(ids)
    one_hot = F.one_hot(text[:-1], model.rnn.input_size).float().requires_grad_()  # (length, windows, vocabulary)
    with core.arithmetic(config):
        losses = last_losses(model, one_hot, text[-1])  # (windows,)
        # Windows share nothing, so the gradient of their sum holds for each its own.
        (gradient,) = torch.autograd.grad(losses.sum(), one_hot)  # (length, windows, vocabulary)
    # The squares of small gradients would be zero in float32.
    by_place = torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64)  # (length, windows)
    return by_place.flip(0).numpy()


def changes(weights: dict[str, Tensor], config: Config, ids: np.ndarray) -> np.ndarray:
    """By how many nats, up or down, the loss changes when the character NEAR or FAR steps back is replaced by what
    stands there in another window: (2,), medians over the windows where that is another character, NaN without any.
    """
    model, config = to_differentiate(weights, config)
    steps = (NEAR, FAR)
    texts = np.repeat(ids[None], 1 + len(steps), axis=0)  # (texts, length + 1, windows): as it is, then replaced
    for text, k in zip(texts[1:], steps, strict=True):
        text[-2 - k] = np.roll(ids[-2 - k], 1)
    read = torch.from_numpy(np.concatenate(texts, axis=1))  # (length + 1, texts × windows)
    with core.arithmetic(config), torch.no_grad():
        one_hot = F.one_hot(read[:-1], model.rnn.input_size).float()
        losses = last_losses(model, one_hot, read[-1])  # (texts × windows,)
    original, *replaced = losses.numpy().reshape(1 + len(steps), -1)  # (windows,) each
    medians = []
    for text, loss in zip(texts[1:], replaced, strict=True):
        is_other = (text != ids).any(axis=0)  # (windows,)
        sizes = np.abs(loss - original)[is_other]
        medians.append(float(np.median(sizes)) if len(sizes) else math.nan)
    return np.array(medians)


def curve(weights: dict[str, Tensor], config: Config, corpus: Corpus, length: int | None = None) -> np.ndarray:
    """The median norm of a model k steps back, (length,), over windows of `length`, by default its chunk length."""
    ids = windows(corpus, config, length or config.chunk_length)  # (length + 1, windows)
    return np.median(norms(weights, config, ids), axis=1)


def before_training(configs: Sequence[Config], corpus: Corpus) -> list[Record]:
    """A record with the curve of the initial weights for each configuration."""
    records = []
    for config in configs:
        weights = core.initial_weights(len(corpus.vocab), config)
        about = vars(config) | {"corpus": corpus.name, "max_epochs": config.epochs, "status": "finished"}
        records.append(about | {"gradient": curve(weights, config, corpus).tolist()})
    return records


def with_gradient_curves(
    records: Records, corpus: Corpus, runs: Path = RUNS, length: int | None = None
) -> list[Record]:
    """The finished runs with their curves, of chunks and of longer windows (lists, indexed by k; length: of the latter, by
    default as long as the run's text has), and the others as they are. The curves are kept in the runs' folders."""
    measured = []
    for r in records:
        if r["status"] == "finished":
            by_name = _kept_curves(runs / r["run_id"], corpus, length)
            r = r | {name: norms.tolist() for name, norms in by_name.items()}
        measured.append(r)
    return measured


def _kept_curves(folder: Path, corpus: Corpus, length: int | None) -> dict[str, Tensor]:
    """The two curves of a run by their names in KEPT_CURVES."""
    weights, config, _ = load_weights(folder)
    lengths = (config.chunk_length, length or longest_window([config], corpus))

    def measure() -> dict[str, Tensor]:
        both = [torch.from_numpy(curve(weights, config, corpus, n)) for n in lengths]
        return dict(zip(KEPT_CURVES, both, strict=True))

    return kept_measurement(folder, "gradients", {"lengths": [*lengths]}, measure)


def with_changes(records: Records, corpus: Corpus, runs: Path = RUNS) -> list[Record]:
    """The finished runs with what changes() gives on their validation chunks, as "near" and "far"."""
    measured = []
    for r in finished(records):
        weights, config, _ = load_weights(runs / r["run_id"])
        near, far = changes(weights, config, windows(corpus, config, config.chunk_length)).tolist()
        measured.append(r | {"near": near, "far": far})
    return measured


# ---------------------------------------------------------------------------------------------------------------------
# what is judged


def log_ratio(far: float, near: float) -> float | None:
    """log10(far / near); a far of zero counts as TINY. None where near is zero or one of them is not finite."""
    if not (near > 0 and math.isfinite(near) and math.isfinite(far)):
        return None
    return math.log10(max(far, TINY)) - math.log10(near)


def fall(record: Record) -> float | None:
    """log10 of the ratio of the norm at FAR steps back to that at NEAR."""
    return log_ratio(record["gradient"][FAR], record["gradient"][NEAR])


def first_below(curve: Sequence[float], share: float) -> int | None:
    """The first k beyond NEAR whose norm is at most `share` of that at NEAR; None where there is none."""
    for k in range(NEAR + 1, len(curve)):
        if curve[k] <= share * curve[NEAR]:
            return k
    return None


def reached(records: Records, share: float) -> str | None:
    """first_below() over the runs: '4', '4 to 5', '24 to beyond 29'; None where no curve has a norm at NEAR."""
    curves = [r["gradient"] for r in finished(records) if r["gradient"][NEAR] > 0]
    if not curves:
        return None
    steps = [first_below(curve, share) or math.inf for curve in curves]
    ends = []
    for k in dict.fromkeys((min(steps), max(steps))):
        ends.append(f"{k}" if k < math.inf else f"beyond {min(map(len, curves)) - 1}")
    return " to ".join(ends)
