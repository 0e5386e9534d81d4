"""Messages to a DetectionView and values from it; tests/browser runs it in Chromium."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from detection_core.ui.detect import view as detection_view
from detection_core.ui.detect.view import DetectionView, ViewMessage, ViewSettings, status_payload, view_payload
from detection_core.visualization import AnnotationStyle
from tests.factories import make_detections

FOLDER = Path(detection_view.__file__).parent


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(None, ViewSettings(), id="nothing"),
        pytest.param("threshold", ViewSettings(), id="not-a-mapping"),
        pytest.param({"threshold": 0.7}, ViewSettings(threshold=0.7), id="threshold"),
        pytest.param(
            {"threshold": 7, "opacity": -1, "keypoint_threshold": 99},
            ViewSettings(1.0, style=AnnotationStyle(opacity=0, keypoint_threshold=10)),
            id="clamped",
        ),
        pytest.param({"threshold": math.nan, "opacity": math.inf, "keypoint_threshold": 10**400}, ViewSettings(), id="not-finite"),
        pytest.param({"threshold": "0.7", "opacity": True, "boxes": 0}, ViewSettings(), id="wrong-types"),
        pytest.param({"boxes": False, "labels": False}, ViewSettings(style=AnnotationStyle(boxes=False, labels=False)), id="layers"),
        pytest.param({"hidden_classes": [3, True, "4", 5.0, None]}, ViewSettings(hidden_classes=frozenset({3})), id="odd-classes"),
        pytest.param({"hidden_classes": "345", "other": 1}, ViewSettings(), id="unknown"),
        pytest.param({"only_slices": True}, ViewSettings(only_slices=True), id="only-slices"),
        pytest.param({"only_slices": 1}, ViewSettings(), id="odd-only-slices"),
    ],
)
def test_settings_from_a_browser_are_never_trusted(sent: Any, expected: ViewSettings) -> None:
    assert ViewSettings.from_client(sent) == expected


def test_visible_is_what_the_visitor_sees() -> None:
    detections = make_detections(4, labels=[1, 2, 1, 3])
    seen = detections[ViewSettings(threshold=float(detections.scores[2]), hidden_classes=frozenset({2})).visible(detections)]
    assert seen.labels.tolist() == [1, 1]
    assert ViewSettings(threshold=0).visible(detections).tolist() == [True] * 4


def test_only_what_the_whole_image_does_not_show() -> None:
    detections = make_detections(3)
    sliced = replace(detections, whole_scores=np.array([0.9, 0.3, 0.05], np.float32))
    at = {threshold: ViewSettings(threshold, only_slices=True) for threshold in (0.5, 0.3, 0.1)}
    assert {threshold: each.visible(sliced).tolist() for threshold, each in at.items()} == {
        0.5: [False, True, False],
        0.3: [False, False, False],
        0.1: [False, False, True],
    }
    assert at[0.5].visible(detections).tolist() == [True, True, False]


def test_payload_says_everything_that_the_view_draws(tmp_path: Path) -> None:
    detections = make_detections(3, masks=True, keypoints=True, model="m", labels=[1, 1, 3])
    message = view_payload(
        detections, tmp_path / "a.png", title="M", threshold=0.4, floor=0.05, timings={"load": 1.0}, notes=["first frame"]
    )
    assert (message.width, message.height, message.threshold, message.floor) == (640, 480, 0.4, 0.05)
    assert message.model is not None
    assert (message.model.key, message.model.title) == ("m", "M")
    assert {key: (c.name, c.plural) for key, c in message.categories.items()} == {"1": ("person", "persons"), "3": ("car", "cars")}
    assert message.objects is not None
    first = message.objects[0]
    assert first.box == pytest.approx(detections.boxes[0].tolist(), abs=0.051)
    assert first.score == pytest.approx(0.95)
    assert first.polygons is not None
    assert first.polygons[0] == pytest.approx(detections.polygons(0)[0].ravel().tolist(), abs=0.051)
    assert first.keypoints is not None
    assert len(first.keypoints) == 17
    sides = {(message.keypoint_names[a], message.keypoint_names[b]): side for a, b, side in message.edges}
    assert sides["left_knee", "left_hip"] == "left"
    assert sides["right_shoulder", "right_hip"] == "right"
    assert sides["left_hip", "right_hip"] == "center"


def test_payload_is_short_json(tmp_path: Path) -> None:
    text = json.dumps(view_payload(make_detections(2, masks=True), tmp_path / "a.png").model_dump()["objects"])
    fractions = [number.partition(".")[2] for number in text.replace("[", " ").replace("]", " ").replace(",", " ").split() if "." in number]
    assert max(map(len, fractions)) <= 6
    assert sum(len(fraction) > 1 for fraction in fractions) <= 2


def test_colors_follow_what_they_stand_for(tmp_path: Path) -> None:
    detections = make_detections(3, labels=[1, 1, 1])
    by_class = view_payload(detections, tmp_path / "a.png", color_by="class")
    automatic = view_payload(detections, tmp_path / "a.png")
    assert by_class.color_by == "class"
    assert len({item.color for item in by_class.objects or []}) == 1
    assert automatic.color_by == "instance"
    assert len({item.color for item in automatic.objects or []}) == 3


@pytest.mark.parametrize(
    ("keypoints", "have"),
    [(True, [True] * 3), ([1], [True, False, False]), ([], [False] * 3), (False, [False] * 3)],
    ids=["all", "one class", "none of these", "no keypoints"],
)
def test_objects_without_keypoints_are_sent_without(tmp_path: Path, keypoints: bool | list[int], have: list[bool]) -> None:
    message = view_payload(make_detections(3, keypoints=keypoints), tmp_path / "a.png")
    sent = json.loads(json.dumps(message.model_dump(), allow_nan=False))
    assert [thing["keypoints"] is not None for thing in sent["objects"]] == have


def test_component_speaks_messages_and_settings() -> None:
    view = DetectionView()
    message = status_payload("run", "Looking")
    assert view.postprocess(message) is message
    assert view.postprocess(message.model_dump()) == message
    assert view.postprocess(None) is None
    assert view.preprocess(None) == ViewSettings()
    assert view.preprocess(ViewMessage.model_validate("")) == ViewSettings()
    assert view.preprocess(ViewMessage(settings={"threshold": 0.25})) == ViewSettings(threshold=0.25)
    assert "settings" in view.api_info()["properties"]


@pytest.mark.parametrize("name", ["view.css", "view.html"])
def test_templates_hold_nothing_that_gradio_would_interpret(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert not [mark for mark in ("`", "\\", "${", "{{", "}}") if mark in text]
