"""The experiment: corpus → chunks → model → training loop → evaluation → sampling. Meant to be read in one sitting.

The defaults reproduce a student study of a character-level RNN and LSTM on 268,330 characters of Shakespeare: chunks of
30 characters, 2 layers of 256, Adam at 0.001, batches of 64, at most 50 epochs, stop after 5 without a better
validation loss. Losses are cross-entropies in nats per character; a loss of an epoch is the mean of its batch means.

Every random choice follows from `Config.seed`: the split, the order of the chunks in each epoch and the initial weights
have a stream of their own, so an RNN and an LSTM of one seed see the same split and the same order, and an epoch can be
computed from the state that the epoch before it left, on any machine of the same kind, to the same bits.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cache
from itertools import pairwise, repeat
from threading import Event
from typing import TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils._pytree import tree_map

from charlm_corpus import CharlmError, Corpus, decode, encode

# ---------------------------------------------------------------------------------------------------------------------
# Configuration: what decides the result of a run, besides the corpus

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SPLITS = ("shuffled", "sequential")
SCHEDULES = ("constant", "cosine")
MOVING = "moving"
WARM_UP = 100  # steps in which a cosine schedule's learning rate rises from zero
PRECISIONS = ("float32", "bfloat16")
DEVICES = ("cpu", "cuda", "mps")


@dataclass(frozen=True)
class Config:
    """One training run; the defaults are the protocol of the source study.

    Raises CharlmError, naming the field and what it takes, when a value makes no sense.
    """

    cell: str = "lstm"  # rnn (tanh), lstm or gru
    hidden_size: int = 256
    layers: int = 2
    learning_rate: float = 0.001  # of Adam
    batch_size: int = 64  # chunks a step
    chunk_length: int = 30  # characters
    validation_share: float = 0.2  # of the chunks
    epochs: int = 50  # at most
    patience: int = 5  # epochs without a better validation loss before training stops
    seed: int = 0
    split: str = "shuffled"  # or sequential: the last chunks of the text are validation
    split_seed: int | None = None  # shuffles the chunks where it is given, in place of the seed
    device: str = "auto"  # cuda, cpu or mps; auto takes cuda where it is there, else cpu
    precision: str = "auto"  # float32 or bfloat16 (autocast); auto: see resolve()
    threads: int = 1  # of the CPU; part of a run's identity, because sums round differently with more

    # Beyond the study: what follows is off, or the whole text, by default.
    dropout: float = 0.0  # between the layers and before the head. W. Zaremba et al., arXiv 1409.2329
    weight_decay: float = 0.0  # decoupled from the gradient. I. Loshchilov, F. Hutter, ICLR 2019
    schedule: str = "constant"  # or cosine: after WARM_UP steps to zero at the last epoch. The same, ICLR 2017
    clip: float = 0.0  # the gradient's norm at most, 0 for any. R. Pascanu et al., ICML 2013
    average: float = 0.0  # decay, a step, of a running mean of the weights that stands for them; 0 for none
    carry: bool = False  # batch_size streams through the text, each window going on with the state of the one before
    characters: int | None = None  # of the text, from its beginning; the rest is not read
    validation_characters: int | None = None  # the split is that of so many; what follows them is for training
    cut: int | None = None  # the character where a sequential split changes sides, in place of validation_share

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if f.type is float and type(value) is int:
                object.__setattr__(self, f.name, value := float(value))
            kinds = get_args(f.type) or (f.type,)
            if type(value) not in kinds:
                needs = " or ".join(kind.__name__ for kind in kinds)
                raise CharlmError(f"{f.name} = {value!r}: needs a value of type {needs}")
        for name, choices in (
            ("cell", tuple(CELLS)),
            ("split", SPLITS),
            ("schedule", SCHEDULES),
            ("device", ("auto", *DEVICES)),
            ("precision", ("auto", *PRECISIONS)),
        ):
            if getattr(self, name) not in choices:
                raise CharlmError(f"{name} = {getattr(self, name)!r}: choose one of {', '.join(choices)}")
        counts = ("hidden_size", "layers", "batch_size", "chunk_length", "epochs", "patience", "threads")
        for name in counts:
            if getattr(self, name) < 1:
                raise CharlmError(f"{name} = {getattr(self, name)}: needs a whole number of at least 1")
        if not (0 < self.learning_rate < math.inf):
            raise CharlmError(f"learning_rate = {self.learning_rate}: needs a positive number")
        if not 0 < self.validation_share < 1:
            raise CharlmError(f"validation_share = {self.validation_share}: needs a number between 0 and 1")
        for name in ("dropout", "average"):
            if not 0 <= getattr(self, name) < 1:
                raise CharlmError(f"{name} = {getattr(self, name)}: needs a number from 0 to below 1")
        for name in ("weight_decay", "clip"):
            if not 0 <= getattr(self, name) < math.inf:
                raise CharlmError(f"{name} = {getattr(self, name)}: needs a number of at least 0")
        for name in ("characters", "validation_characters", "cut"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise CharlmError(f"{name} = {getattr(self, name)}: needs a whole number of at least 1, or none")
        for name in ("carry", "cut"):
            if getattr(self, name) and self.split != "sequential":
                raise CharlmError(f"{name} = {getattr(self, name)}: needs split = 'sequential'")
        for name in ("seed", "split_seed"):
            if not 0 <= (getattr(self, name) or 0) < 2**32:
                raise CharlmError(f"{name} = {getattr(self, name)}: needs a whole number from 0 to {2**32 - 1}")

    def resolve(self) -> "Config":
        """The same configuration with `auto` replaced by what this machine has, as a run must be named by it.

        An Apple GPU (mps) is taken by name only: nobody has tried yet whether it is faster, or right. bfloat16 is taken where the CPU multiplies it in half the time: with AMX, or with AVX-512 BF16 on an AMD. An
        Intel with AVX-512 BF16 alone takes 1.6 to 1.8 times as long as in float32. A GPU is fast enough at this size to
        stay with float32. So does an RNN with large steps: its losses scatter too much to be shown equal in both
        (studies/precision_larger.json).
        """
        device = self.device
        there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
        if device == "auto":
            device = "cuda" if there["cuda"] else "cpu"
        elif not there[device]:
            raise CharlmError(f"device = {device!r}: this machine has none; use device='auto'")
        precision = self.precision
        if precision == "auto":
            has = torch.cpu.get_capabilities() if device == "cpu" else {}
            shown = self.cell != "rnn" or self.learning_rate <= Config.learning_rate
            fast = has.get("amx_bf16") or (has.get("avx512_bf16") and has.get("sse4a"))  # only an AMD has SSE4a
            able = shown and fast and not why_not(self.cell, device, "bfloat16")
            precision = "bfloat16" if able else "float32"
        return replace(self, device=device, precision=precision)


# ---------------------------------------------------------------------------------------------------------------------
# Data: consecutive chunks, some of them kept for validation

SPLIT_STREAM, ORDER_STREAM, WEIGHT_STREAM, DROPOUT_STREAM = range(
    4
)  # what a seed is used for; each has random numbers of its own


def count_chunks(n_characters: int, chunk_length: int) -> int:
    """How many whole chunks the text holds; each needs one more character after it as its last target."""
    return max(0, n_characters - 1) // chunk_length


def split_chunks(n_chunks: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation chunk numbers, (n_train,) and (n_validation,): a shuffle, of which the first part
    (rounded down) is validation. Neighbouring chunks therefore stand on both sides, as in the source study. A
    sequential split takes as many from the end of the text instead."""
    if config.characters is not None:
        n_chunks = min(n_chunks, count_chunks(config.characters, config.chunk_length))
    n_split = n_chunks
    if config.validation_characters is not None:
        n_split = min(n_chunks, count_chunks(config.validation_characters, config.chunk_length))
    n_validation = int(n_split * config.validation_share)
    if config.cut is not None:
        n_validation = n_split - min(n_split, -(-config.cut // config.chunk_length))
    if n_validation < 1 or n_split - n_validation < 1:
        raise CharlmError(
            f"the corpus is too short: {n_split} chunks of {config.chunk_length} characters cannot give one for training"
            f" and one for validation at a share of {config.validation_share:g}; use a longer text or shorter chunks"
        )
    if config.split == "sequential":
        order = np.arange(n_split)[::-1]
    else:
        seed = config.seed if config.split_seed is None else config.split_seed
        order = np.random.default_rng([seed, SPLIT_STREAM]).permutation(n_split)
    validation, train = np.sort(order[:n_validation]), np.sort(order[n_validation:])
    if config.cut is not None:
        train = train[(train + 1) * config.chunk_length < config.cut]  # not even its last target is beyond the cut
    return np.append(train, np.arange(n_split, n_chunks)), validation


def chunk_order(train: np.ndarray, epoch: int, config: Config) -> np.ndarray:
    """The training chunks in the order in which an epoch reads them: shuffled anew for each, or in batch_size streams
    side by side, of which a batch has one chunk each (what is left over at the end of the text is not read)."""
    if config.carry:
        steps = len(train) // config.batch_size
        streams = train[: steps * config.batch_size].reshape(config.batch_size, steps)
        return streams.T.ravel()
    return np.random.default_rng([config.seed, ORDER_STREAM, epoch]).permutation(train)


def batches(ids: np.ndarray, chunks: np.ndarray, config: Config):
    """Yield inputs and targets, both (time, batch) of int64: a column is a chunk, the target its text one later."""
    steps = np.arange(config.chunk_length + 1)
    for first in range(0, len(chunks), config.batch_size):
        starts = chunks[first : first + config.batch_size] * config.chunk_length
        window = torch.from_numpy(ids[starts + steps[:, None]].astype(np.int64))  # (time + 1, batch)
        yield window[:-1].to(config.device), window[1:].to(config.device)


# ---------------------------------------------------------------------------------------------------------------------
# Model


Memory: TypeAlias = (
    Tensor | tuple[Tensor, ...] | None
)  # what recurrent layers keep: (layers, batch, hidden), an LSTM two of it


class CharModel(nn.Module):
    """One-hot characters → recurrent layers → a score (logit) for every character of the vocabulary."""

    def __init__(self, vocabulary_size: int, config: Config) -> None:
        super().__init__()
        between = {"dropout": config.dropout} if config.dropout and config.layers > 1 else {}
        self.rnn = CELLS[config.cell](vocabulary_size, config.hidden_size, config.layers, **between)
        self.dropout = config.dropout
        self.head = nn.Linear(config.hidden_size, vocabulary_size)

    def forward(self, ids: Tensor, state: Memory = None) -> tuple[Tensor, Memory]:
        """ids (time, batch) → logits (time, batch, vocabulary), and the state after them, to go on from; without a
        state to begin with, that is zero."""
        one_hot = F.one_hot(ids, self.rnn.input_size).to(self.head.weight.dtype)  # (time, batch, vocabulary)
        hidden, state = self.rnn(one_hot, state)  # (time, batch, hidden)
        return self.head(F.dropout(hidden, self.dropout, self.training)), state


def stream_seed(*stream: int) -> int:
    """A seed of 64 bits for PyTorch's generator, from the numbers that name a stream."""
    return int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0])


