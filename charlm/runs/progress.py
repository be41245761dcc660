"""How far a sweep has come, and how long it takes: bars in a terminal and in JupyterLab, plain lines in a pipe and in
papermill's log."""

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from statistics import mean, median

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
    usual: int | None  # epochs that such runs took
    epoch: int = 0  # the last that is finished
    step: int | None = None  # of the next; None before this process has begun it
    best: int = 0  # epoch
    losses: str = ""
    end: str = ""  # why it is over

    @property
    def done(self) -> float:
        """Epochs, a begun one in parts."""
        return self.epoch + (self.step or 0) / self.steps

    @property
    def expected(self) -> int:
        """Epochs in all: those that such runs took, or, where they are not known, the limit."""
        if self.end:
            return self.epoch
        return min(
            self.config.epochs,
            max(self.usual or self.config.epochs, self.best + self.config.patience, self.epoch + 1),
        )

    @property
    def seconds_left(self) -> float:
        return max(0, self.expected - self.done) * self.seconds

    def end_epoch(self, state: State, made: Sequence[dict]) -> None:
        self.epoch = len(state.history)
        self.step = 0
        self.seconds = mean(m["seconds"] for m in made)
        self.best = core.best_epoch(state.history) or 0
        if state.history:
            row = state.history[-1]
            self.losses = f"training {row['train_loss']:.4f}, validation {row['val_loss']:.4f}"
        if state.diverged:
            step = state.diverged["step"]
            self.end = (
                f"DIVERGED in epoch {state.diverged['epoch']}, {f'step {step}' if step else 'validation'}: the loss is not"
                f" a finite number any more; try a lower learning rate than {self.config.learning_rate:g}"
            )
        elif core.is_finished(state, self.config):
            why = f"the limit of {counted(self.config.epochs, 'epoch')}"
            if self.epoch >= self.best + self.config.patience:
                why = f"{counted(self.config.patience, 'epoch')} without a better validation loss"
            self.end = f"epoch {self.epoch}, {self.losses}, done: {why}; best epoch {self.best}"

    @property
    def text(self) -> str:
        """Where it is, what matters most first: a terminal may be too narrow for all of it."""
        if self.end:
            return self.end
        if self.step is None:
            return "waits"
        where = f"epoch {self.epoch}"
        if self.step or not self.epoch:
            where = f"epoch {self.epoch + 1}, step {self.step} of {self.steps}"
        return f"{where}, {time_left([self])} left, {self.losses}".removesuffix(", ")


def time_left(courses: Iterable[Course], workers: int = 1) -> str:
    """ "about 18 minutes", or "at most" where it is not known how many epochs such runs take. Workers share the work, but no
    two share a run."""
    left = [course for course in courses if not course.end]
    seconds = [course.seconds_left for course in left]
    word = "about" if all(course.usual for course in left) else "at most"
    return f"{word} {duration(max([sum(seconds) / workers, *seconds]))}"


def duration(seconds: float) -> str:
    if seconds < 59.5:
        return counted(max(1, round(seconds)), "second")
    if seconds < 2 * 3600:
        return counted(round(seconds / 60), "minute")
    return f"{seconds / 3600:.1f} hours"


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
BAR = 12  # characters


@dataclass
class Progress(AbstractContextManager):
    """Plain lines: one an epoch, and one a minute where an epoch takes longer."""

    courses: dict[str, Course]  # by the names of the runs
    workers: int
    say: Callable[[str], None]
    said: dict[str, float] = field(default_factory=dict)  # when a run's last line was

    def __exit__(self, *_: object) -> None:
        pass

    def tell_step(self, name: str, step: int) -> None:
        course = self.courses[name]
        if not course.end:  # a word may come late
            course.step = step
            self.show(course, news=False)

    def tell_epoch(self, name: str, state: State, made: Sequence[dict]) -> None:
        self.courses[name].end_epoch(state, made)
        self.show(self.courses[name])

    def tell_end(self, name: str, why: str) -> None:
        self.courses[name].end = why
        self.show(self.courses[name])

    def show(self, course: Course, news: bool = True) -> None:
        """Called whenever a run has come on; a step is no news."""
        now = time.monotonic()
        if news or now > self.said.setdefault(course.name, now) + MINUTE:
            self.say(self.line(course))
            self.said[course.name] = now

    def over(self) -> int:
        return sum(bool(course.end) for course in self.courses.values())

    def line(self, course: Course) -> str:
        return f"[{self.over()}/{len(self.courses)}] {course.name}: {course.text}"

    def bars(self, shown: Sequence[Course], full: str = "█", empty: str = "░") -> str:
        """A line for each of these runs, and one for all."""
        names = short_names(self.courses)
        width = max(map(len, names.values()))
        lines = []
        for course in shown:
            n = round(BAR * course.done / max(1, course.expected))
            lines.append(f"{names[course.name]:{width}}  {(full * n).ljust(BAR, empty)}  {course.text}")
        if self.over() < len(self.courses) > 1:
            left = time_left(self.courses.values(), self.workers)
            lines.append(f"{self.over()} of {len(self.courses)} runs, {left} left")
        return "\n".join(lines)


class TerminalBars(Progress):
    """The runs at work have bars, below the lines of those that are over."""

    def __enter__(self) -> "TerminalBars":
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        console = Console(file=getattr(sys, self.say.stream))  # type: ignore[attr-defined]
        marks = "#-" if console.options.ascii_only else "█░"

        def now() -> Text:
            at_work = [c for c in self.courses.values() if c.step is not None and not c.end]
            return Text(self.bars(at_work, *marks), no_wrap=True, overflow="crop")

        self.live = Live(console=console, get_renderable=now, refresh_per_second=2, transient=True)
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def show(self, course: Course, news: bool = True) -> None:
        if course.end:
            self.say(self.line(course))
        elif course.step == 0:
            self.live.refresh()


class LabBars(Progress):
    """One output, in which each run has a line that changes."""

    def __enter__(self) -> "LabBars":
        from IPython.display import display

        self.handle = display(self.content(), raw=True, display_id=True)
        return self

    def show(self, course: Course, news: bool = True) -> None:
        self.handle.update(self.content(), raw=True)

    def content(self) -> dict[str, str]:
        return {"text/plain": self.bars([*self.courses.values()])}


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Names of runs without their hashes, as far as that leaves them different."""
    short = {name: name.rpartition("-")[0] for name in names}
    times = Counter(short.values())
    return {name: s if times[s] == 1 else name for name, s in short.items()}


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
    kind = Progress
    if isinstance(say, Say):
        if in_lab():
            kind = LabBars
        elif say.is_terminal():
            kind = TerminalBars
    return kind(courses, workers, say)
