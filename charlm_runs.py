"""Where trained runs live and how many are made: the run folder, the plan, the sweep.

A run is one configuration on one corpus. Its folder in runs/ is named by a hash of all that decides its result:

    run.json            configuration, vocabulary, history, provenance, checksums; its presence means "finished"
    best.safetensors    weights of the epoch with the lowest validation loss
    last.safetensors    weights of the last epoch
    state.safetensors   only while unfinished: all that the next epoch needs, written whole after every epoch
    meaning, texts, temperature, gradients.safetensors   what notebooks measured of a finished run, and can measure again

Every file is written under another name, flushed to the disk and renamed, so that it is there whole or not at all, and
carries a checksum. Nothing is unpickled. What is read again is checked: first its checksum, then its form. A run that
fails is *damaged*, or *of another version* when it is sound and this version cannot read it; neither is believed, trained
over or in the way of other runs.
"""

import argparse
import ast
import errno
import hashlib
import inspect
import json
import logging
import os
import platform
import re
import stat
import struct
import sys
import textwrap
import time
import tomllib
from asyncio import CancelledError
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import cache, partial
from itertools import count, product
from pathlib import Path
from types import ModuleType

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes

import charlm_core as core
from charlm_core import Config, State
from charlm_corpus import ROOT, CharlmError, Corpus, load, print_utf8, replacing

STATE = "state.safetensors"
WEIGHTS = ("best.safetensors", "last.safetensors")
MEASURES = ("meaning", "texts", "temperature", "gradients")  # what kept() may keep
FILES = {"run.json", "lock", STATE, *WEIGHTS, *(f"{name}.safetensors" for name in MEASURES)}  # all that a run may hold
RUNS = Path(os.environ.get("CHARLM_RUNS", ROOT / "runs")).resolve()

# ---------------------------------------------------------------------------------------------------------------------
# Identity: what a run is named by


def code_hash(*parts: Callable | ModuleType) -> str:
    """sha256 over the code of functions and modules without comments and docstrings: it changes when what they compute
    may."""
    digest = hashlib.sha256()
    for part in parts:
        tree = ast.parse(textwrap.dedent(inspect.getsource(part)))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()


# Sources of the training, as hashes, that are known to give the same bits: they all count as the first, so that a run
# keeps its name when code only moves or is written more clearly. tests/test_identity.py trains with the yardstick in
# tests/yardstick.py, which is the first source to the letter, and with today's; while both give the same bits, and only
# then, today's hash may be added here.
SAME_BITS = (
    "35dddedefef0f78d078b1d3797042ca0fe7fc5055f350f8e7adffcc5a775c66a",
    "d028ed5216c6e286b68034b12e06f3368793854a807aa31aa63ac3fe17b5b97a",
)


def training_source_hash() -> str:
    """Hash of the code that decides a run's result: the split, the model and the training."""
    return code_hash(
        core.count_chunks,
        core.split_chunks,
        core.chunk_order,
        core.batches,
        core.CharModel,
        core.stream_seed,
        core.initial_weights,
        core.best_epoch,
        core.is_finished,
        core.dropout_stream,
        core.arithmetic,
        core.batch_loss,
        core.evaluate,
        core.learning_rate,
        core.train_epoch,
    )


@cache
def training_code_hash(cell: str) -> str:
    """The hash that stands for the training of a cell in the identity of its runs: that of the first source with the
    same bits, together with the source of a cell of one's own."""
    source = training_source_hash()
    if source in SAME_BITS:
        source = SAME_BITS[0]
    own = core.CELLS[cell]
    if own.__module__.startswith("torch."):
        return source
    return hashlib.sha256(f"{source} {code_hash(own)}".encode()).hexdigest()


# The fields that every run is named by. One that was added to Config later counts only where it is not at its default,
# so that runs which know nothing of it keep their names.
FIRST_FIELDS = frozenset(
    "cell hidden_size layers learning_rate batch_size chunk_length validation_share epochs patience seed split split_seed "
    "device precision threads".split()
)


def decisive_fields(config: Config) -> dict:
    """The fields of a configuration that its run is named by, as JSON values."""
    decisive = {}
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name in FIRST_FIELDS or value != f.default:
            decisive[f.name] = value
    return decisive


def identity(config: Config, corpus: Corpus) -> dict:
    """All that decides the result of a resolved configuration, as JSON values."""
    return {
        "config": decisive_fields(config),
        "corpus_sha256": corpus.sha256,
        "torch": torch.__version__.partition("+")[0],
        "code": training_code_hash(config.cell),
    }


def run_id(config: Config, corpus: Corpus) -> str:
    """A readable name ending in the first 12 hexadecimal digits of the identity's sha256."""
    digest = hashlib.sha256(json.dumps(identity(config, corpus), sort_keys=True).encode()).hexdigest()
    return f"{config.cell}-{config.hidden_size}-lr{config.learning_rate:g}-seed{config.seed}-{digest[:12]}"


@cache
def machine() -> dict:
    """What a run was made on, without names of host, user or folders."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        cpu = re.search(r"model name\s*: (.*)|$", Path("/proc/cpuinfo").read_text("utf-8", "replace"))[1] or cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


# ---------------------------------------------------------------------------------------------------------------------
# Files: whole or not at all, and never trusted without their checksum


def write(path: Path, data: bytes) -> None:
    """Replace the file in one step, with its bytes on the disk before its name changes."""
    with replacing(path) as half, open(half, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


class Damaged(CharlmError):
    """What a run folder holds is not whole, was altered, or is nothing that this project writes."""

    status = "damaged"


class OtherVersion(Damaged):
    """A sound run whose configuration or model this version does not know."""

    status = "of another version"


AGAIN = "`python -m charlm_runs remove` its run to train it again"
LARGEST = 2**33  # bytes: no file of a run is read that is larger, and no state of 500 million weights would be
# What parsing bytes that anybody may have written can end in.
UNREADABLE = (SafetensorError, struct.error, ValueError, LookupError, TypeError, AttributeError, RuntimeError)


def read_file(path: Path, limit: int = LARGEST) -> bytes:
    """The bytes of a file in a run folder; raises Damaged when it cannot be read, is no regular file (to open a pipe
    would wait for ever) or has more than `limit` bytes."""
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise Damaged(f"{path} is damaged: not a regular file; {AGAIN}")
        if about.st_size > limit:
            raise Damaged(f"{path} is damaged: {about.st_size} bytes, where at most {limit} make sense; {AGAIN}")
        return path.read_bytes()
    except OSError as e:
        raise Damaged(f"{path} cannot be read: {e.strerror}; check its permissions, or {AGAIN}") from e


def _damaged(where: Path | str, e: BaseException) -> Damaged:
    return Damaged(f"{where} is damaged or not a file of this project ({_short(e)}); {AGAIN}")


def _short(e: object) -> str:
    """An error's text in one line of bounded length: it may quote what was read."""
    return one_line(f"{e!s:.120}")


