"""The command `detect` of the command line."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import (
    LoadReport,
    UsageError,
    add_precision,
    check_device,
    find_spec,
    fraction,
    in_a_line,
    say,
    settings,
    use_models_folder,
)
from detection_core.cli.detect_images import detect_in_pictures
from detection_core.cli.detect_videos import VIDEO, ClipRun, add_clip_options, limits_of_clips, moves, options_of_clips

if TYPE_CHECKING:
    from PIL import Image

    from detection_core.detections import Detections
    from detection_core.formats import Provenance
    from detection_core.inputs import PictureFile
    from detection_core.models.detector import Detector
    from detection_core.models.loader import ModelLoader
    from detection_core.models.spec import ModelSpec
    from detection_core.video.io import VideoLimits

_EXAMPLE = """\
example:
  python -m detection_core detect photos/ --model person_mobilenet_v2_fpn --out out/ --format json,png,coco

Each picture's result goes into out/ as soon as it is there. The same command goes on where it was interrupted, and does again what has
changed: a picture, the model, its weights or the threshold.

clips:
  python -m detection_core detect clip.mp4 --model person_mobilenet_v2_fpn --out out/ --fps 10

Clips are files and patterns that end in .mp4, .m4v, .mov, .webm, .mkv or .avi, and animated .gif with --every or --fps; folders are
searched for pictures only. Each gives NAME_detections.mp4 and NAME_detections.json, with an identity for each object. A clip that is
interrupted keeps what was done, and begins anew the next time.
"""
_FORMATS = "json, png, coco, coco-dataset, yolo-detect, yolo-segment, yolo-pose, csv; of clips: json, mp4, coco, csv, mot"
# Formats that are one file.
_FOR_STDOUT = ("json", "coco", "coco-dataset", "csv")


def add_detect(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "detect", help="find objects in pictures and clips", epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="pictures, clips, folders with pictures, or quoted patterns like '**/*.jpg'"
    )
    parser.add_argument("--model", required=True, metavar="KEY", help="a key that `models` lists, or a .pt file")
    parser.add_argument("--threshold", type=fraction, metavar="T", help="lowest score shown, 0–1; default: the model's suggestion")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results go; default: results on stdout")
    parser.add_argument(
        "--format",
        action="append",
        type=lambda text: text.split(","),
        metavar="F[,F]",
        help=f"what is wanted: {_FORMATS}; default: json with png or mp4, or json on stdout. With --out, json is always written",
    )
    parser.add_argument("--overwrite", action="store_true", help="do again what is done already")
    add_precision(parser)
    parser.add_argument("--device", default="cpu", metavar="D", help="where the model runs: cpu, cuda, cuda:1, mps")
    parser.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, where there is one")
    add_clip_options(parser)
    parser.set_defaults(command=_detect)


def _detect(args: argparse.Namespace) -> int:
    use_models_folder(args.models)
    spec = find_spec(args.model, args.precision)
    clip_limits = limits_of_clips()
    clips, pictures = _find(args, clip_limits)
    formats, clip_formats = _formats(args, spec, clips=bool(clips), pictures=bool(pictures))
    check_device(args.device)
    limits, loader = settings(args.device)
    threshold = spec.suggested_threshold if args.threshold is None else args.threshold
    options = options_of_clips(args, spec, threshold)
    from detection_core.video import lowest_kept

    with _folder(args.out) as folder:
        detector = _load(spec, args.device, loader)
        if detector is None:
            return 1
        provenance = _provenance(spec, threshold)
        fine = True
        if pictures:
            how = {"limits": limits, "overwrite": args.overwrite, "on_stdout": args.out is None}
            fine = detect_in_pictures(pictures, folder, detector.detect, provenance, formats, **how)
        if clips:
            floor = lowest_kept(spec.floor_score, spec.suggested_threshold, threshold)
            with _frame_detector(spec, args.device, loader) as (detect, at_once):
                run = ClipRun(folder, detect, provenance, clip_formats, options, floor, clip_limits, at_once)
                fine = run.over(_stems(clips, pictures, folder)) and fine
    return 0 if fine else 1


def _find(args: argparse.Namespace, limits: VideoLimits) -> tuple[list[PictureFile], list[PictureFile]]:
    """The clips and the pictures that are meant.

    Raises:
        UsageError: If a folder or a pattern leads to nothing, clips are to go to standard output, or what is for clips is said of pictures.
    """
    from detection_core.inputs import NoPicturesError, find_clips, find_pictures

    try:
        clips, others = find_clips(args.files, gifs=args.every is not None or args.fps is not None)
        still = [clip.path for clip in clips if Path(clip.path).suffix.lower() == ".gif" and not moves(clip.path, limits)]
        pictures = find_pictures([*others, *still])
    except NoPicturesError as error:
        raise UsageError(str(error)) from error
    clips = [clip for clip in clips if clip.path not in still]
    if clips and args.out is None:
        raise UsageError("What is found in clips goes into files. Add --out DIR.")
    if pictures and (args.classes is not None or args.joint_threshold is not None):
        raise UsageError("--classes and --joint-threshold are for clips only: leave them out where there are pictures.")
    return clips, pictures


def _formats(args: argparse.Namespace, spec: ModelSpec, *, clips: bool, pictures: bool) -> tuple[list[str], list[str]]:
    """What is to be written of pictures and of clips, each once.

    Raises:
        UsageError: If that cannot be.
    """
    from detection_core.formats import FORMATS
    from detection_core.video import CLIP_FORMATS

    if args.format is None:
        return ["json"] if args.out is None else ["json", "png"], ["json", VIDEO]
    of_clips = (*CLIP_FORMATS, VIDEO) if clips else ()
    known = list(dict.fromkeys([*(FORMATS if pictures else ()), *of_clips]))
    formats = list(dict.fromkeys(name.strip() for names in args.format for name in names))
    for name in formats:
        if name not in known:
            raise UsageError(f"There is no format “{name}”. The formats are: {', '.join(known)}.")
        if name in FORMATS and name not in of_clips and not FORMATS[name].suits(_example_of(spec)):
            raise UsageError(f"{spec.title} gives {', '.join(spec.tasks)} only, too little for the format “{name}”.")
    if "mot" in formats and args.no_track:
        raise UsageError("The format “mot” is about who is who: leave --no-track out.")
    if args.out is None and (len(formats) > 1 or formats[0] not in _FOR_STDOUT):
        raise UsageError(f"Only one of {', '.join(_FOR_STDOUT)} can go to standard output. Add --out DIR for {','.join(formats)}.")
    return [name for name in formats if name in FORMATS], list(dict.fromkeys(["json", *(name for name in formats if name in of_clips)]))


def _stems(clips: Sequence[PictureFile], pictures: Sequence[PictureFile], folder: Path) -> dict[PictureFile, str]:
    """What the names of each clip's files begin with: nothing that a picture's files do, and nothing that leads to an input."""
    from detection_core.batch import RECORD
    from detection_core.inputs import ANNOTATED, ANNOTATED_CLIP, free_stems, identity
    from detection_core.video import CLIP_FILES

    inputs = {found for file in (*clips, *pictures) if (found := identity(Path(file.path)))}
    taken = free_stems(pictures, folder, inputs, (ANNOTATED, RECORD)).values()
    return free_stems(clips, folder, inputs, (ANNOTATED_CLIP, *(f"_{name}" for name in CLIP_FILES)), taken)


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
    from detection_core.models.detector import Detector
    from detection_core.models.weights import WeightsError

    try:
        loader.load(spec, on_progress=LoadReport())
        return Detector(spec, device=device, loader=loader)
    except WeightsError as error:
        say(str(error))
    except (RuntimeError, MemoryError) as error:
        say(f"{spec.title} cannot be loaded: {in_a_line(error)}")
    return None


@contextmanager
def _frame_detector(spec: ModelSpec, device: str, loader: ModelLoader) -> Iterator[tuple[Callable[[Image.Image], Detections], int]]:
    """A function that finds objects in a frame, and how many frames it should have in hand at a time."""
    from detection_core.engine import EngineError, LocalEngine
    from detection_core.images.reading import read_image

    # Its errors are said in a line each, and without a server nobody reads its log.
    logging.getLogger("detection_core.engine").setLevel(logging.CRITICAL)
    engine = LocalEngine(device, loader=loader)

    def detect(frame: Image.Image) -> Detections:
        try:
            return engine.submit(read_image(frame), spec, keep=False).result().detections
        except EngineError as error:
            raise error.__cause__ or error from None

    try:
        # One more than run at a time, so that the engine need not wait for the next one.
        yield detect, engine.in_hand
    finally:
        engine.close()


def _provenance(spec: ModelSpec, threshold: float) -> Provenance:
    """Names the weights by their content: a file that is written anew may keep its name, and a copy its content."""
    from detection_core.formats import provenance_of
    from detection_core.models.download import sha256
    from detection_core.models.weights import find_weights

    provenance = provenance_of(spec, threshold=threshold)
    file = find_weights(spec)
    return replace(provenance, revision=sha256(file)) if file else provenance
