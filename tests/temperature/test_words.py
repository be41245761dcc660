"""What is said of measured texts."""

import numpy as np
import pytest
from measured_texts import PEAKED, TARGETS, corpus_of, make, words_by
from measured_texts import begun as begun_with
from synthetic import make_record

import charlm_core as core
from charlm import sampling
from charlm.temperature import claims, measures, words
from charlm.temperature.claims import MIN_TEXTS
from charlm.temperature.measures import Measured
from charlm.temperature.texts import STUDY_TEMPERATURES, begin_texts, draw_texts, set_aside

# ---------------------------------------------------------------------------------------------------------------------
# the distribution


def test_the_best_temperature_for_validation_text_is_the_one_with_the_lowest_loss():
    wrong = np.ones((3, 5), np.int64)  # the model is sure, and wrong: the flatter the better
    finding = words.what_does_not(measures.distributions(PEAKED, wrong, [0.5, 1.0]))
    assert finding.values["t"] == 1.0 and "truer" in finding.filled
    sure = words.what_does_not(measures.distributions(PEAKED, TARGETS, [0.5, 1.0]))
    assert sure.values["t"] == 0.5 and "truer" not in sure.filled


# ---------------------------------------------------------------------------------------------------------------------
# corpora of which there is little to say


def everything(corpus, config, samples=MIN_TEXTS, length=30):
    """All claims and sentences on what an untrained model writes about a corpus."""
    weights = core.initial_weights(len(corpus.vocab), config)
    real = set_aside(corpus, config, samples, length)
    measured = Measured(measures.measure_texts(draw_texts(weights, config, real), real))
    near = measures.closest_temperature(measured)
    begun = begin_texts(weights, config, corpus.vocab, sampling.default_prompts(corpus.vocab))
    rows = measures.measure_rows(measures.distributions(*measures.validation_logits(weights, config, corpus)), measured)
    sentences = [
        words.what_is_measured(real),
        words.how_probability_spreads({1.0: np.full(4, 0.25)}, corpus.vocab[:1]),
        words.what_does_not(rows),
        words.what_is_read(measured),
        words.what_is_closest(near, []),
        words.how_texts_begin(make_record() | {"run_id": "r"}, begun, real),
        words.what_truncation_does(measured),
        words.why_it_helps(rows, measured),
    ]
    said = " ".join(finding._repr_mimebundle_()[0]["text/plain"] for finding in sentences)
    assert "nan" not in said.replace("nance", "") and "inf" not in said
    assert len(words.measure_table(rows, measured).frame) == len(STUDY_TEMPERATURES) + 2
    words.heading_table(begun)
    return claims.claims_about_texts(begun, real, measured, near), said


def test_of_random_characters_the_verdicts_say_that_nothing_was_learnt(tmp_path, tiny_config):
    rng = np.random.default_rng(0)
    corpus = corpus_of("".join(rng.choice(list("abcdefghij  .\n"), 8000)), tmp_path)
    found, said = everything(corpus, tiny_config)
    assert {claim["verdict"] for claim in found} == {"not judged"}
    assert "tells nothing" in said and "nothing was learnt" in said


@pytest.mark.parametrize(
    "text", ["0123456789,\n" * 300, "你好，世界。\n" * 300, "ab" * 80, "speak, speak no more:\n" * 200]
)
def test_any_text_can_be_the_corpus(text, tmp_path, tiny_config):
    found, _ = everything(corpus_of(text, tmp_path), tiny_config)
    assert not any("Upper-case" in claim["claim"] for claim in found)


# ---------------------------------------------------------------------------------------------------------------------
# tables and sentences


def test_headings_are_counted_by_prompt():
    table = words.heading_table({"A": ["ANNA:\nhello", "And so"], "a": ["and so on"]})
    rows = table.frame.to_dict("records")
    assert [(r["prompt"], r["case"], r["texts"], r["headings"]) for r in rows] == [
        ("A", "upper", 2, 0.5),
        ("a", "lower", 1, 0.0),
        ("all in upper case", "upper", 2, 0.5),
        ("all in lower case", "lower", 1, 0.0),
    ]


def full_rows(measured):
    return measures.measure_rows(measures.distributions(PEAKED, TARGETS), measured)


