from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from detection_core.datasets.checks import check, without_faults
from detection_core.datasets.coco import DataError, read_coco
from tests.coco_folders import coco_folder, edit

TASKS = ("boxes", "masks", "keypoints")
WIDTH, HEIGHT = 160, 120
FIRST_KEYPOINTS = [80, 60, 2] * 5


def with_annotation(**changes: Any):
    """A change of the folder: annotation 3, the first of image 2, is given other values."""
    return lambda folder: edit(folder, lambda data: data["annotations"][2].update(changes))


def with_image(**changes: Any):
    return lambda folder: edit(folder, lambda data: data["images"][1].update(changes))


def truncated(folder):
    file = folder / "images" / "2.jpg"
    file.write_bytes(file.read_bytes()[:-200])


def oriented(orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return lambda folder: Image.new("RGB", size).save(folder / "images" / "2.jpg", exif=exif)


def keypoints(**changes: float) -> list[float]:
    """Good keypoints, but for the value at the position in `changes`: v3=5 puts 5 at index 3."""
    values: list[float] = list(FIRST_KEYPOINTS)
    for name, value in changes.items():
        values[int(name[1:])] = value
    return values


def rle(counts: Any, size: Any = (HEIGHT, WIDTH)) -> dict[str, Any]:
    return {"size": list(size), "counts": counts}


ALL = WIDTH * HEIGHT
WHOLE_IMAGE = coco_mask.encode(np.ones((HEIGHT, WIDTH), np.uint8, order="F"))["counts"].decode()
IMAGE_FAULTS = {
    "missing": (lambda folder: (folder / "images" / "2.jpg").unlink(), "is missing"),
    "not an image": (lambda folder: (folder / "images" / "2.jpg").write_text("hello"), "used: this is a text file, not an image. Replace"),
    "empty file": (lambda folder: (folder / "images" / "2.jpg").write_bytes(b""), "cannot be used: the file is empty"),
    "truncated": (truncated, "cannot be used: the file is cut off: about"),
    "other size": (lambda folder: Image.new("RGB", (50, 60)).save(folder / "images" / "2.jpg"), "50 × 60 pixels, but 160 × 120"),
    "turned by EXIF": (oriented(6, (HEIGHT, WIDTH)), "save it upright"),
    "turned by EXIF, annotated as stored": (oriented(6, (WIDTH, HEIGHT)), "orientation 6), but annotations count stored pixels"),
    "upside down by EXIF": (oriented(3, (WIDTH, HEIGHT)), "without the EXIF orientation"),
    "mirrored by EXIF": (oriented(2, (WIDTH, HEIGHT)), "turned or mirrored"),
}
ANNOTATION_FAULTS = {
    "no box": (with_annotation(bbox=None), "None, not four numbers"),
    "box of three": (with_annotation(bbox=[1, 2, 3]), "[1, 2, 3], not four numbers"),
    "box of texts": (with_annotation(bbox=["1", "2", "3", "4"]), "not four numbers"),
    "NaN in box": (with_annotation(bbox=[1, math.nan, 3, 4]), "nan"),
    "infinite box": (with_annotation(bbox=[1, 1, math.inf, 4]), "inf"),
    "box beyond any float": (with_annotation(bbox=[1, 1, 10**400, 4]), "not four numbers"),
    "flat box": (with_annotation(bbox=[10, 10, 30, 0]), "30 × 0 pixels"),
    "negative box": (with_annotation(bbox=[10, 10, -5, 4]), "-5 × 4 pixels"),
    "box beyond right": (with_annotation(bbox=[100, 10, 61.5, 20]), "to (161.5, 30), beyond the image of 160 × 120"),
    "box beyond top": (with_annotation(bbox=[10, -1.5, 20, 20]), "from (10, -1.5)"),
    "box beside the image": (with_annotation(bbox=[160.2, 10, 0.5, 20]), "beyond the image"),
    "unknown class": (with_annotation(category_id=77), "category id 77 is unknown"),
    "text as polygon": (with_annotation(segmentation="abc"), "segmentation is 'abc'"),
    "flat polygon list": (with_annotation(segmentation=[1, 2, 3, 4, 5, 6]), "not a list of numbers"),
    "two points": (with_annotation(segmentation=[[1, 2, 30, 40]]), "2 points"),
    "odd polygon": (with_annotation(segmentation=[[1, 2, 30, 40, 50, 60, 7]]), "7 numbers"),
    "NaN in polygon": (with_annotation(segmentation=[[1, 2, 30, 40, 50, math.nan]]), "not a list of numbers"),
    "empty polygon": (with_annotation(segmentation=[[5, 5, 5, 5, 5, 5]]), "mask is empty"),
    "polygon beside the image": (with_annotation(segmentation=[[170, 5, 180, 5, 180, 15]]), "mask is empty"),
    "polygon far away": (with_annotation(segmentation=[[1e8, 5, 1e9, 5, 1e9, 1e9]]), "far outside"),
    "RLE of another size": (with_annotation(segmentation=rle([ALL], (WIDTH, HEIGHT))), "size [160, 120], not the image's [120, 160]"),
    "RLE without counts": (with_annotation(segmentation={"size": [HEIGHT, WIDTH]}), "cannot be decoded"),
    "RLE too short": (with_annotation(segmentation=rle([10, 20])), "do not add up to 19200"),
    "RLE too long": (with_annotation(segmentation=rle([10, ALL])), "do not add up"),
    "RLE of fractions": (with_annotation(segmentation=rle([0.5, ALL - 0.5])), "cannot be decoded"),
    "negative RLE": (with_annotation(segmentation=rle([ALL + 5, -5])), "cannot be decoded"),
    "compressed RLE too short": (with_annotation(segmentation=rle("zzz")), "cannot be decoded"),
    "compressed RLE of strange letters": (with_annotation(segmentation=rle("é!")), "cannot be decoded"),
    # "P" says that a number goes on, and then the text ends.
    "compressed RLE cut off": (with_annotation(segmentation=rle(WHOLE_IMAGE + "P")), "cannot be decoded"),
    "empty RLE": (with_annotation(segmentation=rle([ALL])), "marks no pixel"),
    "no segmentation despite has_masks": (
        lambda folder: (with_image(has_masks=True)(folder), with_annotation(segmentation=None)(folder)),
        "says has_masks",
    ),
    "too few keypoints": (with_annotation(keypoints=[1, 2, 2]), "3 keypoint values, but 5 keypoints are named, which makes 15"),
    "keypoints of text": (with_annotation(keypoints="abc"), "not numbers"),
    "keypoint beyond any float": (with_annotation(keypoints=keypoints(v0=10**400)), "not numbers"),
    "area beyond any float": (with_annotation(area=10**400), "not a number"),
    "NaN keypoint": (with_annotation(keypoints=keypoints(v0=math.nan)), "not numbers"),
    "visibility 3": (with_annotation(keypoints=keypoints(v2=3)), "visibility 3"),
    "visibility 0.5": (with_annotation(keypoints=keypoints(v2=0.5)), "visibility 0.5"),
    "keypoint outside": (with_annotation(keypoints=keypoints(v0=162)), "(162, 60), beyond the image"),
    "area of text": (with_annotation(area="12"), "\"area\" is '12', not a number"),
    "crowd or not": (with_annotation(iscrowd="maybe"), "\"iscrowd\" is 'maybe', not 0 or 1"),
    "crowd of two": (with_annotation(iscrowd=2), '"iscrowd" is 2, not 0 or 1'),
    "repeated id": (with_annotation(id=1), "another annotation has this id"),
}


@pytest.fixture
def folder(tmp_path):
    return coco_folder(tmp_path, images=3, suffix=".jpg", crowds=True)


@pytest.mark.parametrize("segmentation", ["polygons", "rle", "counts"])
def test_a_clean_data_set_has_no_faults(tmp_path, segmentation):
    dataset = read_coco(coco_folder(tmp_path, segmentation=segmentation, empty=1, crowds=True))
    assert check(dataset, TASKS) == []
    assert without_faults(dataset, []) == (dataset, 0, 0)


@pytest.mark.parametrize(("spoil", "says"), IMAGE_FAULTS.values(), ids=IMAGE_FAULTS)
def test_faults_of_images_are_named(folder, spoil, says):
    spoil(folder)
    dataset = read_coco(folder)
    (fault,) = check(dataset, TASKS)
    assert str(fault).startswith("image 2 (2.jpg): ")
    assert says in str(fault)
    assert str(folder) not in str(fault)
    left, images, annotations = without_faults(dataset, [fault])
    assert ([image.id for image in left.images], images, annotations) == ([1, 3], 1, 3)


@pytest.mark.parametrize(("spoil", "says"), ANNOTATION_FAULTS.values(), ids=ANNOTATION_FAULTS)
def test_faults_of_annotations_are_named(folder, spoil, says):
    spoil(folder)
    dataset = read_coco(folder)
    (fault,) = check(dataset, TASKS)
    number = 1 if "another" in says else 3
    assert str(fault).startswith(f"image 2 (2.jpg), annotation {number}: ")
    assert says in str(fault)
    assert "\n" not in str(fault)
    left, images, annotations = without_faults(dataset, [fault])
    assert (images, annotations) == (0, 1)
    assert check(left, TASKS) == []
    assert [len(image.annotations) for image in left.images] == [2, 1, 2]
    # An object of image 2 has lost its label, so that it looks like background.
    assert [image.partial for image in left.images] == [False, True, False]


def test_images_that_share_an_id_are_all_faulty(folder):
    with_image(id=1)(folder)
    dataset = read_coco(folder)
    faults = check(dataset, TASKS)
    shared = [fault for fault in faults if fault.annotation_id is None]
    assert [(fault.image_id, fault.file_name) for fault in shared] == [(1, "1.jpg"), (1, "2.jpg")]
    # The annotations of the image that is now gone have lost it.
    assert [str(fault).split(":")[0] for fault in faults[2:]] == [f"image 2 (not in the file), annotation {i}" for i in (3, 4, 8)]
    assert [image.id for image in without_faults(dataset, faults).dataset.images] == [3]


def test_annotations_of_unknown_images_are_named_and_left_out(folder):
    with_annotation(image_id=42)(folder)
    dataset = read_coco(folder)
    (fault,) = check(dataset, TASKS)
    assert (fault.image_id, fault.annotation_id) == (42, 3)
    assert "image is not in the file" in str(fault)
    left, images, annotations = without_faults(dataset, [fault])
    assert (left.orphans, images, annotations) == ((), 0, 1)


@pytest.mark.parametrize("field", ["iscrowd", "area", "segmentation", "keypoints"])
def test_null_is_no_fault(folder, field):
    with_annotation(**{field: None})(folder)
    assert check(read_coco(folder), TASKS) == []


@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_images_that_are_shown_as_stored_are_sound(folder, orientation):
    oriented(orientation, (WIDTH, HEIGHT))(folder)
    assert check(read_coco(folder), TASKS) == []


def test_oriented_tiffs_are_valid_as_pillow_turns_them(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (HEIGHT, WIDTH)).save(folder / "images" / "2.jpg", "TIFF", exif=exif)
    assert check(read_coco(folder), TASKS) == []


def test_faulty_outlines_of_crowds_are_named(folder):
    edit(folder, lambda data: data["annotations"][-1].update(segmentation="abc"))
    dataset = read_coco(folder)
    assert [fault.annotation_id for fault in check(dataset, TASKS)] == [9]
    assert check(dataset, ("boxes",)) == []


def test_unusable_entries_are_all_named_and_left_out(folder):
    edit(folder, lambda data: [data["annotations"][0].pop("id"), data["annotations"][3].pop("image_id")])
    edit(folder, lambda data: [data["images"][2].update(width=1.5), data["images"].append("5")])
    dataset = read_coco(folder)
    faults = check(dataset, TASKS)
    assert [str(fault).partition(" (counted")[0] for fault in faults] == [
        'entry 2 of "images"',
        'entry 3 of "images"',
        'entry 0 of "annotations"',
        'entry 3 of "annotations"',
    ]
    left, images, annotations = without_faults(dataset, faults)
    # With the last image go its two objects and its crowd.
    assert ([image.id for image in left.images], images, annotations) == ([1, 2], 2, 2 + 3)
    assert check(left, TASKS) == []
    # What the unusable annotation of image 1 was to label is there without a label.
    assert [(len(image.annotations), image.partial) for image in left.images] == [(1, True), (1, False)]


def test_an_image_whose_annotations_were_all_unusable_is_left_out(folder):
    edit(folder, lambda data: [data["annotations"][position].pop("category_id") for position in (0, 1)])
    dataset = read_coco(folder)
    left, images, annotations = without_faults(dataset, check(dataset, TASKS))
    assert ([image.id for image in left.images], images, annotations) == ([2, 3], 1, 3)


def test_every_fault_is_listed_at_once(folder):
    for spoil, _ in (IMAGE_FAULTS["truncated"], ANNOTATION_FAULTS["flat box"], ANNOTATION_FAULTS["odd polygon"]):
        spoil(folder)
    edit(folder, lambda data: data["annotations"][-1].update(bbox=[0, 0, 9999, 1]))
    assert [(fault.image_id, fault.annotation_id) for fault in check(read_coco(folder), TASKS)] == [(2, None), (2, 3), (2, 3), (3, 9)]


@pytest.mark.parametrize("bbox", [[-1, -1, 162, 122], [0, 0, 160.01, 120.01], [159.2, 119.2, 1.5, 1.5]])
def test_boxes_may_exceed_the_image_by_a_pixel(folder, bbox):
    with_annotation(bbox=bbox)(folder)
    assert check(read_coco(folder), TASKS) == []


def test_a_mask_may_cover_the_image(folder):
    with_annotation(segmentation=rle(WHOLE_IMAGE))(folder)
    assert check(read_coco(folder), TASKS) == []


def test_only_what_is_trained_is_checked(folder):
    with_annotation(segmentation=[[1, 2]], keypoints=[1])(folder)
    dataset = read_coco(folder)
    assert check(dataset, ("boxes",)) == []
    assert len(check(dataset, ("boxes", "masks"))) == 1
    assert len(check(dataset, ("boxes", "keypoints"))) == 1


def test_keypoints_without_names_are_a_fault(folder):
    edit(folder, lambda data: data["categories"][0].pop("keypoints"))
    faults = check(read_coco(folder), TASKS)
    assert len(faults) == 3
    assert all('"keypoints" of the category' in fault.advice for fault in faults)


def test_an_image_whose_annotations_were_all_faulty_is_left_out(folder):
    edit(folder, lambda data: [a.update(bbox=[0, 0, 0, 0]) for a in data["annotations"] if a["image_id"] == 2 and not a["iscrowd"]])
    dataset = read_coco(folder)
    left, images, annotations = without_faults(dataset, check(dataset, TASKS))
    assert ([image.id for image in left.images], images, annotations) == ([1, 3], 1, 3)


def test_a_data_set_without_a_sound_image_is_refused(folder):
    for file in (folder / "images").iterdir():
        file.unlink()
    dataset = read_coco(folder)
    with pytest.raises(DataError, match="none is left"):
        without_faults(dataset, check(dataset, TASKS))


def test_progress_counts_images(folder):
    steps = []
    check(read_coco(folder), TASKS, on_progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_checking_changes_nothing(folder):
    before = json.loads((folder / "annotations.json").read_text())
    dataset = read_coco(folder)
    copy = read_coco(folder)
    without_faults(dataset, check(dataset, TASKS))
    assert dataset == copy
    assert json.loads((folder / "annotations.json").read_text()) == before