def initial_weights(vocabulary_size: int, config: Config) -> dict[str, Tensor]:
    """PyTorch's default initial weights, drawn on the CPU from the seed's own stream whatever the device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(stream_seed(config.seed, WEIGHT_STREAM))
        return {name: w.detach() for name, w in CharModel(vocabulary_size, config).state_dict().items()}


def count_parameters(vocabulary_size: int, config: Config) -> int:
    """Number of trained weights and biases."""
    with torch.device("meta"):
        return sum(p.numel() for p in CharModel(vocabulary_size, config).parameters())


# ---------------------------------------------------------------------------------------------------------------------
# Training: a pure function from the state after one epoch to the state after the next


@dataclass
class State:
    """All that training needs to go on: after epoch n it decides epoch n + 1 to the bit. Tensors are on the CPU.

    `history` has a row for each finished epoch: {"epoch", "train_loss", "val_loss"}. `diverged` is None, or says in
    which epoch and step (None: in validation) the loss stopped being a finite number.
    """

    weights: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    moments: dict[str, Tensor] = field(default_factory=dict)  # of Adam: "<parameter>/exp_avg", "/exp_avg_sq", "/step"
    # With `average`, "<parameter>/moving" is the parameter itself, and `weights` has the mean that stands for it.
    history: list[dict] = field(default_factory=list)
    diverged: dict | None = None


def initial_state(vocabulary_size: int, config: Config) -> State:
    weights = initial_weights(vocabulary_size, config)
    return State(weights, weights)


def best_epoch(history: list[dict]) -> int | None:
    """The epoch (from 1) with the lowest validation loss, the earliest of equals; None before the first."""
    return min(history, key=lambda row: row["val_loss"])["epoch"] if history else None


def is_finished(state: State, config: Config) -> bool:
    """Diverged, at the last epoch, or `patience` epochs without a better validation loss."""
    done = len(state.history)
    stale = done - (best_epoch(state.history) or 0)
    return state.diverged is not None or done >= config.epochs or stale >= config.patience


@contextmanager
def dropout_stream(epoch: int, config: Config):
    """Dropout draws from the seed's own stream for this epoch, and leaves everybody else's random numbers alone."""
    devices = [torch.cuda.current_device()] if config.device == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(stream_seed(config.seed, DROPOUT_STREAM, epoch))
        yield


@contextmanager
def arithmetic(config: Config):
    """Threads and determinism as the configuration says, put back afterwards (a notebook's kernel goes on living)."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    tf32 = torch.backends.cudnn.allow_tf32
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS may not repeat its bits
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(config.device == "cuda")
    torch.backends.cudnn.allow_tf32 = False  # float32 is to mean float32
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.allow_tf32 = tf32


def batch_loss(
    model: CharModel, inputs: Tensor, targets: Tensor, config: Config, state: Memory = None
) -> tuple[Tensor, Memory]:
    """Mean cross-entropy over all characters of a batch, in nats per character, computed in float32; and the state of
    the recurrent layers after it."""
    # One autocast a batch: within one, the cast weights are cached, and an optimizer's step would go unseen.
    with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bfloat16"):
        logits, state = model(inputs, state)  # (time, batch, vocabulary)
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten()), state


