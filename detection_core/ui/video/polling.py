"""How far the work on a clip is: the browser asks again and again until it is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from detection_core.ui.video.jobs import ClipJobState
from detection_core.ui.video.work import Clip, ClipExpiredError, ClipStore

# Short enough for any proxy on the way.
_PATIENCE = 1.0
_GLANCE = 0.05
# More often nobody reads it.
_PACE = 0.2

Answer = dict[str, Any]


async def watch_clip(sent: object, clips: ClipStore) -> Answer:
    """How far the work on a clip is; waits for news, but not for long, and without holding one of the server's few threads.

    Args:
        sent: What the browser sent: `clip`, and `seen`, what it was told last.
        clips: Where clips are kept.

    Returns:
        `stage` and what goes with it; `error` where the work failed; or `expired`: the clip is no longer kept.
    """
    asked = sent if isinstance(sent, Mapping) else {}
    clip = named_clip(clips, asked)
    if clip is None or clip.job is None:
        return {"expired": str(ClipExpiredError())}
    deadline = time.monotonic() + _PATIENCE
    await asyncio.sleep(0 if clip.job.state.is_over else _PACE)
    while (news := told(clip.job.state)) == asked.get("seen") and time.monotonic() < deadline:
        await asyncio.sleep(_GLANCE)
    return news


def named_clip(clips: ClipStore, sent: object) -> Clip | None:
    """The clip that a browser names, if there is one."""
    try:
        return clips.find(sent.get("clip") if isinstance(sent, Mapping) else None)
    except ClipExpiredError:
        return None


def told(state: ClipJobState) -> Answer:
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
