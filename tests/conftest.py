"""Fixtures: a small text, a configuration that trains on it in a fraction of a second, a run made of both."""

import random
import shutil
from pathlib import Path

import pytest
from chromium import LEFT_OUT, start_chromium
from playwright.sync_api import sync_playwright
from project_files import ROOT
from xdist.scheduler import LoadScopeScheduling

import charlm_core as core
from charlm.corpus import load_corpus
from charlm.runs.sweep import train_sweep
from charlm_core import Config

# Files whose tests share what takes long to make.
WHOLE = {
    "test_browser.py",
    "test_notebooks.py",
    "test_play.py",
    "test_report.py",
}


class Spread(LoadScopeScheduling):
    """Gives tests to processes one by one, but those of a file in WHOLE together; such files come first."""

    # Not `--dist loadgroup`: xdist 3.8.0 does not see the groups of pytest 9.2.0.
    def _split_scope(self, nodeid):
        file = nodeid.partition("::")[0]
        return file if Path(file).name in WHOLE else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Spread(config, log)


def pytest_collection_modifyitems(items):
    """What is slow begins early, so that no process is left with it while the others have nothing more to do. What needs a
    browser is left out where there is none."""
    if LEFT_OUT:
        items[:] = [item for item in items if "browser" not in item.fixturenames]
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_terminal_summary(terminalreporter):
    if LEFT_OUT:
        terminalreporter.line(
            "left out for want of a Chromium (CHROMIUM=path names one): how the page and the lab work"
        )


@pytest.fixture(scope="module")  # not of the session: while Playwright runs nothing else in the process can use asyncio
def browser():
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def tiny_text():
    """About 6,000 characters that a model can learn something of: sentences over few words, and two speakers."""
    rng = random.Random(0)
    words = "the king and queen of my heart will speak no more with all this sorrow upon us".split()
    lines = []
    for _ in range(150):
        lines.append(rng.choice(["BRUTUS:", "Clara:"]))
        lines.append(" ".join(rng.choices(words, k=6)).capitalize() + ".")
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def tiny_file(tiny_text, tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus") / "tiny.txt"
    path.write_text(tiny_text, "utf-8")
    return path


@pytest.fixture(scope="session")
def tiny(tiny_file):
    return load_corpus(str(tiny_file))


@pytest.fixture(scope="session")
def shakespeare():
    return load_corpus("shakespeare-268k")


@pytest.fixture(scope="session")
def tiny_config():
    return Config(
        cell="lstm",
        hidden_size=16,
        layers=2,
        learning_rate=0.01,
        batch_size=8,
        epochs=3,
        precision="float32",
        device="cpu",
    )


@pytest.fixture(scope="session")
def trained(tiny, tiny_config, tmp_path_factory):
    """(folder, record) of a finished run."""
    runs = tmp_path_factory.mktemp("runs")
    (record,) = train_sweep([tiny_config], tiny, runs, say=lambda line: None)
    return runs / record["run_id"], record


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the trained run's folder, to measure in or to damage."""
    return shutil.copytree(trained[0], tmp_path / trained[0].name)


@pytest.fixture(scope="module")
def split(tiny, tiny_config):
    return core.split_chunks(core.count_chunks(len(tiny.ids), tiny_config.chunk_length), tiny_config)


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
        '"-m pip install "*--index-url=*) test ! -e no-index;;\n'
        '"-m pip install "*) test ! -e no-network;; esac\n'
    )
    python.chmod(0o755)
    return root
