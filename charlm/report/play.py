"""The trained models in the page: what is embedded, and what is measured of it."""

import base64
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import charlm_core as core
from charlm import sampling
from charlm.corpus import CORPORA, split_corpus
from charlm.meaning.measures import score
from charlm.ngram import NGram, chunk_rows
from charlm.records import finished, of_cell
from charlm.report.collect import write_figure
from charlm.report.stand_in import reading_figure, stored_samples
from charlm.runs import folder
from charlm.runs.embedded import float16_weights, packed_weights
from charlm.show import Figure, Samples, escape_markdown, facts_of, finding_values
from charlm_core import CharlmError, CharModel, Config, Corpus, decode, encode

CELLS_SHOWN = ("rnn", "lstm")
LARGEST_VOCABULARY = 1000  # of a vocabulary
LARGEST_TEXT = 1_000_000  # bytes of a corpus that is embedded
HELD_OUT_CHUNKS = 3000  # held-out chunks that are read, evenly spaced

Split = tuple[np.ndarray, np.ndarray]  # training and validation chunks
Content = dict[str, Any]


@dataclass(frozen=True)
class Play:
    """What can be tried in the page, and what stands in its place on paper."""

    content: Content  # all that the page's script needs, as JSON holds it
    samples: Samples
    reading: Figure

    @property
    def facts(self) -> dict:
        """What results.json holds of it."""
        models = {cell: {k: m[k] for k in ("run", "measured")} for cell, m in self.content["models"].items()}
        return {"models": models, "held_out": self.content["held_out"]}


def make_play(results: dict, corpus: Corpus, runs: Path | None = None, own_text: bool = False) -> Play:
    """Of each cell the run with the lowest validation loss, its weights in float16, the text, and what was measured of them.
    Raises CharlmError, saying why, where no model can be embedded."""
    if len(corpus.vocab) > LARGEST_VOCABULARY:
        raise CharlmError(
            f"the vocabulary has {len(corpus.vocab):,} characters, and a page carries models of {LARGEST_VOCABULARY:,} at most"
        )
    chosen, missing = _chosen_models(results, runs or folder.RUNS)
    if not chosen:
        raise CharlmError("; ".join(missing))
    content: Content = {
        "vocab": corpus.vocab,
        "models": {},
        "missing": missing,
        "text": _embeddable(corpus, own_text),
        "temperature": temperature_evidence(results),
        "draws": _draws(results),
        "prompt": sampling.default_prompts(corpus.vocab)[0],
    }
    pieces: dict[str, Split] = {}  # held-out chunks of each model, and their losses
    for cell, (record, weights, config) in chosen.items():
        content["models"][cell], pieces[cell] = _embedded(record, weights, config, corpus)
    content["chunk_length"] = config.chunk_length
    order = finding_values(results, "against-counting").get("order")
    counting = None
    if content["text"] is not None and order:
        training, _ = split_corpus(corpus, config)
        counting = NGram(list(chunk_rows(corpus, training, config)), order, len(corpus.vocab))
        validation, _ = pieces[cell]
        pieces["ngram"] = validation, -counting.log_probabilities(chunk_rows(corpus, validation, config)).mean(axis=1)
        content["counting"] = {
            "cell": cell,
            "order": order,
            "occurring": [counts.discount for counts in counting.occurring],
            "preceding": [counts.discount for counts in counting.preceded],
        }
    content["held_out"] = {name: _spread(losses) for name, (_, losses) in pieces.items()}
    samples = stored_samples(content, chosen)
    typical = typical_piece(pieces)
    if content["text"] is None or typical is None:
        content["sentence"] = samples.items[0]["text"][:60]
    else:
        content["typical"] = True
        content["sentence"] = decode(chunk_rows(corpus, np.array([typical]), config)[0], corpus.vocab)
    ids = encode(content["sentence"], corpus.vocab)
    surprises = {cell: surprise(weights, config, ids) for cell, (_, weights, config) in chosen.items()}
    if counting:
        surprises["ngram"] = -counting.log_probabilities(ids)
    return Play(content, samples, reading_figure(content["sentence"], surprises))


