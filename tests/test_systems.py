"""Every system: what only Linux has is taken away from this project's code, and what a user does still works."""

import os
import subprocess
import sys

import pytest
from run_folders import write_sweep

from charlm.corpus import ROOT

# Python imports this before anything else, in every process: also in Dask's workers and in notebooks' kernels. What this
# project imports of os and signal then lacks the names that Windows or macOS lacks, and what is POSIX alone is not there.
# (Other packages have code of their own for each system, and here need that for Linux.)
ELSEWHERE = '''
import builtins, os, signal, types

OURS = {ours!r}
LACKING = {{
    "os": """sched_getaffinity sched_setaffinity fork forkpty killpg getpgid setpgid getsid setsid getuid geteuid getgid
        getegid getgroups mkfifo mknod openpty posix_fallocate posix_fadvise memfd_create copy_file_range eventfd splice
        statvfs fstatvfs getloadavg nice chown fchown lchown fchmod chroot sync fdatasync sysconf confstr uname wait wait3
        wait4 waitid WIFSIGNALED WTERMSIG WNOHANG pidfd_open posix_spawn ttyname pread pwrite sendfile getxattr setxattr
        O_DIRECTORY O_NOFOLLOW O_CLOEXEC O_NONBLOCK""".split(),
    "signal": """SIGKILL SIGHUP SIGQUIT SIGUSR1 SIGUSR2 SIGALRM SIGSTOP SIGTSTP SIGCONT SIGCHLD SIGPIPE alarm setitimer
        pause sigwait pthread_kill pthread_sigmask siginterrupt""".split(),
}}
ABSENT = "resource fcntl pwd grp termios tty pty syslog readline".split()
without = {{}}
for module in (os, signal):
    without[module.__name__] = copy = types.ModuleType(module.__name__)
    lacking = LACKING[module.__name__]
    vars(copy).update((name, value) for name, value in vars(module).items() if name not in lacking)
there = builtins.__import__

def elsewhere(name, globals=None, locals=None, fromlist=(), level=0):
    if os.path.dirname((globals or {{}}).get("__file__") or "") in OURS:
        if name in ABSENT:
            raise ModuleNotFoundError(f"{{name}} is not on every system")
        if name in without:
            return without[name]
    return there(name, globals, locals, fromlist, level)

builtins.__import__ = elsewhere
'''


@pytest.fixture
def elsewhere(tmp_path):
    """Runs Python as on another system, whose own encoding is ASCII, with runs/ in tmp_path."""
    (tmp_path / "site").mkdir()
    script = ELSEWHERE.format(
        ours=[
            str(ROOT),
            *{str(p.parent) for name in ("charlm", "tests", "benchmarks") for p in (ROOT / name).rglob("*.py")},
        ]
    )
    (tmp_path / "site" / "sitecustomize.py").write_text(script, "utf-8")
    ascii = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    path = os.pathsep.join([str(tmp_path / "site"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, **ascii, "PYTHONPATH": path, "CHARLM_RUNS": str(tmp_path / "runs")}

    def python(*arguments):
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, encoding="utf-8")

    return python


# One process, because each needs seconds to start. Dask's workers import it again.
COMMANDS = """
import os
import sys
import charlm.runs.folder
import generate
from charlm.runs.__main__ import main

if __name__ == "__main__":
    assert hasattr(os, "fork") or os.name == "nt"
    assert not hasattr(charlm.runs.folder.os, "fork")  # from this project's code alone
    assert main(["train", sys.argv[1], "--workers", "2"]) == 0
    assert main(["list"]) == 0
    assert main(["verify"]) == 0
    sys.exit(generate.main(["--temperature", "10", "--length", "200"]))
"""


@pytest.mark.slow
def test_runs_are_trained_listed_verified_and_write_text(elsewhere, tmp_path):
    (tmp_path / "text.txt").write_text("Où est-il ? — Là-bas, à l’ombre.\n" * 50, "utf-8")
    sizes = {"hidden_size": 8, "batch_size": 8, "epochs": 1, "precision": "float32", "device": "cpu"}
    sweep = write_sweep(tmp_path, tmp_path / "text.txt", {"cell": ["rnn", "lstm"], **sizes})
    (tmp_path / "commands.py").write_text(COMMANDS, "utf-8")
    told = elsewhere(tmp_path / "commands.py", sweep)
    assert told.returncode == 0, told.stderr
    assert "2 at a time" in told.stderr
    assert told.stdout.count("finished") == 2 + 2 + 2 and "—" in told.stdout
