"""Runs one detector on many images and writes a record for each, so that a second run continues where the first one ended."""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image, PngImagePlugin

from detection_core.detections import Detections
from detection_core.errors import UserError
from detection_core.formats import (
    FORMATS,
    Format,
    ImageResult,
    Numbering,
    Provenance,
    annotated_png,
    export,
    from_json,
    number_images,
    to_json,
)
from detection_core.formats.target import Target
from detection_core.formats.thresholds import ModelThresholds
from detection_core.images.limits import ImageLimits
from detection_core.images.reading import LoadedImage, read_image
from detection_core.inputs import ANNOTATED, InputFile, free_stems, identity
from detection_core.models.download import sha256

RECORD = "_detections.json"
_DIGEST = "image_sha256"
# The setting in the provenance with the thresholds of single classes.
CLASS_THRESHOLDS = "class_thresholds"


@dataclass(frozen=True)
class Outcome:
    """The outcome for one image.

    Attributes:
        image: The image.
        found: The detections above the threshold; None if it failed.
        error: The error if it failed, or None.
        reused: Whether the result is from an earlier run, so that the model did not run.
        seconds: Time that it took.
        notes: Sentences for the user about the image, for example that its file is cut off.
    """

    image: InputFile
    found: Detections | None
    error: Exception | None
    reused: bool
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BatchStep:
    """Processes one image and writes its files; it can be sent to another process.

    Attributes:
        folder: The folder for results.
        provenance: Provenance of the results.
        overwrite: Whether to ignore existing records.
        annotate: Whether to write an annotated PNG beside each record.
        limits: Accepted sizes of images.
    """

    folder: Path
    provenance: Provenance
    overwrite: bool
    annotate: bool
    limits: ImageLimits

    def process(
        self, image: InputFile, stem: str, detect: Callable[[Image.Image], Detections], read: Callable[[], bytes] | None = None
    ) -> Outcome:
        """Processes an image unless that is done already.

        Args:
            image: The image.
            stem: The stem of its files.
            detect: Finds objects in an RGB image; those with scores below the provenance's thresholds are left out.
            read: Returns the content of the image's file if it is not a file at `image.path`.
        """
        started = time.perf_counter()
        try:
            found, notes, reused = self._do(image.path if read is None else read(), image, stem, detect)
        except (UserError, OSError, RuntimeError, MemoryError) as error:
            return Outcome(image, None, error, False, time.perf_counter() - started)
        return Outcome(image, found, None, reused, time.perf_counter() - started, notes)

    def _do(
        self, source: str | bytes, image: InputFile, stem: str, detect: Callable[[Image.Image], Detections]
    ) -> tuple[Detections, tuple[str, ...], bool]:
        if record := self._usable_record(source, image, stem):
            if self.annotate and not self._is_annotated(stem, record.provenance):
                self._draw(stem, read_image(source, limits=self.limits).image, record.found, record.provenance)
            return record.found, record.notes, True
        loaded = read_image(source, limits=self.limits)
        found = detect(loaded.image)
        found = ModelThresholds(self.provenance.threshold or 0, self.provenance.settings.get(CLASS_THRESHOLDS, {})).keep(found)
        self._keep(image, stem, loaded, found)
        return found, loaded.notes, False

    def _keep(self, image: InputFile, stem: str, loaded: LoadedImage, found: Detections) -> None:
        # The record is written first: after an interruption between the two files, the next run draws the missing image.
        data = to_json(found, file_name=image.name, provenance=self.provenance, notes=loaded.notes)
        record = {_DIGEST: loaded.digest, **data}
        Target(self.folder).write(f"{stem}{RECORD}", json.dumps(record).encode())
        if self.annotate:
            self._draw(stem, loaded.image, found, self.provenance)

    def _draw(self, stem: str, image: Image.Image, found: Detections, provenance: Provenance) -> None:
        Target(self.folder).write(f"{stem}{ANNOTATED}", annotated_png(image, found, provenance=provenance))

    def _usable_record(self, source: str | bytes, image: InputFile, stem: str) -> _Record | None:
        """Returns the record if it is for the same image and settings."""
        record = None if self.overwrite else _Record.read(self.folder / f"{stem}{RECORD}")
        if record is None or record.file_name != image.name or not record.provenance.same_run(self.provenance):
            return None
        digest = hashlib.sha256(source).hexdigest() if isinstance(source, bytes) else sha256(Path(source))
        return record if record.digest == digest else None

    def _is_annotated(self, stem: str, provenance: Provenance) -> bool:
        """Returns whether the annotated image shows the record: its provenance is the same, including the time of the run."""
        try:
            with PngImagePlugin.PngImageFile(self.folder / f"{stem}{ANNOTATED}") as png:
                return bool(json.loads(png.info["Settings"])["provenance"] == provenance.to_json())
        except (OSError, SyntaxError, ValueError, KeyError, TypeError):
            return False


