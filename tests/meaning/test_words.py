"""What is said of what a loss means, from given measures."""

import math
from dataclasses import replace

import numpy as np
import pytest
from synthetic import make_measured, make_record

from charlm.corpus import load_corpus
from charlm.meaning import measures
from charlm.meaning.measures import GAP
from charlm.meaning.words import (
    NOTHING,
    against_counting,
    against_counting_by_cell,
    beyond_frequencies,
    carried_on,
    first_characters,
    gap_table,
    is_it_size,
    neighbours,
    scale_table,
    what_makes_gap,
    what_neighbours_do,
    where_in_chunk,
)
from charlm.runs.sweep import train_sweep


def test_the_scale_gives_nats_bits_and_the_number_of_characters_as_hard_to_guess_between():
    rows = scale_table(make_measured(seeds=3, loss=2 * math.log(2)), 62).frame.to_dict("records")
    names = [r["predictor"] for r in rows]
    assert names == [
        "all 62 characters alike",
        "n-gram, order 1: how often each occurs",
        "n-gram, order 3: the best",
        "RNN",
        "LSTM",
    ]
    assert rows[0]["nats"] == pytest.approx(math.log(62)) and rows[0]["as hard as"] == pytest.approx(62)
    assert rows[3]["nats"] == pytest.approx(2 * math.log(2) + 0.001)  # 0, 1 and 2 thousandths above
    assert rows[3]["bits"] == pytest.approx(2 + 0.001 / math.log(2))
    assert rows[3]["as hard as"] == pytest.approx(4 * math.exp(0.001))
    assert rows[3]["right"] == 0.5
    assert rows[1]["nats"] == pytest.approx(3.3) and rows[1]["right"] is None


def test_the_scale_names_the_runs_that_diverged():
    table = scale_table([*make_measured(["lstm"]), make_record("rnn", 0, epochs=2, diverged=True)], 62)
    assert "RNN 256 / 0.001, seed 0, in epoch 3" in table.note
    assert scale_table([make_record("rnn", 0, epochs=2, diverged=True)], 62).frame["nats"].isna().all()


@pytest.mark.parametrize(
    "loss, seeds, judged, words",
    [
        (2.0, 5, "confirmed", "The RNN have learnt more"),
        (3.3, 5, "no difference that matters", "Nothing was learnt"),
        (3.5, 5, "refuted", "Nothing was learnt"),
        (2.0, 2, "not judged", "Not every cell is shown"),
        (3.3, 1, "not judged", "Nothing was learnt"),
    ],
)
def test_what_is_learnt_is_judged_against_the_frequencies_of_characters(loss, seeds, judged, words):
    finding = beyond_frequencies(make_measured(["rnn"], seeds, loss=loss))  # order 1 has 1.5 + 1.8
    assert finding.values["rnn_verdict"] == judged
    assert finding.heading.startswith(words.replace("have", "has"))
    assert finding.values["nothing_learnt"] is words.startswith("Nothing")


def test_a_model_of_random_characters_is_not_said_to_have_learnt_anything(tmp_path, tiny_config):
    text = tmp_path / "random.txt"
    text.write_text("".join("abcd"[i] for i in np.random.default_rng(0).integers(0, 4, 4000)))
    corpus = load_corpus(text)
    configs = [replace(tiny_config, seed=seed) for seed in range(3)]
    records = train_sweep(configs, corpus, tmp_path / "runs", workers=1, say=lambda line: None)
    runs = measures.with_measured_losses(records, corpus, tmp_path / "runs")
    finding = beyond_frequencies(runs)
    assert finding.values["nothing_learnt"] and finding.heading.startswith("Nothing was learnt")
    assert scale_table(runs, 4).frame["nats"].iloc[1] == pytest.approx(math.log(4), abs=0.02)


@pytest.mark.parametrize(
    "loss, judged", [(1.4, "confirmed"), (1.5, "no difference that matters"), (1.6, "refuted"), (None, "not judged")]
)
def test_a_cell_is_judged_against_the_best_ngram_model(loss, judged):
    runs = make_measured(["lstm"], 5 if loss else 1, loss=loss or 1.4)
    finding = against_counting(runs)
    assert (finding.values["order"], finding.values["floor"]) == (3, 1.5)
    assert finding.values["lstm_verdict"] == judged
    assert f"That the LSTM does better than counting: *{judged}*" in against_counting_by_cell(runs).filled


@pytest.mark.parametrize(
    "loss, heading",
    [
        (1.4, "A model that only counts has a higher loss than the RNN and the LSTM"),
        (1.5, "Counting does as well as the RNN and the LSTM"),
        (1.6, "A model that only counts has a lower loss than the RNN and the LSTM"),
    ],
)
def test_the_heading_on_counting_holds_for_all_cells(loss, heading):
    assert against_counting(make_measured(loss=loss)).heading == heading
    mixed = [*make_measured(["rnn"], loss=1.4), *make_measured(["lstm"], loss=1.6)]
    assert "not settled" in against_counting(mixed).heading


def test_a_chunks_first_characters_are_said_to_cost_most_where_they_do():
    finding = first_characters(make_measured(seeds=3, loss=1.6))
    assert "cost most" in finding.heading and "2.40 (RNN) and 2.40 (LSTM)" in finding.filled
    assert "carried on through the text lowers" in finding.filled
    assert "lowers" not in first_characters(make_measured(seeds=3, carried=0.1)).filled
    assert "not shown" in first_characters(make_measured(seeds=1)).heading


