"""Real text that is set aside, and text drawn beside it."""

from functools import partial

import numpy as np
import pytest
from measured_texts import corpus_of

import charlm_core as core
from charlm import sampling
from charlm.temperature import measures
from charlm.temperature.texts import (
    BEGUN,
    GRID,
    JUDGE_ORDER,
    REAL,
    SHUFFLED,
    TOP_K,
    TOP_P,
    begin_texts,
    draw_texts,
    set_aside,
)
from charlm_core import Config, decode

# ---------------------------------------------------------------------------------------------------------------------
# real text and drawn text


def test_pieces_are_set_aside_and_everything_else_is_known_from_the_rest(tiny, tiny_config):
    real = set_aside(tiny, tiny_config, 10, 30)
    text = decode(tiny.ids, tiny.vocab)
    starts = np.linspace(0, len(text) - 30, 10).astype(int)
    assert real.pieces == [text[i : i + 30] for i in starts]
    assert real.share == pytest.approx(300 / len(text))
    assert real.speakers == {"BRUTUS:", "Clara:"}
    assert {"king", "sorrow"} < real.lexicon
    assert real.judge.order == JUDGE_ORDER


def test_the_training_passages_hold_every_trained_character_outside_the_pieces_and_no_other(tiny, tiny_config):
    real = set_aside(tiny, tiny_config, 10, 30)
    n = len(tiny.ids)
    train, _ = core.split_chunks(core.count_chunks(n, 30), tiny_config)
    trained = {30 * int(c) + i for c in train for i in range(31)}
    aside = {int(i) + k for i in np.linspace(0, n - 30, 10).astype(int) for k in range(30)}
    expected = "".join(decode(tiny.ids[[i]], tiny.vocab) for i in sorted(trained - aside))
    assert "".join(real.training) == expected


def test_of_a_long_corpus_the_beginning_is_taken_and_said(tiny, tiny_config, monkeypatch):
    monkeypatch.setattr("charlm.temperature.texts.MAX_TEXT", 2000)
    real = set_aside(tiny, tiny_config, 10, 30)
    text = decode(tiny.ids[:2000], tiny.vocab)
    assert real.pieces[-1] == text[-30:] and all(passage in text for passage in real.training)
    assert (real.scope, real.share) == ("the first 2,000 characters of the corpus", 0.15)


def test_of_a_short_corpus_a_fifth_is_set_aside_in_fewer_or_shorter_pieces(tmp_path):
    corpus = corpus_of("abc de. " * 100, tmp_path)
    fewer, shorter = (set_aside(corpus, Config(), 40, length) for length in (10, 100))
    assert (len(fewer.pieces), len(fewer.pieces[0])) == (16, 10)
    assert (len(shorter.pieces), len(shorter.pieces[0])) == (8, 20)


def test_texts_are_drawn_as_many_and_as_long_as_real_ones_and_begin_like_them(tiny, tiny_config):
    real = set_aside(tiny, tiny_config, 8, 20)
    texts = draw_texts(core.initial_weights(len(tiny.vocab), tiny_config), tiny_config, real)
    ways = [("T", t) for t in GRID] + [("top-k", k) for k in TOP_K] + [("top-p", p) for p in TOP_P]
    assert list(texts) == [REAL, SHUFFLED, *ways]
    for some in texts.values():
        assert [len(t) for t in some] == [20] * 8
    for way in ways:
        assert [t[0] for t in texts[way]] == [t[0] for t in real.pieces]
    assert texts[REAL] == real.pieces != texts[SHUFFLED]
    assert [sorted(t) for t in texts[SHUFFLED]] == [sorted(t) for t in real.pieces]
    assert texts[("T", 0.1)] != texts[("T", 1.0)] != texts[("top-k", 2)]


def test_shuffled_text_has_every_character_of_its_piece_nul_too(tmp_path, tiny_config):
    corpus = corpus_of("abc de\0 fghi.\0\0" * 100, tmp_path)
    real = set_aside(corpus, tiny_config, 8, 20)
    texts = draw_texts(core.initial_weights(len(corpus.vocab), tiny_config), tiny_config, real, seed=3)
    assert [sorted(t) for t in texts[SHUFFLED]] == [sorted(t) for t in real.pieces]
    assert "\0" in texts[SHUFFLED][0]
    found = measures.measure_texts(texts, real)
    assert found[SHUFFLED]["judge"][1].tolist() == [19] * 8


def test_a_text_is_drawn_at_the_temperature_or_truncation_that_it_stands_for(tiny, tiny_config):
    real = set_aside(tiny, tiny_config, 8, 20)
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    texts = draw_texts(weights, tiny_config, real, seed=3)
    prompt = [real.pieces[5][0]]
    alone = partial(sampling.sample, weights, tiny_config, tiny.vocab, prompt, length=19, seed=3, numbers=[5])
    assert alone(temperature=0.5) == [texts["T", 0.5][5]]
    assert alone(top_k=5) == [texts["top-k", 5][5]]
    assert alone(top_p=0.4) == [texts["top-p", 0.4][5]]


# ---------------------------------------------------------------------------------------------------------------------
# how texts begin


def test_texts_begin_with_every_prompt_as_often(tiny, tiny_config):
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    found = begin_texts(weights, tiny_config, tiny.vocab, ["B", "k"])
    assert list(found) == ["B", "k"]
    for prompt, texts in found.items():
        assert len(texts) == BEGUN and {t[0] for t in texts} == {prompt}
