"""Batches of images on the server: their model, which of them are being processed, and their results."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detection_core.detections import Detections
from detection_core.engine import Job
from detection_core.errors import UserError
from detection_core.models.spec import ModelSpec
from detection_core.ui.shared.visitor_store import VisitorStore, new_token

_MAX_BATCHES = 1000
# 100 objects with masks take 0.3 MB: as much as 1,600 crowded images, or 50,000 with three objects each.
_MAX_BYTES = 512 * 2**20


class BatchExpiredError(UserError):
    """The batch is no longer kept; the message is for people."""

    def __init__(self) -> None:
        super().__init__("These results are no longer kept on the server. Press Detect to process the images again.")


class BatchFullError(UserError):
    """There is no room for a result; the message is for people."""


@dataclass(frozen=True, eq=False)
class BatchImage:
    """One image with its result.

    Attributes:
        path: The uploaded file.
        name: What the visitor calls it; may have folders before it.
        detections: All detections down to the model's minimum score.
        notes: Notes for the user about the image.
    """

    path: Path
    name: str
    detections: Detections
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class RunningImage:
    """An image in which objects are being detected.

    Attributes:
        path: The uploaded file.
        name: What the visitor calls it.
        job: Its job in the engine; None while the image is decoded.
        thumbnail: A small version as a data URL.
        notes: Remarks on the image.
    """

    path: Path
    name: str
    job: Job | None = None
    thumbnail: str = ""
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class Batch:
    """One visitor's images and the model that detects objects in them.

    Attributes:
        visitor: The visitor who sent the images.
        spec: The model.
        token: Its name, which cannot be guessed: whoever knows it may see the results.
        running: Images in which objects are being detected, by the browser's ids.
        images: Images with results, likewise.
    """

    visitor: str
    spec: ModelSpec
    token: str = field(default_factory=new_token)
    running: dict[str, RunningImage] = field(default_factory=dict)
    images: dict[str, BatchImage] = field(default_factory=dict)

    def cancel(self, *keys: str) -> None:
        """Cancels detection in the images of these ids, or in all of them; results stay."""
        for key in keys or list(self.running):
            image = self.running.pop(key, None)
            if image is not None and image.job is not None:
                image.job.cancel()


class BatchStore(VisitorStore[Batch]):
    """Keeps batches in memory, where results are a hundredth of their images and need no cleaning up when the process ends.

    Args:
        max_bytes: How large all results may be together; the least recently used batches are evicted for a new result.
        capacity: How many batches are kept. Empty ones take memory, too.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES, capacity: int = _MAX_BATCHES) -> None:
        super().__init__(BatchExpiredError, capacity)
        self._max_bytes = max_bytes
        self._bytes = 0

    def begin(self, visitor: str, spec: ModelSpec, token: str = "") -> Batch:
        """The visitor's batch of that token if it has the same model, otherwise a new one in its place."""
        with self._lock:
            old = self.get(token)
            if old is not None and old.visitor == visitor:
                if old.spec.identity == spec.identity:
                    return old
                self.remove(old.token)
            batch = Batch(visitor, spec)
            self.put(batch, token=batch.token, visitor=visitor)
            return batch

    def keep(self, batch: Batch, key: str, image: BatchImage) -> None:
        """Keeps an image's result, in place of an earlier one.

        Raises:
            BatchExpiredError: If the batch is no longer kept.
            BatchFullError: If the batch alone would be too large.
        """
        with self._lock:
            # Makes it the most recently used one, which is never evicted here.
            self.find(batch.token)
            self.forget(batch, [key])
            size = _bytes_of(image)
            while self._bytes + size > self._max_bytes and len(self._entries) > 1:
                self.remove(next(iter(self._entries)), evicted=True)
            if self._bytes + size > self._max_bytes:
                raise BatchFullError("The server has no room for this result. Remove some of the images and try again.")
            batch.images[key] = image
            self._bytes += size

    def forget(self, batch: Batch, keys: list[str]) -> None:
        """Removes images' results and cancels detection in those images; unknown keys are ignored."""
        with self._lock:
            for key in keys:
                batch.cancel(key)
                if (image := batch.images.pop(key, None)) is not None:
                    self._bytes -= _bytes_of(image)

    def _on_removed(self, entry: Batch, *, evicted: bool) -> None:
        self.forget(entry, list(entry.images))
        entry.cancel()


def _bytes_of(image: BatchImage) -> int:
    found = image.detections
    arrays = (found.boxes, found.labels, found.scores, found.masks, found.keypoints, found.keypoint_scores)
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
