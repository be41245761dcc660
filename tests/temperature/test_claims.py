"""The source study's claims about text, judged from measured texts whose answers are known."""

import pytest
from measured_texts import CHANCE, TYPICAL, away, begun, make, words_by

from charlm.temperature import claims
from charlm.temperature.claims import MIN_TEXTS
from charlm.temperature.measures import Closest, closest_temperature
from charlm.temperature.texts import RealText


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
    claim = claims.claim_words(make(words_by(up_to_one, from_two)))
    assert claim["verdict"] == verdict
    assert claim["n"] == MIN_TEXTS
    low, high = claim["interval"]
    assert low < claim["measured"] < high
    # The number is of the part that decides, of the first of several.
    two_decides = up_to_one == 0.93 and verdict != "confirmed"
    assert claim["measured"] == pytest.approx((from_two if two_decides else up_to_one) / 0.95)


def test_words_are_not_judged_where_chance_reaches_the_rate_of_real_text():
    measured = make(words_by(0.93, 0.3), shuffled=CHANCE | {"words": 0.95})
    claim = claims.claim_words(measured)
    assert claim["verdict"] == "not judged" and "no more of them than its shuffled characters" in claim["measure"]


def test_too_few_texts_are_not_judged():
    few = make(away(0.7), n=MIN_TEXTS - 1)
    assert claims.claim_words(few)["verdict"] == "not judged"
    assert claims.claim_best(closest_temperature(few), few)["verdict"] == "not judged"


def test_without_words_there_is_no_claim_about_them():
    wordless = make(real=TYPICAL | {"words": None}, shuffled=CHANCE | {"words": None})
    assert claims.claim_words(wordless) is None


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
    near = Closest({low: 1.0}, ["judge"], low, low, high, 9.0, learnt=True)
    claim = claims.claim_best(near, make())
    assert (claim["verdict"], claim["interval"]) == (verdict, [low, high])


def test_no_range_is_best_where_nothing_was_learnt_or_measured():
    near = Closest({0.7: 1.0}, ["judge"], 0.7, 0.7, 0.7, 1.0, learnt=False)
    claim = claims.claim_best(near, make())
    assert claim["verdict"] == "not judged" and "shuffled" in claim["measure"]
    assert claims.claim_best(None, make()) is None


SPEAKING = RealText("Aa", [], "", 0, frozenset(), frozenset(["ANNA:"]), [], None)
SILENT = RealText("Aa", [], "", 0, frozenset(), frozenset(), [], None)


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
    claim = claims.claim_speakers(begun(upper, lower), SPEAKING)
    assert claim["verdict"] == verdict and claim["n"] == 200
    low_decides = lower == 40 or (lower == 9 and upper == 75)
    assert claim["measured"] == pytest.approx((lower if low_decides else upper) / 100)
    assert claim["interval"][0] < claim["measured"] < claim["interval"][1]


def test_few_prompts_are_not_judged_and_one_case_or_a_corpus_without_speakers_makes_no_claim():
    assert claims.claim_speakers(begun(75, 0, n=20), SPEAKING)["verdict"] == "not judged"
    assert claims.claim_speakers(begun(75, 1), SILENT) is None
    assert claims.claim_speakers({"a": ["all:\n"] * 99, "1": ["1"]}, SPEAKING) is None
    assert claims.claim_speakers({}, SPEAKING) is None


def test_the_table_has_a_line_for_each_claim_that_can_be_asked():
    measured = make(away(0.7))
    near = closest_temperature(measured)
    asked = claims.claims_about_texts(begun(75, 1), SPEAKING, measured, near)
    assert len(asked) == 3 and len(claims.claims_about_texts({}, SILENT, measured, near)) == 2
    rows = claims.text_claim_table(asked).frame.to_dict("records")
    assert [row["verdict"] for row in rows] == [claim["verdict"] for claim in asked]
    assert [rows[0]["low"], rows[0]["high"]] == asked[0]["interval"]
    assert set(asked[0]) == {
        "claim",
        "measure",
        "unit",
        "published",
        "measured",
        "interval",
        "of",
        "n",
        "verdict",
    }


def test_the_rule_has_the_thresholds_that_decide():
    rule = claims.text_claim_rule().filled
    for words in (
        f"at least {MIN_TEXTS} texts",
        "above 90% of the share",
        "below 50% of it",
        "above 50%, and",
        "below 10%",
    ):
        assert words in " ".join(rule.split())
