"""The summary: a title that follows from the verdicts, a standfirst that fits under it, cards that lead on."""

import ast
import json

import papermill
import pytest
from chapters import chapter, check_snapshot, finding, results_of
from project_files import ROOT
from synthetic import make_record, make_runs, with_loss

from charlm.claims import read_results
from charlm_core import CharlmError

NAME = "0_summary"
LOSSES, FAIR, CURE = "2_loss_comparison", "6_fair_comparison", "7_the_cure"


def losing(cell, by, seeds=4, **config):
    """Runs of both cells, of which one has the higher loss at both epochs; all else is near what the study published."""
    runs = []
    for r in make_runs(["rnn", "lstm"], seeds, **config):
        wobble = 0.02 * (-1) ** r["seed"]
        loss = 1.603 + 0.5 * wobble + by * (r["cell"] == cell) * (1 + 0.01 * r["seed"])
        published = {"rnn": (28, 1.3844, 7), "lstm": (30, 1.3188, 10)}[r["cell"]]
        stop, training, crossing = published
        ran, crossing = stop + r["seed"] % 2, crossing + r["seed"] % 2
        crossed = [0.9] * (crossing - 1) + [2.0] * (ran - crossing + 1)
        near = {"epochs": ran, "best_epoch": ran - 5, "train_loss_last": training + wobble}
        near |= {"val_loss": crossed, "train_loss": [1.0] * ran}
        runs.append(r | near | {"val_loss_last": loss, "val_loss_best": loss})
    return runs


@pytest.fixture
def summed_up(monkeypatch, tmp_path):
    """The summary of runs of the report, of studies by name, and of other findings."""

    def sum_up(runs, made=None, **findings):
        asked = (LOSSES, FAIR, CURE) if made else (LOSSES,)  # the others are about studies alone
        shown = [chapter(name, monkeypatch, runs, made)[1] for name in asked]
        results = results_of(*shown, runs=runs)
        results["findings"] |= {id.replace("_", "-"): {"values": values} for id, values in findings.items()}
        path = tmp_path / "results.json"
        path.write_text(json.dumps(results), "utf-8", newline="\n")
        return chapter(NAME, monkeypatch, results=str(path))[1]

    return sum_up


@pytest.mark.parametrize(
    ("runs", "title"),
    [
        (losing("lstm", 0.04), "The study's numbers hold, its conclusion does not"),
        (losing("rnn", 0.04), "The study's numbers hold, and so does its conclusion"),
        (losing("rnn", 0.0), "The study's numbers hold; between the cells there is no difference that matters"),
        (losing("lstm", 9.0), "Not all of the study's numbers come back"),
        (losing("rnn", 0.1, seeds=2), "So few seeds cannot tell"),
        (losing("rnn", 0.1, corpus="my.txt"), "The LSTM is better than the RNN on this text"),
    ],
)
def test_the_title_is_the_finding(summed_up, runs, title):
    heading = finding(summed_up(runs), "summary")["heading"]
    assert heading == f"RNN or LSTM? {title}" and len(heading.split()) <= 16


def test_where_the_ways_to_compare_disagree_the_title_says_so(summed_up):
    tuned = [r | {"learning_rate": 0.002} for r in losing("rnn", 0.1, corpus="my.txt")]
    shown = summed_up(losing("lstm", 0.1, corpus="my.txt"), {"tuned": tuned})
    assert finding(shown, "summary")["heading"] == "RNN or LSTM? How you compare decides"


@pytest.mark.parametrize(("cell", "opposite"), [("lstm", True), ("rnn", False)])
def test_that_most_pairs_say_the_opposite_is_said_only_where_they_do(summed_up, cell, opposite):
    shown = summed_up(losing(cell, 0.04), {"cells": losing(cell, 0.04, seeds=5)})
    assert ("But most pairs say the opposite" in finding(shown, "summary")["text"]) == opposite


def test_the_summary_reads_as_it_did(summed_up):
    made = {"cells": losing("lstm", 0.04, seeds=5), "tuned": losing("rnn", 0.1, learning_rate=0.002)}
    findings = {
        "temperature_closest": {"best": 0.7, "learnt": True},
        "against_counting": {"order": 6, "rnn_mean": 0.07, "floor": 1.52, "seeds": [0]},
    }
    check_snapshot(NAME, summed_up(losing("lstm", 0.04), made, **findings))


def test_cards_lead_to_the_sections_that_were_found(summed_up):
    made = {"cells": losing("lstm", 0.04, seeds=5)}
    shown = summed_up(
        losing("lstm", 0.04),
        made,
        benchmark={"mean": 1.47, "side": "above", "parameters": 3.5, "seeds": "3 seeds", "target": 1.46},
    )
    (cards,) = [about for _, about in shown if about["kind"] == "cards"]
    assert [item["section"] for item in cards["items"]] == ["enough-seeds", "benchmark"]
    assert all(item["figure"] for item in cards["items"])


def test_a_row_for_each_way_has_the_means_and_intervals_of_its_contrasts(summed_up):
    made = {
        "parameters": [r for c, x in (("rnn", 1.5), ("lstm", 1.6)) for r in with_loss(c, [x, x + 0.01, x])],
    }
    shown = summed_up(losing("lstm", 0.04), made)
    (figure,) = [about for _, about in shown if about["kind"] == "figure"]
    rows = [(row["way"], row["cell"], row["verdict"]) for row in figure["rows"]]
    assert rows[:4:2] == [
        ("equal settings, last epoch", "rnn", "higher"),
        ("equal settings, best epoch", "rnn", "higher"),
    ]
    assert [row["val_loss"] for row in figure["rows"][4:]] == pytest.approx([1.5033, 1.6033], abs=1e-4)


def test_the_seeds_said_are_those_of_the_main_runs_where_their_settings_are_not_the_studys(summed_up):
    few = make_runs(seeds=1, epochs=2, max_epochs=2)
    shown = summed_up(few, {"cells": make_runs(["rnn", "lstm", "gru"], 10)})
    (figure,) = [about for _, about in shown if about["kind"] == "figure"]
    assert {row["seeds"] for row in figure["rows"]} == {1} and "no interval" in figure["caption"]
    assert finding(shown, "summary")["values"]["times"] == "1 random seed"


@pytest.mark.parametrize(("fields", "marked"), [({"epochs": 10, "max_epochs": 10}, 1), ({}, 0)])
def test_a_way_whose_runs_were_cut_short_is_marked_and_no_other(summed_up, fields, marked):
    shown = summed_up(losing("lstm", 0.04), {"parameters": make_runs(seeds=3, **fields)})
    (figure,) = [about for _, about in shown if about["kind"] == "figure"]
    assert figure["alt"].count("runs cut short") == marked


def test_without_runs_there_is_no_figure_and_no_claim(summed_up):
    lost = [make_record(cell, seed, diverged=True, epochs=0) for cell in ("rnn", "lstm") for seed in range(3)]
    shown = summed_up(lost)
    assert finding(shown, "summary")["heading"] == "RNN or LSTM? So few seeds cannot tell"
    assert not [about for _, about in shown if about["kind"] == "figure"]


def test_the_committed_results_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (about,) = papermill.inspect_notebook(str(ROOT / "notebooks" / "0_summary.ipynb")).values()
    assert read_results(ast.literal_eval(about["default"]))["runs"]


@pytest.mark.parametrize("content", [None, b"{", b"\xff"])
def test_results_that_cannot_be_read_are_named_in_one_line(content, tmp_path):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CharlmError, match=r"results\.json .*; give the results.json of a report$"):
        read_results(path)
