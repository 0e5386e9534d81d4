"""Random detectors whose scores are spread like those of trained ones: not all at 1, where their order would be a matter of rounding."""

from __future__ import annotations

import copy
from functools import cache

import torch
from PIL import Image
from torch import nn
from torchvision.models.resnet import Bottleneck
from torchvision.transforms.functional import pil_to_tensor

from detection_core.build import build_model
from detection_core.catalog import ASSETS, get_spec
from detection_core.weights import find_weights
from tests.random_models import calibrate, random_module

_CLASSIFIERS = ("cls_score", "cls_logits", "classification_head.module_list")
_SPREAD = 2.0
# How improbable an object is for networks that judge each class by itself; the others' classes compete.
_RARITY = {"fcos": 9.0, "retinanet": 10.0}


@cache
def calibrated_module(key: str, size: int | None = 128) -> nn.Module:
    """`random_module`, a copy of it, with class logits of a standard deviation of 2 on a real photo; or the built-in model as it is."""
    spec = get_spec(key)
    if spec.source == "embedded":
        path = find_weights(spec)
        assert path is not None
        return build_model(spec, path)
    module = copy.deepcopy(random_module(key, size=size))
    for block in module.modules():
        if isinstance(block, Bottleneck):
            # Random ones amplify a picture's last digit a thousandfold; what training leaves is nearly as smooth as this.
            block.bn3.weight.mul_(0.2)
    calibrate(module)
    rarity = _RARITY.get(key.partition("_")[0], 0.0)
    layers = [layer for name, layer in module.named_modules() if any(part in name for part in _CLASSIFIERS)]
    for layer in layers:
        # Depthwise convolutions in front of a classifier have no bias.
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            _spread_next_output(layer, rarity)
    with torch.no_grad():
        module([photo(200, 150)])
    return module


def _spread_next_output(layer: nn.Conv2d | nn.Linear, rarity: float) -> None:
    def spread(_: nn.Module, inputs: tuple[torch.Tensor], outputs: torch.Tensor) -> None:
        handle.remove()
        values = outputs.transpose(0, 1).flatten(1)
        # A map of a single place has no spread but that of its channels.
        center = values.mean(1) if values.shape[1] > 1 else values.mean()
        gain = _SPREAD / (values - center.view(-1, 1)).std()
        layer.weight.mul_(gain)
        layer.bias.copy_((layer.bias - center) * gain - rarity)

    handle = layer.register_forward_hook(spread)


def photo(width: int, height: int) -> torch.Tensor:
    """A real photo as torchvision's detectors take it, so that features have structure."""
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as picture:
        return pil_to_tensor(picture.convert("RGB").resize((width, height))).float() / 255
