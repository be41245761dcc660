"""Files of ours: written whole or not at all, and read without trust. What goes wrong with one is told in one line.

with sound(path, "take it from the repository again"):    # what to do where it is damaged
    table = tomllib.loads(read_bytes(path, 2**20).decode())
"""

import errno
import hashlib
import json
import os
import re
import secrets
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from charlm.printable import inline
from charlm_core import CharlmError


class Damaged(CharlmError):
    """A file is not whole, was altered, or is nothing that this project writes."""

    status = "damaged"


class Unreadable(Damaged):
    """A file that may be whole, but the system does not let us read it now."""

    status = "unreadable"


# What says of a file that it is not what it should be. Any other error of the system says nothing of what is in it.
NO_SUCH_FILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.EFBIG)
# What parsing bytes that anybody may have written can end in.
UNPARSABLE = (SafetensorError, struct.error, ValueError, LookupError, TypeError, AttributeError, RuntimeError)


@contextmanager
def sound(where: Path | str, remedy: str) -> Iterator[None]:
    """What goes wrong while a file is read, parsed or checked in here is Unreadable, or Damaged, which says how to mend
    it."""
    try:
        yield
    except OSError as e:
        if e.errno not in NO_SUCH_FILE:
            raise Unreadable(
                f"{where} cannot be read ({e.strerror}): mend that, then try again; it may be whole"
            ) from e
        raise damaged(where, e.strerror, remedy) from e
    except UNPARSABLE as e:
        raise damaged(where, e, remedy) from e


def damaged(where: Path | str, reason: object, remedy: str) -> Damaged:
    return Damaged(f"{where} is damaged or not a file of this project ({short_reason(reason)}); {remedy}")


def short_reason(e: object) -> str:
    """An error's text in one line of bounded length: it may quote what was read."""
    return inline(f"{e!s:.120}")


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a regular file of at most so many. Anything else is an OSError: a pipe would be waited for without end, a
    device has no end."""
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode):
        raise OSError(errno.EINVAL, "not a file but a folder, a device or a pipe", str(path))
    if about.st_size > most:
        raise OSError(errno.EFBIG, f"{about.st_size} bytes, where at most {most} make sense", str(path))
    with open(path, "rb") as file:
        return file.read(about.st_size)  # Linux has files without a size that never end, as /proc/kmsg


def read_json(path: Path, most: int, remedy: str) -> dict[str, Any]:
    """What write_json() wrote, without its checksum, which is verified. Its form is to be checked still."""
    with sound(path, remedy):
        about = json.loads(read_bytes(path, most))
        if about.pop("sha256") != _json_checksum(about):
            raise ValueError("checksum")
        return about


def write_json(path: Path, about: dict[str, Any]) -> None:
    """Write it as JSON, with a checksum over all of it as its last field."""
    about = about | {"sha256": _json_checksum(about)}
    write_whole(path, (json.dumps(about, indent=1, allow_nan=False) + "\n").encode())


def _json_checksum(about: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(about, sort_keys=True, allow_nan=False).encode()).hexdigest()


def write_whole(path: Path, data: bytes) -> None:
    """Replace the file in one step, with its bytes on the disk before its name changes.

    Nobody ever sees half a file, and of two processes that write the same file both succeed.
    Raises CharlmError when the folder cannot be written.
    """
    half = path.with_name(f".half-{secrets.token_hex(4)}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(half, "wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            _replace(half, path)
        finally:
            half.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise CharlmError(f"cannot write {path}: {reason}: make room, or the folder writable") from None


def is_half(name: str) -> bool:
    """Whether write_whole() gives such a name to a file while it is written."""
    return re.fullmatch(r"\.half-[0-9a-f]{8}-.+", name, re.DOTALL) is not None


def _replace(source: Path, target: Path) -> None:
    """os.replace(), tried again for a second: Windows lets no file be replaced that somebody reads, a virus scanner say."""
    for wait in (0.01, 0.1, 1.0):
        try:
            return os.replace(source, target)
        except PermissionError:
            time.sleep(wait)
    os.replace(source, target)
