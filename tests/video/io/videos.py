"""Makes small videos of every kind: left half blue, upper half green, and redder with every frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from detection_core.video.io import VideoFile

RATE = 48_000
MILLISECOND = Fraction(1, 1000)


def make_image(index: int, size: tuple[int, int] = (64, 48)) -> np.ndarray:
    """uint8 [H,W,3]."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    image[:, : width // 2, 2] = 220
    image[: height // 2, :, 1] = 200
    image[..., 0] = index * 8 % 256
    return image


def make_video(
    path: Path,
    frames: int = 20,
    *,
    size: tuple[int, int] = (64, 48),
    fps: int = 10,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    turned: tuple[int, bool, bool] | None = None,
    times_ms: Sequence[int] | None = None,
    beep: tuple[float, float] | None = None,
    sound_codec: str = "aac",
    options: dict[str, str] | None = None,
    pixel_aspect: Fraction | None = None,
    draw: Callable[[int, tuple[int, int]], np.ndarray] = make_image,
) -> Path:
    """Writes a video.

    Args:
        path: The file; its ending says the container.
        turned: Degrees counterclockwise, mirrored horizontally, mirrored vertically; for the display matrix.
        times_ms: Each frame's time stamp.
        beep: Sound of so many seconds, silent but from the second number on.
        options: For the container.
        draw: Gives the image of a number and a size.
    """
    with av.open(str(path), "w", container_options=options or {}) as container:
        video = container.add_stream(codec, rate=fps)
        video.width, video.height = size
        video.pix_fmt = pixels
        video.codec_context.max_b_frames = 0
        if times_ms:
            video.time_base = video.codec_context.time_base = MILLISECOND
        if turned:
            video.set_display_rotation(turned[0], hflip=turned[1], vflip=turned[2])
        if pixel_aspect:
            video.codec_context.sample_aspect_ratio = pixel_aspect
        audio = container.add_stream(sound_codec, rate=RATE, layout="mono") if beep else None
        container.start_encoding()
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(draw(index, size), "rgb24")
            if times_ms:
                frame.pts, frame.time_base = times_ms[index], MILLISECOND
            container.mux(video.encode(frame))
        if frames:
            container.mux(video.encode(None))
        if audio and beep:
            for start in range(0, int(beep[0] * RATE), 960):
                times = np.arange(start, start + 960, dtype=np.float32) / RATE
                wave = np.where(times >= beep[1], 0.5 * np.sin(times * 2 * np.pi * 880), 0).astype(np.float32)
                sound = av.AudioFrame.from_ndarray(wave[None], "fltp", "mono")
                sound.sample_rate, sound.pts, sound.time_base = RATE, start, Fraction(1, RATE)
                container.mux(audio.encode(sound))
            container.mux(audio.encode(None))
    return path


def loudness(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds and absolute values of a file's sound, one per sample."""
    times, values = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            wave = np.abs(frame.to_ndarray()).max(axis=0)
            times.append(frame.time + np.arange(len(wave)) / frame.sample_rate)
            values.append(wave)
    return np.concatenate(times), np.concatenate(values)


def times_of(video: VideoFile, **choice: float) -> list[float]:
    """When its frames are shown, to the millisecond."""
    return [round(frame.time_s, 3) for frame in video.frames(**choice)]
