"""What the chapter on temperature says of given texts."""

import pytest
from chapters import chapter, check_snapshot, finding, table_rows
from measured_texts import CHANCE, TYPICAL, away, begun, corpus_of, make, words_by
from synthetic import make_runs

import charlm_core as core
from charlm.temperature import figures, measures, texts
from charlm.temperature.texts import STUDY_TEMPERATURES

NAME = "3_temperature_study"


@pytest.fixture
def told(monkeypatch, tiny_file, tiny, tiny_config):
    """The chapter on an untrained model of a tiny text, with texts that were measured so."""
    monkeypatch.setenv("CHARLM_RUNS", "none")

    def tell(measured=None, corpus=tiny, file=tiny_file, across=(), begins=None, drawn=False):
        for name in () if drawn else ("distribution", "curves", "distance"):
            monkeypatch.setattr(figures, f"temperature_{name}", lambda *arguments: None)
        weights = core.initial_weights(len(corpus.vocab), tiny_config)
        for module in ("charlm.runs.folder", "charlm.temperature.samples"):
            monkeypatch.setattr(f"{module}.load_weights", lambda folder: (weights, tiny_config, corpus.vocab))
        if measured:
            monkeypatch.setattr(measures, "measured_texts", lambda *arguments: measured)
        else:
            real = texts.set_aside(corpus, tiny_config, 40, 30)
            drawn = texts.draw_texts(weights, tiny_config, real)
            monkeypatch.setattr(
                measures, "measured_texts", lambda *a: measures.Measured(measures.measure_texts(drawn, real))
            )
        monkeypatch.setattr(measures, "rows_across_runs", lambda *arguments: list(across))
        if begins:
            monkeypatch.setattr(texts, "begin_texts", lambda *arguments: begins)
        runs = make_runs(corpus=str(file))
        return chapter(NAME, monkeypatch, runs, corpus=str(file), length=20, samples=40, passage=30)[1]

    return tell


def across(closest, words=(0.7, 0.8, 0.9), upper=0.6):
    share = {f"words_{t:g}": None for t in STUDY_TEMPERATURES}
    return [
        {"cell": "rnn", "seed": i, "closest": t} | share | {"words_1": w, "upper": upper, "lower": upper and 0.0}
        for i, (t, w) in enumerate(zip(closest, words, strict=True))
    ]


def test_the_chapter_reads_as_it_did(told):
    check_snapshot(NAME, told(make(away(0.7)), across=across((0.7, 0.7, 0.8)), begins=begun(75, 1), drawn=True))


def test_of_an_untrained_model_there_is_little_to_say_and_no_number_that_is_none(told):
    said = "".join(data["text/plain"] for data, _ in told())
    assert "nan" not in said.replace("nance", "") and "inf" not in said


def test_a_text_without_words_or_speakers_is_not_asked_for_them(told, tmp_path):
    corpus = corpus_of("0123456789 " * 600, tmp_path)
    shown = told(corpus=corpus, file=tmp_path / "own.txt")
    assert "no words" in finding(shown, "temperature-words")["text"]
    assert "speaker" not in finding(shown, "how-texts-begin")["heading"]
    claims = [row["claim"] for row in table_rows(shown, "temperature-claims")]
    assert claims == ["0.5 ≤ T < 1 is best"]


@pytest.mark.parametrize(
    ("measured", "heading", "high", "low"),
    [
        (make(words_by(0.93, 0.3)), "Words are real up to T = 1 and look random from T = 2 on", 1.0, 2.0),
        (make(lambda t: {"words": 0.7}), "Words are real at no temperature and look random at none", None, None),
    ],
)
def test_words_are_real_and_random_as_far_as_the_intervals_say(told, measured, heading, high, low):
    said = finding(told(measured), "temperature-words")
    assert said["heading"].replace("&#61;", "=") == heading
    assert (said["values"]["high"], said["values"]["low"]) == (high, low)


def test_words_tell_nothing_where_chance_reaches_the_rate_of_real_text(told):
    shown = told(make(words_by(0.93, 0.3), shuffled=CHANCE | {"words": 0.95}))
    assert "tells nothing" in finding(shown, "temperature-words")["text"]


def test_text_no_closer_than_shuffled_text_is_said_to_show_nothing_learnt(told):
    said = finding(told(make(away(0.7), shuffled=TYPICAL, spread=0.5)), "temperature-closest")
    assert "nothing was learnt" in said["heading"] and not said["values"]["learnt"]
    nothing = dict.fromkeys(TYPICAL)
    said = finding(told(make(real=nothing, shuffled=nothing)), "temperature-closest")
    assert "not known" in said["heading"] and said["values"] == {}


@pytest.mark.parametrize(("closest", "where"), [((0.7, 0.7, 0.7), "0.7"), ((0.4, 0.7, 1.0), "0.4 to 1")])
def test_the_runs_are_said_to_agree_as_far_as_they_do(told, closest, where):
    shown = told(make(away(0.7)), across=across(closest))
    assert finding(shown, "temperature-closest")["values"]["where"] == where
    runs = finding(shown, "temperature-runs")["values"]
    assert (runs["inside"], runs["words_1"]) == (sum(0.5 <= t < 1 for t in closest), pytest.approx(0.8))


def test_the_price_of_a_low_temperature_is_named_only_where_it_was_paid(told):
    paid = told(make(lambda t: {"distinct": 0.4, "judge": 1.0} if t == 0.5 else {}))
    assert "price" in finding(paid, "temperature-why")["text"]
    assert "price" not in finding(told(make()), "temperature-why")["text"]


def truncations(words):
    """Three top-k and top-p settings whose diversity lies around the 0.4 that T = 0.5 has below."""
    return {(kind, i): {"distinct": x, "words": w} for kind, w in words.items() for i, x in enumerate((0.2, 0.3, 0.6))}


def test_the_comparison_says_which_is_higher_and_which_cannot_be_told_apart(told):
    def half(t):
        return {"distinct": 0.4 if t == 0.5 else 0.7, "words": 0.8}

    shown = told(make(half, truncated=truncations({"top-k": 0.5, "top-p": 0.8})))
    heading = "top-k gives fewer real words than T = 0.5, top-p cannot be told from it"
    assert heading in finding(shown, "truncation")["heading"]
    assert "by −30.0 points (95% interval" in finding(shown, "truncation-numbers")["text"].replace("&#43;", "+")
    unreached = told(make(half, truncated={("top-k", 1): {"distinct": 0.8}, ("top-k", 2): {"distinct": 0.9}}))
    assert "not compared" in finding(unreached, "truncation")["heading"]
