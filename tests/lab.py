"""JupyterLab as a person uses it, in a browser: `python tests/lab.py FOLDER` opens every notebook at its defaults, runs all its
cells, and leaves in the folder a picture of each when it is done and, where cells take long, of what is seen meanwhile."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chromium import start_chromium
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def jupyterlab(folder: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of a JupyterLab on the notebooks of a folder, which nobody but this machine reaches, and which ends with
    this."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as own:
        places = {f"JUPYTER_{name}_DIR": own for name in ("CONFIG", "RUNTIME", "DATA")}
        places |= {"JUPYTERLAB_SETTINGS_DIR": own, "JUPYTERLAB_WORKSPACES_DIR": own}
        options = [f"--ServerApp.port={port}", "--IdentityProvider.token=", "--no-browser", "--allow-root"]
        options.append("--LabApp.expose_app_in_browser=True")
        command = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={folder}"]
        env = {**os.environ, **places, **environment}
        silent = subprocess.DEVNULL
        server = subprocess.Popen(command, env=env, stdout=silent, stderr=silent)
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(address, server)
            yield address
        finally:
            server.kill()  # asked to stop it takes its time, and its kernels end with it
            server.wait()


def wait_for(address: str, server: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5).close()
            return
        except OSError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.2)


def run_all(page: Page, address: str, name: str, meanwhile: Path | None = None, limit: float = 600) -> float:
    """Opens a notebook, runs all its cells, and waits until the last has run. Returns the seconds that they took; raises
    AssertionError with what a cell raised."""
    page.goto(f"{address}/lab/tree/{name}?reset")
    page.wait_for_function(READY, timeout=120_000)
    start = time.monotonic()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    shot = 0
    while time.monotonic() < start + limit:
        if error := page.evaluate(FIRST_ERROR):
            raise AssertionError(f"{name}: {error}")
        if page.evaluate(ALL_DONE):
            return time.monotonic() - start
        page.wait_for_timeout(500)
        if meanwhile and time.monotonic() > start + 8 * (shot + 1):
            shot += 1
            page.evaluate(SCROLL)
            page.wait_for_timeout(300)
            page.screenshot(path=meanwhile / f"{name}-{shot}.png")
    raise AssertionError(f"{name}: not done after {limit:.0f} seconds")


# Of the notebook as JupyterLab holds it, and not of the page, which has only the cells that are in sight.
NOTEBOOK = "window.jupyterapp?.shell.currentWidget"
MODEL = f"{NOTEBOOK}.content.model"
READY = f"() => {NOTEBOOK}?.context?.isReady && {NOTEBOOK}.sessionContext.isReady && {MODEL}.cells.length > 1"
CODE = f"[...{MODEL}.cells].filter(cell => cell.type == 'code' && cell.sharedModel.getSource().trim())"
ALL_DONE = f"() => {CODE}.every((cell, i) => cell.executionCount == i + 1)"
OUTPUTS = f"() => {CODE}.flatMap(cell => cell.sharedModel.outputs)"
# To the cell that is at work.
SCROLL = f"""() => {{
    const at = [...{MODEL}.cells].findIndex(cell => cell.type == 'code' && cell.executionCount == null);
    if (at >= 0) {NOTEBOOK}.content.scrollToItem(at, 'start');
}}"""
FIRST_ERROR = f"""() => {{
    for (const cell of {CODE})
        for (const output of cell.sharedModel.outputs)
            if (output.output_type == 'error') return output.ename + ': ' + output.evalue;
}}"""


@contextmanager
def copied_notebooks() -> Iterator[Path]:
    """A folder of copies of the notebooks, which the lab may save."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(shutil.copytree(ROOT / "notebooks", Path(folder, "notebooks")))


def main(out: Path, names: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as runs,
        copied_notebooks() as notebooks,
        jupyterlab(notebooks, {"CHARLM_RUNS": runs, "PYTHONPATH": str(ROOT)}) as address,
        sync_playwright() as playwright,
    ):
        browser = start_chromium(playwright)
        for path in sorted(notebooks.glob("*.ipynb")):
            if names and path.stem not in names:
                continue
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            try:
                seconds = run_all(page, address, path.name, out)
                print(f"{path.name}: {seconds:.0f} s", flush=True)
            except AssertionError as error:
                print(error, flush=True)
            page.set_viewport_size({"width": 1440, "height": 6000})
            page.evaluate(f"() => {NOTEBOOK}.content.scrollToItem(0, 'start')")
            page.wait_for_timeout(1000)
            page.screenshot(path=out / f"{path.name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
