"""Notebook 1: what it trains, and what it says of the losses of given runs."""

import papermill
from chapters import chapter, finding
from project_files import ROOT
from synthetic import make_record, make_runs

from charlm.protocol import Study
from charlm.report.execute import jobs
from charlm.tables import run_table
from charlm_core import Config

NAME = "1_training"
CHANGED = {
    "cell": "gru",
    "hidden_size": 12,
    "layers": 2,
    "learning_rate": 0.02,
    "batch_size": 4,
    "chunk_length": 12,
    "epochs": 3,
    "patience": 2,
}


def test_every_hyper_parameter_reaches_the_runs(monkeypatch):
    monkeypatch.setattr("charlm.losses.live.written", lambda runs, **options: None)
    defaults = {name: p["default"] for name, p in papermill.inspect_notebook(f"{ROOT}/notebooks/{NAME}.ipynb").items()}
    assert defaults.keys() == {"corpus", "seeds", *CHANGED}
    assert [name for name, value in CHANGED.items() if defaults[name].strip("'\"") == str(value)] == []
    names, _ = chapter(NAME, monkeypatch, make_runs(["gru"], 2), seeds=2, **CHANGED)
    assert names["configs"] == [Config(**CHANGED, seed=seed) for seed in range(2)]


def test_the_report_trains_the_studys_own_settings():
    plan = [job for job in jobs(Study(), "shakespeare-268k", ROOT) if job.notebook.stem == NAME]
    for job in plan:
        given = {name: value for name, value in job.parameters.items() if name not in ("corpus", "seeds")}
        assert Config(**given) == Config(cell=job.parameters["cell"])
    assert [job.parameters["cell"] for job in plan] == ["rnn", "lstm"]


def course(monkeypatch, runs):
    """The sentence on these runs of one cell."""
    cell = runs[0]["cell"]
    monkeypatch.setattr("charlm.losses.live.written", lambda runs, **options: None)
    return finding(chapter(NAME, monkeypatch, runs, cell=cell)[1], f"course-{cell}")["text"]


def test_the_course_says_where_runs_were_best_and_what_came_after(monkeypatch):
    said = course(monkeypatch, make_runs(["rnn"], 4))
    assert "RNN** is best at epoch 23 to 26 and stops at 28 to 31" in said
    assert "while training loss goes on falling" in said and "first lies above training loss at epoch" in said


def test_the_course_of_short_runs_claims_neither_rise_nor_crossing(monkeypatch):
    said = course(monkeypatch, make_runs(["gru"], 1, max_epochs=2))
    assert "limit of epochs ended the training" in said and "above training loss in 0 of 1 runs" in said


def test_the_course_of_runs_that_diverged_says_so(monkeypatch):
    assert "No run of the RNN finished" in course(monkeypatch, [make_record("rnn", 0, epochs=0, diverged=True)])


def test_run_table_has_a_row_a_run_and_its_name():
    records = make_runs(["lstm"], 3)
    table = run_table(records[::-1])
    assert table.id == "runs-lstm"
    assert list(table.frame["run"]) == [r["run_id"].rpartition("-")[2] for r in records]
    assert list(table.frame["validation, best"]) == [r["val_loss_best"] for r in records]
    assert not {"cell", "hidden size / learning rate"} & set(table.frame)
    assert table.caption.startswith("3 runs: LSTM, hidden size / learning rate 256 / 0.001.")
