"""A video to try: example images slide over a table, in and out of view."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from detection_core.images.reading import load_image
from detection_core.ui.shared.examples import EXAMPLES
from detection_core.video.io import VideoWriter

EXAMPLE_NAME = "sliding_images.mp4"
_SIZE = (640, 360)
_FPS = 25
_SECONDS = 8.0
_TABLE = (58, 63, 71)
_WHITE_BORDER = 5
_SHADOW = 8

# Where an image's middle is at a time between 0 and 1, in shares of the frame.
_Path = Callable[[float], tuple[float, float]]


def make_example_video(path: Path) -> None:
    """Writes the video, in about a second.

    Args:
        path: An .mp4 file in a folder that exists.

    Raises:
        VideoError: If it cannot be written.
    """
    # Next to each other, the person model would take two portraits for one person.
    cards: list[tuple[Image.Image, _Path]] = [
        (_card("Cat", 110), lambda t: (-0.2 + 1.4 * t, 0.2)),
        (_card("Grace Hopper", 200), lambda t: (0.15, 0.5 + _glide(t, 0.3, 0.6))),
        (_card("Astronaut", 280), lambda t: (1.25 - 0.85 * _glide(t, 0.05, 0.6), 0.55)),
        (_card("Cameraman", 220), lambda t: (0.84, 1.4 - 0.9 * _glide(t, 0.45, 0.75))),
    ]
    frames = round(_FPS * _SECONDS)
    with VideoWriter(path, _SIZE, _FPS) as writer:
        for index in range(frames):
            table = Image.new("RGB", _SIZE, _TABLE)
            for card, where in cards:
                x, y = where(index / frames)
                corner = (round(x * _SIZE[0] - card.width / 2), round(y * _SIZE[1] - card.height / 2))
                table.paste(card, corner, card)
            writer.write(np.asarray(table))


def _glide(t: float, begin: float, end: float) -> float:
    """From 0 to 1 between two times, gently."""
    share = min(1.0, max(0.0, (t - begin) / (end - begin)))
    return share * share * (3 - 2 * share)


def _card(name: str, height: int) -> Image.Image:
    """An image with a white border and a soft shadow, as an RGBA image."""
    image = load_image(EXAMPLES[name])
    image = image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS)
    margin = _WHITE_BORDER + _SHADOW
    card = Image.new("RGBA", (image.width + 2 * margin, image.height + 2 * margin))
    card.paste((0, 0, 0, 150), (_SHADOW, _SHADOW, card.width - _SHADOW // 2, card.height - _SHADOW // 2))
    card = card.filter(ImageFilter.GaussianBlur(_SHADOW / 2))
    card.paste((250, 250, 248, 255), (_SHADOW, _SHADOW, card.width - _SHADOW, card.height - _SHADOW))
    card.paste(image, (margin, margin))
    return card
