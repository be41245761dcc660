"""Training one run, and many: the plan, the sweep, its workers here and on other machines."""

import logging
import time
from asyncio import CancelledError
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

import charlm_core as core
from charlm.command import Say, undisturbed
from charlm.device import check_device
from charlm.files import Damaged, short_reason
from charlm.records import counted
from charlm.runs.files import STATE, pack_state, unpack_state
from charlm.runs.folder import RUNS, Run, check_run, run_record
from charlm.runs.identity import machine_facts, run_identity
from charlm.runs.inventory import run_status
from charlm.runs.progress import (
    Course,
    Progress,
    UsualEpochs,
    duration,
    progress_display,
    seconds_left,
    steps_in_epoch,
    steps_told,
)
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


@dataclass(frozen=True)
class Plan:
    """What a sweep is going to do: runs to train and found, and the seconds and megabytes to expect here. `likely`: as many
    epochs as such runs are on record to take, None where none is; `most`: as many as they may take."""

    courses: dict[str, Course]  # of those to train, by name
    found: int
    likely: float | None
    most: float
    megabytes: float


def sweep_plan(configs: Sequence[Config], corpus: Corpus, runs: Path = RUNS, workers: int = 0) -> Plan:
    """The plan of these runs; seconds are estimated from a few timed steps of each kind of run."""
    wanted = [Run.of(config, corpus, runs) for config in dict.fromkeys(configs)]
    todo = [run for run in wanted if not run.is_finished()]
    usual = UsualEpochs(corpus, runs)
    size = 0
    timed: dict[Config, float] = {}
    courses = {}
    for run in todo:
        kind = replace(run.config, seed=0, split_seed=None, learning_rate=Config.learning_rate)  # which take no longer
        if kind not in timed:
            timed[kind] = _epoch_seconds(kind, corpus)
        course = Course(run.name, run.config, steps_in_epoch(kind, corpus), timed[kind], usual(run.config))
        course.epoch = run_status(run.folder).get("epochs", 0)
        courses[run.name] = course
        size += 2 * 4 * core.count_parameters(len(corpus.vocab), run.config)  # best and last weights, of 4 bytes
    at_once = count_workers(len(todo), todo[0].config if todo else None, workers)
    likely, most = seconds_left(courses.values(), at_once)
    return Plan(courses, len(wanted) - len(todo), likely, most, size / 1e6)


def _epoch_seconds(config: Config, corpus: Corpus) -> float:
    """Seconds an epoch is going to take here, from a few steps on the first chunks of the corpus."""
    check_device(config)
    train, validation = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    chunks = len(train) + len(validation)
    state = core.initial_state(len(corpus.vocab), config)
    # Such a part of the corpus does not have the characters that these name.
    config = replace(config, characters=None, validation_characters=None, cut=None)
    for batches in (5, 20):  # the first pass also sets up the library's kernels
        few = min(chunks, batches * config.batch_size)
        part = replace(corpus, ids=corpus.ids[: few * config.chunk_length + 1])
        start = time.perf_counter()
        core.train_epoch(state, part, config)
        seconds = time.perf_counter() - start
    return seconds * chunks / few


def count_workers(n_runs: int, config: Config | None, workers: int = 0) -> int:
    """Workers for so many runs: as asked, else one for each core that a run's threads leave; one for a GPU."""
    if config is None or config.device != "cpu":
        return 1
    return max(1, min(n_runs, workers or count_cores() // config.threads))


def count_cores() -> int:
    """Cores that this process may use: what its affinity and a container leave it, on any system."""
    from dask.system import CPU_COUNT  # takes a sixth of a second to import, which generate.py can do without

    return CPU_COUNT


SAY = Say()


def train_sweep(
    configs: Sequence[Config],
    corpus: Corpus,
    runs: Path = RUNS,
    workers: int = 0,
    scheduler: str = "",
    insecure: bool = False,
    say: Callable[[str], None] = SAY,
    watch: Callable[[Config, State], None] | None = None,
) -> list[dict]:
    """Train what is not finished, and return the records of all in the order of `configs`. `watch` is called after each
    epoch, once it is stored.

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
        if plan.courses:
            found = len(sound) - len(todo) + plan.found
            say(
                f"{corpus.name}: {counted(len(plan.courses), 'run')} to train, {found} found;"
                f" {duration(plan.likely, plan.most)} on this machine, {plan.megabytes:.0f} MB in {runs}"
            )
        unfinished = [r for r in mine if not r.is_finished()]
        failures += _train(unfinished, plan, corpus, workers, scheduler, insecure, say, watch)
    for run in others:
        say(f"{run.name}: another process trains it; waiting")
        with ExitStack() as lock:
            while not _lock(run, lock):  # the system lets go of it when its holder ends, however it ends
                time.sleep(0.1)
            if _sound([run], Run.recover, failures, say) and not run.is_finished():
                plan = sweep_plan([run.config], corpus, runs, 1)
                failures += _train([run], plan, corpus, 1, "", False, say, watch)
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
            f"cannot write to {run.folder}: {e.strerror}: make it writable, or name another folder for runs in CHARLM_RUNS"
        ) from e
    return True


def _train(
    todo: list[Run],
    plan: Plan,
    corpus: Corpus,
    workers: int,
    scheduler: str,
    insecure: bool,
    say: Callable[[str], None],
    watch: Callable[[Config, State], None] | None,
) -> list[str]:
    """Train the runs, and say of each that failed why."""
    if not todo:
        return []
    workers = count_workers(len(todo), todo[0].config, workers)
    where = f" on the workers of {scheduler}" if scheduler else f", {workers} at a time"
    say(f"training {counted(len(todo), 'run')}{where}")
    failures: list[str] = []
    with ExitStack() as stack:
        client = None
        if scheduler:
            client = stack.enter_context(_cluster(scheduler, insecure))
            workers = len(client.nthreads())
        elif workers > 1:
            client = stack.enter_context(_local_cluster(workers))
        courses = {run.name: plan.courses[run.name] for run in todo}
        progress = stack.enter_context(progress_display(courses, workers, say))
        epochs = _on_workers(todo, corpus, client, failures, progress) if client else _here(todo, corpus, progress)
        for run, state, made in epochs:
            progress.tell_epoch(run.name, state, made)
            if watch:
                watch(run.config, state)
    return failures


# ---------------------------------------------------------------------------------------------------------------------
# where epochs are computed

Epoch = tuple[Run, State, list[dict]]  # what training yields after each epoch


def _here(todo: list[Run], corpus: Corpus, progress: Progress) -> Iterator[Epoch]:
    """Train one run after the other in this process."""
    for run in todo:
        data = run.load()
        while not run.is_finished():
            with steps_told(partial(progress.tell_step, run.name)):
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


STEPS = "charlm-steps"  # Dask's topic under which workers tell how far they are


def _train_there(name: str, data: bytes, config: Config, corpus: Corpus) -> bytes:
    """train_one_epoch() on a Dask worker, which tells how far it is."""
    from distributed import get_worker

    worker = get_worker()
    with steps_told(lambda step: worker.log_event(STEPS, [name, step])):
        return train_one_epoch(data, config, corpus)


def _on_workers(todo: list[Run], corpus: Corpus, client, failures: list[str], progress: Progress) -> Iterator[Epoch]:
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
            made = client.submit(_train_there, run.name, data, run.config, shared, key=key, priority=-todo.index(run))
            tasks.add(made)

    numbers = count()
    client.subscribe_topic(STEPS, lambda event: progress.tell_step(*event[1]))
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
