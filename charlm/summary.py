"""The summary, from what the other notebooks found (the content of results.json)."""

from dataclasses import replace

from charlm import stats
from charlm.losses.words import rnn_or_lstm
from charlm.records import cells_in, diverged_note, of_cell, published_numbers
from charlm.show import Finding, Samples, Table, make_table
from charlm.stats import Estimate


def summary_title(results: dict) -> Finding:
    runs = results["runs"]
    text = (
        "An RNN and an LSTM were trained to predict {corpus} character by character, {seeds} with different random seeds. "
        "This report says how well each does, how sure that is, and what a softmax temperature does to the text they write. "
        "Every number in it is computed by the notebooks it is made of."
    )
    n = len({r["seed"] for r in runs})
    values = {"corpus": results["study"]["corpus"], "seeds": "once each" if n == 1 else f"{n} times each"}
    return Finding("summary", text, values)


def summary_headline(results: dict, epoch: str) -> Finding:
    finding = rnn_or_lstm(results["runs"], epoch)
    return replace(finding, id=f"summary-{finding.id}")


def summary_table(results: dict) -> Table:
    runs = results["runs"]
    known = published_numbers(runs)
    rows = []
    for cell in cells_in(runs):
        ours = of_cell(runs, cell)
        row: dict[str, str | float | None] = {"cell": cell.upper()}
        row["last epoch"] = _mean_and_sd(stats.seed_estimate(ours, "val_loss_last"))
        if known:
            row["published"] = known[cell]["val_loss_last"]
        row["best epoch"] = _mean_and_sd(stats.seed_estimate(ours, "val_loss_best"))
        epochs = stats.seed_estimate(ours, "epochs")
        rows.append(row | {"stopped at": epochs.mean, "seeds": epochs.n})
    caption = "Validation loss in nats per character: mean ± standard deviation over seeds; mean stopping epoch."
    return make_table("summary", rows, caption, diverged_note(runs), {"stopped at": "{:.1f}"})


def _mean_and_sd(e: Estimate) -> str | None:
    if e.mean is None:
        return None
    return f"{e.mean:.4f}" if e.sd is None else f"{e.mean:.4f} ±\N{NO-BREAK SPACE}{e.sd:.4f}"


def summary_samples(results: dict) -> Samples:
    items = results["samples"]["prompts"][:2]
    return Samples("summary", items, "What the best model writes at T = 0.5 after a prompt of one character.")


def quoted(results: dict, id: str) -> Finding | None:
    """A finding of another notebook, to the letter; None where that notebook had none to show."""
    finding = results["findings"].get(id)
    return finding and Finding(f"summary-{id}", finding["text"], {})
