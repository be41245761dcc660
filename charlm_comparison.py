"""The fair comparison: three cells at one hidden size and at one number of parameters, at several learning rates, and
what the luck of a run is made of. Pure functions from the records of studies to tables and sentences.
"""

import math
from itertools import combinations

import numpy as np
from scipy.special import nctdtr, ndtr, stdtrit

import charlm_study as study
from charlm_show import Finding, Table
from charlm_study import Estimate, Record, Records, make_table

KEY = "val_loss_best"  # what cells are compared by
POWER = 0.8  # the chance with which a difference that is there shall be found
PUBLISHED_DIFFERENCE = abs(study.PUBLISHED["lstm"]["val_loss_last"] - study.PUBLISHED["rnn"]["val_loss_last"])


def seeds_needed(sd: float, difference: float) -> int:
    """Pairs of runs with which a two-sided t test at 5% finds a difference, given the standard deviation of the
    differences, with the probability POWER (from the noncentral t distribution)."""
    for n in range(2, 100_000):
        critical, shift = stdtrit(n - 1, 0.975), difference / (sd / math.sqrt(n)) if sd else math.inf
        if not math.isfinite(shift) or nctdtr(n - 1, shift, critical) <= 1 - POWER:
            return n
    return 100_000


# ---------------------------------------------------------------------------------------------------------------------
# cells


def cut_short(records: Records) -> str:
    """A sentence on the runs that the limit of epochs stopped, and not that they had ceased to get better; or none."""
    said = []
    for cell in study.cells(records):
        runs = study.finished(study.of(records, cell))
        cut = [r for r in runs if r["epochs"] - r["best_epoch"] < r["patience"]]
        if cut:
            said.append(
                f"{len(cut)} of {study.count(len(runs), 'run')} of the {cell.upper()} (after {cut[0]['epochs']})"
            )
    return f"Stopped by the limit of epochs while they may still have got better: {'; '.join(said)}." if said else ""


def cell_table(records: Records, id: str, epoch_seconds: dict[str, float]) -> Table | None:
    """Parameters, time and loss of each cell. epoch_seconds: of an epoch of "<cell>-<hidden size>" with nothing else
    running, one thread."""
    if not records:
        return None
    rows = []
    for cell in study.cells(records):
        runs = study.of(records, cell)
        first, e = runs[0], study.seed_estimate(runs, KEY)
        epochs = study.seed_estimate(runs, "epochs")
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


def _note(records: Records) -> str:
    return " ".join(filter(None, [cut_short(records), study.diverged_note(records)]))


def pairs(records: Records) -> dict[tuple[str, str], Estimate]:
    """{(a, b): estimate of loss of b − a} for every two cells, paired over seeds, intervals by Holm."""
    both = list(combinations(study.cells(records), 2))
    found = [study.paired_difference(study.of(records, b), study.of(records, a), KEY) for a, b in both]
    return dict(zip(both, study.holm(found), strict=True))


def pair_findings(records: Records, id: str, alike: str) -> Finding | None:
    """Every two cells compared, in words. alike: what the cells share."""
    if not records:
        return None
    lines, values = [], {"alike": alike}
    for (a, b), e in pairs(records).items():
        judged = study.verdict(e.interval, e.n, claimed_sign=-1)
        lead = {"confirmed": f"the {b.upper()} is better", "refuted": f"the {a.upper()} is better"}.get(judged, judged)
        words = study.in_words(e, f"the {a.upper()}'s")
        lines.append(f"- {a.upper()} or {b.upper()}: **{lead}**; the {b.upper()}'s loss is {words}.")
        values |= {f"{b}_minus_{a}": {"n": e.n, "mean": e.mean, "low": e.low, "high": e.high, "verdict": judged}}
    text = "**At the same {alike}**, at the best epoch, seed by seed:\n\n" + "\n".join(lines)
    if note := cut_short(records):
        text += f"\n\n{note}"
    return Finding(id, text, values)


# ---------------------------------------------------------------------------------------------------------------------
# learning rates


