"""Looking at one image of a batch: the browser asks again until there is an answer."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from anyio import to_thread
from PIL import Image

from detection_core.engine import Engine, EngineError, Job, Result
from detection_core.images.reading import ImageError, encode_jpeg
from detection_core.models.catalog import UnknownModelError
from detection_core.models.weights import WeightsError
from detection_core.ui.batch.store import Batch, BatchExpiredError, BatchFullError, BatchImage, BatchStore, Look
from detection_core.ui.components.client_values import text_of
from detection_core.ui.components.export_choices import suiting_formats
from detection_core.ui.shared.progress import status_of
from detection_core.ui.shared.uploads import image_name, read_upload, uploaded_path
from detection_core.visualization import object_colors, to_hex

# One is decoded while the other runs; more would only keep other visitors waiting.
_IN_FLIGHT = 2
# Short enough for a download's progress to be seen, and for any proxy on the way.
_PATIENCE = 1.0
_GLANCE = 0.02
# Cards are up to 300 pixels wide, on screens with up to two pixels each.
_THUMBNAIL = 480
_LONGEST_ID = 64

Answer = dict[str, Any]


async def look_at(sent: object, engine: Engine, batches: BatchStore, limit: int) -> Answer:
    """Looks at one image, or goes on with it.

    Args:
        sent: What the browser sent: `batch`, the batch's name; `id`, the browser's own for the image; `path` of the upload; `name`.
        engine: Where detection runs.
        batches: Where results are kept.
        limit: How many images a batch may have.

    Returns:
        One of `result`, `error` (why this image has none), `status` (ask again), `busy` (ask again later), `cancelled`, and `expired`
        (the batch is no longer kept).
    """
    asked = sent if isinstance(sent, Mapping) else {}
    try:
        batch = batches.find(text_of(asked.get("batch")))
    except BatchExpiredError as error:
        return {"expired": str(error)}
    key = text_of(asked.get("id"))[:_LONGEST_ID]
    try:
        look = batch.looks.get(key) or await _begin(asked, key, batch, engine, limit)
        if look is None or look.job is None:
            return {"busy": True}
        await _wait(look.job)
        if batch.looks.get(key) is not look:
            return {"cancelled": True}
        if not look.job.future.done():
            return {"status": status_of(look.job.state, batch.spec.title).model_dump()}
        del batch.looks[key]
        result = look.job.result(0)
        batches.keep(batch, key, BatchImage(look.path, look.name, result.detections, look.notes))
    except BatchExpiredError as error:
        return {"expired": str(error)}
    except CancelledError:
        return {"cancelled": True}
    except (UnknownModelError, ImageError, WeightsError, EngineError, BatchFullError) as error:
        batch.looks.pop(key, None)
        return {"error": str(error)}
    return {"result": _result(look, result)}


async def _begin(asked: Mapping[str, Any], key: str, batch: Batch, engine: Engine, limit: int) -> Look | None:
    """Submits an image; None if there are enough under way, or if it was given up meanwhile."""
    if len(batch.looks) >= _IN_FLIGHT:
        return None
    if len(batch.images.keys() - {key}) + len(batch.looks) >= limit:
        raise ImageError(f"At most {limit} images at a time. Take some away first.")
    path = uploaded_file(asked.get("path"))
    # The place is taken before the image is decoded.
    look = batch.looks[key] = Look(path, image_name(asked.get("name"), path))
    try:
        loaded = await to_thread.run_sync(read_upload, path)
        look.thumbnail = await to_thread.run_sync(_thumbnail, loaded.image)
    except BaseException:
        batch.looks.pop(key, None)
        raise
    look.notes = loaded.notes
    if batch.looks.get(key) is not look:
        return None
    look.job = engine.submit(loaded, batch.spec.key, visitor=batch.visitor)
    return look


async def _wait(job: Job) -> None:
    """Waits for a job, but not for long, and without holding one of the server's few threads."""
    deadline = time.monotonic() + _PATIENCE
    while not job.future.done() and time.monotonic() < deadline:
        await asyncio.sleep(_GLANCE)


def uploaded_file(path: object) -> Path:
    """The image's file that a browser says it has uploaded.

    Raises:
        ImageError: If it lies anywhere but where Gradio keeps uploads.
    """
    file = uploaded_path(path)
    if file is None:
        raise ImageError("The image is no longer on the server. Choose it again.")
    return file


def _result(look: Look, result: Result) -> Answer:
    found = result.detections
    boxes = found.boxes.astype(float).round(1).tolist()
    colors = object_colors(found, "auto")
    return {
        "name": look.name,
        "width": found.image_size[1],
        "height": found.image_size[0],
        "thumbnail": look.thumbnail,
        "notes": list(look.notes),
        "ms": round(1000 * (result.timings.network + result.timings.post)),
        "formats": suiting_formats(found),
        "objects": [
            {"class_id": int(found.labels[i]), "score": round(float(found.scores[i]), 6), "box": boxes[i], "color": to_hex(colors[i])}
            for i in range(len(found))
        ],
    }


def _thumbnail(image: Image.Image) -> str:
    factor = min(1, _THUMBNAIL / max(image.size))
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    small = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(small, 80)).decode("ascii")
