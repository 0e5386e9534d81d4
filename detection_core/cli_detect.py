"""The command `detect` of the command line."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.cli_common import (
    LoadReport,
    UsageError,
    check_device,
    find_spec,
    fraction,
    in_a_line,
    say,
    settings,
    use_models_folder,
)

if TYPE_CHECKING:
    from detection_core.batch import Batch, Outcome
    from detection_core.detections import Detections
    from detection_core.detector import Detector
    from detection_core.export import Provenance
    from detection_core.loader import ModelLoader
    from detection_core.model_spec import ModelSpec

_EXAMPLE = """\
example:
  python -m detection_core detect photos/ --model person_mobilenet_v2_fpn --out out/ --format json,png,coco

Each picture's result goes into out/ as soon as it is there. The same command goes on where it was interrupted, and does again what has
changed: a picture, the model, its weights or the threshold.
"""
_FORMATS = "json, png, coco, coco-dataset, yolo-detect, yolo-segment, yolo-pose, csv"
# Formats that are one file, or one picture's own.
_FOR_STDOUT = ("json", "coco", "coco-dataset", "csv")
_BESIDE_EACH = {"json", "png"}


def add_detect(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "detect", help="find objects in pictures", epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="picture files, folders with pictures, or quoted patterns like '**/*.jpg'"
    )
    parser.add_argument("--model", required=True, metavar="KEY", help="a key that `models` lists, or a .pt file")
    parser.add_argument("--threshold", type=fraction, metavar="T", help="lowest score shown, 0–1; default: the model's suggestion")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results go; default: results on stdout")
    parser.add_argument(
        "--format",
        action="append",
        type=lambda text: text.split(","),
        metavar="F[,F]",
        help=f"what is wanted: {_FORMATS}; default: json,png, or json on stdout. With --out, each picture's json is always written",
    )
    parser.add_argument("--overwrite", action="store_true", help="do again what is done already")
    parser.add_argument("--device", default="cpu", metavar="D", help="where the model runs: cpu, cuda, cuda:1, mps")
    parser.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, where there is one")
    parser.set_defaults(command=_detect)


def _detect(args: argparse.Namespace) -> int:
    use_models_folder(args.models)
    spec = find_spec(args.model)
    formats = _formats(args.format, spec, args.out)
    check_device(args.device)
    limits, loader = settings(args.device)
    from detection_core.batch import Batch
    from detection_core.picture_files import NoPicturesError, find_pictures

    try:
        pictures = find_pictures(args.images)
    except NoPicturesError as error:
        raise UsageError(str(error)) from error
    with _folder(args.out) as folder:
        detector = _load(spec, args.device, loader)
        if detector is None:
            return 1
        threshold = spec.suggested_threshold if args.threshold is None else args.threshold
        provenance = _provenance(spec, threshold)
        batch = Batch(pictures, folder, provenance, overwrite=args.overwrite, annotate="png" in formats, limits=limits)
        report = _Report(len(pictures))
        try:
            for outcome in batch.run(detector.detect):
                report.add(outcome)
        finally:  # Also when interrupted: what was found so far took its time.
            report.finish(resumable=args.out is not None)
            complete = _finish(batch, formats, on_stdout=args.out is None)
    return 1 if report.failed or not complete else 0


def _formats(chosen: Sequence[Sequence[str]] | None, spec: ModelSpec, out: Path | None) -> list[str]:
    """What is to be written, each once.

    Raises:
        UsageError: If that cannot be.
    """
    from detection_core.export import FORMATS

    if chosen is None:
        return ["json"] if out is None else ["json", "png"]
    formats = list(dict.fromkeys(name.strip() for names in chosen for name in names))
    for name in formats:
        if name not in FORMATS:
            raise UsageError(f"There is no format “{name}”. The formats are: {', '.join(FORMATS)}.")
        if not FORMATS[name].suits(_example_of(spec)):
            raise UsageError(f"{spec.title} gives {', '.join(spec.tasks)} only, too little for the format “{name}”.")
    if out is None and (len(formats) > 1 or formats[0] not in _FOR_STDOUT):
        raise UsageError(f"Only one of {', '.join(_FOR_STDOUT)} can go to standard output. Add --out DIR for {','.join(formats)}.")
    return formats


def _example_of(spec: ModelSpec) -> Detections:
    """One object with all that the model gives."""
    import numpy as np

    from detection_core.detections import Detections

    example = Detections(np.zeros((1, 4)), np.zeros(1), np.zeros(1), (1, 1), spec.categories)  # type: ignore[arg-type]
    if "masks" in spec.tasks:
        example = replace(example, masks=np.zeros((1, 28, 28), np.float32))
    if "keypoints" in spec.tasks:
        joints = np.zeros((1, len(spec.keypoint_names), 3), np.float32)
        example = replace(example, keypoints=joints[..., :2], keypoint_scores=joints[..., 2], keypoint_names=spec.keypoint_names)
    return example


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where results go; for standard output a folder that does not last."""
    if out is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder “{out}” cannot be made: {error.strerror}.") from error
    yield out


