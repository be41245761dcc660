"""One set of versions, everywhere the same."""

import importlib.metadata
import re

import pytest
import yaml
from project_files import DIRECT, MAKEFILE, PROJECT, ROOT, pins

LOCK = (ROOT / "requirements.lock").read_text("utf-8")
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))


def python_versions(text: str) -> list[tuple[int, int]]:
    """Every 3.x or (3, x) in a text, in its order."""
    return [(3, int(minor)) for minor in re.findall(r"\b3(?:\.|, )(\d+)", text)]


OLDEST, TOO_NEW = python_versions(PROJECT["project"]["requires-python"])

# ---------------------------------------------------------------------------------------------------------------------
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
    index = re.search(r"^CPU_INDEX = (.*)$", MAKEFILE, re.M)[1]
    assert others == ["pip", {"pip": [f"--extra-index-url {index}", "-r requirements.lock", "-e ."]}]


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
