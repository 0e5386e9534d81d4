"""The command `explain`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import (
    LoadReport,
    UsageError,
    add_input_size,
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
    from detection_core.explanation import Explanation, SaliencyProgress

_EXAMPLE = """\
example:
  python -m detection_core explain image.jpg --model ssdlite300_mobilenet_v2 --at 320 200 --out explained

Coordinates are pixels of the image. Objects are numbered from 0, the best score first, as in the JSON of `detect`.
"""
_REPORT = "explanation.json"


def add_explain(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "explain",
        help="explain why a model found an object, or why not",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("image", metavar="IMAGE", help="an image file")
    parser.add_argument("--model", required=True, metavar="MODEL", help="a key from the `models` command, or a .pt file")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--at", nargs=2, type=float, metavar=("X", "Y"), help="why is there no object at this point?")
    which.add_argument("--box", nargs=4, type=float, metavar=("X0", "Y0", "X1", "Y1"), help="why is there no object in this box?")
    which.add_argument("--object", type=int, metavar="N", help="why is there this object?")
    parser.add_argument("--class", dest="label", metavar="NAME", help="with --at or --box: explain this class only")
    parser.add_argument("--threshold", type=fraction, metavar="T", help="your threshold, 0–1; default: the model's own")
    parser.add_argument(
        "--saliency",
        type=_count,
        default=0,
        metavar="N",
        help="with --object: run the model N times, such as 500, for a map of the evidence (D-RISE)",
    )
    parser.add_argument("--quick-saliency", action="store_true", help="with --object: the map from gradients instead, in one run")
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"folder for {_REPORT} and images; default: the sentence on stdout only")
    parser.add_argument("--format", choices=["text", "json"], default="text", help="format of the output on stdout")
    add_input_size(parser)
    parser.add_argument("--device", default="cpu", metavar="D", help="device for the model: cpu, cuda, cuda:1, mps")
    parser.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, if it exists")
    parser.set_defaults(command=_explain)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _explain(args: argparse.Namespace) -> int:
    use_models_folder(args.models)
    spec = find_spec(args.model, input_size=args.input_size)
    limits, loader = settings(args.device)
    from detection_core.explanation import explain
    from detection_core.images.reading import read_image
    from detection_core.models.precision import Precision

    try:
        loaded = read_image(args.image, limits=limits)
    except (UserError, OSError, MemoryError) as error:
        say(f"{args.image}: {in_a_line(error)}")
        return 1
    for note in loaded.notes:
        say(f"{args.image}: {note}")
    try:
        loader.load(spec.in_precision(Precision.STOCK), on_progress=LoadReport())
    except (RuntimeError, MemoryError) as error:
        say(f"{spec.title} cannot be loaded: {in_a_line(error)}")
        return 1
    explanation = explain(
        loaded.image,
        spec,
        at=None if args.at is None else (args.at[0], args.at[1]),
        box=None if args.box is None else (args.box[0], args.box[1], args.box[2], args.box[3]),
        number=args.object,
        label=args.label,
        threshold=args.threshold,
        saliency_masks=args.saliency,
        quick_saliency=args.quick_saliency,
        loader=loader,
        on_progress=_report_progress,
    )
    if args.format == "json":
        print_json(explanation.to_json())
    else:
        print(explanation.sentence)
    if args.out is not None:
        _write(explanation, args.out, Path(args.image))
    return 0


def _report_progress(progress: SaliencyProgress) -> None:
    # A line for the first run, from which the time is estimated, and for every tenth of all.
    if progress.done == 1 or progress.done * 10 // progress.total > (progress.done - 1) * 10 // progress.total:
        say(f"Saliency: {progress.done} of {progress.total} runs, about {progress.seconds_left:.0f} s left")


def _write(explanation: Explanation, folder: Path, source: Path) -> None:
    """Writes the report and the images.

    Raises:
        UsageError: If the folder cannot be written, or the image would be overwritten.
    """
    import io
    import json

    from detection_core.formats.target import Target, safe_stem
    from detection_core.inputs import identity

    files = {}
    for name, image in explanation.images().items():
        stream = io.BytesIO()
        image.save(stream, "PNG")
        files[f"{safe_stem(name)}.png"] = stream.getvalue()
    files[_REPORT] = (json.dumps(explanation.to_json(), indent=2) + "\n").encode()
    found = identity(source)
    if found is not None and any(identity(folder / name) == found for name in files):
        raise UsageError(f"“{source}” would be overwritten. Choose another folder for --out.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        target = Target(folder)
        for name, content in files.items():
            target.write(name, content)
    except OSError as error:
        raise UsageError(f"The results cannot be written to “{folder}”: {error.strerror}.") from error
