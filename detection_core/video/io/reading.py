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
# More give nothing here, and each holds frames of its own.
_DECODING_THREADS = min(4, os.cpu_count() or 1)
# Matroska and WebM, per track.
_TAGGED_DURATION = re.compile(r"(\d+):(\d\d):(\d\d\.\d+)")
# What is rounded in a time stamp, in parts of a frame of the wanted rate.
_ROUNDING = 1e-3


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame of a video.

    Attributes:
        index: Its number among all frames of the file, from 0.
        time_s: When it is shown, in seconds after the first one, to the microsecond.
        image: uint8 [H,W,3], RGB, upright.
    """

    index: int
    time_s: float
    image: NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class VideoFile:
    """A video that can be read, and what there is to know about it before.

    Attributes:
        path: The file.
        size: (width, height) of each frame in pixels, upright, with square pixels.
        duration: Seconds.
        fps: Frames per second, on average.
        frame_count: Number of frames, or None if the file does not say.
        has_audio: Whether there is sound that can be decoded.
        codec: FFmpeg's name of the video's compression, such as "h264".
        limits: What was allowed; reading stops after `limits.max_seconds`.
        notes: Sentences for the user on what was changed or left out; reading adds to them.
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
        """Reads the frames from the beginning; each call opens the file anew.

        What cannot be decoded is left out, and `notes` says so. Frames whose size differs from the first one's are scaled to it.

        Args:
            every: Gives frames 0, n, 2n … only.
            fps: Gives at most so many frames per second, evenly by their time stamps; a slower video gives all that it has.

        Raises:
            ValueError: If both are given, or one is not positive.
            VideoError: If the file is gone or can no longer be opened.
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
        """All frames with their times in seconds, which always grow; ends with a note where the limit or the damage begins."""
        origin, time = None, -1 / self.fps
        for frame in _decoded(container, stream, self.limits, self._note):
            # The last frames do not know their time base, so frame.time is None.
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
    """Looks at a video file without reading it, but for its first frame.

    A file that does not say how long it is, as browsers record them, is read through once without being decoded.

    Args:
        path: An MP4, MOV, WebM, Matroska, AVI, GIF, MPEG, WMV or FLV file, whatever it is called.
        limits: What is accepted; None takes those of `VideoLimits.from_environment`.

    Raises:
        VideoError: If there is no such file, or if it holds no video that can be used.
    """
    limits = limits or VideoLimits.from_environment()
    limits.check_bytes(file_bytes(path))
    with open_media(path) as container:
        stream = moving_images(container)
        if stream is None:
            raise VideoError(
                "The file holds sound but no video. Choose one with moving images."
                if container.streams.audio
                else f"The file holds no video. Choose a file in {READABLE}."
            )
        if stream.codec_context is None:
            raise VideoError("The video's compression is not supported. Convert it to MP4 with H.264 first.")
        if stream.width and stream.height:
            limits.check_size((stream.width, stream.height))
        duration, count = _said_length(container, stream)
        limits.check_seconds(duration or 0.0)
        damages: list[str] = []
        first = next(_decoded(container, stream, limits, damages.append), None)
        if first is None:
            raise VideoError(_BROKEN if damages or count else "The video holds no frames. Record or export it again.")
        size = Upright.of(first, stream.sample_aspect_ratio).size
        rate = float(stream.average_rate or stream.guessed_rate or 0)
        has_audio, codec = sound(container) is not None, stream.codec_context.name
    limits.check_size(size)
    if duration is None:
        duration, count = _measured_length(path)
        limits.check_seconds(duration)
    # Rates beyond are those of a clock, not of frames.
    if not 0 < rate <= 1000:
        rate = count / duration if count and duration else 25.0
    notes = ["HDR video: brightness and colors are shown approximately."] if is_hdr(first) else []
    return VideoFile(Path(path), size, duration or 1 / rate, rate, count, has_audio, codec, limits, notes)


def _said_length(container: InputContainer, stream: VideoStream) -> tuple[float | None, int | None]:
    """Seconds and number of frames as the header says; those of the whole file, if it does not tell sound and video apart."""
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
    """Seconds and number of frames by the time stamps of all packets."""
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
    """All frames that can be decoded, and a note on the others."""
    decoder = stream.codec_context
    decoder.thread_type = "AUTO"
    decoder.thread_count = _DECODING_THREADS
    # Frames may grow in mid-stream. Twice, because they are stored in whole blocks.
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
        # An empty one would tell the decoder that the video is over.
        if packet.size:
            yield packet
