"""Each notebook is a story by itself: what it asks, what to expect, what to turn, a number in the open, and what to try."""

import re

import nbformat
import papermill
import pytest
from project_files import NOTEBOOKS, names_of


def cells_of(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_a_notebook_begins_with_its_question_and_ends_with_two_things_to_try(path):
    told = [cell.source for cell in cells_of(path, "markdown")]
    title = told[0].splitlines()[0]
    assert title.startswith("# ")
    assert title.endswith("?") or re.search(r"\*\*The question\.\*\* [^*]+\?", told[0] + told[1])
    assert "**What to expect.**" in told[0] + told[1]
    (attempts,) = [source for source in told if re.search(r"^\*\*Try it yourself\.\*\*", source, re.M)]
    assert len(re.findall(r"^- .*`", attempts, re.M)) == 2  # each names what to change, which is there
    source = "\n".join(cell.source for cell in cells_of(path, "code"))
    for name in re.findall(r"[Ss]et `(\w+) ?=", attempts):
        assert re.search(rf"\b{name}\b", source), name
    for piece in re.findall(r"in\s+the\s+place\s+of\s+`([^`]+)`", attempts):
        assert piece in source, piece


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_every_parameter_says_in_a_line_what_it_is(path):
    parameters = papermill.inspect_notebook(str(path))
    assert parameters
    for name, about in parameters.items():
        assert len(about["help"].split()) >= 2, name
        assert about["inferred_type_name"] in ("str", "int", "float"), name
