"""The measures of the temperature study and what is said of them, on distributions and texts whose answers are known."""

import math
import shutil

import numpy as np
import pytest
import torch

import charlm_core as core
import charlm_runs
import charlm_temperature as temperature
from charlm_corpus import decode, load
from charlm_ngram import NGram
from charlm_temperature import GRID, MIN_TEXTS, REAL, SHUFFLED, TOP_K, TOP_P, Measured

# -----------------------------------------------------------------------------
# the distribution

V = 4
FLAT = np.zeros((3, 5, V), np.float32)  # (time, chunks, vocabulary)
PEAKED = np.tile(np.float32([10, 0, 0, 0]), (3, 5, 1))
TARGETS = np.zeros((3, 5), np.int64)


def test_an_even_distribution_has_the_logarithm_of_the_vocabulary_as_entropy_and_loss_at_every_temperature():
    for row in temperature.distributions(FLAT, TARGETS, [0.5, 1.0]):
        assert row["entropy"] == pytest.approx(math.log(V))
        assert row["loss"] == pytest.approx(math.log(V))


def test_entropy_and_the_chance_of_an_unlikely_character_grow_with_temperature():
    cold, warm = temperature.distributions(PEAKED, TARGETS, [0.5, 1.0])
    assert cold["entropy"] < warm["entropy"]
    assert 0 < cold["unlikely"] < warm["unlikely"] == pytest.approx(3 * math.exp(-10), rel=1e-3)


@pytest.mark.parametrize("t", [1e-4, 1e-3])
def test_a_tiny_temperature_gives_numbers(t):
    (row,) = temperature.distributions(PEAKED, TARGETS, [t])
    assert row["entropy"] == row["loss"] == 0 == row["unlikely"]


def test_the_best_temperature_for_validation_text_is_the_one_with_the_lowest_loss():
    wrong = np.ones((3, 5), np.int64)  # the model is sure, and wrong: the flatter the better
    finding = temperature.what_does_not(temperature.distributions(PEAKED, wrong, [0.5, 1.0]))
    assert finding.values["t"] == 1.0 and "truer" in finding.filled
    sure = temperature.what_does_not(temperature.distributions(PEAKED, TARGETS, [0.5, 1.0]))
    assert sure.values["t"] == 0.5 and "truer" not in sure.filled


# -----------------------------------------------------------------------------
# real text and drawn text


def corpus_of(text, tmp_path):
    path = tmp_path / "own.txt"
    path.write_text(text, "utf-8")
    return load(path)


def test_pieces_are_set_aside_and_everything_else_is_known_from_the_rest(tiny, tiny_config):
    real = temperature.set_aside(tiny, tiny_config, 10, 30)
    text = decode(tiny.ids, tiny.vocab)
    starts = np.linspace(0, len(text) - 30, 10).astype(int)
    assert real.pieces == [text[i : i + 30] for i in starts]
    assert real.share == pytest.approx(300 / len(text))
    assert real.speakers == {"BRUTUS:", "Clara:"}
    assert {"king", "sorrow"} < real.lexicon
    assert real.judge.order == temperature.JUDGE_ORDER


def test_the_training_passages_hold_every_trained_character_outside_the_pieces_and_no_other(tiny, tiny_config):
    real = temperature.set_aside(tiny, tiny_config, 10, 30)
    n = len(tiny.ids)
    train, _ = core.split_chunks(core.count_chunks(n, 30), tiny_config)
    trained = {30 * int(c) + i for c in train for i in range(31)}
    aside = {int(i) + k for i in np.linspace(0, n - 30, 10).astype(int) for k in range(30)}
    expected = "".join(decode(tiny.ids[[i]], tiny.vocab) for i in sorted(trained - aside))
    assert "".join(real.training) == expected


def test_of_a_long_corpus_the_beginning_is_taken_and_said(tiny, tiny_config, monkeypatch):
    monkeypatch.setattr(temperature, "MAX_TEXT", 2000)
    real = temperature.set_aside(tiny, tiny_config, 10, 30)
    text = decode(tiny.ids[:2000], tiny.vocab)
    assert real.pieces[-1] == text[-30:] and all(passage in text for passage in real.training)
    assert (
        "evenly spaced over the first 2,000 characters of the corpus and 15.0% of it"
        in temperature.what_is_measured(real).filled.replace("&#44;", ",")
    )


