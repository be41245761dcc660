"""What the chapter on temperature says of given texts."""

import numpy as np
import pytest
from chapters import chapter, check_snapshot, contrasts_in, finding, table_rows
from chapters import told as all_told
from measured_texts import TYPICAL, away, begun_by, corpus_of, make, words_by
from synthetic import make_record, make_runs

import charlm_core as core
from charlm.stats import HIGHER, LOWER, NOT_JUDGED, OPEN, SAME
from charlm.temperature import across as across_runs
from charlm.temperature import measures, samples, texts
from charlm.temperature.measures import TEXT_MEASURES
from charlm.temperature.texts import STUDY_TEMPERATURES

NAME = "3_temperature_study"
RARE = {"rare": 0.04, "itself": 4.8, "judge": 1.5, "words": 0.87, "elsewhere": 0.96}


def across(closest=(0.7, 0.7, 0.8), words=(0.7, 0.8, 0.9), worse=(0.5, 0.5, 0.5), elsewhere=0.96, sure=0.1):
    """Rows of both cells, a seed for each closest temperature, whose drawn rare characters cost the judge so much more."""
    rows = []
    for cell in ("rnn", "lstm"):
        for seed, (t, word, more) in enumerate(zip(closest, words, worse, strict=False)):
            row = dict.fromkeys(TEXT_MEASURES, t) | {f"words_{at:g}": None for at in STUDY_TEMPERATURES}
            row |= {"closest": t, "words_1": word, "upper": 0.6, "lower": 0.0, "loss": 1.6, "entropy": 1.6 - sure}
            drawn = RARE | {"itself": RARE["itself"] + more, "judge": RARE["judge"] + more, "words": 0.87 - more / 2}
            drawn["elsewhere"] = elsewhere
            rows.append(make_record(cell, seed) | row | {"drawn": drawn, "real": RARE})
    return rows


@pytest.fixture
def told(monkeypatch, tiny_file, tiny, tiny_config):
    """The chapter on an untrained model of a tiny text; with `measured`, on texts that were measured so."""

    def tell(measured=None, corpus=tiny, file=tiny_file, rows=None, begun=None, drawn=False):
        if not drawn:  # no samples to read
            for name in ("drawn_items", "side_by_side"):
                monkeypatch.setattr(samples, name, lambda *arguments: [])
        kept: dict = {}
        weights = core.initial_weights(len(corpus.vocab), tiny_config)
        for where in (
            "charlm.runs.folder",
            "charlm.temperature.samples",
            "charlm.temperature.measures",
            "charlm.temperature.across",
        ):
            monkeypatch.setattr(f"{where}.load_weights", lambda folder: (weights, tiny_config, corpus.vocab))

        def once(folder, name, depends_on, measure):
            kept[name] = kept.get(name) or measure()
            return kept[name]

        for module in (measures, across_runs):
            monkeypatch.setattr(module, "kept_measurement", once)
        if measured is not None:
            monkeypatch.setattr(measures, "measured_texts", lambda *arguments: measured)
            monkeypatch.setattr(across_runs, "rows_across_runs", lambda *arguments: across() if rows is None else rows)
            monkeypatch.setattr(texts, "begin_texts", lambda *arguments: begun or {})
        given = {"corpus": str(file), "length": 20, "samples": 40, "passage": 30}
        return chapter(NAME, monkeypatch, make_runs(corpus=str(file)), draw=drawn, **given)[1]

    return tell


def claims_in(shown):
    return next(about["data"]["text_claims"] for _, about in shown if about["kind"] == "results")


def test_the_chapter_reads_as_it_did(told):
    check_snapshot(NAME, told(make(away(0.7)), begun=begun_by([0.4, 0.8, 0.9], [0, 0.05]), drawn=True))


# ---------------------------------------------------------------------------------------------------------------------
# other corpora


