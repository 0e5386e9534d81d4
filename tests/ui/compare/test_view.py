"""Messages to a CompareView and values from it; tests/browser runs it in Chromium."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from detection_core.ui.compare import view as compare_view
from detection_core.ui.compare.view import (
    CompareCost,
    CompareMessage,
    ComparePoint,
    CompareSettings,
    CompareView,
    compare_model,
    compare_payload,
    failed_model,
    link_models,
    settings_from_link,
    waiting_model,
)
from detection_core.ui.components.messages import ViewError, ViewStatus
from detection_core.visualization import AnnotationStyle
from tests.factories import make_detections

FOLDER = Path(compare_view.__file__).parent


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        pytest.param(None, CompareSettings(), id="nothing"),
        pytest.param("rule", CompareSettings(), id="not-a-mapping"),
        pytest.param({"rule": "top", "top": 3}, CompareSettings(rule="top", top=3), id="top"),
        pytest.param({"rule": "best", "mode": ["side"], "votes": "3"}, CompareSettings(), id="unknown-words"),
        pytest.param(
            {"threshold": 7, "top": 0, "iou": 0, "votes": 9, "opacity": -1, "keypoint_threshold": 99},
            CompareSettings(threshold=1, top=1, iou=0.05, votes=4, style=AnnotationStyle(opacity=0, keypoint_threshold=10)),
            id="clamped",
        ),
        pytest.param({"threshold": math.nan, "iou": math.inf, "top": 10**400}, CompareSettings(), id="not-finite"),
        pytest.param({"threshold": True, "boxes": 0, "labels": False}, CompareSettings(style=AnnotationStyle(labels=False)), id="layers"),
        pytest.param(
            {"thresholds": {"a": 0.3, "b": 2, "c": "0.3", "d": math.nan, 5: 0.3}},
            CompareSettings(thresholds={"a": 0.3, "b": 1}),
            id="own-thresholds",
        ),
        pytest.param({"thresholds": [0.3]}, CompareSettings(), id="thresholds-of-unknown-models"),
        pytest.param({"pair": ["b", "a"]}, CompareSettings(pair=("b", "a")), id="pair"),
        pytest.param({"pair": ["a", "a"]}, CompareSettings(), id="pair-of-one"),
        pytest.param({"pair": ["a", 1, "b", "c"]}, CompareSettings(), id="pair-of-three"),
        pytest.param({"hidden_classes": ["dog", 3, None]}, CompareSettings(hidden_classes=frozenset({"dog"})), id="classes"),
    ],
)
def test_settings_from_a_browser_are_never_trusted(sent: Any, expected: CompareSettings) -> None:
    assert CompareSettings.from_client(sent) == expected


# Scores fall from 0.95 to 0.10 in steps of 0.85 / 3 (0.95, 0.667, 0.383, 0.1); classes are person, dog, car, person.
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param(CompareSettings(), {"a": 2, "b": 3}, id="default"),
        pytest.param(CompareSettings(rule="same", threshold=0.9), {"a": 1, "b": 1}, id="same"),
        pytest.param(CompareSettings(rule="own", thresholds={"a": 0.05}), {"a": 4, "b": 3}, id="own-else-default"),
        pytest.param(CompareSettings(rule="top", top=3), {"a": 3, "b": 3}, id="top"),
        pytest.param(CompareSettings(rule="top", top=50), {"a": 4, "b": 4}, id="top-of-fewer"),
        pytest.param(CompareSettings(rule="top", top=2, hidden_classes=frozenset({"dog"})), {"a": 2, "b": 2}, id="top-of-active-classes"),
        pytest.param(CompareSettings(hidden_classes=frozenset({"dog", "car"})), {"a": 1, "b": 1}, id="hidden"),
        pytest.param(CompareSettings(rule="same", threshold=1), {"a": 0, "b": 0}, id="none"),
    ],
)
def test_select_keeps_what_the_rule_says(settings: CompareSettings, expected: dict[str, int]) -> None:
    found = {"a": (make_detections(4), 0.5), "b": (make_detections(4, seed=1), 0.3)}
    selected = settings.select(found)
    assert {identity: len(detections) for identity, detections in selected.items()} == expected
    assert not settings.hidden_classes.intersection(*[detections.names for detections in selected.values()])


def test_select_counts_a_score_at_its_own_threshold() -> None:
    detections = make_detections(4)
    exact = CompareSettings(rule="same", threshold=float(detections.scores[2]))
    assert len(exact.select({"a": (detections, 0.5)})["a"]) == 3


def test_models_carry_exact_numbers_and_consistent_colors() -> None:
    detections = make_detections(3, masks=True, keypoints=True, labels=[1, 1, 1])
    model = compare_model("m", "M", detections, threshold=0.4, floor=0.05, timings={"network": 8.0})
    assert model.objects is not None
    assert [item.box for item in model.objects] == detections.boxes.tolist()
    assert [item.score for item in model.objects] == detections.scores.tolist()
    assert (model.color_by, len({item.color for item in model.objects})) == ("class", 1)
    assert model.objects[0].polygons
    assert model.objects[0].keypoints
    assert model.categories["1"].plural == "persons"
    assert model.edges


def test_whole_message_says_everything(tmp_path: Path) -> None:
    models = [
        waiting_model("a", "A", ViewStatus(stage="load", text="Loading")),
        failed_model("b", "B", ViewError(title="No", text="not here"), CompareCost(box_ap=31.2)),
    ]
    point = ComparePoint(id="a", title="A", latency_ms=8, box_ap=30, compared=True)
    message = compare_payload(
        tmp_path / "p.png", (480, 640), models, link_name="example:cat", points=[point], notes=["n"], restore={"rule": "top"}
    )
    assert (message.width, message.height, message.link_name, message.restore) == (640, 480, "example:cat", {"rule": "top"})
    assert [model.objects for model in message.models] == [None, None]
    assert CompareMessage.model_validate(message.model_dump()) == message


def test_component_speaks_messages_and_settings() -> None:
    view = CompareView()
    message = CompareMessage(status=ViewStatus(stage="run", text="Looking"))
    assert view.postprocess(message) is message
    assert view.postprocess(message.model_dump()) == message
    assert view.postprocess(None) is None
    assert view.preprocess(None) == CompareSettings()
    assert view.preprocess(CompareMessage.model_validate("")) == CompareSettings()
    assert view.preprocess(CompareMessage(settings={"rule": "top"})) == CompareSettings(rule="top")
    assert "settings" in view.api_info()["properties"]
    assert view.get_block_name() == "html"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, {}, id="empty"),
        pytest.param({"rule": "top", "top": "7", "iou": "0.3"}, {"rule": "top", "top": 7, "iou": 0.3}, id="numbers"),
        pytest.param({"models": "a,b", "ts": "0.3,0.4"}, {"thresholds": {"a": 0.3, "b": 0.4}}, id="thresholds-in-order"),
        pytest.param({"models": "a,b", "ts": "0.3"}, {}, id="too-few-thresholds"),
        pytest.param({"models": "a,b,c", "pair": "2,0"}, {"pair": ["c", "a"]}, id="pair-by-place"),
        pytest.param({"models": "a,b", "pair": "0,9"}, {}, id="pair-of-unknown-models"),
        pytest.param({"t": "nan", "iou": "-1", "votes": "many"}, {"threshold": 0.5, "iou": 0.05}, id="not-numbers"),
        pytest.param({"off": "masks,walls", "hide": "dog\ncar, red"}, {"masks": False, "hidden_classes": ["car, red", "dog"]}, id="lists"),
    ],
)
def test_links_are_never_trusted(query: dict[str, str], expected: dict[str, Any]) -> None:
    assert settings_from_link(query) == expected


def test_link_models_are_few_and_distinct() -> None:
    assert link_models({"models": "a,b,,a,c%2Cd,e,f"}) == ["a", "b", "c,d", "e"]
    assert link_models({}) == []


@pytest.mark.parametrize("name", ["view.css", "view.html", "../components/css/view.css"])
def test_templates_hold_nothing_that_gradio_would_interpret(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert not [mark for mark in ("`", "\\", "${", "{{", "}}") if mark in text]
