"""The command that looks after trained runs."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from hostile import flip, repack
from posix_only import make_pipe, posix
from run_folders import begun_run, silent

import charlm.device
import charlm.runs.__main__
import charlm_core as core
from charlm.corpus import ROOT
from charlm.runs.__main__ import main, read_sweep
from charlm.runs.files import STATE
from charlm.runs.folder import Run, kept_measurement
from charlm.runs.inventory import remove_run
from charlm.runs.sweep import locked_run, train_sweep
from charlm_core import CharlmError


@pytest.fixture
def command(capsys, tmp_path, monkeypatch):
    """The command on the runs in tmp_path/runs: its exit code, standard output and standard error."""
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(charlm.runs.__main__, "RUNS", tmp_path / "runs")

    def call(*arguments):
        code = main([str(a) for a in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def run(command, trained, tmp_path):
    """The folder of a finished run, the only one."""
    return shutil.copytree(trained[0], tmp_path / "runs" / trained[0].name)


@pytest.fixture(scope="module")
def first_epoch(tiny, tiny_config, tmp_path_factory):
    return begun_run(replace(tiny_config, seed=1), tiny, tmp_path_factory.mktemp("begun")).folder


@pytest.fixture
def some_runs(run, first_epoch):
    """A folder with a finished, an unfinished and a damaged run."""
    shutil.copytree(first_epoch, run.parent / first_epoch.name)
    damaged = shutil.copytree(first_epoch, run.parent / first_epoch.name.replace("seed1", "seed2"))
    flip(damaged / STATE)
    return run.parent


# ---------------------------------------------------------------------------------------------------------------------
# list, verify


def test_list_tells_finished_unfinished_and_damaged_runs_apart(command, some_runs):
    code, out, _ = command("list")
    finished, unfinished, damaged = sorted(out.splitlines(), key=lambda line: line.split("-seed")[1])
    assert code == 0
    assert finished.startswith("finished  ") and ", 3 epochs, validation " in finished and " min on " in finished
    assert unfinished.startswith("unfinished  ") and ", 1 epoch, validation " in unfinished
    assert damaged.startswith("damaged  ") and "state.safetensors" in damaged


def test_before_any_training_the_list_is_empty(command, tmp_path):
    (tmp_path / "runs").rmdir()
    assert command("list") == (0, "", "")


@pytest.mark.parametrize("arguments", [["list"], ["verify"], ["remove", "a"]], ids=" ".join)
def test_a_file_where_the_folder_of_runs_should_be_is_one_line(command, tmp_path, arguments):
    (tmp_path / "runs").rmdir()
    (tmp_path / "runs").touch()
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and str(tmp_path / "runs") in err and "CHARLM_RUNS" in err


def test_a_setting_that_is_empty_is_none(tmp_path):
    code = "from charlm.runs.folder import RUNS; print(RUNS)"
    env = {**os.environ, "CHARLM_RUNS": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert done.stdout.strip() == str((ROOT / "runs").resolve()), done.stderr


@pytest.mark.parametrize(
    "harm, named",
    [
        (lambda folder: flip(folder / "colour.safetensors"), "colour.safetensors"),
        (
            lambda folder: repack(folder / "colour.safetensors", lambda _, about: about.update(run_id="x")),
            "another run",
        ),
        (lambda folder: flip(folder / "last.safetensors"), "last.safetensors"),
        (lambda folder: flip(folder / "run.json"), "run.json"),
    ],
)
def test_verify_names_the_file_that_is_damaged_and_says_so_in_its_exit_code(command, run, harm, named):
    kept_measurement(run, "colour", {}, lambda: {})
    assert command("verify")[0] == 0
    harm(run)
    code, out, _ = command("verify")
    assert code == 1 and named in out and len(out.splitlines()) == 1


def test_a_name_that_would_break_the_line_is_printed_in_one(command, tmp_path):
    try:
        (tmp_path / "runs" / "a\nb").mkdir()
        (tmp_path / "runs" / os.fsdecode(b"\xff")).mkdir()
    except OSError:
        pytest.skip("this system has no such names")
    code, out, _ = command("list")
    assert code == 0 and len(out.splitlines()) == 2 and "a↵b" in out and "⟨U+DCFF⟩" in out


# ---------------------------------------------------------------------------------------------------------------------
# remove

# Names that must lead nowhere, on any system.
NAMES = ["", ".", "..", "../x", "./x", "/etc", "C:\\x", "..\\x", "x\0", "x" * 5000, "~", "*", "notes", "nul"]


@pytest.fixture
def everything(some_runs):
    """A function that tells all that is in the folder of some runs, and around it."""
    around = some_runs.parent
    (around / "x").mkdir()
    (around / "x" / "work").write_text("of weeks")
    (some_runs / "notes").write_text("not a run")
    return lambda: {p: p.is_file() and p.read_bytes() for p in around.rglob("*")}


def test_remove_deletes_the_runs_that_it_is_given_and_nothing_else(command, some_runs, run, everything):
    kept_measurement(run, "colour", {}, lambda: {})
    (run / ".half-01234567-run.json").touch()
    before = everything()
    assert command("remove", run.name, run.name)[:2] == (0, f"removed     {run.name}\n")
    assert everything() == {path: content for path, content in before.items() if run not in (path, *path.parents)}


@pytest.mark.parametrize("name", ["verify", "remove"])
def test_a_name_that_is_no_run_of_the_folder_is_refused(command, some_runs, everything, name):
    before = everything()
    for given in NAMES:
        code, out, err = command(name, given)
        assert (code, out) == (2, "") and "no run" in err and len(err.splitlines()) == 1 and len(err) < 500, given
    assert everything() == before


@pytest.mark.parametrize(
    "foreign",
    [
        "notes.txt",
        "mine.safetensors",
        "copy.safetensors",
        "best.safetensors/work",
        ".half-thesis.txt",
        ".half-01234567-x/work",
    ],
)
def test_remove_deletes_nothing_of_a_folder_that_holds_more_than_a_run(command, run, everything, foreign):
    path = run / foreign
    if path.parent.is_file():
        path.parent.unlink()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"of weeks")
    if foreign == "copy.safetensors":
        shutil.copy(run / "last.safetensors", path)
    before = everything()
    code, out, _ = command("remove", run.name)
    assert code == 1 and foreign.partition("/")[0] in out and len(out.splitlines()) == 1
    assert everything() == before


def test_remove_deletes_no_folder_that_is_not_named_as_a_run(command, some_runs, everything):
    (some_runs / "thesis").mkdir()
    (some_runs / "thesis" / "run.json").write_text("{}")
    before = everything()
    code, out, _ = command("remove", "thesis")
    assert code == 1 and out.startswith("kept") and "thesis" in out and len(out.splitlines()) == 1
    assert everything() == before


def test_remove_deletes_a_run_of_a_cell_of_ones_own(command, run):
    own = run.rename(run.with_name(f"my-{run.name}"))
    assert command("remove", own.name)[0] == 0 and not own.exists()


def test_remove_unlinks_a_link_and_does_not_follow_it_and_leaves_an_empty_folder(command, some_runs, run, everything):
    (some_runs / "empty").mkdir()
    before = everything()
    code, out, _ = command("remove", "empty")  # which is not a run that was removed
    assert code == 1 and out.startswith("kept")
    (some_runs / "link").symlink_to(some_runs.parent / "x")
    (some_runs / "loop").symlink_to("loop")
    (some_runs / "of-a-run").symlink_to(run.name)
    assert command("remove", "link", "loop", "of-a-run")[0] == 0
    assert everything() == before


def test_remove_unlinks_a_link_inside_a_run_and_does_not_follow_it(command, run, tmp_path):
    shutil.move(run / "best.safetensors", tmp_path / "elsewhere")
    (run / "best.safetensors").symlink_to(tmp_path / "elsewhere")
    assert command("remove", run.name)[0] == 0
    assert (tmp_path / "elsewhere").is_file() and not run.exists()


def test_remove_leaves_a_run_that_is_being_trained(command, run, everything):
    with FileLock(run / "lock"):
        before = everything()
        code, out, _ = command("remove", run.name)
        assert code == 1 and "is being trained" in out
        assert everything() == before


def test_who_begins_a_run_while_it_is_removed_keeps_folder_and_lock(run, tiny, tiny_config, monkeypatch):
    it = Run.of(tiny_config, tiny, run.parent)
    rmdir = type(run).rmdir
    taken: list = []

    def begin(path):
        taken.append(locked_run(it))
        rmdir(path)

    monkeypatch.setattr(type(run), "rmdir", begin)
    remove_run(run)
    assert taken[0] and [p.name for p in run.iterdir()] == ["lock"]
    assert locked_run(it) is None


@pytest.mark.parametrize("wreck", [Path.touch, pytest.param(make_pipe, marks=posix)])
def test_a_file_or_a_pipe_in_the_place_of_a_run_is_damaged(tiny, tiny_config, tmp_path, wreck):
    wreck(Run.of(tiny_config, tiny, tmp_path).folder)
    with pytest.raises(CharlmError, match=r"^1 of 1 runs"):
        train_sweep([tiny_config], tiny, tmp_path, say=silent)


# ---------------------------------------------------------------------------------------------------------------------
# train


@pytest.fixture
def sweep(tiny_file, tmp_path):
    """Writes a file of a sweep on the small text, and gives its path."""

    def write(text, begin=f"corpus = '{tiny_file}'\nhidden_size = 8\nbatch_size = 8\n"):
        (tmp_path / "sweep.toml").write_text(begin + text, "utf-8", newline="")
        return tmp_path / "sweep.toml"

    return write


def test_train_spans_every_combination_that_the_file_lists(command, sweep):
    path = sweep('cell = ["rnn", "gru"]\nseed = [0, 1]\nepochs = 1\n')
    code, out, err = command("train", path, "--workers", 1)
    assert code == 0 and "4 runs to train, 0 found" in err
    assert [line.split()[1].rpartition("-")[0].removesuffix(",") for line in out.splitlines()] == [
        "rnn-8-lr0.001-seed0",
        "rnn-8-lr0.001-seed1",
        "gru-8-lr0.001-seed0",
        "gru-8-lr0.001-seed1",
    ]
    assert command("train", path) == (0, out, "")


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
        (f"learning_rate = {10**400}", "needs a number from 1e-38 to 1e+38"),
        (f"seed = [{'0, ' * 101}]\nlayers = [{'1, ' * 100}]", "spans 10100 runs, of 10000 at most"),
        ("seed = " + "[" * 100_000, "is not TOML"),
        ("\n" * 2**20 + "x", "at most 1048576"),
        ('"a\\u001b\\n" = 1', "unknown key"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(command, sweep, text, message):
    code, out, err = command("train", sweep(text, begin=""))
    assert (code, out) == (2, "") and message in err and len(err.splitlines()) == 1 and "\x1b" not in err


def test_a_file_may_begin_with_a_byte_order_mark(sweep):
    path = sweep("\ufeffseed = [1, 2]\r\n", begin="")
    assert [config.seed for config in read_sweep(path)[1]] == [1, 2]


@pytest.mark.parametrize("workers", ["0", "1001", "many"])
def test_workers_are_counted_within_limits(command, workers):
    code, out, err = command("train", "sweep.toml", f"--workers={workers}")
    assert (code, out) == (2, "") and "--workers: " in err and "needs a whole number from 1 to 1000" in err


def test_a_precision_that_the_processor_lacks_is_one_line_before_any_training(command, sweep, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(core, "batch_loss", refuse)
    charlm.device.why_untrainable.cache_clear()
    code, out, err = command("train", sweep("cell = 'lstm'\nprecision = 'bfloat16'\ndevice = 'cpu'\n"))
    charlm.device.why_untrainable.cache_clear()
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert "precision = 'bfloat16': this machine's cpu cannot train" in err
    assert not list((tmp_path / "runs").iterdir())


def test_train_says_when_a_run_diverged(command, sweep):
    code, out, _ = command("train", sweep('cell = "rnn"\nlearning_rate = 1e38\n'), "--workers", 1)
    assert code == 1 and out.startswith("diverged") and "lower learning rate" in out