def test_of_a_short_corpus_a_fifth_is_set_aside_in_fewer_or_shorter_pieces(tmp_path):
    corpus = corpus_of("abc de. " * 100, tmp_path)
    fewer, shorter = (temperature.set_aside(corpus, core.Config(), 40, length) for length in (10, 100))
    assert (len(fewer.pieces), len(fewer.pieces[0])) == (16, 10)
    assert (len(shorter.pieces), len(shorter.pieces[0])) == (8, 20)


def test_texts_are_drawn_as_many_and_as_long_as_real_ones_and_begin_like_them(tiny, tiny_config):
    real = temperature.set_aside(tiny, tiny_config, 8, 20)
    texts = temperature.draw_texts(core.initial_weights(len(tiny.vocab), tiny_config), tiny_config, real)
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
    real = temperature.set_aside(corpus, tiny_config, 8, 20)
    texts = temperature.draw_texts(core.initial_weights(len(corpus.vocab), tiny_config), tiny_config, real, seed=3)
    assert [sorted(t) for t in texts[SHUFFLED]] == [sorted(t) for t in real.pieces]
    assert "\0" in texts[SHUFFLED][0]
    found = temperature.measure(texts, real)
    assert found[SHUFFLED]["judge"][1].tolist() == [19] * 8


def test_shuffled_text_is_that_of_a_permutation_of_its_characters(tiny, tiny_config):
    real = temperature.set_aside(tiny, tiny_config, 8, 20)
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    order = np.random.default_rng(3)
    expected = ["".join(order.permutation(list(piece))) for piece in real.pieces]
    assert temperature.draw_texts(weights, tiny_config, real, seed=3)[SHUFFLED] == expected


def test_a_text_is_drawn_at_the_temperature_or_truncation_that_it_stands_for(tiny, tiny_config):
    real = temperature.set_aside(tiny, tiny_config, 8, 20)
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    texts = temperature.draw_texts(weights, tiny_config, real, seed=3)
    alone = {"length": 19, "seed": 3, "numbers": [5]}
    for way, options in (
        (("T", 0.5), {"temperature": 0.5}),
        (("top-k", 5), {"top_k": 5}),
        (("top-p", 0.4), {"top_p": 0.4}),
    ):
        assert core.sample(weights, tiny_config, tiny.vocab, [real.pieces[5][0]], **alone, **options) == [texts[way][5]]


VOCAB = "\n :ABabc."


def test_every_measure_is_that_of_the_text():
    judge = NGram([np.arange(len(VOCAB))], 1, len(VOCAB))  # every character equally likely
    real = temperature.RealText(VOCAB, [], "", 0, frozenset(["a", "bb"]), frozenset(["AB:"]), ["a bb c"], judge)
    found = temperature.measure({("T", 1.0): ["c a bb ab.", "a\nAB:\nBA:\n"]}, real)[("T", 1.0)]
    assert found["words"].tolist() == [[2, 0], [3, 2]]  # a, bb of a, bb, ab; the first word may be half of one
    assert found["copied"].tolist() == [[5, 1], [1, 1]]  # " a bb" begins with what no passage has; "a bb "
    assert found["headings"].tolist() == [[0, 1], [0, 2]]
    assert found["distinct"].tolist() == [[7, 7], [7, 7]]
    assert found["judge"] == pytest.approx(np.array([[9 * math.log(9)] * 2, [9, 9]]))


# -----------------------------------------------------------------------------
# intervals

TYPICAL = {"words": 0.95, "judge": 1.4, "distinct": 0.7, "copied": 18.0, "headings": 0.9}
CHANCE = {"words": 0.2, "judge": 5.0, "distinct": 0.99, "copied": 5.0, "headings": 0.0}


