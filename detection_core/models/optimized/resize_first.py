"""Resizes images directly from their bytes, before they are normalized.

torchvision turns an image into floats, divides, subtracts and divides again, all at full size, and then discards most of the pixels.
Bilinear interpolation and normalization are both linear, so the order does not matter, and only the needed pixels are converted.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from detection_core.models.tensorflow_resize import resize_from_corner


class ResizeFirst(GeneralizedRCNNTransform):
    """`GeneralizedRCNNTransform` for inference that also takes bytes.

    Attributes:
        dtype: The type of the batches.
    """

    dtype = torch.float32

    def forward(self, images: list[Tensor], targets: None = None) -> tuple[ImageList, None]:
        """Resizes, normalizes and pads images to a batch.

        Args:
            images: [3,H,W] each: uint8, best as a view of [H,W,3], or floating point from 0 to 1 as for torchvision.
            targets: None.

        Returns:
            The batch, channels last, and None.
        """
        sizes = [self._target_size(image.shape[-2], image.shape[-1]) for image in images]
        height, width = (math.ceil(max(side) / self.size_divisible) * self.size_divisible for side in zip(*sizes, strict=True))
        batch = torch.zeros((len(images), height, width, 3), dtype=self.dtype, device=images[0].device).permute(0, 3, 1, 2)
        for image, place, (height, width) in zip(images, batch, sizes, strict=True):
            self._write(image, place[:, :height, :width])
        return ImageList(batch, sizes), None

    def _target_size(self, height: int, width: int) -> tuple[int, int]:
        if self.fixed_size is not None:
            return self.fixed_size[1], self.fixed_size[0]
        scale = min(self.min_size[-1] / min(height, width), self.max_size / max(height, width))
        return math.floor(height * scale), math.floor(width * scale)

    def _write(self, image: Tensor, place: Tensor) -> None:
        white = 1.0 if image.is_floating_point() else 255.0
        _, height, width = place.shape
        resized = self._resized(image, height, width)
        # Row by row, with the three numbers repeated along each row: this takes a quarter of the time of broadcasting them.
        mean, std = (torch.tensor(values, device=image.device).repeat(width) * white for values in (self.image_mean, self.image_std))
        rows, place = (values.permute(1, 2, 0).flatten(1) for values in (resized, place))
        torch.div(rows.sub_(mean), std, out=place)

    def _resized(self, image: Tensor, height: int, width: int) -> Tensor:
        return interpolate(_needed_rows(image, height)[None], size=(height, width), mode="bilinear")[0]


class CornerResizeFirst(ResizeFirst):
    """`CornerTransform` for inference that also takes bytes."""

    def _resized(self, image: Tensor, height: int, width: int) -> Tensor:
        return resize_from_corner(image, height, width)


def _needed_rows(image: Tensor, height: int) -> Tensor:
    """Converts an image to floats [3,H,W], after dropping rows that a reduction of its height does not need."""
    if image.shape[1] < 2 * height:
        return image.float()
    position = ((torch.arange(height, device=image.device) + 0.5) * torch.tensor(image.shape[1] / height) - 0.5).clamp(min=0)
    lower = position.long()
    upper = (lower + 1).clamp(max=image.shape[1] - 1)
    # Rows are selected from [H,W,3], where each is contiguous in memory.
    pixels = image.permute(1, 2, 0)
    rows = torch.lerp(pixels[lower].float(), pixels[upper].float(), (position - lower)[:, None, None])
    return rows.permute(2, 0, 1)


def takes_bytes(module: nn.Module) -> bool:
    """Returns whether a detector takes images as bytes."""
    return isinstance(getattr(module, "transform", None), ResizeFirst)
