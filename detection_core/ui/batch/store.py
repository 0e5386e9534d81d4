"""What the server keeps of many images: which model looks at them, which it looks at now, and what it found."""

from __future__ import annotations

import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from detection_core.detections import Detections
from detection_core.engine import Job
from detection_core.models.spec import ModelSpec

MAX_BATCH = "DETECTION_EXPLORER_MAX_BATCH"
_DEFAULT_IMAGES = 200
# Empty ones take memory, too.
_MAX_BATCHES = 1000
# 100 objects with masks take 0.3 MB: as much as 1,600 crowded images, or 50,000 with three objects each.
_MAX_BYTES = 512 * 2**20


def most_images(environ: Mapping[str, str] = os.environ) -> int:
    """How many images a visitor may give at a time: 200, or what DETECTION_EXPLORER_MAX_BATCH says.

    Raises:
        ValueError: If the variable is not a positive whole number.
    """
    text = environ.get(MAX_BATCH, "").strip()
    if not text:
        return _DEFAULT_IMAGES
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{MAX_BATCH} must be a positive whole number such as 200, got {text!r}")
    return int(text)


class BatchExpiredError(LookupError):
    """The batch is no longer kept; the message is for people."""

    def __init__(self) -> None:
        super().__init__("These results are no longer kept on the server. Press Detect to look at the images again.")


class BatchFullError(RuntimeError):
    """There is no room for a result; the message is for people."""


@dataclass(frozen=True, eq=False)
class BatchImage:
    """One image that has been looked at.

    Attributes:
        path: The uploaded file.
        name: What the visitor calls it; may have folders before it.
        detections: Everything down to the floor score.
        notes: Remarks on the image.
    """

    path: Path
    name: str
    detections: Detections
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class Look:
    """An image that is being looked at.

    Attributes:
        job: Its way through the engine; None while it is decoded.
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
    """One visitor's images and the model that looks at them.

    Attributes:
        visitor: Whose it is.
        spec: The model.
        token: Its name, which nobody can guess: whoever knows it may see the results.
        looks: What is being looked at, by the browser's ids.
        images: What has been looked at, likewise.
    """

    visitor: str
    spec: ModelSpec
    token: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    looks: dict[str, Look] = field(default_factory=dict)
    images: dict[str, BatchImage] = field(default_factory=dict)

    def give_up(self, *keys: str) -> None:
        """Ends what is being looked at, all of it or the images of these ids; results stay."""
        for key in keys or list(self.looks):
            look = self.looks.pop(key, None)
            if look is not None and look.job is not None:
                look.job.cancel()


class BatchStore:
    """Keeps batches in memory, where results are a hundredth of their images and need no cleaning up when the process ends.

    Args:
        max_bytes: How large all results may be together; for a new one, the batches not used for longest go first, as they do where
            there are more than a thousand.
    """

    def __init__(self, max_bytes: int = _MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._lock = threading.RLock()

    def begin(self, visitor: str, spec: ModelSpec, token: str = "") -> Batch:
        """The visitor's batch of that name if the same model looks at it, else a new one in its place."""
        with self._lock:
            old = self._batches.get(token)
            if old is not None and old.visitor == visitor:
                if old.spec.identity == spec.identity:
                    return self.find(token)
                self._drop(old)
            batch = Batch(visitor, spec)
            self._batches[batch.token] = batch
            while len(self._batches) > _MAX_BATCHES:
                self._drop(next(iter(self._batches.values())))
            return batch

    def find(self, token: str) -> Batch:
        """Finds a batch by its name.

        Raises:
            BatchExpiredError: If there is none, or no longer.
        """
        with self._lock:
            if token not in self._batches:
                raise BatchExpiredError
            self._batches.move_to_end(token)
            return self._batches[token]

    def keep(self, batch: Batch, key: str, image: BatchImage) -> None:
        """Keeps an image's result, in place of an earlier one.

        Raises:
            BatchExpiredError: If the batch is no longer kept.
            BatchFullError: If the batch alone would be too large.
        """
        with self._lock:
            self.find(batch.token)
            self.forget(batch, [key])
            size = _bytes_of(image)
            while self._bytes + size > self._max_bytes and len(self._batches) > 1:
                self._drop(next(iter(self._batches.values())))
            if self._bytes + size > self._max_bytes:
                raise BatchFullError("The server has no room for this result. Take some of the images away and try again.")
            batch.images[key] = image
            self._bytes += size

    def forget(self, batch: Batch, keys: list[str]) -> None:
        """Lets go of images' results, and of looks at them that are under way; those that are not known are ignored."""
        with self._lock:
            for key in keys:
                batch.give_up(key)
                if (image := batch.images.pop(key, None)) is not None:
                    self._bytes -= _bytes_of(image)

    def leave(self, visitor: str) -> None:
        """Lets go of everything of a visitor who has gone."""
        with self._lock:
            for batch in [batch for batch in self._batches.values() if batch.visitor == visitor]:
                self._drop(batch)

    def _drop(self, batch: Batch) -> None:
        self._batches.pop(batch.token)
        self.forget(batch, list(batch.images))
        batch.give_up()


def _bytes_of(image: BatchImage) -> int:
    found = image.detections
    arrays = (found.boxes, found.labels, found.scores, found.masks, found.keypoints, found.keypoint_scores)
    return sum(array.nbytes for array in arrays if isinstance(array, np.ndarray))
