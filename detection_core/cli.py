"""The command line: list models, and detect in files. Exit status 0: fine; 1: something failed, the rest is done; 2: bad usage."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from detection_core.catalog import ModelSpec
    from detection_core.detections import Detections

_STAGES = {"download": "Downloading", "load": "Loading"}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Arguments without the program's name; None takes the process's own.

    Returns:
        The exit status.
    """
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    command: int = args.command(args)
    return command


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m detection_core", description="Explore torchvision's detection models.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    models = commands.add_parser("models", help="list all models")
    models.add_argument("--format", choices=["table", "json"], default="table")
    models.set_defaults(command=_models)

    detect = commands.add_parser("detect", help="find objects in pictures")
    detect.add_argument("images", nargs="+", metavar="IMAGE", help="picture files")
    detect.add_argument("--model", required=True, metavar="KEY", help="a key that `models` lists")
    detect.add_argument("--threshold", type=_fraction, metavar="T", help="lowest score shown, 0–1; default: the model's suggestion")
    detect.add_argument("--out", type=Path, metavar="DIR", help="where annotated pictures and results go; default: results on stdout")
    detect.add_argument("--format", choices=["json", "coco"], default="json", help="ours, or COCO results (image_id counts from 1)")
    detect.add_argument("--device", default="cpu", metavar="D", help="where the model runs: cpu, cuda, cuda:1, mps")
    detect.set_defaults(command=_detect)
    return parser


def _fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _models(args: argparse.Namespace) -> int:
    from detection_core.catalog import get_spec, list_models
    from detection_core.weights import find_weights

    rows = [_facts(get_spec(key), on_disk=find_weights(get_spec(key)) is not None) for key in list_models()]
    if args.format == "json":
        _print_json(rows)
        return 0
    columns = {"key": "MODEL", "gives": "GIVES", "box_map": "BOX AP", "mask_map": "MASK AP", "kp_map": "JOINT AP", "gflops": "GFLOPS"}
    columns |= {"params": "PARAMS", "file_size_mib": "MIB", "on_disk": "ON DISK", "suggested_threshold": "THRESHOLD"}
    table = [list(columns.values()), *([_cell(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(columns))]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return 0


def _facts(spec: ModelSpec, *, on_disk: bool) -> dict[str, Any]:
    return {
        "key": spec.key,
        "title": spec.title,
        "family": str(spec.family),
        "gives": ", ".join(spec.tasks),
        "box_map": spec.metrics.get("box_map"),
        "mask_map": spec.metrics.get("mask_map"),
        "kp_map": spec.metrics.get("kp_map"),
        "metrics_on": spec.metrics_on,
        "gflops": spec.gflops,
        "params": spec.params,
        "file_size_mib": spec.file_size,
        "floor_score": spec.floor_score,
        "suggested_threshold": spec.suggested_threshold,
        "classes": [name for name in spec.categories[1:] if name != "N/A"],
        "keypoints": list(spec.keypoint_names),
        "on_disk": on_disk,
        "best_for": spec.best_for,
        "recipe": spec.recipe,
        "url": spec.url,
    }


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _detect(args: argparse.Namespace) -> int:
    from detection_core.catalog import UnknownModelError, get_spec

    try:
        spec = get_spec(args.model)
    except UnknownModelError as error:
        _say(str(error))
        return 2
    from detection_core.detector import Detector
    from detection_core.images import ImageError, load_image
    from detection_core.loader import ModelLoader
    from detection_core.weights import WeightsError

    try:
        loader = ModelLoader(device=args.device)
        loader.load(spec.key, on_progress=_LoadReport())
        detector = Detector(spec, device=args.device, loader=loader)
    except WeightsError as error:
        _say(str(error))
        return 1
    except (RuntimeError, AssertionError) as error:
        _say(f"The device “{args.device}” cannot be used here: {str(error).splitlines()[0]}")
        return 2
    threshold = spec.suggested_threshold if args.threshold is None else args.threshold
    output = _Output(args.out, args.format)
    failed = 0
    for number, name in enumerate(args.images, start=1):
        place = f"[{number}/{len(args.images)}] {name}: " if len(args.images) > 1 else f"{name}: "
        started = time.perf_counter()
        try:
            image = load_image(name)
            detections = detector.detect(image)
            detections = detections[detections.scores >= threshold]
            output.add(name, number, image, detections)
        except (ImageError, OSError) as error:
            failed += 1
            _say(f"{place}{error}")
            continue
        _say(f"{place}{detections.describe()} ({time.perf_counter() - started:.2f} s)")
    output.finish()
    return 1 if failed else 0


class _Output:
    """Results on their way to a folder, or to stdout at the end."""

    def __init__(self, folder: Path | None, form: str) -> None:
        self._folder = folder
        self._form = form
        self._entries: list[dict[str, Any]] = []
        self._names: set[str] = set()

    def add(self, name: str, number: int, image: Any, detections: Detections) -> None:
        from detection_core.export import to_coco_results, to_json
        from detection_core.visualization import annotate

        if self._form == "coco":
            self._entries += [{"file_name": name, **entry} for entry in to_coco_results(detections, number)]
        else:
            self._entries.append({"file_name": name, **to_json(detections)})
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        stem = self._free_stem(name)
        annotate(image, detections).save(self._folder / f"{stem}.png")
        if self._form == "json":
            (self._folder / f"{stem}.json").write_text(json.dumps(self._entries.pop(), indent=2))

    def _free_stem(self, name: str) -> str:
        """The file's own name, numbered when two files from different folders share it."""
        stem = candidate = Path(name).stem
        suffix = 2
        while candidate in self._names:
            candidate, suffix = f"{stem}-{suffix}", suffix + 1
        self._names.add(candidate)
        return candidate

    def finish(self) -> None:
        if self._folder is None:
            _print_json(self._entries)
        elif self._form == "coco":
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / "coco_results.json").write_text(json.dumps(self._entries))


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
