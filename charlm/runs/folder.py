"""The folder of a run: what is stored of it, and what is read back.

A run is one configuration on one corpus. Its folder in runs/ is named by a hash of all that decides its result:

    run.json            configuration, vocabulary, history, provenance, checksums; its presence means "finished"
    best.safetensors    weights of the epoch with the lowest validation loss
    last.safetensors    weights of the last epoch
    state.safetensors   only while unfinished: all that the next epoch needs, written whole after every epoch
    meaning, texts, temperature, gradients.safetensors   what notebooks measured of a finished run, and can measure again

Every file is written under another name, flushed to the disk and renamed, so that it is there whole or not at all, and
carries a checksum.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch

import charlm_core as core
from charlm.corpus import ROOT
from charlm.device import resolved_config
from charlm.files import Damaged, read_json, sound, write_json, write_whole
from charlm.runs.files import (
    AGAIN,
    KEPT_NAMES,
    STATE,
    WEIGHT_FILES,
    delete_entry,
    grouped_tensors,
    names_in,
    pack,
    pack_state,
    read_file,
    unpack,
    unpack_state,
)
from charlm.runs.form import check_form, check_shapes, checked_config, skeleton, stored_shapes
from charlm.runs.identity import RUN_NAME, decisive_fields, run_id, run_identity, run_name
from charlm_core import CharlmError, Config, Corpus, State

EMBEDDING, FIRST_WEIGHTS = "embedding.weight", "rnn.weight_ih_l0"
RUNS = Path(os.environ.get("CHARLM_RUNS", ROOT / "runs")).resolve()


def run_folders(runs: Path, names: Sequence[str] = ()) -> list[Path]:
    """The run folders of those names, all when none is given; raises CharlmError for a name that is not there.

    A name is one that the listing of `runs` has: on no system does such a name lead anywhere else. What has the name of a
    run counts as one, whatever it is.
    """
    try:
        there = sorted(os.listdir(runs))
    except FileNotFoundError:
        there = []
    except OSError as e:
        raise CharlmError(f"cannot read {runs}: {e.strerror}: give the folder of the runs") from e
    there = [
        name for name in there if os.path.isdir(runs / name) or os.path.islink(runs / name) or RUN_NAME.fullmatch(name)
    ]
    for name in names:
        if name not in there:
            raise CharlmError(f"no run {name!r:.80} in {runs}; `python -m charlm.runs list` shows what is there")
    return [runs / name for name in names or there]


def find_run(given: str, runs: Path = RUNS) -> Path:
    """The folder of a run, to be read, that is given by its name in `runs`, by the path of its folder, or by that of a file
    in it. Raises CharlmError where there is none."""
    if given and os.path.isdir(runs) and given in os.listdir(runs):
        return runs / given
    path = Path(given).absolute()
    if given and os.path.exists(path):
        folder = path.resolve() if path.is_dir() else path.parent.resolve()
        if os.path.lexists(folder / "run.json"):
            return folder
    raise CharlmError(
        f"no run {given!r:.80}: not in {runs}, nor the folder of a finished run, nor a file in one;"
        " `python -m charlm.runs list` shows what is there"
    )


# ---------------------------------------------------------------------------------------------------------------------
# one run


def read_state(path: Path) -> tuple[bytes, dict]:
    """A stored state as it was packed, and what it says of itself; checksum and form are checked."""
    data = read_file(path)
    tensors, about = unpack(data, path)
    with sound(path, AGAIN):
        check_form(about, "state")
        groups = grouped_tensors(tensors)
        weights = groups["weights"]
        config = checked_config(about["identity"], path)
        shapes = {name: tuple(w.shape) for name, w in weights.items()}
        check_shapes(shapes, len(weights["head.bias"]), config, about["identity"]["code"], path)
        expected = _kinds(skeleton(len(weights["head.bias"]), config))
        if _kinds(weights) != expected or _kinds(groups["best"] or weights) != expected:
            raise ValueError("weights of another model")
        for key, moment in groups["moments"].items():
            name, _, kind = key.rpartition("/")
            shape = torch.Size() if kind == "step" else expected[name][0]
            known = kind in ("step", "exp_avg", "exp_avg_sq")
            if not known or moment.shape != shape or moment.dtype != torch.float32:
                raise ValueError("moments of another optimizer")
    return data, about


def _kinds(tensors: dict[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (t.shape, t.dtype) for name, t in tensors.items()}


@dataclass(frozen=True)
class Run:
    """One run: a resolved configuration on a corpus, and the folder where its files are or will be."""

    config: Config
    corpus: Corpus
    folder: Path

    @classmethod
    def of(cls, config: Config, corpus: Corpus, runs: Path = RUNS) -> "Run":
        config = resolved_config(config)
        return cls(config, corpus, runs / run_id(config, corpus))

    @property
    def identity(self) -> dict:
        return run_identity(self.config, self.corpus)

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
        write_whole(self.folder / STATE, data)
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
            write_whole(self.folder / f"{name}.safetensors", packed)
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
        write_json(self.folder / "run.json", about)
        self.tidy()

    def tidy(self) -> None:
        """Remove what a finished run does not need: what a killed process had half written, and its state, which goes
        last, so that a finished run without one is tidy."""
        for half in self.folder.glob(".half-*"):
            with suppress(OSError):
                delete_entry(half)
        (self.folder / STATE).unlink(missing_ok=True)


# ---------------------------------------------------------------------------------------------------------------------
# what is read of a finished run


def read_run(folder: Path) -> dict:
    """run.json of a finished run, its checksum and form verified, and that the weights beside it have the shapes that
    its configuration gives them. Raises Damaged, or CharlmError where there is none."""
    path = folder / "run.json"
    if not os.path.lexists(path):
        raise CharlmError(f"{folder} holds no finished run; train it first")
    about = read_json(path, 2**25, AGAIN)  # a vocabulary of all characters that there are takes 13 MB
    with sound(path, AGAIN):
        check_form(about, "run")
    if about["run_id"] != folder.name:
        raise Damaged(f"{path} is of the run {about['run_id']}; put it back into a folder of that name")
    config = checked_config(about, path)
    for name in WEIGHT_FILES:
        check_shapes(stored_shapes(folder / name), len(about["vocab"]), config, about["code"], folder / name)
    return about


def check_run(folder: Path) -> None:
    """Raise Damaged unless the results that a run folder holds are whole and unaltered; where it holds none, only that
    it can be read."""
    if "run.json" in names_in(folder):
        about = read_run(folder)
        for name in WEIGHT_FILES:
            _read_weights(folder / name, about)


def _read_weights(path: Path, about: dict) -> bytes:
    """A file of weights, whose checksum is in run.json."""
    data = read_file(path)
    if hashlib.sha256(data).hexdigest() != about["checksums"][path.name]:
        raise Damaged(f"{path} is damaged: run.json has another checksum for it; {AGAIN}")
    return data


def load_weights(folder: Path, which: str = "best") -> tuple[dict[str, torch.Tensor], Config, str]:
    """Weights ("best" or "last" epoch), configuration and vocabulary of a finished run, as a network that reads one-hot
    characters."""
    about = read_run(folder)
    path = folder / f"{which}.safetensors"
    weights, _ = unpack(_read_weights(path, about), path)
    weights, config = without_embedding(weights, checked_config(about, folder))
    return weights, config, about["vocab"]


def without_embedding(weights: dict[str, torch.Tensor], config: Config) -> tuple[dict[str, torch.Tensor], Config]:
    """The same function of one-hot characters: the first layer's weights times each character's vector are its column. A
    cell of one's own whose first weights have another name than PyTorch's is left as it is."""
    if not config.embedding or FIRST_WEIGHTS not in weights:
        return weights, config
    rest = {name: w for name, w in weights.items() if name != EMBEDDING}
    columns = weights[FIRST_WEIGHTS] @ weights[EMBEDDING].T  # (gates × hidden, vocabulary)
    return rest | {FIRST_WEIGHTS: columns}, replace(config, embedding=0)


def run_record(folder: Path) -> dict:
    """The run as a flat record: what results.json holds of it. Losses in nats per character, None where there is none."""
    about = read_run(folder)
    config = checked_config(about, folder)  # with the fields that the run is not named by
    return {
        "run_id": about["run_id"],
        "corpus": about["corpus"],
        "status": "diverged" if about["diverged"] else "finished",
        **vars(config),
        "parameters": core.count_parameters(len(about["vocab"]), config),
        "max_epochs": config.epochs,
        **facts_of_history(about["history"]),
        "diverged": about["diverged"],
        "seconds": round(sum(m["seconds"] for m in about["made"]), 3),
        "code": about["code"],
        "corpus_sha256": about["corpus_sha256"],
        "machine": about["made"][-1]["machine"],
    }


def facts_of_history(history: list[dict]) -> dict:
    """What a record says of a history."""
    nothing = {"train_loss": None, "val_loss": None}
    best = core.best_epoch(history)
    at_best = history[best - 1] if best else nothing
    at_last = history[-1] if history else nothing
    return {
        "epochs": len(history),
        "best_epoch": best,
        "train_loss_last": at_last["train_loss"],
        "val_loss_last": at_last["val_loss"],
        "train_loss_best": at_best["train_loss"],
        "val_loss_best": at_best["val_loss"],
        "train_loss": [row["train_loss"] for row in history],
        "val_loss": [row["val_loss"] for row in history],
    }


def read_records(path: Path) -> dict:
    """What is kept of a study, whose records are checked against themselves too."""
    remedy = "take it from the repository again, or remove it"
    about = read_json(path, 2**27, remedy)
    with sound(path, remedy):
        check_form(about, "study")
        if about["study"] != path.stem:
            raise ValueError(f"it is the study {about['study']}")
        for record in about["runs"]:
            _check_record(record, path)
            if record["corpus_sha256"] != about["corpus_sha256"]:
                raise ValueError(f"{record['run_id']} is of another corpus")
    return about


def _check_record(record: dict, path: Path) -> None:
    """Raise ValueError unless a record follows from its losses, and the name of its run from its configuration."""
    losses = zip(record["train_loss"], record["val_loss"], strict=True)
    history = [{"epoch": n, "train_loss": train, "val_loss": val} for n, (train, val) in enumerate(losses, 1)]
    status = "diverged" if record["diverged"] else "finished"
    if record | facts_of_history(history) | {"status": status} != record:
        raise ValueError(f"{record['run_id']} contradicts its own losses")
    known = {f.name: record[f.name] for f in fields(Config) if f.name in record}
    config = checked_config({"config": known | {"epochs": record["max_epochs"]}}, path)
    identity = {
        "config": decisive_fields(config),
        "corpus_sha256": record["corpus_sha256"],
        "torch": record["machine"]["torch"].partition("+")[0],
        "code": record["code"],
    }
    if record["run_id"] != run_name(config, identity):
        raise ValueError(f"{record['run_id']} is not the run of its configuration")


def kept_measurement(
    folder: Path, name: str, depends_on: dict, measure: Callable[[], dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """What measuring a run gives, kept in its folder as <name>.safetensors, since it takes long. It is measured again when
    what it depends on beside the run has changed, or the file is damaged or of another run; a folder that cannot be
    written is no reason to stop."""
    if name not in KEPT_NAMES:
        raise ValueError(f"{name!r} is not in KEPT_NAMES: nobody would know it for a file of a run")
    path = folder / f"{name}.safetensors"
    about = {"run_id": folder.name, **depends_on}
    with suppress(CharlmError):
        kept, kept_about = unpack(read_file(path), path)
        if kept_about == about:
            return kept
    data = pack(measure(), about)
    with suppress(CharlmError):
        write_whole(path, data)
    return unpack(data, path)[0]  # in the memory order it will be read in: the last bit of a sum depends on that


def stored_records(runs: Path = RUNS, say: Callable[[str], None] = print) -> list[dict]:
    """Records of the finished runs, by name; says of each that cannot be read why it is passed over."""
    records = []
    for folder in run_folders(runs):
        if os.path.lexists(folder / "run.json"):
            try:
                records.append(run_record(folder))
            except Damaged as e:
                say(f"passed over: {e}")
    return records


def best_record(records: Sequence[dict]) -> dict:
    """The record of a finished run with the lowest validation loss at its best epoch. Raises CharlmError where there is
    none."""
    finished = [r for r in records if r["status"] == "finished"]
    if records and not finished:
        raise CharlmError(f"all {len(records)} trained runs diverged: train one with a lower learning rate")
    if not finished:
        raise CharlmError("no trained run yet: train with `make report`, or with notebooks/1_training.ipynb")
    return min(finished, key=lambda r: r["val_loss_best"])
