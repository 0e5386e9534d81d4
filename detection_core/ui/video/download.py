"""A video's detections and its annotated video as one file to save."""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePath

from detection_core.formats import provenance_of
from detection_core.formats.target import safe_stem
from detection_core.ui.video.messages import VIDEO_FORMAT
from detection_core.ui.video.work import VideoExpiredError, VisitorVideo
from detection_core.video import VIDEO_FORMATS, export_video


class NothingToSaveError(ValueError):
    """There is nothing to save; the message is for people."""


def save_video(video: VisitorVideo, formats: Sequence[str]) -> tuple[Path, str]:
    """Writes the results that are shown of a video now.

    Args:
        video: The video, after detection.
        formats: `VIDEO_FORMAT` and keys of `VIDEO_FORMATS`; those that need tracks are left out if objects were not tracked.

    Returns:
        The file, in the video's folder, and its name for the visitor: the format's own file where one is wanted, otherwise a ZIP archive.

    Raises:
        VideoExpiredError: If the video has no results, or its files are gone.
        NothingToSaveError: If no format that suits it is chosen.
    """
    drawn, records = video.drawn, video.records
    if drawn is None or records is None or not drawn.path.exists():
        raise VideoExpiredError
    others = [key for key in formats if key in VIDEO_FORMATS and (drawn.options.track or key != "mot")]
    stem = safe_stem(video.name)
    file_name = f"{stem}_detections.mp4"
    if VIDEO_FORMAT in formats and not others:
        return drawn.path, file_name
    if not others:
        raise NothingToSaveError("Choose at least one format that can hold these results.")
    provenance = provenance_of(video.spec, threshold=drawn.options.threshold)
    folder = video.folder / secrets.token_hex(8)
    folder.mkdir()
    if VIDEO_FORMAT not in formats and len(others) == 1:
        names = export_video(records, drawn.options, others, folder, file_name=video.name, provenance=provenance)
        if len(names) == 1:
            return folder / names[0], PurePath(names[0]).name
    path = folder / f"{stem}_detections.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        export_video(records, drawn.options, others, archive, file_name=video.name, provenance=provenance)
        if VIDEO_FORMAT in formats:
            # A video is compressed already.
            archive.write(drawn.path, file_name, zipfile.ZIP_STORED)
    return path, path.name
