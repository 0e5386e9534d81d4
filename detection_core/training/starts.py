"""Builds detectors with a backbone trained on ImageNet or on people, and with untrained heads."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.models import get_model, get_model_builder
from torchvision.models._api import WeightsEnum

from detection_core.models.builders import BUILDERS
from detection_core.models.empty import FROZEN_NORM_EPSILON, build_empty
from detection_core.models.spec import Architecture
from detection_core.models.weights import fetch_backbone
from detection_core.training import TrainingError
from detection_core.training.backbone_weights import imagenet_backbone, read_movenet_backbone

# The epsilon of FrozenBatchNorm2d in torchvision's builders when only the backbone has weights.
_IMAGENET_EPSILON = 1e-5
# Its last layers are half as wide (`reduced_tail`) if no backbone weights are loaded, as in the weights trained on COCO.
_OTHER_WITH_BACKBONE = "ssdlite320_mobilenet_v3_large"


def frozen_by_backbone(architecture: Architecture) -> Architecture:
    """Returns the architecture with frozen batch norms, as torchvision freezes them for a pretrained backbone, and for our builders."""
    if architecture.builder not in {*FROZEN_NORM_EPSILON, *BUILDERS}:
        return architecture
    return Architecture(architecture.builder, {**architecture.arguments, "frozen_norm_epsilon": _IMAGENET_EPSILON})


def backbone_start(architecture: Architecture, file: Path | None, say: Callable[[str], None]) -> tuple[nn.Module, str]:
    """Builds a detector with a trained backbone.

    Args:
        architecture: The result of `frozen_by_backbone`.
        file: For our own builders: a MobileNetV2 ImageNet state dict, or, for `person_mobilenet_v2_fpn`, MoveNet MultiPose's
            TensorFlow.js `.json`. None downloads torchvision's ImageNet weights, for builders on a backbone of torchvision's.
        say: Called with lines of progress for the user.

    Returns:
        The module, and the name of the backbone's weights.

    Raises:
        TrainingError: If the file is missing or does not fit.
        WeightsError: If the download fails.
    """
    own = architecture.builder in BUILDERS
    if not own and file is not None:
        raise TrainingError("--backbone is for this project's own builders; torchvision's download theirs. Leave it out.")
    if not own:
        return _torchvision_start(architecture, say)
    if file is None:
        raise TrainingError(f"{architecture.builder} needs a file with its backbone's weights: give --backbone FILE.")
    module: Any = build_empty(architecture)
    try:
        if file.suffix == ".json":
            state = read_movenet_backbone(file)
        else:
            content = torch.load(file, map_location="cpu", weights_only=True)
            state = imagenet_backbone(content.get("state_dict", content))
        body = getattr(module.backbone, "body", module.backbone)
        # Without the layers after those that the detector uses.
        body.load_state_dict({name: tensor for name, tensor in state.items() if name in body.state_dict()})
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        raise TrainingError(f"{file.name} is no backbone of {architecture.builder}: {str(error).splitlines()[0]}") from error
    say(f"Starting from the backbone in {file.name}.")
    return module, f"backbone {file.name}"


def _torchvision_start(architecture: Architecture, say: Callable[[str], None]) -> tuple[nn.Module, str]:
    if architecture.builder == _OTHER_WITH_BACKBONE:
        raise TrainingError("torchvision builds another SSDlite for a pretrained backbone. Start it with --init weights.")
    weights: WeightsEnum = inspect.signature(get_model_builder(architecture.builder)).parameters["weights_backbone"].default
    arguments = dict(architecture.arguments)
    arguments.pop("frozen_norm_epsilon", None)
    fetch_backbone(weights)
    # torchvision also freezes layers then, but the recipe decides which ones.
    theirs = get_model(architecture.builder, weights=None, weights_backbone=weights, **arguments)
    module = build_empty(architecture)
    module.get_submodule("backbone").load_state_dict(theirs.backbone.state_dict())
    say(f"Starting from the backbone {weights}.")
    return module, f"backbone {weights}"
