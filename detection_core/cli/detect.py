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
from detection_core.cli.detect_images import detect_in_images
from detection_core.cli.detect_videos import VIDEO, VideoRun, add_video_options, limits_of_videos, moves, options_of_videos

if TYPE_CHECKING:
    from PIL import Image

    from detection_core.detections import Detections
    from detection_core.formats import Provenance
    from detection_core.inputs import InputFile
    from detection_core.models.detector import Detector
    from detection_core.models.loader import ModelLoader
    from detection_core.models.spec import ModelSpec
    from detection_core.video.io import VideoLimits

_EXAMPLE = """\
example:
  python -m detection_core detect images/ --model person_mobilenet_v2_fpn --out out/ --format json,png,coco

Each image's result goes into out/ as soon as it is there. The same command goes on where it was interrupted, and does again what has
changed: an image, the model, its weights or the threshold.

videos:
  python -m detection_core detect video.mp4 --model person_mobilenet_v2_fpn --out out/ --fps 10

Videos are files that hold one (MP4, MOV, WebM, MKV, AVI, MPEG, WMV, FLV and others), patterns that end as videos do ('*.MTS'), and
animated GIFs with --every or --fps; folders are searched for images only. Each gives NAME_detections.mp4 and NAME_detections.json, with
an identity for each object. A video that is interrupted keeps what was done, and begins anew the next time.
"""
_FORMATS = "json, png, coco, coco-dataset, yolo-detect, yolo-segment, yolo-pose, csv; of videos: json, mp4, coco, csv, mot"
# Formats that are one file.
_FOR_STDOUT = ("json", "coco", "coco-dataset", "csv")


def add_detect(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "detect", help="find objects in images and videos", epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="images, videos, folders with images, or quoted patterns like '**/*.jpg'")
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
    parser.add_argument("--raw-csv", action="store_true", help="write CSV for programs: no byte-order mark, no apostrophe before formulas")
    parser.add_argument("--overwrite", action="store_true", help="do again what is done already")
    add_precision(parser)
    parser.add_argument("--device", default="cpu", metavar="D", help="where the model runs: cpu, cuda, cuda:1, mps")
    parser.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, where there is one")
    add_video_options(parser)
    parser.set_defaults(command=_detect)


def _detect(args: argparse.Namespace) -> int:
    use_models_folder(args.models)
    spec = find_spec(args.model, args.precision)
    video_limits = limits_of_videos()
    videos, images = _find(args, video_limits)
    formats, video_formats = _formats(args, spec, videos=bool(videos), images=bool(images))
    check_device(args.device)
    limits, loader = settings(args.device)
    threshold = spec.default_threshold if args.threshold is None else args.threshold
    options = options_of_videos(args, spec, threshold)
    from detection_core.video import lowest_kept

    with _folder(args.out) as folder:
        detector = _load(spec, args.device, loader)
        if detector is None:
            return 1
        provenance = _provenance(spec, threshold)
        fine = True
        if images:
            how = {"limits": limits, "overwrite": args.overwrite, "on_stdout": args.out is None, "raw_tables": args.raw_csv}
            fine = detect_in_images(images, folder, detector.detect, provenance, formats, **how)
        if videos:
            floor = lowest_kept(spec.min_score, spec.default_threshold, threshold)
            with _frame_detector(spec, args.device, loader) as (detect, max_in_flight):
                run = VideoRun(folder, detect, provenance, video_formats, options, floor, video_limits, max_in_flight, args.raw_csv)
                fine = run.over(_stems(videos, images, folder)) and fine
    return 0 if fine else 1


def _find(args: argparse.Namespace, limits: VideoLimits) -> tuple[list[InputFile], list[InputFile]]:
    """The videos and the images that are meant.

    Raises:
        UsageError: If a folder or a pattern leads to nothing, videos are to go to standard output, or what is for videos is said of images.
    """
    from detection_core.inputs import NoImagesError, find_images, find_videos, is_gif
    from detection_core.video.io import holds_video

    try:
        videos, others = find_videos(args.files, gifs=args.every is not None or args.fps is not None, holds_video=holds_video)
        still = [video.path for video in videos if is_gif(video.path) and not moves(video.path, limits)]
        images = find_images([*others, *still])
    except NoImagesError as error:
        raise UsageError(str(error)) from error
    videos = [video for video in videos if video.path not in still]
    if videos and args.out is None:
        raise UsageError("What is found in videos goes into files. Add --out DIR.")
    if images and (args.classes is not None or args.keypoint_threshold is not None):
        raise UsageError("--classes and --keypoint-threshold are for videos only: leave them out where there are images.")
    return videos, images


def _formats(args: argparse.Namespace, spec: ModelSpec, *, videos: bool, images: bool) -> tuple[list[str], list[str]]:
    """What is to be written of images and of videos, each once.

    Raises:
        UsageError: If that cannot be.
    """
    from detection_core.formats import FORMATS
    from detection_core.video import VIDEO_FORMATS

    if args.format is None:
        return ["json"] if args.out is None else ["json", "png"], ["json", VIDEO]
    of_videos = (*VIDEO_FORMATS, VIDEO) if videos else ()
    known = list(dict.fromkeys([*(FORMATS if images else ()), *of_videos]))
    formats = list(dict.fromkeys(name.strip() for names in args.format for name in names))
    for name in formats:
        if name not in known:
            raise UsageError(f"There is no format “{name}”. The formats are: {', '.join(known)}.")
        if name in FORMATS and name not in of_videos and not FORMATS[name].suits(_example_of(spec)):
            raise UsageError(f"{spec.title} gives {', '.join(spec.tasks)} only, too little for the format “{name}”.")
    if "mot" in formats and args.no_track:
        raise UsageError("The format “mot” is about who is who: leave --no-track out.")
    if args.out is None and (len(formats) > 1 or formats[0] not in _FOR_STDOUT):
        raise UsageError(f"Only one of {', '.join(_FOR_STDOUT)} can go to standard output. Add --out DIR for {','.join(formats)}.")
    return [name for name in formats if name in FORMATS], list(dict.fromkeys(["json", *(name for name in formats if name in of_videos)]))


def _stems(videos: Sequence[InputFile], images: Sequence[InputFile], folder: Path) -> dict[InputFile, str]:
    """What the names of each video's files begin with: nothing that an image's files do, and nothing that leads to an input."""
    from detection_core.batch import RECORD
    from detection_core.inputs import ANNOTATED, ANNOTATED_VIDEO, free_stems, identity
    from detection_core.video import VIDEO_FILES

    inputs = {found for file in (*videos, *images) if (found := identity(Path(file.path)))}
    taken = free_stems(images, folder, inputs, (ANNOTATED, RECORD)).values()
    return free_stems(videos, folder, inputs, (ANNOTATED_VIDEO, *(f"_{name}" for name in VIDEO_FILES)), taken)


def _example_of(spec: ModelSpec) -> Detections:
    """One object with all that the model gives."""
    import numpy as np

    from detection_core.detections import Detections

    example = Detections(np.zeros((1, 4)), np.zeros(1), np.zeros(1), (1, 1), spec.categories)  # type: ignore[arg-type]
    if "masks" in spec.tasks:
        example = replace(example, masks=np.zeros((1, 28, 28), np.float32))
    if "keypoints" in spec.tasks:
        keypoints = np.zeros((1, len(spec.keypoint_names), 3), np.float32)
        example = replace(example, keypoints=keypoints[..., :2], keypoint_scores=keypoints[..., 2], keypoint_names=spec.keypoint_names)
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
        yield detect, engine.max_in_flight
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
