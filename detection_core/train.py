"""Training of the embedded model with torchvision's contract: images and targets in, a dict of losses out."""

from __future__ import annotations

import argparse
import copy
import json
import math
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN

from detection_core.architectures import load_imagenet_backbone, person_mobilenet_v2_fpn
from detection_core.coco_data import Augmentation, CocoPhoto, read_coco, training_pair

_FROZEN_BLOCKS = 4
_EMA_HORIZON = 400
_MAX_GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a training run; stored with its result."""

    steps: int = 5000
    batch_size: int = 6
    lr: float = 6e-4
    warmup: int = 100
    weight_decay: float = 1e-4
    keypoint_weight: float = 0.6
    box_batch_size_per_image: int = 48
    seed: int = 0
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(background=0.15))


def train(
    folders: Sequence[Path],
    out: Path,
    recipe: Recipe,
    *,
    partial: Sequence[Path] = (),
    backbone: Path | None = None,
    resume: bool = False,
    bf16: bool = False,
) -> None:
    """Trains `person_mobilenet_v2_fpn` on photos in COCO's format and keeps a checkpoint at `out`.

    Batches are of one kind each: with masks, without masks (the mask head rests), or from `partial` folders.

    Args:
        folders: COCO folders in which every person is labelled.
        out: Where the checkpoint goes, every 100 batches and at the end; written atomically.
        recipe: Schedule, batch and augmentation.
        partial: COCO folders in which some people are not labelled. They teach boxes and joints, but nothing about what is
            background: the two classification losses are left out.
        backbone: A MobileNetV2 ImageNet state dict to start from; None starts from random weights.
        resume: Go on from the checkpoint at `out`, where there is one.
        bf16: Run backbone and heads in bfloat16, with float32 weights and losses.
    """
    rng = random.Random(recipe.seed)
    torch.manual_seed(recipe.seed)
    model = person_mobilenet_v2_fpn(box_batch_size_per_image=recipe.box_batch_size_per_image)
    if backbone is not None:
        state = torch.load(backbone, map_location="cpu", weights_only=True)
        load_imagenet_backbone(model, state.get("state_dict", state))
    _prepare(model)
    _speed_up_heavy_parts(model, bf16=bf16)
    average = copy.deepcopy(model.state_dict())
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay)
    step = 0
    if resume and out.exists():
        checkpoint = torch.load(out, map_location="cpu", weights_only=True)
        model.load_state_dict(checkpoint["model"])
        average = checkpoint["average"]
        optimizer.load_state_dict(checkpoint["optimizer"])
        step = checkpoint["step"]
        rng.seed(recipe.seed + step)
    batches = _batches(
        [photo for folder in folders for photo in read_coco(folder)], [p for f in partial for p in read_coco(f)], recipe, rng
    )
    mask_pool = model.roi_heads.mask_roi_pool
    totals: dict[str, float] = defaultdict(float)
    started = time.monotonic()
    first = step
    while step < recipe.steps:
        kind, photos = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = recipe.lr * _schedule(step, recipe)
        # Where people are unlabelled, a crop without labels need not be without people.
        augmentation = replace(recipe.augmentation, background=0.0) if kind == "partial" else recipe.augmentation
        images, targets = zip(*(training_pair(photo, augmentation, rng) for photo in photos), strict=True)
        model.roi_heads.mask_roi_pool = mask_pool if kind == "masks" else None
        losses: dict[str, Tensor] = model(list(images), list(targets))
        if kind == "partial":
            losses = {name: loss for name, loss in losses.items() if name not in ("loss_objectness", "loss_classifier")}
        optimizer.zero_grad(set_to_none=True)
        _weighted_sum(losses, recipe).backward()
        norm = nn.utils.clip_grad_norm_(parameters, _MAX_GRADIENT_NORM)
        if math.isfinite(norm):
            optimizer.step()
        step += 1
        _update_average(average, model, step)
        for name, loss in losses.items():
            totals[name] += loss.item()
            totals[f"n_{name}"] += 1
        if step % 50 == 0:
            means = {name: round(totals[name] / totals[f"n_{name}"], 3) for name in totals if not name.startswith("n_")}
            seconds = (time.monotonic() - started) / (step - first)
            print(json.dumps({"step": step, "of": recipe.steps, "s_per_step": round(seconds, 2), **means}), file=sys.stderr, flush=True)
            totals.clear()
        if step % 100 == 0 or step == recipe.steps:
            model.roi_heads.mask_roi_pool = mask_pool
            _save(
                {
                    "model": model.state_dict(),
                    "average": average,
                    "optimizer": optimizer.state_dict(),
                    "step": step,
                    "recipe": asdict(recipe),
                },
                out,
            )


def _weighted_sum(losses: dict[str, Tensor], recipe: Recipe) -> Tensor:
    return torch.stack([(recipe.keypoint_weight if name == "loss_keypoint" else 1.0) * loss for name, loss in losses.items()]).sum()


def _prepare(model: FasterRCNN) -> None:
    """Freezes the first blocks and leaves resizing to the augmentation."""
    model.train()
    model.transform._skip_resize = True
    for name, block in model.backbone.body.named_children():
        if int(name) < _FROZEN_BLOCKS:
            block.requires_grad_(False)


def _speed_up_heavy_parts(model: FasterRCNN, *, bf16: bool) -> None:
    """Runs convolutions channels last, which is faster on a CPU, and in bfloat16 if asked; boxes, sampling and losses are untouched."""
    heads = model.roi_heads
    parts = [model.backbone, model.rpn.head, heads.box_head, heads.box_predictor]
    parts += [heads.mask_head, heads.mask_predictor, heads.keypoint_head, heads.keypoint_predictor]
    for part in parts:
        part.to(memory_format=torch.channels_last)
        part.forward = _accelerated(part.forward, bf16)


def _accelerated(forward: Any, bf16: bool) -> Any:
    def run(argument: Any) -> Any:
        if isinstance(argument, Tensor) and argument.dim() == 4:
            argument = argument.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return _plain(forward(argument))

    return run


def _plain(value: Any) -> Any:
    """Float32 and row-major again, however nested."""
    if isinstance(value, Tensor):
        return value.float().contiguous()
    if isinstance(value, dict):
        return type(value)((key, _plain(item)) for key, item in value.items())
    return type(value)(_plain(item) for item in value)


def _batches(
    photos: list[CocoPhoto], partial: list[CocoPhoto], recipe: Recipe, rng: random.Random
) -> Iterator[tuple[str, list[CocoPhoto]]]:
    """Yields batches of one kind each without end, as often as there are photos of it; those with masks count 2.5, partial ones half."""
    photos = [photo for photo in photos if photo.annotations]
    pools = {
        "masks": [photo for photo in photos if photo.has_masks],
        "boxes": [photo for photo in photos if not photo.has_masks],
        "partial": [photo for photo in partial if photo.annotations],
    }
    kinds = [kind for kind in pools if pools[kind]]
    weights = [len(pools[kind]) * (2.5 if kind == "masks" else 0.5 if kind == "partial" else 1) for kind in kinds]
    queues: dict[str, list[CocoPhoto]] = {kind: [] for kind in kinds}
    while True:
        kind = rng.choices(kinds, weights)[0]
        if len(queues[kind]) < recipe.batch_size:
            queues[kind] += rng.sample(pools[kind], len(pools[kind]))
        batch, queues[kind] = queues[kind][: recipe.batch_size], queues[kind][recipe.batch_size :]
        yield kind, batch


def _schedule(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then half a cosine down to 2 % of the learning rate."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


@torch.no_grad()
def _update_average(average: dict[str, Tensor], model: nn.Module, step: int) -> None:
    """Moves the exponential average of the weights; its horizon grows with the run, so that the start is soon forgotten."""
    decay = 1 - 1 / min(step / 4 + 1, _EMA_HORIZON)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)


def export_weights(checkpoint: Path, out: Path) -> None:
    """Writes the averaged weights of a checkpoint as a float16 state dict, half the size and loaded as float32 again.

    Args:
        checkpoint: What `train` wrote.
        out: The `.pth` file to write.
    """
    average = torch.load(checkpoint, map_location="cpu", weights_only=True)["average"]
    torch.save({name: value.half() if value.is_floating_point() else value for name, value in average.items()}, out)


def _save(checkpoint: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    torch.save(checkpoint, temporary)
    temporary.replace(path)


def main(argv: Sequence[str] | None = None) -> None:
    """Runs a training from the command line."""
    parser = argparse.ArgumentParser(prog="python -m detection_core.train", description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="DIR", help="COCO folders: annotations.json beside images/")
    parser.add_argument(
        "--partial", type=Path, nargs="*", default=[], metavar="DIR", help="COCO folders in which some people are unlabelled"
    )
    parser.add_argument("--backbone", type=Path, help="MobileNetV2 ImageNet state dict to start from")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.pt")
    parser.add_argument("--steps", type=int, default=Recipe.steps)
    parser.add_argument("--batch-size", type=int, default=Recipe.batch_size)
    parser.add_argument("--lr", type=float, default=Recipe.lr)
    parser.add_argument("--seed", type=int, default=Recipe.seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action="store_true", help="bfloat16 in backbone and heads: faster where the CPU has AMX")
    parser.add_argument("--resume", action="store_true", help="go on from --out")
    parser.add_argument("--export", type=Path, metavar="FILE.pth", help="write the result's weights as float16 when done")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    recipe = Recipe(steps=args.steps, batch_size=args.batch_size, lr=args.lr, seed=args.seed)
    train(args.data, args.out, recipe, partial=args.partial, backbone=args.backbone, resume=args.resume, bf16=args.bf16)
    if args.export:
        export_weights(args.out, args.export)


if __name__ == "__main__":
    main()
