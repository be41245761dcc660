"""Tables and sentences on what a loss means, from measured runs."""

import math

from charlm import stats
from charlm.meaning import measures
from charlm.meaning.measures import GAP, ORDERS
from charlm.records import Records, cells_in, finished_alike, of_cell
from charlm.show import Finding, Table, make_table
from charlm.stats import MIN_SEEDS, Estimate

NOTHING = "No run finished, so there is nothing to measure."


def _listed(head: str, lines: list[str]) -> str:
    """Markdown: a sentence and a list."""
    return "\n".join([head, "", *(f"- {line}" for line in lines)])


def _values(name: str, e: Estimate) -> dict[str, float | None]:
    return {f"{name}_n": e.n, f"{name}_mean": e.mean, f"{name}_low": e.low, f"{name}_high": e.high}


# ---------------------------------------------------------------------------------------------------------------------
# how good a loss is


def scale_table(runs: Records, vocabulary_size: int) -> Table:
    """The loss of each cell beside those of other predictors, in three units."""
    runs, note = finished_alike(runs)
    order = measures.best_order(runs) if runs else 1
    by_seed = measures.one_a_seed(runs)
    even = stats.estimate({r["seed"]: math.log(vocabulary_size) for r in runs})
    rows = [_scale_row(f"all {vocabulary_size} characters alike", even)]
    rows.append(
        _scale_row("n-gram, order 1: how often each occurs", stats.seed_estimate(by_seed, measures.ngram_loss(1)))
    )
    if order > 1:
        best = stats.seed_estimate(by_seed, measures.ngram_loss(order))
        rows.append(_scale_row(f"n-gram, order {order}: the best", best))
    for cell in cells_in(runs):
        ours = of_cell(runs, cell)
        accuracy = stats.seed_estimate(ours, "accuracy").mean
        rows.append(_scale_row(cell.upper(), stats.seed_estimate(ours, "loss"), accuracy))
    caption = (
        "What predicts the next character of validation text, and how well: loss in nats per character with its 95% interval "
        "over seeds, in bits, and as the number of equally likely characters that would be as hard to guess between "
        "(e to the loss); and how often the most probable character is the right one. Cells: best epoch, zero state."
    )
    formats = dict.fromkeys(("nats", "low", "high", "bits"), "{:.4f}") | {"as hard as": "{:.2f}", "right": "{:.1%}"}
    return make_table("loss-scale", rows, caption, note, formats)


def _scale_row(name: str, e: Estimate, accuracy: float | None = None) -> dict:
    return {
        "predictor": name,
        "seeds": e.n,
        "nats": e.mean,
        "low": e.low,
        "high": e.high,
        "bits": None if e.mean is None else e.mean / math.log(2),
        "as hard as": None if e.mean is None else math.exp(e.mean),
        "right": accuracy,
    }


def beyond_frequencies(runs: Records) -> Finding:
    """Whether each cell has learnt more than how often each character occurs, by the rule of verdicts."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("beyond-frequencies", NOTHING, {})
    says = {
        "confirmed": "has learnt more than how often each character occurs",
        "no difference that matters": "has learnt nothing beyond how often each character occurs",
        "refuted": "is worse than knowing how often each character occurs, and nothing else",
        "too close to call": "has learnt too little beyond how often each character occurs to be told from nothing",
        "not judged": f"is not judged, for want of {MIN_SEEDS} seeds",
    }
    head = (
        "**What is learnt beyond the frequencies of characters,** which are all that the n-gram model of order 1 knows."
    )
    lines: list[str] = []
    values: dict[str, float | str | None] = {}
    for cell in cells_in(runs):
        e = stats.seed_estimate(of_cell(runs, cell), measures.above_ngram(1))
        judged = stats.judged_lower(e)
        difference = stats.difference_in_words(e, "that of order 1")
        lines.append(f"The {cell.upper()} {says[judged]}: its loss is {difference}.")
        values |= _values(cell, e) | {f"{cell}_verdict": judged}
    return Finding("beyond-frequencies", _listed(head, lines), values)


def against_counting(runs: Records) -> Finding:
    """Each cell against the best n-gram model, which is given the same training chunks and the same characters."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("against-counting", NOTHING, {})
    order = measures.best_order(runs)
    floor = stats.seed_estimate(measures.one_a_seed(runs), measures.ngram_loss(order)).mean
    head = (
        f"**Network or counting.** Of the n-gram models of order 1 to {ORDERS} that of order {{order}} has the lowest loss, "
        "{floor:.4f} nats in the mean (like a best epoch, the order is chosen on validation text)."
    )
    lines: list[str] = []
    values: dict[str, float | str | None] = {"order": order, "floor": floor}
    for cell in cells_in(runs):
        e = stats.seed_estimate(of_cell(runs, cell), measures.above_ngram(order))
        judged = stats.judged_lower(e)
        difference = stats.difference_in_words(e, "that of the n-gram model")
        lines.append(f"That the {cell.upper()} does better than counting: *{judged}*; its loss is {difference}.")
        values |= _values(cell, e) | {f"{cell}_verdict": judged}
    return Finding("against-counting", _listed(head, lines), values)


