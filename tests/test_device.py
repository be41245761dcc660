"""What a machine can train, and what is said where it cannot."""

from dataclasses import replace

import pytest
import torch

import charlm.device
import charlm_core as core
from charlm.device import check_device, resolved_config
from charlm_core import CharlmError, Config

# ---------------------------------------------------------------------------------------------------------------------
# configuration


@pytest.mark.parametrize(
    "hardware, precision",
    [
        ({"amx_bf16": True, "avx512_bf16": True, "sse4a": False}, "bfloat16"),
        ({"amx_bf16": False, "avx512_bf16": True, "sse4a": True}, "bfloat16"),
        ({"amx_bf16": False, "avx512_bf16": True, "sse4a": False}, "float32"),  # an Intel, where it is slower
    ],
)
def test_bfloat16_is_for_hardware_that_is_fast_at_it_and_for_cells_that_bear_it(monkeypatch, hardware, precision):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: hardware)
    monkeypatch.setattr(charlm.device, "why_untrainable", lambda *what: "")
    assert resolved_config(Config(cell="lstm", learning_rate=0.002, device="cpu")).precision == precision
    assert resolved_config(Config(cell="rnn", device="cpu")).precision == precision
    assert resolved_config(Config(cell="rnn", learning_rate=0.002, device="cpu")).precision == "float32"


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
    charlm.device.why_untrainable.cache_clear()
    yield
    charlm.device.why_untrainable.cache_clear()


def test_a_precision_that_the_device_cannot_train_a_cell_in_is_refused_in_one_line(no_bfloat16):
    config = resolved_config(Config(precision="bfloat16", device="cpu"))
    assert config.precision == "bfloat16"  # runs that another machine made can still be named
    with pytest.raises(CharlmError) as refused:
        check_device(config)
    assert str(refused.value) == (
        "precision = 'bfloat16': this machine's cpu cannot train the cell 'lstm' in it "
        "(could not create a primitive); use precision = 'float32'"
    )
    check_device(replace(config, precision="float32"))
    assert resolved_config(Config(device="cpu")).precision == "float32"


@pytest.mark.parametrize("cell", core.CELLS)
def test_auto_takes_one_precision_for_all_cells_that_it_is_to_compare(monkeypatch, cell):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setattr(charlm.device, "why_untrainable", lambda cell, *of: "no such LSTM" if cell == "lstm" else "")
    assert resolved_config(Config(cell=cell, device="cpu")).precision == "float32"


def test_whether_a_device_can_is_tried_once_and_leaves_no_trace(no_bfloat16, monkeypatch):
    threads, drawn = torch.get_num_threads(), torch.get_rng_state()
    assert charlm.device.why_untrainable("lstm", "cpu", "bfloat16")
    assert torch.get_num_threads() == threads and torch.equal(torch.get_rng_state(), drawn)
    monkeypatch.setattr(core, "batch_loss", None)
    assert charlm.device.why_untrainable("lstm", "cpu", "bfloat16")


@pytest.mark.parametrize(("cuda", "device"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_of_nvidia_and_leaves_an_apple_gpu_to_be_named(monkeypatch, cuda, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolved_config(Config()).device == device
    assert resolved_config(Config(device="mps")).device == "mps"


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(CharlmError, match="cuda"):
        resolved_config(Config(device="cuda"))
