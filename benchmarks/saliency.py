"""Compares the quick saliency map with D-RISE: deletion, insertion and cost, on the example images and on synthetic scenes.

The built-in models run on the example images. There are no trained weights of RetinaNet, FCOS and the plain SSD in the repository, so a
small one of each is trained for a minute on squares and disks, and runs on other such scenes.

    python -m benchmarks.saliency [--masks 300] [--only FAMILY]
"""

from __future__ import annotations

import argparse
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.ssd import SSD

from benchmarks.common import machine_facts, markdown_table
from detection_core.detections import Detections
from detection_core.explanation import GradientMap, drise, faithfulness, record
from detection_core.explanation.drawing import resized_map
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.detector import run
from detection_core.models.families import Task
from detection_core.models.loader import ModelLoader
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec

_EXAMPLES = ("grace_hopper", "chelsea", "dogs", "horses", "coffee", "salon")
_LONGEST_SIDE = 480
# Of the synthetic scenes.
_SIDE = 96
_TRAINING_STEPS = 600
_SCENES = 6
_CPU = torch.device("cpu")
_ONLY_BOXES: tuple[Task, ...] = ("boxes",)


@dataclass(frozen=True)
class Subject:
    """A model and the images on which its maps are compared."""

    name: str
    spec: ModelSpec
    module: Any
    images: list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Figures:
    """What was measured of one method on one object."""

    deletion: float
    insertion: float
    seconds: float


