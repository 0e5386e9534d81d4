"""The server's answers in the mode Explain: why, why not, what if, and the images of the stages; from a recording, so at once."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from anyio import CapacityLimiter, to_thread
from PIL import Image

from detection_core.errors import UserError
from detection_core.explanation import (
    NEEDS_A_NEW_RUN,
    NOT_RECORDED,
    FoundObject,
    Query,
    Why,
    WhyNot,
    number_in,
    stages,
    what_if,
    why,
    why_not,
    why_not_in_whole,
)
from detection_core.explanation.drawing import draw_level
from detection_core.explanation.report import plain
from detection_core.images.reading import encode_jpeg
from detection_core.ui.components.client_values import bounded, mapping_of
from detection_core.ui.explain.recordings import ExplanationExpiredError, KeptRecording, Recordings

Response = dict[str, Any]
# Of a stage; more would hide the image.
_MAX_BOXES = 400
# Server functions bypass Gradio's queue.
_TOGETHER = CapacityLimiter(2)
# Beyond any image, in pixels.
_FAR = 1e6
# The browser compares with a slider's numbers.
_SLACK = 1e-6
_MAPS = ("features", "scores")
_NOT_IN_SLICE = "The model did not find this object in this slice. Go back to the whole image to ask about it."
_WITH_CLASSES = ("candidates", "before NMS", "after NMS", "result")


class UnclearQuestionError(UserError):
    """A question lacks something, or has a value that it cannot have."""


async def answer(sent: object, recordings: Recordings, how: Callable[[KeptRecording, Mapping[str, Any]], Response]) -> Response:
    """Answers a question of a browser about the recording that it names.

    Args:
        sent: What the browser sent: `recording`, its token, and what `how` needs.
        recordings: Where recordings are kept.
        how: One of `ask`, `try_settings` and `show_stage`.

    Returns:
        The answer, or `error`, a sentence; with `expired` if the recording is no longer kept.
    """
    request = mapping_of(sent)
    kept = recordings.get(request.get("recording"))
    if kept is None:
        return {"error": str(ExplanationExpiredError()), "expired": True}
    try:
        return await to_thread.run_sync(how, kept, request, limiter=_TOGETHER)
    except UserError as error:
        return {"error": str(error)}


def begin_values(kept: KeptRecording) -> Response:
    """What the browser needs of a recording at first."""
    recording = kept.recording
    names = recording.spec.categories
    return {
        "model": recording.spec.title,
        "notes": list(recording.notes),
        "tile": None if recording.tile is None else list(recording.tile),
        "classes": sorted(((names.index(name), name) for name in set(recording.spec.class_names)), key=lambda each: each[1]),
        "settings": plain(asdict(recording.rules)),
        "lowest_min_score": min(recording.lowest_kept, recording.rules.min_score),
        "limits": NEEDS_A_NEW_RUN if recording.proposals is not None else "",
        "levels": [f"{level.shape[1]}×{level.shape[0]}" for level in recording.levels],
        "stages": [
            {"name": stage.name, "text": stage.text, "count": stage.count, "ms": None if stage.seconds is None else 1000 * stage.seconds}
            for stage in stages(recording)
        ],
    }


def ask(kept: KeptRecording, request: Mapping[str, Any]) -> Response:
    """Answers `object` (an object that the visitor sees), `number` (one of the recording), `at` or `box`, with `label` and `threshold`."""
    recording = kept.recording
    threshold = bounded(request.get("threshold"), 0, 1, kept.spec.default_threshold)
    if "object" in request:
        return _about_shown(kept, shown_object(kept, request), threshold)
    if "number" in request:
        return _why_values(why(recording, _index(request.get("number"))))
    at, box = _numbers(request.get("at"), 2), _numbers(request.get("box"), 4)
    label = _whole(request.get("label"))
    if label is not None and not 0 < label < len(recording.spec.categories):
        raise UnclearQuestionError("The model has no such class.")
    query = Query(at if at is None else (at[0], at[1]), box if box is None else (box[0], box[1], box[2], box[3]), label)
    return _why_not_values(why_not(recording, query, threshold), kept)


def try_settings(kept: KeptRecording, request: Mapping[str, Any]) -> Response:
    """What the model would find with other settings: `nms_iou`, `min_score`, `limit` and `class_agnostic`."""
    recording = kept.recording
    rules = recording.rules
    changed = what_if(
        recording,
        nms_iou=bounded(request.get("nms_iou"), 0, 1, rules.nms_iou),
        min_score=bounded(request.get("min_score"), 0, 1, rules.min_score),
        limit=round(bounded(request.get("limit"), 1, 1000, rules.limit)),
        class_agnostic=request.get("class_agnostic") is True,
    )
    found, before = changed.detections, recording.detections
    threshold = bounded(request.get("threshold"), 0, 1, kept.spec.default_threshold)
    shown = found.scores >= threshold - _SLACK
    gone = [index for index in changed.gone.tolist() if before.scores[index] >= threshold - _SLACK]
    return {
        "objects": [
            {"name": name, "score": score, "box": box, "new": new}
            for name, score, box, new in zip(
                found[shown].names,
                plain(found.scores[shown].tolist()),
                plain(found.boxes[shown].tolist()),
                changed.is_new[shown].tolist(),
                strict=True,
            )
        ],
        "gone": [
            {"name": before.names[index], "score": plain(before.scores[index]), "box": plain(kept.own[index].tolist())} for index in gone
        ],
        "before": int((before.scores >= threshold - _SLACK).sum()),
        "all": len(found),
    }


def show_stage(kept: KeptRecording, request: Mapping[str, Any]) -> Response:
    """The boxes of stage number `stage`; or an image: the network's input, or level number `level` of the "features" or "scores"."""
    recording = kept.recording
    found = stages(recording)
    index = _whole(request.get("stage"))
    if index is None or not 0 <= index < len(found):
        raise UnclearQuestionError("The model has no such stage.")
    stage = found[index]
    level = _whole(request.get("level")) or 0
    if not 0 <= level < len(recording.levels):
        raise UnclearQuestionError("The model has no such level.")
    image = request.get("image")
    if stage.name == "input":
        return {"image": image_url(Image.fromarray(recording.network_image))}
    if image in _MAPS:
        maps = recording.levels[level]
        heat = maps.energy if image == "features" else maps.heat
        return {"image": image_url(draw_level(recording, heat)), "highest": plain(heat.max()) if heat.size else 0.0}
    names = [recording.name(int(label)) for label in stage.labels[:_MAX_BOXES]] if stage.name in _WITH_CLASSES else []
    boxes, scores = stage.boxes[:_MAX_BOXES], stage.scores[:_MAX_BOXES]
    shown = {"boxes": np.round(boxes.astype(float), 1).tolist(), "scores": plain(scores.tolist()), "names": names}
    if index == len(found) - 1:
        threshold = bounded(request.get("threshold"), 0, 1, kept.spec.default_threshold)
        shown["above"] = int((stage.scores >= threshold - _SLACK).sum())
    return shown