def _embedded(record: dict, weights: dict[str, Tensor], config: Config, corpus: Corpus) -> tuple[Content, Split]:
    """What the page holds of a model, and held-out chunks with their losses."""
    training, validation = split_corpus(corpus, config)
    if len(validation) > HELD_OUT_CHUNKS:
        validation = validation[np.linspace(0, len(validation) - 1, HELD_OUT_CHUNKS).astype(int)]
    halves = float16_weights(weights)
    exact = held_out_losses(weights, config, corpus, validation)
    rounded = held_out_losses(halves, config, corpus, validation)
    about = {
        "run": record["run_id"],
        "seed": config.seed,
        "epoch": record["best_epoch"],
        "val_loss": record["val_loss_best"],
        "measured": {"float32": float(exact.mean()), "float16": float(rounded.mean())},
        "config": vars(config),
        "training": _bits(training, corpus, config),
    }
    return about | {"weights": packed_weights(halves, config)}, (validation, rounded)


Chosen = dict[str, tuple[dict, dict[str, Tensor], Config]]  # cell -> record, weights, configuration


def _chosen_models(results: dict, runs: Path) -> tuple[Chosen, list[str]]:
    """Of each cell the record of the run with the lowest validation loss, its weights and configuration; and why of a cell
    there is none."""
    chosen: Chosen = {}
    missing = []
    for cell in CELLS_SHOWN:
        records = finished(of_cell(results["runs"], cell))
        if not records:
            missing.append(f"no {cell.upper()} run finished")
            continue
        record = min(records, key=lambda r: r["val_loss_best"])
        try:
            weights, config, _ = folder.load_weights(runs / record["run_id"])
            float16_weights(weights)
        except CharlmError as e:
            missing.append(f"{cell.upper()}: {e}")
        else:
            chosen[cell] = record, weights, config
    return chosen, missing


def held_out_losses(weights: dict[str, Tensor], config: Config, corpus: Corpus, chunks: np.ndarray) -> np.ndarray:
    """Mean loss of each chunk (chunks,), read from a zero state in float32, whatever the weights were trained in."""
    cpu = replace(config, device="cpu", precision="float32")
    model = CharModel(len(corpus.vocab), cpu)
    model.load_state_dict(weights)
    losses, _ = score(model.eval(), corpus.ids, chunks, cpu)  # (time, chunks)
    return losses.double().mean(0).numpy()


def surprise(weights: dict[str, Tensor], config: Config, ids: np.ndarray) -> np.ndarray:
    """In nats, of every character but the first given those before it: (time - 1,) for ids (time,)."""
    logits, targets = sampling.chunk_logits(weights, replace(config, chunk_length=len(ids) - 1), ids, np.array([0]))
    log_p = torch.from_numpy(logits).double().log_softmax(-1)  # (time - 1, 1, vocabulary)
    return -log_p.gather(-1, torch.from_numpy(targets)[..., None])[:, 0, 0].numpy()


def typical_piece(pieces: dict[str, Split]) -> int | None:
    """Of the chunks that no model was trained on, the one whose losses (of each model chunks and losses) are closest to their
    means; None where there is no such chunk."""
    distances = [
        dict(zip(chunks.tolist(), abs(losses - losses.mean()), strict=True)) for chunks, losses in pieces.values()
    ]
    shared = set.intersection(*map(set, distances))
    return min(sorted(shared), key=lambda chunk: sum(d[chunk] for d in distances), default=None)


def _spread(by_chunk: np.ndarray) -> dict[str, float]:
    """The mean over chunks, and between what 95% of them lie."""
    low, high = np.percentile(by_chunk, [2.5, 97.5])
    return {"mean": float(by_chunk.mean()), "low": float(low), "high": float(high), "pieces": len(by_chunk)}


