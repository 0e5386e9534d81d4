from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from detection_core.datasets.coco import read_coco
from detection_core.training.augmentation import mirrored_keypoints, training_pair
from detection_core.training.recipe import Augmentation
from tests.coco_folders import COLORS, KEYPOINT_NAMES, coco_folder, edit
from tests.factories import COCO_KEYPOINT_NAMES

TASKS = ("boxes", "masks", "keypoints")
NONE = Augmentation.none()
FLIPPED = replace(NONE, flip=1)
# Each changes pixels and targets in its own way; the last does everything.
GEOMETRY = {
    "none": NONE,
    "flip": FLIPPED,
    "crop": replace(NONE, crop=1, min_crop=0.6),
    "smaller": replace(NONE, min_size=(60, 100), max_size=200),
    "larger": replace(NONE, min_size=(130, 240), max_size=400),
    "stretch": replace(NONE, stretch=1.5),
    "all": Augmentation(min_size=(80, 200), max_size=260, crop=0.8, min_crop=0.6, stretch=1.3, photometric=0.15, hue=0.01),
}


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """One image with a red person (a rectangle) and a green dog (an ellipse), noise behind them."""
    return read_coco(coco_folder(tmp_path_factory.mktemp("shapes"), images=1))


def class_pixels(image, label):
    """Where the image shows the class: pixels nearer to its color than to black, whatever the light."""
    color = torch.tensor(COLORS[label - 1], dtype=torch.float32) / 255
    main = color.argmax()
    others = [i for i in range(3) if i != main]
    return ((image[main] > 0.45) & (image[main] > 2 * image[others].amax(0))).numpy()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("augmentation", GEOMETRY.values(), ids=GEOMETRY)
def test_boxes_masks_and_keypoints_stay_on_their_pixels(shapes, augmentation, seed):
    image, target = training_pair(shapes.images[0], shapes, augmentation, seed, TASKS)
    for box, label, mask, area in zip(target["boxes"], target["labels"], target["masks"], target["area"], strict=True):
        shown = class_pixels(image, int(label))
        outlined = mask.numpy().astype(bool)
        assert (shown & outlined).sum() / (shown | outlined).sum() > 0.94
        rows, columns = np.nonzero(shown)
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        # Of a round shape that the crop cuts, less may be left than fills the cut box.
        cut = label == 2 and bool((box[:2] == 0).any() or (box[2:] == torch.tensor(image.shape[:0:-1])).any())
        outwards = (seen - box.numpy()) * [1, 1, -1, -1]
        assert outwards.min() > -2
        assert cut or outwards.max() < 2
        assert area == outlined.sum()
    for label, points in zip(target["labels"], target["keypoints"], strict=True):
        labeled = points[points[:, 2] > 0].numpy()
        shown = class_pixels(image, int(label))
        assert all(shown[int(y), int(x)] for x, y, _ in labeled)
        assert (label == 1) == (len(labeled) > 0)


@pytest.mark.parametrize("segmentation", ["rle", "counts"])
@pytest.mark.parametrize("augmentation", GEOMETRY.values(), ids=GEOMETRY)
def test_rle_equals_polygons(tmp_path, shapes, segmentation, augmentation):
    encoded = read_coco(coco_folder(tmp_path, images=1, segmentation=segmentation))
    for seed in range(3):
        expected = training_pair(shapes.images[0], shapes, augmentation, seed, TASKS)[1]["masks"].bool()
        masks = training_pair(encoded.images[0], encoded, augmentation, seed, TASKS)[1]["masks"].bool()
        assert ((masks & expected).sum() / (masks | expected).sum()) > (0.9999 if augmentation in (NONE, FLIPPED) else 0.95)


def test_nothing_happens_to_the_plain_pair(shapes):
    record = shapes.images[0]
    image, target = training_pair(record, shapes, NONE, 0, TASKS)
    with Image.open(record.path) as opened:
        np.testing.assert_array_equal((image * 255).round().byte().permute(1, 2, 0).numpy(), np.array(opened))
    expected = [[x, y, x + w, y + h] for x, y, w, h in (annotation["bbox"] for annotation in record.annotations)]
    np.testing.assert_allclose(target["boxes"], expected, rtol=1e-6)
    np.testing.assert_allclose(target["keypoints"][0].ravel(), record.annotations[0]["keypoints"], rtol=1e-6)
    assert not target["keypoints"][1].any()
    assert target["labels"].tolist() == [1, 2]


