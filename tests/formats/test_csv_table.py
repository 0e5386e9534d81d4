from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from detection_core.formats import ImageResult, Provenance, export
from tests.factories import COCO_KEYPOINT_NAMES, make_detections
from tests.formats.pixels import full_mask


def rows(folder: Path, *results: ImageResult) -> list[dict[str, str]]:
    export(results, ["csv"], folder)
    with (folder / "detections.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_row_says_everything_exactly(tmp_path: Path):
    found = make_detections(3, masks=True, keypoints=True, model="m")
    provenance = Provenance("m", "w.pth", "abc", 0.25, time="now", versions={"torch": "2", "torchvision": "3"})
    table = rows(tmp_path, ImageResult("x/a, “b”.jpg", found, provenance))
    assert len(table) == 3
    for index, row in enumerate(table):
        assert (row["file_name"], row["width"], row["height"], row["model"], row["threshold"]) == (
            "x/a, “b”.jpg",
            "640",
            "480",
            "m",
            "0.25",
        )
        assert [row[name] for name in ("weights", "revision", "time", "versions")] == ["w.pth", "abc", "now", "torch 2, torchvision 3"]
        assert (row["label"], int(row["class_id"])) == (found.names[index], found.labels[index])
        np.testing.assert_array_equal(np.float32([row[name] for name in ("x0", "y0", "x1", "y1")]), found.boxes[index])
        assert np.float32(row["score"]) == found.scores[index]
        assert int(row["mask_area"]) == full_mask(found, index).sum()
        keypoints = np.float32([[row[f"{name}_{axis}"] for axis in ("x", "y", "score")] for name in COCO_KEYPOINT_NAMES])
        np.testing.assert_array_equal(keypoints[:, :2], found.keypoints[index])
        np.testing.assert_array_equal(keypoints[:, 2], found.keypoint_scores[index])


def test_images_with_and_without_keypoints_share_a_table(tmp_path: Path):
    table = rows(tmp_path, ImageResult("a.jpg", make_detections(1)), ImageResult("b.jpg", make_detections(1, keypoints=True)))
    assert [bool(row["nose_x"]) for row in table] == [False, True]
    assert [row["mask_area"] for row in table] == ["", ""]


def test_an_object_without_keypoints_has_empty_cells(tmp_path: Path):
    table = rows(tmp_path, ImageResult("a.jpg", make_detections(3, masks=True, keypoints=[2])))
    cells = [{row[f"{name}_{axis}"] == "" for name in COCO_KEYPOINT_NAMES for axis in ("x", "y", "score")} for row in table]
    assert cells == [{True}, {False}, {True}]


def test_names_of_files_that_are_no_text_are_escaped(tmp_path: Path):
    (row,) = rows(tmp_path, ImageResult("b\udcff.jpg", make_detections(1)))
    assert row["file_name"] == "b\\udcff.jpg"


def test_nothing_found_is_a_header(tmp_path: Path):
    assert rows(tmp_path, ImageResult("a.jpg", make_detections(0))) == []
    assert (tmp_path / "detections.csv").read_text().startswith("file_name,")
