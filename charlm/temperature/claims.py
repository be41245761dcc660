"""The source study's claims about text: each is judged here and nowhere else, from measured texts. What decides is fixed before a
run is measured.

A claim has the fields that charlm.claims reads: claim, measure (of what measured is the number), unit, published, measured, interval,
n (texts, or letters) and verdict. A claim that does not apply to a corpus is left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from charlm import stats
from charlm.temperature import measures
from charlm.temperature.measures import AS_RANDOM, AS_REAL, BEST_RANGE, Closest, Measured
from charlm.temperature.texts import STUDY_TEMPERATURES, RealText

MIN_TEXTS, MIN_LETTERS = 40, 5  # fewer at a temperature, or of a case, are not judged
UPPER_SHARE, LOWER_SHARE = 0.5, 0.1  # of the texts that begin with a speaker


@dataclass(frozen=True)
class Part:
    """One part of a claim: a number with its interval, whether the part holds, and whether its opposite does."""

    measure: str
    measured: float
    interval: tuple[float, float]
    holds: bool
    opposite: bool


def _beyond(measure: str, number: float, interval: tuple[float, float], threshold: float, above: bool) -> Part:
    """That the number lies above a threshold, or below it."""
    low, high = interval
    is_above, is_below = low > threshold, high < threshold
    return Part(measure, number, interval, is_above if above else is_below, is_below if above else is_above)


def _judged(claim: str, published: str, unit: str, n: int, parts: Sequence[Part], can_be_judged: bool = True) -> dict:
    """The claim, with the number of the part that decides, the first of equals."""
    opposite = [part for part in parts if part.opposite]
    missing = [part for part in parts if not part.holds]
    part = [*opposite, *missing, *parts][0]
    verdict = "confirmed"
    if not can_be_judged:
        verdict = stats.NOT_JUDGED
    elif opposite:
        verdict = "refuted"
    elif missing:
        verdict = stats.OPEN
    return {
        "claim": claim,
        "measure": part.measure,
        "unit": unit,
        "published": published,
        "measured": part.measured,
        "interval": list(part.interval),
        "n": n,
        "verdict": verdict,
    }


def claim_speakers(begun: dict[str, list[str]], real: RealText) -> dict | None:
    """On the texts begun with each letter. None where it cannot be asked."""
    shares = measures.speaker_shares(begun, real)
    if not shares:
        return None
    upper, lower = shares
    parts = []
    for case, share, threshold in (("upper", upper, UPPER_SHARE), ("lower", lower, LOWER_SHARE)):
        measure = f"texts that begin with a name after {case} case"
        parts.append(_beyond(measure, share.known_mean, share.interval or (0.0, 1.0), threshold, case == "upper"))
    text = "Upper-case prompts give speaker names, lower-case ones do not"
    published = "upper case: names; lower case: prose"
    enough = min(upper.n, lower.n) >= MIN_LETTERS
    return _judged(text, published, "share", upper.n + lower.n, parts, enough)


def claim_words(measured: Measured) -> dict | None:
    """At the study's temperatures. None where there are no words to look up."""
    tell = measures.words_tell(measured)
    parts = []
    # From the edge between the parts outwards.
    for t in sorted(STUDY_TEMPERATURES, key=lambda t: abs(math.log(t / 1.4))):
        share = measures.relative_words(measured, t)
        if share is None:
            return None
        rate, low, high = share
        measure = f"real words at T = {t:g}, relative to real text"
        if not tell:
            measure += "; that has no more of them than its shuffled characters"
        parts.append(_beyond(measure, rate, (low, high), AS_REAL if t <= 1 else AS_RANDOM, t <= 1))
    text = "Words are real up to T = 1 and look random from T = 2"
    published = "real up to T = 1, random from T = 2"
    enough = tell and measured.n >= MIN_TEXTS
    return _judged(text, published, "share", measured.n, parts, enough)


def claim_best(near: Closest | None, measured: Measured) -> dict | None:
    """None where no measure could be taken."""
    if near is None:
        return None
    least, limit = BEST_RANGE
    inside = least <= near.low and near.high < limit
    outside = near.high < least or near.low >= limit
    measure = "T at which text is closest to real text"
    if not near.learnt:
        measure += ", but no closer than its shuffled characters"
    part = Part(measure, near.best, (near.low, near.high), inside, outside)
    enough = near.learnt and measured.n >= MIN_TEXTS
    return _judged("0.5 ≤ T < 1 is best", "0.5 ≤ T < 1", "T", measured.n, [part], enough)


def claims_about_texts(
    begun: dict[str, list[str]], real: RealText, measured: Measured, near: Closest | None
) -> list[dict]:
    """The claims that can be asked of this corpus."""
    claims = [claim_speakers(begun, real), claim_words(measured), claim_best(near, measured)]
    return [claim for claim in claims if claim]
