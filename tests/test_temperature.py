"""The measures of the temperature study, on distributions whose answers are known."""

import math

import numpy as np
import pytest

import charlm_temperature as temperature

V = 4
FLAT = np.zeros((3, 5, V), np.float32)  # (time, chunks, vocabulary)
PEAKED = np.tile(np.float32([10, 0, 0, 0]), (3, 5, 1))
TARGETS = np.zeros((3, 5), np.int64)
DRAWN = {0.5: ["aa bb "] * 2, 1.0: ["aa xx ", "ab cd "]}
LEXICON = frozenset(["aa", "bb"])


def test_an_even_distribution_has_the_logarithm_of_the_vocabulary_as_entropy_and_loss_at_every_temperature():
    for row in temperature.measures(FLAT, TARGETS, DRAWN, LEXICON):
        assert row["entropy"] == pytest.approx(math.log(V))
        assert row["loss"] == pytest.approx(math.log(V))


def test_entropy_and_the_chance_of_an_unlikely_character_grow_with_temperature():
    cold, warm = temperature.measures(PEAKED, TARGETS, DRAWN, LEXICON)
    assert cold["entropy"] < warm["entropy"]
    assert 0 < cold["unlikely"] < warm["unlikely"] == pytest.approx(3 * math.exp(-10), rel=1e-3)


@pytest.mark.parametrize("t", [1e-4, 1e-3])
def test_a_tiny_temperature_gives_numbers(t):
    (row,) = temperature.measures(PEAKED, TARGETS, {t: ["aa "]}, LEXICON)
    assert row["entropy"] == row["loss"] == 0 == row["unlikely"]


def test_real_words_and_distinct_sequences_are_those_of_the_drawn_texts():
    cold, warm = temperature.measures(FLAT, TARGETS, DRAWN, LEXICON)
    assert (cold["real_words"], cold["words"]) == (1, 4)
    assert (warm["real_words"], warm["words"]) == (0.25, 4)
    assert (cold["distinct"], warm["distinct"]) == (0.5, 1)


def test_the_best_temperature_for_validation_text_is_the_one_with_the_lowest_loss():
    wrong = np.ones((3, 5), np.int64)  # the model is sure, and wrong: the flatter the better
    rows = temperature.measures(PEAKED, wrong, DRAWN, LEXICON)
    finding = temperature.what_does_not(rows)
    assert finding.values["t"] == 1.0 and "truer" in finding.filled
    sure = temperature.what_does_not(temperature.measures(PEAKED, TARGETS, DRAWN, LEXICON))
    assert sure.values["t"] == 0.5 and "truer" not in sure.filled


def test_the_price_in_variety_is_named_only_where_it_was_paid():
    rows = temperature.measures(FLAT, TARGETS, DRAWN, LEXICON)
    assert "price" in temperature.why_it_helps(rows, 0.9).filled
    same = temperature.measures(FLAT, TARGETS, {t: ["aa bb "] for t in DRAWN}, LEXICON)
    assert "price" not in temperature.why_it_helps(same, 0.9).filled


def test_texts_without_words_are_said_to_have_none():
    rows = temperature.measures(FLAT, TARGETS, {0.5: ["..."], 1.0: ["!!!"]}, LEXICON)
    assert rows[0]["real_words"] is None
    assert "no words" in temperature.what_is_read(rows).filled
    temperature.why_it_helps(rows, None).filled  # noqa: B018 - a missing number must not break the sentence


def test_headings_are_counted_by_prompt():
    table = temperature.heading_table({"A": ["ANNA:\nhello", "And so"], "a": ["and so on"]})
    rows = table.frame.to_dict("records")
    assert [(r["prompt"], r["case"], r["texts"], r["headings"]) for r in rows] == [
        ("A", "upper", 2, 0.5),
        ("a", "lower", 1, 0.0),
    ]
