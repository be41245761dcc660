"""What the runs say: pure functions from run records to estimates, verdicts, tables and sentences.

A run record is the dict that charlm_runs gives and results.json holds under "runs". Losses are in nats per
character. A run whose loss stopped being a finite number ("diverged") enters no mean; what is shown names it.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit  # of Student's t; scipy.stats takes half a second to import

import charlm_core as core
from charlm_corpus import CharlmError, Corpus, facts
from charlm_show import Finding, Samples, Table

Record = dict  # a run
Records = Sequence[Record]
Key = str | Callable[[Record], float | None]  # a field of a record, or a function of one

# ---------------------------------------------------------------------------------------------------------------------
# the study: which runs a report is made of


@dataclass(frozen=True)
class Study:
    """The runs behind a report: seeds 0, 1, … of an RNN and an LSTM under the source study's protocol. The defaults are
    the full study; anything else is a study of its own.
    """

    corpus: str = "shakespeare-268k"  # a name in data/corpora.toml, or a path
    seeds: int = 5
    epochs: int = core.Config.epochs

    def __post_init__(self) -> None:
        if self.seeds < 1 or self.epochs < 1:
            raise CharlmError(f"seeds = {self.seeds}, epochs = {self.epochs}: each needs a whole number of at least 1")

    @classmethod
    def quick(cls) -> "Study":
        """A minute's worth, to see what a report looks like."""
        return cls(seeds=1, epochs=2)

    def of_cell(self, cell: str) -> list[core.Config]:
        """Configurations of one cell, a list by seed."""
        return [core.Config(cell=cell, epochs=self.epochs, seed=seed) for seed in range(self.seeds)]

    def configurations(self) -> list[core.Config]:
        return self.of_cell("rnn") + self.of_cell("lstm")


# ---------------------------------------------------------------------------------------------------------------------
# the published numbers: one run a model, every loss at the last epoch

PUBLISHED = {
    "rnn": {
        "epochs": 28,
        "train_loss_last": 1.3844,
        "val_loss_last": 1.6059,
        "crossing_epoch": 7,
        "crossing_losses": (1.7861, 1.7950),  # training, validation
    },
    "lstm": {
        "epochs": 30,
        "train_loss_last": 1.3188,
        "val_loss_last": 1.6002,
        "crossing_epoch": 10,
        "crossing_losses": (1.8358, 1.8378),
    },
}


# A run did what the published ones did where its record says all of this, whatever its cell and seed.
STUDY = {
    "corpus": "shakespeare-268k",
    "hidden_size": 256,
    "layers": 2,
    "learning_rate": 0.001,
    "batch_size": 64,
    "chunk_length": 30,
    "validation_share": 0.2,
    "split": "shuffled",
    "split_seed": None,
    "max_epochs": 50,
    "patience": 5,
}


def published(records: Records) -> dict[str, dict]:
    """The published numbers that may stand beside these runs, {cell: numbers}: none unless all follow STUDY."""
    if any(r[key] != value for r in records for key, value in STUDY.items()):
        return {}
    return {c: PUBLISHED[c] for c in cells(records) if c in PUBLISHED}


# ---------------------------------------------------------------------------------------------------------------------
# choosing and reading records


def finished(records: Records) -> list[Record]:
    return [r for r in records if r["status"] == "finished"]


def of(records: Records, cell: str) -> list[Record]:
    return [r for r in records if r["cell"] == cell]


def trained_in(records: Records, precision: str) -> list[Record]:
    return [r for r in records if r["precision"] == precision]


def cells(records: Records) -> list[str]:
    """The cells present, in the order in which everything is shown: rnn, lstm, gru, then any others."""
    order = ["rnn", "lstm", "gru"]
    return sorted({r["cell"] for r in records}, key=lambda c: (order.index(c) if c in order else len(order), c))


def kind(record: Record) -> tuple:
    """What runs share that differ in nothing but their seed."""
    return tuple(record[key] for key in ("cell", *STUDY, "precision"))


