"""Figures: what they say is what the data says, their bytes repeat, and odd data breaks nothing."""

import re
from functools import cache
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from gradient_curves import decay
from matplotlib.figure import Figure as Canvas
from measured_texts import CHANCE, TYPICAL, away, make
from synthetic import make_measured, make_record, make_runs

import charlm.drawing
import charlm.losses.figures
from charlm.cards import small_figures
from charlm.cells.figures import loss_by_learning_rate
from charlm.drawing import COLOURS, GREY, INK, PANEL, PHONE, label_right, name_axes, panels
from charlm.gradients.figures import gradient_norms
from charlm.losses.figures import loss_comparison, loss_curves, overfitting_curves
from charlm.meaning.figures import gap_by_epoch, half_and_half, loss_by_position, ngram_floor
from charlm.report.stand_in import reading_figure
from charlm.show import Figure
from charlm.temperature.figures import (
    name_character,
    quality_diversity,
    temperature_curves,
    temperature_distance,
    temperature_distribution,
)
from charlm.temperature.measures import TEXT_MEASURES, closest_temperature, values_of_way
from charlm.temperature.texts import GRID, TOP_K, TOP_P

pytestmark = pytest.mark.filterwarnings("error")  # a missing letter or an empty axis is only a warning to matplotlib


@pytest.fixture(autouse=True)
def no_missing_letter(request, monkeypatch):
    """Those of a reader's text may be missing; ours may not."""
    if request.node.originalname != "test_letters_that_the_font_lacks_are_boxes_and_no_word_is_said_of_them":
        monkeypatch.setattr(charlm.drawing, "filterwarnings", lambda *arguments: None)


@pytest.fixture(autouse=True)
def no_png(request, monkeypatch):
    """It has what the SVG has, and takes long."""
    if request.node.originalname != "test_bytes_repeat_whatever_the_readers_settings":
        save = Canvas.savefig
        monkeypatch.setattr(Canvas, "savefig", lambda *args, **how: how["format"] == "png" or save(*args, **how))


def test_letters_that_the_font_lacks_are_boxes_and_no_word_is_said_of_them():
    reading_figure("\u4f60\u597d", {"rnn": np.ones(1)})


def big(**config):
    return make_runs(seeds=2, **({"hidden_size": 512, "learning_rate": 0.002} | config))


def distributions(n, temperatures=(0.2, 1, 10)):
    scores = np.linspace(3, 0, n)
    p = {t: np.exp((scores - scores.max()) / t) for t in temperatures}
    return {t: x / x.sum() for t, x in p.items()}


def measured(*missing):
    """Texts of which the judge's loss rises with temperature; a missing measure has nothing to count in any."""
    lacking = dict.fromkeys(missing)
    truncated = {(kind, x): lacking for kind, xs in (("top-k", TOP_K), ("top-p", TOP_P)) for x in xs}
    return make(away(0.7), TYPICAL | lacking, CHANCE | lacking, truncated=truncated)


def curves_of(texts):
    rows = []
    for t in GRID:
        row: dict = {f"{name}{end}": 1 + t / 10 for name in ("entropy", "loss") for end in ("", "_low", "_high")}
        rows.append({"temperature": t} | row | values_of_way(texts, ("T", t)))
    return temperature_curves(rows, texts)


def by_length():
    return [r | {"characters": n} for n in (1000, 2000) for r in big()]


def norms(*cells, length=30):
    """Three runs of each cell whose gradients fall by a factor a step, a little different for each."""
    runs = []
    for i, cell in enumerate(cells):
        runs += decay(*(0.8 - 0.05 * i - 0.01 * seed for seed in range(3)), cell=cell, length=length)
    return runs


def with_gradient(*norms):
    return [make_record("rnn", 0) | {"gradient": list(norms)}]


def drawn_norms(*cells):
    measured = {"before": norms("rnn", "lstm", "gru"), "after": norms(*cells), "long": norms(*cells, length=100)}
    return gradient_norms(measured, 30)


DIVERGED = make_record("rnn", 9, epochs=3, diverged=True)
DEAD = make_record("rnn", 0, epochs=0, diverged=True)


