"""Tidy notebooks, and a README that is true."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from posix_only import posix
from project_files import NOTEBOOKS, README, ROOT, names_of


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
    anywhere = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache")

    def skip(folder: str, names: list[str]) -> set[str]:
        made = {"build", "runs"} if Path(folder) == ROOT else set()
        return made | anywhere(folder, names)

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


def block(name: str) -> str:
    """What stands in the README between <!-- name --> and <!-- /name -->."""
    return re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", README, re.S)[1]


@pytest.fixture(scope="module")
def committed() -> dict:
    return json.loads((ROOT / "report" / "results.json").read_text("utf-8"))


def test_the_readmes_answer_is_that_of_the_committed_report(committed):
    summary = committed["findings"]["summary"]
    assert block("results") == f"**{summary['heading']}.** {summary['text']}\n"


def test_the_readmes_sample_is_the_lstms_of_the_committed_report(committed):
    (text,) = [item["text"] for item in committed["samples"]["side-by-side"] if item["label"] == "LSTM"]
    assert block("sample") == f"```text\n{text.rstrip()}\n```\n"


def test_the_readme_quotes_what_the_committed_report_found_beyond_the_study(committed):
    cards = [finding for finding in committed["findings"].values() if "section" in finding["values"]]
    beyond = [card["text"] for card in cards if card["values"]["section"] in ("cure-effect", "benchmark")]
    assert block("benchmark") == "".join(f"- {text}\n" for text in beyond)


def test_the_readme_is_read_in_five_minutes():
    assert len(README.split()) < 1000


def test_the_committed_report_is_of_five_seeds_a_cell_close_to_the_published_losses(committed):
    for cell, published in (("rnn", 1.6059), ("lstm", 1.6002)):
        losses = [r["val_loss_last"] for r in committed["runs"] if r["cell"] == cell]
        assert len(losses) == 5
        assert abs(sum(losses) / 5 - published) < 0.03
