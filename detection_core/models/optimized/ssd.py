"""Suppresses an SSD's best candidates of all classes at once, instead of all candidates class by class.

If enough of the best thousand survive, they are the result (see `suppression`), and the tens of thousands below need not even be
decoded. If too few survive, torchvision's own code runs.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softmax
from torchvision.models.detection.ssd import SSD
from torchvision.ops import boxes as box_ops

from detection_core.models.instance_ssd import InstanceSSD
from detection_core.models.optimized.keypoints import heatmaps_to_keypoints
from detection_core.models.optimized.suppression import suppress_apart

# The number of boxes up to which torchvision's `batched_nms` runs in one pass on a CPU, so that it decides in the same way.
_BEST = 1000


class BestFirstSSD(SSD):
    """`SSD` for inference."""

    def scores(self, logits: Tensor) -> Tensor:
        """Converts an image's logits [A, classes with background] to scores [A, classes]: a softmax without the background's column."""
        return softmax(logits, dim=-1)[:, 1:]

    def postprocess_detections(
        self, head_outputs: dict[str, Tensor], image_anchors: list[Tensor], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Decodes and suppresses; arguments and result are torchvision's."""
        found = []
        for index, (anchors, shape) in enumerate(zip(image_anchors, image_shapes, strict=True)):
            outputs = {name: values[index].float() for name, values in head_outputs.items()}
            few = self._among_the_best(outputs["cls_logits"], outputs["bbox_regression"], anchors, shape)
            if few is None:
                whole = {name: values[None] for name, values in outputs.items()}
                (few,) = super().postprocess_detections(whole, [anchors], [shape])
            found.append(few)
        return found

    def _among_the_best(self, logits: Tensor, codes: Tensor, anchors: Tensor, image_shape: tuple[int, int]) -> dict[str, Tensor] | None:
        """Returns the detections of one image, or None if its best candidates do not determine them."""
        scores = self.scores(logits)
        # Most anchors are background for all classes.
        promising = torch.where(scores.amax(dim=1) > self.score_thresh)[0]
        # By class, then by anchor: torchvision's order.
        labels, places = torch.where((scores[promising] > self.score_thresh).T)
        places = promising[places]
        scores = scores[places, labels]
        total = len(scores)
        if total > _BEST:
            best = scores.topk(_BEST).indices.sort().values
            scores, labels, places = scores[best], labels[best], places[best]
        if len(labels) and labels.bincount().max() > self.topk_candidates:
            return None
        boxes = box_ops.clip_boxes_to_image(self.box_coder.decode_single(codes[places], anchors[places]), image_shape)
        if total > _BEST:
            keep = suppress_apart(boxes, scores, labels, self.nms_thresh)
        else:
            keep = box_ops.batched_nms(boxes, scores, labels + 1, self.nms_thresh)
        if len(keep) < self.detections_per_img and total > _BEST:
            return None
        keep = keep[: self.detections_per_img]
        return {"boxes": boxes[keep], "scores": scores[keep], "labels": labels[keep] + 1}


class BestFirstInstanceSSD(BestFirstSSD, InstanceSSD):
    """`InstanceSSD` for inference."""

    def scores(self, logits: Tensor) -> Tensor:
        """Computes the sigmoid of each class except the background."""
        return InstanceSSD.scores(self, logits)

    def points(self, heatmaps: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Returns keypoints float32 [N,K,3] and their scores [N,K] from heat maps [N,K,H,W] over boxes [N,4]."""
        return heatmaps_to_keypoints(heatmaps, boxes)