@pytest.mark.parametrize(
    "text",
    ["0123456789,\n" * 300, "Иди домой, сказала мать.\nНет, ответил Пётр.\n" * 100],
)
def test_of_a_text_without_speakers_nothing_is_said_of_them(told, tmp_path, text):
    shown = told(corpus=corpus_of(text, tmp_path), file=tmp_path / "own.txt")
    said = all_told(shown)
    assert "nan" not in said.replace("nance", "") and "inf" not in said and "None" not in said and "–" not in said
    assert "speaker" not in finding(shown, "how-texts-begin")["heading"]
    assert not any(about["id"] == "headings" for _, about in shown if about["kind"] == "table")
    assert not any("Upper-case" in claim["claim"] for claim in claims_in(shown))
    assert finding(shown, "temperature-why") and finding(shown, "temperature-loss")


def test_of_random_characters_the_chapter_says_that_nothing_was_learnt(told, tmp_path):
    characters = np.random.default_rng(0).choice(list("abcdefghij  .\n"), 8000)
    shown = told(corpus=corpus_of("".join(characters), tmp_path), file=tmp_path / "own.txt")
    assert "tell nothing" in finding(shown, "temperature-words")["text"]
    assert "nothing was learnt" in finding(shown, "temperature-closest")["heading"]
    assert "not compared" in finding(shown, "truncation")["heading"] and not finding(shown, "truncation-numbers")
    assert {claim["verdict"] for claim in claims_in(shown)} == {"not judged"}


def test_without_words_or_any_measure_nothing_is_said_of_them(told):
    nothing = dict.fromkeys(TYPICAL)
    shown = told(make(real=nothing, shuffled=nothing))
    assert "no words" in finding(shown, "temperature-words")["text"]
    assert finding(shown, "truncation")["heading"] == "Quality and variety are not compared"
    assert "not known" in finding(shown, "temperature-closest")["heading"]


# ---------------------------------------------------------------------------------------------------------------------
# text at the study's temperatures


def test_words_are_real_and_random_as_far_as_the_intervals_say_and_loops_are_named(told):
    found = finding(told(make(words_by(0.93, 0.3))), "temperature-words")
    assert "real up to T = 1 and look random from T = 2 on" in found["text"] and "loops" not in found["text"]
    found = finding(told(make(lambda t: {"words": 0.7, "distinct": 0.2 if t < 0.5 else 0.7})), "temperature-words")
    assert "real at no temperature and look random at none" in found["text"]
    assert "At T = 0.2 text fails in another way: it runs in loops" in found["text"]


# ---------------------------------------------------------------------------------------------------------------------
# why a lower temperature helps


@pytest.mark.parametrize(
    ("worse", "elsewhere", "verdicts", "heading"),
    [
        ((0.5, 0.6, 0.4), 0.8, (HIGHER, LOWER), "fit worse than real text's, and words elsewhere are less often real"),
        ((0.5, 0.1, -0.4), 0.96, (OPEN, SAME), "too close to call, and words elsewhere are real as often"),
        ((0.5,), 0.8, (NOT_JUDGED, NOT_JUDGED), "so few seeds cannot tell"),
    ],
)
def test_the_answer_follows_from_the_verdicts(told, worse, elsewhere, verdicts, heading):
    shown = told(make(), rows=across(worse=worse, elsewhere=elsewhere))
    found = contrasts_in(shown)
    keys = ("temperature/rare/judge/rnn", "temperature/rare/elsewhere/lstm")
    assert tuple(found[key]["verdict"] for key in keys) == verdicts
    assert heading in finding(shown, "temperature-why")["heading"]
    words = found["temperature/rare/words/lstm"]
    assert (words["unit"], words["quantity"]) == ("share", "LSTM, real words around it")


def test_of_rare_characters_that_no_run_drew_nothing_is_said(told):
    rows = across()
    for row in rows:
        row["drawn"] = row["drawn"] | dict.fromkeys(("itself", "judge", "words"))
    why = finding(told(make(), rows=rows), "temperature-why")
    assert "not known" in why["heading"] and "words" not in why["heading"] and "not known" in why["text"]


