"""Every command on every terminal: what it prints, how it is stopped, how it ends."""

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from posix_only import in_a_terminal, posix, press_ctrl_c, start_in_a_terminal
from project_files import ROOT

from charlm.command import BROKEN_PIPE, command
from charlm.options import Parser, real_number, whole_number
from charlm.printable import inline, visible

COMMANDS = ["generate.py", *(f"charlm/{name}.py" for name in ("corpus", "runs/__main__", "report/__main__"))]


@pytest.mark.parametrize("path", COMMANDS)
def test_a_command_is_ready_to_be_stopped_before_it_imports_anything_else(path):
    first, ready = ast.parse((ROOT / path).read_text("utf-8")).body[1:3]
    assert ast.unparse(first).startswith("from charlm.command import ")
    assert ast.unparse(ready) == "if __name__ == '__main__':\n    begin()"


def test_what_makes_it_ready_imports_nothing_slow():
    script = "import sys, charlm.command; print({'argparse', 'numpy', 'pandas', 'torch', 'psutil'} & set(sys.modules))"
    assert python("-c", script).stdout == b"set()" + os.linesep.encode()


def python(*arguments, env=None, **options) -> subprocess.CompletedProcess:
    options = {"capture_output": True, "cwd": ROOT, **options}
    return subprocess.run([sys.executable, *map(str, arguments)], env={**os.environ, **(env or {})}, **options)


# ---------------------------------------------------------------------------------------------------------------------
# what is not a mistake of the user's


def ended(error: BaseException, capsys) -> tuple[int, str]:
    @command("it", kept="all is kept")
    def main(arguments=None):
        raise error

    code = main()
    out, err = capsys.readouterr()
    assert out == ""
    return code, err


NO_MEMORY = "it: not enough memory: ask for less at a time, or for a smaller model\n"


@pytest.mark.parametrize(
    "error, code, message",
    [
        (KeyboardInterrupt(), 130, "it: interrupted; all is kept\n"),
        (BrokenPipeError(32, "Broken pipe"), BROKEN_PIPE, ""),
        (OSError(22, "Invalid argument"), BROKEN_PIPE, ""),  # a closed pipe on Windows
        (PermissionError(13, "Permission denied", "a\n\x1b[2Jb"), 1, "it: a↵⟨U+001B⟩[2Jb: Permission denied\n"),
        (MemoryError("Unable to allocate"), 1, NO_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), 1, NO_MEMORY),
    ],
)
def test_whatever_stops_a_command_is_one_line_at_most(error, code, message, capsys):
    assert ended(error, capsys) == (code, message)


def test_a_fault_of_the_program_is_not_hidden(capsys):
    with pytest.raises(RuntimeError, match="a fault"):
        ended(RuntimeError("a fault"), capsys)


# ---------------------------------------------------------------------------------------------------------------------
# a pipe that is closed, a disk that is full, a terminal that is not UTF-8

PRINTS = """
from charlm.command import begin, command
begin()
@command("it")
def main(arguments=None):
    for i in range(int(sys.argv[1])):
        print("a line")
    return 0
import sys
sys.exit(main())
"""


# Python meets what is wrong when it writes, or only when it ends.
@posix
@pytest.mark.parametrize("lines", [1, 100_000])
def test_a_full_disk_or_a_closed_pipe_is_no_traceback(lines):
    with open("/dev/full" if Path("/dev/full").exists() else os.devnull, "w") as full:
        done = python("-c", PRINTS, lines, capture_output=False, stdout=full, stderr=-1)
    if full.name == "/dev/full":
        assert (done.returncode, done.stderr) == (1, b"it: output: No space left on device\n")
    read, write = os.pipe()
    os.close(read)
    done = python("-c", PRINTS, lines, capture_output=False, stdout=write, stderr=-1)
    os.close(write)
    assert (done.returncode, done.stderr) == (BROKEN_PIPE, b"")


SAYS = r"""
from charlm.command import command
@command("it")
def main(arguments=None):
    print("\u2192 \u00e9 \udce9")
    return 0
main()
"""
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@posix
def test_a_terminal_gets_an_escape_for_what_it_lacks():
    assert in_a_terminal([sys.executable, "-c", SAYS], ASCII) == b"\\u2192 \\xe9 \\udce9\r\n"


def test_a_file_gets_utf8_whatever_the_terminal_unless_another_encoding_was_asked_for(monkeypatch):
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    assert python("-c", SAYS, env=ASCII).stdout == "→ é \\udce9".encode() + os.linesep.encode()
    asked = python("-c", SAYS, env={"PYTHONIOENCODING": "latin-1"})
    assert asked.stdout == b"\\u2192 \xe9 \\udce9" + os.linesep.encode()


# ---------------------------------------------------------------------------------------------------------------------
# signals

