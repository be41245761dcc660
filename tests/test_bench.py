"""The benchmark runs and says what it should; no timing decides anything here."""

import json
import re
import sys

import numpy as np
import pytest
import torch

import charlm_core as core
from charlm.corpus import ROOT
from charlm_core import CharModel, Config

sys.path.insert(0, str(ROOT / "benchmarks"))
import baseline
import bench


@pytest.fixture(scope="module")
def measured():
    return bench.measure(bench.SMALLEST, say=lambda line: None)


def test_the_smallest_benchmark_measures_every_ratio(measured):
    ratios = {"study", "study_float32", "lstm_step", "lstm_roofline", "sampling_1", "sampling_30", "sampling_1024"}
    assert measured["ratios"].keys() == ratios
    assert all(ratio > 0 for ratio in measured["ratios"].values())
    assert measured["figures"].keys() == {"encode_mb_per_s", "encode_bytes_per_char"}


def test_the_measurements_as_markdown_have_a_row_for_each(measured):
    text = bench.as_markdown(measured)
    assert f"sampling_30 | {measured['ratios']['sampling_30']:.3g}\n" in text
    assert "cell | hidden_size | " in text


def test_median_seconds_takes_turns_and_leaves_out_the_first():
    calls = []
    a, b = bench.median_seconds(2, lambda: calls.append("a"), lambda: calls.append("b"))
    assert "".join(calls) == "ababab" and a >= 0 and b >= 0


def test_the_products_of_a_step_add_up_to_three_times_those_of_the_forward_pass():
    # Forward: 2 × 30 × 64 × (inputs + hidden) × hidden a layer and the head. Backward twice that, but for the
    # gradient of the one-hot inputs, which nobody needs.
    flop = sum(2 * n * m * k * j for n, m, k, j in bench.products("rnn", 256, 62, Config()))
    layers = (62 + 256) * 256 + (256 + 256) * 256 + 256 * 62
    assert flop == 2 * 30 * 64 * (3 * layers - 62 * 256)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_float32_training_gives_the_losses_of_the_plain_formulation(cell, tiny):
    config = Config(cell=cell, hidden_size=32, precision="float32", device="cpu")
    weights = core.initial_weights(len(tiny.vocab), config)
    order = np.random.default_rng(0).permutation(core.count_chunks(len(tiny.ids), 30))[:20]
    plain = baseline.Training("ab" * 300, "ab", cell, 32)
    plain.model = baseline.CharModel(cell, len(tiny.vocab), 32)
    plain.model.load_state_dict(weights)
    plain.adam = torch.optim.Adam(plain.model.parameters(), lr=config.learning_rate)
    ours = CharModel(len(tiny.vocab), config)
    ours.load_state_dict(weights)
    adam = torch.optim.Adam(ours.parameters(), lr=config.learning_rate, fused=True)
    for inputs, targets in list(core.batches(tiny.ids, order, config)) * 20:
        loss, _ = core.batch_loss(ours, inputs, targets, config)
        adam.zero_grad()
        loss.backward()
        adam.step()
        one_hot = torch.nn.functional.one_hot(inputs.T, len(tiny.vocab)).float()
        assert loss.item() == pytest.approx(plain.step(one_hot, targets.T), rel=1e-5)


def test_the_page_on_speed_quotes_the_committed_benchmarks():
    intel, amd = (
        json.loads((ROOT / "benchmarks" / f"{name}.json").read_text("utf-8")) for name in ("intel-xeon", "amd-epyc")
    )
    speed = re.search(r"<!-- speed -->\n(.*?)<!-- /speed -->", (ROOT / "docs" / "speed.md").read_text("utf-8"), re.S)[1]
    _, _, *rows = [line.strip("| ").split(" | ") for line in speed.splitlines() if line.startswith("|")]
    for measured, column in ((intel, 2), (amd, 3)):
        quoted = [row[column] for row in rows if row[column] != "–"]
        assert sorted(quoted) == sorted(f"{ratio:.2f}" for ratio in measured["ratios"].values())
    assert f"about {intel['figures']['training_minutes']:.0f} minutes on the Intel" in speed
    assert f"{amd['figures']['training_minutes']:.0f} on the AMD" in speed
    assert f"{amd['figures']['training_float32_minutes']:.0f} there in float32" in speed
    assert f"{intel['figures']['render_s']:.0f} seconds" in speed
