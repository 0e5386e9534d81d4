from __future__ import annotations

import torch

from detection_core.models.quantization import dequantize, quantize

STATE = {
    "conv.weight": torch.randn(8, 16, 3, 3, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 1, 8)[:, None, None, None],
    "conv.bias": torch.randn(8, generator=torch.Generator().manual_seed(1)),
    "depthwise.weight": torch.randn(8, 1, 3, 3, generator=torch.Generator().manual_seed(2)),
    "dead.weight": torch.zeros(2, 100),
    "norm.num_batches_tracked": torch.tensor(7),
}


def test_rounding_is_half_a_step_of_each_channel_at_most():
    back = dequantize(quantize(STATE))
    assert back.keys() == STATE.keys()
    weight = STATE["conv.weight"]
    step = weight.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
    assert ((back["conv.weight"] - weight).abs() <= 0.5001 * step).all()
    assert not torch.equal(back["conv.weight"], weight)


def test_small_channels_keep_float16_and_integers_themselves():
    small = quantize(STATE)
    assert small["conv.weight"].dtype == torch.int8
    assert {small[name].dtype for name in ("conv.bias", "depthwise.weight")} == {torch.float16}
    back = dequantize(small)
    assert torch.equal(back["depthwise.weight"], STATE["depthwise.weight"].half().float())
    assert torch.equal(back["norm.num_batches_tracked"], torch.tensor(7))
    assert torch.equal(back["dead.weight"], STATE["dead.weight"])


def test_other_state_dicts_come_back_in_float32():
    back = dequantize({"a": torch.ones(2, 3, dtype=torch.float16), "n": torch.tensor(3)})
    assert back["a"].dtype == torch.float32
    assert back["n"].dtype == torch.int64
