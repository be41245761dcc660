"""What make's targets do."""

import os
import re
import shutil
import subprocess
import sys
import time

import pytest
import yaml
from posix_only import posix, run_make
from project_files import DIRECT, MAKEFILE, README, ROOT, calls

WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "report.yml").read_text("utf-8"))

# ---------------------------------------------------------------------------------------------------------------------
# make


def test_make_alone_names_the_targets():
    named = set(re.findall(r"^make ([a-z-]+)", run_make().stdout, re.M))
    assert named == set(re.search(r"^\.PHONY: help (.*)$", MAKEFILE, re.M)[1].split())


@pytest.mark.parametrize(
    "given, passed",
    [
        ([], []),
        (["SEEDS="], []),
        (
            ["OUT=else where", "CORPUS=my own 'text'.txt", "EPOCHS=2", "SEEDS=1"],
            ["--seeds=1", "--epochs=2", "--corpus=my own 'text'.txt", "--out=else where"],
        ),
        (["OUT=; touch x #", 'CORPUS="`touch x`$$(touch x)'], ['--corpus="`touch x`$(touch x)', "--out=; touch x #"]),
    ],
)
def test_make_report_passes_on_what_was_given(given, passed):
    told = run_make("--old-file=.venv/ready", "report", "VENV_PYTHON=printf '%s\\n'", *given)
    assert told.stdout.splitlines() == ["-m", "charlm.report", *passed]


STEERING = ("SEEDS", "EPOCHS", "CORPUS", "OUT", "STUDIES", "OWN_TEXT", "CELL", "SEED")


@pytest.mark.parametrize(
    "target, passed",
    [
        ("report", ["charlm.report"]),
        ("quick", ["charlm.report", "--quick"]),
        ("benchmark", ["charlm.benchmark"]),
    ],
)
def test_what_the_environment_has_by_such_a_name_is_not_meant_for_make(target, passed):
    assert set(STEERING) == set(re.findall(r"\$\$\{([A-Z_]+)", MAKEFILE)) - {"TORCH_INDEX"}
    environment = dict.fromkeys(STEERING, "x")
    told = run_make("--old-file=.venv/ready", target, "VENV_PYTHON=printf '%s\\n'", **environment)
    assert told.stdout.splitlines() == ["-m", *passed]


