"""What a sweep says of how far it has come, and of how long it takes, is what happens."""

import io
import json
import sys
from dataclasses import fields, replace

import pytest
import torch
from jupyter_client.manager import start_new_kernel
from posix_only import make_pipe, posix
from run_folders import silent
from synthetic import kept_record

import charlm.runs.progress
import charlm_core as core
from charlm.command import Say
from charlm.files import write_json
from charlm.runs.progress import (
    Course,
    UsualEpochs,
    progress_display,
    short_names,
    steps_told,
    time_left,
)
from charlm.runs.sweep import time_epoch, train_sweep
from charlm_core import Config, State

# ---------------------------------------------------------------------------------------------------------------------
# what is to be expected


@pytest.fixture
def on_record(tiny, tmp_path, monkeypatch):
    """Writes the records of a study, each given by what is special about it, and returns what is then usual."""
    monkeypatch.setattr(charlm.runs.progress, "STUDIES", tmp_path / "studies")
    (tmp_path / "studies").mkdir()

    def write(*given: dict) -> UsualEpochs:
        rows = []
        for special in given:
            more = {"corpus_sha256": tiny.sha256} | special
            names = {f.name for f in fields(Config)} - {"epochs"}
            config = Config(**{"cell": "rnn"} | {name: more.pop(name) for name in names & more.keys()})
            config = replace(config, epochs=more.pop("max_epochs", 50))
            rows.append(kept_record(config, **more))
        about = {"study": "made", "corpus_sha256": tiny.sha256, "runs": rows, "epoch_seconds": {}}
        if rows:
            about["corpus_sha256"] = rows[0]["corpus_sha256"]
        write_json(tmp_path / "studies" / "made.json", about)
        return UsualEpochs(tiny, tmp_path / "runs")

    return write


def test_such_runs_take_the_median_of_what_they_took(on_record):
    usual = on_record({"epochs": 30, "seed": 1}, {"epochs": 33, "seed": 2}, {"epochs": 40, "precision": "bfloat16"})
    assert usual(Config(cell="rnn", seed=9)) == 33
    assert usual(Config(cell="rnn", epochs=20)) == 20


@pytest.mark.parametrize(
    "other",
    [
        {"cell": "gru"},
        {"hidden_size": 128},
        {"learning_rate": 0.002},
        {"dropout": 0.1},
        {"corpus_sha256": "0" * 64},
        {"status": "diverged", "diverged": {"epoch": 31, "step": 1}},
        {"max_epochs": 30},  # it might have gone on
    ],
)
def test_other_runs_say_nothing_of_how_long_these_take(on_record, other):
    assert on_record({"epochs": 30} | other)(Config(cell="rnn")) is None


def test_a_record_that_is_older_than_a_field_has_its_default(on_record, tiny):
    usual = on_record({"epochs": 30})
    path = charlm.runs.progress.STUDIES / "made.json"
    made = json.loads(path.read_text())
    del made["runs"][0]["dropout"]
    write_json(path, made)
    assert usual(Config(cell="rnn")) == 30


@pytest.mark.parametrize("text", ["", '{"runs": [{}]}', "[" * 100_000])
def test_a_damaged_study_is_no_reason_to_stop(on_record, text):
    usual = on_record()
    (charlm.runs.progress.STUDIES / "made.json").write_text(text)
    assert usual(Config()) is None


@posix
def test_a_pipe_among_the_studies_is_not_waited_for(on_record):
    usual = on_record({"epochs": 30})
    make_pipe(charlm.runs.progress.STUDIES / "pipe.json")
    assert usual(Config(cell="rnn")) == 30


def test_runs_that_cannot_be_listed_are_no_reason_to_stop(on_record, tmp_path):
    usual = on_record({"epochs": 30})
    (tmp_path / "runs").write_text("a file")
    assert usual(Config(cell="rnn")) == 30


def test_stored_runs_count_too(trained, tiny, tiny_config):
    usual = UsualEpochs(tiny, trained[0].parent)
    patient = replace(tiny_config, patience=2, seed=7)
    assert usual(patient) is None
    usual.known[charlm.runs.progress._kind(vars(patient))] = usual.known[charlm.runs.progress._kind(vars(tiny_config))]
    assert usual(patient) == trained[1]["epochs"]


def test_where_patience_cannot_end_a_run_its_limit_is_what_it_takes(on_record):
    assert on_record()(Config(epochs=5, patience=5)) == 5


@pytest.mark.parametrize(
    "seconds, usual, text",
    [
        (18 * 60, 1, "about 18 minutes"),
        (2.5 * 3600, 1, "about 2.5 hours"),
        (61, 1, "about 1 minute"),
        (20, 1, "about 20 seconds"),
        (0.2, 1, "about 1 second"),
        (40 * 60, None, "at most 40 minutes"),
    ],
)
def test_a_time_is_said_as_people_say_it(seconds, usual, text):
    assert time_left([Course("a-run", Config(epochs=1), 100, seconds, usual)]) == text


@pytest.mark.parametrize("minutes, workers, text", [([4, 4, 3, 3], 2, "7 minutes"), ([10, 2, 2], 3, "10 minutes")])
def test_workers_share_what_is_to_do_and_the_longest_decides(minutes, workers, text):
    courses = [Course("a-run", Config(epochs=1), 100, 60 * n, 1) for n in minutes]
    assert time_left(courses, workers) == f"about {text}"


# ---------------------------------------------------------------------------------------------------------------------
# what is said of a run


def course(config: Config, val_losses: list[float], diverged: dict | None = None, usual: int | None = 30) -> Course:
    history = [{"epoch": n, "train_loss": 1.0, "val_loss": loss} for n, loss in enumerate(val_losses, 1)]
    it = Course("a-run", config, 100, 60, usual)
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
    assert it.end == it.text and end in it.text


