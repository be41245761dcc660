"""Tables and sentences of the fair comparison."""

import math
from collections.abc import Iterable
from itertools import chain
from typing import Any

from scipy.special import ndtr

from charlm import stats
from charlm.cells import measures
from charlm.cells.measures import COMPARED_LOSS, PARTS, POWER, PUBLISHED_DIFFERENCE
from charlm.records import Record, Records, cells_in, counted, diverged_note, finished, of_cell
from charlm.show import Finding, Table
from charlm.stats import Estimate
from charlm.tables import make_table

# ---------------------------------------------------------------------------------------------------------------------
# cells


def cut_short(records: Records) -> str:
    """A sentence on the runs that the limit of epochs stopped, and not that they had ceased to get better; or none."""
    said = []
    for cell in cells_in(records):
        runs = finished(of_cell(records, cell))
        cut = [r for r in runs if r["epochs"] - r["best_epoch"] < r["patience"]]
        if cut:
            said.append(f"{len(cut)} of {counted(len(runs), 'run')} of the {cell.upper()} (after {cut[0]['epochs']})")
    if not said:
        return ""
    return f"Stopped by the limit of epochs while they may still have got better: {'; '.join(said)}."


def _note(records: Records) -> str:
    return " ".join(filter(None, [cut_short(records), diverged_note(records)]))


def cell_table(compared: dict[str, tuple[Records, dict[str, float]]]) -> Table | None:
    """Parameters, time and loss of each cell in every comparison: {what is alike in it: its runs, and the seconds that one
    epoch of each "<cell>-<hidden size>" takes with nothing else running, on one thread}."""
    rows, notes = [], []
    for alike, (records, epoch_seconds) in compared.items():
        for cell in cells_in(records):
            rows.append({"alike": alike} | _cell_row(of_cell(records, cell), epoch_seconds))
        notes.append(diverged_note(records))
    if not rows:
        return None
    caption = (
        "Best validation loss in nats: mean, standard deviation and 95% interval over seeds. Seconds: of a whole training on "
        "one core with nothing else running."
    )
    formats = {"parameters": "{:,}", "95% from": "{:.4f}", "to": "{:.4f}", "epochs": "{:.1f}", "seconds": "{:.0f}"}
    return make_table("cells", rows, caption, " ".join(filter(None, dict.fromkeys(notes))), formats)


def _cell_row(runs: Records, epoch_seconds: dict[str, float]) -> dict:
    first = runs[0]
    e = stats.seed_estimate(runs, COMPARED_LOSS)
    epochs = stats.seed_estimate(runs, "epochs")
    each = epoch_seconds.get(f"{first['cell']}-{first['hidden_size']}")
    row = {"cell": first["cell"].upper(), "hidden size": first["hidden_size"], "parameters": first["parameters"]}
    row |= {"seeds": e.n, "validation, best": e.mean, "standard deviation": e.sd}
    row |= {"95% from": e.low, "to": e.high, "epochs": epochs.mean}
    return row | {"seconds": each and epochs.mean and each * epochs.mean}


def comparison(records: Records, id: str, way: str) -> Finding | None:
    """Which cell is better than which, in one way to compare them: "At the same hidden size". With intervals it is
    pair_findings() that says it. None without records."""
    if not records:
        return None
    differences = measures.pairwise_differences(records)
    losses: dict[str, float] = {}
    for cell in cells_in(records):
        mean = stats.seed_estimate(of_cell(records, cell), COMPARED_LOSS).mean
        if mean is not None:
            losses[cell] = mean
    values: dict[str, Any] = {"losses": losses, "seeds": sorted({r["seed"] for r in finished(records)})}
    for (a, b), e in differences.items():
        values[f"{b}_minus_{a}"] = {"n": e.n, "mean": e.mean, "low": e.low, "high": e.high}
        values[f"{b}_minus_{a}"]["verdict"] = stats.judged_lower(e)
    first = next(iter(losses), "")
    against = [f"{b.upper()} {e.mean:+.4f}" for (a, b), e in differences.items() if a == first and e.mean is not None]
    text = f"Best validation loss less the {first.upper()}'s: {', '.join(against)} nats.".replace("-", "−")
    if not against:
        text = "No seed finished in two cells."
    between = differences.get(("rnn", "lstm"))
    if between and stats.judged_lower(between) not in ("confirmed", "refuted"):
        text += f" Between RNN and LSTM: {stats.judged_lower(between)}."
    return Finding(id, text, values, f"{way} {_order(differences)}")


