from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from detection_core.formats import FORMATS, ImageResult, Provenance, export, raw_csv
from tests.factories import COCO_KEYPOINT_NAMES, make_detections
from tests.formats.pixels import full_mask


def rows(folder: Path, *results: ImageResult) -> list[dict[str, str]]:
    export(results, ["csv"], folder)
    with (folder / "detections.csv").open(newline="", encoding="utf-8-sig") as file:
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


CELLS = {
    "=cmd|' -C calc'!A0.jpg": "'=cmd|' -C calc'!A0.jpg",
    "+1.jpg": "'+1.jpg",
    "-dash.jpg": "'-dash.jpg",
    "@SUM(A1).jpg": "'@SUM(A1).jpg",
    "\ttab.jpg": "'\ttab.jpg",
    "\r=1.jpg": "'\r=1.jpg",
    "\n=1.jpg": "'\n=1.jpg",
    " =1.jpg": "' =1.jpg",
    "＝1.jpg": "'＝1.jpg",
    "a=1.jpg": "a=1.jpg",
    "two\nlines.jpg": "two\nlines.jpg",
    "'quoted.jpg": "'quoted.jpg",
    'semi;colon,comma".jpg': 'semi;colon,comma".jpg',
    "😀 Füße 中.jpg": "😀 Füße 中.jpg",
    "7.jpg": "7.jpg",
}


@pytest.mark.parametrize("name", CELLS)
def test_no_cell_is_run_by_a_spreadsheet(tmp_path: Path, name: str):
    found = replace(make_detections(1, model="=1"), boxes=np.float32([[-3.5, -1, 10, 10]]))
    (row,) = rows(tmp_path, ImageResult(name, found))
    assert (row["file_name"], row["model"]) == (CELLS[name], "'=1")
    assert (row["x0"], row["y0"]) == ("-3.5", "-1.0")


@pytest.mark.parametrize("name", CELLS)
def test_raw_cells_are_what_they_are(tmp_path: Path, name: str):
    export([ImageResult(name, make_detections(1))], ["csv"], tmp_path, known=raw_csv(FORMATS))
    content = (tmp_path / "detections.csv").read_bytes()
    assert content.startswith(b"file_name,")
    (row,) = csv.DictReader(io.StringIO(content.decode(), newline=""))
    assert row["file_name"] == name


def test_nothing_found_is_a_header(tmp_path: Path):
    assert rows(tmp_path, ImageResult("a.jpg", make_detections(0))) == []
    assert (tmp_path / "detections.csv").read_text("utf-8").startswith("\ufefffile_name,")
