"""The n-gram model, against probabilities worked out by hand."""

import itertools
from collections import Counter

import numpy as np
import pytest

from charlm.ngram import FALLBACK, NGram, discount

A, B, C, D = range(4)
ABABAC = [np.array([A, B, A, B, A, C])]


def probabilities(model, context):
    """Of every character of the vocabulary after the context."""
    rows = np.array([[*context, c] for c in range(model.vocabulary_size)])
    return np.exp(model.log_probabilities(rows)[:, -1])


def test_a_bigram_model_of_a_toy_text_gives_the_fractions_worked_out_by_hand():
    """
    Bigrams of ABABAC: AB 2, BA 2, AC 1, so D = 1 / (1 + 2 · 2) = 1/5. Different characters before A: the start and B; before
    B and C: A; so D = 2 / (2 + 2 · 1) = 1/2 of 4 in all, and with 1/4 each below, p(A) = 1.5/4 + (0.5 · 3/4) / 4 = 15/32,
    p(B) = p(C) = 7/32, p(D) = 3/32. After A come 3 characters of 2 kinds: p(B | A) = (2 - 1/5)/3 + (1/5 · 2/3) · 7/32.
    """
    model = NGram(ABABAC, 2, 4)
    assert probabilities(model, [A]) == pytest.approx([15 / 240, 151 / 240, 71 / 240, 3 / 240])
    # After B comes A, 2 of 2: p(A | B) = (2 - 1/5)/2 + (1/5 · 1/2) · 15/32.
    assert probabilities(model, [B])[A] == pytest.approx(9 / 10 + 15 / 320)


def plain_probability(texts, context, c, v, highest=True):
    """The definition, counted gram by gram. START stands before every sequence."""
    n = len(context) + 1
    grams = [("START", *map(int, t))[i : i + n + 1] for t in texts for i in range(len(t) - n + 1)]  # and what is before
    counts = Counter(g[1:] for g in (grams if highest else set(grams)))
    d = discount(np.array(list(counts.values())))
    after = {g[-1]: k for g, k in counts.items() if g[:-1] == tuple(context)}
    below = plain_probability(texts, context[1:], c, v, False) if n > 1 else 1 / v
    if not after:
        return below
    return (max(after.get(c, 0) - d, 0) + d * len(after) * below) / sum(after.values())


def test_it_is_the_definition_counted_gram_by_gram():
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, 3, n) for n in (40, 2, 9, 1, 25)]
    model = NGram(texts, 4, 5)
    for context in itertools.product(range(4), repeat=3):
        expected = [plain_probability(texts, context, c, 5) for c in range(5)]
        assert probabilities(model, context) == pytest.approx(expected)


def test_order_1_counts_how_often_a_character_occurs():
    # A 3, B 2, C 1: D = 1 / (1 + 2 · 1) = 1/3 of 6, and (1/3 · 3/6) / 4 = 1/24 for each from below
    expected = [(3 - 1 / 3) / 6 + 1 / 24, (2 - 1 / 3) / 6 + 1 / 24, (1 - 1 / 3) / 6 + 1 / 24, 1 / 24]
    for context in ([A], [D], [B, C, D]):
        assert probabilities(NGram(ABABAC, 1, 4), context) == pytest.approx(expected)


@pytest.mark.parametrize("vocabulary_size", [2, 3000])
def test_probabilities_of_the_vocabulary_add_up_to_one_after_any_context(vocabulary_size):
    rng = np.random.default_rng(0)
    texts = [rng.integers(0, min(5, vocabulary_size), n) for n in (200, 1, 3, 40)]
    model = NGram(texts, 4, vocabulary_size)
    for context in (texts[0][:3], texts[0][-3:], [vocabulary_size - 1] * 3, [0, vocabulary_size - 1, 0], [0], [0] * 9):
        p = probabilities(model, context)
        assert p.sum() == pytest.approx(1)
        assert p.min() > 0


@pytest.mark.parametrize("text", [[0], [0, 1], [0] * 50])
def test_a_text_too_small_to_estimate_a_discount_still_gives_every_character_a_probability(text):
    model = NGram([np.array(text)], 3, 3)
    p = probabilities(model, [0, 1])
    assert p.sum() == pytest.approx(1)
    assert p.min() > 0


def test_the_discount_is_that_of_kneser_and_ney_and_a_half_where_there_is_none():
    assert discount(np.array([1, 1, 1, 2, 9])) == 3 / 5
    assert discount(np.array([2, 2, 3])) == discount(np.array([1, 1])) == discount(np.array([])) == FALLBACK


def test_the_start_of_a_row_is_given_to_the_order_that_needs_no_more_than_what_stands_before():
    text = [np.random.default_rng(1).integers(0, 3, 300)]
    row = np.array([0, 1, 2, 0, 1])
    fourth = NGram(text, 4, 3).log_probabilities(row)
    assert fourth[0] == NGram(text, 2, 3).log_probabilities(row)[0]
    assert fourth[1] == NGram(text, 3, 3).log_probabilities(row)[1]


def test_one_model_gives_the_lower_orders_too():
    rng = np.random.default_rng(2)
    text, rows = [rng.integers(0, 4, 500)], rng.integers(0, 4, (6, 9))
    every = NGram(text, 5, 4).by_order(rows)
    assert every.shape == (5, 6, 8)
    for order in range(1, 6):
        np.testing.assert_array_equal(every[order - 1], NGram(text, order, 4).log_probabilities(rows))
