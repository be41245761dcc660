"""Tables and sentences on the number that everybody quotes."""

from charlm import stats
from charlm.benchmark.measures import CARRIED, CUT, DYNAMIC, QUOTED, WINDOWS, loss_by
from charlm.records import Record, Records, cells_in, counted, finished, of_cell
from charlm.show import Finding, Table
from charlm.tables import make_table
from charlm_core import CELLS

READ = {
    WINDOWS: "windows of 256, each from a zero state",
    CARRIED: "one pass, the state carried on",
    DYNAMIC: "the same, the weights learning from what was read",
}


def tuning_table(records: Records) -> Table | None:
    """The short runs, the one that was taken first."""
    done = finished(records)
    if not done:
        return None
    rows = []
    for r in sorted(done, key=lambda r: r["val_loss_last"]):
        row = {"epochs": r["epochs"], "characters are": _characters_are(r), "batch size": r["batch_size"]}
        row |= {"dropout": r["dropout"], "learning rate": r["learning_rate"]}
        rows.append(row | {"training, last": r["train_loss_last"], "validation, last": r["val_loss_last"]})
    caption = (
        f"{counted(len(rows), 'short run')} on the first nine tenths of the training text, judged on its last tenth. The first "
        "line was taken, with its number of epochs."
    )
    return make_table("benchmark-tuning", rows, caption)


def _characters_are(record: Record) -> str:
    return f"{record['embedding']} learnt numbers" if record["embedding"] else "one-hot"


def earlier_recipes(first: Records, second: Records) -> Finding | None:
    """What was trained on this split before and looked at the last tenth too; None where nothing was."""
    each = [runs for runs in (finished(first), finished(second)) if runs]
    if not each:
        return None
    losses = []
    values: dict = {"opened": counted(1 + len(each), "time"), "epochs": each[0][0]["epochs"]}
    for n, runs in enumerate(each, start=1):
        e = stats.seed_estimate(runs, loss_by(WINDOWS))
        r = runs[0]
        values[f"recipe {n}"] = {"mean": e.mean, "low": e.low, "high": e.high, "n": e.n}
        losses.append(
            f"{e.known_mean:.4f} ({_characters_are(r)}, batches of {r['batch_size']}, learning rate {r['learning_rate']})"
        )
    values["losses"] = " and ".join(losses)
    text = (
        "The last tenth was opened {opened}. Recipes before this one were chosen by short runs too, but then trained for longer "
        "than those, {epochs} epochs, and reached {losses} in windows of 256. The rule that this one follows, to train for as long "
        "as the best short run, was made after that. No short run saw more than the training text."
    )
    return Finding("benchmark-earlier", text, values)


def lowest(records: Records) -> Finding | None:
    """The cell with the lowest mean against what is quoted of transformers; None without runs."""
    done = finished(records)
    if not done:
        return None
    losses = {cell: stats.seed_estimate(of_cell(done, cell), loss_by(WINDOWS)).known_mean for cell in cells_in(done)}
    best = min(losses, key=losses.__getitem__)
    runs = of_cell(done, best)
    windows, carried = (stats.seed_estimate(runs, loss_by(evaluation)) for evaluation in (WINDOWS, CARRIED))
    target = min(QUOTED.values())
    values: dict[str, float | str | None] = {
        "cell": best.upper(),
        "mean": windows.mean,
        "low": windows.low,
        "high": windows.high,
        "n": windows.n,
        "target": target,
    }
    values |= {"carried": carried.mean, "carried_low": carried.low, "carried_high": carried.high}
    values |= {"parameters": runs[0]["parameters"] / 1e6, "seeds": counted(windows.n, "seed")}
    values["minutes"] = stats.seed_estimate(runs, "seconds").known_mean / 60
    below = windows.high is not None and windows.high < target
    above = windows.low is not None and windows.low > target
    side = "below" if below else "above" if above else "not for certain on either side of"
    values["side"] = side
    text = (
        "Mean of {seeds}, in windows of 256 from a zero state: {mean:.4f} (95% interval {low:.4f} to {high:.4f}), {side} the lowest "
        "loss quoted, {target:.4f}. With the state carried on: {carried:.4f}. A run took {minutes:.0f} minutes of one core."
    )
    others = [f"the {cell.upper()} {loss:.4f}" for cell, loss in losses.items() if cell != best]
    if others:
        values["others"] = " and ".join(others)
        text += " In the same windows: {others}."
    heading = "The {cell} reaches {mean:.3f} with {parameters:.2g} million weights"
    return Finding("benchmark", text, values, heading=heading)


def benchmark_table(records: Records) -> Table | None:
    """A row a cell and evaluation, and what others have published."""
    done = finished(records)
    if not done:
        return None
    rows = []
    for cell in cells_in(done):
        runs = of_cell(done, cell)
        for evaluation, how in READ.items():
            e = stats.seed_estimate(runs, loss_by(evaluation))
            if not e.n:
                continue
            row = {"model": cell.upper(), "evaluation": how, "seeds": e.n, "mean": e.mean, "standard deviation": e.sd}
            row |= {"95% from": e.low, "to": e.high, "parameters": runs[0]["parameters"]}
            rows.append(row | {"minutes": stats.seed_estimate(runs, "seconds").known_mean / 60})
            if len(runs) > 1 and evaluation in runs[0]["together"]:
                name = f"{cell.upper()}, {len(runs)} runs' probabilities averaged"
                mean = runs[0]["together"][evaluation]
                rows.append(
                    {"model": name, "evaluation": how, "mean": mean, "parameters": len(runs) * runs[0]["parameters"]}
                )
    for name, loss in QUOTED.items():
        rows.append({"model": name, "evaluation": "windows of 256 drawn at random", "mean": loss})
    noise = max(r["random_batches"] for r in done)
    caption = (
        "Loss on the last tenth of tiny shakespeare in nats per character, with the weights of the last epoch. Minutes: of the "
        f"training of one run, on one core of {', '.join(sorted({r['machine']['cpu'] for r in done}))}, with another at work."
    )
    note = (
        f"Random windows, 200 batches of 64, would add a standard error of {noise:.4f} to the first kind. Validation losses "
        "were recorded after each epoch; no epoch was chosen by them."
    )
    epochs = max(r["epochs"] for r in done)
    note += f" Training read {CUT:,} characters {epochs} times."
    of = done[0]
    note += (
        f" Recipe: {of['layers']} layers of {of['hidden_size']}, characters {_characters_are(of)}, dropout {of['dropout']}, windows of "
        f"{of['chunk_length']} with the state carried on, {of['batch_size']} side by side, AdamW with a cosine to zero."
    )
    rates = [f"{cell.upper()} {of_cell(done, cell)[0]['learning_rate']}" for cell in cells_in(done)]
    note += f" Learning rate: {', '.join(rates)}"
    note += ", the LSTM's by short runs, others' by the sweep on the study's text." if len(rates) > 1 else "."
    missing = [cell.upper() for cell in CELLS if cell not in cells_in(done)]
    if missing:
        note += f" Not trained on this split, for want of machine time: {', '.join(missing)}."
    formats = {"95% from": "{:.4f}", "to": "{:.4f}", "parameters": "{:,}", "minutes": "{:.0f}"}
    return make_table("benchmark", rows, caption, note, formats)
