"""The claims of the source study, one by one, judged from what the notebooks of a report found.

A claim is {"claim", "published", "measured", "interval": [low, high] or None, "n": runs or texts, "verdict"}. A claim that
does not apply to a corpus or a configuration is left out.
"""

import math

from scipy.special import stdtrit

import charlm_study as study
from charlm_show import Finding, Table
from charlm_study import Records

CLAIM_RULE = f"""\
A published number comes from one run. It is *confirmed* where it lies within the 95% prediction interval for one more run
of ours (mean ± t · s · √(1 + 1/n) over n seeds), *refuted* where it lies outside, and *not judged* under {study.MIN_SEEDS}
seeds. Differences are judged by the rule that stands with the loss comparison (both parts have
to hold where a claim has two); claims about text by a rule of their own, which stands with the temperature study. That the size of the
training set causes the gap is *refuted* where the training loss on as many chunks as there are for validation is the same
as on all of them, the interval of the difference lying inside ±{study.MARGIN:g}, and *confirmed* where it lies above."""


def reproduced(records: Records) -> list[dict]:
    """Every published number of a run against the runs that follow the study's protocol."""
    claims = []
    for cell, known in study.published(records).items():
        runs = study.of(records, cell)
        for name, key, field in (
            ("stops at epoch", "epochs", "epochs"),
            ("training loss, last epoch", "train_loss_last", "train_loss_last"),
            ("validation loss, last epoch", "val_loss_last", "val_loss_last"),
            ("first epoch with validation above training", study.crossing_epoch, "crossing_epoch"),
        ):
            e = study.seed_estimate(runs, key)
            interval, judged = None, "not judged"
            if e.n >= study.MIN_SEEDS:
                half = float(stdtrit(e.n - 1, 0.975)) * e.sd * math.sqrt(1 + 1 / e.n)
                interval = [e.mean - half, e.mean + half]
                judged = "confirmed" if interval[0] <= known[field] <= interval[1] else "refuted"
            claims.append(_claim(f"{cell.upper()}: {name}", known[field], e.mean, interval, e.n, judged))
    return claims


def better(records: Records) -> list[dict]:
    """That the LSTM is better, at the last and at the best epoch."""
    if not {"rnn", "lstm"} <= study.published(records).keys():
        return []
    difference = study.PUBLISHED["lstm"]["val_loss_last"] - study.PUBLISHED["rnn"]["val_loss_last"]
    claims = []
    for epoch, published in (("last", round(difference, 4)), ("best", "the LSTM is better")):
        e = study.lstm_minus_rnn(records, epoch)
        judged = study.verdict(e.interval, e.n, claimed_sign=-1)
        claims.append(_claim(f"LSTM − RNN, validation loss, {epoch} epoch", published, e.mean, e.interval, e.n, judged))
    return claims


def overfitting(results: dict) -> list[dict]:
    """What is said of the larger configuration, from the table of the loss comparison; only of the study's own two."""
    claims = []
    rows = results["tables"].get("overfitting", [])
    by = {(r["cell"], r["quantity"].partition(",")[0], "best" in r["quantity"]): r for r in rows}
    for cell in dict.fromkeys(r["cell"] for r in rows if r["seeds"]):
        gap, rise = by[cell, "gap", False], by[cell, "rise above best", True]
        both = study.verdict_of_both(gap["verdict"], rise["verdict"])
        interval = None if gap["low"] is None else [gap["low"], gap["high"]]
        text = f"{cell}: 512 / 0.002 overfits (wider gap to training, and a rise above its best)"
        claims.append(_claim(text, "overfits", gap["estimate"], interval, gap["seeds"], both))
        for epoch, best in (("last", False), ("best", True)):
            row = by[cell, "validation loss", best]
            interval = None if row["low"] is None else [row["low"], row["high"]]
            text = f"{cell}: validation loss, {epoch} epoch, is higher with 512 / 0.002"
            claims.append(_claim(text, "higher", row["estimate"], interval, row["seeds"], row["verdict"]))
    return claims


def cause(results: dict) -> list[dict]:
    """That validation loss is higher because the training set is larger."""
    values, claims = results["findings"].get("gap-cause", {}).get("values", {}), []
    for cell in study.cells(results["runs"]):
        n = values.get(f"{cell}_size_n", 0)
        if not n:
            continue
        low, high = values[f"{cell}_size_low"], values[f"{cell}_size_high"]
        interval = None if low is None else [low, high]
        judged = study.verdict(interval, n, claimed_sign=1)
        judged = "refuted" if judged == "no difference that matters" else judged
        text = f"{cell.upper()}: the gap comes from the size of the training set (training loss, equal part − all)"
        claims.append(_claim(text, "is the cause", values[f"{cell}_size_mean"], interval, n, judged))
    return claims


def of_text(results: dict) -> list[dict]:
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


def claims(results: dict) -> list[dict]:
    """Every claim that applies to what the notebooks found."""
    runs = results["runs"]
    own = study.published(runs)
    return [
        *reproduced(runs),
        *better(runs),
        *(overfitting(results) if own else []),
        *(cause(results) if own else []),
        *of_text(results),
    ]


def table(claims: list[dict]) -> Table | None:
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
    return study.make_table("claims", rows, caption)


def rule() -> Finding:
    return Finding("claim-rule", CLAIM_RULE, {})
