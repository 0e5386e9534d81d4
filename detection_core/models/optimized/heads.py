"""Runs R-CNN heads for inference and computes only the requested masks and keypoints.

torchvision computes 91 masks per object, one for each class, and keeps that of the object's class. Here only that one is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models.detection.mask_rcnn import MaskRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads, maskrcnn_inference

from detection_core.models.families import Task
from detection_core.models.optimized.keypoints import heatmaps_to_keypoints

_ALL: tuple[Task, ...] = ("boxes", "masks", "keypoints")


class LazyHeads(RoIHeads):
    """`RoIHeads` for inference."""

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: list[Tensor],
        image_shapes: list[tuple[int, int]],
        targets: None = None,
        tasks: Collection[Task] = _ALL,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Classifies proposals, and finds masks and keypoints of the remaining objects.

        Args:
            features: Feature maps by level.
            proposals: Boxes [P,4] of each image, XYXY in pixels of the batch.
            image_shapes: (height, width) of each image in the batch.
            targets: None.
            tasks: The tasks to run; boxes are always returned.

        Returns:
            torchvision's result of each image, with masks on their grid and only for the requested tasks; and no losses.
        """
        pooled = self.box_roi_pool(features, proposals, image_shapes)
        logits, deltas = (values.float() for values in self.box_predictor(self.box_head(pooled)))
        boxes, scores, labels = self.postprocess_detections(logits, deltas, proposals, image_shapes)
        each = zip(boxes, scores, labels, strict=True)
        results = [{"boxes": own_boxes, "labels": own_labels, "scores": own_scores} for own_boxes, own_scores, own_labels in each]
        if "masks" in tasks and self.has_mask():
            masks = self._masks(self.mask_roi_pool(features, boxes, image_shapes), labels)
            for result, values in zip(results, masks, strict=True):
                result["masks"] = values
        if "keypoints" in tasks and self.has_keypoint():
            maps = self.keypoint_predictor(self.keypoint_head(self.keypoint_roi_pool(features, boxes, image_shapes))).float()
            for result, own in zip(results, maps.split([len(own) for own in boxes]), strict=True):
                result["keypoints"], result["keypoints_scores"] = heatmaps_to_keypoints(own, result["boxes"])
        return results, {}

    def _masks(self, pooled: Tensor, labels: list[Tensor]) -> list[Tensor]:
        """Computes soft masks [N,1,M,M] of each image's objects."""
        inner = self.mask_head(pooled)
        if type(self.mask_predictor) is not MaskRCNNPredictor:
            of_all_classes: list[Tensor] = maskrcnn_inference(self.mask_predictor(inner).float(), labels)
            return of_all_classes
        *first, last = self.mask_predictor
        logits = own_class(nn.Sequential(*first)(inner), last, torch.cat(labels)).float()
        return list(logits.sigmoid().split([len(own) for own in labels]))


def heads_with_tasks(heads: RoIHeads, tasks: Collection[Task]) -> Callable[..., tuple[list[dict[str, Tensor]], dict[str, Tensor]]]:
    """Runs an R-CNN's heads for the requested tasks; torchvision's own heads always run all."""
    forward: Callable[..., tuple[list[dict[str, Tensor]], dict[str, Tensor]]] = heads
    return partial(forward, tasks=tasks) if isinstance(heads, LazyHeads) else forward


def own_class(features: Tensor, last: nn.Conv2d, labels: Tensor) -> Tensor:
    """Computes one output channel per object of a 1x1 convolution.

    Args:
        features: float32 [N,C,H,W].
        last: From C to any number of channels.
        labels: int64 [N], each object's output channel.

    Returns:
        float32 [N,1,H,W].
    """
    assert last.bias is not None
    weights = last.weight[labels].flatten(1)[:, :, None]
    values = torch.baddbmm(last.bias[labels][:, None, None], features.permute(0, 2, 3, 1).flatten(1, 2), weights)
    return values.view(len(labels), 1, *features.shape[2:])
