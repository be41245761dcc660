"""The claims of the source study, one by one: each is judged here and nowhere else, those about text from measured
texts, the others from what the notebooks of a report found.

A claim is {"claim", "published", "measured", "interval": [low, high] or None, "n": runs or texts, "verdict"}. A claim that
does not apply to a corpus or a configuration is left out.
"""

import math
from collections import Counter
from collections.abc import Sequence

from scipy.special import stdtrit

from charlm import stats
from charlm.protocol import PUBLISHED
from charlm.records import Records, cells_in, crossing_epoch, of_cell, published_numbers
from charlm.show import Finding, Table, make_table
from charlm.stats import MARGIN, MIN_SEEDS, Estimate, Interval, Key
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
The texts come from one trained run, so the intervals leave out how runs differ; that is shown beside them where enough
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


def _verdict(holds: Sequence[bool], opposite: Sequence[bool]) -> str:
    if any(opposite):
        return "refuted"
    return "confirmed" if all(holds) else "too close to call"


def claim_speakers(begun: dict[str, list[str]], real: RealText) -> dict | None:
    """On the texts begun with each prompt. None where it cannot be asked."""
    shares = speaker_shares(begun, real)
    if not shares:
        return None
    upper, lower = shares
    judged = _verdict(
        holds=[upper.low > UPPER, lower.high < LOWER],
        opposite=[upper.high < UPPER, lower.low > LOWER],
    )
    measured = (
        f"{upper.rate:.1%} of the texts after upper case begin with one, {lower.rate:.1%} after lower case (95% interval "
        f"{lower.low:.1%} to {lower.high:.1%})"
    )
    return _claim(
        claim="Upper-case prompts give speaker names, lower-case ones do not.",
        published="upper case: names; lower case: prose",
        measured=measured,
        interval=(upper.low, upper.high),
        n=upper.total + lower.total,
        judged=judged if min(upper.total, lower.total) >= MIN_TEXTS else "not judged",
    )


def claim_words(measured: Measured) -> dict | None:
    """At the study's temperatures. None where there are no words to look up."""
    relative = {}
    for t in STUDY_TEMPERATURES:
        share = relative_words(measured, t)
        if share is None:
            return None
        relative[t] = share
    holds, opposite = [], []
    for t, (_, low, high) in relative.items():
        if t <= 1:
            holds.append(low > AS_REAL)
            opposite.append(high < AS_REAL)
        elif t >= 2:
            holds.append(high < AS_RANDOM)
            opposite.append(low > AS_RANDOM)
    judged = _verdict(holds, opposite)
    one, *interval = relative[1.0]
    two, low, high = relative[2.0]
    text = f"{one:.1%} of real text's rate at T = 1, {two:.1%} at T = 2 (95% interval {low:.1%} to {high:.1%})"
    if not words_tell(measured):
        judged = "not judged"
        text = f"real text has no more real words than its shuffled characters; {text}"
    return _claim(
        claim="Words are real up to T = 1 and look random from T = 2.",
        published="real up to T = 1, random from T = 2",
        measured=text,
        interval=interval,
        n=measured.n,
        judged=judged if measured.n >= MIN_TEXTS else "not judged",
    )


def claim_best(near: Closest | None, measured: Measured) -> dict | None:
    """None where no measure could be taken."""
    if near is None:
        return None
    least, limit = BEST_RANGE
    inside = least <= near.low and near.high < limit
    outside = near.high < least or near.low >= limit
    text = f"closest to real text at T = {near.best:g}"
    if not near.learnt:
        text += ", but no closer than the shuffled characters of real text"
    return _claim(
        claim="0.5 ≤ T < 1 is best.",
        published="0.5 ≤ T < 1",
        measured=text,
        interval=(near.low, near.high),
        n=measured.n,
        judged=_verdict([inside], [outside]) if near.learnt and measured.n >= MIN_TEXTS else "not judged",
    )