def shown_object(kept: KeptRecording, request: Mapping[str, Any]) -> FoundObject:
    """The object number `object` of those that the visitor sees.

    Raises:
        QueryError: If there is none.
    """
    return FoundObject.of(kept.result.detections, _index(request.get("object")))


def _about_shown(kept: KeptRecording, target: FoundObject, threshold: float) -> Response:
    """Why there is an object that the visitor sees; or, if only a slice shows it, why the whole image does not, with its `slice_box`."""
    recording = kept.recording
    if kept.spec.slices is not None and recording.tile is None:
        absence = why_not_in_whole(recording, target, threshold)
        if absence is not None:
            return _why_not_values(absence, kept) | {"slice_box": plain(target.box)}
    number = number_in(recording, target.label, target.box)
    if number is None:
        raise UnclearQuestionError(NOT_RECORDED if recording.tile is None else _NOT_IN_SLICE)
    return _why_values(why(recording, number))


def _why_values(found: Why) -> Response:
    return {"why": plain(asdict(replace(found, scores={}))) | {"scores": [[name, plain(score)] for name, score in found.scores.items()]}}


def _why_not_values(found: WhyNot, kept: KeptRecording) -> Response:
    values = plain(asdict(found))
    names = kept.recording.spec.categories
    for place in values["places"]:
        for outcome in place["classes"]:
            if (suppressor := outcome["suppressor"]) is not None:
                number = number_in(kept.recording, names.index(suppressor["name"]), suppressor["box"])
                same = number is not None and bool(np.allclose(kept.own[number], suppressor["box"], atol=0.01))
                suppressor["number"] = number if same else None
    return {"why_not": values}


def image_url(image: Image.Image) -> str:
    """Returns an image as a URL that contains it."""
    return f"data:image/jpeg;base64,{base64.b64encode(encode_jpeg(image)).decode()}"


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


def _index(value: object) -> int:
    """A whole number; one that no object has if it is anything else."""
    whole = _whole(value)
    return -1 if whole is None else whole


def _numbers(value: object, count: int) -> tuple[float, ...] | None:
    """So many finite numbers; None if there are none.

    Raises:
        UnclearQuestionError: If it is something else.
    """
    if value is None:
        return None
    # Not a number is not below anything.
    if not isinstance(value, list) or len(value) != count or not all(type(each) in (int, float) and abs(each) < _FAR for each in value):
        raise UnclearQuestionError(f"Give {count} numbers.")
    return tuple(map(float, value))