def main() -> None:
    """Prints a row per model and method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--masks", type=int, default=300, help="runs of the model for a map by D-RISE")
    parser.add_argument("--only", default="", help="only subjects whose name contains this")
    args = parser.parse_args()
    rows = []
    for name, make in _subjects().items():
        if args.only.lower() in name.lower():
            subject = make()
            rows += _rows(name, [_compare(subject, pixels, args.masks) for pixels in _with_objects(subject)])
    print(machine_facts(torch.get_num_threads()))
    print(f"Deletion: lower is better. Insertion: higher is better. D-RISE with {args.masks} masks.\n")
    header = ["Model", "Method", "Objects", "Deletion AUC", "Insertion AUC", "Better than D-RISE", "Seconds"]
    print(markdown_table(header, rows))


def _rows(name: str, measured: list[tuple[Figures, Figures, Figures]]) -> list[list[str]]:
    rows = []
    for which, method in enumerate(("quick (NormGrad)", "D-RISE", "the object's box")):
        own = [figures[which] for figures in measured]
        better = sum(each[which].insertion - each[which].deletion > each[1].insertion - each[1].deletion for each in measured)
        rows.append(
            [
                name,
                method,
                str(len(own)),
                f"{np.mean([each.deletion for each in own]):.2f}",
                f"{np.mean([each.insertion for each in own]):.2f}",
                "" if which == 1 else f"{better} of {len(own)}",
                f"{np.mean([each.seconds for each in own]):.1f}" if which < 2 else "",
            ]
        )
    return rows


def _with_objects(subject: Subject) -> Iterator[NDArray[np.uint8]]:
    """The images in which the model is sure of its best object."""
    for pixels in subject.images:
        found = _detect(subject.module, subject.spec, pixels)
        if len(found) and found.scores[0] >= subject.spec.default_threshold:
            yield pixels


def _compare(subject: Subject, pixels: NDArray[np.uint8], masks: int) -> tuple[Figures, Figures, Figures]:
    """Measures the maps of the best object: the quick one, D-RISE, and its box as a baseline."""
    recording = record(subject.module, subject.spec, pixels)
    box, label = tuple(recording.detections.boxes[0].tolist()), int(recording.detections.labels[0])
    detect = partial(_detect, subject.module, subject.spec)
    started = time.perf_counter()
    quick = GradientMap.of(recording, 0)(subject.module, subject.spec, pixels)
    middle = time.perf_counter()
    thorough = drise(pixels, detect, box, label, masks=masks)
    ended = time.perf_counter()
    left, top, right, bottom = map(round, box)
    inside = np.zeros(pixels.shape[:2], np.float32)
    inside[top:bottom, left:right] = 1
    maps = [(resized_map(quick, (pixels.shape[1], pixels.shape[0])), middle - started), (thorough, ended - middle), (inside, 0.0)]
    first, second, third = (Figures(*faithfulness(pixels, detect, box, label, heat), seconds) for heat, seconds in maps)
    print(f"{subject.name}: {first.insertion - first.deletion:.2f} quick, {second.insertion - second.deletion:.2f} D-RISE", flush=True)
    return first, second, third


def _detect(module: nn.Module, spec: ModelSpec, pixels: NDArray[np.uint8]) -> Detections:
    return run(module, spec, [pixels], _CPU, tasks=_ONLY_BOXES)[0][0]


def _subjects() -> dict[str, Any]:
    return {
        "SSDlite (built in)": partial(_built_in, COCO_MODEL),
        "Faster R-CNN (built in)": partial(_built_in, PERSON_MODEL),
        "RetinaNet (synthetic)": partial(_synthetic, "retinanet_resnet50_fpn"),
        "FCOS (synthetic)": partial(_synthetic, "fcos_resnet50_fpn"),
        "SSD (synthetic)": partial(_synthetic, "ssd300_vgg16"),
    }


def _built_in(key: str) -> Subject:
    spec = get_model_spec(key).in_precision(Precision.STOCK)
    images = []
    for name in _EXAMPLES:
        with Image.open(ASSETS / "examples" / f"{name}.jpg") as image:
            small = image.convert("RGB")
            small.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
            images.append(np.asarray(small))
    return Subject(spec.title, spec, ModelLoader().load(spec), images)


def _synthetic(key: str) -> Subject:
    spec = get_model_spec(key).in_precision(Precision.STOCK)
    rng = np.random.default_rng(0)
    module = _trained(key, rng)
    return Subject(f"small {spec.family}", spec, module, [_scene(rng)[0] for _ in range(_SCENES)])


class _SmallBackbone(nn.Module):
    """Two maps, of strides 8 and 16."""

    out_channels: int | list[int] = 64

    def __init__(self) -> None:
        super().__init__()
        channels = (3, 16, 32, 64, 64)
        self.steps = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(4, after), nn.ReLU())
            for before, after in pairwise(channels)
        )

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        maps = []
        for step in self.steps:
            images = step(images)
            maps.append(images)
        return OrderedDict([("0", maps[-2]), ("1", maps[-1])])


def _build(key: str) -> Any:
    backbone = _SmallBackbone()
    size = {"min_size": _SIDE, "max_size": _SIDE}
    if key.startswith("retinanet"):
        return RetinaNet(backbone, 3, anchor_generator=AnchorGenerator(((16, 24), (32, 48)), ((1.0,),) * 2), **size)
    if key.startswith("fcos"):
        return FCOS(backbone, 3, anchor_generator=AnchorGenerator(((8,), (16,)), ((1.0,),) * 2), score_thresh=0.05, **size)
    backbone.out_channels = [64, 64]
    return SSD(backbone, DefaultBoxGenerator([[2], [2]], scales=[0.2, 0.35, 0.6]), (_SIDE, _SIDE), 3)


def _trained(key: str, rng: np.random.Generator) -> Any:
    torch.manual_seed(0)
    module = _build(key).train()
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
    for _ in range(_TRAINING_STEPS):
        scenes = [_scene(rng) for _ in range(4)]
        images = [torch.from_numpy(pixels).permute(2, 0, 1) / 255 for pixels, _ in scenes]
        losses = module(images, [target for _, target in scenes])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    return module.eval().requires_grad_(False)


def _scene(rng: np.random.Generator) -> tuple[NDArray[np.uint8], dict[str, Tensor]]:
    """Draws a square (class 1) and a disk (class 2) of random colors on noise, which may overlap."""
    pixels = rng.integers(60, 120, (_SIDE, _SIDE, 3)).astype(np.float64)
    rows, columns = np.mgrid[:_SIDE, :_SIDE]
    boxes = []
    for label in (1, 2):
        side = int(rng.integers(18, 44))
        left, top = rng.integers(0, _SIDE - side, 2)
        across, down = (columns - left - side / 2) / (side / 2), (rows - top - side / 2) / (side / 2)
        shape = np.maximum(abs(across), abs(down)) <= 1 if label == 1 else across**2 + down**2 <= 1
        pixels[shape] = rng.integers(0, 256, 3)
        boxes.append([left, top, left + side, top + side])
    target = {"boxes": torch.tensor(np.array(boxes), dtype=torch.float32), "labels": torch.tensor([1, 2])}
    return pixels.astype(np.uint8), target


if __name__ == "__main__":
    main()