def one_line(text: str) -> str:
    """Text that may come from anywhere, fit for one line of a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def pack(tensors: dict[str, torch.Tensor], about: dict) -> bytes:
    """Tensors and a JSON value as the bytes of a safetensors file that carries the checksum of both.

    The header has a single entry, because safetensors writes several in no fixed order.
    """
    tensors = {k: v.contiguous() for k, v in sorted(tensors.items())}
    text = json.dumps(about, sort_keys=True, allow_nan=False)
    return tensors_to_bytes(tensors, {"charlm": f"{_checksum(tensors, text)} {text}"})


def unpack(data: bytes, where: Path | str) -> tuple[dict[str, torch.Tensor], dict]:
    """The inverse of pack; raises Damaged naming `where` when the bytes are not whole and unchanged."""
    try:
        (header_size,) = struct.unpack("<Q", data[:8])
        checksum, _, text = json.loads(data[8 : 8 + header_size])["__metadata__"]["charlm"].partition(" ")
        tensors = tensors_from_bytes(data)
        if checksum != _checksum(tensors, text):
            raise ValueError("checksum")
        return tensors, json.loads(text)
    except UNREADABLE as e:
        raise _damaged(where, e) from e


def _checksum(tensors: dict[str, torch.Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, t in sorted(tensors.items()):
        digest.update(f"{name} {t.dtype} {tuple(t.shape)}".encode())
        digest.update(t.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def pack_state(state: State, made: list[dict], of: dict) -> bytes:
    """A state as bytes, with the seconds and the machine of each of its epochs and the identity of its run."""
    best = {} if state.best_weights is state.weights else state.best_weights  # not twice while the last is the best
    groups = (("weights", state.weights), ("best", best), ("moments", state.moments))
    tensors = {f"{group}/{name}": t for group, of_group in groups for name, t in of_group.items()}
    return pack(tensors, {"history": state.history, "diverged": state.diverged, "made": made, "identity": of})


def unpack_state(data: bytes, where: Path | str, of: dict) -> tuple[State, list[dict]]:
    """The inverse of pack_state; raises Damaged when the state is damaged or of another run than `of`."""
    tensors, about = unpack(data, where)
    if about.get("identity") != of:
        raise Damaged(f"{where} is of another run: its configuration, corpus, code or torch differ; {AGAIN}")
    groups = _grouped(tensors)
    best = groups["best"] or groups["weights"]
    return State(groups["weights"], best, groups["moments"], about["history"], about["diverged"]), about["made"]


def _grouped(tensors: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of a packed state: its weights, the best ones (none where they are the same) and Adam's moments."""
    groups: dict[str, dict] = {"weights": {}, "best": {}, "moments": {}}
    for key, t in tensors.items():
        group, _, name = key.partition("/")
        groups[group][name] = t
    return groups


# ---------------------------------------------------------------------------------------------------------------------
# Form: what the JSON of a run and of a state must look like, and which tensors go with it


def _object(**of: dict) -> dict:
    return {"type": "object", "required": [*of], "properties": of}


TEXT = {"type": "string", "maxLength": 255}
COUNT = {"type": "integer", "minimum": 1, "maximum": 2**53}
AMOUNT = {"type": "number", "minimum": 0, "maximum": 1e300}
# Any names and any single values: which of them make sense is said by Config, and another version's may have others.
CONFIG = {
    "type": "object",
    "maxProperties": 100,
    "additionalProperties": {
        "type": ["string", "number", "boolean", "null"],
        "maxLength": 255,
        "minimum": -1e300,
        "maximum": 1e300,
    },
}
IDENTITY = {"config": CONFIG, "corpus_sha256": TEXT, "torch": TEXT, "code": TEXT}
MACHINE = _object(
    cpu=TEXT,
    cores={"type": ["integer", "null"]},
    gpu={"type": ["string", "null"], "maxLength": 255},
    system=TEXT,
    python=TEXT,
    torch=TEXT,
)
PROGRESS = {
    "history": {"type": "array", "items": _object(epoch=COUNT, train_loss=AMOUNT, val_loss=AMOUNT)},
    "diverged": {"anyOf": [{"type": "null"}, _object(epoch=COUNT, step={"anyOf": [{"type": "null"}, COUNT]})]},
    "made": {"type": "array", "minItems": 1, "items": _object(seconds=AMOUNT, machine=MACHINE)},
}
STATE_FORM = _object(identity=_object(**IDENTITY), **PROGRESS)
RUN_FORM = _object(
    run_id=TEXT,
    corpus=TEXT,
    vocab={"type": "string", "minLength": 2},
    checksums=_object(**dict.fromkeys(WEIGHTS, TEXT)),
    **IDENTITY,
    **PROGRESS,
)


@cache
def _validator(kind: str) -> Callable[[object], object]:
    import fastjsonschema  # in a hundredth of the time that jsonschema takes to import, which generate.py would wait for

    draft = {"$schema": "http://json-schema.org/draft-04/schema#"}  # the last in which 3.0 is no integer
    return fastjsonschema.compile(draft | {"run": RUN_FORM, "state": STATE_FORM}[kind])


