"""A Chromium for what is tested in a browser."""

import os
import shutil

from playwright.sync_api import Browser, Playwright

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
