"""
The house itself: one set of versions, make's targets, imports that go one way, tidy notebooks, a README that is true.
"""

import ast
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from posix_only import posix, run_make

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = sorted([*ROOT.glob("*.py"), *ROOT.glob("tests/*.py"), *ROOT.glob("benchmarks/*.py")])
README = (ROOT / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "report.yml").read_text("utf-8"))
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))

# Each module imports only from those above it.
ORDER = [
    "charlm_show",
    "charlm_corpus",
    "charlm_core",
    "charlm_text",
    "charlm_ngram",
    "charlm_runs",
    "charlm_study",
    "charlm_claims",
    "charlm_temperature",
    "charlm_meaning",
    "charlm_gradients",
    "charlm_comparison",
    "charlm_studies",
    "charlm_figures",
    "charlm_report",
    "generate",
]


def pins(requirements: str | list[str]) -> dict[str, str]:
    """{name: version} of requirements written name==version, names as packaging compares them."""
    lines = requirements.splitlines() if isinstance(requirements, str) else requirements
    found = (re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line) for line in lines)
    return {plain(match[1]): match[2] for match in found if match}


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def python_versions(text: str) -> list[tuple[int, int]]:
    """Every 3.x or (3, x) in a text, in its order."""
    return [(3, int(minor)) for minor in re.findall(r"\b3(?:\.|, )(\d+)", text)]


DIRECT = pins(PROJECT["project"]["dependencies"])
OLDEST, TOO_NEW = python_versions(PROJECT["project"]["requires-python"])


# -----------------------------------------------------------------------------
# one set of versions


def test_every_direct_dependency_is_pinned():
    assert len(DIRECT) == len(PROJECT["project"]["dependencies"])


def test_the_lock_holds_every_direct_pin():
    locked = pins(LOCK)
    assert {name: locked.get(name) for name in DIRECT} == DIRECT, "run make lock"


def test_the_build_uses_the_locked_setuptools():
    assert pins(PROJECT["build-system"]["requires"]) == {"setuptools": pins(LOCK)["setuptools"]}


