"""Reads a video file frame by frame, upright and in 8-bit RGB, with one frame in memory at a time."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import av
import numpy as np
from av.container.input import InputContainer
from av.packet import Packet
from av.stream import Discard
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from detection_core.video.io.container import READABLE, file_bytes, moving_images, open_media, sound
from detection_core.video.io.limits import VideoError, VideoLimits, clock
from detection_core.video.io.pixels import Upright, is_hdr

_BROKEN = "The video is damaged: no frame of it can be decoded. Download or export it again."
# More threads are no faster here, and each keeps its own frames in memory.
_DECODING_THREADS = min(4, os.cpu_count() or 1)
# The duration tag of a track in Matroska and WebM.
_TAGGED_DURATION = re.compile(r"(\d+):(\d\d):(\d\d\.\d+)")
# Tolerance for rounded time stamps, as a fraction of a frame at the requested rate.
_ROUNDING = 1e-3


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        index: Index among all frames of the file, from 0.
        time_s: Time at which it is shown, in seconds after the first frame, rounded to microseconds.
        image: uint8 [H,W,3], RGB, upright.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class VideoFile:
    """A video that can be read, and its properties.

    Attributes:
        path: The file.
        size: (width, height) of each frame in pixels, upright, with square pixels.
        duration: Duration in seconds.
        fps: Frames per second, on average.
        frame_count: Number of frames, or None if the file does not say.
        has_audio: Whether it has sound that can be decoded.
        codec: FFmpeg's name of the video codec, such as "h264".
        limits: The limits; reading stops after `limits.max_seconds`.
        notes: Sentences for the user about what was changed or left out; reading adds more.
    """

    path: Path
    size: tuple[int, int]
    duration: float
    fps: float
    frame_count: int | None
    has_audio: bool
    codec: str
    limits: VideoLimits
    notes: list[str] = field(default_factory=list)

    def frames(self, *, every: int | None = None, fps: float | None = None) -> Iterator[Frame]:
        """Reads the frames from the beginning; each call opens the file again.

        Frames that cannot be decoded are left out, with a note in `notes`. Frames of another size are scaled to that of the first.

        Args:
            every: Yields only frames 0, n, 2n …
            fps: Yields at most this many frames per second, evenly by their time stamps; a slower video yields all its frames.

        Raises:
            ValueError: If both are given, or one is not positive.
            VideoError: If the file no longer exists or can no longer be opened.
        """
        if every is not None and fps is not None:
            raise ValueError("give either every or fps, not both")
        if (every is not None and every < 1) or (fps is not None and not 0 < fps < math.inf):
            raise ValueError("every and fps must be positive")
        return self._selected(every or 1, fps)

    def _selected(self, every: int, fps: float | None) -> Iterator[Frame]:
        with open_media(self.path) as container:
            stream = moving_images(container)
            if stream is None:
                raise VideoError(_BROKEN)
            upright: Upright | None = None
            due = -math.inf
            for index, (time, frame) in enumerate(self._timed(container, stream)):
                upright = upright or Upright.of(frame, stream.sample_aspect_ratio)
                if index % every:
                    continue
                if fps is not None:
                    slot = math.floor(time * fps + _ROUNDING)
                    if slot < due:
                        continue
                    due = slot + 1
                yield Frame(index, round(time, 6), upright.rgb(frame))

    def _timed(self, container: InputContainer, stream: VideoStream) -> Iterator[tuple[float, VideoFrame]]:
        """Yields all frames with their strictly increasing times in seconds; adds a note if it stops at the limit or before the end."""
        origin, time = None, -1 / self.fps
        for frame in _decoded(container, stream, self.limits, self._note):
            # The last frames have no time base, so frame.time is None.
            stamp = None if frame.pts is None or stream.time_base is None else float(frame.pts * stream.time_base)
            if origin is None and stamp is not None:
                origin = stamp - (time + 1 / self.fps)
            since = None if stamp is None or origin is None else stamp - origin
            # Time stamps are missing in old AVI files, and jump back where recordings were joined.
            time = since if since is not None and since > time else time + 1 / self.fps
            if time > self.limits.max_seconds:
                self._note(f"Only the first {clock(self.limits.max_seconds)} are used.")
                return
            yield time, frame
        end = time + 1 / self.fps
        if self.duration - end > max(0.5, 2 / self.fps):
            self._note(f"The video breaks off after {clock(end)} of {clock(self.duration)}.")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def open_video(path: str | os.PathLike[str], limits: VideoLimits | None = None) -> VideoFile:
    """Opens a video file and reads its properties; only its first frame is decoded.

    If the header has no duration, as in recordings of browsers, all packets are read once without decoding.

    Args:
        path: An MP4, MOV, WebM, Matroska, AVI, GIF, MPEG, WMV or FLV file, whatever its name.
        limits: The limits; None uses `VideoLimits.from_environment`.

    Raises:
        VideoError: If the file does not exist or contains no usable video.
    """
    limits = limits or VideoLimits.from_environment()
    limits.check_bytes(file_bytes(path))
    with open_media(path) as container:
        stream = moving_images(container)
        if stream is None:
            raise VideoError(
                "The file contains sound but no video. Choose a file with video."
                if container.streams.audio
                else f"The file contains no video. Choose a file in {READABLE}."
            )
        if stream.codec_context is None:
            raise VideoError("The video's codec is not supported. Convert it to MP4 with H.264 first.")
        if stream.width and stream.height:
            limits.check_size((stream.width, stream.height))
        duration, count = _header_length(container, stream)
        limits.check_seconds(duration or 0.0)
        damages: list[str] = []
        first = next(_decoded(container, stream, limits, damages.append), None)
        if first is None:
            raise VideoError(_BROKEN if damages or count else "The video contains no frames. Record or export it again.")
        size = Upright.of(first, stream.sample_aspect_ratio).size
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        has_audio, codec = sound(container) is not None, stream.codec_context.name
    limits.check_size(size)
    if duration is None:
        duration, count = _measured_length(path)
        limits.check_seconds(duration)
    # Higher rates are those of a clock, not of frames.
    if not 0 < rate <= 1000:
        rate = count / duration if count and duration else 25.0
    notes = ["HDR video: brightness and colors are shown approximately."] if is_hdr(first) else []
    return VideoFile(Path(path), size, duration or 1 / rate, rate, count, has_audio, codec, limits, notes)


def _header_length(container: InputContainer, stream: VideoStream) -> tuple[float | None, int | None]:
    """Returns the header's seconds and number of frames; the duration of the whole file if the video stream has none."""
    own = _TAGGED_DURATION.match(stream.metadata.get("DURATION", ""))
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif own:
        hours, minutes, rest = own.groups()
        seconds = int(hours) * 3600 + int(minutes) * 60 + float(rest)
    else:
        seconds = (container.duration or 0) / av.time_base
    return (seconds if seconds > 0 else None), (stream.frames or None)


