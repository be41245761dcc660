"""Small notebooks to make a report of, and a page as a browser sees it."""

import re
from html.parser import HTMLParser
from pathlib import Path

import nbformat

from charlm.report.arrange import arrange
from charlm.report.execute import Job

HOSTILE = (
    "\n`a` ``` $x^2$ <script>alert(1)</script> ]]> \\ | {{ x }} {% y %}\n::::: div\n#let x = 1 #panic() @fig <tbl-a>\n"
    "```\n*b* _i_ [l](http://x.y) \\u{41} ~~~ &amp; \0 \u202e " + "w" * 200
)

RUNS = """
common = dict(corpus="c", hidden_size=2, layers=1, learning_rate=0.1, precision="float32", device="cpu", threads=1,
              parameters=9, status="finished", epochs=1, best_epoch=1, train_loss_last=1.5, val_loss_last=1.25,
              train_loss_best=1.5, val_loss_best=1.25, train_loss=[1.5], val_loss=[1.25], seconds=1.0,
              code="c0de", machine={"cpu": "a CPU"})
runs = [dict(common, run_id=f"{cell}-{seed}", cell=cell, seed=seed) for seed in range(2)]
print("working", end="\\r")
print("runs:", len(runs))
Results({"runs": runs})
"""
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20pt" height="10pt" viewBox="0 0 20 10">'
    '<rect width="9" height="9"/></svg>'
)


def notebook(path, *cells):
    """A notebook file. A cell is Markdown when it starts with "md:", else code; "#tag" in the first line tags it."""
    made = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    )
    for n, source in enumerate(cells):
        tag = re.match(r"(?:md:)?#(parameters|hide|fold|aside|lesson)\n", source)
        source = source[tag.end() :] if tag else source.removeprefix("md:")
        new = nbformat.v4.new_markdown_cell if cells[n].startswith("md:") else nbformat.v4.new_code_cell
        made.cells.append(new(source, id=f"cell-{n}", metadata={"tags": [tag[1]]} if tag else {}))
    nbformat.write(made, path)
    return path


def a_cell(source="", *tags, shows=None, prints=""):
    """An executed cell: of Markdown where it shows and prints nothing."""
    metadata = {"tags": list(tags)}
    if shows is None and not prints:
        return nbformat.v4.new_markdown_cell(source, metadata=metadata)
    made = nbformat.v4.new_code_cell(source, metadata=metadata)
    if prints:
        made.outputs.append(nbformat.v4.new_output("stream", name="stdout", text=prints))
    if shows is not None:
        data, about = shows._repr_mimebundle_()
        made.outputs.append(nbformat.v4.new_output("display_data", data, metadata=about))
    return made


def arranged(*cells, play="", subtitle="s", times=1):
    """The document of these executed cells, executed so many times. A notebook, the first one the summary, begins at each title."""
    machine = {"python": "3", "torch": "2", "cpu": "a CPU"}
    lists: dict[str, list] = {name: [] for name in ("training_cpu", "device", "precision", "threads", "training_code")}
    results = {"provenance": {"machine": machine, "numpy": "2", "lock_sha256": None, **lists}, "runs": []}
    notebooks: list[list] = []
    for cell in cells:
        if cell.source.startswith("# "):
            notebooks.append([])
        notebooks[-1].append(cell)
    executed = [
        (Job(Path(f"{n}.ipynb"), {}), nbformat.v4.new_notebook(cells=of_one)) for n, of_one in enumerate(notebooks)
    ]
    return arrange([*executed[1:], executed[0]] * times, results, subtitle, play)


STUDY = {"corpus": "c", "corpus_sha256": "0" * 64, "seeds": 2, "epochs": 1}
SUBTITLE = "c & <d> · 2 seeds"


class Page(HTMLParser):
    """What a browser would see of the page: tags with their attributes, and the text of all elements."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data

    def every(self, attribute, tag=None):
        return [a[attribute] for t, a in self.tags if attribute in a and tag in (None, t)]
