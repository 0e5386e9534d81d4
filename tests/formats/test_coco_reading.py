from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection_core.formats import ImageResult, ResultsFormatError, export, read_coco_results, to_coco_results
from tests.factories import COCO_KEYPOINT_NAMES, make_detections
from tests.formats.pixels import full_mask, mask_iou

SIZE = (480, 640)
NAMES = {1: "person", 2: "dog", 3: "car"}


def entry(**changes: Any) -> dict[str, Any]:
    """A result as other tools write it; None leaves a value out."""
    values = {"image_id": 7, "category_id": 18, "bbox": [10, 20, 100, 50], "score": 0.5} | changes
    return {key: value for key, value in values.items() if value is not None}


@pytest.mark.parametrize("keypoints", [True, [2]], ids=["keypoints", "keypoints of one class"])
def test_own_results_come_back(keypoints):
    found = make_detections(5, masks=True, keypoints=keypoints)
    content = json.dumps(to_coco_results(found, 3)).encode()
    back = read_coco_results(content, SIZE, categories=NAMES, model="elsewhere")
    for name in ("boxes", "labels", "scores", "keypoints", "keypoint_scores"):
        np.testing.assert_array_equal(getattr(back, name), getattr(found, name), err_msg=name)
    assert (back.names, back.keypoint_names, back.model) == (found.names, tuple(COCO_KEYPOINT_NAMES), "elsewhere")
    for index in range(5):
        assert mask_iou(full_mask(back, index), full_mask(found, index)) > 0.99


def test_own_data_set_comes_back(tmp_path: Path):
    found = make_detections(3, masks=True)
    export([ImageResult("a.jpg", make_detections(2)), ImageResult("b.jpg", found)], ["coco-dataset"], tmp_path)
    back = read_coco_results((tmp_path / "coco_dataset.json").read_bytes(), SIZE, image_id=2)
    np.testing.assert_array_equal(back.boxes, found.boxes)
    assert back.names == found.names


def test_ids_are_cocos_by_default():
    back = read_coco_results([entry()], SIZE)
    assert back.names == ["dog"]
    assert back.labels.tolist() == [18]
    np.testing.assert_array_equal(back.boxes, [[10, 20, 110, 70]])


@pytest.mark.parametrize(
    ("categories", "ids", "names"),
    [
        (None, [18, 90], ["dog", "toothbrush"]),
        ({5: "cow", 10**6: "bird"}, [10**6, 5], ["bird", "cow"]),
        ({}, [2**31 - 1], [f"class {2**31 - 1}"]),
    ],
    ids=["COCO", "far apart", "no names"],
)
def test_every_id_gets_a_name(categories, ids, names):
    back = read_coco_results([entry(category_id=key) for key in ids], SIZE, categories=categories)
    assert back.names == names
    assert len(back.categories) < 100


@pytest.mark.parametrize("image_id", [7, "000007"])
def test_one_image_of_several_is_chosen(image_id):
    others = [entry(image_id=8), entry(image_id=9)]
    back = read_coco_results([others[0], entry(image_id=image_id, score=0.25), others[1]], SIZE, image_id=image_id)
    assert back.scores.tolist() == [0.25]


def test_a_box_is_clipped_to_the_image():
    back = read_coco_results([entry(bbox=[-5, 400, 2000, 100])], SIZE)
    np.testing.assert_array_equal(back.boxes, [[0, 400, 640, 480]])


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ({"segmentation": [[30, 40, 90, 40, 90, 80]]}, [30, 40, 90, 80]),
        ({"segmentation": [30, 40, 90, 40, 90, 80]}, [30, 40, 90, 80]),
        ({"segmentation": {"size": [480, 640], "counts": [480 * 3 + 7, 5, 480 * 637 - 12]}}, [3, 7, 4, 12]),
        ({"keypoints": [30, 40, 2, 90, 80, 1, 0, 0, 0]}, [30, 40, 90, 80]),
    ],
    ids=["polygons", "one flat polygon", "plain run lengths", "keypoints"],
)
def test_a_missing_box_is_found_around_the_rest(shape, box):
    np.testing.assert_array_equal(read_coco_results([entry(bbox=None, **shape)], SIZE).boxes, [box])