def _load(spec: ModelSpec, device: str, loader: ModelLoader) -> Detector | None:
    """The model ready to run; None if it cannot be had, which has been said."""
    from detection_core.detector import Detector
    from detection_core.weights import WeightsError

    try:
        loader.load(spec, on_progress=LoadReport())
        return Detector(spec, device=device, loader=loader)
    except WeightsError as error:
        say(str(error))
    except (RuntimeError, MemoryError) as error:
        say(f"{spec.title} cannot be loaded: {in_a_line(error)}")
    return None


def _provenance(spec: ModelSpec, threshold: float) -> Provenance:
    """Names the weights by their content: a file that is written anew may keep its name, and a copy its content."""
    from detection_core.download import sha256
    from detection_core.export import provenance_of
    from detection_core.weights import find_weights

    provenance = provenance_of(spec, threshold=threshold)
    file = find_weights(spec)
    return replace(provenance, revision=sha256(file)) if file else provenance


class _Report:
    """Says on stderr what becomes of each picture, and how long the rest will take."""

    def __init__(self, total: int) -> None:
        self.failed = 0
        self._total = total
        self._detected = 0
        self._reused = 0
        self._seconds = 0.0

    def add(self, outcome: Outcome) -> None:
        """Says one picture's line; those done before are only counted, there may be thousands."""
        if outcome.reused:
            self._reused += 1
            return
        self.failed += outcome.error is not None
        self._detected += outcome.error is None
        number = self.failed + self._detected + self._reused
        place = f"[{number}/{self._total}] " if self._total > 1 else ""
        if outcome.error is not None:
            say(f"{place}{outcome.picture.name}: {in_a_line(outcome.error)}")
        elif outcome.found is not None:
            self._seconds += outcome.seconds
            say(f"{place}{outcome.picture.name}: {outcome.found.describe()} ({outcome.seconds:.2f} s{self._pace(number)})")

    def _pace(self, number: int) -> str:
        if self._total == 1:
            return ""
        each = self._seconds / self._detected
        return f"; {1 / each:.1f} pictures/s, {_duration(each * (self._total - number))} left"

    def finish(self, *, resumable: bool) -> None:
        """Says what came of all."""
        left = self._total - self._detected - self._reused - self.failed
        if self._total > 1 or self._reused:
            parts = {"detected": self._detected, "done before (--overwrite does them again)": self._reused, "failed": self.failed}
            told = ", ".join(f"{count} {what}" for what, count in parts.items() if count)
            say(f"{self._total} picture{'s'[: self._total > 1]}: {told or 'none done'}.")
        if left and resumable:
            say(f"{left} left: the same command goes on from here.")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _finish(batch: Batch, formats: Sequence[str], *, on_stdout: bool) -> bool:
    """Writes what stands in one place for all pictures; False if that fails, which has been said."""
    together = [name for name in formats if name not in _BESIDE_EACH]
    try:
        if on_stdout and not together:
            _print_results(batch)
        elif on_stdout:
            _print_file(batch, together)
        elif together:
            batch.export(together)
    except OSError as error:
        say(f"The results cannot be written: {error.strerror}.")
        return False
    return True


def _print_file(batch: Batch, formats: Sequence[str]) -> None:
    from detection_core.export.formats import PROVENANCE_FILE

    (name,) = (name for name in batch.export(formats) if name != PROVENANCE_FILE)
    with (batch.folder / name).open(encoding="utf-8", newline="") as file:
        shutil.copyfileobj(file, sys.stdout)


def _print_results(batch: Batch) -> None:
    """Our JSON of all pictures as one list, without ever holding more than one of them."""
    from detection_core.export import to_json

    separator = "["
    for result in batch.results():
        print(separator)
        json.dump(to_json(result.detections, file_name=result.file_name, provenance=result.provenance), sys.stdout)
        separator = ","
    print("[]" if separator == "[" else "\n]")