def test_what_is_left_follows_from_what_such_runs_took_and_from_the_limit():
    it = course(Config(), [2.0, 1.9])
    assert it.text == "epoch 2, about 28 minutes left, training 1.0000, validation 1.9000"
    assert "at most 49 minutes left" in course(Config(), [2.0], usual=None).text


def test_patience_is_counted_from_the_best_epoch():
    it = course(Config(), [3 - n / 100 for n in range(40)])
    assert "about 5 minutes left" in it.text


def test_a_long_epoch_shows_its_steps(monkeypatch):
    monkeypatch.setattr(charlm.runs.progress, "MINUTE", -1)
    said: list[str] = []
    progress = progress_display({"a-run": Course("a-run", Config(), 100, 60, 30)}, 1, said.append)
    progress.tell_step("a-run", 0)
    progress.tell_step("a-run", 50)
    assert said[-1] == "[0/1] a-run: epoch 1, step 50 of 100, about 30 minutes left"


def test_a_late_word_about_steps_does_not_take_a_run_up_again():
    said: list[str] = []
    it = course(Config(epochs=1), [2.0])
    progress_display({"a-run": it}, 1, said.append).tell_step("a-run", 50)
    assert "done" in it.text and said == []


def test_steps_are_counted_without_a_change_to_what_is_trained(tiny, tiny_config, monkeypatch):
    monkeypatch.setattr(charlm.runs.progress, "OFTEN", -1)
    told: list[int] = []
    start = core.initial_state(len(tiny.vocab), tiny_config)
    plain = core.train_epoch(start, tiny, tiny_config)
    with steps_told(told.append):
        heard = core.train_epoch(start, tiny, tiny_config)
    core.train_epoch(start, tiny, tiny_config)
    steps, _ = time_epoch(tiny_config, tiny)
    assert told == list(range(steps + 1))
    assert all(torch.equal(plain.weights[name], w) for name, w in heard.weights.items())


def test_a_run_that_diverged_in_its_first_epoch_has_a_bar():
    it = course(Config(), [], {"epoch": 1, "step": 7})
    assert "DIVERGED" in progress_display({"a-run": it}, 1, silent).bars([it])


# ---------------------------------------------------------------------------------------------------------------------
# where it is shown


class Terminal(io.TextIOWrapper):
    def __init__(self, encoding):
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, write_through=True)

    def isatty(self):
        return True

    def shown(self):
        return self.bytes.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_a_terminal_has_a_bar_for_each_run_and_one_for_all(tiny, tiny_config, tmp_path, monkeypatch, encoding):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    terminal = Terminal(encoding)
    monkeypatch.setattr(sys, "stderr", terminal)
    train_sweep([tiny_config, replace(tiny_config, seed=1)], tiny, tmp_path, workers=1, say=Say("stderr"))
    assert sys.stderr is terminal
    shown = terminal.shown()
    assert "\x1b[2K" in shown  # a line is written over
    assert "0 of 2 runs, about" in shown and "epoch 1, " in shown
    assert "done: the limit of 3 epochs; best epoch" in shown


@pytest.mark.parametrize("term", ["dumb", None])
def test_what_cannot_write_over_its_lines_gets_plain_ones(tiny, tiny_config, tmp_path, monkeypatch, term):
    if term:
        monkeypatch.setenv("TERM", term)
    stream = Terminal("utf-8") if term else io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    train_sweep([tiny_config], tiny, tmp_path)
    lines = (stream.shown() if term else stream.getvalue()).splitlines()
    assert len(lines) == 1 + tiny_config.epochs and not any("\x1b" in line for line in lines)
    assert lines[1].startswith("[0/1] lstm-16-lr0.01-seed0-") and lines[-1].startswith("[1/1] ")


def test_names_are_short_as_far_as_they_stay_different():
    assert short_names(["rnn-2-seed0-ab", "rnn-2-seed0-cd", "gru-2-seed0-ef"]) == {
        "rnn-2-seed0-ab": "rnn-2-seed0-ab",
        "rnn-2-seed0-cd": "rnn-2-seed0-cd",
        "gru-2-seed0-ef": "gru-2-seed0",
    }


LAB = """
from charlm_core import Config
from charlm.command import Say
from charlm.runs.progress import Course, progress_display
with progress_display({"a-run": Course("a-run", Config(), 100, 60, 30)}, 1, Say()) as progress:
    progress.tell_step("a-run", 50)
"""


@pytest.fixture(scope="module")
def kernel():
    manager, client = start_new_kernel()
    yield client
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def outputs(kernel, metadata):
    """What a kernel sends for a cell that comes with these metadata."""
    message = kernel.session.msg("execute_request", {"code": LAB, "silent": False}, metadata=metadata)
    kernel.shell_channel.send(message)
    found: list[dict] = []
    while True:
        it = kernel.get_iopub_msg(timeout=60)
        if it["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            if it["msg_type"] == "status" and it["content"]["execution_state"] == "idle":
                return found
            found.append(it)


def test_in_the_lab_a_line_is_updated(kernel):
    shown = [m for m in outputs(kernel, {"cellId": "a-cell"}) if "display_data" in m["msg_type"]]
    assert [m["msg_type"] for m in shown] == ["display_data", "update_display_data"]
    assert len({m["content"]["transient"]["display_id"] for m in shown}) == 1
    text = shown[-1]["content"]["data"]["text/plain"]
    assert text.startswith("a  ") and "epoch 1, step 50 of 100, about 30 minutes left" in text


def test_papermill_gets_no_display_to_update(kernel):
    assert {m["msg_type"] for m in outputs(kernel, {})} <= {"status", "execute_input", "stream"}
