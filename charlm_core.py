"""The experiment: text → ids → chunks → model → training loop → evaluation. Meant to be read in one sitting.

The defaults reproduce a student study of a character-level RNN and LSTM on 268,330 characters of Shakespeare: chunks of
30 characters, 2 layers of 256, Adam at 0.001, batches of 64, at most 50 epochs, stop after 5 without a better
validation loss. Losses are cross-entropies in nats per character; a loss of an epoch is the mean of its batch means.

Every random choice has a stream of its own that follows from `Config.seed`. So an RNN and an LSTM of one seed see the same
split and order of chunks, and an epoch follows from the state before it, on machines of one kind to the same bits.
"""

import math
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map


class CharlmError(Exception):
    """A mistake the user can mend: one line that says what is wrong, where, and what to do."""

    def _render_traceback_(self) -> list[str]:  # what a notebook shows of it
        return [f"CharlmError: {self}"]


# ---------------------------------------------------------------------------------------------------------------------
# Text: a vocabulary, and a small whole number (an id) for every character


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as the models see it. `decode(corpus.ids, corpus.vocab)` is the text again."""

    name: str  # the name in corpora.toml, or the file's name without its folders
    sha256: str  # of the text as read (see charlm/corpus.py), written as UTF-8
    vocab: str  # the distinct characters, in the order of their code points
    ids: np.ndarray  # (n,) positions in vocab, smallest unsigned integers that fit, read-only


def encode(text: str, vocab: str, what: str = "prompt") -> np.ndarray:
    """The ids (n,) of a text of n characters, in the smallest unsigned integer type that fits the vocabulary. CharlmError
    names the characters that are not in it, and where each is first met (from 1); `what` is what it calls the text."""
    unknown = len(vocab)
    table = np.full(sys.maxunicode + 1, unknown, np.min_scalar_type(unknown))
    table[code_points(vocab)] = np.arange(len(vocab))
    ids = table.take(code_points(text))
    outside = np.flatnonzero(ids == unknown)
    if len(outside):
        first = {text[i]: i + 1 for i in reversed(outside)}
        named = [f"{c!r} (U+{ord(c):04X}) at position {first[c]}" for c in sorted(first, key=first.get)]
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        raise CharlmError(
            f"{what}: not in the vocabulary of {len(vocab)} characters: {', '.join(named[:5])}{more}: "
            "use characters of the corpus"
        )
    return ids.astype(np.min_scalar_type(len(vocab) - 1), copy=False)


def decode(ids: np.ndarray, vocab: str) -> str:
    """The text of n characters whose ids (n,) are given."""
    codes = code_points(vocab).astype("<u4")
    return codes.take(np.asarray(ids, dtype=np.intp)).tobytes().decode("utf-32-le")


def code_points(text: str) -> np.ndarray:
    """The code points (n,) of a text of n characters; for ASCII in a byte each, which is faster."""
    if text.isascii():
        return np.frombuffer(text.encode("ascii"), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")


# ---------------------------------------------------------------------------------------------------------------------
# Configuration: what decides the result of a run, besides the corpus

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SPLITS = ("shuffled", "sequential")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "bfloat16")
DEVICES = ("cpu", "cuda", "mps")
RANGES = {  # the least and the largest number that a field takes
    "hidden_size": (1, 2**14),
    **dict.fromkeys(("batch_size", "chunk_length"), (1, 2**16)),
    **dict.fromkeys(("layers", "threads"), (1, 1024)),
    **dict.fromkeys(("epochs", "patience"), (1, 10**6)),
    **dict.fromkeys(("seed", "split_seed"), (0, 2**32 - 1)),
    **dict.fromkeys(("characters", "validation_characters", "cut"), (1, 2**40)),
    "learning_rate": (1e-38, 1e38),  # about what float32 can hold
    "validation_share": (0.001, 0.999),
    "embedding": (0, 2**14),
    **dict.fromkeys(("dropout", "forget"), (0, 0.99)),
    **dict.fromkeys(("weight_decay", "clip"), (0, 1e38)),
}
NEEDS = {  # what a field that is given needs of another
    **dict.fromkeys(("carry", "cut"), ("split", "sequential")),
    **dict.fromkeys(("shift", "forget"), ("carry", True)),
}
WARM_UP = 100  # steps in which a cosine schedule's learning rate rises from zero


@dataclass(frozen=True)
class Config:
    """One training run, by default the source study's. CharlmError names a field whose value makes no sense."""

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
    precision: str = "auto"  # float32 or bfloat16 (autocast); auto: see charlm/device.py
    threads: int = 1  # of the CPU; part of a run's identity, because sums round differently with more

    # Beyond the study: what follows is off, or the whole text, by default.
    embedding: int = 0  # numbers that stand for a character, learnt; 0 for one-hot. Y. Bengio et al., JMLR 2003
    dropout: float = 0.0  # between the layers and before the head. W. Zaremba et al., arXiv 1409.2329
    weight_decay: float = 0.0  # decoupled from the gradient. I. Loshchilov, F. Hutter, ICLR 2019
    schedule: str = "constant"  # or cosine: after WARM_UP steps to zero at the last epoch. The same, ICLR 2017
    clip: float = 0.0  # the gradient's norm at most, 0 for any. R. Pascanu et al., ICML 2013
    carry: bool = False  # batch_size streams through the text, each window going on with the state of the one before
    shift: bool = False  # with carry: each epoch cuts its windows elsewhere, so that none is learnt by heart
    forget: float = 0.0  # with carry: share of windows begun from a zero state, as those that are evaluated are
    characters: int | None = None  # of the text, from its beginning; the rest is not read
    validation_characters: int | None = None  # the split is that of so many; what follows them is for training
    cut: int | None = None  # the character where a sequential split changes sides, in place of validation_share

    def __post_init__(self) -> None:
        choices = {"cell": CELLS, "split": SPLITS, "schedule": SCHEDULES}
        choices |= {"device": ("auto", *DEVICES), "precision": ("auto", *PRECISIONS)}
        for f in fields(self):
            value = getattr(self, f.name)
            kinds = get_args(f.type) or (f.type,)
            if type(value) not in kinds and not (f.type is float and type(value) is int):
                needs = " or ".join(kind.__name__ for kind in kinds)
                raise CharlmError(f"{f.name} = {value!r:.80}: needs a value of type {needs}")
            if f.name in choices and value not in choices[f.name]:
                raise CharlmError(f"{f.name} = {value!r:.80}: choose one of {', '.join(choices[f.name])}")
            if f.name in RANGES and value is not None:
                low, high = RANGES[f.name]
                if not low <= value <= high:
                    raise CharlmError(f"{f.name} = {value!r:.80}: needs a number from {low} to {high}")
            if f.type is float:
                object.__setattr__(self, f.name, float(value))
        for name, (other, needed) in NEEDS.items():
            if getattr(self, name) and getattr(self, other) != needed:
                raise CharlmError(f"{name} = {getattr(self, name)}: needs {other} = {needed!r}")
        if self.shift and self.validation_characters is not None:
            raise CharlmError("shift = True: needs training text in one piece; leave validation_characters out")


