"""The fonts that a page is measured in: those which come with matplotlib, since every system has others."""

import base64
from functools import cache
from pathlib import Path

import matplotlib
from playwright.sync_api import Page

FILES = {"serif": "DejaVuSerif.ttf", "sans": "DejaVuSans.ttf", "mono": "DejaVuSansMono.ttf"}

# By the document's own objects, which the page's policy lets be. Letters keep their widths whatever a screen would round.
USE = """async fonts => {
  const root = document.documentElement
  root.style.textRendering = 'geometricPrecision'
  for (const [name, data] of Object.entries(fonts)) {
    const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0))
    document.fonts.add(await new FontFace(`tested ${name}`, bytes).load())
    root.style.setProperty(`--${name}`, `"tested ${name}"`)
  }
  for (const formula of document.querySelectorAll('math')) formula.style.fontFamily = 'var(--serif)'
  await document.fonts.ready
}"""


@cache
def fonts() -> dict[str, str]:
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    return {name: base64.b64encode((folder / file).read_bytes()).decode() for name, file in FILES.items()}


def use_tested_fonts(page: Page) -> None:
    """Whatever the page shows from now on is in them."""
    page.evaluate(USE, fonts())
    families = "[...new Set([...document.body.querySelectorAll('*')].map(e => getComputedStyle(e).fontFamily))]"
    assert {name for name in page.evaluate(families) if not name.startswith('"tested ')} == set()
