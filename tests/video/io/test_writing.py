"""Tests that written videos play in browsers, keep their times and sound, and appear only when they are complete."""

from __future__ import annotations

import av
import numpy as np
import pytest

from detection_core.video.io import VideoError, VideoWriter, open_video
from tests.video.io.videos import loudness, make_image, make_video, times_of


def write(path, frames=20, size=(64, 48), fps=10.0, **more):
    with VideoWriter(path, size, fps, **more) as writer:
        for index in range(frames):
            writer.write(make_image(index, size))
    return writer


@pytest.mark.parametrize(
    ("size", "encoded"),
    [((64, 48), (64, 48)), ((63, 48), (64, 48)), ((64, 47), (64, 48)), ((1, 1), (2, 2))],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
def test_every_size_becomes_what_browsers_play(tmp_path, size, encoded):
    path = tmp_path / "a.mp4"
    assert write(path, size=size).encoded_size == encoded
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.pix_fmt, (stream.width, stream.height)) == ("h264", "yuv420p", encoded)
        assert stream.frames == 20
        assert float(stream.duration * stream.time_base) == pytest.approx(2, abs=1e-3)
        assert [round(frame.time, 3) for frame in container.decode(stream)] == [index / 10 for index in range(20)]


def test_colors_and_places_stay(tmp_path):
    size = (321, 721)
    write(tmp_path / "a.mp4", 3, size)
    for frame in open_video(tmp_path / "a.mp4").frames():
        error = np.abs(frame.image[:721, :321].astype(int) - make_image(frame.index, size))
        assert np.median(error) <= 4
        assert np.abs(frame.image[:, 321].astype(int) - frame.image[:, 320]).mean() < 8


def test_uneven_times_are_kept(tmp_path):
    times = [0, 0.1, 0.4, 0.5, 2.0, 2.1]
    with VideoWriter(tmp_path / "a.mp4", (64, 48), 10) as writer:
        for index, time in enumerate(times):
            writer.write(make_image(index), time)
    video = open_video(tmp_path / "a.mp4")
    assert times_of(video) == times
    assert video.duration == pytest.approx(2.2, abs=1e-3)


@pytest.mark.parametrize("fps", [30_000 / 1001, 7.3, 0.5, 120], ids=str)
def test_every_rate_is_kept(tmp_path, fps):
    write(tmp_path / "a.mp4", 30, fps=fps)
    video = open_video(tmp_path / "a.mp4")
    assert video.fps == pytest.approx(fps, rel=1e-3)
    assert video.duration == pytest.approx(30 / fps, rel=1e-3)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("a.mp4", {}),
        ("a.ts", {}),
        ("a.webm", {"codec": "libvpx-vp9", "sound_codec": "libopus"}),
        ("a.avi", {"codec": "mpeg4", "sound_codec": "libmp3lame"}),
        ("a.mov", {"sound_codec": "pcm_s16le"}),
    ],
    ids=["aac", "aac of a stream", "opus", "mp3", "pcm"],
)
def test_sound_is_kept_in_step(tmp_path, name, how):
    source = make_video(tmp_path / name, beep=(3, 1), **how)
    writer = write(tmp_path / "out.mp4", audio_from=source)
    assert writer.notes == []
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
    times, values = loudness(tmp_path / "out.mp4")
    assert times[values > 0.1][0] == pytest.approx(1, abs=0.05)
    assert values[times > 1.2].max() > 0.3
    # No longer than the video, but for the last packet.
    assert times[-1] == pytest.approx(2, abs=0.06)


def test_aac_is_copied(tmp_path):
    source = make_video(tmp_path / "a.mp4", beep=(2, 0))
    write(tmp_path / "out.mp4", audio_from=source)

    def packets(path):
        with av.open(str(path)) as container:
            return [bytes(packet) for packet in container.demux(audio=0) if packet.size]

    assert set(packets(tmp_path / "out.mp4")) <= set(packets(source))


def test_no_sound_is_no_error(tmp_path):
    write(tmp_path / "out.mp4", audio_from=make_video(tmp_path / "a.mp4"))
    assert not open_video(tmp_path / "out.mp4").has_audio


def test_broken_sound_does_not_stop_the_video(tmp_path):
    source = make_video(tmp_path / "a.webm", codec="libvpx-vp9", sound_codec="libopus", beep=(2, 0))
    source.write_bytes(source.read_bytes()[:3000])
    write(tmp_path / "out.mp4", audio_from=source)
    assert len(times_of(open_video(tmp_path / "out.mp4"))) == 20


def test_closed_early_holds_what_there_is(tmp_path):
    source = make_video(tmp_path / "a.mp4", beep=(2, 0))
    writer = VideoWriter(tmp_path / "out.mp4", (64, 48), 10, audio_from=source)
    for index in range(5):
        writer.write(make_image(index))
    assert not (tmp_path / "out.mp4").exists()
    assert writer.close() == tmp_path / "out.mp4"
    assert writer.close() == tmp_path / "out.mp4"
    video = open_video(tmp_path / "out.mp4")
    assert (video.frame_count, video.duration, video.has_audio) == (5, pytest.approx(0.5, abs=1e-3), True)
    assert loudness(tmp_path / "out.mp4")[0][-1] == pytest.approx(0.5, abs=0.06)
    with pytest.raises(ValueError, match="closed"):
        writer.write(make_image(0))


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_text("before")
    with pytest.raises(ValueError, match="must be uint8"), VideoWriter(path, (64, 48), 10) as writer:  # noqa: PT012
        writer.write(make_image(0))
        writer.write(make_image(0, (2, 2)))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_cancel_that_closes_keeps_the_part(tmp_path):
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "out.mp4", (64, 48), 10) as writer:  # noqa: PT012
        writer.write(make_image(0))
        writer.close()
        raise KeyboardInterrupt
    assert open_video(tmp_path / "out.mp4").frame_count == 1


def test_no_frames_are_no_file(tmp_path):
    writer = VideoWriter(tmp_path / "out.mp4", (64, 48), 10, audio_from=make_video(tmp_path / "a.mp4", beep=(2, 0)))
    assert writer.close() is None
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(("size", "fps"), [((0, 48), 10), ((64, 20_000), 10), ((64, 48), 0), ((64, 48), float("nan"))], ids=str)
def test_senseless_videos_are_refused(tmp_path, size, fps):
    with pytest.raises(ValueError, match="must"):
        VideoWriter(tmp_path / "a.mp4", size, fps)


@pytest.mark.parametrize(
    "image",
    [np.zeros((48, 63, 3), np.uint8), np.zeros((48, 64, 3), np.float32), np.zeros((48, 64), np.uint8)],
    ids=["size", "type", "gray"],
)
def test_frames_that_do_not_fit_are_refused(tmp_path, image):
    with VideoWriter(tmp_path / "a.mp4", (64, 48), 10) as writer, pytest.raises(ValueError, match="a frame must be"):
        writer.write(image)


def test_a_folder_that_is_not_there_is_explained(tmp_path):
    with pytest.raises(VideoError, match="could not be written") as caught:
        VideoWriter(tmp_path / "none" / "a.mp4", (64, 48), 10).write(make_image(0))
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_source_of_sound_leaves_nothing(tmp_path):
    with pytest.raises(VideoError, match="no such file"):
        VideoWriter(tmp_path / "out.mp4", (64, 48), 10, audio_from=tmp_path / "none.mp4")
    assert list(tmp_path.iterdir()) == []
