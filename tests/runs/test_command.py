"""The command that looks after trained runs."""

import json
import os
import random
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock
from hostile import WRECKS, flip, repack
from posix_only import make_pipe, posix
from run_folders import FUZZ, write_sweep

import charlm.files
import charlm.runs.__main__
import charlm.runs.inventory
import charlm.runs.sweep
from charlm.runs.__main__ import main, read_sweep
from charlm.runs.files import STATE
from charlm.runs.folder import Run, kept_measurement
from charlm.runs.inventory import remove_run
from charlm.runs.sweep import locked_run, train_sweep
from charlm_core import CharlmError


@pytest.fixture
def runs_command(capsys):
    def call(*arguments):
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def some_runs(trained, tiny, tiny_config, tmp_path):
    """A folder with a finished, an unfinished and a damaged run."""
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    run = Run.of(replace(tiny_config, seed=1), tiny, tmp_path)
    run.save(charlm.runs.sweep.train_one_epoch(run.load(), run.config, tiny))
    damaged = Run.of(replace(tiny_config, seed=2), tiny, tmp_path)
    damaged.save(charlm.runs.sweep.train_one_epoch(damaged.load(), damaged.config, tiny))
    path = damaged.folder / STATE
    path.write_bytes(path.read_bytes()[:-1])
    return tmp_path


def test_list_tells_finished_unfinished_and_damaged_runs_apart(runs_command, some_runs):
    code, out, _ = runs_command("list", "--runs", some_runs)
    assert code == 0
    assert {line.split()[1][5:].split("-")[2]: line.split()[0] for line in out.splitlines()} == {
        "seed0": "finished",
        "seed1": "unfinished",
        "seed2": "damaged",
    }
    code, out, _ = runs_command("list", "--runs", some_runs, "--json")
    about = {a["status"]: a for a in json.loads(out)}
    assert about["unfinished"]["epochs"] == 1 and about["finished"]["epochs"] == 3
    assert about["finished"]["machine"]["cpu"] and about["finished"]["seconds"] > 0
    assert about["finished"]["code_is_current"] is True
    assert "state.safetensors" in about["damaged"]["problem"]


