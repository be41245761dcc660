"""The claims of the source study: each rule on each of its sides."""

import pytest
from synthetic import make_runs

from charlm import claims, stats
from charlm.losses import measures


def runs_at(key, **losses):
    """Runs of the study's protocol whose record says for `key` what is given for each cell, a seed each."""
    runs = make_runs(tuple(losses), max(map(len, losses.values())), corpus="shakespeare-268k")
    return [r | {key: losses[r["cell"]][r["seed"]]} for r in runs if r["seed"] < len(losses[r["cell"]])]


def row_of(rows, number):
    return next(row for row in rows if row["number"] == number)


# ---------------------------------------------------------------------------------------------------------------------
# the study's numbers


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        ([1.60, 1.61, 1.62], measures.REPRODUCED),
        ([1.70, 1.7001, 1.7002], measures.NOT_REPRODUCED),
        ([1.60, 1.61], stats.NOT_JUDGED),
    ],
)
def test_a_published_number_is_judged_by_where_one_more_run_falls(losses, verdict):
    row = row_of(measures.published_rows(runs_at("val_loss_last", rnn=losses)), "validation loss, last epoch")
    assert (row["published"], row["n"], row["verdict"]) == (1.6059, len(losses), verdict)


def test_the_prediction_interval_by_hand():
    losses = [1.60, 1.61, 1.62]
    half = 7.648804 * 0.01 * (4 / 3) ** 0.5  # t(1 − 0.05/3/2, 2) · s · √(1 + 1/3), the second of the four numbers
    row = row_of(measures.published_rows(runs_at("val_loss_last", rnn=losses)), "validation loss, last epoch")
    assert row["level"] == pytest.approx(1 - 0.05 / 3)
    assert (row["low"], row["high"]) == pytest.approx((1.61 - half, 1.61 + half))
    half = 4.302652729911275 * 0.01 * (4 / 3) ** 0.5  # t(0.975, 2), where it is alone
    e = stats.estimate(dict(enumerate(losses)))
    (at_its_end,) = stats.holm([measures.away_from(e, 1.61 + half)])
    assert at_its_end.high == pytest.approx(0, abs=1e-9)


def test_the_numbers_are_one_family():
    rows = measures.published_rows(make_runs(corpus="shakespeare-268k"))
    assert len(rows) == 8 and min(row["level"] for row in rows) >= 0.95
    assert max(row["level"] for row in rows) == pytest.approx(1 - 0.05 / 8)


def test_from_the_first_number_that_is_reproduced_on_all_have_its_level():
    losses = [1.7, 1.7001, 1.7002]
    rows = measures.published_rows(runs_at("val_loss_last", rnn=losses))
    far = row_of(rows, "validation loss, last epoch")
    (level,) = {row["level"] for row in rows if row["verdict"] == measures.REPRODUCED}
    assert far["level"] > level


def test_a_number_that_another_set_of_runs_contradicts_is_too_close_to_call():
    near, far = (runs_at("val_loss_last", rnn=losses) for losses in ([1.60, 1.61, 1.62], [1.70, 1.7001, 1.7002]))
    for judging, other in ((near, far), (far, near)):
        row = row_of(measures.agreed_rows(judging, {"other": other}), "validation loss, last epoch")
        assert row["verdict"] == stats.OPEN
    alone = row_of(measures.agreed_rows(near, {"the same": near}), "validation loss, last epoch")
    assert alone["verdict"] == measures.REPRODUCED


@pytest.mark.parametrize("change", [{"corpus": "my.txt"}, {"hidden_size": 512}])
def test_other_runs_have_no_published_numbers(change):
    assert measures.published_rows(make_runs(**change)) == []


# ---------------------------------------------------------------------------------------------------------------------
# its statements


def contrast_facts(low, high, n=5):
    mean = (low + high) / 2
    verdict = stats.direction((low, high), n)
    return {"mean": mean, "low": low, "high": high, "level": 0.95, "n": n, "verdict": verdict}


def results(**contrasts):
    keys = {key.replace("_", "/").replace("lstm/rnn", "lstm-rnn"): c for key, c in contrasts.items()}
    return {"runs": make_runs(corpus="shakespeare-268k"), "contrasts": keys}


