"""What a loss means: measures of a small trained run against plain ways to compute them, and sentences from given ones."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import make_measured, make_record
from torch.nn import functional as F

import charlm_core as core
import charlm_meaning as meaning
import charlm_runs
from charlm_corpus import CharlmError, load
from charlm_ngram import NGram

# -----------------------------------------------------------------------------
# measuring


@pytest.fixture(scope="module")
def model(trained, tiny, tiny_config):
    model = core.CharModel(len(tiny.vocab), tiny_config)
    model.load_state_dict(charlm_runs.weights(trained[0])[0])
    return model


@pytest.fixture(scope="module")
def split(tiny, tiny_config):
    return core.split_chunks(core.count_chunks(len(tiny.ids), tiny_config.chunk_length), tiny_config)


def read(model, ids, first, chunk, length):
    """Loss of every character of a chunk when the model reads on to its end from the beginning of chunk `first`."""
    text = torch.from_numpy(ids[first * length : (chunk + 1) * length + 1].astype(np.int64))[:, None]
    with torch.no_grad():
        return F.cross_entropy(model(text[:-1])[:, 0], text[1:, 0], reduction="none")[-length:]


def test_from_a_zero_state_every_chunk_is_read_by_itself(model, tiny, tiny_config, split):
    chunks = split[1][:7]
    losses, hits = meaning.score(model, tiny.ids, chunks, tiny_config)
    expected = [read(model, tiny.ids, c, c, tiny_config.chunk_length) for c in chunks]
    torch.testing.assert_close(losses, torch.stack(expected, dim=1))
    logits, targets = core.chunk_logits(model.state_dict(), tiny_config, tiny.ids, chunks)
    assert (hits.numpy() == (logits.argmax(-1) == targets)).all()


def test_a_large_vocabulary_is_scored_few_chunks_at_a_time(model, tiny, tiny_config, split, monkeypatch):
    losses, _ = meaning.score(model, tiny.ids, split[1], tiny_config)
    monkeypatch.setattr(meaning, "MAX_LOGITS", 3 * tiny_config.chunk_length * len(tiny.vocab))
    few, _ = meaning.score(model, tiny.ids, split[1], tiny_config)
    torch.testing.assert_close(few, losses)
    assert meaning._in_rows(model, tiny_config).batch_size == 3


def test_a_carried_state_is_that_of_reading_the_text_before(model, tiny, tiny_config):
    last = core.count_chunks(len(tiny.ids), tiny_config.chunk_length) - 1
    chunks = np.array([0, 1, 5, 31, 32, 33, 63, 64, 100, last])
    losses = meaning.score_carried(model, tiny.ids, chunks, tiny_config)
    for chunk, loss in zip(chunks, losses.T, strict=True):
        stretch = chunk // meaning.STRETCH * meaning.STRETCH
        first = max(0, stretch - meaning.BEFORE)  # up to the end of the first stretch, the very beginning of the text
        torch.testing.assert_close(loss, read(model, tiny.ids, first, chunk, tiny_config.chunk_length))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_every_cell_can_carry_its_state(cell, tiny, tiny_config):
    config = replace(tiny_config, cell=cell)
    model = core.CharModel(len(tiny.vocab), config)
    losses = meaning.score_carried(model, tiny.ids, np.array([40, 3]), config)
    torch.testing.assert_close(losses[:, 1], read(model, tiny.ids, 0, 3, config.chunk_length))


def test_the_equal_part_is_as_many_training_chunks_as_validation_has_from_all_over_the_text():
    assert list(meaning.equal_part(np.arange(100, 108), np.arange(2))) == [100, 104]
    assert list(meaning.equal_part(np.arange(3), np.arange(9))) == [0, 1, 2]


def test_what_is_measured_agrees_with_a_plain_evaluation(trained, tiny, tiny_config, split):
    found = meaning.measure(trained[0], tiny)
    train, validation = split
    one = replace(tiny_config, batch_size=1)  # the mean of the batch means is then that of the characters
    for weights, name, chunks in (
        ("best", "loss", validation),
        ("last", "last_validation", validation),
        ("last", "last_train", train),
        ("last", "last_part", meaning.equal_part(train, validation)),
    ):
        model = core.CharModel(len(tiny.vocab), one)
        model.load_state_dict(charlm_runs.weights(trained[0], weights)[0])
        assert float(found[name].mean()) == pytest.approx(core.evaluate(model, tiny.ids, chunks, one), abs=1e-5)
    assert found["loss"].shape == found["hits"].shape == found["carried"].shape == (tiny_config.chunk_length,)
    assert 0 < found["hits"].mean() < 1


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the trained run's folder, nothing measured."""
    copy = tmp_path / trained[0].name
    copy.mkdir()
    for file in ("run.json", "best.safetensors", "last.safetensors"):
        (copy / file).write_bytes((trained[0] / file).read_bytes())
    return copy


@pytest.fixture
def times(monkeypatch):
    """A list that grows with every run that is measured."""
    calls, measure = [], meaning.measure
    monkeypatch.setattr(meaning, "measure", lambda *given: calls.append(given) or measure(*given))
    monkeypatch.setattr(meaning, "code_hash", lambda *functions: "code")
    return calls


