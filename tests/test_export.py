from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO

from detection_core.export import to_coco_results, to_json
from tests.factories import COCO_KEYPOINT_NAMES, make_detections


@pytest.fixture
def dataset() -> COCO:
    """A COCO data set with one picture and nothing annotated in it."""
    coco = COCO()
    categories = [{"id": i, "name": name, "keypoints": COCO_KEYPOINT_NAMES} for i, name in enumerate(("person", "dog", "car"), 1)]
    coco.dataset = {"info": {}, "images": [{"id": 5, "width": 640, "height": 480}], "annotations": [], "categories": categories}
    coco.createIndex()
    return coco


def test_coco_tools_load_boxes_and_masks(dataset):
    found = make_detections(4, masks=True)
    loaded = dataset.loadRes(json.loads(json.dumps(to_coco_results(found, 5))))
    annotations = loaded.loadAnns(loaded.getAnnIds(imgIds=[5]))
    assert [a["category_id"] for a in annotations] == found.labels.tolist()
    np.testing.assert_allclose([a["score"] for a in annotations], found.scores)
    for index, annotation in enumerate(annotations):
        crop, (x, y) = found.mask(index)
        full = np.zeros(found.image_size, np.uint8)
        full[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
        np.testing.assert_array_equal(rle.decode(annotation["segmentation"]), full)


def test_coco_tools_load_keypoints(dataset):
    found = make_detections(2, keypoints=True)
    results = to_coco_results(found, 5)
    boxes = [entry.pop("bbox") for entry in results]
    np.testing.assert_allclose(np.array(boxes)[:, 2:], found.boxes[:, 2:] - found.boxes[:, :2], rtol=1e-5)
    loaded = dataset.loadRes(results)
    joints = np.array([a["keypoints"] for a in loaded.loadAnns(loaded.getAnnIds())]).reshape(2, 17, 3)
    np.testing.assert_allclose(joints[..., :2], found.keypoints, rtol=1e-5)


def test_json_says_everything():
    found = make_detections(3, masks=True, keypoints=True, model="some_model")
    told: dict[str, Any] = json.loads(json.dumps(to_json(found)))
    assert (told["model"], told["width"], told["height"], told["summary"]) == ("some_model", 640, 480, found.describe())
    first = told["objects"][0]
    assert (first["label"], first["class_id"]) == ("person", 1)
    np.testing.assert_allclose(first["box"], found.boxes[0], atol=0.01)
    assert first["keypoints"]["left_wrist"]["score"] == 8
    np.testing.assert_allclose(first["polygons"][0], found.polygons(0)[0], atol=0.01)


@pytest.mark.parametrize("convert", [to_json, lambda d: {"objects": to_coco_results(d, 1)}], ids=["json", "coco"])
def test_nothing_found_is_an_empty_list(convert):
    assert convert(make_detections(0, masks=True, keypoints=True))["objects"] == []
