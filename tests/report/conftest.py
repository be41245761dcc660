"""A small report in the way of the study's: every kind of thing that a cell shows, without a kernel."""

import json
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from small_notebooks import HOSTILE, RUNS, STUDY, SUBTITLE, SVG, Page, a_cell

from charlm.report.arrange import arrange
from charlm.report.collect import as_json, collect_results
from charlm.report.execute import Job
from charlm.report.html import write_html
from charlm.report.pdf import make_pdf
from charlm.show import Cards, Figure, Finding, Provenance, Results, Samples, Table


def training(cell):
    names: dict = {"cell": cell, "Results": Results}
    exec(RUNS, names)
    frame = pd.DataFrame({"run_id": ["a|b", "<i>"], "loss": [-1.25, 2]})
    caption = "Falls, see [Table](#tbl-runs-rnn) and $T$."
    rows = [{"x": 1, "word": "=1+1"}]
    cells = [
        a_cell("# Training"),
        a_cell('corpus: str = "default"', "parameters", prints=" "),
        a_cell('corpus = "/home/someone/my.txt"', "injected-parameters", prints=" "),
        a_cell(
            "## Told once\n\nProse with $h_t = \\tanh(b)$:\n- an item, as in [Figure](#fig-curve-lstm)\n\n"
            "$$\\begin{aligned} a &= b \\\\ c &= f \\odot d \\end{aligned}$$"
        ),
        a_cell("secret()", "hide", prints="not for readers"),
        a_cell(RUNS, shows=Results({"runs": names["runs"]}), prints="working\rruns: 2\n"),
        a_cell("f", shows=Figure(f"curve-{cell}", SVG, b"png", caption, 'a "falling" <line>', rows)),
        a_cell("t", shows=Table(f"runs-{cell}", frame, "All *runs*.", {"loss": "{:.3f}"}, "The note.")),
        a_cell("Told in the fold.", "fold"),
        a_cell("t", "fold", shows=Table(f"folded-{cell}", pd.DataFrame({"x": [1]}), "Less asked for.")),
        a_cell("f", "fold", shows=Finding(f"lesser-{cell}", "Less of an answer.", {}, "A lesser heading")),
        a_cell("f", shows=Provenance(f"made-{cell}", f"Made once, the {cell}.", {})),
        a_cell("A step.", "lesson"),
        a_cell("print('a bar:', '█')", "lesson", prints="a bar: █"),
    ]
    parameters = {"corpus": Path("/home/someone/my.txt"), "cell": cell}
    return Job(Path("training.ipynb"), parameters), nbformat.v4.new_notebook(cells=cells)


def summary():
    count = "**{n}** runs; [Samples](#smp-texts); odd: {odd}"
    verse = [{"label": "v", "text": "To\n\nbe\nor", "prompt": "To\n\n", "verse": True}]
    small = Figure("card-one", SVG, b"png", "", "a small line", [{"y": 2}])
    cards = [
        {"text": "In *short*.", "section": "claimed", "figure": small},
        {"text": "Or not.", "section": "claimed", "figure": None},
    ]
    claims = pd.DataFrame({"claim": ["a", "b", "c"], "kind": ["odd", "even", "odd"], "verdict": [*"xy", "confirmed"]})
    cells = [
        a_cell("# The title & <b>all</b>"),
        a_cell("f", shows=Finding("count", count, {"n": 4, "odd": HOSTILE})),
        a_cell("s", shows=Samples("texts", [{"label": "1. <b> `label`", "text": HOSTILE}], "What it writes.")),
        a_cell("A box that explains.", "aside"),
        a_cell("## What is written?"),
        a_cell("f", shows=Finding("written", "Not much.", {"what": "<i>"}, "It writes {what}")),
        a_cell("s", shows=Samples("verse", verse, "Verse.", columns=True)),
        a_cell("c", shows=Cards("cards", cards)),
        a_cell("## Which claims hold?"),
        a_cell("f", shows=Finding("claimed", "One.", {}, "One of them does")),
        a_cell("t", shows=Table("claims", claims, "By kind.", groups="kind")),
    ]
    return Job(Path("summary.ipynb"), {}), nbformat.v4.new_notebook(cells=cells)


@pytest.fixture(scope="session")
def build():
    """Makes the report in a folder."""

    def build(stage):
        executed = [training("rnn"), training("lstm"), summary()]
        results = collect_results(executed, STUDY, stage / "figures")
        (stage / "results.json").write_text(as_json(results), "utf-8", newline="\n")
        document = arrange(executed, results, SUBTITLE, "")
        write_html(document, stage)
        make_pdf(document, stage, lambda line: None)

    return build


@pytest.fixture(scope="module")
def built(build, tmp_path_factory):
    """The folder with the report."""
    stage = tmp_path_factory.mktemp("stage")
    build(stage)
    return stage


@pytest.fixture(scope="module")
def results(built):
    return json.loads((built / "results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def html(built):
    return (built / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)