def test_the_table_has_the_studys_temperatures_and_real_text_beside_them():
    measured = make(words_by(0.93, 0.3))
    rows = words.measure_table(full_rows(measured), measured).frame.to_dict("records")
    assert [(r["text"], r["T"]) for r in rows] == [
        *(("drawn", t) for t in STUDY_TEMPERATURES),
        ("real", None),
        ("shuffled", None),
    ]
    assert [r["real words"] for r in rows][-3:] == pytest.approx([0.3, 0.95, 0.2])
    assert rows[-1]["entropy"] is None


def test_the_rates_are_said_with_where_they_are_high_and_low():
    finding = words.what_is_read(make(words_by(0.93, 0.3)))
    assert (finding.values["high"], finding.values["low"]) == (1.0, 2.0)
    assert "93.0% at T &#61; 0.5; 93.0% at T &#61; 1; 30.0% at T &#61; 2" in finding.filled
    assert finding.heading == "Words are real up to T = {high:g} and look random from T = {low:g} on"
    middling = words.what_is_read(make(lambda t: {"words": 0.7})).heading
    assert middling == "Words are real at no temperature and look random at none"


def test_the_price_in_variety_and_predictability_is_named_only_where_it_was_paid():
    paid = make(lambda t: {"distinct": 0.4, "judge": 1.0} if t == 0.5 else {})
    said = words.why_it_helps(full_rows(paid), paid).filled
    assert "price" in said and "more predictable" in said
    same = make()
    said = words.why_it_helps(full_rows(same), same).filled
    assert "price" not in said and "more predictable" not in said


# ---------------------------------------------------------------------------------------------------------------------
# whether other runs say the same


def of_three_runs(closest, one=(0.7, 0.8, 0.9), upper=(0.6, 0.6, 0.6)):
    words = {f"words_{t:g}": None for t in STUDY_TEMPERATURES}
    return [
        {"cell": "rnn", "seed": i, "closest": t} | words | {"words_1": w, "upper": u, "lower": u and 0.0}
        for i, (t, w, u) in enumerate(zip(closest, one, upper, strict=True))
    ]


@pytest.mark.parametrize(
    "closest, said",
    [
        ((0.7, 0.7, 0.7), "In the 3 runs of both cells it is smallest at T = 0.7."),
        ((0.4, 0.7, 1.0), "In the 3 runs of both cells it is smallest at T = 0.4 to 1."),
        ((None, 0.5, 0.6), "In the 2 runs of both cells it is smallest at T = 0.5 to 0.6."),
    ],
)
def test_the_runs_are_said_to_agree_as_far_as_they_do(closest, said):
    rows = of_three_runs(closest)
    near = measures.closest_temperature(make())
    assert said in words.what_is_closest(near, rows).filled
    inside = sum(t is not None and 0.5 <= t < 1 for t in closest)
    assert words.do_runs_agree(rows).values["inside"] == inside


def test_how_often_a_name_begins_a_text_is_the_heading_where_the_corpus_has_names(tmp_path, tiny_config):
    corpus = corpus_of("ANNA:\nand so on.\n" * 300, tmp_path)
    speaking, silent = (set_aside(c, tiny_config, 20, 30) for c in (corpus, corpus_of("and so on.\n" * 300, tmp_path)))
    record = make_record("lstm", 2)
    assert "begin with a speaker's name" in words.how_texts_begin(record, begun_with(75, 1), speaking).heading
    assert "speaker" not in words.how_texts_begin(record, begun_with(75, 1), silent).heading
    assert "LSTM, seed 2" in words.how_texts_begin(record, begun_with(75, 1), silent).filled


def test_how_the_runs_differ_in_words_and_names_is_said_where_there_are_any():
    told = words.do_runs_agree(of_three_runs((0.7,) * 3)).filled
    assert "relative to real text, is 80.0% on average (standard deviation over runs 10.0%)" in told
    silent = words.do_runs_agree(of_three_runs((0.7,) * 3, upper=(None,) * 3)).filled
    assert "speaker" in told and "speaker" not in silent
    assert "names, upper case" not in words.across_runs_table(of_three_runs((0.7,) * 3, upper=(None,) * 3)).frame
    assert words.do_runs_agree([]) is None and words.across_runs_table([]) is None
    assert words.do_runs_agree(of_three_runs((None,) * 3)) is None
