"""What a notebook cell shows: figures, tables, samples, findings and results, each with the numbers behind it.

The last expression of a cell is one of the dataclasses below. JupyterLab shows it by _repr_mimebundle_; the
same numbers travel in the output's metadata under "charlm", where charlm.report reads them back from the
executed notebook. So what a reader sees in the lab, in the report and in results.json cannot come apart.

Captions, notes and the templates of findings are Markdown, written by the author of the notebook. Everything
that comes out of data (table cells, labels, generated text, values of findings) is plain text, escaped here.
"""

import base64
import html
import math
import re
import string
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from charlm.printable import inline, visible
from charlm.stats import Contrast

MISSING = "–"  # what a table cell or a finding shows where there is no number
# What stands before a verdict, so that it is told from others without colour.
SIGNS = {
    "confirmed": "✓",
    "reproduced": "✓",
    "refuted": "✗",
    "not reproduced": "✗",
    "no difference that matters": "≈",
    "too close to call": "?",
    "lower": "▼",
    "higher": "▲",
}
Bundle = tuple[dict, dict]  # what a cell shows by MIME type, and its metadata

# ---------------------------------------------------------------------------------------------------------------------
# text and numbers that are safe to show


def escape_markdown(text: str) -> str:
    """One line of Markdown that reads as exactly this text, in JupyterLab and in pandoc."""
    # Entities and not backslashes: they hold in table cells and at the start of a line too.
    active = r"[][&<>`*_{}#+!|$~^\"'\\@=:-]|^\s+|^\d+[.)](?=\s|$)"
    return re.sub(active, lambda m: "".join(f"&#{ord(c)};" for c in m[0]), inline(text))


def preformatted(text: str) -> str:
    """The text as HTML, to the letter; in JupyterLab too a line that is too long goes on below after a whole word."""
    style = "white-space: pre-wrap; word-break: normal; overflow-wrap: anywhere"
    return f'<pre dir="auto" style="{style}">{html.escape(text)}</pre>'


def _as_html(markdown: str) -> str:
    """An author's Markdown as it is typed; entities in it, which stand for the characters of a text, are shown as these."""
    return html.escape(html.unescape(markdown))


def _one_line(markdown: str) -> str:
    return " ".join(markdown.split())


