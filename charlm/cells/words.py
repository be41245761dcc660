"""Tables and sentences of the fair comparison."""

import math
from itertools import chain

from scipy.special import ndtr

from charlm import stats
from charlm.cells import measures
from charlm.cells.measures import COMPARED_LOSS, PARTS, POWER, PUBLISHED_DIFFERENCE
from charlm.records import Records, cells_in, counted, diverged_note, finished, of_cell
from charlm.show import Finding, Table, make_table

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


def cell_table(records: Records, id: str, epoch_seconds: dict[str, float]) -> Table | None:
    """Parameters, time and loss of each cell. epoch_seconds: of an epoch of "<cell>-<hidden size>" with nothing else
    running, one thread."""
    if not records:
        return None
    rows = []
    for cell in cells_in(records):
        runs = of_cell(records, cell)
        first = runs[0]
        e = stats.seed_estimate(runs, COMPARED_LOSS)
        epochs = stats.seed_estimate(runs, "epochs")
        each = epoch_seconds.get(f"{cell}-{first['hidden_size']}")
        row = {"cell": cell.upper(), "hidden size": first["hidden_size"], "parameters": first["parameters"]}
        row |= {"seeds": e.n, "validation, best": e.mean, "standard deviation": e.sd}
        row |= {"95% from": e.low, "to": e.high, "epochs": epochs.mean}
        rows.append(row | {"seconds": each and epochs.mean and each * epochs.mean})
    caption = (
        "Validation loss at the best epoch in nats per character: mean, standard deviation and 95% interval over seeds. "
        "Seconds: of a whole training on one core, from epochs timed with nothing else running."
    )
    formats = {"parameters": "{:,}", "95% from": "{:.4f}", "to": "{:.4f}", "epochs": "{:.1f}", "seconds": "{:.0f}"}
    return make_table(id, rows, caption, _note(records), formats)


def pair_findings(records: Records, id: str, alike: str) -> Finding | None:
    """Every two cells compared, in words. alike: what the cells share."""
    if not records:
        return None
    lines = []
    values: dict[str, str | dict] = {"alike": alike}
    for (a, b), e in measures.pairwise_differences(records).items():
        judged = stats.judged_lower(e)
        lead = {"confirmed": f"the {b.upper()} is better", "refuted": f"the {a.upper()} is better"}.get(judged, judged)
        words = stats.difference_in_words(e, f"the {a.upper()}'s")
        lines.append(f"- {a.upper()} or {b.upper()}: **{lead}**; the {b.upper()}'s loss is {words}.")
        values[f"{b}_minus_{a}"] = {"n": e.n, "mean": e.mean, "low": e.low, "high": e.high, "verdict": judged}
    paragraphs = ["**At the same {alike}**, at the best epoch, seed by seed:", "\n".join(lines), cut_short(records)]
    return Finding(id, "\n\n".join(filter(None, paragraphs)), values)


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
    caption = (
        "Validation loss at the best epoch in nats per character, by learning rate. A cell's lowest mean is chosen on the "
        "validation loss that is shown, so it is a little too good, for each cell alike."
    )
    return make_table("learning-rates", rows, caption, _note(records), {"learning rate": "{:g}", "epochs": "{:.1f}"})


def tuned_cells(swept: Records, records: Records) -> Finding | None:
    """The cells against each other, each at its own best learning rate of those swept: the runs of `records`, of other
    seeds, or without any those of the sweep itself."""
    chosen = measures.best_rates(swept)
    if not chosen:
        return None
    own = list(records)
    if not own:
        for cell, rate in chosen.items():
            own += measures.at_rate(of_cell(swept, cell), rate)
    finding = pair_findings(own, "tuned", "hidden size, each with the learning rate that suits it best")
    if finding is None:
        return None
    rates = [f"{cell.upper()} {rate:g}" for cell, rate in chosen.items()]
    values = finding.values | {"at": ", ".join(rates), "seeds": len({r["seed"] for r in swept})}
    if records:
        text = "The rates ({at}) were chosen on {seeds} other seeds, so these losses are not the luck of that choice."
    else:
        text = "The rates ({at}) were chosen on these very losses, so each is a little too good."
    return Finding("tuned", f"{finding.text}\n\n{text}", values)


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
        "What moves the best validation loss: standard deviation (nats per character) due to the split of the corpus alone, "
        "to the seed of weights and order alone, and to the two together, from every split trained with every seed. 95%: of "
        "what so few splits and seeds would find if these were the true ones."
    )
    return make_table("spread", rows, caption, diverged_note(records), dict.fromkeys(PARTS, "{:.4f}"))


def enough_seeds(records: Records) -> Finding | None:
    """How many seeds tell RNN and LSTM apart at the difference that the source study published, with and without
    pairing."""
    if not records:
        return None
    differences = stats.paired_difference(of_cell(records, "lstm"), of_cell(records, "rnn"), COMPARED_LOSS)
    rnn = stats.seed_estimate(of_cell(records, "rnn"), COMPARED_LOSS)
    lstm = stats.seed_estimate(of_cell(records, "lstm"), COMPARED_LOSS)
    if differences.sd is None or rnn.sd is None or lstm.sd is None:
        text = "How many seeds are needed is not known: fewer than two finished in both cells."
        return Finding("enough-seeds", text, {})
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
    text = (
        "**How many seeds it takes.** To find a difference of {difference:.4f} nats with a probability of {power:.0%} it takes "
        "{paired} seeds when the cells share their splits (standard deviation of a pair's difference {paired_sd:.4f}), and "
        "{unpaired} when they do not ({unpaired_sd:.4f}); both standard deviations are from {n} seeds. Between one run and one "
        "run without a shared split, chance alone makes a difference at least as large in {one:.0%} of the cases."
    )
    return Finding("enough-seeds", text, values)
