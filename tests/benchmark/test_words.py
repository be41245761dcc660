"""What is said of the number that everybody quotes, and the command that makes one of it."""

import html

import pytest
from synthetic import make_record

from charlm.benchmark import figures, words
from charlm.benchmark.__main__ import main
from charlm.benchmark.measures import CARRIED, WINDOWS


def heading_of(finding):
    return finding._repr_mimebundle_()[1]["charlm"]["heading"]


def runs_with(*losses, cell="lstm"):
    runs = []
    for seed, loss in enumerate(losses):
        both = {WINDOWS: loss, CARRIED: loss - 0.025}
        fields = {"losses": both, "together": both, "random_batches": 0.001, "parameters": 3_400_000}
        runs.append(make_record(cell, seed) | fields | {"machine": {"cpu": "Some CPU"}})
    return runs


def test_without_the_study_nothing_is_said():
    assert words.lowest([]) is words.benchmark_table([]) is words.tuning_table([]) is None
    assert words.earlier_recipes([], []) is None
    assert figures.quoted_losses([]) is None


@pytest.mark.parametrize(
    "losses, side",
    [
        ((1.44, 1.441, 1.442), "below the lowest loss quoted, 1.4603"),
        ((1.48, 1.481, 1.482), "above the lowest loss quoted, 1.4603"),
        ((1.45, 1.46, 1.47), "not for certain on either side of the lowest loss quoted, 1.4603"),
    ],
)
def test_below_what_is_quoted_means_the_whole_interval(losses, side):
    found = words.lowest(runs_with(*losses))
    assert side in found.filled
    assert heading_of(found) == f"The LSTM reaches {sum(losses) / 3:.3f} with 3.4 million weights"


def test_the_best_cell_is_told_of_and_the_others_beside_it():
    found = words.lowest(runs_with(1.48, 1.49) + runs_with(1.46, 1.47, cell="gru"))
    assert heading_of(found).startswith("The GRU reaches 1.465")
    assert found.filled.endswith("In the same windows: the LSTM 1.4850.")


def test_the_table_labels_each_evaluation_and_what_others_published():
    rows = words.benchmark_table(runs_with(1.44, 1.45)).frame.to_dict("records")
    assert [row["mean"] for row in rows[-3:]] == [1.4697, 1.4655, 1.4603]
    assert {row["evaluation"] for row in rows} == {
        words.READ[WINDOWS],
        words.READ[CARRIED],
        "windows of 256 drawn at random",
    }


def test_the_table_says_which_cells_were_not_trained():
    assert words.benchmark_table(runs_with(1.44)).note.endswith("for want of machine time: RNN, GRU.")


def test_the_table_says_at_which_learning_rate_each_cell_was_trained():
    both = runs_with(1.44) + [r | {"learning_rate": 0.002} for r in runs_with(1.45, cell="gru")]
    assert "Learning rate: LSTM 0.001, GRU 0.002, the LSTM's by short runs" in words.benchmark_table(both).note


def test_the_figure_has_a_row_for_each_published_loss_and_evaluation():
    assert len(figures.quoted_losses(runs_with(1.44, 1.45)).rows) == 3 + 2


def test_short_runs_are_listed_best_first():
    runs = []
    for epochs, rate, loss in ((4, 0.008, 1.7), (10, 0.002, 1.5), (20, 0.004, 1.6)):
        runs.append(make_record("lstm", 0, epochs=epochs, learning_rate=rate) | {"val_loss_last": loss})
    assert words.tuning_table(runs).frame["learning rate"].tolist() == [0.002, 0.004, 0.008]


def test_every_recipe_that_looked_at_the_last_tenth_is_told_of():
    said = html.unescape(words.earlier_recipes(runs_with(1.48, 1.49, 1.5), runs_with(1.46, 1.47, 1.48)).filled)
    assert "opened 3 times" in said
    assert "1.4900 (one-hot, batches of 64, learning rate 0.001) and 1.4700" in said
    assert "opened 2 times" in words.earlier_recipes(runs_with(1.48), []).filled


def test_without_the_short_runs_there_is_no_configuration_to_train(monkeypatch, capsys):
    monkeypatch.setattr("charlm.benchmark.__main__.benchmark", lambda corpus: [])
    assert main([]) == 2
    assert "make report STUDIES='learning_rates tuning'" in capsys.readouterr().err


def test_a_mistake_on_the_command_line_is_one_line(capsys):
    assert main(["--seed", "-1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
