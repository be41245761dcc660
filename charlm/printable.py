"""Text that may come from anywhere, fit to be read: on a terminal, in a notebook, in the report."""

import unicodedata

KEPT = "\n\t\u200c\u200d"  # newline, tab, and the joiners that Persian, Indic scripts and emoji need
ACTIVE = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode categories: control, format, surrogate, line, paragraph


def visible(text: str) -> str:
    """The text with characters that act instead of showing (controls, bidi overrides, lone surrogates) written as
    ⟨U+202E⟩. Newlines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in ACTIVE and c not in KEPT else c for c in text)


def inline(text: str) -> str:
    """Visible text in one line: a newline shows as ↵, a tab as ⇥."""
    return visible(text).replace("\n", "↵").replace("\t", "⇥")
