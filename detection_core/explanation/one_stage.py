"""Reads RetinaNet, FCOS, SSD and the built-in SSD: scores and boxes at every anchor, from the outputs of the module's own parts."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.ops import clip_boxes_to_image

from detection_core.explanation.capture import Captured
from detection_core.explanation.gathering import Gathered, energy_map, gather, heat_map
from detection_core.explanation.record import Level
from detection_core.explanation.selection import Rules
from detection_core.models.instance_ssd import InstanceSSD


def read_one_stage(module: Any, captured: Captured) -> tuple[Gathered, tuple[Level, ...]]:
    """Computes the scores and boxes of all anchors as the module's `postprocess_detections` does, and the levels' maps."""
    outputs = {name: value[0] for name, value in captured.outputs["head"].items()}
    anchors: Tensor = captured.outputs["anchor_generator"][0]
    image, _ = captured.outputs["transform"]
    maps: list[Tensor] = captured.inputs["head"][0]
    sizes = _anchors_of_levels(module.anchor_generator, maps)
    levels = torch.repeat_interleave(torch.arange(len(maps)), torch.tensor(sizes)).to(anchors.device)
    scores, first_label, background = class_scores(module, outputs)
    decode = module.box_coder.decode if isinstance(module, FCOS) else module.box_coder.decode_single
    boxes = clip_boxes_to_image(decode(outputs["bbox_regression"], anchors), image.image_sizes[0])
    rules = Rules(
        min_score=module.score_thresh,
        nms_iou=module.nms_thresh,
        limit=module.detections_per_img,
        top_k=module.topk_candidates,
        top_k_within="level" if isinstance(module, RetinaNet | FCOS) else "class",
    )
    gathered = gather(scores, first_label, background, boxes, anchors, levels, rules)
    return gathered, _levels(module, maps, scores.amax(dim=1).split(sizes))


def class_scores(module: Any, outputs: dict[str, Tensor]) -> tuple[Tensor, int, Tensor | None]:
    """Returns scores [A,C], the label of the first column, and the background's score [A] where classes compete with it."""
    logits = outputs["cls_logits"]
    if isinstance(module, RetinaNet):
        return torch.sigmoid(logits), 0, None
    if isinstance(module, FCOS):
        return torch.sqrt(torch.sigmoid(logits) * torch.sigmoid(outputs["bbox_ctrness"])), 0, None
    if isinstance(module, InstanceSSD):
        return module.scores(logits), 1, None
    scores = torch.softmax(logits, dim=-1)
    return scores[:, 1:], 1, scores[:, 0]


def _anchors_of_levels(generator: Any, maps: list[Tensor]) -> list[int]:
    # The built-in SSD has other boxes at its finest level than the aspect ratios say, from which torchvision counts them.
    pairs = isinstance(generator, DefaultBoxGenerator)
    per_cell = [len(own) for own in generator._wh_pairs] if pairs else generator.num_anchors_per_location()
    return [each.shape[-2] * each.shape[-1] * count for each, count in zip(maps, per_cell, strict=True)]


def _levels(module: Any, maps: list[Tensor], scores: tuple[Tensor, ...]) -> tuple[Level, ...]:
    names = module.detection_levels if isinstance(module, InstanceSSD) else [str(index) for index in range(len(maps))]
    levels = []
    for name, features, own in zip(names, maps, scores, strict=True):
        shape = features.shape[-2], features.shape[-1]
        levels.append(Level(name, shape, energy_map(features[0]), heat_map(own, shape)))
    return tuple(levels)
