"""Detection in one frame of a live stream, as the browser sends it: nothing of it is stored."""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
from anyio import to_thread

from detection_core.detections import Detections
from detection_core.detections.tracking import LOW_SCORE, TrackedDetections
from detection_core.engine import Engine, EngineBusyError, Job, Result, Stage
from detection_core.errors import UserError
from detection_core.images.limits import ImageLimits
from detection_core.images.reading import ImageError, LoadedImage, read_image
from detection_core.models.families import Task
from detection_core.ui.components.client_values import bounded, mapping_of, text_of
from detection_core.ui.components.messages import view_objects
from detection_core.ui.live.streams import LiveFrame, LiveStream, LiveStreams, StreamEndedError
from detection_core.ui.shared.progress import explain, status_of
from detection_core.visualization import identity_colors, to_hex

MAX_FRAME_BYTES = 1_000_000
_FRAME = ImageLimits(max_pixels=2_100_000, max_side=1920)
_JPEG_BEGINS = b"\xff\xd8\xff"
# One is in the network while the next is on its way.
_MAX_RUNNING = 2
# Seconds: short enough to show a download's progress; once the model runs, as long as browsers wait for a response.
_PATIENCE = 1.0
_LONG_PATIENCE = 10.0
# Objects whose scores are below this share of the threshold are not sent: the slider will hardly get there before the next frame.
_SHARE_SENT = 1 / 3
_MOST_OBJECTS = 60
# Layers that a visitor may switch off; the model then need not compute them.
_OPTIONAL_TASKS: tuple[Task, ...] = ("masks", "keypoints")
# A new object is shown once it is in two frames, unless frames are further apart than this, in seconds.
_SLOW = 0.25

Response = dict[str, Any]


async def detect_in_frame(sent: object, engine: Engine, streams: LiveStreams) -> Response:
    """Detects objects in one frame, or goes on waiting for them.

    Args:
        sent: What the browser sent: `stream`, the stream's name; `id`, the frame's number; `image`, a JPEG in base64, or nothing where the
            browser asks for the same frame again; `time` of its capture, in milliseconds by the browser's clock; `threshold`; `stable`,
            whether objects are tracked from frame to frame; `tasks`, a list of what is wanted besides boxes: "masks", "keypoints".
        engine: Where detection runs.
        streams: All streams.

    Returns:
        One of `result`, `status` (ask again for the same frame), `busy` (come again later with another), `dropped` (too many at a time, or
        overtaken), `refused` (this is not a frame), `error` (the model has failed) and `expired` (the stream is over).
    """
    request = mapping_of(sent)
    try:
        stream = streams.find(request.get("stream"))
        place = streams.place(stream)
        if place:
            return {"busy": f"The camera view is busy. You are number {place} in the queue."}
        return await _detect(request, stream, engine, len(streams))
    except StreamEndedError as error:
        return {"expired": str(error)}
    except CancelledError:
        return {"dropped": True}
    except ImageError as error:
        return {"refused": str(error)}
    except EngineBusyError as error:
        return {"busy": str(error)}
    except UserError as error:
        return {"error": explain(error, stream.spec.key).model_dump()}


async def _detect(request: Mapping[str, Any], stream: LiveStream, engine: Engine, streams: int) -> Response:
    number = int(bounded(request.get("id"), 0, 1e15, 0))
    frame = stream.frames.get(number)
    if frame is None:
        if "image" not in request or len(stream.frames) >= _MAX_RUNNING:
            return {"dropped": True}
        frame = stream.frames[number] = LiveFrame(
            time_s=bounded(request.get("time"), 0, 1e15, 0) / 1000,
            threshold=bounded(request.get("threshold"), 0, 1, stream.spec.video_threshold),
            stable=request.get("stable") is not False,
            tasks=_tasks(request.get("tasks")),
        )
        try:
            await _submit(request["image"], frame, stream, engine)
        except BaseException:
            stream.frames.pop(number, None)
            raise
    if frame.job is None:
        # The browser has asked for it again before it was decoded.
        return {"dropped": True}
    await _wait(frame.job, stream)
    if not frame.job.future.done():
        return {"status": status_of(frame.job.state, stream.spec.title).model_dump()}
    if stream.frames.pop(number, None) is None:
        return {"dropped": True}
    result = frame.job.result(0)
    response = await to_thread.run_sync(frame_response, result, frame, stream)
    if response is None:
        return {"dropped": True}
    room = streams == 1 and engine.jobs_of_others(stream.visitor) == 0
    return {"result": response | {"id": number, "room": room}}