def sums(values, n, spread=0.03):
    """Texts that spread evenly around a value of each measure; None has nothing to count."""
    around = np.resize([-spread, spread, 0.5 * spread, -0.5 * spread], n)
    return {m: np.array([around * (v or 1) + (v or 0), np.ones(n)]) * (v is not None) for m, v in values.items()}


def make(drawn=lambda t: {}, real=TYPICAL, shuffled=CHANCE, n=MIN_TEXTS, spread=0.03, truncated=None):
    """Measured texts: those at T have the values of real text but for what drawn(T) says."""
    found = {REAL: sums(real, n, spread), SHUFFLED: sums(shuffled, n, spread)}
    found |= {("T", t): sums(real | drawn(t), n, spread) for t in GRID}
    return Measured(found | {way: sums(real | v, n, spread) for way, v in (truncated or {}).items()})


def test_a_value_is_the_ratio_of_the_sums():
    pair = np.array([[1.0, 3.0], [2.0, 8.0]])
    measured = Measured({REAL: {"copied": pair}, ("T", 1.0): {"copied": pair * 0}})
    assert measured.value(REAL, "copied") == 0.4
    assert measured.value(("T", 1.0), "copied") is measured.interval(("T", 1.0), "copied") is None


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution_where_texts_are_many():
    x = np.random.default_rng(1).normal(size=400)
    low, high = Measured({REAL: {"copied": np.array([x, np.ones(400)])}}).interval(REAL, "copied")
    half = 1.96 * x.std() / 20
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.1 * half)


def test_texts_of_one_number_are_resampled_together_in_every_way_of_drawing():
    measured = make()
    same = measured.resampled(("T", 0.5), "judge") == measured.resampled(("T", 2.0), "judge")
    assert same.all() and len(set(measured.resampled(("T", 0.5), "judge"))) > 100


def test_the_unit_of_a_mean_is_the_standard_deviation_of_its_texts():
    x = np.array([1.0, 2.0, 4.0])
    measured = Measured({REAL: {"copied": np.array([x, np.ones(3)]), "words": np.array([[2.0, 4, 6], [4.0, 8, 12]])}})
    assert measured.unit("copied") == pytest.approx(x.std(ddof=1))
    assert measured.unit("words") is None  # all pieces have the same rate


# -----------------------------------------------------------------------------
# the closest temperature


def away(best):
    """Judge's loss that rises with T and is that of real text at the best one."""
    return lambda t: {"judge": 1.4 + t - best}


def test_the_closest_temperature_is_where_the_squared_difference_in_standard_deviations_is_smallest():
    measured = make(away(0.7))
    near = temperature.closest(measured)
    assert (near.best, near.low, near.high, near.learnt) == (0.7, 0.7, 0.7, True)
    assert near.names == list(temperature.MEASURES)
    assert near.distance[1.7] == pytest.approx((1.0 / measured.unit("judge")) ** 2 / 5, rel=0.1)
    assert "0.7 alone, on this grid" in temperature.what_is_closest(near).filled


def test_the_range_is_wide_where_texts_differ_more_than_temperatures():
    near = temperature.closest(make(away(0.7), spread=0.5))
    assert near.low < 0.7 < near.high
    assert f"{near.low:g} to {near.high:g}" in temperature.what_is_closest(near).filled


def test_a_measure_on_which_all_real_pieces_agree_or_that_they_lack_is_in_no_distance():
    near = temperature.closest(make(away(0.7), real=TYPICAL | {"headings": None}))
    assert "headings" not in near.names and near.best == 0.7
    measured = make()
    measured.sums[REAL]["distinct"] = np.ones((2, measured.n))
    assert "distinct" not in temperature.closest(measured).names


def test_text_that_lacks_what_real_text_has_is_as_far_as_one_that_has_it_always_wrong():
    lacking = make(lambda t: {"headings": None if t > 1 else 0.0})
    near = temperature.closest(lacking)
    assert near.distance[2.0] == pytest.approx(near.distance[1.0]) == (0.9 / lacking.unit("headings")) ** 2 / 5


def test_text_no_closer_than_shuffled_text_is_said_to_show_nothing_learnt():
    near = temperature.closest(make(away(0.7), shuffled=TYPICAL, spread=0.5))
    assert not near.learnt
    assert "nothing was learnt" in temperature.what_is_closest(near).filled