class BatchRun:
    """Runs detection on many images, one in memory at a time, and writes the results to a folder.

    Each image's result is a JSON file with its provenance and the digest of the image file. It also records that the image
    is done: a later run reuses it if model, weights, settings and image are the same.

    Attributes:
        images: All images, in order.
        folder: The folder for results.

    Args:
        images: The images.
        folder: The folder for results. Existing files are replaced, except the images themselves: then a number is appended.
        provenance: Provenance of the results. Its `revision` should be the file's hash, because names of weights files recur.
        overwrite: Whether to ignore existing records and process all images again.
        annotate: Whether to write an annotated PNG beside each record.
        limits: Accepted sizes of images; None uses those of the environment.
    """

    def __init__(
        self,
        images: Sequence[InputFile],
        folder: Path,
        provenance: Provenance,
        *,
        overwrite: bool = False,
        annotate: bool = True,
        limits: ImageLimits | None = None,
    ) -> None:
        self.images = tuple(images)
        self.folder = folder
        self._step = BatchStep(folder, provenance, overwrite, annotate, limits or ImageLimits.from_environment())
        self._inputs = {found for image in images if (found := identity(Path(image.path)))}
        self._stems = free_stems(self.images, folder, self._inputs, (ANNOTATED, RECORD))
        self._done: set[str] = set()

    def run(self, detect: Callable[[Image.Image], Detections]) -> Iterator[Outcome]:
        """Processes one image after the other, and yields each outcome after its files are written.

        Args:
            detect: Finds objects in an RGB image; those with scores below the provenance's thresholds are left out.
        """
        return self.run_by(lambda step, images: (step.process(image, stem, detect) for image, stem in images))

    def run_by(self, process: Callable[[BatchStep, Iterator[tuple[InputFile, str]]], Iterator[Outcome]]) -> Iterator[Outcome]:
        """Has the images processed elsewhere, and yields each outcome as it comes.

        Args:
            process: Gets the step to carry out, and all images with the stems of their files; yields the outcomes in any order.
        """
        for outcome in process(self._step, ((image, self._stems[image]) for image in self.images)):
            if outcome.error is None:
                self._done.add(outcome.image.path)
            yield outcome

    def results(self, numbering: Numbering | None = None) -> Iterator[ImageResult]:
        """Yields the results of all images that this run has processed or reused, read from their records one at a time.

        Args:
            numbering: The ids of `images`, which do not depend on which of them are done; None leaves them out.
        """
        ids = [None] * len(self.images) if numbering is None else numbering.image_ids
        for source, image_id in zip(self.images, ids, strict=True):
            if source.path in self._done and (record := _Record.read(self.folder / f"{self._stems[source]}{RECORD}")):
                image = partial(self._image, source)
                facts: dict[str, Any] = {"stem": self._stems[source], "notes": record.notes, "image_id": image_id}
                yield ImageResult(source.name, record.found, record.provenance, image, **facts)

    def export(
        self,
        formats: Sequence[str],
        *,
        known: Mapping[str, Format] = FORMATS,
        numbering: Numbering | None = None,
        on_note: Callable[[str], object] = lambda note: None,
    ) -> list[str]:
        """Writes the results in other formats.

        Args:
            formats: Keys of `known`.
            known: The available formats.
            numbering: The ids of `images` and classes in COCO's formats; None numbers the images by their names, see `number_images`.
            on_note: Called with sentences for the user about the files, such as what the COCO results leave out.

        Returns:
            Names of the files, relative to the folder, with "/" between folders.

        Raises:
            ValueError: If a format is unknown, the model does not predict what it needs, or the numbering is of other images.
            OSError: If a file cannot be written.
        """
        numbering = numbering or number_images([image.name for image in self.images])
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=".") as name:
            how: dict[str, Any] = {"known": known, "numbering": numbering, "on_note": on_note}
            return [self._place(Path(name), file) for file in export(self.results(numbering), formats, Path(name), **how)]

    def _place(self, written_in: Path, name: str) -> str:
        """Moves a file to the results, under another name if it would replace an input image."""
        path = PurePosixPath(name)
        for free in itertools.chain([path], (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))):
            if identity(self.folder / free) not in self._inputs:
                break
        (self.folder / free).parent.mkdir(parents=True, exist_ok=True)
        (written_in / name).replace(self.folder / free)
        return str(free)

    def _image(self, source: InputFile) -> Image.Image:
        return read_image(source.path, limits=self._step.limits).image


@dataclass(frozen=True)
class _Record:
    """A result that was read from its file."""

    file_name: str
    digest: str
    found: Detections
    provenance: Provenance
    notes: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> _Record | None:
        """Reads a record; returns None if the file does not exist or is not a record."""
        try:
            data: Any = json.loads(path.read_bytes())
            notes = tuple(map(str, data.get("notes", ())))
            return cls(data["file_name"], data[_DIGEST], from_json(data), Provenance.from_json(data["provenance"]), notes)
        except (OSError, ValueError, KeyError, TypeError):
            return None
