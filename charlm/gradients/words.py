"""The table and the sentences on gradients, and the rule by which they are judged."""

import math

import numpy as np

from charlm import stats
from charlm.gradients import measures
from charlm.gradients.measures import FACTOR_MARGIN, FAR, NEAR, VANISHED, Curves
from charlm.records import Records, counted, diverged_note, of_cell
from charlm.show import Finding, Table
from charlm.stats import MIN_SEEDS, Estimate
from charlm.tables import make_table

GRADIENT_RULE = f"""\
What is judged is the ratio of the norm {FAR} steps back to the norm {NEAR} step back: the geometric mean over seeds, {MIN_SEEDS} or
more, and its 95% interval (Student's t, on the logarithms). That a gradient *vanishes* is *confirmed* where the interval lies
wholly below {VANISHED:g} and *refuted* where it lies wholly above.

That one cell's gradient falls less than another's is judged from the quotient of their ratios, paired over seeds, claimed to be
above 1, as [differences of losses are](#verdict-rule); the margin is a factor of {FACTOR_MARGIN:g} either way. The numbers in this
rule were chosen before the first measurement."""


def how_far_back(after: Curves) -> Finding:
    """Whether the gradients of the trained cells vanish, and whether the LSTM's falls less than the RNN's; with intervals it
    is vanishing()."""
    if not after:
        return Finding("gradients", "No run finished.", {}, "Whether the gradient vanishes is not known")
    falls = {cell: measures.falls(curves) for cell, curves in after.items()}
    verdicts = {cell: measures.vanishes(e) for cell, e in falls.items()}
    gone = [cell.upper() for cell, judged in verdicts.items() if judged == "confirmed"]
    if set(verdicts.values()) <= {"not judged"}:
        heading = "Whether the gradient vanishes is not judged"
    elif len(gone) == len(verdicts):
        heading = "After training every cell's gradient vanishes"
    elif gone:
        heading = f"After training the gradient of the {' and the '.join(gone)} vanishes"
    else:
        heading = "After training no cell's gradient is shown to vanish"
    if {"rnn", "lstm"} <= after.keys():
        less = {"confirmed": ", the LSTM's more slowly than the RNN's", "refuted": ", the LSTM's faster than the RNN's"}
        heading += less.get(_falls_less(after, "lstm"), "") if gone else ""
    shares = [f"{two_digits(10.0**e.mean)} ({cell.upper()})" for cell, e in falls.items() if e.mean is not None]
    text = (
        "{far} steps back, the gradient of the loss is {shares} of what it is {near} step back; below {vanished:g} it counts "
        "as vanished."
    )
    values = {"far": FAR, "near": NEAR, "vanished": VANISHED, "shares": ", ".join(shares) or "not known"}
    return Finding("gradients", text, values, heading)


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
    mean = two_digits(10.0**e.mean)
    seeds = counted(e.n, "seed")
    if e.interval is None:
        return f"{mean} ({seeds}, so no interval)"
    low, high = e.interval
    return f"{mean} (95% interval {two_digits(10.0**low)} to {two_digits(10.0**high)}; {seeds})"


def _factors(name: str, e: Estimate) -> dict[str, float | str | None]:
    """An estimate of a logarithm as numbers, under this name, low and high."""
    return {name: measures.factor(e.mean), "low": measures.factor(e.low), "high": measures.factor(e.high)}


def _falls_less(curves: Curves, cell: str) -> str:
    """The verdict on the claim that a cell's gradient falls less than the RNN's."""
    return measures.falls_less(measures.quotient(measures.falls(curves[cell]), measures.falls(curves["rnn"])))


def reached(curves: dict[int, np.ndarray], share: float) -> str | None:
    """first_below() over the seeds of a cell: '4', '4 to 5', '24 to beyond 29'; None where no curve has a norm at NEAR."""
    steps = [measures.first_below(curve, share) for curve in curves.values() if curve[NEAR] > 0]
    known = sorted(k for k in steps if k is not None)
    ends = [str(k) for k in known]
    if None in steps:
        shortest = min(map(len, curves.values()))
        ends.append(f"beyond {shortest - 1}")
    if not ends:
        return None
    return ends[0] if ends[0] == ends[-1] else f"{ends[0]} to {ends[-1]}"


