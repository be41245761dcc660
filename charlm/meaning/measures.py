"""What a loss means: measures of trained runs on the chunks of their own split.

A measured run is a record of charlm.runs with what `measure_losses` and `count_grams` found added to it, so that
charlm.stats estimates from it as from any record. Losses are nats per character, means over all characters of the chunks
(a record's own are means of batch means). All are of the arithmetic of the training (bfloat16 or float32), on the CPU.
"""

import math
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._pytree import tree_map

import charlm_core as core
from charlm.corpus import split_corpus
from charlm.device import check_device
from charlm.ngram import NGram, chunk_rows
from charlm.records import Record, Records, finished, one_a_seed
from charlm.runs.folder import RUNS, kept_measurement, load_weights
from charlm.sampling import on_cpu
from charlm_core import CharModel, Config, Corpus, Memory

ORDERS = 8  # n-gram models of order 1 to this
BEFORE = 8  # chunks that are read at least, where so many are, before the state counts as carried
STRETCH = 32  # chunks that are read on from there
ROWS = 256  # chunks at a time
MAX_LOGITS = 30_000_000  # numbers at a time: fewer chunks where the vocabulary is large

# ---------------------------------------------------------------------------------------------------------------------
# measuring one run


def score(model: CharModel, ids: np.ndarray, chunks: np.ndarray, config: Config) -> tuple[Tensor, Tensor]:
    """Loss of every character of the chunks, each chunk read from a zero state, and whether the most probable character
    was the right one: both (time, chunks)."""
    losses = []
    hits = []
    with _reading(config):
        for inputs, targets in core.batches(ids, chunks, _in_rows(model, config)):
            logits, _ = model(inputs)  # (time, rows, vocabulary)
            loss, hit = _compare(logits, targets)
            losses.append(loss)
            hits.append(hit)
    return torch.cat(losses, dim=1), torch.cat(hits, dim=1)


def score_carried(model: CharModel, ids: np.ndarray, chunks: np.ndarray, config: Config) -> Tensor:
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
            side_by_side = starts[i : i + config.batch_size]
            state = None
            for step in range(-BEFORE, STRETCH):
                now = side_by_side + step  # the chunk that is read in each stretch, (rows,)
                inside = (now >= 0) & (now < n)
                ((inputs, targets),) = core.batches(ids, np.where(inside, now, 0), config)  # (time, rows)
                one_hot = F.one_hot(inputs, model.rnn.input_size)  # (time, rows, vocabulary)
                hidden, state = model.rnn(one_hot.to(model.head.weight.dtype), state)  # (time, rows, hidden)
                # Nothing stands before the text: there the state stays zero.
                state = _where(torch.from_numpy(inside), state)
                if step < 0:
                    continue
                wanted = [row for row in np.flatnonzero(inside) if int(now[row]) in column]
                if wanted:
                    columns = [column[int(chunk)] for chunk in now[wanted]]
                    logits = model.head(hidden[:, wanted])  # of no more chunks than that: the head takes longest
                    losses[:, columns], _ = _compare(logits, targets[:, wanted])
    return losses


@contextmanager
def _reading(config: Config):
    """The arithmetic of the training, without gradients."""
    autocast = torch.autocast(config.device, torch.bfloat16, enabled=config.precision == "bfloat16")
    with core.arithmetic(config), torch.no_grad(), autocast:
        yield


