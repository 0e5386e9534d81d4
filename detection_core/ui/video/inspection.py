"""Facts about a video before detection: its header, its first frame, and how long a model takes for a frame."""

from __future__ import annotations

import asyncio
import base64
from concurrent.futures import CancelledError
from typing import Any

from anyio import to_thread
from PIL import Image

from detection_core.engine import Engine
from detection_core.errors import UserError
from detection_core.images.reading import encode_jpeg, read_image
from detection_core.models.catalog import get_model_spec
from detection_core.models.model_key import state_of
from detection_core.models.spec import ModelSpec
from detection_core.ui.components.client_values import mapping_of, text_of
from detection_core.ui.shared.uploads import uploaded_path
from detection_core.ui.video.frame_times import FrameTimes
from detection_core.video.io import VideoError, VideoFile, VideoLimits, open_video

_POSTER = 960
_POLL_SECONDS = 0.05
# Reading, drawing and writing run in parallel with the network, but take some of its time.
_OVERHEAD = 1.15

Response = dict[str, Any]


def uploaded_video(path: object, limits: VideoLimits) -> VideoFile:
    """The video that a browser has uploaded.

    Raises:
        VideoError: If it is outside Gradio's upload folder, or cannot be used.
    """
    file = uploaded_path(path)
    if file is None:
        raise VideoError("The video is no longer on the server. Choose it again.")
    return open_video(file, limits)


async def inspect_video(sent: object, limits: VideoLimits) -> Response:
    """Reads a video's header and its first frame.

    Args:
        sent: What the browser sent: `path` of the upload.
        limits: Which videos are accepted.

    Returns:
        `facts`, or `error`: why the video cannot be used.
    """
    try:
        return {"facts": await to_thread.run_sync(_facts, mapping_of(sent).get("path"), limits)}
    except VideoError as error:
        return {"error": str(error)}


async def time_model(sent: object, engine: Engine, times: FrameTimes, limits: VideoLimits) -> Response:
    """How long a model takes for a frame of a video, from earlier videos or by running it on the first frame.

    Args:
        sent: What the browser sent: `path` of the upload and `model`.
        engine: Where detection runs.
        times: Times of earlier videos.
        limits: Which videos are accepted.

    Returns:
        `seconds`, or nothing if the model must be downloaded first, or fails: errors are shown when the visitor starts detection.
    """
    request = mapping_of(sent)
    key = text_of(request.get("model"))
    try:
        spec = get_model_spec(key)
        video = await to_thread.run_sync(uploaded_video, request.get("path"), limits)
        known = times.get(spec, video.size)
        if known is None and state_of(spec.key, engine.model_states()) in ("in memory", "on disk"):
            known = await _measure(engine, spec, await to_thread.run_sync(_first_frame, video))
            times.put(spec, video.size, known)
    except (UserError, CancelledError):
        return {}
    return {} if known is None else {"seconds": known}


async def _measure(engine: Engine, spec: ModelSpec, image: Image.Image) -> float:
    loaded = await to_thread.run_sync(read_image, image)
    for _ in range(2):
        job = engine.submit(loaded, spec, visitor="timing", keep=False)
        while not job.future.done():
            await asyncio.sleep(_POLL_SECONDS)
        result = job.result(0)
        # A network's first run is slow, and would mislead.
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