# ---------------------------------------------------------------------------------------------------------------------
# table and sentences


def gradient_table(measured: dict[str, Curves], runs: Records = ()) -> Table:
    """A row for each cell of {what was measured: curves}; below it the diverged among the runs."""
    rows = []
    for name, by_cell in measured.items():
        for cell, curves in by_cell.items():
            e = measures.falls(curves)
            near = stats.estimate({seed: math.log10(curves[seed][NEAR]) for seed in e.values})
            row = {"measured": name, "cell": cell.upper(), "seeds": e.n, f"norm at {NEAR}": measures.factor(near.mean)}
            rows.append(row | _factors("ratio", e) | {"half": reached(curves, 0.5), "a tenth": reached(curves, 0.1)})
    caption = (
        f"Norm of the gradient at the input (nats) {NEAR} step back, and ratio of that at {FAR} to it with its 95% interval. "
        f"Half, a tenth: the first step back where it is at most that part of the one at {NEAR}, over the seeds."
    )
    formats = dict.fromkeys((f"norm at {NEAR}", "ratio", "low", "high"), "{:.2g}")
    return make_table("gradients", rows, caption, diverged_note(runs), formats)


def vanishing(measured: Curves, when: str) -> Finding:
    """Whether each cell's gradient vanishes "before" or "after" training, and the textbooks' claim of RNN and LSTM."""
    lines = []
    values: dict[str, dict | str] = {}
    falls = {cell: measures.falls(curves) for cell, curves in measured.items()}
    for cell, e in falls.items():
        judged = measures.vanishes(e)
        values[cell] = _factors("ratio", e) | {"verdict": judged}
        lines.append(f"- {cell.upper()}: ratio {ratio_in_words(e)}; that its gradient vanishes is *{judged}*.")
    others = [cell for cell in falls if cell != "rnn"] if "rnn" in falls else []
    for cell in others:
        e = measures.quotient(falls[cell], falls["rnn"])
        judged = measures.falls_less(e)
        values[f"{cell}_over_rnn"] = _factors("quotient", e) | {"verdict": judged}
        lines.append(
            f"- The {cell.upper()}'s ratio is {ratio_in_words(e)} times the RNN's; that its gradient falls less is *{judged}*."
        )
    if {"rnn", "lstm"} <= falls.keys():
        stays = measures.vanishes(falls["lstm"], claimed=False)
        judged = stats.verdict_of_both(measures.vanishes(falls["rnn"]), stays)
        head = f"**That {when} training the RNN's gradient vanishes and the LSTM's does not: {judged}.**"
        values["claim"] = judged
    else:
        head = f"**{when.capitalize()} training.** The claim about RNN and LSTM needs a finished run of each: *not judged*."
        values["claim"] = "not judged"
    return Finding(f"gradients-{when}", "\n".join([head, "", *lines]), values)


def learned(before: Curves, after: Curves) -> Finding:
    """By what factor training changes the ratio that is judged, for each cell."""
    said = []
    values = {}
    for cell in after:
        if cell not in before:
            continue
        e = measures.quotient(measures.falls(after[cell]), measures.falls(before[cell]))
        values[cell] = _factors("factor", e)
        said.append(f"{ratio_in_words(e)} in the {cell.upper()}")
    if not said:
        return Finding("gradients-learned", "No cell was measured both before and after training.", {})
    return Finding("gradients-learned", f"Training multiplies the ratio by {'; by '.join(said)}.", values)


