"""Region proposals are decoded after the best have been picked: some thousands of boxes instead of a quarter of a million."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork, permute_and_flatten


class BestFirstProposals(RegionProposalNetwork):
    """`RegionProposalNetwork` for inference."""

    def forward(self, images: ImageList, features: dict[str, Tensor], targets: None = None) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Finds where objects may be.

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
        boxes, _ = self.filter_proposals(proposals, scores, images.image_sizes, counts)
        return boxes, {}
