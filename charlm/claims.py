"""The claims of the source study, one by one: each is judged here and nowhere else, those about text from measured
texts, the others from what the notebooks of a report found.

A claim is {"claim", "published", "measured", "interval": [low, high] or None, "n": runs or texts, "verdict"}. A claim that
does not apply to a corpus or a configuration is left out.
"""

import math
from collections.abc import Sequence

from scipy.special import stdtrit

from charlm import stats
from charlm.protocol import PUBLISHED
from charlm.records import Records, cells_in, crossing_epoch, of_cell, published_numbers
from charlm.show import Finding, Table, make_table
from charlm.stats import MARGIN, MIN_SEEDS
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
    return "refuted" if any(opposite) else "confirmed" if all(holds) else "too close to call"


def claim_speakers(begun: dict[str, list[str]], real: RealText) -> dict | None:
    """On the texts begun with each prompt. None where it cannot be asked."""
    shares = speaker_shares(begun, real)
    if not shares:
        return None
    up, low = shares
    judged = _verdict([up.low > UPPER, low.high < LOWER], [up.high < UPPER, low.low > LOWER])
    return {
        "claim": "Upper-case prompts give speaker names, lower-case ones do not.",
        "published": "upper case: names; lower case: prose",
        "measured": f"{up.rate:.1%} of the texts after upper case begin with one, {low.rate:.1%} after lower case "
        f"(95% interval {low.low:.1%} to {low.high:.1%})",
        "interval": [up.low, up.high],
        "n": up.total + low.total,
        "verdict": judged if min(up.total, low.total) >= MIN_TEXTS else "not judged",
    }


def claim_words(measured: Measured) -> dict | None:
    """At the study's temperatures. None where there are no words to look up."""
    found = {t: relative_words(measured, t) for t in STUDY_TEMPERATURES}
    if not all(found.values()):
        return None
    (one, low, high), two = found[1.0], found[2.0]
    parts = {t: f for t, f in found.items() if t <= 1}, {t: f for t, f in found.items() if t >= 2}
    judged = _verdict(
        [f[1] > AS_REAL for f in parts[0].values()] + [f[2] < AS_RANDOM for f in parts[1].values()],
        [f[2] < AS_REAL for f in parts[0].values()] + [f[1] > AS_RANDOM for f in parts[1].values()],
    )
    text = f"{one:.1%} of real text's rate at T = 1, {two[0]:.1%} at T = 2 (95% interval {two[1]:.1%} to {two[2]:.1%})"
    if not words_tell(measured):
        judged, text = "not judged", "real text has no more real words than its shuffled characters; " + text
    return {
        "claim": "Words are real up to T = 1 and look random from T = 2.",
        "published": "real up to T = 1, random from T = 2",
        "measured": text,
        "interval": [low, high],
        "n": measured.n,
        "verdict": judged if measured.n >= MIN_TEXTS else "not judged",
    }


def claim_best(near: Closest | None, measured: Measured) -> dict | None:
    """None where no measure could be taken."""
    if near is None:
        return None
    inside = BEST_RANGE[0] <= near.low and near.high < BEST_RANGE[1]
    outside = near.high < BEST_RANGE[0] or near.low >= BEST_RANGE[1]
    text = f"closest to real text at T = {near.best:g}"
    if not near.learnt:
        text += ", but no closer than the shuffled characters of real text"
    return {
        "claim": "0.5 ≤ T < 1 is best.",
        "published": "0.5 ≤ T < 1",
        "measured": text,
        "interval": [near.low, near.high],
        "n": measured.n,
        "verdict": _verdict([inside], [outside]) if near.learnt and measured.n >= MIN_TEXTS else "not judged",
    }


def claims_about_texts(
    begun: dict[str, list[str]], real: RealText, measured: Measured, near: Closest | None
) -> list[dict]:
    """The claims that can be asked of this corpus."""
    found = claim_speakers(begun, real), claim_words(measured), claim_best(near, measured)
    return [claim for claim in found if claim]


