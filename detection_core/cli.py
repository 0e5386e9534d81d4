"""The command line: list models, detect in files, train.

Exit status 0: fine; 1: something failed, the rest is done; 2: bad usage; 130: interrupted, what was done is written.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.cli_train import add_train

if TYPE_CHECKING:
    from detection_core.catalog import ModelSpec
    from detection_core.detections import Detections
    from detection_core.detector import Detector
    from detection_core.images import ImageLimits
    from detection_core.loader import ModelLoader

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it.
_STAGES = {"download": "Downloading", "load": "Loading"}


class _UsageError(Exception):
    """It cannot be done as it was asked for, so nothing was; the message says why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Arguments without the program's name; None takes the process's own.

    Returns:
        The exit status.
    """
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        status: int = args.command(args)
    except _UsageError as error:
        _say(str(error))
        return 2
    except KeyboardInterrupt:
        _say("Interrupted.")
        return _INTERRUPTED
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m detection_core", description="Explore torchvision's detection models.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list all models")
    models.add_argument("--format", choices=["table", "json"], default="table")
    _add_models_folder(models)
    models.set_defaults(command=_models)

    detect = commands.add_parser("detect", help="find objects in pictures")
    detect.add_argument("images", nargs="+", metavar="IMAGE", help="picture files")
    detect.add_argument("--model", required=True, metavar="KEY", help="a key that `models` lists, or a .pt file")
    detect.add_argument("--threshold", type=_fraction, metavar="T", help="lowest score shown, 0–1; default: the model's suggestion")
    detect.add_argument("--out", type=Path, metavar="DIR", help="where annotated pictures and results go; default: results on stdout")
    detect.add_argument("--format", choices=["json", "coco"], default="json", help="ours, or COCO results (image_id counts from 1)")
    detect.add_argument("--device", default="cpu", metavar="D", help="where the model runs: cpu, cuda, cuda:1, mps")
    _add_models_folder(detect)
    detect.set_defaults(command=_detect)
    add_train(commands)
    return parser


def _add_models_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, where there is one")


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _models(args: argparse.Namespace) -> int:
    _use_models_folder(args.models)
    from detection_core.catalog import list_specs, rejected_files
    from detection_core.weights import find_weights

    rows = [{**spec.facts(), "on_disk": find_weights(spec) is not None} for spec in list_specs()]
    for rejected in rejected_files():
        _say(f"Not usable: {rejected.file_name}: {rejected.reason}")
    if args.format == "json":
        _print_json(rows)
        return 0
    columns = {"key": "MODEL", "tasks": "GIVES", "box_map": "BOX AP", "mask_map": "MASK AP", "kp_map": "JOINT AP", "gflops": "GFLOPS"}
    columns |= {"params": "PARAMS", "file_size_mib": "MIB", "on_disk": "ON DISK", "suggested_threshold": "THRESHOLD"}
    table = [list(columns.values()), *([_cell((row | row["metrics"]).get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(columns))]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def _detect(args: argparse.Namespace) -> int:
    _use_models_folder(args.models)
    spec = _spec(args.model)
    _check_device(args.device)
    limits, loader = _settings(args.device)
    output = _Output(args.out, args.format, args.images)
    from detection_core.detector import Detector
    from detection_core.weights import WeightsError

    try:
        loader.load(spec, on_progress=_LoadReport())
        detector = Detector(spec, device=args.device, loader=loader)
    except WeightsError as error:
        _say(str(error))
        return 1
    except (RuntimeError, MemoryError) as error:
        _say(f"{spec.title} cannot be loaded: {_in_a_line(error)}")
        return 1
    threshold = spec.suggested_threshold if args.threshold is None else args.threshold
    try:
        failed = _detect_in(args.images, detector, limits, threshold, output)
    finally:  # Also when interrupted: what was found so far took its time.
        output.finish()
    return 1 if failed else 0


def _detect_in(names: Sequence[str], detector: Detector, limits: ImageLimits, threshold: float, output: _Output) -> int:
    """Detects in one picture after the other, and returns how many failed."""
    from detection_core.images import ImageError, load_image

    failed = 0
    for number, name in enumerate(names, start=1):
        place = f"[{number}/{len(names)}] {name}: " if len(names) > 1 else f"{name}: "
        started = time.perf_counter()
        try:
            image = load_image(name, limits=limits)
            detections = detector.detect(image)
            detections = detections[detections.scores >= threshold]
            output.add(name, number, image, detections)
        except (ImageError, OSError, RuntimeError, MemoryError) as error:
            failed += 1
            _say(f"{place}{_in_a_line(error)}")
            continue
        _say(f"{place}{detections.describe()} ({time.perf_counter() - started:.2f} s)")
    return failed


def _use_models_folder(name: str | None) -> None:
    from detection_core.user_models import use_folder

    try:
        if name is not None:
            use_folder(name)
    except ValueError as error:
        raise _UsageError(str(error)) from error


def _spec(model: str) -> ModelSpec:
    """The model of a key or of a file."""
    from detection_core.catalog import UnknownModelError, get_spec
    from detection_core.checkpoint import CheckpointError
    from detection_core.user_models import is_model_file, spec_of_file

    try:
        return get_spec(model)
    except UnknownModelError as error:
        if not is_model_file(Path(model)):
            raise _UsageError(str(error)) from error
    try:
        return spec_of_file(Path(model))
    except CheckpointError as error:
        raise _UsageError(str(error)) from error


def _check_device(name: str) -> None:
    from detection_core.device import DeviceError, require_device

    try:
        require_device(name)
    except DeviceError as error:
        raise _UsageError(str(error)) from error


def _settings(device: str) -> tuple[ImageLimits, ModelLoader]:
    from detection_core.images import ImageLimits
    from detection_core.loader import ModelLoader

    try:
        return ImageLimits.from_environment(), ModelLoader(device=device)
    except ValueError as error:  # An environment variable is not what it should be.
        raise _UsageError(str(error)) from error


def _in_a_line(error: BaseException) -> str:
    from detection_core.device import is_lack_of_memory

    text = str(error)
    if is_lack_of_memory(error):
        return "There is too little memory. Try a smaller picture or a lighter model."
    return text.partition("\n")[0] or type(error).__name__


class _Output:
    """Results on their way to a folder, or to stdout at the end; the pictures that they are about are never written over."""

    def __init__(self, folder: Path | None, form: str, inputs: Sequence[str]) -> None:
        self._folder = folder
        self._form = form
        self._inputs = {_identity(Path(name)) for name in inputs} - {None}
        self._entries: list[dict[str, Any]] = []
        self._stems: set[str] = set()
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _UsageError(f"The folder “{folder}” cannot be made: {error.strerror}.") from error

    def add(self, name: str, number: int, image: Any, detections: Detections) -> None:
        from detection_core.export import to_coco_results, to_json
        from detection_core.visualization import annotate

        if self._folder is not None:
            stem = self._free_stem(f"{Path(name).stem}_detections", ".png", ".json")
            annotate(image, detections).save(self._folder / f"{stem}.png")
        if self._form == "coco":
            self._entries += [{"file_name": name, **entry} for entry in to_coco_results(detections, number)]
        elif self._folder is not None:
            (self._folder / f"{stem}.json").write_text(json.dumps({"file_name": name, **to_json(detections)}, indent=2))
        else:
            self._entries.append({"file_name": name, **to_json(detections)})

    def finish(self) -> None:
        if self._folder is None:
            _print_json(self._entries)
        elif self._form == "coco":
            stem = self._free_stem("coco_results", ".json")
            (self._folder / f"{stem}.json").write_text(json.dumps(self._entries))

    def _free_stem(self, stem: str, *endings: str) -> str:
        """The stem, numbered when an input or another result of this run has its name."""
        assert self._folder is not None
        for candidate in itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2))):
            written_to = {_identity(self._folder / f"{candidate}{ending}") for ending in endings}
            # Some file systems do not tell "A" from "a".
            if candidate.casefold() not in self._stems and not written_to & self._inputs:
                break
        self._stems.add(candidate.casefold())
        return candidate


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from all others, whatever it is called and however it is linked to; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class _LoadReport:
    """Says on stderr what takes time before the first picture, a line for every tenth of a download."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, progress: Any) -> None:
        text = _STAGES[progress.stage]
        if progress.total and progress.stage == "download":
            tenth = 10 * progress.done // progress.total
            text += f" {tenth * 10} % of {progress.total / 1e6:.0f} MB"
        if text != self._said:
            self._said = text
            _say(text)


def _print_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2)
    print()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