@pytest.mark.parametrize(
    ("sure", "verdict", "says"),
    [
        (0.1, HIGHER, "surer than they are right: the loss is 0.1000 nats higher"),
        (0.001, SAME, "as sure as they should"),
    ],
)
def test_how_sure_models_are_follows_from_loss_and_entropy_of_all_runs(told, sure, verdict, says):
    shown = told(make(), rows=across(sure=sure))
    assert contrasts_in(shown)["temperature/confidence/lstm"]["verdict"] == verdict
    assert says in finding(shown, "temperature-loss")["text"]


def test_that_a_low_temperature_reads_better_is_said_only_where_it_does(told):
    paid = told(make(lambda t: {"distinct": 0.4, "words": 0.9} if t == 0.5 else {"words": 0.7}))
    assert "more real words" in finding(paid, "temperature-loss")["text"]
    assert "pays with variety" in finding(paid, "truncation")["text"]
    free = told(make())
    assert "more real words" not in finding(free, "temperature-loss")["text"]
    assert "pays with variety" not in finding(free, "truncation")["text"]


# ---------------------------------------------------------------------------------------------------------------------
# the closest temperature


def test_each_measure_alone_is_told_where_it_says_something_else(told):
    measured = make(lambda t: {"judge": 1.0 + t, "distinct": 0.7 * t})
    shown = told(measured)
    said = finding(shown, "temperature-closest")
    assert (said["values"]["t0"], said["values"]["t1"]) == (0.4, 1.0)  # the others are the same at every temperature
    assert "single measures say" in said["heading"]
    rows = {row["measure"]: row for row in table_rows(shown, "temperature-each")}
    assert (rows["judge's loss"]["closest at T"], rows["distinct sequences"]["closest at T"]) == (0.4, 1.0)
    assert rows["all, same weight"]["6 runs"] == "0.7 to 0.8"


def test_the_runs_are_said_to_agree_as_far_as_they_do(told):
    shown = told(make(away(0.7)), rows=across((0.4, 0.7, 1.0)))
    assert finding(shown, "temperature-closest")["values"]["where"] == "0.4 to 1"
    assert finding(shown, "temperature-runs")["values"]["inside"] == 2  # of each cell one
    shown = told(make(away(0.7)), rows=across((0.7,)))
    assert "runs it is closest" not in finding(shown, "temperature-closest")["text"]
    assert finding(shown, "temperature-runs") is None


# ---------------------------------------------------------------------------------------------------------------------
# quality and variety


def test_no_temperature_has_both_or_those_are_named_that_may(told):
    def traded(t):
        return {"words": 0.95 - 0.3 * t, "distinct": 0.35 + 0.4 * t}

    said = finding(told(make(traded)), "truncation")
    assert said["heading"] == "No temperature has both the real words and the variety of real text"
    assert "68.8% with temperature; in real text it is 95.0%" in said["text"]
    said = finding(told(make(lambda t: traded(t) if t < 0.75 or t > 0.95 else {})), "truncation")
    assert said["heading"].startswith("At T = 0.8 to 0.9 drawn text has the real words and the variety of real text")


def test_the_comparison_says_which_is_higher_and_which_cannot_be_told_apart(told):
    truncated: dict = {}
    for kind, words in (("top-k", 0.5), ("top-p", 0.8)):
        truncated |= {(kind, x): {"distinct": x, "words": words} for x in (0.2, 0.3, 0.6)}
    shown = told(make(lambda t: {"distinct": 0.4 if t == 0.5 else 0.7, "words": 0.8}, truncated=truncated))
    said = finding(shown, "truncation-numbers")["text"]
    assert "top-k gives fewer (50.0%), top-p cannot be told from it (80.0%)" in said
    rows = [row for row in table_rows(shown, "equal-diversity") if row["as varied as"] == "T = 0.5"]
    assert rows[0]["high"] < 0 and rows[1]["low"] <= 0 <= rows[1]["high"]
