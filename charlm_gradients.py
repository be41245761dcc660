"""Does the gradient vanish? How much the loss of a character depends on the input k steps before it, measured.

For a window of text with one-hot characters x_1 … x_n, read from a zero state, and the loss L of the character that
follows it, the norm at k steps back is ‖∂L/∂x_{n−k}‖, Euclidean, in nats. By the chain rule it is the product that
Pascanu, Mikolov and Bengio examine (On the difficulty of training recurrent neural networks, ICML 2013; first Hochreiter's
diploma thesis, 1991): the loss's gradient at the last state, times the Jacobians of k steps, times the way in from the
input, which is the same for every k. Taken at the input it means the same for every cell, whatever its state consists of.

A curve of norms is the median over windows: a few windows with a huge gradient do not decide it, it exists where some
norms are zero, and it is the same on a linear and a logarithmic scale. Curves of a cell are {seed: (length,)}, indexed by
k, and those of several {cell: {seed: curve}}. Ratios are averaged over seeds as logarithms.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import charlm_core as core
import charlm_runs
import charlm_study as study
from charlm_corpus import CharlmError, Corpus
from charlm_runs import RUNS, code_hash
from charlm_show import Finding, Table
from charlm_study import Estimate, Record, Records, estimate

Curves = dict[str, dict[int, np.ndarray]]  # cell -> seed -> median norm by steps back
Models = Iterable[tuple[dict[str, Tensor], core.Config]]

CHARACTERS = 960  # read for each curve: 32 chunks of 30
LONG = 100  # characters of a window that reaches further back than training did
NEAR, FAR = 1, 20  # steps back whose ratio is judged
VANISHED = 0.1  # of the norm at NEAR: what is less at FAR has vanished
MARGIN = 2.0  # a factor between two cells' ratios that is too small to matter
KEPT = ("gradient", "gradient_long")  # names of a run's curves in the record of a study
TINY = float(np.finfo(np.float32).smallest_subnormal)  # what stands for a gradient that float32 has rounded to zero

RULE = f"""\
What is judged is the ratio of the norm {FAR} steps back to the norm {NEAR} step back: the geometric mean over seeds and its
95% interval (Student's t, on the logarithms). A gradient *vanishes* when the ratio is below {VANISHED:g}:

- under {study.MIN_SEEDS} seeds: *not judged*;
- the interval lies wholly below {VANISHED:g}: *confirmed*;
- wholly above: *refuted*;
- otherwise: *too close to call*.

That one cell's gradient falls less than another's is judged in the same way from the quotient of their ratios, paired over
seeds, claimed to be above 1; an interval wholly inside a factor of {MARGIN:g} either way is *no difference that matters*. The
numbers in this rule were chosen before the first measurement."""

# ---------------------------------------------------------------------------------------------------------------------
# measuring


def windows(corpus: Corpus, config: core.Config, length: int) -> np.ndarray:
    """Windows of consecutive text that end where a validation chunk of the run's split ends, each with the character
    that follows: ids (length + 1, windows) of int64, CHARACTERS in all and spread evenly over the text. A window of the
    chunk length is a validation chunk; a longer one begins in the text before it, training text or not.

    Raises CharlmError for a length that does not reach FAR steps back or is longer than the text before every such end.
    """
    if length <= FAR:
        raise CharlmError(f"windows of {length} characters do not reach {FAR} steps back: use at least {FAR + 1}")
    _, chunks = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
    ends = (chunks + 1) * config.chunk_length
    ends = ends[ends >= length]
    if not len(ends):
        raise CharlmError(f"no validation chunk has {length} characters before its end: use shorter windows")
    few = min(len(ends), max(2, CHARACTERS // length))
    ends = ends[np.linspace(0, len(ends) - 1, few).astype(int)]
    return corpus.ids[ends - length + np.arange(length + 1)[:, None]].astype(np.int64)


def longest_window(configs: Sequence[core.Config], corpus: Corpus) -> int:
    """LONG, or less where the text of one of the configurations has no validation chunk so far from its beginning."""
    ends = []
    for config in configs:
        _, chunks = core.split_chunks(core.count_chunks(len(corpus.ids), config.chunk_length), config)
        ends.append((int(chunks[-1]) + 1) * config.chunk_length)
    return min(LONG, *ends)


def on_cpu(weights: dict[str, Tensor], config: core.Config) -> tuple[core.CharModel, core.Config]:
    """The model on one CPU thread, whatever it was trained on and in; its weights want no gradient. The recurrent layers are
    in float32. The head is in float64: a character far back may change a loss by less than float32 can tell of it.
    """
    config = replace(config, device="cpu", precision="float32", threads=1)
    model = core.CharModel(len(weights["head.bias"]), config)
    model.load_state_dict(weights)
    model.head.double()
    return model.requires_grad_(False), config


def last_losses(model: core.CharModel, one_hot: Tensor, following: Tensor) -> Tensor:
    """Loss of the character after each window in nats, (windows,), from one_hot (length, windows, vocabulary)."""
    hidden, _ = model.rnn(one_hot)  # (length, windows, hidden)
    return F.cross_entropy(model.head(hidden[-1].double()), following, reduction="none")


def norms(weights: dict[str, Tensor], config: core.Config, ids: np.ndarray) -> np.ndarray:
    """‖∂L/∂x_{n−k}‖ for windows of ids (length + 1, windows): float64 (length, windows), the first axis is k."""
    model, config = on_cpu(weights, config)
    text = torch.from_numpy(ids)
    one_hot = F.one_hot(text[:-1], model.rnn.input_size).float().requires_grad_()  # (length, windows, vocabulary)
    with core.arithmetic(config):
        # Windows share nothing, so the gradient of their sum holds for each its own.
        (gradient,) = torch.autograd.grad(last_losses(model, one_hot, text[-1]).sum(), one_hot)
    # The squares of small gradients would be zero in float32.
    return torch.linalg.vector_norm(gradient, dim=-1, dtype=torch.float64).flip(0).numpy()


def changes(weights: dict[str, Tensor], config: core.Config, ids: np.ndarray) -> np.ndarray:
    """By how many nats, up or down, the loss changes when the character NEAR or FAR steps back is replaced by what
    stands there in another window: (2,), medians over the windows where that is another character, NaN without any.
    """
    model, config = on_cpu(weights, config)
    steps = (NEAR, FAR)
    texts = np.repeat(ids[None], 1 + len(steps), axis=0)  # (texts, length + 1, windows): as it is, then replaced
    for text, k in zip(texts[1:], steps, strict=True):
        text[-2 - k] = np.roll(ids[-2 - k], 1)
    read = torch.from_numpy(np.concatenate(texts, axis=1))  # (length + 1, texts × windows)
    with core.arithmetic(config), torch.no_grad():
        losses = last_losses(model, F.one_hot(read[:-1], model.rnn.input_size).float(), read[-1])
    original, *replaced = losses.numpy().reshape(1 + len(steps), -1)
    found = []
    for text, loss in zip(texts[1:], replaced, strict=True):
        size = np.abs(loss - original)[(text != ids).any(axis=0)]
        found.append(float(np.median(size)) if len(size) else math.nan)
    return np.array(found)


def curve(weights: dict[str, Tensor], config: core.Config, corpus: Corpus, length: int | None = None) -> np.ndarray:
    """The median norm of a model k steps back, (length,), over windows of `length`, by default its chunk length."""
    return np.median(norms(weights, config, windows(corpus, config, length or config.chunk_length)), axis=1)


def curves(models: Models, corpus: Corpus, length: int | None = None) -> Curves:
    """The curve of each model (weights, configuration)."""
    return by_cell_and_seed(models, lambda w, config: curve(w, config, corpus, length))


def replacements(models: Models, corpus: Corpus) -> Curves:
    """changes() of each model on its validation chunks: {cell: {seed: (2,)}}."""
    return by_cell_and_seed(models, lambda w, config: changes(w, config, windows(corpus, config, config.chunk_length)))


def measured(records: Records, corpus: Corpus, runs: Path = RUNS, length: int | None = None) -> list[Record]:
    """The finished runs with their curves, of chunks and of longer windows (lists, indexed by k; length: of the latter, by
    default as long as the run's text has), and the others as they are. The curves are kept in the runs' folders."""
    done = []
    for r in records:
        if r["status"] == "finished":
            folder = runs / r["run_id"]
            weights, config, _ = charlm_runs.weights(folder)
            lengths = (config.chunk_length, length or longest_window([config], corpus))
            of = {"code": code_hash(windows, on_cpu, last_losses, norms, curve), "of": [CHARACTERS, *lengths]}
            found = charlm_runs.kept(folder, "gradients", of, partial(_both_curves, weights, config, corpus, lengths))
            r = r | {name: norms.tolist() for name, norms in found.items()}
        done.append(r)
    return done


def _both_curves(
    weights: dict[str, Tensor], config: core.Config, corpus: Corpus, lengths: tuple[int, int]
) -> dict[str, Tensor]:
    found = (torch.from_numpy(curve(weights, config, corpus, n)) for n in lengths)
    return dict(zip(KEPT, found, strict=True))


def kept(records: Records, name: str) -> Curves:
    """The curves of measured() runs, `name` being one of KEPT."""
    found: Curves = {}
    for r in study.finished(records):
        found.setdefault(r["cell"], {})[r["seed"]] = np.array(r[name])
    return found


def by_cell_and_seed(models: Models, measure: Callable[[dict[str, Tensor], core.Config], np.ndarray]) -> Curves:
    found: Curves = {}
    for weights, config in models:
        found.setdefault(config.cell, {})[config.seed] = measure(weights, config)
    return {cell: found[cell] for cell in study.cells([{"cell": c} for c in found])}


# ---------------------------------------------------------------------------------------------------------------------
# judging


def log_ratio(far: float, near: float) -> float | None:
    """log10(far / near); a far of zero counts as TINY. None where near is zero or one of them is not finite."""
    if not (near > 0 and math.isfinite(near) and math.isfinite(far)):
        return None
    return math.log10(max(far, TINY)) - math.log10(near)


def fall(curve: np.ndarray) -> float | None:
    """log10 of the ratio that is judged: of the norm at FAR steps back to that at NEAR."""
    return log_ratio(float(curve[FAR]), float(curve[NEAR]))


def first_below(curve: np.ndarray, share: float) -> int | None:
    """The first k beyond NEAR whose norm is at most `share` of that at NEAR; None where there is none."""
    below = np.flatnonzero(curve[NEAR + 1 :] <= share * curve[NEAR]) if curve[NEAR] > 0 else []
    return NEAR + 1 + int(below[0]) if len(below) else None


def of_seeds(values: dict[int, float | None]) -> Estimate:
    """Estimate over the seeds that have a value; the others are in dropped."""
    known = {s: v for s, v in sorted(values.items()) if v is not None}
    return estimate(known, dropped=sorted(values.keys() - known.keys()))


def falls(of: dict[int, np.ndarray]) -> Estimate:
    """Estimate of fall() for the curves of one cell."""
    return of_seeds({seed: fall(curve) for seed, curve in of.items()})


def quotient(a: Estimate, b: Estimate) -> Estimate:
    """Estimate of the difference of two logarithms, paired over the seeds that have both."""
    seeds = a.values.keys() | b.values.keys()
    return of_seeds({s: a.values[s] - b.values[s] if s in a.values and s in b.values else None for s in seeds})


def vanishes(e: Estimate, claimed: bool = True) -> str:
    """The verdict of RULE on the claim that a gradient vanishes, or that it does not, from the estimate of its fall."""
    edge = math.log10(VANISHED)
    interval = e.interval and (e.low - edge, e.high - edge)
    return study.verdict(interval, e.n, -1 if claimed else 1, margin=0)


def falls_less(e: Estimate) -> str:
    """The verdict of RULE on the claim that one cell's gradient falls less, from the estimate of the quotient."""
    return study.verdict(e.interval, e.n, 1, margin=math.log10(MARGIN))


def factor(log: float | None) -> float | None:
    return None if log is None else 10.0**log


def two_digits(number: float) -> str:
    """'170', '0.017', '8.6e-05'."""
    return f"{float(f'{number:.2g}'):g}"


def in_words(e: Estimate) -> str:
    """An estimate of a logarithm as the number: '0.017 (95% interval 0.013 to 0.021; 5 seeds)'."""
    if e.mean is None:
        return "not known"
    mean, seeds = two_digits(factor(e.mean)), study.count(e.n, "seed")
    if e.interval is None:
        return f"{mean} ({seeds}, so no interval)"
    return f"{mean} (95% interval {two_digits(factor(e.low))} to {two_digits(factor(e.high))}; {seeds})"


# ---------------------------------------------------------------------------------------------------------------------
# table and sentences


def reached(of: dict[int, np.ndarray], share: float) -> str | None:
    """first_below() over the seeds of a cell: '4', '4 to 5', '24 to beyond 29'; None where no curve has a norm at NEAR."""
    found = [first_below(curve, share) for curve in of.values() if curve[NEAR] > 0]
    ends = [str(k) for k in sorted({k for k in found if k is not None})]
    if None in found:
        ends.append(f"beyond {min(map(len, of.values())) - 1}")
    return " to ".join(dict.fromkeys([*ends[:1], *ends[-1:]])) or None


def table(measured: dict[str, Curves], runs: Records = ()) -> Table:
    """A row for each cell of {what was measured: curves}; below it the diverged among the runs."""
    rows = []
    for name, by_cell in measured.items():
        for cell, of in by_cell.items():
            e = falls(of)
            near = estimate({seed: math.log10(of[seed][NEAR]) for seed in e.values})
            row = {"measured": name, "cell": cell.upper(), "seeds": e.n, f"norm at {NEAR}": factor(near.mean)}
            row |= {"ratio": factor(e.mean), "low": factor(e.low), "high": factor(e.high)}
            rows.append(row | {"half": reached(of, 0.5), "a tenth": reached(of, 0.1)})
    caption = (
        f"The norm of the gradient at the input (nats). Norm at {NEAR} step back and ratio of that at {FAR} to it: geometric "
        "means over seeds, the ratio with its 95% interval. Half, a tenth: the first step back whose norm is at most that "
        f"part of the one at {NEAR}, over the seeds."
    )
    form = dict.fromkeys((f"norm at {NEAR}", "ratio", "low", "high"), "{:.2g}")
    return study.make_table("gradients", rows, caption, study.diverged_note(runs), form)


def rule() -> Finding:
    return Finding("gradients-rule", RULE, {"near": NEAR, "far": FAR, "vanished": VANISHED, "margin": MARGIN})


def vanishing(measured: Curves, when: str) -> Finding:
    """Whether each cell's gradient vanishes "before" or "after" training, and the textbooks' claim of RNN and LSTM."""
    lines, values = [], {}
    found = {cell: falls(of) for cell, of in measured.items()}
    for cell, e in found.items():
        values[cell] = {"ratio": factor(e.mean), "low": factor(e.low), "high": factor(e.high), "verdict": vanishes(e)}
        lines.append(f"- {cell.upper()}: ratio {in_words(e)}. That its gradient vanishes: *{vanishes(e)}*.")
    for cell in (c for c in found if c != "rnn" and "rnn" in found):
        e = quotient(found[cell], found["rnn"])
        values[f"{cell}_over_rnn"] = {"quotient": factor(e.mean), "low": factor(e.low), "high": factor(e.high)}
        values[f"{cell}_over_rnn"]["verdict"] = falls_less(e)
        lines.append(
            f"- The {cell.upper()}'s ratio is {in_words(e)} times the RNN's. That its gradient falls less: *{falls_less(e)}*."
        )
    if {"rnn", "lstm"} <= found.keys():
        judged = study.verdict_of_both(vanishes(found["rnn"]), vanishes(found["lstm"], claimed=False))
        head = f"**That {when} training the RNN's gradient vanishes and the LSTM's does not: {judged}.**"
        values["claim"] = judged
    else:
        head = f"**{when.capitalize()} training.** The claim about RNN and LSTM needs a finished run of each: *not judged*."
        values["claim"] = "not judged"
    return Finding(f"gradients-{when}", "\n".join([head, "", *lines]), values)


def learned(before: Curves, after: Curves) -> Finding:
    """By what factor training changes the ratio that is judged, for each cell."""
    said, values = [], {}
    for cell in (c for c in after if c in before):
        e = quotient(falls(after[cell]), falls(before[cell]))
        values[cell] = {"factor": factor(e.mean), "low": factor(e.low), "high": factor(e.high)}
        said.append(f"{in_words(e)} in the {cell.upper()}")
    if not said:
        return Finding("gradients-learned", "No cell was measured both before and after training.", {})
    return Finding("gradients-learned", f"Training multiplies the ratio by {'; by '.join(said)}.", values)


def by_replacement(replaced: Curves, after: Curves) -> Finding:
    """What replacing a character does to the loss, and whether it ranks RNN and LSTM as the gradient does."""
    said, values, ratios = [], {}, {}
    for cell, of in replaced.items():
        ratios[cell] = of_seeds({seed: log_ratio(float(far), float(near)) for seed, (near, far) in of.items()})
        near, far = np.mean([*of.values()], axis=0)
        values[cell] = {"near": near, "far": far, "ratio": factor(ratios[cell].mean)}
        nats = [two_digits(x) if math.isfinite(x) else "not known" for x in (near, far)]
        said.append(f"{cell.upper()} {' and '.join(nats)} nats, ratio {in_words(ratios[cell])}")
    text = (
        "**Checked by experiment.** A gradient speaks of very small changes; a character that is another is a large one. "
        f"Replacing the character {NEAR} or {FAR} steps back by another changes the loss by (median over chunks, mean "
        f"over seeds): {'; '.join(said) or 'not measured'}."
    )
    if {"rnn", "lstm"} <= ratios.keys() & after.keys() and (e := quotient(ratios["lstm"], ratios["rnn"])).n:
        judged, slope = falls_less(e), falls_less(quotient(falls(after["lstm"]), falls(after["rnn"])))
        values["verdict"] = judged
        text += f" The LSTM's ratio is {in_words(e)} times the RNN's. That it falls less: *{judged}*, "
        text += "as by the gradient." if judged == slope else f"where by the gradient it is *{slope}*."
    return Finding("gradients-replaced", text, values)


def reach_and_loss(after: Curves, runs: Records) -> Finding:
    """Whether the LSTM, where its gradient falls less than the RNN's, has the lower loss too: both at the best epoch."""
    if not {"rnn", "lstm"} <= after.keys():
        text = "**Does reaching further pay off?** Not judged: it needs a finished run of both cells."
        return Finding("gradients-and-loss", text, {"reach": "not judged", "loss": "not judged"})
    reach = falls_less(quotient(falls(after["lstm"]), falls(after["rnn"])))
    e = study.lstm_minus_rnn(runs, "best")
    loss = study.verdict(e.interval, e.n, claimed_sign=-1)
    rnns = "the RNN's"
    difference = study.in_words(e, rnns)
    words = f"the LSTM's validation loss at the best epoch is {difference}"
    if "not judged" in (reach, loss):
        text = f"Not judged, for want of {study.MIN_SEEDS} seeds; {words}."
    elif reach != "confirmed":
        text = f"That the LSTM's gradient falls less than the RNN's is *{reach}*, so there is no longer reach to pay off; {words}."
    else:
        text = f"The LSTM's gradient falls less than the RNN's, and {words}. " + {
            "confirmed": "It has both the longer reach and the lower loss; that the one causes the other is not shown by this.",
            "too close to call": "Whether that loss is the lower one is too close to call, and with it whether the reach pays off.",
        }.get(loss, "Its longer reach does not show as a lower loss on this text.")
    values = {"reach": reach, "loss": loss}
    grus = study.paired_difference(study.of(runs, "gru"), study.of(runs, "rnn"), "val_loss_best")
    if "gru" in after and grus.n:
        values["gru_reach"] = falls_less(quotient(falls(after["gru"]), falls(after["rnn"])))
        text += f" That the GRU's gradient falls less than the RNN's is *{values['gru_reach']}*; its validation loss at the best "
        text += f"epoch is {study.in_words(grus, rnns)}."
    return Finding("gradients-and-loss", f"**Does reaching further pay off?** {text}", values)