def check_alike(records: Records) -> None:
    """ValueError where runs of one cell differ in more than their seed: their mean would mean nothing."""
    for cell in cells(records):
        kinds = {kind(r) for r in of(records, cell)}
        seeds = [r["seed"] for r in of(records, cell)]
        if len(kinds) > 1 or len(set(seeds)) < len(seeds):
            raise ValueError(f"{cell} runs differ in more than their seed, or repeat a seed: {kinds}, seeds {seeds}")


def crossing_epoch(record: Record) -> int | None:
    """The first epoch (from 1) whose validation loss is above its training loss; None where there is none."""
    pairs = zip(record["train_loss"], record["val_loss"], strict=True)
    return next(
        (epoch for epoch, (train, val) in enumerate(pairs, start=1) if None not in (train, val) and val > train), None
    )


def gap(record: Record) -> float:
    """Validation minus training loss at the last epoch."""
    return record["val_loss_last"] - record["train_loss_last"]


def rise(record: Record) -> float:
    """How far validation loss at the last epoch lies above its lowest value."""
    return record["val_loss_last"] - record["val_loss_best"]


def configuration(record: Record) -> str:
    return f"{record['hidden_size']} / {record['learning_rate']:g}"


def diverged_note(records: Records) -> str:
    """A sentence that names the diverged runs; empty where there is none."""
    lost = [r for r in records if r["status"] == "diverged"]
    if not lost:
        return ""
    names = "; ".join(
        f"{r['cell'].upper()} {configuration(r)}, seed {r['seed']}, in epoch {r['diverged']['epoch']}" for r in lost
    )
    return f"{count(len(lost), 'run')} diverged and {'is' if len(lost) == 1 else 'are'} in no mean: {names}."


def count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


# ---------------------------------------------------------------------------------------------------------------------
# estimates and verdicts

MARGIN = 0.01  # nats per character: the smallest difference that matters
MIN_SEEDS = 3

VERDICT_RULE = f"""\
The smallest difference that matters is {MARGIN:g} nats per character. A claim that one loss is lower than another
is judged from the 95% interval of the difference, paired over seeds where it can be. The first line that fits
decides:

- under {MIN_SEEDS} seeds: *not judged*;
- the interval lies wholly inside ±{MARGIN:g}: *no difference that matters*;
- the interval lies beyond zero on the claimed side: *confirmed*;
- the interval lies beyond zero on the other side: *refuted*;
- otherwise: *too close to call*.

Where one claim is judged of several cells or epochs at once, the intervals are widened by Holm's method: of m differences,
the one with the smallest p-value gets an interval of level 1 − 0.05/m, the next of level 1 − 0.05/(m − 1), and so on; from
the first that includes zero on, all have that one's level."""


@dataclass(frozen=True)
class Estimate:
    """The mean of one number a seed. Under two seeds there is no sd (n - 1 degrees of freedom) and no interval."""

    values: dict[int, float]  # seed -> value
    mean: float | None
    sd: float | None
    interval: tuple[float, float] | None  # 95%, Student's t
    dropped: tuple[int, ...] = ()  # seeds that could not be paired

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def low(self) -> float | None:
        return self.interval and self.interval[0]

    @property
    def high(self) -> float | None:
        return self.interval and self.interval[1]


def estimate(values: dict[int, float], dropped: Sequence[int] = ()) -> Estimate:
    """Estimate of the mean from {seed: value}. A spread of zero gives an interval of width zero."""
    x = np.array(list(values.values()), dtype=float)
    if len(x) < 2:
        return Estimate(values, float(x[0]) if len(x) else None, None, None, tuple(dropped))
    mean, sd = float(x.mean()), float(x.std(ddof=1))
    half = float(stdtrit(len(x) - 1, 0.975)) * sd / math.sqrt(len(x))
    return Estimate(values, mean, sd, (mean - half, mean + half), tuple(dropped))


