"""What the loss comparison says of given runs."""

import pytest
from chapters import chapter, check_snapshot, contrasts_in, finding, table_rows
from synthetic import make_record, make_runs

from charlm.stats import HIGHER, NOT_JUDGED, OPEN, SAME

NAME = "2_loss_comparison"


def with_losses(cell, losses, **config):
    """Records whose validation losses at the last and the best epoch are given, a seed each."""
    return [make_record(cell, s, **config) | {"val_loss_last": x, "val_loss_best": x} for s, x in enumerate(losses)]


def overfitting(rise=0.0):
    """The studies of both configurations, the larger one with its last loss so far above its best."""
    made: dict[str, list[dict]] = {"precision": [], "precision_larger": []}
    for precision in ("float32", "bfloat16"):
        made["precision"] += make_runs(precision=precision)
        for r in make_runs(hidden_size=512, learning_rate=0.002, precision=precision):
            made["precision_larger"].append(r | {"val_loss_last": r["val_loss_best"] + rise})
    return made


def test_the_chapter_reads_as_it_did(monkeypatch):
    _, shown = chapter(NAME, monkeypatch, make_runs(), overfitting(rise=0.1), draw=True)
    check_snapshot(NAME, shown)


@pytest.mark.parametrize(
    ("lstm", "verdict", "heading"),
    [
        ([1.70, 1.71, 1.69], HIGHER, "At the last epoch the RNN is better, at the best the RNN is better"),
        ([1.601, 1.602, 1.600], SAME, "At the last epoch neither is better, at the best neither is better"),
        ([1.60, 1.70, 1.50], OPEN, "At the last epoch it is too close to call, at the best it is too close to call"),
        ([1.50, 1.51], NOT_JUDGED, "RNN or LSTM: so few seeds cannot tell"),
    ],
)
def test_the_answer_follows_from_the_verdict(monkeypatch, lstm, verdict, heading):
    _, shown = chapter(NAME, monkeypatch, with_losses("rnn", [1.6, 1.6, 1.6]) + with_losses("lstm", lstm))
    found = contrasts_in(shown)
    assert found["losses/last/lstm-rnn"]["verdict"] == found["losses/best/lstm-rnn"]["verdict"] == verdict
    assert finding(shown, "rnn-or-lstm")["heading"] == heading


def test_without_an_lstm_and_the_studies_nothing_is_compared(monkeypatch):
    _, shown = chapter(NAME, monkeypatch, make_runs(["rnn"]))
    assert finding(shown, "rnn-or-lstm") is None and contrasts_in(shown) == {}
    assert finding(shown, "overfitting") is None and finding(shown, "precision-check") is None


def test_diverged_runs_are_in_no_mean_and_are_named(monkeypatch):
    runs = [*make_runs(seeds=3), make_record("lstm", 3, diverged=True, epochs=2)]
    _, shown = chapter(NAME, monkeypatch, runs)
    assert [row["seeds"] for row in table_rows(shown, "losses") if row["epoch"] == "last"] == [3, 3]
    notes = [about["note"] for _, about in shown if about.get("id") in ("losses", "rnn-or-lstm") and "note" in about]
    assert "LSTM 256 / 0.001, seed 3, in epoch 3" in notes[0] and "left out: 3" in notes[1]


def test_the_rise_after_the_best_epoch_is_told_of_runs_that_patience_ended_alone(monkeypatch):
    _, shown = chapter(NAME, monkeypatch, make_runs(seeds=3))
    assert "A run goes on for 5 epochs after its best one" in finding(shown, "rnn-or-lstm")["text"]
    _, shown = chapter(NAME, monkeypatch, make_runs(seeds=3, epochs=2, max_epochs=2))
    assert "after its best one" not in finding(shown, "rnn-or-lstm")["text"]


@pytest.mark.parametrize(("epochs", "converged"), [({"epochs": 2, "max_epochs": 2}, False), ({}, True)])
def test_that_the_limit_of_epochs_ended_runs_is_a_note_of_what_is_compared(monkeypatch, epochs, converged):
    _, shown = chapter(NAME, monkeypatch, make_runs(seeds=3, **epochs))
    notes = contrasts_in(shown)["losses/last/lstm-rnn"]["notes"]
    assert (notes == []) == converged and " ".join(notes) in finding(shown, "rnn-or-lstm")["text"]


def test_losses_and_epochs_stand_beside_the_published_ones_of_the_study_alone(monkeypatch):
    for runs, published in ((make_runs(), [1.6059, 1.6002]), (make_runs(corpus="my.txt"), [])):
        _, shown = chapter(NAME, monkeypatch, runs)
        rows = [row for row in table_rows(shown, "losses") if row["epoch"] == "last, published"]
        assert [row["validation"] for row in rows] == published
        assert (table_rows(shown, "stopping")[0]["published"] == 28) == bool(published)


@pytest.mark.parametrize(
    ("rise", "said"), [(0.1, "the larger LSTM overfits"), (0.0, "the larger LSTM does not overfit")]
)
def test_overfitting_is_a_wider_gap_and_a_rise_above_the_best(monkeypatch, rise, said):
    _, shown = chapter(NAME, monkeypatch, make_runs(), overfitting(rise))
    assert finding(shown, "overfitting")["heading"].endswith(said)
    found = contrasts_in(shown)
    assert found["overfitting/rise/rnn"]["verdict"] == (HIGHER if rise else SAME)
    gap = found["overfitting/gap/rnn"]
    assert gap["mean"] == pytest.approx(gap["first_mean"] - gap["second_mean"])
