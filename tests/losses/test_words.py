"""What is said of the losses of given runs: tables and sentences, checked by hand."""

import pytest
from synthetic import make_record, make_runs

from charlm import stats
from charlm.losses.words import (
    course,
    difference_at,
    does_larger_overfit,
    loss_table,
    overfitting_table,
    precision_check,
    precision_table,
    rnn_or_lstm,
    run_table,
    stopping_table,
    verdict_rule,
)
from charlm.stats import MARGIN, Estimate


def with_losses(cell, last, **config):
    """Records whose validation losses at the last and best epoch are given, a seed each."""
    return [make_record(cell, s, **config) | {"val_loss_last": x, "val_loss_best": x} for s, x in enumerate(last)]


# ---------------------------------------------------------------------------------------------------------------------
# sentences


@pytest.mark.parametrize(
    ("lstm", "lead", "words"),
    [
        ([1.50, 1.51, 1.49], "The LSTM is better", "0.1000 nats lower than the RNN's"),
        ([1.70, 1.71, 1.69], "The RNN is better", "0.1000 nats higher than the RNN's"),
        ([1.601, 1.602, 1.600], "No difference that matters", "(95% interval 0.0026 lower to 0.0046 higher; 3 seeds)"),
        ([1.50, 1.65, 1.63], "Too close to call", "lower to"),
        ([1.50, 1.51], "Not judged, for want of 3 seeds", "; 2 seeds)"),
        ([1.50], "Not judged", "(1 seed, so no interval)"),
        ([1.60, 1.60, 1.60], "No difference that matters", "within 0.0001 nats of the RNN's"),
    ],
)
def test_the_answer_to_rnn_or_lstm_follows_from_the_numbers(lstm, lead, words):
    records = with_losses("rnn", [1.6] * len(lstm)) + with_losses("lstm", lstm)
    for epoch in ("last", "best"):
        finding = difference_at(records, epoch)
        assert finding.id == f"rnn-or-lstm-{epoch}"
        assert finding.text.startswith(f"**{lead}")
        assert f"at the {epoch} epoch" in finding.text
        assert words in finding.text


def test_an_interval_on_one_side_of_zero_is_told_from_near_to_far():
    e = Estimate({0: 0, 1: 0, 2: 0}, -0.03, 0.01, (-0.05, -0.01))
    assert (
        stats.difference_in_words(e, "it") == "0.0300 nats lower than it (95% interval 0.0100 to 0.0500 lower; 3 seeds)"
    )


@pytest.mark.parametrize(
    ("last", "best", "heading"),
    [
        ([1.70, 1.71, 1.69], [1.6, 1.6, 1.6], "At the last epoch the RNN is better, at the best neither is better"),
        ([1.50, 1.51, 1.49], [1.5, 1.51, 1.49], "RNN or LSTM: at the last and at the best epoch the LSTM is better"),
        ([1.50], [1.50], "1 seed of each cannot tell RNN and LSTM apart"),
    ],
)
def test_the_heading_has_the_answer_at_both_epochs(last, best, heading):
    runs = with_losses("rnn", [1.6] * len(last)) + with_losses("lstm", last)
    for r in runs:
        if r["cell"] == "lstm":
            r["val_loss_best"] = best[r["seed"]]
    assert rnn_or_lstm(runs).heading == heading
    assert "at the last epoch" in rnn_or_lstm(runs).text and "at the best epoch" in rnn_or_lstm(runs).text


def test_the_answer_does_not_judge_the_study():
    for finding in (rnn_or_lstm(make_runs()), difference_at(make_runs(), "last")):
        assert "study" not in finding.heading + finding.text and "claim" not in finding.text


@pytest.mark.parametrize("cells", [["rnn"], ["gru"], []])
def test_rnn_and_lstm_are_not_compared_where_one_is_missing(cells):
    runs = make_runs(cells)
    assert rnn_or_lstm(runs).heading == "RNN and LSTM are not compared"
    assert "not compared" in difference_at(runs, "best").text
    assert difference_at(runs, "best").values["verdict"] == "not judged"


def test_a_seed_that_diverged_is_named_in_the_answer():
    records = [*make_runs(seeds=3), make_record("rnn", 8), make_record("lstm", 8, epochs=1, diverged=True)]
    assert "left out: 8." in difference_at(records, "best").text


