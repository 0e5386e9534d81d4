"""The mode Explain's handlers, on the built-in model, whose module the engine of the tests lends to the recorder."""

from __future__ import annotations

import json
import os
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.engine import Engine, EngineBusyError
from detection_core.explanation import Recorder, why
from detection_core.images.reading import LoadedImage
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, ModelSpec
from detection_core.models.detector import Detector
from detection_core.models.precision import Precision
from detection_core.ui.detect.tab import DetectTab
from detection_core.ui.hosting.metered_engine import MeteredEngine
from detection_core.ui.hosting.metrics import Metrics
from tests.asynchronous import run_async
from tests.explanation.small_cat import small_cat
from tests.ui.fake_engine import FakeEngine

IMAGE = str(ASSETS / "examples" / "salon.jpg")
REQUEST = SimpleNamespace(session_hash="ann")


class RealEngine(FakeEngine):
    """Gives the results of the models themselves."""

    def __init__(self) -> None:
        super().__init__(self.detect)

    def detect(self, image: LoadedImage, spec: ModelSpec) -> Detections:
        found = Detector(spec.in_precision(Precision.STOCK), loader=self.loader).detect(image.image)
        return replace(found, model=spec.key)


def make_tab(engine: Engine) -> DetectTab:
    tab = DetectTab(engine)
    with gr.Blocks():
        tab.layout()
    return tab


def opened(tab: DetectTab, model: str, image: str = IMAGE) -> dict[str, Any]:
    """What opens the mode, on the result of a model."""
    *_, (_, name, *_) = tab.detect(image, model, REQUEST)
    *_, (message, cancel) = tab.explain(name, REQUEST)
    assert message.error is None, message.error
    assert not cancel["visible"]
    # As it goes to the browser.
    return json.loads(json.dumps(message.explain))


@pytest.fixture(scope="module", params=[COCO_MODEL, PERSON_MODEL])
def model(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def tab() -> DetectTab:
    return make_tab(RealEngine())


@pytest.fixture(scope="module")
def mode(tab: DetectTab, model: str) -> dict[str, Any]:
    return opened(tab, model)


def call(tab: DetectTab, function: str, mode: dict[str, Any], **sent: Any) -> dict[str, Any]:
    named = {each.__name__: each for each in tab.explain_mode.server_functions()}
    return json.loads(json.dumps(run_async(named[function]({"recording": mode["recording"], **sent}))))


def test_the_mode_opens_with_its_stages_and_settings(tab, mode, model):
    assert [stage["name"] for stage in mode["stages"]][-1] == "result"
    assert bool(mode["limits"]) == ("proposals" in {stage["name"] for stage in mode["stages"]})
    assert mode["settings"]["nms_iou"] > 0
    assert len(tab.explain_mode.recordings) == 1


def test_a_shown_object_has_its_reasons(tab, mode):
    shown = tab.explain_mode.recordings.find(mode["recording"]).result.detections
    why = call(tab, "explain_ask", mode, object=0)["why"]
    assert (why["name"], why["score"]) == (shown.names[0], pytest.approx(float(shown.scores[0]), abs=1e-3))
    assert why["refinements"][-1]["box"] == pytest.approx(shown.boxes[0].tolist(), abs=1)
    assert why["scores"][0][0] == why["name"]
    assert call(tab, "explain_ask", mode, number=why["number"])["why"] == why


def test_a_place_names_its_suppressor_which_can_be_asked_about(tab, mode):
    kept = tab.explain_mode.recordings.find(mode["recording"])
    selection, candidates = kept.recording.selection, kept.recording.candidates
    best = selection.kept[0]
    lost = np.flatnonzero(selection.suppressors == best)
    box = kept.recording.in_image(candidates.boxes[lost[[candidates.scores[lost].argmax()]]])[0].tolist()
    label = int(candidates.labels[best])
    answer = call(tab, "explain_ask", mode, box=box, label=label)["why_not"]
    suppressors = [outcome["suppressor"] for place in answer["places"] for outcome in place["classes"] if outcome["suppressor"]]
    assert 0 in {suppressor["number"] for suppressor in suppressors}
    assert call(tab, "explain_ask", mode, number=0)["why"]["suppressed_count"] >= 1


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({}, "either a point or a box"),
        ({"at": [1]}, "Give 2 numbers"),
        ({"at": [float("nan"), 1]}, "Give 2 numbers"),
        ({"at": [1e30, 1]}, "Give 2 numbers"),
        ({"at": "1 1"}, "Give 2 numbers"),
        ({"at": [-5, 1]}, "outside the image"),
        ({"box": [10, 10, 5, 20]}, "X0 < X1"),
        ({"box": [True, 0, 5, 20]}, "Give 4 numbers"),
        ({"at": [5, 5], "label": 0}, "no such class"),
        ({"at": [5, 5], "label": 10**9}, "no such class"),
        ({"object": "0"}, "There is no object"),
        ({"object": -1}, "There is no object"),
        ({"number": 10**6}, "There is no object"),
    ],
)
def test_a_question_without_sense_is_answered_by_a_sentence(tab, mode, sent, words):
    answer = call(tab, "explain_ask", mode, **sent)
    assert words in answer["error"]
    assert set(answer) == {"error"}


