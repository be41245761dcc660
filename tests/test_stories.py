"""Each notebook is a story by itself: what it asks, what to expect, what to turn, a number in the open, and what to try."""

import re

import nbformat
import papermill
import pytest
from project_files import NOTEBOOKS, names_of


def markdown_of(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]


def part(path, beginning):
    """The cell that begins so, or has a paragraph that does."""
    (found,) = [source for source in markdown_of(path) if re.search(rf"^\*\*{beginning}\*\*", source, re.M)]
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_a_notebook_begins_with_its_question_and_what_to_expect(path):
    first, second = markdown_of(path)[:2]
    title = first.splitlines()[0]
    assert title.startswith("# ")
    if not title.endswith("?"):
        assert re.search(r"\*\*The question\.\*\* [^*]+\?", first + second)
    assert "**What to expect.**" in first + second


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_a_notebook_ends_with_two_things_to_try(path):
    attempts = part(path, r"Try it yourself\.")
    assert len(re.findall(r"^- .*`", attempts, re.M)) == 2  # each names what to change


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_every_parameter_says_in_a_line_what_it_is(path):
    parameters = papermill.inspect_notebook(str(path))
    assert parameters
    for name, about in parameters.items():
        assert len(about["help"].split()) >= 2, name
        assert about["inferred_type_name"] in ("str", "int", "float"), name


# The one that shows how it works computes everything in the open.
@pytest.mark.parametrize("path", [p for p in NOTEBOOKS if "how_it_works" not in p.name], ids=names_of)
def test_the_number_that_is_asked_for_is_computed_in_the_open(path):
    cells = nbformat.read(path, as_version=4).cells
    at = next(i for i, cell in enumerate(cells) if cell.source.startswith("**In the open.**"))
    computed = cells[at + 1]
    assert computed.cell_type == "code" and "hide" in computed.metadata.tags
    assert not re.search(r"\b(words|figures|measures|claims)\.", computed.source)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names_of)
def test_what_is_to_be_changed_is_there(path):
    """A parameter or a piece of code that an attempt names stands in its notebook."""
    cells = nbformat.read(path, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    attempts = part(path, r"Try it yourself\.")
    for name in re.findall(r"[Ss]et `(\w+) ?=", attempts):
        assert re.search(rf"\b{name}\b", source), name
    for piece in re.findall(r"in\s+the\s+place\s+of\s+`([^`]+)`", attempts):
        assert piece in source, piece
