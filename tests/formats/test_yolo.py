from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from detection_core.detections import Detections
from detection_core.detections.coco_names import COCO_CLASSES
from detection_core.formats import ImageResult, export
from detection_core.formats.yolo import _quoted
from tests.factories import COCO_KEYPOINT_NAMES, make_detections
from tests.formats.pixels import full_mask, mask_iou

SIZE = np.array([640, 480])


def written(folder: Path, task: str, found: Detections) -> tuple[list[list[str]], dict]:
    """Values of each line, and data.yaml, checked as Ultralytics' `verify_image_label` checks."""
    export([ImageResult("x/a.jpg", found)], [f"yolo-{task}"], folder)
    root = folder / f"yolo_{task}"
    lines = [line.split(" ") for line in (root / "labels" / "a.txt").read_text().splitlines()]
    data = yaml.safe_load((root / "data.yaml").read_text())
    for line in lines:
        assert line[0].isdigit()
        assert int(line[0]) < data["nc"] == len(data["names"])
        values = np.array(line[1:], float)
        points = values[4:].reshape(-1, 3)[:, :2] if task == "pose" else values
        assert np.all((points >= 0) & (points <= 1))
    return lines, data


def corners(values: list[str]) -> np.ndarray:
    center, size = np.array(values, float).reshape(2, 2) * SIZE
    return np.concatenate([center - size / 2, center + size / 2])


def test_boxes(tmp_path: Path):
    found = make_detections(4)
    lines, data = written(tmp_path, "detect", found)
    assert [len(line) for line in lines] == [5] * 4
    np.testing.assert_allclose([corners(line[1:]) for line in lines], found.boxes, atol=1e-3)
    assert [data["names"][int(line[0])] for line in lines] == found.names
    assert (data["train"], data["val"]) == ("images", "images")


def test_outlines(tmp_path: Path):
    found = make_detections(3, masks=True)
    lines, _ = written(tmp_path, "segment", found)
    for index, line in enumerate(lines):
        points = np.array(line[1:], float).reshape(-1, 2) * SIZE
        # Four times as large, because Pillow fills edges too; then the middle of each pixel.
        canvas = Image.new("1", (2560, 1920))
        ImageDraw.Draw(canvas).polygon((4 * points).ravel().tolist(), fill=1)
        assert mask_iou(np.asarray(canvas)[2::4, 2::4], full_mask(found, index)) > 0.98


def test_an_empty_mask_is_outlined_by_its_box(tmp_path: Path):
    found = make_detections(1, masks=True)
    found.masks[:] = 0
    lines, _ = written(tmp_path, "segment", found)
    points = np.array(lines[0][1:], float).reshape(-1, 2) * SIZE
    np.testing.assert_allclose([*points.min(axis=0), *points.max(axis=0)], found.boxes[0], atol=1e-3)


def test_keypoints(tmp_path: Path):
    found = make_detections(2, keypoints=True)
    found.keypoint_scores[1, 5] = 1
    lines, data = written(tmp_path, "pose", found)
    assert [len(line) for line in lines] == [5 + 17 * 3] * 2
    keypoints = np.array([line[5:] for line in lines], float).reshape(2, 17, 3)
    np.testing.assert_allclose(keypoints[..., :2] * SIZE, found.keypoints, atol=1e-3)
    assert (keypoints[..., 2] == 2).sum() == 33
    assert keypoints[1, 5, 2] == 0
    assert data["kpt_shape"] == [17, 3]
    # As in Ultralytics' coco-pose.yaml.
    assert data["flip_idx"] == [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    assert [COCO_KEYPOINT_NAMES[index] for index in data["flip_idx"][:2]] == ["nose", "right_eye"]


@pytest.mark.parametrize(
    ("task", "labels", "numbers"),
    [
        ("pose", [17, 1, 17, 1], ["0", "0"]),
        ("pose", [17, 17], []),
        ("detect", [17, 1, 17, 1], ["15", "0", "15", "0"]),
        ("segment", [17, 1, 17, 1], ["15", "0", "15", "0"]),
    ],
)
def test_objects_without_keypoints_are_no_poses(tmp_path: Path, task, labels, numbers):
    found = make_detections(len(labels), masks=True, keypoints=[1], categories=COCO_CLASSES, labels=labels)
    lines, data = written(tmp_path, task, found)
    assert [line[0] for line in lines] == numbers
    assert (data["nc"], data["names"][0], data["names"][15]) == (80, "person", "cat")
    assert data.get("kpt_shape") == ([17, 3] if task == "pose" else None)
    if task == "pose":
        assert {len(line) for line in lines} <= {5 + 17 * 3}
        persons = found[found.labels == 1]
        np.testing.assert_allclose(np.reshape([corners(line[1:5]) for line in lines], (-1, 4)), persons.boxes, atol=1e-3)


@pytest.mark.parametrize(("label", "number"), [(1, 0), (13, 11), (44, 39), (90, 79)], ids=["person", "stop sign", "bottle", "toothbrush"])
def test_coco_classes_are_the_usual_80(tmp_path: Path, label, number):
    lines, data = written(tmp_path, "detect", make_detections(1, categories=COCO_CLASSES, labels=[label]))
    assert int(lines[0][0]) == number
    assert data["nc"] == 80
    assert data["names"][number] == COCO_CLASSES[label]


@pytest.mark.parametrize("name", ['say "hi": #1', "no", "3", "hund – å", "a\nb"])
def test_any_class_name_survives_yaml(tmp_path: Path, name):
    _, data = written(tmp_path, "detect", make_detections(1, categories=("bg", name)))
    assert data["names"] == {0: name}


def test_nothing_found_is_an_empty_file(tmp_path: Path):
    assert written(tmp_path, "detect", make_detections(0))[0] == []


def test_boxes_never_leave_the_image(tmp_path: Path):
    found = Detections(np.array([[-3, 10, 700, 480]]), np.array([1]), np.array([0.5]), (480, 640), ("bg", "person"))
    lines, _ = written(tmp_path, "detect", found)
    np.testing.assert_allclose(corners(lines[0][1:]), [0, 10, 640, 480], atol=1e-3)


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
@example("😀 Füße")
@example("\x00\x07\x1f\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffe\uffff\U0010ffff")
@example('a "quoted" \\ name: # no comment')
def test_yaml_keeps_every_character(loader, text):
    assert yaml.load(_quoted(text), loader) == text


def test_an_emoji_is_one_character_for_yaml(tmp_path: Path):
    found = Detections(np.zeros((1, 4)), np.ones(1, np.int64), np.ones(1), (9, 9), ("background", "😀"))
    export([ImageResult("a.jpg", found)], ["yolo-detect"], tmp_path)
    text = (tmp_path / "yolo_detect" / "data.yaml").read_text("utf-8")
    assert yaml.safe_load(text)["names"] == {0: "😀"}
    assert "😀" in text