@cache
def why_not(cell: str, device: str, precision: str) -> str:
    """Why this machine's device cannot train a cell in a precision, in one line; empty where it can. It is tried once.

    Without AVX-512, for example, oneDNN has no LSTM in bfloat16, and no list of a processor's abilities says so.
    """
    if (device, precision) == ("cpu", "float32"):
        return ""
    config = Config(cell=cell, hidden_size=2, layers=1, device=device, precision=precision)
    try:
        with torch.random.fork_rng(devices=[]):
            model = CharModel(2, config).to(device)
        with arithmetic(config):
            ids = torch.zeros(2, 1, dtype=torch.int64, device=device)  # (time, batch)
            loss, _ = batch_loss(model, ids, ids, config)
            loss.backward()
    except RuntimeError as e:
        return str(e).partition("\n")[0].partition(". ")[0] or type(e).__name__
    return ""


def check_device(config: Config) -> None:
    """Raises CharlmError when this machine cannot train a resolved configuration's cell in its precision."""
    if reason := why_not(config.cell, config.device, config.precision):
        other = "precision = 'float32'" if config.precision != "float32" else "device = 'cpu'"
        raise CharlmError(
            f"precision = {config.precision!r}: this machine's {config.device} cannot train the cell {config.cell!r} in it"
            f" ({reason}); use {other}"
        )


