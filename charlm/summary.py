"""The summary, from what the other notebooks found (the content of results.json)."""

from dataclasses import replace

from charlm import stats
from charlm.losses.words import rnn_or_lstm
from charlm.records import cells_in, diverged_note, of_cell, published_numbers
from charlm.show import Finding, Samples, Table, make_table


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
        row = {"cell": cell.upper()}
        for name, key in (("last epoch", "val_loss_last"), ("best epoch", "val_loss_best")):
            e = stats.seed_estimate(of_cell(runs, cell), key)
            spread = f" ±\N{NO-BREAK SPACE}{e.sd:.4f}" if e.sd is not None else ""
            row[name] = f"{e.mean:.4f}{spread}" if e.mean is not None else None
            if key == "val_loss_last" and known:
                row["published"] = known[cell]["val_loss_last"]
        e = stats.seed_estimate(of_cell(runs, cell), "epochs")
        rows.append(row | {"stopped at": e.mean, "seeds": e.n})
    caption = "Validation loss in nats per character: mean ± standard deviation over seeds; mean stopping epoch."
    return make_table("summary", rows, caption, diverged_note(runs), {"stopped at": "{:.1f}"})


def summary_samples(results: dict) -> Samples:
    items = results["samples"]["prompts"][:2]
    return Samples("summary", items, "What the best model writes at T = 0.5 after a prompt of one character.")


def quoted(results: dict, id: str) -> Finding | None:
    """A finding of another notebook, to the letter; None where that notebook had none to show."""
    found = results["findings"].get(id)
    return found and Finding(f"summary-{id}", found["text"], {})
