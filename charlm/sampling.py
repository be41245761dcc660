"""Sampling: text from trained weights, the same text whatever else is in the batch.

Each character is drawn with a random number that follows from seed, sample and position alone (Philox), from a
distribution that temperature, top-k and top-p shape. The model reads one character at a time, in steps that have the same
bits for a text whatever is written beside it and on however many threads.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from itertools import pairwise, repeat
from threading import Event

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


# ---------------------------------------------------------------------------------------------------------------------
# From logits to a character


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


# ---------------------------------------------------------------------------------------------------------------------
# One character at a time

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
        c = sigmoids[:, n : 2 * n] * c + sigmoids[:, :n] * gates[:, 3 * n :]
        return sigmoids[:, 2 * n :] * np.tanh(c), c
    if cell == "gru":
        sigmoids = 0.5 * np.tanh(from_x[:, : 2 * n] + from_h[:, : 2 * n]) + 0.5
        new = np.tanh(from_x[:, 2 * n :] + sigmoids[:, :n] * from_h[:, 2 * n :])
        h = new + sigmoids[:, n:] * (c - new)
        return h, h
    raise CharlmError(f"cell = {cell!r}: cannot write text before charlm.sampling.cell_step() has its step")


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
            h, c = cell_step(self.cell, from_x, from_h, c)
            both, own = multiply(h), from_h.shape[1]
            from_h, from_x = both[:, :own], both[:, own:]
            after.append((from_h, c))
        return from_x, after


# ---------------------------------------------------------------------------------------------------------------------
# Logits of given text


def chunk_logits(
    weights: dict[str, Tensor], config: Config, ids: np.ndarray, chunks: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logits of every character of the chunks given those before it in its chunk, and the characters themselves:
    float32 (time, chunks, vocabulary) and int64 (time, chunks). On the CPU, each chunk from a zero state."""
    cpu = replace(config, device="cpu", precision="float32", batch_size=len(chunks))
    model = CharModel(len(weights["head.bias"]), cpu)
    model.load_state_dict(weights)
    ((inputs, targets),) = core.batches(ids, chunks, cpu)
    with core.arithmetic(cpu), torch.no_grad():
        logits, _ = model.eval()(inputs)
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
    _on_threads(write, [slice(*edge) for edge in pairwise(edges)])
    return [decode(text[: end + length, row], vocab) for row, end in enumerate(ends)]


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
