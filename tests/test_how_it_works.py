"""The notebook that shows how it works does what it says: by hand the same as PyTorch, in ten lines the same as the core."""

import math

import nbformat
import pytest
from project_files import ROOT

import charlm_core as core

PRIMER = ROOT / "notebooks" / "9_how_it_works.ipynb"


@pytest.fixture(scope="module")
def names(tiny_file):
    """The names that its cells leave behind, on a small text."""
    names: dict = {}
    for cell in nbformat.read(PRIMER, as_version=4).cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
            if "parameters" in cell.metadata.get("tags", []):
                names |= {"corpus": str(tiny_file), "hidden_size": 16, "epochs": 3}
    return names


def test_steps_by_hand_give_what_pytorch_gives(names):
    assert names["rnn_agrees"] and names["lstm_agrees"]


def test_untrained_weights_are_about_as_good_as_no_model(names, tiny):
    assert names["untrained"].item() == pytest.approx(math.log(len(tiny.vocab)), rel=0.1)


def test_its_loop_gives_what_the_core_gives(names, tiny):
    state = core.initial_state(len(tiny.vocab), names["config"])
    for losses in names["history"]:
        state = core.train_epoch(state, tiny, names["config"])
        row = state.history[-1]
        assert losses == pytest.approx((row["train_loss"], row["val_loss"]), rel=1e-9)
    assert len(state.history) == 3


def test_what_it_writes_begins_as_asked_and_follows_from_the_seed(names):
    texts = [names["write"](names["model"], "T", 40, 1.0, seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert all(len(text) == 41 and text[0] == "T" for text in texts)


def test_a_lower_temperature_makes_the_likeliest_likelier(names):
    highest = {T: max(b["probability"] for b in names["bars"] if b["temperature"] == T) for T in (0.5, 1.0, 2.0)}
    assert highest[0.5] > highest[1.0] > highest[2.0] > 1 / names["V"]
