"""Average precision, speed and best threshold of the embedded model on photos in COCO's format, and the card that states them."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.detection import FasterRCNN

from benchmarks.common import machine_facts, markdown_table, median_and_range
from detection_core.build import build_model, empty_model
from detection_core.catalog import ASSETS, EMBEDDED_MODEL, get_spec
from detection_core.detector import as_array, run
from detection_core.export import to_coco_results
from detection_core.weights import fetch_weights

CPU = torch.device("cpu")
SPEC = get_spec(EMBEDDED_MODEL)
# What COCOeval calls a part, what the results call it, and what the card calls it.
PARTS = {"bbox": ("bbox", "box"), "segm": ("segmentation", "mask"), "keypoints": ("keypoints", "kp")}
# Where `COCOeval.stats` has what; keypoints have no small ones.
BOX_STATS = {"AP": 0, "AP50": 1, "small": 3, "medium": 4, "large": 5}
JOINT_STATS = {"AP": 0, "AP50": 1, "medium": 3, "large": 4}
FLOPS_SIZE = (640, 480)
FLOPS_EXAMPLE = "astronaut.jpg"


@dataclass
class Findings:
    """What the model said about the photos, how many objects in each, and how long each took in seconds."""

    results: list[dict[str, Any]] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)
    network: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Operation:
    """How boxes do at one threshold, at an IoU of 0.5."""

    threshold: float
    precision: float
    recall: float
    f1: float


def load_model(args: argparse.Namespace) -> FasterRCNN:
    if args.checkpoint:
        module: FasterRCNN = empty_model(SPEC)
        module.load_state_dict(torch.load(args.checkpoint, map_location="cpu", weights_only=True)["average"])
        module.eval().requires_grad_(False)
    else:
        module = build_model(SPEC, weights_file(args))
    if args.min_size:
        module.transform.min_size = (args.min_size,)
    if args.max_size:
        module.transform.max_size = args.max_size
    return module


def weights_file(args: argparse.Namespace) -> Path:
    return args.weights or fetch_weights(SPEC)


def read_truth(folder: Path, limit: int | None) -> tuple[COCO, list[int]]:
    """The annotations as pycocotools has them, and the ids of the photos whose people have outlines."""
    data = json.loads((folder / "annotations.json").read_text())
    data["images"] = data["images"][:limit]
    chosen = {image["id"] for image in data["images"]}
    people = [{"iscrowd": 0, **entry} for entry in data["annotations"] if entry["image_id"] in chosen]
    without_outline = {entry["image_id"] for entry in people if not entry["iscrowd"] and not entry.get("segmentation")}
    for entry in people:
        # A crowd without an outline is where its box is; other boxes only stand in where no masks are evaluated.
        x, y, width, height = entry["bbox"]
        entry["segmentation"] = entry.get("segmentation") or [[x, y, x + width, y, x + width, y + height, x, y + height]]
    truth = COCO()
    truth.dataset = {**data, "annotations": people}
    truth.createIndex()
    return truth, [image["id"] for image in data["images"] if image.get("has_masks", image["id"] not in without_outline)]


def look_at_all(module: FasterRCNN, truth: COCO, folder: Path) -> Findings:
    findings = Findings()
    for number, image in enumerate(truth.dataset["images"]):
        picture = as_array(folder / "images" / image["file_name"])
        if number == 0:
            run(module, SPEC, [picture], CPU)
        started = time.perf_counter()
        (detections,), timings = run(module, SPEC, [picture], CPU)
        findings.total.append(time.perf_counter() - started)
        findings.network.append(timings.network)
        findings.objects.append(len(detections))
        findings.results += to_coco_results(detections, image["id"])
    return findings


def evaluate(truth: COCO, results: list[dict[str, Any]], part: str, images: list[int]) -> COCOeval | None:
    """COCO's evaluation of boxes, masks or joints; None where there is nothing to evaluate."""
    chosen = set(images)
    # Each part goes alone: loadRes takes an object's area from its box if there is one, even for masks.
    keys = ("image_id", "category_id", "score", PARTS[part][0])
    entries = [{key: entry[key] for key in keys} for entry in results if entry["image_id"] in chosen]
    if not entries:
        return None
    evaluation = COCOeval(truth, truth.loadRes(entries), part)
    evaluation.params.imgIds = images
    evaluation.params.catIds = [1]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


def stats_of(part: str, evaluation: COCOeval | None) -> dict[str, float]:
    """Average precisions in percent; without those for which there are no people, where COCOeval gives -1."""
    if evaluation is None:
        return {}
    places = JOINT_STATS if part == "keypoints" else BOX_STATS
    return {name: 100 * float(evaluation.stats[place]) for name, place in places.items() if evaluation.stats[place] >= 0}


def operations(evaluation: COCOeval) -> list[Operation]:
    """Boxes at every threshold that changes anything, highest first; crowds and what lies in them do not count, as in COCOeval."""
    # evalImgs goes through the areas, "all" first, and in each through the photos; the first IoU is 0.5.
    photos = [photo for photo in evaluation.evalImgs[: len(evaluation.params.imgIds)] if photo]
    people = sum(int((np.asarray(photo["gtIgnore"]) == 0).sum()) for photo in photos)
    scores = np.concatenate([photo["dtScores"] for photo in photos])
    right = np.concatenate([photo["dtMatches"][0] > 0 for photo in photos])
    counts = ~np.concatenate([photo["dtIgnore"][0] for photo in photos]).astype(bool)
    order = np.argsort(-scores[counts], kind="stable")
    scores, right = scores[counts][order], np.cumsum(right[counts][order])
    number = np.arange(1, len(scores) + 1)
    return [
        Operation(float(score), float(hits / n), float(hits / people), float(2 * hits / (n + people)))
        for score, hits, n in zip(scores, right, number, strict=True)
    ]


