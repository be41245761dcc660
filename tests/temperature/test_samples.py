"""Texts to read beside each other."""

import pytest
from measured_texts import corpus_of

from charlm import sampling
from charlm.runs.folder import load_weights
from charlm.temperature.samples import (
    beginning,
    counted_text,
    drawn_items,
    passage_after,
    side_by_side,
    to_end_of_line,
)


def test_texts_begin_with_the_name_that_occurs_most_often_or_with_the_prompt():
    assert beginning("x\nANNA:\nso.\nBOB:\nno.\nANNA:\nso.\n", "A") == "ANNA:\n"
    assert beginning("no names here\n" * 3, "n") == "n"


@pytest.mark.parametrize(
    ("text", "at_least", "whole"),
    [
        ("one line\nanother line\nand", 9, "one line\nanother line"),
        ("no line ends here", 7, "no line"),
    ],
)
def test_a_text_ends_with_a_line_where_one_ends_in_time(text, at_least, whole):
    assert to_end_of_line(text, at_least) == whole


def test_the_real_text_is_the_second_passage_that_begins_so():
    assert passage_after("ANNA:\nfirst\nANNA:\nsecond\nANNA:\nthird", "ANNA:\n", 6) == "ANNA:\nsecond"
    assert passage_after("once: only", "once", 3) == "once: o"
    assert passage_after("nothing", "ANNA:\n", 6) is None


def test_the_counting_model_writes_what_follows_in_the_text(tmp_path, tiny_config):
    corpus = corpus_of("abcdefghij" * 400, tmp_path)
    assert counted_text(corpus, tiny_config, "c", 30, 0.1, seed=0) == ("cdefghijab" * 4)[:31]


def test_every_kind_of_text_stands_beside_the_others(trained, tiny):
    folder, record = trained
    items = side_by_side([record], tiny, "Clara:\n", 0.7, 0, folder.parent)
    assert [item["label"] for item in items] == ["real text", "LSTM", "counting"]
    assert all(item["text"].startswith("Clara:\n") and item["verse"] for item in items)
    assert [item["temperature"] for item in items] == [None, 0.7, 0.7]
    assert items == side_by_side([record], tiny, "Clara:\n", 0.7, 0, folder.parent)


def test_samples_are_named_by_what_they_differ_in(trained):
    folder, _ = trained
    weights, config, vocab = load_weights(folder)
    by_prompt = drawn_items(weights, config, vocab, ["B", "t"], 20, [0.5, 0.5], 0, [0, 1])
    assert [i["label"] for i in by_prompt] == ["prompt 'B'", "prompt 't'"]
    by_temperature = drawn_items(weights, config, vocab, ["B", "B"], 20, [0.2, 10.0], 0, [0, 0])
    assert [(i["label"], i["temperature"]) for i in by_temperature] == [("T = 0.2", 0.2), ("T = 10", 10.0)]
    (alone,) = sampling.sample(weights, config, vocab, ["B"], 100, 0.5, 0, [0])
    assert alone.startswith(by_prompt[0]["text"]) and len(by_prompt[0]["text"]) >= 21
