"""The yardstick: the functions that decided the result of a run when runs got their names, to the letter.

What trains today must give the same bits as these, or runs trained by them would stand under a name that is not theirs.
Nothing in this file is ever changed; `charlm_core` may be.
"""

import math
import os
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charlm_core import CharlmError, Config, Corpus

CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
SPLIT_STREAM, ORDER_STREAM, WEIGHT_STREAM = range(3)  # what a seed is used for; each has random numbers of its own


def count_chunks(n_characters: int, chunk_length: int) -> int:
    """How many whole chunks the text holds; each needs one more character after it as its last target."""
    return max(0, n_characters - 1) // chunk_length


def split_chunks(n_chunks: int, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation chunk numbers, (n_train,) and (n_validation,): a shuffle, of which the first part
    (rounded down) is validation. Neighbouring chunks therefore stand on both sides, as in the source study. A
    sequential split takes as many from the end of the text instead."""
    n_validation = int(n_chunks * config.validation_share)
    if n_validation < 1 or n_chunks - n_validation < 1:
        raise CharlmError(
            f"the corpus is too short: {n_chunks} chunks of {config.chunk_length} characters cannot give one for training"
            f" and one for validation at a share of {config.validation_share:g}; use a longer text or shorter chunks"
        )
    if config.split == "sequential":
        chunks = np.arange(n_chunks)
        return chunks[:-n_validation], chunks[-n_validation:]
    seed = config.seed if config.split_seed is None else config.split_seed
    shuffled = np.random.default_rng([seed, SPLIT_STREAM]).permutation(n_chunks)
    return np.sort(shuffled[n_validation:]), np.sort(shuffled[:n_validation])


def batches(ids: np.ndarray, chunks: np.ndarray, config: Config):
    """Yield inputs and targets, both (time, batch) of int64: a column is a chunk, the target its text one later."""
    steps = np.arange(config.chunk_length + 1)
    for first in range(0, len(chunks), config.batch_size):
        starts = chunks[first : first + config.batch_size] * config.chunk_length
        window = torch.from_numpy(ids[starts + steps[:, None]].astype(np.int64))  # (time + 1, batch)
        yield window[:-1].to(config.device), window[1:].to(config.device)


class CharModel(nn.Module):
    """One-hot characters → recurrent layers → a score (logit) for every character of the vocabulary."""

    def __init__(self, vocabulary_size: int, config: Config) -> None:
        super().__init__()
        self.rnn = CELLS[config.cell](vocabulary_size, config.hidden_size, config.layers)
        self.head = nn.Linear(config.hidden_size, vocabulary_size)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (time, batch) → logits (time, batch, vocabulary); every chunk starts from a zero state."""
        one_hot = F.one_hot(ids, self.rnn.input_size).to(self.head.weight.dtype)  # (time, batch, vocabulary)
        hidden, _ = self.rnn(one_hot)  # (time, batch, hidden)
        return self.head(hidden)


def initial_weights(vocabulary_size: int, config: Config) -> dict[str, Tensor]:
    """PyTorch's default initial weights, drawn on the CPU from the seed's own stream whatever the device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(np.random.SeedSequence([config.seed, WEIGHT_STREAM]).generate_state(1, np.uint64)[0]))
        return {name: w.detach() for name, w in CharModel(vocabulary_size, config).state_dict().items()}


@dataclass
class State:
    """All that training needs to go on: after epoch n it decides epoch n + 1 to the bit. Tensors are on the CPU.

    `history` has a row for each finished epoch: {"epoch", "train_loss", "val_loss"}. `diverged` is None, or says in
    which epoch and step (None: in validation) the loss stopped being a finite number.
    """

    weights: dict[str, Tensor]
    best_weights: dict[str, Tensor]
    moments: dict[str, Tensor] = field(default_factory=dict)  # of Adam: "<parameter>/exp_avg", "/exp_avg_sq", "/step"
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


def batch_loss(model: CharModel, inputs: Tensor, targets: Tensor, config: Config) -> Tensor:
    """Mean cross-entropy over all characters of a batch, in nats per character, computed in float32."""
    # One autocast a batch: within one, the cast weights are cached, and an optimizer's step would go unseen.
    with torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bfloat16"):
        logits = model(inputs)  # (time, batch, vocabulary)
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten())


def evaluate(model: CharModel, ids: np.ndarray, chunks: np.ndarray, config: Config) -> float:
    """Loss on the chunks, the mean of the batch means (the study's way: a short last batch counts like a full one)."""
    with torch.no_grad():
        return float(np.mean([batch_loss(model, x, y, config).item() for x, y in batches(ids, chunks, config)]))


def train_epoch(state: State, corpus: Corpus, config: Config) -> State:
    """The state one epoch later; `state` itself is left as it was. The configuration must be resolved.

    The training loss is measured while training, so it is that of weights still moving: the study's way.
    """
    epoch = len(state.history) + 1
    train, validation = split_chunks(count_chunks(len(corpus.ids), config.chunk_length), config)
    order = np.random.default_rng([config.seed, ORDER_STREAM, epoch]).permutation(train)
    model = CharModel(len(corpus.vocab), config)
    model.load_state_dict(state.weights)
    model.to(config.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=config.device != "mps")
    names = [name for name, _ in model.named_parameters()]
    for name, p in model.named_parameters():
        if moments := {k.rpartition("/")[2]: v for k, v in state.moments.items() if k.rpartition("/")[0] == name}:
            optimizer.state[p] = {
                k: v.clone() if k == "step" else v.to(p.device, copy=True) for k, v in moments.items()
            }

    losses = []
    with arithmetic(config):
        for step, (inputs, targets) in enumerate(batches(corpus.ids, order, config), start=1):
            loss = batch_loss(model, inputs, targets, config)
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                return replace(state, diverged={"epoch": epoch, "step": step})
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        val_loss = evaluate(model, corpus.ids, validation, config)
    if not math.isfinite(val_loss):
        return replace(state, diverged={"epoch": epoch, "step": None})

    weights = {name: w.detach().cpu() for name, w in model.state_dict().items()}
    history = [*state.history, {"epoch": epoch, "train_loss": float(np.mean(losses)), "val_loss": val_loss}]
    moments = {
        f"{name}/{k}": v.cpu()
        for name, p in zip(names, model.parameters(), strict=True)
        for k, v in optimizer.state[p].items()
    }
    return State(weights, weights if best_epoch(history) == epoch else state.best_weights, moments, history)
