"""Clips through a detector: what was found in each frame, who is who, and the annotated video, counts and files made from that."""

from detection_core.clips.counting import CountSeries, count_series
from detection_core.clips.detecting import detect_clip
from detection_core.clips.exporting import export_clip
from detection_core.clips.following import FollowedFrame, follow
from detection_core.clips.formats import CLIP_FILES, CLIP_FORMATS
from detection_core.clips.options import ClipOptions, lowest_kept
from detection_core.clips.progress import ClipProgress, ClipResult
from detection_core.clips.records import ClipRecords, FrameRecord
from detection_core.clips.rendering import render_clip

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