def test_objects_without_mask_or_keypoints_beside_others():
    whole = entry(score=0.9, segmentation=[[10, 20, 110, 20, 110, 70, 10, 70]], keypoints=[20, 30, 2])
    back = read_coco_results([whole, entry()], SIZE)
    assert back.mask(0)[0].sum() > 4500
    assert back.mask(1)[0].sum() == 0
    assert back.has_keypoints.tolist() == [True, False]
    assert (back.keypoints[0].tolist(), back.keypoint_scores[0].tolist()) == ([[20, 30]], [10])
    assert back.keypoint_names == ("keypoint 1",)


def test_probabilities_of_keypoints_become_logits():
    back = read_coco_results([entry(keypoints=[1, 1, 0, 2, 2, 0.5, 3, 3, 1, 4, 4, 2])], SIZE)
    np.testing.assert_allclose(back.keypoint_scores, [[-10, 0, 10, 10]], atol=1e-6)


def test_annotations_by_people_are_certain_and_reported():
    data = {
        "images": [{"id": 7, "width": 640, "height": 480}],
        "annotations": [entry(score=None)],
        "categories": [{"id": 18, "name": "hound"}],
    }
    with pytest.warns(UserWarning, match=r"^No entry has a score, so all are taken for annotations by people, with a score of 1\.$"):
        back = read_coco_results(data, SIZE)
    assert (back.names, back.scores.tolist()) == (["hound"], [1])


@pytest.mark.parametrize("data", [b"[]", [], {"annotations": []}, {"annotations": [], "images": [{"id": 1}]}], ids=str)
def test_nothing_found_is_empty(data):
    assert len(read_coco_results(data, SIZE)) == 0


