"""The part of the command `detect` that processes images, and numbers them for COCO's formats."""

from __future__ import annotations

import codecs
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from detection_core.cli.common import UsageError, duration, in_a_line, say

if TYPE_CHECKING:
    from detection_core.batch import BatchRun, Outcome
    from detection_core.formats import Numbering, Provenance
    from detection_core.images.limits import ImageLimits
    from detection_core.inputs import InputFile
    from detection_core.models.spec import ModelSpec

# Between two reports of how far an image in slices is.
_EVERY_SECONDS = 5.0
# Formats with one file per image.
_BESIDE_EACH = {"json", "png"}


def numbering_of(images: Sequence[InputFile], annotations: Path | None, spec: ModelSpec, formats: Sequence[str]) -> Numbering:
    """Returns the ids of images and classes in COCO's formats, and says in one line which they are if any of these is written.

    Args:
        images: The images.
        annotations: The user's annotation file, or None.
        spec: The model.
        formats: Keys of `formats.FORMATS`.

    Raises:
        UsageError: If no format has the ids of the annotation file.
        DataError: If that file cannot be used.
    """
    from detection_core.datasets.numbering import read_numbering
    from detection_core.formats import FORMATS, number_images
    from detection_core.storage.addresses import is_address

    is_numbered = any(FORMATS[name].numbered for name in formats)
    names = [image.name for image in images]
    if annotations is None:
        numbering = number_images(names)
    elif is_numbered:
        # Addresses in object storage have more to them than a path.
        paths = [image.name if is_address(image.path) else image.path for image in images]
        numbering = read_numbering(annotations, paths, spec.categories, names=names)
    else:
        raise UsageError("--annotations gives ids to the formats coco and coco-dataset: add --format coco.")
    if is_numbered and images:
        for line in (*numbering.notes, numbering.sentence(spec.categories, spec.category_ids)):
            say(line)
    return numbering


def detect_in_images(
    images: Sequence[InputFile],
    folder: Path,
    process: Callable[[BatchRun], Iterator[Outcome]],
    provenance: Provenance,
    formats: Sequence[str],
    numbering: Numbering,
    *,
    limits: ImageLimits,
    overwrite: bool,
    on_stdout: bool,
    raw_tables: bool = False,
    side_by_side: bool = False,
) -> bool:
    """Runs detection on all images, reports each outcome, and writes the results.

    Args:
        images: The images.
        folder: Folder for results; a temporary one if they are printed.
        process: Has the images processed, and yields the outcomes.
        provenance: Provenance of the results.
        formats: Keys of `formats.FORMATS`.
        numbering: The ids of images and classes in COCO's formats.
        limits: Accepted sizes of images.
        overwrite: Whether images that are already done are processed again.
        on_stdout: Whether results are printed.
        raw_tables: Whether CSV is written for programs instead of spreadsheets.
        side_by_side: Whether several images are processed at a time.

    Returns:
        Whether nothing failed.
    """
    from detection_core.batch import BatchRun

    batch = BatchRun(images, folder, provenance, overwrite=overwrite, annotate="png" in formats, limits=limits)
    report = _Report(len(images), side_by_side)
    try:
        for outcome in process(batch):
            report.add(outcome)
    finally:  # After an interruption, too: the results so far are not lost.
        report.finish(resumable=not on_stdout)
        complete = _finish(batch, formats, numbering, on_stdout=on_stdout, raw_tables=raw_tables)
    return complete and not report.failed


class SliceReport:
    """Reports on stderr how far an image in slices is, if it takes long; for `Detector.detect`."""

    def __init__(self) -> None:
        self._started = self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        """Reports the number of slices that are done, and the time that is left for the others of the image."""
        now = time.monotonic()
        if done == 1:
            # The whole image may take longer than a slice, or need the model's first run.
            self._started = self._last = now
        elif done < total and now - self._last >= _EVERY_SECONDS:
            self._last = now
            each = (now - self._started) / (done - 1)
            say(f"{done} of {total} slices, {duration(each * (total - done))} left")


class _Report:
    """Reports on stderr the outcome of each image, and the time that is left."""

    def __init__(self, total: int, side_by_side: bool) -> None:
        self._started = time.perf_counter() if side_by_side else None
        self.failed = 0
        self._total = total
        self._detected = 0
        self._reused = 0
        self._seconds = 0.0

    def add(self, outcome: Outcome) -> None:
        """Reports one image; reused results are only counted, because there may be thousands."""
        if outcome.reused:
            self._reused += 1
            return
        self.failed += outcome.error is not None
        self._detected += outcome.error is None
        number = self.failed + self._detected + self._reused
        prefix = f"[{number}/{self._total}] " if self._total > 1 else ""
        if outcome.error is not None:
            say(f"{prefix}{outcome.image.name}: {in_a_line(outcome.error)}")
        elif outcome.found is not None:
            self._seconds += outcome.seconds
            say(f"{prefix}{outcome.image.name}: {outcome.found.describe()} ({outcome.seconds:.2f} s{self._pace(number)})")
            for note in outcome.notes:
                say(f"{prefix}{outcome.image.name}: {note}")

    def _pace(self, number: int) -> str:
        if self._total == 1:
            return ""
        seconds = self._seconds if self._started is None else time.perf_counter() - self._started
        each = seconds / self._detected
        return f"; {1 / each:.1f} images/s, {duration(each * (self._total - number))} left"

    def finish(self, *, resumable: bool) -> None:
        """Reports a summary of all images."""
        left = self._total - self._detected - self._reused - self.failed
        if self._total > 1 or self._reused:
            parts = {"detected": self._detected, "done before (use --overwrite to repeat)": self._reused, "failed": self.failed}
            summary = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
            say(f"{self._total} image{'s'[: self._total > 1]}: {summary or 'none done'}.")
        if left and resumable:
            say(f"{left} left: run the same command again to continue.")


def _finish(batch: BatchRun, formats: Sequence[str], numbering: Numbering, *, on_stdout: bool, raw_tables: bool) -> bool:
    """Writes or prints the results that cover all images; returns False after reporting an error."""
    from detection_core.formats import FORMATS, raw_csv

    together = [name for name in formats if name not in _BESIDE_EACH]
    export = partial(batch.export, together, known=raw_csv(FORMATS) if raw_tables else FORMATS, numbering=numbering, on_note=say)
    try:
        if on_stdout and not together:
            _print_results(batch)
        elif on_stdout:
            _print_file(batch.folder, export())
        elif together:
            export()
    except OSError as error:
        say(f"The results cannot be written: {error.strerror}.")
        return False
    return True


def _print_file(folder: Path, names: Sequence[str]) -> None:
    from detection_core.formats.registry import PROVENANCE_FILE

    (name,) = (name for name in names if name != PROVENANCE_FILE)
    # In other encodings, a byte-order mark cannot be written or has no use.
    encoding = "utf-8" if codecs.lookup(sys.stdout.encoding or "ascii").name == "utf-8" else "utf-8-sig"
    with (folder / name).open(encoding=encoding, newline="") as file:
        shutil.copyfileobj(file, sys.stdout)


def _print_results(batch: BatchRun) -> None:
    """Prints the JSON of all images as one list, with only one of them in memory at a time."""
    from detection_core.formats import to_json

    separator = "["
    for result in batch.results():
        print(separator)
        data = to_json(result.detections, file_name=result.file_name, provenance=result.provenance, notes=result.notes)
        json.dump(data, sys.stdout)
        separator = ","
    print("[]" if separator == "[" else "\n]")
