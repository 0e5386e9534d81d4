"""RetinaNet and FCOS look for candidates only where some class may pass the threshold.

torchvision takes the sigmoid of every class at every place, a dozen million of them, compares all and lists those that pass. The sigmoid
is monotonic, so the largest logit of a place tells whether any of its classes can pass. What is left goes torchvision's own way.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.models.detection import FCOS, RetinaNet

# The largest logit may pass a little below the threshold, so that rounding takes no candidate away; torchvision decides about it.
_MARGIN = 1e-3

_Outputs = dict[str, list[Tensor]]


class SparseRetinaNet(RetinaNet):
    """`RetinaNet` for inference."""

    def postprocess_detections(
        self, head_outputs: _Outputs, anchors: list[list[Tensor]], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Decodes and suppresses; arguments and result are torchvision's."""
        kept = _promising(head_outputs, anchors, self.score_thresh)
        found: list[dict[str, Tensor]] = super().postprocess_detections(*kept, image_shapes)
        return found


class SparseFCOS(FCOS):
    """`FCOS` for inference."""

    def postprocess_detections(
        self, head_outputs: _Outputs, anchors: list[list[Tensor]], image_shapes: list[tuple[int, int]]
    ) -> list[dict[str, Tensor]]:
        """Decodes and suppresses; arguments and result are torchvision's."""
        # A score is the root of class times centerness, and centerness is at most 1.
        kept = _promising(head_outputs, anchors, self.score_thresh**2)
        found: list[dict[str, Tensor]] = super().postprocess_detections(*kept, image_shapes)
        return found


def _promising(outputs: _Outputs, anchors: list[list[Tensor]], threshold: float) -> tuple[_Outputs, list[list[Tensor]]]:
    """Leaves out the places of each level whose best class probability is below a threshold in all images of the batch.

    Args:
        outputs: What the head gave, [B,A,…] by name and level.
        anchors: Anchors [A,4] by image and level.
        threshold: A probability.
    """
    if not 0 < threshold < 1:
        return {name: [values.float() for values in levels] for name, levels in outputs.items()}, anchors
    least = math.log(threshold / (1 - threshold)) - _MARGIN
    places = [torch.where(logits.amax(dim=(0, 2)) > least)[0] for logits in outputs["cls_logits"]]
    kept = {name: [values[:, here].float() for values, here in zip(levels, places, strict=True)] for name, levels in outputs.items()}
    return kept, [[boxes[here] for boxes, here in zip(levels, places, strict=True)] for levels in anchors]
