"""What a sweep says of how far it has come, and of how long it takes, is what happens."""

import io
import re
import shutil
import sys
from dataclasses import replace
from types import SimpleNamespace

import IPython
import IPython.display
import pytest

from charlm.command import Say
from charlm.runs.progress import Course, in_lab, progress_display, time_left
from charlm.runs.sweep import train_sweep
from charlm_core import Config, State

# ---------------------------------------------------------------------------------------------------------------------
# what is said of a run


@pytest.mark.parametrize(
    "seconds, text", [(18 * 60, "18 minutes"), (2.5 * 3600, "2.5 hours"), (61, "1 minute"), (0.2, "1 second")]
)
def test_a_time_is_said_as_people_say_it(seconds, text):
    assert time_left([Course("a-run", Config(epochs=1), seconds)]) == f"at most {text} left"


@pytest.mark.parametrize("minutes, workers, text", [([4, 4, 3, 3], 2, "7 minutes"), ([10, 2, 2], 3, "10 minutes")])
def test_workers_share_what_is_to_do_and_the_longest_decides(minutes, workers, text):
    courses = [Course("a-run", Config(epochs=1), 60 * n) for n in minutes]
    assert time_left(courses, workers) == f"at most {text} left"


def course(config: Config, val_losses: list[float], diverged: dict | None = None) -> Course:
    history = [{"epoch": n, "train_loss": 1.0, "val_loss": loss} for n, loss in enumerate(val_losses, 1)]
    it = Course("a-run", config, 1, begun=True)
    it.end_epoch(State({}, {}, history=history, diverged=diverged), [{"seconds": 60}] * max(1, len(history)))
    return it


@pytest.mark.parametrize(
    "val_losses, diverged, end",
    [
        ([2.0, 1.5, 1.6, 1.6], None, "done: 2 epochs without a better validation loss; best epoch 2"),
        ([2.0, 1.9, 1.8, 1.7, 1.6], None, "done: the limit of 5 epochs; best epoch 5"),
        ([], {"epoch": 1, "step": 7}, "DIVERGED in epoch 1, step 7: "),
        ([2.0], {"epoch": 2, "step": None}, "DIVERGED in epoch 2, validation: "),
    ],
)
def test_a_stop_names_its_cause(val_losses, diverged, end):
    it = course(Config(epochs=5, patience=2), val_losses, diverged)
    assert it.end == it.text and end in it.text and it.seconds_left == 0


def test_a_run_that_goes_on_says_how_far_it_is_and_how_long_it_takes_at_most():
    it = course(Config(), [2.0, 1.9])
    assert it.text == "epoch 2 of 50, at most 48 minutes left, training 1.0000, validation 1.9000"


# ---------------------------------------------------------------------------------------------------------------------
# where it is shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown_in(stream, monkeypatch, corpus, config, runs):
    """What training of two runs shows there."""
    monkeypatch.setattr(sys, "stderr", stream)
    configs = [replace(config, epochs=2, seed=seed) for seed in (0, 1)]
    train_sweep(configs, corpus, runs, workers=1, say=Say("stderr"))
    return stream.getvalue()


def test_in_a_terminal_a_line_changes_for_each_run_and_one_for_all(tiny, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    shown = shown_in(Terminal(), monkeypatch, tiny, tiny_config, tmp_path)
    assert "\x1b[2K" in shown  # a line is written over
    assert "0 of 2 runs, at most" in shown and "epoch 1 of 2, " in shown
    assert "done: the limit of 2 epochs; best epoch" in shown


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_what_cannot_write_over_its_lines_gets_plain_ones(tiny, tiny_config, tmp_path, monkeypatch, stream):
    monkeypatch.setenv("TERM", "dumb")
    lines = shown_in(stream, monkeypatch, tiny, tiny_config, tmp_path).splitlines()
    assert len(lines) == 5 and not any("\x1b" in line for line in lines)
    assert lines[1].startswith("[0/2] lstm-16-lr0.01-seed0-") and lines[2].startswith("[1/2] ")


@pytest.mark.parametrize("metadata, lab", [({"cellId": "a-cell"}, True), ({}, False)])
def test_in_the_lab_a_line_is_updated_and_papermill_gets_none(monkeypatch, capsys, metadata, lab):
    """JupyterLab names the cell, papermill does not. tests/test_lab.py sees it in JupyterLab itself."""
    shell = SimpleNamespace(get_parent=lambda: {"metadata": metadata})
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    contents: list[dict] = []
    handle = SimpleNamespace(update=lambda content, raw: contents.append(content))
    monkeypatch.setattr(IPython.display, "display", lambda content, **_: handle)
    it = course(Config(), [2.0])
    state = State({}, {}, history=[{"epoch": 1, "train_loss": 1.0, "val_loss": 2.0}])
    with progress_display({"a-run": it}, 1, Say()) as progress:
        progress.tell_epoch("a-run", state, [{"seconds": 60}])
    assert in_lab() == lab and len(contents) == (1 if lab else 0)
    assert capsys.readouterr().out == ("" if lab else f"[0/1] a-run: {it.text}\n")
    assert not lab or contents[0]["text/plain"].startswith("a-run: epoch 1 of 50, at most 49 minutes left")


def test_before_training_the_plan_says_what_is_there_and_what_is_not(trained, tiny, tiny_config, tmp_path):
    shutil.copytree(trained[0], tmp_path / trained[0].name)
    said: list[str] = []
    other = replace(tiny_config, seed=1, epochs=1)
    train_sweep([tiny_config, other, other], tiny, tmp_path, say=said.append)
    plan = r"tiny\.txt: 1 run to train, 1 found; at most \d+ seconds? left on this machine; 1 at a time"
    assert re.fullmatch(plan, said[0])
