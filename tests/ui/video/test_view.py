"""Messages to a VideoView and values from it; tests/browser runs it in Chromium."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.video import view as video_view
from detection_core.ui.video.messages import VideoOrder, model_floor, video_classes, video_model
from detection_core.video import FrameCounts, VideoOptions
from detection_core.visualization import AnnotationStyle

FOLDER = Path(video_view.__file__).parent
SPEC = get_model_spec(PERSON_MODEL)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(None, VideoOrder(), id="nothing"),
        pytest.param("x", VideoOrder(), id="not-a-mapping"),
        pytest.param({"rate": "5", "threshold": 0.7, "track": False}, VideoOrder(rate="5", threshold=0.7, track=False), id="settings"),
        pytest.param({"rate": "1000", "threshold": math.nan, "track": 1}, VideoOrder(), id="wrong"),
        pytest.param({"threshold": 7, "opacity": -1}, VideoOrder(threshold=1, style=AnnotationStyle(opacity=0)), id="clamped"),
        pytest.param({"boxes": False, "masks": "no"}, VideoOrder(style=AnnotationStyle(boxes=False)), id="layers"),
        pytest.param({"hidden_classes": ["dog", 3, "dog"]}, VideoOrder(hidden_classes=frozenset({"dog"})), id="classes"),
        pytest.param({"keypoint_threshold": 12}, VideoOrder(style=AnnotationStyle(keypoint_threshold=10)), id="keypoints"),
        pytest.param({"video": "c", "path": 3, "name": "a.mp4"}, VideoOrder(video="c", name="a.mp4"), id="texts"),
        pytest.param({"formats": ["csv", "exe", "mp4", 3]}, VideoOrder(formats=("mp4", "csv")), id="formats"),
    ],
)
def test_orders_from_a_browser_are_never_trusted(sent: Any, expected: VideoOrder) -> None:
    assert VideoOrder.from_client(sent) == expected


@pytest.mark.parametrize(
    ("order", "threshold", "fps"),
    [
        pytest.param(VideoOrder(), SPEC.default_threshold, 10, id="default"),
        pytest.param(VideoOrder(rate="all", threshold=0.4), 0.4, None, id="every-frame"),
        pytest.param(VideoOrder(rate="1", threshold=0.0), model_floor(SPEC), 1, id="below-what-is-kept"),
    ],
)
def test_options(order: VideoOrder, threshold: float, fps: float | None) -> None:
    assert order.options(SPEC) == VideoOptions(threshold=threshold, fps=fps)


def test_classes_that_are_off_leave_the_model_with_the_others() -> None:
    ssdlite = get_model_spec("ssdlite320_mobilenet_v3_large")
    classes = VideoOrder(hidden_classes=frozenset({"dog", "unicorn"})).options(ssdlite).classes
    assert classes == frozenset(ssdlite.class_names) - {"dog"}
    assert VideoOrder(hidden_classes=frozenset({"person"})).options(SPEC).classes == frozenset()


def test_a_model_says_what_can_be_drawn() -> None:
    model = video_model(SPEC, "Detect").model
    assert model is not None
    assert model.layers == ["boxes", "labels", "masks", "contours", "skeletons"]
    assert model.floor <= 0.1 < model.threshold


def test_classes_have_the_colors_that_they_have_everywhere() -> None:
    counts = FrameCounts([0.0, 0.5], {"dog": [1, 2], "person": [0, 1]}, {"dog": 2, "person": 1})
    dog, person = video_classes(counts, ("__background__", "person", "dog"))
    assert (dog.name, dog.plural, dog.counts, dog.total) == ("dog", "dogs", [1, 2], 2)
    assert dog.color != person.color
    assert video_classes(FrameCounts([0.0], {"dog": [1]}, None), ("__background__", "person", "dog"))[0].color == dog.color


@pytest.mark.parametrize("name", ["view.css", "view.html"])
def test_gradio_takes_no_template_for_another_language(name: str) -> None:
    text = (FOLDER / name).read_text("utf-8")
    assert not [sign for sign in ("\\", "`", "{{", "${") if sign in text]
