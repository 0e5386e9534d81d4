from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection_core.datasets.checks import check
from detection_core.datasets.coco import read_coco
from detection_core.detections import Detections
from detection_core.detections.coco_names import COCO_CLASSES
from detection_core.formats import ImageResult, Provenance, export, to_coco_results
from tests.factories import COCO_KEYPOINT_NAMES, make_detections
from tests.formats.pixels import full_mask


@pytest.fixture
def dataset() -> COCO:
    """A COCO data set with two images and nothing annotated in them."""
    coco = COCO()
    categories = [{"id": i, "name": name, "keypoints": COCO_KEYPOINT_NAMES} for i, name in enumerate(("person", "dog", "car"), 1)]
    images = [{"id": number, "width": 640, "height": 480} for number in (1, 2)]
    coco.dataset = {"info": {}, "images": images, "annotations": [], "categories": categories}
    coco.createIndex()
    return coco


def test_coco_tools_load_boxes_and_masks(dataset, tmp_path: Path):
    images = [make_detections(4, masks=True, seed=seed) for seed in (0, 1)]
    export([ImageResult(f"{index}.jpg", found) for index, found in enumerate(images)], ["coco"], tmp_path)
    loaded = dataset.loadRes(str(tmp_path / "coco_results.json"))
    for number, found in enumerate(images, start=1):
        annotations = loaded.loadAnns(loaded.getAnnIds(imgIds=[number]))
        assert [a["category_id"] for a in annotations] == found.labels.tolist()
        np.testing.assert_array_equal(np.float32([a["score"] for a in annotations]), found.scores)
        boxes = np.array([a["bbox"] for a in annotations])
        np.testing.assert_array_equal(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1).astype(np.float32), found.boxes)
        for index, annotation in enumerate(annotations):
            np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), full_mask(found, index))


def test_coco_tools_load_keypoints(dataset):
    found = make_detections(2, keypoints=True)
    results = to_coco_results(found, 1)
    loaded = dataset.loadRes([{key: value for key, value in entry.items() if key != "bbox"} for entry in results])
    keypoints = np.array([a["keypoints"] for a in loaded.loadAnns(loaded.getAnnIds())], np.float32).reshape(2, 17, 3)
    np.testing.assert_array_equal(keypoints[..., :2], found.keypoints)


def person_and_cat(n: int = 4, **how: Any) -> Detections:
    """COCO's classes with keypoints for persons only; the best object is a cat, as tools read the first entry to find out what there is."""
    return make_detections(n, masks=True, keypoints=[1], categories=COCO_CLASSES, labels=[(17, 1)[i % 2] for i in range(n)], **how)


@pytest.mark.parametrize(("kind", "classes"), [("bbox", 80), ("segm", 80), ("keypoints", 1)])
def test_coco_tools_evaluate_results_in_which_only_persons_have_keypoints(kind: str, classes: int, tmp_path: Path):
    """Against themselves as the truth, every task is at 100 %; with the person's keypoints elsewhere, that of keypoints is not."""
    found = person_and_cat()
    truth = exported_dataset(tmp_path, ImageResult("a.jpg", found))
    results = to_coco_results(found, 1)
    assert [sorted(entry.keys() & {"keypoints", "keypoint_scores"}) for entry in results] == [[], ["keypoint_scores", "keypoints"]] * 2
    json.dumps(results, allow_nan=False)

    def precision(entries: list[dict[str, Any]]) -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation = COCOeval(truth, truth.loadRes(entries), kind)
            evaluation.params.catIds = [key for key, category in truth.cats.items() if kind != "keypoints" or "keypoints" in category]
            assert len(evaluation.params.catIds) == classes
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        return float(evaluation.stats[0])

    assert precision(results) == pytest.approx(1)
    away = [entry | ({"keypoints": [0.0, 0.0, 1] * 17} if "keypoints" in entry else {}) for entry in results]
    assert precision(away) == pytest.approx(0 if kind == "keypoints" else 1)


def test_only_persons_have_keypoints_in_the_data_set(tmp_path: Path):
    nobody = make_detections(1, keypoints=[1], categories=COCO_CLASSES, labels=[17])
    coco = exported_dataset(tmp_path, ImageResult("b.jpg", nobody), ImageResult("a.jpg", person_and_cat()))
    json.dumps(coco.dataset, allow_nan=False)
    fields = {"keypoints", "keypoint_scores", "num_keypoints"}
    assert [(a["category_id"], a.keys() & fields) for a in coco.dataset["annotations"]] == [(17, set()), *[(17, set()), (1, fields)] * 2]
    with_keypoints = {
        category["name"]: category["keypoints"] for category in coco.cats.values() if category.keys() & {"keypoints", "skeleton"}
    }
    assert with_keypoints == {"person": COCO_KEYPOINT_NAMES}