async def _submit(image: object, frame: LiveFrame, stream: LiveStream, engine: Engine) -> None:
    started = time.perf_counter()
    loaded = await to_thread.run_sync(read_frame, image)
    frame.decode_s = time.perf_counter() - started
    frame.job = engine.submit(loaded, stream.spec, visitor=stream.visitor, keep=False, tasks=frame.tasks)


def _tasks(sent: object) -> frozenset[Task] | None:
    """The tasks that the visitor wants besides boxes; None for all of them if a browser sends no list."""
    return frozenset(task for task in _OPTIONAL_TASKS if task in sent) if isinstance(sent, list) else None


def read_frame(image: object) -> LoadedImage:
    """Reads a frame.

    Args:
        image: What the browser sent: a JPEG in base64.

    Raises:
        ImageError: If it is something else, or too large.
    """
    text = text_of(image)
    if len(text) > 4 * math.ceil(MAX_FRAME_BYTES / 3):
        raise ImageError(f"A frame may have at most {MAX_FRAME_BYTES / 1e6:.0f} MB.")
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as error:  # Also for letters beyond ASCII.
        raise ImageError("A frame must be a JPEG file in base64.") from error
    if not data.startswith(_JPEG_BEGINS):
        raise ImageError("A frame must be a JPEG file in base64.")
    return read_image(data, limits=_FRAME)


async def _wait(job: Job, stream: LiveStream) -> None:
    """Waits for a job without occupying one of the server's few threads."""
    done = asyncio.wrap_future(job.future)
    # Otherwise asyncio logs that the error was never retrieved.
    done.add_done_callback(lambda future: future.cancelled() or future.exception())
    waited = 0.0
    while not done.done() and waited < (_LONG_PATIENCE if stream.has_answered and job.state.stage is Stage.RUN else _PATIENCE):
        # The end of the wait does not cancel the job.
        await asyncio.wait([done], timeout=_PATIENCE)
        waited += _PATIENCE


def frame_response(result: Result, frame: LiveFrame, stream: LiveStream) -> Response | None:
    """A frame's objects with their tracks, as plain types; None if a later frame has overtaken it."""
    started = time.perf_counter()
    with stream.lock:
        if frame.time_s <= stream.time_s:
            return None
        tracker = stream.tracker
        tracker.min_hits = 1 if frame.time_s - stream.time_s > _SLOW else 2
        tracker.high_score, tracker.low_score = frame.threshold, min(frame.threshold, LOW_SCORE)
        stream.time_s, stream.has_answered = frame.time_s, True
        if not frame.stable:
            tracker.reset()
        tracked = tracker.update(result.detections, frame.time_s) if frame.stable else None
        counts = tracker.counts()
    objects = _objects(result.detections, tracked, frame.threshold)
    timings = result.timings
    steps = {"decode": frame.decode_s, "wait": timings.wait, "network": timings.network, "post": timings.post}
    return {
        "time": 1000 * frame.time_s,
        "threshold": frame.threshold,
        "width": result.detections.image_size[1],
        "height": result.detections.image_size[0],
        "objects": objects,
        "in_view": counts.in_view,
        "total": counts.total,
        "ms": {name: round(1000 * seconds, 1) for name, seconds in (steps | {"track": time.perf_counter() - started}).items()},
    }


def _objects(found: Detections, tracked: TrackedDetections | None, threshold: float) -> list[Response]:
    """The tracked objects with their identity, color and velocity, then others that the slider may want to show."""
    tracked_indices = () if tracked is None else tracked.indices
    others = np.setdiff1d(np.flatnonzero(found.scores >= _SHARE_SENT * threshold), tracked_indices)[:_MOST_OBJECTS]
    objects: list[Response] = []
    if tracked is not None:
        colors = identity_colors(tracked.ids)
        for index, view_object in enumerate(view_objects(tracked.detections, "auto")):
            velocity = tracked.velocities[index].astype(float).round(1).tolist()
            objects.append(
                view_object.model_dump() | {"track": int(tracked.ids[index]), "velocity": velocity, "color": to_hex(colors[index])}
            )
    return objects + [view_object.model_dump() | {"track": 0, "velocity": [0, 0]} for view_object in view_objects(found[others], "auto")]