def holm(estimates: Sequence[Estimate]) -> list[Estimate]:
    """The estimates with intervals whose chance that any of them misses is 5% at most, as VERDICT_RULE says.

    S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scand. J. Statist. 6 (1979).
    """
    p = [_p_value(e) for e in estimates]
    found: list[Estimate] = list(estimates)
    level = None
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        e, share = estimates[i], level or 0.05 / (len(p) - rank)
        if e.interval is None:
            continue
        half = float(stdtrit(e.n - 1, 1 - share / 2)) * e.sd / math.sqrt(e.n)
        found[i] = Estimate(e.values, e.mean, e.sd, (e.mean - half, e.mean + half), e.dropped)
        if level is None and found[i].low <= 0 <= found[i].high:
            level = share
    return found


def _p_value(e: Estimate) -> float:
    """Of Student's t test that the mean is zero, two-sided."""
    if e.interval is None:
        return 1.0
    if not e.sd:
        return 1.0 if e.mean == 0 else 0.0
    return float(2 * stdtr(e.n - 1, -abs(e.mean) / (e.sd / math.sqrt(e.n))))


def seed_estimate(records: Records, key: Key) -> Estimate:
    """Estimate of key, a field of the record or a function of it, over the finished runs that have it."""
    get = key if callable(key) else lambda r: r[key]
    values = {r["seed"]: get(r) for r in sorted(finished(records), key=lambda r: r["seed"])}
    return estimate({s: v for s, v in values.items() if v is not None})


def paired_difference(a_records: Records, b_records: Records, key: Key) -> Estimate:
    """Estimate of a - b over the seeds that finished in both; the others are in dropped. A seed splits the corpus in
    the same way for every cell, so the difference within a seed is free of the luck of the split.
    """
    check_alike(a_records)
    check_alike(b_records)
    a, b = seed_estimate(a_records, key).values, seed_estimate(b_records, key).values
    seeds = {r["seed"] for r in [*a_records, *b_records]}
    shared = sorted(a.keys() & b.keys())
    return estimate({s: a[s] - b[s] for s in shared}, dropped=sorted(seeds - set(shared)))


def verdict(interval: tuple[float, float] | None, n: int, claimed_sign: int, margin: float = MARGIN) -> str:
    """What VERDICT_RULE says of a difference claimed to be above zero (claimed_sign 1) or below it (-1), from its 95%
    interval (low, high) and the number of seeds behind it.
    """
    if n < MIN_SEEDS or interval is None:
        return "not judged"
    low, high = interval
    if -margin < low and high < margin:
        return "no difference that matters"
    if low > 0 or high < 0:
        return "confirmed" if (low > 0) == (claimed_sign > 0) else "refuted"
    return "too close to call"


def verdict_of_both(first: str, second: str) -> str:
    """The verdict on a claim with two parts that both have to hold: that of the weaker part."""
    order = ["not judged", "refuted", "no difference that matters", "too close to call", "confirmed"]
    return min(first, second, key=order.index)


def in_words(e: Estimate, than: str) -> str:
    """A difference as '0.0312 nats lower than <than> (95% interval 0.0280 to 0.0344 lower; 5 seeds)'."""
    if e.mean is None:
        return "not known"
    side = "lower" if e.mean < 0 else "higher"
    size = f"{abs(e.mean):.4f}"
    words = f"within 0.0001 nats of {than}" if size == "0.0000" else f"{size} nats {side} than {than}"
    if e.interval is None:
        return f"{words} ({count(e.n, 'seed')}, so no interval)"
    if e.low * e.high > 0:
        near, far = sorted(map(abs, e.interval))
        reach = f"{near:.4f} to {far:.4f} {side}"
    else:
        reach = f"{abs(e.low):.4f} lower to {e.high:.4f} higher"
    return f"{words} (95% interval {reach}; {count(e.n, 'seed')})"


# ---------------------------------------------------------------------------------------------------------------------
# tables

FORMATS = {
    "training, last": "{:.4f}",
    "validation, last": "{:.4f}",
    "training, best": "{:.4f}",
    "validation, best": "{:.4f}",
    "mean": "{:.4f}",
    "standard deviation": "{:.4f}",
    "published": "{:.4f}",
    "deviations away": "{:+.1f}",
    "estimate": "{:+.4f}",
    "low": "{:+.4f}",
    "high": "{:+.4f}",
}