def _check_form(about: dict, kind: str) -> None:
    """Raise ValueError unless this is what a finished "run" or a "state" says of itself."""
    _validator(kind)(about)
    epochs = [row["epoch"] for row in about["history"]]
    if epochs != [*range(1, len(epochs) + 1)]:
        raise ValueError("the epochs of its history are not 1, 2, 3 …")
    if len(about["made"]) != len(epochs) + (about["diverged"] is not None):
        raise ValueError("its history and the machines that made it are of different length")
    vocab = about.get("vocab", "")
    if vocab != "".join(sorted(set(vocab))) or vocab.encode("utf-8", "replace").decode() != vocab:
        raise ValueError("its vocabulary is not one of distinct characters in their order")


def _config(about: dict, path: Path) -> Config:
    """The configuration of a sound record; raises OtherVersion when it has fields or values that are not known here."""
    known = {f.name for f in fields(Config)}
    try:
        for name in about["config"]:
            if name not in known:
                raise CharlmError(f"it has the unknown field {name!r}")
        return Config(**about["config"])
    except CharlmError as e:
        raise OtherVersion(f"the configuration in {path} is of another version, and left alone: {_short(e)}") from e


def _check_shapes(
    shapes: dict[str, tuple[int, ...]], vocabulary_size: int, config: Config, code: str, path: Path
) -> None:
    """Raise Damaged unless a model of this configuration has weights of these shapes, or OtherVersion where the code
    that made them is not today's."""
    # First what bounds the size of the model that is then built (of shapes alone).
    fits = config.layers <= len(shapes) and shapes.get("head.weight") == (vocabulary_size, config.hidden_size)
    if fits and shapes == {name: tuple(w.shape) for name, w in _skeleton(vocabulary_size, config).items()}:
        return
    if code != training_code_hash(config.cell):
        raise OtherVersion(f"{path} holds the weights of a model that other code made; it is left alone")
    raise Damaged(f"{path} is damaged: its weights are not of its configuration; {AGAIN}")


def _skeleton(vocabulary_size: int, config: Config) -> dict[str, torch.Tensor]:
    """The weights of a model without their values."""
    with torch.device("meta"):
        return core.CharModel(vocabulary_size, config).state_dict()


def _stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of a file's tensors, which are not read."""
    try:
        if not path.is_file():
            raise ValueError("not there, or not a regular file")
        with safe_open(path, "np") as f:
            return {name: tuple(f.get_slice(name).get_shape()) for name in f.offset_keys()}
    except (OSError, *UNREADABLE) as e:
        raise _damaged(path, e) from e


def read_state(path: Path) -> tuple[bytes, dict]:
    """A stored state as it was packed, and what it says of itself; checksum and form are checked."""
    data = read_file(path)
    tensors, about = unpack(data, path)
    try:
        _check_form(about, "state")
        groups = _grouped(tensors)
        weights = groups["weights"]
        config = _config(about["identity"], path)
        shapes = {name: tuple(w.shape) for name, w in weights.items()}
        _check_shapes(shapes, len(weights["head.bias"]), config, about["identity"]["code"], path)
        kinds = {name: (w.shape, w.dtype) for name, w in _skeleton(len(weights["head.bias"]), config).items()}
        for some in (weights, groups["best"] or weights):
            if {name: (w.shape, w.dtype) for name, w in some.items()} != kinds:
                raise ValueError("weights of another model")
        for key, moment in groups["moments"].items():
            name, _, kind = key.rpartition("/")
            expected = torch.Size() if kind == "step" else kinds[name][0]
            if kind not in ("step", "exp_avg", "exp_avg_sq", core.MOVING) or (moment.shape, moment.dtype) != (
                expected,
                torch.float32,
            ):
                raise ValueError("moments of another optimizer")
    except UNREADABLE as e:
        raise _damaged(path, e) from e
    return data, about


# ---------------------------------------------------------------------------------------------------------------------
# The run folder


@dataclass(frozen=True)
class Run:
    """One run: a resolved configuration on a corpus, and the folder where its files are or will be."""

    config: Config
    corpus: Corpus
    folder: Path

    @classmethod
    def of(cls, config: Config, corpus: Corpus, runs: Path = RUNS) -> "Run":
        config = config.resolve()
        return cls(config, corpus, runs / run_id(config, corpus))

    @property
    def identity(self) -> dict:
        return identity(self.config, self.corpus)

    @property
    def name(self) -> str:
        return self.folder.name

    def is_finished(self) -> bool:
        """Whether its results are there, whole or not."""
        return os.path.lexists(self.folder / "run.json")

    def load(self) -> bytes:
        """The packed state to go on from: the stored one, or a new one."""
        path = self.folder / STATE
        if os.path.lexists(path):
            data, _ = read_state(path)
            state, _ = unpack_state(data, path, self.identity)
            if len(state.weights["head.bias"]) != len(self.corpus.vocab):
                raise Damaged(f"{path} is damaged: its weights are of another vocabulary; {AGAIN}")
            return data
        core.split_chunks(core.count_chunks(len(self.corpus.ids), self.config.chunk_length), self.config)  # too short?
        return pack_state(core.initial_state(len(self.corpus.vocab), self.config), [], self.identity)

    def save(self, data: bytes) -> tuple[State, list[dict]]:
        """Store the packed state, and the results when training is over."""
        state, made = unpack_state(data, f"the state of {self.name}", self.identity)
        write(self.folder / STATE, data)
        if core.is_finished(state, self.config):
            self.finish(state, made)
        return state, made

    def recover(self) -> None:
        """Finish what was killed after its last epoch, and tidy what was killed after that."""
        if self.is_finished():
            self.tidy()
        elif os.path.lexists(self.folder / STATE):
            state, made = unpack_state(self.load(), self.folder / STATE, self.identity)
            if core.is_finished(state, self.config):
                self.finish(state, made)

    def finish(self, state: State, made: list[dict]) -> None:
        """Store the results in place of the state; run.json comes last, and makes it a finished run."""
        checksums = {}
        for name, weights in (("best", state.best_weights), ("last", state.weights)):
            packed = pack(weights, {"run_id": self.name})
            write(self.folder / f"{name}.safetensors", packed)
            checksums[f"{name}.safetensors"] = hashlib.sha256(packed).hexdigest()
        about = {
            "run_id": self.name,
            "corpus": self.corpus.name,
            **self.identity,
            "vocab": self.corpus.vocab,
            "history": state.history,
            "diverged": state.diverged,
            "made": made,
            "checksums": checksums,
        }
        about["sha256"] = _json_checksum(about)
        write(self.folder / "run.json", (json.dumps(about, indent=1, allow_nan=False) + "\n").encode())
        self.tidy()

    def tidy(self) -> None:
        """Remove what a finished run does not need: what a killed process had half written, and its state, which goes
        last, so that a finished run without one is tidy."""
        for half in self.folder.glob(".half-*"):
            with suppress(OSError):
                _delete(half)
        (self.folder / STATE).unlink(missing_ok=True)


