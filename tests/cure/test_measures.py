"""What is measured of a cure of the overfitting."""

from dataclasses import replace

from synthetic import make_record

import charlm_core as core
from charlm.cure import measures
from charlm.runs.folder import load_weights
from charlm.runs.sweep import train_sweep
from charlm_core import CharModel


def test_an_arm_is_what_of_the_cure_a_run_has():
    arms = {"nothing": (0.0, "constant"), "dropout": (0.4, "constant"), "rest": (0.0, "cosine"), "all": (0.4, "cosine")}
    runs = {arm: make_record("lstm", dropout=share, schedule=how) for arm, (share, how) in arms.items()}
    assert measures.by_arm(list(runs.values())) == {arm: [r] for arm, r in runs.items()}


def test_training_at_rest_is_without_dropout_and_of_the_best_epoch(tiny, tiny_config, tmp_path):
    config = replace(tiny_config, dropout=0.5, learning_rate=0.3, epochs=50, patience=1)  # ends after a worse epoch
    (run,) = train_sweep([config], tiny, tmp_path, 1)
    assert run["best_epoch"] < run["epochs"]
    (measured,) = measures.with_training_at_rest([run], tiny, tmp_path)
    weights, trained, vocab = load_weights(tmp_path / run["run_id"])
    plain = CharModel(len(vocab), replace(trained, dropout=0.0))
    plain.load_state_dict(weights)
    train, _ = core.split_chunks(core.count_chunks(len(tiny.ids), trained.chunk_length), trained)
    assert measured["train_at_rest"] == core.evaluate(plain, tiny.ids, train, trained)
    assert measured["train_at_rest"] < run["train_loss_best"]


def test_a_run_that_diverged_has_no_training_at_rest(tiny, tmp_path):
    (measured,) = measures.with_training_at_rest([make_record("lstm", 0, diverged=True)], tiny, tmp_path)
    assert measured["train_at_rest"] is None