def rates(records: Records) -> list[float]:
    return sorted({r["learning_rate"] for r in records})


def at_rate(records: Records, rate: float) -> list[Record]:
    return [r for r in records if r["learning_rate"] == rate]


def best_rates(records: Records) -> dict[str, float]:
    """{cell: learning rate with the lowest mean validation loss}; a rate at which a run diverged is out."""
    found = {}
    for cell in study.cells(records):
        runs = study.of(records, cell)
        whole = [x for x in rates(runs) if all(r["status"] == "finished" for r in at_rate(runs, x))]
        if whole:
            found[cell] = min(whole, key=lambda x: study.seed_estimate(at_rate(runs, x), KEY).mean)
    return found


def rate_table(records: Records) -> Table | None:
    """A row a cell and learning rate."""
    if not records:
        return None
    chosen, rows = best_rates(records), []
    for cell in study.cells(records):
        for rate in rates(study.of(records, cell)):
            runs = at_rate(study.of(records, cell), rate)
            e = study.seed_estimate(runs, KEY)
            row = {"cell": cell.upper(), "learning rate": rate, "seeds": e.n, "validation, best": e.mean}
            row |= {"standard deviation": e.sd, "epochs": study.seed_estimate(runs, "epochs").mean}
            rows.append(row | {"lowest": rate == chosen.get(cell)})
    caption = (
        "Validation loss at the best epoch in nats per character, by learning rate. A cell's lowest mean is chosen on the "
        "validation loss that is shown, so it is a little too good, for each cell alike."
    )
    return make_table("learning-rates", rows, caption, _note(records), {"learning rate": "{:g}", "epochs": "{:.1f}"})


def tuned(swept: Records, records: Records) -> Finding | None:
    """The cells against each other, each at its own best learning rate of those swept: the runs of `records`, of other
    seeds, or without any those of the sweep itself."""
    chosen = best_rates(swept)
    if not chosen:
        return None
    own = records or [r for cell, rate in chosen.items() for r in at_rate(study.of(swept, cell), rate)]
    seeds = {r["seed"] for r in swept}
    finding = pair_findings(own, "tuned", "hidden size, each with the learning rate that suits it best")
    values = finding.values | {"at": ", ".join(f"{cell.upper()} {rate:g}" for cell, rate in chosen.items())}
    if records:
        text = "The rates ({at}) were chosen on {seeds} other seeds, so these losses are not the luck of that choice."
    else:
        text = "The rates ({at}) were chosen on these very losses, so each is a little too good."
    return Finding("tuned", f"{finding.text}\n\n{text}", values | {"seeds": len(seeds)})


# ---------------------------------------------------------------------------------------------------------------------
# what the luck of a run is made of


PARTS = ("split", "seed", "together")
RESAMPLES = 2000


def parts(x: np.ndarray) -> np.ndarray:
    """Standard deviations (..., 3) of what the split, the seed and the two together do, from values (..., splits, seeds):
    the random effects of a two-way layout without repeats, by the method of moments, where a negative variance is zero.
    (S. R. Searle, G. Casella, C. E. McCulloch, Variance Components, 1992, section 4.3.)
    """
    a, b = x.shape[-2:]
    rows, columns = x.mean(axis=-1, keepdims=True), x.mean(axis=-2, keepdims=True)
    rest = x - rows - columns + x.mean(axis=(-2, -1), keepdims=True)
    ms_rest = (rest**2).sum(axis=(-2, -1)) / ((a - 1) * (b - 1))
    ms_rows, ms_columns = b * rows.var(axis=(-2, -1), ddof=1), a * columns.var(axis=(-2, -1), ddof=1)
    variances = np.stack([(ms_rows - ms_rest) / b, (ms_columns - ms_rest) / a, ms_rest], axis=-1)
    return np.sqrt(np.maximum(0.0, variances))


