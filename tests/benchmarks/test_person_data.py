"""Tests the script that creates a training set of persons from annotations of all classes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection_core.datasets.checks import check
from detection_core.datasets.coco import read_coco
from tests.coco_folders import coco_folder

ROOT = Path(__file__).parents[2]
SHAPE, SQUEEZED = (640, 427), 256


def squeezed_folder(path: Path) -> Path:
    """One image of a person whose points were whole pixels before it became a square, and one of a person without points."""
    (path / "images").mkdir(parents=True)
    images = [{"id": i, "file_name": f"{i}.jpg", "width": SQUEEZED, "height": SQUEEZED, "has_masks": False} for i in (11, 12)]
    for image in images:
        Image.new("RGB", (SQUEEZED, SQUEEZED)).save(path / "images" / image["file_name"])
    scale = SQUEEZED / np.array(SHAPE)
    points = np.random.default_rng(0).integers((100, 100), (300, 300), (17, 2)) * scale
    keypoints = np.column_stack([points.round(1), np.full(17, 2)]).ravel().tolist()
    box = [round(float(value), 2) for value in (100 * scale[0], 100 * scale[1], 200 * scale[0], 200 * scale[1])]
    person = {"id": 1, "image_id": 11, "category_id": 1, "bbox": box, "area": 900.0, "iscrowd": 0, "keypoints": keypoints}
    annotations = [person, {"id": 2, "image_id": 12, "category_id": 1, "bbox": box, "area": 900.0, "iscrowd": 0}]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (path / "annotations.json").write_text(json.dumps(content))
    return path


@pytest.mark.slow
def test_persons_only_without_the_holdout_and_in_their_shape(tmp_path):
    data = coco_folder(tmp_path / "data", images=5, objects=1, keypoints=False)  # A person, a dog, a person, …
    taboo = coco_folder(tmp_path / "holdout", images=1)
    squeezed = squeezed_folder(tmp_path / "squeezed")
    files = ["--data", data, "--squeezed", squeezed, "--without", taboo, "--out", tmp_path / "out"]
    subprocess.run([sys.executable, "-m", "benchmarks.person_data", *map(str, files), "--background", "1"], cwd=ROOT, check=True)
    made = read_coco(tmp_path / "out")
    images = {image.path.name: image for image in made.images}
    # 1.png is in the holdout; of the two without persons one was asked for; 12.jpg does not give its size.
    assert sorted(images) in (["11.jpg", "2.png", "3.png", "5.png"], ["11.jpg", "3.png", "4.png", "5.png"])
    assert made.categories[1:] == ("person",)
    assert {name for name, image in images.items() if image.annotations} == {"11.jpg", "3.png", "5.png"}
    assert {name for name, image in images.items() if image.has_masks} == {"3.png", "5.png"}
    repaired = images["11.jpg"]
    assert repaired.size == (384, 256)
    _, _, width, height = repaired.annotations[0]["bbox"]
    assert abs(width / height - 1) < 0.01
    assert not check(made, {"boxes", "masks", "keypoints"})