def _order(differences: dict[tuple[str, str], Estimate]) -> str:
    """Who is better than whom, of {(a, b): loss of b − a}, as the end of a sentence."""
    beats: dict[str, set[str]] = {}
    for (a, b), e in differences.items():
        judged = stats.judged_lower(e)
        if judged in ("confirmed", "refuted"):
            winner, loser = (b, a) if judged == "confirmed" else (a, b)
            beats.setdefault(winner, set()).add(loser)
    if not beats:
        return "no cell is shown to be better"
    said = []
    for losers in dict.fromkeys(frozenset(cells) for cells in beats.values()):
        winners = [cell for cell, beaten in beats.items() if beaten == losers]
        verb = "is" if len(winners) == 1 else "are"
        said.append(f"{_all_of(winners)} {verb} better than {_all_of(losers)}")
    return ", ".join(said)


def _all_of(cells: Iterable[str]) -> str:
    """'the RNN', 'the RNN and the LSTM'."""
    return " and ".join(f"the {name}" for name in sorted(cell.upper() for cell in cells))


def pair_findings(records: Records, id: str) -> Finding | None:
    """Every two cells compared, with intervals."""
    if not records:
        return None
    lines = []
    for (a, b), e in measures.pairwise_differences(records).items():
        judged = stats.judged_lower(e)
        lead = {"confirmed": f"the {b.upper()} is better", "refuted": f"the {a.upper()} is better"}.get(judged, judged)
        words = stats.difference_in_words(e, f"the {a.upper()}'s")
        lines.append(f"- {a.upper()} or {b.upper()}: **{lead}**; the {b.upper()}'s loss is {words}.")
    return Finding(f"{id}-pairs", "\n\n".join(filter(None, ["\n".join(lines), cut_short(records)])), {})


# ---------------------------------------------------------------------------------------------------------------------
# learning rates


def rate_table(records: Records) -> Table | None:
    """A row a cell and learning rate."""
    if not records:
        return None
    chosen = measures.best_rates(records)
    rows = []
    for cell in cells_in(records):
        for rate in measures.rates_in(of_cell(records, cell)):
            runs = measures.at_rate(of_cell(records, cell), rate)
            e = stats.seed_estimate(runs, COMPARED_LOSS)
            row = {"cell": cell.upper(), "learning rate": rate, "seeds": e.n, "validation, best": e.mean}
            row |= {"standard deviation": e.sd, "epochs": stats.seed_estimate(runs, "epochs").mean}
            rows.append(row | {"lowest": rate == chosen.get(cell)})
    caption = "Validation loss at the best epoch in nats per character, by learning rate."
    return make_table("learning-rates", rows, caption, _note(records), {"learning rate": "{:g}", "epochs": "{:.1f}"})


def runs_at_own_rate(swept: Records, records: Records) -> list[Record]:
    """The runs of each cell at its own best learning rate of those swept: `records`, of other seeds, or without any those
    of the sweep itself."""
    if records:
        return list(records)
    own = []
    for cell, rate in measures.best_rates(swept).items():
        own += measures.at_rate(of_cell(swept, cell), rate)
    return own


def chosen_rates(swept: Records, records: Records) -> Finding | None:
    """The learning rate that suits each cell, and what the choice is worth. None where no rates were tried."""
    chosen = measures.best_rates(swept)
    if not chosen:
        return None
    values = {"at": ", ".join(f"{cell.upper()} {rate:g}" for cell, rate in chosen.items())}
    values["seeds"] = str(len({r["seed"] for r in swept}))
    if records:
        text = "Chosen on {seeds} seeds; the cells are compared on others, so what they reach is not the luck of the choice."
    else:
        text = "Chosen on the very losses that are compared, so each is a little too good."
    return Finding("chosen-rates", text, values, "The rate that suits each best: {at}")


# ---------------------------------------------------------------------------------------------------------------------
# what the luck of a run is made of


