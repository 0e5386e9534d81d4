"""A Chromium whose fake camera pans over an image of a person."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Playwright

from detection_core.models.catalog import ASSETS


def launch_with_camera(playwright: Playwright, arguments: dict[str, Any], folder: Path) -> Browser:
    """Starts it, as `arguments` say; the video goes into the folder."""
    video = folder / "pan.mjpeg"
    video.write_bytes(b"".join(_panned_frames()))
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", f"--use-file-for-fake-video-capture={video}"]
    return playwright.chromium.launch(**(arguments | {"args": [*arguments["args"], *camera]}))


def _panned_frames() -> Iterator[bytes]:
    image = Image.open(ASSETS / "examples" / "astronaut.jpg").convert("RGB").resize((800, 800))
    for left in [*range(0, 160, 16), *range(160, 0, -16)]:
        data = io.BytesIO()
        image.crop((left, 100, left + 640, 580)).save(data, "JPEG")
        yield data.getvalue()
