"""What the chapter on the cure says of given studies."""

from html import unescape

import pytest
from chapters import chapter, check_snapshot, contrasts_in, finding
from synthetic import with_loss

from charlm.stats import HIGHER, LOWER

NAME = "7_the_cure"


def with_cure(losses, **fields):
    """Runs of each cell with given best losses, with all of the cure and what is measured of it."""
    runs = [r for cell, each in losses.items() for r in with_loss(cell, each, dropout=0.4, schedule="cosine")]
    return [r | {"counting": 1.522, "counting_order": 6, "train_at_rest": 1.3} | fields for r in runs]


def without_cure(losses):
    return [r for cell, each in losses.items() for r in with_loss(cell, each, precision="bfloat16")]


def more_text(losses_by_times):
    runs = []
    for times, losses in losses_by_times.items():
        runs += with_loss("lstm", losses, characters=times * 100, validation_characters=100)
    return runs


BEFORE = {"rnn": [1.58, 1.581, 1.579], "lstm": [1.54, 1.541, 1.539]}
AFTER = {"rnn": [1.58, 1.582, 1.578], "lstm": [1.50, 1.501, 1.499]}


def made(after, before=BEFORE, **others):
    return {"cure": with_cure(after), "precision_larger": without_cure(before)} | others


def test_the_chapter_reads_as_it_did(monkeypatch):
    tried = with_loss("lstm", [1.52, 1.53], dropout=0.2) + with_loss("lstm", [1.51, 1.52], dropout=0.4)
    longer = more_text({1: [1.54, 1.541, 1.539], 4: [1.40, 1.401, 1.399]})
    monkeypatch.setattr("charlm.studies.is_of_study", lambda corpus: True)
    _, shown = chapter(NAME, monkeypatch, made=made(AFTER, dropout=tried, more_text=longer), draw=True)
    check_snapshot(NAME, shown)


def test_the_heading_names_the_cells_that_were_harmed(monkeypatch):
    _, shown = chapter(NAME, monkeypatch, made=made({cell: [1.70, 1.701, 1.699] for cell in BEFORE}))
    assert {contrasts_in(shown)[f"cure/best/{cell}"]["verdict"] for cell in BEFORE} == {HIGHER}
    assert finding(shown, "cure-effect")["heading"].endswith("and raises that of the RNN and LSTM")


def test_below_counting_means_the_whole_interval(monkeypatch):
    _, shown = chapter(NAME, monkeypatch, made=made({"rnn": [1.6, 1.601, 1.602], "lstm": [1.519, 1.530, 1.52]}))
    said = finding(shown, "cure-and-counting")
    assert "No cell comes below" in said["text"]
    assert said["values"]["best"] == "LSTM" and said["values"]["counting"] == pytest.approx(1.522)


def test_the_cure_and_more_text_are_judged_by_the_rule(monkeypatch):
    monkeypatch.setattr("charlm.studies.is_of_study", lambda corpus: True)
    longer = more_text({1: [1.54, 1.541, 1.539], 4: [1.53, 1.531, 1.529]})
    _, shown = chapter(NAME, monkeypatch, made=made(AFTER, more_text=longer))
    assert contrasts_in(shown)["cure/more-text/4"]["verdict"] == LOWER
    assert "The cure does more than 4 times the text" in unescape(finding(shown, "more-text")["text"])


def test_the_gap_is_compared_where_it_was_measured_on_both_sides(monkeypatch):
    both = {"gru": [1.545, 1.546, 1.544]}
    plain = [r | {"train_at_rest": 1.35, "counting": None} for r in without_cure(both)]
    studies = {"cure": [*with_cure({"gru": [1.505, 1.506, 1.504]}), *plain], "precision_larger": without_cure(BEFORE)}
    found = contrasts_in(chapter(NAME, monkeypatch, made=studies)[1])
    assert [key for key in found if "gap" in key] == ["cure/gap-at-rest/gru"]
    assert found["cure/gap-at-rest/gru"]["mean"] == pytest.approx(0.205 - 0.195)


def test_without_studies_nothing_is_said(monkeypatch):
    _, shown = chapter(NAME, monkeypatch)
    assert all("was not made" in about["text"] for _, about in shown) and contrasts_in(shown) == {}
