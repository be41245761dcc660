"""What is measured of a cure of the overfitting."""

from dataclasses import replace

import pytest
from synthetic import make_record, with_loss

import charlm_core as core
from charlm.cure import measures
from charlm.runs.folder import load_weights
from charlm.runs.sweep import train_sweep
from charlm_core import CharModel


def test_the_dropout_with_the_lowest_mean_is_taken_and_one_that_diverged_is_not():
    runs = [*with_loss("lstm", [1.50, 1.60], dropout=0.5), *with_loss("lstm", [1.54, 1.54], dropout=0.2)]
    assert measures.best_dropout(runs) == 0.2
    assert measures.best_dropout([*runs, make_record("lstm", 2, dropout=0.2, diverged=True)]) == 0.5
    assert measures.best_dropout([]) is None


def test_of_equal_dropouts_the_smallest_is_taken():
    runs = [*with_loss("lstm", [1.5], dropout=0.4), *with_loss("lstm", [1.5], dropout=0.2)]
    assert measures.best_dropout(runs) == 0.2


def test_training_at_rest_is_without_dropout_and_of_the_best_epoch(tiny, tiny_config, tmp_path):
    config = replace(tiny_config, dropout=0.5)
    (run,) = train_sweep([config], tiny, tmp_path, 1)
    (measured,) = measures.with_training_at_rest([run], tiny, tmp_path)
    weights, trained, vocab = load_weights(tmp_path / run["run_id"])
    plain = CharModel(len(vocab), replace(trained, dropout=0.0))
    plain.load_state_dict(weights)
    train, _ = core.split_chunks(core.count_chunks(len(tiny.ids), trained.chunk_length), trained)
    assert measured["train_at_rest"] == core.evaluate(plain, tiny.ids, train, trained)
    assert measured["train_at_rest"] < run["train_loss_best"]


def test_a_run_that_diverged_has_no_training_at_rest(tiny, tmp_path):
    (measured,) = measures.with_training_at_rest([make_record("lstm", 0, diverged=True)], tiny, tmp_path)
    assert measured["train_at_rest"] is None and measures.gap_at_rest(measured) is None


def test_a_run_is_set_beside_the_counting_model_of_its_split():
    run = make_record("lstm", 0)
    assert measures.above_counting(run) is None
    assert measures.above_counting(run | {"counting": 1.5}) == pytest.approx(run["val_loss_best"] - 1.5)
