"""Computes RoIAlign as one gather: every output is a weighted sum of 16 rows of the feature map, added up by `embedding_bag`.

torchvision's CPU kernel reads channels-first maps one number at a time. With channels last (see `layout`) a pixel's features
are a row of a table, and RoIAlign is a lookup: bilinear interpolation at 2x2 points of a bin, four pixels each. Reference: He et al.,
"Mask R-CNN" (2017), section 3; the arithmetic is that of torchvision/csrc/ops/cpu/roi_align_kernel.cpp with `aligned=False`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag
from torchvision.ops import MultiScaleRoIAlign
from torchvision.ops.poolers import _convert_to_roi_format, _filter_input, _setup_scales


class GatherRoIAlign(MultiScaleRoIAlign):
    """`MultiScaleRoIAlign` on the CPU, with a fixed sampling ratio as in torchvision's detectors."""

    scales: Any
    map_levels: Any

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        """Pools every box from the level of its size.

        Args:
            x: Feature maps float32 [B,C,H,W] by level.
            boxes: One tensor of boxes [N,4] per image, XYXY in pixels of the images as the backbone saw them.
            image_shapes: Their (height, width).

        Returns:
            float32 [sum of N, C, *output_size], channels last.
        """
        maps = _filter_input(x, self.featmap_names)
        if self.map_levels is None:
            self.scales, self.map_levels = _setup_scales(maps, image_shapes, self.canonical_scale, self.canonical_level)
        rois = _convert_to_roi_format(boxes)
        levels = self.map_levels(boxes) if len(maps) > 1 else rois.new_zeros(len(rois), dtype=torch.long)
        return roi_align(maps, rois, levels, self.output_size, self.scales, self.sampling_ratio)


def roi_align(
    maps: Sequence[Tensor], rois: Tensor, levels: Tensor, output_size: tuple[int, int], scales: Sequence[float], sampling_ratio: int
) -> Tensor:
    """Computes `torchvision.ops.roi_align` with `aligned=False`, each box from one of several maps.

    Args:
        maps: [B,C,H,W] each, preferably channels last; float32 or, with slightly different results, a 16-bit type.
        rois: float32 [N,5]: index of the image, and the box, XYXY in pixels of the image.
        levels: int64 [N], each box's map.
        output_size: Bins of the result, (height, width).
        scales: Pixels of each map per pixel of the image.
        sampling_ratio: Points per bin and direction, at least 1.

    Returns:
        [N, C, *output_size] of the maps' type, channels last.
    """
    # Computing the positions is cheap, and takes as many calls for all maps as for one.
    scale, height, width = torch.tensor([(scale, *own.shape[2:]) for own, scale in zip(maps, scales, strict=True)])[levels].unbind(1)
    x0, y0, x1, y1 = (rois[:, 1:] * scale[:, None]).unbind(1)
    rows, row_weights = _taps(y0, y1, height, output_size[0], sampling_ratio)
    columns, column_weights = _taps(x0, x1, width, output_size[1], sampling_ratio)
    rows = (rois[:, 0] * height).long()[:, None, None] + rows
    rows *= width.long()[:, None, None]
    channels = maps[0].shape[1]
    pooled: Tensor = maps[0].new_empty((len(rois), *output_size, channels))
    for level, features in enumerate(maps):
        here = torch.where(levels == level)[0]
        # [boxes, bins down, bins across, taps down, taps across]
        places = rows[here][:, :, None, :, None] + columns[here][:, None, :, None, :]
        weights = row_weights[here][:, :, None, :, None] * column_weights[here][:, None, :, None, :]
        taps = places.shape[-2] * places.shape[-1]
        table = features.permute(0, 2, 3, 1).reshape(-1, channels)
        sums = embedding_bag(places.view(-1, taps), table, per_sample_weights=weights.view(-1, taps).to(table.dtype), mode="sum")
        pooled[here] = sums.view(-1, *output_size, channels)
    return pooled.permute(0, 3, 1, 2)


def _taps(start: Tensor, end: Tensor, size: Tensor, bins: int, ratio: int) -> tuple[Tensor, Tensor]:
    """Computes which pixels along one direction each bin sums, and their weights.

    Args:
        start: float32 [N], start of the boxes in pixels of the feature map.
        end: float32 [N], end of the boxes.
        size: float32 [N], pixels of the feature map in this direction.
        bins: Bins per box.
        ratio: Points per bin.

    Returns:
        Indices int64 and weights float32 [N, bins, 2 · ratio]; each bin's weights add up to 1, if it lies on the map.
    """
    step = ((end - start).clamp(min=1) / bins)[:, None, None]
    bin_index = torch.arange(bins, dtype=start.dtype, device=start.device)[:, None]
    point = torch.arange(ratio, dtype=start.dtype, device=start.device) + 0.5
    position = start[:, None, None] + bin_index * step + point * step / ratio
    size = size[:, None, None]
    # Up to a pixel outside counts as the border, everything beyond as zero.
    on_map = (position >= -1) & (position <= size)
    position = position.clamp(min=0).minimum(size - 1)
    lower = position.floor()
    fraction = position - lower
    index = torch.stack([lower, (lower + 1).minimum(size - 1)], dim=-1).long()
    weight = torch.stack([1 - fraction, fraction], dim=-1) * (on_map / ratio)[..., None]
    return index.flatten(2), weight.flatten(2)
