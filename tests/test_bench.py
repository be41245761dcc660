"""The benchmark runs and says what it should; no timing decides anything here."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import charlm_core as core
from charlm.corpus import ROOT
from charlm_core import CharModel, Config

sys.path.insert(0, str(ROOT / "benchmarks"))
import baseline
import bench


def test_it_prints_a_row_for_each_cell_and_one_for_a_text(tiny_file, capsys, monkeypatch):
    monkeypatch.setattr(bench, "CHARACTERS", 5)
    monkeypatch.setattr(bench, "TURNS", 1)
    monkeypatch.setattr(baseline, "THREADS", 1)
    monkeypatch.setattr(bench, "ProcessPoolExecutor", lambda cores, context: ThreadPoolExecutor(1))
    bench.main(8, str(tiny_file))
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "seconds" in line]
    assert [row[0].split()[-2].strip(",") for row in rows] == ["RNN", "LSTM", "GRU", "characters"]
    assert all(float(ratio) >= 0 for *_, ratio in rows)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_float32_training_gives_the_losses_of_the_plain_formulation(cell, tiny, monkeypatch):
    monkeypatch.setattr(baseline, "THREADS", 1)
    config = Config(cell=cell, hidden_size=16, precision="float32", device="cpu")
    weights = core.initial_weights(len(tiny.vocab), config)
    order = np.random.default_rng(0).permutation(core.count_chunks(len(tiny.ids), 30))[:20]
    plain = baseline.Training("ab" * 300, "ab", cell, 16)
    plain.model = baseline.CharModel(cell, len(tiny.vocab), 16)
    plain.model.load_state_dict(weights)
    plain.adam = torch.optim.Adam(plain.model.parameters(), lr=config.learning_rate)
    ours = CharModel(len(tiny.vocab), config)
    ours.load_state_dict(weights)
    adam = torch.optim.Adam(ours.parameters(), lr=config.learning_rate, fused=True)
    for inputs, targets in list(core.batches(tiny.ids, order, config)) * 4:
        loss, _ = core.batch_loss(ours, inputs, targets, config)
        adam.zero_grad()
        loss.backward()
        adam.step()
        one_hot = torch.nn.functional.one_hot(inputs.T, len(tiny.vocab)).float()
        assert loss.item() == pytest.approx(plain.step(one_hot, targets.T), rel=1e-5)
