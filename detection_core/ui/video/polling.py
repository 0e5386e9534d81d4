"""How far the work on a video is: the browser asks again and again until it is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from detection_core.ui.video.jobs import VideoJobState
from detection_core.ui.video.work import VideoExpiredError, VideoStore, VisitorVideo

# Short enough for any proxy on the way.
_PATIENCE = 1.0
_GLANCE = 0.05
# More often nobody reads it.
_PACE = 0.2

Answer = dict[str, Any]


async def watch_video(sent: object, videos: VideoStore) -> Answer:
    """How far the work on a video is; waits for news, but not for long, and without holding one of the server's few threads.

    Args:
        sent: What the browser sent: `video`, and `seen`, what it was told last.
        videos: Where videos are kept.

    Returns:
        `stage` and what goes with it; `error` where the work failed; or `expired`: the video is no longer kept.
    """
    asked = sent if isinstance(sent, Mapping) else {}
    video = named_video(videos, asked)
    if video is None or video.job is None:
        return {"expired": str(VideoExpiredError())}
    deadline = time.monotonic() + _PATIENCE
    await asyncio.sleep(0 if video.job.state.is_over else _PACE)
    while (news := told(video.job.state)) == asked.get("seen") and time.monotonic() < deadline:
        await asyncio.sleep(_GLANCE)
    return news


def named_video(videos: VideoStore, sent: object) -> VisitorVideo | None:
    """The video that a browser names, if there is one."""
    try:
        return videos.find(sent.get("video") if isinstance(sent, Mapping) else None)
    except VideoExpiredError:
        return None


def told(state: VideoJobState) -> Answer:
    """How far a job is, as plain types."""
    progress = state.progress
    return {
        "stage": state.stage,
        "ahead": state.ahead,
        "status": None if state.status is None else state.status.model_dump(),
        "progress": None
        if progress is None
        else {
            "done": progress.frames_done,
            "total": progress.frames_total,
            "fps": round(progress.fps, 2),
            "left": None if progress.seconds_left is None else round(progress.seconds_left, 1),
        },
        "error": None if state.error is None else str(state.error),
    }