def test_types_and_shapes_are_torchvisions(shapes):
    image, target = training_pair(shapes.images[0], shapes, Augmentation(), 0, TASKS)
    height, width = image.shape[1:]
    found = {name: (type(value), value.dtype, tuple(value.shape)) for name, value in target.items()}
    n = len(target["boxes"])
    assert (type(image), image.dtype, image.shape[0]) == (torch.Tensor, torch.float32, 3)
    assert 0 <= image.min() < image.max() <= 1
    assert image.is_contiguous()
    assert n > 0
    assert found == {
        "boxes": (torch.Tensor, torch.float32, (n, 4)),
        "labels": (torch.Tensor, torch.int64, (n,)),
        "masks": (torch.Tensor, torch.uint8, (n, height, width)),
        "keypoints": (torch.Tensor, torch.float32, (n, len(KEYPOINT_NAMES), 3)),
        "area": (torch.Tensor, torch.float32, (n,)),
        "iscrowd": (torch.Tensor, torch.int64, (n,)),
        "image_id": (torch.Tensor, torch.int64, ()),
    }
    assert not target["iscrowd"].any()
    assert target["image_id"] == 1
    assert set(target["masks"].unique().tolist()) == {0, 1}


@pytest.mark.parametrize("augmentation", [NONE, FLIPPED, Augmentation(flip=1)], ids=["none", "flip", "all"])
def test_empty_targets_keep_their_shapes(tmp_path, augmentation):
    dataset = read_coco(coco_folder(tmp_path, images=1, empty=1))
    image, target = training_pair(dataset.images[0], dataset, augmentation, 0, TASKS)
    assert target["boxes"].shape == (0, 4)
    assert target["labels"].shape == target["area"].shape == target["iscrowd"].shape == (0,)
    assert target["masks"].shape == (0, *image.shape[1:])
    assert target["keypoints"].shape == (0, 5, 3)


def test_only_the_tasks_targets_are_made(shapes, tmp_path):
    image = shapes.images[0]
    common = {"boxes", "labels", "area", "iscrowd", "image_id"}
    assert training_pair(image, shapes, FLIPPED, 0, ("boxes",))[1].keys() == common
    assert training_pair(image, shapes, FLIPPED, 0, ("boxes", "keypoints"))[1].keys() == common | {"keypoints"}
    # An image without polygons has no masks, which is not the same as empty ones.
    plain = read_coco(coco_folder(tmp_path, images=1, masks=False))
    assert training_pair(plain.images[0], plain, FLIPPED, 0, TASKS)[1].keys() == common | {"keypoints"}


def test_a_mirror_image_shows_the_left_hand_where_the_right_one_was(tmp_path):
    """The image's right half is red and has the person's left keypoints; the left half is blue and has the right ones."""
    folder = coco_folder(tmp_path, images=1, objects=1, categories=("person",))
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[:, :80], pixels[:, 80:] = (0, 0, 255), (255, 0, 0)
    Image.fromarray(pixels).save(folder / "images" / "1.png")
    keypoints = [80, 10, 2, 100, 30, 2, 60, 40, 1, 159.5, 90, 1, 0, 0, 0]
    edit(folder, lambda data: data["annotations"][0].update(keypoints=keypoints, bbox=[20, 5, 140, 100]))
    dataset = read_coco(folder)
    straight_image, straight = training_pair(dataset.images[0], dataset, NONE, 0, TASKS)
    image, mirrored = training_pair(dataset.images[0], dataset, FLIPPED, 0, TASKS)
    before = dict(zip(KEYPOINT_NAMES, straight["keypoints"][0].tolist(), strict=True))
    after = dict(zip(KEYPOINT_NAMES, mirrored["keypoints"][0].tolist(), strict=True))
    assert after == {
        "nose": [80, 10, 2],
        "left_hand": [100, 40, 1],
        "right_hand": [60, 30, 2],
        "left_foot": [0, 0, 0],
        "right_foot": [0.5, 90, 1],
    }
    # What was the left hand is the right one of the person in the mirror, on the same pixels.
    for name, twin in (("left_hand", "right_hand"), ("right_hand", "left_hand"), ("left_foot", "right_foot")):
        (x, y, _), (mirrored_x, mirrored_y, _) = before[name], after[twin]
        assert torch.equal(straight_image[:, int(y), int(x)], image[:, int(mirrored_y), int(mirrored_x)])
        assert mirrored_x == 160 - x
    assert mirrored["boxes"].tolist() == [[0, 5, 140, 105]]
    torch.testing.assert_close(mirrored["masks"], straight["masks"].flip(-1))


