"""Clips through a detector: what was found in each frame, who is who, and the annotated video, counts and files made from that."""

from detection_core.video.counts import CountSeries, count_series
from detection_core.video.detect import detect_clip, render_clip
from detection_core.video.export import export_clip
from detection_core.video.formats import CLIP_FILES, CLIP_FORMATS
from detection_core.video.options import ClipOptions, lowest_kept
from detection_core.video.progress import ClipProgress, ClipResult
from detection_core.video.records import ClipRecords, FrameRecord
from detection_core.video.track import FollowedFrame, follow

__all__ = [
    "CLIP_FILES",
    "CLIP_FORMATS",
    "ClipOptions",
    "ClipProgress",
    "ClipRecords",
    "ClipResult",
    "CountSeries",
    "FollowedFrame",
    "FrameRecord",
    "count_series",
    "detect_clip",
    "export_clip",
    "follow",
    "lowest_kept",
    "render_clip",
]
