"""A job's status, its timings and its errors, in words for the page."""

from __future__ import annotations

from detection_core.engine import JobState, Result, Stage
from detection_core.errors import UserError
from detection_core.images.reading import ImageError
from detection_core.models.catalog import UnknownModelError
from detection_core.models.model_key import VariantError
from detection_core.models.weights import WeightsError
from detection_core.ui.components.messages import ViewError, ViewStatus

CANCELLED = "Cancelled. What has been downloaded so far is kept."


def status_of(state: JobState, title: str) -> ViewStatus:
    """The status of a job of the model with this title."""
    match state.stage:
        case Stage.DOWNLOAD:
            size = f" of {state.total / 1e6:.0f} MB" if state.total else ""
            text = f"Downloading {title}: {state.done / 1e6:.0f}{size}"
            return ViewStatus(stage="download", text=text, done=state.done, total=state.total)
        case Stage.QUEUE if state.done:
            return ViewStatus(stage="queue", text=f"{state.done} ahead of you")
        case Stage.QUEUE:
            return ViewStatus(stage="queue", text="Next in line")
        case Stage.RUN if state.total is not None and state.total > 1:
            # The first of them is the whole image.
            where = f"in slice {state.done} of {state.total - 1}" if state.done else "in the whole image"
            return ViewStatus(stage="run", text=f"{title} is running {where}", done=state.done, total=state.total)
        case Stage.RUN:
            return ViewStatus(stage="run", text=f"{title} is running")
        case _:
            return ViewStatus(stage="load", text=f"Loading {title}")


def milliseconds(result: Result, decoded: float) -> dict[str, float]:
    """How long each step took, in milliseconds by its name in words; steps that took no time are left out.

    Args:
        result: The engine's result.
        decoded: Seconds that reading the image took.
    """
    timings = result.timings
    network = "network (kept result)" if result.kept else "network"
    named = {"decode": decoded, "load": timings.load, "wait": timings.wait, network: timings.network, "post": timings.post}
    return {name: seconds * 1000 for name, seconds in named.items() if name == network or seconds >= 0.0005}


def explain(error: UserError, key: str) -> ViewError:
    """Why detection with the model of this key failed."""
    match error:
        case UnknownModelError():
            text = "Its file was removed, or is on another server. Put it here, or choose another model."
            return ViewError(title=f"There is no model “{key}” here", text=text)
        case VariantError():
            return ViewError(title="The model does not run like this", text=str(error))
        case ImageError():
            return ViewError(title="This image cannot be used", text=str(error))
        case WeightsError():
            return ViewError(title="The model is not available", text=str(error))
        case _:
            return ViewError(title="Detection failed", text=str(error))
