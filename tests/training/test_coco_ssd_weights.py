"""Our SSDlite with Google's weights finds the same boxes and scores as its graph, computed here from made-up weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, pad
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import box_iou

from detection_core.models.catalog import ASSETS, COCO_MODEL
from detection_core.models.detector import Detector
from detection_core.models.ssdlite_mobilenet_v2 import ssdlite300_mobilenet_v2
from detection_core.training.coco_ssd_weights import read_coco_ssd

BODY = "FeatureExtractor/MobilenetV2/"
# Expansion factor, output channels, repeats and stride of MobileNetV2's blocks (Sandler et al. 2018, table 2).
BLOCKS = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
EXTRA = [(256, 512), (128, 256), (128, 256), (64, 128)]
HEAD_CHANNELS = [576, 1280, 512, 256, 256, 128]
BOXES = [3, 6, 6, 6, 6, 6]


def blocks() -> Iterator[tuple[str, int, int, int, int]]:
    """Name, input channels, expansion factor, output channels and stride of every block."""
    before = 32
    number = 0
    for factor, out, repeats, stride in BLOCKS:
        for repeat in range(repeats):
            yield f"expanded_conv_{number}" if number else "expanded_conv", before, factor, out, stride if repeat == 0 else 1
            before, number = out, number + 1


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights."""
    found: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, size: int, before: int, after: int) -> None:
        found[f"{BODY}{name}/Conv2D/merged_input"] = (size, size, before, after)
        found[f"{BODY}{name}/BatchNorm/batchnorm/sub"] = (after,)

    def depthwise(name: str, channels: int) -> None:
        found[f"{BODY}{name}/depthwise_weights"] = (3, 3, channels, 1)
        for part in ("mul", "sub"):
            found[f"{BODY}{name}/BatchNorm/batchnorm/{part}"] = (channels,)

    convolution("Conv", 3, 3, 32)
    for name, before, factor, out, _ in blocks():
        if factor > 1:
            convolution(f"{name}/expand", 1, before, before * factor)
        depthwise(f"{name}/depthwise", before * factor)
        convolution(f"{name}/project", 1, before * factor, out)
    convolution("Conv_1", 1, 320, 1280)
    before = 1280
    for number, (inner, out) in enumerate(EXTRA, start=2):
        convolution(f"layer_19_1_Conv2d_{number}_1x1_{inner}", 1, before, inner)
        depthwise(f"layer_19_2_Conv2d_{number}_3x3_s2_{out}_depthwise", inner)
        convolution(f"layer_19_2_Conv2d_{number}_3x3_s2_{out}", 1, inner, out)
        before = out
    for level, (channels, count) in enumerate(zip(HEAD_CHANNELS, BOXES, strict=True)):
        for kind, columns in (("Class", 91), ("BoxEncoding", 4)):
            predictor = f"BoxPredictor_{level}/{kind}Predictor"
            found[f"{predictor}_depthwise/depthwise_weights"] = (3, 3, channels, 1)
            for part in ("gamma", "beta", "moving_mean", "moving_variance"):
                found[f"{predictor}_depthwise/BatchNorm/{part}"] = (channels,)
            found[f"{predictor}/weights"] = (1, 1, channels, count * columns)
            found[f"{predictor}/biases"] = (count * columns,)
    return found


def made_up() -> dict[str, np.ndarray]:
    """Random weights that neither vanish nor explode on their way through the layers."""
    rng = np.random.default_rng(0)
    values = {}
    for name, shape in shapes().items():
        inputs = np.prod(shape[:-1] if shape[-1] > 1 else shape[:2])
        value = rng.standard_normal(shape) * (2 / inputs) ** 0.5 if len(shape) == 4 else rng.standard_normal(shape) * 0.1
        if name.endswith(("mul", "gamma", "variance")):
            value = 1 + np.abs(value)
        values[name] = value.astype(np.float32)
    return values


def write_model(folder: Path, values: dict[str, np.ndarray]) -> Path:
    entries = [{"name": name, "shape": list(value.shape), "dtype": "float32"} for name, value in values.items()]
    (folder / "shard").write_bytes(b"".join(value.tobytes() for value in values.values()))
    path = folder / "model.json"
    path.write_text(json.dumps({"weightsManifest": [{"paths": ["shard"], "weights": entries}]}))
    return path


