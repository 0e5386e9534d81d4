"""export_video: writes a video's detections and track ids to files for other programs."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from detection_core.formats import Format, FrameFacts, ImageResult, Provenance, VideoFacts, export
from detection_core.formats.numbering import Numbering
from detection_core.formats.target import safe_stem
from detection_core.video.formats import VIDEO_FORMATS
from detection_core.video.options import VideoOptions
from detection_core.video.records import FrameResults
from detection_core.video.track import track_objects

FRAME_IDS = Numbering((), "Frames are numbered from 1 in the order of the video")


def export_video(
    records: FrameResults,
    options: VideoOptions,
    formats: Sequence[str],
    target: Path | zipfile.ZipFile,
    *,
    file_name: str,
    provenance: Provenance | None = None,
    stem: str = "",
    known: Mapping[str, Format] = VIDEO_FORMATS,
) -> list[str]:
    """Writes a video's results in several formats, in one pass and with one frame in memory at a time.

    Args:
        records: The detections of all frames.
        options: Which objects are written, and whether they are tracked.
        formats: Keys of `VIDEO_FORMATS`; "mot" only with tracking.
        target: A folder, which is created if necessary and in which each file is replaced atomically, or an archive open for writing.
        file_name: Name of the video.
        provenance: Provenance of the results; its threshold and settings are filled in from the options.
        stem: Start of the file names; "" derives it from `file_name`.
        known: The available formats.

    Returns:
        Names of the files written, relative to the target, such as "video_detections.json".

    Raises:
        ValueError: If a format is unknown, or "mot" is requested without tracking.
        FileExistsError: If the archive already has a file with that name.
        OSError: If a file cannot be written.
    """
    if "mot" in formats and not options.track:
        raise ValueError("MOT files contain tracks. Switch tracking on, or leave out that format.")
    stem = stem or safe_stem(file_name)
    source = provenance and _with_options(provenance, options)
    results = _results(records, options, file_name, source, stem)
    return export(results, formats, target, style=options.style, prefix=f"{stem}_", known=known, numbering=FRAME_IDS)


def _results(
    records: FrameResults, options: VideoOptions, file_name: str, provenance: Provenance | None, stem: str
) -> Iterator[ImageResult]:
    video = VideoFacts(round(records.video.duration, 6), records.video.fps)
    for shown in track_objects(records, options):
        frame = FrameFacts(video, shown.index, shown.time_s, shown.ids)
        yield ImageResult(file_name, shown.detections, provenance, stem=f"{stem}/{shown.index:06}", frame=frame)


def _with_options(provenance: Provenance, options: VideoOptions) -> Provenance:
    chosen = {
        "every": options.every,
        "fps": options.fps,
        "tracking": options.track,
        "classes": None if options.classes is None else sorted(options.classes),
        "keypoint_threshold": options.style.keypoint_threshold,
    }
    settings = {**provenance.settings, **{name: value for name, value in chosen.items() if value is not None}}
    return replace(provenance, threshold=options.threshold, settings=settings)
