"""Fixtures: small notebooks in the way of the study's."""

import json

import pytest
from small_notebooks import HOSTILE, RUNS, STUDY, SUBTITLE, SVG, Page, notebook, plan

from charlm.report.make import build_report


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    """Two notebooks in the way of the study's: one executed for each cell, and a summary that reads their results."""
    folder = tmp_path_factory.mktemp("notebooks")
    notebook(
        folder / "training.ipynb",
        '#parameters\ncorpus: str = "default"  # a path\ncell: str = "lstm"  # rnn or lstm',
        "import pandas as pd\nfrom IPython.display import Markdown\nfrom charlm.show import *",
        'Markdown(f"# Training the {cell.upper()}")',
        "md:## Told once\n\nProse with $h_t = \\tanh(b)$:\n- an item, as in [Figure](#fig-curve-lstm)\n\n"
        "$$\\begin{aligned} a &= b \\\\ c &= f \\odot d \\end{aligned}$$",
        "#hide\nprint('not for readers')",
        RUNS,
        f'Figure(f"curve-{{cell}}", {SVG!r}, b"png", "Falls, see [Table](#tbl-runs-rnn) and $T$.", '
        "'a \"falling\" <line>', [{'x': 1, 'word': '=1+1'}])",
        'Table(f"runs-{cell}", pd.DataFrame({"run_id": ["a|b", "<i>"], "loss": [-1.25, 2]}), "All *runs*.", '
        '{"loss": "{:.3f}"}, "The note.")',
        "md:#fold\nTold in the fold.",
        '#fold\nTable(f"folded-{cell}", pd.DataFrame({"x": [1]}), "Less asked for.")',
        '#fold\nFinding(f"lesser-{cell}", "Less of an answer.", {}, "A lesser heading")',
        '#provenance\nFinding(f"made-{cell}", f"Made once, the {cell}.", {})',
    )
    notebook(
        folder / "summary.ipynb",
        '#parameters\nresults: str = "nowhere"  # a path',
        "import json\nimport pandas as pd\nfrom charlm.show import *\nfound = json.load(open(results))",
        "md:# The title & <b>all</b>",
        'Finding("count", "**{n}** runs; [Samples](#smp-texts); odd: {odd}", '
        f'{{"n": len(found["runs"]), "odd": {HOSTILE!r}}})',
        f'Samples("texts", [{{"label": "1. <b> `label`", "text": {HOSTILE!r}}}], "What it writes.")',
        '{"a plain": "<output>"}',
        "md:#aside\nA box that explains.",
        "md:## What is written?",
        'Finding("written", "Not much.", {"what": "<i>"}, "It writes {what}")',
        'Samples("verse", [{"label": "v", "text": "To\\n\\nbe\\nor", "prompt": "To\\n\\n", "verse": True}], '
        '"Verse.", columns=True)',
        f'small = Figure("card-one", {SVG!r}, b"png", "", "a small line", [{{"y": 2}}])\n'
        'Cards("cards", [{"text": "In *short*.", "section": "claimed", "figure": small}, '
        '{"text": "Or not.", "section": "claimed", "figure": None}])',
        "md:## Which claims hold?",
        'Finding("claimed", "One.", {}, "One of them does")',
        'Table("claims", pd.DataFrame({"claim": ["a", "b", "c"], "n": [1, 2, 3], "verdict": ["confirmed", "refuted", '
        '"confirmed"]}), "By verdict.", groups="verdict", row_ids="claim")',
    )
    return folder


@pytest.fixture(scope="module")
def built(notebooks, tmp_path_factory):
    """The folder with a report, and what was said while it was made."""
    stage = tmp_path_factory.mktemp("stage")
    said: list[str] = []
    build_report(plan(notebooks, stage), STUDY, SUBTITLE, stage, said.append)
    return stage, said


@pytest.fixture(scope="module")
def results(built):
    return json.loads((built[0] / "results.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def page(built):
    return Page((built[0] / "report.html").read_text("utf-8"))
