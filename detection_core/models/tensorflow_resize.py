"""Images made smaller or larger as TensorFlow 1 did it, for models that have learned on such images."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models.detection.transform import GeneralizedRCNNTransform


class CornerTransform(GeneralizedRCNNTransform):
    """torchvision's transform to a fixed size, with TensorFlow 1's resize (`tf.image.resize_bilinear` with `align_corners=False`)."""

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Resizes an image, float [3,H,W], and as torchvision does its target."""
        assert self.fixed_size is not None
        width, height = self.fixed_size
        if target is not None:
            _, target = super().resize(image, target)
        return resize_from_corner(image, height, width), target


def resize_from_corner(image: Tensor, height: int, width: int) -> Tensor:
    """Resizes by bilinear interpolation, where the middle of the result's pixel `i` is that of the image's pixel `i · scale`.

    Elsewhere the result's edges are those of the image, which would move the content by half of what a pixel of the image is larger or
    smaller. A model that has learned it otherwise finds less: 0.4 points of AP50 for SSDlite on MobileNetV2.

    Args:
        image: [C,H,W], uint8 or floating point; best as a view of [H,W,C].
        height: Of the result in pixels.
        width: Of the result in pixels.

    Returns:
        float32 [C, height, width], in memory of its own.
    """
    # Rows first: most images are made smaller, and each row is one piece of memory.
    pixels = image.permute(1, 2, 0)
    for axis, size in ((0, height), (1, width)):
        if pixels.shape[axis] == size:
            continue
        position = torch.arange(size, device=image.device) * (pixels.shape[axis] / size)
        lower = position.long()
        upper = (lower + 1).clamp(max=pixels.shape[axis] - 1)
        share = (position - lower).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        pixels = torch.lerp(pixels.index_select(axis, lower).float(), pixels.index_select(axis, upper).float(), share)
    if pixels.data_ptr() == image.data_ptr():
        # Whoever changes the result in place must not change the image.
        pixels = pixels.to(torch.float32, copy=True)
    return pixels.permute(2, 0, 1)