def make_table(id: str, rows: list[dict], caption: str, note: str = "", formats: dict[str, str] | None = None) -> Table:
    """Table with the formats that FORMATS (or formats, first) has for its columns."""
    frame = pd.DataFrame(rows, dtype=object)  # so that None stays None, and whole numbers beside it stay whole
    formats = {c: f for c, f in (FORMATS | (formats or {})).items() if c in frame.columns}
    return Table(id, frame, caption, formats, note)


def _against_published(e: Estimate, value: float | None) -> dict:
    """Columns with a published number and how many standard deviations it lies from an estimate's mean."""
    away = (value - e.mean) / e.sd if None not in (value, e.mean) and e.sd else None
    return {"published": value, "deviations away": away}


def run_table(records: Records) -> Table:
    """A row a run: where it stopped, its best and its crossing epoch, its losses. The caption has what all share."""
    order = cells(records)
    shown = sorted(records, key=lambda r: (order.index(r["cell"]), r["hidden_size"], r["learning_rate"], r["seed"]))
    fields = {"cell": lambda r: r["cell"].upper(), "hidden size / learning rate": configuration}
    varying = [k for k, f in fields.items() if len({f(r) for r in shown}) > 1]
    fixed = [f"{k} {f(shown[0])}" if k != "cell" else f(shown[0]) for k, f in fields.items() if k not in varying]
    rows = []
    for r in shown:
        done = r["status"] == "finished"
        rows.append(
            {k: fields[k](r) for k in varying}
            | {
                "seed": r["seed"],
                "stopped at": r["epochs"],
                "best epoch": r["best_epoch"],
                "crossing epoch": crossing_epoch(r),
                "training, last": r["train_loss_last"] if done else None,
                "validation, last": r["val_loss_last"] if done else None,
                "training, best": r["train_loss_best"],
                "validation, best": r["val_loss_best"],
                "run": r["run_id"].rpartition("-")[2],
            }
        )
    caption = (
        f"{count(len(rows), 'run')}{': ' * bool(fixed)}{', '.join(fixed)}. Losses in nats per character, at the "
        "last epoch and at the best (lowest validation loss). Crossing: the first epoch with validation above "
        "training loss."
    )
    id = f"runs-{order[0]}" if len(order) == 1 else "runs"
    return make_table(id, rows, caption, diverged_note(records))


def loss_table(records: Records) -> Table:
    """Mean loss of each cell at the last and the best epoch, beside the published value where there is one."""
    check_alike(records)
    known = published(records)
    rows, away = [], []
    for cell in cells(records):
        for epoch in ("last", "best"):
            for part, key in (("training", "train_loss"), ("validation", "val_loss")):
                e = seed_estimate(of(records, cell), f"{key}_{epoch}")
                row = {"cell": cell.upper(), "epoch": epoch, "loss": part, "seeds": e.n}
                row |= {"mean": e.mean, "standard deviation": e.sd}
                if known:
                    row |= _against_published(e, known.get(cell, {}).get(f"{key}_{epoch}"))
                    if key == "val_loss" and row["deviations away"] is not None:
                        away.append(f"{abs(row['deviations away']):.1f} ({cell.upper()})")
                rows.append(row)
    caption = "Losses in nats per character: mean and standard deviation over seeds."
    if away:
        caption += f" The published validation loss lies {' and '.join(away)} standard deviations from our mean."
    return make_table("losses", rows, caption, diverged_note(records))