def test_without_any_measure_no_temperature_is_closest():
    nothing = dict.fromkeys(TYPICAL)
    assert temperature.closest(make(real=nothing, shuffled=nothing)) is None
    assert "no temperature" in temperature.what_is_closest(None).filled


# -----------------------------------------------------------------------------
# top-k and top-p


def truncations(words):
    """Three top-k and top-p settings whose diversity lies around the 0.4 that T = 0.5 has below."""
    return {(kind, i): {"distinct": x, "words": w} for kind, w in words.items() for i, x in enumerate((0.2, 0.3, 0.6))}


def half(t):
    return {"distinct": 0.4 if t == 0.5 else 0.7, "words": 0.8}


def test_truncation_is_compared_where_it_is_as_diverse_as_half_the_temperature():
    ways = {("top-k", 1): {"distinct": 0.2, "words": 0.9}, ("top-k", 2): {"distinct": 0.6, "words": 0.7}}
    ways |= {("top-p", 0.1): {"distinct": 0.3, "words": 0.9}, ("top-p", 0.9): {"distinct": 0.5, "words": 0.92}}
    top_k, top_p = temperature.at_equal_diversity(make(half, truncated=ways, spread=0.001), "words")
    assert (top_k["way"], top_p["way"]) == ("top-k", "top-p")
    assert top_k["value"] == pytest.approx(0.8, abs=0.002) and top_k["low"] < 0 < top_k["high"]
    assert top_p["difference"] == pytest.approx(0.11, abs=0.002) and 0 < top_p["low"] < 0.11 < top_p["high"]


def test_the_comparison_says_which_is_higher_and_which_cannot_be_told_apart():
    said = temperature.what_truncation_does(make(half, truncated=truncations({"top-k": 0.5, "top-p": 0.8}))).filled
    assert "top&#45;k it is lower" in said and "top&#45;p it cannot be told apart" in said
    assert "is higher" in temperature.what_truncation_does(make(half, truncated=truncations({"top-k": 0.99}))).filled


def test_a_diversity_that_truncation_does_not_reach_is_not_compared():
    ways = {("top-k", 1): {"distinct": 0.8}, ("top-k", 2): {"distinct": 0.9}}
    assert temperature.at_equal_diversity(make(half, truncated=ways), "words") == []
    assert "no diversity" in temperature.what_truncation_does(make(half, truncated=ways)).filled


# -----------------------------------------------------------------------------
# the claims


def words_by(up_to_one, from_two):
    return lambda t: {"words": up_to_one if t <= 1 else from_two if t >= 2 else 0.6}


@pytest.mark.parametrize(
    ("up_to_one", "from_two", "verdict"),
    [
        (0.93, 0.3, "confirmed"),
        (0.70, 0.3, "refuted"),  # not real up to 1
        (0.93, 0.6, "refuted"),  # not random from 2
        (0.9 * 0.95, 0.3, "too close to call"),
        (0.93, 0.5 * 0.95, "too close to call"),
    ],
)
def test_words_are_real_over_nine_tenths_of_real_texts_rate_and_random_under_half_of_it(up_to_one, from_two, verdict):
    claim = temperature.claim_words(make(words_by(up_to_one, from_two)))
    assert claim["verdict"] == verdict
    assert claim["n"] == MIN_TEXTS
    low, high = claim["interval"]
    assert low < up_to_one / 0.95 < high


def test_words_are_not_judged_where_chance_reaches_the_rate_of_real_text():
    measured = make(words_by(0.93, 0.3), shuffled=CHANCE | {"words": 0.95})
    claim = temperature.claim_words(measured)
    assert claim["verdict"] == "not judged" and "no more real words than its shuffled" in claim["measured"]
    assert "tells nothing" in temperature.what_is_read(measured).filled


def test_too_few_texts_are_not_judged():
    few = make(away(0.7), n=MIN_TEXTS - 1)
    assert temperature.claim_words(few)["verdict"] == "not judged"
    assert temperature.claim_best(temperature.closest(few), few)["verdict"] == "not judged"


