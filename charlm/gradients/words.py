"""The table and the sentences on gradients, and the rule by which they are judged."""

import math

import numpy as np

from charlm import stats
from charlm.gradients import measures
from charlm.gradients.measures import FACTOR_MARGIN, FAR, NEAR, VANISHED, Curves
from charlm.records import Records, counted, diverged_note, of_cell
from charlm.show import Finding, Table, make_table
from charlm.stats import MIN_SEEDS, Estimate

GRADIENT_RULE = f"""\
What is judged is the ratio of the norm {FAR} steps back to the norm {NEAR} step back: the geometric mean over seeds and its
95% interval (Student's t, on the logarithms). A gradient *vanishes* when the ratio is below {VANISHED:g}:

- under {MIN_SEEDS} seeds: *not judged*;
- the interval lies wholly below {VANISHED:g}: *confirmed*;
- wholly above: *refuted*;
- otherwise: *too close to call*.

That one cell's gradient falls less than another's is judged in the same way from the quotient of their ratios, paired over
seeds, claimed to be above 1; an interval wholly inside a factor of {FACTOR_MARGIN:g} either way is *no difference that matters*. The
numbers in this rule were chosen before the first measurement."""


def gradient_rule() -> Finding:
    return Finding(
        "gradients-rule", GRADIENT_RULE, {"near": NEAR, "far": FAR, "vanished": VANISHED, "margin": FACTOR_MARGIN}
    )


# ---------------------------------------------------------------------------------------------------------------------
# numbers in words


def two_digits(number: float) -> str:
    """'170', '0.017', '8.6e-05'."""
    return f"{float(f'{number:.2g}'):g}"


def ratio_in_words(e: Estimate) -> str:
    """An estimate of a logarithm as the number: '0.017 (95% interval 0.013 to 0.021; 5 seeds)'."""
    if e.mean is None:
        return "not known"
    mean, seeds = two_digits(measures.factor(e.mean)), counted(e.n, "seed")
    if e.interval is None:
        return f"{mean} ({seeds}, so no interval)"
    return (
        f"{mean} (95% interval {two_digits(measures.factor(e.low))} to {two_digits(measures.factor(e.high))}; {seeds})"
    )


def reached(of: dict[int, np.ndarray], share: float) -> str | None:
    """first_below() over the seeds of a cell: '4', '4 to 5', '24 to beyond 29'; None where no curve has a norm at NEAR."""
    found = [measures.first_below(curve, share) for curve in of.values() if curve[NEAR] > 0]
    ends = [str(k) for k in sorted({k for k in found if k is not None})]
    if None in found:
        ends.append(f"beyond {min(map(len, of.values())) - 1}")
    return " to ".join(dict.fromkeys([*ends[:1], *ends[-1:]])) or None


# ---------------------------------------------------------------------------------------------------------------------
# table and sentences


def gradient_table(measured: dict[str, Curves], runs: Records = ()) -> Table:
    """A row for each cell of {what was measured: curves}; below it the diverged among the runs."""
    rows = []
    for name, by_cell in measured.items():
        for cell, of in by_cell.items():
            e = measures.falls(of)
            near = stats.estimate({seed: math.log10(of[seed][NEAR]) for seed in e.values})
            row = {"measured": name, "cell": cell.upper(), "seeds": e.n, f"norm at {NEAR}": measures.factor(near.mean)}
            row |= {"ratio": measures.factor(e.mean), "low": measures.factor(e.low), "high": measures.factor(e.high)}
            rows.append(row | {"half": reached(of, 0.5), "a tenth": reached(of, 0.1)})
    caption = (
        f"The norm of the gradient at the input (nats). Norm at {NEAR} step back and ratio of that at {FAR} to it: geometric "
        "means over seeds, the ratio with its 95% interval. Half, a tenth: the first step back whose norm is at most that "
        f"part of the one at {NEAR}, over the seeds."
    )
    form = dict.fromkeys((f"norm at {NEAR}", "ratio", "low", "high"), "{:.2g}")
    return make_table("gradients", rows, caption, diverged_note(runs), form)


def vanishing(measured: Curves, when: str) -> Finding:
    """Whether each cell's gradient vanishes "before" or "after" training, and the textbooks' claim of RNN and LSTM."""
    lines, values = [], {}
    found = {cell: measures.falls(of) for cell, of in measured.items()}
    for cell, e in found.items():
        values[cell] = {
            "ratio": measures.factor(e.mean),
            "low": measures.factor(e.low),
            "high": measures.factor(e.high),
            "verdict": measures.vanishes(e),
        }
        lines.append(
            f"- {cell.upper()}: ratio {ratio_in_words(e)}. That its gradient vanishes: *{measures.vanishes(e)}*."
        )
    for cell in (c for c in found if c != "rnn" and "rnn" in found):
        e = measures.quotient(found[cell], found["rnn"])
        values[f"{cell}_over_rnn"] = {
            "quotient": measures.factor(e.mean),
            "low": measures.factor(e.low),
            "high": measures.factor(e.high),
        }
        values[f"{cell}_over_rnn"]["verdict"] = measures.falls_less(e)
        lines.append(
            f"- The {cell.upper()}'s ratio is {ratio_in_words(e)} times the RNN's. That its gradient falls less: *{measures.falls_less(e)}*."
        )
    if {"rnn", "lstm"} <= found.keys():
        judged = stats.verdict_of_both(measures.vanishes(found["rnn"]), measures.vanishes(found["lstm"], claimed=False))
        head = f"**That {when} training the RNN's gradient vanishes and the LSTM's does not: {judged}.**"
        values["claim"] = judged
    else:
        head = f"**{when.capitalize()} training.** The claim about RNN and LSTM needs a finished run of each: *not judged*."
        values["claim"] = "not judged"
    return Finding(f"gradients-{when}", "\n".join([head, "", *lines]), values)


