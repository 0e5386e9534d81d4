"""Randomly initialised models that find things: the classification layers are scaled until detections survive."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.ops import FrozenBatchNorm2d
from torchvision.transforms.functional import pil_to_tensor

from detection_core.build import empty_model
from detection_core.catalog import ASSETS, COCO_MODEL, Architecture, ModelSpec, get_spec
from detection_core.structure import outline

# One model of every family, the lightest, and those that are built in.
FAMILIES = (
    "ssdlite300_mobilenet_v2",
    "person_mobilenet_v2_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)
# Without those whose parts a lighter one has as well: the person model's joints, SSDlite's default boxes.
QUICK_FAMILIES = tuple(key for key in FAMILIES if key not in {"keypointrcnn_resnet50_fpn", "ssd300_vgg16"})


def quick_first(keys: Iterable[str], quick: Collection[str]) -> list[Any]:
    """Models as a test's parameters, those that are not among the quick ones marked as slow."""
    return [key if key in quick else pytest.param(key, marks=pytest.mark.slow) for key in keys]


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
    module = empty_model(get_spec(key).architecture).eval().requires_grad_(False)
    if key == COCO_MODEL:
        # Its layers have no norms that would bring signals back which fade.
        random_state(module)
        # One class of ninety would hardly ever be among what it finds.
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
            # Of a thousand, which the box head would take a second for.
            module.rpn._post_nms_top_n["testing"] = 100
    calibrate(module)
    return module


def box_finder(module: nn.Module) -> nn.Module:
    """The part of a detector that has the threshold for scores and the number of objects."""
    return module.roi_heads if hasattr(module, "rpn") else module


_CLASSIFIERS = ("cls_score", "cls_logits", "classification_head.module_list")


def calibrate(module: nn.Module) -> None:
    """Gives batch norms the statistics of a real photo, as training would, and box classifiers logits around zero.

    Without the first, features explode or fade with depth; without the second, one class takes all.
    """

    def take_statistics(norm: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if not inputs[0].numel():
            return
        norm.running_mean.copy_(inputs[0].mean(dim=(0, 2, 3)))
        norm.running_var.copy_(inputs[0].var(dim=(0, 2, 3), correction=0) + 1e-3)

    def center(classifier: nn.Module, inputs: tuple[torch.Tensor]) -> None:
        classifier.bias.copy_(-classifier.weight @ inputs[0].mean(dim=0))

    norms = [child for child in module.modules() if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(take_statistics) for norm in norms]
    if hasattr(module, "rpn"):
        hooks.append(module.roi_heads.box_predictor.cls_score.register_forward_pre_hook(center))
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as photo, torch.no_grad():
        module([pil_to_tensor(photo.convert("RGB").resize((160, 160))).float() / 255])
    for hook in hooks:
        hook.remove()


def _gain(key: str) -> float:
    return {"fcos_resnet50_fpn": 20.0, "retinanet_resnet50_fpn": 20.0, COCO_MODEL: 1.0}.get(
        key, 200.0 if "rcnn" in key or "person" in key else 5.0
    )


def save_random_weights(spec: ModelSpec, folder: Path) -> Path:
    """Writes random weights under the official file name, as if they had been downloaded."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / spec.file_name
    torch.save(random_module(spec.key).state_dict(), path)
    return path


def random_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights that keep signals alive through a deep network and leave no batch norm an identity."""
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


def _fill(tensor: torch.Tensor, position: int) -> torch.Tensor:
    """Copies noise from -1 to 1, of another place for every tensor: drawing tens of millions of numbers takes several times as long."""
    noise = _noise()
    start = position * 7_919 % _NOISE_PERIOD
    for part in tensor.view(-1).split(_NOISE_PERIOD):
        part.copy_(noise[start : start + len(part)])
    return tensor


# A prime, so that no two rows of a large matrix are the same.
_NOISE_PERIOD = 1_000_003


@cache
def _noise() -> torch.Tensor:
    """One period of noise, twice, so that it can be begun anywhere."""
    return (torch.rand(_NOISE_PERIOD, generator=torch.Generator().manual_seed(0)) * 2 - 1).repeat(2)


@torch.inference_mode()
def raw_output(module: nn.Module) -> dict[str, torch.Tensor]:
    """The backbone's levels and the best few detections in a small picture, however improbable they are."""
    head = box_finder(module)
    head.score_thresh, head.detections_per_img = 0.0, 5
    if hasattr(module, "rpn"):
        module.rpn._post_nms_top_n["testing"] = 20
    if module.transform.max_size > 320:
        module.transform.min_size, module.transform.max_size = (64,), 96
    picture = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(1))
    features: dict[str, torch.Tensor] = {}
    module.backbone.register_forward_hook(lambda _, inputs, maps: features.update(maps if isinstance(maps, dict) else {"0": maps}))
    return module([picture])[0] | features


def hollow_state(architecture: Architecture) -> dict[str, torch.Tensor]:
    """Weights of the right names and shapes that are nothing but one zero each, so that their file is small and written at once."""
    shapes = _shapes(architecture.builder, tuple(architecture.arguments.items()))
    return {name: torch.zeros((), dtype=dtype).expand(shape) for name, (shape, dtype) in shapes.items()}


@cache
def _shapes(builder: str, arguments: tuple) -> dict[str, tuple[torch.Size, torch.dtype]]:
    state = outline(Architecture(builder, dict(arguments))).state_dict()
    return {name: (tensor.shape, tensor.dtype) for name, tensor in state.items()}


def hollow_content(architecture: Architecture) -> dict[str, Any]:
    """What a checkpoint's file holds, with a hollow state."""
    classes, joints = architecture.arguments["num_classes"], architecture.arguments.get("num_keypoints", 0)
    return {
        "format": "detection-explorer",
        "version": 1,
        "architecture": {"builder": architecture.builder, "arguments": architecture.arguments},
        "categories": ["__background__", *(f"thing {label}" for label in range(1, classes))],
        "keypoint_names": [f"point {number}" for number in range(joints)],
        "state": hollow_state(architecture),
        "training": {},
        "metrics": {},
        "suggested_threshold": None,
        "resume": None,
    }
