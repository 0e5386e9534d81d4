"""Trains the mask and keypoint heads of `ssdlite300_mobilenet_v2` on images in COCO's format; backbone and box heads stay unchanged.

Unlike `python -m detection_core train`, it uses any object with a polygon, even if others in the image have none; it draws polygons
directly on the grid of the mask; and it neither computes nor trains boxes, which makes a batch several times as fast.
"""

from __future__ import annotations

import argparse
import copy
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, interpolate
from torchvision.models.detection.roi_heads import keypointrcnn_loss

from detection_core.datasets.coco import AnnotatedImage, read_coco
from detection_core.datasets.images import read_upright
from detection_core.detections.coco_names import COCO_KEYPOINTS
from detection_core.models.instance_ssd import InstanceHeads, noisy_boxes
from detection_core.models.optimized import optimize
from detection_core.models.ssdlite_mobilenet_v2 import SIZE, ssdlite300_mobilenet_v2
from detection_core.training.augmentation import mirrored_keypoints
from detection_core.training.optimization import schedule, update_average

GRID = 28
# A polygon is drawn this many times finer than the grid, so that its edge has shades.
FINER = 2
# Maximum number of objects per image for each head.
MOST_OBJECTS = 12
# In pixels of the model's input; smaller objects are left out.
LEAST_SIDE = 4.0
LEAST_VISIBLE = 0.4
SHAPE = (SIZE, SIZE)
# Weight of the keypoint loss, which starts at the logarithm of 56 · 56 places.
KEYPOINT_WEIGHT = 0.15
MIRRORED = mirrored_keypoints(COCO_KEYPOINTS)


@dataclass(frozen=True)
class Example:
    """A model input and the targets of its objects.

    Attributes:
        image: float32 [3,S,S] from -1 to 1.
        mask_boxes: float32 [N,4] in its pixels, of the objects that have polygons.
        masks: float32 [N,1,28,28] in 0–1.
        keypoint_boxes: float32 [M,4], of the objects that have keypoints.
        keypoints: float32 [M,K,3]: x, y, and 0 where not labeled.
    """

    image: Tensor
    mask_boxes: Tensor
    masks: Tensor
    keypoint_boxes: Tensor
    keypoints: Tensor


def has_polygons(entry: dict[str, Any]) -> bool:
    return isinstance(entry.get("segmentation"), list) and bool(entry["segmentation"])


def has_keypoints(entry: dict[str, Any]) -> bool:
    return any((entry.get("keypoints") or [])[2::3])


def is_useful(image: AnnotatedImage) -> bool:
    return any(has_polygons(entry) or has_keypoints(entry) for entry in image.annotations)