def _json_checksum(about: dict) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read(folder: Path) -> dict:
    """run.json of a finished run, its checksum and form verified, and that the weights beside it have the shapes that
    its configuration gives them. Raises Damaged, or CharlmError where there is none."""
    path = folder / "run.json"
    if not os.path.lexists(path):
        raise CharlmError(f"{folder} holds no finished run; train it first")
    data = read_file(path, 2**25)  # a vocabulary of all characters that there are takes 13 MB
    try:
        about = json.loads(data)
        if about.pop("sha256") != _json_checksum(about):
            raise ValueError("checksum")
        _check_form(about, "run")
    except UNREADABLE as e:
        raise _damaged(path, e) from e
    if about["run_id"] != folder.name:
        raise Damaged(f"{path} is of the run {about['run_id']}; put it back into a folder of that name")
    config = _config(about, path)
    for name in WEIGHTS:
        _check_shapes(_stored_shapes(folder / name), len(about["vocab"]), config, about["code"], folder / name)
    return about


def check(folder: Path) -> None:
    """Raise Damaged unless the results that a run folder holds are whole and unaltered; where it holds none, only that
    it can be read. What was read once in this process and has not changed since is not read again."""
    if "run.json" in names_in(folder):
        files = (folder / name for name in ("run.json", *WEIGHTS))
        _check_results(folder, tuple(_version(path) for path in files))


def names_in(folder: Path) -> set[str]:
    """Names of all that a run folder holds, none where there is no folder; raises Damaged when it cannot be read."""
    try:
        return set(os.listdir(folder)) if os.path.lexists(folder) else set()
    except OSError as e:
        raise Damaged(
            f"{folder} cannot be read as a folder: {e.strerror}; check what it is, and its permissions"
        ) from e


