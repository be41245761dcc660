"""Files of runs: which there are, and tensors in them, with a checksum. Nothing is unpickled."""

import hashlib
import json
import os
import struct
from pathlib import Path

import torch
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes

from charlm.files import Damaged, read_bytes, sound

STATE = "state.safetensors"
WEIGHT_FILES = ("best.safetensors", "last.safetensors")
RUN_FILES = {"run.json", "lock", STATE, *WEIGHT_FILES}  # all that a run holds but for what is measured of it
# ---------------------------------------------------------------------------------------------------------------------
# on the disk


def names_in(folder: Path) -> set[str]:
    """Names of all that a run folder holds, none where there is no folder; raises Damaged when it is none."""
    with sound(folder, "move it away"):
        return set(os.listdir(folder)) if os.path.lexists(folder) else set()


class OtherVersion(Damaged):
    """A sound run whose configuration or model this version does not know."""

    status = "of another version"


AGAIN = "`python -m charlm.runs remove` its run to train it again"
LARGEST = 2**33  # bytes: no file of a run is read that is larger, and no state of 500 million weights would be


def read_file(path: Path, remedy: str = AGAIN) -> bytes:
    """The bytes of a file in a run folder."""
    with sound(path, remedy):
        return read_bytes(path, LARGEST)


# ---------------------------------------------------------------------------------------------------------------------
# packed


def pack(tensors: dict[str, torch.Tensor], about: dict) -> bytes:
    """Tensors and a JSON value as the bytes of a safetensors file that carries the checksum of both.

    The header has a single entry, because safetensors writes several in no fixed order.
    """
    tensors = {k: v.contiguous() for k, v in sorted(tensors.items())}
    text = json.dumps(about, sort_keys=True, allow_nan=False)
    return tensors_to_bytes(tensors, {"charlm": f"{_checksum(tensors, text)} {text}"})


def unpack(data: bytes, where: Path | str, remedy: str = AGAIN) -> tuple[dict[str, torch.Tensor], dict]:
    """The inverse of pack; raises Damaged naming `where` when the bytes are not whole and unchanged."""
    with sound(where, remedy):
        (header_size,) = struct.unpack("<Q", data[:8])
        checksum, _, text = json.loads(data[8 : 8 + header_size])["__metadata__"]["charlm"].partition(" ")
        tensors = tensors_from_bytes(data)
        if checksum != _checksum(tensors, text):
            raise ValueError("checksum")
        return tensors, json.loads(text)


def _checksum(tensors: dict[str, torch.Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, t in sorted(tensors.items()):
        digest.update(f"{name} {t.dtype} {tuple(t.shape)}".encode())
        digest.update(t.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
