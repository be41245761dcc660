"""Tables and sentences on what temperature does, computed from the measures."""

import math
from collections.abc import Callable, Sequence
from itertools import takewhile

import numpy as np

from charlm import stats
from charlm.records import Record, span
from charlm.show import Finding, Table
from charlm.tables import make_table
from charlm.temperature import measures
from charlm.temperature.measures import (
    AS_RANDOM,
    AS_REAL,
    BEST_RANGE,
    DIVERSITY,
    N_GRAM,
    OTHERS,
    UNLIKELY,
    Closest,
    Measured,
)
from charlm.temperature.texts import REAL, SHUFFLED, STUDY_TEMPERATURES, RealText
from charlm.text import entropy, starts_speaker, wilson_share

# ---------------------------------------------------------------------------------------------------------------------
# tables


def measure_table(rows: list[dict], measured: Measured) -> Table:
    """The study's temperatures, and real text beside them."""
    lines = []
    for r in rows:
        if r["temperature"] in STUDY_TEMPERATURES:
            lines.append({"text": "drawn", "T": r["temperature"]} | _measure_columns(r))
    for name, way in (("real", REAL), ("shuffled", SHUFFLED)):
        lines.append({"text": name, "T": None} | _measure_columns(measures.values_of_way(measured, way)))
    caption = (
        "Entropy and loss in nats per character, on validation text. Unlikely: the chance of drawing "
        f"a character to which the model gives less than {100 * UNLIKELY:g}% at T = 1. Real words: the share of words that "
        "the rest of the corpus has. Judge: loss of the text under an n-gram model of the rest, in nats per character. "
        f"Distinct: the share of a text's {N_GRAM}-character sequences that it does not repeat, from itself or from {OTHERS} "
        "other texts drawn alike. Copied: characters of the longest "
        "passage that occurs in the training text, mean. Headings: of the lines that end in a colon, the share that is a "
        f"speaker's name of the rest. {measured.n} texts a row; their intervals are in the figure."
    )
    formats = {"T": "{:g}", "entropy": "{:.3f}", "loss": "{:.3f}", "judge": "{:.2f}", "copied": "{:.1f}"}
    formats |= dict.fromkeys(("unlikely", "real words", "distinct", "headings"), "{:.1%}")
    return make_table("temperature-measures", lines, caption, formats=formats)


def _measure_columns(values: dict) -> dict:
    """The measures under the names of their columns; real text has none of a distribution."""
    columns = {name: values.get(name) for name in ("entropy", "loss", "unlikely")}
    columns["real words"] = values["words"]
    return columns | {name: values[name] for name in ("judge", "distinct", "copied", "headings")}


def heading_table(drawn: dict[str, list[str]]) -> Table:
    """For each prompt, the share of texts that begin with a speaker's name on a line of its own."""
    rows = []
    for prompt, texts in drawn.items():
        share = wilson_share(sum(map(starts_speaker, texts)), len(texts))
        row = {"prompt": prompt, "case": _case(prompt[0]), "texts": share.total}
        rows.append(row | {"headings": share.rate, "low": share.low, "high": share.high})
    for case in ("upper", "lower"):
        of_case = [text for prompt, texts in drawn.items() if _case(prompt[0]) == case for text in texts]
        if of_case:
            share = wilson_share(sum(map(starts_speaker, of_case)), len(of_case))
            row = {"prompt": f"all in {case} case", "case": case, "texts": share.total}
            rows.append(row | {"headings": share.rate, "low": share.low, "high": share.high})
    caption = (
        "How a text drawn at T = 0.5 begins after each prompt: the share that starts with a heading as plays print a speaker's "
        "name (words and a colon alone on the first line), with its 95% interval."
    )
    return make_table("headings", rows, caption, formats=dict.fromkeys(("headings", "low", "high"), "{:.1%}"))


def _case(character: str) -> str:
    if character.isupper():
        return "upper"
    return "lower" if character.islower() else "none"


