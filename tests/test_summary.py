"""The summary: a title that follows from the verdicts, a standfirst that fits under it, cards that lead on."""

import ast

import papermill
import pytest
from project_files import ROOT
from synthetic import make_record, make_runs

from charlm import summary
from charlm.cells.words import comparison, enough_seeds
from charlm.summary import read_results
from charlm_core import CharlmError


def losing(cell, by, seeds=4, **config):
    """Runs of both cells, of which one has the higher loss at both epochs."""
    runs = []
    for r in make_runs(["rnn", "lstm"], seeds, **config):
        loss = 1.6 + 0.0005 * r["seed"] + by * (r["cell"] == cell) * (1 + 0.01 * r["seed"])
        runs.append(r | {"val_loss_last": loss, "val_loss_best": loss})
    return runs


def found(runs, tuned=(), **findings):
    """What the notebooks found, as far as the summary needs it. Findings: their values by id, with _ for each hyphen."""
    told = {id.replace("_", "-"): {"values": values} for id, values in findings.items()}
    if tuned:
        told["tuned"] = {"values": comparison(tuned, "tuned", "").values}
    return {"runs": runs, "findings": told, "figures": {}, "samples": {}, "study": {"corpus": "a text"}}


LUCK = {"one": 0.54}


@pytest.mark.parametrize(
    ("results", "title"),
    [
        (found(losing("rnn", 0.1)), "The LSTM is better than the RNN on this text"),
        (found(losing("lstm", 0.1)), "The RNN is better than the LSTM on this text"),
        (found(losing("rnn", 0.0)), "RNN or LSTM? On this text there is no difference that matters"),
        (found(losing("rnn", 0.1, seeds=2)), "RNN or LSTM? So few seeds cannot tell"),
        (found([]), "RNN or LSTM? So few seeds cannot tell"),
        (found(losing("lstm", 0.1), tuned=losing("rnn", 0.1)), "RNN or LSTM? How you compare decides"),
        (
            found(losing("lstm", 0.1), tuned=losing("rnn", 0.1), enough_seeds=LUCK),
            "RNN or LSTM? Chance makes differences as large; how you compare decides",
        ),
        (
            found(losing("lstm", 0.1, corpus="my.txt"), tuned=losing("rnn", 0.1), enough_seeds=LUCK),
            "RNN or LSTM? How you compare decides",
        ),
        (
            found(losing("rnn", 0.1), beyond_frequencies={"nothing_learnt": True}),
            "Nothing was learnt from this text: counting single characters does as well",
        ),
    ],
)
def test_the_title_is_the_finding(results, title):
    assert summary.summary_title(results).heading == title
    assert len(title.split()) <= 14


def test_the_standfirst_says_what_was_claimed_what_chance_does_and_what_holds():
    said = summary.summary_title(found(losing("lstm", 0.1), tuned=losing("rnn", 0.1), enough_seeds=LUCK)).filled
    assert said == (
        "The source study trained each cell once; the LSTM won by 0.0057 nats. Chance makes two runs differ that much in 54% of "
        "cases. Over seeds, the RNN wins at the last epoch, the RNN at the best, the LSTM with its own learning rate."
    )
    assert len(said.split()) <= 45


def test_of_another_text_the_standfirst_does_not_speak_of_the_study():
    said = summary.summary_title(found(losing("lstm", 0.1, corpus="my.txt"), enough_seeds=LUCK)).filled
    assert "study" not in said and "a text" in said and "4 random seeds each" in said
    assert "the RNN wins at the last epoch" in said


def test_without_a_verdict_the_standfirst_says_so():
    assert "No difference is judged" in summary.summary_title(found(losing("rnn", 0.1, seeds=1))).filled
    assert "1 random seed each" in summary.summary_title(found([make_record("rnn", 0)])).filled


def test_cards_lead_to_the_sections_that_were_found():
    assert summary.summary_cards(found(make_runs()), []).items == [
        {
            "text": "How far back does a gradient reach, and does it pay?",
            "section": "gradients-and-loss",
            "figure": None,
        }
    ]
    results = found(
        make_runs(),
        enough_seeds=enough_seeds(make_runs(seeds=4)).values,
        against_counting={"floor": 1.5, "order": 6, "seeds": [0], "rnn_mean": 0.08, "lstm_mean": 0.07},
        gradients_and_loss={"reach": "confirmed", "loss": "no difference that matters"},
        temperature_closest={"best": 0.7, "least": 1.5, "one": 6.0, "learnt": True},
    )
    claims = [{"verdict": "confirmed"}, {"verdict": "refuted"}]
    cards = {card["section"]: card["text"] for card in summary.summary_cards(results, claims).items}
    assert list(cards) == [
        "enough-seeds",
        "against-counting",
        "gradients-and-loss",
        "temperature-closest",
        "claims-judged",
    ]
    assert "sequences of 6 characters costs 0.070 nats less than the better network does" in cards["against-counting"]
    assert "predicts no better for it" in cards["gradients-and-loss"]
    assert "at T = 0.7 is 4.0 times as close" in cards["temperature-closest"]
    assert cards["claims-judged"].startswith("1 of 2 published claims hold")


def test_the_best_of_what_lies_beyond_the_study_is_a_card_with_its_protocol():
    best = {"loss": 1.4912, "n": 5}
    beyond = {"cell": "LSTM", "parameters": 3.4, "mean": 1.4412, "seeds": "3 seeds", "target": 1.4603}
    results = found(
        make_runs(),
        cure_and_counting={"best": "lstm", "lstm": best, "dropout": 0.5, "counting": 1.522},
        benchmark=beyond,
    )
    cards = {card["section"]: card["text"] for card in summary.summary_cards(results, []).items}
    assert cards["cure-and-counting"] == (
        "Cured by dropout of 0.5, the larger LSTM reaches 1.4912 on the study's chunks (mean of the best epoch, 5 seeds); "
        "counting has 1.5220."
    )
    assert cards["benchmark"] == (
        "On the last tenth of tiny shakespeare the LSTM reaches 1.4412 with 3.4 million weights, in windows of 256 (mean of 3 "
        "seeds); the lowest loss quoted is 1.4603."
    )


def test_no_temperature_is_praised_where_nothing_was_learnt():
    results = found(make_runs(), temperature_closest={"best": 0.7, "least": 1.5, "one": 6.0, "learnt": False})
    assert "temperature-closest" not in {card["section"] for card in summary.summary_cards(results, []).items}
    assert "no closer to real text" in summary.what_they_write(results).heading


def test_the_samples_are_those_of_the_temperature_study():
    results = found(make_runs())
    assert summary.summary_samples(results) is None
    items = [{"label": "RNN", "text": "ANNA:\nso", "prompt": "ANNA:\n"}]
    results["samples"]["side-by-side"] = items
    shown = summary.summary_samples(results)
    assert shown and shown.items == items and shown.columns


# ---------------------------------------------------------------------------------------------------------------------
# what the other notebooks found


def test_the_committed_results_are_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (about,) = papermill.inspect_notebook(str(ROOT / "notebooks" / "0_summary.ipynb")).values()
    assert read_results(ast.literal_eval(about["default"]))["runs"]


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff"])
def test_results_that_cannot_be_read_are_named_in_one_line(content, tmp_path):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CharlmError, match=r"results\.json .*; give the results.json of a report$"):
        read_results(path)
