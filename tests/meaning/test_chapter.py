"""What the chapter on the meaning of a loss says of given measures."""

import math

import numpy as np
import pytest
import torch
from chapters import chapter, check_snapshot, contrasts_in, finding, table_rows
from synthetic import make_measured, make_record

from charlm.meaning import measures
from charlm.stats import HIGHER, LOWER, NOT_JUDGED, SAME

NAME = "4_what_the_loss_means"


@pytest.fixture
def told(monkeypatch):
    """The chapter on measured runs, and on measured runs of the sequential split."""

    def tell(runs, sequential=(), draw=False):
        monkeypatch.setattr(measures, "with_measured_losses", lambda records, corpus: list(runs))
        return chapter(NAME, monkeypatch, runs, {"sequential": list(sequential)}, draw=draw)[1]

    return tell


def test_the_chapter_reads_as_it_did(told):
    check_snapshot(NAME, told(make_measured(), make_measured(loss=1.7, ngram=1.6), draw=True))


@pytest.mark.parametrize(
    ("loss", "seeds", "verdict", "heading"),
    [
        (3.3, 5, SAME, "Nothing was learnt"),
        (2.0, 2, NOT_JUDGED, "RNN: more was learnt than frequencies, as far as so few seeds tell"),
        (3.3, 2, NOT_JUDGED, "RNN: no more was learnt than frequencies, as far as so few seeds tell"),
    ],
)
def test_what_is_learnt_is_judged_against_the_frequencies_of_characters(told, loss, seeds, verdict, heading):
    shown = told(make_measured(["rnn"], seeds, loss=loss))
    assert contrasts_in(shown)["counting/order-1/rnn"]["verdict"] == verdict
    said = finding(shown, "beyond-frequencies")
    assert heading in said["heading"] and said["values"]["nothing_learnt"] == (loss > 3)


def test_cells_are_judged_against_the_best_model_that_counts(told):
    shown = told(make_measured(loss=1.4))
    assert contrasts_in(shown)["counting/best-order/lstm"]["verdict"] == LOWER
    said = finding(shown, "against-counting")
    assert said["heading"] == "RNN and LSTM: a lower loss than a model that only counts"
    assert (said["values"]["order"], said["values"]["floor"]) == (3, 1.5)


def test_a_network_and_counting_are_judged_together_against_either(told):
    found = contrasts_in(told(make_measured(loss=1.6, ngram=1.5)))
    assert found["together/counting/rnn"]["mean"] == pytest.approx(-0.05)
    assert found["together/network/rnn"]["verdict"] == LOWER
    assert found["together/lstm-rnn"]["verdict"] == SAME


def test_losses_together_are_those_of_the_mean_of_the_probabilities():
    network, counting = (
        torch.tensor([[0.5], [0.25]]),
        np.array([[[0.25, 0.5]], [[0.5, 0.25]]]),
    )  # (time, chunks), (orders, chunks, time)
    found = measures.losses_together(-network.log(), -np.log(counting))
    first = -(math.log(0.375) + math.log(0.375)) / 2
    assert found == pytest.approx([first, -(math.log(0.5) + math.log(0.25)) / 2])


def test_a_carried_state_is_judged_by_the_loss_it_changes(told):
    shown = told(make_measured(carried=0.0))
    assert contrasts_in(shown)["chunk/carried/lstm"]["verdict"] == SAME
    assert "no difference that matters" in finding(shown, "first-characters")["text"]


def test_the_steps_of_the_gap_add_up_to_it(told):
    found = contrasts_in(told(make_measured(gap=0.3, size=0.1)))
    steps = [found[f"gap/{step}/rnn"]["mean"] for step in ("rest", "size", "equal")]
    assert sum(steps) == pytest.approx(found["gap/last/rnn"]["mean"])
    assert found["gap/size/rnn"]["verdict"] == HIGHER


def test_where_validation_loss_is_not_above_there_is_no_gap_to_explain(told):
    assert "There is no gap" in finding(told(make_measured(gap=0.0)), "gap")["heading"]


def test_the_scale_gives_nats_bits_and_the_number_of_characters_as_hard_to_guess_between(told):
    rows = table_rows(told(make_measured(seeds=3, loss=2 * math.log(2))), "loss-scale")
    assert [row["predictor"] for row in rows][1:] == ["counting, order 1", "counting, order 3", "RNN", "LSTM"]
    assert rows[3]["nats"] == pytest.approx(2 * math.log(2) + 0.001)  # 0, 1 and 2 thousandths above
    assert rows[3]["bits"] == pytest.approx(2 + 0.001 / math.log(2)) and rows[3]["right"] == 0.5
    assert rows[0]["as hard as"] > 60 and rows[1]["right"] is None


def test_runs_that_diverged_are_named_and_where_none_finished_nothing_is_said(told):
    lost = make_record("rnn", 0, epochs=2, diverged=True)
    shown = told([*make_measured(["lstm"]), lost])
    (note,) = [about["note"] for _, about in shown if about.get("id") == "loss-scale"]
    assert "RNN 256 / 0.001, seed 0, in epoch 3" in note
    assert contrasts_in(told([lost])) == {}
