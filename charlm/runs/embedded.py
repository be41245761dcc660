"""Trained models inside a page: weights as float16 in base64, and what reads them back.

A page may be somebody else's. So nothing of it is believed before its form, its checksum, the shapes of its weights and their
being finite numbers have been checked, and nothing is unpickled.
"""

import base64
import json
import os
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from charlm.corpus import ROOT
from charlm.files import read_bytes, sound
from charlm.runs.form import check_form, checked_config, skeleton
from charlm_core import CharlmError, Config

PAGE = ROOT / "report" / "report.html"  # the report's, which a fresh clone has
MOST_READ = 2**26  # bytes of a page that is read
_OPENING = '<script type="application/json" id="play-data"'


@dataclass(frozen=True)
class EmbeddedModel:
    """A model as a page carries it; `val_loss` (of the run's best epoch) only says which of several is better."""

    run_id: str
    weights: dict[str, Tensor]  # float16
    config: Config
    vocab: str
    val_loss: float


def float16_weights(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights rounded to float16. Raises CharlmError where one is too large for it."""
    halves = {name: w.half() for name, w in weights.items()}
    if not all(bool(w.isfinite().all()) for w in halves.values()):
        raise CharlmError("a weight of this run is too large for float16: take float32")
    return halves


def packed_weights(halves: dict[str, Tensor], config: Config) -> str:
    """float16 weights in the order of the model's state, little-endian one behind the other, in base64."""
    names = skeleton(len(halves["head.bias"]), config)
    data = b"".join(halves[name].numpy().astype("<f2").tobytes() for name in names)
    return base64.b64encode(data).decode()


def data_block(content: dict) -> str:
    """The element that holds JSON in a page, in which no text of it can end it, with the checksum of it all."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    inert = text.replace("<", r"\u003c")
    return f"{_OPENING}{_checksum(inert)}>{inert}</script>"


def _checksum(text: str) -> str:
    return f' data-crc32="{zlib.crc32(text.encode())}"'


# ---------------------------------------------------------------------------------------------------------------------
# read back


def read_page(path: Path) -> list[EmbeddedModel]:
    """The models that a page carries, the one with the lowest validation loss first; none where there is no page or it
    carries none. Raises CharlmError where what it carries is not sound."""
    if not os.path.lexists(path):
        return []
    with sound(path, "take it from the repository again, or train with `make report`"):
        page = read_bytes(path, MOST_READ).decode()
        found = re.search(f"{re.escape(_OPENING)}([^>]*)>(.*?)</script>", page, re.DOTALL)
        if not found:
            return []
        if found[1] != _checksum(found[2]):
            raise ValueError("their checksum does not fit")
        content = json.loads(found[2], parse_constant=int)  # NaN and Infinity, which are no integers, are refused
        check_form(content, "page")
        models = [_model(about, content["vocab"], path) for about in content["models"].values()]
    return sorted(models, key=lambda model: model.val_loss)


def _model(about: dict, vocab: str, path: Path) -> EmbeddedModel:
    data = base64.b64decode(about["weights"], validate=True)
    config = checked_config(about, path)
    shapes = {name: tuple(w.shape) for name, w in skeleton(len(vocab), config).items()}
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    if 2 * sum(sizes) != len(data):
        raise ValueError("its weights are not of its configuration")
    values = torch.from_numpy(np.frombuffer(data, "<f2").astype(np.float16))
    if not bool(values.isfinite().all()):
        raise ValueError("a weight that is no finite number")
    parts = zip(shapes.items(), values.split(sizes), strict=True)
    weights = {name: part.reshape(shape) for (name, shape), part in parts}
    return EmbeddedModel(about["run"], weights, config, vocab, about["val_loss"])
