"""A Chromium for what is tested in a browser."""

import importlib.util
import os
import shutil
import time
from pathlib import Path

from playwright.sync_api import Browser, Frame, Page, Playwright

PLACES = (  # a name on the path, or where Chrome's and Edge's installers put them
    "chromium",
    "chromium-browser",
    "google-chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, PLACES)), None)
LEFT_OUT = not CHROMIUM and os.environ.get("CI") != "true"  # continuous integration has to have one


def start_chromium(playwright: Playwright) -> Browser:
    """The one that CHROMIUM names, or one that is found."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def axe_violations(page: Page, context: str = "html") -> list[dict]:
    """What axe-core finds wrong in the page, or in the part of it that a selector names."""
    # Not by the package's own class: as it is imported, it reads its script in the encoding of the system.
    package = importlib.util.find_spec("axe_playwright_python")
    assert package and package.origin
    page.evaluate(Path(package.origin).with_name("axe.min.js").read_text("utf-8"))
    return page.evaluate("context => axe.run(context)", context)["violations"]


def until(page: Page | Frame, test: str, given: object = None) -> None:
    """Waits until a function of JavaScript is true (Playwright's own way needs eval, which the page's policy forbids)."""
    end = time.monotonic() + 60
    while not page.evaluate(test, given):
        assert time.monotonic() < end, test
        page.wait_for_timeout(20)