def by_replacement(replaced: Curves, after: Curves) -> Finding:
    """What replacing a character does to the loss, and whether it ranks RNN and LSTM as the gradient does."""
    said = []
    values: dict[str, dict | str] = {}
    ratios = {}
    for cell, changes in replaced.items():
        logs = {seed: measures.log_ratio(float(far), float(near)) for seed, (near, far) in changes.items()}
        ratios[cell] = measures.estimate_known(logs)
        near, far = np.mean(list(changes.values()), axis=0)
        values[cell] = {"near": near, "far": far, "ratio": measures.factor(ratios[cell].mean)}
        nats = [two_digits(x) if math.isfinite(x) else "not known" for x in (near, far)]
        said.append(f"{cell.upper()} {' and '.join(nats)} nats, ratio {ratio_in_words(ratios[cell])}")
    text = (
        "**Checked by experiment.** A gradient speaks of very small changes; a character that is another is a large one. "
        f"Replacing the character {NEAR} or {FAR} steps back by another changes the loss by (median over chunks, mean "
        f"over seeds): {'; '.join(said) or 'not measured'}."
    )
    if not {"rnn", "lstm"} <= ratios.keys() & after.keys():
        return Finding("gradients-replaced", text, values)
    e = measures.quotient(ratios["lstm"], ratios["rnn"])
    if e.n:
        judged = measures.falls_less(e)
        by_gradient = _falls_less(after, "lstm")
        agrees = "as by the gradient" if judged == by_gradient else f"where by the gradient it is *{by_gradient}*"
        values["verdict"] = judged
        text += f" The LSTM's ratio is {ratio_in_words(e)} times the RNN's. That it falls less: *{judged}*, {agrees}."
    return Finding("gradients-replaced", text, values)


# What a longer reach and the verdict on the loss say together.
PAYS_OFF = {
    "confirmed": "The LSTM has both the longer reach and the lower loss",
    "too close to call": "Whether the LSTM's longer reach pays off is too close to call",
}
NO_PAY = "The LSTM's longer reach does not show as a lower loss"


# What the verdict on "the first has the lower loss" says of the two.
BY_LOSS = {
    "confirmed": "{0} is better",
    "refuted": "{1} is better",
    "no difference that matters": "no difference that matters",
    "too close to call": "it is too close to call",
    "not judged": "it is not judged",
}


def reach_and_loss(after: Curves, runs: Records) -> Finding:
    """Whether the LSTM, where its gradient falls less than the RNN's, has the lower loss too: both at the best epoch. With
    intervals the losses are in losses_beside()."""
    id, unknown = "gradients-and-loss", "Whether reaching further pays off is not judged"
    if not {"rnn", "lstm"} <= after.keys():
        return Finding(
            id, "It needs a finished run of both cells.", {"reach": "not judged", "loss": "not judged"}, unknown
        )
    reach = _falls_less(after, "lstm")
    loss = stats.judged_lower(stats.lstm_minus_rnn(runs, "best"))
    values = {"reach": reach, "loss": loss}
    text = f"RNN or LSTM, by the loss at the best epoch: {BY_LOSS[loss].format('the LSTM', 'the RNN')}."
    if "not judged" in (reach, loss):
        heading = unknown
    elif reach != "confirmed":
        heading = "The LSTM is not shown to reach further, so there is nothing to pay off"
    else:
        heading = PAYS_OFF.get(loss, NO_PAY)
    if loss == reach == "confirmed":
        text += " That the one causes the other is not shown by this."
    grus = stats.paired_difference(of_cell(runs, "gru"), of_cell(runs, "rnn"), "val_loss_best")
    if "gru" in after and grus.n:
        values |= {"gru_reach": _falls_less(after, "gru"), "gru_loss": stats.judged_lower(grus)}
        reaches = {"confirmed": "further than", "refuted": "less far than"}.get(values["gru_reach"], "about as far as")
        text += f" The GRU's gradient reaches {reaches} the RNN's"
        text += f"; by the loss, {BY_LOSS[values['gru_loss']].format('the GRU', 'the RNN')}."
    return Finding(id, text, values, heading)


def losses_beside(runs: Records) -> Finding:
    """The losses that the reach is set against, with intervals."""
    differences = {"LSTM": stats.lstm_minus_rnn(runs, "best")}
    differences["GRU"] = stats.paired_difference(of_cell(runs, "gru"), of_cell(runs, "rnn"), "val_loss_best")
    rnns = "the RNN's"
    said = [f"the {cell}'s is {stats.difference_in_words(e, rnns)}" for cell, e in differences.items() if e.n]
    text = f"Validation loss at the best epoch: {'; '.join(said) or 'not known of both cells'}."
    return Finding("losses-beside-reach", text, {})
