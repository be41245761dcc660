"""What the chapter on gradients says of given runs and gradients."""

import pytest
from chapters import chapter, check_snapshot, contrasts_in, finding, table_rows
from gradient_curves import decay, fallen
from synthetic import make_record, make_runs

from charlm.gradients import measures
from charlm.stats import HIGHER, LOWER, NOT_JUDGED, OPEN, SAME

NAME = "5_gradients"


def told_of(patch, after, before=(), made=None, changes=None, draw=False):
    """What the chapter shows where these are the runs with their gradients; changes: {cell: loss changed at FAR}, by 1 at NEAR."""
    after = [r | ({"gradient_long": r["gradient"]} if "gradient" in r else {}) for r in after]
    replaced = [
        r | {"near": 1.0, "far": changes[r["cell"]] * 1.01 ** r["seed"]}
        for r in after
        if changes and r["cell"] in changes
    ]
    patch.setattr(measures, "before_training", lambda configs, corpus: list(before))
    patch.setattr(measures, "with_gradient_curves", lambda records, corpus, length: records)
    patch.setattr(measures, "with_changes", lambda records, corpus: replaced)
    runs = [r for r in after if r["cell"] != "gru"]
    return chapter(NAME, patch, runs, {"cells": after if len(runs) < len(after) else []} | (made or {}), draw, seeds=5)[
        1
    ]


def both(rnn, lstm, spread=1.02):
    return fallen("rnn", rnn) + fallen("lstm", lstm, spread)


def losing(runs, loss):
    """The runs with a validation loss at the best epoch that differs a little from seed to seed."""
    return [r | {"val_loss_best": loss + 1e-4 * r["seed"]} for r in runs]


def test_the_chapter_reads_as_it_did(monkeypatch):
    before = both(1e-4, 5e-4) + fallen("gru", 5e-4)
    after = losing(both(0.014, 0.035), 1.59) + losing(fallen("gru", 0.007), 1.54)
    shown = told_of(monkeypatch, after, before, changes={"rnn": 0.003, "lstm": 0.01}, draw=True)
    check_snapshot(NAME, shown)


@pytest.mark.parametrize(
    ("runs", "verdict", "said"),
    [
        (fallen("rnn", 0.01), LOWER, "yes"),
        (fallen("rnn", 0.5), HIGHER, "no"),
        (fallen("rnn", 0.1), OPEN, "open"),
        (decay(0.1, 0.1), NOT_JUDGED, "–"),
    ],
)
def test_a_gradient_vanishes_where_the_interval_lies_below_a_tenth(monkeypatch, runs, verdict, said):
    shown = told_of(monkeypatch, runs)
    assert contrasts_in(shown)["gradients/after/vanishes/rnn"]["verdict"] == verdict
    assert [row["vanishes"] for row in table_rows(shown, "gradients")] == [said, said]


@pytest.mark.parametrize(
    ("after", "verdict", "heading"),
    [
        (both(0.01, 0.5), HIGHER, "After training the gradient of the RNN vanishes; the LSTM's falls more slowly"),
        (both(0.01, 0.011, 1.1), SAME, "After training every cell's gradient vanishes; the LSTM's falls like"),
        (decay(0.5) + decay(0.9, cell="lstm"), NOT_JUDGED, "So few seeds cannot tell"),
    ],
)
def test_the_heading_says_whose_gradient_vanishes_and_whose_falls_more_slowly(monkeypatch, after, verdict, heading):
    shown = told_of(monkeypatch, after)
    assert contrasts_in(shown)["gradients/after/lstm-rnn"]["verdict"] == verdict
    assert heading in finding(shown, "gradients")["heading"]


@pytest.mark.parametrize(
    ("rnn", "lstm", "loss", "says"),
    [
        (0.01, 0.1, 1.4, "gradient reaches further back, predicts better"),
        (0.1, 0.01, 1.4, "not shown to reach further back"),
    ],
)
def test_reach_is_set_against_the_loss(monkeypatch, rnn, lstm, loss, says):
    shown = told_of(monkeypatch, losing(fallen("rnn", rnn), 1.5) + losing(fallen("lstm", lstm), loss))
    assert says in finding(shown, "gradients-and-loss")["text"]
    assert contrasts_in(shown)["losses/best/lstm-rnn"]["mean"] == pytest.approx(loss - 1.5)