def learned(before: Curves, after: Curves) -> Finding:
    """By what factor training changes the ratio that is judged, for each cell."""
    said, values = [], {}
    for cell in (c for c in after if c in before):
        e = measures.quotient(measures.falls(after[cell]), measures.falls(before[cell]))
        values[cell] = {
            "factor": measures.factor(e.mean),
            "low": measures.factor(e.low),
            "high": measures.factor(e.high),
        }
        said.append(f"{ratio_in_words(e)} in the {cell.upper()}")
    if not said:
        return Finding("gradients-learned", "No cell was measured both before and after training.", {})
    return Finding("gradients-learned", f"Training multiplies the ratio by {'; by '.join(said)}.", values)


def by_replacement(replaced: Curves, after: Curves) -> Finding:
    """What replacing a character does to the loss, and whether it ranks RNN and LSTM as the gradient does."""
    said, values, ratios = [], {}, {}
    for cell, of in replaced.items():
        ratios[cell] = measures.estimate_known(
            {seed: measures.log_ratio(float(far), float(near)) for seed, (near, far) in of.items()}
        )
        near, far = np.mean([*of.values()], axis=0)
        values[cell] = {"near": near, "far": far, "ratio": measures.factor(ratios[cell].mean)}
        nats = [two_digits(x) if math.isfinite(x) else "not known" for x in (near, far)]
        said.append(f"{cell.upper()} {' and '.join(nats)} nats, ratio {ratio_in_words(ratios[cell])}")
    text = (
        "**Checked by experiment.** A gradient speaks of very small changes; a character that is another is a large one. "
        f"Replacing the character {NEAR} or {FAR} steps back by another changes the loss by (median over chunks, mean "
        f"over seeds): {'; '.join(said) or 'not measured'}."
    )
    if {"rnn", "lstm"} <= ratios.keys() & after.keys() and (e := measures.quotient(ratios["lstm"], ratios["rnn"])).n:
        judged, slope = (
            measures.falls_less(e),
            measures.falls_less(measures.quotient(measures.falls(after["lstm"]), measures.falls(after["rnn"]))),
        )
        values["verdict"] = judged
        text += f" The LSTM's ratio is {ratio_in_words(e)} times the RNN's. That it falls less: *{judged}*, "
        text += "as by the gradient." if judged == slope else f"where by the gradient it is *{slope}*."
    return Finding("gradients-replaced", text, values)


def reach_and_loss(after: Curves, runs: Records) -> Finding:
    """Whether the LSTM, where its gradient falls less than the RNN's, has the lower loss too: both at the best epoch."""
    if not {"rnn", "lstm"} <= after.keys():
        text = "**Does reaching further pay off?** Not judged: it needs a finished run of both cells."
        return Finding("gradients-and-loss", text, {"reach": "not judged", "loss": "not judged"})
    reach = measures.falls_less(measures.quotient(measures.falls(after["lstm"]), measures.falls(after["rnn"])))
    e = stats.lstm_minus_rnn(runs, "best")
    loss = stats.verdict(e.interval, e.n, claimed_sign=-1)
    rnns = "the RNN's"
    difference = stats.difference_in_words(e, rnns)
    words = f"the LSTM's validation loss at the best epoch is {difference}"
    if "not judged" in (reach, loss):
        text = f"Not judged, for want of {MIN_SEEDS} seeds; {words}."
    elif reach != "confirmed":
        text = f"That the LSTM's gradient falls less than the RNN's is *{reach}*, so there is no longer reach to pay off; {words}."
    else:
        text = f"The LSTM's gradient falls less than the RNN's, and {words}. " + {
            "confirmed": "It has both the longer reach and the lower loss; that the one causes the other is not shown by this.",
            "too close to call": "Whether that loss is the lower one is too close to call, and with it whether the reach pays off.",
        }.get(loss, "Its longer reach does not show as a lower loss on this text.")
    values = {"reach": reach, "loss": loss}
    grus = stats.paired_difference(of_cell(runs, "gru"), of_cell(runs, "rnn"), "val_loss_best")
    if "gru" in after and grus.n:
        values["gru_reach"] = measures.falls_less(
            measures.quotient(measures.falls(after["gru"]), measures.falls(after["rnn"]))
        )
        text += f" That the GRU's gradient falls less than the RNN's is *{values['gru_reach']}*; its validation loss at the best "
        text += f"epoch is {stats.difference_in_words(grus, rnns)}."
    return Finding("gradients-and-loss", f"**Does reaching further pay off?** {text}", values)
