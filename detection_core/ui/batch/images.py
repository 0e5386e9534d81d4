"""Detection in one image of a batch: the browser sends the same request again until there is a result."""

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

from detection_core.engine import Engine, Job, Result
from detection_core.errors import UserError
from detection_core.images.reading import ImageError, encode_jpeg
from detection_core.models.weights import WeightsError
from detection_core.ui.batch.store import Batch, BatchExpiredError, BatchImage, BatchStore, RunningImage
from detection_core.ui.components.client_values import mapping_of, text_of
from detection_core.ui.components.export_choices import suiting_formats
from detection_core.ui.shared.progress import explain, status_of
from detection_core.ui.shared.uploads import image_name, read_upload, uploaded_path
from detection_core.visualization import object_colors, to_hex

# For each visitor: one is decoded while the other runs; more would only keep other visitors waiting.
_MAX_RUNNING = 2
# Short enough to show a download's progress, and for the timeout of any proxy.
_PATIENCE = 1.0
_POLL_SECONDS = 0.02
# Cards are up to 300 pixels wide, on screens with up to two pixels each.
_THUMBNAIL = 480
_LONGEST_ID = 64

Response = dict[str, Any]


async def detect_in_image(sent: object, engine: Engine, batches: BatchStore, limit: int) -> Response:
    """Detects objects in one image, or goes on waiting for them.

    Args:
        sent: What the browser sent: `batch`, the batch's name; `id`, the browser's own for the image; `path` of the upload; `name`.
        engine: Where detection runs.
        batches: Where results are kept.
        limit: How many images a batch may have.

    Returns:
        One of `result`, `error` (why this image has none), `unavailable` (why no image of this model has one), `status` (ask again), `busy`
        (ask again later), `cancelled`, and `expired` (the batch is no longer kept).
    """
    request = mapping_of(sent)
    try:
        batch = batches.find(request.get("batch"))
    except BatchExpiredError as error:
        return {"expired": str(error)}
    key = text_of(request.get("id"))[:_LONGEST_ID]
    try:
        image = batch.running.get(key) or await _begin(request, key, batch, engine, limit)
        if image is None or image.job is None:
            return {"busy": True}
        await _wait(image.job)
        if batch.running.get(key) is not image:
            return {"cancelled": True}
        if not image.job.future.done():
            return {"status": status_of(image.job.state, batch.spec.title).model_dump()}
        del batch.running[key]
        result = image.job.result(0)
        batches.keep(batch, key, BatchImage(image.path, image.name, result.detections, image.notes))
    except BatchExpiredError as error:
        return {"expired": str(error)}
    except CancelledError:
        return {"cancelled": True}
    except WeightsError as error:
        batch.running.pop(key, None)
        return {"unavailable": explain(error, batch.spec.key).model_dump()}
    except UserError as error:
        batch.running.pop(key, None)
        return {"error": str(error)}
    return {"result": _result(image, result)}


async def _begin(request: Mapping[str, Any], key: str, batch: Batch, engine: Engine, limit: int) -> RunningImage | None:
    """Submits an image; None if enough images are running, or if this one has been cancelled meanwhile."""
    if len(batch.running) >= _MAX_RUNNING:
        return None
    if len(batch.images.keys() - {key}) + len(batch.running) >= limit:
        raise ImageError(f"A batch may have at most {limit} images. Remove some of them first.")
    path = uploaded_file(request.get("path"))
    # It counts as running before it is decoded.
    image = batch.running[key] = RunningImage(path, image_name(request.get("name"), path))
    try:
        loaded = await to_thread.run_sync(read_upload, path)
        image.thumbnail = await to_thread.run_sync(_thumbnail, loaded.image)
    except BaseException:
        batch.running.pop(key, None)
        raise
    image.notes = loaded.notes
    if batch.running.get(key) is not image:
        return None
    image.job = engine.submit(loaded, batch.spec, visitor=batch.visitor)
    return image


async def _wait(job: Job) -> None:
    """Waits for a job, at most `_PATIENCE` seconds, without occupying one of the server's few threads."""
    deadline = time.monotonic() + _PATIENCE
    while not job.future.done() and time.monotonic() < deadline:
        await asyncio.sleep(_POLL_SECONDS)


def uploaded_file(path: object) -> Path:
    """The image's file that a browser says it has uploaded.

    Raises:
        ImageError: If it lies anywhere but where Gradio keeps uploads.
    """
    file = uploaded_path(path)
    if file is None:
        raise ImageError("The image is no longer on the server. Choose it again.")
    return file


def _result(image: RunningImage, result: Result) -> Response:
    found = result.detections
    boxes = found.boxes.astype(float).round(1).tolist()
    colors = object_colors(found, "auto")
    return {
        "name": image.name,
        "width": found.image_size[1],
        "height": found.image_size[0],
        "thumbnail": image.thumbnail,
        "notes": list(image.notes),
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
