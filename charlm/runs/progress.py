"""How far a sweep has come, and how long it takes at most: bars in a terminal and in JupyterLab, plain lines in a pipe and in
papermill's log."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import mean

import charlm_core as core
from charlm.command import Say
from charlm.records import counted
from charlm_core import Config, State


@dataclass
class Course:
    """A run on its way: what is known of it before, and how far it has come."""

    name: str
    config: Config
    seconds: float  # of an epoch, as timed before; as measured once there was one
    epoch: int = 0  # the last that is finished
    begun: bool = False  # by this process
    best: int = 0  # epoch
    losses: str = ""
    end: str = ""  # why it is over

    @property
    def seconds_left(self) -> float:
        """At most: patience may end it before its limit."""
        return 0 if self.end else (self.config.epochs - self.epoch) * self.seconds

    def end_epoch(self, state: State, made: Sequence[dict]) -> None:
        self.epoch = len(state.history)
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
        return f"epoch {self.epoch} of {self.config.epochs}, {time_left([self])}, {self.losses}".removesuffix(", ")


def time_left(courses: Iterable[Course], workers: int = 1) -> str:
    """ "at most 18 minutes left". Workers share the work, but no two share a run."""
    seconds = [course.seconds_left for course in courses]
    return f"at most {duration(max([sum(seconds) / workers, *seconds]))} left"


def duration(seconds: float) -> str:
    if seconds < 59.5:
        return counted(max(1, round(seconds)), "second")
    if seconds < 2 * 3600:
        return counted(round(seconds / 60), "minute")
    return f"{seconds / 3600:.1f} hours"


# ---------------------------------------------------------------------------------------------------------------------
# how it is shown

BAR = 12  # characters


@dataclass
class Progress(AbstractContextManager):
    """Plain lines, one an epoch."""

    courses: dict[str, Course]  # by the names of the runs
    workers: int
    say: Callable[[str], None]

    def __exit__(self, *_: object) -> None:
        pass

    def tell_begin(self, name: str) -> None:
        self.courses[name].begun = True

    def tell_epoch(self, name: str, state: State, made: Sequence[dict]) -> None:
        self.courses[name].end_epoch(state, made)
        self.show(self.courses[name])

    def tell_end(self, name: str, why: str) -> None:
        self.courses[name].end = why
        self.show(self.courses[name])

    def show(self, course: Course) -> None:
        """Called whenever a run has come on."""
        self.say(self.line(course))

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
            n = BAR if course.end else BAR * course.epoch // course.config.epochs
            lines.append(f"{names[course.name]:{width}}  {(full * n).ljust(BAR, empty)}  {course.text}")
        if self.over() < len(self.courses) > 1:
            lines.append(f"{self.over()} of {len(self.courses)} runs, {time_left(self.courses.values(), self.workers)}")
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
            at_work = [c for c in self.courses.values() if c.begun and not c.end]
            return Text(self.bars(at_work, *marks), no_wrap=True, overflow="crop")

        self.live = Live(console=console, get_renderable=now, refresh_per_second=2, transient=True)
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def show(self, course: Course) -> None:
        if course.end:
            self.say(self.line(course))
        self.live.refresh()


class LabBars(Progress):
    """One output, in which each run has a line that changes."""

    def __enter__(self) -> "LabBars":
        from IPython.display import display

        self.handle = display(self.content(), raw=True, display_id=True)
        return self

    def show(self, course: Course) -> None:
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
