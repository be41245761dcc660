"""Tables and sentences on what a loss means, from measured runs."""

import math
from collections.abc import Callable
from typing import Any

from charlm import stats
from charlm.meaning import measures
from charlm.meaning.measures import GAP, ORDERS
from charlm.records import Records, cells_in, finished_alike, of_cell
from charlm.show import Finding, Table
from charlm.stats import MARGIN, MIN_SEEDS, Estimate, Key
from charlm.tables import make_table

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
        "What predicts the next character of validation text, and how well: nats with their 95% interval, bits, the number of "
        "equally likely characters as hard to guess between, and how often the most probable character is right."
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


def _shared(runs: Records, key: Key, judge: Callable[[Estimate], str]) -> tuple[dict[str, Estimate], set[str]]:
    """The estimate of each cell, and the verdicts that they have among them."""
    estimates = {cell: stats.seed_estimate(of_cell(runs, cell), key) for cell in cells_in(runs)}
    return estimates, {judge(e) for e in estimates.values()}


def _the_cells(runs: Records, capital: bool = False) -> str:
    """'the RNN and the LSTM'."""
    named = " and ".join(f"the {cell.upper()}" for cell in cells_in(runs))
    return f"The{named[3:]}" if capital else named


def _per_cell(numbers: dict[str, float], form: str = "{:.4f}") -> str:
    """'0.0730 (RNN) and 0.0729 (LSTM)'."""
    return " and ".join(f"{form.format(x)} ({cell.upper()})" for cell, x in numbers.items())


def beyond_frequencies(runs: Records) -> Finding:
    """Whether the cells have learnt more than how often each character occurs. They have learnt nothing where no cell's mean
    loss is lower than that by more than MARGIN."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("beyond-frequencies", NOTHING, {}, "Nothing was learnt: no run finished")
    estimates, verdicts = _shared(runs, measures.above_ngram(1), stats.judged_lower)
    nothing = all(e.known_mean > -MARGIN for e in estimates.values())
    values: dict[str, float | str | bool | None] = {"nothing_learnt": nothing}
    for cell, e in estimates.items():
        values |= _values(cell, e) | {f"{cell}_verdict": stats.judged_lower(e)}
    values["even"] = stats.seed_estimate(measures.one_a_seed(runs), measures.ngram_loss(1)).known_mean
    losses = {cell: stats.seed_estimate(of_cell(runs, cell), "loss").known_mean for cell in estimates}
    if nothing:
        heading = f"Nothing was learnt: by {_the_cells(runs)} no more than how often each character occurs"
    elif verdicts == {"confirmed"}:
        verb = "has" if len(estimates) == 1 else "have"
        heading = f"{_the_cells(runs, capital=True)} {verb} learnt more than how often each character occurs"
    else:
        heading = "Not every cell is shown to have learnt more than how often each character occurs"
    text = (
        "Who knows those frequencies and nothing else (an n-gram model of order 1) has a loss of {even:.4f} nats; the cells "
        f"have {_per_cell(losses)}."
    )
    return Finding("beyond-frequencies", text, values, heading)


def against_counting(runs: Records) -> Finding:
    """The cells against the best n-gram model, which is given the same training chunks and the same characters."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("against-counting", NOTHING, {}, "Whether counting does better is not known")
    by_seed = measures.one_a_seed(runs)
    order = measures.best_order(runs)
    floor = stats.seed_estimate(by_seed, measures.ngram_loss(order)).known_mean
    values: dict[str, Any] = {"order": order, "floor": floor, "seeds": sorted(r["seed"] for r in by_seed)}
    estimates, verdicts = _shared(runs, measures.above_ngram(order), stats.judged_lower)
    for cell, e in estimates.items():
        values |= _values(cell, e) | {f"{cell}_verdict": stats.judged_lower(e)}
    who = _the_cells(runs)
    headings = {
        "refuted": f"A model that only counts has a lower loss than {who}",
        "confirmed": f"A model that only counts has a higher loss than {who}",
        "no difference that matters": f"Counting does as well as {who}",
    }
    heading = headings.get(verdicts.pop(), "") if len(verdicts) == 1 else ""
    above = {cell: e.known_mean for cell, e in estimates.items()}
    text = (
        f"Of n-gram models of order 1 to {ORDERS}, trained on the same chunks, that of order {{order}} is best: {{floor:.4f}} "
        f"nats. The cells differ from it by {_per_cell(above, '{:+.4f}')}."
    )
    return Finding(
        "against-counting", text, values, heading or "Whether counting does better is not settled for each cell"
    )