RLE = {"size": [480, 640], "counts": [480 * 640]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[1" + b"0" * 5000 + b"]", "not valid JSON"),
        (b"3", "not a COCO file"),
        (b'{"annotations": 5}', "not a COCO file"),
        (b'{"annotations": [], "images": 5}', "images"),
        (b'{"annotations": [], "categories": [5]}', r"categories\[0\]"),
        (b"[5]", r"results\[0\]"),
        (b'[{"image_id": null}]', r"results\[0\].*image_id"),
        (b'{"annotations": [{"image_id": [1]}]}', r"annotations\[0\].*image_id"),
    ],
    ids=lambda value: repr(value[:25]),
)
def test_files_that_are_something_else_are_refused(content, message):
    with pytest.raises(ResultsFormatError, match=message):
        read_coco_results(content, SIZE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"category_id": None}, "category_id"),
        ({"category_id": True}, "category_id"),
        ({"category_id": -1}, "category_id"),
        ({"category_id": 10**40}, "category_id"),
        ({"score": float("nan")}, "score"),
        ({"score": 87}, "score"),
        ({"score": 10**400}, "score"),
        ({"bbox": None}, "no “bbox”"),
        ({"bbox": {}}, "bbox"),
        ({"bbox": [1, 2, 3]}, "bbox"),
        ({"bbox": [1, 2, 3, 4, 5]}, "bbox"),
        ({"bbox": [1, 2, -3, 4]}, "bbox"),
        ({"bbox": [1, 2, float("inf"), 4]}, "bbox"),
        ({"bbox": [1, 2, [3], 4]}, "bbox"),
        ({"bbox": [700, 20, 10, 10]}, "outside the image of 640×480"),
        ({"segmentation": "abc"}, "segmentation"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6, 7]]}, "three points"),
        ({"segmentation": [[1, 2, 3, 4, 5, "six"]]}, "position 5"),
        ({"segmentation": [[1, 2, 3, 4, 5, 1e300]]}, "position 5"),
        ({"segmentation": [[[1, 2], [3, 4], [5, 6]]]}, "position 0"),
        ({"segmentation": [[1.0] * 50_000]}, "at most"),
        ({"segmentation": [[1.0] * 6] * 10_000}, "points"),
        ({"segmentation": {"counts": "0"}}, "no known size"),
        ({"segmentation": {"size": [10**9, 10**9], "counts": "0"}}, "1000000000×1000000000"),
        ({"segmentation": {"size": [640, 480], "counts": "0"}}, "480×640, but the image has 640×480"),
        ({"segmentation": RLE | {"counts": None}}, "counts"),
        ({"segmentation": RLE | {"counts": [10**12]}}, "run lengths"),
        ({"segmentation": RLE | {"counts": [5]}}, "add up"),
        ({"segmentation": RLE | {"counts": "ooooooooooooooooooo"}}, "run-length"),
        ({"bbox": None, "segmentation": RLE}, "empty"),
        ({"keypoints": [1, 2]}, "keypoints"),
        ({"keypoints": [1, 2, float("nan")]}, "position 2"),
        ({"keypoints": [0] * 30_000}, "keypoints"),
        ({"keypoints": "nose"}, "keypoints"),
        ({"keypoints": [1, 2, 1], "keypoint_scores": [1, 2]}, "1 keypoints but 2"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_wrong_values_are_named_with_their_entry(changes, message):
    with pytest.raises(ResultsFormatError, match=message) as caught:
        read_coco_results([entry(), entry(**changes)], SIZE)
    assert "results[1]" in str(caught.value)
    assert len(str(caught.value)) < 300


def test_keypoints_must_be_the_same_number():
    with pytest.raises(ResultsFormatError, match=r"results\[1\] has 2 keypoints and results\[0\] has 1"):
        read_coco_results([entry(keypoints=[1, 2, 1]), entry(keypoints=[1, 2, 1] * 2)], SIZE)


def test_several_images_need_a_choice():
    with pytest.raises(ResultsFormatError, match=r"30 images.*0, 1, 2.* and 20 more"):
        read_coco_results([entry(image_id=number) for number in range(30)], SIZE)
    with pytest.raises(ResultsFormatError, match="image id 5; it has 7"):
        read_coco_results([entry()], SIZE, image_id=5)


def test_another_images_size_is_reported():
    data = {"images": [{"id": 7, "width": 1920, "height": 1080}], "annotations": [entry()]}
    with pytest.raises(ResultsFormatError, match="1920×1080 pixels, but this one has 640×480"):
        read_coco_results(data, SIZE)


def test_too_many_entries_are_refused():
    with pytest.raises(ResultsFormatError, match="2,001 entries"):
        read_coco_results([entry()] * 2_001, SIZE)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb", "a b"), ("\x1b[31mred", "[31mred"), ("half \ud800", "half"), ("", "class 18"), ("\0", "class 18"), ("x" * 5000, "x" * 100)],
    ids=["line break", "terminal code", "surrogate", "empty", "nothing to show", "long"],
)
def test_names_can_be_shown(name, shown):
    data = {"annotations": [entry()], "categories": [{"id": 18, "name": name}]}
    assert read_coco_results(data, SIZE).names == [shown]


@pytest.mark.parametrize("keypoints", [["a", "b"], ["a", "a", "b"], ["a", "a"], ["a"], "ab", [["a"], 5]], ids=repr)
def test_names_of_keypoints_are_taken_where_they_fit(keypoints):
    data = {"annotations": [entry(keypoints=[1, 2, 1] * 2)], "categories": [{"id": 18, "name": "dog", "keypoints": keypoints}]}
    fitting = {"['a', 'b']": ("a", "b"), "[['a'], 5]": ("['a']", "5")}
    assert read_coco_results(data, SIZE).keypoint_names == fitting.get(repr(keypoints), ("keypoint 1", "keypoint 2"))


def test_too_many_mask_pixels_are_refused():
    runs = {"size": [5000, 5000], "counts": [25_000_000]}
    with pytest.raises(ResultsFormatError, match="boxes of all masks have 1,250,000,000 pixels"):
        read_coco_results([entry(bbox=[0, 0, 5000, 5000], segmentation=runs)] * 50, (5000, 5000))
