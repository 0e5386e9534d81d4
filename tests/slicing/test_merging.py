"""Tests that merged slices have every object once, wherever the seams are, and agree with supervision's merging."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.detections import Detections
from detection_core.detections.matching import iou_matrix
from detection_core.slicing import Slices, Tile
from detection_core.slicing.grouping import greedy_groups
from tests.factories import make_detections

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "OpenCV", UserWarning)
    import supervision as sv

SIZE = (1500, 2000)
CATEGORIES = ("__background__", "person", "dog")
# A model finds what it sees of an object from so many pixels on.
LEAST_SEEN = 10
_CENTERS = (np.arange(28) + 0.5) / 28


def ellipse(box: np.ndarray, part: np.ndarray) -> np.ndarray:
    """The soft mask, on the grid over `part`, of the ellipse that fills `box`."""
    x, y = (part[axis] + _CENTERS * (part[axis + 2] - part[axis]) for axis in (0, 1))
    rx, ry = (box[2:] - box[:2]) / 2
    cx, cy = (box[2:] + box[:2]) / 2
    distance = np.hypot((x[None] - cx) / rx, (y[:, None] - cy) / ry)
    return 1 / (1 + np.exp(12 * (distance - 1))).astype(np.float32)


def seen(objects: np.ndarray, labels: list[int], tile: Tile, *, score: float = 0.9, jitter: float = 0, seed: int = 0) -> Detections:
    """What a perfect model finds in a tile, or one whose borders are off by up to `jitter` pixels: the visible parts of objects."""
    rng = np.random.default_rng(seed)
    boxes, masks, kept = [], [], []
    width, height = tile.x1 - tile.x0, tile.y1 - tile.y0
    for index, box in enumerate(objects):
        part = np.concatenate([np.maximum(box[:2], tile[:2]), np.minimum(box[2:], tile[2:])])
        if (part[2:] - part[:2] < np.minimum(LEAST_SEEN, box[2:] - box[:2])).any():
            continue
        shown = (part + rng.uniform(-jitter, jitter, 4)).clip((tile.x0, tile.y0) * 2, (tile.x1, tile.y1) * 2)
        boxes.append(shown - (tile.x0, tile.y0) * 2)
        masks.append(ellipse(box, shown))
        kept.append(labels[index])
    n = len(kept)
    return Detections(
        boxes=np.array(boxes, np.float32).reshape(n, 4),
        labels=np.array(kept, np.int64),
        scores=np.full(n, score, np.float32),
        image_size=(height, width),
        categories=CATEGORIES,
        masks=np.array(masks, np.float32).reshape(n, 28, 28),
    )


def merged(objects: np.ndarray, labels: list[int], size: int, *, found_in_whole: bool, jitter: float = 0) -> Detections:
    slices = Slices(SIZE, size)
    slices.add(seen(objects if found_in_whole else objects[:0], labels, slices.next_tile, score=0.5, jitter=jitter))
    while not slices.is_done:
        slices.add(seen(objects, labels, slices.next_tile, jitter=jitter, seed=slices.done))
    return slices.result()


@given(
    x=st.integers(0, 1990),
    y=st.integers(0, 1490),
    width=st.integers(12, 1500),
    height=st.integers(12, 1500),
    size=st.sampled_from([400, 640, 1024]),
    jitter=st.sampled_from([0.0, 1.0]),
    found_in_whole=st.booleans(),
)
def test_an_object_anywhere_is_found_once(x: int, y: int, width: int, height: int, size: int, jitter: float, found_in_whole: bool):
    box = np.array([x, y, min(x + width, SIZE[1]), min(y + height, SIZE[0])], np.float32)
    if (box[2:] - box[:2]).min() < 12:
        box[:2] = box[2:] - 12
    found = merged(box[None], [1], size, found_in_whole=found_in_whole, jitter=jitter)
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes[0], box, atol=jitter + 1e-3)
    assert found.scores[0] == np.float32(0.9)
    assert found.whole_scores is not None
    assert found.whole_scores[0] == np.float32(0.5 if found_in_whole else 0)
    assert found.masks is not None
    # The grid of a piece is finer than that of the whole, and its border pixels are half inside.
    expected = ellipse(box, found.boxes[0]) >= 0.5
    assert ((found.masks[0] >= 0.5) == expected).mean() > 0.9


@given(x=st.integers(0, 1500), y=st.integers(0, 1000), data=st.data())
def test_neighbors_stay_two(x: int, y: int, data: st.DataObject):
    """Two people side by side, or one in front of the other, at any place relative to the seams."""
    w, h = data.draw(st.integers(20, 100)), data.draw(st.integers(20, 100))
    first = [x, y, x + w, y + h]
    second = data.draw(st.sampled_from([[x + w * 2 // 3, y, x + w * 5 // 3, y + h], [x + w // 4, y + h // 3, x + w * 3 // 4, y + h]]))
    objects = np.array([first, second], np.float32)
    found = merged(objects, [1, 1], 640, found_in_whole=False)
    assert sorted(map(tuple, found.boxes.tolist())) == sorted(map(tuple, objects.tolist()))


def test_classes_are_not_merged():
    found = merged(np.array([[600, 600, 700, 700]] * 2, np.float32), [1, 2], 640, found_in_whole=True)
    assert sorted(found.labels.tolist()) == [1, 2]


def test_a_tile_that_sees_only_a_part_adds_nothing():
    box = np.array([[100, 100, 1900, 1400]], np.float32)
    found = merged(box, [1], 640, found_in_whole=True)
    assert found.boxes.tolist() == box.tolist()


def test_the_mask_of_pieces_has_the_pixels_of_the_object():
    box = np.array([300, 200, 1200, 900], np.float32)
    found = merged(box[None], [1], 640, found_in_whole=False)
    crop, (x, y) = found.mask(0)
    rows, columns = np.ogrid[: crop.shape[0], : crop.shape[1]]
    center, radius = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    inside = ((columns + x + 0.5 - center[0]) / radius[0]) ** 2 + ((rows + y + 0.5 - center[1]) / radius[1]) ** 2 <= 1
    assert (crop & inside).sum() / (crop | inside).sum() > 0.97


def test_each_keypoint_is_that_of_the_piece_with_its_highest_score():
    people = make_detections(1, labels=[1], keypoints=True, categories=("__background__", "person"))
    assert people.keypoint_scores is not None
    logits = people.keypoint_scores.copy()
    logits[0, :9] = [*[-2] * 8, 9]
    left = replace(people, boxes=np.array([[100, 50, 640, 400]]), keypoint_scores=logits)
    right = replace(people, boxes=np.array([[0, 50, 500, 400]]), keypoint_scores=logits[:, ::-1])
    slices = Slices((480, 1152), 640)
    for part in (people[:0], left, right):
        slices.add(part)
    assert slices.is_done
    found = slices.result()
    assert found.keypoints is not None
    assert people.keypoints is not None
    assert found.boxes.tolist() == [[100, 50, 1012, 400]]
    own = people.keypoints[0] + np.where(logits[0, :, None] > 0, (0, 0), (512, 0))
    np.testing.assert_allclose(found.keypoints[0], own, rtol=1e-6)
    assert found.keypoint_scores is not None
    assert found.keypoint_scores[0].tolist() == [8] * 8 + [9] + [8] * 8


def test_nothing_at_all():
    found = merged(np.zeros((0, 4), np.float32), [], 640, found_in_whole=True)
    assert len(found) == 0
    assert found.image_size == SIZE
    with pytest.raises(ValueError, match="nothing has been added"):
        Slices(SIZE, 640).result()


def test_an_image_of_one_tile_is_looked_at_once():
    slices = Slices((600, 640), 640)
    slices.add(make_detections(3, image_size=(600, 640)))
    assert slices.is_done
    found = slices.result()
    assert found.whole_scores is not None
    assert found.whole_scores.tolist() == found.scores.tolist()


def test_memory_is_bounded():
    slices = Slices(SIZE, 640)
    while not slices.is_done:
        slices.add(make_detections(400, image_size=(400, 400), masks=True, seed=slices.done))
    assert len(slices.result()) == 1000


@given(seed=st.integers(0, 1000), n=st.integers(0, 60))
def test_groups_are_supervisions(seed: int, n: int):
    """The greedy grouping is that of `supervision.box_non_max_merge`, by any overlap."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 200, (n, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 150, (n, 2))], axis=1)
    scores = np.sort(rng.permutation(np.linspace(0.1, 0.9, n)))[::-1]
    iou = iou_matrix(boxes, boxes)
    expected = sv.box_non_max_merge(np.concatenate([boxes, scores[:, None]], axis=1), 0.5) if n else []
    found = greedy_groups(np.arange(n), lambda one, others: iou[one, others])
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))
    assert [group[0] for group in found] == sorted(group[0] for group in found)