def claims_about_texts(
    begun: dict[str, list[str]], real: RealText, measured: Measured, near: Closest | None
) -> list[dict]:
    """The claims that can be asked of this corpus."""
    claims = [claim_speakers(begun, real), claim_words(measured), claim_best(near, measured)]
    return [claim for claim in claims if claim]


def text_claim_table(claims: list[dict]) -> Table:
    lines = []
    for c in claims:
        shown = {key: c[key] for key in ("claim", "published", "measured")}
        low, high = c["interval"] or (None, None)
        lines.append(shown | {"low": low, "high": high, "texts": c["n"], "verdict": c["verdict"]})
    caption = (
        "The source study's claims about text, and what was measured. Low and high are the 95% interval of the first "
        "number measured. The study had one sample of each kind. Texts: behind each number, or, where prompts are "
        "compared, behind both together."
    )
    return make_table("temperature-claims", lines, caption, formats=dict.fromkeys(("low", "high"), "{:.3f}"))


# ---------------------------------------------------------------------------------------------------------------------
# claims about losses, from what the notebooks found

CLAIM_RULE = f"""\
A published number comes from one run. It is *confirmed* where it lies within the 95% prediction interval for one more run
of ours (mean ± t · s · √(1 + 1/n) over n seeds), *refuted* where it lies outside, and *not judged* under {MIN_SEEDS}
seeds. Differences are judged by the rule that stands with the loss comparison (both parts have
to hold where a claim has two); claims about text by a rule of their own, which stands with the temperature study. That the size of the
training set causes the gap is *refuted* where the training loss on as many chunks as there are for validation is the same
as on all of them, the interval of the difference lying inside ±{MARGIN:g}, and *confirmed* where it lies above."""


def claim_rule() -> Finding:
    return Finding("claim-rule", CLAIM_RULE, {})


def published_claims(records: Records) -> list[dict]:
    """Every published number of a run against the runs that follow the study's protocol."""
    fields: tuple[tuple[str, str, Key], ...] = (
        ("stops at epoch", "epochs", "epochs"),
        ("training loss, last epoch", "train_loss_last", "train_loss_last"),
        ("validation loss, last epoch", "val_loss_last", "val_loss_last"),
        ("first epoch with validation above training", "crossing_epoch", crossing_epoch),
    )
    claims = []
    for cell, known in published_numbers(records).items():
        for name, field, key in fields:
            e = stats.seed_estimate(of_cell(records, cell), key)
            interval = one_more_run(e)
            judged = "not judged"
            if interval is not None:
                low, high = interval
                judged = "confirmed" if low <= known[field] <= high else "refuted"
            claims.append(_claim(f"{cell.upper()}: {name}", known[field], e.mean, interval, e.n, judged))
    return claims


def one_more_run(e: Estimate) -> Interval | None:
    """The 95% prediction interval for the value of one more seed; None under MIN_SEEDS."""
    if e.n < MIN_SEEDS or e.mean is None or e.sd is None:
        return None
    half = float(stdtrit(e.n - 1, 0.975)) * e.sd * math.sqrt(1 + 1 / e.n)
    return e.mean - half, e.mean + half


def better_cell_claims(records: Records) -> list[dict]:
    """That the LSTM is better, at the last and at the best epoch."""
    if not {"rnn", "lstm"} <= published_numbers(records).keys():
        return []
    difference = PUBLISHED["lstm"]["val_loss_last"] - PUBLISHED["rnn"]["val_loss_last"]
    claims = []
    for epoch, published in (("last", round(difference, 4)), ("best", "the LSTM is better")):
        e = stats.lstm_minus_rnn(records, epoch)
        judged = stats.judged_lower(e)
        claims.append(_claim(f"LSTM − RNN, validation loss, {epoch} epoch", published, e.mean, e.interval, e.n, judged))
    return claims