def _measured_length(path: str | os.PathLike[str]) -> tuple[float, int]:
    """Measures the seconds and the number of frames by the time stamps of all packets."""
    count, begins, ends = 0, math.inf, 0.0
    with open_media(path) as container:
        stream = moving_images(container)
        if stream is None:
            return 0.0, 0
        for packet in _packets(container, stream, lambda _: None):
            count += 1
            if packet.pts is not None:
                begins = min(begins, float(packet.pts * packet.time_base))
                ends = max(ends, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return max(0.0, ends - begins), count


def _decoded(container: InputContainer, stream: VideoStream, limits: VideoLimits, note: Callable[[str], None]) -> Iterator[VideoFrame]:
    """Yields all frames that can be decoded, and adds a note about the others."""
    decoder = stream.codec_context
    decoder.thread_type = "AUTO"
    decoder.thread_count = _DECODING_THREADS
    # Frames may become larger within a stream. Twice the limit, because they are stored in whole blocks.
    decoder.options = {"max_pixels": str(2 * limits.frame.max_pixels)}
    damaged = 0
    for packet in chain(_packets(container, stream, note), [None]):
        try:
            frames = decoder.decode(packet)
        except av.error.FFmpegError:
            damaged += 1
            continue
        yield from frames
    if damaged:
        note("A damaged part of the video was left out." if damaged == 1 else f"{damaged} damaged parts of the video were left out.")


def _packets(container: InputContainer, stream: VideoStream, note: Callable[[str], None]) -> Iterator[Packet]:
    for other in container.streams:
        if other is not stream:
            other.discard = Discard.all
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.error.FFmpegError:
            note("The end of the video is damaged and was left out.")
            return
        if packet is None:
            return
        # An empty packet would signal the end of the video to the decoder.
        if packet.size:
            yield packet
