"""Detection in frames of a live stream; nothing of what a browser sends is trusted."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from detection_core.detections import Detections
from detection_core.engine import EngineBusyError, EngineError, Result, Stage
from detection_core.images.reading import ImageError, LoadedImage
from detection_core.models.catalog import PERSON_MODEL, ModelSpec, get_model_spec
from detection_core.models.detector import Timings
from detection_core.models.weights import WeightsError
from detection_core.ui.live import frames as live_frames
from detection_core.ui.live.frames import detect_in_frame, read_frame
from detection_core.ui.live.streams import LiveFrame, LiveStream, LiveStreams
from detection_core.visualization import PALETTE, to_hex
from tests.factories import make_detections
from tests.ui.asynchronous import finish
from tests.ui.fake_engine import FakeEngine

SPEC = get_model_spec(PERSON_MODEL)
BROKEN = base64.b64encode(b"\xff\xd8\xff but not really").decode()


def encoded(size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> str:
    stream = io.BytesIO()
    Image.new("RGB", size, "navy").save(stream, kind)
    return base64.b64encode(stream.getvalue()).decode()


class Walk:
    """One person who walks to the right by 5 pixels a frame, and one of a low score who stands."""

    def __init__(self) -> None:
        self.frames = 0

    def __call__(self, image: LoadedImage, spec: ModelSpec) -> Detections:
        self.frames += 1
        x = 5.0 * self.frames
        boxes = np.array([[x, 10, x + 20, 40], [0, 0, 10, 20]], np.float32)
        return Detections(boxes, np.array([1, 1]), np.array([0.9, 0.3], np.float32), (48, 64), SPEC.categories, model=SPEC.key)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    monkeypatch.setattr(live_frames, "_PATIENCE", 0.05)
    monkeypatch.setattr(live_frames, "_LONG_PATIENCE", 0.1)
    return FakeEngine(Walk(), timings=Timings(network=0.2, wait=0.01))


@pytest.fixture
def streams() -> LiveStreams:
    return LiveStreams(most=1)


@pytest.fixture
def stream(streams: LiveStreams) -> LiveStream:
    return streams.begin("visitor", SPEC)


def ask(engine: FakeEngine, streams: LiveStreams, sent: object) -> dict[str, Any]:
    return finish(detect_in_frame(sent, engine, streams))  # type: ignore[arg-type]


def frame(stream: LiveStream, number: int, **more: Any) -> dict[str, Any]:
    return {"stream": stream.token, "id": number, "image": encoded(), "time": 100 * number, "threshold": 0.5, "stable": True} | more


def results(engine: FakeEngine, streams: LiveStreams, stream: LiveStream, numbers: range, **more: Any) -> list[dict[str, Any]]:
    return [ask(engine, streams, frame(stream, number, **more))["result"] for number in numbers]


@pytest.mark.parametrize("stable", [True, False], ids=["tracked", "frame by frame"])
def test_an_object_without_keypoints_is_sent_without(stream, stable):
    found = make_detections(3, masks=True, keypoints=[1], model=SPEC.key)
    frame = LiveFrame(time_s=1, threshold=0.5, stable=stable, tasks=None)
    response = live_frames.frame_response(Result(found, Timings(), SPEC), frame, stream)
    objects = json.loads(json.dumps(response, allow_nan=False))["objects"]
    assert {(thing["class_id"], thing["keypoints"] is not None) for thing in objects} == {(1, True), (2, False)}


def test_a_frame_gives_what_is_there_and_where_the_time_went(engine, streams, stream):
    (answer,) = results(engine, streams, stream, range(1, 2))
    assert (answer["id"], answer["time"], answer["threshold"], answer["width"], answer["height"]) == (1, 100, 0.5, 64, 48)
    first, second = answer["objects"]
    assert set(first) == {"class_id", "score", "box", "color", "polygons", "keypoints", "whole_score", "track", "velocity"}
    assert (first["score"], first["track"], first["box"]) == (0.9, 1, [5, 10, 25, 40])
    assert (second["score"], second["track"], second["velocity"]) == (0.3, 0, [0, 0])
    assert set(answer["ms"]) == {"decode", "wait", "network", "post", "track"}
    assert (answer["ms"]["network"], answer["ms"]["wait"]) == (200, 10)
    assert [each.keep for each in engine.submissions] == [False]


def test_a_tracked_object_has_an_identity_a_motion_and_a_color_that_stay(engine, streams, stream):
    answers = results(engine, streams, stream, range(1, 12))
    walkers = [next(thing for thing in answer["objects"] if thing["track"]) for answer in answers]
    assert {thing["track"] for thing in walkers} == {1}
    assert {thing["color"] for thing in walkers} == {to_hex(PALETTE[0])}
    assert walkers[-1]["velocity"][0] == pytest.approx(50, rel=0.15)
    assert (answers[-1]["in_view"], answers[-1]["total"]) == ({"person": 1}, {"person": 1})


def test_without_stable_boxes_no_object_has_an_identity(engine, streams, stream):
    *_, answer = results(engine, streams, stream, range(1, 4), stable=False)
    assert [thing["track"] for thing in answer["objects"]] == [0, 0]
    assert (answer["in_view"], answer["total"]) == ({}, {})


@pytest.mark.parametrize(("threshold", "tracks"), [(0.5, [1, 0]), (0.2, [1, 2]), (0.95, [0])], ids=["middle", "low", "high"])
def test_the_threshold_decides_what_is_tracked_and_what_is_sent(engine, streams, stream, threshold: float, tracks: list[int]):
    *_, answer = results(engine, streams, stream, range(1, 4), threshold=threshold)
    assert [thing["track"] for thing in answer["objects"]] == tracks


@pytest.mark.parametrize(("others", "second_stream", "room"), [(0, False, True), (1, False, False), (0, True, False)])
def test_there_is_room_if_no_other_stream_runs(engine, streams, stream, others: int, second_stream: bool, room: bool):
    engine.others = others
    if second_stream:
        streams.begin("another visitor", SPEC)
    assert ask(engine, streams, frame(stream, 1))["result"]["room"] is room


def test_it_is_asked_again_until_there_is_an_answer(engine, streams, stream):
    engine.holds, engine.stage = True, Stage.DOWNLOAD
    again = {"stream": stream.token, "id": 1}
    assert ask(engine, streams, frame(stream, 1))["status"]["stage"] == "download"
    assert ask(engine, streams, again)["status"]["stage"] == "download"
    assert len(engine.jobs) == 1
    engine.release()
    # What was sent with the frame holds.
    assert ask(engine, streams, again)["result"]["threshold"] == 0.5
    assert ask(engine, streams, again) == {"dropped": True}
    assert stream.frames == {}


def test_two_frames_are_under_way_at_most(engine, streams, stream):
    engine.holds = True
    answers = [ask(engine, streams, frame(stream, number)) for number in (1, 2, 3)]
    assert [set(answer) for answer in answers] == [{"status"}, {"status"}, {"dropped"}]
    engine.release()
    assert "result" in ask(engine, streams, {"stream": stream.token, "id": 2})
    # The older one has been overtaken.
    assert ask(engine, streams, {"stream": stream.token, "id": 1}) == {"dropped": True}


def test_a_waiting_stream_gets_its_place(engine, streams, stream):
    second = streams.begin("another visitor", SPEC)
    assert ask(engine, streams, frame(second, 1)) == {"busy": "The camera view is busy. You are number 1 in the queue."}
    streams.remove(stream.token)
    assert "result" in ask(engine, streams, frame(second, 2))


def test_a_stream_that_ends_takes_its_frames_along(engine, streams, stream):
    engine.holds = True
    ask(engine, streams, frame(stream, 1))
    streams.leave("visitor")
    assert engine.jobs[0].cancelled
    assert "has ended" in ask(engine, streams, {"stream": stream.token, "id": 1})["expired"]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (EngineBusyError("Too many images are waiting."), "busy", "Too many"),
        (EngineError("It failed."), "error", "It failed."),
        (WeightsError("No internet."), "error", "No internet."),
    ],
    ids=["busy", "failed", "no weights"],
)
def test_errors_are_sent_and_nothing_keeps_running(engine, streams, stream, error: Exception, kind: str, words: str):
    if isinstance(error, EngineBusyError):
        engine.refusals = [error]
    else:
        engine.failures = [error]
    assert words in str(ask(engine, streams, frame(stream, 1))[kind])
    assert stream.frames == {}


@pytest.mark.parametrize(
    "image",
    [None, 7, "", "???", "ß", encoded(kind="PNG"), BROKEN, encoded((2000, 100)), "A" * 1_400_000],
    ids=["nothing", "a number", "empty", "no base64", "no ASCII", "a PNG", "a broken JPEG", "too wide", "too many bytes"],
)
def test_what_is_no_frame_is_refused(engine, streams, stream, image: object):
    assert set(ask(engine, streams, frame(stream, 1, image=image))) == {"refused"}
    assert (stream.frames, engine.jobs) == ({}, [])
    with pytest.raises(ImageError):
        read_frame(image)


@pytest.mark.parametrize("sent", [None, [], {}, {"stream": 3}, {"stream": "unknown", "id": 1}], ids=repr)
def test_what_names_no_stream_is_over(engine, streams, sent: object):
    assert set(ask(engine, streams, sent)) == {"expired"}


@pytest.mark.parametrize("wrong", [{"id": None}, {"time": float("nan")}, {"time": "now"}, {"threshold": 9}, {"threshold": None}], ids=repr)
def test_numbers_that_are_none_become_usual_ones(engine, streams, stream, wrong: dict[str, Any]):
    assert 0 <= ask(engine, streams, frame(stream, 1, **wrong))["result"]["threshold"] <= 1


@pytest.mark.parametrize(
    ("sent", "tasks"),
    [(["masks", "keypoints"], {"masks", "keypoints"}), (["masks"], {"masks"}), ([], set()), (["boxes", "money", 3, {}], set())],
    ids=["both", "masks", "none", "nonsense"],
)
def test_what_is_not_wanted_is_not_computed(engine, streams, stream, sent, tasks):
    results(engine, streams, stream, range(1, 2), tasks=sent)
    assert [each.tasks for each in engine.submissions] == [tasks]


@pytest.mark.parametrize("more", [{}, {"tasks": "masks"}, {"tasks": None}], ids=str)
def test_without_tasks_everything_is_computed(engine, streams, stream, more):
    results(engine, streams, stream, range(1, 2), **more)
    assert [each.tasks for each in engine.submissions] == [None]