def _version(path: Path) -> tuple[int, ...] | None:
    """What changes when a file does; None where there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns


@cache
def _check_results(folder: Path, versions: tuple) -> None:
    about = read(folder)
    for name in WEIGHTS:
        _read_weights(folder / name, about)


def _read_weights(path: Path, about: dict) -> bytes:
    """A file of weights, whose checksum is in run.json."""
    data = read_file(path)
    if hashlib.sha256(data).hexdigest() != about["checksums"][path.name]:
        raise Damaged(f"{path} is damaged: run.json has another checksum for it; {AGAIN}")
    return data


def weights(folder: Path, which: str = "best") -> tuple[dict[str, torch.Tensor], Config, str]:
    """Weights ("best" or "last" epoch), configuration and vocabulary of a finished run, for core.sample()."""
    about = read(folder)
    path = folder / f"{which}.safetensors"
    return unpack(_read_weights(path, about), path)[0], Config(**about["config"]), about["vocab"]


def record(folder: Path) -> dict:
    """The run as a flat record: what results.json holds of it. Losses in nats per character, None where there is none."""
    about = read(folder)
    config, history = vars(Config(**about["config"])), about["history"]  # with the fields it is not named by
    best = core.best_epoch(history)
    at_best = history[best - 1] if best else {"train_loss": None, "val_loss": None}
    at_last = history[-1] if history else {"train_loss": None, "val_loss": None}
    return {
        "run_id": about["run_id"],
        "corpus": about["corpus"],
        "status": "diverged" if about["diverged"] else "finished",
        **config,
        "parameters": core.count_parameters(len(about["vocab"]), Config(**config)),
        "epochs": len(history),
        "max_epochs": config["epochs"],
        "best_epoch": best,
        "train_loss_last": at_last["train_loss"],
        "val_loss_last": at_last["val_loss"],
        "train_loss_best": at_best["train_loss"],
        "val_loss_best": at_best["val_loss"],
        "train_loss": [row["train_loss"] for row in history],
        "val_loss": [row["val_loss"] for row in history],
        "diverged": about["diverged"],
        "seconds": round(sum(m["seconds"] for m in about["made"]), 3),
        "code": about["code"],
        "corpus_sha256": about["corpus_sha256"],
        "machine": about["made"][-1]["machine"],
    }


def kept(folder: Path, name: str, of: dict, measure: Callable[[], dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """What measuring a run gives, kept in its folder as <name>.safetensors, since it takes long. It is measured again when
    `of`, all that it depends on beside the run, has changed, or the file is damaged or of another run; a folder that
    cannot be written is no reason to stop."""
    if name not in MEASURES:
        raise ValueError(f"{name!r} is not in MEASURES: nobody would know it for a file of a run")
    path, about = folder / f"{name}.safetensors", {"run_id": folder.name, **of}
    with suppress(CharlmError):
        found, found_of = unpack(read_file(path), path)
        if found_of == about:
            return found
    data = pack(measure(), about)
    with suppress(CharlmError):
        write(path, data)
    return unpack(data, path)[0]  # in the memory order it will be read in: the last bit of a sum depends on that


def stored(runs: Path = RUNS, say: Callable[[str], None] = print) -> list[dict]:
    """Records of the finished runs, by name; says of each that cannot be read why it is passed over."""
    records = []
    for folder in folders(runs):
        if os.path.lexists(folder / "run.json"):
            try:
                records.append(record(folder))
            except Damaged as e:
                say(f"passed over: {e}")
    return records


def best(records: Sequence[dict]) -> dict:
    """The record with the lowest validation loss at its best epoch."""
    candidates = [r for r in records if r["val_loss_best"] is not None]
    if not candidates:
        raise CharlmError("no trained run yet: train with `make report`, or with notebooks/1_training.ipynb")
    return min(candidates, key=lambda r: r["val_loss_best"])


def folders(runs: Path, names: Sequence[str] = ()) -> list[Path]:
    """The run folders of those names, all when none is given; raises CharlmError for a name that is not there.

    A name is one that the listing of `runs` has: on no system does such a name lead anywhere else.
    """
    try:
        there = sorted(os.listdir(runs))
    except FileNotFoundError:
        there = []
    except OSError as e:
        raise CharlmError(f"cannot read {runs}: {e.strerror}: give the folder of the runs") from e
    there = [name for name in there if os.path.isdir(runs / name) or os.path.islink(runs / name)]
    for name in names:
        if name not in there:
            raise CharlmError(f"no run {name!r:.80} in {runs}; `python -m charlm_runs list` shows what is there")
    return [runs / name for name in names or there]


def strangers(folder: Path) -> list[Path]:
    """What a run folder holds, or a folder in it in which a file was half written, that is not of the kinds that this
    module writes."""
    found = []
    for path in sorted(folder.iterdir()):
        if _is_folder(path) and path.name.startswith(".half-"):
            found += [half for half in sorted(path.iterdir()) if _is_folder(half) or half.name not in FILES]
        elif _is_folder(path) or path.name not in FILES:
            found.append(path)
    return found


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not _is_link(path)


def _is_link(path: Path) -> bool:
    return path.is_symlink() or (hasattr(path, "is_junction") and path.is_junction())  # Windows', from Python 3.12 on


def _delete(path: Path) -> None:
    """Delete a file of a run, a link and not what it leads to, or a folder in which a file was half written."""
    if _is_folder(path):
        for name in FILES:
            (path / name).unlink(missing_ok=True)
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def remove(folder: Path) -> None:
    """Delete a run or what is left of one, or the link to one. Raises CharlmError, with nothing deleted, when somebody
    trains it or anything else is in the folder."""
    try:
        if _is_link(folder):
            folder.unlink()
            return
        if foreign := strangers(folder):
            raise CharlmError(f"{foreign[0]} is not of a run: move it away, then try again; nothing was removed")
        with FileLock(folder / "lock").acquire(timeout=0):
            # run.json first: from then on it is no finished run, wherever this is stopped.
            for name in sorted(names_in(folder) - {"lock"}, key=lambda name: name != "run.json"):
                _delete(folder / name)
            with suppress(PermissionError):  # Windows keeps what is open, and deletes it itself when the lock is let go
                (folder / "lock").unlink()
        # Whoever waited for the lock finds its file gone and makes a new one; then the folder is theirs, and stays.
        folder.rmdir()
    except Timeout:
        raise CharlmError(f"{folder.name} is being trained by another process; stop that first") from None
    except OSError as e:
        if e.errno != errno.ENOTEMPTY:
            raise CharlmError(f"cannot remove {folder}: {e.strerror}") from e


# ---------------------------------------------------------------------------------------------------------------------
# Training one run, and many


def advance(data: bytes, config: Config, corpus: Corpus) -> bytes:
    """The packed state one epoch later: the unit of work, here or on any worker that has the same code and torch."""
    start = time.perf_counter()
    core.check_device(config)  # the worker's may be another than where the sweep was asked for
    of = identity(config, corpus)
    state, made = unpack_state(data, "the state sent to this worker", of)
    state = core.train_epoch(state, corpus, config)
    return pack_state(state, [*made, {"seconds": time.perf_counter() - start, "machine": machine()}], of)


def plan(configs: Sequence[Config], corpus: Corpus, runs: Path = RUNS, workers: int = 0) -> dict:
    """What a sweep is going to do: runs to train and found, and the minutes and megabytes to expect here.

    Minutes are estimated from a few timed steps of each kind of run, as if all epochs were needed: an upper bound.
    """
    todo = [r for r in (Run.of(c, corpus, runs) for c in dict.fromkeys(configs)) if not r.is_finished()]
    seconds, size = 0.0, 0
    timed: dict[Config, float] = {}
    for run in todo:
        kind = replace(run.config, seed=0)
        if kind not in timed:
            timed[kind] = _epoch_seconds(kind, corpus)
        seconds += timed[kind] * (run.config.epochs - status(run.folder).get("epochs", 0))
        size += 2 * 4 * core.count_parameters(len(corpus.vocab), run.config)
    return {
        "train": len(todo),
        "found": len(set(configs)) - len(todo),
        "minutes": seconds / 60 / count_workers(len(todo), todo[0].config if todo else None, workers),
        "megabytes": size / 1e6,
    }


def _epoch_seconds(config: Config, corpus: Corpus) -> float:
    """Seconds an epoch is going to take here, from a few steps on the first chunks of the corpus."""
    core.check_device(config)
    train, validation = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    chunks = len(train) + len(validation)
    few = min(chunks, 5 * config.batch_size)
    part = replace(corpus, ids=corpus.ids[: few * config.chunk_length + 1])
    config = replace(config, characters=None, validation_characters=None, cut=None)  # which such a part does not have
    state, seconds = core.initial_state(len(corpus.vocab), config), []
    for _ in range(2):  # the first pass also sets up the library's kernels
        start = time.perf_counter()
        core.train_epoch(state, part, config)
        seconds.append(time.perf_counter() - start)
    return min(seconds) * chunks / few


def count_workers(n_runs: int, config: Config | None, workers: int = 0) -> int:
    """Workers for so many runs: as asked, else one for each core that a run's threads leave; one for a GPU."""
    if config is None or config.device != "cpu":
        return 1
    return max(1, min(n_runs, workers or count_cores() // config.threads))


def count_cores() -> int:
    """Cores that this process may use: what its affinity and a container leave it, on any system."""
    from dask.system import CPU_COUNT  # takes a sixth of a second to import, which generate.py can do without

    return CPU_COUNT


def sweep(
    configs: Sequence[Config],
    corpus: Corpus,
    runs: Path = RUNS,
    workers: int = 0,
    scheduler: str = "",
    insecure: bool = False,
    say: Callable[[str], None] = print,
) -> list[dict]:
    """Train what is not finished, and return the records of all in the order of `configs`.

    Workers compute one epoch at a time; this process stores the state after each, so that a sweep that was stopped
    goes on from there when it is asked for again. They are processes on this machine, or those of the Dask cluster
    whose `scheduler` is named by its address; their number changes nothing but the time. A run that fails twice in an
    epoch, or that is damaged, raises CharlmError after all the others are done. Two processes that want one run do not
    both train it.
    """
    wanted = [Run.of(c, corpus, runs) for c in configs]
    failures: list[str] = []
    sound = _sound({r.folder: r for r in wanted}.values(), lambda run: check(run.folder), failures, say)
    todo = [r for r in sound if not r.is_finished()]
    todo.sort(key=lambda r: -core.count_parameters(len(corpus.vocab), r.config))  # longest first: no long tail
    for run in (r for r in sound if r.is_finished() and (r.folder / STATE).is_file()):  # killed while it tidied
        with ExitStack() as lock:
            if _claim(run, lock):
                run.tidy()
    with ExitStack() as locks:
        mine = [r for r in todo if _claim(r, locks)]
        others = [r for r in todo if r not in mine]
        mine = _sound(mine, Run.recover, failures, say)
        it = plan([r.config for r in (*mine, *others)], corpus, runs, workers)
        if it["train"]:
            found = len(sound) - len(todo) + it["found"]
            say(
                f"{corpus.name}: {it['train']} runs to train, {found} found; at most {it['minutes']:.1f} min on this "
                f"machine, {it['megabytes']:.0f} MB in {runs}"
            )
        failures += _train([r for r in mine if not r.is_finished()], corpus, workers, scheduler, insecure, say)
    for run in others:
        say(f"{run.name}: another process trains it; waiting")
        with ExitStack() as lock:
            while not _claim(run, lock):  # the system lets go of it when its holder ends, however it ends
                time.sleep(0.1)
            if _sound([run], Run.recover, failures, say) and not run.is_finished():
                failures += _train([run], corpus, 1, "", False, say)
    if failures:
        raise CharlmError(
            f"{len(failures)} of {len(set(wanted))} runs failed or are damaged, the others are done: {'; '.join(failures)}"
        )
    return [record(r.folder) for r in wanted]


def _sound(
    some: Iterable[Run], look: Callable[[Run], None], failures: list[str], say: Callable[[str], None]
) -> list[Run]:
    """The runs in which `look` finds no damage. The others are left out, which is said and noted in `failures`."""
    sound = []
    for run in some:
        try:
            look(run)
        except Damaged as e:
            say(f"{run.name} is left out: {e}")
            failures.append(str(e))
        else:
            sound.append(run)
    return sound


def _claim(run: Run, locks: ExitStack) -> bool:
    """Take the run for this process; False if another has it."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        locks.enter_context(FileLock(run.folder / "lock").acquire(timeout=0))
    except Timeout:
        return False
    except OSError as e:
        raise CharlmError(
            f"cannot write to {run.folder}: {e.strerror}: runs need a folder they can be stored in"
        ) from e
    return True


def _train(
    todo: list[Run], corpus: Corpus, workers: int, scheduler: str, insecure: bool, say: Callable[[str], None]
) -> list[str]:
    """Train the runs, and say of each that failed why."""
    if not todo:
        return []
    workers = count_workers(len(todo), todo[0].config, workers)
    runs = "run" if len(todo) == 1 else "runs"
    say(f"training {len(todo)} {runs}" + (f" on the workers of {scheduler}" if scheduler else f", {workers} at a time"))
    failures: list[str] = []
    with ExitStack() as stack:
        if scheduler:
            epochs = _on_workers(todo, corpus, stack.enter_context(_cluster(scheduler, insecure)), failures)
        elif workers > 1:
            epochs = _on_workers(todo, corpus, stack.enter_context(_local_cluster(workers)), failures)
        else:
            epochs = _here(todo, corpus)
        done = 0
        for run, state, made in epochs:
            over = core.is_finished(state, run.config)
            done += over
            say(f"[{done}/{len(todo)}] {run.name}: {_progress(run.config, state, made, over)}")
    return failures


def _progress(config: Config, state: State, made: list[dict], over: bool) -> str:
    """One line of text about the epoch that just ended."""
    if state.diverged:
        step = state.diverged["step"]
        where = f"step {step}" if step else "validation"
        return (
            f"DIVERGED in epoch {state.diverged['epoch']}, {where}: the loss is not a finite number any more;"
            f" try a lower learning rate than {config.learning_rate:g}"
        )
    row = state.history[-1]
    left = (config.epochs - row["epoch"]) * sum(m["seconds"] for m in made) / len(made) / 60
    rest = f"done, best epoch {core.best_epoch(state.history)}" if over else f"at most {left:.1f} min left"
    return f"epoch {row['epoch']}, training {row['train_loss']:.4f}, validation {row['val_loss']:.4f}, {rest}"


Epoch = tuple[Run, State, list[dict]]  # what training yields after each epoch


def _here(todo: list[Run], corpus: Corpus) -> Iterator[Epoch]:
    """Train one run after the other in this process."""
    for run in todo:
        data = run.load()
        while not run.is_finished():
            data = advance(data, run.config, corpus)
            yield run, *run.save(data)


# Dask has workers give freed memory back to the system at once; then every step of training gets its pages anew, and an
# LSTM's takes half as long again.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_THRESHOLD_": str(2**25)}


@contextmanager
def _local_cluster(workers: int):
    """A Dask client of worker processes on this machine, which nobody else can reach: whoever can runs code in them. So
    all of them show a certificate that lives as long as they do, and none answers HTTP."""
    import dask
    from distributed import Client, LocalCluster, Security  # takes a second to import, which generate.py can do without

    local = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "memory_limit": None}
    # Without an address of its own the scheduler's HTTP would ask for port 8787, and warn when it is taken.
    local |= {"scheduler_kwargs": {"dashboard": False}, "security": Security.temporary()}
    silent = {f"distributed.{who}.http.routes": [] for who in ("scheduler", "worker")}
    # A terminal sends Ctrl-C to the workers too; it is this process that answers it, and ends them.
    quiet = {"preload": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)", "silence_logs": logging.CRITICAL}
    keep = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in KEEP_MEMORY.items()}
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(keep | silent))
        cluster = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, **local, **quiet))
        yield stack.enter_context(Client(cluster))


@contextmanager
def _cluster(scheduler: str, insecure: bool):
    """A Dask client of the user's own cluster. Certificates for tls:// are those of the user's Dask configuration."""
    from distributed import Client

    host = scheduler.partition("://")[2].rpartition(":")[0].strip("[]")
    if not scheduler.startswith("tls://") and host not in ("127.0.0.1", "localhost", "::1") and not insecure:
        raise CharlmError(
            f"scheduler {scheduler!r}: whoever reaches a scheduler without TLS runs code on its workers; use tls://, or"
            " say --insecure (insecure=True) where the network is yours alone"
        )
    try:
        client = Client(scheduler, timeout=10)
    except (OSError, ValueError, TimeoutError, TypeError) as e:
        raise CharlmError(
            f"scheduler {scheduler!r} cannot be reached: {e}: is it running, and is this its address?"
        ) from e
    with client:
        try:
            client.wait_for_workers(1, timeout=60)
        except TimeoutError:
            raise CharlmError(
                f"scheduler {scheduler!r} has had no worker for a minute; start some, then try again"
            ) from None
        if any(n != 1 for n in client.nthreads().values()):
            raise CharlmError(f"scheduler {scheduler!r} has workers with several threads; start them with --nthreads 1")
        yield client


PAUSES = (1, 5, 10)  # seconds that workers get to come back, before each further try to reach them


def _share(corpus: Corpus, client):
    """The corpus on every worker. Workers may die while it gets there, and others be on their way."""
    for pause in PAUSES:
        try:
            return client.scatter(corpus, broadcast=True, hash=False)
        except (Exception, CancelledError) as e:
            why = f"{type(e).__name__}: {_short(e)}"
            time.sleep(pause)
    raise CharlmError(
        f"no worker stays alive ({why}): find out what ends them, memory perhaps; every finished epoch is kept, the same"
        " command goes on from there"
    )


def _on_workers(todo: list[Run], corpus: Corpus, client, failures: list[str]) -> Iterator[Epoch]:
    """Train on Dask workers. A task is one epoch, so a lost worker costs an epoch, which is computed again."""
    import dask
    from distributed import as_completed

    waiting, failed = deque(todo), Counter()
    running: dict[str, Run] = {}
    tasks = as_completed(loop=client.loop)
    # The corpus goes to every worker once. A state travels with its task, so that the scheduler still has it to
    # give to another worker when one dies.
    shared = _share(corpus, client)

    def submit(run: Run, data: bytes) -> None:
        key = f"{run.name}-{next(numbers)}"
        running[key] = run
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"}):
            tasks.add(client.submit(advance, data, run.config, shared, key=key, priority=-todo.index(run)))

    numbers = count()
    for _ in range(min(len(todo), len(client.nthreads()) + 1)):  # one more than workers: none idles during a save
        submit(waiting[0], waiting.popleft().load())
    for future in tasks:
        run = running.pop(future.key)
        try:
            data = future.result()
        except (Exception, CancelledError) as e:  # whatever ends a task: once more, from the last stored epoch
            failed[run.folder] += 1
            if failed[run.folder] < 2 and not isinstance(e, CharlmError):
                shared = _share(corpus, client)  # it may be lost with the workers that had it
                submit(run, run.load())
                continue
            failures.append(f"{run.name} failed twice ({type(e).__name__}: {_short(e)})")
        else:
            failed.pop(run.folder, None)
            state, made = run.save(data)
            if not core.is_finished(state, run.config):
                submit(run, data)
                yield run, state, made
                continue
            yield run, state, made
        if waiting:
            submit(waiting[0], waiting.popleft().load())


# ---------------------------------------------------------------------------------------------------------------------
# The command line: python -m charlm_runs list | show | train | verify | remove


def status(folder: Path, deep: bool = False) -> dict:
    """What a run folder holds: {"run_id", "status", "epochs", ...} with status finished, diverged, unfinished, damaged or
    of another version, and "problem", which says what is wrong. `deep` reads every byte of every file."""
    about = {"run_id": folder.name}
    try:
        names = names_in(folder)
        if "run.json" in names:
            if deep:
                check(folder)
            r = record(folder)
            keys = ("status", "corpus", "epochs", "best_epoch", "val_loss_best", "seconds", "code", "machine")
            about |= {k: r[k] for k in keys}
        elif STATE in names:
            _, state = read_state(folder / STATE)
            history, made, of = state["history"], state["made"], state["identity"]
            about |= {
                "status": "unfinished",
                "epochs": len(history),
                "best_epoch": core.best_epoch(history),
                "val_loss_best": min((row["val_loss"] for row in history), default=None),
                "seconds": round(sum(m["seconds"] for m in made), 3),
                "code": of["code"],
                "machine": made[-1]["machine"],
            }
            r = of["config"]
        else:
            about |= {"status": "unfinished", "epochs": 0}
        if "code" in about:
            about["code_is_current"] = about["code"] == training_code_hash(r["cell"])
        if deep and (wrong := misplaced(folder, names)):
            about["problem"] = "; ".join(wrong)
        return about
    except Damaged as e:
        return about | {"status": e.status, "problem": str(e)}


def misplaced(folder: Path, names: set[str]) -> list[str]:
    """What is wrong with a run folder of those names beside what its run is made of, a clause for each."""
    finished, begun = "run.json" in names, STATE in names
    wrong = [f"{path.relative_to(folder)} is not of a run: move it away" for path in strangers(folder)] if names else []
    if finished:
        left = [name for name in names if name == STATE or name.startswith(".half-")]
        wrong += [f"{name} is left from training: to train again tidies it" for name in sorted(left)]
    elif not begun:
        left = names & {*WEIGHTS, *(f"{name}.safetensors" for name in MEASURES)}
        wrong += [f"{name} is there without run.json: remove the run, or train it again" for name in sorted(left)]
    for path in (folder / f"{name}.safetensors" for name in MEASURES):
        if finished and path.name in names and not _is_folder(path):
            try:
                _, about = unpack(read_file(path), path)
                if about["run_id"] != folder.name:
                    raise Damaged(f"{path} is of another run")
            except (Damaged, *UNREADABLE):
                wrong.append(f"{path.name} is damaged or of another run: delete it, it is measured again")
    return wrong


def spanned(path: Path) -> tuple[str, list[Config]]:
    """The corpus and the configurations that a sweep file spans: every combination of the values it lists.

    A key is `corpus` or a field of core.Config, its value one value or a list of them; what is not named keeps its
    default. Raises CharlmError for a file that cannot be read, an unknown key, or a value that makes no sense.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as e:
        raise CharlmError(f"cannot read {path}: {e.strerror}: give the path of a TOML file") from e
    except ValueError as e:
        raise CharlmError(f"{path} is not TOML: {e}") from e
    corpus = table.pop("corpus", "shakespeare-268k")
    known = [f.name for f in fields(Config)]
    for key in table:
        if key not in known:
            raise CharlmError(f"{path}: unknown key {key!r}; it may be corpus, {', '.join(known)}")
    if not isinstance(corpus, str):
        raise CharlmError(f"{path}: corpus = {corpus!r}: needs one name or path")
    lists = [value if isinstance(value, list) else [value] for value in table.values()]
    return corpus, [Config(**dict(zip(table, values, strict=True))) for values in product(*lists)]


def main(arguments: Sequence[str] | None = None) -> int:
    print_utf8()
    parser = argparse.ArgumentParser(
        prog="python -m charlm_runs", description="Look after trained runs, and train more."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | show | train | verify | remove")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        it = commands.add_parser(name, help=text, description=text)
        it.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="folder of the runs (default: runs/)")
        it.add_argument("--json", action="store_true", help="print JSON instead of text")
        return it

    command(
        "list",
        "a line for each run: finished, diverged, unfinished, damaged or of another version, and how far it came",
    )
    it = command("show", "everything that is known of runs: configuration, losses, time, machine, code")
    it.add_argument("names", nargs="+", metavar="RUN")
    it = command("train", "train what a TOML file spans, for example: cell = ['rnn', 'lstm'], seed = [0, 1]")
    it.add_argument("sweep", type=Path, metavar="SWEEP.toml")
    it.add_argument(
        "--workers", type=int, default=0, metavar="N", help="processes on this machine (default: one a core)"
    )
    it.add_argument("--scheduler", default="", metavar="ADDRESS", help="train on a Dask cluster, as tls://host:8786")
    it.add_argument("--insecure", action="store_true", help="allow a scheduler on another machine without TLS")
    it = command("verify", "check every file of the runs; exit code 1 when one is damaged or does not belong there")
    it.add_argument("names", nargs="*", metavar="RUN", help="default: all")
    it = command("remove", "delete runs for good")
    it.add_argument("names", nargs="+", metavar="RUN")
    given = parser.parse_args(arguments)
    try:
        shown, good = COMMANDS[given.command](given)
    except CharlmError as e:
        print(f"charlm_runs: {one_line(str(e))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "charlm_runs: interrupted; every finished epoch is kept, the same command goes on from there",
            file=sys.stderr,
        )
        return 130
    if given.json:
        print(json.dumps(shown, indent=1, allow_nan=False))
    else:
        for item in shown:
            print(_line(item) if given.command != "show" else json.dumps(item, indent=1, allow_nan=False))
    return 0 if good else 1


def _list(given: argparse.Namespace) -> tuple[list[dict], bool]:
    return [status(folder) for folder in folders(given.runs)], True


def _show(given: argparse.Namespace) -> tuple[list[dict], bool]:
    about = [status(folder) for folder in folders(given.runs, given.names)]
    done = ("finished", "diverged")
    full = [record(given.runs / a["run_id"]) if a["status"] in done else a for a in about]
    return full, all("problem" not in a for a in about)


def _train_file(given: argparse.Namespace) -> tuple[list[dict], bool]:
    name, configs = spanned(given.sweep)
    corpus = load(name)
    say = partial(print, file=sys.stderr, flush=True)
    records = sweep(configs, corpus, given.runs, given.workers, given.scheduler, given.insecure, say)
    return [status(given.runs / r["run_id"]) for r in records], all(r["status"] == "finished" for r in records)


def _verify(given: argparse.Namespace) -> tuple[list[dict], bool]:
    about = [status(folder, deep=True) for folder in folders(given.runs, given.names)]
    return about, all("problem" not in a for a in about)


def _remove(given: argparse.Namespace) -> tuple[list[dict], bool]:
    about = []
    for folder in folders(given.runs, dict.fromkeys(given.names)):
        try:
            remove(folder)
            about.append({"run_id": folder.name, "status": "removed"})
        except CharlmError as e:
            about.append({"run_id": folder.name, "status": "kept", "problem": str(e)})
    return about, all("problem" not in a for a in about)


COMMANDS = {"list": _list, "show": _show, "train": _train_file, "verify": _verify, "remove": _remove}


def _line(about: dict) -> str:
    """One line of text about a run."""
    parts = [f"{about['status']:10}  {about['run_id']}"]
    if about.get("epochs") is not None:
        parts.append(f"{about['epochs']} epochs")
    if about.get("val_loss_best") is not None:
        parts.append(f"validation {about['val_loss_best']:.4f} in epoch {about['best_epoch']}")
    if about.get("seconds"):
        parts.append(f"{about['seconds'] / 60:.1f} min on {about['machine']['cpu']}")
    if about.get("code_is_current") is False:
        parts.append("made by other code than today's")
    return one_line(", ".join([*parts, *([about["problem"]] if "problem" in about else [])]))


if __name__ == "__main__":
    from charlm_runs import main  # workers on other machines must find what is sent to them under this name

    sys.exit(main())
