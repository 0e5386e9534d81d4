"""Tests that supervision can load exported data sets."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection_core.detections import Detections
from detection_core.formats import ImageResult, export
from tests.factories import make_detections
from tests.formats.pixels import full_mask, mask_iou

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "OpenCV", UserWarning)  # It does without, only slower.
    import supervision as sv


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (640, 480)).save(tmp_path / "images" / "a.jpg")
    return tmp_path


def loaded_yolo(folder: Path, task: str, found: Detections) -> tuple[list[str], sv.Detections]:
    export([ImageResult("a.jpg", found)], [f"yolo-{task}"], folder)
    root = folder / f"yolo_{task}"
    dataset = sv.DetectionDataset.from_yolo(str(folder / "images"), str(root / "labels"), str(root / "data.yaml"))
    [(_, _, annotations)] = list(dataset)
    return dataset.classes, annotations


def assert_same_objects(classes: list[str], annotations: sv.Detections, found: Detections, *, atol: float) -> None:
    assert [classes[label] for label in annotations.class_id] == found.names
    np.testing.assert_allclose(annotations.xyxy, found.boxes, atol=atol)


@pytest.mark.parametrize("task", ["detect", "pose"])
def test_yolo_boxes(folder: Path, task: str):
    found = make_detections(4, keypoints=task == "pose")
    assert_same_objects(*loaded_yolo(folder, task, found), found, atol=1e-3)


def test_yolo_outlines(folder: Path):
    found = make_detections(3, masks=True)
    classes, annotations = loaded_yolo(folder, "segment", found)
    assert [classes[label] for label in annotations.class_id] == found.names
    for index in range(3):
        assert mask_iou(annotations.mask[index], full_mask(found, index)) > 0.95  # supervision rounds corners to whole pixels


def test_coco_data_set(folder: Path):
    found = make_detections(4, masks=True)
    export([ImageResult("a.jpg", found)], ["coco-dataset"], folder)
    dataset = sv.DetectionDataset.from_coco(str(folder / "images"), str(folder / "coco_dataset.json"), force_masks=True)
    [(_, _, annotations)] = list(dataset)
    assert_same_objects(dataset.classes, annotations, found, atol=1e-4)
    for index in range(4):
        np.testing.assert_array_equal(annotations.mask[index], full_mask(found, index))