class TensorFlow:
    """The network as TensorFlow computes it: channels last, "SAME" padding, box codes (y, x, h, w)."""

    def __init__(self, values: dict[str, np.ndarray]) -> None:
        self.values = {name: torch.from_numpy(value) for name, value in values.items()}

    def same(self, x: Tensor, kernel: Tensor, stride: int, groups: int = 1) -> Tensor:
        missing = max((-(-x.shape[2] // stride) - 1) * stride + kernel.shape[2] - x.shape[2], 0)
        before, after = missing // 2, missing - missing // 2
        return conv2d(pad(x, (before, after, before, after)), kernel, stride=stride, groups=groups)

    def convolution(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = self.values[f"{BODY}{name}/Conv2D/merged_input"].permute(3, 2, 0, 1)
        return self.same(x, kernel, stride) + self.values[f"{BODY}{name}/BatchNorm/batchnorm/sub"][:, None, None]

    def depthwise(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        kernel = self.values[f"{BODY}{name}/depthwise_weights"].permute(2, 3, 0, 1)
        norm = (self.values[f"{BODY}{name}/BatchNorm/batchnorm/{part}"][:, None, None] for part in ("mul", "sub"))
        scale, shift = norm
        return (self.same(x, kernel, stride, groups=len(kernel)) * scale + shift).clamp(0, 6)

    def maps(self, x: Tensor) -> list[Tensor]:
        found = []
        x = self.convolution(x, "Conv", 2).clamp(0, 6)
        for name, before, factor, out, stride in blocks():
            inner = self.convolution(x, f"{name}/expand").clamp(0, 6) if factor > 1 else x
            if name == "expanded_conv_13":
                found.append(inner)
            inner = self.convolution(self.depthwise(inner, f"{name}/depthwise", stride), f"{name}/project")
            x = x + inner if stride == 1 and before == out else inner
        found.append(self.convolution(x, "Conv_1").clamp(0, 6))
        for number, (inner_channels, out) in enumerate(EXTRA, start=2):
            inner = self.convolution(found[-1], f"layer_19_1_Conv2d_{number}_1x1_{inner_channels}").clamp(0, 6)
            name = f"layer_19_2_Conv2d_{number}_3x3_s2_{out}"
            found.append(self.convolution(self.depthwise(inner, f"{name}_depthwise", 2), name).clamp(0, 6))
        return found

    def predictions(self, x: Tensor, level: int, kind: str) -> Tensor:
        """Class logits [places, boxes, 91] or box codes [places, boxes, 4] of one map."""
        name = f"BoxPredictor_{level}/{kind}Predictor"
        kernel = self.values[f"{name}_depthwise/depthwise_weights"].permute(2, 3, 0, 1)
        x = self.same(x, kernel, 1, groups=len(kernel))
        parts = ("moving_mean", "moving_variance", "gamma", "beta")
        mean, variance, scale, shift = (self.values[f"{name}_depthwise/BatchNorm/{part}"][:, None, None] for part in parts)
        x = ((x - mean) / (variance + 1e-3).sqrt() * scale + shift).clamp(0, 6)
        x = self.same(x, self.values[f"{name}/weights"].permute(3, 2, 0, 1), 1) + self.values[f"{name}/biases"][:, None, None]
        return x[0].permute(1, 2, 0).reshape(x.shape[2] * x.shape[3], BOXES[level], -1)


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    return made_up()


@torch.inference_mode()
def test_boxes_and_scores_are_the_graphs(tmp_path, values):
    model = ssdlite300_mobilenet_v2().eval()
    missing, unexpected = model.load_state_dict(read_coco_ssd(write_model(tmp_path, values)), strict=False)
    assert not unexpected
    assert {name.partition(".")[0] for name in missing} == {"roi_heads"}
    image = torch.rand(1, 3, 300, 300, generator=torch.Generator().manual_seed(0)) * 2 - 1
    maps = model.backbone(image)
    levels = [maps[name] for name in model.detection_levels]
    outputs = model.head(levels)
    graph = TensorFlow(values)
    expected = graph.maps(image)
    for ours, theirs in zip(levels, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)
    # Google's last box of every map but the finest is torchvision's second.
    orders = [[0, 1, 2], *[[0, 5, 1, 2, 3, 4]] * 5]
    logits, codes = (
        torch.cat([graph.predictions(x, level, kind)[:, orders[level]].flatten(0, 1) for level, x in enumerate(expected)])
        for kind in ("Class", "BoxEncoding")
    )
    torch.testing.assert_close(model.scores(outputs["cls_logits"][0]), logits.sigmoid()[:, 1:], atol=1e-3, rtol=0)
    (anchors,) = model.anchor_generator(ImageList(image, [(300, 300)]), levels)
    corners, size = anchors[:, :2], anchors[:, 2:] - anchors[:, :2]
    y, x, h, w = codes.T
    middle = corners + size / 2 + torch.stack([x, y], 1) / 10 * size
    half = torch.stack([w, h], 1).div(5).exp() * size / 2
    boxes = torch.cat([middle - half, middle + half], 1)
    torch.testing.assert_close(model.box_coder.decode_single(outputs["bbox_regression"][0], anchors), boxes, atol=0.05, rtol=1e-3)


def test_another_model_is_refused_by_the_first_weight_that_it_lacks(tmp_path, values):
    lacking = {name: value for name, value in values.items() if "Conv_1" not in name}
    with pytest.raises(ValueError, match=r"no weight FeatureExtractor/MobilenetV2/Conv_1.*it is not ssdlite_mobilenet_v2_coco"):
        read_coco_ssd(write_model(tmp_path, lacking))


def test_weights_of_another_shape_are_refused(tmp_path, values):
    name = f"{BODY}Conv/Conv2D/merged_input"
    with pytest.raises(ValueError, match=r"backbone\.features\.0\.0\.0\.weight"):
        read_coco_ssd(write_model(tmp_path, values | {name: values[name][..., :16]}))


# What Google's graph itself finds (python -m benchmarks.convert_coco_ssd --check IMAGE): label, score, and the box in an image of 300x300.
FOUND = {
    "chelsea": [(17, 0.9312, (0.89, 2.26, 272.77, 298.16))],
    "salon": [(62, 0.9343, (28.19, 135.1, 109.01, 297.07)), (63, 0.8884, (108.02, 100.73, 199.22, 203.37))],
}


@pytest.mark.parametrize("name", FOUND)
def test_the_file_that_ships_finds_what_the_graph_finds(name):
    with Image.open(ASSETS / "examples" / f"{name}.jpg") as image:
        found = Detector(COCO_MODEL).detect(image.convert("RGB").resize((300, 300)))
    for label, score, box in FOUND[name]:
        best = found[found.labels == label]
        # Rounded to 8 bits, after which another of the object's boxes may be the best.
        assert abs(best.scores[0] - score) < 0.02
        assert box_iou(torch.tensor(box)[None].clamp(0, 300), torch.from_numpy(best.boxes[:1])) > 0.95
