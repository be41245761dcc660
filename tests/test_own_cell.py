"""A class that a reader added to CELLS has the rights of the others in the report, with no other file touched."""

import pytest
from chapters import chapter, contrasts_in, table_rows
from project_files import ROOT
from synthetic import make_measured, make_runs
from torch import nn

import charlm_core as core
from charlm.meaning import measures
from charlm.protocol import Study
from charlm.records import cells_in
from charlm.report.execute import jobs


class Own(nn.GRU):
    pass


@pytest.fixture
def cells(monkeypatch):
    monkeypatch.setitem(core.CELLS, "My_own", Own)
    return ["rnn", "lstm", "My_own"]


def test_it_is_trained_for_the_report_and_shown_in_its_order(cells):
    assert list(dict.fromkeys(config.cell for config in Study(seeds=2).configurations())) == cells
    shown = [job.parameters["cell"] for job in jobs(Study(), "shakespeare-268k", ROOT) if "cell" in job.parameters]
    assert shown == cells == cells_in(make_runs(cells[::-1]))


def test_it_stands_in_figures_tables_and_sentences(cells, monkeypatch):
    _, shown = chapter("2_loss_comparison", monkeypatch, make_runs(cells), draw=True)
    assert {row["cell"] for row in table_rows(shown, "losses")} == {"RNN", "LSTM", "MY_OWN"}
    (curves,) = [about for _, about in shown if about.get("id") == "loss-curves"]
    assert {row["cell"] for row in curves["rows"]} == set(cells)

    runs = make_measured(cells)
    monkeypatch.setattr(measures, "with_measured_losses", lambda records, corpus: runs)
    _, shown = chapter("4_what_the_loss_means", monkeypatch, runs, draw=True)
    assert "counting/best-order/My_own" in contrasts_in(shown)