def _bits(chunks: np.ndarray, corpus: Corpus, config: Config) -> str:
    """Which chunks are for training, a bit each, the first the lowest of a byte, in base64."""
    is_training = np.zeros(core.count_chunks(len(corpus.ids), config.chunk_length), bool)
    is_training[chunks] = True
    return base64.b64encode(np.packbits(is_training, bitorder="little").tobytes()).decode()


def _embeddable(corpus: Corpus, own_text: bool) -> str | None:
    """The text, where it is a known one, or your own and asked for, and short enough: people send this page."""
    if not own_text and corpus.sha256 not in {entry["sha256"] for entry in CORPORA.values()}:
        return None
    text = decode(corpus.ids, corpus.vocab)
    return text if len(text.encode()) <= LARGEST_TEXT else None


def check_embeddable(corpus: Corpus) -> None:
    """Raises CharlmError for a text that is too long for a page."""
    size = len(decode(corpus.ids, corpus.vocab).encode())
    if size > LARGEST_TEXT:
        raise CharlmError(
            f"{corpus.name} has {size:,} bytes, and a page takes a text of up to {LARGEST_TEXT:,}: leave out --own-text "
            "(OWN_TEXT=1)"
        )


def temperature_evidence(results: dict) -> Content:
    """What the temperature study found, as far as it found it: where drawn text is closest to real text, from where on real
    words fall below half of real text's, and the measures of drawn text by temperature and of real text."""
    rows = results["figures"].get("temperature-curves", {}).get("rows", [])
    names = ("words", "copied", "headings")
    drawn = [{k: r.get(k) for k in ("temperature", *names)} for r in rows if r.get("temperature") is not None]
    real = next(({k: r.get(k) for k in names} for r in rows if r.get("text") == "real"), None)
    return {
        "cell": folder.best_record(results["runs"])["cell"].upper(),  # that run wrote the texts
        "closest": {k: finding_values(results, "temperature-closest").get(k) for k in ("best", "low", "high")},
        "half": finding_values(results, "temperature-words").get("low"),
        "length": finding_values(results, "temperature-texts").get("length"),
        "drawn": drawn,
        "real": real,
    }


def _draws(results: dict) -> Content:
    """The last epoch's validation loss of every finished run, {cell: [{"seed", "loss"}]}; of all pairs of an RNN and an LSTM, and
    of those of the study with the most seeds, in how many which is lower."""
    draws: Content = {}
    for cell in CELLS_SHOWN:
        records = finished(of_cell(results["runs"], cell))
        draws[cell] = [{"seed": r["seed"], "loss": r["val_loss_last"]} for r in records]
    differences = [rnn["loss"] - lstm["loss"] for rnn in draws["rnn"] for lstm in draws["lstm"]]
    draws["pairs"] = len(differences)
    draws["rnn_lower"] = sum(d < 0 for d in differences)
    draws["lstm_lower"] = sum(d > 0 for d in differences)
    draws["most_seeds"] = {name: finding_values(results, "enough-seeds").get(name) for name in ("pairs", "lower", "n")}
    return draws


# ---------------------------------------------------------------------------------------------------------------------
# in the report


def left_out(why: object) -> str:
    """What stands in a report whose page carries no models."""
    return f"The trained models cannot be tried in this page: {escape_markdown(str(why))}."


def add_play(play: Play, results: dict, figures: Path) -> None:
    """Add what is in the page, and what stands in its place, to the content of results.json, and the figure to the files."""
    it = play.reading
    write_figure(figures, it.id, it.svg, it.png, it.narrow, it.rows)
    drawn = facts_of(it)
    results["figures"][it.id] = {key: drawn[key] for key in ("caption", "alt", "rows")}
    results["samples"][play.samples.id] = facts_of(play.samples)["items"]
    results["play"] = play.facts
