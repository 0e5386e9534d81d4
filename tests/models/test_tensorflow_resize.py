from __future__ import annotations

import pytest
import torch

from detection_core.models.tensorflow_resize import CornerTransform, resize_from_corner

# What `tf.compat.v1.image.resize_bilinear` gives of one row.
ROW = [0.0, 1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (4, [0, 1, 2, 3]),
        (2, [0, 2]),
        (3, [0, 4 / 3, 8 / 3]),
        (8, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]),
        (1, [0]),
    ],
)
@pytest.mark.parametrize("axis", ["rows", "columns"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_pixels_are_taken_from_multiples_of_the_scale(size, expected, axis, dtype):
    image = torch.tensor(ROW).repeat(3, 2, 1).to(dtype)
    wanted = torch.tensor(expected, dtype=torch.float32).repeat(3, 2, 1)
    found = resize_from_corner(image.mT, size, 2).mT if axis == "rows" else resize_from_corner(image, 2, size)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_an_image_of_the_right_size_is_copied(dtype):
    image = torch.rand(3, 5, 7).to(dtype)
    found = resize_from_corner(image, 5, 7)
    torch.testing.assert_close(found, image.float())
    found += 1
    assert image.max() <= 1


def test_targets_are_resized_as_torchvision_does():
    transform = CornerTransform(30, 30, [0.5] * 3, [0.5] * 3, size_divisible=1, fixed_size=(30, 30)).train()
    target = {
        "boxes": torch.tensor([[10.0, 10, 40, 50]]),
        "masks": torch.ones(1, 60, 120, dtype=torch.uint8),
        "keypoints": torch.tensor([[[60.0, 30, 2]]]),
    }
    batch, (found,) = transform([torch.rand(3, 60, 120)], [target])
    assert batch.tensors.shape == (1, 3, 30, 30)
    torch.testing.assert_close(found["boxes"], torch.tensor([[2.5, 5, 10, 25]]))
    assert found["masks"].shape == (1, 30, 30)
    torch.testing.assert_close(found["keypoints"], torch.tensor([[[15.0, 15, 2]]]))
