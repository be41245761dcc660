"""What some tests need and POSIX systems alone have: signals that a terminal sends, a limit on files, sh and make."""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from charlm.corpus import ROOT

REASON = "needs what POSIX alone has: its signals, os.fork, a limit on files, named pipes, any character in a name, or sh and make"
posix = pytest.mark.skipif(sys.platform == "win32", reason=REASON)


def start_in_a_terminal(command: list, **options) -> subprocess.Popen:
    """A process as a terminal starts it, in a process group of its own, which Ctrl-C reaches as a whole."""
    if sys.platform == "win32":
        raise NotImplementedError(REASON)
    # A shell starts what it runs in the background with Ctrl-C ignored, and that is inherited.
    own: dict = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), "start_new_session": True}
    return subprocess.Popen([*map(str, command)], encoding="utf-8", **(own | options))


def press_ctrl_c(process: subprocess.Popen) -> None:
    """What a terminal does at Ctrl-C: a SIGINT to every process of the group."""
    if sys.platform == "win32":
        raise NotImplementedError(REASON)
    os.killpg(process.pid, signal.SIGINT)


def make_pipe(path: Path) -> None:
    """A named pipe, to open which would wait for somebody at its other end."""
    if sys.platform == "win32":
        raise NotImplementedError(REASON)
    os.mkfifo(path)


@contextmanager
def full_disk(size: int):
    """No file of this process can grow beyond so many bytes, as on a full disk."""
    if sys.platform == "win32":
        raise NotImplementedError(REASON)
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def run_make(*arguments: str, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess:
    """make in an almost empty environment, as from a fresh terminal: nothing of a make around this test leaks in. On a machine
    with a GPU, as far as an argument does not say otherwise."""
    if sys.platform == "win32":
        pytest.skip(REASON)
    env = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], **variables}
    command = ["make", "--no-print-directory", "WITHOUT_GPU=false", *arguments]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, encoding="utf-8")


def in_a_terminal(command: list[str], env: dict[str, str]) -> bytes:
    """What a command prints on a terminal."""
    if sys.platform == "win32":
        raise NotImplementedError(REASON)
    import pty

    ours, theirs = pty.openpty()
    subprocess.run(command, env={**os.environ, **env}, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the end of it, on Linux
        while block := os.read(ours, 4096):
            shown += block
    os.close(ours)
    return shown