def test_the_course_says_where_runs_were_best_and_what_came_after():
    finding = course(make_runs(["rnn"], 4))
    assert "RNN is best at epoch 23 to 26 and stops at 28 to 31" in finding._repr_mimebundle_()[0]["text/markdown"]
    assert "while training loss goes on falling" in finding.filled
    assert "first lies above training loss at epoch" in finding.filled


def test_the_course_of_short_runs_claims_neither_rise_nor_crossing():
    said = course(make_runs(["gru"], 1, max_epochs=2)).filled
    assert "limit of epochs ended the training" in said and "never above training loss" in said
    assert "No run of the RNN finished" in course([make_record("rnn", 0, epochs=0, diverged=True)]).heading


def test_the_rule_names_the_margin_and_the_fewest_seeds():
    assert f"{MARGIN:g} nats" in verdict_rule()._repr_mimebundle_()[1]["charlm"]["heading"]


# ---------------------------------------------------------------------------------------------------------------------
# tables


def rows(table):
    return table.frame.to_dict("records")


def test_loss_table_has_mean_deviation_and_distance_to_the_published_value():
    table = loss_table(with_losses("rnn", [1.6, 1.61, 1.62]) + with_losses("lstm", [1.58, 1.59, 1.6]))
    row = next(r for r in rows(table) if (r["cell"], r["loss"]) == ("RNN", "validation"))
    assert row["seeds"] == 3
    assert (row["last epoch"], row["sd, last"]) == pytest.approx((1.61, 0.01))
    assert row["best epoch"] == pytest.approx(1.61)
    assert row["published"] == 1.6059
    assert row["deviations away"] == pytest.approx(-0.41)


def test_other_runs_have_no_published_columns():
    for table in (loss_table, stopping_table):
        shown = table(make_runs(corpus="my.txt"))
        assert not {"published", "deviations away"} & set(shown.frame.columns)
        assert "study" not in shown.caption + shown.note


def test_one_seed_has_no_deviation():
    table = loss_table(make_runs(["rnn"], 1))
    assert table.frame["sd, last"].isna().all()
    assert table.frame["deviations away"].isna().all()


def test_diverged_runs_are_in_no_mean_and_are_named():
    good, bad = make_runs(["rnn"], 3), make_record("rnn", 9, epochs=4, diverged=True)
    table = loss_table([*good, bad])
    assert rows(table) == rows(loss_table(good))
    assert table.note == "1 run diverged and is in no mean: RNN 256 / 0.001, seed 9, in epoch 5."


def test_a_cell_whose_runs_all_diverged_is_shown_without_numbers():
    for table in (loss_table, stopping_table, run_table):
        shown = table([*make_runs(["lstm"], 2), make_record("rnn", 0, epochs=0, diverged=True)])
        assert "RNN" in set(shown.frame["cell"])
        assert "diverged" in shown.note


def test_stopping_table_by_hand():
    records = [make_record("rnn", s) | {"epochs": e, "best_epoch": e - 5} for s, e in enumerate((27, 28, 29))]
    row = rows(stopping_table(records))[0]
    assert (row["epoch"], row["mean"], row["standard deviation"]) == ("stopped at", 28, 1)
    assert (row["published"], row["deviations away"]) == (28, 0)


def test_runs_that_never_cross_are_counted():
    table = stopping_table(make_runs(["gru"], 2, max_epochs=2))
    assert rows(table)[2]["seeds"] == 0
    assert "In 2 GRU runs validation is never above training loss." in table.note


def test_run_table_has_a_row_a_run_and_its_name():
    records = make_runs(["lstm"], 3)
    table = run_table(records[::-1])
    assert table.id == "runs-lstm"
    assert list(table.frame["run"]) == [r["run_id"].rpartition("-")[2] for r in records]
    assert list(table.frame["validation, best"]) == [r["val_loss_best"] for r in records]
    assert table.caption.startswith("3 runs: LSTM, hidden size / learning rate 256 / 0.001.")


def test_run_table_of_several_configurations_shows_what_differs():
    table = run_table(make_runs(seeds=1) + make_runs(seeds=1, hidden_size=512, learning_rate=0.002))
    assert table.id == "runs"
    assert list(table.frame.columns[:2]) == ["cell", "hidden size / learning rate"]
    assert list(table.frame["hidden size / learning rate"]) == ["256 / 0.001", "512 / 0.002"] * 2


# ---------------------------------------------------------------------------------------------------------------------
# overfitting


