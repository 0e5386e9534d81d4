"""Detection in videos: each frame's detections, tracks, and the annotated video, counts and files made from them."""

from detection_core.video.counts import FrameCounts, count_per_frame
from detection_core.video.detect import detect_video, render_video
from detection_core.video.export import export_video
from detection_core.video.formats import VIDEO_FILES, VIDEO_FORMATS
from detection_core.video.options import VideoOptions, lowest_kept
from detection_core.video.progress import VideoProgress, VideoResult
from detection_core.video.records import FrameRecord, FrameResults
from detection_core.video.track import TrackedFrame, track_objects

__all__ = [
    "VIDEO_FILES",
    "VIDEO_FORMATS",
    "FrameCounts",
    "FrameRecord",
    "FrameResults",
    "TrackedFrame",
    "VideoOptions",
    "VideoProgress",
    "VideoResult",
    "count_per_frame",
    "detect_video",
    "export_video",
    "lowest_kept",
    "render_video",
    "track_objects",
]