def stopping_table(records: Records) -> Table:
    """When training stopped, when it was best, and when validation passed training loss, beside the published."""
    check_alike(records)
    known = published(records)
    rows, notes = [], []
    for cell in cells(records):
        for name, field, key in (
            ("stopped at", "epochs", "epochs"),
            ("best epoch", "best_epoch", "best_epoch"),
            ("crossing epoch", "crossing_epoch", crossing_epoch),
        ):
            e = seed_estimate(of(records, cell), key)
            row = {"cell": cell.upper(), "epoch": name, "seeds": e.n, "mean": e.mean, "standard deviation": e.sd}
            if known:
                row |= _against_published(e, known.get(cell, {}).get(field))
            rows.append(row)
        never = len(finished(of(records, cell))) - e.n
        if never:
            notes.append(f"In {count(never, f'{cell.upper()} run')} validation is never above training loss.")
        if cell in known:
            train, val = known[cell]["crossing_losses"]
            notes.append(f"At the {cell.upper()}'s crossing the study quotes {train:.4f} (training) / {val:.4f}.")
    caption = (
        "Epochs: mean and standard deviation over seeds. The best epoch has the lowest validation loss; the "
        "crossing epoch is the first with validation above training loss."
    )
    formats = {"mean": "{:.1f}", "standard deviation": "{:.1f}", "published": "{:.0f}"}
    return make_table("stopping", rows, caption, " ".join([*notes, diverged_note(records)]).strip(), formats)


def overfitting_table(base: Records, large: Records) -> Table | None:
    """The larger and faster configuration against the base for each cell of base, paired over seeds. Judged: base has
    the lower validation loss (last and best epoch); large overfits, which is to say that its gap (validation minus
    training loss at the last epoch) is larger than base's and that its validation loss ends above its own lowest.
    None without runs of both.
    """
    if not base or not large:
        return None
    rows: list[dict] = []
    first, second = configuration(base[0]), configuration(large[0])
    shown = cells(base)
    for quantity, key in (
        ("validation loss, last epoch", "val_loss_last"),
        ("validation loss, best epoch", "val_loss_best"),
        ("gap, last epoch", gap),
        (f"rise above best, {second} alone", rise),
    ):
        found, means = [], []
        for cell in shown:
            a, b = of(base, cell), of(large, cell)
            e = paired_difference(b, a, key)
            means.append([seed_estimate([r for r in side if r["seed"] in e.values], key).mean for side in (a, b)])
            if key is rise:
                e = estimate({r["seed"]: rise(r) for r in finished(b) if r["seed"] in e.values}, e.dropped)
            found.append(e)
        for cell, e, (mean, other) in zip(shown, holm(found), means, strict=True):
            row = {"cell": cell.upper(), "quantity": quantity, "seeds": e.n, first: mean, second: other}
            row |= {"estimate": e.mean, "low": e.low, "high": e.high, "verdict": verdict(e.interval, e.n, 1)}
            rows.append(row)
    rows.sort(key=lambda row: shown.index(row["cell"].lower()))
    caption = (
        f"Hidden size / learning rate {second} against {first}: means over the shared seeds, the difference "
        f"({second} minus {first}) in nats per character and its 95% interval. Each verdict is on the estimate "
        "being above zero. Gap: validation minus training loss. The last line of a cell is no difference: it is "
        f"how far {second} ends above its own lowest validation loss."
    )
    formats = {first: "{:.4f}", second: "{:.4f}"}
    return make_table("overfitting", rows, caption, diverged_note([*base, *large]), formats)


def precision_table(records: Records) -> Table | None:
    """bfloat16 against float32 for each cell and configuration, paired over seeds. Equivalent: the 95% interval of the
    difference in the best validation loss lies inside ±MARGIN.
    """
    if not records:
        return None
    rows = []
    kinds = sorted(
        {(r["hidden_size"], r["learning_rate"], r["cell"]) for r in records}, key=lambda k: (*k[:2], k[2] != "rnn")
    )
    for kind in kinds:
        of_kind = [r for r in records if (r["hidden_size"], r["learning_rate"], r["cell"]) == kind]
        sides = {p: trained_in(of_kind, p) for p in core.PRECISIONS}
        e = paired_difference(sides["bfloat16"], sides["float32"], "val_loss_best")
        row = {"cell": kind[2].upper(), "hidden size / learning rate": configuration(of_kind[0]), "seeds": e.n}
        row |= {p: seed_estimate(side, "val_loss_best").mean for p, side in sides.items()}
        same = verdict(e.interval, e.n, 1) == "no difference that matters"
        rows.append(row | {"estimate": e.mean, "low": e.low, "high": e.high, "equivalent": same})
    caption = (
        "Best validation loss in nats per character after training in float32 and in bfloat16 (autocast): means over "
        f"seeds, the paired difference and its 95% interval. Equivalent: the interval lies inside ±{MARGIN:g}."
    )
    formats = dict.fromkeys(core.PRECISIONS, "{:.4f}")
    return make_table("precision", rows, caption, diverged_note(records), formats)


