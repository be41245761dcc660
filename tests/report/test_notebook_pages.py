"""The notebooks as pages on the web: executed, with links where the project's address is known."""

import re

import pytest
from small_notebooks import Page, notebook

from charlm.report import execute
from charlm.report.execute import ReportError
from charlm.report.notebook_pages import links_line, write_pages

ADDRESS = "https://github.com/o/r"


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Makes the page of a notebook of these cells, for an address."""
    monkeypatch.setattr(execute, "BUILD", tmp_path / "build")
    (tmp_path / "build").mkdir()

    def page(address, *cells):
        notebook(tmp_path / "1_small.ipynb", *cells)
        (path,) = write_pages(tmp_path / "site", address, tmp_path, lambda line: None)
        assert path.name == "1_small.html"
        return Page(path.read_text("utf-8"))

    return page


def test_a_page_has_what_its_notebook_shows_when_it_is_executed_below_links(page):
    made = page(ADDRESS, "md:# A question?", "print(6 * 7)")
    assert re.search(r"\b42\b", made.text)
    links = [link for link in made.every("href", "a") if not link.startswith("#")]
    assert links == [
        "index.html",
        "https://github.com/o/r/blob/HEAD/notebooks/1_small.ipynb",
        "https://mybinder.org/v2/gh/o/r/HEAD?labpath=notebooks/1_small.ipynb",
    ]
    assert made.text.index("the report · this notebook") < made.text.index("A question?")


def test_without_an_address_there_is_no_link():
    assert links_line("1_small.ipynb", "") == ""


def test_a_notebook_that_fails_has_no_page(page, tmp_path):
    with pytest.raises(ReportError, match="ZeroDivisionError"):
        page("", "1 / 0")
    assert list((tmp_path / "site").iterdir()) == []
