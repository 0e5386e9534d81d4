"""Randomly initialised models that find things: the classification layers are scaled until detections survive."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torchvision.ops import FrozenBatchNorm2d
from torchvision.transforms.functional import pil_to_tensor

from detection_core.build import empty_model
from detection_core.catalog import ASSETS, ModelSpec, get_spec

# One model of every family, the lightest.
FAMILIES = (
    "person_mobilenet_v2_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)


@cache
def random_module(key: str, *, size: int | None = 128, seed: int = 0) -> nn.Module:
    """A model of the catalog with random weights that gives a fair number of detections.

    Args:
        key: Which model.
        size: Side to which pictures are scaled, to be quick, with at most 20 objects; None leaves the model's own. SSDs have a fixed one.
        seed: Of the weights.

    Returns:
        The module, the same for the same arguments: leave it as it is.
    """
    torch.manual_seed(seed)
    module = empty_model(get_spec(key)).eval().requires_grad_(False)
    for name, parameter in module.named_parameters():
        if any(part in name for part in _CLASSIFIERS) and name.endswith(".weight"):
            parameter.mul_(_gain(key))
        elif any(part in name for part in _CLASSIFIERS) and name.endswith(".bias"):
            parameter.normal_()
    if size is not None:
        module.transform.min_size = (size,)
        module.transform.max_size = 2 * size
        if hasattr(module, "roi_heads"):
            module.roi_heads.detections_per_img = 20
    _calibrate(module)
    return module


_CLASSIFIERS = ("cls_score", "cls_logits", "classification_head.module_list")


def _calibrate(module: nn.Module) -> None:
    """Gives batch norms the statistics of a real photo, as training would, and box classifiers logits around zero.

    Without the first, features explode or fade with depth; without the second, one class takes all.
    """

    def take_statistics(norm: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        norm.running_mean.copy_(inputs[0].mean(dim=(0, 2, 3)))
        norm.running_var.copy_(inputs[0].var(dim=(0, 2, 3), correction=0) + 1e-3)

    def center(classifier: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        classifier.bias.copy_(-classifier.weight @ inputs[0].mean(dim=0))

    norms = [child for child in module.modules() if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
    if hasattr(module, "roi_heads"):
        hooks.append(module.roi_heads.box_predictor.cls_score.register_forward_pre_hook(center))
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as photo, torch.no_grad():
        module([pil_to_tensor(photo.convert("RGB").resize((160, 160))).float() / 255])
    for hook in hooks:
        hook.remove()


def _gain(key: str) -> float:
    return {"fcos_resnet50_fpn": 20.0, "retinanet_resnet50_fpn": 20.0}.get(key, 200.0 if "rcnn" in key or "person" in key else 5.0)


def save_random_weights(spec: ModelSpec, folder: Path) -> Path:
    """Writes random weights under the official file name, as if they had been downloaded."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / spec.file_name
    torch.save(random_module(spec.key).state_dict(), path)
    return path
