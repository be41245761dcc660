"""How far a sweep has come, and how long it takes: bars in a terminal, a line for each run in JupyterLab, plain lines in a
pipe and in papermill's log."""

import heapq
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from torch.optim.optimizer import register_optimizer_step_post_hook

import charlm_core as core
from charlm.command import Say
from charlm.corpus import ROOT
from charlm.records import counted
from charlm.runs.folder import read_records, stored_records
from charlm_core import CharlmError, Config, Corpus, State

STUDIES = ROOT / "studies"  # of long sweeps that were made once

# ---------------------------------------------------------------------------------------------------------------------
# what is to be expected

# What runs may differ in and take about as many epochs.
FREE = {"seed", "split_seed", "epochs", "device", "precision", "threads"}


class UsualEpochs:
    """How many epochs such runs took on this corpus, by the records of the repository's studies and of the stored runs."""

    def __init__(self, corpus: Corpus, runs: Path) -> None:
        self.corpus = corpus
        self.runs = runs

    def __call__(self, config: Config) -> int | None:
        """The median over runs that differ in their seed or machine alone; None where none is on record, and the whole of
        `epochs` where they are too few for patience to end a run."""
        if config.epochs <= config.patience:
            return config.epochs
        # A run that its own, smaller limit ended says nothing of how far it would have gone.
        known = [n for n, limit in self.known.get(_kind(vars(config)), []) if n < limit or limit >= config.epochs]
        return min(config.epochs, round(median(known))) if known else None

    @cached_property
    def known(self) -> dict[tuple, list[tuple[int, int]]]:
        """Epochs taken and allowed, of each kind of run."""
        records = []
        # An estimate is no reason to stop: whoever shows a record says what is wrong with it.
        with suppress(CharlmError):
            records += stored_records(self.runs, say=lambda line: None)
        for path in sorted(STUDIES.glob("*.json")):
            with suppress(CharlmError):
                records += read_records(path)["runs"]
        known: dict[tuple, list[tuple[int, int]]] = {}
        for r in {r["run_id"]: r for r in records}.values():
            if r["corpus_sha256"] == self.corpus.sha256 and r["status"] == "finished":
                known.setdefault(_kind(r), []).append((r["epochs"], r["max_epochs"]))
        return known


def _kind(record: dict) -> tuple:
    """The fields that decide how many epochs a run takes. A record may be older than some of them."""
    return tuple(record.get(f.name, f.default) for f in fields(Config) if f.name not in FREE)


@dataclass
class Course:
    """A run on its way: what is known of it before, and how far it has come."""

    name: str
    config: Config
    steps: int  # in an epoch
    seconds: float  # of an epoch, as timed before; as measured once there was one
    likely: int | None  # epochs that such runs took
    epoch: int = 0  # the last that is finished
    least: int = 0  # epochs that it needs, as patience goes
    step: int = 0  # of the epoch at work
    state: str = "waits"  # or works, or over
    losses: str = ""
    end: str = ""  # why it is over

    @property
    def done(self) -> float:
        """Epochs, a begun one in parts."""
        return self.epoch + min(self.step / self.steps, 0.99)

    @property
    def expected(self) -> float:
        """Epochs in all: those that such runs took, or, where they are not known, the limit."""
        if self.state == "over":
            return self.epoch
        return min(self.config.epochs, max(self.likely or self.config.epochs, self.least, self.epoch + 1))

    def seconds_left(self, epochs: float) -> float:
        return 0.0 if self.state == "over" else (epochs - self.done) * self.seconds

    def time_left(self) -> str:
        likely = self.seconds_left(self.expected) if self.likely else None
        return duration(likely, self.seconds_left(self.config.epochs))

    def begin_step(self, step: int) -> None:
        self.state = "works"
        self.step = step

    def end_epoch(self, state: State, made: Sequence[dict]) -> None:
        self.state = "over" if core.is_finished(state, self.config) else "works"
        self.epoch = len(state.history)
        self.step = 0
        self.seconds = sum(m["seconds"] for m in made) / len(made)
        best = core.best_epoch(state.history) or 0
        self.least = best + self.config.patience
        if state.history:
            row = state.history[-1]
            self.losses = f"training {row['train_loss']:.4f}, validation {row['val_loss']:.4f}"
        if state.diverged:
            step = state.diverged["step"]
            where = f"step {step}" if step else "validation"
            self.end = (
                f"DIVERGED in epoch {state.diverged['epoch']}, {where}: the loss is not a finite number any more; try a"
                f" lower learning rate than {self.config.learning_rate:g}"
            )
        elif self.state == "over":
            patience = self.epoch >= self.least
            why = f"{counted(self.config.patience, 'epoch')} without a better validation loss"
            limit = f"the limit of {counted(self.config.epochs, 'epoch')}"
            self.end = f"epoch {self.epoch}, {self.losses}, done: {why if patience else limit}; best epoch {best}"

    @property
    def text(self) -> str:
        """Where it is, in a line."""
        if self.end:
            return self.end
        if self.state == "waits":
            return "waits"
        parts = [f"epoch {self.epoch}", self.losses] if self.epoch else []
        if self.step:
            parts.append(f"epoch {self.epoch + 1}: step {self.step} of {self.steps}")
        return ", ".join([*parts, f"{self.time_left()} left"])

    @property
    def brief(self) -> str:
        """The same, what matters most first, for a line that may be too short."""
        step = f", step {self.step}/{self.steps}" if self.step else ""
        number, unit = _in_words(self.seconds_left(self.expected))
        most = "" if self.likely else "at most "
        return f"epoch {self.epoch + 1}{step}, {most}{number} {unit} left, {self.losses}".removesuffix(", ")