def test_without_words_there_is_no_claim_about_them():
    wordless = make(real=TYPICAL | {"words": None}, shuffled=CHANCE | {"words": None})
    assert temperature.claim_words(wordless) is None
    assert "no words" in temperature.what_is_read(wordless).filled


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.5, 0.9, "confirmed"),
        (0.7, 0.7, "confirmed"),
        (0.5, 1.0, "too close to call"),
        (0.4, 0.6, "too close to call"),
        (0.2, 0.4, "refuted"),
        (1.0, 1.2, "refuted"),
    ],
)
def test_a_range_is_best_where_it_holds_the_whole_interval_of_the_closest_temperature(low, high, verdict):
    near = temperature.Closest({low: 1.0}, ["judge"], low, low, high, 9.0, learnt=True)
    claim = temperature.claim_best(near, make())
    assert (claim["verdict"], claim["interval"]) == (verdict, [low, high])


def test_no_range_is_best_where_nothing_was_learnt_or_measured():
    near = temperature.Closest({0.7: 1.0}, ["judge"], 0.7, 0.7, 0.7, 1.0, learnt=False)
    claim = temperature.claim_best(near, make())
    assert claim["verdict"] == "not judged" and "shuffled" in claim["measured"]
    assert temperature.claim_best(None, make()) is None


def begun(upper, lower, n=100):
    """Texts of which so many of a hundred begin with a speaker, after an upper-case and a lower-case prompt."""
    return {
        p: ["ANNA:\nhello" if i < k * n / 100 else "And so" for i in range(n)] for p, k in (("A", upper), ("a", lower))
    }


SPEAKING = temperature.RealText("Aa", [], "", 0, frozenset(), frozenset(["ANNA:"]), [], None)
SILENT = temperature.RealText("Aa", [], "", 0, frozenset(), frozenset(), [], None)


@pytest.mark.parametrize(
    ("upper", "lower", "verdict"),
    [
        (75, 1, "confirmed"),
        (25, 1, "refuted"),
        (75, 40, "refuted"),
        (52, 1, "too close to call"),
        (75, 9, "too close to call"),
    ],
)
def test_prompts_give_speakers_after_upper_case_over_half_the_time_and_after_lower_case_hardly_ever(
    upper, lower, verdict
):
    claim = temperature.claim_speakers(begun(upper, lower), SPEAKING)
    assert claim["verdict"] == verdict and claim["n"] == 200
    assert claim["interval"][0] < upper / 100 < claim["interval"][1]


def test_few_prompts_are_not_judged_and_one_case_or_a_corpus_without_speakers_makes_no_claim():
    assert temperature.claim_speakers(begun(75, 0, n=20), SPEAKING)["verdict"] == "not judged"
    assert temperature.claim_speakers(begun(75, 1), SILENT) is None
    assert temperature.claim_speakers({"a": ["all:\n"] * 99, "1": ["1"]}, SPEAKING) is None
    assert temperature.claim_speakers({}, SPEAKING) is None


def test_the_table_has_a_line_for_each_claim_that_can_be_asked():
    measured = make(away(0.7))
    near = temperature.closest(measured)
    asked = temperature.claims(begun(75, 1), SPEAKING, measured, near)
    assert len(asked) == 3 and len(temperature.claims({}, SILENT, measured, near)) == 2
    rows = temperature.claim_table(asked).frame.to_dict("records")
    assert [row["verdict"] for row in rows] == [claim["verdict"] for claim in asked]
    assert [rows[0]["low"], rows[0]["high"]] == asked[0]["interval"]
    assert set(asked[0]) == {"claim", "published", "measured", "interval", "n", "verdict"}


def test_the_rule_has_the_thresholds_that_decide():
    rule = temperature.claim_rule().filled
    for words in (
        f"at least {MIN_TEXTS} texts",
        "above 90% of the share",
        "below 50% of it",
        "above 50%, and",
        "below 10%",
    ):
        assert words in " ".join(rule.split())


# -----------------------------------------------------------------------------
# corpora of which there is little to say