def example(record: AnnotatedImage, pixels: NDArray[np.uint8], rng: random.Random) -> Example | None:
    """Makes an example of a random crop of an image, perhaps mirrored; None if it shows no object."""
    width, height = record.size
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    if rng.random() < 0.6:
        share_x, share_y = rng.uniform(0.45, 1), rng.uniform(0.45, 1)
        left, top = rng.uniform(0, width * (1 - share_x)), rng.uniform(0, height * (1 - share_y))
        right, bottom = left + width * share_x, top + height * share_y
    left, top, right, bottom = (round(value) for value in (left, top, right, bottom))
    mirrored = rng.random() < 0.5
    scale = np.array([SIZE / (right - left), SIZE / (bottom - top)])

    def moved(points: Any) -> NDArray[np.float64]:
        """Converts points [N,2] of the image to the model's input."""
        seen = (np.asarray(points, float).reshape(-1, 2) - [left, top]) * scale
        return np.stack([SIZE - seen[:, 0], seen[:, 1]], axis=1) if mirrored else seen

    seen = {}
    for index, entry in enumerate(record.annotations):
        x, y, w, h = entry["bbox"]
        corners = np.array([[x, y], [x + w, y + h]]).clip([left, top], [right, bottom])
        if np.prod(corners[1] - corners[0]) >= LEAST_VISIBLE * w * h:
            box = np.sort(moved(corners), axis=0)
            if (box[1] - box[0]).min() >= LEAST_SIDE:
                seen[index] = box.ravel()

    def some(wanted: Callable[[dict[str, Any]], bool]) -> tuple[list[dict[str, Any]], Tensor]:
        """Samples visible objects, and returns them with boxes as inaccurate as a detector's."""
        there = [index for index in seen if wanted(record.annotations[index])]
        chosen = rng.sample(there, min(len(there), MOST_OBJECTS))
        boxes = torch.tensor(np.array([seen[index] for index in chosen]).reshape(-1, 4), dtype=torch.float32)
        return [record.annotations[index] for index in chosen], noisy_boxes(boxes, SHAPE)

    with_polygons, mask_boxes = some(has_polygons)
    with_keypoints, keypoint_boxes = some(has_keypoints)
    if not with_polygons and not with_keypoints:
        return None
    masks = torch.zeros(0, 1, GRID, GRID)
    if with_polygons:
        polygons = [[moved(polygon) for polygon in entry["segmentation"]] for entry in with_polygons]
        drawn = np.stack([on_grid(*pair) for pair in zip(polygons, mask_boxes.double().numpy(), strict=True)])
        masks = avg_pool2d(torch.from_numpy(drawn).float()[:, None], FINER)
    keypoints = torch.zeros(0, len(COCO_KEYPOINTS), 3)
    if with_keypoints:
        values = np.array([entry["keypoints"] for entry in with_keypoints], float).reshape(len(with_keypoints), -1, 3)
        values[..., :2] = moved(values[..., :2]).reshape(values[..., :2].shape)
        keypoints = torch.from_numpy(values[:, MIRRORED] if mirrored else values).float()
    crop = torch.from_numpy(pixels[top:bottom, left:right]).permute(2, 0, 1).float()
    image = interpolate(crop[None], size=SHAPE, mode="bilinear")[0] / 255
    image = recolored(image.flip(2) if mirrored else image, rng)
    return Example(image * 2 - 1, mask_boxes, masks, keypoint_boxes, keypoints)