def steps_in_epoch(config: Config, corpus: Corpus) -> int:
    """Of the optimizer."""
    train, _ = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    return -(-len(core.chunk_order(train, 1, config)) // config.batch_size)


def seconds_together(seconds: Sequence[float], workers: int) -> float:
    """Until the last of so many workers is done, each taking the next task when it is free."""
    ends = [0.0] * workers
    for taken in seconds:
        heapq.heapreplace(ends, ends[0] + taken)
    return max(ends)


def seconds_left(courses: Iterable[Course], workers: int) -> tuple[float | None, float]:
    """Of runs together, to expect and at most; the former is None where that of one of them is not known."""
    courses = list(courses)
    likely = seconds_together([c.seconds_left(c.expected) for c in courses], workers)
    most = seconds_together([c.seconds_left(c.config.epochs) for c in courses], workers)
    return likely if all(c.likely for c in courses) else None, most


def duration(likely: float | None, most: float) -> str:
    """ "about 18 minutes (at most 40)"; what is likely, in seconds, may not be known, or be the most."""
    longest, unit = _in_words(most)
    if likely is None:
        return f"at most {longest} {unit}"
    about, its = _in_words(likely)
    if (about, its) == (longest, unit):
        return f"about {about} {its}"
    return f"about {about} {its} (at most {longest}{'' if its.rstrip('s') == unit.rstrip('s') else f' {unit}'})"


def _in_words(seconds: float) -> tuple[str, str]:
    """A number and its unit."""
    if seconds < 59.5:
        n, unit = max(1, round(seconds)), "second"
    elif seconds < 2 * 3600:
        n, unit = round(seconds / 60), "minute"
    else:
        return f"{seconds / 3600:.1f}", "hours"
    return f"{n}", unit if n == 1 else f"{unit}s"


# ---------------------------------------------------------------------------------------------------------------------
# how steps are heard of

OFTEN = 0.5  # seconds between two words about steps


@contextmanager
def steps_told(tell: Callable[[int], object]) -> Iterator[None]:
    """Has `tell` called with the number of steps that an optimizer has made in here, now and then. PyTorch counts them for
    us, so that the training, whose source names the runs, need not know."""
    step = 0
    last = time.monotonic()

    def count(*_: object) -> None:
        nonlocal step, last
        step += 1
        if time.monotonic() - last > OFTEN:
            last = time.monotonic()
            tell(step)

    tell(0)
    hook = register_optimizer_step_post_hook(count)
    try:
        yield
    finally:
        hook.remove()


# ---------------------------------------------------------------------------------------------------------------------
# how it is shown

MINUTE = 60  # seconds


@dataclass
class Progress(AbstractContextManager):
    """Plain lines: one an epoch, and one a minute where an epoch takes longer."""

    courses: dict[str, Course]  # by the names of the runs
    workers: int
    say: Callable[[str], None]
    said: dict[str, tuple[int, float]] = field(default_factory=dict)  # of each run, the epoch and the time

    def __exit__(self, *_: object) -> None:
        pass

    def tell_step(self, name: str, step: int) -> None:
        course = self.courses[name]
        if course.state != "over":  # a word may come late
            course.begin_step(step)
            self.show(course)

    def tell_epoch(self, name: str, state: State, made: Sequence[dict]) -> None:
        self.courses[name].end_epoch(state, made)
        self.show(self.courses[name])

    def tell_end(self, name: str, why: str) -> None:
        course = self.courses[name]
        course.state, course.end = "over", why
        self.show(course)

    def show(self, course: Course) -> None:
        """Called whenever a run has come on."""
        now = time.monotonic()
        epoch, last = self.said.get(course.name, (course.epoch, now))
        if course.epoch > epoch or course.end or now > last + MINUTE:
            self.say(self.line(course))
            last = now
        self.said[course.name] = (course.epoch, last)

    def line(self, course: Course) -> str:
        over = sum(c.state == "over" for c in self.courses.values())
        return f"[{over}/{len(self.courses)}] {course.name}: {course.text}"

    def time_left(self) -> str:
        """Of all runs together."""
        return duration(*seconds_left(self.courses.values(), self.workers))


BAR = 12  # characters


class Bars(Progress):
    """In a terminal: a bar for each run at work, and one for all."""

    def __enter__(self) -> "Bars":
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(BAR),
            TextColumn("{task.fields[where]}", markup=False),
        )
        self.console = Console(file=getattr(sys, self.say.stream))  # type: ignore[attr-defined]
        self.bars = RichProgress(*columns, console=self.console, refresh_per_second=2, transient=True)
        self.tasks: dict[str, Any] = {}
        self.names = short_names(self.courses)
        self.all = self.bars.add_task("all", where="")
        self._update_all()
        self.bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def show(self, course: Course) -> None:
        name = course.name
        if course.state == "over":
            if name in self.tasks:
                self.bars.remove_task(self.tasks.pop(name))
            self.say(self.line(course))
        else:
            if name not in self.tasks:
                self.tasks[name] = self.bars.add_task(self.names[name], where=course.brief)
                self.bars.refresh()
            self._update(self.tasks[name], course.done, course.expected, course.brief)
        self._update_all()

    def _update_all(self) -> None:
        courses = self.courses.values()
        over = sum(c.state == "over" for c in courses)
        done = sum(c.done * c.seconds for c in courses)
        work = sum(c.expected * c.seconds for c in courses)
        self._update(self.all, done, work, f"{over}/{counted(len(courses), 'run')}, {self.time_left()} left")

    def _update(self, task: Any, done: float, total: float, text: str) -> None:
        room = self.console.width - max(map(len, self.names.values())) - BAR - 2
        self.bars.update(task, completed=done, total=total, where=text[: max(0, room)])


