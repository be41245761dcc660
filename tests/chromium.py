"""A Chromium for what is tested in a browser."""

import os
import shutil

import pytest
from playwright.sync_api import Browser, Error, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def start_chromium(playwright: Playwright) -> Browser:
    """A Chromium: the one that CHROMIUM names, one on the path, or Chrome or Edge where their installers put them.
    Continuous integration has to have one."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    channels = [None] if path else ["chrome", "msedge"]
    for channel in channels:
        try:
            return playwright.chromium.launch(args=["--no-sandbox"], executable_path=path, channel=channel)
        except Error as error:
            failed = str(error).splitlines()[0]
    if os.environ.get("CI") == "true":
        pytest.fail(f"no Chromium to test in: {failed}")
    pytest.skip("left out: what is tested in a browser, for want of a Chromium (CHROMIUM=path names one)")
