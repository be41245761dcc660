"""A command as the system and its terminal meet it: what it prints, how it is stopped, how it ends. Imports nothing slow, so
that a command can be stopped quietly from its first line on.
"""

import errno
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from types import FrameType

from charlm.printable import inline

STOPS = (signal.SIGINT, signal.SIGTERM)
BROKEN_PIPE = 128 + 13  # that of what SIGPIPE ends, as shells know it
PIPE_ERRORS = (errno.EPIPE, errno.EINVAL)  # what Windows calls it
PATIENCE = 10.0  # seconds for cleaning up, after which being stopped again ends the process at once


class Stopped(KeyboardInterrupt):
    """Ctrl-C or SIGTERM: what cleans up after the one cleans up after the other."""

    def __init__(self, number: int) -> None:
        super().__init__(f"signal {number}")
        self.number = number


def begin() -> None:
    """Before a command's slow imports, when there is nothing yet to clean up: a signal ends it without a word."""
    set_up_output()
    _handle(lambda number, frame: os._exit(128 + number))


def command(name: str, kept: str = "") -> Callable:
    """Decorates the main function of a command of that name: it returns the exit code, and whatever stops it or becomes
    of its output is at most one line of standard error. `kept` says what is not lost when it is interrupted."""

    def decorate(main: Callable[[Sequence[str] | None], int]) -> Callable[[Sequence[str] | None], int]:
        @wraps(main)
        def run(arguments: Sequence[str] | None = None) -> int:
            set_up_output()
            try:
                with _stoppable():
                    try:
                        code = main(arguments)
                    except SystemExit as e:  # argparse's
                        code = int(e.code or 0)
                    sys.stdout.flush()
                    return code
            except KeyboardInterrupt as e:
                complain(name, f"interrupted; {kept}" if kept else "interrupted")
                return 128 + getattr(e, "number", signal.SIGINT)
            except OSError as e:
                if e.filename is None and e.errno in PIPE_ERRORS:  # nobody reads any more, which is no fault
                    return BROKEN_PIPE
                where = e.filename or "output"
                complain(name, f"{where}: {e.strerror or e}")
                return 1
            except (MemoryError, RuntimeError) as e:
                if not isinstance(e, MemoryError) and "allocate" not in str(e) and "out of memory" not in str(e):
                    raise
                complain(name, "not enough memory: ask for less at a time, or for a smaller model")
                return 1
            finally:
                _let_go_of_output()

        return run

    return decorate


def complain(name: str, what: object) -> None:
    """One line of standard error. What it quotes may come from anywhere."""
    with suppress(OSError):  # where standard error is gone too, the exit code is left
        print(f"{name}: {inline(str(what))}", file=sys.stderr, flush=True)


# ---------------------------------------------------------------------------------------------------------------------
# output


def set_up_output() -> None:
    """Whatever is printed can be: a terminal gets an escape for a character that it lacks, a file or a pipe UTF-8, as from
    every Python from 3.15 on, so that the same text has the same bytes on every system."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by who started this
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            own = stream.isatty() or "PYTHONIOENCODING" in os.environ
            stream.reconfigure(encoding=stream.encoding if own else "utf-8", errors="backslashreplace")


@dataclass(frozen=True)
class Say:
    """Prints lines on standard output or error; what they quote may come from anywhere."""

    stream: str = "stdout"

    def __call__(self, line: str) -> None:
        print(inline(line), file=getattr(sys, self.stream), flush=True)

    def is_terminal(self) -> bool:
        """Whether somebody looks, and lines can be written over."""
        return getattr(sys, self.stream).isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _let_go_of_output() -> None:
    """What cannot be written is given up: Python would try again while it ends, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with suppress(OSError), open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


# ---------------------------------------------------------------------------------------------------------------------
# signals


def _handle(handler: Callable[[int, FrameType | None], object]) -> dict:
    """Have the signals that stop a command handled, and return what handled them before. One that whoever started it wants
    ignored, as a shell does for what runs in the background, stays ignored."""
    before = {}
    for number in STOPS:
        with suppress(ValueError):  # only the main thread hears of signals
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handler)
    return before


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    before = _handle(handler)
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM raise Stopped, once: more of them leave the cleaning up alone, as long as it has PATIENCE."""
    stopped: list[float] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if not stopped:
            stopped.append(time.monotonic())
            raise Stopped(number)
        if time.monotonic() > stopped[0] + PATIENCE:
            import psutil  # slow to import, and seldom needed

            for child in psutil.Process().children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
            os._exit(128 + number)

    with _handled(stop):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """What stops this process waits until the end of this. Processes that are started here never hear of Ctrl-C, which a
    terminal sends to them too, and of which they would complain: whoever started them ends them."""
    came: list[int] = []
    mask = None
    try:
        with _handled(lambda number, frame: came.append(number)):
            if sys.platform != "win32" and hasattr(signal, "pthread_sigmask"):
                from multiprocessing import resource_tracker

                resource_tracker.ensure_running()  # at its start it lets the signal through again
                mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                yield
            finally:
                if mask is not None:
                    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    finally:
        if came:
            signal.raise_signal(came[0])
