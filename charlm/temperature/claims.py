"""The source study's claims about text: each is judged here and nowhere else, from measured texts. What decides is fixed before a
run is measured.

A claim has the fields that charlm.claims reads: claim, measure (of what measured is the number), unit, published, measured, interval,
of (what the interval is of), n (texts, or letters) and verdict. A claim that does not apply to a corpus is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from charlm.show import Finding, Table
from charlm.tables import make_table
from charlm.temperature.measures import (
    AS_RANDOM,
    AS_REAL,
    BEST_RANGE,
    Closest,
    Measured,
    relative_words,
    speaker_shares,
    words_tell,
)
from charlm.temperature.texts import LETTERS, STUDY_TEMPERATURES, RealText

MIN_TEXTS, MIN_LETTERS = 40, 5  # fewer at a temperature, or of a case, are not judged
UPPER_SHARE, LOWER_SHARE = 0.5, 0.1  # of the texts that begin with a speaker

TEXT_CLAIM_RULE = f"""\
The texts come from one trained run, the one with the lowest validation loss, so the intervals leave out how runs differ; the
temperature study shows it where enough runs were trained. Each claim is judged on at least {MIN_TEXTS} texts at a temperature or
{MIN_LETTERS} letters of a case; with fewer it is *not judged*. It is *confirmed* where every part of it holds, *refuted* where the opposite of a part holds, otherwise
*too close to call*. A 95% interval has to lie wholly on one side of a threshold.

- Letters of a case *give a speaker* where the share of texts that begin with one, drawn at T = 0.5, is above {UPPER_SHARE:.0%}, and
  give none where it is below {LOWER_SHARE:.0%}. The opposites: below {UPPER_SHARE:.0%} after upper case, above {LOWER_SHARE:.0%} after
  lower case. One letter differs from the next, so the share is a mean over the letters of a case (all, or the {LETTERS} most
  frequent), and its interval is over letters (Student's t).
- Words are *real* where the share of words that the rest of the corpus has is above {AS_REAL:.0%} of the share in real
  text set aside, and *random* where it is below {AS_RANDOM:.0%} of it. Where real text has no larger share than the
  same text with its characters shuffled, words cannot tell and the claim is *not judged*.
- A range of temperatures is *best* where it holds the whole 95% interval of the temperature at which drawn text is
  closest to real text, all measures weighing the same; the opposite is that it holds none of it. Where drawn text is no closer than shuffled text,
  the claim is *not judged*."""


def text_claim_rule() -> Finding:
    values = {
        "min_texts": MIN_TEXTS,
        "as_real": AS_REAL,
        "as_random": AS_RANDOM,
        "upper": UPPER_SHARE,
        "lower": LOWER_SHARE,
        "min_letters": MIN_LETTERS,
    }
    return Finding("temperature-claim-rule", TEXT_CLAIM_RULE, values)


@dataclass(frozen=True)
class Part:
    """One part of a claim: a number with its interval, whether the part holds, and whether its opposite does."""

    measure: str
    measured: float
    interval: tuple[float, float]
    holds: bool
    opposite: bool


def _decisive(parts: Sequence[Part]) -> tuple[Part, str]:
    """The part that decides, the first of equals, and the verdict."""
    for part in parts:
        if part.opposite:
            return part, "refuted"
    for part in parts:
        if not part.holds:
            return part, "too close to call"
    return parts[0], "confirmed"


def claim_speakers(begun: dict[str, list[str]], real: RealText) -> dict | None:
    """On the texts begun with each letter. None where it cannot be asked."""
    shares = speaker_shares(begun, real)
    if not shares:
        return None
    upper, lower = shares
    parts = []
    for case, share, names in (("upper", upper, True), ("lower", lower, False)):
        low, high = share.interval or (0.0, 1.0)
        holds, opposite = (low > UPPER_SHARE, high < UPPER_SHARE) if names else (high < LOWER_SHARE, low > LOWER_SHARE)
        measure = f"texts that begin with a name after {case} case"
        parts.append(Part(measure, share.known_mean, (low, high), holds, opposite))
    part, judged = _decisive(parts)
    if min(upper.n, lower.n) < MIN_LETTERS:
        judged = "not judged"
    text = "Upper-case prompts give speaker names, lower-case ones do not"
    published = "upper case: names; lower case: prose"
    of, n = "mean over letters", upper.n + lower.n
    return _claim(text, part.measure, "share", published, part.measured, part.interval, of, n, judged)


def claim_words(measured: Measured) -> dict | None:
    """At the study's temperatures. None where there are no words to look up."""
    parts = []
    for t in sorted(
        STUDY_TEMPERATURES, key=lambda t: abs(math.log(t / 1.4))
    ):  # from the edge between the parts outwards
        share = relative_words(measured, t)
        if share is None:
            return None
        rate, low, high = share
        measure = f"real words at T = {t:g}, relative to real text"
        if t <= 1:
            parts.append(Part(measure, rate, (low, high), low > AS_REAL, high < AS_REAL))
        elif t >= 2:
            parts.append(Part(measure, rate, (low, high), high < AS_RANDOM, low > AS_RANDOM))
    part, judged = _decisive(parts)
    measure = part.measure
    if not words_tell(measured):
        judged = "not judged"
        measure += "; that has no more of them than its shuffled characters"
    if measured.n < MIN_TEXTS:
        judged = "not judged"
    text = "Words are real up to T = 1 and look random from T = 2"
    published = "real up to T = 1, random from T = 2"
    return _claim(
        text, measure, "share", published, part.measured, part.interval, "ratio of shares", measured.n, judged
    )


def claim_best(near: Closest | None, measured: Measured) -> dict | None:
    """None where no measure could be taken."""
    if near is None:
        return None
    least, limit = BEST_RANGE
    inside = least <= near.low and near.high < limit
    outside = near.high < least or near.low >= limit
    interval = (near.low, near.high)
    part, judged = _decisive([Part("T at which text is closest to real text", near.best, interval, inside, outside)])
    measure = part.measure
    if not near.learnt:
        measure += ", but no closer than its shuffled characters"
    if not near.learnt or measured.n < MIN_TEXTS:
        judged = "not judged"
    return _claim("0.5 ≤ T < 1 is best", measure, "T", "0.5 ≤ T < 1", near.best, interval, "that T", measured.n, judged)


def claims_about_texts(
    begun: dict[str, list[str]], real: RealText, measured: Measured, near: Closest | None
) -> list[dict]:
    """The claims that can be asked of this corpus."""
    claims = [claim_speakers(begun, real), claim_words(measured), claim_best(near, measured)]
    return [claim for claim in claims if claim]


def text_claim_table(claims: list[dict]) -> Table:
    """The claims about text; their numbers have no one format."""
    lines = []
    for c in claims:
        low, high = c["interval"]
        line = {key: c[key] for key in ("claim", "measure", "unit", "published", "measured")}
        lines.append(line | {"low": low, "high": high, "of": c["of"], "n": c["n"], "verdict": c["verdict"]})
    caption = (
        "The source study's claims about text, and what was measured, with its 95% interval over n texts or letters."
    )
    return make_table("temperature-claims", lines, caption, formats=dict.fromkeys(("low", "high"), "{:.3f}"))


def _claim(
    claim: str,
    measure: str,
    unit: str,
    published: str | float,
    measured: float | None,
    interval: Sequence[float] | None,
    of: str,
    n: int,
    judged: str,
) -> dict:
    return {
        "claim": claim,
        "measure": measure,
        "unit": unit,
        "published": published,
        "measured": measured,
        "interval": None if interval is None else list(interval),
        "of": of,
        "n": n,
        "verdict": judged,
    }
