"""The real notebooks on a text in which there is nothing to learn."""

import json
import random

import pytest
from test_notebooks import report_of

from charlm.stats import LOWER, NOT_JUDGED


@pytest.mark.slow
def test_of_random_characters_the_report_says_that_nothing_was_learnt(tmp_path):
    file = tmp_path / "noise.txt"
    file.write_text("".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyzABC \n", k=8_000)))
    _, out = report_of(file, tmp_path, seeds=3, epochs=2)
    results = json.loads((out / "results.json").read_text("utf-8"))
    for cell in ("rnn", "lstm"):
        learnt = results["contrasts"][f"counting/order-1/{cell}"]
        assert learnt["verdict"] not in (LOWER, NOT_JUDGED), learnt
    assert "confirmed" not in {c["verdict"] for c in results["claims"]}
    assert results["findings"]["against-counting"]["values"]["order"] == 1
    assert "<h1>Nothing was learnt from this text" in (out / "report.html").read_text("utf-8")
