"""The measures of the temperature study, on distributions and texts whose answers are known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from measured_texts import TYPICAL, away, corpus_of, make
from run_folders import put_zeros

from charlm import sampling
from charlm.corpus import split_corpus
from charlm.ngram import NGram
from charlm.temperature import measures
from charlm.temperature.measures import TEXT_MEASURES, Measured
from charlm.temperature.texts import DRAWN, REAL, SHUFFLED, RealText, Way, letters_of, set_aside
from charlm_core import Config

# ---------------------------------------------------------------------------------------------------------------------
# the distribution


@pytest.fixture
def rows(monkeypatch):
    """What is measured where the logits of three characters in each of five chunks are these, and the first follows."""

    def rows(logits, temperatures):
        both = np.tile(np.array(logits, np.float32), (3, 5, 1)), np.zeros((3, 5), np.int64)
        monkeypatch.setattr(sampling, "chunk_logits", lambda *arguments: both)
        monkeypatch.setattr(measures, "validation_chunks", lambda *arguments: None)
        return measures.distributions({}, Config(), SimpleNamespace(ids=None), temperatures)

    return rows


def test_an_even_distribution_has_the_logarithm_of_the_vocabulary_as_entropy_and_loss_at_every_temperature(rows):
    for row in rows([0, 0, 0, 0], [0.5, 1.0]):
        assert (row["entropy"], row["loss"]) == (pytest.approx(math.log(4)), pytest.approx(math.log(4)))


def test_entropy_and_the_chance_of_an_unlikely_character_grow_with_temperature(rows):
    tiny, cold, warm = rows([10, 0, 0, 0], [1e-4, 0.5, 1.0])
    assert tiny["entropy"] == tiny["loss"] == tiny["unlikely"] == 0
    assert cold["entropy"] < warm["entropy"]
    assert 0 < cold["unlikely"] < warm["unlikely"] == pytest.approx(3 * math.exp(-10), rel=1e-3)


@pytest.mark.parametrize(("affordable", "gaps"), [(1000, {1}), (40, {4})])
def test_validation_text_is_looked_at_all_over_where_memory_does_not_hold_all(tiny, monkeypatch, affordable, gaps):
    config = Config(chunk_length=8, batch_size=4)
    _, every = split_corpus(tiny, config)
    monkeypatch.setattr(measures, "MAX_VALIDATION_LOGITS", affordable * 8 * len(tiny.vocab))
    chunks = measures.validation_chunks(config, tiny)
    assert set(np.diff(np.searchsorted(every, chunks))) == gaps and chunks[0] == every[0]


# ---------------------------------------------------------------------------------------------------------------------
# real text and drawn text

VOCAB = "\n :ABabc."


def test_every_measure_is_that_of_the_text():
    judge = NGram([np.arange(len(VOCAB))], 1, len(VOCAB))  # every character equally likely
    real = RealText(VOCAB, [], "", 0, frozenset(["a", "bb"]), frozenset(["AB:"]), ["a bb c"], judge)
    found = measures.measure_texts({("T", 1.0): ["c a bb ab.", "a\nAB:\nBA:\n"]}, real)[("T", 1.0)]
    assert found["words"].tolist() == [[2, 0], [3, 2]]  # a, bb of a, bb, ab; the first word may be half of one
    assert found["copied"].tolist() == [[5, 1], [1, 1]]  # " a bb" begins with what no passage has; "a bb "
    assert found["headings"].tolist() == [[0, 1], [0, 2]]
    assert found["distinct"].tolist() == [[7, 7], [7, 7]]
    assert found["judge"] == pytest.approx(np.array([[9 * math.log(9)] * 2, [9, 9]]))


# ---------------------------------------------------------------------------------------------------------------------
# intervals


def test_a_value_is_the_ratio_of_the_sums():
    pair = np.array([[1.0, 3.0], [2.0, 8.0]])
    measured = Measured({REAL: {"copied": pair}, ("T", 1.0): {"copied": pair * 0}})
    assert measured.value(REAL, "copied") == 0.4
    assert measured.value(("T", 1.0), "copied") is None


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution_where_texts_are_many():
    x = np.random.default_rng(1).normal(size=400)
    measured = Measured({REAL: {"copied": np.array([x, np.ones(400)])}})
    _, low, high = measures.with_interval(measured.resampled(REAL, "copied"))
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


# ---------------------------------------------------------------------------------------------------------------------
# the closest temperature


def test_the_closest_temperature_is_where_the_difference_in_standard_deviations_is_smallest():
    measured = make(away(0.7))
    near = measures.closest_temperature(measured)
    assert (near.best, near.low, near.high, near.learnt) == (0.7, 0.7, 0.7, True)
    assert near.parts.keys() == set(TEXT_MEASURES)
    assert near.distance[1.7] == pytest.approx(1.0 / measured.unit("judge") / 5**0.5, rel=0.05)
    assert near.alone == {"judge": (0.7, 0.7, 0.7)}  # the others are the same at every temperature


def test_the_parts_of_the_distance_are_those_of_its_square_largest_first():
    # Too few words, and a judge that is surprised.
    measured = make(lambda t: {"words": 0.8, "judge": 1.5 + abs(t - 0.7)})
    near = measures.closest_temperature(measured)
    squares = {}
    for name in TEXT_MEASURES:
        off = measured.value(("T", near.best), name) - measured.value(REAL, name)
        squares[name] = (off / measured.unit(name)) ** 2
    whole = sum(squares.values())
    assert near.parts == pytest.approx({name: square / whole for name, square in squares.items()})
    assert list(near.parts.values()) == sorted(near.parts.values(), reverse=True) and near.parts["words"] > 0.1


def test_the_range_is_wide_where_texts_differ_more_than_temperatures():
    near = measures.closest_temperature(make(away(0.7), spread=0.5))
    assert near.low < 0.7 < near.high


def test_a_measure_on_which_all_real_pieces_agree_or_that_they_lack_is_in_no_distance():
    near = measures.closest_temperature(make(away(0.7), real=TYPICAL | {"headings": None}))
    assert "headings" not in near.parts and near.best == 0.7
    measured = make()
    measured.sums[REAL]["distinct"] = np.ones((2, measured.n))
    assert "distinct" not in measures.closest_temperature(measured).parts


def test_text_that_lacks_what_real_text_has_is_as_far_as_one_that_has_it_always_wrong():
    lacking = make(lambda t: {"headings": None if t > 1 else 0.0})
    near = measures.closest_temperature(lacking)
    assert near.distance[2.0] == pytest.approx(near.distance[1.0]) == 0.9 / lacking.unit("headings") / 5**0.5


def test_text_no_closer_than_shuffled_text_shows_nothing_learnt():
    near = measures.closest_temperature(make(away(0.7), shuffled=TYPICAL, spread=0.5))
    assert not near.learnt


# ---------------------------------------------------------------------------------------------------------------------
# top-k and top-p


def test_truncation_is_compared_where_it_is_as_diverse_as_half_the_temperature():
    ways: dict[Way, dict] = {}
    ways |= {("top-k", 1): {"distinct": 0.2, "words": 0.9}, ("top-k", 2): {"distinct": 0.6, "words": 0.7}}
    ways |= {("top-p", 0.1): {"distinct": 0.3, "words": 0.9}, ("top-p", 0.9): {"distinct": 0.5, "words": 0.92}}
    top_k, top_p = measures.at_equal_diversity(
        make(lambda t: {"distinct": 0.4, "words": 0.8}, truncated=ways, spread=0.001), "words"
    )
    assert (top_k["way"], top_p["way"]) == ("top-k", "top-p")
    assert top_k["value"] == pytest.approx(0.8, abs=0.002) and top_k["low"] < 0 < top_k["high"]
    assert top_p["difference"] == pytest.approx(0.11, abs=0.002) and 0 < top_p["low"] < 0.11 < top_p["high"]


# ---------------------------------------------------------------------------------------------------------------------
# whether other runs say the same


def test_measures_of_a_runs_texts_are_kept_to_the_bit_and_for_their_settings_alone(folder, tiny):
    first, again = (measures.measured_texts(folder, tiny, 8, 20, 1) for _ in range(2))
    assert list(first.sums) == list(again.sums) == [REAL, SHUFFLED, *DRAWN]
    for way in first.sums:
        for name in TEXT_MEASURES:
            assert np.array_equal(first.sums[way][name], again.sums[way][name])
    put_zeros(folder / "texts.safetensors")
    assert not measures.measured_texts(folder, tiny, 8, 20, 1).sums[REAL]["judge"].any()
    assert measures.measured_texts(folder, tiny, 8, 20, 2).sums[REAL]["judge"].all()


# ---------------------------------------------------------------------------------------------------------------------
# prompts


def test_the_letters_are_the_most_frequent_of_either_case(tmp_path, monkeypatch):
    corpus = corpus_of("bbb B aa AA c 1Ω ω 你好 ..", tmp_path)
    assert letters_of(corpus) == ["A", "B", "Ω", "b", "a", "c", "ω"]
    monkeypatch.setattr("charlm.temperature.texts.LETTERS", 2)
    assert letters_of(corpus) == ["A", "B", "b", "a"]
    assert letters_of(corpus_of("no upper case, 123 你好", tmp_path)) == []


def test_the_share_of_speakers_is_a_mean_over_letters(tiny, tiny_config):
    real = set_aside(tiny, tiny_config, 8, 20)
    name, prose = "ANNA:\nhello", "And so"
    begun = {"A": [name] * 10, "B": [name] * 2 + [prose] * 2, "C": [prose], "a": [prose], "b": [prose]}
    shares = measures.speaker_shares(begun, real)
    assert shares
    upper, lower = shares
    assert (upper.mean, upper.n, upper.interval) == (0.5, 3, (0.0, 1.0))  # Student's t, cut off at 0 and 1
    assert (lower.mean, lower.interval) == (0.0, (0.0, 0.0))
    assert measures.speaker_shares({}, real) is None
