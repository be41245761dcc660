"""In JupyterLab, as a person uses it: Run All goes through, and what is to be seen is there. tests/lab.py tries all notebooks."""

import re

import nbformat
import pytest
from lab import OUTPUTS, copied_notebooks, jupyterlab, run_all
from project_files import ROOT

pytestmark = pytest.mark.slow
QUICK = {"hidden_size": 16, "epochs": 3, "batch_size": 8}


@pytest.fixture(scope="module")
def page(browser, tiny_file, tmp_path_factory):
    """A page of a browser, and the address of a lab whose notebooks are quick: on a small text."""
    runs = tmp_path_factory.mktemp("runs")
    with copied_notebooks() as notebooks:
        for path in notebooks.glob("*.ipynb"):
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                if "parameters" in cell.metadata.get("tags", []):
                    for name, value in {"corpus": str(tiny_file), **QUICK}.items():
                        cell.source = re.sub(rf"^({name}: \w+) = .*$", rf"\1 = {value!r}", cell.source, flags=re.M)
            nbformat.write(notebook, path)
        with jupyterlab(notebooks, {"CHARLM_RUNS": str(runs), "PYTHONPATH": str(ROOT)}) as address:
            yield browser.new_page(viewport={"width": 1440, "height": 900}), address


def shown(page):
    """What the cells show, as pairs of a kind of output and its text."""
    found = []
    for output in page.evaluate(OUTPUTS):
        data = output.get("data", {})
        found.append(
            (output["output_type"], "".join(output.get("text", data.get("text/html", data.get("text/plain", "")))))
        )
    return found


def test_training_shows_how_far_it_is_and_what_it_writes(page):
    page, address = page
    run_all(page, address, "1_training.ipynb", limit=240)
    outputs = [text for _, text in shown(page)]
    (progress,) = [text for text in outputs if "█" in text]
    assert progress.startswith("lstm-16-lr0.005-seed0 ") and "done: the limit of 3 epochs" in progress
    (live,) = [text for text in outputs if "data:image/png" in text]
    assert "seed 0, epoch 3, validation loss" in live
    assert any("LSTM, seed 0, epoch 3, temperature 0.7" in text for text in outputs)
    assert not any(re.search(r"^\[\d/\d\]", text, re.M) for text in outputs)  # the lines of a log
    page.wait_for_selector(".jp-OutputArea-output figure pre")
    breaks = "pre => [getComputedStyle(pre).wordBreak, getComputedStyle(pre).overflowWrap]"
    assert page.eval_on_selector(".jp-OutputArea-output figure pre", breaks) == [
        "normal",
        "anywhere",
    ]  # not inside words


def test_how_it_works_is_seen_step_by_step(page):
    page, address = page
    run_all(page, address, "9_how_it_works.ipynb", limit=240)
    text = "\n".join(text for _, text in shown(page))
    assert "the same as nn.RNN: True" in text and "the same as nn.LSTM: True" in text
    assert re.search(r"epoch 3: training \d\.\d+", text)