# ---------------------------------------------------------------------------------------------------------------------
# where in a chunk it is made


def where_in_chunk(runs: Records) -> Finding:
    """What it costs that each chunk is begun with nothing before it."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("cold-start", NOTHING, {})
    head = "**What a zero state costs.** A chunk's first target is predicted from one character."
    lines: list[str] = []
    values: dict[str, float | str | None] = {}
    for cell in cells_in(runs):
        ours = of_cell(runs, cell)
        first = stats.seed_estimate(ours, lambda r: float(r["loss_positions"][0])).mean
        late = stats.seed_estimate(ours, lambda r: measures.last_third(r["loss_positions"])).mean
        e = stats.seed_estimate(ours, measures.cold_start)
        difference = stats.difference_in_words(e, "that of the last third")
        lines.append(
            f"{cell.upper()}: its loss there is {first:.3f} nats, in the last third of the chunk {late:.3f}; the mean of "
            f"the whole chunk is {difference}."
        )
        values |= _values(cell, e) | {f"{cell}_first": first, f"{cell}_late": late}
    return Finding("cold-start", _listed(head, lines), values)


def carried_on(runs: Records) -> Finding:
    """What it changes when the state is carried on through the text instead."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("carried-state", NOTHING, {})
    lines: list[str] = []
    values: dict[str, float | str | None] = {}
    for cell in cells_in(runs):
        ours = of_cell(runs, cell)
        whole = stats.seed_estimate(ours, measures.carrying)
        late = stats.seed_estimate(ours, measures.carrying_late)
        above = stats.seed_estimate(ours, measures.above_carried)
        judged, judged_late = stats.judged_lower(whole), stats.judged_lower(late)
        zero = "that from a zero state"
        counting = "that of the n-gram model, given the text before the chunk too"
        lines.append(
            f"That it lowers the loss of the {cell.upper()}: *{judged}*, the loss is "
            f"{stats.difference_in_words(whole, zero)}; that it does so in the last third of the chunks: *{judged_late}*, "
            f"{stats.difference_in_words(late, zero)}. Carried on, its loss is {stats.difference_in_words(above, counting)}."
        )
        values |= _values(cell, whole) | _values(f"{cell}_late", late) | _values(f"{cell}_above", above)
        values |= {f"{cell}_verdict": judged, f"{cell}_late_verdict": judged_late}
    return Finding("carried-state", _listed("**The state carried on.**", lines), values)


# ---------------------------------------------------------------------------------------------------------------------
# the gap to training


def gap_table(runs: Records) -> Table:
    """From the recorded training loss to the validation loss of the last epoch, step by step."""
    runs, note = finished_alike(runs)
    no_step = stats.estimate({})  # what comes first has no line above it
    steps = (None, measures.rest_step, measures.size_step, measures.equal_gap)
    rows = []
    for cell in cells_in(runs):
        ours = of_cell(runs, cell)
        for (name, key), difference in zip(GAP.items(), steps, strict=True):
            loss = stats.seed_estimate(ours, key)
            step = stats.seed_estimate(ours, difference) if difference else no_step
            row = {"cell": cell.upper(), "loss": name, "seeds": len(ours), "mean": loss.mean}
            rows.append(row | {"step": step.mean, "low": step.low, "high": step.high})
    caption = (
        "The gap at the last epoch in nats per character: the training loss as it was recorded while the weights moved; with "
        "the weights of the end; on as many training chunks as there are for validation; and the validation loss. Step: the "
        "difference to the line above and its 95% interval."
    )
    return make_table("gap", rows, caption, note, {"step": "{:+.4f}"})


