"""Measures of text, checked on texts small enough to count by eye."""

import math

import numpy as np
import pytest

from charlm.text import (
    distinct_sequences,
    entropy,
    known_headings,
    longest_copies,
    real_words,
    starts_speaker,
    with_whole_words,
    words,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Speak, speak.\nFIRST Citizen:", ["speak", "speak", "first", "citizen"]),
        ("a1b_Straße 'tis o'er; don’t 'quote'", ["a", "b", "strasse", "tis", "o'er", "don't", "quote"]),
        ("E\u0301te\u0301 हिन्दी", ["e\u0301te\u0301", "हिन्दी"]),
        ("123 ... '' ’\n", []),
    ],
)
def test_words(text, found):
    assert words(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" the cat xq.", (2, 3)),
        ("the cat xq", (1, 1)),  # the first and the last word may have been cut off
        ("", (0, 0)),
    ],
)
def test_real_words_are_counted_among_those_that_are_whole(text, found):
    assert real_words(text, {"the", "cat"}) == found


@pytest.mark.parametrize(
    ("start", "stop", "longer"),
    [(5, 6, " cat "), (0, 2, "The "), (9, 12, " purrs")],
)
def test_a_piece_is_made_longer_to_whole_words(start, stop, longer):
    assert with_whole_words("The cat purrs", start, stop) == longer


@pytest.mark.parametrize(
    ("text", "speaker"),
    [
        ("First Citizen:\nBefore we", True),
        ("and so I say, my lord:\nno", False),
        ("Before we proceed\nAll:\n", False),
        ("ROMEO:", False),  # the line may go on
        (":\n", False),
    ],
)
def test_starts_speaker(text, speaker):
    assert starts_speaker(text) is speaker


def test_entropy_of_known_distributions():
    p = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    assert entropy(p) == pytest.approx([math.log(4), 0, math.log(2)])


def test_headings_are_known_speakers_among_the_whole_lines_with_a_colon():
    known = {"ANNA:", "I, say:"}
    assert known_headings("ANNA:\nhear this\nANNA:\nI, say:\nCLARA:\nANNA:", known) == (1, 3)
    assert known_headings("no lines", known) == (0, 0)


def test_a_sequence_is_distinct_once_in_its_own_text_and_the_texts_after_it():
    assert distinct_sequences(["abab", "abxy"], 2, 0) == [(2, 3), (3, 3)]
    assert distinct_sequences(["abab", "abxy"], 2, 5) == [(1, 3), (2, 3)]  # ba of ab, ba; bx, xy of ab, bx, xy
    assert distinct_sequences(["ab", "cd", "ab"], 2, 1) == [(1, 1), (1, 1), (0, 1)]  # after the last comes the first
    assert distinct_sequences(["a", ""], 2, 1) == [(0, 0), (0, 0)]


def test_longest_copies_are_those_of_a_search_by_hand():
    rng = np.random.default_rng(0)
    draw = lambda n: "".join(rng.choice(list("ab c"), n))  # noqa: E731
    texts, source = ["", "z", *(draw(25) for _ in range(30))], [draw(60) for _ in range(5)]

    def by_hand(text):
        parts = (text[i:j] for i in range(len(text)) for j in range(i, len(text) + 1))
        return max((len(part) for part in parts if any(part in passage for passage in source)), default=0)

    assert longest_copies(texts, source).tolist() == [by_hand(text) for text in texts]
