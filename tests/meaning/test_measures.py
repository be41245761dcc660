"""What a loss means: measures of a small trained run against plain ways to compute them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from run_folders import put_zeros
from synthetic import make_record
from torch.nn import functional as F

import charlm_core as core
from charlm import sampling
from charlm.meaning import measures
from charlm.meaning.measures import ORDERS, STRETCH
from charlm.ngram import NGram
from charlm.runs.folder import load_weights
from charlm_core import CharModel


@pytest.fixture(scope="module")
def model(trained, tiny, tiny_config):
    model = CharModel(len(tiny.vocab), tiny_config)
    model.load_state_dict(load_weights(trained[0])[0])
    return model


def read(model, ids, first, chunk, length):
    """Loss of every character of a chunk when the model reads on to its end from the beginning of chunk `first`."""
    text = torch.from_numpy(ids[first * length : (chunk + 1) * length + 1].astype(np.int64))[:, None]
    with torch.no_grad():
        return F.cross_entropy(model(text[:-1])[0][:, 0], text[1:, 0], reduction="none")[-length:]


def test_from_a_zero_state_every_chunk_is_read_by_itself(model, tiny, tiny_config, split):
    chunks = split[1][:7]
    losses, hits = measures.score(model, tiny.ids, chunks, tiny_config)
    expected = [read(model, tiny.ids, c, c, tiny_config.chunk_length) for c in chunks]
    torch.testing.assert_close(losses, torch.stack(expected, dim=1))
    logits, targets = sampling.chunk_logits(model.state_dict(), tiny_config, tiny.ids, chunks)
    assert (hits.numpy() == (logits.argmax(-1) == targets)).all()


def test_a_large_vocabulary_is_scored_few_chunks_at_a_time(model, tiny, tiny_config, split, monkeypatch):
    losses, _ = measures.score(model, tiny.ids, split[1], tiny_config)
    monkeypatch.setattr(measures, "MAX_LOGITS", 3 * tiny_config.chunk_length * len(tiny.vocab))
    few, _ = measures.score(model, tiny.ids, split[1], tiny_config)
    torch.testing.assert_close(few, losses)
    assert measures._in_rows(model, tiny_config).batch_size == 3


def test_a_carried_state_is_that_of_reading_the_text_before(model, tiny, tiny_config, monkeypatch):
    monkeypatch.setattr(measures, "BEFORE", 2)  # so little that one chunk more or less is seen
    config = replace(tiny_config, chunk_length=3)
    last = core.count_chunks(len(tiny.ids), config.chunk_length) - 1
    chunks = np.array([0, 1, 5, 31, 32, 33, 63, 64, 100, last])
    losses = measures.score_carried(model, tiny.ids, chunks, config)
    for chunk, loss in zip(chunks, losses.T, strict=True):
        stretch = chunk // STRETCH * STRETCH
        first = max(0, stretch - 2)  # up to the end of the first stretch, the very beginning of the text
        torch.testing.assert_close(loss, read(model, tiny.ids, first, chunk, config.chunk_length))


@pytest.mark.parametrize("cell", ["rnn", "gru"])
def test_other_cells_carry_their_state_too(cell, tiny, tiny_config):
    config = replace(tiny_config, cell=cell)
    model = CharModel(len(tiny.vocab), config)
    losses = measures.score_carried(model, tiny.ids, np.array([40, 3]), config)
    torch.testing.assert_close(losses[:, 1], read(model, tiny.ids, 0, 3, config.chunk_length))


def test_the_equal_part_is_as_many_training_chunks_as_validation_has_from_all_over_the_text():
    assert list(measures.equal_part(np.arange(100, 108), np.arange(2))) == [100, 104]
    assert list(measures.equal_part(np.arange(3), np.arange(9))) == [0, 1, 2]


def test_what_is_measured_agrees_with_a_plain_evaluation(trained, tiny, tiny_config, split):
    found = measures.measure_losses(trained[0], tiny)
    train, validation = split
    for weights, name, chunks in (
        ("best", "loss", validation),
        ("last", "last_validation", validation),
        ("last", "last_train", train),
        ("last", "last_part", measures.equal_part(train, validation)),
    ):
        one = replace(tiny_config, batch_size=len(chunks))  # the mean of one batch is that of the characters
        model = CharModel(len(tiny.vocab), one)
        model.load_state_dict(load_weights(trained[0], weights)[0])
        assert float(found[name].mean()) == pytest.approx(core.evaluate(model, tiny.ids, chunks, one), abs=1e-5)
    assert found["loss"].shape == found["hits"].shape == found["carried"].shape == (tiny_config.chunk_length,)
    assert 0 < found["hits"].mean() < 1


def test_a_run_is_measured_once(folder, tiny):
    measures.kept_losses(folder, tiny)
    put_zeros(folder / "meaning.safetensors")
    assert not measures.kept_losses(folder, tiny)["last_train"].any()


def test_ngram_models_train_on_the_runs_training_chunks_and_are_given_the_chunk_so_far(trained, tiny, split):
    found = measures.count_grams(trained[1], tiny)
    steps = np.arange(31)
    train, validation, part = (tiny.ids[c[:, None] * 30 + steps] for c in (*split, measures.equal_part(*split)))
    model = NGram(list(train), ORDERS, len(tiny.vocab))
    assert found["ngram"] == pytest.approx(-model.by_order(validation).mean((1, 2)))
    assert found["ngram_positions"].mean(axis=1) == pytest.approx(found["ngram"])
    assert found["ngram_train"] == pytest.approx(-model.by_order(part).mean((1, 2)))
    text = -model.by_order(tiny.ids)  # every character but the first, given all that stands before it
    assert found["ngram_carried"] == pytest.approx(text[:, split[1][:, None] * 30 + steps[:-1]].mean((1, 2)))


def test_measured_runs_are_records_with_the_measures_added_and_diverged_ones_stay_as_they_are(trained, folder, tiny):
    _, record = trained
    diverged = make_record("rnn", 1, epochs=3, diverged=True)
    runs = measures.with_measured_losses([record, diverged], tiny, folder.parent)
    assert diverged in runs
    (run,) = [r for r in runs if r["status"] == "finished"]
    assert record.items() <= run.items()
    assert run["loss"] == pytest.approx(record["val_loss_best"], abs=0.01)
    assert run["last_validation"] == pytest.approx(record["val_loss_last"], abs=0.01)
    assert run["loss"] == pytest.approx(run["loss_positions"].mean())
