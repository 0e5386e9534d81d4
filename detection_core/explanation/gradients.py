"""The quick saliency map: one pass forward and one back, from an object's class score to the maps of the backbone (NormGrad).

Rebuffi et al., "There and Back Again: Revisiting Backpropagation Saliency Methods", CVPR 2020.
`python -m benchmarks.saliency` compares it with D-RISE: by deletion and insertion, it is on average as good for every family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.transforms.functional import gaussian_blur

from detection_core.explanation.capture import is_two_stage, with_shared_weights
from detection_core.explanation.one_stage import class_scores
from detection_core.explanation.record import Recording
from detection_core.models.detector import to_tensor
from detection_core.models.spec import ModelSpec
from detection_core.slicing import Tile

# Smaller maps are too coarse to distinguish places.
_FEWEST_CELLS = 3
# Width of the blur, as a share of the shorter side: single cells are noise.
_BLUR = 1 / 30
# Keeps the logarithm finite for a score of exactly 1.
_EPSILON = 1e-6


@dataclass(frozen=True)
class GradientMap:
    """Computes the quick map of one object; a function for `Engine.call`, which may pickle it.

    The object is the candidate that became it: the class score of that anchor, or of that proposal, after the head and before NMS. In each
    cell of each map of the backbone, the length of the score's gradient is multiplied by the length of the features; the maps are brought
    to the resolution of the finest one, and each counts the same.

    Attributes:
        label: The class.
        place: The index of the anchor; of no meaning where there is a proposal.
        proposal: The proposal in two-stage models, XYXY in pixels of the network's input, or None.
        region: The part of the image that the model saw.
    """

    label: int
    place: int
    proposal: tuple[float, ...] | None
    region: Tile

    @classmethod
    def of(cls, recording: Recording, number: int) -> GradientMap:
        """Makes the function for an object of a recording, by its index in `recording.detections`."""
        index = recording.selection.kept[number]
        place = int(recording.candidates.places[index])
        proposal = None if recording.proposals is None else tuple(recording.places.sources[place].tolist())
        return cls(int(recording.candidates.labels[index]), place, proposal, recording.region)

    def __call__(self, module: nn.Module, spec: ModelSpec, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Computes the map.

        Args:
            module: torchvision's own module in eval mode; it is not changed.
            spec: The model.
            pixels: The recorded image, RGB uint8 [H,W,3].

        Returns:
            float32 [h,w] in 0–1, of the resolution of the finest feature map, over the region; all 0 if there is no gradient.
        """
        own: Any = with_shared_weights(module)
        device = next(own.parameters()).device
        found: dict[str, Tensor] = {}
        seen = pixels[self.region.y0 : self.region.y1, self.region.x0 : self.region.x1]
        # Before the pyramid, which spreads the coarse levels over the fine ones.
        part = getattr(own.backbone, "body", own.backbone)
        part.register_forward_hook(lambda _, inputs, maps: found.update(_by_name(maps)))
        with torch.inference_mode(False), torch.enable_grad():
            batch, _ = own.transform([to_tensor(seen, own).to(device)])
            features = _by_name(own.backbone(batch.tensors.requires_grad_()))
            score = self._score(own, features, batch.image_sizes)
            # Of the log-odds, because the gradient of a score close to 1 vanishes.
            gradients = torch.autograd.grad(torch.logit(score, _EPSILON), list(found.values()), allow_unused=True)
        heat = _combined(list(found.values()), gradients)
        rows, columns = heat.shape[0] / batch.tensors.shape[-2], heat.shape[1] / batch.tensors.shape[-1]
        (height, width) = batch.image_sizes[0]
        # Without the padding.
        heat = heat[: max(1, round(height * rows)), : max(1, round(width * columns))]
        return np.array(heat.cpu().numpy() / max(float(heat.max()), torch.finfo(heat.dtype).tiny), np.float32)

    def _score(self, module: Any, features: dict[str, Tensor], sizes: list[tuple[int, int]]) -> Tensor:
        if is_two_stage(module):
            heads = module.roi_heads
            proposal = torch.tensor([self.proposal], device=next(iter(features.values())).device)
            logits, _ = heads.box_predictor(heads.box_head(heads.box_roi_pool(features, [proposal], sizes)))
            return torch.softmax(logits, dim=-1)[0, self.label]
        levels = [features[name] for name in getattr(module, "detection_levels", features)]
        outputs = {name: value[0] for name, value in module.head(levels).items()}
        scores, first_label, _ = class_scores(module, outputs)
        return scores[self.place, self.label - first_label]


def _by_name(maps: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return {"0": maps} if isinstance(maps, Tensor) else maps


@torch.no_grad()
def _combined(maps: list[Tensor], gradients: tuple[Tensor | None, ...]) -> Tensor:
    """Multiplies and adds the maps [1,C,h,w] and their gradients, at the size of the finest that has one; float32 [h,w]."""
    pairs = [(own, gradient) for own, gradient in zip(maps, gradients, strict=True) if gradient is not None]
    strengths = [own.norm(dim=1, keepdim=True) * gradient.norm(dim=1, keepdim=True) for own, gradient in pairs]
    strengths = [each for each in strengths if min(each.shape[-2:]) >= _FEWEST_CELLS and float(each.sum()) > 0]
    if not strengths:
        return maps[0].new_zeros(maps[0].shape[-2:])
    size = (strengths[0].shape[-2], strengths[0].shape[-1])
    enlarged = [interpolate(each, size, mode="bilinear", align_corners=False) for each in strengths]
    total = torch.stack([each / each.sum() for each in enlarged]).sum(dim=0)
    width = _BLUR * min(size)
    blurred: Tensor = gaussian_blur(total, [2 * round(3 * width) + 1] * 2, [max(width, 0.1)] * 2)
    return blurred[0, 0]
