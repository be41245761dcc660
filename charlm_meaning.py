"""What a loss means: measures of trained runs on the chunks of their own split, and what follows from them.

A measured run is a record of charlm_runs with what `measure` and `count_grams` found added to it, so that charlm_study
estimates from it as from any record. Losses are nats per character, means over all characters of the chunks (a record's
own are means of batch means). All are of the arithmetic of the training (bfloat16 or float32), on the CPU.
"""

import math
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import charlm_core as core
import charlm_study as study
from charlm_corpus import Corpus
from charlm_ngram import NGram
from charlm_runs import RUNS, code_hash, kept, weights
from charlm_show import Finding, Table
from charlm_study import Estimate, Record, Records

ORDERS = 8  # n-gram models of order 1 to this
BEFORE = 8  # chunks that are read at least, where so many are, before the state counts as carried
STRETCH = 32  # chunks that are read on from there
ROWS = 256  # chunks at a time
MAX_LOGITS = 30_000_000  # numbers at a time: fewer chunks where the vocabulary is large

# ---------------------------------------------------------------------------------------------------------------------
# measuring one run


def score(model: core.CharModel, ids: np.ndarray, chunks: np.ndarray, config: core.Config) -> tuple[Tensor, Tensor]:
    """Loss of every character of the chunks, each chunk read from a zero state, and whether the most probable character
    was the right one: both (time, chunks)."""
    with _reading(config):
        batches = core.batches(ids, chunks, _in_rows(model, config))
        losses, hits = zip(*(_compare(model(inputs)[0], targets) for inputs, targets in batches), strict=True)
    return torch.cat(losses, dim=1), torch.cat(hits, dim=1)