def everything(corpus, config, samples=MIN_TEXTS, length=30):
    """All claims and sentences on what an untrained model writes about a corpus."""
    weights = core.initial_weights(len(corpus.vocab), config)
    real = temperature.set_aside(corpus, config, samples, length)
    measured = Measured(temperature.measure(temperature.draw_texts(weights, config, real), real))
    near = temperature.closest(measured)
    begun = temperature.begin_texts(weights, config, corpus.vocab, core.default_prompts(corpus.vocab))
    rows = temperature.rows(
        temperature.distributions(*temperature.validation_logits(weights, config, corpus)), measured
    )
    sentences = [
        temperature.what_is_measured(real),
        temperature.what_changes(rows, len(corpus.vocab)),
        temperature.what_does_not(rows),
        temperature.what_is_read(measured),
        temperature.what_is_closest(near),
        temperature.what_truncation_does(measured),
        temperature.why_it_helps(rows, measured),
    ]
    said = " ".join(finding.filled for finding in sentences)
    assert "nan" not in said.replace("nance", "") and "inf" not in said
    assert len(temperature.table(rows, measured).frame) == len(temperature.STUDY) + 2
    temperature.heading_table(begun)
    return temperature.claims(begun, real, measured, near), said


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


# -----------------------------------------------------------------------------
# tables and sentences


def test_headings_are_counted_by_prompt():
    table = temperature.heading_table({"A": ["ANNA:\nhello", "And so"], "a": ["and so on"]})
    rows = table.frame.to_dict("records")
    assert [(r["prompt"], r["case"], r["texts"], r["headings"]) for r in rows] == [
        ("A", "upper", 2, 0.5),
        ("a", "lower", 1, 0.0),
    ]


def test_texts_begin_with_every_prompt_as_often(tiny, tiny_config):
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    found = temperature.begin_texts(weights, tiny_config, tiny.vocab, ["B", "k", "B"])
    assert list(found) == ["B", "k"]
    for prompt, texts in found.items():
        assert len(texts) == temperature.BEGUN and {t[0] for t in texts} == {prompt}


def full_rows(measured):
    return temperature.rows(temperature.distributions(PEAKED, TARGETS), measured)


def test_the_table_has_the_studys_temperatures_and_real_text_beside_them():
    measured = make(words_by(0.93, 0.3))
    rows = temperature.table(full_rows(measured), measured).frame.to_dict("records")
    assert [(r["text"], r["T"]) for r in rows] == [
        *(("drawn", t) for t in temperature.STUDY),
        ("real", None),
        ("shuffled", None),
    ]
    assert [r["real words"] for r in rows][-3:] == pytest.approx([0.3, 0.95, 0.2])
    assert rows[-1]["entropy"] is None


def test_the_rates_are_said_with_where_they_are_high_and_low():
    finding = temperature.what_is_read(make(words_by(0.93, 0.3)))
    assert (finding.values["high"], finding.values["low"]) == (1.0, 2.0)
    assert "93.0% at T &#61; 0.5; 93.0% at T &#61; 1; 30.0% at T &#61; 2" in finding.filled
    middling = temperature.what_is_read(make(lambda t: {"words": 0.7})).filled
    assert "at no low temperature" in middling and "at no high one" in middling


def test_the_price_in_variety_and_predictability_is_named_only_where_it_was_paid():
    paid = make(lambda t: {"distinct": 0.4, "judge": 1.0} if t == 0.5 else {})
    said = temperature.why_it_helps(full_rows(paid), paid).filled
    assert "price" in said and "more predictable" in said
    same = make()
    said = temperature.why_it_helps(full_rows(same), same).filled
    assert "price" not in said and "more predictable" not in said


# -----------------------------------------------------------------------------
# whether other runs say the same


def of_three_runs(closest, one=(0.7, 0.8, 0.9), upper=(0.6, 0.6, 0.6)):
    words = {f"words_{t:g}": None for t in temperature.STUDY}
    return [
        {"cell": "rnn", "seed": i, "closest": t} | words | {"words_1": w, "upper": u, "lower": u and 0.0}
        for i, (t, w, u) in enumerate(zip(closest, one, upper, strict=True))
    ]


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of the trained run's folder, to measure in."""
    return shutil.copytree(trained[0], tmp_path / trained[0].name)


