"""The command `detect`."""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import (
    LoadReport,
    UsageError,
    add_input_size,
    add_precision,
    add_slices,
    chosen_thresholds,
    find_spec,
    fraction,
    in_a_line,
    say,
    settings,
    use_models_folder,
)
from detection_core.cli.detect_images import SliceReport, detect_in_images, numbering_of
from detection_core.cli.detect_on_cluster import add_cluster_options, check_for_cluster, detect_on_cluster, stored_images
from detection_core.cli.detect_videos import VIDEO, VideoRun, add_video_options, limits_of_videos, moves, options_of_videos
from detection_core.errors import UserError

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

Each image's result is written to out/ as soon as it is ready. After an interruption, run the same command again to continue. Images
are processed again if the image, the model, its weights or the threshold has changed.

videos:
  python -m detection_core detect video.mp4 --model person_mobilenet_v2_fpn --out out/ --fps 10

Videos are files that contain one (MP4, MOV, WebM, MKV, AVI, MPEG, WMV, FLV and others), patterns that end as videos do ('*.MTS'), and
animated GIFs with --every or --fps; folders are searched for images only. Each video results in NAME_detections.mp4 and
NAME_detections.json, with a track id for each object. After an interruption, the finished part of a video is kept, but the next run starts
from its beginning.
"""
_FORMATS = "json, png, coco, coco-dataset, yolo-detect, yolo-segment, yolo-pose, csv; for videos: json, mp4, coco, csv, mot"
# Formats that consist of one file.
_FOR_STDOUT = ("json", "coco", "coco-dataset", "csv")


def add_detect(commands: Any) -> None:
    """Adds the command to a parser's commands."""
    parser = commands.add_parser(
        "detect", help="find objects in images and videos", epilog=_EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="images, videos, folders with images, quoted patterns like '**/*.jpg'; see also clusters"
    )
    parser.add_argument("--model", required=True, metavar="KEY", help="a key from the `models` command, or a .pt file")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--threshold", type=fraction, metavar="T", help="lowest score, 0–1; default: the model's own")
    which.add_argument("--thresholds", type=Path, metavar="FILE", help="thresholds.json of the Evaluate tab or of `evaluate`")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for results; default: results on stdout")
    parser.add_argument(
        "--format",
        action="append",
        type=lambda text: text.split(","),
        metavar="F[,F]",
        help=f"output formats: {_FORMATS}; default: json with png or mp4, or json on stdout. With --out, json is always written",
    )
    parser.add_argument(
        "--annotations",
        type=Path,
        metavar="FILE",
        help="your COCO annotations, whose ids images and classes get in the formats coco and coco-dataset; default: the numbers that all "
        "file names are (000000000139.jpg), or else 1, 2, 3 ...",
    )
    parser.add_argument("--raw-csv", action="store_true", help="write CSV for programs: no byte-order mark, no apostrophe before formulas")
    parser.add_argument("--overwrite", action="store_true", help="process images again that are already done")
    add_precision(parser)
    add_input_size(parser)
    add_slices(parser)
    parser.add_argument("--device", default="cpu", metavar="D", help="device for the model: cpu, cuda, cuda:1, mps")
    parser.add_argument("--models", metavar="DIR", help="folder with your own models; default: models, if it exists")
    add_cluster_options(parser)
    add_video_options(parser)
    parser.set_defaults(command=_detect)


def _detect(args: argparse.Namespace) -> int:
    use_models_folder(args.models)
    spec = find_spec(args.model, args.precision, args.input_size, args.slices)
    video_limits = limits_of_videos()
    videos, images = _find(args, video_limits)
    formats, video_formats = _formats(args, spec, videos=bool(videos), images=bool(images))
    limits, loader = settings("cpu" if args.engine == "ray" else args.device)
    from detection_core.video import lowest_kept
    from detection_core.video.export import FRAME_IDS

    chosen = chosen_thresholds(args.thresholds, spec) if args.thresholds else None
    wanted = chosen.all if chosen else args.threshold
    threshold = spec.default_threshold if wanted is None else wanted
    in_videos = spec.video_threshold if wanted is None else wanted
    of_classes = dict(chosen.classes) if chosen else {}
    if of_classes and videos:
        say(f"Videos use the threshold {in_videos:g} for all classes; those of single classes are for images.")
    options = options_of_videos(args, spec, in_videos)
    if "coco" in video_formats and videos:
        say(FRAME_IDS.sentence(spec.categories, spec.category_ids))
    numbering = numbering_of(images, args.annotations, spec, formats)
    how = {"limits": limits, "overwrite": args.overwrite, "on_stdout": args.out is None, "raw_tables": args.raw_csv}
    with _folder(args.out) as folder:
        if args.engine == "ray":
            fine = detect_on_cluster(images, folder, spec, lambda: _provenance(spec, threshold, of_classes), formats, numbering, args, how)
            return 0 if fine else 1
        detector = _load(spec, args.device, loader)
        if detector is None:
            return 1
        provenance = _provenance(spec, threshold, of_classes)
        fine = True
        if images:
            find = partial(detector.detect, on_slice=SliceReport()) if spec.slices else detector.detect
            fine = detect_in_images(images, folder, lambda batch: batch.run(find), provenance, formats, numbering, **how)
        if videos:
            floor = lowest_kept(spec.min_score, spec.default_threshold, in_videos)
            with _frame_detector(spec, args.device, loader) as (detect, max_in_flight):
                run = VideoRun(
                    folder, detect, _provenance(spec, in_videos), video_formats, options, floor, video_limits, max_in_flight, args.raw_csv
                )
                fine = run.over(_stems(videos, images, folder)) and fine
    return 0 if fine else 1


