"""The folder of a run: what is stored of it, and what is read back.

A run is one configuration on one corpus. Its folder in runs/ is named by a hash of all that decides its result:

    run.json            configuration, vocabulary, history, provenance, checksums; its presence means "finished"
    best.safetensors    weights of the epoch with the lowest validation loss
    last.safetensors    weights of the last epoch
    state.safetensors   only while unfinished: all that the next epoch needs, written whole after every epoch
    <name>.safetensors  what a notebook measured of a finished run, and can measure again

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
from charlm.files import Damaged, is_half, read_json, sound, write_json, write_whole
from charlm.runs.files import (
    AGAIN,
    STATE,
    WEIGHT_FILES,
    names_in,
    pack,
    read_file,
    unpack,
)
from charlm.runs.form import check_form, check_state, check_weights, checked_config, pack_state, unpack_state
from charlm.runs.identity import code_of_module, run_id, run_identity
from charlm_core import CharlmError, Config, Corpus, State

EMBEDDING, FIRST_WEIGHTS = "embedding.weight", "rnn.weight_ih_l0"
RUNS = Path(os.environ.get("CHARLM_RUNS") or ROOT / "runs").resolve()  # "" would be the folder that one is in


def run_folders(runs: Path, names: Sequence[str] = ()) -> list[Path]:
    """The run folders of those names, all when none is given; raises CharlmError for a name that is not there.

    A name is one that the listing of `runs` has: on no system does such a name lead anywhere else.
    """
    there: list[str] = []
    try:
        there = sorted(os.listdir(runs))
    except FileNotFoundError:
        pass
    except OSError as e:
        raise CharlmError(f"cannot read {runs}: {e.strerror}: name another folder for runs in CHARLM_RUNS") from e
    there = [name for name in there if os.path.isdir(runs / name) or os.path.islink(runs / name)]
    for name in names:
        if name not in there:
            raise CharlmError(f"no run {name!r:.80} in {runs}; `python -m charlm.runs list` shows what is there")
    return [runs / name for name in names or there]


def find_run(given: str, runs: Path = RUNS) -> Path:
    """The folder of a finished run, to be read, that is given by its name in `runs` or by a path. Raises CharlmError where
    there is none."""
    for folder in (runs / given, Path(given).absolute()):
        if os.path.lexists(folder / "run.json"):
            return folder.resolve()
    raise CharlmError(
        f"no run {given!r:.80}: neither a finished one in {runs} nor the folder of one; `python -m charlm.runs list` shows"
        " what is there"
    )


# ---------------------------------------------------------------------------------------------------------------------
# one run


def read_state(path: Path) -> dict:
    """What a stored state says of itself; checksum and form are checked."""
    _, about = unpack(read_file(path), path)
    with sound(path, AGAIN):
        check_form(about, "state")
    return about


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
        """The packed state to go on from: the stored one, or a new one. A run that was killed between its last epoch and its
        results is finished."""
        path = self.folder / STATE
        if not os.path.lexists(path):
            return pack_state(core.initial_state(len(self.corpus.vocab), self.config), [], self.identity)
        data = read_file(path)
        state, made = unpack_state(data, path, self.identity)
        check_state(state, len(self.corpus.vocab), self.config, path)
        if core.is_finished(state, self.config):
            self.finish(state, made)
        return data

    def save(self, data: bytes) -> tuple[State, list[dict]]:
        """Store the packed state, and the results when training is over."""
        state, made = unpack_state(data, f"the state of {self.name}", self.identity)
        write_whole(self.folder / STATE, data)
        if core.is_finished(state, self.config):
            self.finish(state, made)
        return state, made

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
        if os.path.lexists(self.folder / STATE):
            half = [self.folder / name for name in names_in(self.folder) if is_half(name)]
            for path in (*half, self.folder / STATE):
                with suppress(OSError):  # room on the disk is all that it costs
                    path.unlink()


# ---------------------------------------------------------------------------------------------------------------------
# what is read of a finished run


def read_run(folder: Path) -> dict:
    """run.json of a finished run, its checksum and form verified. Raises Damaged, or CharlmError where there is none."""
    path = folder / "run.json"
    if not os.path.lexists(path):
        raise CharlmError(f"{folder} holds no finished run; train it first")
    about = read_json(path, 2**25, AGAIN)  # a vocabulary of all characters that there are takes 13 MB
    with sound(path, AGAIN):
        check_form(about, "run")
    if about["run_id"] != folder.name:
        raise Damaged(f"{path} is of the run {about['run_id']}; put it back into a folder of that name")
    return about


def check_run(folder: Path) -> None:
    """Raise Damaged unless the results that a run folder holds are whole and unaltered; where it holds none, only that
    it can be read."""
    if "run.json" in names_in(folder):
        about = read_run(folder)
        for name in WEIGHT_FILES:
            _read_weights(folder / name, about)


def _read_weights(path: Path, about: dict) -> dict[str, torch.Tensor]:
    """Of a file whose checksum is in run.json."""
    data = read_file(path)
    if hashlib.sha256(data).hexdigest() != about["checksums"][path.name]:
        raise Damaged(f"{path} is damaged: run.json has another checksum for it; {AGAIN}")
    weights, _ = unpack(data, path)
    check_weights(weights, len(about["vocab"]), checked_config(about, path), about["code"], path)
    return weights


def load_weights(folder: Path, which: str = "best") -> tuple[dict[str, torch.Tensor], Config, str]:
    """Weights ("best" or "last" epoch), configuration and vocabulary of a finished run, as a network that reads one-hot
    characters."""
    about = read_run(folder)
    weights = _read_weights(folder / f"{which}.safetensors", about)
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
            known = {f.name: record[f.name] for f in fields(Config) if f.name in record}
            checked_config({"config": known | {"epochs": record["max_epochs"]}}, path)
            losses = zip(record["train_loss"], record["val_loss"], strict=True)
            history = [{"epoch": n, "train_loss": train, "val_loss": val} for n, (train, val) in enumerate(losses, 1)]
            status = "diverged" if record["diverged"] else "finished"
            if record | facts_of_history(history) | {"status": status} != record:
                raise ValueError(f"{record['run_id']} contradicts its own losses")
            if record["corpus_sha256"] != about["corpus_sha256"]:
                raise ValueError(f"{record['run_id']} is of another corpus")
    return about


def kept_measurement(
    folder: Path, name: str, depends_on: dict, measure: Callable[[], dict[str, torch.Tensor]]
) -> dict[str, torch.Tensor]:
    """What measuring a run gives, kept in its folder as <name>.safetensors, since it takes long. It is measured again when
    the code of `measure` or what else it depends on beside the run has changed, or the file is damaged or of another run; a
    folder that cannot be written is no reason to stop."""
    path = folder / f"{name}.safetensors"
    about = depends_on | {"run_id": folder.name, "code": code_of_module(measure.__module__)}
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
