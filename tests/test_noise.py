"""The real chapters on a text in which there is nothing to learn."""

import json
import random
from dataclasses import replace
from functools import partial

import pytest
from chapters import chapter, results_of

from charlm.corpus import load_corpus
from charlm.meaning import measures
from charlm.protocol import Study
from charlm.runs.sweep import train_sweep
from charlm.stats import LOWER, NOT_JUDGED
from charlm.temperature import across


@pytest.mark.slow
def test_of_random_characters_the_report_says_that_nothing_was_learnt(tmp_path, monkeypatch):
    file = tmp_path / "noise.txt"
    file.write_text("".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyzABC \n", k=8_000)))
    configs = [replace(config, hidden_size=32) for config in Study(seeds=3, epochs=2).configurations()]
    runs = train_sweep(configs, load_corpus(file), tmp_path, 1, say=lambda line: None)
    monkeypatch.setattr("charlm.runs.folder.RUNS", tmp_path)
    monkeypatch.setattr(measures, "with_measured_losses", partial(measures.with_measured_losses, runs=tmp_path))
    monkeypatch.setattr(across, "rows_across_runs", partial(across.rows_across_runs, runs=tmp_path))
    monkeypatch.setattr("charlm.temperature.samples.side_by_side", lambda *arguments: [])
    names = ("2_loss_comparison", "3_temperature_study", "4_what_the_loss_means")
    shown = [chapter(name, monkeypatch, runs, corpus=str(file))[1] for name in names]
    results = results_of(*shown, runs=runs, corpus="noise.txt")
    (tmp_path / "results.json").write_text(json.dumps(results))
    summary = results_of(chapter("0_summary", monkeypatch, results=str(tmp_path / "results.json"))[1], runs=runs)
    for cell in ("rnn", "lstm"):
        learnt = results["contrasts"][f"counting/order-1/{cell}"]
        assert learnt["verdict"] not in (LOWER, NOT_JUDGED), learnt
    assert summary["claims"] and "confirmed" not in {c["verdict"] for c in summary["claims"]}
    assert results["findings"]["against-counting"]["values"]["order"] == 1
    assert summary["findings"]["summary"]["heading"].startswith("Nothing was learnt from this text")
