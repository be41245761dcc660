"""The claims of the source study: each rule on each of its sides."""

import pytest
from synthetic import make_runs

from charlm import claims
from charlm.stats import MARGIN, MIN_SEEDS


def runs_at(key, **losses):
    """Runs of the study's protocol whose record says for `key` what is given for each cell, a seed each."""
    runs = make_runs(tuple(losses), max(map(len, losses.values())), corpus="shakespeare-268k")
    return [r | {key: losses[r["cell"]][r["seed"]]} for r in runs if r["seed"] < len(losses[r["cell"]])]


def found(judged, start):
    (claim,) = [c for c in judged if c["claim"].startswith(start)]
    return claim


@pytest.mark.parametrize(
    "losses, verdict",
    [
        ([1.60, 1.61, 1.62], "confirmed"),
        ([1.70, 1.71, 1.72], "refuted"),
        ([1.60, 1.61], "not judged"),
    ],
)
def test_a_published_number_is_judged_by_the_prediction_interval(losses, verdict):
    claim = found(claims.published_claims(runs_at("val_loss_last", rnn=losses)), "RNN: validation loss")
    assert claim["published"] == 1.6059 and claim["n"] == len(losses)
    assert claim["verdict"] == verdict


def test_the_prediction_interval_by_hand():
    claim = found(claims.published_claims(runs_at("val_loss_last", rnn=[1.60, 1.61, 1.62])), "RNN: validation loss")
    half = 4.302652729911275 * 0.01 * (4 / 3) ** 0.5  # t(0.975, 2) · s · √(1 + 1/3)
    assert claim["interval"] == pytest.approx([1.61 - half, 1.61 + half])


@pytest.mark.parametrize(
    "lstm, verdict",
    [
        ([1.5, 1.51, 1.49], "confirmed"),
        ([1.7, 1.71, 1.69], "refuted"),
        ([1.6, 1.6, 1.6], "no difference that matters"),
        ([1.5, 1.7, 1.65], "too close to call"),
        ([1.5, 1.51], "not judged"),
    ],
)
def test_that_the_lstm_is_better_is_judged_by_the_rule_for_differences(lstm, verdict):
    judged = claims.better_cell_claims(runs_at("val_loss_last", rnn=[1.6] * len(lstm), lstm=lstm))
    assert found(judged, "The LSTM has the lower validation loss, last epoch")["verdict"] == verdict
    assert judged[0]["published"] == -0.0057


def test_runs_of_another_protocol_or_corpus_have_no_claims():
    runs = make_runs(corpus="my.txt")
    results = {"runs": runs, "tables": {}, "findings": {}}
    assert claims.all_claims(results) == []
    assert claims.claim_table([]) is None


def row(cell, quantity, verdict, estimate=0.1):
    line = {"cell": cell, "quantity": quantity, "seeds": 3, "estimate": estimate, "low": 0.0, "high": 0.2}
    return line | {"verdict": verdict}


@pytest.mark.parametrize(
    "gap, rise, verdict", [("confirmed", "confirmed", "confirmed"), ("confirmed", "refuted", "refuted")]
)
def test_overfitting_needs_a_wider_gap_and_a_rise(gap, rise, verdict):
    rows = [
        row("RNN", "validation loss, last epoch", "refuted"),
        row("RNN", "validation loss, best epoch", "confirmed"),
    ]
    rows += [row("RNN", "gap, last epoch", gap), row("RNN", "rise above best, 512 / 0.002 alone", rise)]
    judged = claims.overfitting_claims({"tables": {"overfitting": rows}})
    assert [c["verdict"] for c in judged] == [verdict, "refuted", "confirmed"]
    assert all(c["n"] == 3 and c["interval"] == [0.0, 0.2] for c in judged)
    # The numbers are of the part that decides.
    assert ("rise above its best" in judged[0]["measure"]) == (gap != verdict)


@pytest.mark.parametrize(
    "low, high, n, verdict",
    [
        (-0.001, 0.002, 5, "refuted"),
        (0.02, 0.03, 5, "confirmed"),
        (-0.03, -0.02, 5, "refuted"),
        (-0.02, 0.03, 5, "too close to call"),
        (-0.001, 0.002, 2, "not judged"),
    ],
)
def test_the_cause_of_the_gap(low, high, n, verdict):
    values = {"rnn_size_n": n, "rnn_size_mean": (low + high) / 2, "rnn_size_low": low, "rnn_size_high": high}
    results = {"runs": make_runs(("rnn",), 1), "findings": {"gap-cause": {"values": values}}}
    (claim,) = claims.gap_cause_claims(results)
    assert claim["verdict"] == verdict and claim["n"] == n