# It says at which of four moments it is, and waits there.
WAITS = """
from charlm.command import begin, command
begin()
import sys, time
def wait(moment):
    print(moment, flush=True)
    while sys.argv[1] == moment:
        time.sleep(0.01)
@command("it")
def main(arguments=None):
    try:
        wait("working")
        return 0
    finally:
        wait("cleaning")
        time.sleep(0.2)
wait("importing")
code = main()
wait("ending")
sys.exit(code)
"""


def waiting(moment, **options) -> subprocess.Popen:
    """The command, at that moment."""
    process = start_in_a_terminal([sys.executable, "-c", WAITS, moment], cwd=ROOT, stdout=-1, stderr=-1, **options)
    while process.stdout.readline() != f"{moment}\n":
        pass
    return process


@posix
@pytest.mark.parametrize(
    "moment, number, message",
    [
        ("importing", signal.SIGINT, ""),
        ("working", signal.SIGINT, "it: interrupted\n"),
        ("working", signal.SIGTERM, "it: interrupted\n"),
        ("ending", signal.SIGTERM, ""),
    ],
)
def test_a_signal_ends_a_command_at_any_moment_without_a_traceback(moment, number, message):
    process = waiting(moment)
    process.send_signal(number)
    if moment == "working":  # more of them do not disturb the cleaning up
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60)[1] == message
    assert process.returncode == 128 + number


@posix
def test_a_signal_that_the_shell_wants_ignored_is_ignored():
    process = waiting("working", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    assert process.poll() is None
    process.kill()
    process.communicate()


STARTS = """
from charlm.command import begin, command, undisturbed
begin()
import multiprocessing, signal, subprocess, sys, time
@command("it")
def main(arguments=None):
    try:
        with undisturbed():
            multiprocessing.get_context("spawn").Value("i")  # what starts a process of its own, as Dask does
            child = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input(); print('alive')"], stdin=-1, stdout=-1)
            child.stdout.readline()
            print("started", flush=True)
            sys.stdin.readline()
        raise AssertionError("it went on")
    finally:
        print(child.communicate(b"\\n")[0].decode().strip(), flush=True)
sys.exit(main())
"""


@posix
def test_what_a_command_starts_is_left_alone_until_it_can_be_ended_and_never_hears_of_ctrl_c():
    pipes = {"stdin": -1, "stdout": -1, "stderr": -1, "cwd": ROOT}
    process = start_in_a_terminal([sys.executable, "-c", STARTS], **pipes)
    assert process.stdout.readline() == "started\n"
    press_ctrl_c(process)
    out, err = process.communicate("\n", timeout=60)
    assert (process.returncode, out, err) == (130, "alive\n", "it: interrupted\n")


# ---------------------------------------------------------------------------------------------------------------------
# what is typed, and what is printed of it


@pytest.mark.parametrize(
    "kind, text, message",
    [
        (whole_number(1, 10), "11", "'11': needs a whole number from 1 to 10"),
        (whole_number(1, 10), "9" * 5000, "needs a whole number from 1 to 10"),
        (whole_number(1, 10), "1.5", "'1.5': needs a whole number from 1 to 10"),
        (whole_number(1, 10), "\x1b[2J", r"'\x1b[2J': needs a whole number from 1 to 10"),
        (whole_number(1, 10), "--", "'--': needs a whole number from 1 to 10"),
        (real_number(0, 1e6), "nan", "'nan': needs a number from 0 to 1000000"),
    ],
)
def test_a_number_outside_its_limits_is_one_line_that_names_option_value_and_limits(kind, text, message, capsys):
    parser = Parser(prog="it")
    parser.add_argument("--count", type=kind)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args([f"--count={text}"])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert err.startswith("it: argument --count: ") and message in err and len(err.splitlines()) == 1 and len(err) < 200


def test_two_dashes_are_a_value_like_any_other_where_a_value_stands():
    parser = Parser(prog="it")
    parser.add_argument("--text", action="append")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("names", nargs="*")
    typed = ["--folder=--", "--text=--", "--text=a", "--", "--", "--text"]
    assert vars(parser.parse_args(typed)) == {"text": ["--", "a"], "folder": Path("--"), "names": ["--", "--text"]}


def test_what_is_typed_wrongly_writes_no_escape_and_no_line_of_its_own(capsys):
    with pytest.raises(SystemExit):
        Parser(prog="it").parse_args(["\x1b[2J\nx"])
    assert capsys.readouterr().err == "it: unrecognized arguments: ⟨U+001B⟩[2J↵x (--help tells what there is)\n"


def test_visible_names_characters_that_act_and_keeps_those_that_show():
    assert visible("a\x00\r\x1b\x85\u202e\u2028\ufeff\ud800b") == (
        "a⟨U+0000⟩⟨U+000D⟩⟨U+001B⟩⟨U+0085⟩⟨U+202E⟩⟨U+2028⟩⟨U+FEFF⟩⟨U+D800⟩b"
    )
    assert visible("é\n\t日本 👩‍🔬 می‌خواهم") == "é\n\t日本 👩‍🔬 می‌خواهم"
    assert inline("a\n\tb") == "a↵⇥b"
