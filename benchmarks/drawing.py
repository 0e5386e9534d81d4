"""Measures drawing against torchvision's and supervision's on the same detections: `python -m benchmarks.drawing`."""

from __future__ import annotations

import argparse
import io
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from detection_core.detections import Detections
from detection_core.visualization import AnnotationStyle, annotate

Action = Callable[[], object]

_SIZES = {"VGA": (480, 640), "1080p": (1080, 1920)}
_COUNTS = (20, 100)
_NAMES = ("__background__", "person", "dog", "car", "chair", "bottle")
_NOTHING = {"boxes": False, "masks": False, "contours": False, "skeletons": False, "labels": False}


def make_scene(count: int, image_size: tuple[int, int]) -> tuple[Image.Image, Detections]:
    """Makes a noisy image and `count` blobs with sides of 2–40 % of the image's, log-uniformly distributed as in COCO."""
    rng = np.random.default_rng(0)
    height, width = image_size
    sides = np.exp(rng.uniform(np.log(0.02), np.log(0.4), (count, 2))) * (width, height)
    corners = rng.uniform(0, 1, (count, 2)) * ((width, height) - sides)
    grid = np.linspace(-1, 1, 28)
    x, y = np.meshgrid(grid, grid)
    wobble = 0.75 + 0.12 * np.sin(5 * np.arctan2(y, x)[None] + rng.uniform(0, 6, (count, 1, 1)))
    detections = Detections(
        boxes=np.concatenate([corners, corners + sides], axis=1).astype(np.float32),
        labels=rng.integers(1, len(_NAMES), count),
        scores=np.linspace(0.99, 0.3, count, dtype=np.float32),
        image_size=image_size,
        categories=_NAMES,
        masks=(1 / (1 + np.exp(-8 * (wobble - np.hypot(x, y))))).astype(np.float32),
    )
    small = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC), detections


def full_masks(detections: Detections) -> NDArray[np.bool_]:
    """Makes the masks [N,H,W] of the whole image that the other libraries need; this is not measured."""
    masks = np.zeros((len(detections), *detections.image_size), bool)
    for index, (crop, (x, y)) in enumerate(detections.mask_crops()):
        masks[index, y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return masks


def our_actions(image: Image.Image, detections: Detections) -> dict[str, Action]:
    def drawing(**layers: bool) -> Action:
        return partial(annotate, image, detections, AnnotationStyle(**(_NOTHING | layers)))  # type: ignore[arg-type]

    annotated = annotate(image, detections)
    return {
        "masks": drawing(masks=True, contours=True),
        "boxes": drawing(boxes=True),
        "labels": drawing(labels=True),
        "everything": partial(annotate, image, detections),
        "JPEG q90": lambda: annotated.save(io.BytesIO(), "JPEG", quality=90),
    }


def torchvision_actions(image: Image.Image, detections: Detections, masks: NDArray[np.bool_]) -> dict[str, Action]:
    canvas = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
    boxes, bools, names = torch.from_numpy(detections.boxes), torch.from_numpy(masks), detections.names

    return {
        "masks": partial(draw_segmentation_masks, canvas, bools, alpha=0.4),
        "boxes": partial(draw_bounding_boxes, canvas, boxes, width=4),
        "everything": lambda: draw_bounding_boxes(draw_segmentation_masks(canvas, bools, alpha=0.4), boxes, names, width=4),
    }


def supervision_actions(image: Image.Image, detections: Detections, masks: NDArray[np.bool_]) -> dict[str, Action]:
    """Returns the annotators of supervision, which draw in place: each run gets its own copy."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that OpenCV is missing: slower, not wrong
        import supervision as sv
    canvas = np.array(image)[:, :, ::-1].copy()
    theirs = sv.Detections(xyxy=detections.boxes, mask=masks, confidence=detections.scores, class_id=detections.labels)
    texts = [f"{name} {score:.2f}" for name, score in zip(detections.names, detections.scores, strict=True)]
    mask, polygon, box, label = sv.MaskAnnotator(opacity=0.4), sv.PolygonAnnotator(), sv.BoxAnnotator(), sv.LabelAnnotator()

    def draw_masks() -> NDArray[np.uint8]:
        return polygon.annotate(mask.annotate(canvas.copy(), theirs), theirs)  # type: ignore[no-any-return]

    return {
        "masks": draw_masks,
        "boxes": lambda: box.annotate(canvas.copy(), theirs),
        "labels": lambda: label.annotate(canvas.copy(), theirs, texts),
        "everything": lambda: label.annotate(box.annotate(draw_masks(), theirs), theirs, texts),
    }


def measure(actions: dict[str, Action], rounds: int) -> dict[str, float]:
    """Returns the median processor time of each action in milliseconds, which other programs disturb least; rounds are interleaved."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()
    for _ in range(rounds):
        for name, action in actions.items():
            start = time.process_time()
            action()
            times[name].append(time.process_time() - start)
    return {name: 1000 * statistics.median(values) for name, values in times.items()}


def collect(image: Image.Image, detections: Detections) -> dict[str, Action]:
    """Returns the actions of all installed libraries, by "library: action"."""
    masks = full_masks(detections)
    actions = {"ours": our_actions(image, detections), "torchvision": torchvision_actions(image, detections, masks)}
    try:
        actions["supervision"] = supervision_actions(image, detections, masks)
    except ImportError:
        print("supervision is not installed and is left out: pip install supervision opencv-python-headless", file=sys.stderr)
    return {f"{library}: {what}": action for library, group in actions.items() for what, action in group.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="number of rounds (default 9)")
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    columns = {f"{name}, {count}": measure(collect(*make_scene(count, size)), rounds) for name, size in _SIZES.items() for count in _COUNTS}
    print(f"Median milliseconds of processor time in {rounds} interleaved runs on one thread; columns: image, objects.")
    print("Masks are filled and outlined; torchvision only fills them.\n")
    print(f"| ms | {' | '.join(columns)} |\n|---|{'---:|' * len(columns)}")
    for row in next(iter(columns.values())):
        print(f"| {row} | {' | '.join(f'{times[row]:.1f}' for times in columns.values())} |")


if __name__ == "__main__":
    main()
