"""What a cell shows carries its numbers, and text from a corpus never acts."""

import base64
import json

import nbformat
import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

from charlm.show import Cards, Figure, Finding, Results, Samples, Table, escape_markdown, plain

HOSTILE = "`a` $x$ <script>alert(1)</script> | ]]> \\ {{ y }} *b* _i_ [l](http://x.y) #let\n::: div\n```\0\u202e"


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
    assert facts == {
        "kind": "figure",
        "id": "loss",
        "caption": "It *falls*.",
        "alt": 'a "line"',
        "rows": [{"x": 1, "y": None}],
        "wide": False,
        "narrow": "",
    }


def test_a_table_keeps_raw_values_and_shows_formatted_ones():
    frame = pd.DataFrame({"cell": ["rnn", "lstm"], "loss": [-1.23456, np.nan], "epoch": [28, None]})
    data, facts = shown(Table("losses", frame, "Losses.", {"loss": "{:.3f}", "epoch": "{:d}"}, "A note."))
    assert facts["rows"] == [
        {"cell": "rnn", "loss": -1.23456, "epoch": 28},
        {"cell": "lstm", "loss": None, "epoch": None},
    ]
    assert facts["columns"] == ["cell", "loss", "epoch"]
    assert facts["cells"] == [["rnn", "−1.235", "28"], ["lstm", "–", "–"]]
    assert facts["right"] == [False, True, True]  # text to the left, numbers to the right
    assert '<td style="text-align: right">−1.235</td>' in data["text/html"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.0, "2"), (28330.0, "28330"), (0.123456, "0.1235"), (1e-5, "1e-05"), (True, "yes"), (None, "–"), ("a-b", "a-b")],
)
def test_without_a_format_a_value_is_shown_plainly(value, text):
    data, _ = shown(Table("t", pd.DataFrame({"x": [value]}, dtype=object), ""))
    assert f">{text}</td>" in data["text/html"]


def test_a_table_says_by_what_its_rows_are_grouped():
    frame = pd.DataFrame({"x": ["a", "b", "c"], "kind": ["odd", "even", "odd"]})
    _, facts = shown(Table("t", frame, "", groups="kind", row_ids="claim"))
    assert (facts["groups"], facts["row_ids"]) == ("kind", "claim")
    with pytest.raises(ValueError, match="groups names a column that the frame lacks: sort"):
        Table("t", frame, "", groups="sort")


def test_a_table_without_rows_can_be_shown():
    data, facts = shown(Table("empty", pd.DataFrame(columns=["a", "b"]), "Nothing."))
    assert facts["rows"] == []
    assert facts["columns"] == ["a", "b"] and "<th" in data["text/html"]


def test_a_table_refuses_what_it_cannot_keep_apart():
    with pytest.raises(ValueError, match="two columns of one name"):
        Table("t", pd.DataFrame([[1, 2]], columns=["a", "a"]), "")
    with pytest.raises(ValueError, match="formats name columns that the frame lacks: \\['b'\\]"):
        Table("t", pd.DataFrame({"a": [1]}), "", {"b": "{}"})


def test_samples_keep_the_text_to_the_letter_and_show_what_would_act():
    data, facts = shown(Samples("prompts", [{"label": "prompt 'A'", "text": HOSTILE, "seed": 3}], "Text."))
    assert facts["items"] == [{"label": "prompt 'A'", "text": HOSTILE, "seed": 3}]
    assert "<script>" not in data["text/html"]
    assert "⟨U+0000⟩⟨U+202E⟩" in data["text/html"]
    with pytest.raises(ValueError, match="label and a text"):
        Samples("prompts", [{"text": "a"}], "")


def test_samples_say_what_was_given_and_how_they_are_set():
    _, facts = shown(Samples("s", [{"label": "l", "text": "\0ab", "prompt": "\0a", "verse": True}], "", columns=True))
    assert facts["columns"]
    assert facts["items"] == [{"label": "l", "text": "\0ab", "prompt": "\0a", "verse": True}]
    with pytest.raises(ValueError, match="does not begin with its prompt"):
        Samples("s", [{"label": "l", "text": "ab", "prompt": "b"}], "")


def test_a_finding_is_filled_from_its_values_with_their_text_escaped():
    data, facts = shown(
        Finding("gap", "**{who}**: {gap:+.2f} of {n}, {none}", {"who": "*R*", "gap": -0.5, "n": 3, "none": None})
    )
    assert data["text/markdown"] == facts["text"] == "**&#42;R&#42;**: −0.50 of 3, –"
    assert facts["values"] == {"who": "*R*", "gap": -0.5, "n": 3, "none": None}
    with pytest.raises(KeyError):
        shown(Finding("gap", "{absent}", {}))


def test_a_finding_may_have_a_heading_filled_from_the_same_values():
    data, facts = shown(Finding("gap", "By {gap:.1f}.", {"gap": 0.5, "who": "_R_"}, "The {who}\nis better"))
    assert facts["heading"] == "The &#95;R&#95; is better"
    assert data["text/markdown"] == "**The &#95;R&#95; is better.** By 0.5."


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


@pytest.mark.parametrize("id", ["", "a b", "-a", "a--b", "ü", "../x", "a\n"])
def test_an_id_is_latin_words_with_hyphens(id):
    with pytest.raises(ValueError, match="use Latin letters"):
        Finding(id, "", {})


def test_what_is_shown_survives_a_notebook_file():
    data, metadata = Figure("f", "<svg>\n</svg>", b"\x89PNG", "c", "a", [])._repr_mimebundle_()
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("f", outputs=[output])])
    again = nbformat.reads(nbformat.writes(notebook), as_version=4).cells[0].outputs[0]
    assert again.data["image/svg+xml"] == "<svg>\n</svg>"
    assert again.metadata["charlm"]["id"] == "f"


def test_escaped_markdown_has_no_active_character():
    assert not set("`*_{}[]<>#|$~^\\@\n") & set(escape_markdown(HOSTILE).replace("&#", ""))
    assert escape_markdown("1. item") == "&#49;&#46; item"
    assert escape_markdown("plain words, 0.5 and (so) on.") == "plain words, 0.5 and (so) on."


def test_plain_is_strict_json():
    assert plain({1: np.array([1.5, np.inf]), "b": (np.bool_(True), pd.NA, pd.NaT, np.float32(0.5))}) == {
        "1": [1.5, None],
        "b": [True, None, None, 0.5],
    }
