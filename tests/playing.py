"""A page with tiny models in it."""

from dataclasses import replace

from small_notebooks import a_cell, arranged

from charlm.report import play
from charlm.report.html import write_html
from charlm.runs.sweep import train_sweep


def results_of(records):
    """What results.json would hold of these runs, as far as the page reads it."""
    measures = ("words", "copied", "headings")
    drawn = [{"text": "drawn", "temperature": t, **dict.fromkeys(measures, 0.5)} for t in (0.5, 1.0, 2.0)]
    real = {"text": "real", "temperature": None, **dict.fromkeys(measures, 0.75)}
    values = {
        "against-counting": {"order": 4},
        "temperature-closest": {"best": 0.7, "low": 0.6, "high": 0.8},
        "temperature-words": {"low": 1.6, "high": 0.5},
        "temperature-texts": {"length": 64},
        "enough-seeds": {"pairs": 100, "lower": 5, "n": 10},
    }
    return {
        "runs": records,
        "findings": {name: {"values": v} for name, v in values.items()},
        "figures": {"temperature-curves": {"rows": [*drawn, real]}},
        "samples": {},
    }


def trained_pair(tiny, tiny_config, folder):
    """Records of an RNN and an LSTM, two seeds each."""
    configs = [replace(tiny_config, cell=cell, seed=seed, epochs=2) for cell in ("rnn", "lstm") for seed in (0, 1)]
    return train_sweep(configs, tiny, folder, workers=1, say=lambda line: None)


def write_page(made, folder):
    """report.html with what can be tried of it."""
    play.add_play(made, results_of([]), folder / "figures")
    cells = [a_cell("# A title\n\nSummary."), a_cell("## Try it"), a_cell("# Next\n\nMore.")]
    write_html(arranged(*cells, play=[made.samples, made.reading]), folder, made.content)
    return folder / "report.html"
