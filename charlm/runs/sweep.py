"""Training one run, and many: the plan, the sweep, its workers here and on other machines."""

import logging
import time
from asyncio import CancelledError
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

import charlm_core as core
from charlm.command import undisturbed
from charlm.device import check_device
from charlm.records import counted
from charlm.runs.files import STATE, Damaged, pack_state, short_reason, unpack_state
from charlm.runs.folder import RUNS, Run, check_run, run_record
from charlm.runs.identity import machine_facts, run_identity
from charlm.runs.inventory import run_status
from charlm_core import CharlmError, Config, Corpus, State

# ---------------------------------------------------------------------------------------------------------------------
# one epoch, the plan, the sweep


def train_one_epoch(data: bytes, config: Config, corpus: Corpus) -> bytes:
    """The packed state one epoch later: the unit of work, here or on any worker that has the same code and torch."""
    start = time.perf_counter()
    check_device(config)  # the worker's may be another than where the sweep was asked for
    identity = run_identity(config, corpus)
    state, made = unpack_state(data, "the state sent to this worker", identity)
    state = core.train_epoch(state, corpus, config)
    made = [*made, {"seconds": time.perf_counter() - start, "machine": machine_facts()}]
    return pack_state(state, made, identity)


def sweep_plan(configs: Sequence[Config], corpus: Corpus, runs: Path = RUNS, workers: int = 0) -> dict:
    """What a sweep is going to do: runs to train and found, and the minutes and megabytes to expect here.

    Minutes are estimated from a few timed steps of each kind of run, as if all epochs were needed: an upper bound.
    """
    wanted = [Run.of(config, corpus, runs) for config in dict.fromkeys(configs)]
    todo = [run for run in wanted if not run.is_finished()]
    seconds = 0.0
    size = 0
    timed: dict[Config, float] = {}
    for run in todo:
        kind = replace(run.config, seed=0)
        if kind not in timed:
            timed[kind] = _epoch_seconds(kind, corpus)
        done = run_status(run.folder).get("epochs", 0)
        seconds += timed[kind] * (run.config.epochs - done)
        size += 2 * 4 * core.count_parameters(len(corpus.vocab), run.config)  # best and last weights, of 4 bytes
    return {
        "train": len(todo),
        "found": len(wanted) - len(todo),
        "minutes": seconds / 60 / count_workers(len(todo), todo[0].config if todo else None, workers),
        "megabytes": size / 1e6,
    }


def _epoch_seconds(config: Config, corpus: Corpus) -> float:
    """Seconds an epoch is going to take here, from a few steps on the first chunks of the corpus."""
    check_device(config)
    train, validation = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    chunks = len(train) + len(validation)
    few = min(chunks, 5 * config.batch_size)
    part = replace(corpus, ids=corpus.ids[: few * config.chunk_length + 1])
    config = replace(config, characters=None, validation_characters=None, cut=None)  # which such a part does not have
    state = core.initial_state(len(corpus.vocab), config)
    seconds = []
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