def evaluate(model: CharModel, ids: np.ndarray, chunks: np.ndarray, config: Config) -> float:
    """Loss on the chunks, each from a zero state, without dropout: the mean of the batch means (the study's way: a
    short last batch counts like a full one)."""
    losses = []
    model.eval()
    with torch.no_grad():
        for inputs, targets in batches(ids, chunks, config):
            loss, _ = batch_loss(model, inputs, targets, config)
            losses.append(loss.item())
    return float(np.mean(losses))


def learning_rate(step: int, steps: int, config: Config) -> float:
    """Of a step (from 1) out of so many."""
    if config.schedule == "constant":
        return config.learning_rate
    warm = min(1, step / WARM_UP)
    return config.learning_rate * warm * (1 + math.cos(math.pi * step / steps)) / 2


def train_epoch(state: State, corpus: Corpus, config: Config) -> State:
    """The state one epoch later; `state` itself is left as it was. The configuration must be resolved.

    The training loss is measured while training, so it is that of weights still moving, and under dropout: the study's
    way.
    """
    epoch = len(state.history) + 1
    train, validation = split_chunks(count_chunks(len(corpus.ids), config.chunk_length), config)
    order = chunk_order(train, epoch, config)
    steps = -(-len(order) // config.batch_size)

    model = CharModel(len(corpus.vocab), config)
    model.load_state_dict(state.weights)
    model.to(config.device)
    evaluated = model
    if config.average:
        evaluated = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.average))
        evaluated.n_averaged += 1  # the first update moves the mean, and does not replace it
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=config.device != "mps"
    )
    with torch.no_grad():
        for name, p in model.named_parameters():
            for key, moment in state.moments.items():
                of, _, kind = key.rpartition("/")
                if of == name and kind == MOVING:
                    p.copy_(moment)
                elif of == name:
                    optimizer.state[p][kind] = moment.clone() if kind == "step" else moment.to(p.device, copy=True)

    losses, carried = [], None
    with arithmetic(config), dropout_stream(epoch, config):
        model.train()
        for step, (inputs, targets) in enumerate(batches(corpus.ids, order, config), start=1):
            loss, after = batch_loss(model, inputs, targets, config, carried)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                return replace(state, diverged={"epoch": epoch, "step": step})
            optimizer.zero_grad()
            loss.backward()
            if config.clip:
                nn.utils.clip_grad_norm_(model.parameters(), config.clip)
            optimizer.param_groups[0]["lr"] = learning_rate((epoch - 1) * steps + step, config.epochs * steps, config)
            optimizer.step()
            if config.average:
                evaluated.update_parameters(model)
            if config.carry:
                carried = tree_map(Tensor.detach, after)  # no gradient goes back beyond the window
        val_loss = evaluate(evaluated, corpus.ids, validation, config)
    if not math.isfinite(val_loss):
        return replace(state, diverged={"epoch": epoch, "step": None})

    history = [*state.history, {"epoch": epoch, "train_loss": float(np.mean(losses)), "val_loss": val_loss}]
    shown = evaluated.module if config.average else model
    weights = {name: w.detach().cpu() for name, w in shown.state_dict().items()}
    moments = {}
    for name, p in model.named_parameters():
        for kind, moment in optimizer.state[p].items():
            moments[f"{name}/{kind}"] = moment.cpu()
        if config.average:
            moments[f"{name}/{MOVING}"] = p.detach().cpu()
    return State(weights, weights if best_epoch(history) == epoch else state.best_weights, moments, history)


