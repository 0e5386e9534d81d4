"""The command `compare`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import (
    LoadReport,
    UsageError,
    add_input_size,
    count,
    find_spec,
    fraction,
    in_a_line,
    print_json,
    say,
    settings,
    use_models_folder,
)
from detection_core.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

    from detection_core.comparison_report import Found
    from detection_core.detections import Detections
    from detection_core.formats import ImportedResults
    from detection_core.models.catalog import ModelSpec
    from detection_core.models.loader import ModelLoader

# Default threshold for results of other tools, whose models have none of their own.
_IMPORTED_THRESHOLD = 0.5
_RESULTS_FILES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_EXAMPLE = """\
example:
  python -m detection_core compare image.jpg --models maskrcnn_resnet50_fpn_v2 fcos_resnet50_fpn models/mine.pt results.json --out compared

Scores of different models are not comparable: by default, each model uses its own threshold; with --top, each contributes the same
number of objects.
"""


def add_compare(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "compare", help="compare the results of several models", epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    parser.add_argument(
        "--models",
        nargs="+",
        required=True,
        metavar="MODEL",
        help="two or more: keys from the `models` command, .pt files, or .json files with COCO results of other tools",
    )
    parser.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help="class names for results that do not name their classes: a text with a name in each line, YOLO's data.yaml, or a COCO JSON",
    )
    parser.add_argument("--skip-invalid", action="store_true", help="skip invalid entries of results, and say how many there are")
    parser.add_argument("--iou", type=_overlap, default=0.5, metavar="IOU", help="lowest IoU of two boxes at the same place; default: 0.5")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--threshold", type=fraction, metavar="T", help="lowest score, 0–1; default: each model's own")
    which.add_argument("--top", type=count, metavar="K", help="use the K best objects of each model instead")
    parser.add_argument("--image-id", metavar="ID", help="the image's id or file name in COCO results that cover several images")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for images and comparison.json")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="format of the output on stdout")
    add_input_size(parser)
    parser.add_argument("--device", default="cpu", metavar="D", help="device for the models: cpu, cuda, cuda:1, mps")
    parser.add_argument("--models-dir", metavar="DIR", help="folder with your own models; default: models, if it exists")
    parser.set_defaults(command=_compare)


def _overlap(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return value


def _compare(args: argparse.Namespace) -> int:
    if len(set(args.models)) < max(2, len(args.models)):
        raise UsageError("Name at least two different models after --models, each once.")
    use_models_folder(args.models_dir)
    size = args.input_size
    sources = [Path(name) if name.lower().endswith(_RESULTS_FILES) else find_spec(name, input_size=size) for name in args.models]
    if size is not None and len({each if isinstance(each, Path) else each.key for each in sources}) < len(sources):
        raise UsageError(
            "At one input size, two of the models are the same. Leave --input-size out, and end their keys in @480px, @640px ..."
        )
    limits, loader = settings(args.device)
    from detection_core.cli.compare_output import Files, print_report
    from detection_core.comparison_report import ComparisonReport
    from detection_core.formats import read_class_names
    from detection_core.images.reading import read_image

    # The name of a compressed file has two suffixes.
    files = Files([Path(source.name.removesuffix(".gz")).stem if isinstance(source, Path) else source.key for source in sources], args.out)
    files.prepare([args.image, *args.models, *([str(args.classes)] if args.classes else [])])
    importing = {
        "image_id": args.image_id,
        "file_name": Path(args.image).name,
        "skip_invalid": args.skip_invalid,
        "class_list": read_class_names(args.classes) if args.classes else None,
        "compared": {source.title: source.categories for source in sources if not isinstance(source, Path)},
    }
    try:
        loaded = read_image(args.image, limits=limits)
    except (UserError, OSError, MemoryError) as error:
        say(f"{args.image}: {in_a_line(error)}")
        return 1

    image = loaded.image
    for note in loaded.notes:
        say(f"{args.image}: {note}")
    report = ComparisonReport(args.image, args.iou, notes=loaded.notes)
    for number, (name, source) in enumerate(zip(files.names, sources, strict=True), start=1):
        prefix = f"[{number}/{len(sources)}] {name}: "
        try:
            result, notes = _result(name, source, image, loader, args, importing)
        except (UserError, RuntimeError, MemoryError) as error:
            report.failed[name] = in_a_line(error)
            say(f"{prefix}{report.failed[name]}")
        else:
            report.results.append(result)
            report.notes += tuple(f"{name}: {note}" for note in notes)
            for note in notes:
                say(f"{prefix}{note}")
            say(f"{prefix}{result.detections.describe()}" + ("" if result.seconds is None else f" ({result.seconds:.2f} s)"))
    if len(report.results) < 2:
        say("Fewer than two models are left, so there is nothing to compare.")
        return 1
    if args.format == "json":
        print_json(report.to_json())
    else:
        print_report(report)
    try:
        files.write(report, image)
    except OSError as error:
        say(f"The results cannot be written to “{args.out}”: {error.strerror}.")
        return 1
    return 1 if report.failed else 0


def _stem(path: Path) -> str:
    return path.name[: -len(path.suffix)] if path.suffix != ".gz" else Path(path.stem).stem


def _result(
    name: str, source: Path | ModelSpec, image: Image.Image, loader: ModelLoader, args: argparse.Namespace, importing: dict[str, Any]
) -> tuple[Found, tuple[str, ...]]:
    """Returns what a model finds, or a file holds, and notes on how the file was read."""
    from detection_core.comparison_report import Found
    from detection_core.detections.comparison import select
    from detection_core.formats import Provenance, provenance_of

    seconds: float | None = None
    notes: tuple[str, ...] = ()
    if isinstance(source, Path):
        imported = _read(source, name, image, importing)
        found, notes, default = imported.detections, imported.notes, _IMPORTED_THRESHOLD
    else:
        found, seconds = _run(source, image, args.device, loader)
        default = source.default_threshold
    threshold = None if args.top else default if args.threshold is None else args.threshold
    chosen = {"top": args.top} if args.top else {}
    provenance = (
        Provenance(name, source.name, threshold=threshold, settings=chosen)
        if isinstance(source, Path)
        else provenance_of(source, threshold=threshold, settings=chosen)
    )
    return Found(name, select(found, threshold=threshold, top=args.top), provenance, seconds), notes


def _run(spec: ModelSpec, image: Image.Image, device: str, loader: ModelLoader) -> tuple[Detections, float]:
    """Returns all objects that a model finds, and the seconds that it took."""
    from detection_core.models.detector import Detector

    loader.load(spec, on_progress=LoadReport())
    detector = Detector(spec, device=device, loader=loader)
    started = time.perf_counter()
    return detector.detect(image), time.perf_counter() - started


def _read(path: Path, name: str, image: Image.Image, importing: dict[str, Any]) -> ImportedResults:
    from detection_core.formats import InvalidEntryError, import_coco_results

    try:
        return import_coco_results(path.read_bytes(), (image.height, image.width), model=name, **importing)
    except OSError as error:
        raise UserError(f"“{path}” cannot be read: {error.strerror}.") from error
    except InvalidEntryError as error:
        raise UserError(f"{error} To read the file without invalid entries, add --skip-invalid.") from error