@pytest.mark.parametrize(
    ("names", "twins"),
    [
        (COCO_KEYPOINT_NAMES, [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]),
        (("tail", "Right Paw", "Left Paw"), [0, 2, 1]),
        (("wing_left", "beak", "wing_right"), [2, 1, 0]),
        (("left_eye", "top"), [0, 1]),
        (("l_eye", "r_eye", "nose"), [1, 0, 2]),
        (("L-Ear", "R-Ear"), [1, 0]),
        (("eye_L", "eye_R"), [1, 0]),
        (("kneeR", "kneeL", "LHip", "RHip"), [1, 0, 3, 2]),
        (("hip r", "hip l", "1l", "1r"), [1, 0, 3, 2]),
        (("lefteye", "righteye"), [1, 0]),
        (("lip", "rip", "tail", "tair"), [0, 1, 2, 3]),
        ((), []),
    ],
    ids=[
        "coco",
        "capitals",
        "side behind",
        "one side only",
        "letters",
        "capital letters",
        "letters behind",
        "letters by case",
        "letters by space and number",
        "no border",
        "letters that are no sides",
        "none",
    ],
)
def test_twins_are_known_by_name(names, twins):
    assert mirrored_keypoints(names) == twins


@pytest.mark.parametrize(
    ("names", "tasks", "mirrored"),
    [
        (("1", "2", "3", "4", "5"), TASKS, False),
        (("left_eye", "2", "3", "4", "5"), TASKS, False),
        (("1", "2", "3", "4", "5"), ("boxes", "masks"), True),
        (("1", "2", "3", "eye l", "eye r"), TASKS, True),
    ],
    ids=["no sides", "one side", "keypoints not asked for", "one pair"],
)
def test_images_are_mirrored_only_if_sides_of_keypoints_are_known(tmp_path, names, tasks, mirrored):
    dataset = read_coco(coco_folder(tmp_path, images=1, keypoint_names=names))
    straight, _ = training_pair(dataset.images[0], dataset, NONE, 0, tasks)
    image, _ = training_pair(dataset.images[0], dataset, FLIPPED, 0, tasks)
    assert torch.equal(image, straight.flip(-1) if mirrored else straight)


def test_background_crops_show_no_object(tmp_path):
    dataset = read_coco(coco_folder(tmp_path, images=1, objects=1, size=(320, 120)))
    edit(tmp_path, lambda data: data["annotations"][0].update(bbox=[10, 10, 60, 100]))
    record = read_coco(tmp_path).images[0]
    augmentation = replace(NONE, background=1)
    sizes = [training_pair(record, dataset, augmentation, seed, TASKS) for seed in range(10)]
    assert all(len(target["boxes"]) == 0 and image.shape[2] < 320 for image, target in sizes)
    partial = replace(record, partial=True)
    assert all(len(training_pair(partial, dataset, augmentation, seed, TASKS)[1]["boxes"]) == 1 for seed in range(10))
    crowded = replace(record, crowds=({**record.annotations[0], "bbox": [0, 0, 320, 120]},))
    assert all(len(training_pair(crowded, dataset, augmentation, seed, TASKS)[1]["boxes"]) == 1 for seed in range(10))


def test_what_a_crop_cuts_to_a_sliver_is_left_out(shapes):
    augmentation = replace(NONE, crop=1, min_crop=0.3)
    image = shapes.images[0]
    whole = {annotation["category_id"]: annotation["bbox"][2] * annotation["bbox"][3] for annotation in image.annotations}
    counts = set()
    for seed in range(60):
        _, target = training_pair(image, shapes, augmentation, seed, TASKS)
        counts.add(len(target["boxes"]))
        sides = target["boxes"][:, 2:] - target["boxes"][:, :2]
        for label, area in zip(target["labels"].tolist(), sides.prod(dim=1).tolist(), strict=True):
            # The crop is shown at whole pixels, which changes areas a little.
            assert area > 0.28 * whole[label]
    assert counts == {0, 1, 2}


