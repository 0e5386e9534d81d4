"""Average precision and recall, equal to those of pycocotools."""

from __future__ import annotations

import numpy as np
import pytest

from detection_core.evaluation.average_precision import class_figures
from tests.evaluation.scenes import Scene, make, random_scene

# The order of `COCOeval.stats`.
STATS = ["AP", "AP50", "AP75", "APS", "APM", "APL", "AR1", "AR10", "AR", "ARS", "ARM", "ARL"]
KEYPOINT_STATS = ["AP", "AP50", "AP75", "APM", "APL", "AR", "AR50", "AR75", "ARM", "ARL"]


def assert_equal(scene: Scene, iou_type) -> None:
    reference = scene.reference(iou_type)
    figures = class_figures(scene.matches(iou_type))
    names = KEYPOINT_STATS if iou_type == "keypoints" else STATS
    mine = [-1 if figures.summary[name] is None else figures.summary[name] for name in names]
    np.testing.assert_allclose(mine, reference.stats, atol=1e-9, rtol=0)
    # By class, size and threshold: precision is [T,R,K,A,M], recall [T,K,A,M].
    expected = reference.eval["precision"][..., -1].mean(axis=1).transpose(2, 0, 1)
    np.testing.assert_allclose(np.nan_to_num(figures.precision[..., 1:], nan=-1), expected, atol=1e-9, rtol=0)
    expected = reference.eval["recall"][..., -1].transpose(2, 0, 1)
    np.testing.assert_allclose(np.nan_to_num(figures.recall[..., 1:], nan=-1), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("iou_type", ["bbox", "segm", "keypoints"])
@pytest.mark.parametrize("seed", range(6))
def test_random_scenes_equal_pycocotools(seed, iou_type):
    assert_equal(random_scene(seed), iou_type)


@pytest.mark.parametrize("seed", range(10, 14))
def test_crowded_scenes_equal_pycocotools(seed):
    """More detections of a class in an image than count, and many objects for each."""
    scene = random_scene(seed, images=3, classes=1, most_objects=60, most_found=260, kinds=False)
    assert max(len(found) for found in scene.results.values()) > 100
    assert_equal(scene, "bbox")


@pytest.mark.parametrize("iou_type", ["segm", "keypoints"])
def test_many_detections_of_an_image_equal_pycocotools(iou_type):
    scene = random_scene(20, images=2, most_objects=20, most_found=1000)
    assert max(len(found) for found in scene.results.values()) > 300
    assert_equal(scene, iou_type)


BOX = [20.0, 20.0, 40.0, 40.0]
HALF = [20.0, 20.0, 40.0, 20.0]
LARGE = [0.0, 0.0, 200.0, 150.0]


@pytest.mark.parametrize(
    ("objects", "results"),
    [
        ({1: [{"bbox": BOX}]}, {1: [{"bbox": BOX, "score": 0.9}]}),
        ({1: [{"bbox": BOX}]}, {}),
        ({1: []}, {1: [{"bbox": BOX, "score": 0.9}]}),
        ({1: [{"bbox": BOX}], 2: []}, {2: [{"bbox": BOX, "score": 0.9}], 1: [{"bbox": BOX, "score": 0.5}]}),
        ({1: [{"bbox": BOX}]}, {1: [{"bbox": BOX, "score": 0.9}] * 3}),
        ({1: [{"bbox": BOX}]}, {1: [{"bbox": HALF, "score": 0.9}]}),
        ({1: [{"bbox": BOX}]}, {1: [{"bbox": BOX, "score": 0.9, "category_id": 2}]}),
        ({1: [{"bbox": BOX}, {"bbox": LARGE, "iscrowd": 1}]}, {1: [{"bbox": box, "score": 0.5} for box in (HALF, HALF, BOX)]}),
        ({1: [{"bbox": LARGE, "iscrowd": 1}]}, {1: [{"bbox": BOX, "score": 0.9}]}),
        ({1: [{"bbox": BOX, "area": 1024.0}, {"bbox": LARGE, "area": 9216.0}]}, {1: [{"bbox": b, "score": 0.9} for b in (BOX, LARGE)]}),
        ({1: [{"bbox": BOX}] * 2}, {1: [{"bbox": BOX, "score": 0.9}] * 2}),
        ({2: [{"bbox": BOX}], 1: [{"bbox": BOX}]}, {2: [{"bbox": LARGE, "score": 0.5}], 1: [{"bbox": BOX, "score": 0.5}]}),
        ({1: [{"bbox": BOX}]}, {1: [{"bbox": LARGE, "score": 0.9}] * 100 + [{"bbox": BOX, "score": 0.1}]}),
    ],
    ids=[
        "right",
        "nothing found",
        "empty image",
        "wrong on an empty image",
        "thrice",
        "at the threshold",
        "other class",
        "crowd beside an object",
        "only a crowd",
        "areas on the bounds",
        "two objects at one place",
        "equal scores in two images",
        "right behind a hundred",
    ],
)
def test_hand_made_scenes_equal_pycocotools(objects, results):
    assert_equal(make(objects, results), "bbox")


def test_a_class_of_its_own():
    scene = make(
        {1: [{"bbox": BOX}, {"bbox": LARGE, "category_id": 2}]},
        {1: [{"bbox": BOX, "score": 0.9}, {"bbox": HALF, "score": 0.8, "category_id": 2}]},
        classes=3,
    )
    figures = class_figures(scene.matches())
    assert figures.of_class(1)["AP"] == pytest.approx(1)
    assert figures.of_class(2)["AP"] == 0
    assert figures.of_class(3) == dict.fromkeys(figures.of_class(3))
    assert figures.summary["AP"] == pytest.approx(0.5)
    assert figures.objects[0].tolist() == [0, 1, 1, 0]
