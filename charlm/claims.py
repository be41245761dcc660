"""The claims of the source study, one by one: each is judged here and nowhere else, those about text from measured
texts, the others from what the notebooks of a report found.

A claim is {"claim", "measure": of what measured is the number, "unit": a key of FORMS, "published", "measured",
"interval": [low, high] or None, "of": what the interval is of, "n": runs or texts, "verdict"}. Where a claim has several parts,
measured is of the one that decides. A claim that does not apply to a corpus or a configuration is left out.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from charlm import stats
from charlm.protocol import PUBLISHED
from charlm.records import Records, cells_in, crossing_epoch, of_cell, published_numbers
from charlm.show import Finding, Table, Tiles, finding_values
from charlm.stats import MARGIN, MIN_SEEDS, Estimate, Interval, Key
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
from charlm.temperature.texts import STUDY_TEMPERATURES, RealText

# ---------------------------------------------------------------------------------------------------------------------
# claims about text: what decides is fixed here, before a run is measured

MIN_TEXTS = 40  # fewer are not judged
UPPER, LOWER = 0.5, 0.1  # of the texts that begin with a speaker

TEXT_CLAIM_RULE = f"""\
The texts come from one trained run, so the intervals leave out how runs differ; the temperature study shows it where enough
runs were trained. Each claim is judged from them, on at least {MIN_TEXTS} texts at a temperature or of a case; with fewer
it is *not judged*. It is *confirmed* where every part of it holds, *refuted* where the opposite of a part holds, otherwise
*too close to call*. A 95% interval has to lie wholly on one side of a threshold.

- A prompt *gives a speaker* where the share of texts that begin with one, drawn at T = 0.5, is above {UPPER:.0%}, and
  gives none where it is below {LOWER:.0%}. The opposites: below {UPPER:.0%} after upper case, above {LOWER:.0%} after
  lower case.
- Words are *real* where the share of words that the rest of the corpus has is above {AS_REAL:.0%} of the share in real
  text set aside, and *random* where it is below {AS_RANDOM:.0%} of it. Where real text has no larger share than the
  same text with its characters shuffled, words cannot tell and the claim is *not judged*.
- A range of temperatures is *best* where it holds the whole 95% interval of the temperature at which drawn text is
  closest to real text; the opposite is that it holds none of it. Where drawn text is no closer than shuffled text,
  the claim is *not judged*."""


def text_claim_rule() -> Finding:
    values = {"min_texts": MIN_TEXTS, "as_real": AS_REAL, "as_random": AS_RANDOM, "upper": UPPER, "lower": LOWER}
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
    """On the texts begun with each prompt. None where it cannot be asked."""
    shares = speaker_shares(begun, real)
    if not shares:
        return None
    upper, lower = shares
    measure = "texts that begin with a name after {} case"
    of_upper = (upper.low, upper.high)
    of_lower = (lower.low, lower.high)
    part, judged = _decisive(
        [
            Part(measure.format("upper"), upper.rate, of_upper, upper.low > UPPER, upper.high < UPPER),
            Part(measure.format("lower"), lower.rate, of_lower, lower.high < LOWER, lower.low > LOWER),
        ]
    )
    n = upper.total + lower.total
    if min(upper.total, lower.total) < MIN_TEXTS:
        judged = "not judged"
    text = "Upper-case prompts give speaker names, lower-case ones do not"
    published = "upper case: names; lower case: prose"
    return _claim(text, part.measure, "share", published, part.measured, part.interval, "share of texts", n, judged)


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
        lines.append(line | {"low": low, "high": high, "of": c["of"], "texts": c["n"], "verdict": c["verdict"]})
    caption = "The source study's claims about text, and what was measured, with its 95% interval."
    return make_table("temperature-claims", lines, caption, formats=dict.fromkeys(("low", "high"), "{:.3f}"))


# ---------------------------------------------------------------------------------------------------------------------
# claims about losses, from what the notebooks found

VERDICTS = ("confirmed", "refuted", "no difference that matters", "too close to call", "not judged")
ONE_MORE, MEAN = "one more run", "mean difference"  # what an interval is of
# How the numbers of a claim are written, by their unit.
FORMS = {"nats": ".4f", "difference": "+.4f", "epoch": ".1f", "share": ".1%", "T": "g"}
PUBLISHED_FORMS = {"epoch": "d"}

CLAIM_RULE = f"""\
A published number comes from one run. It is *confirmed* where it lies within the 95% prediction interval for one more run
of ours (mean ± t · s · √(1 + 1/n) over n seeds), *refuted* where it lies outside, and *not judged* under {MIN_SEEDS}
seeds. Differences are judged by [the rule of verdicts](#verdict-rule) (both parts have
to hold where a claim has two). That the size of the training set causes the gap is *refuted* where the training loss on as many chunks as there are for validation is the same
as on all of them, the interval of the difference lying inside ±{MARGIN:g}, and *confirmed* where it lies above."""


def claim_rule() -> Finding:
    return Finding("claim-rule", CLAIM_RULE, {})


def published_claims(records: Records) -> list[dict]:
    """Every published number of a run against the runs that follow the study's protocol."""
    fields: tuple[tuple[str, str, Key, str, str], ...] = (
        ("stops at epoch", "epochs", "epochs", "epoch, mean", "epoch"),
        ("training loss, last epoch", "train_loss_last", "train_loss_last", "mean, nats", "nats"),
        ("validation loss, last epoch", "val_loss_last", "val_loss_last", "mean, nats", "nats"),
        ("first epoch with validation above training", "crossing_epoch", crossing_epoch, "epoch, mean", "epoch"),
    )
    claims = []
    for cell, known in published_numbers(records).items():
        for name, field, key, measure, unit in fields:
            e = stats.seed_estimate(of_cell(records, cell), key)
            interval = one_more_run(e)
            judged = "not judged"
            if interval is not None:
                low, high = interval
                judged = "confirmed" if low <= known[field] <= high else "refuted"
            text = f"{cell.upper()}: {name}"
            claims.append(_claim(text, measure, unit, known[field], e.mean, interval, ONE_MORE, e.n, judged))
    return claims