# ---------------------------------------------------------------------------------------------------------------------
# sentences


def lstm_minus_rnn(records: Records, epoch: str) -> Estimate:
    """Estimate of the difference in validation loss at the "last" or the "best" epoch, two that are judged at once."""
    epochs = ("last", "best")
    found = [paired_difference(of(records, "lstm"), of(records, "rnn"), f"val_loss_{e}") for e in epochs]
    return holm(found)[epochs.index(epoch)]


def rnn_or_lstm(records: Records, epoch: str) -> Finding:
    """Which of the two has the lower validation loss at the "last" or the "best" epoch: a Finding. The question takes
    no side; the study's claim, made of the last epoch, is judged where the runs follow its protocol.
    """
    e = lstm_minus_rnn(records, epoch)
    judged = verdict(e.interval, e.n, claimed_sign=-1)
    words = in_words(e, "the RNN's")
    lead = {
        "not judged": f"Not judged, for want of {MIN_SEEDS} seeds",
        "no difference that matters": f"No difference that matters, the interval lies inside ±{MARGIN:g}",
        "confirmed": "The LSTM is better",
        "refuted": "The RNN is better",
        "too close to call": "Too close to call",
    }[judged]
    text = f"**{lead}:** at the {epoch} epoch the LSTM's validation loss is {words}."
    if e.n == 0:
        text = f"RNN and LSTM are not compared at the {epoch} epoch: no seed finished in both."
    if e.n and e.dropped:
        text += f" Seeds that did not finish in both, and are left out: {', '.join(map(str, e.dropped))}."
    values = {"n": e.n, "mean": e.mean, "sd": e.sd, "low": e.low, "high": e.high, "verdict": judged}
    if epoch == "last" and {"rnn", "lstm"} <= published(records).keys():
        values["published"] = round(PUBLISHED["lstm"]["val_loss_last"] - PUBLISHED["rnn"]["val_loss_last"], 4)
        by = -values["published"]
        text += f" The study's claim that the LSTM is better (by {by} nats, one run each): *{judged}*."
    return Finding(f"rnn-or-lstm-{epoch}", text, values)


def overfitting(base: Records, large: Records) -> Finding:
    """The two claims about the larger configuration, judged for each cell: a Finding. Both may be empty."""
    if not base or not large:
        text = "Whether a larger configuration overfits is *not judged*: it was not trained on this corpus."
        return Finding("overfitting-verdicts", text, {})
    rows = overfitting_table(base, large).frame.to_dict("records")
    first, second = configuration(base[0]), configuration(large[0])
    lines, values = [], {}
    for cell in cells(base):
        last, best, wider, risen = (r["verdict"] for r in rows if r["cell"] == cell.upper())
        values |= {f"{cell}_overfits": verdict_of_both(wider, risen), f"{cell}_last": last, f"{cell}_best": best}
        lines.append(
            f"- {cell.upper()}: that {second} overfits (a larger gap than {first}, and validation loss ending "
            f"above its lowest): *{values[f'{cell}_overfits']}*. That {first} has the lower validation loss: "
            f"*{last}* at the last epoch, *{best}* at the best."
        )
    return Finding("overfitting-verdicts", "\n".join(lines), values)


