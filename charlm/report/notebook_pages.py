"""The notebooks as web pages, executed at their defaults, to stand beside the report: python -m charlm.report.notebook_pages."""

from charlm.command import Say, begin, command, complain

if __name__ == "__main__":
    begin()

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from charlm.options import Parser
from charlm.report import execute
from charlm.report.address import read_address
from charlm.report.execute import NOTEBOOKS, Job, ReportError
from charlm.report.place import staged
from charlm_core import CharlmError

REPORT = "index.html"  # as the workflow that publishes calls it


def links_line(name: str, address: str) -> str:
    """Markdown: where else this notebook is, the report first. Nothing where the project's address is not known."""
    if not address:
        return ""
    links = {"the report": REPORT, "this notebook": f"{address}/blob/HEAD/notebooks/{name}"}
    repository = address.removeprefix("https://github.com/")
    if repository != address:
        links["run it (Binder)"] = f"https://mybinder.org/v2/gh/{repository}/HEAD?labpath=notebooks/{name}"
    return " · ".join(f"[{text}]({to})" for text, to in links.items())


def notebook_page(path: Path, address: str, stage: Path) -> str:
    """The HTML of a notebook, executed at its defaults. Raises ReportError or CharlmError where it fails."""
    notebook = execute.execute_notebook(Job(path, {}, frozenset()), stage)
    if line := links_line(path.name, address):
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(line, id="links"))
    exporter = HTMLExporter(require_js_url="", jquery_url="")  # for widgets, which we have none of
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    return html


def write_pages(
    folder: Path, address: str, notebooks: Path = NOTEBOOKS, say: Callable[[str], None] = print
) -> list[Path]:
    """A page for each notebook, called like it; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    with staged() as stage:
        for path in sorted(notebooks.glob("*.ipynb")):
            html = notebook_page(path, address, stage)
            pages.append(folder / f"{path.stem}.html")
            pages[-1].write_text(html, "utf-8", newline="\n")
            say(f"{pages[-1]} is there")
    return pages


@command("charlm.report.notebook_pages", kept="the pages that are there are whole")
def main(arguments: Sequence[str] | None = None) -> int:
    it = Parser(
        prog="python -m charlm.report.notebook_pages",
        description="Execute every notebook at its quick defaults and write it as a web page.",
    )
    it.add_argument("folder", type=Path, metavar="FOLDER")
    given = it.parse_args(arguments)
    try:
        write_pages(given.folder, read_address(), say=Say())
    except (CharlmError, ReportError) as error:
        complain("charlm.report.notebook_pages", error)
        return 2 if isinstance(error, CharlmError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
