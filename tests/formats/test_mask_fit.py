from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from detection_core.detections.masks import mask_crop
from detection_core.formats.mask_fit import grid_of_polygons, grid_of_runs, grid_window
from detection_core.formats.rle import encode, runs_of
from tests.factories import make_detections
from tests.formats.pixels import full_mask, mask_iou

SIZE = (480, 640)


def pasted(grid: np.ndarray, box: np.ndarray, size: tuple[int, int] = SIZE) -> np.ndarray:
    crop, (x, y) = mask_crop(grid, box, size)
    full = np.zeros(size, bool)
    full[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
    return full


@pytest.mark.parametrize(("cells", "least"), [(28, 0.985), (56, 0.99)])
def test_runs_become_nearly_the_same_mask(cells, least):
    found = make_detections(5, masks=True)
    for index, run in enumerate(encode(found)):
        pixels = full_mask(found, index)
        grid = grid_of_runs(runs_of(run["counts"], pixels.size), found.boxes[index], SIZE, cells)
        assert grid.shape == (cells, cells)
        assert grid.min() >= 0
        assert grid.max() <= 1 + 1e-6
        assert mask_iou(pasted(grid, found.boxes[index]), pixels) > least


def test_holes_stay():
    mask = np.zeros(SIZE, bool)
    mask[100:300, 200:400] = True
    mask[160:240, 260:340] = False
    runs = runs_of(coco_mask.encode(np.asfortranarray(mask, np.uint8))["counts"].decode(), mask.size)
    box = np.array([200, 100, 400, 300], np.float32)
    assert mask_iou(pasted(grid_of_runs(runs, box, SIZE, 56), box), mask) > 0.97


def test_polygons_become_the_mask_that_pycocotools_makes():
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    polygon = np.stack([300 + 90 * np.cos(angle) * (1 + 0.3 * np.sin(3 * angle)), 200 + 120 * np.sin(angle)], axis=1)
    square = np.array([(420, 100), (450, 100), (450, 150), (420, 150)], float)
    points = np.concatenate([polygon, square])
    box = np.array([*points.min(axis=0), *points.max(axis=0)], np.float32)
    theirs = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([polygon.ravel().tolist(), square.ravel().tolist()], *SIZE))).astype(
        bool
    )
    assert mask_iou(pasted(grid_of_polygons([polygon, square], box, 56), box), theirs) > 0.98


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 0), (640, 480, 640, 480), (10, 10, 10.001, 300), (0, 0, 640, 480)], ids=["corner", "far corner", "line", "whole"]
)
def test_odd_boxes_have_windows_within_the_image(box):
    array = np.array(box, np.float32)
    left, top, right, bottom = grid_window(array, SIZE, 28)
    assert 0 <= left <= right <= 640
    assert 0 <= top <= bottom <= 480
    assert np.isfinite(grid_of_runs(np.array([480 * 640]), array, SIZE, 28)).all()
    assert np.isfinite(grid_of_polygons([np.array([(0, 0), (640, 0), (640, 480)], float)], array, 28)).all()
