"""The source study's claims about text, judged from measured texts whose answers are known."""

import pytest
from measured_texts import CHANCE, TYPICAL, away, begun_by, make, words_by

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
        (0.5, 1.0, "too close to call"),
        (0.4, 0.6, "too close to call"),
        (0.2, 0.4, "refuted"),
        (1.0, 1.2, "refuted"),
    ],
)
def test_a_range_is_best_where_it_holds_the_whole_interval_of_the_closest_temperature(low, high, verdict):
    near = Closest({low: 1.0}, low, low, high, 9.0, learnt=True, alone={}, parts={})
    claim = claims.claim_best(near, make())
    assert (claim["verdict"], claim["interval"]) == (verdict, [low, high])


def test_no_range_is_best_where_nothing_was_learnt_or_measured():
    near = Closest({0.7: 1.0}, 0.7, 0.7, 0.7, 1.0, learnt=False, alone={}, parts={})
    claim = claims.claim_best(near, make())
    assert claim["verdict"] == "not judged" and "shuffled" in claim["measure"]
    assert claims.claim_best(None, make()) is None


SPEAKING = RealText("Aa", [], "", 0, frozenset(), frozenset(["ANNA:"]), [], None)
SILENT = RealText("Aa", [], "", 0, frozenset(), frozenset(), [], None)


ALIKE = [0.75, 0.8, 0.75, 0.8, 0.75, 0.8]
HARDLY = [0, 0.05, 0, 0.05, 0, 0]


@pytest.mark.parametrize(
    ("upper", "lower", "verdict"),
    [
        (ALIKE, HARDLY, "confirmed"),
        ([0.25, 0.3, 0.25, 0.3, 0.25], HARDLY, "refuted"),
        (ALIKE, [0.4, 0.45, 0.4, 0.45, 0.4], "refuted"),
        ([1, 1, 1, 1, 0.1, 0.1], HARDLY, "too close to call"),  # most letters say one thing, others the opposite
        ([1] * 4, [0] * 4, "not judged"),  # four letters, however many texts
    ],
)
def test_the_letter_is_the_unit_of_the_claim_on_speakers(upper, lower, verdict):
    claim = claims.claim_speakers(begun_by(upper, lower), SPEAKING)
    assert claim["verdict"] == verdict and claim["n"] == len(upper) + len(lower)
    assert claim["interval"][0] <= claim["measured"] <= claim["interval"][1]


def test_a_corpus_of_one_case_or_without_speakers_makes_no_claim_on_them():
    assert claims.claim_speakers(begun_by(ALIKE, HARDLY), SILENT) is None
    assert claims.claim_speakers({"a": ["all:\n"] * 99, "b": ["1"]}, SPEAKING) is None
    assert claims.claim_speakers({}, SPEAKING) is None


def test_a_claim_is_made_where_it_can_be_asked():
    measured = make(away(0.7))
    near = closest_temperature(measured)
    asked = claims.claims_about_texts(begun_by(ALIKE, HARDLY), SPEAKING, measured, near)
    assert len(asked) == 3 and len(claims.claims_about_texts({}, SILENT, measured, near)) == 2
    assert all(claim["interval"][0] <= claim["measured"] <= claim["interval"][1] for claim in asked)
