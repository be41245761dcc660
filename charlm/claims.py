"""The claims of the source study, from what the notebooks of a report found (the content of results.json): its numbers, which
are reproduced or not, and its statements, which are judged. Nothing is measured here.

A claim is {"claim", "kind": "number" or "statement", "measure": of what measured is the number, "unit": a key of FORMS,
"published", "measured", "interval": [low, high] or None, "level": of the interval, "n": runs, prompts or texts, "verdict"}. A
claim that does not apply to a corpus or a configuration is left out.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from charlm import stats
from charlm.corpus import find_file
from charlm.files import read_bytes, sound
from charlm.protocol import PUBLISHED
from charlm.records import cells_in, listed, published_numbers
from charlm.show import Finding, Table, show_value
from charlm.tables import make_table

LARGEST_RESULTS = 2**28  # bytes of a results.json
NUMBER, STATEMENT = "numbers: one run of the study, one more run of ours", "statements"
# How the numbers of a claim are written, by their unit.
FORMS = {"nats": "{:.4f}", "difference": "{:+.4f}", "epochs": "{:.1f}", "share": "{:.1%}", "T": "{:g}"}
PUBLISHED_FORMS = {"epochs": "{}"}
LARGER_MINUS = "larger − smaller model, nats"


def read_results(given: str | Path) -> dict:
    """The results.json that a report left, at the path or at the same in the project. Raises CharlmError."""
    path = find_file(given)
    with sound(path, "give the results.json of a report"):
        return json.loads(read_bytes(path, LARGEST_RESULTS))


def all_claims(results: dict) -> list[dict]:
    """Every claim that applies to what the notebooks found."""
    claims = [_of_number(row) for row in results.get("published", [])]
    if published_numbers(results["runs"]):
        claims += [*better_cell_claims(results), *overfitting_claims(results), *gap_cause_claims(results)]
    return claims + [{"kind": STATEMENT, "level": 0.95} | claim for claim in results.get("text_claims", [])]


def _claim(claim: str, measure: str, unit: str, published: str | float, verdict: str, found: dict) -> dict:
    """A claim, with what was found: mean, low, high, level and n."""
    return {
        "claim": claim,
        "kind": STATEMENT,
        "measure": measure,
        "unit": unit,
        "published": published,
        "measured": found["mean"],
        "interval": None if found["low"] is None else [found["low"], found["high"]],
        "level": found["level"],
        "n": found["n"],
        "verdict": verdict,
    }


def _of_number(row: dict) -> dict:
    text, measure = f"{row['cell'].upper()}: {row['number']}", f"mean, {row['unit']}"
    claim = _claim(text, measure, row["unit"], row["published"], row["verdict"], row)
    return claim | {"kind": NUMBER}


def _of_contrast(text: str, measure: str, published: str | float, c: dict, claimed: str) -> dict:
    """The statement that a difference is stats.LOWER or stats.HIGHER."""
    verdict = stats.claim_verdict(c["verdict"], claimed)
    return _claim(text, measure, "difference", published, verdict, c)


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
    """What is said of the larger configuration: it overfits where both the gap is wider and the loss ends above its best."""
    contrasts = results["contrasts"]
    claims = []
    for cell in cells_in(results["runs"]):
        gap, rise = (contrasts.get(f"overfitting/{part}/{cell}") for part in ("gap", "rise"))
        if not gap or not rise:
            continue
        name = cell.upper()
        weaker = min(gap, rise, key=lambda c: stats.WEAKEST_FIRST.index(c["verdict"]))
        measure = f"gap to training, {LARGER_MINUS}" if weaker is gap else "rise above its best, nats"
        claims.append(_of_contrast(f"Larger {name}: overfits", measure, "overfits", weaker, stats.HIGHER))
        for epoch in ("last", "best"):
            text = f"Larger {name}: higher validation loss, {epoch} epoch"
            c = contrasts[f"overfitting/{epoch}/{cell}"]
            claims.append(_of_contrast(text, LARGER_MINUS, "higher", c, stats.HIGHER))
    return claims


def gap_cause_claims(results: dict) -> list[dict]:
    """That validation loss is higher because the training set is larger: then more text would widen the gap."""
    c = results["contrasts"].get("gap/by-text")
    if not c:
        return []
    text = "Validation loss is higher because the training set is larger"
    claim = _of_contrast(text, "gap, more text − the study's, nats", "is the cause", c, stats.HIGHER)
    # That it makes no difference refutes that it is the cause.
    return [claim | ({"verdict": "refuted"} if claim["verdict"] == stats.SAME else {})]


# ---------------------------------------------------------------------------------------------------------------------
# as readers see them


def what_became_of_them(claims: list[dict]) -> Finding:
    """How many numbers are reproduced, and what became of the statements."""
    numbers = [c for c in claims if c["kind"] == NUMBER]
    statements = [c for c in claims if c["kind"] == STATEMENT]
    if not claims:
        return Finding(
            "claims-judged", "They are about another text and other settings.", {}, "No claim can be judged here"
        )
    back = sum(c["verdict"] == "reproduced" for c in numbers)
    hold = sum(c["verdict"] == "confirmed" for c in statements)
    fall = sum(c["verdict"] == "refuted" for c in statements)
    values: dict[str, Any] = {"back": back, "numbers": len(numbers), "hold": hold, "fall": fall, "all": len(statements)}
    alike = sum(c["verdict"] == stats.SAME for c in statements)
    values |= {"alike": alike, "open": len(statements) - hold - fall - alike}
    said = ["{hold} hold", "{fall} do not", "in {alike} the difference is too small to matter", "{open} are open"]
    said = [words for words, n in zip(said, (1, 1, alike, values["open"]), strict=True) if n]
    text = f"Of {{all}} statements that can be asked here, {listed(said)}."
    if not numbers:
        return Finding("claims-judged", text, values, "Of {all} claims that can be asked of this text, {hold} hold")
    heading = "{back} of the study's {numbers} numbers are reproduced; its statements fare worse"
    if hold > fall:
        heading = "{back} of the study's {numbers} numbers are reproduced; most of its statements hold"
    return Finding("claims-judged", text, values, heading)


def claim_table(claims: list[dict]) -> Table | None:
    """The claims, grouped by kind; None where no claim applies."""
    if not claims:
        return None
    rows = []
    for c in claims:
        form = FORMS[c["unit"]]
        rows.append(
            {
                "claim": c["claim"],
                "what is measured": c["measure"],
                "published": show_value(
                    None if isinstance(c["published"], str) else c["published"], PUBLISHED_FORMS.get(c["unit"], form)
                ),
                "measured": show_value(c["measured"], form),
                "interval": _interval(c["interval"], form),
                "level": c["level"],
                "n": c["n"],
                "verdict": c["verdict"],
                "kind": c["kind"],
            }
        )
    caption = (
        "The study's claims. Interval: for a number, where one more run falls; for a statement, of the mean. "
        "n: runs, prompts or texts."
    )
    return make_table("claims", rows, caption, groups="kind")


def _interval(interval: Sequence[float] | None, form: str) -> str | None:
    ends = dict.fromkeys(show_value(x, form) for x in interval or ())
    return "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}".join(ends) or None