# ---------------------------------------------------------------------------------------------------------------------
# Data: consecutive chunks, some of them kept for validation

SPLIT_STREAM, ORDER_STREAM, WEIGHT_STREAM, DROPOUT_STREAM, SHIFT_STREAM, FORGET_STREAM = range(6)  # uses of a seed


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
    if config.split == "sequential":
        order = np.arange(n_split)[::-1]
    else:
        seed = config.seed if config.split_seed is None else config.split_seed
        order = np.random.default_rng([seed, SPLIT_STREAM]).permutation(n_split)
    validation, train = np.sort(order[:n_validation]), np.sort(order[n_validation:])
    if config.cut is not None:
        train = train[(train + 1) * config.chunk_length < config.cut]  # not even its last target is beyond the cut
    train = np.append(train, np.arange(n_split, n_chunks))
    if not len(train) or not len(validation):
        raise CharlmError(
            f"the corpus is too short: {n_chunks} chunks of {config.chunk_length} characters cannot give one for training"
            f" and one for validation at a share of {config.validation_share:g}; use a longer text or shorter chunks"
        )
    return train, validation


def chunk_order(train: np.ndarray, epoch: int, config: Config) -> np.ndarray:
    """The training chunks in the order in which an epoch reads them: shuffled anew for each, or in batch_size streams
    side by side, of which a batch has one chunk each (what is left over at the end of the text is not read)."""
    if config.carry:
        if config.shift:
            train = train[:-1]  # which a shift would take beyond the training text
        steps = len(train) // config.batch_size
        if not steps:
            raise CharlmError(
                f"carry = True: {len(train)} training chunks are not enough for {config.batch_size} streams; use a longer text,"
                " shorter chunks or a smaller batch_size"
            )
        streams = train[: steps * config.batch_size].reshape(config.batch_size, steps)
        return streams.T.ravel()
    return np.random.default_rng([config.seed, ORDER_STREAM, epoch]).permutation(train)


