"""Training many runs: what is there of them, which is next, its workers here and on other machines."""

import logging
import time
from asyncio import CancelledError
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

import charlm_core as core
from charlm.command import Say, undisturbed
from charlm.corpus import split_corpus
from charlm.device import check_device
from charlm.files import Damaged, short_reason
from charlm.records import counted
from charlm.runs.folder import RUNS, Run, check_run, run_record
from charlm.runs.form import pack_state, unpack_state
from charlm.runs.identity import machine_facts, run_identity
from charlm.runs.inventory import run_status
from charlm.runs.progress import Course, Progress, progress_display, time_left
from charlm_core import CharlmError, Config, Corpus, State

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
    epoch, or that is damaged, raises CharlmError after all the others are done. Processes that want the same runs share
    the work.
    """
    wanted = [Run.of(config, corpus, runs) for config in configs]
    failures: list[str] = []
    todo = _what_lacks(wanted, failures, say)
    if todo:
        courses = expected_courses(todo, corpus)
        todo.sort(key=lambda run: -courses[run.name].seconds)  # longest first: no long tail
        workers = count_workers(len(todo), todo[0].config, workers)
        found = len(set(wanted)) - len(todo) - len(failures)
        where = f"on the workers of {scheduler}" if scheduler else f"{workers} at a time"
        say(
            f"{corpus.name}: {counted(len(todo), 'run')} to train, {found} found;"
            f" {time_left(courses.values(), workers)} on this machine; {where}"
        )
        with _workers(workers, scheduler, insecure) as client:
            workers = len(client.nthreads()) if client else 1
            with (
                progress_display(courses, workers, say) as progress,
                Queue(todo, progress, failures, say) as queue,
            ):
                for run, state, made in _on_workers(queue, corpus, client) if client else _here(queue, corpus):
                    progress.tell_epoch(run.name, state, made)
                    if watch:
                        watch(run.config, state)
    if failures:
        raise CharlmError(
            f"{len(failures)} of {len(set(wanted))} runs failed or cannot be used, the others are done: {'; '.join(failures)}"
        )
    return [run_record(run.folder) for run in wanted]


def _what_lacks(wanted: Sequence[Run], failures: list[str], say: Callable[[str], None]) -> list[Run]:
    """The runs that are to be trained. A damaged one is not, and noted in `failures`."""
    todo = []
    for run in dict.fromkeys(wanted):
        with passing_over(run, failures, say):
            check_run(run.folder)
            if run.is_finished():
                run.tidy()
            else:
                check_device(run.config)  # before anything is made on the disk
                todo.append(run)
    return todo


@contextmanager
def passing_over(run: Run, failures: list[str], say: Callable[[str], None]) -> Iterator[None]:
    """Where the run turns out to be damaged it is left out, which is said and noted in `failures`."""
    try:
        yield
    except Damaged as e:
        say(f"{run.name} is left out: {e}")
        failures.append(str(e))


# ---------------------------------------------------------------------------------------------------------------------
# what is to be expected


def expected_courses(todo: Sequence[Run], corpus: Corpus) -> dict[str, Course]:
    """What to expect of these runs, by name: the seconds of an epoch from a few timed steps of each kind of run."""
    timed: dict[Config, float] = {}
    courses = {}
    for run in todo:
        kind = replace(run.config, seed=0, split_seed=None, learning_rate=Config.learning_rate)  # which take no longer
        if kind not in timed:
            timed[kind] = time_epoch(kind, corpus)
        done = run_status(run.folder).get("epochs", 0)
        courses[run.name] = Course(run.name, run.config, timed[kind], done)
    return courses


def time_epoch(config: Config, corpus: Corpus) -> float:
    """The seconds that an epoch is going to take here, from a few steps on the first chunks of the corpus."""
    train, validation = split_corpus(corpus, config)
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


def count_workers(n_runs: int, config: Config, workers: int = 0) -> int:
    """Workers for so many runs: as asked, else one for each core that a run's threads leave; one for a GPU."""
    if config.device != "cpu":
        return 1
    return max(1, min(n_runs, workers or count_cores() // config.threads))


def count_cores() -> int:
    """Cores that this process may use: what its affinity and a container leave it, on any system."""
    from dask.system import CPU_COUNT  # takes a sixth of a second to import, which generate.py can do without

    return CPU_COUNT


# ---------------------------------------------------------------------------------------------------------------------
# which run is next


@dataclass
class Queue(AbstractContextManager):
    """Runs that wait to be trained. Each is locked while this process trains it and no longer: so processes that want the
    same runs share them, and few files are open, however many runs there are."""

    waiting: list[Run]
    progress: Progress
    failures: list[str]
    say: Callable[[str], None]
    locks: dict[str, FileLock] = field(default_factory=dict)  # by the names of the runs
    told: set[str] = field(default_factory=set)  # for which runs of other processes this one waits

    def __exit__(self, *_: object) -> None:
        for lock in self.locks.values():
            lock.release()

    def begin(self, wait: bool) -> tuple[Run, bytes] | None:
        """The next run that no other process trains, and its state to go on from. While others train all that are left,
        None, or wait for them."""
        while self.waiting:
            for run in list(self.waiting):
                lock = locked_run(run)
                if lock:
                    self.waiting.remove(run)
                    self.locks[run.name] = lock
                    if data := self.load(run):
                        return run, data
            if not wait:
                break
            for run in self.waiting:
                if run.name not in self.told:
                    self.say(f"{run.name}: another process trains it; waiting")
                    self.told.add(run.name)
            time.sleep(0.1)  # the system lets go of a lock when its holder ends, however it ends
        return None

    def load(self, run: Run) -> bytes | None:
        """Its state to go on from; None where there is nothing to do any more."""
        with passing_over(run, self.failures, self.say):
            data = b"" if run.is_finished() else run.load()
            if not run.is_finished():
                self.progress.tell_begin(run.name)
                return data
        self.end(run, "trained by another process" if run.is_finished() else "left out")
        return None

    def end(self, run: Run, why: str = "") -> None:
        """Let go of the run."""
        self.locks.pop(run.name).release()
        if why:
            self.progress.tell_end(run.name, why)


def locked_run(run: Run) -> FileLock | None:
    """The lock of a run, taken for this process; None if another has it."""
    lock = FileLock(run.folder / "lock")
    try:
        run.folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except OSError as e:
        raise CharlmError(
            f"cannot write to {run.folder}: {e.strerror}: make it writable, or name another folder for runs in CHARLM_RUNS"
        ) from e
    return lock


# ---------------------------------------------------------------------------------------------------------------------
# where epochs are computed

Epoch = tuple[Run, State, list[dict]]  # what training yields after each epoch


def train_one_epoch(data: bytes, config: Config, corpus: Corpus) -> bytes:
    """The packed state one epoch later: the unit of work, here or on any worker that has the same code and torch."""
    start = time.perf_counter()
    check_device(config)  # the worker's may be another than where the sweep was asked for
    identity = run_identity(config, corpus)
    state, made = unpack_state(data, "the state sent to this worker", identity)
    state = core.train_epoch(state, corpus, config)
    made = [*made, {"seconds": time.perf_counter() - start, "machine": machine_facts()}]
    return pack_state(state, made, identity)


def _here(queue: Queue, corpus: Corpus) -> Iterator[Epoch]:
    """Train one run after the other in this process."""
    while begun := queue.begin(wait=True):
        run, data = begun
        while not run.is_finished():
            data = train_one_epoch(data, run.config, corpus)
            yield run, *run.save(data)
        queue.end(run)


def _on_workers(queue: Queue, corpus: Corpus, client) -> Iterator[Epoch]:
    """Train on Dask workers. A task is one epoch, so a lost worker costs an epoch, which is computed again. State and corpus
    travel with their task, so that the scheduler still has them to give to another worker when one dies."""
    import dask
    from distributed import as_completed

    running: dict[str, Run] = {}
    tasks = as_completed(loop=client.loop)
    numbers = count()
    at_once = len(client.nthreads()) + 1  # one more than workers: none idles during a save
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GiB"})

    def submit(run: Run, data: bytes) -> None:
        key = f"{run.name}-{next(numbers)}"
        running[key] = run
        tasks.add(client.submit(train_one_epoch, data, run.config, corpus, key=key, retries=1))

    while True:
        while len(running) < at_once and (begun := queue.begin(wait=not running)):
            submit(*begun)
        if not running:
            return
        future = next(tasks)
        run = running.pop(future.key)
        try:
            data = future.result()
        except (Exception, CancelledError) as e:  # whatever ends a task
            queue.failures.append(f"{run.name} failed twice ({type(e).__name__}: {short_reason(e)})")
            queue.end(run)
            continue
        state, made = run.save(data)
        if run.is_finished():
            queue.end(run)
        else:
            submit(run, data)
        yield run, state, made


# ---------------------------------------------------------------------------------------------------------------------
# workers


def _workers(n: int, scheduler: str, insecure: bool) -> AbstractContextManager:
    """A Dask client of so many processes here, or of the user's cluster; None where this process is enough."""
    if scheduler:
        return _cluster(scheduler, insecure)
    return _local_cluster(n) if n > 1 else nullcontext()


# Dask has workers give freed memory back to the system at once; then every step of training gets its pages anew, and an
# LSTM's takes half as long again. Nor is a large tensor to be a mapping of its own, whose pages are new each time.
KEEP_MEMORY = {"MALLOC_TRIM_THRESHOLD_": str(2**30), "MALLOC_MMAP_MAX_": "0"}


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
