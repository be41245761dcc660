"""The summary, from what the other notebooks found (the content of results.json): the answer, and in cards what else was
found. Nothing is measured here.
"""

import json
from pathlib import Path

from charlm.cards import small_figures
from charlm.corpus import find_file
from charlm.files import read_bytes, sound
from charlm.protocol import PUBLISHED
from charlm.records import cells_in, counted, published_numbers
from charlm.show import Cards, Finding, Samples, finding_values
from charlm.stats import MIN_SEEDS
from charlm.ways import Comparison, ways_to_compare

LARGEST_RESULTS = 2**28  # bytes of a results.json
BY_CHANCE = 0.05  # of the pairs of runs: where chance makes a difference more often, it is no finding


def read_results(given: str | Path) -> dict:
    """The results.json that a report left, at the path or at the same in the project. Raises CharlmError."""
    path = find_file(given)
    with sound(path, "give the results.json of a report"):
        return json.loads(read_bytes(path, LARGEST_RESULTS))


# ---------------------------------------------------------------------------------------------------------------------
# the title


def summary_title(results: dict) -> Finding:
    """The answer: as heading the title of the page, and as text what was claimed, what chance does and what holds."""
    ways = ways_to_compare(results)
    values: dict[str, float | str] = {"seeds": len({r["seed"] for r in results["runs"]})}
    values["corpus"] = results["study"]["corpus"]
    parts = [_what_was_done(results, values), _what_chance_does(results, values), _what_holds(ways)]
    return Finding("summary", " ".join(filter(None, parts)), values, _title(results, ways))


def _title(results: dict, ways: list[Comparison]) -> str:
    if finding_values(results, "beyond-frequencies").get("nothing_learnt"):
        return "Nothing was learnt from this text: counting single characters does as well"
    judged = [way for way in ways if way.verdict != "not judged"]
    verdicts = {way.verdict for way in judged}
    if not judged:
        return "RNN or LSTM? So few seeds cannot tell"
    if len(verdicts) == 1:
        return {
            "confirmed": "The LSTM is better than the RNN on this text",
            "refuted": "The RNN is better than the LSTM on this text",
            "no difference that matters": "RNN or LSTM? On this text there is no difference that matters",
            "too close to call": "RNN or LSTM? On this text it is too close to call",
        }[verdicts.pop()]
    if finding_values(results, "enough-seeds").get("one", 0) > BY_CHANCE and published_numbers(results["runs"]):
        return "RNN or LSTM? Chance makes differences as large; how you compare decides"
    return "RNN or LSTM? How you compare decides"


def _what_was_done(results: dict, values: dict) -> str:
    if {"rnn", "lstm"} <= published_numbers(results["runs"]).keys():
        difference = PUBLISHED["lstm"]["val_loss_last"] - PUBLISHED["rnn"]["val_loss_last"]
        values["difference"] = abs(difference)
        return "The source study trained each cell once; the LSTM won by {difference:.4f} nats."
    return f"An RNN and an LSTM learnt to predict {{corpus}} character by character, with {_seeds(values)}."


def _seeds(values: dict) -> str:
    return f"{counted(values['seeds'], 'random seed')} each"


def _what_chance_does(results: dict, values: dict) -> str:
    by_chance = finding_values(results, "enough-seeds").get("one")
    if by_chance is None or "difference" not in values:
        return ""
    values["one"] = by_chance
    return "Chance makes two runs differ that much in {one:.0%} of cases."


# What the verdict on "the LSTM is better" says of a way to compare, as a part of a sentence.
WINNER = {"confirmed": "the LSTM", "refuted": "the RNN", "no difference that matters": "neither"}


def _what_holds(ways: list[Comparison]) -> str:
    """The verdicts at the last and the best epoch, and with the learning rates of their own."""
    told = {
        "the study's settings, last epoch": "at the last epoch",
        "the study's settings, best epoch": "at the best",
        "each with its own learning rate": "with its own learning rate",
    }
    said: list[str] = []
    for way in ways:
        if way.name in told and way.verdict in WINNER:
            said.append(f"{WINNER[way.verdict]}{'' if said else ' wins'} {told[way.name]}")
    if not said:
        return f"No difference is judged, for want of {MIN_SEEDS} seeds, or it is too close to call." if ways else ""
    return f"Over seeds, {', '.join(said)}."


# ---------------------------------------------------------------------------------------------------------------------
# what the models write