@posix
@pytest.mark.parametrize("target", ["report", "benchmark", "pages"])
def test_what_ends_make_ends_the_program(target, tmp_path):
    """make sends it on to its children, and the program is one of them."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho $PPID\n")
    python.chmod(0o755)
    command = ["make", "--no-print-directory", "--old-file=.venv/ready", target, f"VENV_PYTHON={python}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, encoding="utf-8") as make:
        assert make.communicate()[0] == f"{make.pid}\n"


def test_make_report_ends_with_the_exit_code_of_the_program():
    assert run_make("--old-file=.venv/ready", "report", "VENV_PYTHON=true").returncode == 0
    assert run_make("--old-file=.venv/ready", "report", "VENV_PYTHON=false").returncode != 0


def test_set_up_is_done_once(checkout):
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode == 0
    venv, lock, own, report = calls(checkout)
    assert venv == "-m venv --clear .venv"
    assert lock.endswith("--quiet -r requirements.lock")
    assert own.endswith("--quiet --no-deps --no-build-isolation -e .")
    for call in (lock, own):  # wherever a configuration of pip's has packages go
        assert f"--no-user --target= --prefix={checkout}/.venv --root=/ " in call
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode == 0
    assert calls(checkout) == [report] == ["-m charlm.report"]


def test_set_up_that_failed_is_done_again(checkout):
    (checkout / "no-network").touch()
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode != 0
    assert "-m charlm.report" not in calls(checkout)
    (checkout / "no-network").unlink()
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode == 0
    assert calls(checkout)[-1] == "-m charlm.report"


def repinned(checkout):
    path, ready = checkout / "requirements.lock", (checkout / ".venv" / "ready").stat().st_mtime
    path.write_text(path.read_text("utf-8").replace("torch==2", "torch==3"), "utf-8")
    os.utime(path, (ready - 10, ready - 10))
    return checkout


def moved(checkout):
    return checkout.rename(checkout.with_name("moved"))


def without_interpreter(checkout):
    (checkout / ".venv" / "bin" / "python").unlink()
    return checkout


def with_a_date_in_the_future(checkout):
    os.utime(checkout / "pyproject.toml", (time.time() + 10**6, time.time() + 10**6))
    return checkout


@pytest.mark.parametrize(
    "change, again",
    [(repinned, True), (moved, True), (without_interpreter, True), (with_a_date_in_the_future, False)],
)
def test_set_up_is_done_again_when_what_it_was_made_of_changes_whatever_its_date(checkout, change, again):
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    calls(checkout)
    checkout = change(checkout)
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    assert ("-m venv --clear .venv" in calls(checkout)) == again


def test_where_there_is_no_gpu_the_cpu_build_of_the_locked_torch_comes_first(checkout):
    run_make("corpus", "PYTHON=./python", "WITHOUT_GPU=true", cwd=checkout)
    _, torch, lock, *_ = calls(checkout)
    assert torch.endswith(f"--index-url=https://download.pytorch.org/whl/cpu torch=={DIRECT['torch']}+cpu")
    assert "--no-deps --retries=0 --timeout=15 " in torch
    assert lock.endswith("-r requirements.lock")


def test_where_the_cpu_build_cannot_be_had_set_up_says_so_and_goes_on(checkout):
    (checkout / "no-index").touch()
    told = run_make("corpus", "PYTHON=./python", "WITHOUT_GPU=true", cwd=checkout)
    assert told.returncode == 0
    (line,) = [line for line in told.stdout.splitlines() if "4.5 GB" in line]
    assert "https://download.pytorch.org/whl/cpu" in line
    assert calls(checkout)[2].endswith("-r requirements.lock")


def test_an_index_of_torch_that_is_given_decides(checkout):
    run_make("corpus", "PYTHON=./python", "TORCH_INDEX=https://example.org/cpu", "WITHOUT_GPU=true", cwd=checkout)
    assert calls(checkout)[1].endswith("--extra-index-url=https://example.org/cpu -r requirements.lock")


@pytest.mark.parametrize("tool", ["ruff format --check .", "ruff check ."])
def test_no_tool_judges_what_is_made_where_there_is_no_git(tool, tmp_path):
    assert f"$(VENV_PYTHON) -m {tool}\n" in MAKEFILE
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in ("build/lock/lib", "runs/a-run", "data", ".venv/lib", "charlm"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "bad.py").write_text("import  os; os.absent(\n")
    command = [sys.executable, "-m", *tool.split()]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True).returncode != 0
    (tmp_path / "charlm" / "bad.py").unlink()
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8")
    assert told.returncode == 0, told.stdout


def test_windows_runs_what_make_test_runs():
    """The same commands without make, in the workflow; the README names those of a user."""
    targets = {"test": re.search(r"^test: corpus\n(.*?)\n\n", MAKEFILE, re.M | re.S)[1]}
    targets["corpus"] = re.search(r"^corpus: .*\n(.*)", MAKEFILE, re.M)[1]
    ours = re.findall(r"\$\(VENV_PYTHON\) (.*)", targets["corpus"] + "\n" + targets["test"])
    steps = [step["run"] for step in WORKFLOW["jobs"]["windows"]["steps"] if "run" in step]
    python = ".venv\\Scripts\\python "
    assert [step.removeprefix(python) for step in steps[2:]] == ours
    install = f"{python}-m pip install -r requirements.lock -e ."
    assert steps[1].replace("--disable-pip-version-check ", "") == install and install in README


def test_a_python_that_is_not_supported_is_named_in_one_line(checkout):
    told = run_make("report", "PYTHON=false", cwd=checkout)
    assert told.returncode != 0
    line, _ = told.stderr.splitlines()  # the second line is make's own
    assert "needs Python 3.11 to 3.14" in line and '"false"' in line and "PYTHON=/path/to/python" in line
    assert not (checkout / ".venv").exists()


def test_make_clean_spares_trained_runs_corpora_and_set_up(checkout):
    kept = [checkout / name for name in ("runs/a/best.safetensors", "data/corpus.txt", ".venv/x/__pycache__/y.pyc")]
    gone = [checkout / name for name in ("build/x", "__pycache__/y.pyc", "tests/__pycache__/y.pyc")]
    for path in kept + gone:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert run_make("clean", cwd=checkout).returncode == 0
    assert [path.exists() for path in kept + gone] == [True] * len(kept) + [False] * len(gone)
    assert run_make("clean-runs", cwd=checkout).returncode == 0
    assert [path.exists() for path in kept] == [False, True, True]