def score_carried(model: core.CharModel, ids: np.ndarray, chunks: np.ndarray, config: core.Config) -> Tensor:
    """Loss of every character of the chunks (time, chunks) when the state is carried on through the text: each character
    is given its whole chunk so far and the chunks before it, whatever set they belong to, at least BEFORE of them or all
    that there are. From a zero state (`score`) it is given its chunk so far and nothing else.

    The text is read in stretches side by side, each begun BEFORE chunks early with a zero state.
    """
    config = _in_rows(model, config)
    n = core.count_chunks(len(ids), config.chunk_length)
    column = {int(chunk): i for i, chunk in enumerate(chunks)}
    losses = torch.full((config.chunk_length, len(chunks)), math.nan)
    starts = np.unique(chunks // STRETCH) * STRETCH  # of the stretches that hold any of the chunks
    with _reading(config):
        for i in range(0, len(starts), config.batch_size):
            state = None
            for step in range(-BEFORE, STRETCH):
                now = starts[i : i + config.batch_size] + step  # the chunk that is read in each stretch
                inside = (now >= 0) & (now < n)
                ((inputs, targets),) = core.batches(ids, np.where(inside, now, 0), config)
                one_hot = F.one_hot(inputs, model.rnn.input_size).to(
                    model.head.weight.dtype
                )  # (time, rows, vocabulary)
                hidden, state = model.rnn(one_hot, state)
                state = _where(
                    torch.from_numpy(inside), state
                )  # nothing stands before the text: there the state stays zero
                wanted = [row for row in np.flatnonzero(inside) if step >= 0 and int(now[row]) in column]
                if wanted:
                    at = [column[int(now[row])] for row in wanted]
                    losses[:, at], _ = _compare(model.head(hidden[:, wanted]), targets[:, wanted])
    return losses


@contextmanager
def _reading(config: core.Config):
    """The arithmetic of the training, without gradients."""
    autocast = torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bfloat16")
    with core.arithmetic(config), torch.no_grad(), autocast:
        yield


def _compare(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and hit of each character: logits (time, rows, vocabulary) and targets (time, rows) → both (time, rows)."""
    losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return losses.view(targets.shape), logits.argmax(-1) == targets


def _where(inside: Tensor, state: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    """The state (layers, rows, hidden), or each of its parts, with zeros in the rows that are not inside (rows,)."""
    if isinstance(state, tuple):
        return tuple(_where(inside, part) for part in state)
    return state * inside[:, None].to(state.dtype)


def _in_rows(model: core.CharModel, config: core.Config) -> core.Config:
    """The configuration with as many chunks in a batch as memory should hold."""
    rows = MAX_LOGITS // (config.chunk_length * model.rnn.input_size)
    return replace(config, batch_size=max(1, min(ROWS, rows)))


def equal_part(train: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """As many training chunks as there are validation chunks, evenly spaced; all where there are not so many."""
    few = min(len(train), len(validation))
    return train[np.arange(few) * len(train) // few]


def measure(folder: Path, corpus: Corpus) -> dict[str, Tensor]:
    """What takes a trained model to measure, in float64. Of the best epoch's weights, means over the validation chunks by
    position, each (time,): loss and hits from a zero state, and carried, the loss with the state carried on. Of the last
    epoch's weights, one number each: the loss on all training chunks, on an equal part of them, and on validation."""
    best, config, vocab = weights(folder, "best")
    last, _, _ = weights(folder, "last")
    config = replace(config, device="cpu")
    core.check_device(config)  # the run may have been trained on another machine
    train, validation = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    model = core.CharModel(len(vocab), config).eval()
    model.load_state_dict(best)
    loss, hits = score(model, corpus.ids, validation, config)
    carried = score_carried(model, corpus.ids, validation, config)
    model.load_state_dict(last)
    last_train, _ = score(model, corpus.ids, train, config)
    last_validation, _ = score(model, corpus.ids, validation, config)
    part = last_train[:, np.isin(train, equal_part(train, validation))]
    found = {"loss": loss, "hits": hits, "carried": carried}
    ends = {"last_train": last_train, "last_part": part, "last_validation": last_validation}
    by_position = {name: values.double().mean(dim=1) for name, values in found.items()}
    return by_position | {name: values.double().mean() for name, values in ends.items()}


def measure_once(folder: Path, corpus: Corpus) -> dict[str, Tensor]:
    """What measure finds, kept in the run's folder: it takes longer than all else here."""
    code = code_hash(measure, score, score_carried, _reading, _compare, _where, _in_rows, equal_part)
    of = {"code": code, "constants": [BEFORE, STRETCH, ROWS, MAX_LOGITS]}
    return kept(folder, "meaning", of, lambda: measure(folder, corpus))


# ---------------------------------------------------------------------------------------------------------------------
# n-gram models, and all measures together


SPLIT = ("seed", "split", "split_seed", "chunk_length", "validation_share")  # fields of a record that decide its split


def count_grams(record: Record, corpus: Corpus) -> dict[str, np.ndarray]:
    """Loss of n-gram models that are trained on the run's own training chunks, each with the one character more that is
    its last target. By order from 1 to ORDERS, each (orders,): on the validation chunks, given what a model with a zero
    state is given, the chunk so far (ngram; by position, ngram_positions (orders, time)); so on an equal part of the
    training chunks (ngram_train); and on the validation chunks given the text before them too (ngram_carried)."""
    config = core.Config(**{name: record[name] for name in SPLIT})
    train, validation = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    steps = np.arange(config.chunk_length + 1)

    def rows(chunks: np.ndarray) -> np.ndarray:
        return corpus.ids[chunks[:, None] * config.chunk_length + steps]  # (chunks, time + 1)

    model = NGram(rows(train), ORDERS, len(corpus.vocab))
    by_order = -model.by_order(rows(validation))  # (orders, chunks, time)
    on_train = -model.by_order(rows(equal_part(train, validation)))
    begins = validation[:, None] * config.chunk_length
    starts = np.maximum(begins - (ORDERS - 1), 0)  # what an order looks back on
    wider = corpus.ids[np.minimum(starts + np.arange(ORDERS + config.chunk_length), len(corpus.ids) - 1)]
    carried = -np.take_along_axis(model.by_order(wider), (begins - starts + steps[:-1])[None], axis=2)
    return {
        "ngram": by_order.mean(axis=(1, 2)),
        "ngram_positions": by_order.mean(axis=1),
        "ngram_train": on_train.mean(axis=(1, 2)),
        "ngram_carried": carried.mean(axis=(1, 2)),
    }


def measured(records: Records, corpus: Corpus, runs: Path = RUNS) -> list[Record]:
    """The finished runs, measured, and the diverged ones as they are. Runs of one split share their n-gram models."""
    grams: dict[tuple, dict] = {}
    done = [r for r in records if r["status"] == "diverged"]
    for r in study.finished(records):
        split = tuple(r[name] for name in SPLIT)
        if split not in grams:
            grams[split] = count_grams(r, corpus)
        m = {name: values.numpy() for name, values in measure_once(runs / r["run_id"], corpus).items()}
        done.append(
            r
            | grams[split]
            | {"loss": float(m["loss"].mean()), "loss_positions": m["loss"]}
            | {"carried": float(m["carried"].mean()), "carried_positions": m["carried"]}
            | {"accuracy": float(m["hits"].mean())}
            | {name: float(m[name]) for name in ("last_train", "last_part", "last_validation")}
        )
    return done


# ---------------------------------------------------------------------------------------------------------------------
# estimates over seeds: functions of a measured run, for study.seed_estimate


def ngram(order: int) -> Callable[[Record], float]:
    """Loss of the n-gram model of this order on the run's split."""
    return lambda r: float(r["ngram"][order - 1])


def above_ngram(order: int) -> Callable[[Record], float]:
    """How far the run's loss lies above that of the n-gram model of this order on the same split."""
    return lambda r: r["loss"] - r["ngram"][order - 1]


def last_third(positions: np.ndarray) -> float:
    """Mean over the last third of the positions of a chunk, at least one: where most is given to predict from."""
    return float(positions[-max(1, len(positions) // 3) :].mean())


def cold_start(r: Record) -> float:
    """Mean loss of a chunk minus that of its last third."""
    return r["loss"] - last_third(r["loss_positions"])


def carrying(r: Record) -> float:
    """Loss with the state carried on minus loss from a zero state."""
    return r["carried"] - r["loss"]


def carrying_late(r: Record) -> float:
    """The same in the last third of the chunks."""
    return last_third(r["carried_positions"]) - last_third(r["loss_positions"])


def above_carried(r: Record) -> float:
    """How far the loss with the state carried on lies above the best n-gram model's, given the text before too."""
    return r["carried"] - float(r["ngram_carried"].min())


def whole_gap(r: Record) -> float:
    """Validation minus recorded training loss at the last epoch."""
    return r["last_validation"] - r["train_loss_last"]


def equal_gap(r: Record) -> float:
    """The same with weights at rest, and on as many training chunks as there are validation chunks."""
    return r["last_validation"] - r["last_part"]


def size_step(r: Record) -> float:
    """How much smaller the gap is on an equal part of the training chunks than on all of them."""
    return r["last_part"] - r["last_train"]


def rest_step(r: Record) -> float:
    """Training loss with the weights at rest minus the recorded one, measured while they moved."""
    return r["last_train"] - r["train_loss_last"]


# The losses at the last epoch between which the gap lies, each one step from the one before.
GAP = {
    "training, recorded": lambda r: r["train_loss_last"],
    "training, weights at rest": lambda r: r["last_train"],
    "training, equal part": lambda r: r["last_part"],
    "validation": lambda r: r["last_validation"],
}


def one_a_seed(runs: Records) -> list[Record]:
    """A run of each seed, for what does not depend on the cell: the n-gram models."""
    return list({r["seed"]: r for r in runs}.values())


def best_order(runs: Records) -> int:
    """The order, from 1, whose n-gram models have the lowest mean loss, the first of equals."""
    return 1 + int(np.mean([r["ngram"] for r in one_a_seed(runs)], axis=0).argmin())


# ---------------------------------------------------------------------------------------------------------------------
# tables and sentences

NOTHING = "No run finished, so there is nothing to measure."


def _listed(head: str, lines: list[str]) -> str:
    """Markdown: a sentence and a list."""
    return "\n".join([head, "", *(f"- {line}" for line in lines)])


def scale_table(runs: Records, vocabulary_size: int) -> Table:
    """The loss of each cell beside those of other predictors, in three units."""
    note, runs = study.diverged_note(runs), study.finished(runs)
    study.check_alike(runs)
    order = best_order(runs) if runs else 1
    grams = {1: "how often each occurs"} | ({order: "the best"} if order > 1 else {})
    even = study.estimate({r["seed"]: math.log(vocabulary_size) for r in runs})
    rows = [_scale_row(f"all {vocabulary_size} characters alike", even)]
    for k, name in grams.items():
        rows.append(_scale_row(f"n-gram, order {k}: {name}", study.seed_estimate(one_a_seed(runs), ngram(k))))
    for cell in study.cells(runs):
        ours = study.of(runs, cell)
        accuracy = study.seed_estimate(ours, "accuracy").mean
        rows.append(_scale_row(cell.upper(), study.seed_estimate(ours, "loss"), accuracy))
    caption = (
        "What predicts the next character of validation text, and how well: loss in nats per character with its 95% interval "
        "over seeds, in bits, and as the number of equally likely characters that would be as hard to guess between "
        "(e to the loss); and how often the most probable character is the right one. Cells: best epoch, zero state."
    )
    formats = {"nats": "{:.4f}", "low": "{:.4f}", "high": "{:.4f}", "bits": "{:.4f}", "as hard as": "{:.2f}"}
    return study.make_table("loss-scale", rows, caption, note, formats | {"right": "{:.1%}"})


def _scale_row(name: str, e: Estimate, accuracy: float | None = None) -> dict:
    known = e.mean is not None
    return {"predictor": name, "seeds": e.n, "nats": e.mean, "low": e.low, "high": e.high} | {
        "bits": e.mean / math.log(2) if known else None,
        "as hard as": math.exp(e.mean) if known else None,
        "right": accuracy,
    }


def beyond_frequencies(runs: Records) -> Finding:
    """Whether each cell has learnt more than how often each character occurs, by the rule of verdicts."""
    if not (runs := study.finished(runs)):
        return Finding("beyond-frequencies", NOTHING, {})
    study.check_alike(runs)
    says = {
        "confirmed": "has learnt more than how often each character occurs",
        "no difference that matters": "has learnt nothing beyond how often each character occurs",
        "refuted": "is worse than knowing how often each character occurs, and nothing else",
        "too close to call": "has learnt too little beyond how often each character occurs to be told from nothing",
        "not judged": f"is not judged, for want of {study.MIN_SEEDS} seeds",
    }
    head = (
        "**What is learnt beyond the frequencies of characters,** which are all that the n-gram model of order 1 knows."
    )
    lines, values = [], {}
    for cell in study.cells(runs):
        e = study.seed_estimate(study.of(runs, cell), above_ngram(1))
        judged = study.verdict(e.interval, e.n, claimed_sign=-1)
        lines.append(f"The {cell.upper()} {says[judged]}: its loss is {study.in_words(e, 'that of order 1')}.")
        values |= _values(cell, e) | {f"{cell}_verdict": judged}
    return Finding("beyond-frequencies", _listed(head, lines), values)


def against_counting(runs: Records) -> Finding:
    """Each cell against the best n-gram model, which is given the same training chunks and the same characters."""
    if not (runs := study.finished(runs)):
        return Finding("against-counting", NOTHING, {})
    study.check_alike(runs)
    order = best_order(runs)
    floor = study.seed_estimate(one_a_seed(runs), ngram(order)).mean
    head = (
        f"**Network or counting.** Of the n-gram models of order 1 to {ORDERS} that of order {{order}} has the lowest loss, "
        "{floor:.4f} nats in the mean (like a best epoch, the order is chosen on validation text)."
    )
    lines, values = [], {"order": order, "floor": floor}
    for cell in study.cells(runs):
        e = study.seed_estimate(study.of(runs, cell), above_ngram(order))
        judged = study.verdict(e.interval, e.n, claimed_sign=-1)
        lines.append(
            f"That the {cell.upper()} does better than counting: *{judged}*; its loss is "
            f"{study.in_words(e, 'that of the n-gram model')}."
        )
        values |= _values(cell, e) | {f"{cell}_verdict": judged}
    return Finding("against-counting", _listed(head, lines), values)


def where_in_chunk(runs: Records) -> Finding:
    """What it costs that each chunk is begun with nothing before it."""
    if not (runs := study.finished(runs)):
        return Finding("cold-start", NOTHING, {})
    study.check_alike(runs)
    head, lines, values = "**What a zero state costs.** A chunk's first target is predicted from one character.", [], {}
    for cell in study.cells(runs):
        ours = study.of(runs, cell)
        first = study.seed_estimate(ours, lambda r: float(r["loss_positions"][0])).mean
        late = study.seed_estimate(ours, lambda r: last_third(r["loss_positions"])).mean
        e = study.seed_estimate(ours, cold_start)
        lines.append(
            f"{cell.upper()}: its loss there is {first:.3f} nats, in the last third of the chunk {late:.3f}; the mean of the "
            f"whole chunk is {study.in_words(e, 'that of the last third')}."
        )
        values |= _values(cell, e) | {f"{cell}_first": first, f"{cell}_late": late}
    return Finding("cold-start", _listed(head, lines), values)


def carried_on(runs: Records) -> Finding:
    """What it changes when the state is carried on through the text instead."""
    if not (runs := study.finished(runs)):
        return Finding("carried-state", NOTHING, {})
    study.check_alike(runs)
    head, lines, values = "**The state carried on.**", [], {}
    for cell in study.cells(runs):
        ours = study.of(runs, cell)
        e, late, above = (study.seed_estimate(ours, key) for key in (carrying, carrying_late, above_carried))
        judged, judged_late = (study.verdict(x.interval, x.n, claimed_sign=-1) for x in (e, late))
        lines.append(
            f"That it lowers the loss of the {cell.upper()}: *{judged}*, the loss is "
            f"{study.in_words(e, 'that from a zero state')}; that it does so in the last third of the chunks: *{judged_late}*, "
            f"{study.in_words(late, 'that from a zero state')}. Carried on, its loss is "
            f"{study.in_words(above, 'that of the n-gram model, given the text before the chunk too')}."
        )
        values |= _values(cell, e) | _values(f"{cell}_late", late) | _values(f"{cell}_above", above)
        values |= {f"{cell}_verdict": judged, f"{cell}_late_verdict": judged_late}
    return Finding("carried-state", _listed(head, lines), values)


def gap_table(runs: Records) -> Table:
    """From the recorded training loss to the validation loss of the last epoch, step by step."""
    note, runs = study.diverged_note(runs), study.finished(runs)
    study.check_alike(runs)
    steps = dict(zip(list(GAP)[1:], (rest_step, size_step, equal_gap), strict=True))
    rows = []
    for cell in study.cells(runs):
        for name, key in GAP.items():
            ours = study.of(runs, cell)
            step = study.seed_estimate(ours, steps[name]) if name in steps else study.estimate({})
            row = {"cell": cell.upper(), "loss": name, "seeds": len(ours), "mean": study.seed_estimate(ours, key).mean}
            rows.append(row | {"step": step.mean, "low": step.low, "high": step.high})
    caption = (
        "The gap at the last epoch in nats per character: the training loss as it was recorded while the weights moved; with "
        "the weights of the end; on as many training chunks as there are for validation; and the validation loss. Step: the "
        "difference to the line above and its 95% interval."
    )
    return study.make_table("gap", rows, caption, note, {"step": "{:+.4f}"})


def is_it_size(runs: Records) -> Finding:
    """Whether the gap is there because more chunks are for training than for validation, as the source study has it: not
    so where as many training chunks give the same gap."""
    if not (runs := study.finished(runs)):
        return Finding("gap-cause", NOTHING, {})
    study.check_alike(runs)
    says = {
        "no difference that matters": "the number of chunks is not the cause of the gap",
        "confirmed": "a part of the gap does come from the number of chunks",
        "refuted": "on equal numbers the gap is larger still, so the number of chunks is not its cause",
        "too close to call": "whether the number of chunks has a part in the gap is too close to call",
        "not judged": f"whether the number of chunks has a part in the gap is not judged, for want of {study.MIN_SEEDS} seeds",
    }
    head, lines, values = "**Is it the size of the training set?**", [], {}
    for cell in study.cells(runs):
        ours = study.of(runs, cell)
        gap, equal, size = (study.seed_estimate(ours, key) for key in (whole_gap, equal_gap, size_step))
        rest = study.seed_estimate(ours, rest_step)
        there = study.verdict(equal.interval, equal.n, claimed_sign=1)
        cause = study.verdict(size.interval, size.n, claimed_sign=1)
        text = (
            f"{cell.upper()}: at the last epoch validation loss is {study.in_words(gap, 'the recorded training loss')}. With "
            f"the weights at rest the training loss is {study.in_words(rest, 'the recorded one')}; on equal numbers of chunks, "
            f"validation loss is then {study.in_words(equal, 'training loss')}."
        )
        if there in ("no difference that matters", "refuted"):
            text += " So there is no gap to explain."
        else:
            text += (
                f" On an equal part of the training chunks the training loss is {study.in_words(size, 'that on all of them')}: "
                f"{says[cause]}."
            )
        lines.append(text)
        values |= _values(cell, gap) | _values(f"{cell}_equal", equal) | _values(f"{cell}_size", size)
        values |= _values(f"{cell}_rest", rest) | {f"{cell}_verdict": cause}
    return Finding("gap-cause", _listed(head, lines), values)


def neighbours(shuffled: Records, sequential: Records) -> Finding | None:
    """What it changes that the neighbours of validation chunks are trained on: measured runs of a shuffled split against
    runs of a sequential one, whose validation chunks are the end of the text; None where either is missing. That end is
    other text, harder or easier, so the n-gram model's own difference stands beside each cell's."""
    if not shuffled or not sequential:
        return None
    order = best_order(shuffled)
    grams = study.paired_difference(one_a_seed(sequential), one_a_seed(shuffled), ngram(order))
    lines = [
        "**Neighbours in both sets.** With the end of the text for validation in place of chunks from all over it, the loss of "
        f"the n-gram model of order {{order}} is {study.in_words(grams, 'that on the shuffled splits')}."
    ]
    values = {"order": order} | _values("ngram", grams)
    for cell in (c for c in study.cells(shuffled) if c in study.cells(sequential)):
        pair = study.of(sequential, cell), study.of(shuffled, cell)
        loss, gap = (study.paired_difference(*pair, key) for key in ("loss", equal_gap))
        judged = study.verdict(gap.interval, gap.n, claimed_sign=1)
        lines.append(
            f"{cell.upper()}: its loss at the best epoch is {study.in_words(loss, 'that on the shuffled splits')}. That the gap at "
            f"the last epoch is wider: *{judged}*, it is {study.in_words(gap, 'that on the shuffled splits')}."
        )
        values |= _values(cell, loss) | _values(f"{cell}_gap", gap) | {f"{cell}_gap_verdict": judged}
    return Finding("neighbours", " ".join(lines), values)


def _values(name: str, e: Estimate) -> dict:
    return {f"{name}_n": e.n, f"{name}_mean": e.mean, f"{name}_low": e.low, f"{name}_high": e.high}