def window_shift(epoch: int, config: Config) -> int:
    """How many characters after its chunk each window of an epoch begins: 0, or with `shift` less than a chunk."""
    largest = config.chunk_length if config.shift else 1
    return int(np.random.default_rng([config.seed, SHIFT_STREAM, epoch]).integers(largest))


def batches(ids: np.ndarray, chunks: np.ndarray, config: Config, shift: int = 0):
    """Yield inputs and targets, both (time, batch) of int64: a column is a chunk that begins `shift` characters late, the
    target its text one later."""
    steps = np.arange(config.chunk_length + 1)
    for first in range(0, len(chunks), config.batch_size):
        starts = chunks[first : first + config.batch_size] * config.chunk_length + shift
        window = torch.from_numpy(ids[starts + steps[:, None]].astype(np.int64))  # (time + 1, batch)
        yield window[:-1].to(config.device), window[1:].to(config.device)


# ---------------------------------------------------------------------------------------------------------------------
# Model

# What recurrent layers remember: (layers, batch, hidden), an LSTM two of it; None stands for zero.
Memory: TypeAlias = Tensor | tuple[Tensor, ...] | None


class CharModel(nn.Module):
    """Characters, one-hot or embedded → recurrent layers → a score (logit) for every character of the vocabulary."""

    def __init__(self, vocabulary_size: int, config: Config) -> None:
        super().__init__()
        between = {"dropout": config.dropout} if config.dropout and config.layers > 1 else {}
        width = config.embedding or vocabulary_size
        self.embedding = nn.Embedding(vocabulary_size, width) if config.embedding else None
        self.rnn = CELLS[config.cell](width, config.hidden_size, config.layers, **between)
        self.dropout = config.dropout
        self.head = nn.Linear(config.hidden_size, vocabulary_size)

    def forward(self, ids: Tensor, state: Memory = None) -> tuple[Tensor, Memory]:
        """ids (time, batch) → logits (time, batch, vocabulary), and the state after them, to go on from; without a
        state to begin with, that is zero."""
        x = self.embedding(ids) if self.embedding else F.one_hot(ids, self.rnn.input_size)  # (time, batch, width)
        hidden, state = self.rnn(x.to(self.head.weight.dtype), state)  # (time, batch, hidden)
        return self.head(F.dropout(hidden, self.dropout, self.training)), state


@contextmanager
def random_stream(config: Config, *stream: int):
    """PyTorch draws from a stream of the seed's own, and everybody else's random numbers are left alone."""
    devices = [torch.cuda.current_device()] if config.device == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(np.random.SeedSequence([config.seed, *stream]).generate_state(1, np.uint64)[0]))
        yield


def initial_weights(vocabulary_size: int, config: Config) -> dict[str, Tensor]:
    """PyTorch's default initial weights, drawn on the CPU whatever the device."""
    with random_stream(config, WEIGHT_STREAM):
        return {name: w.detach() for name, w in CharModel(vocabulary_size, config).state_dict().items()}


def count_parameters(vocabulary_size: int, config: Config) -> int:
    """Number of trained weights and biases."""
    with torch.device("meta"):
        return sum(p.numel() for p in CharModel(vocabulary_size, config).parameters())