def overfitting_claims(results: dict) -> list[dict]:
    """What is said of the larger configuration, from the table of the loss comparison; only of the study's own two."""
    by_cell: dict[str, list[dict]] = {}
    for row in results["tables"].get("overfitting", []):
        by_cell.setdefault(row["cell"], []).append(row)
    claims = []
    for cell, rows in by_cell.items():
        last, best, gap, rise = rows  # in the order of overfitting_table()
        if not gap["seeds"]:
            continue
        both = stats.verdict_of_both(gap["verdict"], rise["verdict"])
        text = f"{cell}: 512 / 0.002 overfits (wider gap to training, and a rise above its best)"
        claims.append(_claim(text, "overfits", gap["estimate"], _interval(gap), gap["seeds"], both))
        for epoch, row in (("last", last), ("best", best)):
            text = f"{cell}: validation loss, {epoch} epoch, is higher with 512 / 0.002"
            claims.append(_claim(text, "higher", row["estimate"], _interval(row), row["seeds"], row["verdict"]))
    return claims


def gap_cause_claims(results: dict) -> list[dict]:
    """That validation loss is higher because the training set is larger."""
    values = results["findings"].get("gap-cause", {}).get("values", {})
    claims = []
    for cell in cells_in(results["runs"]):
        n = values.get(f"{cell}_size_n", 0)
        if not n:
            continue
        interval = _interval({"low": values[f"{cell}_size_low"], "high": values[f"{cell}_size_high"]})
        judged = stats.verdict(interval, n, claimed_sign=1)
        if judged == "no difference that matters":
            judged = "refuted"
        text = f"{cell.upper()}: the gap comes from the size of the training set (training loss, equal part − all)"
        claims.append(_claim(text, "is the cause", values[f"{cell}_size_mean"], interval, n, judged))
    return claims


def shown_text_claims(results: dict) -> list[dict]:
    """What is said of prompts and temperatures, as the temperature study judged it."""
    claims = []
    for r in results["tables"].get("temperature-claims", []):
        claims.append(_claim(r["claim"], r["published"], r["measured"], _interval(r), r["texts"], r["verdict"]))
    return claims


def _interval(row: dict) -> Interval | None:
    return None if row["low"] is None else (row["low"], row["high"])


def _claim(
    claim: str,
    published: str | float,
    measured: str | float | None,
    interval: Sequence[float | None] | None,
    n: int,
    judged: str,
) -> dict:
    return {
        "claim": claim,
        "published": published,
        "measured": measured,
        "interval": None if interval is None else list(interval),
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
        *better_cell_claims(runs),
        *(overfitting_claims(results) if own else []),
        *(gap_cause_claims(results) if own else []),
        *shown_text_claims(results),
    ]


def claim_table(claims: list[dict]) -> Table | None:
    """The claims as readers see them; None where no claim applies."""
    if not claims:
        return None

    rows = []
    for c in claims:
        form = _number_form(c)
        ends = [_number(x, form) for x in c["interval"] or ()]
        rows.append(
            {
                "claim": c["claim"],
                "published": _number(c["published"], form),
                "measured": c["measured"] and _number(c["measured"], form),
                "95% interval": "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}".join(ends) or None,
                "n": c["n"],
                "verdict": c["verdict"],
            }
        )
    counts = Counter(c["verdict"] for c in claims)
    verdicts = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
    caption = (
        f"The claims of the source study, one by one: {verdicts}. Losses in nats per character; n: runs, or texts for the "
        "claims about text."
    )
    return make_table("claims", rows, caption)


def _number_form(claim: dict) -> str:
    """How the numbers of a claim are written: shares and temperatures of text, epochs, losses."""
    if isinstance(claim["measured"], str):
        return ".1%" if "%" in claim["measured"] else ".3g"
    return ".1f" if isinstance(claim["published"], int) else ".4f"


def _number(value: str | float, form: str) -> str:
    return f"{value:{form}}".replace("-", "−") if isinstance(value, float) else str(value)
