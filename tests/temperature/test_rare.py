"""What follows a rare character, on texts small enough to count by eye."""

import math
from dataclasses import replace

import numpy as np

import charlm_core as core
from charlm.temperature import rare
from charlm.temperature.texts import set_aside


def test_around_a_rare_character_the_judge_and_the_words_are_those_of_its_window(monkeypatch):
    monkeypatch.setattr(rare, "AFTER", 3)
    places = np.zeros((2, 13), bool)
    places[0, 4] = True  # the "q" of "tqe", which is no word
    places[1, 11] = True  # too near the end to be followed
    nats = np.arange(26.0).reshape(2, 13)
    found = rare._around_rare(places, nats, ["my tqe hat now", "all is well ok"], frozenset(["hat", "is", "well"]))
    assert (found["rare"], found["itself"]) == (2 / 26, (4 + 24) / 2)
    assert (found["judge"], found["words"]) == ((5 + 6 + 7) / 3, 1 / 2)


def test_without_a_rare_character_nothing_is_said_of_any():
    found = rare._around_rare(np.zeros((2, 20), bool), np.ones((2, 20)), ["b " * 12] * 2, frozenset("b"))
    assert found["rare"] == 0 and math.isnan(found["judge"]) and math.isnan(found["words"])
    assert found["elsewhere"] == 1


def test_drawn_and_real_chunks_are_measured_alike(tiny, tiny_config):
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    real = set_aside(tiny, tiny_config, 8, 20)
    found = rare.after_rare(weights, tiny_config, tiny, real)
    assert list(found) == ["drawn", "real"]
    assert [list(each) for each in found.values()] == [list(rare.RARE_MEASURES)] * 2
    assert 0 <= found["drawn"]["rare"] < 1 and found["real"]["elsewhere"] > found["drawn"]["elsewhere"]


def test_runs_of_other_seeds_draw_other_texts(tiny, tiny_config, monkeypatch):
    monkeypatch.setattr(rare, "_around_rare", lambda places, nats, texts, lexicon: texts)
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    real = set_aside(tiny, tiny_config, 8, 20)
    other = replace(tiny_config, seed=tiny_config.seed + 1, split_seed=tiny_config.seed)
    found, elsewhere = (rare.after_rare(weights, config, tiny, real) for config in (tiny_config, other))
    assert found["real"] == elsewhere["real"] and found["drawn"] != elsewhere["drawn"]