def overfitting_runs(base, large, cell="rnn"):
    """Three seeds each; base and large are (training last, validation best, validation last)."""

    def runs(losses, **config):
        keys = ("train_loss_last", "val_loss_best", "val_loss_last")
        return [
            make_record(cell, s, **config) | {k: x + 0.001 * s for k, x in zip(keys, losses, strict=True)}
            for s in range(3)
        ]

    return runs(base), runs(large, hidden_size=512, learning_rate=0.002)


@pytest.mark.parametrize(
    ("large", "overfits", "said"),
    [
        ((1.1, 1.62, 1.70), "confirmed", "RNN: yes"),
        ((1.6, 1.55, 1.58), "refuted", "RNN: no"),  # a smaller gap, a lower loss
        ((1.3, 1.60, 1.605), "no difference that matters", "RNN: no"),  # no rise
    ],
)
def test_overfitting_is_a_larger_gap_and_a_rise_above_the_best(large, overfits, said):
    finding = does_larger_overfit(*overfitting_runs((1.38, 1.58, 1.60), large))
    assert finding.values["rnn_overfits"] == overfits
    assert finding.heading.endswith(f"overfit? {said}") and finding.values["size"] == "512 / 0.002"


def test_overfitting_table_by_hand():
    base, large = overfitting_runs((1.38, 1.58, 1.60), (1.1, 1.62, 1.70))
    last, best, gap, rise = rows(overfitting_table(base, large[::-1]))
    assert (last["256 / 0.001"], last["512 / 0.002"], last["estimate"]) == pytest.approx((1.601, 1.701, 0.1))
    assert best["estimate"] == pytest.approx(0.04)
    assert gap["estimate"] == pytest.approx(0.6 - 0.22)
    assert (rise["256 / 0.001"], rise["512 / 0.002"], rise["estimate"]) == pytest.approx((0.02, 0.08, 0.08))


def test_overfitting_uses_the_shared_seeds_only():
    base, large = make_runs(["rnn"], 5), make_runs(["rnn"], 3, hidden_size=512)
    large[1] = make_record("rnn", 1, epochs=2, diverged=True, hidden_size=512)
    table = overfitting_table(base, large)
    assert set(table.frame["seeds"]) == {2}
    assert set(table.frame["verdict"]) == {"not judged"}
    assert "RNN 512 / 0.001, seed 1" in table.note


def test_overfitting_is_not_judged_without_runs_of_the_larger_configuration():
    for base, large in (([], []), (make_runs(seeds=1), [])):
        assert does_larger_overfit(base, large) is None
        assert overfitting_table(base, large) is None


def test_overfitting_of_a_cell_without_a_finished_pair_is_not_judged():
    table = overfitting_table(make_runs(seeds=3), make_runs(["rnn"], 3, hidden_size=512))
    assert set(table.frame.query("cell == 'LSTM'")["verdict"]) == {"not judged"}


# ---------------------------------------------------------------------------------------------------------------------
# precision


def in_both(cell, float32, bfloat16, **config):
    sides = {"float32": float32, "bfloat16": bfloat16}
    return [r | {"precision": p} for p, losses in sides.items() for r in with_losses(cell, losses, **config)]


@pytest.mark.parametrize(
    ("bfloat16", "equivalent"),
    [
        ([1.601, 1.602, 1.600], True),
        ([1.631, 1.632, 1.630], False),
        ([1.500, 1.700, 1.600], False),
        ([1.600, 1.600], False),
    ],
)
def test_bfloat16_is_equivalent_where_the_interval_lies_inside_the_margin(bfloat16, equivalent):
    runs = in_both("rnn", [1.6] * len(bfloat16), bfloat16)
    (row,) = precision_table(runs).frame.to_dict("records")
    assert row["equivalent"] is equivalent
    assert row["estimate"] == pytest.approx(sum(bfloat16) / len(bfloat16) - 1.6)
    assert (precision_check(runs).values["same"] == "RNN 256 / 0.001") is equivalent
    assert precision_check(runs).values["few"] == int(equivalent) and precision_check(runs).values["n"] == 1


def test_configurations_for_which_bfloat16_is_not_shown_to_be_equivalent_are_named():
    runs = in_both("rnn", [1.6] * 3, [1.6] * 3)
    runs += in_both("lstm", [1.6] * 3, [1.7] * 3, hidden_size=512, learning_rate=0.002)
    finding = precision_check(runs)
    assert finding.values["same"] == "RNN 256 / 0.001"
    assert "has not been shown for LSTM 512 / 0.002: there" in finding.filled


def test_without_runs_in_both_precisions_nothing_is_said_to_be_equivalent():
    assert precision_table([]) is None
    assert precision_check([]) is None