# ---------------------------------------------------------------------------------------------------------------------
# Sampling: text from trained weights, the same text whatever else is in the batch


def philox(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Philox4x32-10: counters (..., 4) and keys (..., 2) of 32-bit words → (..., 4) random 32-bit words.

    J. K. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.
    """
    low = np.uint64(0xFFFFFFFF)
    c = [np.asarray(counter[..., i], np.uint64) for i in range(4)]
    k = [np.asarray(key[..., i], np.uint64) for i in range(2)]
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)  # 32 × 32 → 64 bits
        c = [(b >> np.uint64(32)) ^ c[1] ^ k[0], b & low, (a >> np.uint64(32)) ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(np.broadcast_arrays(*c), axis=-1)


def uniforms(seed: int, samples: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Uniform numbers in [0, 1), 53 bits each, (samples, positions): key = (seed, sample), counter = position."""
    key = np.stack(np.broadcast_arrays(np.uint64(seed), np.asarray(samples, np.uint64)[:, None]), axis=-1)  # (s, 1, 2)
    counter = np.zeros((1, len(positions), 4), np.uint64)
    counter[0, :, 0] = positions
    words = philox(counter, key)
    return ((words[..., 0] >> np.uint64(5)) * 2.0**26 + (words[..., 1] >> np.uint64(6))) / 2.0**53


def temperature_softmax(logits: np.ndarray, temperature: np.ndarray | float) -> np.ndarray:
    """exp(z_i / T) / Σ_j exp(z_j / T) over the last axis in float64, for logits (..., vocabulary).

    T = 0 is the limit: all on the first of the largest logits (greedy). `temperature` is a number or an array that
    broadcasts against logits[..., :1].
    """
    t = np.asarray(temperature, np.float64)
    with np.errstate(over="ignore"):  # z / T may overflow to -inf
        p = boltzmann(logits, t, t == 0 if not t.all() else None)
    return p / p.sum(axis=-1, keepdims=True)


def boltzmann(logits: np.ndarray, temperature: np.ndarray, greedy: np.ndarray | None) -> np.ndarray:
    """temperature_softmax() up to a factor for each distribution, in few steps. greedy: where the temperature is 0, None
    for nowhere."""
    # The largest logit is subtracted before the division, so no T > 0 overflows; a tiny one takes exp to 0, as it should.
    z = np.subtract(logits, logits.max(axis=-1, keepdims=True), dtype=np.float64)
    if greedy is None:
        return np.exp(z / temperature)
    likeliest = np.arange(z.shape[-1]) == z.argmax(axis=-1)[..., None]
    return np.where(greedy, likeliest, np.exp(z / np.where(greedy, 1, temperature)))


def draw(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Invert the cumulative distribution: (rows, vocabulary) and (rows,) in [0, 1) → ids (rows,), in vocabulary order.
    The probabilities of a row may have any sum."""
    cumulative = probabilities.cumsum(axis=-1)
    # A double below 1 is 1 - 2⁻⁵³ at most: times the sum, it rounds to less than the sum.
    return (cumulative > (uniform * cumulative[:, -1])[:, None]).argmax(axis=-1)  # the first that is


def truncate(probabilities: np.ndarray, top_k: np.ndarray | int = 0, top_p: np.ndarray | float = 1.0) -> np.ndarray:
    """Distributions (rows, vocabulary) cut down to their likeliest characters and made to sum to 1 again. top_k and
    top_p are one number for all rows or (rows,); equally likely characters rank in vocabulary order.

    top_k keeps the k likeliest (0: all). A. Fan et al., Hierarchical Neural Story Generation, ACL 2018.
    top_p then keeps the fewest likeliest that together reach the share p of what is left (1: all). A. Holtzman et al.,
    The Curious Case of Neural Text Degeneration, ICLR 2020.
    """
    size = probabilities.shape[-1]
    k, p = (np.broadcast_to(x, len(probabilities))[:, None] for x in (top_k, top_p))  # (rows, 1)
    cut = np.flatnonzero((k > 0) & (k < size) | (p < 1))  # the other rows keep their bits
    if not len(cut):
        return probabilities
    k, p = np.where(k > 0, k, size)[cut], p[cut]
    order = np.argsort(-probabilities[cut], axis=-1, kind="stable")
    ranked = np.take_along_axis(probabilities[cut], order, -1)
    ranked[np.arange(size) >= k] = 0
    before = np.pad(ranked.cumsum(-1)[:, :-1], ((0, 0), (1, 0)))  # of all that are likelier
    ranked[(p < 1) & (before >= p * ranked.sum(-1, keepdims=True))] = 0
    kept = np.zeros_like(ranked)
    np.put_along_axis(kept, order, ranked / ranked.sum(-1, keepdims=True), -1)
    truncated = probabilities.copy()
    truncated[cut] = kept
    return truncated


PIECE = 256  # texts that one thread writes at a time
STRIP = 128  # outputs of a product that one thread sums at a time for a single text


def product(weight: Tensor, bias: Tensor) -> Callable[[np.ndarray], np.ndarray]:
    """x (rows, in) → x @ weight.T + bias (rows, out), where the bits of a row depend neither on the rows beside it nor
    on the number of threads.

    oneDNN sums a row input by input, however many there are, from weights that it packs once. One row alone does not
    keep it busy: there the product is a weighted sum of the weight's columns, which embedding_bag adds up in the same
    order and as fast as it can read them, in strips that lie each in one piece of memory and that the threads share.
    Other processors go other ways for few rows, so there x is filled up to sixteen.
    """
    out, n = weight.shape

    @cache
    def packed() -> Tensor:
        return torch.ops.mkldnn._reorder_linear_weight(weight, 8)

    @cache
    def in_strips() -> tuple:
        strips = -(-out // STRIP)
        w = F.pad(torch.cat([weight.T, bias[None]]), (0, strips * STRIP - out))  # the bias is of an input of 1
        w = w.view(n + 1, strips, STRIP).transpose(0, 1).reshape(-1, STRIP)  # strip under strip
        factors = torch.ones(strips, n + 1)
        first = torch.arange(0, len(w), n + 1)
        return factors[:, :n].numpy(), (w, torch.arange(len(w)), first, False, 0, False, factors.view(-1))

    def multiply(x: np.ndarray) -> np.ndarray:
        if len(x) > 1:
            y = torch.ops.mkldnn._linear_pointwise(torch.from_numpy(x), packed(), bias, "none", [], "")
            return y.numpy()
        place, arguments = in_strips()
        place[:] = x  # in each strip
        return torch.embedding_bag(*arguments)[0].numpy().reshape(1, -1)[:, :out]

    def multiply_filled(x: np.ndarray) -> np.ndarray:
        filled = F.pad(torch.from_numpy(x), (0, 0, 0, max(0, 16 - len(x))))
        return F.linear(filled, weight, bias)[: len(x)].numpy()

    one_dnn = torch.cpu.get_capabilities().get("avx2") and torch.backends.mkldnn.is_available()
    return multiply if one_dnn else multiply_filled


def by_tanh(weight: Tensor, cell: str) -> Tensor:
    """The rows of a cell's weights or biases such that one tanh serves all gates: sigmoid(a) = (1 + tanh(a / 2)) / 2, so
    those of sigmoid gates are halved, and stand before the others."""
    if cell == "lstm":
        i, f, g, o = weight.chunk(4)
        return torch.cat([i / 2, f / 2, o / 2, g])
    if cell == "gru":
        r, z, n = weight.chunk(3)
        return torch.cat([r / 2, z / 2, n])
    return weight


def advance(cell: str, from_x: np.ndarray, from_h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One step of a cell as PyTorch defines it: from what comes of its input and of its hidden state, (rows, gates ×
    hidden) in the order of by_tanh(), and its cell state, the next hidden and cell state, (rows, hidden). The cell state
    of a GRU is its hidden state, and an RNN has no use for one.

    In NumPy: for one text, so many calls of PyTorch take longer than the products.
    """
    n = c.shape[1]
    if cell == "rnn":
        return np.tanh(from_x + from_h), c
    if cell == "lstm":
        gates = np.tanh(from_x + from_h)
        sigmoids = 0.5 * gates[:, : 3 * n] + 0.5
        c = sigmoids[:, n : 2 * n] * c + sigmoids[:, :n] * gates[:, 3 * n :]
        return sigmoids[:, 2 * n :] * np.tanh(c), c
    if cell == "gru":
        sigmoids = 0.5 * np.tanh(from_x[:, : 2 * n] + from_h[:, : 2 * n]) + 0.5
        new = np.tanh(from_x[:, 2 * n :] + sigmoids[:, :n] * from_h[:, 2 * n :])
        h = new + sigmoids[:, n:] * (c - new)
        return h, h
    raise CharlmError(f"cell = {cell!r}: cannot write text before charlm_core.advance() has its step")


class Stepper:
    """A trained model that reads one character at a time, in float32 on the CPU, whatever it was trained in."""

    def __init__(self, weights: dict[str, Tensor], config: Config) -> None:
        def part(kind: str, layer: int) -> list[Tensor]:
            if layer == config.layers:
                return [weights["head.weight"].float(), weights["head.bias"].float()]
            names = (f"rnn.weight_{kind}_l{layer}", f"rnn.bias_{kind}_l{layer}")
            return [by_tanh(weights[name].float(), config.cell) for name in names]

        self.cell, self.layers, self.start = config.cell, [], []
        w, b = part("ih", 0)
        # A matrix times a one-hot vector is a column of the matrix: the first layer looks it up.
        self.columns = (w.T + b).contiguous().numpy()
        for i in range(config.layers):
            # A hidden state is multiplied once, by all it goes to: its own next step, and the layer above or the head.
            w, b = (torch.cat(both) for both in zip(part("hh", i), part("ih", i + 1), strict=True))
            self.layers.append(product(w, b))
            self.start.append((part("hh", i)[1].numpy(), np.zeros(config.hidden_size, np.float32)))

    def zero_state(self, rows: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """For every layer what its next step has from its hidden state, (rows, gates × hidden), and its cell state,
        (rows, hidden)."""
        return [(np.tile(from_h, (rows, 1)), np.tile(c, (rows, 1))) for from_h, c in self.start]

    def __call__(self, ids: np.ndarray, state: list[tuple]) -> tuple[np.ndarray, list[tuple]]:
        """ids (rows,) → logits (rows, vocabulary) in float32, and the state after them."""
        from_x, after = self.columns.take(ids, axis=0), []  # (rows, gates × hidden)
        for multiply, (from_h, c) in zip(self.layers, state, strict=True):
            h, c = advance(self.cell, from_x, from_h, c)
            both, own = multiply(h), from_h.shape[1]
            from_h, from_x = both[:, :own], both[:, own:]
            after.append((from_h, c))
        return from_x, after


def chunk_logits(
    weights: dict[str, Tensor], config: Config, ids: np.ndarray, chunks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of every character of the chunks given those before it in its chunk, and the characters themselves:
    float32 (time, chunks, vocabulary) and int64 (time, chunks). On the CPU, each chunk from a zero state."""
    cpu = replace(config, device="cpu", precision="float32", batch_size=len(chunks))
    model = CharModel(len(weights["head.bias"]), cpu)
    model.load_state_dict(weights)
    ((inputs, targets),) = batches(ids, chunks, cpu)
    with arithmetic(cpu), torch.no_grad():
        logits, _ = model.eval()(inputs)
        return logits.numpy(), targets.numpy()


def next_logits(weights: dict[str, Tensor], config: Config, vocab: str, prompt: str) -> np.ndarray:
    """Logits (vocabulary,) of the character after the prompt."""
    step = Stepper(weights, config)
    state = step.zero_state(1)
    for i in encode(prompt, vocab):
        logits, state = step(np.array([i]), state)
    return logits[0]


def default_prompts(vocab: str) -> list[str]:
    """The source study's prompts A, a, B, b, C where the vocabulary has them all, else its first five letters (or,
    in a text with fewer, its first five characters)."""
    study = "AaBbC"
    letters = [c for c in vocab if c.isalpha()]
    return list(study if set(study) <= set(vocab) else letters if len(letters) >= 5 else vocab)[:5]


def sample(
    weights: dict[str, Tensor],
    config: Config,
    vocab: str,
    prompts: Sequence[str],
    length: int,
    temperature: float | Sequence[float] = 1.0,
    seed: int = 0,
    numbers: Sequence[int] | None = None,
    top_k: int | Sequence[int] = 0,
    top_p: float | Sequence[float] = 1.0,
) -> list[str]:
    """Each prompt with `length` characters drawn after it; all prompts advance as one batch.

    `temperature`, `top_k` and `top_p` are one for all or one for each prompt; `truncate` says what the latter two keep
    of the distribution that the temperature gives. The character at position t of a text (from 0, the prompt
    included) is drawn with the uniform number that Philox gives for key (seed, number of the sample) and counter t:
    so a text is decided by weights, prompt, these three, seed and its number in `numbers` (default: all 0) alone.
    Raises CharlmError for an empty prompt, a character outside the vocabulary, a negative or non-finite
    temperature, a negative top_k, a top_p outside (0, 1], a length below 1, or a seed or number outside 32 bits.
    """
    temperatures = np.broadcast_to(np.asarray(temperature, np.float64), len(prompts))[:, None]
    if not (np.isfinite(temperatures) & (temperatures >= 0)).all():
        raise CharlmError(
            f"temperature = {temperature}: needs a number of at least 0 (0 takes the likeliest character)"
        )
    top_ks, top_ps = np.broadcast_to(top_k, len(prompts)), np.broadcast_to(top_p, len(prompts))
    if top_ks.dtype.kind not in "iu" or (top_ks < 0).any():
        raise CharlmError(f"top_k = {top_ks.min()}: needs a whole number of at least 0 (0 keeps all characters)")
    if not ((top_ps > 0) & (top_ps <= 1)).all():
        bad = top_ps[~((top_ps > 0) & (top_ps <= 1))][0]
        raise CharlmError(f"top_p = {bad}: needs a number above 0 and at most 1 (1 keeps all characters)")
    if length < 1:
        raise CharlmError(f"length = {length}: needs a whole number of at least 1")
    if not prompts or not all(prompts):
        raise CharlmError("an empty prompt: give at least one character to start from")
    numbers = [0] * len(prompts) if numbers is None else numbers
    for name, value in (("seed", seed), *(("sample number", n) for n in numbers)):
        if not 0 <= value < 2**32:
            raise CharlmError(f"{name} = {value}: needs a whole number from 0 to {2**32 - 1}")

    once = {prompt: encode(prompt, vocab) for prompt in dict.fromkeys(prompts)}
    known = [once[prompt] for prompt in prompts]
    ends = np.array([len(k) for k in known])  # where the drawn text begins
    text = np.zeros((ends.max() + length, len(prompts)), np.int64)  # (time, samples)
    for row, k in enumerate(known):
        text[: len(k), row] = k
    u = uniforms(seed, np.asarray(numbers), np.arange(len(text))).T.copy()  # (time, samples)
    greedy = temperatures == 0 if not temperatures.all() else None
    temperatures = np.maximum(temperatures, 1e-200)  # the same texts, and no overflow
    truncated = top_ks.any() or (top_ps < 1).any()
    first, last = ends.min(), ends.max()
    step = Stepper(weights, config)

    @torch.inference_mode()
    def write(some: slice, stopped: Event) -> None:
        """Some of the texts, from their first character to their last."""
        state = step.zero_state(some.stop - some.start)
        for t in range(1, len(text)):
            if stopped.is_set():
                return
            logits, state = step(text[t - 1, some], state)
            if t >= first:
                p = boltzmann(logits, temperatures[some], None if greedy is None else greedy[some])
                drawn = draw(truncate(p, top_ks[some], top_ps[some]) if truncated else p, u[t, some])
                text[t, some] = drawn if t >= last else np.where(t >= ends[some], drawn, text[t, some])

    pieces, threads = -(-len(prompts) // PIECE), torch.get_num_threads()
    if pieces > threads:
        pieces += -pieces % threads  # so that no thread waits for others
    edges = [len(prompts) * i // pieces for i in range(pieces + 1)]
    _side_by_side(write, [slice(*edge) for edge in pairwise(edges)])
    return [decode(text[: end + length, row], vocab) for row, end in enumerate(ends)]


def _side_by_side(work: Callable[[slice, Event], None], pieces: Sequence[slice]) -> None:
    """Do the pieces of some work at the same time, on as many threads as PyTorch would use. What work gets beside its piece
    is set when it shall stop: another piece failed, or Ctrl-C came, of which only the main thread hears."""
    threads, stopped = torch.get_num_threads(), Event()
    if min(threads, len(pieces)) == 1:
        for piece in pieces:
            work(piece, stopped)
        return
    try:
        # Each of them is on its own: what PyTorch calls would else start more threads under every one.
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                list(pool.map(work, pieces, repeat(stopped)))
            except BaseException:
                stopped.set()
                raise
    finally:
        torch.set_num_threads(threads)