def at_threshold(points: list[Operation], threshold: float) -> Operation:
    kept = [point for point in points if point.threshold >= threshold]
    return Operation(threshold, kept[-1].precision, kept[-1].recall, kept[-1].f1) if kept else Operation(threshold, 0, 0, 0)


def giga_multiply_adds(module: FasterRCNN) -> float:
    """As torchvision's `_ops`: a multiplication with its addition counts once. Depends a little on how many people are found."""
    with Image.open(ASSETS / "examples" / FLOPS_EXAMPLE) as example:
        picture = np.asarray(example.convert("RGB").resize(FLOPS_SIZE))
    with FlopCounterMode(display=False) as counter:
        run(module, SPEC, [picture], CPU)
    return float(counter.get_total_flops()) / 2 / 1e9


def write_card(path: Path, stats: dict[str, dict[str, float]], facts: dict[str, float]) -> None:
    """Replaces what was measured and keeps the rest of the card."""
    card = json.loads(path.read_text())
    measured = {PARTS[part][1]: values for part, values in stats.items() if values}
    card["metrics"] |= {f"{name}_map": round(values["AP"], 1) for name, values in measured.items()}
    # Not among the metrics: the page shows all of those, by names it knows.
    card["ap50"] = {name: round(values["AP50"], 1) for name, values in measured.items()}
    path.write_text(json.dumps(card | facts, indent=2, ensure_ascii=False) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="COCO folder: annotations.json beside images/")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--weights", type=Path, metavar="FILE.pth", help="another state dict than the one that is shipped")
    source.add_argument("--checkpoint", type=Path, metavar="FILE.pt", help="the averaged weights in a training's checkpoint")
    parser.add_argument("--min-size", type=int, metavar="PX", help="other length of the shorter side at inference")
    parser.add_argument("--max-size", type=int, metavar="PX", help="other bound on the longer side")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N photos")
    parser.add_argument("--write-card", type=Path, metavar="CARD.json", help="put the figures into this card")
    args = parser.parse_args()
    if args.write_card and (args.checkpoint or args.limit or args.min_size or args.max_size):
        parser.error("--write-card states what the weights file does: give no --checkpoint, --limit, --min-size or --max-size with it")
    return args


def main() -> None:
    args = parse_arguments()
    module = load_model(args)
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet):
        truth, with_masks = read_truth(args.data, args.limit)
        findings = look_at_all(module, truth, args.data)
        images = [image["id"] for image in truth.dataset["images"]]
        photos = {"bbox": images, "segm": with_masks, "keypoints": images}
        evaluations = {part: evaluate(truth, findings.results, part, photos[part]) for part in PARTS}
    stats = {part: stats_of(part, evaluation) for part, evaluation in evaluations.items()}
    params = sum(parameter.numel() for parameter in module.parameters())
    gflops = giga_multiply_adds(module)

    print(f"{machine_facts(torch.get_num_threads())}\n")
    sizes = module.transform
    print(f"{len(images)} photos; shorter side scaled to {sizes.min_size[0]} px, longer to {sizes.max_size} px at most. Sizes are COCO's:")
    print("small is below 32² px of area in the photo as it is stored, large above 96². Average precision in percent:\n")
    rows = [[part, str(len(photos[part])), *(_figure(stats[part].get(name)) for name in BOX_STATS)] for part in PARTS]
    print(markdown_table(["AP of", "photos", *BOX_STATS], rows))
    speed = [median_and_range([1000 * value for value in values]) for values in (findings.network, findings.total)]
    print(f"\nms per photo, median (range): {speed[0]} in the network, {speed[1]} with its results as arrays.")
    print(f"Objects per photo above the floor score of {SPEC.floor_score}: {median_and_range(findings.objects)}; each costs time.")
    print(f"{params} parameters, {gflops:.2f} billion multiply-adds on {FLOPS_EXAMPLE} at {FLOPS_SIZE[0]}×{FLOPS_SIZE[1]}.\n")
    if evaluations["bbox"] is None:
        print("Nothing was found, so there is no threshold to suggest and no card to write.")
        return
    points = operations(evaluations["bbox"])
    best = max(points, key=lambda point: point.f1)
    suggested = at_threshold(points, max(SPEC.floor_score, round(20 * best.threshold) / 20))
    rows = [
        [name, *(f"{value:.3f}" for value in (point.threshold, point.precision, point.recall, point.f1))]
        for name, point in {"best F1": best, "suggested": suggested}.items()
    ]
    print(markdown_table(["boxes at IoU 0.5", "threshold", "precision", "recall", "F1"], rows))
    if args.write_card:
        size = weights_file(args).stat().st_size / 2**20
        facts = {"params": params, "gflops": round(gflops, 2), "file_size": round(size, 1), "suggested_threshold": suggested.threshold}
        write_card(args.write_card, stats, facts)


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"


if __name__ == "__main__":
    main()