def against_counting_by_cell(runs: Records) -> Finding:
    """The same with intervals."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("against-counting-by-cell", NOTHING, {})
    lines: list[str] = []
    estimates, _ = _shared(runs, measures.above_ngram(measures.best_order(runs)), stats.judged_lower)
    for cell, e in estimates.items():
        difference = stats.difference_in_words(e, "that of the n-gram model")
        lines.append(
            f"That the {cell.upper()} does better than counting: *{stats.judged_lower(e)}*; its loss is {difference}."
        )
    head = "Like a best epoch, the order is chosen on validation text."
    return Finding("against-counting-by-cell", _listed(head, lines), {})


# ---------------------------------------------------------------------------------------------------------------------
# where in a chunk it is made


def first_characters(runs: Records) -> Finding:
    """Whether a chunk's loss is made at its beginning, and whether a state that is carried on makes up for it."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("first-characters", NOTHING, {}, "Where in a chunk the loss is made is not known")
    _, costs = _shared(runs, measures.cold_start, stats.judged_higher)
    _, helps = _shared(runs, measures.carrying, stats.judged_lower)
    if costs == {"confirmed"}:
        heading = "A chunk's first characters cost most, since nothing stands before them"
    else:
        heading = "A chunk's first characters are not shown to cost more in each cell"
    first = {c: stats.seed_estimate(of_cell(runs, c), lambda r: float(r["loss_positions"][0])) for c in cells_in(runs)}
    late = {c: stats.seed_estimate(of_cell(runs, c), lambda r: measures.last_third(r["loss_positions"])) for c in first}
    text = (
        f"The loss of the first is {_per_cell(_means(first), '{:.2f}')} nats, in the last third of a chunk "
        f"{_per_cell(_means(late), '{:.2f}')}."
    )
    if helps == {"confirmed"}:
        text += " A state that is carried on through the text lowers the loss of the whole in each cell."
    return Finding("first-characters", text, {}, heading)


def _means(estimates: dict[str, Estimate]) -> dict[str, float]:
    return {cell: e.known_mean for cell, e in estimates.items()}


def where_in_chunk(runs: Records) -> Finding:
    """What it costs that each chunk is begun with nothing before it, with intervals."""
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
        "Losses at the last epoch in nats: training loss recorded while the weights moved, with the weights of the end, and on "
        "as many chunks as validation has. Step: the difference to the line above and its 95% interval."
    )
    return make_table("gap", rows, caption, note, {"step": "{:+.4f}"})


def what_makes_gap(runs: Records) -> Finding:
    """Whether the gap comes from the number of training chunks; by cell and with intervals it is is_it_size()."""
    runs, _ = finished_alike(runs)
    if not runs:
        return Finding("gap", NOTHING, {}, "What makes the gap is not known")
    gaps, _ = _shared(runs, measures.whole_gap, stats.judged_higher)
    equal, there = _shared(runs, measures.equal_gap, stats.judged_higher)
    _, causes = _shared(runs, measures.size_step, stats.judged_higher)
    if there <= {"no difference that matters", "refuted"}:
        heading = "There is no gap between training and validation loss"
    elif causes <= {"no difference that matters", "refuted"}:
        heading = "The gap does not come from the size of the training set"
    elif causes == {"confirmed"}:
        heading = "A part of the gap comes from the size of the training set"
    else:
        heading = "Whether the gap comes from the size of the training set is not settled"
    text = (
        f"At the last epoch, validation less training loss is {_per_cell(_means(gaps), '{:.2f}')} nats; with the weights at rest "
        f"and on equal numbers of chunks it is {_per_cell(_means(equal), '{:.2f}')}."
    ).replace("-", "−")
    return Finding("gap", text, {}, heading)


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


def what_neighbours_do(shuffled: Records, sequential: Records) -> Finding | None:
    """What it changes that the neighbours of validation chunks are trained on; with intervals it is neighbours(). None where
    no cell has both."""
    cells = [cell for cell in cells_in(shuffled) if cell in cells_in(sequential)]
    if not cells:
        return None
    losses, gaps = {}, {}
    for cell in cells:
        theirs, ours = of_cell(sequential, cell), of_cell(shuffled, cell)
        losses[cell] = stats.paired_difference(theirs, ours, "loss")
        gaps[cell] = stats.paired_difference(theirs, ours, measures.equal_gap)
    verdicts = {stats.judged_higher(e) for e in gaps.values()}
    if verdicts == {"confirmed"}:
        heading = "Neighbouring chunks in both sets make the gap narrower"
    elif verdicts == {"refuted"}:
        heading = "Neighbouring chunks in both sets make the gap wider"
    else:
        heading = "What neighbouring chunks in both sets do to the gap is not settled"
    if any(e.mean is None for e in (*losses.values(), *gaps.values())):
        return Finding("split-by-place", "No seed finished in both splits.", {}, heading)
    text = (
        "A random split puts them there. With the end of the text for validation instead, the loss changes by "
        f"{_per_cell(_means(losses), '{:+.2f}')} nats and the gap by {_per_cell(_means(gaps), '{:+.2f}')}."
    ).replace("-", "−")
    return Finding("split-by-place", text, {}, heading)


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
        "That end is other text, harder or easier for any model: with it, the loss of "
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