def test_measures_of_a_runs_texts_are_kept_to_the_bit_and_for_their_settings_alone(folder, tiny, monkeypatch):
    drawn, draw = [], temperature.draw_texts
    monkeypatch.setattr(temperature, "draw_texts", lambda *a: drawn.append(a) or draw(*a))
    first, again = (temperature.measured_texts(folder, tiny, 8, 20, 1) for _ in range(2))
    assert len(drawn) == 1 and list(first.sums) == list(again.sums) == [REAL, SHUFFLED, *temperature.DRAWN]
    for way in first.sums:
        for name in temperature.MEASURES:
            assert np.array_equal(first.sums[way][name], again.sums[way][name])
    temperature.measured_texts(folder, tiny, 8, 20, 2)
    assert len(drawn) == 2


def test_what_is_measured_of_a_run_is_what_its_claims_are_judged_from(folder, tiny, monkeypatch):
    model = charlm_runs.weights(folder)
    real = temperature.set_aside(tiny, model[1], 8, 20)
    near = temperature.closest(temperature.measured_texts(folder, tiny, 8, 20, 1))
    assert temperature.of_run(folder, tiny, 8, 20, 1)["names"].isnan().all()  # the first five letters are upper case
    monkeypatch.setattr(core, "default_prompts", lambda vocab: ["B", "u"])
    found = temperature.of_run(folder, tiny, 8, 20, 1)
    assert found["closest"].item() == near.best if near.learnt else math.isnan(found["closest"].item())
    shares = temperature.speaker_shares(temperature.begin_texts(*model, ["B", "u"], 1), real)
    assert found["names"].tolist() == [s.rate for s in shares]


def test_runs_are_measured_once_and_only_where_there_are_three(trained, tiny, monkeypatch):
    folder, record = trained
    asked = []
    monkeypatch.setattr(charlm_runs, "kept", lambda folder, name, of, measure: asked.append(of) or measure())
    monkeypatch.setattr(temperature, "of_run", lambda *a: {k: torch.tensor(v) for k, v in MEASURED.items()})
    MEASURED = {"closest": [0.7], "words": [0.9] * 5 + [math.nan], "names": [0.6, 0.1]}
    assert temperature.across_runs([record] * 9, tiny, 8, 20, runs=folder.parent) == []
    rows = temperature.across_runs([record | {"seed": s} for s in range(3)], tiny, 8, 20, runs=folder.parent)
    assert len(rows) == 3 == len(asked) and asked[0] == asked[1]
    assert rows[1]["seed"] == 1 and rows[1]["words_10"] is None and rows[1]["upper"] == pytest.approx(0.6)


@pytest.mark.parametrize(
    "closest, said",
    [
        ((0.7, 0.7, 0.7), "at T = 0.7 in all of them; for 3 of 3 runs"),
        ((0.4, 0.7, 1.0), "at T = 0.4 to 1; for 1 of 3 runs"),
        ((None, 0.5, 0.6), "at T = 0.5 to 0.6; for 2 of 2 runs"),
    ],
)
def test_the_runs_are_said_to_agree_as_far_as_they_do(closest, said):
    assert said in temperature.do_runs_agree(of_three_runs(closest)).filled


def test_how_the_runs_differ_in_words_and_names_is_said_where_there_are_any():
    told = temperature.do_runs_agree(of_three_runs((0.7,) * 3)).filled
    assert "relative to real text, is 80.0% on average (standard deviation over runs 10.0%)" in told
    silent = temperature.do_runs_agree(of_three_runs((0.7,) * 3, upper=(None,) * 3)).filled
    assert "speaker" in told and "speaker" not in silent
    assert "names, upper case" not in temperature.runs_table(of_three_runs((0.7,) * 3, upper=(None,) * 3)).frame
    assert temperature.do_runs_agree([]) is None and temperature.runs_table([]) is None
    assert temperature.do_runs_agree(of_three_runs((None,) * 3)) is None
