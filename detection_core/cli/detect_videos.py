"""The part of the command `detect` that processes videos."""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.cli.common import UsageError, duration, in_a_line, say
from detection_core.file_names import on_one_line
from detection_core.inputs import ANNOTATED_VIDEO

if TYPE_CHECKING:
    from PIL import Image

    from detection_core.detections import Detections
    from detection_core.formats import Provenance
    from detection_core.inputs import InputFile
    from detection_core.models.spec import ModelSpec
    from detection_core.video import FrameResults, VideoOptions, VideoProgress
    from detection_core.video.io import VideoLimits

VIDEO = "mp4"
_SECONDS_BETWEEN_LINES = 0.5
_REST_OF_LINE_EMPTY = "\x1b[K"


def add_video_options(parser: Any) -> None:
    """Adds the options for videos to a parser."""
    group = parser.add_argument_group("videos")
    frames = group.add_mutually_exclusive_group()
    frames.add_argument("--every", type=int, metavar="N", help="process only every Nth frame")
    frames.add_argument("--fps", type=float, metavar="F", help="process at most F frames per second")
    group.add_argument(
        "--classes", action="append", type=_names, metavar="NAME[,NAME]", help="draw, count and write only these classes; default: all"
    )
    group.add_argument(
        "--keypoint-threshold", type=float, metavar="LOGIT", help="keypoints above it are drawn, and visible in COCO files; default: 2"
    )
    # The option's name before the first release.
    group.add_argument("--joint-threshold", dest="keypoint_threshold", type=float, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    group.add_argument("--no-track", action="store_true", help="do not track objects or smooth their boxes")
    group.add_argument("--no-sound", action="store_true", help="leave out the sound")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def options_of_videos(args: argparse.Namespace, spec: ModelSpec, threshold: float) -> VideoOptions:
    """Returns the options for videos from the arguments.

    Raises:
        UsageError: If an option is invalid.
    """
    from detection_core.video import VideoOptions
    from detection_core.visualization import AnnotationStyle

    try:
        return VideoOptions(
            threshold,
            every=args.every,
            fps=args.fps,
            track=not args.no_track,
            classes=_classes(args, spec),
            style=AnnotationStyle() if args.keypoint_threshold is None else AnnotationStyle(keypoint_threshold=args.keypoint_threshold),
            sound=not args.no_sound,
        )
    except ValueError as error:
        raise UsageError(f"{error}.") from error


def _classes(args: argparse.Namespace, spec: ModelSpec) -> frozenset[str] | None:
    if args.classes is None:
        return None
    wanted = frozenset(name for names in args.classes for name in names)
    if unknown := sorted(wanted.difference(spec.class_names)):
        raise UsageError(f"{spec.title} has no class “{unknown[0]}”. Its classes are: {', '.join(spec.class_names)}.")
    return wanted


def limits_of_videos() -> VideoLimits:
    """Returns the limits on videos: any duration and file size, unless the environment sets limits.

    Raises:
        SettingsError: If an environment variable is invalid.
    """
    from detection_core.video.io import VideoLimits

    return VideoLimits.from_environment(default=VideoLimits(max_seconds=math.inf, max_bytes=sys.maxsize))


def moves(path: str, limits: VideoLimits) -> bool:
    """Returns whether a GIF has more than one frame."""
    from detection_core.video.io import VideoError, open_video

    try:
        return len(list(islice(open_video(path, limits).frames(), 2))) > 1
    except VideoError:
        return False


@dataclass(frozen=True)
class VideoRun:
    """Runs detection on videos, one after the other.

    Attributes:
        folder: Folder for results.
        detect: Finds objects in an RGB image.
        provenance: Provenance of the results.
        formats: Keys of `VIDEO_FORMATS`, and "mp4".
        options: Options for processing and drawing.
        floor: Lowest score that is stored.
        limits: The limits on videos.
        max_in_flight: Number of frames in the detector at the same time.
            raw_tables: Whether CSV is written for programs instead of spreadsheets.
    """

    folder: Path
    detect: Callable[[Image.Image], Detections]
    provenance: Provenance
    formats: Sequence[str]
    options: VideoOptions
    floor: float
    limits: VideoLimits
    max_in_flight: int
    raw_tables: bool = False

    def over(self, videos: Mapping[InputFile, str]) -> bool:
        """Processes all videos, given with the stems of their files, and reports each; returns whether nothing failed."""
        failed = 0
        for number, (video, stem) in enumerate(videos.items(), 1):
            prefix = f"[{number}/{len(videos)}] " if len(videos) > 1 else ""
            failed += not self._process(video, stem, f"{prefix}{video.name}")
        return not failed

    def _process(self, source: InputFile, stem: str, title: str) -> bool:
        from detection_core.video import FrameResults
        from detection_core.video.io import VideoError, open_video

        line = _Line(title)
        try:
            video = open_video(source.path, self.limits)
        except VideoError as error:
            line.end(str(error))
            return False
        with FrameResults(video) as records:
            started = time.perf_counter()
            try:
                notes = self._detect(source, stem, records, line)
                line.end(f"{self._summary(records)} ({duration(time.perf_counter() - started)})")
            except (ValueError, OSError, RuntimeError, MemoryError) as error:  # A VideoError is a ValueError.
                line.end(f"{in_a_line(error)}{_kept(records)}")
                return False
            except KeyboardInterrupt:
                line.end(f"Not finished.{_kept(records)}")
                raise
        for note in notes:
            say(f"{title}: {note}")
        return True

    def _detect(self, video: InputFile, stem: str, records: FrameResults, line: _Line) -> Sequence[str]:
        """Runs detection on a video and writes its files, even if only a part was processed; returns notes for the user."""
        from detection_core.formats import raw_csv
        from detection_core.video import VIDEO_FORMATS, detect_video, export_video

        base = self.folder / stem
        base.parent.mkdir(parents=True, exist_ok=True)
        out = base.with_name(f"{base.name}{ANNOTATED_VIDEO}") if VIDEO in self.formats else None
        try:
            how: dict[str, Any] = {"floor": self.floor, "max_in_flight": self.max_in_flight, "on_progress": line.progress}
            result = detect_video(records, self.detect, out, self.options, **how)
        finally:
            formats = [name for name in self.formats if name != VIDEO]
            if len(records):
                known = raw_csv(VIDEO_FORMATS) if self.raw_tables else VIDEO_FORMATS
                export = partial(export_video, file_name=video.name, provenance=self.provenance, stem=base.name, known=known)
                export(records, self.options, formats, base.parent)
        return result.notes

    def _summary(self, records: FrameResults) -> str:
        from detection_core.detections import in_words
        from detection_core.video import count_per_frame

        frames = f"{len(records)} frame{'s' * (len(records) != 1)}"
        total = count_per_frame(records, self.options).total
        if total is None:
            return frames
        return f"{frames}, {in_words(total)}"


def _kept(records: FrameResults) -> str:
    return f" The results of {len(records)} frame{'s' * (len(records) != 1)} are kept." if len(records) else ""


class _Line:
    """One video's progress on stderr: a line that is updated on a terminal, else a line for every tenth of the video."""

    def __init__(self, title: str) -> None:
        self._title = on_one_line(title)
        self._is_terminal = sys.stderr.isatty()
        self._last: float = -math.inf

    def progress(self, progress: VideoProgress) -> None:
        """Reports the progress."""
        now = time.monotonic() if self._is_terminal else 10 * progress.frames_done // progress.frames_total
        if now - self._last < (_SECONDS_BETWEEN_LINES if self._is_terminal else 1):
            return
        self._last = now
        left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
        text = f"{progress.frames_done} of {progress.frames_total} frames; {progress.fps:.1f} frames/s{left}"
        self._write(text, end="")

    def end(self, text: str) -> None:
        """Reports the outcome."""
        self._write(text)

    def _write(self, text: str, end: str = "\n") -> None:
        line = f"{self._title}: {text}"
        if self._is_terminal:
            print(f"\r{line}{_REST_OF_LINE_EMPTY}", end=end, file=sys.stderr, flush=True)
        else:
            say(line)