def test_a_run_is_measured_once(folder, tiny, times):
    first, again = meaning.measure_once(folder, tiny), meaning.measure_once(folder, tiny)
    assert len(times) == 1
    assert first.keys() == again.keys()
    for name in first:
        torch.testing.assert_close(first[name], again[name], rtol=0, atol=0)


def test_a_run_is_measured_again_when_what_was_kept_is_damaged(folder, tiny, times):
    meaning.measure_once(folder, tiny)
    kept = folder / "meaning.safetensors"
    data = bytearray(kept.read_bytes())
    data[-1] ^= 1
    kept.write_bytes(data)
    meaning.measure_once(folder, tiny)
    meaning.measure_once(folder, tiny)
    assert len(times) == 2


def test_a_run_is_measured_again_when_the_code_has_changed(folder, tiny, times, monkeypatch):
    meaning.measure_once(folder, tiny)
    monkeypatch.setattr(meaning, "code_hash", lambda *functions: "other code")
    meaning.measure_once(folder, tiny)
    assert len(times) == 2


def test_what_was_kept_of_another_run_is_not_believed(folder, tiny, times):
    meaning.measure_once(folder, tiny)
    kept = folder / "meaning.safetensors"
    tensors, about = charlm_runs.unpack(kept.read_bytes(), kept)
    kept.write_bytes(charlm_runs.pack(tensors, about | {"run_id": "another"}))
    meaning.measure_once(folder, tiny)
    assert len(times) == 2


def test_a_folder_that_cannot_be_written_is_measured_every_time(folder, tiny, times, monkeypatch):
    def refuse(path, data):
        raise CharlmError("cannot write")

    monkeypatch.setattr(charlm_runs, "write", refuse)
    assert meaning.measure_once(folder, tiny).keys() == meaning.measure_once(folder, tiny).keys()
    assert len(times) == 2


def test_ngram_models_train_on_the_runs_training_chunks_and_are_given_the_chunk_so_far(trained, tiny, split):
    found = meaning.count_grams(trained[1], tiny)
    steps = np.arange(31)
    train, validation, part = (tiny.ids[c[:, None] * 30 + steps] for c in (*split, meaning.equal_part(*split)))
    model = NGram(list(train), meaning.ORDERS, len(tiny.vocab))
    assert found["ngram"] == pytest.approx(-model.by_order(validation).mean((1, 2)))
    assert found["ngram_positions"].mean(axis=1) == pytest.approx(found["ngram"])
    assert found["ngram_train"] == pytest.approx(-model.by_order(part).mean((1, 2)))
    text = -model.by_order(tiny.ids)  # every character but the first, given all that stands before it
    assert found["ngram_carried"] == pytest.approx(text[:, split[1][:, None] * 30 + steps[:-1]].mean((1, 2)))


def test_measured_runs_are_records_with_the_measures_added_and_diverged_ones_stay_as_they_are(trained, folder, tiny):
    _, record = trained
    diverged = make_record("rnn", 1, epochs=3, diverged=True)
    runs = meaning.measured([record, diverged], tiny, folder.parent)
    assert diverged in runs
    (run,) = [r for r in runs if r["status"] == "finished"]
    assert record.items() <= run.items()
    assert run["loss"] == pytest.approx(record["val_loss_best"], abs=0.01)
    assert run["last_validation"] == pytest.approx(record["val_loss_last"], abs=0.01)
    assert run["loss"] == pytest.approx(run["loss_positions"].mean())


# -----------------------------------------------------------------------------
# saying


def test_the_scale_gives_nats_bits_and_the_number_of_characters_as_hard_to_guess_between():
    rows = meaning.scale_table(make_measured(seeds=3, loss=2 * math.log(2)), 62).frame.to_dict("records")
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
    table = meaning.scale_table([*make_measured(["lstm"]), make_record("rnn", 0, epochs=2, diverged=True)], 62)
    assert "RNN 256 / 0.001, seed 0, in epoch 3" in table.note
    assert meaning.scale_table([make_record("rnn", 0, epochs=2, diverged=True)], 62).frame["nats"].isna().all()


@pytest.mark.parametrize(
    "loss, seeds, judged, words",
    [
        (2.0, 5, "confirmed", "has learnt more than how often"),
        (3.3, 5, "no difference that matters", "has learnt nothing beyond how often"),
        (3.5, 5, "refuted", "is worse than knowing how often"),
        (2.0, 2, "not judged", "is not judged, for want of 3 seeds"),
    ],
)
def test_what_is_learnt_is_judged_against_the_frequencies_of_characters(loss, seeds, judged, words):
    finding = meaning.beyond_frequencies(make_measured(["rnn"], seeds, loss=loss))  # order 1 has 1.5 + 1.8
    assert finding.values["rnn_verdict"] == judged
    assert f"The RNN {words}" in finding.filled


