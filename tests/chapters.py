"""A notebook's chapter without a kernel: its code cells, executed here on runs that are given."""

import ast
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
import pytest
from project_files import ROOMS, ROOT

from charlm import studies
from charlm.studies import Made

MADE_ON = {"code": "some training code", "machine": {"cpu": "some processor"}}
FIGURES = [import_module(f"charlm.{room}.figures") for room in ROOMS]
Shown = list[tuple[dict, dict]]  # what is seen by MIME type, and what charlm.report reads
SNAPSHOTS = Path(__file__).parent / "snapshots"


def chapter(
    name: str,
    patch: pytest.MonkeyPatch,
    runs: list[dict] | None = None,
    made: dict[str, list[dict]] | None = None,
    draw: bool = False,
    **given: object,
) -> tuple[dict, Shown]:
    """What the notebook left in its variables, and what its cells showed as pairs of what is seen (by MIME type) and what
    charlm.report reads ("charlm"). `runs` are what training gives, `made` the runs of studies by name (others were not
    made), given its parameters. Figures of rooms are shown only where they are to be drawn: that takes longest.
    """
    made = {study: [MADE_ON | r for r in records] for study, records in (made or {}).items()}
    patch.setattr("charlm.runs.sweep.train_sweep", lambda configs, corpus, **options: runs)
    patch.setattr(studies, "read_study", lambda study, corpus: Made(study, corpus.sha256, made.get(study, [])))
    # What figures look like is for test_figures.py.
    patch.setattr("matplotlib.figure.Figure.savefig", lambda *arguments, **options: None)
    for module in [] if draw else FIGURES:
        for function in [name for name, value in vars(module).items() if hasattr(value, "__wrapped__")]:
            patch.setattr(module, function, lambda *arguments: None)
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    names: dict = {}
    shown = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        code = ast.parse(cell.source)
        last = code.body.pop() if code.body and isinstance(code.body[-1], ast.Expr) else None
        exec(compile(code, cell.id, "exec"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= given
        if isinstance(last, ast.Expr):
            value: Any = eval(compile(ast.Expression(last.value), cell.id, "eval"), names)
            if hasattr(value, "_repr_mimebundle_"):
                data, about = value._repr_mimebundle_()
                shown.append((data, about["charlm"]))
    return names, shown


def told(shown: Shown) -> str:
    """All that a reader is told: headings, sentences, captions and notes, a line each."""
    lines = []
    for _, about in shown:
        for part in ("heading", "text", "caption", "note", "alt"):
            if about.get(part):
                lines.append(f"{about['kind']} {about['id']}, {part}: {about[part]}")
    return "\n".join(lines) + "\n"


def contrasts_in(shown: Shown) -> dict[str, dict]:
    """The claimed differences by key, as results.json will have them."""
    found: dict[str, dict] = {}
    for _, about in shown:
        found |= about.get("contrasts", {})
    return found


def finding(shown: Shown, id: str) -> dict | None:
    """What charlm.report reads of a finding; None where it was not shown."""
    return next((about for _, about in shown if about.get("id") == id and about["kind"] == "finding"), None)


def table_rows(shown: Shown, id: str) -> list[dict]:
    return next(about["rows"] for _, about in shown if about.get("id") == id and about["kind"] == "table")


def check_snapshot(name: str, shown: Shown) -> None:
    """That the chapter's prose is what tests/snapshots holds; CHARLM_SNAPSHOTS=1 writes it anew, to be read in the diff."""
    path = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("CHARLM_SNAPSHOTS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(told(shown), "utf-8", newline="\n")
    assert told(shown) == path.read_text("utf-8")


def results_of(*chapters: Shown, runs: list[dict], corpus: str = "a text") -> dict:
    """What results.json would hold of these chapters, as far as the summary reads it."""
    results: dict = {
        "runs": runs,
        "study": {"corpus": corpus},
        "contrasts": {},
        "findings": {},
        "figures": {},
        "samples": {},
    }
    for shown in chapters:
        results["contrasts"] |= contrasts_in(shown)
        for _, about in shown:
            if about["kind"] == "results":
                results |= about["data"]
            elif about["kind"] in ("finding", "figure"):
                results[f"{about['kind']}s"][about["id"]] = about
    return json.loads(json.dumps(results))
