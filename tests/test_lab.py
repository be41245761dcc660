"""In JupyterLab, as a person uses it: Run All goes through, and what is to be seen is there."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from project_files import ROOT

QUICK = {"hidden_size": 16, "epochs": 3, "batch_size": 8}
# Of the notebook as JupyterLab holds it, and not of the page, which has only the cells that are in sight.
NOTEBOOK = "window.jupyterapp?.shell.currentWidget"
CELLS = f"[...{NOTEBOOK}.content.model.cells]"
READY = f"() => {NOTEBOOK}?.context?.isReady && {NOTEBOOK}.sessionContext.isReady && {CELLS}.length > 1"
CODE = f"{CELLS}.filter(cell => cell.type == 'code' && cell.sharedModel.getSource().trim())"
OUTPUTS = f"() => {CODE}.flatMap(cell => cell.sharedModel.outputs)"
FAILED = f"{CODE}.some(cell => cell.sharedModel.outputs.some(output => output.output_type == 'error'))"
OVER = f"() => {FAILED} || {CODE}.every((cell, i) => cell.executionCount == i + 1)"


@pytest.fixture
def lab(tiny_file, tmp_path):
    """The address of a JupyterLab on the notebook that trains, which is quick: on a small text."""
    notebook = nbformat.read(ROOT / "notebooks" / "1_training.ipynb", as_version=4)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    for name, value in {"corpus": str(tiny_file), **QUICK}.items():
        parameters.source = re.sub(rf"^({name}: \w+) = .*$", rf"\1 = {value!r}", parameters.source, flags=re.M)
    nbformat.write(notebook, tmp_path / "1_training.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = [
        f"--ServerApp.port={port}",
        f"--ServerApp.root_dir={tmp_path}",
        "--IdentityProvider.token=",
        "--no-browser",
    ]
    options += ["--allow-root", "--LabApp.expose_app_in_browser=True"]
    own = dict.fromkeys(("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"), str(tmp_path / "own"))
    own |= dict.fromkeys(("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR"), str(tmp_path / "own"))
    env = {**os.environ, **own, "CHARLM_RUNS": str(tmp_path / "runs"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jupyterlab", *options]
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/api", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/lab/tree/1_training.ipynb"
        server.kill()  # asked to stop it takes its time, and its kernels end with it


@pytest.mark.slow
def test_training_shows_how_far_it_is_and_what_it_writes(browser, lab):
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(lab)
    page.wait_for_function(READY, timeout=120_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(OVER, timeout=240_000)
    outputs = []
    for output in page.evaluate(OUTPUTS):
        data = output.get("data", {})
        outputs.append("".join(output.get("text", data.get("text/html", data.get("text/plain", "")))))
    (progress,) = [text for text in outputs if "done: the limit of 3 epochs" in text]
    assert progress.startswith("lstm-16-lr0.005-seed0-")
    (live,) = [text for text in outputs if "data:image/png" in text]
    assert "seed 0, epoch 3, validation loss" in live
    assert any("LSTM, seed 0, epoch 3, temperature 0.7" in text for text in outputs)
    assert not any(re.search(r"^\[\d/\d\]", text, re.M) for text in outputs)  # the lines of a log
    page.wait_for_selector(".jp-OutputArea-output figure pre")
    breaks = "pre => [getComputedStyle(pre).wordBreak, getComputedStyle(pre).overflowWrap]"
    found = page.eval_on_selector(".jp-OutputArea-output figure pre", breaks)
    assert found == ["normal", "anywhere"]  # not inside words