@pytest.mark.parametrize(
    ("low", "high", "n", "verdict"),
    [
        (-0.11, -0.09, 5, "confirmed"),
        (0.09, 0.11, 5, "refuted"),
        (-0.001, 0.001, 7, stats.SAME),
    ],
)
def test_that_the_lstm_is_better_is_judged_by_its_contrast(low, high, n, verdict):
    (claim,) = claims.better_cell_claims(results(losses_last_lstm_rnn=contrast_facts(low, high, n)))
    assert (claim["verdict"], claim["published"], claim["interval"]) == (verdict, -0.0057, [low, high])
    assert claim["n"] == n


@pytest.mark.parametrize(
    ("gap", "rise", "verdict", "decides"),
    [
        ((0.1, 0.2), (0.3, 0.4), "confirmed", "gap"),
        ((0.1, 0.2), (-0.4, -0.3), "refuted", "rise"),
        ((-0.1, 0.2), (0.3, 0.4), stats.OPEN, "gap"),
    ],
)
def test_overfitting_needs_a_wider_gap_and_a_rise(gap, rise, verdict, decides):
    parts = {"gap": gap, "rise": rise, "last": (0.1, 0.2), "best": (-0.2, -0.1)}
    found = results(**{f"overfitting_{part}_rnn": contrast_facts(*ends) for part, ends in parts.items()})
    overfits, last, best = claims.overfitting_claims(found)
    assert (overfits["verdict"], last["verdict"], best["verdict"]) == (verdict, "confirmed", "refuted")
    assert decides in overfits["measure"]  # the numbers are of the part that decides


@pytest.mark.parametrize("part", ["gap", "rise"])
def test_overfitting_of_which_a_part_was_not_found_is_no_claim(part):
    assert claims.overfitting_claims(results(**{f"overfitting_{part}_rnn": contrast_facts(0.1, 0.2)})) == []


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(-0.001, 0.002, "refuted"), (0.02, 0.03, "confirmed"), (-0.02, 0.03, stats.OPEN)],
)
def test_the_size_of_the_training_set_is_the_cause_where_more_text_widens_the_gap(low, high, verdict):
    (claim,) = claims.gap_cause_claims(results(**{"gap_by-text": contrast_facts(low, high)}))
    assert claim["verdict"] == verdict


def test_runs_of_another_protocol_or_corpus_have_no_claims():
    found = {"runs": make_runs(corpus="my.txt"), "contrasts": {"losses/last/lstm-rnn": contrast_facts(-0.2, -0.1)}}
    assert claims.all_claims(found) == [] and claims.claim_table([]) is None


def test_statements_on_texts_are_judged_of_any_corpus_and_counted_by_verdict():
    verdicts = ["confirmed", "refuted", stats.SAME, stats.SAME, stats.SAME, stats.OPEN, stats.OPEN]
    judged = claims.all_claims({"runs": make_runs(corpus="my.txt"), "text_claims": [{"verdict": v} for v in verdicts]})
    values = claims.what_became_of_them(judged).values
    assert [values[name] for name in ("hold", "fall", "alike", "open", "all")] == [1, 1, 3, 2, 7]


@pytest.mark.parametrize(("holding", "more_hold"), [(1, False), (2, True)])
def test_most_statements_hold_where_more_are_confirmed_than_refuted(holding, more_hold):
    judged = [{"kind": claims.NUMBER, "verdict": "reproduced"}]
    judged += [{"kind": claims.STATEMENT, "verdict": verdict} for verdict in ["refuted", *["confirmed"] * holding]]
    assert ("most of its statements hold" in claims.what_became_of_them(judged).heading) == more_hold


def test_numbers_and_statements_stand_in_one_table_and_are_counted_apart():
    found = results(losses_last_lstm_rnn=contrast_facts(0.09, 0.11, 7))
    found["published"] = measures.published_rows(found["runs"])
    judged = claims.all_claims(found)
    rows = claims.claim_table(judged).frame.to_dict("records")
    assert [row["kind"] for row in rows] == [claims.NUMBER] * 8 + [claims.STATEMENT]
    assert (rows[0]["published"], rows[8]["published"], rows[8]["measured"]) == ("28", "−0.0057", "+0.1000")
    assert [row["n"] for row in rows] == [5] * 8 + [7]
    values = claims.what_became_of_them(judged).values
    assert (values["numbers"], values["all"], values["fall"]) == (8, 1, 1)