VOCAB = "\n abcdefghijklmnopqrstuvw"
CASES = {
    "curves of one epoch": lambda: loss_curves(make_runs(["rnn"], 1, max_epochs=1)),
    "curves of an unknown cell": lambda: loss_curves([make_record("rnn", 0) | {"cell": "own"}]),
    "curves with a diverged run": lambda: loss_curves([*make_runs(["rnn"]), DIVERGED]),
    "curves of both": lambda: loss_curves(make_runs()),
    "overfitting": lambda: overfitting_curves(make_runs(seeds=2), big()),
    "overfitting, diverged": lambda: overfitting_curves([make_record("rnn", 0)], [DEAD | {"hidden_size": 512}]),
    "comparison": lambda: loss_comparison(make_runs()),
    "distribution": lambda: temperature_distribution(VOCAB, distributions(25), "A"),
    "distribution, greedy": lambda: temperature_distribution("ab", {0: np.array([1.0, 0])}, "a"),
    "temperatures": lambda: curves_of(measured()),
    "no words, no speakers": lambda: curves_of(measured("words", "headings")),
    "distance": lambda: temperature_distance(closest_temperature(measured())),
    "quality and diversity": lambda: quality_diversity(measured()),
    "quality of nothing": lambda: quality_diversity(measured(*TEXT_MEASURES)),
    "gradients": lambda: drawn_norms("rnn", "lstm"),
    "gradients of nothing finished": lambda: drawn_norms(),
    "gradients that end": lambda: gradient_norms({"now": with_gradient(*[1.0] * 9, *[0.0] * 21)}, 30),
    "gradients of zero": lambda: gradient_norms({"now": with_gradient(*[0.0] * 30)}, 30),
    "n-gram floor": lambda: ngram_floor(make_measured()),
    "positions": lambda: loss_by_position(make_measured()),
    "gap by epoch": lambda: gap_by_epoch(make_measured()),
    "half and half": lambda: half_and_half(make_measured()),
    "gap by epoch and text": lambda: gap_by_epoch(make_measured(), by_length()),
}


@cache
def drawn(case):
    return CASES[case]()


@pytest.mark.parametrize("case", CASES)
def test_every_figure_is_whole(case):
    figure = drawn(case)
    assert isinstance(figure, Figure)
    root = ElementTree.fromstring(figure.svg)
    assert root.tag.endswith("svg")
    assert "<dc:date>" not in figure.svg
    assert not re.search(r'href="(?!#)', figure.svg)  # nothing from elsewhere
    assert len(figure.caption.split()) <= 40 or "diverged" in figure.caption
    for text in (figure.caption, figure.alt):
        assert text
        assert text == text.strip()
        assert not re.search(r"nan|None|inf\b", text)
        assert "Shakespeare" not in text


@pytest.mark.parametrize("case", ["curves of both", "gradients"])
def test_bytes_repeat_whatever_the_readers_settings(case):
    first = CASES[case]()
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "savefig.dpi": 30, "svg.hashsalt": "x"}):
        again = CASES[case]()
    assert (first.svg, first.narrow, first.png) == (again.svg, again.narrow, again.png)
    assert first.png.startswith(b"\x89PNG")


def test_drawing_changes_no_global_setting():
    before = dict(matplotlib.rcParams)
    loss_comparison(make_runs(seeds=1))
    assert dict(matplotlib.rcParams) == before


def test_a_phone_has_the_panels_below_each_other():
    figure = drawn("comparison")
    page, phone = (ElementTree.fromstring(svg) for svg in (figure.svg, figure.narrow))
    inches = [float(root.get("width", "").removesuffix("pt")) / 72 for root in (page, phone)]
    assert inches == pytest.approx([2 * PANEL, PHONE], abs=0.01) and figure.wide
    assert float(phone.get("height", "").removesuffix("pt")) > float(page.get("height", "").removesuffix("pt"))


@pytest.mark.parametrize("color", [*COLOURS.values(), INK, GREY])
def test_colours_are_dark_enough_to_set_text_in(color):
    channel = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in matplotlib.colors.to_rgb(color)]
    luminance = np.dot([0.2126, 0.7152, 0.0722], channel)
    assert 1.05 / (luminance + 0.05) >= 4.5  # WCAG 2, level AA


# -----------------------------------------------------------------------------
# what they say


def test_the_cells_stand_side_by_side_on_one_scale_that_has_their_ends(monkeypatch):
    drawn = []
    monkeypatch.setattr(charlm.losses.figures, "finish", lambda canvas, *rest, **more: drawn.append(canvas))
    records = make_runs(["rnn", "lstm"], 4)
    loss_curves(records)
    rnn, lstm = drawn[0].axes
    assert rnn.get_ylim() == lstm.get_ylim() and rnn.get_position().y0 == lstm.get_position().y0
    low, high = rnn.get_ylim()
    marks = [r[key] for r in records for key in ("val_loss_best", "val_loss_last", "train_loss_last")]
    assert low < min(marks) and max(marks) < high and high - low < 1.2


@pytest.mark.parametrize("case", ["curves with a diverged run", "overfitting, diverged"])
def test_diverged_runs_are_named_and_not_drawn(case):
    figure = drawn(case)
    assert "diverged and is in no mean" in figure.caption
    assert not any(r.get("cell") == "rnn" and r["seed"] == 9 for r in figure.rows)


def test_the_distribution_has_every_character_at_every_temperature():
    figure = drawn("distribution")
    assert len(figure.rows) == 3 * 25 and sum(r["probability"] for r in figure.rows) == pytest.approx(3)


def test_hostile_characters_are_drawn_and_escaped():
    vocab = "$*<_`\u202e\u0301\x00\t\\|^"
    figure = temperature_distribution(vocab, distributions(len(vocab)), "$x^2$ *a* <script>\u202e")
    assert not set("$*<`\u202e") & set(figure.caption)
    ElementTree.fromstring(figure.svg)


