"""What the page is made with, beside its template: a dark page, a policy, words, the project's place on the web."""

import base64
import hashlib
import html
import re
from io import BytesIO
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from pypdf import PdfReader
from small_notebooks import a_cell, arranged

from charlm.drawing import FONT
from charlm.report.arrange import project_links
from charlm.report.html import TEMPLATES, in_the_pages_letters, write_html
from charlm.report.pdf import make_pdf
from charlm.show import Samples, Table


def test_in_the_dark_the_paper_of_a_figure_is_the_pages(browser):
    page = browser.new_page(color_scheme="dark")
    paper = quote(
        '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10" fill="#fff"/></svg>'
    )
    style = (TEMPLATES / "report.css").read_text("utf-8")
    page.set_content(f'<style>{style} img {{ display: block; }}</style><img src="data:image/svg+xml,{paper}">')
    pixels = imread(BytesIO(page.screenshot(clip={"x": 0, "y": 0, "width": 60, "height": 60})))
    assert np.ptp(pixels.reshape(-1, pixels.shape[-1]), axis=0).max() == 0 and pixels[0, 0, 0] == pytest.approx(
        0x12 / 255
    )


def test_a_drawing_has_the_letters_of_the_page():
    svg = in_the_pages_letters(f"""<svg width="1"><text style="font-family: '{FONT}'; fill: red">a</text></svg>""")
    assert re.fullmatch(
        '<svg width="1"><style>text{font-family:system-ui.*}</style><text style="fill: red">a</text></svg>', svg
    )


def test_the_policy_names_each_script_and_style_by_its_hash(tmp_path):
    draws: dict = {"rnn": [], "lstm": [], "pairs": 0, "most_seeds": {"pairs": None}}
    play: dict = {"vocab": "ab", "models": {}, "missing": [], "text": None, "draws": draws}
    cells = [a_cell("# T"), a_cell("## Try it")]
    write_html(arranged(*cells, play=[Samples("play", [], "Texts.")]), tmp_path, play)
    page = (tmp_path / "report.html").read_text("utf-8")
    policy = re.search('http-equiv="Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; ") and "'unsafe" not in policy
    inside = re.findall("<(?:style|script)>(.*?)</(?:style|script)>", page, re.DOTALL)
    assert len(inside) == 3
    for part in inside:
        assert f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" in policy
    write_html(arranged(a_cell("# T")), tmp_path)
    assert "wasm" not in (tmp_path / "report.html").read_text("utf-8")


def test_text_is_never_markup(tmp_path):
    x = "<u>&amp;</u>"
    table = Table("t", pd.DataFrame({x: [x], "by": [x]}), "", groups="by")
    verse = {"label": x, "text": x + x, "prompt": x}
    samples = Samples("s", [verse, verse | {"verse": True}], "")
    shows = [a_cell("f", shows=table), a_cell("f", shows=samples)]
    write_html(arranged(a_cell("# T"), *shows), tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count(html.escape(x)) == 9 and x not in page


SIGNS = {
    "confirmed": "✓ confirmed",
    "refuted": "✗ refuted",
    "no difference that matters": "≈ no difference that matters",
    "too close to call": "? too close to call",
    "reproduced": "✓ reproduced",
    "not reproduced": "✗ not reproduced",
    "lower": "▼ lower",
    "higher": "▲ higher",
    "not judged": "– not judged",
    None: "–",
}


def test_a_verdict_has_a_sign_before_it_in_the_page_and_in_the_pdf(tmp_path):
    table = Table("t", pd.DataFrame({"verdict": [*SIGNS]}, dtype=object), "By verdict.")
    document = arranged(a_cell("# T"), a_cell("f", shows=table))
    write_html(document, tmp_path)
    page = (tmp_path / "report.html").read_text("utf-8")
    rows = re.findall('<th scope="row">(.*?)</th>', page.partition('id="tbl-provenance"')[0], re.DOTALL)
    assert [" ".join(re.sub("<[^>]+>", "", row).split()) for row in rows] == [*SIGNS.values()]
    make_pdf(document, tmp_path, lambda line: None)
    assert "\n".join(SIGNS.values()) in PdfReader(tmp_path / "report.pdf").pages[0].extract_text()


def test_the_page_links_to_the_project_where_it_is_said_where_that_is():
    assert project_links("") == {}
    assert [*project_links("https://example.org/o/r")] == ["repository", "notebooks on the web"]
    links = project_links("https://github.com/o/r")
    assert links["repository"] == "https://github.com/o/r"
    assert links["notebooks to run (Binder)"].startswith("https://mybinder.org/v2/gh/o/r/HEAD")
