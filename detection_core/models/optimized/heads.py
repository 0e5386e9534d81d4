"""R-CNN heads at inference: masks and keypoints only for whom somebody wants them, and no more of them than is asked.

Of the masks torchvision computes one per class and object, ninety-one, and keeps the object's own. Here only that is computed.
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
        """Classifies proposals, and finds masks and keypoints of those that remain.

        Args:
            features: Feature maps by level.
            proposals: Boxes [P,4] of each image, XYXY in pixels of the batch.
            image_shapes: (height, width) of each image in the batch.
            targets: None.
            tasks: What is wanted; boxes are always given.

        Returns:
            torchvision's result of each image, its masks on their grid and without those that are not wanted; and no losses.
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
        """Soft masks [N,1,M,M] of each image's objects."""
        inner = self.mask_head(pooled)
        if type(self.mask_predictor) is not MaskRCNNPredictor:
            of_all_classes: list[Tensor] = maskrcnn_inference(self.mask_predictor(inner).float(), labels)
            return of_all_classes
        *first, last = self.mask_predictor
        logits = own_class(nn.Sequential(*first)(inner), last, torch.cat(labels)).float()
        return list(logits.sigmoid().split([len(own) for own in labels]))


def heads_with_tasks(heads: RoIHeads, tasks: Collection[Task]) -> Callable[..., tuple[list[dict[str, Tensor]], dict[str, Tensor]]]:
    """The forward pass of an R-CNN's heads with what is wanted of them; torchvision's own heads always give all."""
    forward: Callable[..., tuple[list[dict[str, Tensor]], dict[str, Tensor]]] = heads
    return partial(forward, tasks=tasks) if isinstance(heads, LazyHeads) else forward


def own_class(features: Tensor, last: nn.Conv2d, labels: Tensor) -> Tensor:
    """One output channel per object of a 1x1 convolution.

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
