"""Writes frames as an H.264 MP4 file that every browser plays, with the sound of another file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from detection_core.video.io.audio import SoundTrack
from detection_core.video.io.limits import VideoError

StrPath = str | os.PathLike[str]

# MPEG's usual clock, which is fine enough for every frame rate.
_TICKS = 90_000
# Visually lossless for most viewers, and fast enough to leave the CPU to the detector.
_ENCODER = {"preset": "veryfast", "crf": "20"}
# Frequent key frames make seeking fast.
_SECONDS_BETWEEN_KEY_FRAMES = 2
# H.264, level 6.2.
_MAX_SIDE = 16_384


class VideoWriter:
    """Writes a video; use it in a `with` statement, or call `close` or `discard` at the end.

    The file appears at its path only when it is complete. If it is closed early, it contains the frames written so far. A `with`
    statement that ends with an error discards it; call `close` before that to keep it.

    Attributes:
        path: Path of the file.
        size: (width, height) of the frames in pixels.
        encoded_size: (width, height) of the video; the right column and bottom row are repeated if a size is odd.
        fps: Frames per second.
        notes: Sentences for the user, for example about sound that could not be kept.
    """

    def __init__(
        self, path: str | os.PathLike[str], size: tuple[int, int], fps: float, *, audio_from: str | os.PathLike[str] | None = None
    ):
        """Starts a file.

        Args:
            path: An .mp4 file in a folder that exists; an existing file is replaced at the end.
            size: (width, height) of the frames in pixels.
            fps: Frames per second; it also determines how long the last frame is shown.
            audio_from: A media file whose sound is used, from where its video begins. AAC is copied, other codecs are converted to AAC.

        Raises:
            ValueError: If `size` or `fps` is out of range.
            VideoError: If the file cannot be written.
        """
        width, height = size
        if not (min(size) > 0 and max(size) <= _MAX_SIDE):
            raise ValueError(f"a frame must have 1 to {_MAX_SIDE} pixels per side, got {width} × {height}")
        if not 0 < fps <= 1000:
            raise ValueError(f"fps must be above 0 and at most 1000, got {fps}")
        self.path = Path(path)
        self.size = (width, height)
        self.encoded_size = (width + width % 2, height + height % 2)
        self.fps = fps
        self.notes: list[str] = []
        self._frames = 0
        self._last_tick = -1
        self._next_s = 0.0
        self._sound: SoundTrack | None = None
        # Its length does not depend on the length of the name.
        self._part = self.path.absolute().with_name(f".{secrets.token_hex(8)}.part")
        with self._explained():
            self._container = av.open(f"file:{self._part}", "w", format="mp4", container_options={"movflags": "+faststart"})
        self._open = True
        try:
            with self._explained():
                self._add_streams(audio_from)
        except BaseException:
            self.discard()
            raise

    def write(self, image: NDArray[np.uint8], time_s: float | None = None) -> None:
        """Adds a frame.

        Args:
            image: uint8 [H,W,3], RGB, of the writer's size.
            time_s: Time at which it is shown, in seconds from the beginning; if it is not after the previous frame, the next possible
                time is used. None: one frame interval after the previous frame.

        Raises:
            ValueError: If the image has another size or type, or the file is closed.
            VideoError: If the file cannot be written.
        """
        width, height = self.size
        if image.shape != (height, width, 3) or image.dtype != np.uint8:
            raise ValueError(f"a frame must be uint8 [{height}, {width}, 3], got {image.dtype} {list(image.shape)}")
        if not self._open:
            raise ValueError("the video is closed")
        seconds = self._next_s if time_s is None else time_s
        tick = max(round(seconds * _TICKS), self._last_tick + 1)
        frame = VideoFrame.from_ndarray(self._padded(image), "rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base, frame.duration = tick, Fraction(1, _TICKS), round(_TICKS / self.fps)
        with self._explained():
            self._container.mux(self._video.encode(frame))
            if self._sound:
                self._sound.write_until(seconds)
        self._last_tick, self._next_s = tick, seconds + 1 / self.fps
        self._frames += 1

    def close(self) -> Path | None:
        """Completes the file and moves it to its path; further calls do nothing.

        Returns:
            The file, or None if no frame was written.

        Raises:
            VideoError: If the file cannot be written.
        """
        if not self._open:
            return self.path if self._frames else None
        if not self._frames:
            self.discard()
            return None
        try:
            with self._explained():
                self._container.mux(self._video.encode(None))
                if self._sound:
                    self._sound.write_until(self._next_s)
                    self._sound.close()
                    self.notes += self._sound.notes
                self._container.close()
                self._part.replace(self.path)
            self._open = False
        finally:
            if self._open:
                self.discard()
        return self.path

    def discard(self) -> None:
        """Deletes the unfinished file; an earlier file at its path stays."""
        if not self._open:
            return
        self._open = False
        self._frames = 0
        if self._sound:
            self._sound.close()
        with suppress(av.error.FFmpegError):
            self._container.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def _add_streams(self, audio_from: StrPath | None) -> None:
        rate = Fraction(self.fps).limit_denominator(1001)
        video = self._container.add_stream("libx264", rate=rate, options=_ENCODER)
        video.width, video.height = self.encoded_size
        video.pix_fmt = "yuv420p"
        video.time_base = video.codec_context.time_base = Fraction(1, _TICKS)
        video.codec_context.gop_size = max(1, round(_SECONDS_BETWEEN_KEY_FRAMES * self.fps))
        # With B-frames, an MP4 with uneven time stamps ends too early.
        video.codec_context.max_b_frames = 0
        video.codec_context.colorspace = Colorspace.ITU709
        video.codec_context.color_range = ColorRange.MPEG
        video.codec_context.color_primaries = ColorPrimaries.BT709
        video.codec_context.color_trc = ColorTrc.BT709
        self._video = video
        if audio_from is not None:
            self._sound = SoundTrack(audio_from, self._container)
        # This call opens the file.
        self._container.start_encoding()

    def _padded(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        right, bottom = self.size[0] % 2, self.size[1] % 2
        return np.pad(image, ((0, bottom), (0, right), (0, 0)), "edge") if right or bottom else np.ascontiguousarray(image)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            raise VideoError("The video could not be written. Check that its folder exists, may be written to, and has space.") from error
