"""Limits the postprocessing of RetinaNet and FCOS to places where some class can pass the threshold.

torchvision computes the sigmoid of every class at every place, a dozen million of them, and compares all with the threshold. The sigmoid is
monotonic, so the largest logit of a place shows whether any of its classes can pass. torchvision's code processes the rest.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.models.detection import FCOS, RetinaNet

# A small tolerance below the threshold, so that rounding drops no candidate; torchvision makes the final decision.
_MARGIN = 1e-3

_Outputs = dict[str, list[Tensor]]


class SparseRetinaNet(RetinaNet):
    """`RetinaNet` for inference."""

    def postprocess_detections(
        self, head_outputs: _Outputs, anchors: list[list[Tensor]], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Decodes and suppresses; arguments and result are torchvision's."""
        kept = _above_threshold(head_outputs, anchors, self.score_thresh)
        found: list[dict[str, Tensor]] = super().postprocess_detections(*kept, image_shapes)
        return found


class SparseFCOS(FCOS):
    """`FCOS` for inference."""

    def postprocess_detections(
        self, head_outputs: _Outputs, anchors: list[list[Tensor]], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Decodes and suppresses; arguments and result are torchvision's."""
        # A score is the root of class times centerness, and centerness is at most 1.
        kept = _above_threshold(head_outputs, anchors, self.score_thresh**2)
        found: list[dict[str, Tensor]] = super().postprocess_detections(*kept, image_shapes)
        return found


def _above_threshold(outputs: _Outputs, anchors: list[list[Tensor]], threshold: float) -> tuple[_Outputs, list[list[Tensor]]]:
    """Drops the places of each level whose best class probability is below a threshold in all images of the batch.

    Args:
        outputs: The head's outputs, [B,A,…] by name and level.
        anchors: Anchors [A,4] by image and level.
        threshold: A probability.
    """
    if not 0 < threshold < 1:
        return {name: [values.float() for values in levels] for name, levels in outputs.items()}, anchors
    least = math.log(threshold / (1 - threshold)) - _MARGIN
    places = [torch.where(logits.amax(dim=(0, 2)) > least)[0] for logits in outputs["cls_logits"]]
    kept = {name: [values[:, here].float() for values, here in zip(levels, places, strict=True)] for name, levels in outputs.items()}
    return kept, [[boxes[here] for boxes, here in zip(levels, places, strict=True)] for levels in anchors]
