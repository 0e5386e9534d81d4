"""export_video: what was found in a video as files for other programs, with the identity of each object."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from detection_core.formats import Format, FrameFacts, ImageResult, Provenance, VideoFacts, export
from detection_core.formats.target import safe_stem
from detection_core.video.formats import VIDEO_FORMATS
from detection_core.video.options import VideoOptions
from detection_core.video.records import FrameResults
from detection_core.video.track import track_objects


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
    """Writes what is shown of a video in several formats, in one pass and with one frame in memory at a time.

    Args:
        records: What was found.
        options: What of it is shown.
        formats: Keys of `VIDEO_FORMATS`; "mot" only with tracking.
        target: Folder, made if it is not there, in which each file is replaced whole; or an archive open for writing.
        file_name: What the video is called.
        provenance: Where the results come from; its threshold and settings are filled in from the options.
        stem: What the files' names begin with; "" makes it from `file_name`.
        known: The formats that there are.

    Returns:
        Names of the files written, relative to the target, such as "video_detections.json".

    Raises:
        ValueError: If there is no such format, or "mot" is wanted without tracking.
        FileExistsError: If the archive has a file of that name already.
        OSError: If a file cannot be written.
    """
    if "mot" in formats and not options.track:
        raise ValueError("MOT is about who is who: it needs tracking. Switch tracking on, or leave that format out.")
    stem = stem or safe_stem(file_name)
    source = provenance and _with_options(provenance, options)
    results = _results(records, options, file_name, source, stem)
    return export(results, formats, target, style=options.style, prefix=f"{stem}_", known=known)


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
