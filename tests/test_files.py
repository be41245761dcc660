"""Files of ours: one way to read them, in which nothing hangs and whatever is wrong is told in one line."""

import builtins
import errno
import json
import os

import pytest
from hostile import directory, flip, huge, loop, pipe
from posix_only import posix

from charlm.files import Damaged, Unreadable, read_bytes, read_json, sound, write_json, write_whole
from charlm_core import CharlmError

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


HARM = {
    "gone": lambda path: path.unlink(),
    "a folder": directory,
    "a loop": loop,
    "huge": huge,
    "one bit": flip,
    "no UTF-8": lambda path: path.write_bytes(b"\xff"),
    "deep": lambda path: path.write_bytes(b"[" * 1000),
    "a list": lambda path: path.write_bytes(b"[]"),
    "no number": lambda path: path.write_bytes(path.read_bytes().replace(b"1.5", b"NaN")),
    "without a checksum": lambda path: path.write_text(json.dumps(ABOUT), "utf-8", newline="\n"),
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
def test_a_pipe_or_a_device_is_damaged_and_not_even_opened(path, tmp_path, monkeypatch):
    pipe(path)
    monkeypatch.setattr(builtins, "open", lambda *_, **__: pytest.fail("it was opened"))
    (tmp_path / "zero").symlink_to("/dev/zero")
    for it in (path, tmp_path / "zero"):
        with pytest.raises(Damaged, match="fetch it again"):
            read(it)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE])
@pytest.mark.parametrize("where", ["stat", "open"])
def test_what_the_system_does_not_let_us_read_is_not_called_damaged(path, monkeypatch, number, where):
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


# ---------------------------------------------------------------------------------------------------------------------
# written whole or not at all


def test_the_old_file_is_kept_when_writing_fails(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")
    monkeypatch.setattr(os, "fsync", lambda number: raise_(OSError(28, "no space")))
    with pytest.raises(CharlmError, match="no space"):
        write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_file_that_somebody_reads_for_a_moment_is_replaced_when_he_is_done(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("old")
    taken, replace = [PermissionError(13, "in use")] * 2, os.replace
    monkeypatch.setattr(os, "replace", lambda *names: replace(*names) if not taken else raise_(taken.pop()))
    write_whole(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_text() == "new"


def test_a_file_that_somebody_keeps_to_himself_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *names: raise_(PermissionError(13, "in use")))
    with pytest.raises(CharlmError, match=r"cannot write .*a: in use"):
        write_whole(tmp_path / "a", b"new")
    assert not list(tmp_path.iterdir())


def raise_(error):
    raise error
