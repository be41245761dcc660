"""What is seen of training while it goes on, and what a run writes at the end."""

from dataclasses import replace

import pytest

import charlm.losses.live
import charlm_core as core
from charlm.losses.live import LIVE_LENGTH, LiveView, written
from charlm.runs.sweep import train_sweep
from charlm.show import Finding, Samples


class Shown:
    """What a display has shown."""

    def __init__(self):
        self.displayed = []
        self.updated = []

    def display(self, bundle, **options):
        self.displayed.append(bundle)
        return self

    def update(self, bundle, **options):
        self.updated.append(bundle)


@pytest.fixture
def lab(monkeypatch):
    shown = Shown()
    monkeypatch.setattr(charlm.losses.live, "in_lab", lambda: True)
    monkeypatch.setattr("IPython.display.display", shown.display)
    return shown


def test_one_output_grows_with_every_epoch(lab, tiny, tiny_config, tmp_path):
    (record,) = train_sweep([tiny_config], tiny, tmp_path, say=lambda line: None, watch=LiveView(tiny))
    assert len(lab.displayed) == 1 and len(lab.updated) == record["epochs"] - 1
    for epoch, bundle in enumerate([*lab.displayed, *lab.updated], start=1):
        label, text = bundle["text/plain"].split("\n", 1)
        assert label.startswith(f"seed 0, epoch {epoch}, validation loss {record['val_loss'][epoch - 1]:.4f}")
        assert len(text) == 1 + LIVE_LENGTH
        assert "data:image/png;base64," in bundle["text/html"]


def test_in_batch_nothing_is_shown(trained, tiny, tiny_config, monkeypatch):
    shown = Shown()
    monkeypatch.setattr("IPython.display.display", shown.display)
    LiveView(tiny)(tiny_config, core.State({}, {}, history=[{"epoch": 1, "val_loss": 1.0}]))
    assert shown.displayed == []


def test_at_the_end_the_best_run_writes(trained, tiny, monkeypatch):
    folder, record = trained
    monkeypatch.setattr(charlm.losses.live, "RUNS", folder.parent)
    worse = record | {"run_id": "not-there", "val_loss_best": record["val_loss_best"] + 1, "seed": 1}
    shown = written([worse, record], length=50)
    assert isinstance(shown, Samples)
    (item,) = shown.items
    assert item["label"] == f"LSTM, seed 0, epoch {record['best_epoch']}, temperature 0.7"
    assert len(item["text"]) == 51 and item["text"].startswith(item["prompt"])
    assert written([record], length=50).items[0]["text"] == item["text"]
    assert isinstance(written([{"cell": "rnn", "status": "diverged"}]), Finding)


def test_a_cell_of_ones_own_trains_and_says_in_a_line_that_it_cannot_write(
    lab, tiny, tiny_config, tmp_path, monkeypatch
):
    monkeypatch.setitem(core.CELLS, "own", core.nn.GRU)  # sampling knows no step of that name
    monkeypatch.setattr(charlm.losses.live, "RUNS", tmp_path)
    config = replace(tiny_config, cell="own", epochs=1)
    shown = written(train_sweep([config], tiny, tmp_path, say=lambda line: None, watch=LiveView(tiny)))
    assert isinstance(shown, Finding) and "cell = 'own': cannot write" in shown.values["reason"]
    assert lab.displayed[0]["text/plain"].endswith(shown.values["reason"])
