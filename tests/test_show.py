"""What a cell shows carries its numbers, and text from a corpus never acts."""

import base64
import html
import json

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from charlm.show import Cards, Figure, Finding, Results, Samples, Table, escape_markdown, plain

HOSTILE = "`a` $x$ <script>alert(1)</script> &amp; | ]]> \\ {{ y }} *b* _i_ [l](http://x.y) #let\n::: div\n```\0\u202e"


LONG = "long " * 20 + "end"


def shown(thing):
    """(data, facts): the representations, and the charlm metadata of what Jupyter would store."""
    data, metadata = DisplayFormatter().format(thing)
    json.dumps([data, metadata], allow_nan=False)
    return data, metadata["charlm"]


def test_a_figure_carries_both_drawings_its_texts_and_its_numbers():
    data, facts = shown(Figure("loss", "<svg/>", b"png", "It *falls*.", 'a "line"', [{"x": np.int64(1), "y": np.nan}]))
    assert data["image/svg+xml"] == "<svg/>"
    assert base64.b64decode(data["image/png"]) == b"png"
    assert 'alt="a &quot;line&quot;"' in data["text/html"]
    about = {"kind": "figure", "id": "loss", "caption": "It *falls*.", "alt": 'a "line"', "wide": False, "narrow": ""}
    assert facts == about | {"rows": [{"x": 1, "y": None}]}


def test_a_table_keeps_raw_values_and_shows_formatted_ones():
    frame = pd.DataFrame({"cell": ["<i>", LONG], "loss": [-1.23456, np.nan], "epoch": [28, None], "gap": [None, None]})
    data, facts = shown(
        Table("losses", frame, "Losses.", {"loss": "{:.3f}", "epoch": "{:d}"}, "A note.", groups="cell")
    )
    assert facts["rows"] == [
        {"cell": "<i>", "loss": -1.23456, "epoch": 28, "gap": None},
        {"cell": LONG, "loss": None, "epoch": None, "gap": None},
    ]
    assert facts["columns"] == ["cell", "loss", "epoch", "gap"] and facts["groups"] == "cell"
    assert facts["cells"] == [["<i>", "−1.235", "28", "–"], [LONG, "–", "–", "–"]]
    assert facts["right"] == [False, True, True, True]  # text to the left, numbers to the right
    assert ">−1.235</td>" in data["text/html"]
    assert ">&lt;i&gt;</td>" in data["text/html"] and LONG in data["text/html"]
    assert data["text/html"].count("text-align: left") == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(28330.0, "28330"), (0.123456, "0.1235"), (1e-5, "1e-05"), (True, "yes"), (None, "–"), ("a-b", "a-b")],
)
def test_without_a_format_a_value_is_shown_plainly(value, text):
    _, facts = shown(Table("t", pd.DataFrame({"x": [value]}, dtype=object), ""))
    assert facts["cells"] == [[text]]


def test_a_table_without_rows_can_be_shown():
    data, facts = shown(Table("empty", pd.DataFrame(columns=["a", "b"]), "Nothing."))
    assert (facts["rows"], facts["columns"], facts["right"]) == ([], ["a", "b"], [False, False])
    assert "<th" in data["text/html"]


def test_samples_keep_the_text_to_the_letter_and_show_what_would_act():
    items = [{"label": "prompt 'A'", "text": HOSTILE, "seed": 3, "prompt": "`a`", "verse": True}]
    data, facts = shown(Samples("prompts", items, "Text.", columns=True))
    assert facts["items"] == items and facts["columns"]
    assert "<script>" not in data["text/html"]
    assert "⟨U+0000⟩⟨U+202E⟩" in data["text/html"]


def test_text_is_never_markup():
    x = "<script>&</script>"
    figure = Figure("f", "<svg/>", b"", caption=x, alt=x)
    table = Table("t", pd.DataFrame({x: [x]}), caption=x, note=x)
    samples = Samples("s", [{"label": x, "text": x}], caption=x)
    for thing, texts in ((figure, 2), (table, 4), (samples, 3)):
        assert shown(thing)[0]["text/html"].count(html.escape(x)) == texts


def test_a_character_that_a_caption_holds_as_an_entity_is_shown_as_it_is():
    caption = "After " + escape_markdown("'A'") + "."
    assert "After &#x27;A&#x27;." in shown(Figure("f", "<svg/>", b"", caption, ""))[0]["text/html"]


def test_a_finding_is_filled_from_its_values_with_their_text_escaped():
    values = {"who": "*R*", "gap": -0.5, "n": 3, "none": None}
    data, facts = shown(Finding("gap", "**{who}**: {gap:+.2f} of {n}, {none}", values, "The {who}\nis better"))
    assert facts["text"] == "**&#42;R&#42;**: −0.50 of 3, –" and facts["values"] == values
    assert facts["heading"] == "The &#42;R&#42; is better"
    assert data["text/markdown"] == f"**{facts['heading']}.** {facts['text']}"
    with pytest.raises(KeyError):
        shown(Finding("gap", "{absent}", {}))


def test_cards_carry_their_figures_with_their_numbers():
    figure = Figure("card-seeds", "<svg/>", b"png", "c", "a", [{"x": 1}])
    items: list[dict] = [
        {"text": "Seeds *matter*.", "section": "seeds", "figure": figure},
        {"text": "So.", "section": "b", "figure": None},
    ]
    data, facts = shown(Cards("cards", items))
    assert data["text/markdown"] == "- Seeds *matter*.\n- So."
    first, second = facts["items"]
    assert first["figure"]["id"] == "card-seeds" and first["figure"]["rows"] == [{"x": 1}]
    assert second == {"text": "So.", "section": "b", "figure": None}


def test_results_show_only_what_they_hold():
    data, facts = shown(Results({"runs": [1, 2], "extra": 3}))
    assert data == {"text/plain": "results: runs (2), extra"}
    assert facts == {"kind": "results", "data": {"runs": [1, 2], "extra": 3}}


@pytest.mark.parametrize("id", ["", "a b", "a--b", "ü", "../x", "a\n"])
def test_an_id_is_latin_words_with_hyphens(id):
    with pytest.raises(ValueError, match="use Latin letters"):
        Finding(id, "", {})


def test_escaped_markdown_has_no_active_character():
    assert not set("`*_{}[]<>&#|$~^\\@\n") & set(escape_markdown(HOSTILE).replace("&#", ""))
    assert escape_markdown("1. item") == "&#49;&#46; item"
    assert escape_markdown("plain words, 0.5 and (so) on.") == "plain words, 0.5 and (so) on."


def test_plain_is_strict_json():
    assert plain({1: np.array([1.5, np.inf]), "b": (np.bool_(True), pd.NA, pd.NaT, np.float32(0.5))}) == {
        "1": [1.5, None],
        "b": [True, None, None, 0.5],
    }