def plain(value: object) -> Any:
    """The value as strict JSON has it: NumPy's and pandas' become Python's, NaN and infinity become None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return plain(value.tolist())
    if value is pd.NA or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def show_value(value: object, form: str = "{}") -> str:
    """A value as readers see it: a number by its format string, a missing one as a dash, text as it is."""
    value = plain(value)
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not _is_number(value):
        return inline(str(value))
    if isinstance(value, float) and value.is_integer() and form.endswith(("{}", "d}")):
        value = int(value)  # pandas keeps whole numbers as floats where one is missing
    if isinstance(value, float) and form == "{}":
        form = "{:.4g}"
    return re.sub(r"(?<!\w)-(?=\d)", "−", form.format(value))  # a minus sign, but not in 1e-05


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _holds_numbers(column: Sequence[object]) -> bool:
    """Numbers, or gaps in their place."""
    return all(value is None or _is_number(value) for value in column)


class _Fill(string.Formatter):
    """str.format for findings: numbers are shown as numbers, everything else is escaped."""

    def format_field(self, value: object, spec: str) -> str:
        if isinstance(value, Contrast):
            return format(value, spec)
        return escape_markdown(show_value(value, f"{{:{spec}}}" if spec else "{}"))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


# ---------------------------------------------------------------------------------------------------------------------
# the things a cell can show


@dataclass(frozen=True)
class Shown:
    """What has a name in results.json and in the report."""

    id: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_]+(-[A-Za-z0-9_]+)*", self.id):
            raise ValueError(f"id {self.id!r}: use Latin letters, digits, underscores and single hyphens")


@dataclass(frozen=True)
class Figure(Shown):
    """A drawing in two formats. caption (Markdown) says what is found in it, alt (plain text) what is seen in
    it, rows are the numbers drawn: a list of dicts, one a point. wide: it takes the width of the page, not of the text.
    narrow: the same as SVG for a phone, its panels below each other.
    """

    svg: str
    png: bytes
    caption: str
    alt: str
    rows: list[dict] = field(default_factory=list)
    wide: bool = False
    narrow: str = ""

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        source = _base64(self.svg.encode())
        page = (
            f'<figure><img style="max-width: 100%" src="data:image/svg+xml;base64,{source}" '
            f'alt="{html.escape(self.alt)}"><figcaption>{_as_html(self.caption)}</figcaption></figure>'
        )
        data = {
            "text/html": page,
            "image/svg+xml": self.svg,
            "image/png": _base64(self.png),
            "text/plain": self.alt,
        }
        looks = {"wide": self.wide, "narrow": self.narrow}
        return data, {"charlm": {"kind": "figure", "id": self.id} | self._facts | looks}

    @property
    def _facts(self) -> dict:
        return {"caption": self.caption, "alt": self.alt, "rows": plain(self.rows)}


@dataclass(frozen=True)
class Table(Shown):
    """The columns of a frame; its index is not shown. formats gives a column its format string, as in
    {"loss": "{:.4f}"}; columns of numbers are set to the right. Cells and column names are plain text,
    caption and note (a line under the table) are Markdown. In the report verdicts, in a column of this name, have signs.

    groups names a column: rows that have the same there stand together under it.
    """

    frame: pd.DataFrame
    caption: str
    formats: dict[str, str] = field(default_factory=dict)
    note: str = ""
    groups: str = ""
    contrasts: tuple[Contrast, ...] = ()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        columns = [str(c) for c in self.frame.columns]
        forms = [self.formats.get(c, "{}") for c in self.frame.columns]
        values = [plain(list(row)) for row in self.frame.itertuples(index=False)]
        cells = [list(map(show_value, row, forms)) for row in values]
        right = [_holds_numbers(column) for column in zip(*values, strict=True)] or [False] * len(columns)
        shown = pd.DataFrame(cells, columns=columns)
        words = [column for column, is_number in zip(columns, right, strict=True) if not is_number]
        styled = shown.style.hide(axis="index").format(escape="html").format_index(escape="html", axis="columns")
        # JupyterLab sets all cells to the right.
        styled = styled.set_table_styles({word: [{"selector": "", "props": "text-align: left"}] for word in words})
        page = styled.to_html(table_uuid=self.id)
        data = {
            "text/html": f"<p>{_as_html(self.caption)}</p>{page}<p>{_as_html(self.note)}</p>",
            "text/plain": shown.to_string(index=False),
        }
        rows = [dict(zip(columns, row, strict=True)) for row in values]
        facts = {"kind": "table", "id": self.id, "caption": self.caption, "note": self.note, "rows": rows}
        looks = {"columns": columns, "cells": cells, "right": right, "groups": self.groups}
        return data, {"charlm": facts | looks | contrast_facts(self.contrasts)}


@dataclass(frozen=True)
class Samples(Shown):
    """Generated texts, shown to the letter: items are dicts of a label, a text, and the numbers behind it; where the text
    begins with what was given and not drawn, that as prompt; verse: the text is set as verse. columns: side by side.
    """

    items: list[dict]
    caption: str
    columns: bool = False

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        pairs = [(inline(i["label"]), visible(i["text"])) for i in self.items]
        page = "".join(
            f"<figure><figcaption>{html.escape(label)}</figcaption>{preformatted(text)}</figure>"
            for label, text in pairs
        )
        data = {
            "text/html": f"<div>{page}<p>{_as_html(self.caption)}</p></div>",
            "text/plain": "\n".join(f"{label}\n{textwrap.indent(text, '    ')}" for label, text in pairs),
        }
        facts = {"kind": "samples", "id": self.id, "caption": self.caption, "items": plain(self.items)}
        return data, {"charlm": facts | {"columns": self.columns}}


@dataclass(frozen=True)
class Finding(Shown):
    """A sentence that follows from numbers. text is a template of str.format in Markdown, filled from values:
    Finding("gap", "The gap is {gap:.4f} nats.", {"gap": 0.0123}). heading, one such line without a full stop, becomes the
    heading of its section, whose question then stands below it.
    """

    text: str
    values: dict
    heading: str = ""
    contrasts: tuple[Contrast, ...] = ()

    @property
    def filled(self) -> str:
        """The sentence as Markdown, its values escaped."""
        return self._fill(self.text)

    def _fill(self, template: str) -> str:
        return _Fill().vformat(template, (), self.values)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        numbers = {name: value for name, value in self.values.items() if not isinstance(value, Contrast)}
        kind = type(self).__name__.lower()
        facts = {"kind": kind, "id": self.id, "text": self.filled, "values": plain(numbers)}
        told = self.filled
        if self.heading:
            facts["heading"] = _one_line(self._fill(self.heading))
            told = f"**{facts['heading']}.** {told}"
        return {"text/markdown": told, "text/plain": html.unescape(told)}, {
            "charlm": facts | contrast_facts(self.contrasts)
        }


@dataclass(frozen=True)
class Provenance(Finding):
    """How a study was made: in the report it stands in the last chapter."""


def contrast_facts(contrasts: Iterable[Contrast]) -> dict:
    """What a cell's output carries of the claimed differences that it speaks of: {key: what results.json has of it}."""
    facts = {c.key: plain(c.facts) for c in contrasts}
    return {"contrasts": facts} if facts else {}


def finding_values(results: dict, id: str) -> dict:
    """The values behind a finding in results.json; none where no cell showed it."""
    return results["findings"].get(id, {}).get("values", {})


@dataclass(frozen=True)
class Cards(Shown):
    """What the report found, each in one sentence: items are dicts of a text (Markdown), the section that it leads to (the
    id of the finding that heads it), and a small figure or None.
    """

    items: list[dict]

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        listed = "\n".join(f"- {_one_line(item['text'])}" for item in self.items)
        items = []
        for item in self.items:
            figure = item["figure"]
            drawn = figure and {"id": figure.id, "svg": figure.svg, "png": _base64(figure.png)} | figure._facts
            items.append({"text": item["text"], "section": item["section"], "figure": drawn})
        data = {"text/markdown": listed, "text/plain": html.unescape(listed)}
        return data, {"charlm": {"kind": "cards", "id": self.id, "items": items}}


@dataclass(frozen=True)
class Results:
    """Numbers for results.json that the page does not print, as Results({"runs": [...]})."""

    data: dict

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Bundle:
        held = ", ".join(f"{k} ({len(v)})" if isinstance(v, list | dict) else k for k, v in self.data.items())
        return {"text/plain": f"results: {held}"}, {"charlm": {"kind": "results", "data": plain(self.data)}}


def facts_of(shown: Any) -> dict:
    """What the report reads of a thing that a cell shows."""
    return shown._repr_mimebundle_()[1]["charlm"]


# ---------------------------------------------------------------------------------------------------------------------
# what is said of claimed differences


def answer(id: str, contrasts: Iterable[Contrast], heading: str, text: str, **values: object) -> Finding | None:
    """What a section found, resting on these contrasts: a heading and a text, templates that are filled from values. None
    where none of the contrasts was found, so that the section has no answer and is left out of the report."""
    found = tuple(c for c in contrasts if c.difference.n)
    return Finding(id, text, values, heading, found) if found else None
