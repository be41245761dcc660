"""Where trained runs live and how many are made: the run folder, the plan, the sweep.

A run is one configuration on one corpus. Its folder in runs/ is named by a hash of all that decides its result:

    run.json            configuration, vocabulary, history, provenance, checksums; its presence means "finished"
    best.safetensors    weights of the epoch with the lowest validation loss
    last.safetensors    weights of the last epoch
    state.safetensors   only while unfinished: all that the next epoch needs, written whole after every epoch

Every file is written under another name, flushed to the disk and renamed, so that it is there whole or not at all, and
carries a checksum. Nothing is unpickled.
"""

import ast
import hashlib
import inspect
import json
import os
import platform
import re
import struct
import textwrap
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes

import charlm_core as core
from charlm_core import Config, State
from charlm_corpus import ROOT, CharlmError, Corpus, replacing

RUNS = Path(os.environ.get("CHARLM_RUNS", ROOT / "runs"))

# ---------------------------------------------------------------------------------------------------------------------
# Identity: what a run is named by


def code_hash(*functions: Callable) -> str:
    """sha256 over the functions' code without comments and docstrings: it changes when what they compute may."""
    digest = hashlib.sha256()
    for f in functions:
        tree = ast.parse(textwrap.dedent(inspect.getsource(f)))
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()


@cache
def training_code_hash() -> str:
    """Hash of the split, the model and the training, the code that decides a run's result."""
    return code_hash(
        core.count_chunks,
        core.split_chunks,
        core.batches,
        core.CharModel,
        core.initial_weights,
        core.best_epoch,
        core.is_finished,
        core.arithmetic,
        core.batch_loss,
        core.evaluate,
        core.train_epoch,
    )