def spread(crossed: dict[tuple[int, int], float]) -> dict[str, tuple[float, float, float]]:
    """{part: (standard deviation, low, high)} from one value for every pair of split and seed. low and high hold 95% of
    what a layout of this size finds where the found parts are the true ones (parametric bootstrap, percentiles)."""
    splits, seeds = (sorted({pair[i] for pair in crossed}) for i in (0, 1))
    found = parts(np.array([[crossed[a, b] for b in seeds] for a in splits]))
    rng, (a, b) = np.random.default_rng(0), (len(splits), len(seeds))
    drawn = [rng.normal(size=(RESAMPLES, *shape)) for shape in ((a, 1), (1, b), (a, b))]
    low, high = np.quantile(parts(sum(sd * z for sd, z in zip(found, drawn, strict=True))), (0.025, 0.975), axis=0)
    return {name: tuple(map(float, x)) for name, x in zip(PARTS, zip(found, low, high, strict=True), strict=True)}


def crossed(records: Records) -> dict[tuple[int, int], Record]:
    """{(split, seed): record} of the finished runs of one cell."""
    number = {True: "seed", False: "split_seed"}
    return {(r[number[r["split_seed"] is None]], r["seed"]): r for r in study.finished(records)}


def spread_table(records: Records) -> Table | None:
    """What the split does and what the seed does to the loss of each cell, and to the difference of the first two."""
    if not records:
        return None
    found = {cell: {k: r[KEY] for k, r in crossed(study.of(records, cell)).items()} for cell in study.cells(records)}
    if {"rnn", "lstm"} <= found.keys():
        shared = found["rnn"].keys() & found["lstm"].keys()
        found["LSTM − RNN"] = {k: found["lstm"][k] - found["rnn"][k] for k in shared}
    rows = []
    for name, values in found.items():
        row = {"loss of": name.upper() if name in study.cells(records) else name, "runs": len(values)}
        whole = len(values) == len({a for a, _ in values}) * len({b for _, b in values}) > 3
        known = spread(values) if whole else {}
        for part in PARTS:
            sd, low, high = known.get(part, (None, None, None))
            row |= {part: sd, f"{part}, 95%": None if sd is None else f"{low:.4f} to {high:.4f}"}
        rows.append(row)
    caption = (
        "What moves the best validation loss: standard deviation (nats per character) due to the split of the corpus alone, "
        "to the seed of weights and order alone, and to the two together, from every split trained with every seed. 95%: of "
        "what so few splits and seeds would find if these were the true ones."
    )
    return make_table("spread", rows, caption, study.diverged_note(records), dict.fromkeys(PARTS, "{:.4f}"))


def enough_seeds(records: Records) -> Finding | None:
    """How many seeds tell RNN and LSTM apart at the difference that the source study published, with and without
    pairing."""
    if not records:
        return None
    differences = study.paired_difference(study.of(records, "lstm"), study.of(records, "rnn"), KEY)
    alone = [study.seed_estimate(study.of(records, cell), KEY).sd for cell in ("rnn", "lstm")]
    if differences.sd is None or None in alone:
        return Finding(
            "enough-seeds", "How many seeds are needed is not known: fewer than two finished in both cells.", {}
        )
    values = {
        "difference": PUBLISHED_DIFFERENCE,
        "paired_sd": differences.sd,
        "paired": seeds_needed(differences.sd, PUBLISHED_DIFFERENCE),
        "unpaired_sd": math.hypot(*alone),
        "unpaired": seeds_needed(math.hypot(*alone), PUBLISHED_DIFFERENCE),
        "power": POWER,
        "n": differences.n,
        "one": float(2 * ndtr(-PUBLISHED_DIFFERENCE / math.hypot(*alone))) if math.hypot(*alone) else 0.0,
    }
    text = (
        "**How many seeds it takes.** To find a difference of {difference:.4f} nats with a probability of {power:.0%} it takes "
        "{paired} seeds when the cells share their splits (standard deviation of a pair's difference {paired_sd:.4f}), and "
        "{unpaired} when they do not ({unpaired_sd:.4f}); both standard deviations are from {n} seeds. Between one run and one "
        "run without a shared split, chance alone makes a difference at least as large in {one:.0%} of the cases."
    )
    return Finding("enough-seeds", text, values)
