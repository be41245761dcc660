"""What is said of the number that everybody quotes, and the command that makes one of it."""

import pytest
from chapters import chapter, check_snapshot, finding, table_rows
from synthetic import make_record

from charlm.benchmark.__main__ import main
from charlm.benchmark.measures import CARRIED, QUOTED, WINDOWS

NAME = "8_benchmark"


def runs_with(*losses, cell="lstm"):
    runs = []
    for seed, loss in enumerate(losses):
        both = {WINDOWS: loss, CARRIED: loss - 0.025}
        fields = {"losses": both, "together": both, "random_batches": 0.001, "parameters": 3_400_000}
        runs.append(make_record(cell, seed, forget=0.06) | fields)
    return runs


def test_the_chapter_reads_as_it_did(monkeypatch):
    made = {"last_tenth": runs_with(1.44, 1.441, 1.442), "short_runs": runs_with(1.5, 1.6)}
    _, shown = chapter(NAME, monkeypatch, made=made, draw=True)
    check_snapshot(NAME, shown)


def test_below_what_is_quoted_means_the_whole_interval(monkeypatch):
    made = {"last_tenth": runs_with(1.45, 1.46, 1.47)}
    values = finding(chapter(NAME, monkeypatch, made=made)[1], "benchmark")["values"]
    assert values["side"] == "not clearly above or below" and values["target"] == 1.4603
    assert values["mean"] == pytest.approx(1.46)


def test_the_table_has_every_evaluation_and_what_others_published(monkeypatch):
    _, shown = chapter(NAME, monkeypatch, made={"last_tenth": runs_with(1.44, 1.45)})
    rows = table_rows(shown, "benchmark")
    assert [row["mean"] for row in rows] == pytest.approx([1.445, 1.42, 1.44, 1.415, *QUOTED.values()])


def test_the_answer_is_the_lstm_whatever_cell_is_lowest(monkeypatch):
    made = {"last_tenth": [*runs_with(1.45, 1.46, 1.47), *runs_with(1.40, 1.41, cell="gru")]}
    values = finding(chapter(NAME, monkeypatch, made=made)[1], "benchmark")["values"]
    assert values["mean"] == pytest.approx(1.46)


def test_the_recipes_before_are_counted_among_those_that_opened_the_last_tenth(monkeypatch):
    made = {"last_tenth": runs_with(1.45, 1.46)}
    opened = finding(chapter(NAME, monkeypatch, made=made)[1], "benchmark-earlier")
    assert opened["values"]["times"] == "4 times"


def test_without_the_study_nothing_is_said(monkeypatch):
    _, shown = chapter(NAME, monkeypatch)
    assert {about["kind"] for _, about in shown} == {"provenance", "results"}
    assert all("was not made" in about["text"] for _, about in shown if about["kind"] == "provenance")


def test_without_the_short_runs_there_is_no_configuration_to_train(monkeypatch, capsys):
    monkeypatch.setattr("charlm.benchmark.__main__.last_tenth", lambda corpus: [])
    assert main([]) == 2
    assert "make report STUDIES=short_runs" in capsys.readouterr().err


def test_a_mistake_on_the_command_line_is_one_line(capsys):
    assert main(["--seed", "-1"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