def identity(config: Config, corpus: Corpus) -> dict:
    """All that decides the result of a resolved configuration, as JSON values."""
    return {
        "config": vars(config),
        "corpus_sha256": corpus.sha256,
        "torch": torch.__version__.partition("+")[0],
        "code": training_code_hash(),
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
        cpu = re.search(r"model name\s*: (.*)|$", Path("/proc/cpuinfo").read_text())[1] or cpu
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


def pack(tensors: dict[str, torch.Tensor], about: dict) -> bytes:
    """Tensors and a JSON value as the bytes of a safetensors file that carries the checksum of both.

    The header has a single entry, because safetensors writes several in no fixed order.
    """
    tensors = {k: v.contiguous() for k, v in sorted(tensors.items())}
    text = json.dumps(about, sort_keys=True, allow_nan=False)
    return tensors_to_bytes(tensors, {"charlm": f"{_checksum(tensors, text)} {text}"})


def unpack(data: bytes, where: Path | str) -> tuple[dict[str, torch.Tensor], dict]:
    """The inverse of pack; raises CharlmError naming `where` when the bytes are not whole and unchanged."""
    try:
        (header_size,) = struct.unpack("<Q", data[:8])
        checksum, _, text = json.loads(data[8 : 8 + header_size])["__metadata__"]["charlm"].partition(" ")
        tensors = tensors_from_bytes(data)
        if checksum != _checksum(tensors, text):
            raise ValueError("checksum")
        return tensors, json.loads(text)
    except (SafetensorError, struct.error, ValueError, KeyError, TypeError, AttributeError) as e:
        raise CharlmError(
            f"{where} is damaged or not a file of this project; remove its folder to train it again"
        ) from e


def _checksum(tensors: dict[str, torch.Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, t in sorted(tensors.items()):
        digest.update(f"{name} {t.dtype} {tuple(t.shape)}".encode())
        digest.update(t.contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def pack_state(state: State, seconds: list[float]) -> bytes:
    """A state as bytes, with the seconds that each of its epochs took."""
    best = {} if state.best_weights is state.weights else state.best_weights  # not twice while the last is the best
    groups = (("weights", state.weights), ("best", best), ("moments", state.moments))
    tensors = {f"{group}/{name}": t for group, of in groups for name, t in of.items()}
    return pack(tensors, {"history": state.history, "diverged": state.diverged, "seconds": seconds})


def unpack_state(data: bytes, where: Path | str) -> tuple[State, list[float]]:
    tensors, about = unpack(data, where)
    groups: dict[str, dict] = {"weights": {}, "best": {}, "moments": {}}
    for key, t in tensors.items():
        group, _, name = key.partition("/")
        groups[group][name] = t
    best = groups["best"] or groups["weights"]
    state = State(groups["weights"], best, groups["moments"], about["history"], about["diverged"])
    return state, about["seconds"]


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

    def is_finished(self) -> bool:
        return (self.folder / "run.json").is_file()

    def load(self) -> bytes:
        """The packed state to go on from: the stored one, or a new one."""
        path = self.folder / "state.safetensors"
        if path.is_file():
            data = path.read_bytes()
            unpack(data, path)
            return data
        core.split_chunks(core.count_chunks(len(self.corpus.ids), self.config.chunk_length), self.config)  # too short?
        return pack_state(core.initial_state(len(self.corpus.vocab), self.config), [])

    def save(self, data: bytes) -> State:
        """Store the packed state; when it is that of a finished run, store the results in its place."""
        state, seconds = unpack_state(data, "the state")
        write(self.folder / "state.safetensors", data)
        if core.is_finished(state, self.config):
            checksums = {}
            for name, weights in (("best", state.best_weights), ("last", state.weights)):
                packed = pack(weights, {"run_id": self.folder.name})
                write(self.folder / f"{name}.safetensors", packed)
                checksums[f"{name}.safetensors"] = hashlib.sha256(packed).hexdigest()
            about = {
                "run_id": self.folder.name,
                "corpus": self.corpus.name,
                **identity(self.config, self.corpus),
                "vocab": self.corpus.vocab,
                "history": state.history,
                "diverged": state.diverged,
                "seconds": seconds,
                "machine": machine(),
                "checksums": checksums,
            }
            about["sha256"] = _json_checksum(about)
            write(self.folder / "run.json", (json.dumps(about, indent=1, allow_nan=False) + "\n").encode())
            (self.folder / "state.safetensors").unlink()
        return state


def _json_checksum(about: dict) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read(folder: Path) -> dict:
    """run.json of a finished run, its checksum verified."""
    path = folder / "run.json"
    try:
        about = json.loads(path.read_bytes())
        if about.pop("sha256") != _json_checksum(about):
            raise ValueError("checksum")
        return about
    except FileNotFoundError:
        raise CharlmError(f"{folder} holds no finished run; train it first") from None
    except (ValueError, KeyError, AttributeError, TypeError) as e:
        raise CharlmError(
            f"{path} is damaged or not a file of this project; remove its folder to train it again"
        ) from e


def weights(folder: Path, which: str = "best") -> tuple[dict[str, torch.Tensor], Config, str]:
    """Weights ("best" or "last" epoch), configuration and vocabulary of a finished run, for core.sample()."""
    about = read(folder)
    path = folder / f"{which}.safetensors"
    try:
        data = path.read_bytes()
    except OSError as e:
        raise CharlmError(f"cannot read {path}: {e.strerror}; remove its folder to train it again") from e
    if hashlib.sha256(data).hexdigest() != about["checksums"][path.name]:
        raise CharlmError(f"{path} is damaged; remove its folder to train it again")
    return unpack(data, path)[0], Config(**about["config"]), about["vocab"]


def record(folder: Path) -> dict:
    """The run as a flat record: what results.json holds of it. Losses in nats per character, None where there is none."""
    about = read(folder)
    config, history = about["config"], about["history"]
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
        "seconds": round(sum(about["seconds"]), 3),
        "code": about["code"],
        "corpus_sha256": about["corpus_sha256"],
        "machine": about["machine"],
    }


def stored(runs: Path = RUNS) -> list[dict]:
    """Records of the finished runs, by name."""
    return [record(path.parent) for path in sorted(runs.glob("*/run.json"))]


def best(records: Sequence[dict]) -> dict:
    """The record with the lowest validation loss at its best epoch."""
    candidates = [r for r in records if r["val_loss_best"] is not None]
    if not candidates:
        raise CharlmError("no trained run yet: train with `make report`, or with notebooks/1_training.ipynb")
    return min(candidates, key=lambda r: r["val_loss_best"])


# ---------------------------------------------------------------------------------------------------------------------
# Training one run, and many


def advance(data: bytes, config: Config, corpus: Corpus) -> bytes:
    """The packed state one epoch later: the unit of work, here or on any worker."""
    start = time.perf_counter()
    state, seconds = unpack_state(data, "the state")
    state = core.train_epoch(state, corpus, config)
    return pack_state(state, [*seconds, time.perf_counter() - start])


def plan(configs: Sequence[Config], corpus: Corpus, runs: Path = RUNS) -> dict:
    """What a sweep is going to do: runs to train and found, and the minutes and megabytes to expect.

    Minutes are estimated from one timed step of each kind of run, as if all epochs were needed: an upper bound.
    """
    todo = [r for r in (Run.of(c, corpus, runs) for c in dict.fromkeys(configs)) if not r.is_finished()]
    seconds, size = 0.0, 0
    timed: dict[Config, float] = {}
    for run in todo:
        kind = replace(run.config, seed=0)
        if kind not in timed:
            timed[kind] = _epoch_seconds(kind, corpus)
        seconds += timed[kind] * run.config.epochs
        size += 2 * 4 * core.count_parameters(len(corpus.vocab), run.config)
    return {
        "train": len(todo),
        "found": len(set(configs)) - len(todo),
        "minutes": seconds / 60 / count_workers(len(todo), todo[0].config if todo else None),
        "megabytes": size / 1e6,
    }


def _epoch_seconds(config: Config, corpus: Corpus) -> float:
    """Seconds an epoch is going to take here, from a few steps on the first chunks of the corpus."""
    chunks = core.count_chunks(len(corpus.ids), config.chunk_length)
    few = min(chunks, 5 * config.batch_size)
    part = replace(corpus, ids=corpus.ids[: few * config.chunk_length + 1])
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
    return max(1, min(n_runs, workers or len(os.sched_getaffinity(0)) // config.threads))


def sweep(
    configs: Sequence[Config],
    corpus: Corpus,
    runs: Path = RUNS,
    workers: int = 0,
    say: Callable[[str], None] = print,
) -> list[dict]:
    """Train what is not finished, and return the records of all in the order of `configs`.

    Workers are processes on this machine that compute one epoch at a time; this process stores the state after each,
    so that a sweep that was stopped goes on from there when it is asked for again. Their number changes nothing but
    the time. A run that fails twice raises CharlmError, after all the others are done.
    """
    wanted = [Run.of(c, corpus, runs) for c in configs]
    todo = list({r.folder: r for r in wanted if not r.is_finished()}.values())
    todo.sort(key=lambda r: -core.count_parameters(len(corpus.vocab), r.config))  # longest first: no long tail
    with ExitStack() as locks:
        elsewhere = [r for r in todo if not _claim(r, locks)]
        mine = [r for r in todo if r not in elsewhere]
        _train(mine, corpus, workers, say)
    for run in elsewhere:
        say(f"{run.folder.name}: another process trains it; waiting")
        with FileLock(run.folder / "lock"):  # let go by the system when its holder dies
            _train([] if run.is_finished() else [run], corpus, workers, say)
    return [record(r.folder) for r in wanted]


def _claim(run: Run, locks: ExitStack) -> bool:
    """Take the run for this process; False if another has it."""
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        locks.enter_context(FileLock(run.folder / "lock").acquire(timeout=0))
    except Timeout:
        return False
    except OSError as e:
        raise CharlmError(
            f"cannot write to {run.folder}: {e.strerror}; runs need a folder they can be stored in"
        ) from e
    return True


def _train(todo: list[Run], corpus: Corpus, workers: int, say: Callable[[str], None]) -> None:
    if not todo:
        return
    workers = count_workers(len(todo), todo[0].config, workers)
    say(f"training {len(todo)} {'run' if len(todo) == 1 else 'runs'}, {workers} at a time")
    failures: list[str] = []
    done = 0
    for run, state, seconds in _here(todo, corpus) if workers == 1 else _on_workers(todo, corpus, workers, failures):
        over = core.is_finished(state, run.config)
        done += over
        say(f"[{done}/{len(todo)}] {run.folder.name}: {_progress(run.config, state, seconds, over)}")
    if failures:
        raise CharlmError(f"{len(failures)} runs failed twice, the others are done: {'; '.join(failures)}")


def _progress(config: Config, state: State, seconds: list[float], over: bool) -> str:
    """One line of text about the epoch that just ended."""
    if state.diverged:
        step = state.diverged["step"]
        where = f"step {step}" if step else "validation"
        return (
            f"DIVERGED in epoch {state.diverged['epoch']}, {where}: the loss is not a finite number any more;"
            f" try a lower learning rate than {config.learning_rate:g}"
        )
    row = state.history[-1]
    left = (config.epochs - row["epoch"]) * sum(seconds) / len(seconds) / 60
    rest = f"done, best epoch {core.best_epoch(state.history)}" if over else f"at most {left:.1f} min left"
    return f"epoch {row['epoch']}, training {row['train_loss']:.4f}, validation {row['val_loss']:.4f}, {rest}"


def _here(todo: list[Run], corpus: Corpus) -> Iterator[tuple[Run, State, list[float]]]:
    """Train one run after the other in this process, yielding after each epoch."""
    for run in todo:
        data = run.load()
        while not run.is_finished():
            data = advance(data, run.config, corpus)
            yield run, run.save(data), unpack_state(data, run.folder.name)[1]


def _on_workers(
    todo: list[Run], corpus: Corpus, workers: int, failures: list[str]
) -> Iterator[tuple[Run, State, list[float]]]:
    """The same on Dask workers. A task is one epoch, so a lost worker costs an epoch, which is computed again."""
    from distributed import Client, LocalCluster, as_completed  # takes a second, which generate.py can do without

    waiting, failed = deque(todo), Counter()
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=None,
        ) as cluster,
        Client(cluster) as client,
    ):
        shared = client.scatter(corpus, broadcast=True)
        tasks = as_completed(loop=client.loop)
        running: dict[str, Run] = {}

        def submit(run: Run, data: bytes) -> None:
            data = client.scatter(data, hash=False)
            future = client.submit(advance, data, run.config, shared, pure=False, priority=-todo.index(run))
            running[future.key] = run
            tasks.add(future)

        for _ in range(min(len(todo), workers + 1)):  # one more than workers: none idles while a state is stored
            submit(waiting[0], waiting.popleft().load())
        for future in tasks:
            run = running.pop(future.key)
            try:
                data = future.result()
            except CharlmError:
                raise
            except Exception as e:  # whatever kills a task or its worker: try once more from the last stored epoch
                failed[run.folder] += 1
                if failed[run.folder] < 2:
                    submit(run, run.load())
                    continue
                failures.append(f"{run.folder.name} ({type(e).__name__}: {e})")
            else:
                state, seconds = run.save(data), unpack_state(data, run.folder.name)[1]
                if not core.is_finished(state, run.config):
                    submit(run, data)
                yield run, state, seconds
                if not core.is_finished(state, run.config):
                    continue
            if waiting:
                submit(waiting[0], waiting.popleft().load())
