from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.path import Path
from torchvision.models.detection.roi_heads import paste_masks_in_image

from detection_core.detections.masks import mask_crop, mask_crops, mask_polygons


def smooth_masks(n: int, seed: int) -> torch.Tensor:
    """Masks [n,1,28,28] with several blobs and holes each."""
    noise = torch.randn(n, 1, 7, 7, generator=torch.Generator().manual_seed(seed)) * 3
    return torch.nn.functional.interpolate(noise, size=(28, 28), mode="bicubic").sigmoid()


def random_boxes(n: int, height: int, width: int, seed: int) -> torch.Tensor:
    """Boxes [n,4] within the image, many of them at its border."""
    generator = torch.Generator().manual_seed(seed)
    size = torch.tensor([width, height])
    corner = ((torch.rand(n, 2, generator=generator) * 1.1 - 0.1) * size).clamp(min=0)
    other = corner + torch.rand(n, 2, generator=generator) * size * 0.6
    return torch.cat([corner, other.minimum(size)], dim=1)


@pytest.mark.parametrize(("height", "width"), [(48, 64), (480, 640), (31, 7), (240, 9)])
def test_pixels_are_torchvisions(height, width):
    masks, boxes = smooth_masks(40, seed=height), random_boxes(40, height, width, seed=width)
    expected = (paste_masks_in_image(masks, boxes, (height, width)) >= 0.5)[:, 0].numpy()
    crops = mask_crops(masks[:, 0].numpy(), boxes.numpy(), (height, width))
    for (crop, (x, y)), full in zip(crops, expected, strict=True):
        ours = np.zeros((height, width), bool)
        ours[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        np.testing.assert_array_equal(ours, full)


def test_a_box_outside_the_image_has_no_pixels():
    boxes = np.array([[200, 200, 220, 220], [10, 10, 20, 20], [-40, 10, -20, 20]], np.float32)
    outside, inside, before = mask_crops(np.ones((3, 28, 28), np.float32), boxes, (100, 100))
    assert (outside[0].size, before[0].size) == (0, 0)
    assert inside[0].shape == (12, 12)


def test_one_mask_is_as_among_others():
    masks, boxes = smooth_masks(3, seed=0)[:, 0].numpy(), random_boxes(3, 48, 64, seed=0).numpy()
    assert list(mask_crops(masks[:0], boxes[:0], (48, 64))) == []
    for mask, box, (crop, corner) in zip(masks, boxes, mask_crops(masks, boxes, (48, 64)), strict=True):
        alone, own_corner = mask_crop(mask, box, (48, 64))
        np.testing.assert_array_equal(alone, crop)
        assert own_corner == corner


@pytest.mark.parametrize("seed", range(3))
def test_polygons_cover_the_mask(seed):
    height, width = 300, 400
    mask = smooth_masks(1, seed)[0, 0].numpy()
    box = np.array([40, 30, 360, 270], np.float32)
    crop, (left, top) = mask_crop(mask, box, (height, width))
    rows, columns = np.mgrid[top : top + crop.shape[0], left : left + crop.shape[1]]
    centers = np.column_stack([columns.ravel() + 0.5, rows.ravel() + 0.5])
    inside = np.zeros(len(centers), bool)
    for ring in mask_polygons(mask, box, (height, width)):
        inside ^= Path(ring).contains_points(centers)
    union = (inside | crop.ravel()).sum()
    assert (inside & crop.ravel()).sum() / union > 0.97


def test_polygons_close_at_the_edge_of_the_box():
    (ring,) = mask_polygons(np.ones((28, 28), np.float32), np.array([10, 20, 50, 80], np.float32), (100, 100))
    np.testing.assert_allclose(ring.min(axis=0), (10, 20), atol=2)
    np.testing.assert_allclose(ring.max(axis=0), (50, 80), atol=2)


def test_a_mask_without_pixels_has_no_polygons():
    assert mask_polygons(np.zeros((28, 28), np.float32), np.array([0, 0, 10, 10], np.float32), (20, 20)) == []