def short_names(names: Sequence[str] | dict) -> dict[str, str]:
    """Names of runs without their hashes, as far as that leaves them different."""
    short = {name: name.rpartition("-")[0] for name in names}
    times = Counter(short.values())
    return {name: s if times[s] == 1 else name for name, s in short.items()}


class LabLines(Progress):
    """In JupyterLab: one output, in which each run has a line that changes."""

    def __enter__(self) -> "LabLines":
        from IPython.display import display

        self.names = short_names(self.courses)
        self.handle = display({"text/plain": self.text()}, raw=True, display_id=True)
        return self

    def show(self, course: Course) -> None:
        self.handle.update({"text/plain": self.text()}, raw=True)

    def text(self) -> str:
        lines = []
        width = max(map(len, self.names.values()))
        for name, course in self.courses.items():
            full = round(BAR * course.done / course.expected)
            lines.append(f"{self.names[name]:{width}}  {'█' * full}{'░' * (BAR - full)}  {course.text}")
        over = sum(c.state == "over" for c in self.courses.values())
        if len(self.courses) > 1 and over < len(self.courses):
            lines.append(f"{over} of {counted(len(self.courses), 'run')}, {self.time_left()} left")
        return "\n".join(lines)


def in_lab() -> bool:
    """Whether this is executed in a notebook that somebody looks at: JupyterLab names the cell with what it sends to the
    kernel, papermill and nbconvert do not."""
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    if not hasattr(shell, "get_parent"):  # of a kernel
        return False
    return bool(shell.get_parent().get("metadata", {}).get("cellId"))


def progress_display(courses: dict[str, Course], workers: int, say: Callable[[str], None]) -> Progress:
    """What suits the place that `say` prints to."""
    if isinstance(say, Say):
        if in_lab():
            return LabLines(courses, workers, say)
        if say.is_terminal():
            return Bars(courses, workers, say)
    return Progress(courses, workers, say)