def test_the_loss_at_the_rate_that_suits_each_cell_stands_beside_it(monkeypatch):
    tuned = make_runs(["rnn"], 3, learning_rate=0.002)
    tuned += [r | {"val_loss_best": r["val_loss_best"] - 0.1} for r in make_runs(["lstm"], 3, learning_rate=0.008)]
    shown = told_of(monkeypatch, losing(both(0.01, 0.1), 1.5), made={"tuned": tuned})
    about = finding(shown, "gradients-and-loss")
    assert "predicts no better; at the rate that suits each, by its best epoch, it predicts better" in about["text"]
    assert "(RNN 0.002, LSTM 0.008)" in about["text"]
    assert contrasts_in(shown)["cells/own-rate/lstm-rnn"]["verdict"] == LOWER


def test_shorter_runs_have_no_longer_ones_of_a_study_beside_them(monkeypatch):
    short = [r | {"max_epochs": 2} for r in losing(both(0.01, 0.1), 1.5)]
    made = {"cells": [r | {"gradient_long": r["gradient"]} for r in fallen("gru", 0.001)], "tuned": make_runs(seeds=3)}
    shown = told_of(monkeypatch, short, made=made)
    assert not any("gru" in key or "rate" in key for key in contrasts_in(shown))


def test_the_gru_stands_beside_them_where_it_was_trained(monkeypatch):
    runs = losing(both(0.01, 0.1), 1.5)
    shown = told_of(monkeypatch, runs + losing(fallen("gru", 0.001), 1.4))
    text = finding(shown, "gradients-and-loss")["text"]
    assert "The GRU's gradient reaches less far than the RNN's" in text and "0.1000 nats lower" in text
    assert contrasts_in(shown)["cells/same-size/gru-rnn"]["verdict"] == LOWER
    assert "GRU" not in finding(told_of(monkeypatch, runs), "gradients-and-loss")["text"]


def test_what_training_changes_is_a_factor_by_cell(monkeypatch):
    shown = told_of(monkeypatch, fallen("rnn", 0.1), fallen("rnn", 0.001) + fallen("gru", 0.1))
    assert contrasts_in(shown)["gradients/learned/rnn"]["mean"] == pytest.approx(2)
    assert finding(shown, "gradients-learned")["text"] == "Training multiplies the ratio by 100 (RNN)."


@pytest.mark.parametrize(
    ("changes", "verdict", "agrees"),
    [
        ({"rnn": 0.01, "lstm": 0.1}, HIGHER, "as by the gradient"),
        ({"rnn": 0.1, "lstm": 0.01}, LOWER, "other than by the gradient"),
    ],
)
def test_the_experiment_is_compared_with_the_gradient(monkeypatch, changes, verdict, agrees):
    shown = told_of(monkeypatch, both(0.01, 0.1), changes=changes)
    assert contrasts_in(shown)["gradients/replaced/lstm-rnn"]["verdict"] == verdict
    assert agrees in finding(shown, "gradients-replaced")["text"]


def test_the_table_says_how_far_each_cell_reaches(monkeypatch):
    shown = told_of(monkeypatch, decay(0.5, 0.5), decay(0.5, 1))
    before, after, _ = table_rows(shown, "gradients")
    assert (before["half"], before["a tenth"]) == ("2 to beyond 29", "5 to beyond 29")
    assert (after["half"], after["a tenth"], after["norm at 1"]) == ("2", "5", pytest.approx(0.5))


def test_without_a_finished_run_the_chapter_has_no_answer(monkeypatch):
    shown = told_of(monkeypatch, [make_record("rnn", 0, epochs=1, diverged=True)])
    assert finding(shown, "gradients") is None and contrasts_in(shown) == {}
