"""The experiment: configuration, split, model, training, sampling."""

import threading
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import charlm_core as core
import charlm_corpus
import charlm_runs
from charlm_core import Config
from charlm_corpus import CharlmError

# ---------------------------------------------------------------------------------------------------------------------
# configuration


def test_the_default_configuration_is_the_protocol_of_the_study():
    c = Config()
    assert (c.hidden_size, c.layers, c.learning_rate, c.batch_size) == (256, 2, 0.001, 64)
    assert (c.chunk_length, c.validation_share, c.epochs, c.patience) == (30, 0.2, 50, 5)


@pytest.mark.parametrize(
    "field, value",
    [
        ("cell", "transformer"),
        ("hidden_size", 0),
        ("layers", 1.5),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("batch_size", -1),
        ("chunk_length", True),
        ("validation_share", 1.0),
        ("epochs", "many"),
        ("patience", 0),
        ("seed", -1),
        ("seed", 2**32),
        ("split", "random"),
        ("split_seed", "seed"),
        ("split_seed", -1),
        ("precision", "float16"),
        ("device", "tpu"),
    ],
)
def test_a_senseless_value_is_named_with_its_field(field, value):
    with pytest.raises(CharlmError, match=field):
        Config(**{field: value})


def test_auto_is_resolved_to_what_the_machine_has():
    c = Config().resolve()
    assert c.device in core.DEVICES and c.precision in core.PRECISIONS
    assert c.resolve() == c


@pytest.mark.parametrize(
    "hardware, precision",
    [
        ({"amx_bf16": True, "avx512_bf16": True, "sse4a": False}, "bfloat16"),
        ({"amx_bf16": False, "avx512_bf16": True, "sse4a": True}, "bfloat16"),
        ({"amx_bf16": False, "avx512_bf16": True, "sse4a": False}, "float32"),  # an Intel, where it is slower
        ({"avx2": True}, "float32"),
    ],
)
def test_bfloat16_is_for_hardware_that_is_fast_at_it_and_for_cells_that_bear_it(monkeypatch, hardware, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: hardware)
    monkeypatch.setattr(core, "why_not", lambda *what: "")
    assert Config(cell="lstm", learning_rate=0.002, device="cpu").resolve().precision == precision
    assert Config(cell="rnn", device="cpu").resolve().precision == precision
    assert Config(cell="rnn", learning_rate=0.002, device="cpu").resolve().precision == "float32"


@pytest.fixture
def no_bfloat16(monkeypatch):
    """A machine that has no bfloat16, though its processor says that it is fast at it."""
    batch_loss = core.batch_loss

    def without(model, inputs, targets, config):
        if config.precision == "bfloat16":
            raise RuntimeError("could not create a primitive. Run with ONEDNN_VERBOSE=all\nand more")
        return batch_loss(model, inputs, targets, config)

    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setattr(core, "batch_loss", without)
    core.why_not.cache_clear()
    yield
    core.why_not.cache_clear()


@pytest.mark.parametrize("cell", core.CELLS)
def test_a_precision_that_the_device_cannot_train_a_cell_in_is_refused_in_one_line(no_bfloat16, cell):
    config = Config(cell=cell, precision="bfloat16", device="cpu").resolve()
    assert config.precision == "bfloat16"  # runs that another machine made can still be named
    with pytest.raises(CharlmError) as refused:
        core.check_device(config)
    assert str(refused.value) == (
        f"precision = 'bfloat16': this machine's cpu cannot train the cell '{cell}' in it "
        "(could not create a primitive); use precision = 'float32'"
    )
    core.check_device(replace(config, precision="float32"))


def test_auto_takes_no_precision_that_the_device_cannot_train_in(no_bfloat16):
    assert Config(device="cpu").resolve().precision == "float32"


