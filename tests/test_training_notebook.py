"""The notebook that trains, in batch: every hyper-parameter reaches the runs, from any folder, and the log stays a log."""

import json
import os
import re
import subprocess
import sys
from typing import Any

import nbformat
import papermill
import pytest
from project_files import ROOT

from charlm.protocol import Study
from charlm.report.execute import jobs
from charlm_core import Config

NOTEBOOK = ROOT / "notebooks" / "1_training.ipynb"
CHANGED: dict[str, Any] = {
    "cell": "gru",
    "hidden_size": 12,
    "layers": 2,
    "learning_rate": 0.02,
    "batch_size": 4,
    "chunk_length": 12,
    "epochs": 3,
    "patience": 2,
    "seeds": 2,
}


@pytest.fixture(scope="module")
def executed(tiny_file, tmp_path_factory):
    """(log, executed notebook, records of its runs)."""
    folder = tmp_path_factory.mktemp("anywhere")
    given = [option for name, value in CHANGED.items() for option in ("-p", name, str(value))]
    command = [sys.executable, "-m", "papermill", str(NOTEBOOK), "out.ipynb", "-p", "corpus", str(tiny_file), *given]
    env = {**os.environ, "CHARLM_RUNS": str(folder / "runs")}
    options = ["--no-progress-bar", "--log-output"]
    done = subprocess.run(command + options, cwd=folder, env=env, capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text("utf-8")) for path in (folder / "runs").glob("*/run.json")]
    return done.stderr + done.stdout, nbformat.read(folder / "out.ipynb", as_version=4), records


def test_every_hyper_parameter_reaches_the_runs(executed):
    _, _, records = executed
    assert sorted(r["config"]["seed"] for r in records) == list(range(CHANGED["seeds"]))
    for record in records:
        for name, value in CHANGED.items():
            if name != "seeds":
                assert record["config"][name] == value, name


def test_every_one_is_changed_here():
    defaults = {name: about["default"] for name, about in papermill.inspect_notebook(str(NOTEBOOK)).items()}
    assert defaults.keys() == {"corpus", *CHANGED}
    assert [name for name, value in CHANGED.items() if defaults[name].strip("'\"") == str(value)] == []


def test_it_writes_at_its_end(executed):
    _, notebook, _ = executed
    shown = [
        o.metadata["charlm"] for c in notebook.cells for o in c.get("outputs", []) if "charlm" in o.get("metadata", {})
    ]
    (written,) = [about for about in shown if about.get("id") == "written-gru"]
    (item,) = written["items"]
    assert len(item["text"]) == 301 and item["label"].startswith("GRU, seed ")


def test_its_log_is_plain_lines(executed):
    log, notebook, _ = executed
    epochs = re.findall(r"\[\d/2\] gru-12-lr0\.02-seed[01]-\w+: epoch \d, training \d\.\d+", log)
    assert len(epochs) >= CHANGED["seeds"]
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    assert not any("█" in str(o) or "image/png;base64" in str(o.get("data", {}).get("text/html", "")) for o in outputs)


def test_the_report_trains_the_studys_own_settings():
    plan = [job for job in jobs(Study(), "shakespeare-268k", ROOT) if job.notebook == NOTEBOOK]
    for job in plan:
        given = {name: value for name, value in job.parameters.items() if name not in ("corpus", "seeds")}
        assert Config(**given) == Config(cell=job.parameters["cell"])
    assert [job.parameters["cell"] for job in plan] == ["rnn", "lstm"]