@pytest.mark.parametrize("sent", [None, [], "x", {}, {"recording": None}, {"recording": "unknown"}])
def test_a_request_without_a_recording_is_refused(tab, mode, sent):
    for function in tab.explain_mode.server_functions():
        answer = run_async(function(sent))
        assert answer.get("expired") or "error" in answer or function.__name__ == "saliency_stop"


def test_other_settings_change_the_result_at_once(tab, mode):
    def result(**settings: Any) -> dict[str, Any]:
        return call(tab, "explain_settings", mode, threshold=0, **settings)

    same = result()
    assert len(same["objects"]) == same["before"] == same["all"]
    assert not any(each["new"] for each in same["objects"])
    assert not same["gone"]
    one = result(limit=1)
    assert (len(one["objects"]), len(one["gone"])) == (1, same["before"] - 1)
    assert any(each["new"] for each in result(nms_iou=1.0)["objects"])
    assert len(result(min_score=0.5)["objects"]) < same["before"]
    assert call(tab, "explain_settings", mode, threshold=1)["objects"] == []
    # What is not a number leaves a setting as it is.
    assert result(nms_iou="1", min_score=None, limit=[], class_agnostic="yes") == same


def test_every_stage_can_be_shown(tab, mode):
    for index, stage in enumerate(mode["stages"]):
        shown = call(tab, "explain_stage", mode, stage=index)
        if stage["name"] == "input":
            assert shown["image"].startswith("data:image/jpeg;base64,")
        else:
            assert len(shown["boxes"]) == min(stage["count"] or 0, 400)
    for level in range(len(mode["levels"])):
        for image in ("features", "scores"):
            assert call(tab, "explain_stage", mode, stage=1, image=image, level=level)["image"].startswith("data:image/jpeg")
    assert "no such level" in call(tab, "explain_stage", mode, stage=1, level=99)["error"]
    assert "no such stage" in call(tab, "explain_stage", mode, stage=99)["error"]


def test_a_visitor_has_one_recording_and_takes_it_along():
    tab = make_tab(RealEngine())
    first, second = opened(tab, COCO_MODEL), opened(tab, COCO_MODEL)
    assert call(tab, "explain_ask", first, at=[5, 5])["expired"]
    assert "why_not" in call(tab, "explain_ask", second, at=[5, 5])
    tab.leave(REQUEST)
    assert "Open" in call(tab, "explain_ask", second, at=[5, 5])["error"].title()


def test_a_full_engine_is_an_error_in_the_page():
    engine = RealEngine()
    tab = make_tab(engine)
    *_, (_, name, *_) = tab.detect(IMAGE, COCO_MODEL, REQUEST)
    engine.refusals.append(EngineBusyError("Too many images are waiting already."))
    ((message, cancel),) = tab.explain(name, REQUEST)
    assert message.error.text == "Too many images are waiting already."
    assert not cancel["visible"]
    ((message, _),) = tab.explain("unknown", REQUEST)
    assert "no longer kept" in message.error.text


