"""Run records that look like real ones, made without training."""

import math
from typing import Any

import numpy as np

LOWEST = {"rnn": (1.585, 1.39), "lstm": (1.565, 1.33), "gru": (1.57, 1.35)}  # validation, training


def make_record(cell="rnn", seed=0, *, epochs=None, shift=0.0, diverged=False, **config):
    """
    A run of the study's protocol: losses fall, validation turns after its best epoch. shift moves its validation
    loss, epochs cuts it short as a smaller max_epochs would, config overrides fields of the configuration.
    """
    defaults: dict[str, Any] = {"corpus": "shakespeare-268k", "hidden_size": 256, "learning_rate": 0.001}
    config = defaults | {"max_epochs": 50} | config
    speed = (config["hidden_size"] / 256) * (config["learning_rate"] / 0.001) ** 0.5
    best = max(2, round((23 + seed % 4) / speed))
    ran = min(best + 5, config["max_epochs"] if epochs is None else epochs)
    low_val, low_train = LOWEST.get(cell, LOWEST["gru"])
    wobble = 0.003 * math.sin(5 * seed + len(cell)) + shift
    train = [low_train - 0.012 * (e * speed - 23) + 1.4 * math.exp(-e * speed / 4) for e in range(1, ran + 1)]
    val = [
        low_val + wobble + 1.1 * math.exp(-e * speed / 4) + 0.004 * speed * max(0, e - best) + 0.0004 * abs(e - best)
        for e in range(1, ran + 1)
    ]
    at = min(range(ran), key=val.__getitem__, default=-1)
    pick = lambda losses, i: losses[i] if ran else None  # noqa: E731
    return {
        "run_id": f"{cell}-{config['hidden_size']}-lr{config['learning_rate']:g}-seed{seed}-{cell}{seed:08d}",
        "cell": cell,
        "layers": 2,
        "batch_size": 64,
        "chunk_length": 30,
        "validation_share": 0.2,
        "split": "shuffled",
        "split_seed": None,
        "embedding": 0,
        "dropout": 0.0,
        "patience": 5,
        "seed": seed,
        "precision": "float32",
        "device": "cpu",
        "parameters": 1000,
        "status": "diverged" if diverged else "finished",
        "diverged": {"epoch": ran + 1, "step": 3} if diverged else None,
        "epochs": ran,
        "best_epoch": at + 1 if ran else None,
        "train_loss_last": pick(train, -1),
        "val_loss_last": pick(val, -1),
        "train_loss_best": pick(train, at),
        "val_loss_best": pick(val, at),
        "train_loss": train,
        "val_loss": val,
        "seconds": 60.0,
        **config,
    }


def make_runs(cells=("rnn", "lstm"), seeds=5, **kwargs):
    return [make_record(cell, seed, **kwargs) for cell in cells for seed in range(seeds)]


def make_measured(cells=("rnn", "lstm"), seeds=5, *, loss=1.6, ngram=1.5, carried=-0.05, gap=0.3, size=0.0, **kwargs):
    """
    Runs as charlm.meaning.measures gives them, a thousandth apart from seed to seed. loss is that of the best epoch on validation
    chunks, ngram that of the best n-gram model, of order 3 of 8; carried what carrying the state changes; gap and size are
    validation loss above that of the equal part, and that above the loss on all training chunks, at the last epoch.
    """
    orders = np.array([1.8, 0.5, 0, 0.01, 0.02, 0.03, 0.04, 0.05])
    position = np.array([1.0, 0.2, 0, 0, 0, 0])  # its mean is 0.2
    measured = []
    for r in make_runs(cells, seeds, **kwargs):
        luck = 0.001 * (r["seed"] % 3)
        train = r["train_loss_last"] - 0.03
        measured.append(
            r
            | {"loss": loss + luck, "loss_positions": loss + luck - 0.2 + position, "accuracy": 0.5}
            | {"carried": loss + luck + carried, "carried_positions": np.full(6, loss + luck + carried)}
            | {"last_train": train, "last_part": train + size + luck, "last_validation": train + size + luck + gap}
            | {"ngram": ngram + orders, "ngram_train": ngram - orders / 10, "ngram_carried": ngram - 0.04 + orders}
            | {"ngram_positions": (ngram + orders)[:, None] + position, "together": ngram - 0.05 + orders}
        )
    return measured


def history(*val_losses):
    return [{"epoch": i, "train_loss": 1.0, "val_loss": v} for i, v in enumerate(val_losses, start=1)]


def with_loss(cell, losses, **config):
    return [make_record(cell, s, **config) | {"val_loss_best": x} for s, x in enumerate(losses)]
