"""Caches anchors by the shape of the feature maps, instead of computing them for each image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator, DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

# The anchors of a large image take 4 MB, and a video or a camera has only one size.
_KEPT_SHAPES = 4

_Shape = tuple[object, ...]


class _AnchorCache:
    """A cache of anchors by shape. Threads may share it: operations on the dict are atomic, and a lost race costs only time."""

    _anchors: OrderedDict[_Shape, Tensor]

    def _look_up(self, make: Callable[[ImageList, list[Tensor]], list[Tensor]], images: ImageList, maps: list[Tensor]) -> list[Tensor]:
        shape = (images.tensors.shape[-2:], maps[0].device, *(features.shape[-2:] for features in maps))
        kept = self.__dict__.setdefault("_anchors", OrderedDict())
        anchors = kept.get(shape)
        if anchors is None:
            one = ImageList(images.tensors, images.image_sizes[:1])
            # torchvision gives anchors the maps' type, and 16-bit coordinates would be off by pixels; otherwise only the shape matters.
            shapes = [features.new_empty((), dtype=torch.float32).expand(features.shape) for features in maps]
            anchors = kept[shape] = make(one, shapes)[0]
            if len(kept) > _KEPT_SHAPES:
                kept.popitem(last=False)
        return [anchors] * len(images.image_sizes)


class CachedAnchors(_AnchorCache, AnchorGenerator):
    """`AnchorGenerator` with a cache."""

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Returns the anchors [A,4] of each image; they are shared and must not be changed."""
        return self._look_up(super().forward, image_list, feature_maps)


class CachedDefaultBoxes(_AnchorCache, DefaultBoxGenerator):
    """`DefaultBoxGenerator` with a cache."""

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """Returns the default boxes [A,4] of each image; they are shared and must not be changed."""
        return self._look_up(super().forward, image_list, feature_maps)