def test_claims_about_text_come_from_the_temperature_study():
    rows = [
        {
            "claim": "0.5 ≤ T < 1 is best",
            "measure": "T at which text is closest to real text",
            "unit": "T",
            "published": "so",
            "measured": 0.7,
            "of": "that T",
            "low": 0.6,
            "high": 0.8,
            "texts": 40,
        }
    ]
    (claim,) = claims.shown_text_claims({"tables": {"temperature-claims": [rows[0] | {"verdict": "confirmed"}]}})
    assert claim["interval"] == [0.6, 0.8] and claim["n"] == 40


def test_the_table_counts_the_verdicts_and_rounds_what_is_measured():
    judged = claims.better_cell_claims(runs_at("val_loss_last", rnn=[1.6, 1.6, 1.6], lstm=[1.7, 1.71, 1.69]))
    table = claims.claim_table(judged)
    assert "1 refuted" in claims.what_became_of_them(judged).values["counts"]
    rows = table.frame.to_dict("records")
    assert ("−0.0057", "+0.1000", "mean difference") in [
        (r["published"], r["measured"], r["interval of"]) for r in rows
    ]


def test_the_printed_rule_names_its_thresholds():
    assert f"±{MARGIN:g}" in claims.claim_rule().filled and f"under {MIN_SEEDS}\nseeds" in claims.claim_rule().filled


CLAIM = {
    "claim": "c",
    "measure": "m",
    "unit": "share",
    "published": "p",
    "measured": 0.693,
    "interval": [0.639, 0.743],
    "of": "share of texts",
    "n": 500,
    "verdict": "confirmed",
}


def test_numbers_are_written_as_their_unit_is():
    other = CLAIM | {"unit": "T", "measured": 0.7, "interval": [0.7, 0.7]}
    epoch = CLAIM | {"unit": "epoch", "published": 28, "measured": 32.8, "interval": [28.8, 36.8]}
    rows = claims.claim_table([CLAIM, other, epoch]).frame.to_dict("records")
    assert [(r["published"], r["measured"], r["95% interval"]) for r in rows] == [
        ("p", "69.3%", "63.9%\u00a0to\u00a074.3%"),
        ("p", "0.7", "0.7"),
        ("28", "32.8", "28.8\u00a0to\u00a036.8"),
    ]


def test_claims_stand_by_verdict_and_their_tiles_lead_to_their_rows():
    judged = [CLAIM | {"claim": v, "verdict": v} for v in ("refuted", "confirmed", "not judged", "confirmed")]
    table, tiles = claims.claim_table(judged), claims.claim_tiles(judged)
    assert list(table.frame["verdict"]) == ["confirmed", "confirmed", "refuted", "not judged"]
    assert [(t["label"], t["target"]) for t in tiles.items][2] == ("refuted", "claim-3")
    assert (table.groups, table.row_ids) == ("verdict", "claim")
    assert claims.claim_tiles([]) is None


def test_why_both_losses_hold_and_their_difference_does_not_is_said_where_it_is_so():
    held = runs_at("val_loss_last", rnn=[1.58, 1.61, 1.64], lstm=[1.5951, 1.625, 1.6549])
    judged = [*claims.published_claims(held), *claims.better_cell_claims(held)]
    verdicts = [
        found(judged, start)["verdict"]
        for start in ("RNN: validation loss", "LSTM: validation loss", "The LSTM has the lower validation loss, last")
    ]
    assert verdicts == ["confirmed", "confirmed", "refuted"]
    assert "their difference is refuted" in claims.what_became_of_them(judged).filled
    assert "difference" not in claims.what_became_of_them(claims.published_claims(held)).filled


def test_a_value_far_from_the_mean_that_is_confirmed_is_explained():
    far = runs_at("val_loss_last", rnn=[1.6059 - 0.03, 1.6059 - 0.02, 1.6059 - 0.04])
    finding = claims.what_became_of_them(claims.published_claims(far))
    assert finding.values["away"] == pytest.approx(3.0)
    assert finding.values["reach"] == pytest.approx(4.302652729911275 * (4 / 3) ** 0.5)
    near = runs_at("val_loss_last", rnn=[1.60, 1.61, 1.62])
    near = [r | {"epochs": 28, "train_loss_last": 1.3844 + 0.001 * (r["seed"] - 1)} for r in near]
    assert "away" not in claims.what_became_of_them(claims.published_claims(near)[1:3]).values


def test_of_another_text_only_those_claims_are_counted_that_can_be_asked():
    assert "No claim" in claims.what_became_of_them([]).heading
    assert "that can be asked of this text" in claims.what_became_of_them([CLAIM]).heading
    own = claims.published_claims(runs_at("val_loss_last", rnn=[1.60, 1.61, 1.62]))
    assert claims.what_became_of_them(own).heading.startswith("Of the study's")