def test_the_lock_names_versions_and_nothing_of_one_machine():
    lines = [line for line in LOCK.splitlines() if not line.lstrip().startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", line)] == []


def test_the_lock_serves_a_torch_without_gpu():
    assert [name for name in pins(LOCK) if name.startswith(("nvidia-", "cuda-", "triton"))] == []


def test_conda_takes_python_and_pip_only_and_leaves_the_rest_to_the_lock():
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    python, *others = ENVIRONMENT["dependencies"]
    assert re.fullmatch(r"python=3\.\d+", python)
    assert others == ["pip", {"pip": ["-r requirements.lock", "-e ."]}]


@pytest.mark.parametrize("file", ["environment.yml", ".github/workflows/report.yml"])
def test_every_python_named_elsewhere_is_supported(file):
    named = python_versions((ROOT / file).read_text("utf-8"))
    assert named and all(OLDEST <= version < TOO_NEW for version in named)


def test_make_accepts_the_pythons_of_the_project_and_locks_for_the_oldest():
    check = re.search(r"^SUPPORTED = .*$", MAKEFILE, re.M)[0]
    assert python_versions(check) == [OLDEST, TOO_NEW]
    assert f"--python-version {OLDEST[0]}.{OLDEST[1]}" in MAKEFILE


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == PROJECT["project"]["version"] == importlib.metadata.version("charlm")
    assert citation["license"] == PROJECT["project"]["license"]


# -----------------------------------------------------------------------------
# make


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout whose Python and pip are a script that only notes its arguments in log, a line a call."""
    root = tmp_path / "a check'out"
    root.mkdir()
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    python = root / "python"
    python.write_text(
        '#!/bin/sh\necho "$*" >> log\n'
        'case "$*" in "-m venv --clear "*) rm -rf "$4"; mkdir -p "$4/bin"; cp "$0" "$4/bin/python";;\n'
        '"-m pip install "*) test ! -e no-network;; esac\n'
    )
    python.chmod(0o755)
    return root


def calls(checkout: Path) -> list[str]:
    """What the script was called for since the last time this was asked."""
    log = checkout / "log"
    lines = log.read_text().splitlines() if log.exists() else []
    log.unlink(missing_ok=True)
    return [line for line in lines if not line.startswith("-c ")]


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
    assert told.stdout.splitlines() == ["-m", "charlm_report", *passed]


def test_make_report_ends_with_the_exit_code_of_the_program():
    assert run_make("--old-file=.venv/ready", "report", "VENV_PYTHON=true").returncode == 0
    assert run_make("--old-file=.venv/ready", "report", "VENV_PYTHON=false").returncode != 0


def test_set_up_is_done_once(checkout):
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode == 0
    venv, pip, report = calls(checkout)
    assert venv == "-m venv --clear .venv"
    assert pip.endswith("--quiet -r requirements.lock -e .")
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode == 0
    assert calls(checkout) == [report] == ["-m charlm_report"]


def test_set_up_that_failed_is_done_again(checkout):
    (checkout / "no-network").touch()
    assert run_make("report", "PYTHON=./python", cwd=checkout).returncode != 0
    assert "-m charlm_report" not in calls(checkout)
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
    assert calls(checkout) == ["-m charlm_corpus shakespeare-268k tiny-shakespeare"]


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


# -----------------------------------------------------------------------------
# the code


def code_of(path: Path) -> ast.Module:
    if path.suffix == ".ipynb":
        cells = nbformat.read(path, as_version=4).cells
        return ast.parse("\n".join(cell.source for cell in cells if cell.cell_type == "code"))
    return ast.parse(path.read_text("utf-8"))


def imports_of(code: ast.Module) -> Iterator[str]:
    """The top-level names that a module imports, wherever in it."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def names_of(path: Path) -> str:
    return path.name


def test_every_module_is_installed_and_has_its_place_in_the_order():
    found = sorted(path.stem for path in ROOT.glob("*.py"))
    assert found == sorted(ORDER) == sorted(PROJECT["tool"]["setuptools"]["py-modules"])


@pytest.mark.parametrize("module", ORDER)
def test_imports_go_one_way(module):
    ours = set(imports_of(code_of(ROOT / f"{module}.py"))) & set(ORDER)
    assert ours - {module} <= set(ORDER[: ORDER.index(module)])


@pytest.mark.parametrize("path", SOURCES + NOTEBOOKS, ids=names_of)
def test_what_is_imported_is_declared(path):
    ours = {source.stem for source in SOURCES}
    foreign = set(imports_of(code_of(path))) - set(sys.stdlib_module_names) - ours
    packages = importlib.metadata.packages_distributions()
    assert [name for name in sorted(foreign) if not {plain(p) for p in packages[name]} & set(DIRECT)] == []


# The tests may write a pickle, to attack with.
@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent.name != "tests"] + NOTEBOOKS, ids=names_of)
def test_nothing_is_unpickled(path):
    code = code_of(path)
    assert not {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"} & set(imports_of(code))
    for node in ast.walk(code):
        if isinstance(node, ast.Attribute):
            assert node.attr not in ("read_pickle", "to_pickle")
            assert ast.unparse(node) not in ("torch.load", "torch.save")
        elif isinstance(node, ast.ImportFrom) and node.module == "torch":
            assert not {alias.name for alias in node.names} & {"load", "save"}
        elif isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert ast.unparse(node.value) == "False"


def encodings_missed(call: ast.Call) -> bool:
    """Whether a call reads or writes text in the encoding, or with the ends of lines, of the system that it runs on."""
    given = {k.arg: k.value for k in call.keywords}
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name == "write_text":
        return len(call.args) + ("encoding" in given) < 2 or "newline" not in given
    if name == "read_text":
        return not call.args and "encoding" not in given
    if name == "open":
        place = 0 if isinstance(call.func, ast.Attribute) else 1  # Path.open(mode), open(path, mode)
        mode = call.args[place] if len(call.args) > place else given.get("mode")
        return "encoding" not in given and not (isinstance(mode, ast.Constant) and "b" in mode.value)
    return {"text", "universal_newlines"} & given.keys() != set()


@pytest.mark.parametrize("path", [p for p in SOURCES if p.parent.name != "tests"] + NOTEBOOKS, ids=names_of)
def test_text_has_the_same_bytes_on_every_system(path):
    calls = [node for node in ast.walk(code_of(path)) if isinstance(node, ast.Call)]
    assert [ast.unparse(call) for call in calls if encodings_missed(call)] == []


# -----------------------------------------------------------------------------
# notebooks and README


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_notebooks_are_stored_tidy(path):
    """Without outputs, counts and an editor's metadata, in the bytes that nbformat writes: make tidy does it."""
    text = path.read_text("utf-8")
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
        assert cell.cell_type != "code" or (cell.outputs == [] and cell.execution_count is None)
    assert text == nbformat.writes(notebook) + "\n"


def runnable_commands() -> list[str]:
    """The ```bash blocks of the README that follow a line <!-- runnable -->."""
    return re.findall(r"^<!-- runnable -->\n+```bash\n(.*?)^```$", README, re.M | re.S)


@pytest.fixture(scope="module")
def readers_checkout(tmp_path_factory) -> Path:
    """A copy to follow the README in: set up, its corpora fetched, nothing trained and no build/."""
    root = tmp_path_factory.mktemp("reader") / "charlm"
    skip = shutil.ignore_patterns(".git", ".venv", "build", "runs", "encoded", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, root, ignore=skip)
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    sums = subprocess.run(["cksum", "requirements.lock", "pyproject.toml"], cwd=root, stdout=subprocess.PIPE)
    (root / ".venv" / "ready").write_bytes(f"{root.resolve()}\n".encode() + sums.stdout)
    return root


@posix
@pytest.mark.parametrize("commands", runnable_commands())
def test_the_readmes_commands_run_from_top_to_bottom(commands, readers_checkout):
    assert "make test" not in commands, "it would call itself"
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "PYTEST"))}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    env["PYTHONPATH"] = str(readers_checkout)  # the copy's modules come before the installed ones
    told = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=readers_checkout,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_every_runnable_mark_in_the_readme_has_its_block():
    assert README.count("<!-- runnable -->") == len(runnable_commands())


def test_the_readmes_answer_is_that_of_the_committed_report():
    results = json.loads((ROOT / "report" / "results.json").read_text("utf-8"))
    answer = re.search(r"<!-- results -->\n(.*?)<!-- /results -->", README, re.S)[1]
    for row in results["tables"]["summary"]:
        cells = [row["cell"], row["last epoch"], f"{row['published']:.4f}", row["best epoch"]]
        cells += [f"{row['stopped at']:.1f}", str(row["seeds"])]
        assert f"| {' | '.join(cells)} |" in answer
    for epoch in ("best", "last"):
        assert results["findings"][f"rnn-or-lstm-{epoch}"]["text"] in answer
    for alike in ("same-hidden-size", "tuned"):
        assert results["findings"][alike]["text"] in answer


def test_the_committed_report_is_of_five_seeds_a_cell_close_to_the_published_losses():
    results = json.loads((ROOT / "report" / "results.json").read_text("utf-8"))
    for cell, published in (("rnn", 1.6059), ("lstm", 1.6002)):
        losses = [r["val_loss_last"] for r in results["runs"] if r["cell"] == cell]
        assert len(losses) == 5
        assert abs(sum(losses) / 5 - published) < 0.03
