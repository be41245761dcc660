"""What was tried to train faster, and lost: `python benchmarks/tried.py` prints the ratios that docs/speed.md quotes.

Each is the old time over the new, one thread, in turns (see bench.py); above 1 the attempt is faster.
"""

import os
import subprocess
import sys
from functools import partial

import bench
import numpy as np
import torch
from torch.nn import functional as F

import charlm_core as core
from charlm.corpus import load_corpus
from charlm.runs.sweep import KEEP_MEMORY
from charlm_core import CharModel, Config

TURNS = 9


class Layer(torch.autograd.Function):
    """A layer of tanh units that steps through time itself, and multiplies once for the gradient of its weights."""

    @staticmethod
    def forward(ctx, x, w_x, w_h, b, dtype):
        time, batch, _ = x.shape
        inputs = (x.flatten(0, 1).to(dtype) @ w_x.t().to(dtype)).float().view(time, batch, -1) + b
        w = w_h.t().to(dtype).contiguous()
        hidden = torch.zeros(time + 1, batch, len(w_h))
        low = torch.zeros(time + 1, batch, len(w_h), dtype=dtype)
        for t in range(time):
            torch.tanh(inputs[t] + low[t] @ w, out=hidden[t + 1])
            low[t + 1] = hidden[t + 1]
        ctx.save_for_backward(x, w_x, w_h, hidden, low)
        return hidden[1:]

    @staticmethod
    def backward(ctx, gradient):
        x, w_x, w_h, hidden, low = ctx.saved_tensors
        w, before = w_h.to(low.dtype), torch.empty_like(gradient)  # before: gradient before the tanh
        later = torch.zeros_like(gradient[0])
        for t in reversed(range(len(gradient))):
            before[t] = (gradient[t] + later) * (1 - hidden[t + 1] ** 2)
            later = (before[t].to(low.dtype) @ w).float()
        flat = before.flatten(0, 1).to(low.dtype)
        for_x = (flat @ w_x.to(low.dtype)).float().view_as(x) if ctx.needs_input_grad[0] else None
        for_w_x = (flat.t() @ x.flatten(0, 1).to(low.dtype)).float()
        for_w_h = (flat.t() @ low[:-1].flatten(0, 1)).float()
        return for_x, for_w_x, for_w_h, before.sum((0, 1)), None


def own_loss(model, inputs, targets, config):
    """core.batch_loss of an RNN through Layer."""
    x = F.one_hot(inputs, model.rnn.input_size).float()
    for i in range(config.layers):
        w_x, w_h, b_x, b_h = (getattr(model.rnn, f"{n}_l{i}") for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        x = Layer.apply(x, w_x, w_h, b_x + b_h, getattr(torch, config.precision))
    with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bfloat16"):
        logits = model.head(x)
    return F.cross_entropy(logits.float().flatten(0, 1), targets.flatten()), None


def stepper(config, loss_of=core.batch_loss):
    """A function that trains one batch."""
    corpus = load_corpus(bench.CORPUS)
    model = CharModel(len(corpus.vocab), config)
    model.load_state_dict(core.initial_weights(len(corpus.vocab), config))
    adam = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    ((inputs, targets),) = core.batches(corpus.ids, np.arange(config.batch_size), config)

    def step():
        loss, _ = loss_of(model, inputs, targets, config)
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss.item()

    return step


def each_alone(x: torch.Tensor, w: torch.Tensor) -> None:
    """Sixty steps of (seeds, rows, in) times (seeds, in, out), a product for each seed."""
    for _ in range(60):
        for one_x, one_w in zip(x, w, strict=True):
            one_x @ one_w


def all_together(x: torch.Tensor, w: torch.Tensor) -> None:
    for _ in range(60):
        torch.bmm(x, w)


def main() -> None:
    torch.set_num_threads(1)
    if "--step" in sys.argv:  # seconds of a step in this process' environment
        step = stepper(Config(precision=bench.precisions()[-1], device="cpu"))
        return print(*bench.median_seconds(TURNS, step))
    for hidden in (256, 512):
        for precision in bench.precisions():
            config = Config(cell="rnn", hidden_size=hidden, precision=precision, device="cpu")
            plain, own = stepper(config), stepper(config, own_loss)
            if abs(plain() - own()) > 0.01:
                raise SystemExit("the layer of its own does not give the loss of nn.RNN")
            a, b = bench.median_seconds(TURNS, plain, own)
            print(f"RNN of hidden size {hidden} through a layer of its own, {precision}: {a / b:.2f}")
    for cell, gates in (("RNN", 1), ("LSTM", 4)):
        for precision in bench.precisions():
            dtype = getattr(torch, precision)
            x, w = torch.randn(5, 64, 256).to(dtype), torch.randn(5, 256, 256 * gates).to(dtype)
            apart, together = bench.median_seconds(TURNS, partial(each_alone, x, w), partial(all_together, x, w))
            print(f"five seeds in one product, {cell}, {precision}: {apart / together:.2f}")
    for cell in ("rnn", "lstm", "gru"):  # resolved_config() takes it where it wins
        both = [stepper(Config(cell=cell, precision=p, device="cpu")) for p in ("float32", "bfloat16")]
        a, b = bench.median_seconds(TURNS, *both)
        print(f"bfloat16 in place of float32, {cell.upper()}: {a / b:.2f}")
    dask = os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"}  # as Dask starts its workers
    kept = os.environ | KEEP_MEMORY
    command = [sys.executable, __file__, "--step"]
    seconds = [
        [float(subprocess.run(command, env=env, capture_output=True, check=True).stdout) for env in (dask, kept)]
        for _ in range(3)
    ]
    print(f"an LSTM's step that keeps its memory (this one won): {np.median([a / b for a, b in seconds]):.2f}")


if __name__ == "__main__":
    main()