def test_a_saliency_map_reports_progress_and_can_be_stopped(monkeypatch):
    engine = RealEngine()
    tab = make_tab(engine)
    mode = opened(tab, COCO_MODEL)
    # Unless the model is slow, a map of the fewest runs takes too long for a test.
    monkeypatch.setattr("detection_core.ui.explain.saliency.MASKS", (4, 8))
    assert call(tab, "saliency_cost", mode) == {"seconds": engine.timings.network}
    assert call(tab, "saliency_begin", mode, number=0, masks=4)["total"] == 4
    states = []
    while not states or not (states[-1].get("image") or states[-1].get("error")):
        states.append(call(tab, "saliency_watch", mode))
    assert states[-1]["image"].startswith("data:image/jpeg;base64,")
    assert states[-1]["done"] == 4
    engine.holds = True
    call(tab, "saliency_begin", mode, number=0, masks=8)
    call(tab, "saliency_stop", mode)
    assert "not being computed" in call(tab, "saliency_watch", mode)["error"]
    engine.release()
    assert "no such object" in call(tab, "saliency_begin", mode, number=-1)["error"]


def test_the_quick_saliency_map_is_an_image_or_a_sentence(tab, mode):
    assert call(tab, "saliency_quick", mode, number=0)["image"].startswith("data:image/jpeg;base64,")
    assert "no such object" in call(tab, "saliency_quick", mode, number=True)["error"]


def test_an_object_that_only_a_slice_shows_is_explained_there(tmp_path: Path):
    small_cat().save(tmp_path / "cat.png")
    tab = make_tab(RealEngine())
    whole = opened(tab, f"{COCO_MODEL}@slices128", str(tmp_path / "cat.png"))
    shown = tab.explain_mode.recordings.find(whole["recording"]).result.detections
    first = call(tab, "explain_ask", whole, object=0)
    assert whole["tile"] is None
    assert first["why_not"]["sentence"].startswith("Only a slice of the image shows this cat")
    assert first["slice_box"] == pytest.approx(shown.boxes[0].tolist(), abs=0.01)
    # At a lower threshold the whole image shows it.
    faint = int(np.flatnonzero((shown.whole_scores > 0) & (shown.whole_scores < shown.scores))[0])
    assert "why" in call(tab, "explain_ask", whole, object=faint, threshold=0)

    part = call(tab, "explain_slice", whole, object=0)
    x0, y0, x1, y1 = part["tile"]
    assert (x1 - x0, y1 - y0) == (128, 128)
    why = call(tab, "explain_ask", part, object=0)["why"]
    assert why["refinements"][-1]["box"] == pytest.approx(shown.boxes[0].tolist(), abs=0.01)
    assert call(tab, "explain_stage", part, stage=0)["image"].startswith("data:image/jpeg")
    assert call(tab, "saliency_quick", part, number=0)["image"].startswith("data:image/jpeg")
    assert "outside the slice" in call(tab, "explain_ask", part, at=[x1 + 5, y0])["error"]
    elsewhere = [i for i, box in enumerate(shown.boxes) if box[0] > x1 or box[2] < x0 or box[1] > y1 or box[3] < y0]
    assert all("in this slice" in call(tab, "explain_ask", part, object=i)["error"] for i in elsewhere[:1])

    # The whole image's is kept beside it.
    assert call(tab, "explain_ask", whole, object=0) == first
    assert call(tab, "explain_slice", part, object=0)["recording"] == part["recording"]
    assert "There is no object" in call(tab, "explain_slice", whole, object=None)["error"]
    tab.leave(REQUEST)
    assert call(tab, "explain_slice", whole, object=0)["expired"]


def test_a_model_without_slices_has_none_to_explain(tab, mode):
    assert "did not find this object" in call(tab, "explain_slice", mode, object=0)["error"]


def test_the_recorder_and_its_recording_can_go_to_another_process(tab, mode):
    kept = tab.explain_mode.recordings.find(mode["recording"])
    assert pickle.loads(pickle.dumps(Recorder(kept.spec))) == Recorder(kept.spec)
    again = pickle.loads(pickle.dumps(kept.recording))
    assert why(again, 0) == why(kept.recording, 0)


def test_a_recording_is_counted_like_a_detection():
    inner = RealEngine()
    metrics = Metrics(inner)
    opened(make_tab(MeteredEngine(inner, metrics)), COCO_MODEL)
    # It is one of torchvision's own module.
    assert f'action="detect",model="{COCO_MODEL}@stock",status="ok"}} 1.0' in metrics.text().decode()
