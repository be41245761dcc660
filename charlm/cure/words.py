"""Tables and sentences on what cures the overfitting."""

from charlm import stats
from charlm.cure import measures
from charlm.cure.measures import BEST_LOSS
from charlm.records import Records, cells_in, counted, diverged_note, finished, of_cell
from charlm.show import Finding, Table
from charlm.stats import Estimate
from charlm.tables import make_table


def chosen_dropout(records: Records) -> Finding | None:
    """Which dropout is taken; None without records."""
    chosen = measures.best_dropout(records)
    if chosen is None:
        return None
    e = stats.seed_estimate(measures.with_dropout(records, chosen), BEST_LOSS)
    values = {"dropout": chosen, "mean": e.mean, "low": e.low, "high": e.high, "n": e.n}
    text = (
        "Of the dropouts that were tried on the LSTM, {dropout:g} has the lowest mean of the best validation loss, {mean:.4f}. All "
        "cells have it, on other seeds, so that their losses are not the luck of this choice."
    )
    return Finding("dropout-chosen", text, values)


def dropout_table(records: Records) -> Table | None:
    rows = []
    for dropout in measures.dropouts_in(records):
        runs = measures.with_dropout(records, dropout)
        e = stats.seed_estimate(runs, BEST_LOSS)
        row = {"dropout": dropout, "seeds": e.n, "validation, best": e.mean, "standard deviation": e.sd}
        row |= {"best epoch": stats.seed_estimate(runs, "best_epoch").mean}
        rows.append(row | {"training, best": stats.seed_estimate(runs, "train_loss_best").mean})
    if not rows:
        return None
    caption = "The larger LSTM by dropout, at the best epoch, in nats per character. Training loss is recorded with dropout on."
    return make_table("dropouts", rows, caption, diverged_note(records), {"best epoch": "{:.1f}"})


# ---------------------------------------------------------------------------------------------------------------------
# with and without


def differences(without: Records, treated: Records) -> dict[str, Estimate]:
    """{cell: best validation loss with the cure minus without}, paired over seeds, intervals by Holm."""
    cells = [cell for cell in cells_in(treated) if of_cell(without, cell)]
    each = [stats.paired_difference(of_cell(treated, cell), of_cell(without, cell), BEST_LOSS) for cell in cells]
    return dict(zip(cells, stats.holm(each), strict=True))


def what_the_cure_does(without: Records, treated: Records) -> Finding | None:
    """How much it takes off the best loss, cell by cell, and what is left of the overfitting; None where there is nothing to
    compare."""
    found = differences(without, treated)
    if not found:
        return None
    helped, harmed, falls = [], [], []
    rises: dict[str, list[float]] = {"without": [], "with": []}
    gaps: list[float] = []
    values: dict = {}
    for cell, e in found.items():
        name = cell.upper()
        judged = stats.judged_lower(e)
        if judged == "confirmed":
            helped.append(name)
        elif judged == "refuted":
            harmed.append(name)
        falls.append(f"{e.known_mean:+.3f} ({name})".replace("-", "−"))
        values[cell] = {"n": e.n, "mean": e.mean, "low": e.low, "high": e.high, "verdict": judged}
        for when, runs in (("without", of_cell(without, cell)), ("with", of_cell(treated, cell))):
            rise = stats.seed_estimate(runs, measures.rise_to_last).known_mean
            gap = stats.seed_estimate(runs, measures.gap_at_rest).mean
            rises[when].append(rise)
            if when == "with" and gap is not None:
                gaps.append(gap)
            values[cell] |= {f"rise_{when}": rise, f"gap_{when}": gap}
    values |= {"helped": _listed(helped), "harmed": _listed(harmed), "falls": _listed(falls)}
    values |= {f"most_{when}": max(of_cells) for when, of_cells in rises.items()}
    text = (
        "The best validation loss changes by {falls} nats. From there to the last epoch it rises by {most_with:.3f} at most, "
        "where it was {most_without:.3f}."
    )
    if gaps:
        values |= {"least_gap": min(gaps), "most_gap": max(gaps)}
        text += " Training text is still predicted {least_gap:.2f} to {most_gap:.2f} nats better, with dropout off."
    heading = (
        "The cure lowers the best loss of the {helped}" if helped else "The cure lowers no cell's best loss for certain"
    )
    if harmed:
        heading += ", and raises that of the {harmed}"
    return Finding("cure-effect", text, values, heading=heading)


