from __future__ import annotations

import json
import random

import numpy as np
import pytest
from PIL import Image

from detection_core.coco_data import FLIPPED_JOINTS, Augmentation, read_coco, training_pair
from tests.factories import COCO_KEYPOINT_NAMES

# A white rectangle on black is box, mask and joints at once, so that what the augmentation does to each can be compared.
WIDTH, HEIGHT = 120, 80
BOX = (30, 20, 40, 36)
NOTHING_HAPPENS = Augmentation(min_size=(HEIGHT, HEIGHT), max_size=1000, crop=0, stretch=1, flip=0, photometric=0)


@pytest.fixture
def folder(tmp_path):
    """A COCO folder with one photo of one person, and a crowd."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    x, y, w, h = BOX
    pixels[y : y + h, x : x + w] = 255
    (tmp_path / "images").mkdir()
    Image.fromarray(pixels).save(tmp_path / "images" / "one.png")
    joints = [[x + 1, y + 1, 2]] * 17
    joints[5], joints[6] = [x + w - 2, y + 5, 2], [x + 2, y + 5, 1]
    joints[16] = [0, 0, 0]
    person = {
        "id": 1,
        "image_id": 7,
        "category_id": 1,
        "bbox": list(BOX),
        "iscrowd": 0,
        "num_keypoints": 16,
        "keypoints": np.array(joints).ravel().tolist(),
        "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
    }
    crowd = {**person, "id": 2, "iscrowd": 1}
    images = [{"id": 7, "file_name": "one.png", "width": WIDTH, "height": HEIGHT}]
    (tmp_path / "annotations.json").write_text(json.dumps({"images": images, "annotations": [person, crowd]}))
    return tmp_path


def test_reads_what_torchvision_expects(folder):
    (photo,) = read_coco(folder)
    assert photo.has_masks
    image, target = training_pair(photo, NOTHING_HAPPENS, random.Random(0))
    assert image.shape == (3, HEIGHT, WIDTH)
    assert (image.min(), image.max()) == (0, 1)
    assert target["boxes"].tolist() == [[30, 20, 70, 56]]
    assert target["labels"].tolist() == [1]
    assert target["masks"].shape == (1, HEIGHT, WIDTH)
    assert target["keypoints"].shape == (1, 17, 3)
    assert target["keypoints"][0, 16].tolist() == [0, 0, 0]


def test_a_photo_without_polygons_has_no_masks(folder):
    data = json.loads((folder / "annotations.json").read_text())
    data["images"][0]["has_masks"] = False
    (folder / "annotations.json").write_text(json.dumps(data))
    _, target = training_pair(read_coco(folder)[0], NOTHING_HAPPENS, random.Random(0))
    assert "masks" not in target


@pytest.mark.parametrize("seed", range(8))
def test_pixels_boxes_masks_and_joints_move_together(folder, seed):
    augmentation = Augmentation(min_size=(60, 160), max_size=200, crop=0.7, min_crop=0.8, stretch=1.3, photometric=0)
    image, target = training_pair(read_coco(folder)[0], augmentation, random.Random(seed))
    white = image[0].numpy() > 0.5
    rows, columns = np.nonzero(white)
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    np.testing.assert_allclose(target["boxes"][0].numpy(), seen, atol=1.5)
    assert (target["masks"][0].numpy().astype(bool) ^ white).mean() < 0.03
    for x, y, visible in target["keypoints"][0].numpy():
        if visible:
            assert white[max(0, int(y) - 2) : int(y) + 3, max(0, int(x) - 2) : int(x) + 3].any()


def test_background_crops_show_nobody(folder):
    nobody = Augmentation(**{**NOTHING_HAPPENS.__dict__, "background": 1})
    pairs = [training_pair(read_coco(folder)[0], nobody, random.Random(seed)) for seed in range(20)]
    empty = [(image, target) for image, target in pairs if len(target["boxes"]) == 0]
    # Where no crop without the person is found in a few tries, the photo is taken as it is.
    assert len(empty) >= 12
    for image, target in empty:
        assert image.max() < 0.5
        assert target["keypoints"].shape == (0, 17, 3)
        assert target["masks"].shape == (0, *image.shape[1:])


def test_a_mirror_image_swaps_left_and_right(folder):
    photo = read_coco(folder)[0]
    _, straight = training_pair(photo, NOTHING_HAPPENS, random.Random(0))
    flipped = Augmentation(**{**NOTHING_HAPPENS.__dict__, "flip": 1})
    _, mirrored = training_pair(photo, flipped, random.Random(0))
    left, right = COCO_KEYPOINT_NAMES.index("left_shoulder"), COCO_KEYPOINT_NAMES.index("right_shoulder")
    assert mirrored["keypoints"][0, left, 0] == WIDTH - straight["keypoints"][0, right, 0]
    assert mirrored["keypoints"][0, left, 2] == 1
    assert mirrored["boxes"].tolist() == [[50, 20, 90, 56]]


def test_flipped_joints_are_twins():
    for index, twin in enumerate(FLIPPED_JOINTS):
        assert FLIPPED_JOINTS[twin] == index
        swapped = COCO_KEYPOINT_NAMES[index].replace("left", "?").replace("right", "left").replace("?", "right")
        assert COCO_KEYPOINT_NAMES[twin] == swapped


def test_people_cut_to_a_sliver_are_left_out(folder):
    narrow = Augmentation(min_size=(40, 40), crop=1, min_crop=0.05, stretch=1, flip=0, photometric=0)
    counts = {len(training_pair(read_coco(folder)[0], narrow, random.Random(seed))[1]["boxes"]) for seed in range(30)}
    assert counts == {0, 1}
