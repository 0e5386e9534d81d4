"""The progress of a video's job: the browser asks again and again until the job is over."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from detection_core.ui.components.client_values import mapping_of
from detection_core.ui.video.jobs import VideoJobState
from detection_core.ui.video.work import VideoExpiredError, VideoStore

# Short enough for the timeout of any proxy.
_PATIENCE = 1.0
_POLL_SECONDS = 0.05
# Figures that change more often cannot be read.
_MIN_WAIT = 0.2

Response = dict[str, Any]


async def job_progress(sent: object, videos: VideoStore) -> Response:
    """The progress of a video's job; waits up to a second for a change, without occupying one of the server's few threads.

    Args:
        sent: What the browser sent: `video`, and `seen`, the latest response.
        videos: Where videos are kept.

    Returns:
        `stage` and what goes with it; `error` if the job failed; or `expired`: the video is no longer kept.
    """
    request = mapping_of(sent)
    video = videos.get(request.get("video"))
    if video is None or video.job is None:
        return {"expired": str(VideoExpiredError())}
    deadline = time.monotonic() + _PATIENCE
    await asyncio.sleep(0 if video.job.state.is_over else _MIN_WAIT)
    while (response := _response(video.job.state)) == request.get("seen") and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
    return response


def _response(state: VideoJobState) -> Response:
    """A job's state as plain types."""
    progress = None
    if state.progress is not None:
        left = state.progress.seconds_left
        progress = {
            "done": state.progress.frames_done,
            "total": state.progress.frames_total,
            "fps": round(state.progress.fps, 2),
            "left": None if left is None else round(left, 1),
        }
    return {
        "stage": state.stage,
        "ahead": state.ahead,
        "status": None if state.status is None else state.status.model_dump(),
        "progress": progress,
        "error": None if state.error is None else str(state.error),
    }
