"""Sampling: known random numbers, distributions by hand, and texts that depend on nothing beside them."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

import charlm_core as core
from charlm import sampling
from charlm.runs.folder import load_weights
from charlm.sampling import Stepper
from charlm_core import CharlmError, Config, decode


@pytest.mark.parametrize(
    "counter, key, expected",
    [  # the known answers that the authors of Philox publish with their library
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, expected):
    assert " ".join(f"{w:08x}" for w in sampling.philox(np.array(counter), np.array(key))) == expected


def test_uniforms_are_uniform_and_depend_on_seed_sample_and_position_alone():
    u = sampling.uniforms(7, np.arange(50), np.arange(200))
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.001
    assert sampling.uniforms(7, np.array([13]), np.array([0, 77]))[0, 1] == u[13, 77]
    assert sampling.uniforms(8, np.array([13]), np.array([77]))[0, 0] != u[13, 77]


@pytest.mark.parametrize("temperature", [1e-300, 0.7, 1e300])
def test_the_softmax_is_a_distribution_at_every_temperature(temperature):
    p = sampling.temperature_softmax(np.array([[1e4, -1e4, 0.0, 9999.0]]), temperature)
    assert np.isfinite(p).all() and p.sum() == pytest.approx(1)
    z = np.array([1.0, 2.0, -0.5])
    assert sampling.temperature_softmax(z, 0.7) == pytest.approx(np.exp(z / 0.7) / np.exp(z / 0.7).sum())


P = np.array([[0.1, 0.5, 0.15, 0.25]])


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (1, 1.0, [0, 1, 0, 0]),
        (2, 1.0, [0, 2 / 3, 0, 1 / 3]),
        (9, 1.0, P[0]),
        (0, 0.5, [0, 1, 0, 0]),  # the first alone reaches the half
        (0, 0.51, [0, 2 / 3, 0, 1 / 3]),
        (2, 0.66, [0, 1, 0, 0]),  # two thirds of what the two likeliest have
    ],
)
def test_truncation_keeps_the_likeliest_and_makes_them_sum_to_one(top_k, top_p, kept):
    assert sampling.truncate(P, top_k, top_p) == pytest.approx(np.array([kept]))


def test_truncation_takes_the_first_of_equals_and_each_row_by_its_own():
    assert sampling.truncate(np.full((1, 4), 0.25), 2).tolist() == [[0.5, 0.5, 0, 0]]
    rows = sampling.truncate(np.repeat(P, 3, axis=0), np.array([0, 1, 0]), np.array([1.0, 1.0, 0.6]))
    assert rows == pytest.approx(np.array([P[0], [0, 1, 0, 0], [0, 2 / 3, 0, 1 / 3]]))


def test_top_k_of_one_is_greedy_and_a_row_is_drawn_as_it_is_alone(trained):
    model = load_weights(trained[0])
    greedy, plain, nucleus = (
        sampling.sample(*model, ["B"], 30, t, top_p=p) for t, p in ((0.0, 1.0), (1.0, 1.0), (1.0, 0.7))
    )
    together = sampling.sample(*model, ["B"] * 4, 30, 1.0, top_k=[1, 0, 0, 0], top_p=[1.0, 1.0, 1e-6, 0.7])
    assert together == [*greedy, *plain, *greedy, *nucleus]
    assert len({*together}) == 3


def test_drawing_inverts_the_cumulative_distribution():
    p = np.array([[0.25, 0.0, 0.5, 0.25]]).repeat(6, axis=0)
    u = np.array([0.0, 0.2499, 0.25, 0.7499, 0.75, np.nextafter(1, 0)])
    for total in (1, 3):
        assert sampling.draw(total * p, u).tolist() == [0, 0, 2, 2, 3, 3]


def test_a_character_of_probability_zero_is_never_drawn():
    p = np.array([[0.3, 0.7 - 1e-17, 0.0]])
    assert sampling.draw(p, np.array([np.nextafter(1, 0)])) == [1]


@pytest.mark.parametrize("cell", core.CELLS)
def test_reading_character_by_character_gives_the_logits_of_the_model(tiny, tiny_config, cell):
    config = replace(tiny_config, cell=cell)
    weights = core.initial_weights(len(tiny.vocab), config)
    logits, targets = sampling.chunk_logits(weights, config, tiny.ids, np.array([2]))
    text = decode(tiny.ids[60:90], tiny.vocab)
    assert sampling.next_logits(weights, config, tiny.vocab, text) == pytest.approx(logits[-1, 0], abs=1e-5)
    assert targets[-1, 0] == tiny.ids[90]


@pytest.mark.parametrize("cell, hidden", [("rnn", 33), ("lstm", 64), ("gru", 50)])
def test_a_text_does_not_depend_on_its_batch(cell, hidden):
    vocab = "".join(map(chr, range(48, 48 + 65)))
    config = Config(cell=cell, hidden_size=hidden, device="cpu", precision="float32")
    weights = core.initial_weights(len(vocab), config)
    many = sampling.sample(weights, config, vocab, ["A"] * 20, 40, 0.9, seed=3, numbers=range(20))
    for n in (1, 2, 17):
        assert sampling.sample(weights, config, vocab, ["A"] * n, 40, 0.9, seed=3, numbers=range(n)) == many[:n]
    beside_another = sampling.sample(weights, config, vocab, ["A", "LONG"], 40, [0.9, 5.0], seed=3, numbers=[4, 9])
    assert beside_another[0] == many[4]


def test_when_one_piece_of_texts_is_interrupted_the_others_stop():
    def work(piece, stopped):
        both_begun.wait(timeout=30)
        if piece.start == 0:
            raise KeyboardInterrupt
        assert stopped.wait(timeout=30)
        ended.append(piece)

    ended: list[slice] = []
    both_begun, before = threading.Barrier(2), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            sampling._on_threads(work, [slice(0, 1), slice(1, 2)])
        assert ended == [slice(1, 2)] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_a_text_does_not_depend_on_how_many_are_written_at_a_time(trained, threads, monkeypatch):
    def texts():
        return sampling.sample(*load_weights(trained[0]), ["B", "Clara"] * 5, 30, 0.8, numbers=range(10))

    together = texts()
    monkeypatch.setattr(sampling, "PIECE", 3)
    assert texts() == together and torch.get_num_threads() == threads


@pytest.mark.filterwarnings("error")
def test_the_lowest_temperatures_take_the_first_of_the_likeliest_and_are_quiet(trained):
    model = load_weights(trained[0])
    zero, *tiny = sampling.sample(*model, ["B"] * 3, 30, [0.0, 1e-300, 1e-30])
    assert tiny == [zero, zero]
    alike = {name: torch.zeros_like(w) for name, w in model[0].items()}
    assert sampling.sample(alike, *model[1:], ["B"], 3, 0.0) == ["B" + 3 * model[2][0]]


@pytest.mark.parametrize("one_dnn", [True, False])
@pytest.mark.parametrize("cell", core.CELLS)
def test_the_bits_of_a_row_do_not_depend_on_the_rows_beside_it(cell, one_dnn, monkeypatch):
    if not one_dnn:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    config = Config(cell=cell, device="cpu", precision="float32")
    step = Stepper(core.initial_weights(65, config), config)

    def logits(rows):
        state = step.zero_state(rows)
        for t in range(5):
            out, state = step((7 * np.arange(rows) + t) % 65, state)
        return out

    many = logits(100)
    for rows in (1, 2, 7, 30):
        assert np.array_equal(logits(rows), many[:rows])


@pytest.mark.parametrize("rows", [1, 30, 300])
def test_the_bits_of_a_row_do_not_depend_on_the_number_of_threads(rows):
    before, config = torch.get_num_threads(), Config(device="cpu", precision="float32")
    step = Stepper(core.initial_weights(65, config), config)
    found = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            logits, state = step(np.arange(rows) % 65, step.zero_state(rows))
            found.append(step(logits.argmax(axis=1), state)[0])
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(found[0], found[1])


def test_a_cell_whose_step_is_not_known_writes_no_text(tiny, tiny_config, monkeypatch):
    monkeypatch.setitem(core.CELLS, "own", core.CELLS["gru"])
    config = replace(tiny_config, cell="own")
    with pytest.raises(CharlmError, match=r"cell = 'own': cannot write text"):
        sampling.sample(core.initial_weights(len(tiny.vocab), config), config, tiny.vocab, ["B"], 5)


def test_weights_that_are_called_otherwise_write_no_text(tiny, tiny_config):
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    renamed = {name.replace("rnn.", "rnn.inside."): w for name, w in weights.items()}
    with pytest.raises(CharlmError, match=r"called like torch\.nn\.RNN's: no 'rnn\.weight_ih_l0'"):
        Stepper(renamed, replace(tiny_config, embedding=2))


@pytest.mark.parametrize(
    "change, message",
    [
        ({"prompts": ["é"]}, r"U\+00E9"),
        ({"prompts": [""]}, "empty prompt"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": -1}, "top_k = -1"),
        ({"top_p": 0.0}, "top_p = 0.0"),
        ({"length": 0}, "length"),
        ({"seed": -1}, "seed"),
        ({"numbers": [2**32]}, "sample number"),
    ],
)
def test_what_cannot_be_sampled_is_named(tiny, tiny_config, change, message):
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    with pytest.raises(CharlmError, match=message):
        sampling.sample(weights, tiny_config, tiny.vocab, **{"prompts": ["B"], "length": 5, **change})


def test_default_prompts_are_the_studys_or_the_first_letters_there_are():
    assert sampling.default_prompts("ABCDab ") == list("AaBbC")
    assert sampling.default_prompts(" .bcdefgh") == list("bcdef")
    assert sampling.default_prompts("01") == ["0", "1"]


def test_who_watches_is_given_the_first_text_and_no_other(trained, threads, monkeypatch):
    model = load_weights(trained[0])
    monkeypatch.setattr(sampling, "PIECE", 2)
    pieces: list[str] = []
    prompts = ["the ", "C", "BRUTUS: of my", "k"]
    texts = sampling.sample(*model, prompts, 100, 0.8, watch=pieces.append)
    assert "".join(pieces) == texts[0] and len(pieces) > 2
    assert texts == sampling.sample(*model, prompts, 100, 0.8)
