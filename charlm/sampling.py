"""Sampling: text from trained weights, the same text whatever else is in the batch.

Each character is drawn with a random number that follows from seed, sample and position alone (Philox), from a
distribution that temperature, top-k and top-p shape. The model reads one character at a time, in steps that have the same
bits for a text whatever is written beside it and on however many threads.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import pairwise, repeat
from threading import Event
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import charlm_core as core
from charlm_core import CharlmError, CharModel, Config, decode, encode

# ---------------------------------------------------------------------------------------------------------------------
# Random numbers


def philox(counter: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Philox4x32-10: counters (..., 4) and keys (..., 2) of 32-bit words → (..., 4) random 32-bit words.

    J. K. Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011.
    """
    half = np.uint64(32)
    low = np.uint64(0xFFFFFFFF)  # of a product of 64 bits, its lower 32
    c0, c1, c2, c3 = np.moveaxis(np.asarray(counter, np.uint64), -1, 0)
    k0, k1 = np.moveaxis(np.asarray(key, np.uint64), -1, 0)
    for _ in range(10):
        # Words of 32 bits are kept in 64, so that no product overflows.
        a = c0 * np.uint64(0xD2511F53)
        b = c2 * np.uint64(0xCD9E8D57)
        c0 = (b >> half) ^ c1 ^ k0
        c2 = (a >> half) ^ c3 ^ k1
        c1 = b & low
        c3 = a & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return np.stack(np.broadcast_arrays(c0, c1, c2, c3), axis=-1)