def text_claim_table(found: list[dict]) -> Table:
    lines = []
    for c in found:
        shown = {k: c[k] for k in ("claim", "published", "measured")}
        low, high = c["interval"] or (None, None)
        lines.append(shown | {"low": low, "high": high, "texts": c["n"], "verdict": c["verdict"]})
    caption = (
        "The source study's claims about text, and what was measured. Low and high are the 95% interval of the first "
        "number measured. The study had one sample of each kind. Texts: behind each number, or, where prompts are compared, behind both together."
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
    claims = []
    for cell, known in published_numbers(records).items():
        runs = of_cell(records, cell)
        for name, key, field in (
            ("stops at epoch", "epochs", "epochs"),
            ("training loss, last epoch", "train_loss_last", "train_loss_last"),
            ("validation loss, last epoch", "val_loss_last", "val_loss_last"),
            ("first epoch with validation above training", crossing_epoch, "crossing_epoch"),
        ):
            e = stats.seed_estimate(runs, key)
            interval, judged = None, "not judged"
            if e.n >= MIN_SEEDS:
                half = float(stdtrit(e.n - 1, 0.975)) * e.sd * math.sqrt(1 + 1 / e.n)
                interval = [e.mean - half, e.mean + half]
                judged = "confirmed" if interval[0] <= known[field] <= interval[1] else "refuted"
            claims.append(_claim(f"{cell.upper()}: {name}", known[field], e.mean, interval, e.n, judged))
    return claims


def better_cell_claims(records: Records) -> list[dict]:
    """That the LSTM is better, at the last and at the best epoch."""
    if not {"rnn", "lstm"} <= published_numbers(records).keys():
        return []
    difference = PUBLISHED["lstm"]["val_loss_last"] - PUBLISHED["rnn"]["val_loss_last"]
    claims = []
    for epoch, published in (("last", round(difference, 4)), ("best", "the LSTM is better")):
        e = stats.lstm_minus_rnn(records, epoch)
        judged = stats.verdict(e.interval, e.n, claimed_sign=-1)
        claims.append(_claim(f"LSTM − RNN, validation loss, {epoch} epoch", published, e.mean, e.interval, e.n, judged))
    return claims


def overfitting_claims(results: dict) -> list[dict]:
    """What is said of the larger configuration, from the table of the loss comparison; only of the study's own two."""
    claims = []
    rows = results["tables"].get("overfitting", [])
    by = {(r["cell"], r["quantity"].partition(",")[0], "best" in r["quantity"]): r for r in rows}
    for cell in dict.fromkeys(r["cell"] for r in rows if r["seeds"]):
        gap, rise = by[cell, "gap", False], by[cell, "rise above best", True]
        both = stats.verdict_of_both(gap["verdict"], rise["verdict"])
        interval = None if gap["low"] is None else [gap["low"], gap["high"]]
        text = f"{cell}: 512 / 0.002 overfits (wider gap to training, and a rise above its best)"
        claims.append(_claim(text, "overfits", gap["estimate"], interval, gap["seeds"], both))
        for epoch, best in (("last", False), ("best", True)):
            row = by[cell, "validation loss", best]
            interval = None if row["low"] is None else [row["low"], row["high"]]
            text = f"{cell}: validation loss, {epoch} epoch, is higher with 512 / 0.002"
            claims.append(_claim(text, "higher", row["estimate"], interval, row["seeds"], row["verdict"]))
    return claims


def gap_cause_claims(results: dict) -> list[dict]:
    """That validation loss is higher because the training set is larger."""
    values, claims = results["findings"].get("gap-cause", {}).get("values", {}), []
    for cell in cells_in(results["runs"]):
        n = values.get(f"{cell}_size_n", 0)
        if not n:
            continue
        low, high = values[f"{cell}_size_low"], values[f"{cell}_size_high"]
        interval = None if low is None else [low, high]
        judged = stats.verdict(interval, n, claimed_sign=1)
        judged = "refuted" if judged == "no difference that matters" else judged
        text = f"{cell.upper()}: the gap comes from the size of the training set (training loss, equal part − all)"
        claims.append(_claim(text, "is the cause", values[f"{cell}_size_mean"], interval, n, judged))
    return claims


def shown_text_claims(results: dict) -> list[dict]:
    """What is said of prompts and temperatures, as the temperature study judged it."""
    return [
        _claim(
            r["claim"],
            r["published"],
            r["measured"],
            None if r["low"] is None else [r["low"], r["high"]],
            r["texts"],
            r["verdict"],
        )
        for r in results["tables"].get("temperature-claims", [])
    ]


def _claim(claim: str, published: object, measured: object, interval: object, n: int, judged: str) -> dict:
    interval = None if interval is None else list(interval)
    return {
        "claim": claim,
        "published": published,
        "measured": measured,
        "interval": interval,
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

    def number(x: object, of: dict) -> str:
        if isinstance(of["measured"], str):
            form = ".1%" if "%" in of["measured"] else ".3g"
        else:
            form = ".1f" if isinstance(of["published"], int) else ".4f"
        return f"{x:{form}}".replace("-", "−") if isinstance(x, float) else str(x)

    rows = [
        {
            "claim": c["claim"],
            "published": number(c["published"], c),
            "measured": c["measured"] and number(c["measured"], c),
            "95% interval": c["interval"] and "\u00a0to\u00a0".join(number(x, c) for x in c["interval"]),
            "n": c["n"],
            "verdict": c["verdict"],
        }
        for c in claims
    ]
    counted = {v: sum(c["verdict"] == v for c in claims) for v in dict.fromkeys(c["verdict"] for c in claims)}
    caption = (
        f"The claims of the source study, one by one: {', '.join(f'{n} {v}' for v, n in counted.items())}. Losses in nats per "
        "character; n: runs, or texts for the claims about text."
    )
    return make_table("claims", rows, caption)
