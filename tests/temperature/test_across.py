"""What is measured of every run, and of how many."""

import math

import pytest
import torch

from charlm.runs.folder import load_weights
from charlm.temperature import across, measures
from charlm.temperature.across import RUN_MEASURES, rows_across_runs, run_measures
from charlm.temperature.rare import after_rare
from charlm.temperature.texts import begin_texts, letters_of, set_aside


def test_what_is_measured_of_a_run_is_what_the_chapter_says(folder, tiny):
    model = load_weights(folder)
    real = set_aside(tiny, model[1], 8, 20)
    near = measures.closest_temperature(measures.measured_texts(folder, tiny, 8, 20, 1))
    kept = run_measures(folder, tiny, 8, 20, 1)
    found = dict(zip(RUN_MEASURES, kept["run"].tolist(), strict=True))
    assert found["closest"] == near.best if near.learnt else math.isnan(found["closest"])
    shares = measures.speaker_shares(begin_texts(*model, letters_of(tiny), 1), real)
    assert shares and (found["upper"], found["lower"]) == tuple(share.mean for share in shares)
    rare = after_rare(*model[:2], tiny, real, 1)
    assert kept["real"].tolist() == pytest.approx(list(rare["real"].values()), nan_ok=True)
    (row,) = measures.distributions(*model[:2], tiny, [1.0])
    assert (found["loss"], found["entropy"]) == (row["loss"], row["entropy"])


def test_runs_are_measured_once_and_under_three_the_best_alone(trained, tiny, monkeypatch):
    folder, record = trained
    asked = []
    numbers = [0.7, 0.3, 0.6, 1.0, 0.5, math.nan, 0.9, 0.9, 0.9, 0.9, 0.9, math.nan, 0.6, 0.1, 1.6, 1.5]
    lists = {"run": numbers, "drawn": [0.1] * 5, "real": [math.nan] * 5}

    def noted(folder, name, of, measure):
        asked.append(of)
        return {name: torch.tensor(values) for name, values in lists.items()}

    monkeypatch.setattr(across, "kept_measurement", noted)
    few = [record | {"seed": 0, "val_loss_best": 2.0}, record | {"seed": 1, "val_loss_best": 1.0}]
    assert [r["seed"] for r in rows_across_runs(few, tiny, 8, 20, runs=folder.parent)] == [1]
    rows = rows_across_runs([record | {"seed": s} for s in range(3)], tiny, 8, 20, runs=folder.parent)
    assert len(rows) == 3 == len(asked) - 1 and asked[0] == asked[1]
    assert rows[1]["seed"] == 1 and rows[1]["words_10"] is None and rows[1]["upper"] == pytest.approx(0.6)
    assert (rows[0]["judge"], rows[0]["headings"]) == (pytest.approx(0.6), None)
    assert rows[0]["drawn"]["itself"] == pytest.approx(0.1) and rows[0]["real"]["itself"] is None