def across_runs_table(rows: list[dict]) -> Table | None:
    """A row a run."""
    if not rows:
        return None
    columns = {
        "closest": "closest at T",
        "words_0.5": "words at 0.5",
        "words_1": "words at 1",
        "words_2": "words at 2",
        "upper": "names, upper case",
        "lower": "names, lower case",
    }
    known = [key for key in columns if {r[key] for r in rows} != {None}]
    lines = []
    for r in rows:
        line = {"cell": r["cell"].upper(), "seed": r["seed"]}
        lines.append(line | {columns[key]: r[key] for key in known})
    caption = (
        "Every run. Closest: the temperature at which drawn text is closest to real text. Words: the share of real words, "
        "relative to real text. Names: the share of texts that begin with a speaker's name after a prompt of that case."
    )
    formats = dict.fromkeys(columns.values(), "{:.1%}") | {columns["closest"]: "{:g}"}
    return make_table("temperature-runs", lines, caption, formats=formats)


# ---------------------------------------------------------------------------------------------------------------------
# sentences


def how_texts_begin(record: Record, begun: dict[str, list[str]], real: RealText) -> Finding:
    """How often a text begins with a speaker's name after prompts of either case, and which run wrote all of the chapter."""
    values = {"cell": record["cell"].upper(), "seed": record["seed"], "epoch": record["best_epoch"]}
    text = "All samples of this chapter come from the run with the lowest validation loss: {cell}, seed {seed}, epoch {epoch}."
    shares = measures.speaker_shares(begun, real)
    if not shares:
        heading = "What the best run writes after {n} prompts"
        return Finding("how-texts-begin", text, values | {"n": len(begun)}, heading)
    upper, lower = shares
    values |= {"upper": upper.rate, "lower": lower.rate}
    heading = "After upper case {upper:.0%} of texts begin with a speaker's name, after lower case {lower:.0%}"
    return Finding("how-texts-begin", text, values, heading)


def how_probability_spreads(probabilities: dict[float, np.ndarray], context: str) -> Finding:
    """The entropy of the next character at the lowest and the highest of {temperature: (vocabulary,)}, after a context."""
    cold, hot = min(probabilities), max(probabilities)
    values = {"cold": cold, "hot": hot, "context": repr(context[-20:]), "even": math.log(len(probabilities[hot]))}
    values |= {"h0": float(entropy(probabilities[cold])), "h1": float(entropy(probabilities[hot]))}
    text = (
        "After {context}, the entropy of the next character goes from {h0:.2f} nats at T = {cold:g} to {h1:.2f} at T = {hot:g}; "
        "were all equally likely, it would be {even:.2f}."
    )
    heading = "Temperature changes how evenly probability is spread, and not which character is likelier"
    return Finding("temperature-entropy", text, values, heading)


def what_is_measured(real: RealText) -> Finding:
    text = (
        "Real text to compare with: {n} pieces of {length} characters, evenly spaced over {scope} and {share:.1%} of it, "
        "are set aside. At every temperature as many texts as long are drawn, each begun with the first character of a "
        "piece. The words, the speakers and the judge (a {order}-gram model with Kneser-Ney smoothing, which shares with "
        "the network nothing but the text) come from the rest, and copies are looked for in the rest of the training text; so "
        "real pieces and drawn texts are measured alike. The pieces with their characters shuffled show what chance reaches."
    )
    values = {"n": len(real.pieces), "length": len(real.pieces[0]), "scope": real.scope}
    return Finding("temperature-texts", text, values | {"share": real.share, "order": real.judge.order})


def what_does_not(rows: list[dict]) -> Finding:
    """Which temperature predicts validation text best."""
    best = min(rows, key=lambda r: r["loss"])
    values = {"t": best["temperature"], "loss": best["loss"]}
    text = (
        "**What temperature does not change is what the model knows.** As a prediction of validation text its distribution is "
        "best at T = {t:g}, with a loss of {loss:.3f} nats."
    )
    if best["temperature"] >= 1:
        text += " So a temperature below that does not make the distribution truer: by this measure it makes it worse."
    return Finding("temperature-loss", text, values)


