"""What is said of a cure of the overfitting."""

import html

import pytest
from synthetic import make_record, with_loss

from charlm.cure import figures, words

WITHOUT = [*with_loss("rnn", [1.58, 1.581, 1.579]), *with_loss("lstm", [1.54, 1.541, 1.539])]


def heading_of(finding):
    return finding._repr_mimebundle_()[1]["charlm"]["heading"]


def cured(rnn, lstm, counting=None):
    runs = [*with_loss("rnn", rnn, dropout=0.5), *with_loss("lstm", lstm, dropout=0.5)]
    return [r | {"counting": counting, "counting_order": 6, "train_at_rest": 1.3} for r in runs]


def test_without_studies_nothing_is_said():
    assert words.chosen_dropout([]) is words.dropout_table([]) is words.what_the_cure_does([], []) is None
    assert (
        words.cure_table([], [])
        is words.rise_and_gap_table([], [])
        is words.below_counting([])
        is words.more_text_or_cure([], [])
        is None
    )
    assert words.more_text_table([]) is figures.cure_compared([], []) is figures.loss_by_length([], []) is None


def test_the_heading_names_the_cells_that_were_helped():
    found = words.what_the_cure_does(WITHOUT, cured([1.58, 1.582, 1.578], [1.50, 1.501, 1.499]))
    assert heading_of(found) == "The cure lowers the best loss of the LSTM"
    assert found.values["lstm"]["verdict"] == "confirmed"
    assert found.values["rnn"]["verdict"] == "no difference that matters"
    found = words.what_the_cure_does(WITHOUT, cured([1.70, 1.701, 1.699], [1.70, 1.701, 1.699]))
    assert heading_of(found) == "The cure lowers no cell's best loss for certain, and raises that of the RNN and LSTM"


@pytest.mark.parametrize(
    "lstm, heading",
    [
        ([1.50, 1.501, 1.499], "The LSTM comes below the counting model"),
        ([1.519, 1.525, 1.52], "No cell comes below the counting model"),
    ],
)
def test_below_counting_means_the_whole_interval(lstm, heading):
    found = words.below_counting(cured([1.6, 1.601, 1.602], lstm, counting=1.522))
    assert heading_of(found) == heading
    assert "Counting (6-gram) has 1.5220 on the same splits; with the cure, RNN 1.6010 (" in found.filled
    assert found.values["best"] == "lstm"
    assert found.values["lstm"]["loss"] == pytest.approx(sum(lstm) / 3)


@pytest.mark.parametrize(
    "most, heading",
    [
        ([1.45, 1.451, 1.449], "4 times the text does more than the cure"),
        ([1.53, 1.531, 1.529], "The cure does more than 4 times the text"),
        ([1.50, 1.501, 1.502], "The cure does as much as 4 times the text"),
        ([1.40, 1.50, 1.60], "The cure or 4 times the text: too close to call"),
    ],
)
def test_the_cure_and_more_text_are_judged_by_the_rule(most, heading):
    runs = []
    for times, losses in ((1, [1.54, 1.541, 1.539]), (4, most)):
        runs += with_loss("lstm", losses, characters=times * 100, validation_characters=100)
    found = words.more_text_or_cure(runs, cured([1.6] * 3, [1.50, 1.501, 1.501]))
    assert heading_of(found).replace("&#58;", ":") == heading
    assert "on the study's text alone, it is 1.5007" in html.unescape(found.filled)
    assert [row["characters"] for row in words.more_text_table(runs).frame.to_dict("records")] == [100, 400]


def test_the_tables_of_the_cure_have_both_gaps_and_judge_the_difference():
    both = (WITHOUT, cured([1.5] * 3, [1.5] * 3))
    rows = words.cure_table(*both).frame.to_dict("records")
    gaps = words.rise_and_gap_table(*both).frame.to_dict("records")
    assert [(r["cell"], r["cure"]) for r in rows] == [
        ("RNN", "without"),
        ("RNN", "with"),
        ("LSTM", "without"),
        ("LSTM", "with"),
    ]
    assert gaps[1]["gap, at rest"] == pytest.approx(0.2) and gaps[0]["gap, at rest"] is None
    assert rows[1]["verdict"] == rows[3]["verdict"] == "confirmed"


def test_the_figure_of_the_cure_draws_every_run():
    treated = cured([1.57, 1.571, 1.572], [1.5, 1.501, 1.499], counting=1.522)
    rows = figures.cure_compared(WITHOUT, treated).rows
    dots = [(row["cell"], row["cure"], row["seed"]) for row in rows if "epoch" not in row]
    assert len(dots) == len(set(dots)) == len(WITHOUT) + len(treated)


def test_a_run_that_diverged_is_named_and_in_no_mean():
    treated = [*cured([1.6] * 3, [1.5] * 3), make_record("lstm", 3, dropout=0.5, diverged=True)]
    assert "1 run diverged" in words.cure_table(WITHOUT, treated).note


def test_a_cell_that_was_still_getting_better_is_named():
    treated = []
    for r in cured([1.6] * 3, [1.5] * 3):
        best = {"rnn": 19, "lstm": 14}[r["cell"]]
        treated.append(r | {"epochs": 20, "best_epoch": best})
    note = words.rise_and_gap_table(WITHOUT, treated).note
    assert "RNN with the cure: no run was better before its last two epochs" in note
    treated[0]["best_epoch"] = 18
    assert "last two epochs" not in words.rise_and_gap_table(WITHOUT, treated).note


def test_the_rise_after_the_best_epoch_is_told_with_and_without():
    before = [r | {"val_loss_last": r["val_loss_best"] + 0.15} for r in WITHOUT]
    after = [r | {"val_loss_last": r["val_loss_best"] + 0.002} for r in cured([1.58] * 3, [1.50] * 3)]
    found = words.what_the_cure_does(before, after)
    assert "it rises by 0.002 at most, where it was 0.150" in found.filled
    assert found.values["lstm"]["rise_without"] == pytest.approx(0.15)
    assert "predicted 0.20 to 0.28 nats better, with dropout off" in found.filled
