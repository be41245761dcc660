"""What tests of runs share."""

import json

import torch

from charlm.runs.files import pack, unpack
from charlm.runs.folder import Run, read_run
from charlm.runs.sweep import train_one_epoch


def silent(line):
    pass


def results(folder):
    """What two equal runs must share to the bit."""
    return [(folder / f"{name}.safetensors").read_bytes() for name in ("best", "last")] + [read_run(folder)["history"]]


def begun_run(config, corpus, runs):
    """A run that was stopped after its first epoch."""
    run = Run.of(config, corpus, runs)
    run.save(train_one_epoch(run.load(), run.config, corpus))
    return run


def write_sweep(folder, corpus, values):
    path = folder / "sweep.toml"
    given = {"corpus": str(corpus)} | {k: v for k, v in values.items() if v is not None}  # TOML knows no None
    path.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in given.items()))
    return path


def put_zeros(path):
    """Zeros in the place of all numbers of a measurement that is kept: whoever finds them has not measured again."""
    tensors, about = unpack(path.read_bytes(), path)
    path.write_bytes(pack({name: torch.zeros_like(values) for name, values in tensors.items()}, about))