def one_more_run(e: Estimate) -> Interval | None:
    """The 95% prediction interval for the value of one more seed; None under MIN_SEEDS."""
    if e.n < MIN_SEEDS or e.mean is None or e.sd is None:
        return None
    half = float(stdtrit(e.n - 1, 0.975)) * e.sd * math.sqrt(1 + 1 / e.n)
    return e.mean - half, e.mean + half


def better_cell_claims(results: dict) -> list[dict]:
    """That the LSTM is better, at the last and at the best epoch."""
    difference = PUBLISHED["lstm"]["val_loss_last"] - PUBLISHED["rnn"]["val_loss_last"]
    claims = []
    for epoch, published in (("last", round(difference, 4)), ("best", "the LSTM is better")):
        c = results["contrasts"].get(f"losses/{epoch}/lstm-rnn")
        if c:
            text = f"The LSTM has the lower validation loss, {epoch} epoch"
            claims.append(_of_contrast(text, "LSTM − RNN, nats", published, c, stats.LOWER))
    return claims


def overfitting_claims(results: dict) -> list[dict]:
    """What is said of the larger configuration."""
    contrasts = results["contrasts"]
    claims = []
    for cell in cells_in(results["runs"]):
        both = [contrasts.get(f"overfitting/{part}/{cell}") for part in ("gap", "rise")]
        if None in both:
            continue
        gap, rise = (stats.claim_verdict(c["verdict"], stats.HIGHER) for c in both)
        weaker = both[0] if stats.verdict_of_both(gap, rise) == gap else both[1]  # which decides
        name = cell.upper()
        measure = "rise above its best, nats" if weaker is both[1] else f"gap to training, {LARGER_MINUS}"
        claims.append(_of_contrast(f"{name}: 512 / 0.002 overfits", measure, "overfits", weaker, stats.HIGHER))
        for epoch in ("last", "best"):
            text = f"{name}: 512 / 0.002 has the higher validation loss, {epoch} epoch"
            c = contrasts[f"overfitting/{epoch}/{cell}"]
            claims.append(_of_contrast(text, LARGER_MINUS, "higher", c, stats.HIGHER))
    return claims


LARGER_MINUS = "larger − smaller model, nats"


def _of_contrast(text: str, measure: str, published: str | float, c: dict, claimed: str) -> dict:
    """A claim that a difference in results.json is LOWER or HIGHER."""
    judged = stats.claim_verdict(c["verdict"], claimed)
    return _claim(text, measure, "difference", published, c["mean"], _interval(c), MEAN, c["n"], judged)


def gap_cause_claims(results: dict) -> list[dict]:
    """That validation loss is higher because the training set is larger."""
    values = finding_values(results, "gap-cause")
    claims = []
    for cell in cells_in(results["runs"]):
        n = values.get(f"{cell}_size_n", 0)
        if not n:
            continue
        interval = _interval({"low": values[f"{cell}_size_low"], "high": values[f"{cell}_size_high"]})
        judged = stats.verdict(interval, n, claimed_sign=1)
        if judged == "no difference that matters":
            judged = "refuted"
        text = f"{cell.upper()}: the gap comes from the size of the training set"
        measure = "training loss, equal part − all, nats"
        mean = values[f"{cell}_size_mean"]
        claims.append(_claim(text, measure, "difference", "is the cause", mean, interval, MEAN, n, judged))
    return claims


def shown_text_claims(results: dict) -> list[dict]:
    """What is said of prompts and temperatures, as the temperature study judged it."""
    claims = []
    for r in results["tables"].get("temperature-claims", []):
        told = (r["claim"], r["measure"], r["unit"], r["published"], r["measured"])
        claims.append(_claim(*told, _interval(r), r["of"], r["texts"], r["verdict"]))
    return claims


