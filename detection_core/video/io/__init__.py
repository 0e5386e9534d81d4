"""Reading and writing video files: `open_video` reads frames, `VideoWriter` writes them."""

from detection_core.video.io.container import holds_video
from detection_core.video.io.limits import VideoError, VideoLimits
from detection_core.video.io.reading import Frame, VideoFile, open_video
from detection_core.video.io.writing import VideoWriter

__all__ = ["Frame", "VideoError", "VideoFile", "VideoLimits", "VideoWriter", "holds_video", "open_video"]
