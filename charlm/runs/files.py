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
from charlm_core import State

STATE = "state.safetensors"
WEIGHT_FILES = ("best.safetensors", "last.safetensors")
KEPT_NAMES = ("meaning", "texts", "temperature", "gradients")  # what kept_measurement() may keep
RUN_FILES = {
    "run.json",
    "lock",
    STATE,
    *WEIGHT_FILES,
    *(f"{name}.safetensors" for name in KEPT_NAMES),
}  # all that a run may hold

# ---------------------------------------------------------------------------------------------------------------------
# on the disk


def names_in(folder: Path) -> set[str]:
    """Names of all that a run folder holds, none where there is no folder; raises Damaged when it is none."""
    with sound(folder, "move it away"):
        return set(os.listdir(folder)) if os.path.lexists(folder) else set()


def is_folder(path: Path) -> bool:
    return path.is_dir() and not is_link(path)


def is_link(path: Path) -> bool:
    return path.is_symlink() or (hasattr(path, "is_junction") and path.is_junction())  # Windows', from Python 3.12 on


def delete_entry(path: Path) -> None:
    """Delete a file of a run, a link and not what it leads to, or a folder in which a file was half written."""
    if is_folder(path):
        for name in RUN_FILES:
            (path / name).unlink(missing_ok=True)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


class OtherVersion(Damaged):
    """A sound run whose configuration or model this version does not know."""

    status = "of another version"


AGAIN = "`python -m charlm.runs remove` its run to train it again"
LARGEST = 2**33  # bytes: no file of a run is read that is larger, and no state of 500 million weights would be


def read_file(path: Path) -> bytes:
    """The bytes of a file in a run folder."""
    with sound(path, AGAIN):
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


def unpack(data: bytes, where: Path | str) -> tuple[dict[str, torch.Tensor], dict]:
    """The inverse of pack; raises Damaged naming `where` when the bytes are not whole and unchanged."""
    with sound(where, AGAIN):
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


def pack_state(state: State, made: list[dict], identity: dict) -> bytes:
    """A state as bytes, with the seconds and the machine of each of its epochs and the identity of its run."""
    best = {} if state.best_weights is state.weights else state.best_weights  # not twice while the last is the best
    groups = {"weights": state.weights, "best": best, "moments": state.moments}
    tensors: dict[str, torch.Tensor] = {}
    for group, by_name in groups.items():
        tensors |= {f"{group}/{name}": t for name, t in by_name.items()}
    return pack(tensors, {"history": state.history, "diverged": state.diverged, "made": made, "identity": identity})


def unpack_state(data: bytes, where: Path | str, identity: dict) -> tuple[State, list[dict]]:
    """The inverse of pack_state; raises Damaged when the state is damaged or of a run of another identity."""
    tensors, about = unpack(data, where)
    if about.get("identity") != identity:
        raise Damaged(f"{where} is of another run: its configuration, corpus, code or torch differ; {AGAIN}")
    groups = grouped_tensors(tensors)
    best = groups["best"] or groups["weights"]
    return State(groups["weights"], best, groups["moments"], about["history"], about["diverged"]), about["made"]


def grouped_tensors(tensors: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of a packed state: its weights, the best ones (none where they are the same) and Adam's moments."""
    groups: dict[str, dict] = {"weights": {}, "best": {}, "moments": {}}
    for key, t in tensors.items():
        group, _, name = key.partition("/")
        groups[group][name] = t
    return groups
