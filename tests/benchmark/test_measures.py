"""Losses on the last tenth, each evaluation by its definition."""

import copy
from dataclasses import replace

import pytest
import torch
from synthetic import make_record
from torch.nn import functional as F

import charlm_core as core
from charlm.benchmark import measures
from charlm.runs.sweep import train_sweep
from charlm_core import CharModel, Config


@pytest.fixture(scope="module")
def model():
    config = Config(hidden_size=8, device="cpu", precision="float32")
    model = CharModel(5, config)
    model.load_state_dict(core.initial_weights(5, config))
    return model.eval()


@pytest.fixture(scope="module")
def text():
    return torch.randint(5, (2 * measures.WINDOW + 40,), generator=torch.Generator().manual_seed(0))


def losses_of(model, text):
    with torch.no_grad():
        logits, _ = model(text[:-1, None])
    return F.cross_entropy(logits[:, 0], text[1:], reduction="none")


def test_windows_lie_end_to_end_and_each_begins_from_zero(model, text):
    windows = measures.window_losses(model, text)
    assert [len(w) for w in windows] == [measures.WINDOW, measures.WINDOW, 39]
    for i, window in enumerate(windows):
        begin = i * measures.WINDOW
        torch.testing.assert_close(window, losses_of(model, text[begin : begin + len(window) + 1]))


def test_a_carried_state_sees_all_of_the_text_before(model, text, monkeypatch):
    monkeypatch.setattr(measures, "PASS_LENGTH", 100)  # pieces, so that a state is handed on
    torch.testing.assert_close(measures.carried_losses(model, text), losses_of(model, text))


def test_a_dynamic_evaluation_learns_from_what_it_has_read_and_from_nothing_else(model, text):
    learning = copy.deepcopy(model)
    found = measures.carried_losses(learning, text, 0.1)
    still = measures.carried_losses(model, text)
    first = measures.STEP_LENGTH
    torch.testing.assert_close(found[:first], still[:first])
    assert not torch.allclose(found[first:], still[first:])
    before, after = text[:200], torch.cat([text[:200], text[:100]])
    each = [measures.carried_losses(copy.deepcopy(model), piece, 0.1)[:199] for piece in (before, after)]
    torch.testing.assert_close(*each)


def test_the_rate_is_chosen_by_the_best_short_run(tiny, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(measures, "TUNING_CUT", 4000)
    monkeypatch.setattr(measures, "CUT", 4800)
    runs = train_sweep([tiny_config, replace(tiny_config, seed=1)], tiny, tmp_path, 1)
    measured = measures.with_short_losses(runs, tiny, tmp_path)
    best = measures.best_short_run(measured)
    assert [r for r in measured if "dynamic_rates" in r] == [best]
    assert [rate for rate, _ in best["dynamic_rates"]] == list(measures.DYNAMIC_RATES)
    assert measures.best_dynamic_rate(measured) == min(best["dynamic_rates"], key=lambda pair: pair[1])[0]
    assert measures.best_dynamic_rate(runs) is None


def test_models_are_averaged_by_their_probabilities():
    p, q = torch.tensor([0.5, 0.1]), torch.tensor([0.1, 0.1])
    found = measures.averaged([-p.log(), -q.log()])
    torch.testing.assert_close(found, -((p + q) / 2).double().log(), atol=1e-6, rtol=0)


def test_random_batches_add_less_noise_the_more_windows_they_draw(monkeypatch):
    windows = [torch.full((measures.WINDOW,), x) for x in (1.0, 2.0, 3.0)] + [torch.full((7,), 100.0)]
    monkeypatch.setattr(measures, "RANDOM_WINDOWS", 4)
    assert measures.random_batches_error(windows) == pytest.approx(1 / 2)


@pytest.fixture(scope="module")
def measured(tiny, tiny_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measures, "CUT", 4800)
        base = replace(tiny_config, split="sequential", carry=True, cut=4800, batch_size=8)
        runs = train_sweep([base, replace(base, seed=1)], tiny, folder, 1)
        lost = make_record("lstm", 2, diverged=True)
        return measures.with_benchmark_losses([*runs, lost], tiny, 0.1, folder)


def test_the_average_of_runs_is_better_than_their_mean(measured):
    assert [r["seed"] for r in measured] == [0, 1]
    for evaluation in (measures.WINDOWS, measures.CARRIED):
        each = [r["losses"][evaluation] for r in measured]
        together = {r["together"][evaluation] for r in measured}
        assert len(together) == 1 and together.pop() <= sum(each) / 2


def test_results_have_a_row_for_each_run_and_evaluation(measured):
    rows = measures.benchmark_rows(measured, "tiny")
    assert [(row["seed"], row["evaluation"]) for row in rows[:3]] == [
        (0, "windows-256"),
        (0, "carried"),
        (1, "windows-256"),
    ]
    assert rows[0].keys() == {
        *("cell", "corpus", "split", "evaluation", "seed", "val_loss", "parameters", "train_seconds", "machine")
    }


def test_the_best_short_run_is_that_of_the_lowest_loss_in_windows():
    runs = [make_record("lstm", 0) | {"losses": {measures.WINDOWS: x}, "dropout": x} for x in (1.6, 1.5, 1.7)]
    assert measures.best_short_run(runs)["dropout"] == 1.5
    assert measures.best_short_run([]) is None
