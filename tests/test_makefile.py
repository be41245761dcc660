"""What make's targets do."""

import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest
import yaml
from posix_only import run_make
from project_files import MAKEFILE, README, ROOT, calls

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
        (["SEEDS=1"], ["--seeds=1"]),
        (["EPOCHS=2"], ["--epochs=2"]),
        (["CORPUS=my own 'text'.txt"], ["--corpus=my own 'text'.txt"]),
        (["OUT=else where"], ["--out=else where"]),
        (["OUT=o", "CORPUS=c", "EPOCHS=2", "SEEDS=1"], ["--seeds=1", "--epochs=2", "--corpus=c", "--out=o"]),
        (["SEEDS="], []),
    ],
)
def test_make_report_passes_on_what_was_given(given, passed):
    told = run_make("--old-file=.venv/ready", "report", "VENV_PYTHON=printf '%s\\n'", *given)
    assert told.stdout.splitlines() == ["-m", "charlm.report", *passed]


@pytest.mark.parametrize("target", ["report", "benchmark", "pages"])
def test_only_what_stands_on_makes_command_line_counts(target, monkeypatch):
    names = ("SEEDS", "EPOCHS", "CORPUS", "OUT", "STUDIES", "OWN_TEXT", "CELL", "SEED")
    plain = run_make("--old-file=.venv/ready", target, "VENV_PYTHON=printf '%s\n'")
    steered = run_make("--old-file=.venv/ready", target, "VENV_PYTHON=printf '%s\n'", env=dict.fromkeys(names, "7"))
    assert steered.stdout == plain.stdout and "7" not in plain.stdout


def test_a_signal_to_make_alone_reaches_the_program():
    for target in ("report", "quick", "benchmark", "pages", "bench"):
        recipe = re.search(rf"^{target}: .venv/ready\n\t@?(.*)", MAKEFILE, re.M)[1]
        assert recipe.startswith("exec "), target  # so that it is make's own child


def test_make_report_ends_with_the_exit_code_of_the_program():
    assert run_make("--old-file=.venv/ready", "report", "VENV_PYTHON=true").returncode == 0
    assert run_make("--old-file=.venv/ready", "report", "VENV_PYTHON=false").returncode != 0


def test_set_up_is_done_once(checkout):
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode == 0
    venv, pip, report = calls(checkout)
    assert venv == "-m venv --clear .venv"
    assert pip.endswith("--quiet -r requirements.lock -e .")
    assert f"--no-user --target= --prefix={checkout}/.venv --root=/ " in pip  # whatever pip's configuration says
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode == 0
    assert calls(checkout) == [report] == ["-m charlm.report"]


def test_set_up_that_failed_is_done_again(checkout):
    (checkout / "no-network").touch()
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode != 0
    assert "-m charlm.report" not in calls(checkout)
    (checkout / "no-network").unlink()
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode == 0
    assert len(calls(checkout)) == 3


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_set_up_is_done_again_when_a_pin_changes_whatever_its_date(checkout, file):
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    path, ready = checkout / file, (checkout / ".venv" / "ready").stat().st_mtime
    path.write_text(path.read_text("utf-8").replace("torch==2", "torch==3"), "utf-8")
    os.utime(path, (ready - 10, ready - 10))
    calls(checkout)
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    assert len(calls(checkout)) == 3


@pytest.mark.parametrize("file", ["requirements.lock", "pyproject.toml"])
def test_a_date_in_the_future_does_not_set_up_at_every_call(checkout, file):
    os.utime(checkout / file, (time.time() + 10**6, time.time() + 10**6))
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    calls(checkout)
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    assert calls(checkout) == ["-m charlm.corpus shakespeare-268k tiny-shakespeare"]


def test_set_up_is_done_again_where_the_checkout_moved(checkout):
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    calls(moved)
    run_make("corpus", "PYTHON=./python", cwd=moved)
    assert len(calls(moved)) == 3


def test_set_up_is_done_again_when_the_interpreter_is_gone(checkout):
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    (checkout / ".venv" / "bin" / "python").unlink()
    calls(checkout)
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    assert len(calls(checkout)) == 3


def test_set_up_can_take_torch_from_another_index(checkout):
    run_make("corpus", "PYTHON=./python", "TORCH_INDEX=https://example.org/cpu", cwd=checkout)
    assert "--extra-index-url=https://example.org/cpu -r requirements.lock" in calls(checkout)[1]


def cpu_torch(checkout) -> list[str]:
    """The calls that ask torch's index of CPU builds."""
    return [line for line in (checkout / "log").read_text("utf-8").splitlines() if "--index-url=" in line]


@pytest.mark.skipif(sys.platform != "linux", reason="PyPI's torch is for CPUs alone elsewhere")
def test_without_an_nvidia_gpu_torch_alone_comes_from_its_index_of_cpu_builds(checkout):
    if Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi"):
        pytest.skip("this machine has one")
    run_make("corpus", "PYTHON=./python", cwd=checkout)
    (asked,) = cpu_torch(checkout)
    assert "--no-deps --retries 0 --timeout 15" in asked and re.search(r" torch==[\d.]+$", asked)


@pytest.mark.skipif(sys.platform != "linux", reason="PyPI's torch is for CPUs alone elsewhere")
def test_with_a_gpu_or_another_index_that_one_is_not_asked(checkout, tmp_path):
    driver = tmp_path / "bin" / "nvidia-smi"
    driver.parent.mkdir()
    driver.write_text("#!/bin/sh\n")
    driver.chmod(0o755)
    run_make("corpus", "PYTHON=./python", cwd=checkout, env={"PATH": f"{driver.parent}:{os.environ['PATH']}"})
    run_make(
        "corpus",
        "PYTHON=./python",
        "TORCH_INDEX=https://example.org/cpu",
        cwd=checkout.rename(checkout.with_name("moved")),
    )
    assert cpu_torch(checkout.with_name("moved")) == []


def test_where_that_index_is_not_reached_set_up_says_so_and_goes_on(checkout):
    (checkout / "no-index").touch()
    told = run_make("corpus", "PYTHON=./python", cwd=checkout)
    assert told.returncode == 0
    if (checkout / "log").read_text("utf-8").count("--index-url="):
        assert "was not reached" in told.stdout


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


def test_the_workflow_has_every_system_and_a_processor_without_avx512():
    jobs = WORKFLOW["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["system"] == ["ubuntu-latest", "macos-latest"]
    assert jobs["windows"]["runs-on"] == "windows-latest"
    assert jobs["avx2"]["env"] == {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}
    assert set(jobs["publish"]["needs"]) == jobs.keys() - {"publish"}


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