def uniforms(seed: int, samples: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Uniform numbers in [0, 1), 53 bits each, (samples, positions): key = (seed, sample), counter = position."""
    key = np.empty((len(samples), 1, 2), np.uint64)
    key[..., 0] = seed
    key[:, 0, 1] = samples
    counter = np.zeros((1, len(positions), 4), np.uint64)
    counter[0, :, 0] = positions
    words = philox(counter, key)  # (samples, positions, 4)
    # A double holds 53 bits: 27 of one word and 26 of another.
    upper = words[..., 0] >> np.uint64(5)
    lower = words[..., 1] >> np.uint64(6)
    return (upper * 2.0**26 + lower) / 2.0**53


# ---------------------------------------------------------------------------------------------------------------------
# From logits to a character


def temperature_softmax(logits: np.ndarray, temperature: np.ndarray | float) -> np.ndarray:
    """exp(z_i / T) / Σ_j exp(z_j / T) over the last axis in float64, for logits (..., vocabulary).

    `temperature` is a number or an array that broadcasts against logits[..., :1].
    """
    with np.errstate(over="ignore"):  # z / T may overflow to -inf
        weights = boltzmann(logits, temperature)
    return weights / weights.sum(axis=-1, keepdims=True)


def boltzmann(logits: np.ndarray, temperature: np.ndarray | float) -> np.ndarray:
    """temperature_softmax() up to a factor for each distribution, in few steps."""
    # The largest logit is subtracted before the division, so no temperature overflows; a tiny one takes exp to 0.
    z = np.subtract(logits, logits.max(axis=-1, keepdims=True), dtype=np.float64)
    return np.exp(z / temperature)


def draw(probabilities: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Invert the cumulative distribution: (rows, vocabulary) and (rows,) in [0, 1) → ids (rows,), in vocabulary order.
    The probabilities of a row may have any sum."""
    cumulative = probabilities.cumsum(axis=-1)  # (rows, vocabulary)
    # A double below 1 is 1 - 2⁻⁵³ at most: times the sum, it rounds to less than the sum. So one is always above.
    threshold = uniform * cumulative[:, -1]  # (rows,)
    above = cumulative > threshold[:, None]
    return above.argmax(axis=-1)  # the first of them


def truncate(probabilities: np.ndarray, top_k: np.ndarray | int = 0, top_p: np.ndarray | float = 1.0) -> np.ndarray:
    """Distributions (rows, vocabulary) cut down to their likeliest characters and made to sum to 1 again. top_k and
    top_p are one number for all rows or (rows,); equally likely characters rank in vocabulary order.

    top_k keeps the k likeliest (0: all). A. Fan et al., Hierarchical Neural Story Generation, ACL 2018.
    top_p then keeps the fewest likeliest that together reach the share p of what is left (1: all). A. Holtzman et al.,
    The Curious Case of Neural Text Degeneration, ICLR 2020.
    """
    rows, size = probabilities.shape
    k = np.broadcast_to(top_k, rows)[:, None]  # (rows, 1)
    p = np.broadcast_to(top_p, rows)[:, None]  # (rows, 1)
    cut = np.flatnonzero((k > 0) & (k < size) | (p < 1))  # the other rows keep their bits
    if not len(cut):
        return probabilities
    k = np.where(k > 0, k, size)[cut]  # (cut, 1)
    p = p[cut]
    order = np.argsort(-probabilities[cut], axis=-1, kind="stable")  # (cut, vocabulary), the likeliest first
    ranked = np.take_along_axis(probabilities[cut], order, -1)
    ranked[np.arange(size) >= k] = 0

    before = np.pad(ranked.cumsum(-1)[:, :-1], ((0, 0), (1, 0)))  # of all that are likelier
    reached = before >= p * ranked.sum(-1, keepdims=True)
    ranked[(p < 1) & reached] = 0  # rounding must not cut a row that is to keep all

    ranked /= ranked.sum(-1, keepdims=True)
    kept = np.zeros_like(ranked)
    np.put_along_axis(kept, order, ranked, -1)  # back in vocabulary order
    truncated = probabilities.copy()
    truncated[cut] = kept
    return truncated


# ---------------------------------------------------------------------------------------------------------------------
# One character at a time

PIECE = 256  # texts that one thread writes at a time
TOLD = 32  # characters after which who watches is told of them
ALLOWED = {  # the least and the largest number that sample() takes
    "length": (1, 10**9),
    **dict.fromkeys(("seed", "sample number"), (0, 2**32 - 1)),
    "temperature": (0, 1e300),
    "top_k": (0, 10**9),
    "top_p": (1e-9, 1),
}
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
        """Where the inputs of the product go, an array (strips, in), and the arguments of embedding_bag."""
        strips = -(-out // STRIP)
        w = torch.cat([weight.T, bias[None]])  # (in + 1, out): the bias belongs to an input of 1
        w = F.pad(w, (0, strips * STRIP - out))  # (in + 1, strips × STRIP)
        w = w.view(n + 1, strips, STRIP).transpose(0, 1).reshape(-1, STRIP)  # strip under strip
        factors = torch.ones(strips, n + 1)
        every = torch.arange(len(w))
        first = torch.arange(0, len(w), n + 1)  # where each strip begins
        return factors[:, :n].numpy(), (w, every, first, False, 0, False, factors.view(-1))

    def multiply(x: np.ndarray) -> np.ndarray:
        if len(x) > 1:
            y = torch.ops.mkldnn._linear_pointwise(torch.from_numpy(x), packed(), bias, "none", [], "")
            return y.numpy()
        place, arguments = in_strips()
        place[:] = x  # in each strip
        sums = torch.embedding_bag(*arguments)[0]  # (strips, STRIP)
        return sums.numpy().reshape(1, -1)[:, :out]

    def multiply_filled(x: np.ndarray) -> np.ndarray:
        filled = F.pad(torch.from_numpy(x), (0, 0, 0, max(0, 16 - len(x))))
        return F.linear(filled, weight, bias)[: len(x)].numpy()

    has_avx2 = torch.cpu.get_capabilities().get("avx2")
    return multiply if has_avx2 and torch.backends.mkldnn.is_available() else multiply_filled


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


def cell_step(cell: str, from_x: np.ndarray, from_h: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
        enter, keep, leave = sigmoids[:, :n], sigmoids[:, n : 2 * n], sigmoids[:, 2 * n :]
        c = keep * c + enter * gates[:, 3 * n :]
        return leave * np.tanh(c), c
    if cell == "gru":
        sigmoids = 0.5 * np.tanh(from_x[:, : 2 * n] + from_h[:, : 2 * n]) + 0.5
        reset, keep = sigmoids[:, :n], sigmoids[:, n:]
        new = np.tanh(from_x[:, 2 * n :] + reset * from_h[:, 2 * n :])
        h = new + keep * (c - new)
        return h, h
    raise CharlmError(f"cell = {cell!r}: cannot write text before charlm.sampling.cell_step() has its step")


# For every layer what its next step has from its hidden state, (rows, gates × hidden), and its cell state, (rows, hidden).
LayerStates = list[tuple[np.ndarray, np.ndarray]]


def _weight_and_bias(weights: dict[str, Tensor], config: Config, kind: str, layer: int) -> tuple[Tensor, Tensor]:
    """What multiplies the input (kind "ih") or the hidden state ("hh") of a layer; the layer above the last is the head.
    Raises CharlmError where a cell of one's own calls its weights otherwise than PyTorch's cells do."""
    if layer == config.layers:
        return weights["head.weight"].float(), weights["head.bias"].float()
    try:
        weight = weights[f"rnn.weight_{kind}_l{layer}"].float()
        bias = weights[f"rnn.bias_{kind}_l{layer}"].float()
    except KeyError as name:
        raise CharlmError(
            f"cell = {config.cell!r}: cannot write text without weights that are called like torch.nn.RNN's: no {name}"
        ) from None
    return by_tanh(weight, config.cell), by_tanh(bias, config.cell)


class Stepper:
    """A trained model that reads one character at a time, in float32 on the CPU, whatever it was trained in."""

    def __init__(self, weights: dict[str, Tensor], config: Config) -> None:
        self.cell = config.cell
        self.layers: list[Callable[[np.ndarray], np.ndarray]] = []
        self.start: LayerStates = []  # of one text
        w, b = _weight_and_bias(weights, config, "ih", 0)
        if config.embedding:
            raise CharlmError(
                f"embedding = {config.embedding}: text is written from one-hot characters: take the weights from load_weights()"
            )
        # A matrix times a one-hot vector is a column of the matrix: the first layer looks it up.
        self.columns = (w.T + b).contiguous().numpy()  # (vocabulary, gates × hidden)
        for layer in range(config.layers):
            own_w, own_b = _weight_and_bias(weights, config, "hh", layer)
            next_w, next_b = _weight_and_bias(weights, config, "ih", layer + 1)
            # A hidden state is multiplied once, by all it goes to: its own next step, and the layer above or the head.
            self.layers.append(product(torch.cat([own_w, next_w]), torch.cat([own_b, next_b])))
            self.start.append((own_b.numpy(), np.zeros(config.hidden_size, np.float32)))

    def zero_state(self, rows: int) -> LayerStates:
        """The state before the first character of so many texts."""
        return [(np.tile(from_h, (rows, 1)), np.tile(c, (rows, 1))) for from_h, c in self.start]

    def __call__(self, ids: np.ndarray, state: LayerStates) -> tuple[np.ndarray, LayerStates]:
        """ids (rows,) → logits (rows, vocabulary) in float32, and the state after them."""
        after = []
        from_x = self.columns.take(ids, axis=0)  # (rows, gates × hidden)
        for multiply, (from_h, c) in zip(self.layers, state, strict=True):
            h, c = cell_step(self.cell, from_x, from_h, c)  # (rows, hidden) each
            both = multiply(h)  # (rows, gates × hidden of this layer, then of the layer above, or the vocabulary)
            own = from_h.shape[1]
            after.append((both[:, :own], c))
            from_x = both[:, own:]
        return from_x, after


# ---------------------------------------------------------------------------------------------------------------------
# Logits of given text


def on_cpu(weights: dict[str, Tensor], config: Config, **changes: Any) -> tuple[CharModel, Config]:
    """A trained model to read with, without dropout, and its configuration on the CPU, with changes."""
    config = replace(config, device="cpu", **changes)
    model = CharModel(len(weights["head.bias"]), config)
    model.load_state_dict(weights)
    return model.eval(), config


def chunk_logits(
    weights: dict[str, Tensor], config: Config, ids: np.ndarray, chunks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of every character of the chunks given those before it in its chunk, and the characters themselves:
    float32 (time, chunks, vocabulary) and int64 (time, chunks). On the CPU, each chunk from a zero state."""
    model, cpu = on_cpu(weights, config, precision="float32", batch_size=len(chunks))
    ((inputs, targets),) = core.batches(ids, chunks, cpu)
    with core.arithmetic(cpu), torch.no_grad():
        logits, _ = model(inputs)
        return logits.numpy(), targets.numpy()


def next_logits(weights: dict[str, Tensor], config: Config, vocab: str, prompt: str) -> np.ndarray:
    """Logits (vocabulary,) of the character after the prompt."""
    step = Stepper(weights, config)
    state = step.zero_state(1)
    for i in encode(prompt, vocab):
        logits, state = step(np.array([i]), state)
    return logits[0]


# ---------------------------------------------------------------------------------------------------------------------
# Text


def default_prompts(vocab: str) -> list[str]:
    """The source study's prompts A, a, B, b, C where the vocabulary has them all, else its first five letters (or,
    in a text with fewer, its first five characters)."""
    study = "AaBbC"
    if set(study) <= set(vocab):
        return list(study)
    letters = [c for c in vocab if c.isalpha()]
    return letters[:5] if len(letters) >= 5 else list(vocab[:5])


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
    watch: Callable[[str], None] | None = None,
) -> list[str]:
    """Each prompt with `length` characters drawn after it; all prompts advance as one batch. While it is written, `watch` is
    given the first text piece by piece.

    `temperature`, `top_k` and `top_p` are one for all or one for each prompt; `truncate` says what the latter two keep
    of the distribution that the temperature gives. The character at position t of a text (from 0, the prompt
    included) is drawn with the uniform number that Philox gives for key (seed, number of the sample) and counter t:
    so a text is decided by weights, prompt, these three, seed and its number in `numbers` (default: all 0) alone.
    At a temperature of 0 it is the first of the likeliest. Raises CharlmError for an empty prompt, a character outside the
    vocabulary, or a number outside ALLOWED.
    """
    numbers = [0] * len(prompts) if numbers is None else numbers
    temperatures = np.broadcast_to(np.asarray(temperature, np.float64), len(prompts))
    top_ks = np.broadcast_to(top_k, len(prompts))
    top_ps = np.broadcast_to(top_p, len(prompts))
    if not prompts or not all(prompts):
        raise CharlmError("an empty prompt: give at least one character to start from")
    given: dict[str, Iterable] = {"length": [length], "seed": [seed], "sample number": numbers}
    given |= {"temperature": temperatures, "top_k": top_ks, "top_p": top_ps}
    for name, values in given.items():
        low, high = ALLOWED[name]
        for value in values:
            if not low <= value <= high:
                raise CharlmError(f"{name} = {value}: needs a number from {low} to {high}")

    text, ends = _begun(prompts, vocab, length)  # (time, samples), (samples,)
    uniform = uniforms(seed, np.asarray(numbers), np.arange(len(text))).T.copy()  # (time, samples)
    top_ks = np.where(temperatures == 0, 1, top_ks)
    temperatures = np.maximum(temperatures, 1e-200)[:, None]  # (samples, 1); the same texts, and no overflow
    truncated = top_ks.any() or (top_ps < 1).any()
    first, last = ends.min(), ends.max()
    step = Stepper(weights, config)

    @torch.inference_mode()
    def write(piece: slice, stopped: Event) -> None:
        """A piece of the batch: its texts from their first character to their last."""
        state = step.zero_state(piece.stop - piece.start)
        told, end = 0, int(ends[0]) + length if watch and piece.start == 0 else 0  # of the first text
        for t in range(1, len(text)):
            if stopped.is_set():
                return
            logits, state = step(text[t - 1, piece], state)  # (texts, vocabulary)
            if t < first:  # all are still within their prompts
                continue
            p = boltzmann(logits, temperatures[piece])
            if truncated:
                p = truncate(p, top_ks[piece], top_ps[piece])
            drawn = draw(p, uniform[t, piece])
            text[t, piece] = drawn if t >= last else np.where(t >= ends[piece], drawn, text[t, piece])
            if watch and (t + 1 == end or (told < t < end and t % TOLD == 0)):
                watch(decode(text[told : t + 1, 0], vocab))
                told = t + 1

    _on_threads(write, _pieces(len(prompts)))
    return [decode(text[: end + length, row], vocab) for row, end in enumerate(ends)]


def _begun(prompts: Sequence[str], vocab: str, length: int) -> tuple[np.ndarray, np.ndarray]:
    """The ids of the prompts with room for so many characters after the longest of them, (time, samples) of int64, and
    where in each column the drawn text begins, (samples,)."""
    encoded = {prompt: encode(prompt, vocab) for prompt in dict.fromkeys(prompts)}  # many prompts are the same
    ends = np.array([len(prompt) for prompt in prompts])
    text = np.zeros((ends.max() + length, len(prompts)), np.int64)
    for row, prompt in enumerate(prompts):
        text[: len(prompt), row] = encoded[prompt]
    return text, ends


def _pieces(n: int) -> list[slice]:
    """n texts in pieces of about PIECE, as many of them as keep every thread busy to the end."""
    pieces = -(-n // PIECE)
    threads = torch.get_num_threads()
    if pieces > threads:
        pieces += -pieces % threads
    edges = [n * i // pieces for i in range(pieces + 1)]
    return [slice(*edge) for edge in pairwise(edges)]


def _on_threads(work: Callable[[slice, Event], None], pieces: Sequence[slice]) -> None:
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