def spread_table(records: Records) -> Table | None:
    """What the split does and what the seed does to the loss of each cell, and to the difference of the first two."""
    if not records:
        return None
    losses = {}
    for cell in cells_in(records):
        by_pair = measures.crossed(of_cell(records, cell))
        losses[cell.upper()] = {pair: r[COMPARED_LOSS] for pair, r in by_pair.items()}
    if {"RNN", "LSTM"} <= losses.keys():
        shared = losses["RNN"].keys() & losses["LSTM"].keys()
        losses["LSTM − RNN"] = {pair: losses["LSTM"][pair] - losses["RNN"][pair] for pair in shared}
    rows = []
    for name, values in losses.items():
        row: dict[str, float | str | None] = {"loss of": name, "runs": len(values)}
        row |= dict.fromkeys(chain.from_iterable((part, f"{part}, 95%") for part in PARTS))
        if measures.is_whole(values):
            for part, (sd, low, high) in measures.spread(values).items():
                row |= {part: sd, f"{part}, 95%": f"{low:.4f} to {high:.4f}"}
        rows.append(row)
    caption = (
        "What moves the best validation loss: standard deviation (nats) due to the split of the corpus alone, to the seed of "
        "weights and order alone, and to the two together. 95%: what so few splits and seeds would find if these were true."
    )
    return make_table("spread", rows, caption, diverged_note(records), dict.fromkeys(PARTS, "{:.4f}"))


def what_luck_is(records: Records) -> Finding | None:
    """Whether the split moves a loss more than the seed of weights and order does. None where not every split met every
    seed."""
    shares = {}
    for cell in cells_in(records):
        by_pair = {pair: r[COMPARED_LOSS] for pair, r in measures.crossed(of_cell(records, cell)).items()}
        if measures.is_whole(by_pair):
            shares[cell] = measures.spread(by_pair)
    if not shares:
        return None
    larger = {cell: max(("split", "seed"), key=lambda part: parts[part][0]) for cell, parts in shares.items()}
    values = {f"{cell}_{part}": parts[part][0] for cell, parts in shares.items() for part in PARTS}
    said = {
        "split": "the split of the corpus more than the seed of the weights",
        "seed": "the seed more than the split",
    }
    kinds = set(larger.values())
    heading = "The luck of a run is " + (said[kinds.pop()] if len(kinds) == 1 else "not the same in each cell")
    sds = [f"{parts['split'][0]:.4f} and {parts['seed'][0]:.4f} ({cell.upper()})" for cell, parts in shares.items()]
    text = (
        "Every split met every seed. Standard deviation of the best loss due to the split and to the seed: "
        f"{'; '.join(sds)}. So few of each leave wide intervals."
    )
    return Finding("luck", text, values, heading)


def enough_seeds(records: Records) -> Finding | None:
    """How many seeds tell RNN and LSTM apart at the difference that the source study published, with and without
    pairing. None where fewer than two seeds finished in both cells."""
    differences = stats.paired_difference(of_cell(records, "lstm"), of_cell(records, "rnn"), COMPARED_LOSS)
    rnn = stats.seed_estimate(of_cell(records, "rnn"), COMPARED_LOSS)
    lstm = stats.seed_estimate(of_cell(records, "lstm"), COMPARED_LOSS)
    if differences.sd is None or rnn.sd is None or lstm.sd is None:
        return None
    unpaired_sd = math.hypot(rnn.sd, lstm.sd)  # of the difference between a run of each, without a shared split
    by_chance = float(2 * ndtr(-PUBLISHED_DIFFERENCE / unpaired_sd)) if unpaired_sd else 0.0
    values = {
        "difference": PUBLISHED_DIFFERENCE,
        "paired_sd": differences.sd,
        "paired": measures.seeds_needed(differences.sd, PUBLISHED_DIFFERENCE),
        "unpaired_sd": unpaired_sd,
        "unpaired": measures.seeds_needed(unpaired_sd, PUBLISHED_DIFFERENCE),
        "power": POWER,
        "n": differences.n,
        "one": by_chance,
    }
    heading = "Chance alone makes {difference:.4f} nats between two runs in {one:.0%} of cases"
    text = (
        "That is the difference the study found. To find one as large with a probability of {power:.0%} takes {paired} seeds "
        "where the cells share their splits, as here, and {unpaired} where they do not, by what {n} seeds differ."
    )
    return Finding("enough-seeds", text, values, heading)