def summary_samples(results: dict) -> Samples | None:
    """The texts side by side; None where no run could write any."""
    items = results["samples"].get("side-by-side")
    return items and Samples(
        "written", items, "Marked is what was given; all that was drawn after it has the same random numbers.", True
    )


def what_they_write(results: dict) -> Finding:
    """At which temperature the samples were drawn, and why at this one."""
    near = finding_values(results, "temperature-closest")
    cells = ", ".join(cell.upper() for cell in cells_in(results["runs"]))
    text = "Each text ends where a line of it does; the real one is a passage of the corpus."
    if not near:
        return Finding("what-they-write", text, {"cells": cells}, "What {cells} write, beside real text")
    values = {"t": near["best"], "cells": cells}
    heading = "What {cells} and a model that counts write at T = {t:g}"
    heading += (
        ", where text is closest to real text" if near["learnt"] else ": no closer to real text than shuffled letters"
    )
    return Finding("what-they-write", text, values, heading)


# ---------------------------------------------------------------------------------------------------------------------
# the cards


def summary_cards(results: dict, claims: list[dict]) -> Cards:
    """What else was found, each with the section that it leads to and a small figure where there is one."""
    told = {
        "enough-seeds": _card_of_seeds(finding_values(results, "enough-seeds")),
        "against-counting": _card_of_counting(results, finding_values(results, "against-counting")),
        "cure-and-counting": _card_of_cure(finding_values(results, "cure-and-counting")),
        "benchmark": _card_of_benchmark(finding_values(results, "benchmark")),
        "gradients-and-loss": CARD_OF_REACH.get(finding_values(results, "gradients-and-loss").get("loss", ""), ""),
        "temperature-closest": _card_of_temperature(finding_values(results, "temperature-closest")),
        "claims-judged": _card_of_claims(claims),
    }
    if finding_values(results, "gradients-and-loss").get("reach") != "confirmed":
        told["gradients-and-loss"] = "How far back does a gradient reach, and does it pay?"
    figures = small_figures(results)
    items = [{"text": text, "section": id, "figure": figures.get(id)} for id, text in told.items() if text]
    return Cards("cards", items)


def _card_of_seeds(values: dict) -> str:
    if "paired" not in values:
        return ""
    return f"To find a difference like the study's takes {values['paired']} seeds of each cell, not one."


def _card_of_counting(results: dict, values: dict) -> str:
    if "floor" not in values:
        return ""
    gaps = [values[f"{cell}_mean"] for cell in cells_in(results["runs"]) if f"{cell}_mean" in values]
    side = "less" if min(gaps) > 0 else "more"
    grams = counted(values["order"], "character")
    return f"Counting sequences of {grams} costs {abs(min(gaps)):.3f} nats {side} than the better network does."


def _card_of_cure(values: dict) -> str:
    """The best of the cured networks with its protocol."""
    if not values:
        return ""
    cell = values["best"]
    best = values[cell]
    return (
        f"Cured by dropout of {values['dropout']:g}, the larger {cell.upper()} reaches {best['loss']:.4f} on the study's chunks "
        f"(mean of the best epoch, {counted(best['n'], 'seed')}); counting has {values['counting']:.4f}."
    )


def _card_of_benchmark(values: dict) -> str:
    """The best cell on the split that everybody quotes, with its protocol."""
    if not values:
        return ""
    return (
        f"On the last tenth of tiny shakespeare the {values['cell']} reaches {values['mean']:.4f} with {values['parameters']:.2g} "
        f"million weights, in windows of 256 (mean of {values['seeds']}); the lowest loss quoted is {values['target']:.4f}."
    )


# By the verdict on the loss, where the LSTM's gradient falls less.
CARD_OF_REACH = {
    "no difference that matters": "The LSTM looks further back, and predicts no better for it.",
    "refuted": "The LSTM looks further back, and predicts worse.",
    "confirmed": "The LSTM looks further back, and predicts better.",
    "too close to call": "The LSTM looks further back; whether it predicts better is open.",
    "not judged": "The LSTM looks further back; whether it predicts better is not judged.",
}


def _card_of_temperature(values: dict) -> str:
    if not values.get("learnt") or not values["least"]:
        return ""
    times = values["one"] / values["least"]
    return f"Text drawn at T = {values['best']:g} is {times:.1f} times as close to real text as at T = 1."


def _card_of_claims(claims: list[dict]) -> str:
    if not claims:
        return ""
    confirmed = sum(claim["verdict"] == "confirmed" for claim in claims)
    return f"{confirmed} of {len(claims)} published claims hold; the strip below leads to each."
