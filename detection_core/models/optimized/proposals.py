"""Decodes region proposals after the best have been selected: some thousands of boxes instead of a quarter of a million.

Suppression then begins with the best of these (see `suppression`).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, permute_and_flatten
from torchvision.ops import boxes as box_ops

from detection_core.models.optimized.suppression import best_survivors


class BestFirstProposals(RegionProposalNetwork):
    """`RegionProposalNetwork` for inference."""

    def forward(self, images: ImageList, features: dict[str, Tensor], targets: None = None) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Proposes boxes that may contain objects.

        Args:
            images: The batch.
            features: Its feature maps by level.
            targets: None.

        Returns:
            Proposals [P,4] of each image, XYXY in pixels of the batch, best first; and no losses.
        """
        maps = list(features.values())
        # All images of a batch have the same anchors.
        anchors = self.anchor_generator(images, maps)[0]
        picked, counts = [], []
        for scores, deltas in zip(*self.head(maps), strict=True):
            batch, per_place, height, width = scores.shape
            scores = permute_and_flatten(scores, batch, per_place, 1, height, width)[..., 0]
            deltas = permute_and_flatten(deltas, batch, per_place, 4, height, width)
            here, anchors = anchors.split([scores.shape[1], len(anchors) - scores.shape[1]])
            values, best = scores.topk(min(self.pre_nms_top_n(), scores.shape[1]), dim=1)
            picked.append((values.float(), deltas.take_along_dim(best[..., None], dim=1).float(), here[best]))
            counts.append(best.shape[1])
        scores, deltas, anchors = (torch.cat(parts, dim=1) for parts in zip(*picked, strict=True))
        proposals = self.box_coder.decode(deltas, list(anchors)).view(len(scores), -1, 4)
        levels = torch.repeat_interleave(torch.tensor(counts)).to(scores.device)
        each = zip(proposals, scores.sigmoid(), images.image_sizes, strict=True)
        return [self._best(boxes, own, levels, size) for boxes, own, size in each], {}

    def _best(self, boxes: Tensor, scores: Tensor, levels: Tensor, image_shape: tuple[int, int]) -> Tensor:
        """Returns one image's proposals among the selected boxes, as torchvision's `filter_proposals` does."""
        boxes = box_ops.clip_boxes_to_image(boxes, image_shape)
        sides = boxes[:, 2:] - boxes[:, :2]
        keep = torch.where((sides >= self.min_size).all(dim=1) & (scores >= self.score_thresh))[0]
        boxes, scores, levels = boxes[keep], scores[keep], levels[keep]
        return boxes[best_survivors(boxes, scores, levels, self.nms_thresh, self.post_nms_top_n())]