@pytest.mark.parametrize(("least", "kept"), [(0, 1), (3, 0)])
def test_tiny_objects_are_left_out_where_asked(tmp_path, least, kept):
    folder = edit(coco_folder(tmp_path, images=1, objects=1), lambda data: data["annotations"][0].update(bbox=[10, 10, 2, 50]))
    dataset = read_coco(folder)
    assert len(training_pair(dataset.images[0], dataset, replace(NONE, min_box_side=least), 0, ("boxes",))[1]["boxes"]) == kept


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), background=st.sampled_from([0, 0.5]), crop=st.sampled_from([0.1, 0.9]))
def test_targets_are_always_valid(shapes, seed, background, crop):
    augmentation = Augmentation(min_size=(40, 120), max_size=150, background=background, crop=0.9, min_crop=crop, stretch=2)
    image, target = training_pair(shapes.images[0], shapes, augmentation, seed, TASKS)
    height, width = image.shape[1:]
    assert min(height, width) >= 32
    assert max(height, width) <= 150
    x1, y1, x2, y2 = target["boxes"].unbind(1)
    assert ((x1 >= 0) & (x2 - x1 >= 3) & (x2 <= width) & (y1 >= 0) & (y2 - y1 >= 3) & (y2 <= height)).all()
    x, y, visible = target["keypoints"].unbind(-1)
    assert ((x >= 0) & (x <= width) & (y >= 0) & (y <= height)).all()
    assert torch.isin(visible, torch.tensor([0.0, 2.0])).all()
    assert not x[visible == 0].any()
    assert target["masks"].shape == (len(x1), height, width)


def test_boxes_a_little_beyond_the_image_are_clipped(tmp_path):
    folder = edit(coco_folder(tmp_path, images=1, objects=1), lambda data: data["annotations"][0].update(bbox=[-1, -0.5, 161.5, 121]))
    dataset = read_coco(folder)
    for augmentation in (NONE, FLIPPED):
        assert training_pair(dataset.images[0], dataset, augmentation, 0, TASKS)[1]["boxes"].tolist() == [[0, 0, 160, 120]]


def test_the_seed_alone_decides(shapes):
    record, augmentation = shapes.images[0], Augmentation()
    random.seed(0), np.random.seed(0), torch.manual_seed(0)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    image, target = training_pair(record, shapes, augmentation, 5, TASKS)
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all()
    assert torch.equal(torch.get_rng_state(), before[2])
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    again, same = training_pair(record, shapes, augmentation, 5, TASKS)
    assert torch.equal(image, again)
    assert all(torch.equal(target[name], same[name]) for name in target)
    others = [training_pair(record, shapes, augmentation, seed, TASKS)[0] for seed in range(6, 10)]
    assert not any(other.shape == image.shape and torch.equal(other, image) for other in others)


def test_light_and_color_change_but_not_the_place(shapes):
    record = shapes.images[0]
    plain, target = training_pair(record, shapes, NONE, 0, TASKS)
    for changes in ({"photometric": 0.4}, {"hue": 0.2}):
        image, same = training_pair(record, shapes, replace(NONE, **changes), 0, TASKS)
        assert (image - plain).abs().mean() > 0.01
        assert all(torch.equal(target[name], same[name]) for name in target)


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGB"])
def test_large_jpegs_are_decoded_small_and_stay_in_place(tmp_path, mode):
    folder = coco_folder(tmp_path, images=1, objects=1, size=(1301, 901), suffix=".jpg")
    file = folder / "images" / "1.jpg"
    with Image.open(file) as opened:
        opened.convert(mode).save(file, quality=95)
    dataset = read_coco(folder)
    for seed in range(4):
        augmentation = replace(NONE, min_size=(100, 150), max_size=200, crop=0.5, flip=0.5)
        image, target = training_pair(dataset.images[0], dataset, augmentation, seed, TASKS)
        outlined = target["masks"][0].bool().numpy()
        shown = class_pixels(image, 1) if mode != "L" else (image[0] > 0.27).numpy()
        assert (shown & outlined).sum() / (shown | outlined).sum() > 0.94


def test_pixels_are_taken_as_stored_whatever_exif_says(tmp_path):
    folder = coco_folder(tmp_path, images=1, suffix=".jpg")
    file = folder / "images" / "1.jpg"
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(file) as opened:
        opened.copy().save(file, exif=exif, quality=95)
    dataset = read_coco(folder)
    image, target = training_pair(dataset.images[0], dataset, NONE, 0, TASKS)
    shown, outlined = class_pixels(image, 1), target["masks"][0].bool().numpy()
    assert (shown & outlined).sum() / (shown | outlined).sum() > 0.9
