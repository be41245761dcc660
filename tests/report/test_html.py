"""What the page is made with, beside its template: colours for a dark page, a policy, words, the project's address."""

import base64
import hashlib
import html
import re

import pandas as pd
import pytest
from pypdf import PdfReader
from small_notebooks import a_cell, arranged

from charlm.report.address import read_address, with_address
from charlm.report.html import dark_colour, in_both_schemes, write_html
from charlm.report.pdf import make_pdf
from charlm.show import Samples, Table


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("colour", ["000000", "5a5a5a", "e6e6e6", "bf4900", "0068a8"])
def test_a_colour_stands_out_from_a_dark_page_no_less_than_from_a_light_one(colour):
    on_white = 1.05 / (luminance(colour) + 0.05)
    on_dark = (luminance(dark_colour(colour)) + 0.05) / (luminance("121212") + 0.05)
    assert on_dark >= min(on_white, 15)


def test_white_becomes_the_dark_page_and_colours_keep_their_hue():
    assert dark_colour("ffffff") == "121212"
    red, green, blue = (int(dark_colour("bf4900")[i : i + 2], 16) for i in (0, 2, 4))
    assert red > green > blue


def test_a_drawing_has_its_colours_for_both_schemes():
    svg = in_both_schemes('<?xml version="1.0"?>\n<svg width="1"><path style="fill: #bf4900; stroke: #222222"/></svg>')
    assert 'style="fill: var(--cbf4900); stroke: var(--c222222)"' in svg
    light, dark = re.search(
        r"<svg width=\"1\"><style>(.*)@media screen and \(prefers-color-scheme:dark\)(.*)</style>", svg
    ).groups()
    assert "--cbf4900:#bf4900;" in light and f"--cbf4900:#{dark_colour('bf4900')};" in dark


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


PAGE = "<p>PDF<!-- address --></p><pre>@software{charlm<!-- url -->\n}</pre>"


def test_the_address_is_filled_in_where_places_are_kept_for_it():
    page = with_address(PAGE, "https://github.com/o/r")
    assert '<a href="https://github.com/o/r">repository</a>' in page
    assert "mybinder.org/v2/gh/o/r/HEAD" in page and "<!--" not in page
    assert "charlm,\n  url = {https://github.com/o/r}\n}" in page
    assert "binder" not in with_address(PAGE, "https://example.org/o/r")


@pytest.mark.parametrize(
    ("line", "address"),
    [
        ("", ""),
        ("repository-code:", ""),
        ("repository-code: https://github.com/o/r/", "https://github.com/o/r"),
        ('repository-code: "https://github.com/o/r"', "https://github.com/o/r"),
        ("repository-code: javascript:alert(1)", ""),
    ],
)
def test_the_address_is_one_optional_field(line, address, tmp_path):
    citation = tmp_path / "CITATION.cff"
    citation.write_text(f"cff-version: 1.2.0\n{line}\nversion: 1\n")
    assert read_address(citation) == address
