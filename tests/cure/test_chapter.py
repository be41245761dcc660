"""What the chapter on the cure says of given studies."""

from html import unescape

import pytest
from chapters import chapter, check_snapshot, contrasts_in, finding
from synthetic import with_loss

from charlm.stats import HIGHER, LOWER, SAME

NAME = "7_the_cure"
ARMS = {
    arm: {"dropout": share, "schedule": schedule}
    for arm, share, schedule in (
        ("nothing", 0.0, "constant"),
        ("dropout", 0.5, "constant"),
        ("rest", 0.0, "cosine"),
        ("all", 0.5, "cosine"),
    )
}


def made(losses, at_rest=1.3):
    """A study of runs with given best losses, {arm: {cell: losses by seed}}, with what is measured of them."""
    runs = []
    for arm, each in losses.items():
        for cell, values in each.items():
            runs += with_loss(cell, values, **ARMS[arm])
    measured = {"counting": 1.522, "counting_order": 6, "train_at_rest": at_rest}
    return {"arms": [r | measured | {"together": r["val_loss_best"] - 0.05} for r in runs]}


def near(loss, n=5):
    """Losses of n seeds, all but equal."""
    return [loss + 0.0005 * seed for seed in range(n)]


BY_ARM = {
    "nothing": {"rnn": near(1.58), "lstm": near(1.54)},
    "dropout": {"rnn": near(1.58), "lstm": near(1.52)},
    "rest": {"rnn": near(1.60), "lstm": near(1.53)},
    "all": {"rnn": near(1.58), "lstm": near(1.47)},
}


def more_text(losses_by_times):
    runs = []
    for times, losses in losses_by_times.items():
        runs += with_loss("lstm", losses, characters=times * 100, validation_characters=100)
    return runs


def test_the_chapter_reads_as_it_did(monkeypatch):
    tried = [r for share in (0.4, 0.5) for r in with_loss("lstm", [1.51 - share / 100], dropout=share)]
    longer = more_text({1: near(1.54, 3), 4: near(1.40, 3)})
    monkeypatch.setattr("charlm.studies.is_of_study", lambda corpus: True)
    _, shown = chapter(NAME, monkeypatch, made=made(BY_ARM) | {"dropouts": tried, "more_text": longer}, draw=True)
    check_snapshot(NAME, shown)


def test_what_cures_is_what_the_arms_say(monkeypatch):
    _, shown = chapter(NAME, monkeypatch, made=made(BY_ARM))
    found = contrasts_in(shown)
    assert found["cure/rest-nothing/rnn"]["verdict"] == HIGHER and found["cure/all-nothing/rnn"]["verdict"] == SAME
    assert found["cure/all-dropout/lstm"]["mean"] == pytest.approx(-0.05)
    said = finding(shown, "cure-effect")
    assert said["heading"] == "The cure lowers the best loss of the LSTM"
    values = said["values"]
    assert (values["dropout"], values["both"]) == ("the LSTM", "the LSTM")
    assert values["rest"] == "the LSTM (raises it for the RNN)"


def test_the_arms_of_all_cells_are_one_family(monkeypatch):
    found = contrasts_in(chapter(NAME, monkeypatch, made=made(BY_ARM))[1])
    levels = [c["level"] for key, c in found.items() if key.rpartition("/")[0].count("-") == 1 and "gap" not in key]
    assert len(levels) == 2 * 5 and max(levels) == pytest.approx(1 - 0.05 / 10)


def test_the_heading_names_the_cells_that_were_harmed(monkeypatch):
    worse = BY_ARM | {"all": {cell: near(1.7) for cell in ("rnn", "lstm")}}
    _, shown = chapter(NAME, monkeypatch, made=made(worse))
    assert finding(shown, "cure-effect")["heading"].endswith("and raises that of the RNN and LSTM")


def test_below_counting_means_the_whole_interval(monkeypatch):
    wide = BY_ARM | {"all": {"lstm": [1.505, 1.519, 1.530, 1.51, 1.52]}}
    _, shown = chapter(NAME, monkeypatch, made=made(wide))
    said = finding(shown, "cure-and-counting")
    assert "No network has a lower loss than counting" in said["text"]
    assert said["values"]["best"] == "LSTM" and said["values"]["counting"] == pytest.approx(1.522)
    assert contrasts_in(shown)["cure/together/lstm"]["verdict"] == LOWER


def test_the_cure_and_more_text_are_judged_by_the_rule(monkeypatch):
    monkeypatch.setattr("charlm.studies.is_of_study", lambda corpus: True)
    longer = more_text({1: near(1.54, 3), 4: near(1.53, 3)})
    _, shown = chapter(NAME, monkeypatch, made=made(BY_ARM) | {"more_text": longer})
    assert contrasts_in(shown)["cure/more-text/4"]["verdict"] == LOWER
    assert "The cure does more than 4 times the text" in unescape(finding(shown, "more-text")["text"])


def test_without_studies_nothing_is_said(monkeypatch):
    _, shown = chapter(NAME, monkeypatch)
    assert all("was not made" in about["text"] for _, about in shown) and contrasts_in(shown) == {}