def _find(args: argparse.Namespace, limits: VideoLimits) -> tuple[list[InputFile], list[InputFile]]:
    """Finds the videos and the images.

    Raises:
        NoImagesError: If a folder or pattern contains no image.
        StorageError: If images in object storage or in Parquet files cannot be found.
        UsageError: If options for videos are used with images, or standard output with videos.
    """
    from detection_core.inputs import find_images, find_videos, is_gif
    from detection_core.video.io import holds_video

    stored, files = stored_images(args)
    videos, others = find_videos(files, gifs=args.every is not None or args.fps is not None, holds_video=holds_video)
    still = [video.path for video in videos if is_gif(video.path) and not moves(video.path, limits)]
    images = [*find_images([*others, *still]), *stored]
    videos = [video for video in videos if video.path not in still]
    if args.engine == "ray":
        check_for_cluster(args, videos)
    if videos and args.out is None:
        raise UsageError("Results of videos cannot go to standard output. Add --out DIR.")
    if args.annotations is not None and not images:
        raise UsageError("Frames of videos have no ids in an annotation file: leave out --annotations.")
    if images and (args.classes is not None or args.keypoint_threshold is not None):
        raise UsageError("--classes and --keypoint-threshold are for videos only: leave them out for images.")
    return videos, images


def _formats(args: argparse.Namespace, spec: ModelSpec, *, videos: bool, images: bool) -> tuple[list[str], list[str]]:
    """Returns the formats for images and for videos, each once.

    Raises:
        UsageError: If a format is unknown, or cannot be written for this model or to standard output.
    """
    from detection_core.formats import FORMATS
    from detection_core.models.example import example_of
    from detection_core.video import VIDEO_FORMATS

    if args.format is None:
        return ["json"] if args.out is None else ["json", "png"], ["json", VIDEO]
    of_videos = (*VIDEO_FORMATS, VIDEO) if videos else ()
    known = list(dict.fromkeys([*(FORMATS if images else ()), *of_videos]))
    formats = list(dict.fromkeys(name.strip() for names in args.format for name in names))
    for name in formats:
        if name not in known:
            raise UsageError(f"There is no format “{name}”. The formats are: {', '.join(known)}.")
        if name in FORMATS and name not in of_videos and not FORMATS[name].suits(example_of(spec)):
            raise UsageError(f"{spec.title} predicts {', '.join(spec.tasks)} only, which is not enough for the format “{name}”.")
    if "mot" in formats and args.no_track:
        raise UsageError("The format “mot” contains tracks: leave out --no-track.")
    if args.out is None and (len(formats) > 1 or formats[0] not in _FOR_STDOUT):
        raise UsageError(f"Only one of {', '.join(_FOR_STDOUT)} can go to standard output. Add --out DIR for {','.join(formats)}.")
    return [name for name in formats if name in FORMATS], list(dict.fromkeys(["json", *(name for name in formats if name in of_videos)]))


def _stems(videos: Sequence[InputFile], images: Sequence[InputFile], folder: Path) -> dict[InputFile, str]:
    """Returns the stem of each video's files, which differs from those of images and never leads to an input."""
    from detection_core.batch import RECORD
    from detection_core.inputs import ANNOTATED, ANNOTATED_VIDEO, free_stems, identity
    from detection_core.video import VIDEO_FILES

    inputs = {found for file in (*videos, *images) if (found := identity(Path(file.path)))}
    taken = free_stems(images, folder, inputs, (ANNOTATED, RECORD)).values()
    return free_stems(videos, folder, inputs, (ANNOTATED_VIDEO, *(f"_{name}" for name in VIDEO_FILES)), taken)


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Creates the folder for results; a temporary one for standard output."""
    if out is None:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"The folder “{out}” cannot be created: {error.strerror}.") from error
    yield out


def _load(spec: ModelSpec, device: str, loader: ModelLoader) -> Detector | None:
    """Returns the model ready to run, or None after reporting an error."""
    from detection_core.models.detector import Detector

    try:
        loader.load(spec, on_progress=LoadReport())
        return Detector(spec, device=device, loader=loader)
    except UserError as error:
        say(str(error))
    except (RuntimeError, MemoryError) as error:
        say(f"{spec.title} cannot be loaded: {in_a_line(error)}")
    return None


@contextmanager
def _frame_detector(spec: ModelSpec, device: str, loader: ModelLoader) -> Iterator[tuple[Callable[[Image.Image], Detections], int]]:
    """Yields a function that finds objects in a frame, and the number of frames that should be in flight."""
    from detection_core.engine import EngineError, LocalEngine
    from detection_core.images.reading import read_image

    # Errors are reported in one line each, so the engine's log is not needed here.
    logging.getLogger("detection_core.engine").setLevel(logging.CRITICAL)
    engine = LocalEngine(device, loader=loader)

    def detect(frame: Image.Image) -> Detections:
        try:
            return engine.submit(read_image(frame), spec, keep=False).result().detections
        except EngineError as error:
            raise error.__cause__ or error from None

    try:
        # One more than run at the same time, so that the engine does not wait for the next frame.
        yield detect, engine.max_in_flight
    finally:
        engine.close()


def _provenance(spec: ModelSpec, threshold: float, of_classes: Mapping[str, float] | None = None) -> Provenance:
    """Returns the provenance with the weights' hash: a file may change without changing its name, and copies have the same content."""
    from detection_core.batch import CLASS_THRESHOLDS
    from detection_core.formats import provenance_of
    from detection_core.models.download import sha256
    from detection_core.models.weights import find_weights

    provenance = provenance_of(spec, threshold=threshold, settings={CLASS_THRESHOLDS: dict(of_classes)} if of_classes else None)
    file = find_weights(spec)
    return replace(provenance, revision=sha256(file)) if file else provenance