def test_a_model_of_random_characters_is_not_said_to_have_learnt_anything(tmp_path, tiny_config):
    text = tmp_path / "random.txt"
    text.write_text("".join("abcd"[i] for i in np.random.default_rng(0).integers(0, 4, 4000)))
    corpus = load(text)
    configs = [replace(tiny_config, seed=seed) for seed in range(3)]
    records = charlm_runs.sweep(configs, corpus, tmp_path / "runs", workers=1, say=lambda line: None)
    runs = meaning.measured(records, corpus, tmp_path / "runs")
    finding = meaning.beyond_frequencies(runs)
    assert finding.values["lstm_verdict"] != "confirmed" and "more than" not in finding.filled
    assert meaning.scale_table(runs, 4).frame["nats"].iloc[1] == pytest.approx(math.log(4), abs=0.02)


@pytest.mark.parametrize(
    "loss, judged", [(1.4, "confirmed"), (1.5, "no difference that matters"), (1.6, "refuted"), (None, "not judged")]
)
def test_a_cell_is_judged_against_the_best_ngram_model(loss, judged):
    runs = make_measured(["lstm"], 5 if loss else 1, loss=loss or 1.4)
    finding = meaning.against_counting(runs)
    assert (finding.values["order"], finding.values["floor"]) == (3, 1.5)
    assert finding.values["lstm_verdict"] == judged
    assert f"That the LSTM does better than counting: *{judged}*" in finding.filled


def test_each_run_is_compared_with_the_ngram_model_of_its_own_split():
    runs = make_measured(["rnn"], 3)
    for r in runs:  # a hard split is hard for both
        r["loss"] += r["seed"]
        r["ngram"] = r["ngram"] + r["seed"]
    e = meaning.against_counting(runs).values
    assert e["rnn_mean"] == pytest.approx(0.101)
    assert e["rnn_high"] - e["rnn_low"] < 0.01


def test_a_cold_start_costs_what_the_whole_chunk_lies_above_its_last_third():
    finding = meaning.where_in_chunk(make_measured(["rnn"], 3, loss=1.6))
    assert finding.values["rnn_mean"] == pytest.approx(0.2)
    assert finding.values["rnn_first"] == pytest.approx(2.401)
    assert "in the last third of the chunk 1.401; the mean of the whole chunk is 0.2000 nats higher" in finding.filled


@pytest.mark.parametrize(
    "carried, judged", [(-0.05, "confirmed"), (0.001, "no difference that matters"), (0.1, "refuted")]
)
def test_a_carried_state_is_judged_by_the_loss_it_changes(carried, judged):
    values = meaning.carried_on(make_measured(["rnn"], carried=carried)).values
    assert values["rnn_verdict"] == judged
    assert values["rnn_mean"] == pytest.approx(carried)
    assert values["rnn_late_mean"] == pytest.approx(
        0.2 + carried
    )  # level, where the zero state ends 0.2 below its mean
    assert values["rnn_late_verdict"] == "refuted"
    assert values["rnn_above_mean"] == pytest.approx(1.6008 + carried - 1.46)


def test_the_steps_of_the_gap_add_up_to_it():
    runs = make_measured(["rnn"], 3, gap=0.3, size=0.05)
    rows = meaning.gap_table(runs).frame.to_dict("records")
    assert [r["loss"] for r in rows] == list(meaning.GAP)
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
    finding = meaning.is_it_size(make_measured(["rnn"], seeds, size=size))
    assert finding.values["rnn_verdict"] == judged
    assert words in finding.filled


@pytest.mark.parametrize("gap", [0.0, -0.1])
def test_where_validation_loss_is_not_above_there_is_no_gap_to_explain(gap):
    text = meaning.is_it_size(make_measured(["rnn"], gap=gap)).filled
    assert "So there is no gap to explain." in text
    assert "cause" not in text


def test_neighbours_are_judged_where_there_are_runs_of_both_splits():
    shuffled = make_measured(["rnn"], 3)
    sequential = make_measured(["rnn"], 3, loss=1.7, ngram=1.6, gap=0.5, split="sequential")
    finding = meaning.neighbours(shuffled, sequential)
    means = [finding.values[f"{name}_mean"] for name in ("ngram", "rnn", "rnn_gap")]
    assert means == pytest.approx([0.1, 0.1, 0.2])
    assert finding.values["rnn_gap_verdict"] == "confirmed"
    assert "order 3 is 0.1000 nats higher than that on the shuffled splits" in finding.filled
    assert meaning.neighbours(shuffled, []) is meaning.neighbours([], sequential) is None


FINDINGS = [
    meaning.beyond_frequencies,
    meaning.against_counting,
    meaning.where_in_chunk,
    meaning.carried_on,
    meaning.is_it_size,
]


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda f: f.__name__)
def test_where_no_run_finished_it_is_said(finding):
    assert finding([make_record("rnn", 0, epochs=0, diverged=True)]).filled == meaning.NOTHING
    assert finding([]).filled == meaning.NOTHING


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda f: f.__name__)
def test_runs_that_differ_in_more_than_their_seed_have_no_mean(finding):
    with pytest.raises(ValueError, match="differ"):
        finding([*make_measured(["rnn"], 2), *make_measured(["rnn"], 1, hidden_size=512)])