def _interval(e: Estimate) -> str:
    if e.interval is None:
        return f"{counted(e.n, 'seed')}, so no interval"
    low, high = e.interval
    return f"{low:+.4f} to {high:+.4f}".replace("-", "−")


def _listed(names: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def cure_table(without: Records, treated: Records) -> Table | None:
    """The best loss with and without, and the verdict on the difference."""
    found = differences(without, treated)
    rows = []
    for cell, name, runs in _groups(without, treated):
        e = stats.seed_estimate(runs, BEST_LOSS)
        row = {"cell": cell.upper(), "cure": name, "seeds": e.n, "validation, best": e.mean, "standard deviation": e.sd}
        if name == "with" and cell in found:
            d = found[cell]
            row |= {"estimate": d.mean, "low": d.low, "high": d.high, "verdict": stats.judged_lower(d)}
        rows.append(row)
    if not rows:
        return None
    caption = (
        "Hidden size 512, learning rate 0.002, with and without the cure, means over seeds in nats per character. Estimate: best "
        "validation loss with minus without, paired over seeds, with its 95% interval; the verdict is on the claim that the cure "
        "lowers it."
    )
    return make_table("cure", rows, caption, diverged_note([*without, *treated]))


def rise_and_gap_table(without: Records, treated: Records) -> Table | None:
    """What is left of the overfitting."""
    rows = []
    for cell, name, runs in _groups(without, treated):
        row = {"cell": cell.upper(), "cure": name, "parameters": runs[0]["parameters"]}
        row |= {"best epoch": stats.seed_estimate(runs, "best_epoch").mean}
        row |= {"rise to the last": stats.seed_estimate(runs, measures.rise_to_last).mean}
        row |= {"gap, recorded": stats.seed_estimate(runs, measures.gap_at_best).mean}
        rows.append(row | {"gap, at rest": stats.seed_estimate(runs, measures.gap_at_rest).mean})
    if not rows:
        return None
    caption = "Rise: validation loss at the last epoch minus that at the best. Gap: validation minus training loss at the best epoch."
    note = (
        "Recorded, training loss is measured with dropout on, so the gap looks smaller than it is; at rest, with the weights of "
        "that epoch and dropout off."
    )
    late = []
    for cell in cells_in(treated):
        if all(r["best_epoch"] >= r["epochs"] - 1 for r in finished(of_cell(treated, cell))):
            late.append(cell.upper())
    if late:
        note += (
            f" {_listed(late)} with the cure: no run was better before its last two epochs, so more of them may help."
        )
    formats = dict.fromkeys(("gap, recorded", "gap, at rest", "rise to the last"), "{:.4f}")
    return make_table("cure-gap", rows, caption, note, formats | {"best epoch": "{:.1f}", "parameters": "{:,}"})


def _groups(without: Records, treated: Records) -> list[tuple[str, str, Records]]:
    """(cell, without or with, its runs), as far as any finished."""
    groups: list[tuple[str, str, Records]] = []
    for cell in cells_in(treated):
        for name, runs in (("without", of_cell(without, cell)), ("with", of_cell(treated, cell))):
            if finished(runs):
                groups.append((cell, name, runs))
    return groups


# ---------------------------------------------------------------------------------------------------------------------
# against counting


def below_counting(treated: Records) -> Finding | None:
    """Which cells come below the n-gram model of the same splits; None without records that were set beside it."""
    measured = [r for r in finished(treated) if r.get("counting") is not None]
    if not measured:
        return None
    cells = cells_in(measured)
    each = stats.holm([stats.seed_estimate(of_cell(measured, cell), measures.above_counting) for cell in cells])
    below, said = [], []
    losses = {cell: stats.seed_estimate(of_cell(measured, cell), BEST_LOSS).known_mean for cell in cells}
    best = min(losses, key=losses.__getitem__)
    values: dict = {"order": measured[0]["counting_order"], "best": best, "dropout": measured[0]["dropout"]}
    values["counting"] = stats.seed_estimate(list({r["seed"]: r for r in measured}.values()), "counting").mean
    for cell, e in zip(cells, each, strict=True):
        if e.high is not None and e.high < 0:
            below.append(cell.upper())
        said.append(f"{cell.upper()} {losses[cell]:.4f} ({_interval(e)})")
        values[cell] = {"n": e.n, "mean": e.mean, "low": e.low, "high": e.high, "verdict": stats.judged_lower(e)}
        values[cell] |= {"loss": losses[cell], "parameters": of_cell(measured, cell)[0]["parameters"]}
    values |= {"below": _listed(below), "losses": ", ".join(said)}
    verb = "comes" if len(below) == 1 else "come"
    heading = f"The {{below}} {verb} below the counting model" if below else "No cell comes below the counting model"
    text = (
        "Counting ({order}-gram) has {counting:.4f} on the same splits; with the cure, {losses}. In brackets: the 95% interval of "
        "the difference from counting, seed by seed."
    )
    return Finding("cure-and-counting", text, values, heading=heading)


# ---------------------------------------------------------------------------------------------------------------------
# more text


def more_text_or_cure(records: Records, treated: Records) -> Finding | None:
    """The untreated LSTM on more text beside the treated one on the study's; None where either was not made."""
    lstm = of_cell(treated, "lstm")
    times = sorted({measures.text_share(r) for r in finished(records)})
    if not lstm or len(times) < 2:
        return None
    most = _with_text(records, times[-1])
    seeds = {r["seed"] for r in most}
    lstm = [r for r in lstm if r["seed"] in seeds]
    e = stats.paired_difference(lstm, most, BEST_LOSS)
    judged = stats.judged_lower(e)
    heading = {
        "confirmed": "The cure does more than {times} times the text",
        "refuted": "{times} times the text does more than the cure",
        "no difference that matters": "The cure does as much as {times} times the text",
    }.get(judged, "The cure or {times} times the text: too close to call")
    means = {n: stats.seed_estimate(_with_text(records, n), BEST_LOSS).mean for n in times}
    listed = _listed([f"{mean:.4f} on {n} times" for n, mean in means.items() if n > 1])
    cured = stats.seed_estimate(lstm, BEST_LOSS).mean
    values = {"times": times[-1], "shortest": means[times[0]], "longer": listed, "cured": cured, "verdict": judged}
    values |= {"words": stats.difference_in_words(e, "the last of these"), "n": e.n}
    values |= {"mean": e.mean, "low": e.low, "high": e.high}
    text = (
        "Without the cure the LSTM's best loss is {shortest:.4f} on the study's text, {longer} as much, all on the same validation "
        "chunks. With it, on the study's text alone, it is {cured:.4f}, {words}."
    )
    return Finding("more-text", text, values, heading=heading)


def _with_text(records: Records, times: int) -> Records:
    return [r for r in records if measures.text_share(r) == times]


def more_text_table(records: Records) -> Table | None:
    rows = []
    for times in sorted({measures.text_share(r) for r in records}):
        runs = _with_text(records, times)
        e = stats.seed_estimate(runs, BEST_LOSS)
        row = {
            "characters": runs[0]["characters"],
            "seeds": e.n,
            "validation, best": e.mean,
            "standard deviation": e.sd,
        }
        row |= {"training, best": stats.seed_estimate(runs, "train_loss_best").mean}
        rows.append(row | {"best epoch": stats.seed_estimate(runs, "best_epoch").mean})
    if not rows:
        return None
    caption = (
        f"The larger LSTM without a cure by the length of its text, {counted(len(rows), 'length')}, in nats per character. What "
        "goes beyond the study's text is for training alone."
    )
    return make_table(
        "more-text", rows, caption, diverged_note(records), {"characters": "{:,}", "best epoch": "{:.1f}"}
    )
