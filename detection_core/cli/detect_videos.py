"""What the command `detect` does with videos."""

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
    """Adds what is said about videos to a parser."""
    group = parser.add_argument_group("videos")
    frames = group.add_mutually_exclusive_group()
    frames.add_argument("--every", type=int, metavar="N", help="look at every Nth frame only")
    frames.add_argument("--fps", type=float, metavar="F", help="look at no more than F frames per second")
    group.add_argument(
        "--classes", action="append", type=_names, metavar="NAME[,NAME]", help="only these are drawn, counted and written; default: all"
    )
    group.add_argument(
        "--keypoint-threshold", type=float, metavar="LOGIT", help="keypoints above it are drawn, and visible in COCO; default: 2"
    )
    # Its name before the first release.
    group.add_argument("--joint-threshold", dest="keypoint_threshold", type=float, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    group.add_argument("--no-track", action="store_true", help="give objects no identity, and leave their boxes as they are")
    group.add_argument("--no-sound", action="store_true", help="leave the sound out")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def options_of_videos(args: argparse.Namespace, spec: ModelSpec, threshold: float) -> VideoOptions:
    """What was said about videos.

    Raises:
        UsageError: If that cannot be.
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
        raise UsageError(f"{spec.title} knows no class “{unknown[0]}”. Its classes are: {', '.join(spec.class_names)}.")
    return wanted


def limits_of_videos() -> VideoLimits:
    """Which videos are accepted: of any length and size, unless the environment sets limits.

    Raises:
        UsageError: If one of its variables is not what it should be.
    """
    from detection_core.video.io import VideoLimits

    try:
        return VideoLimits.from_environment(default=VideoLimits(max_seconds=math.inf, max_bytes=sys.maxsize))
    except ValueError as error:
        raise UsageError(str(error)) from error


def moves(path: str, limits: VideoLimits) -> bool:
    """Whether a GIF has more than one frame."""
    from detection_core.video.io import VideoError, open_video

    try:
        return len(list(islice(open_video(path, limits).frames(), 2))) > 1
    except VideoError:
        return False


@dataclass(frozen=True)
class VideoRun:
    """Detection in videos, one after the other.

    Attributes:
        folder: Where results go.
        detect: The model.
        provenance: What results come from.
        formats: Keys of `VIDEO_FORMATS`, and "mp4".
        options: How videos are looked at.
        floor: Lowest score of an object that is kept at all.
        limits: Which videos are accepted.
        max_in_flight: How many frames are with the model at a time.
        raw_tables: Whether CSV is written for programs, not for spreadsheets.
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
        """Takes each video, with what the names of its files begin with; says what becomes of it, and whether nothing failed."""
        failed = 0
        for number, (video, stem) in enumerate(videos.items(), 1):
            place = f"[{number}/{len(videos)}] " if len(videos) > 1 else ""
            failed += not self._take(video, stem, f"{place}{video.name}")
        return not failed

    def _take(self, source: InputFile, stem: str, title: str) -> bool:
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
                line.end(f"{self._told(records)} ({duration(time.perf_counter() - started)})")
            except (ValueError, OSError, RuntimeError, MemoryError) as error:  # A VideoError is a ValueError.
                line.end(f"{in_a_line(error)}{_kept(records)}")
                return False
            except KeyboardInterrupt:
                line.end(f"It was not finished.{_kept(records)}")
                raise
        for note in notes:
            say(f"{title}: {note}")
        return True

    def _detect(self, video: InputFile, stem: str, records: FrameResults, line: _Line) -> Sequence[str]:
        """Detects in a video and writes its files, those of a part if it does not come to the end; gives notes for the user."""
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

    def _told(self, records: FrameResults) -> str:
        from detection_core.detections import in_words
        from detection_core.video import count_per_frame

        frames = f"{len(records)} frame{'s' * (len(records) != 1)}"
        total = count_per_frame(records, self.options).total
        if total is None:
            return frames
        return f"{frames}, {in_words(total)}"


def _kept(records: FrameResults) -> str:
    return f" What was found in {len(records)} frame{'s' * (len(records) != 1)} is kept." if len(records) else ""


class _Line:
    """One video's line on stderr: written over on a terminal, else one for every tenth of the video."""

    def __init__(self, title: str) -> None:
        self._title = on_one_line(title)
        self._is_terminal = sys.stderr.isatty()
        self._said: float = -math.inf

    def progress(self, progress: VideoProgress) -> None:
        """Says how far it is."""
        now = time.monotonic() if self._is_terminal else 10 * progress.frames_done // progress.frames_total
        if now - self._said < (_SECONDS_BETWEEN_LINES if self._is_terminal else 1):
            return
        self._said = now
        left = "" if progress.seconds_left is None else f", {duration(progress.seconds_left)} left"
        text = f"{progress.frames_done} of {progress.frames_total} frames; {progress.fps:.1f} frames/s{left}"
        self._write(text, end="")

    def end(self, text: str) -> None:
        """Says what came of it."""
        self._write(text)

    def _write(self, text: str, end: str = "\n") -> None:
        line = f"{self._title}: {text}"
        if self._is_terminal:
            print(f"\r{line}{_REST_OF_LINE_EMPTY}", end=end, file=sys.stderr, flush=True)
        else:
            say(line)