def _interval(row: dict) -> Interval | None:
    return None if row["low"] is None else (row["low"], row["high"])


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


# ---------------------------------------------------------------------------------------------------------------------
# all of them


def all_claims(results: dict) -> list[dict]:
    """Every claim that applies to what the notebooks found."""
    runs = results["runs"]
    own = published_numbers(runs)
    return [
        *published_claims(runs),
        *(better_cell_claims(results) if {"rnn", "lstm"} <= own.keys() else []),
        *(overfitting_claims(results) if own else []),
        *(gap_cause_claims(results) if own else []),
        *shown_text_claims(results),
    ]


def what_became_of_them(claims: list[dict]) -> Finding:
    """How many claims hold, and why two that seem to contradict each other do not."""
    if not claims:
        text = "The claims are about another text and other settings."
        return Finding("claims-judged", text, {}, "No claim of the study can be judged here")
    counts = Counter(c["verdict"] for c in claims)
    values: dict[str, float | str] = {"n": len(claims)}
    values["counts"] = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    text = " ".join(filter(None, [_losses_and_difference(claims, values), _far_and_confirmed(claims, values)]))
    is_the_studys = any(c["of"] == ONE_MORE for c in claims)
    heading = (
        "Of the study's {n} claims: {counts}"
        if is_the_studys
        else "Of {n} claims that can be asked of this text: {counts}"
    )
    return Finding("claims-judged", text, values, heading)


def _losses_and_difference(claims: list[dict], values: dict) -> str:
    """Both losses may be confirmed and their difference refuted."""
    known = {c["claim"]: c for c in claims}
    losses = [known.get(f"{cell}: validation loss, last epoch") for cell in ("RNN", "LSTM")]
    difference = known.get("The LSTM has the lower validation loss, last epoch")
    if not difference or difference["verdict"] != "refuted":
        return ""
    if any(loss is None or loss["verdict"] != "confirmed" for loss in losses):
        return ""
    low, high = difference["interval"]
    values |= {"half": (high - low) / 2}
    values["one"] = max((c["interval"][1] - c["interval"][0]) / 2 for c in losses if c)
    return (
        "Both published losses are confirmed and their difference is refuted: one run may fall ±{one:.3f} nats from our mean, "
        "while the mean difference is known to ±{half:.3f}."
    )


def _far_and_confirmed(claims: list[dict], values: dict) -> str:
    """A published value may lie far from the mean of few seeds and be confirmed."""
    far: tuple[float, float, dict] | None = None
    for c in claims:
        if c["of"] != ONE_MORE or c["verdict"] != "confirmed":
            continue
        low, high = c["interval"]
        reach = float(stdtrit(c["n"] - 1, 0.975)) * math.sqrt(1 + 1 / c["n"])  # in standard deviations
        away = abs(c["published"] - c["measured"]) / ((high - low) / 2) * reach if high > low else 0.0
        if away > max(2.0, far[0] if far else 0.0):
            far = (away, reach, c)
    if not far:
        return ""
    values["away"], values["reach"], claim = far
    values |= {"which": claim["claim"], "seeds": claim["n"]}
    return (
        "A value {away:.1f} standard deviations away ({which}) is confirmed too: from {seeds} seeds, one more run is known no "
        "better than to ±{reach:.1f} of them."
    )


def _by_verdict(claims: list[dict]) -> list[dict]:
    return sorted(claims, key=lambda c: VERDICTS.index(c["verdict"]))


def claim_table(claims: list[dict]) -> Table | None:
    """The claims as readers see them, grouped by verdict; None where no claim applies."""
    if not claims:
        return None
    rows = []
    for c in _by_verdict(claims):
        form = FORMS[c["unit"]]
        ends = [_number(x, form) for x in c["interval"] or ()]
        rows.append(
            {
                "claim": c["claim"],
                "what is measured": c["measure"],
                "published": _number(c["published"], PUBLISHED_FORMS.get(c["unit"], form)),
                "measured": None if c["measured"] is None else _number(c["measured"], form),
                "95% interval": "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}".join(dict.fromkeys(ends)) or None,
                "interval of": c["of"],
                "n": c["n"],
                "verdict": c["verdict"],
            }
        )
    caption = "The study's claims by verdict; where one has several parts, the numbers are of the part that decides. n: runs or texts."
    return make_table("claims", rows, caption, groups="verdict", row_ids="claim")


def claim_tiles(claims: list[dict]) -> Tiles | None:
    if not claims:
        return None
    items = [
        {"label": c["claim"], "verdict": c["verdict"], "target": f"claim-{i}"}
        for i, c in enumerate(_by_verdict(claims), 1)
    ]
    return Tiles("claims", items)


def _number(value: str | float, form: str) -> str:
    return value if isinstance(value, str) else f"{value:{form}}".replace("-", "−")