@pytest.mark.parametrize(
    "changed, heading",
    [
        ({}, "The gap does not come from the size"),
        ({"size": 0.1}, "A part of the gap comes from the size"),
        ({"gap": 0.0}, "There is no gap"),
        ({"seeds": 1}, "is not settled"),
    ],
)
def test_the_heading_on_the_gap_follows_the_verdicts_of_both_cells(changed, heading):
    assert heading in what_makes_gap(make_measured(**changed)).heading


def test_each_run_is_compared_with_the_ngram_model_of_its_own_split():
    runs = make_measured(["rnn"], 3)
    for r in runs:  # a hard split is hard for both
        r["loss"] += r["seed"]
        r["ngram"] = r["ngram"] + r["seed"]
    e = against_counting(runs).values
    assert e["rnn_mean"] == pytest.approx(0.101)
    assert e["rnn_high"] - e["rnn_low"] < 0.01


def test_a_cold_start_costs_what_the_whole_chunk_lies_above_its_last_third():
    finding = where_in_chunk(make_measured(["rnn"], 3, loss=1.6))
    assert finding.values["rnn_mean"] == pytest.approx(0.2)
    assert finding.values["rnn_first"] == pytest.approx(2.401)
    assert "in the last third of the chunk 1.401; the mean of the whole chunk is 0.2000 nats higher" in finding.filled


@pytest.mark.parametrize(
    "carried, judged", [(-0.05, "confirmed"), (0.001, "no difference that matters"), (0.1, "refuted")]
)
def test_a_carried_state_is_judged_by_the_loss_it_changes(carried, judged):
    values = carried_on(make_measured(["rnn"], carried=carried)).values
    assert values["rnn_verdict"] == judged
    assert values["rnn_mean"] == pytest.approx(carried)
    assert values["rnn_late_mean"] == pytest.approx(
        0.2 + carried
    )  # level, where the zero state ends 0.2 below its mean
    assert values["rnn_late_verdict"] == "refuted"
    assert values["rnn_above_mean"] == pytest.approx(1.6008 + carried - 1.46)


def test_the_steps_of_the_gap_add_up_to_it():
    runs = make_measured(["rnn"], 3, gap=0.3, size=0.05)
    rows = gap_table(runs).frame.to_dict("records")
    assert [r["loss"] for r in rows] == list(GAP)
    assert rows[0]["step"] is None
    assert [r["step"] for r in rows[1:]] == pytest.approx([-0.03, 0.051, 0.3])
    assert sum(r["step"] for r in rows[1:]) == pytest.approx(rows[3]["mean"] - rows[0]["mean"])


@pytest.mark.parametrize(
    "size, seeds, judged, words",
    [
        (0.0, 5, "no difference that matters", "the number of chunks is not the cause of the gap"),
        (0.1, 5, "confirmed", "a part of the gap does come from the number of chunks"),
        (-0.1, 5, "refuted", "larger still, so the number of chunks is not its cause"),
        (0.0, 1, "not judged", "is not judged, for want of 3 seeds"),
    ],
)
def test_the_size_of_the_training_set_is_the_cause_only_where_an_equal_part_leaves_less_of_a_gap(
    size, seeds, judged, words
):
    finding = is_it_size(make_measured(["rnn"], seeds, size=size))
    assert finding.values["rnn_verdict"] == judged
    assert words in finding.filled


@pytest.mark.parametrize("gap", [0.0, -0.1])
def test_where_validation_loss_is_not_above_there_is_no_gap_to_explain(gap):
    text = is_it_size(make_measured(["rnn"], gap=gap)).filled
    assert "So there is no gap to explain." in text
    assert "cause" not in text


def test_neighbours_are_judged_where_there_are_runs_of_both_splits():
    shuffled = make_measured(["rnn"], 3)
    sequential = make_measured(["rnn"], 3, loss=1.7, ngram=1.6, gap=0.5, split="sequential")
    finding = neighbours(shuffled, sequential)
    means = [finding.values[f"{name}_mean"] for name in ("ngram", "rnn", "rnn_gap")]
    assert means == pytest.approx([0.1, 0.1, 0.2])
    assert finding.values["rnn_gap_verdict"] == "confirmed"
    assert "order 3 is 0.1000 nats higher than that on the shuffled splits" in finding.filled
    assert neighbours(shuffled, []) is neighbours([], sequential) is None
    told = what_neighbours_do(shuffled, sequential)
    assert told.heading == "Neighbouring chunks in both sets make the gap narrower"
    assert "+0.10 (RNN) nats and the gap by +0.20 (RNN)" in told.filled
    assert what_neighbours_do(shuffled, []) is None


FINDINGS = [
    beyond_frequencies,
    against_counting,
    against_counting_by_cell,
    first_characters,
    what_makes_gap,
    where_in_chunk,
    carried_on,
    is_it_size,
]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda f: f.__name__)
def test_where_no_run_finished_it_is_said(finding):
    assert finding([make_record("rnn", 0, epochs=0, diverged=True)]).filled == NOTHING
    assert finding([]).filled == NOTHING


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda f: f.__name__)
def test_runs_that_differ_in_more_than_their_seed_have_no_mean(finding):
    with pytest.raises(ValueError, match="differ"):
        finding([*make_measured(["rnn"], 2), *make_measured(["rnn"], 1, hidden_size=512)])