# ---------------------------------------------------------------------------------------------------------------------
# Training: a pure function from the state after one epoch to the state after the next


@dataclass
class State:
    """All that training needs to go on: after epoch n it decides epoch n + 1 to the bit. Tensors are on the CPU."""

    weights: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    moments: dict[str, Tensor] = field(default_factory=dict)  # of Adam: "<parameter>/exp_avg", "/exp_avg_sq", "/step"
    history: list[dict] = field(default_factory=list)  # a row an epoch: {"epoch", "train_loss", "val_loss"}
    diverged: dict | None = None  # or the epoch and step (None: in validation) where the loss was no finite number


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
    """Mean cross-entropy in nats over all characters of a batch, in float32, and the layers' state after it."""
    # One autocast a batch: within one, the cast weights are cached, and an optimizer's step would go unseen.
    with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bfloat16"):
        logits, state = model(inputs, state)  # (time, batch, vocabulary)
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten()), state


def evaluate(model: CharModel, ids: np.ndarray, chunks: np.ndarray, config: Config) -> float:
    """Loss on the chunks, each from a zero state, without dropout; a short last batch counts in full: the study's way."""
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


def resumed_optimizer(model: CharModel, state: State, config: Config) -> torch.optim.Optimizer:
    """Adam as the epoch before left it: AdamW, which without decay is Adam to the bit."""
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=config.device != "mps"
    )
    parameters = dict(model.named_parameters())
    for key, moment in state.moments.items():
        name, _, kind = key.rpartition("/")
        p = parameters[name]
        optimizer.state[p][kind] = moment.to("cpu" if kind == "step" else p.device, copy=True)
    return optimizer


def stored_moments(model: CharModel, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What resumed_optimizer() needs, on the CPU, as State.moments names it."""
    moments = {}
    for name, p in model.named_parameters():
        for kind, moment in optimizer.state[p].items():
            moments[f"{name}/{kind}"] = moment.cpu()
    return moments


def state_to_go_on_from(after: Memory, forgotten: Tensor) -> Memory:
    """The state after a window, zero in the streams that are `forgotten` (batch,). No gradient goes back beyond it."""
    keep = ~forgotten[:, None]  # (batch, 1)
    return tree_map(lambda memory: memory.detach() * keep.to(memory), after)


def train_epoch(state: State, corpus: Corpus, config: Config) -> State:
    """The state one epoch later; `state` itself is left as it was. The configuration must be resolved. The training loss
    is measured while training, so of weights still moving, and under dropout: the study's way."""
    epoch = len(state.history) + 1
    train, validation = split_chunks(count_chunks(len(corpus.ids), config.chunk_length), config)
    order = chunk_order(train, epoch, config)
    steps = math.ceil(len(order) / config.batch_size)

    model = CharModel(len(corpus.vocab), config)
    model.load_state_dict(state.weights)
    model.to(config.device)
    optimizer = resumed_optimizer(model, state, config)
    forgetting = np.random.default_rng([config.seed, FORGET_STREAM, epoch])

    losses: list[float] = []
    carried: Memory = None
    windows = batches(corpus.ids, order, config, window_shift(epoch, config))
    with arithmetic(config), random_stream(config, DROPOUT_STREAM, epoch):
        model.train()
        for step, (inputs, targets) in enumerate(windows, start=1):
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
            if config.carry:
                forgotten = torch.from_numpy(forgetting.random(inputs.shape[1]) < config.forget)  # (batch,)
                carried = state_to_go_on_from(after, forgotten)
        val_loss = evaluate(model, corpus.ids, validation, config)
    if not math.isfinite(val_loss):
        return replace(state, diverged={"epoch": epoch, "step": None})

    history = [*state.history, {"epoch": epoch, "train_loss": float(np.mean(losses)), "val_loss": val_loss}]
    weights = {name: w.detach().cpu() for name, w in model.state_dict().items()}
    best = weights if best_epoch(history) == epoch else state.best_weights
    return State(weights, best, stored_moments(model, optimizer), history)
