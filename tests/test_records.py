"""Choosing and reading run records."""

import pytest
from synthetic import make_record, make_runs

from charlm.protocol import PUBLISHED
from charlm.records import cells_in, check_alike, crossing_epoch, listed, published_numbers


def test_the_published_lstm_is_0_0057_nats_better_at_the_last_epoch():
    p = PUBLISHED
    assert round(p["rnn"]["val_loss_last"] - p["lstm"]["val_loss_last"], 4) == 0.0057


def test_published_numbers_stand_beside_runs_of_the_studys_protocol():
    assert set(published_numbers(make_runs())) == {"rnn", "lstm"}


@pytest.mark.parametrize("change", [{"corpus": "my.txt"}, {"hidden_size": 512}, {"max_epochs": 2}, {"patience": 1}])
def test_published_numbers_do_not_stand_beside_other_runs(change):
    assert published_numbers([make_record("rnn", 0), make_record("rnn", 1) | change]) == {}


@pytest.mark.parametrize(
    ("train", "val", "epoch"),
    [
        ([3, 2, 1], [2.5, 2.1, 1.9], 2),
        ([1], [2], 1),
        ([1, 1], [1, 1], None),
        ([2, None], [1, None], None),
    ],
)
def test_crossing_is_the_first_epoch_with_validation_above_training(train, val, epoch):
    assert crossing_epoch({"train_loss": train, "val_loss": val}) == epoch


def test_cells_come_in_one_order_and_unknown_ones_last():
    assert cells_in([{"cell": c} for c in ("own", "gru", "lstm", "rnn", "gru")]) == ["rnn", "lstm", "gru", "own"]


@pytest.mark.parametrize("change", [{"hidden_size": 512}, {"corpus": "my.txt"}, {"precision": "bfloat16"}])
def test_runs_that_differ_in_more_than_their_seed_are_never_pooled(change):
    with pytest.raises(ValueError, match="more than their seed"):
        check_alike([make_record("rnn", 0), make_record("rnn", 1) | change])


def test_a_seed_counts_once():
    with pytest.raises(ValueError, match="repeat a seed"):
        check_alike([make_record("rnn", 3), make_record("rnn", 3)])


def test_names_are_listed_with_an_and_before_the_last():
    assert [listed("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
