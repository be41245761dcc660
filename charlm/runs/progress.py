"""How far a sweep has come, and how long it takes at most: in a terminal and in JupyterLab a line a run that changes in its
place, in a pipe and in papermill's log a line an epoch.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from statistics import mean

from rich.console import Console
from rich.live import Live
from rich.text import Text

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
    losses: str = ""
    end: str = ""  # why it is over

    @property
    def seconds_left(self) -> float:
        """At most: patience may end it before its limit."""
        return 0 if self.end else (self.config.epochs - self.epoch) * self.seconds

    def end_epoch(self, state: State, made: Sequence[dict]) -> None:
        self.epoch = len(state.history)
        self.seconds = mean(m["seconds"] for m in made)
        best = core.best_epoch(state.history) or 0
        if state.history:
            row = state.history[-1]
            self.losses = f"training {row['train_loss']:.4f}, validation {row['val_loss']:.4f}"
        if state.diverged:
            step = state.diverged["step"]
            where = f"step {step}" if step else "validation"
            self.end = (
                f"DIVERGED in epoch {state.diverged['epoch']}, {where}: the loss is not a finite number any more; try a lower"
                f" learning rate than {self.config.learning_rate:g}"
            )
        elif core.is_finished(state, self.config):
            why = f"the limit of {counted(self.config.epochs, 'epoch')}"
            if self.epoch >= best + self.config.patience:
                why = f"{counted(self.config.patience, 'epoch')} without a better validation loss"
            self.end = f"epoch {self.epoch}, {self.losses}, done: {why}; best epoch {best}"

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


@dataclass
class Progress(AbstractContextManager):
    """A line an epoch."""

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
        self.say(f"[{self.over()}/{len(self.courses)}] {course.name}: {course.text}")

    def over(self) -> int:
        return sum(bool(course.end) for course in self.courses.values())

    def lines(self, courses: Iterable[Course]) -> str:
        """A line for each of these runs, and one for all."""
        lines = [f"{course.name}: {course.text}" for course in courses]
        if self.over() < len(self.courses) > 1:
            lines.append(f"{self.over()} of {len(self.courses)} runs, {time_left(self.courses.values(), self.workers)}")
        return "\n".join(lines)


class InTerminal(Progress):
    """The runs at work, below the lines of those that are over."""

    def __enter__(self) -> "InTerminal":
        console = Console(file=getattr(sys, self.say.stream))  # type: ignore[attr-defined]
        self.live = Live(console=console, get_renderable=self.content, refresh_per_second=2, transient=True)
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def show(self, course: Course) -> None:
        if course.end:
            super().show(course)
        self.live.refresh()

    def content(self) -> Text:
        at_work = [course for course in self.courses.values() if course.begun and not course.end]
        return Text(self.lines(at_work), no_wrap=True, overflow="crop")


class InLab(Progress):
    """One output with a line for each run."""

    def __enter__(self) -> "InLab":
        from IPython.display import display

        self.handle = display(self.content(), raw=True, display_id=True)
        return self

    def show(self, course: Course) -> None:
        self.handle.update(self.content(), raw=True)

    def content(self) -> dict[str, str]:
        return {"text/plain": self.lines(self.courses.values())}


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
            kind = InLab
        elif say.is_terminal():
            kind = InTerminal
    return kind(courses, workers, say)
