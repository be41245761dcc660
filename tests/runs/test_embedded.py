"""Models inside a page, which may be somebody else's."""

import base64
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from charlm.files import Damaged
from charlm.runs.embedded import data_block, float16_weights, packed_weights, read_page
from charlm_core import CharlmError, initial_weights

VOCAB = "\n <abc"


@pytest.fixture
def content(tiny_config):
    config = replace(tiny_config, hidden_size=4)
    halves = float16_weights(initial_weights(len(VOCAB), config))
    about = {"run": "lstm-1", "config": vars(config), "val_loss": 1.5, "weights": packed_weights(halves, config)}
    return {"vocab": VOCAB, "models": {"lstm": about}}


@pytest.fixture
def page(tmp_path):
    def write(content):
        return of_block(data_block(content), tmp_path)

    return write


def of_block(block, folder):
    path = folder / "page.html"
    path.write_text(f"<html>{block}</html>", "utf-8", newline="\n")
    return path


def block_of(text):
    """The element with any text in the place of JSON, its checksum right."""
    return f'<script type="application/json" id="play-data" data-crc32="{zlib.crc32(text.encode())}">{text}</script>'


def test_a_model_is_read_back_as_it_was_packed(content, page, tiny_config):
    (found,) = read_page(page(content))
    config = replace(tiny_config, hidden_size=4)
    assert (found.run_id, found.config, found.vocab, found.val_loss) == ("lstm-1", config, VOCAB, 1.5)
    for name, weights in initial_weights(len(VOCAB), config).items():
        assert found.weights[name].dtype == torch.float16 and found.weights[name].equal(weights.half())


def test_the_better_model_comes_first(content, page):
    better = content["models"]["lstm"] | {"run": "rnn-1", "val_loss": 1.25}
    content["models"] = {"lstm": content["models"]["lstm"], "rnn": better}
    assert [model.run_id for model in read_page(page(content))] == ["rnn-1", "lstm-1"]


def test_no_text_ends_the_block_that_it_stands_in(content, page):
    content["prompt"] = "</script><script>alert(1)</script><!--"
    assert page(content).read_text("utf-8").count("<script") == 1
    assert len(read_page(page(content))) == 1


def test_a_page_without_models_and_no_page_have_none(tmp_path):
    (tmp_path / "page.html").write_text("<html></html>", "utf-8", newline="\n")
    assert read_page(tmp_path / "page.html") == read_page(tmp_path / "absent.html") == []


def with_weights(about, values):
    data = np.asarray(values, "<f2").tobytes()
    about.update(weights=base64.b64encode(data).decode())


def values_of(about):
    return np.frombuffer(base64.b64decode(about["weights"]), "<f2").copy()


def infinite(content):
    values = values_of(content["models"]["lstm"])
    values[3] = np.inf
    with_weights(content["models"]["lstm"], values)


@pytest.mark.parametrize("where", [0.01, 0.5, 0.99])
def test_wherever_a_bit_is_flipped_nothing_is_believed(content, tmp_path, where):
    block = data_block(content)
    begin, end = block.index(">") + 1, block.rindex("<")
    at = begin + int(where * (end - begin))
    path = of_block(block[:at] + chr(ord(block[at]) ^ 1) + block[at + 1 :], tmp_path)
    with pytest.raises(CharlmError, match="checksum"):
        read_page(path)


HOSTILE = {
    "infinite": infinite,
    "one too few": lambda c: with_weights(c["models"]["lstm"], values_of(c["models"]["lstm"])[:-1]),
    "no base64": lambda c: c["models"]["lstm"].update(weights="é" * 40),
    "an unknown cell": lambda c: c["models"]["lstm"]["config"].update(cell="os.system"),
    "a list for a configuration": lambda c: c["models"]["lstm"].update(config=[]),
    "a loss that is no number": lambda c: c["models"]["lstm"].update(val_loss=float("nan")),
    "vocabulary out of order": lambda c: c.update(vocab="ba\n <c"),
    "vocabulary that is no text": lambda c: c.update(vocab="\n <ab\ud800"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_not_sound_is_refused_in_one_line(name, content, tmp_path):
    HOSTILE[name](content)
    path = of_block(block_of(json.dumps(content).replace("<", r"\u003c")), tmp_path)
    with pytest.raises(Damaged, match=r"from the repository|of another version") as refused:
        read_page(path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 500


@pytest.mark.parametrize("inside", ["{", "[" * 100_000, '{"vocab": "ab"}'])
def test_json_that_is_none_of_ours_is_refused(inside, tmp_path):
    path = of_block(block_of(inside), tmp_path)
    with pytest.raises(Damaged):
        read_page(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "page.html").write_bytes(b"\xff\xfe")
    with pytest.raises(Damaged):
        read_page(tmp_path / "page.html")


def test_a_weight_too_large_for_float16_is_refused():
    with pytest.raises(CharlmError, match="too large for float16"):
        float16_weights({"head.bias": torch.tensor([1e6])})
