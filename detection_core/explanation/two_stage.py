"""Reads the R-CNNs: what the region proposal network did with every anchor, and what the box head said about every proposal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import clip_boxes_to_image

from detection_core.explanation.capture import Captured
from detection_core.explanation.gathering import Gathered, energy_map, gather, heat_map
from detection_core.explanation.record import Level, Proposals
from detection_core.explanation.selection import Candidates, Rules, select

# As in torchvision's `RoIHeads.postprocess_detections`, which has no setting for it.
_MIN_BOX_SIZE = 1e-2


def read_two_stages(module: Any, captured: Captured) -> tuple[Gathered, tuple[Level, ...], Proposals]:
    """Computes both stages' candidates as the module's `filter_proposals` and `postprocess_detections` do, and the levels' maps."""
    image, _ = captured.outputs["transform"]
    size = image.image_sizes[0]
    maps, proposals = _first_stage(module, captured, size)
    logits, codes = captured.outputs["roi_heads.box_predictor"]
    sources: Tensor = captured.outputs["rpn"][0][0]
    heads = module.roi_heads
    scores = torch.softmax(logits, -1)
    boxes = clip_boxes_to_image(heads.box_coder.decode(codes, [sources]), size)
    rules = Rules(min_score=heads.score_thresh, nms_iou=heads.nms_thresh, limit=heads.detections_per_img, min_size=_MIN_BOX_SIZE)
    no_level = torch.zeros(len(sources), dtype=torch.int64, device=sources.device)
    gathered = gather(scores[:, 1:], 1, scores[:, 0], boxes[:, 1:], sources, no_level, rules)
    return gathered, maps, proposals


def _first_stage(module: Any, captured: Captured, size: tuple[int, int]) -> tuple[tuple[Level, ...], Proposals]:
    rpn = module.rpn
    objectness, codes = captured.outputs["rpn.head"]
    anchors: Tensor = captured.outputs["rpn.anchor_generator"][0]
    shapes = [(each.shape[-2], each.shape[-1]) for each in objectness]
    sizes = [each[0].numel() for each in objectness]
    levels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    flat_objectness, flat_codes = concat_box_prediction_layers(list(objectness), list(codes))
    logits = flat_objectness.flatten()
    boxes = clip_boxes_to_image(rpn.box_coder.decode(flat_codes, [anchors])[:, 0], size)
    scores = torch.sigmoid(logits)
    candidates = Candidates(
        # Narrow types: at the largest input sizes there are three quarters of a million anchors.
        places=np.arange(len(anchors), dtype=np.int32),
        labels=np.zeros(len(anchors), np.int8),
        scores=scores.cpu().numpy().copy(),
        boxes=boxes.cpu().numpy().copy(),
        levels=levels.numpy().astype(np.int8),
        ranking=logits.cpu().numpy().copy(),
    )
    rules = Rules(
        min_score=rpn.score_thresh,
        nms_iou=rpn.nms_thresh,
        limit=rpn.post_nms_top_n(),
        top_k=rpn.pre_nms_top_n(),
        min_size=rpn.min_size,
        inclusive=True,
    )
    features = captured.outputs["backbone"]
    named = {"0": features} if isinstance(features, Tensor) else features
    maps = tuple(
        Level(name, shape, energy_map(each[0]), heat_map(own, shape))
        for (name, each), shape, own in zip(named.items(), shapes, scores.split(sizes), strict=True)
    )
    return maps, Proposals(anchors.cpu().numpy().copy(), candidates, rules, select(candidates, rules))