def test_whether_a_device_can_is_tried_once_and_leaves_no_trace(no_bfloat16, monkeypatch):
    threads, drawn = torch.get_num_threads(), torch.get_rng_state()
    assert core.why_not("lstm", "cpu", "bfloat16")
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), drawn)
    monkeypatch.setattr(core, "batch_loss", None)
    assert core.why_not("lstm", "cpu", "bfloat16")


@pytest.mark.parametrize(("cuda", "device"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_of_nvidia_and_leaves_an_apple_gpu_to_be_named(monkeypatch, cuda, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert Config().resolve().device == device
    assert Config(device="mps").resolve().device == "mps"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(CharlmError, match="cuda"):
        Config(device="cuda").resolve()


# ---------------------------------------------------------------------------------------------------------------------
# data


def test_the_study_corpus_has_8944_chunks_and_112_training_batches():
    n = core.count_chunks(268_330, 30)
    train, validation = core.split_chunks(n, Config())
    assert n == 8944 and len(validation) == 1788
    assert -(-len(train) // 64) == 112


def test_the_split_uses_every_chunk_once_and_depends_on_the_seed_only():
    train, validation = core.split_chunks(100, Config(seed=3))
    assert sorted([*train, *validation]) == list(range(100))
    other_cell = core.split_chunks(100, Config(seed=3, cell="rnn", hidden_size=8))
    assert np.array_equal(other_cell[1], validation)
    assert not np.array_equal(core.split_chunks(100, Config(seed=4))[1], validation)


def test_a_split_seed_takes_the_place_of_the_seed_for_the_split_alone():
    train, validation = core.split_chunks(100, Config(seed=3))
    other = core.split_chunks(100, Config(seed=7, split_seed=3))
    assert np.array_equal(other[0], train) and np.array_equal(other[1], validation)
    a, b, c = (core.initial_weights(5, Config(hidden_size=4, **k)) for k in ({}, {"split_seed": 9}, {"seed": 9}))
    assert torch.equal(a["head.weight"], b["head.weight"]) and not torch.equal(a["head.weight"], c["head.weight"])


def test_a_sequential_split_keeps_the_end_of_the_text_for_validation():
    train, validation = core.split_chunks(10, Config(split="sequential"))
    assert train.tolist() == list(range(8)) and validation.tolist() == [8, 9]


@pytest.mark.parametrize("n_characters, n_chunks", [(0, 0), (30, 0), (31, 1), (60, 1), (61, 2)])
def test_a_chunk_needs_a_last_target(n_characters, n_chunks):
    assert core.count_chunks(n_characters, 30) == n_chunks


def test_a_corpus_without_both_kinds_of_chunk_is_too_short():
    with pytest.raises(CharlmError, match="too short"):
        core.split_chunks(4, Config())


def test_targets_are_the_inputs_shifted_by_one():
    ids = np.arange(100, dtype=np.uint8)
    ((x, y),) = core.batches(ids, np.array([0, 2]), Config(chunk_length=10, device="cpu"))
    assert x.T.tolist() == [list(range(10)), list(range(20, 30))]
    assert torch.equal(y, x + 1)


# ---------------------------------------------------------------------------------------------------------------------
# model and training


def test_same_seed_same_weights_and_another_seed_others():
    a, b, c = (core.initial_weights(5, Config(hidden_size=4, seed=s)) for s in (0, 0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["head.weight"], c["head.weight"])


def test_drawing_initial_weights_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    core.initial_weights(5, Config(hidden_size=4))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("cell, gates", [("rnn", 1), ("gru", 3), ("lstm", 4)])
def test_parameter_count_is_that_of_the_formula(cell, gates):
    v, h = 62, 256
    layers = gates * (h * (v + h) + 2 * h) + gates * (h * 2 * h + 2 * h)
    assert core.count_parameters(v, Config(cell=cell)) == layers + v * h + v


def plain_epoch(corpus, config):
    """The same epoch as a student would write it: batch first, one-hot, torch.nn, the default Adam."""
    torch.set_num_threads(1)
    n = core.count_chunks(len(corpus.ids), config.chunk_length)
    train, _ = core.split_chunks(n, config)
    order = np.random.default_rng([config.seed, core.ORDER_STREAM, 1]).permutation(train)
    v = len(corpus.vocab)
    weights = core.initial_weights(v, config)
    rnn = core.CELLS[config.cell](v, config.hidden_size, config.layers, batch_first=True)
    head = nn.Linear(config.hidden_size, v)
    rnn.load_state_dict({k.removeprefix("rnn."): w for k, w in weights.items() if k.startswith("rnn.")})
    head.load_state_dict({k.removeprefix("head."): w for k, w in weights.items() if k.startswith("head.")})
    adam = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=config.learning_rate, foreach=False)
    losses = []
    for i in range(0, len(order), config.batch_size):
        pieces = [corpus.ids[c * 30 : c * 30 + 31].astype(int).tolist() for c in order[i : i + config.batch_size]]
        text = torch.tensor(pieces)
        out = head(rnn(nn.functional.one_hot(text[:, :-1], v).float())[0])
        loss = nn.functional.cross_entropy(out.reshape(-1, v), text[:, 1:].reshape(-1))
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return np.mean(losses)


@pytest.mark.parametrize("cell", core.CELLS)
def test_float32_training_equals_the_plain_formulation(tiny, tiny_config, cell):
    config = replace(tiny_config, cell=cell)
    state = core.train_epoch(core.initial_state(len(tiny.vocab), config), tiny, config)
    assert state.history[0]["train_loss"] == pytest.approx(plain_epoch(tiny, config), rel=1e-5)


@pytest.mark.parametrize("precision", core.PRECISIONS)
def test_training_lowers_the_loss(tiny, tiny_config, precision):
    config = replace(tiny_config, precision=precision)
    if reason := core.why_not(config.cell, config.device, precision):
        pytest.skip(reason)
    state = core.initial_state(len(tiny.vocab), config)
    for _ in range(3):
        state = core.train_epoch(state, tiny, config)
    losses = [row["val_loss"] for row in state.history]
    assert all(b < a for a, b in pairwise(losses))
    assert losses[-1] < 0.8 * np.log(len(tiny.vocab))


def test_an_epoch_leaves_the_state_before_it_as_it_was(tiny, tiny_config):
    state = core.initial_state(len(tiny.vocab), tiny_config)
    first = core.train_epoch(state, tiny, tiny_config)
    copies = {k: m.clone() for k, m in first.moments.items()}
    again = core.train_epoch(state, tiny, tiny_config)
    core.train_epoch(first, tiny, tiny_config)
    assert again.history == first.history
    assert all(torch.equal(first.moments[k], copies[k]) for k in copies)


def history(*val_losses):
    return [{"epoch": i, "train_loss": 1.0, "val_loss": v} for i, v in enumerate(val_losses, start=1)]


def test_training_stops_after_patience_epochs_without_a_better_validation_loss():
    config = Config(epochs=50, patience=2)
    assert not core.is_finished(core.State({}, {}, history=history(3, 2, 2.5)), config)
    assert core.is_finished(core.State({}, {}, history=history(3, 2, 2.5, 2)), config)  # equal is not better
    assert not core.is_finished(core.State({}, {}, history=history(3, 2, 2.5, 1.9)), config)


def test_training_stops_at_the_last_epoch():
    assert core.is_finished(core.State({}, {}, history=history(3, 2)), Config(epochs=2))


def test_the_best_epoch_is_the_earliest_with_the_lowest_validation_loss():
    assert core.best_epoch(history(3, 1, 2, 1)) == 2
    assert core.best_epoch([]) is None


def test_best_weights_are_those_of_the_best_epoch(tiny, tiny_config):
    # A learning rate this high makes a later epoch worse than an earlier one.
    config = replace(tiny_config, cell="rnn", learning_rate=0.5, epochs=8, patience=8)
    state, by_epoch = core.initial_state(len(tiny.vocab), config), {}
    while not core.is_finished(state, config):
        state = core.train_epoch(state, tiny, config)
        by_epoch[len(state.history)] = state.weights
    best = core.best_epoch(state.history)
    assert best < len(state.history)
    assert all(torch.equal(state.best_weights[k], by_epoch[best][k]) for k in state.weights)


def test_a_loss_that_is_no_number_is_reported_with_epoch_and_step(tiny, tiny_config):
    state = core.initial_state(len(tiny.vocab), tiny_config)
    broken = {k: torch.full_like(w, torch.nan) for k, w in state.weights.items()}
    after = core.train_epoch(replace(state, weights=broken), tiny, tiny_config)
    assert after.diverged == {"epoch": 1, "step": 1}
    assert core.is_finished(after, tiny_config)


# ---------------------------------------------------------------------------------------------------------------------
# sampling


@pytest.mark.parametrize(
    "counter, key, expected",
    [  # the known answers that the authors of Philox publish with their library
        ([0] * 4, [0] * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_gives_the_known_answers(counter, key, expected):
    assert " ".join(f"{w:08x}" for w in core.philox(np.array(counter), np.array(key))) == expected


def test_uniforms_are_uniform_and_depend_on_seed_sample_and_position_alone():
    u = core.uniforms(7, np.arange(50), np.arange(200))
    assert stats.kstest(u.ravel(), "uniform").pvalue > 0.001
    assert core.uniforms(7, np.array([13]), np.array([0, 77]))[0, 1] == u[13, 77]
    assert core.uniforms(8, np.array([13]), np.array([77]))[0, 0] != u[13, 77]


@pytest.mark.parametrize("temperature", [1e-300, 0.01, 0.5, 1, 10, 1e300])
def test_the_softmax_is_a_distribution_at_every_temperature(temperature):
    p = core.temperature_softmax(np.array([[1e4, -1e4, 0.0, 9999.0]]), temperature)
    assert np.isfinite(p).all() and p.sum() == pytest.approx(1)


def test_the_softmax_follows_its_formula():
    z = np.array([1.0, 2.0, -0.5])
    expected = np.exp(z / 0.7) / np.exp(z / 0.7).sum()
    assert core.temperature_softmax(z, 0.7) == pytest.approx(expected)


def test_temperature_zero_takes_the_first_of_the_likeliest():
    assert core.temperature_softmax(np.array([[0.0, 2.0, 2.0]]), 0.0).tolist() == [[0, 1, 0]]


P = np.array([[0.1, 0.5, 0.15, 0.25]])


@pytest.mark.parametrize(
    ("top_k", "top_p", "kept"),
    [
        (1, 1.0, [0, 1, 0, 0]),
        (2, 1.0, [0, 2 / 3, 0, 1 / 3]),
        (0, 0.5, [0, 1, 0, 0]),  # the first alone reaches the half
        (0, 0.51, [0, 2 / 3, 0, 1 / 3]),
        (0, 0.76, [0, 0.5 / 0.9, 0.15 / 0.9, 0.25 / 0.9]),
        (2, 0.66, [0, 1, 0, 0]),  # two thirds of what the two likeliest have
    ],
)
def test_truncation_keeps_the_likeliest_and_makes_them_sum_to_one(top_k, top_p, kept):
    assert core.truncate(P, top_k, top_p) == pytest.approx(np.array([kept]))


@pytest.mark.parametrize("top_k", [0, 4, 9])
def test_truncation_that_keeps_all_keeps_every_bit(top_k):
    p = core.temperature_softmax(np.random.default_rng(0).normal(size=(50, 4)), 1.0)
    assert (core.truncate(p, top_k, 1.0) == p).all()


def test_truncation_takes_the_first_of_equals_and_each_row_by_its_own():
    assert core.truncate(np.full((1, 4), 0.25), 2).tolist() == [[0.5, 0.5, 0, 0]]
    rows = core.truncate(np.repeat(P, 3, axis=0), np.array([0, 1, 0]), np.array([1.0, 1.0, 0.6]))
    assert rows == pytest.approx(np.array([P[0], [0, 1, 0, 0], [0, 2 / 3, 0, 1 / 3]]))


def test_top_k_of_one_is_greedy_and_a_row_is_drawn_as_it_is_alone(trained):
    model = charlm_runs.weights(trained[0])
    greedy, plain, nucleus = (
        core.sample(*model, ["B"], 30, t, top_p=p) for t, p in ((0.0, 1.0), (1.0, 1.0), (1.0, 0.7))
    )
    together = core.sample(*model, ["B"] * 4, 30, 1.0, top_k=[1, 0, 0, 0], top_p=[1.0, 1.0, 1e-6, 0.7])
    assert together == [*greedy, *plain, *greedy, *nucleus]
    assert len({*together}) == 3


def test_drawing_inverts_the_cumulative_distribution():
    p = np.array([[0.25, 0.0, 0.5, 0.25]]).repeat(6, axis=0)
    u = np.array([0.0, 0.2499, 0.25, 0.7499, 0.75, np.nextafter(1, 0)])
    assert core.draw(p, u).tolist() == [0, 0, 2, 2, 3, 3]


def test_a_character_of_probability_zero_is_never_drawn():
    p = np.array([[0.3, 0.7 - 1e-17, 0.0]])
    assert core.draw(p, np.array([np.nextafter(1, 0)])) == [1]


def test_drawn_characters_follow_the_softmax():
    logits = np.array([0.3, -1.0, 2.0, 0.0, -4.0])
    p = core.temperature_softmax(logits, 0.8)
    u = core.uniforms(1, np.arange(20_000), np.arange(1))[:, 0]
    counts = np.bincount(core.draw(np.tile(p, (20_000, 1)), u), minlength=5)
    assert stats.chisquare(counts, p * 20_000).pvalue > 0.001


@pytest.mark.parametrize("cell", core.CELLS)
def test_reading_character_by_character_gives_the_logits_of_the_model(tiny, tiny_config, cell):
    config = replace(tiny_config, cell=cell)
    weights = core.initial_weights(len(tiny.vocab), config)
    logits, targets = core.chunk_logits(weights, config, tiny.ids, np.array([2]))
    text = charlm_corpus.decode(tiny.ids[60:90], tiny.vocab)
    assert core.next_logits(weights, config, tiny.vocab, text) == pytest.approx(logits[-1, 0], abs=1e-5)
    assert targets[-1, 0] == tiny.ids[90]


@pytest.mark.parametrize("cell, hidden", [("rnn", 33), ("lstm", 64), ("gru", 50)])
def test_a_text_does_not_depend_on_its_batch(cell, hidden):
    vocab = "".join(map(chr, range(48, 48 + 65)))
    config = Config(cell=cell, hidden_size=hidden, device="cpu", precision="float32")
    weights = core.initial_weights(len(vocab), config)
    many = core.sample(weights, config, vocab, ["A"] * 70, 60, 0.9, seed=3, numbers=range(70))
    for n in (1, 2, 5, 17, 64):
        assert core.sample(weights, config, vocab, ["A"] * n, 60, 0.9, seed=3, numbers=range(n)) == many[:n]
    beside_another = core.sample(weights, config, vocab, ["A", "LONG"], 60, [0.9, 5.0], seed=3, numbers=[4, 9])
    assert beside_another[0] == many[4]


def test_when_one_piece_of_texts_is_interrupted_the_others_stop():
    def work(piece, stopped):
        both_begun.wait(timeout=30)
        if piece.start == 0:
            raise KeyboardInterrupt
        assert stopped.wait(timeout=30)
        ended.append(piece)

    ended, both_begun, before = [], threading.Barrier(2), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(KeyboardInterrupt):
            core._side_by_side(work, [slice(0, 1), slice(1, 2)])
        assert ended == [slice(1, 2)] and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_text_does_not_depend_on_how_many_are_written_at_a_time(trained, threads, monkeypatch):
    def texts():
        return core.sample(*charlm_runs.weights(trained[0]), ["B", "Clara"] * 5, 30, 0.8, numbers=range(10))

    together, before = texts(), torch.get_num_threads()
    monkeypatch.setattr(core, "PIECE", 3)
    torch.set_num_threads(threads)
    try:
        assert texts() == together
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.filterwarnings("error")
def test_the_lowest_temperatures_are_greedy_and_quiet(trained):
    model = charlm_runs.weights(trained[0])
    zero, *tiny = core.sample(*model, ["B"] * 3, 30, [0.0, 1e-300, 1e-30])
    assert tiny == [zero, zero]


@pytest.mark.parametrize("one_dnn", [True, False])
@pytest.mark.parametrize("cell", core.CELLS)
def test_the_bits_of_a_row_do_not_depend_on_the_rows_beside_it(cell, one_dnn, monkeypatch):
    if not one_dnn:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    config = Config(cell=cell, device="cpu", precision="float32")
    step = core.Stepper(core.initial_weights(65, config), config)

    def logits(rows):
        state = step.zero_state(rows)
        for t in range(5):
            out, state = step((7 * np.arange(rows) + t) % 65, state)
        return out

    many = logits(100)
    for rows in (1, 2, 3, 7, 8, 30):
        assert np.array_equal(logits(rows), many[:rows])


@pytest.mark.parametrize("rows", [1, 30, 300])
def test_the_bits_of_a_row_do_not_depend_on_the_number_of_threads(rows):
    threads = torch.get_num_threads()
    config = Config(device="cpu", precision="float32")
    step = core.Stepper(core.initial_weights(65, config), config)
    found = []
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            logits, state = step(np.arange(rows) % 65, step.zero_state(rows))
            found.append(step(logits.argmax(axis=1), state)[0])
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(*found)


def test_a_cell_whose_step_is_not_known_writes_no_text(tiny, tiny_config, monkeypatch):
    monkeypatch.setitem(core.CELLS, "own", core.CELLS["gru"])
    config = replace(tiny_config, cell="own")
    with pytest.raises(CharlmError, match=r"cell = 'own': cannot write text"):
        core.sample(core.initial_weights(len(tiny.vocab), config), config, tiny.vocab, ["B"], 5)


def test_a_sample_is_its_prompt_and_length_characters_more(trained):
    texts = core.sample(*charlm_runs.weights(trained[0]), ["B", "Clara"], 40, 0.7)
    assert [t.startswith(p) for t, p in zip(texts, ["B", "Clara"], strict=True)] == [True, True]
    assert [len(t) for t in texts] == [41, 45]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"prompts": ["é"]}, r"U\+00E9"),
        ({"prompts": [""]}, "empty prompt"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": -1}, "top_k = -1"),
        ({"top_k": 2.5}, "top_k = 2.5"),
        ({"top_p": 0.0}, "top_p = 0.0"),
        ({"top_p": 1.01}, "top_p = 1.01"),
        ({"top_p": float("nan")}, "top_p = nan"),
        ({"length": 0}, "length"),
        ({"seed": -1}, "seed"),
        ({"numbers": [2**32]}, "sample number"),
    ],
)
def test_what_cannot_be_sampled_is_named(tiny, tiny_config, change, message):
    weights = core.initial_weights(len(tiny.vocab), tiny_config)
    with pytest.raises(CharlmError, match=message):
        core.sample(weights, tiny_config, tiny.vocab, **{"prompts": ["B"], "length": 5, **change})


def test_default_prompts_are_the_studys_or_the_first_letters_there_are():
    assert core.default_prompts("ABCDab ") == list("AaBbC")
    assert core.default_prompts(" .bcdefgh") == list("bcdef")
    assert core.default_prompts("01") == ["0", "1"]
