"""What stands in the place of the trained models where no script runs, in print and in the PDF."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.patches import Rectangle

from charlm import sampling
from charlm.drawing import COLOURS, GREY, INK, drawn_twice, finish, on_phone, panels
from charlm.printable import inline
from charlm.runs.embedded import float16_weights
from charlm.show import Figure, Samples, escape_markdown

WRITTEN = 300  # characters of a stored sample
MOST_NATS = 6.0  # the strongest colour
LINE = 42  # characters of a line on a phone
STRENGTH = 0.78  # of the strongest colour, so that ink on it can be read
NAMES = {"rnn": "RNN", "lstm": "LSTM", "ngram": "counting"}


def stored_samples(content: dict[str, Any], chosen: Mapping[str, tuple]) -> Samples:
    """A text of each model in the page, at the temperature found closest to real text: what the page writes at first."""
    t = content["temperature"]["closest"]["best"] or 0.5
    items = []
    for cell, (_, weights, config) in chosen.items():
        halves = float16_weights(weights)
        (text,) = sampling.sample(halves, config, content["vocab"], [content["prompt"]], WRITTEN, t)
        items.append({"label": f"{cell.upper()}, T = {t:g}, seed 0", "temperature": t, "text": text})
    prompt = escape_markdown(content["prompt"])
    return Samples("play", items, f"What the models in the page write after the prompt “{prompt}”.")


@drawn_twice
def reading_figure(sentence: str, surprises: Mapping[str, np.ndarray]) -> Figure:
    """A sentence under each model, every character on the colour of its surprise (of all but the first, in nats)."""
    line = LINE if on_phone() else 3 * LINE // 2
    starts = range(0, len(sentence), line)
    lines = [(start, name) for start in starts for name in surprises]
    canvas, (ax,) = panels(1, 0.24 * len(lines) + 0.2)
    ax.axis("off")
    ax.set(xlim=(-7, line), ylim=(len(lines), 0))
    rows = []
    for y, (start, name) in enumerate(lines):
        ax.text(-0.6, y + 0.5, NAMES[name], ha="right", va="center", color=GREY, size=8)
        for i, c in enumerate(sentence[start : start + line], start):
            nats = float(surprises[name][i - 1]) if i else None
            rows.append({"model": name, "position": i, "character": c, "surprise": nats})
            level = STRENGTH * min(1.0, (nats or 0.0) / MOST_NATS)
            ax.add_patch(Rectangle((i - start, y + 0.06), 1, 0.88, fc=COLOURS["rnn"], alpha=level, lw=0))
            ax.text(i - start + 0.5, y + 0.5, inline(c), ha="center", va="center", color=INK, size=9)
    means = ", ".join(f"{NAMES[name]} {s.mean():.2f}" for name, s in surprises.items())
    caption = (
        f"How much each character surprises each model, from white (0 nats) to the strongest colour ({MOST_NATS:g} nats and "
        f"more). Mean surprise of all characters but the first, in nats: {means}."
    )
    alt = (
        f"The sentence “{inline(sentence)}” in rows, one a model, its characters coloured by surprise. Means: {means}."
    )
    return finish(canvas, "play-read", caption, alt, rows)
