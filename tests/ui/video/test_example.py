"""The video to try."""

from __future__ import annotations

from detection_core.ui.video.example import make_example_video
from detection_core.video.io import open_video


def test_images_come_and_go(tmp_path):
    make_example_video(tmp_path / "example.mp4")
    video = open_video(tmp_path / "example.mp4")
    assert (video.size, video.duration, video.codec) == ((640, 360), 8.0, "h264")
    places = [frame.image[100:250, 480:580].std() for frame in video.frames(fps=1)]
    # At first there is only the table; at last there is an image.
    assert places[0] < 8 < 20 < places[-1]
