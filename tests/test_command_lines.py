"""Command lines as somebody hurried or unkind would type them."""

import random
import shutil

import pytest

import charlm.corpus
import charlm.report.make
import charlm.runs.__main__
import charlm.runs.folder
import generate
from charlm.corpus import main as corpus_main
from charlm.report import place
from charlm.report.__main__ import main as report_main
from charlm.runs.__main__ import main as runs_main
from charlm_core import CharlmError

NUMBERS = [*"0 1 2 3 -1 1.5 1e9 1e-400 nan inf 007 ١ 2000000000 99999999999999999999".split(), "", "9" * 5000]
TEXTS = ["", " ", ".", "..", "/", "-", "--", "~", "*", "%s", "{}", "a\nb", "\x1b[2J", "\u202e", "\udcff", "日本", "x\0"]
TEXTS += ["x" * 5000, "/dev/null", "/etc", "nowhere/at/all", "{tiny}", "{run}", "{folder}", "tiny-shakespeare", "all"]
TEXTS += ["rnn", "A", "\r", "--json", "--help"]
COMMANDS = {
    "generate": (generate.main, "--run --prompt --length --temperature --samples --seed --json --help --x"),
    "report": (report_main, "--seeds --epochs --corpus --out --studies --quick --help --x"),
    "corpus": (corpus_main, "--help --x"),
    "runs": (runs_main, "list train verify remove --workers --scheduler --insecure --help --x"),
}


@pytest.fixture
def around(trained, tiny_file, tmp_path, monkeypatch):
    """A folder in which commands find a run and corpora, and no report is made; and a function that tells all there is."""
    runs = tmp_path / "runs"
    shutil.copytree(trained[0], runs / trained[0].name)
    shutil.copy(tiny_file, tmp_path / "tiny.txt")
    (tmp_path / "data").mkdir()
    for path in charlm.corpus.DATA.glob("*.txt"):
        shutil.copy(path, tmp_path / "data")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(charlm.corpus, "DATA", tmp_path / "data")
    monkeypatch.setattr(charlm.runs.folder, "RUNS", runs)
    monkeypatch.setattr(charlm.runs.__main__, "RUNS", runs)
    monkeypatch.setattr(place, "BUILD", tmp_path / "build")

    def begin(*arguments, **options):
        raise CharlmError("here training would begin")

    monkeypatch.setattr(charlm.report.make, "train_sweep", begin)
    monkeypatch.setattr(charlm.runs.__main__, "train_sweep", begin)

    def everything():
        made = tmp_path / "build"
        return {p: p.is_file() and p.read_bytes() for p in tmp_path.rglob("*") if made not in (p, *p.parents)}

    return {"{tiny}": tmp_path / "tiny.txt", "{run}": trained[0].name, "{folder}": trained[0]}, everything


@pytest.mark.parametrize("name", COMMANDS)
def test_whatever_is_typed_no_command_fails_in_more_than_a_line_or_changes_a_file(name, around, capsys):
    names, everything = around
    main, options = COMMANDS[name]
    before = everything()
    for seed in range(8):
        rng = random.Random(seed)
        words = []
        for _ in range(rng.choice([0, 1, 2, 2, 3])):
            words += rng.sample(options.split(), 1) if rng.random() < 0.9 else []
            words += rng.sample(NUMBERS if rng.random() < 0.5 else TEXTS, 1) if rng.random() < 0.8 else []
        words = [str(names.get(word, word)) for word in words]
        if len(words) > 1 and words[0].startswith("--") and rng.random() < 0.5:
            words[:2] = [f"{words[0]}={words[1]}"]
        assert main(words) in (0, 1, 2), words
        out, err = capsys.readouterr()
        assert len(err.splitlines()) <= 1 and "\x1b" not in out + err, words
        if "remove" in words and not (charlm.runs.folder.RUNS / names["{run}"]).exists():
            shutil.copytree(names["{folder}"], charlm.runs.folder.RUNS / names["{run}"])
        assert everything() == before, words
