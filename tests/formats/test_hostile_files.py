"""Tests that reading any file returns detections or raises ResultsFormatError."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection_core.detections import Detections
from detection_core.formats import ResultsFormatError, from_json, import_coco_results, read_coco_results, to_json
from tests.factories import make_detections

_NUMBERS = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([0, 1, 5, 480, 640, 10**400, -1e308])
_JSON = st.recursive(
    _NUMBERS | st.text(max_size=8), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
)
_FIELDS = {
    "image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 2, 30, 40], "segmentation": [[1, 2, 30, 2, 30, 40]],
    "keypoints": [1, 2, 1], "keypoint_scores": [3],
}  # fmt: skip
_SEGMENTATIONS = st.lists(st.lists(_NUMBERS, max_size=8)) | st.fixed_dictionaries(
    {
        "size": st.just([48, 64]) | st.lists(_NUMBERS, max_size=3),
        "counts": _JSON | st.text("0123PQRSabcdo", max_size=12) | st.lists(_NUMBERS),
    }
)
_ENTRIES = st.fixed_dictionaries(
    {}, optional={key: st.just(value) | _JSON for key, value in _FIELDS.items()} | {"segmentation": _SEGMENTATIONS}
)


def readable(found: Detections) -> None:
    for index in range(len(found)):
        if found.masks is not None:
            found.mask(index)
            found.polygons(index)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(deadline=None)
@given(st.lists(st.just(_FIELDS) | _ENTRIES | _JSON, max_size=3), st.none() | _JSON, st.none() | _JSON)
def test_coco(entries: list[Any], images: Any, categories: Any):
    data: Any = (
        entries if images is None else {"annotations": entries, "images": images, "categories": [] if categories is None else categories}
    )
    with contextlib.suppress(ResultsFormatError):
        readable(read_coco_results(data, (48, 64)))
    with contextlib.suppress(ResultsFormatError):
        readable(import_coco_results(data, (48, 64), skip_invalid=True).detections)


@settings(deadline=None)
@given(
    st.sampled_from(list(to_json(make_detections(1)))),
    st.none() | st.sampled_from(["box", "class_id", "score", "mask_grid", "keypoints"]),
    _JSON,
)
def test_own(key: str, field: str | None, value: Any):
    data = to_json(make_detections(2, image_size=(48, 64), masks=True, keypoints=True))
    if field is None:
        data[key] = value
    else:
        data["objects"][1][field] = value
    with contextlib.suppress(ResultsFormatError):
        readable(from_json(data))