def on_grid(polygons: list[NDArray[np.float64]], box: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Draws polygons on a grid over a box."""
    fine = GRID * FINER
    points = [((polygon - box[:2]) / (box[2:] - box[:2]) * fine).ravel().tolist() for polygon in polygons]
    drawn: NDArray[np.uint8] = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(points, fine, fine)))
    return drawn


def recolored(image: Tensor, rng: random.Random) -> Tensor:
    """Changes brightness, contrast and saturation a little."""
    image = image * rng.uniform(0.7, 1.3)
    image = (image - image.mean()) * rng.uniform(0.75, 1.25) + image.mean()
    gray = image.mean(dim=0, keepdim=True)
    return ((image - gray) * rng.uniform(0.7, 1.3) + gray).clamp(0, 1)


def batches(images: list[AnnotatedImage], size: int, epoch: int, seed: int) -> Iterator[tuple[float, list[Example]]]:
    """Yields the batches of an epoch, each with the share of the epoch's images that was read before it.

    An image whose crop shows no object yields no example, so an epoch may have fewer batches than its images would fill. torch's
    generator draws the noise on the boxes.
    """
    rng = random.Random(seed + 1_000_003 * epoch)
    order = rng.sample(images, len(images))
    batch: list[Example] = []
    before = 0
    for read, image in enumerate(order, start=1):
        made = example(image, np.array(read_upright(image)), rng)
        if made is not None:
            batch.append(made)
        if len(batch) == size:
            yield before / len(images), batch
            batch, before = [], read


def mask_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Adds cross entropy and one minus the Dice coefficient of each mask (Milletari et al., "V-Net", 2016, section 3), in equal parts."""
    entropy = binary_cross_entropy_with_logits(logits, masks)
    soft = logits.sigmoid()
    overlap = 2 * (soft * masks).sum(dim=(1, 2, 3)) + 1
    return entropy + (1 - overlap / ((soft + masks).sum(dim=(1, 2, 3)) + 1)).mean()


def losses(heads: InstanceHeads, maps: dict[str, Tensor], batch: Sequence[Example]) -> list[Tensor]:
    """Computes the losses for which a batch has targets, from the backbone's maps."""
    pyramid = heads.maps(maps)
    found = []
    if any(len(each.masks) for each in batch):
        logits = heads.masks(pyramid, [each.mask_boxes for each in batch], [SHAPE] * len(batch))
        found.append(mask_loss(logits, torch.cat([each.masks for each in batch])))
    if any(len(each.keypoints) for each in batch):
        boxes = [each.keypoint_boxes for each in batch]
        logits = heads.keypoints(pyramid, boxes, [SHAPE] * len(batch))
        own = [torch.arange(len(each)) for each in boxes]
        found.append(KEYPOINT_WEIGHT * keypointrcnn_loss(logits, boxes, [each.keypoints for each in batch], own))
    return found


def main() -> None:
    """Trains, prints the progress, and writes the weights after each epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, nargs="+", metavar="DIR", help="COCO folders: annotations.json beside images/")
    parser.add_argument("--weights", type=Path, required=True, metavar="FILE.pth", help="state dict with backbone and boxes")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.pth", help="the weights to write; the same with .last.pth to resume from"
    )
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--average", type=int, default=500, help="batches over which weights are averaged")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--batches", type=int, help="stop after this number, to measure the speed")
    args = parser.parse_args()

    records = [record for data in args.data for record in read_coco(data).images if is_useful(record)]
    bf16 = args.precision == "bf16"
    torch.manual_seed(args.seed)
    module: Any = ssdlite300_mobilenet_v2(num_keypoints=len(COCO_KEYPOINTS))
    module.load_state_dict(torch.load(args.weights, map_location="cpu", weights_only=True), strict=False)
    backbone: Any = optimize(module.eval(), torch.bfloat16 if bf16 else torch.float32).backbone
    heads: InstanceHeads = module.roi_heads.train()
    heads.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(heads.parameters(), lr=args.lr, weight_decay=1e-3)
    average = copy.deepcopy(heads.state_dict())
    per_epoch = len(records) // args.batch_size
    # Upper bounds, since some crops show no object; the learning rate therefore follows the images read, not the batches.
    total = per_epoch * args.epochs
    step = first_epoch = 0
    last = args.out.with_suffix(".last.pth")
    if last.exists():
        state = torch.load(last, weights_only=True)
        heads.load_state_dict(state["heads"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, first_epoch = state["average"], state["step"], state["epoch"]
    objects = [entry for record in records for entry in record.annotations]
    counts = f"{sum(map(has_polygons, objects))} polygons and {sum(map(has_keypoints, objects))} people with keypoints"
    print(f"{len(records)} images with {counts}, at most {total} batches", flush=True)
    started, first_step, shown = time.monotonic(), step, []
    for epoch in range(first_epoch, args.epochs):
        torch.manual_seed(args.seed + epoch)
        for share, batch in batches(records, args.batch_size, epoch, args.seed):
            planned_step = round((epoch + share) * per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = args.lr * schedule(planned_step, total, 200)
            images = torch.stack([each.image for each in batch]).contiguous(memory_format=torch.channels_last)
            with torch.no_grad():
                maps = backbone(images.bfloat16() if bf16 else images)
                maps = {name: value.float() for name, value in maps.items()}
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                parts = losses(heads, maps, batch)
            loss = torch.stack(parts).sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(heads.parameters(), 5.0)
            optimizer.step()
            step += 1
            update_average(average, heads.state_dict(), step, args.average)
            if len(parts) == 2:
                shown.append([part.item() for part in parts])
            if step % 50 == 0:
                pace = (time.monotonic() - started) / (step - first_step)
                print(
                    f"epoch {epoch + 1}, batch {step} of ≤ {total}: losses {np.mean(shown[-50:], axis=0).round(4)}, {pace:.2f} s a batch",
                    flush=True,
                )
            if args.batches and step >= args.batches:
                return
        torch.save(
            {"heads": heads.state_dict(), "optimizer": optimizer.state_dict(), "average": average, "step": step, "epoch": epoch + 1}, last
        )
        averaged = module.state_dict() | {f"roi_heads.{name}": value for name, value in average.items()}
        torch.save(averaged, args.out)


if __name__ == "__main__":
    main()
