"""What was found in a clip, and its annotated video, as one file to save."""

from __future__ import annotations

import secrets
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePath

from detection_core.formats import provenance_of
from detection_core.formats.target import safe_stem
from detection_core.ui.video.messages import VIDEO_FORMAT
from detection_core.ui.video.work import Clip, ClipExpiredError
from detection_core.video import CLIP_FORMATS, export_clip


class NothingToSaveError(ValueError):
    """There is nothing to save; the message is for people."""


def save_clip(clip: Clip, formats: Sequence[str]) -> tuple[Path, str]:
    """Writes what is shown of a clip at the moment.

    Args:
        clip: The clip, looked at.
        formats: `VIDEO_FORMAT` and keys of `CLIP_FORMATS`; those that need identities are left out where nobody followed objects.

    Returns:
        The file, in the clip's folder, and its name for the visitor: the format's own file where one is wanted, otherwise a ZIP archive.

    Raises:
        ClipExpiredError: If the clip has not been looked at, or its files are gone.
        NothingToSaveError: If no format that suits it is chosen.
    """
    drawn, records = clip.drawn, clip.records
    if drawn is None or records is None or not drawn.path.exists():
        raise ClipExpiredError
    others = [key for key in formats if key in CLIP_FORMATS and (drawn.options.track or key != "mot")]
    stem = safe_stem(clip.name)
    video = f"{stem}_detections.mp4"
    if VIDEO_FORMAT in formats and not others:
        return drawn.path, video
    if not others:
        raise NothingToSaveError("Choose at least one format that suits what was found.")
    provenance = provenance_of(clip.spec, threshold=drawn.options.threshold)
    folder = clip.folder / secrets.token_hex(8)
    folder.mkdir()
    if VIDEO_FORMAT not in formats and len(others) == 1:
        names = export_clip(records, drawn.options, others, folder, file_name=clip.name, provenance=provenance)
        if len(names) == 1:
            return folder / names[0], PurePath(names[0]).name
    path = folder / f"{stem}_detections.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        export_clip(records, drawn.options, others, archive, file_name=clip.name, provenance=provenance)
        if VIDEO_FORMAT in formats:
            # A video is compressed already.
            archive.write(drawn.path, video, zipfile.ZIP_STORED)
    return path, path.name