def test_verify_finds_damage_in_any_file_and_says_so_in_its_exit_code(runs_command, trained, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    assert runs_command("verify", "--runs", tmp_path)[0] == 0
    path = tmp_path / trained[0].name / "last.safetensors"
    path.write_bytes(path.read_bytes() + b"x")
    code, out, _ = runs_command("verify", "--runs", tmp_path)
    assert code == 1 and "damaged" in out and "last.safetensors" in out


@pytest.mark.parametrize(
    "harm, named",
    [
        (
            lambda folder: kept_measurement(folder, "texts", {}, lambda: {}) or flip(folder / "texts.safetensors"),
            "texts",
        ),
        (lambda folder: shutil.copy(folder / "best.safetensors", folder / STATE), "state.safetensors"),
        (lambda folder: (folder / "run.json").unlink(), "best.safetensors is there without run.json"),
        (lambda folder: (folder / "notes.txt").touch(), "notes.txt"),
        (lambda folder: (folder / "more").mkdir(), "more"),
        (lambda folder: (folder / ".half-1").mkdir(), ".half-1"),
        (lambda folder: flip(folder / "best.safetensors"), "best.safetensors"),
    ],
)
def test_verify_names_what_is_damaged_or_does_not_belong(runs_command, trained, tmp_path, harm, named):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    kept_measurement(folder, "meaning", {}, lambda: {})
    assert runs_command("verify", "--runs", tmp_path)[0] == 0
    harm(folder)
    code, out, _ = runs_command("verify", "--runs", tmp_path)
    assert code == 1 and named in out and len(out.splitlines()) == 1


@pytest.mark.parametrize("wreck", [Path.touch, pytest.param(make_pipe, marks=posix)])
def test_a_file_or_a_pipe_in_the_place_of_a_run_is_damaged(runs_command, trained, tiny, tiny_config, tmp_path, wreck):
    path = tmp_path / trained[0].name
    wreck(path)
    code, out, _ = runs_command("verify", "--runs", tmp_path)
    assert code == 1 and out.startswith("damaged") and path.name in out
    code, out, _ = runs_command("remove", path.name, "--runs", tmp_path)
    assert code == 1 and out.startswith("kept") and os.path.lexists(path)
    with pytest.raises(CharlmError, match=r"^1 of 1 runs"):
        train_sweep([tiny_config], tiny, tmp_path, say=lambda line: None)


def test_an_empty_folder_is_not_a_run_that_was_removed(runs_command, tmp_path):
    (tmp_path / "empty").mkdir()
    code, out, _ = runs_command("remove", "empty", "--runs", tmp_path)
    assert code == 1 and out.startswith("kept") and (tmp_path / "empty").is_dir()


def test_verify_does_not_believe_a_measure_of_another_run(runs_command, trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    kept_measurement(folder, "texts", {}, lambda: {})
    repack(folder / "texts.safetensors", lambda _, about: about.update(run_id="another"))
    code, out, _ = runs_command("verify", "--runs", tmp_path)
    assert code == 1 and "texts.safetensors" in out


def test_a_run_that_a_kill_left_before_its_results_is_nothing_to_complain_of(runs_command, tiny, tiny_config, tmp_path):
    run = Run.of(tiny_config, tiny, tmp_path)
    run.save(charlm.runs.sweep.train_one_epoch(run.load(), run.config, tiny))
    charlm.files.write_whole(run.folder / "best.safetensors", b"")
    (run.folder / ".half-1").mkdir()
    assert runs_command("verify", "--runs", tmp_path)[0] == 0


@pytest.mark.parametrize("wreck", WRECKS)
def test_every_command_goes_on_past_a_wrecked_run(runs_command, some_runs, trained, wreck):
    WRECKS[wreck](some_runs / trained[1]["run_id"])
    names = sorted(p.name for p in some_runs.iterdir())
    for code, *command in ((0, "list"), (1, "verify"), (1, "show", *names)):
        found, out, err = runs_command(*command, "--runs", some_runs)
        assert (found, err) == (code, "") and all(name in out for name in names)


def test_a_name_that_would_break_the_line_is_printed_in_one(runs_command, tmp_path):
    try:
        (tmp_path / "a\nb").mkdir()
        (tmp_path / os.fsdecode(b"\xff")).mkdir()
    except OSError:
        pytest.skip("this system has no such names")
    code, out, _ = runs_command("list", "--runs", tmp_path)
    assert code == 0 and len(out.splitlines()) == 2 and "a↵b" in out and "⟨U+DCFF⟩" in out


def test_show_gives_the_whole_record(runs_command, trained):
    code, out, _ = runs_command("show", trained[1]["run_id"], "--runs", trained[0].parent, "--json")
    assert code == 0 and json.loads(out) == [trained[1]]


# Names that must lead nowhere, on any system.
NAMES = [
    "",
    ".",
    "..",
    "../x",
    "runs/x",
    "./x",
    "/etc",
    "C:",
    "C:\\x",
    "..\\x",
    "x\0",
    "x" * 5000,
    "~",
    "*",
    "notes",
    "nul",
]


@pytest.fixture
def surrounded(some_runs, tmp_path_factory):
    """The folder of some runs in a folder with more in it, and a function that tells all that is there."""
    around = tmp_path_factory.mktemp("around")
    (around / "x").mkdir()
    (around / "x" / "work").write_text("of weeks")
    shutil.copytree(some_runs, around / "runs")
    (around / "runs" / "notes").write_text("not a run")
    return around / "runs", lambda: {p: p.is_file() and p.read_bytes() for p in around.rglob("*")}


@pytest.mark.parametrize("command", ["show", "verify", "remove"])
def test_a_name_that_is_no_run_of_the_folder_is_refused(runs_command, surrounded, command):
    folder, everything = surrounded
    before = everything()
    for name in NAMES:
        code, out, err = runs_command(command, name, "--runs", folder)
        assert (code, out) == (2, "") and "no run" in err and len(err.splitlines()) == 1 and len(err) < 500, name
    assert everything() == before


def test_whatever_is_typed_after_remove_no_file_is_lost(runs_command, surrounded):
    folder, everything = surrounded
    runs_there = [p.name for p in folder.iterdir() if p.is_dir()]
    pieces = [*NAMES, *runs_there, "/", "\\", " ", "\n", "-", "lstm"]
    for i in range(FUZZ // 4 or 30):
        rng = random.Random(random.random() if FUZZ else i)
        names = ["".join(rng.choices(pieces, k=rng.choice([1, 1, 2, 3]))) for _ in range(rng.choice([1, 2]))]
        names = [name for name in names if name not in runs_there]
        before = everything()
        code, out, err = runs_command(
            rng.choice(["show", "verify", "remove"]), "--runs", folder, "--", *names, "nothing"
        )
        assert (code, out) == (2, "") and len(err.splitlines()) == 1
        assert everything() == before


def test_remove_deletes_a_run_and_nothing_else(runs_command, surrounded, trained):
    folder, everything = surrounded
    before = everything()
    code, out, _ = runs_command("remove", trained[1]["run_id"], "--runs", folder)
    assert code == 0 and "removed" in out
    gone = folder / trained[1]["run_id"]
    assert everything() == {p: b for p, b in before.items() if p != gone and gone not in p.parents}


def test_remove_deletes_what_is_left_of_a_run(runs_command, some_runs):
    for left in ("lock", "best.safetensors", "texts.safetensors", ".half-1/run.json"):
        (some_runs / "left" / left).parent.mkdir(parents=True)
        (some_runs / "left" / left).touch()
        assert runs_command("remove", "left", "--runs", some_runs)[0] == 0
        assert not (some_runs / "left").exists()


@pytest.mark.parametrize(
    "foreign", ["notes.txt", "more/notes.txt", "best.safetensors/x", ".half-1/notes.txt", ".git/x"]
)
def test_remove_refuses_a_folder_with_anything_foreign_in_it(runs_command, surrounded, trained, foreign):
    folder, everything = surrounded
    run = folder / trained[1]["run_id"]
    path = run / foreign
    if path.parent.is_file():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_text("of weeks")
    before = everything()
    code, out, _ = runs_command("remove", run.name, "--runs", folder)
    assert code == 1 and foreign.partition("/")[0] in out and len(out.splitlines()) == 1
    assert everything() == before


def test_remove_unlinks_a_link_and_does_not_follow_it(runs_command, surrounded, trained):
    folder, everything = surrounded
    before = everything()
    (folder / "link").symlink_to(folder.parent / "x")
    (folder / "loop").symlink_to("loop")
    (folder / "of-a-run").symlink_to(trained[1]["run_id"])
    assert runs_command("remove", "link", "loop", "of-a-run", "--runs", folder)[0] == 0
    assert everything() == before


def test_remove_unlinks_a_link_inside_a_run_and_does_not_follow_it(runs_command, some_runs, trained, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "best.safetensors"
    path = some_runs / trained[1]["run_id"] / "best.safetensors"
    shutil.move(path, elsewhere)
    path.symlink_to(elsewhere)
    assert runs_command("remove", trained[1]["run_id"], "--runs", some_runs)[0] == 0
    assert elsewhere.is_file() and not path.parent.exists()


def test_remove_leaves_a_run_that_is_being_trained(runs_command, surrounded, trained):
    folder, everything = surrounded
    with FileLock(folder / trained[1]["run_id"] / "lock"):
        before = everything()
        code, out, _ = runs_command("remove", trained[1]["run_id"], "--runs", folder)
        assert code == 1 and "is being trained" in out
        assert everything() == before


def test_remove_lets_the_lock_go_before_it_deletes_its_file_where_the_system_wants_that(
    runs_command, some_runs, trained, monkeypatch
):
    opened, unlink = set(), os.unlink

    def unlink_closed(path, **options):  # as Windows does
        if os.path.basename(path) in opened:
            raise PermissionError(13, "it is open")
        unlink(path, **options)

    @contextmanager
    def hold(path):
        path.touch()
        opened.add(path.name)
        yield
        opened.remove(path.name)
        path.unlink()  # as filelock does there

    monkeypatch.setattr(os, "unlink", unlink_closed)
    monkeypatch.setattr(
        charlm.runs.inventory, "FileLock", lambda path: SimpleNamespace(acquire=lambda timeout: hold(path))
    )
    assert runs_command("remove", trained[1]["run_id"], "--runs", some_runs)[0] == 0
    assert not (some_runs / trained[1]["run_id"]).exists()


def test_who_begins_a_run_while_it_is_removed_keeps_folder_and_lock(trained, tiny, tiny_config, tmp_path, monkeypatch):
    folder = shutil.copytree(trained[0], tmp_path / trained[0].name)
    run = Run.of(tiny_config, tiny, tmp_path)
    rmdir = type(folder).rmdir
    taken: list = []

    def begin(path):
        taken.append(locked_run(run))
        rmdir(path)

    monkeypatch.setattr(type(folder), "rmdir", begin)
    remove_run(folder)
    assert taken[0] and [p.name for p in folder.iterdir()] == ["lock"]
    assert locked_run(run) is None


def test_train_spans_every_combination_that_the_file_lists(runs_command, tiny_file, tmp_path):
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(
        f'corpus = \'{tiny_file}\'\ncell = ["rnn", "gru"]\nseed = [0, 1]\nhidden_size = 8\nepochs = 1\nbatch_size = 8\n'
    )
    code, out, err = runs_command("train", sweep, "--runs", tmp_path / "runs", "--workers", 1, "--json")
    assert code == 0
    assert sorted(a["run_id"].rpartition("-")[0] for a in json.loads(out)) == [
        "gru-8-lr0.001-seed0",
        "gru-8-lr0.001-seed1",
        "rnn-8-lr0.001-seed0",
        "rnn-8-lr0.001-seed1",
    ]
    assert "4 runs to train, 0 found" in err
    code, _, err = runs_command("train", sweep, "--runs", tmp_path / "runs")
    assert code == 0 and err == ""


@pytest.mark.parametrize(
    "text, message",
    [
        ("hidden = 8", "unknown key 'hidden'"),
        ("seed = [0, -1]", "seed = -1"),
        ("cell = ", "is not TOML"),
        ('corpus = ["a", "b"]', "needs one name"),
        ('corpus = "/no/such/file"', "no file"),
        ("seed = []", "seed = []: spans no run"),
        ("seed = [[0]]", "seed: needs one value, or a list of single values"),
        ("threads = 100000", "threads = 100000: needs a number from 1 to 1024"),
        ("hidden_size = 3000000", "hidden_size = 3000000: needs a number from 1 to 16384"),
        ("learning_rate = 1e39", "learning_rate = 1e+39: needs a number from 1e-38 to 1e+38"),
        (f"learning_rate = {10**400}", "learning_rate: needs a smaller number, of 64 bits at most"),
        (f"seed = 0x{'f' * 5000}", "seed: needs a smaller number, of 64 bits at most"),
        (f"seed = [{'0, ' * 101}]\nlayers = [{'1, ' * 100}]", "spans 10100 runs, of 10000 at most"),
        ("seed = " + "[" * 100_000, "is not TOML"),
        ("\n" * 2**20 + "x", "at most 1048576"),
        ("a\x1b\u202e = 1", "is not TOML"),
        ('"a\\u001b\\n" = 1', "unknown key"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(runs_command, tmp_path, text, message):
    (tmp_path / "sweep.toml").write_text(text, "utf-8")
    code, out, err = runs_command("train", tmp_path / "sweep.toml", "--runs", tmp_path)
    assert (code, out) == (2, "") and message in err and len(err.splitlines()) == 1 and "\x1b" not in err


@posix
def test_a_pipe_in_the_place_of_the_file_is_one_line(runs_command, tmp_path):
    make_pipe(tmp_path / "sweep.toml")
    code, out, err = runs_command("train", tmp_path / "sweep.toml", "--runs", tmp_path)
    assert (code, out) == (2, "") and "a pipe" in err and len(err.splitlines()) == 1


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "sweep.toml").write_text("\ufeffseed = [1, 2]\r\n", "utf-8", newline="")
    assert [config.seed for config in read_sweep(tmp_path / "sweep.toml")[1]] == [1, 2]


@pytest.mark.parametrize("workers", ["0", "-3", "1001", "many"])
def test_workers_are_counted_within_limits(runs_command, workers):
    code, out, err = runs_command("train", "sweep.toml", f"--workers={workers}")
    assert (code, out) == (2, "") and "--workers: " in err and "needs a whole number from 1 to 1000" in err


@pytest.mark.parametrize("command", ["list", "verify"])
def test_a_folder_of_runs_that_is_not_there_is_a_mistake(runs_command, tmp_path, command):
    code, out, err = runs_command(command, "--runs", tmp_path / "nowhere")
    assert (code, out) == (2, "") and "nowhere: no such folder" in err and len(err.splitlines()) == 1


def test_one_epoch_is_one_epoch(runs_command, tiny, tiny_config, tmp_path):
    for epochs in (1, 2):
        train_sweep([replace(tiny_config, epochs=epochs)], tiny, tmp_path, 1, say=lambda line: None)
    _, told, _ = runs_command("list", "--runs", tmp_path)
    assert ", 1 epoch," in told and ", 2 epochs," in told and "1 epochs" not in told


def test_before_any_training_the_list_is_empty(runs_command, tmp_path, monkeypatch):
    monkeypatch.setattr(charlm.runs.__main__, "RUNS", tmp_path / "none yet")
    assert runs_command("list") == (0, "", "")


def test_a_precision_that_the_processor_lacks_is_one_line_before_any_training(tiny_file, tmp_path):
    sweep = write_sweep(tmp_path, tiny_file, {"cell": "lstm", "hidden_size": 8, "epochs": 1, "precision": "bfloat16"})
    done = subprocess.run(
        [sys.executable, "-m", "charlm.runs", "train", sweep, "--runs", tmp_path / "runs"],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
        capture_output=True,
        encoding="utf-8",
    )
    if done.returncode:  # with this, or on this processor, there is no bfloat16
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "precision = 'bfloat16': this machine's cpu cannot train" in done.stderr
        assert not (tmp_path / "runs").exists()
    else:
        assert done.stdout.startswith("finished")


def test_train_says_when_a_run_diverged(runs_command, tiny_file, tmp_path):
    sweep = tmp_path / "sweep.toml"
    sweep.write_text(f"corpus = '{tiny_file}'\ncell = \"rnn\"\nlearning_rate = 1e38\nhidden_size = 8\nbatch_size = 8\n")
    code, out, _ = runs_command("train", sweep, "--runs", tmp_path / "runs", "--workers", 1)
    assert code == 1 and out.startswith("diverged")