@pytest.mark.parametrize(
    ("c", "name"),
    [
        ("漢", "漢"),
        ("\n", "newline"),
        *((c, f"U+{ord(c):04X}") for c in "\u202e\u0301\xa0"),
    ],
)
def test_characters_are_named_when_they_cannot_be_seen(c, name):
    assert name_character(c) == name


def test_temperature_curves_carry_drawn_real_and_shuffled_text():
    rows = drawn("temperatures").rows
    assert [r["text"] for r in rows] == ["drawn"] * len(GRID) + ["real", "shuffled"]
    assert [rows[i]["judge"] for i in (3, -2)] == pytest.approx([1.4 + 0.4 - 0.7, 1.4])


def test_a_measure_that_real_text_lacks_has_no_panel():
    alt = drawn("no words, no speakers").alt
    assert "words" not in alt and "speaker" not in alt and "longest copy" in alt


@pytest.mark.parametrize(("gaps", "lower"), [([-0.5, 0.1, 0.2], True), ([-0.5, -0.4], False)])
def test_gaps_that_lie_low_leave_the_panel_only_where_others_are_seen(gaps, lower):
    curves = {"train_loss": [2.0] * len(gaps), "val_loss": [2.0 + gap for gap in gaps], "best_epoch": 2}
    figure = gap_by_epoch([r | curves for r in make_measured(["rnn"], 2)])
    assert ("first epochs lie lower" in figure.caption) == lower
    assert [row["gap"] for row in figure.rows] == pytest.approx(2 * gaps)


def test_gradients_have_their_ratio_beside_the_line_and_carry_every_norm():
    figure = drawn("gradients")
    assert "RNN 0.011" in figure.svg  # (0.8 · 0.79 · 0.78) ** (19 / 3)
    assert len(figure.rows) == 3 * 3 * 30 + 2 * 3 * 30 + 2 * 3 * 100


def test_the_name_and_the_numbers_of_the_x_axis_stand_below_the_last_panel_of_each_column():
    canvas, axes = panels(4, 2, sharex=True)
    name_axes(canvas, "epoch", "loss")
    assert [ax.get_xlabel() for ax in axes] == ["", "epoch", "epoch", "epoch"]
    assert [ax.xaxis.get_tick_params()["labelbottom"] for ax in axes] == [False, True, True, True]


def test_names_of_lines_that_end_together_stand_apart():
    _, (ax,) = panels(1, 2)
    ax.set(yscale="log", ylim=(1e-6, 1))
    label_right(ax, [("RNN", 1e-3, INK), ("LSTM", 1e-3, INK), ("GRU", 0.1, INK)])
    heights = {text.get_text(): text.get_position()[1] for text in ax.texts}
    assert heights["RNN"] == pytest.approx(0.5)
    assert heights["LSTM"] - heights["RNN"] > 0.1
    assert heights["GRU"] == pytest.approx(5 / 6)


def test_learning_rates_are_a_line_a_cell_and_what_lies_far_above_is_written_at_the_edge():
    runs = [r for rate in (0.001, 0.002) for r in make_runs(seeds=2, learning_rate=rate)]
    assert "↑" not in loss_by_learning_rate(runs).svg
    runs[-1] |= {"val_loss_best": 3.0}
    figure = loss_by_learning_rate(runs)
    assert "↑ 3.00" in figure.svg and len(figure.rows) == 8
    assert "Lowest mean: RNN " in figure.caption
    assert loss_by_learning_rate([]) is None


# -----------------------------------------------------------------------------
# the cards


def found(**findings):
    told = {id.replace("_", "-"): {"values": values} for id, values in findings.items()}
    return {"findings": told, "figures": {}}


def test_cards_have_figures_as_far_as_there_are_numbers():
    assert small_figures(found()) == {}
    pairs = {"differences": [-0.01, 0.02, 0.03, 0.04], "pairs": 4, "lower": 1, "published": 0.0057}
    results = found(against_counting={"floor": 1.52, "rnn_mean": 0.07, "own_mean": 0.08}, enough_seeds=pairs)
    results["figures"] = {
        "gradient-norms": {"rows": drawn_norms("rnn").rows},
        "temperature-distance": {"rows": drawn("distance").rows},
    }
    for row in results["figures"]["gradient-norms"]["rows"]:
        row["measured"] = "after training"
    figures = small_figures(results)
    assert set(figures) == {"enough-seeds", "against-counting", "gradients", "temperature-closest"}
    assert "4 differences between two runs, 1 of them below zero" in figures["enough-seeds"].alt
    assert "OWN 1.600, counting 1.520" in figures["against-counting"].alt


def test_cards_beyond_the_study_show_the_loss_beside_the_one_to_beat():
    cure = {"counting": 1.522, "losses": {"gru": 1.505}}
    figures = small_figures(found(cure_and_counting=cure, benchmark={"mean": 1.44, "target": 1.4603}))
    assert figures["cure-effect"].alt.endswith("GRU 1.505, counting 1.522.")
    assert figures["benchmark"].alt.endswith("LSTM 1.440, quoted 1.460.")