def train_sweep(
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
    sound = _sound({r.folder: r for r in wanted}.values(), lambda run: check_run(run.folder), failures, say)
    todo = [r for r in sound if not r.is_finished()]
    for run in todo:
        check_device(run.config)  # before anything is made on the disk
    todo.sort(key=lambda r: -core.count_parameters(len(corpus.vocab), r.config))  # longest first: no long tail
    for run in (r for r in sound if r.is_finished() and (r.folder / STATE).is_file()):  # killed while it tidied
        with ExitStack() as lock:
            if _lock(run, lock):
                run.tidy()
    with ExitStack() as locks:
        mine = [r for r in todo if _lock(r, locks)]
        others = [r for r in todo if r not in mine]
        mine = _sound(mine, Run.recover, failures, say)
        plan = sweep_plan([r.config for r in (*mine, *others)], corpus, runs, workers)
        if plan["train"]:
            found = len(sound) - len(todo) + plan["found"]
            say(
                f"{corpus.name}: {plan['train']} runs to train, {found} found; at most {plan['minutes']:.1f} min on this "
                f"machine, {plan['megabytes']:.0f} MB in {runs}"
            )
        failures += _train([r for r in mine if not r.is_finished()], corpus, workers, scheduler, insecure, say)
    for run in others:
        say(f"{run.name}: another process trains it; waiting")
        with ExitStack() as lock:
            while not _lock(run, lock):  # the system lets go of it when its holder ends, however it ends
                time.sleep(0.1)
            if _sound([run], Run.recover, failures, say) and not run.is_finished():
                failures += _train([run], corpus, 1, "", False, say)
    if failures:
        raise CharlmError(
            f"{len(failures)} of {len(set(wanted))} runs failed or are damaged, the others are done: {'; '.join(failures)}"
        )
    return [run_record(r.folder) for r in wanted]


def _sound(
    runs: Iterable[Run], look: Callable[[Run], None], failures: list[str], say: Callable[[str], None]
) -> list[Run]:
    """The runs in which `look` finds no damage. The others are left out, which is said and noted in `failures`."""
    sound = []
    for run in runs:
        try:
            look(run)
        except Damaged as e:
            say(f"{run.name} is left out: {e}")
            failures.append(str(e))
        else:
            sound.append(run)
    return sound


def _lock(run: Run, locks: ExitStack) -> bool:
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
    where = f" on the workers of {scheduler}" if scheduler else f", {workers} at a time"
    say(f"training {counted(len(todo), 'run')}{where}")
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


# ---------------------------------------------------------------------------------------------------------------------
# where epochs are computed

Epoch = tuple[Run, State, list[dict]]  # what training yields after each epoch


def _here(todo: list[Run], corpus: Corpus) -> Iterator[Epoch]:
    """Train one run after the other in this process."""
    for run in todo:
        data = run.load()
        while not run.is_finished():
            data = train_one_epoch(data, run.config, corpus)
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

    local = {
        "host": "127.0.0.1",
        # Without an address of its own the scheduler's HTTP would ask for port 8787, and warn when it is taken.
        "dashboard_address": "127.0.0.1:0",
        "memory_limit": None,
        "scheduler_kwargs": {"dashboard": False},
        "security": Security.temporary(),
    }
    silent: dict[str, list] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
    # It is this process that answers Ctrl-C, and ends the workers; what their ending breaks is not worth a word.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    quiet = {"preload": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)", "silence_logs": logging.CRITICAL}
    keep = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in KEEP_MEMORY.items()}
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(keep | silent))
        with undisturbed():  # half a cluster would never be ended
            cluster = stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, **local, **quiet))
            client = stack.enter_context(Client(cluster))
        yield client


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
            why = f"{type(e).__name__}: {short_reason(e)}"
            time.sleep(pause)
    raise CharlmError(
        f"no worker stays alive ({why}): find out what ends them, memory perhaps; every finished epoch is kept, the same"
        " command goes on from there"
    )


def _on_workers(todo: list[Run], corpus: Corpus, client, failures: list[str]) -> Iterator[Epoch]:
    """Train on Dask workers. A task is one epoch, so a lost worker costs an epoch, which is computed again."""
    import dask
    from distributed import as_completed

    waiting = deque(todo)
    failed: Counter[Path] = Counter()
    running: dict[str, Run] = {}
    tasks = as_completed(loop=client.loop)
    # The corpus goes to every worker once. A state travels with its task, so that the scheduler still has it to
    # give to another worker when one dies.
    shared = _share(corpus, client)

    def submit(run: Run, data: bytes) -> None:
        key = f"{run.name}-{next(numbers)}"
        running[key] = run
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"}):
            tasks.add(client.submit(train_one_epoch, data, run.config, shared, key=key, priority=-todo.index(run)))

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
            failures.append(f"{run.name} failed twice ({type(e).__name__}: {short_reason(e)})")
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
