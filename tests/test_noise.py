"""The real notebooks on a text in which there is nothing to learn."""

import json
import os
import random
import subprocess
import sys

import pytest
from project_files import ROOT

from charlm.stats import LOWER, NOT_JUDGED

# Only those that judge, without a page.
JUDGES = """
import sys
from pathlib import Path
from charlm.protocol import Study
from charlm.report import execute, make
from small_notebooks import STUDY

file, stage = map(Path, sys.argv[1:])
make.write_page = make.make_pdf = lambda *arguments: None
plan = execute.jobs(Study(corpus=str(file), seeds=3, epochs=2), file, stage / "results.json")
make.build_report([job for job in plan if job.notebook.name[0] in "2340"], STUDY, "", stage)
"""


@pytest.mark.slow
def test_of_random_characters_the_report_says_that_nothing_was_learnt(tmp_path):
    file = tmp_path / "noise.txt"
    file.write_text("".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyzABC \n", k=8_000)))
    env = {**os.environ, "CHARLM_RUNS": str(tmp_path / "runs"), "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(
        [sys.executable, "-c", JUDGES, file, tmp_path], cwd=ROOT, env=env, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    for cell in ("rnn", "lstm"):
        learnt = results["contrasts"][f"counting/order-1/{cell}"]
        assert learnt["verdict"] not in (LOWER, NOT_JUDGED), learnt
    assert results["claims"] and "confirmed" not in {c["verdict"] for c in results["claims"]}
    assert results["findings"]["against-counting"]["values"]["order"] == 1
    assert results["findings"]["summary"]["heading"].startswith("Nothing was learnt from this text")