def test_a_data_set_in_which_only_persons_have_keypoints_can_be_trained_on(tmp_path: Path):
    exported_dataset(tmp_path, ImageResult("a.jpg", person_and_cat()))
    (tmp_path / "images").mkdir()
    Image.new("RGB", (640, 480)).save(tmp_path / "images" / "a.jpg")
    dataset = read_coco(tmp_path / "coco_dataset.json")
    assert dataset.keypoint_names == tuple(COCO_KEYPOINT_NAMES)
    assert check(dataset, ("boxes", "masks", "keypoints")) == []


def test_nothing_found_is_an_empty_list(tmp_path: Path):
    assert to_coco_results(make_detections(0, masks=True, keypoints=True), 1) == []
    export([ImageResult("a.jpg", make_detections(0))], ["coco"], tmp_path)
    assert json.loads((tmp_path / "coco_results.json").read_text()) == []


def exported_dataset(folder: Path, *results: ImageResult) -> COCO:
    export(results, ["coco-dataset"], folder)
    return COCO(str(folder / "coco_dataset.json"))


def test_coco_tools_load_the_data_set(tmp_path: Path):
    found = make_detections(4, masks=True, keypoints=True)
    coco = exported_dataset(tmp_path, ImageResult("x/a.jpg", found), ImageResult("b.jpg", make_detections(0)))
    assert [(i["id"], i["file_name"], i["width"], i["height"]) for i in coco.dataset["images"]] == [
        (1, "x/a.jpg", 640, 480),
        (2, "b.jpg", 640, 480),
    ]
    assert coco.getAnnIds(imgIds=[2]) == []
    annotations = coco.loadAnns(coco.getAnnIds(imgIds=[1]))
    assert len({a["id"] for a in annotations}) == 4
    assert [coco.cats[a["category_id"]]["name"] for a in annotations] == found.names
    for index, annotation in enumerate(annotations):
        pixels = full_mask(found, index)
        np.testing.assert_array_equal(coco.annToMask(annotation), pixels)
        assert annotation["area"] == pixels.sum()
        keypoints = np.array(annotation["keypoints"], np.float32).reshape(17, 3)
        np.testing.assert_array_equal(keypoints[:, :2], found.keypoints[index])
        assert set(keypoints[:, 2]) == {2}
    assert coco.cats[1]["keypoints"] == COCO_KEYPOINT_NAMES
    assert [16, 14] in coco.cats[1]["skeleton"]


def test_keypoints_below_the_threshold_are_not_labeled(tmp_path: Path):
    found = make_detections(1, keypoints=True)
    found.keypoint_scores[0, :3] = 1.5
    annotation = exported_dataset(tmp_path, ImageResult("a.jpg", found)).dataset["annotations"][0]
    assert annotation["keypoints"][2::3] == [0] * 3 + [2] * 14
    assert annotation["num_keypoints"] == 14


def test_models_with_other_classes_share_one_data_set(tmp_path: Path):
    first = make_detections(2, categories=("bg", "person", "dog"))
    second = make_detections(2, categories=("bg", "dog", "N/A", "cat"), labels=[1, 3])
    coco = exported_dataset(tmp_path, ImageResult("a.jpg", first), ImageResult("b.jpg", second))
    assert {number: category["name"] for number, category in coco.cats.items()} == {1: "person", 2: "dog", 3: "cat"}
    assert [a["category_id"] for a in coco.loadAnns(coco.getAnnIds(imgIds=[2]))] == [2, 3]


def test_ids_of_coco_classes_are_cocos(tmp_path: Path):
    found = make_detections(2, categories=COCO_CLASSES, labels=[90, 13])
    coco = exported_dataset(tmp_path, ImageResult("a.jpg", found))
    assert [a["category_id"] for a in coco.dataset["annotations"]] == [90, 13]
    assert len(coco.cats) == 80


def test_the_data_set_says_where_it_comes_from_once(tmp_path: Path):
    runs = [Provenance("m", "w.pth", threshold=0.5, time=time) for time in ("2025-01-01T00:00:00+00:00", "2025-01-01T00:00:01+00:00")]
    coco = exported_dataset(tmp_path, *(ImageResult(f"{run.time}.jpg", make_detections(1), run) for run in runs))
    assert [Provenance.from_json(run) for run in coco.dataset["info"]["provenance"]] == runs[:1]
