"""Files of ours: one way to read them, in which nothing hangs and whatever is wrong is told in one line."""

import builtins
import errno
import json
import os

import pytest
from hostile import elsewhere, flip, huge, loop
from posix_only import make_pipe, posix

from charlm.files import Damaged, Unreadable, read_bytes, read_json, sound, write_json

ABOUT = {"runs": [1.5, "é"], "name": "x"}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    write_json(tmp_path / "a" / "b" / "it.json", ABOUT)
    return tmp_path / "a" / "b" / "it.json"


def read(path):
    return read_json(path, 1000, "fetch it again")


def test_what_was_written_is_read(path):
    assert read(path) == ABOUT
    write_json(path, json.loads(path.read_bytes()))  # with its checksum in it
    assert read(path) == ABOUT


def directory(path):
    path.unlink()
    path.mkdir()


def pipe(path):
    path.unlink()
    make_pipe(path)


def without_a_checksum(path):
    path.write_text(json.dumps(ABOUT), "utf-8", newline="\n")


HARM = {
    "gone": lambda path: path.unlink(),
    "a folder": directory,
    "a loop": loop,
    "a link to nothing": elsewhere,
    "huge": huge,
    "one bit": flip,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "empty": lambda path: path.write_bytes(b""),
    "no UTF-8": lambda path: path.write_bytes(b"\xff"),
    "deep": lambda path: path.write_bytes(b"[" * 1000),
    "a list": lambda path: path.write_bytes(b"[]"),
    "no number": lambda path: path.write_bytes(path.read_bytes().replace(b"1.5", b"NaN")),
    "without a checksum": without_a_checksum,
}


@pytest.mark.parametrize("harm", HARM.values(), ids=HARM)
def test_what_is_not_whole_is_damaged_in_one_line_that_says_what_to_do(path, harm):
    harm(path)
    with pytest.raises(Damaged) as error:
        read(path)
    said = str(error.value)
    assert str(path) in said and "fetch it again" in said and len(said.splitlines()) == 1
    assert not isinstance(error.value, Unreadable)


@posix
def test_a_pipe_or_a_device_is_damaged_and_not_waited_for(path, tmp_path):
    pipe(path)
    (tmp_path / "zero").symlink_to("/dev/zero")
    for it in (path, tmp_path / "zero"):
        with pytest.raises(Damaged, match="fetch it again"):
            read(it)


REFUSALS = ("EACCES", "EPERM", "EIO", "EMFILE", "ENFILE", "ESTALE", "ENOMEM")


@pytest.mark.parametrize("refusal", [name for name in REFUSALS if hasattr(errno, name)])
@pytest.mark.parametrize("where", ["stat", "open"])
def test_what_the_system_does_not_let_us_read_is_not_called_damaged(path, monkeypatch, refusal, where):
    number = getattr(errno, refusal)

    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(*((os, "stat") if where == "stat" else (builtins, "open")), refuse)
    with pytest.raises(Unreadable) as error:
        read(path)
    said = str(error.value)
    assert os.strerror(number) in said and "fetch it again" not in said and "damaged" not in said


def test_a_fault_of_the_program_is_not_called_a_damaged_file():
    with pytest.raises(ZeroDivisionError), sound("it", "fetch it again"):
        raise ZeroDivisionError


def test_no_more_is_read_than_may_be(path):
    with pytest.raises(OSError, match=r"make sense"):
        read_bytes(path, 10)