def what_is_read(measured: Measured) -> Finding:
    """The real-word rates at three temperatures, and up to where and from where on they are those of real text or less
    than half of them.
    """
    relative = {}
    for t in measured.values("T"):
        if share := measures.relative_words(measured, t):
            relative[t] = share
    if not relative:
        text = "The drawn texts hold no words that could be looked up in the corpus."
        return Finding("temperature-words", text, {}, "Whether words stay real cannot be asked")
    temperatures = list(relative)
    named = [t for t in (0.5, 1.0, 2.0) if t in relative]
    rates = "; ".join(f"{measured.value(('T', t), 'words'):.1%} at T = {t:g}" for t in named)
    chance = measured.value(SHUFFLED, "words")
    values = {"rates": rates, "real": measured.value(REAL, "words"), "chance": chance}
    text = "Words that the rest of the corpus has: {rates}; {real:.1%} in real text"
    text += "." if chance is None else ", {chance:.1%} in its shuffled characters."
    if not measures.words_tell(measured):
        text += " In this corpus the rate tells nothing: chance reaches it."
        return Finding("temperature-words", text, values, "Whether words stay real cannot be told")
    values |= {"as_real": AS_REAL, "as_random": AS_RANDOM}
    values["high"] = _leading(temperatures, lambda t: relative[t][1] > AS_REAL)
    values["low"] = _leading(temperatures[::-1], lambda t: relative[t][2] < AS_RANDOM)
    real = "real at no temperature" if values["high"] is None else "real up to T = {high:g}"
    random = "look random at none" if values["low"] is None else "look random from T = {low:g} on"
    text += (
        " Real is over {as_real:.0%} of real text's rate, random under {as_random:.0%}, each with the whole interval."
    )
    return Finding("temperature-words", text, values, f"Words are {real} and {random}")


def _leading(values: Sequence[float], holds: Callable[[float], bool]) -> float | None:
    """The last value before the first of which something does not hold; None where that is the first of all."""
    leading = list(takewhile(holds, values))
    return leading[-1] if leading else None


LABELS = {
    "words": "real words",
    "judge": "judge's loss",
    "distinct": "distinct sequences",
    "copied": "longest copy",
    "headings": "speaker headings",
}


def what_is_closest(near: Closest | None, of_runs: list[dict]) -> Finding:
    """Where drawn text is closest to real text, in the chosen run and in as many as were measured."""
    if near is None:
        text = "No measure of the text could be taken, so no temperature is closest."
        return Finding("temperature-closest", text, {}, "Which temperature is closest to real text is not known")
    values = {
        "n": len(near.names),
        "names": ", ".join(LABELS[name] for name in near.names),
        "best": near.best,
        "least": near.distance[near.best],
        "low": near.low,
        "high": near.high,
        "shuffled": near.shuffled,
        "half": near.distance.get(0.5),
        "one": near.distance.get(1.0),
        "learnt": near.learnt,
    }
    text = (
        "Over {n} measures ({names}) the distance from real text is {least:.2f} there, {half:.2f} at T = 0.5, {one:.2f} at "
        "T = 1, and {shuffled:.3g} for real text with its characters shuffled."
    )
    heading = "Drawn text is closest to real text at T = {best:g}"
    if not near.learnt:
        heading = "No temperature brings drawn text closer to real text than shuffling does: nothing was learnt"
    closest = [r["closest"] for r in of_runs if r["closest"] is not None]
    if closest:
        values |= {"runs": len(closest), "where": span(closest)}
        text += " In the {runs} runs of both cells it is smallest at T = {where}."
    return Finding("temperature-closest", text, values, heading)


def what_truncation_does(measured: Measured) -> Finding:
    """Top-k and top-p against T = 0.5 in real words, where they give as much diversity."""
    compared = measures.at_equal_diversity(measured, "words")
    if not compared:
        text = "Top-k and top-p reach no diversity at which they could be compared with T = 0.5."
        return Finding("truncation", text, {}, "Top-k and top-p are not compared with temperature")
    shares, told = [], []
    values = {"here": measured.value(("T", 0.5), "words"), "diversity": measured.value(("T", 0.5), DIVERSITY)}
    for r in compared:
        shares.append(f"with {r['way']} {r['value']:.1%}")
        told.append(f"{r['way']} {_side(r['low'], r['high'])}")
        values |= {f"{r['way']}_{key}": r[key] for key in ("value", "difference", "low", "high")}
    text = f"Where they repeat as little as T = 0.5 does, the share of real words is {', '.join(shares)}, with T = 0.5 {{here:.1%}}."
    heading = "At equal diversity " + ", ".join(f"{said} {'it' if i else 'T = 0.5'}" for i, said in enumerate(told))
    return Finding("truncation", text, values, heading)


