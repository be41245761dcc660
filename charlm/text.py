"""Measures of text, and of the distributions that it is drawn from."""

import unicodedata
from collections.abc import Container, Sequence

import numpy as np
from scipy.special import entr

from charlm_core import code_points


def words(text: str) -> list[str]:
    """The words of a text in order, case-folded: runs of letters, their marks, and apostrophes inside. Where a
    script writes no spaces between words (Chinese, Thai), a run between two punctuation marks counts as one word.
    """
    text = text.casefold().replace("’", "'")
    # A text has few different characters: each is looked up once.
    spaces = {ord(c): " " for c in set(text) if not _in_word(c)}
    runs = text.translate(spaces).split()
    return [run.strip("'") for run in runs if run.strip("'")]


def _in_word(c: str) -> bool:
    # Python's \w leaves out combining marks: words of Hindi or of decomposed French would fall apart at each.
    return c in "'’" or unicodedata.category(c)[0] in "LM"


def whole_words(text: str) -> list[str]:
    """The words of a piece of text without a first or last one that may have been cut off."""
    whole = words(text)
    if whole and _in_word(text[0]):
        whole = whole[1:]
    if whole and _in_word(text[-1]):
        whole = whole[:-1]
    return whole


def with_whole_words(text: str, start: int, stop: int) -> str:
    """text[start:stop], made longer until the words at its ends are whole, with a character that is in no word beyond them."""
    while start > 0 and _in_word(text[start]):
        start -= 1
    while stop < len(text) and _in_word(text[stop - 1]):
        stop += 1
    return text[start:stop]


def real_words(text: str, lexicon: Container[str]) -> tuple[int, int]:
    """How many of how many whole words are in the lexicon. Short words are hit by chance: even random letters score
    above zero.
    """
    whole = whole_words(text)
    return sum(word in lexicon for word in whole), len(whole)


def is_heading(line: str) -> bool:
    """Whether a line is a speaker's name as plays print it: words and a colon, nothing else."""
    return line.endswith(":") and bool(words(line)) and not set(line[:-1]) & set(".,;:!?-")


def starts_speaker(text: str) -> bool:
    """Whether the first line is a speaker's name."""
    line, newline, _ = text.partition("\n")
    return bool(newline) and is_heading(line)


def whole_lines(text: str) -> list[str]:
    """The lines of a piece of text without the first and the last, which may have been cut off."""
    return text.split("\n")[1:-1]


def known_headings(text: str, known: Container[str]) -> tuple[int, int]:
    """How many of the whole lines that end in a colon are a heading that is known."""
    lines = [line for line in whole_lines(text) if line.endswith(":")]
    return sum(is_heading(line) and line in known for line in lines), len(lines)


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Entropy in nats of distributions over the last axis: (..., vocabulary) gives (...)."""
    return entr(np.asarray(probabilities, dtype=np.float64)).sum(axis=-1)


def distinct_sequences(texts: Sequence[str], n: int, others: int) -> list[tuple[int, int]]:
    """For each text, how many of its n-character sequences are neither earlier in it nor in the so many texts after it
    (around the end; fewer where there are not so many), and how many it has. The share is what a text adds to the
    distinct-n of a set: J. Li et al., A Diversity-Promoting Objective Function for Neural Conversation Models, NAACL
    2016. It falls as texts and sets grow, so compare texts of one length in sets of one size.
    """
    sequences = [_sequences(text, n) for text in texts]
    kinds = [set(own) for own in sequences]
    after = min(others, len(texts) - 1)
    around = kinds + kinds[:after]
    pairs = []
    for i, own in enumerate(kinds):
        elsewhere = set[str]().union(*around[i + 1 : i + 1 + after])
        pairs.append((len(own - elsewhere), len(sequences[i])))
    return pairs


def _sequences(text: str, n: int) -> list[str]:
    """All sequences of n characters, overlapping."""
    return [text[i : i + n] for i in range(len(text) - n + 1)]


def longest_copies(texts: Sequence[str], source: Sequence[str]) -> np.ndarray:
    """The length of the longest passage of each text that occurs in a text of the source: (texts,), 0 where nothing does.

    Passages of one length are numbered, all at once, and one that is longer by a character is the pair of a number and
    a character; only passages found on both sides go on to the next length.
    """
    together = [*texts, *source]
    codes, ids = np.unique(code_points("".join(together)), return_inverse=True)  # ids (characters,)
    ends = np.cumsum([len(t) for t in together])  # where each text ends
    owner = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))  # the text of each character
    is_ours = owner < len(texts)
    longest = np.zeros(len(texts), int)
    # Of the passages that are still in the running: where each starts, and its number among those of its length.
    starts = np.arange(len(ids))
    numbers = np.zeros(len(ids), np.int64)
    for length in range(1, len(ids) + 1):
        fits = starts + length <= ends[owner[starts]]  # no passage goes on from one text into the next
        starts = starts[fits]
        longer = numbers[fits] * len(codes) + ids[starts + length - 1]
        distinct, numbers = np.unique(longer, return_inverse=True)
        ours = is_ours[starts]
        on_both_sides = _marked(numbers[ours], len(distinct)) & _marked(numbers[~ours], len(distinct))
        remaining = on_both_sides[numbers]
        starts = starts[remaining]
        numbers = numbers[remaining]
        if not len(starts):
            break
        longest[owner[starts[ours[remaining]]]] = length
    return longest


def _marked(numbers: np.ndarray, size: int) -> np.ndarray:
    """Which of so many numbers occur: (size,) booleans."""
    marks = np.zeros(size, bool)
    marks[numbers] = True
    return marks
