"""Copies the sound of one file into another, in sync with the frames that are written there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container.input import InputContainer
from av.container.output import OutputContainer
from av.packet import Packet
from av.stream import Discard, Stream

from detection_core.video.io.container import moving_images, open_media, sound

# Sample rates of AAC that every browser plays; others are converted to the usual one.
_RATES = {16_000, 22_050, 24_000, 32_000, 44_100, 48_000}
_USUAL_RATE = 48_000
# Seconds.
_GAP = Fraction(1, 20)

# The start of a part of the sound, in seconds of the video, and its packets.
_Part = tuple[float, list[Packet]]


class SoundTrack:
    """Writes the sound of a file into a video, starting where the file's own video starts; close it at the end.

    If the sound cannot be read any further, a note is added and the video continues without it.
    """

    def __init__(self, source: str | os.PathLike[str], output: OutputContainer):
        """Adds a sound track to a video, if the source has sound; call it before the first frame is written.

        Raises:
            VideoError: If the source cannot be opened.
        """
        self.notes: list[str] = []
        self._output = output
        self._parts: Iterator[_Part] = iter(())
        with ExitStack() as stack:
            container = stack.enter_context(open_media(source))
            stream = sound(container)
            if stream is not None:
                self._parts = self._begin(container, stream)
            self._open = stack.pop_all()
        self._next = self._following()

    def write_until(self, seconds: float) -> None:
        """Writes all parts that start before a time of the video, in seconds."""
        while self._next is not None and self._next[0] < seconds:
            self._output.mux(self._next[1])
            self._next = self._following()

    def close(self) -> None:
        """Closes the source."""
        self._open.close()

    def _begin(self, container: InputContainer, stream: AudioStream) -> Iterator[_Part]:
        for other in container.streams:
            if other is not stream:
                other.discard = Discard.all
        video = moving_images(container)
        origin = video.start_time * video.time_base if video and video.start_time and video.time_base else Fraction(0)
        if stream.codec_context.name == "aac":
            return _copied(container, stream, origin, self._output.add_stream_from_template(stream))
        rate = stream.rate if stream.rate in _RATES else _USUAL_RATE
        layout = "mono" if stream.layout.nb_channels == 1 else "stereo"
        track = self._output.add_stream("aac", rate=rate, layout=layout)
        return _encoded(container, stream, origin, track)

    def _following(self) -> _Part | None:
        try:
            return next(self._parts, None)
        except (av.error.FFmpegError, ValueError):  # PyAV raises ValueError for invalid time stamps.
            self.notes.append("A part of the sound is damaged and was left out.")
            return None


def _copied(container: InputContainer, stream: AudioStream, origin: Fraction, track: Stream) -> Iterator[_Part]:
    last = -1
    for packet in container.demux(stream):
        # The last packet is empty.
        if packet.size and packet.pts is not None and packet.dts is not None and packet.time_base:
            shift = round(origin / packet.time_base)
            packet.pts -= shift
            packet.dts -= shift
            if packet.dts > last:
                last = packet.dts
                packet.stream = track  # type: ignore[assignment]  # Typed as the source's kind of stream.
                yield float(packet.pts * packet.time_base), [packet]


def _encoded(container: InputContainer, stream: AudioStream, origin: Fraction, track: AudioStream) -> Iterator[_Part]:
    end = Fraction(0)
    for frame in container.decode(stream):
        begin = end
        if frame.pts is not None and frame.time_base:
            stamp = frame.pts * frame.time_base - origin
            if stamp < 0:
                continue
            # Time stamps are coarse, and the encoder needs contiguous samples: only real gaps are kept.
            begin = stamp if stamp > end + _GAP else end
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = round(begin * frame.sample_rate)
        end = begin + Fraction(frame.samples, frame.sample_rate)
        yield float(begin), track.encode(frame)
    yield float(end), track.encode(None)