def truncation_numbers(measured: Measured) -> Finding | None:
    """The same with intervals."""
    lines = []
    for r in measures.at_equal_diversity(measured, "words"):
        line = f"with {r['way']} by {points(r['difference'])} points"
        if r["low"] is not None:
            line += f" (95% interval {points(r['low'])} to {points(r['high'])})"
        lines.append(line)
    diversity = measured.value(("T", 0.5), DIVERSITY)
    if not lines or diversity is None:
        return None
    text = "At {diversity:.1%} distinct sequences the share of real words differs from that with T = 0.5 {lines}."
    return Finding("truncation-numbers", text, {"diversity": diversity, "lines": " and ".join(lines)})


def _side(low: float | None, high: float | None) -> str:
    """What the interval of a difference says of it."""
    if low is None or high is None:
        return "is not judged against"
    if low > 0:
        return "gives more real words than"
    return "gives fewer real words than" if high < 0 else "cannot be told from"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign, a real minus."""
    return f"{100 * difference:+.1f}".replace("-", "−")


def why_it_helps(rows: list[dict], measured: Measured) -> Finding:
    """T = 0.5 against T = 1: how often an unlikely character is drawn, and what that does to words and variety."""
    by_temperature = {r["temperature"]: r for r in rows}
    half = by_temperature[0.5]
    one = by_temperature[1.0]
    real = measures.values_of_way(measured, REAL)
    values = {"u1": one["unlikely"], "u05": half["unlikely"], "cut": UNLIKELY, "n": N_GRAM}
    values |= {"word1": 1 - (1 - one["unlikely"]) ** 5, "word05": 1 - (1 - half["unlikely"]) ** 5}
    for name in ("words", "distinct", "judge", "copied"):
        values |= {f"{name}05": half[name], f"{name}1": one[name], f"{name}_real": real[name]}
    text = (
        "**Why a lower temperature gives more plausible text.** A sampler draws every character as often as the "
        "distribution says, its errors included, and each draw becomes input: a character that does not fit spoils the word "
        "and the text goes on from there. At T = 1 a character that the model itself holds unlikely (below {cut:.0%}) comes "
        "with probability {u1:.2%} a character, {word1:.1%} for one among five; at T = 0.5 with {u05:.3%} and {word05:.1%}."
    )
    if measures.apart(half, one, "distinct") < 0:
        text += (
            " The price is variety: of a text's {n}-character sequences {distinct05:.1%} repeat neither the text nor others at "
            "T = 0.5, {distinct1:.1%} at T = 1, and {distinct_real:.1%} in real text."
        )
    if measures.apart(half, real, "judge") < 0:
        text += (
            " Drawn that low, text is more predictable than real text: the judge needs {judge05:.2f} nats a "
            "character at T = 0.5, {judge_real:.2f} for real text and {judge1:.2f} at T = 1."
        )
    return Finding("temperature-why", text, values)


def do_runs_agree(rows: list[dict]) -> Finding | None:
    """How far the runs differ in what the claims are judged from."""
    closest = [r["closest"] for r in rows if r["closest"] is not None]
    if not closest:
        return None
    least, limit = BEST_RANGE
    inside = [t for t in closest if least <= t < limit]
    values: dict[str, float | None] = {"n": len(closest), "inside": len(inside)}
    text = f"Of {{n}} runs, {{inside}} have their smallest distance in {least:g} ≤ T < {limit:g}."
    for key, what in (
        ("words_1", "The share of real words at T = 1, relative to real text,"),
        ("upper", "The share of texts that begin with a speaker's name after upper case"),
    ):
        known = [r[key] for r in rows if r[key] is not None]
        e = stats.estimate(dict(enumerate(known)))
        if e.sd is not None:
            text += f" {what} is {{{key}:.1%}} on average (standard deviation over runs {{{key}_sd:.1%}})."
            values |= {key: e.mean, f"{key}_sd": e.sd}
    return Finding("temperature-runs", text, values)
