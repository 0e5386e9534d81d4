"""Which models the Live tab offers first, from what has been measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from detection_core.models.catalog import PERSON_MODEL, list_specs
from detection_core.ui.components import model_picker
from detection_core.ui.live import model_speed as live_models
from detection_core.ui.live.model_speed import live_picker_value

STATES = {spec.key: "to download" for spec in list_specs()}
HEAVY = "maskrcnn_resnet50_fpn"


def listed(seconds: dict[str, float], selected: str = PERSON_MODEL) -> dict[str, dict[str, Any]]:
    value = live_picker_value(selected, STATES, seconds)
    assert value["selected"] == selected
    return {model["key"]: model for model in value["models"]}


def test_fast_models_come_first_and_slow_ones_say_what_they_take():
    models = listed({PERSON_MODEL: 0.1, HEAVY: 3.2})
    groups = list(dict.fromkeys(model["group"] for model in models.values()))
    assert groups == ["Built in, no download", "Fast enough for live video here", "Slower here"]
    assert {"ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"} <= {
        key for key, model in models.items() if model["group"] == "Fast enough for live video here"
    }
    assert models[HEAVY]["title"] == "Mask R-CNN ResNet-50 FPN · about 3 s per frame here"
    assert str(models[HEAVY]["best_for"]).endswith(" About 3 s per frame here.")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_built_in_models_come_first_however_fast_they_are(monkeypatch, number):
    coco, person, *others = list_specs()
    first, *more = [coco, person, replace(coco, key="another", title="Another (built in)")][:number]
    for module in (live_models, model_picker):
        monkeypatch.setattr(module, "list_specs", lambda: [first, *others, *more])
    seconds = {first.key: 0.9, "ssdlite320_mobilenet_v3_large": 0.03} | {spec.key: 0.1 for spec in more}
    models = live_picker_value(first.key, STATES | {spec.key: "on disk" for spec in more}, seconds)["models"]
    assert [model["key"] for model in models[:number]] == [*(spec.key for spec in more), first.key]
    assert {model["group"] for model in models[:number]} == {"Built in, no download"}
    assert models[number - 1]["title"].endswith("· about 0.9 s per frame here")
    assert models[number]["key"] == "ssdlite320_mobilenet_v3_large"


def test_what_has_been_measured_comes_before_what_is_estimated():
    assert listed({PERSON_MODEL: 0.1, HEAVY: 0.05})[HEAVY]["group"] == "Fast enough for live video here"
    assert "· about 0.7 s per frame" in str(listed({PERSON_MODEL: 0.7})[PERSON_MODEL]["title"])


def test_an_unknown_speed_is_not_promised():
    models = listed({})
    assert {model["group"] for model in models.values()} == {"Built in, no download", "Slower here"}
    assert not any("about" in str(model["title"]) for model in models.values())


def test_marks_are_about_the_chosen_precision():
    seconds = {PERSON_MODEL: 0.7, f"{PERSON_MODEL}@fast": 0.1, f"{HEAVY}@fast": 0.9, HEAVY: 3.2}
    models = listed(seconds, f"{PERSON_MODEL}@fast")
    assert models["ssdlite320_mobilenet_v3_large"]["group"] == "Fast enough for live video here"
    assert models[HEAVY]["title"] == "Mask R-CNN ResNet-50 FPN · about 0.9 s per frame here"
    assert models[PERSON_MODEL]["title"] == listed(seconds, f"{PERSON_MODEL}@stock")[PERSON_MODEL]["title"].partition(" · ")[0]


def test_if_nothing_has_run_in_the_chosen_precision_the_exact_one_is_shown():
    assert listed({HEAVY: 3.2}, f"{PERSON_MODEL}@fast")[HEAVY]["title"].endswith(" · about 3 s per frame here in exact precision")
    assert listed({f"{HEAVY}@fast": 0.9})[HEAVY]["title"] == "Mask R-CNN ResNet-50 FPN"


def test_marks_are_about_the_chosen_input_size():
    seconds = {HEAVY: 3.2, f"{HEAVY}@400px": 0.01, PERSON_MODEL: 0.3}
    models = listed(seconds, f"{PERSON_MODEL}@640px")
    # From 800 px and from 320 px; SSDs have one size.
    assert models[HEAVY]["title"].endswith(" · about 2 s per frame here")
    assert models[PERSON_MODEL]["title"].endswith(" · about 0.8 s per frame here")
    assert models["ssd300_vgg16"]["title"] == listed(seconds)["ssd300_vgg16"]["title"]
