"""Measures of text, checked on texts small enough to count by eye."""

import math

import numpy as np
import pytest

from charlm_text import entropy, lexicon, real_word_rate, starts_speaker, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Speak, speak.\nFIRST Citizen:", ["speak", "speak", "first", "citizen"]),
        ("'tis o'er; don’t 'quote'", ["tis", "o'er", "don't", "quote"]),
        ("a1b_c-d", ["a", "b", "c", "d"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("E\u0301te\u0301 हिन्दी", ["e\u0301te\u0301", "हिन्दी"]),
        ("你好，世界", ["你好", "世界"]),
        ("123 ... '' ’\n", []),
        ("", []),
    ],
)
def test_words(text, found):
    assert words(text) == found


def test_lexicon_holds_each_word_once():
    assert lexicon("The cat, the dog.") == {"the", "cat", "dog"}


def test_real_word_rate_counts_over_all_texts():
    share = real_word_rate(["the cat xq.", "dog? "], {"the", "cat", "dog"})
    assert (share.correct, share.total, share.rate) == (3, 4, 0.75)


def test_a_last_word_that_may_be_cut_off_is_left_out():
    known = {"the", "cat"}
    assert real_word_rate(["the cat th"], known)[:2] == (2, 2)
    assert real_word_rate(["the cat th "], known)[:2] == (2, 3)
    assert real_word_rate(["the cat th'"], known)[:2] == (2, 2)


def test_the_interval_is_wilsons():
    k, n, z = 8, 10, 1.959963984540054
    middle = (k / n + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(k / n * (1 - k / n) / n + z**2 / (4 * n**2))
    share = real_word_rate(["a " * 8 + "b b "], {"a"})
    assert (share.low, share.high) == pytest.approx((middle - half, middle + half))


@pytest.mark.parametrize("texts", [[], [""], ["?!"], ["cut"]])
def test_no_words_give_no_rate(texts):
    assert real_word_rate(texts, {"cut"}) == (0, 0, None, None, None)


def test_one_text_instead_of_a_list_is_refused():
    with pytest.raises(TypeError, match="list of texts"):
        real_word_rate("the cat", {"the"})


@pytest.mark.parametrize(
    ("text", "speaker"),
    [
        ("First Citizen:\nBefore we", True),
        ("KING RICHARD III:\n", True),
        ("and so I say, my lord:\nno", False),
        ("Before we proceed\nAll:\n", False),
        ("ROMEO:", False),  # the line may go on
        (":\n", False),
        ("", False),
    ],
)
def test_starts_speaker(text, speaker):
    assert starts_speaker(text) is speaker


def test_entropy_of_known_distributions():
    p = np.array([[0.25] * 4, [1, 0, 0, 0], [0.5, 0.5, 0, 0]])
    assert entropy(p) == pytest.approx([math.log(4), 0, math.log(2)])
