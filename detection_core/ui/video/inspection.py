"""What is told of a video before a model looks at it: what its file says, its first frame, and how long a model takes for that."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any

from anyio import to_thread
from PIL import Image

from detection_core.engine import Engine
from detection_core.errors import UserError
from detection_core.images.reading import encode_jpeg, read_image
from detection_core.models.catalog import get_model_spec
from detection_core.models.spec import ModelSpec
from detection_core.ui.shared.uploads import uploaded_path
from detection_core.ui.video.frame_times import FrameTimes
from detection_core.video.io import VideoError, VideoFile, VideoLimits, open_video

_POSTER = 960
_GLANCE = 0.05
# Reading, drawing and writing go on beside the network, but not for nothing.
_OVERHEAD = 1.15

Answer = dict[str, Any]


def uploaded_video(path: object, limits: VideoLimits) -> VideoFile:
    """The video that a browser says it has uploaded.

    Raises:
        VideoError: If it lies anywhere but where Gradio keeps uploads, or cannot be used.
    """
    file = uploaded_path(path)
    if file is None:
        raise VideoError("The video is no longer on the server. Choose it again.")
    return open_video(file, limits)


async def inspect_video(sent: object, limits: VideoLimits) -> Answer:
    """Reads a video's header and its first frame.

    Args:
        sent: What the browser sent: `path` of the upload.
        limits: Which videos are accepted.

    Returns:
        `facts`, or `error`: why the video cannot be used.
    """
    asked = sent if isinstance(sent, Mapping) else {}
    try:
        return {"facts": await to_thread.run_sync(_facts, asked.get("path"), limits)}
    except VideoError as error:
        return {"error": str(error)}


async def time_model(sent: object, engine: Engine, times: FrameTimes, limits: VideoLimits) -> Answer:
    """How long a model takes for a frame of a video, from earlier videos or by trying it on the first frame.

    Args:
        sent: What the browser sent: `path` of the upload and `model`.
        engine: Where it is tried.
        times: What is known.
        limits: Which videos are accepted.

    Returns:
        `seconds`, or nothing: if the model must be downloaded first, or anything goes wrong. That is told when the model looks.
    """
    asked = sent if isinstance(sent, Mapping) else {}
    key = asked.get("model")
    try:
        spec = get_model_spec(key if isinstance(key, str) else "")
        video = await to_thread.run_sync(uploaded_video, asked.get("path"), limits)
        known = times.get(spec, video.size)
        if known is None and engine.model_states().get(spec.key) != "to download":
            known = await _try(engine, spec, await to_thread.run_sync(_first_frame, video))
            times.put(spec, video.size, known)
    except (UserError, CancelledError):
        return {}
    return {} if known is None else {"seconds": known}


async def _try(engine: Engine, spec: ModelSpec, image: Image.Image) -> float:
    loaded = await to_thread.run_sync(read_image, image)
    for _ in range(2):
        job = engine.submit(loaded, spec, visitor="timing", keep=False)
        while not job.future.done():
            await asyncio.sleep(_GLANCE)
        result = job.result(0)
        # The first pass through a network is slow, and its timing would mislead.
        if not result.first_run:
            break
    return (result.timings.network + result.timings.post) * _OVERHEAD


def _facts(path: object, limits: VideoLimits) -> dict[str, Any]:
    video = uploaded_video(path, limits)
    width, height = video.size
    return {
        "width": width,
        "height": height,
        "seconds": video.duration,
        "fps": video.fps,
        "frames": video.frame_count,
        "sound": video.has_audio,
        "codec": video.codec,
        "notes": list(video.notes),
        "poster": _poster(_first_frame(video)),
    }


def _first_frame(video: VideoFile) -> Image.Image:
    frames = video.frames()
    try:
        return Image.fromarray(next(frames).image)
    except StopIteration:
        raise VideoError("No frame of the video can be decoded. Download or export it again.") from None


def _poster(frame: Image.Image) -> str:
    """The frame as a data URL, for browsers that cannot play the file."""
    factor = min(1, _POSTER / max(frame.size))
    size = (max(1, round(frame.width * factor)), max(1, round(frame.height * factor)))
    small = frame.resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(small, 80)).decode("ascii")