def precision_check(records: Records) -> Finding:
    """For which configurations bfloat16 may stand for float32: a Finding. records may be empty."""
    if not records:
        return Finding("precision-check", "Whether bfloat16 is equivalent to float32 is not known for this corpus.", {})
    rows = precision_table(records).frame.to_dict("records")
    names = {
        same: [f"{r['cell']} {r['hidden size / learning rate']}" for r in rows if r["equivalent"] is same]
        for same in (True, False)
    }
    text = "**bfloat16 is equivalent to float32** for {same}." if names[True] else "**bfloat16 is equivalent nowhere.**"
    if names[False]:
        text += " That it is has not been shown for {other}: there training stays with float32."
    return Finding("precision-check", text, {"same": ", ".join(names[True]), "other": ", ".join(names[False])})


def verdict_rule() -> Finding:
    return Finding("verdict-rule", VERDICT_RULE, {"margin": MARGIN, "min_seeds": MIN_SEEDS})


def training_title(cell: str) -> Finding:
    return Finding(f"title-{cell}", "# Training the {cell}", {"cell": cell.upper()})


def chosen_run(record: Record) -> Finding:
    """Which run the temperature study uses, and why."""
    text = (
        "All text below comes from the run with the lowest validation loss: {cell}, seed {seed}, with the weights of epoch "
        "{epoch} (validation loss {loss:.4f} nats per character), run `{run}`."
    )
    values = {"cell": record["cell"].upper(), "seed": record["seed"], "epoch": record["best_epoch"]}
    return Finding(
        "chosen-run",
        text.replace("`{run}`", "{run}"),
        values | {"loss": record["val_loss_best"], "run": record["run_id"]},
    )


# ---------------------------------------------------------------------------------------------------------------------
# what was trained on what


def corpus_table(corpus: Corpus, config: core.Config) -> Table:
    known = facts(corpus)
    n = core.count_chunks(len(corpus.ids), config.chunk_length)
    train, validation = core.split_chunks(n, config)
    rows = {
        "characters": f"{known['characters']:,}",
        "distinct characters": f"{known['distinct']:,}",
        "lines": f"{known['lines']:,}",
        f"chunks of {config.chunk_length}": f"{n:,}",
        "of these for training": f"{len(train):,}, in {math.ceil(len(train) / config.batch_size):,} batches of {config.batch_size}",
        "of these for validation": f"{len(validation):,}",
        "source": known["source"] or "a text of the user's",
        "licence": known["licence"] or "not known",
        "sha256": known["sha256"][:16] + "…",
    }
    frame = pd.DataFrame({"corpus": rows.keys(), known["title"]: rows.values()})
    return Table(f"corpus-{config.cell}", frame, "What the models are trained on.")


def model_table(corpus: Corpus, config: core.Config) -> Table:
    resolved = config.resolve()
    rows = {
        "cell": config.cell.upper(),
        "layers": config.layers,
        "hidden size": config.hidden_size,
        "parameters": f"{core.count_parameters(len(corpus.vocab), config):,}",
        "optimizer": f"Adam, learning rate {config.learning_rate:g}",
        "epochs": f"at most {config.epochs}; stop after {config.patience} without a better validation loss",
        "arithmetic": f"{resolved.precision} on {resolved.device}, {count(config.threads, 'thread')} a run",
    }
    frame = pd.DataFrame({"model": rows.keys(), "value": [str(v) for v in rows.values()]})
    return Table(f"model-{config.cell}", frame, f"The {config.cell.upper()} and how it is trained.")


# ---------------------------------------------------------------------------------------------------------------------
# the summary, from what the other notebooks found (the content of results.json)


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
    known = published(runs)
    rows = []
    for cell in cells(runs):
        row = {"cell": cell.upper()}
        for name, key in (("last epoch", "val_loss_last"), ("best epoch", "val_loss_best")):
            e = seed_estimate(of(runs, cell), key)
            spread = f" ±\N{NO-BREAK SPACE}{e.sd:.4f}" if e.sd is not None else ""
            row[name] = f"{e.mean:.4f}{spread}" if e.mean is not None else None
            if key == "val_loss_last" and known:
                row["published"] = known[cell]["val_loss_last"]
        e = seed_estimate(of(runs, cell), "epochs")
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