def _compare(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and hit of each character: logits (time, rows, vocabulary) and targets (time, rows) → both (time, rows)."""
    losses = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
    return losses.view(targets.shape), logits.argmax(-1) == targets


def _where(inside: Tensor, state: Memory) -> Memory:
    """The state (layers, rows, hidden), or each of its parts, with zeros in the rows that are not inside (rows,)."""
    return tree_map(lambda part: part * inside[:, None].to(part.dtype), state)


def _in_rows(model: CharModel, config: Config) -> Config:
    """The configuration with as many chunks in a batch as memory should hold."""
    rows = MAX_LOGITS // (config.chunk_length * model.rnn.input_size)
    return replace(config, batch_size=max(1, min(ROWS, rows)))


def equal_part(train: np.ndarray, validation: np.ndarray) -> np.ndarray:
    """As many training chunks as there are validation chunks, evenly spaced; all where there are not so many."""
    few = min(len(train), len(validation))
    return train[np.arange(few) * len(train) // few]


def measure_losses(folder: Path, corpus: Corpus) -> dict[str, Tensor]:
    """What takes a trained model to measure, in float64. Of the best epoch's weights, means over the validation chunks by
    position, each (time,): loss and hits from a zero state, and carried, the loss with the state carried on; and the loss of
    every character of them, characters (time, chunks), in float32. Of the last epoch's weights, one number each: the loss on
    all training chunks, on an equal part of them, and on validation."""
    best, config, _ = load_weights(folder, "best")
    last, _, _ = load_weights(folder, "last")
    model, config = on_cpu(best, config)
    check_device(config)  # the run may have been trained on another machine
    train, validation = split_corpus(corpus, config)
    loss, hits = score(model, corpus.ids, validation, config)
    carried = score_carried(model, corpus.ids, validation, config)
    model.load_state_dict(last)
    last_train, _ = score(model, corpus.ids, train, config)
    last_validation, _ = score(model, corpus.ids, validation, config)
    part = last_train[:, np.isin(train, equal_part(train, validation))]
    by_position = {"loss": loss, "hits": hits, "carried": carried}
    overall = {"last_train": last_train, "last_part": part, "last_validation": last_validation}
    means = {name: values.double().mean(dim=1) for name, values in by_position.items()}
    means |= {name: values.double().mean() for name, values in overall.items()}
    return means | {"characters": loss.contiguous()}


def kept_losses(folder: Path, corpus: Corpus) -> dict[str, Tensor]:
    """What measure finds, kept in the run's folder: it takes longer than all else here."""
    return kept_measurement(folder, "meaning", {}, lambda: measure_losses(folder, corpus))


# ---------------------------------------------------------------------------------------------------------------------
# n-gram models, and all measures together

# The fields of a record that decide its split.
SPLIT_FIELDS = ("seed", "split", "split_seed", "chunk_length", "validation_share")


def count_grams(record: Record, corpus: Corpus) -> dict[str, np.ndarray]:
    """Loss of n-gram models that are trained on the run's own training chunks, each with the one character more that is
    its last target. By order from 1 to ORDERS, each (orders,): on the validation chunks, given what a model with a zero
    state is given, the chunk so far (ngram; by position, ngram_positions (orders, time)); so on an equal part of the
    training chunks (ngram_train); and on the validation chunks given the text before them too (ngram_carried). And the
    loss of every character of them, ngram_characters (orders, chunks, time)."""
    config = Config(**{name: record[name] for name in SPLIT_FIELDS})
    train, validation = split_corpus(corpus, config)
    rows = partial(chunk_rows, corpus, config=config)
    model = NGram(list(rows(train)), ORDERS, len(corpus.vocab))
    by_order = -model.by_order(rows(validation))  # (orders, chunks, time)
    on_train = -model.by_order(rows(equal_part(train, validation)))
    begins = validation[:, None] * config.chunk_length  # (chunks, 1)
    starts = np.maximum(begins - (ORDERS - 1), 0)  # what an order looks back on
    places = starts + np.arange(ORDERS + config.chunk_length)  # (chunks, ORDERS + time)
    wider = corpus.ids[np.minimum(places, len(corpus.ids) - 1)]
    of_chunk = (
        begins - starts + np.arange(config.chunk_length)
    )  # where in the wider text the chunk's own characters stand, (chunks, time)
    carried = -np.take_along_axis(model.by_order(wider), of_chunk[None], axis=2)  # (orders, chunks, time)
    return {
        "ngram": by_order.mean(axis=(1, 2)),
        "ngram_positions": by_order.mean(axis=1),
        "ngram_train": on_train.mean(axis=(1, 2)),
        "ngram_carried": carried.mean(axis=(1, 2)),
        "ngram_characters": by_order,
    }


def _count_by_split(records: Records, corpus: Corpus) -> dict[tuple, dict[str, np.ndarray]]:
    """What count_grams() gives for each split of the records, which runs of one split share."""
    by_split: dict[tuple, dict[str, np.ndarray]] = {}
    for r in records:
        if _split(r) not in by_split:
            by_split[_split(r)] = count_grams(r, corpus)
    return by_split


def with_measured_losses(records: Records, corpus: Corpus, runs: Path = RUNS) -> list[Record]:
    """The finished runs, measured, and the diverged ones as they are."""
    done = finished(records)
    grams = _count_by_split(done, corpus)
    measured = [r for r in records if r["status"] == "diverged"]
    for r in done:
        losses = kept_losses(runs / r["run_id"], corpus)
        by_position = {name: losses[name].numpy() for name in ("loss", "carried", "hits")}  # (time,) each
        fields = dict(grams[_split(r)])
        fields["together"] = losses_together(losses["characters"], fields.pop("ngram_characters"))
        fields |= {"loss_positions": by_position["loss"], "carried_positions": by_position["carried"]}
        means = {"loss": by_position["loss"], "carried": by_position["carried"], "accuracy": by_position["hits"]}
        means |= {name: losses[name].numpy() for name in ("last_train", "last_part", "last_validation")}
        measured.append(r | fields | {name: float(values.mean()) for name, values in means.items()})
    return measured


def losses_together(network: Tensor, counting: np.ndarray) -> np.ndarray:
    """Mean loss of the mean of a network's probabilities and those of n-gram models, half and half, by order (orders,): from the
    losses of every character, network (time, chunks) and counting (orders, chunks, time)."""
    of_network = network.double().numpy().T  # (chunks, time)
    return (math.log(2) - np.logaddexp(-of_network, -counting)).mean(axis=(1, 2))


def with_counting(records: Records, corpus: Corpus, runs: Path = RUNS) -> list[Record]:
    """The records with counting, the loss of an n-gram model on the validation chunks of their splits, counting_order, the
    order that is best over all of them, and together, the loss of the run and that model half and half (None for a run that
    diverged)."""
    grams = _count_by_split(records, corpus)
    order = best_order([r | {"ngram": grams[_split(r)]["ngram"]} for r in records])
    measured = []
    for r in records:
        of_split = grams[_split(r)]
        together = None
        if r["status"] == "finished":
            characters = kept_losses(runs / r["run_id"], corpus)["characters"]
            together = float(losses_together(characters, of_split["ngram_characters"])[order - 1])
        counting = float(of_split["ngram"][order - 1])
        measured.append(r | {"counting": counting, "counting_order": order, "together": together})
    return measured


def _split(r: Record) -> tuple:
    return tuple(r[name] for name in SPLIT_FIELDS)


def best_order(runs: Records) -> int:
    """The order, from 1, whose n-gram models have the lowest mean loss, the first of equals."""
    by_seed = [r["ngram"] for r in one_a_seed(runs)]  # (orders,) each
    return 1 + int(np.mean(by_seed, axis=0).argmin())
