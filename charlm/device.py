"""What this machine can train: the device and the precision that `auto` stands for, and what is refused."""

from dataclasses import replace
from functools import cache

import torch

import charlm_core as core
from charlm_core import CharlmError, CharModel, Config


def resolved_config(config: Config) -> Config:
    """The same configuration with `auto` replaced by what this machine has, as a run must be named by it.

    bfloat16 is taken where the CPU multiplies it in half the time: with AMX, or with AVX-512 BF16 on an AMD. An
    Intel with AVX-512 BF16 alone takes 1.6 to 1.8 times as long as in float32. A GPU is fast enough at this size to
    stay with float32. So does an RNN with large steps: its losses scatter too much to be shown equal in both
    (studies/precision_larger.json). An Apple GPU (mps) is taken by name alone: nobody has tried it yet.
    """
    device = config.device
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        device = "cuda" if there["cuda"] else "cpu"
    elif not there[device]:
        raise CharlmError(f"device = {device!r}: this machine has none; use device='auto'")
    precision = config.precision
    if precision == "auto":
        has = torch.cpu.get_capabilities() if device == "cpu" else {}
        shown = config.cell != "rnn" or config.learning_rate <= Config.learning_rate
        fast = has.get("amx_bf16") or (has.get("avx512_bf16") and has.get("sse4a"))  # only an AMD has SSE4a
        # Cells are compared: where the LSTM, which asks most of a library, cannot have it, the others do without.
        able = shown and fast and not any(why_untrainable(cell, device, "bfloat16") for cell in ("lstm", config.cell))
        precision = "bfloat16" if able else "float32"
    return replace(config, device=device, precision=precision)


@cache
def why_untrainable(cell: str, device: str, precision: str) -> str:
    """Why this machine's device cannot train a cell in a precision, in one line; empty where it can. It is tried once.

    Without AVX-512, for example, oneDNN has no LSTM in bfloat16, and no list of a processor's abilities says so.
    """
    if (device, precision) == ("cpu", "float32"):
        return ""
    config = Config(cell=cell, hidden_size=2, layers=1, device=device, precision=precision)
    try:
        with torch.random.fork_rng(devices=[]):
            model = CharModel(2, config).to(device)
        with core.arithmetic(config):
            ids = torch.zeros(2, 1, dtype=torch.int64, device=device)  # (time, batch)
            loss, _ = core.batch_loss(model, ids, ids, config)
            loss.backward()
    except RuntimeError as e:
        return str(e).partition("\n")[0].partition(". ")[0] or type(e).__name__
    return ""


def check_device(config: Config) -> None:
    """Raises CharlmError when this machine cannot train a resolved configuration's cell in its precision."""
    reason = why_untrainable(config.cell, config.device, config.precision)
    if reason:
        other = "precision = 'float32'" if config.precision != "float32" else "device = 'cpu'"
        raise CharlmError(
            f"precision = {config.precision!r}: this machine's {config.device} cannot train the cell {config.cell!r} in it"
            f" ({reason}); use {other}"
        )