def is_it_size(runs: Records) -> Finding:
    """Whether the gap is there because more chunks are for training than for validation, as the source study has it: not
    so where as many training chunks give the same gap."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("gap-cause", NOTHING, {})
    says = {
        "no difference that matters": "the number of chunks is not the cause of the gap",
        "confirmed": "a part of the gap does come from the number of chunks",
        "refuted": "on equal numbers the gap is larger still, so the number of chunks is not its cause",
        "too close to call": "whether the number of chunks has a part in the gap is too close to call",
        "not judged": f"whether the number of chunks has a part in the gap is not judged, for want of {MIN_SEEDS} seeds",
    }
    lines: list[str] = []
    values: dict[str, float | str | None] = {}
    for cell in cells_in(runs):
        ours = of_cell(runs, cell)
        gap = stats.seed_estimate(ours, measures.whole_gap)
        rest = stats.seed_estimate(ours, measures.rest_step)
        equal = stats.seed_estimate(ours, measures.equal_gap)
        size = stats.seed_estimate(ours, measures.size_step)
        cause = stats.judged_higher(size)
        if stats.judged_higher(equal) in ("no difference that matters", "refuted"):
            conclusion = "So there is no gap to explain."
        else:
            difference = stats.difference_in_words(size, "that on all of them")
            conclusion = f"On an equal part of the training chunks the training loss is {difference}: {says[cause]}."
        lines.append(
            f"{cell.upper()}: at the last epoch validation loss is "
            f"{stats.difference_in_words(gap, 'the recorded training loss')}. With the weights at rest the training loss is "
            f"{stats.difference_in_words(rest, 'the recorded one')}; on equal numbers of chunks, validation loss is then "
            f"{stats.difference_in_words(equal, 'training loss')}. {conclusion}"
        )
        values |= _values(cell, gap) | _values(f"{cell}_equal", equal) | _values(f"{cell}_size", size)
        values |= _values(f"{cell}_rest", rest) | {f"{cell}_verdict": cause}
    return Finding("gap-cause", _listed("**Is it the size of the training set?**", lines), values)


def neighbours(shuffled: Records, sequential: Records) -> Finding | None:
    """What it changes that the neighbours of validation chunks are trained on: measured runs of a shuffled split against
    runs of a sequential one, whose validation chunks are the end of the text; None where either is missing. That end is
    other text, harder or easier, so the n-gram model's own difference stands beside each cell's."""
    if not shuffled or not sequential:
        return None
    order = measures.best_order(shuffled)
    beside = "that on the shuffled splits"
    grams = stats.paired_difference(
        measures.one_a_seed(sequential), measures.one_a_seed(shuffled), measures.ngram_loss(order)
    )
    lines = [
        "**Neighbours in both sets.** With the end of the text for validation in place of chunks from all over it, the loss of "
        f"the n-gram model of order {{order}} is {stats.difference_in_words(grams, beside)}."
    ]
    values: dict[str, float | str | None] = {"order": order, **_values("ngram", grams)}
    for cell in cells_in(shuffled):
        if cell not in cells_in(sequential):
            continue
        theirs, ours = of_cell(sequential, cell), of_cell(shuffled, cell)
        loss = stats.paired_difference(theirs, ours, "loss")
        gap = stats.paired_difference(theirs, ours, measures.equal_gap)
        judged = stats.judged_higher(gap)
        lines.append(
            f"{cell.upper()}: its loss at the best epoch is {stats.difference_in_words(loss, beside)}. That the gap at "
            f"the last epoch is wider: *{judged}*, it is {stats.difference_in_words(gap, beside)}."
        )
        values |= _values(cell, loss) | _values(f"{cell}_gap", gap) | {f"{cell}_gap_verdict": judged}
    return Finding("neighbours", " ".join(lines), values)
