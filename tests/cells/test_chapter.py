"""What the fair comparison says of given studies."""

import pytest
from chapters import chapter, check_snapshot, contrasts_in, finding, table_rows
from synthetic import make_record, make_runs, with_loss

from charlm.stats import LOWER

NAME = "6_fair_comparison"
CELLS = ("rnn", "lstm", "gru")


def with_cells(rnn, lstm, gru=(), **config):
    runs = []
    for cell, losses in zip(CELLS, (rnn, lstm, gru), strict=True):
        runs += [r | {"val_loss_last": r["val_loss_best"]} for r in with_loss(cell, losses, **config)]
    return runs


def crossed(effect_of_split):
    """Every split with every seed; the loss follows the split, or the seed."""
    runs = []
    for cell, seed, split in [(c, a, b) for c in CELLS[:2] for a in range(3) for b in range(3)]:
        loss = 1.6 + 0.01 * (split if effect_of_split else seed)
        runs.append(make_record(cell, seed, split_seed=split) | {"val_loss_best": loss})
    return runs


def test_the_chapter_reads_as_it_did(monkeypatch):
    made = {"cells": make_runs(CELLS, 4), "parameters": make_runs(CELLS, 4, shift=0.01), "split": crossed(True)}
    made["learning_rates"] = make_runs(CELLS, 3) + make_runs(CELLS, 3, learning_rate=0.002, shift=-0.01)
    made["tuned"] = [r | {"seed": r["seed"] + 3} for r in make_runs(CELLS, 3, learning_rate=0.002)]
    _, shown = chapter(NAME, monkeypatch, made=made, draw=True)
    check_snapshot(NAME, shown)


@pytest.mark.parametrize(
    ("tuned", "heading"),
    [(1.70, "The RNN is better than the LSTM, whatever is kept equal"), (1.50, "it depends on what is kept equal")],
)
def test_the_heading_says_whether_the_ways_agree(monkeypatch, tuned, heading):
    rnn, lstm = [1.6, 1.6, 1.6], [1.70, 1.71, 1.69]
    made = {"cells": with_cells(rnn, lstm), "tuned": with_cells(rnn, [tuned, tuned + 0.01, tuned - 0.01])}
    _, shown = chapter(NAME, monkeypatch, made=made)
    assert heading in finding(shown, "fair-comparison")["heading"]


def test_at_the_rate_that_suits_each_the_last_epoch_is_told_beside_the_best(monkeypatch):
    tuned = with_cells([1.6, 1.6, 1.6], [1.5, 1.51, 1.49])
    for r in tuned:
        r["val_loss_last"] += 0.2 * (r["cell"] == "lstm")
    _, shown = chapter(NAME, monkeypatch, made={"cells": make_runs(CELLS[:2], 3), "tuned": tuned})
    found = contrasts_in(shown)
    keys = ("cells/own-rate/lstm-rnn", "cells/own-rate-last/lstm-rnn")
    assert [found[key]["verdict"] for key in keys] == ["lower", "higher"]
    assert "LSTM best, then RNN; at the last epoch the RNN is better" in finding(shown, "fair-comparison")["text"]


def test_runs_that_the_limit_of_epochs_cut_short_are_told_of_in_their_contrast(monkeypatch):
    cut = make_runs(CELLS[:2], 3, epochs=10, max_epochs=10)
    _, shown = chapter(NAME, monkeypatch, made={"parameters": cut, "cells": make_runs(CELLS[:2], 3)})
    found = contrasts_in(shown)
    assert "Not converged" in found["cells/same-parameters/lstm-rnn"]["notes"][0]
    assert found["cells/same-size/lstm-rnn"]["notes"] == []


def test_cells_are_compared_on_seeds_that_did_not_choose_their_rates(monkeypatch):
    swept = make_runs(CELLS, 3) + make_runs(CELLS, 3, learning_rate=0.002, shift=-0.05)
    _, shown = chapter(NAME, monkeypatch, made={"learning_rates": swept})
    assert "a little too good" in finding(shown, "chosen-rates")["text"]
    assert contrasts_in(shown)["cells/own-rate/lstm-rnn"]["n"] == 3
    tuned = [r | {"seed": r["seed"] + 3} for r in make_runs(CELLS, 4, learning_rate=0.002)]
    _, shown = chapter(NAME, monkeypatch, made={"learning_rates": swept, "tuned": tuned})
    assert "compared on others" in finding(shown, "chosen-rates")["text"]
    assert contrasts_in(shown)["cells/own-rate/lstm-rnn"]["n"] == 4


def test_what_a_rate_of_its_own_gains_is_told_on_the_seeds_of_both(monkeypatch):
    swept = make_runs(CELLS, 3) + make_runs(CELLS, 3, learning_rate=0.002, shift=-0.05)
    tuned = [r | {"seed": r["seed"] + 3} for r in make_runs(CELLS, 4, learning_rate=0.002, shift=-0.05)]
    made = {"learning_rates": swept, "tuned": tuned, "cells": make_runs(CELLS, 6)}
    _, shown = chapter(NAME, monkeypatch, made=made)
    gained = contrasts_in(shown)["cells/own-rate-gain/rnn"]
    assert gained["n"] == 3 and gained["verdict"] == LOWER


def test_what_the_split_does_is_told_from_what_the_seed_does(monkeypatch):
    for effect, part, other in ((True, "split", "seed"), (False, "seed", "split")):
        _, shown = chapter(NAME, monkeypatch, made={"split": crossed(effect)})
        row = table_rows(shown, "spread")[0]
        assert row[part] == pytest.approx(0.01) and row[other] == pytest.approx(0, abs=1e-9)


def test_every_run_is_paired_with_every_run_of_the_other_cell(monkeypatch):
    made = {"cells": with_cells([1.60, 1.61], [1.59, 1.605])}
    values = finding(chapter(NAME, monkeypatch, made=made)[1], "enough-seeds")["values"]
    assert (values["pairs"], values["lower"], values["as_low"]) == (4, 3, 2)


def test_of_a_study_that_was_not_made_nothing_is_said(monkeypatch):
    _, shown = chapter(NAME, monkeypatch)
    assert all("was not made" in about["text"] for _, about in shown) and contrasts_in(shown) == {}
