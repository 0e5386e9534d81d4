"""Makes randomly initialized models that find objects as trained ones do, for benchmarks and tests without downloads."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck
from torchvision.ops import FrozenBatchNorm2d
from torchvision.transforms.functional import pil_to_tensor

from detection_core.models.build import build_empty, build_model
from detection_core.models.catalog import ASSETS, COCO_MODEL, get_model_spec
from detection_core.models.weights import find_weights

_CLASSIFIERS = ("cls_score", "cls_logits", "classification_head.module_list")
_SPREAD = 2.0
# The improbability of an object in networks with a sigmoid per class; in the others the classes compete.
_RARITY = {"fcos": 9.0, "retinanet": 10.0}
# A prime, so that no two rows of a large matrix are the same.
_NOISE_PERIOD = 1_000_003


@cache
def random_module(key: str, *, size: int | None = 128, seed: int = 0) -> Any:
    """Builds a model of the catalog with random weights that returns a realistic number of detections.

    Args:
        key: The model's key.
        size: Side to which images are scaled for speed, with at most 20 objects; None keeps the model's own. SSDs have a fixed one.
        seed: Seed of the weights.

    Returns:
        The module, which is cached by its arguments and must not be changed.
    """
    torch.manual_seed(seed)
    module: Any = build_empty(get_model_spec(key).architecture).eval().requires_grad_(False)
    if key == COCO_MODEL:
        # Its layers have no norms that would restore fading signals.
        random_state(module)
        # One class of ninety would hardly ever be detected.
        module.roi_heads.keypoint_labels = tuple(range(1, 91, 2))
    for name, parameter in module.named_parameters():
        if any(part in name for part in _CLASSIFIERS) and name.endswith(".weight"):
            parameter.mul_(_gain(key))
        elif any(part in name for part in _CLASSIFIERS) and name.endswith(".bias"):
            parameter.normal_()
    if size is not None:
        module.transform.min_size = (size,)
        module.transform.max_size = 2 * size
        if hasattr(module, "roi_heads"):
            box_finder(module).detections_per_img = 20
        if hasattr(module, "rpn"):
            # Fewer than the usual thousand, for which the box head would take a second.
            module.rpn._post_nms_top_n["testing"] = 100
    calibrate(module)
    return module


def box_finder(module: Any) -> Any:
    """Returns the part of a detector that holds the score threshold and the maximum number of objects."""
    return module.roi_heads if hasattr(module, "rpn") else module


def calibrate(module: Any) -> None:
    """Sets batch norms to the statistics of a real image, as training would, and box classifiers to logits around zero.

    Without the first, features explode or fade with depth; without the second, one class takes all.
    """

    def take_statistics(norm: Any, inputs: tuple[Tensor]) -> None:
        if not inputs[0].numel():
            return
        norm.running_mean.copy_(inputs[0].mean(dim=(0, 2, 3)))
        norm.running_var.copy_(inputs[0].var(dim=(0, 2, 3), correction=0) + 1e-3)

    def center(classifier: Any, inputs: tuple[Tensor]) -> None:
        classifier.bias.copy_(-classifier.weight @ inputs[0].mean(dim=0))

    norms = [child for child in module.modules() if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
    if hasattr(module, "rpn"):
        hooks.append(module.roi_heads.box_predictor.cls_score.register_forward_pre_hook(center))
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as image, torch.no_grad():
        module([pil_to_tensor(image.convert("RGB").resize((160, 160))).float() / 255])
    for hook in hooks:
        hook.remove()


def _gain(key: str) -> float:
    return {"fcos_resnet50_fpn": 20.0, "retinanet_resnet50_fpn": 20.0, COCO_MODEL: 1.0}.get(
        key, 200.0 if "rcnn" in key or "person" in key else 5.0
    )


@cache
def calibrated_module(key: str, size: int | None = 128) -> Any:
    """Returns a copy of `random_module` whose class logits have a standard deviation of 2 on a real image; or the built-in model."""
    spec = get_model_spec(key)
    if spec.source == "embedded":
        path = find_weights(spec)
        assert path is not None
        return build_model(spec, path)
    module: Any = copy.deepcopy(random_module(key, size=size))
    for block in module.modules():
        if isinstance(block, Bottleneck):
            # Random weights amplify an image's last digit a thousandfold; trained ones are nearly as smooth as this.
            block.bn3.weight.mul_(0.2)
    calibrate(module)
    rarity = _RARITY.get(key.partition("_")[0], 0.0)
    layers = [layer for name, layer in module.named_modules() if any(part in name for part in _CLASSIFIERS)]
    for layer in layers:
        # Depthwise convolutions before a classifier have no bias.
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is not None:
            _spread_next_output(layer, rarity)
    with torch.no_grad():
        module([image_tensor(200, 150)])
    return module


def _spread_next_output(layer: nn.Conv2d | nn.Linear, rarity: float) -> None:
    def spread(_: nn.Module, inputs: tuple[Tensor], outputs: Tensor) -> None:
        handle.remove()
        values = outputs.transpose(0, 1).flatten(1)
        # A map of one pixel varies only over its channels.
        center = values.mean(1) if values.shape[1] > 1 else values.mean()
        gain = _SPREAD / (values - center.view(-1, 1)).std()
        assert layer.bias is not None
        layer.weight.mul_(gain)
        layer.bias.copy_((layer.bias - center) * gain - rarity)

    handle = layer.register_forward_hook(spread)


def image_tensor(width: int, height: int) -> Tensor:
    """Returns a real image as input of torchvision's detectors, so that features have structure."""
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as image:
        pixels: Tensor = pil_to_tensor(image.convert("RGB").resize((width, height))).float() / 255
    return pixels


def random_state(module: nn.Module) -> dict[str, Tensor]:
    """Sets weights that preserve signals through a deep network and make no batch norm an identity; returns the state dict."""
    state = module.state_dict()
    for position, (name, tensor) in enumerate(state.items()):
        if not tensor.is_floating_point():
            tensor.zero_()
        elif tensor.ndim > 1:
            _fill(tensor, position).mul_((3 / tensor[0].numel()) ** 0.5)
        elif name.endswith(("running_var", "weight")):
            _fill(tensor, position).mul_(0.5).add_(1)
        else:
            _fill(tensor, position).mul_(0.2)
    return state


def _fill(tensor: Tensor, position: int) -> Tensor:
    """Copies noise in -1 to 1, from another offset for every tensor: drawing tens of millions of numbers takes several times as long."""
    noise = _noise()
    start = position * 7_919 % _NOISE_PERIOD
    for part in tensor.view(-1).split(_NOISE_PERIOD):
        part.copy_(noise[start : start + len(part)])
    return tensor


@cache
def _noise() -> Tensor:
    """Returns one period of noise, repeated once, so that it can be read from any offset."""
    return (torch.rand(_NOISE_PERIOD, generator=torch.Generator().manual_seed(0)) * 2 - 1).repeat(2)
