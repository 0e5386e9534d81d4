"""A browser's camera whose images carry their numbers, from which their age can be read wherever they are shown."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from playwright.sync_api import Browser, sync_playwright

from benchmarks.browser_redraw import ARGUMENTS
from benchmarks.common import find_chromium
from detection_core.images.reading import encode_jpeg
from detection_core.models.catalog import ASSETS

SIZE = (640, 480)
IMAGES = 300
BITS, BLOCK = 10, 40
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

# Runs in the plain stream's page: records when each camera image was first seen, and the age of each returned image.
RECORDER = """([bits, block]) => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const numberOf = (source, width, height) => {
    Object.assign(canvas, { width, height });
    pen.drawImage(source, 0, 0);
    let number = 0;
    for (let bit = 0; bit < bits; bit++) {
      const [red] = pen.getImageData((bit + 0.5) * block, height - block / 2, 1, 1).data;
      if (red > 127) number += 2 ** bit;
    }
    return number;
  };
  const seen = new Map();
  const record = (window.record = { ages: [], times: [] });
  const video = document.querySelector("video");
  const next = (now) => {
    seen.set(numberOf(video, video.videoWidth, video.videoHeight), now);
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
  let last = "";
  const check = () => {
    const image = document.querySelector("#out img[src*='/file=']");
    if (image && image.complete && image.naturalWidth && image.src !== last) {
      last = image.src;
      const taken = seen.get(numberOf(image, image.naturalWidth, image.naturalHeight));
      if (taken) record.ages.push(performance.now() - taken);
      record.times.push(performance.now());
    }
    requestAnimationFrame(check);
  };
  check();
}"""


@cache
def make_images() -> list[bytes]:
    """Makes JPEGs of the panned example image, each with its number in a strip of black and white blocks."""
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as opened:
        image = ImageOps.contain(opened.convert("RGB"), (900, 900))
    shown = []
    for number in range(IMAGES):
        phase = (1 - np.cos(2 * np.pi * number / IMAGES)) / 2
        x, y = ((large - small) * phase for large, small in zip(image.size, SIZE, strict=True))
        part = image.crop((int(x), int(y), int(x) + SIZE[0], int(y) + SIZE[1]))
        pen = ImageDraw.Draw(part)
        for bit in range(BITS):
            corner = (bit * BLOCK, SIZE[1] - BLOCK)
            pen.rectangle((*corner, corner[0] + BLOCK, SIZE[1]), fill="white" if number >> bit & 1 else "black")
        shown.append(encode_jpeg(part))
    return shown


@contextmanager
def browser_with_camera() -> Iterator[Browser]:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        video = Path(folder) / "camera.mjpeg"
        video.write_bytes(b"".join(make_images()))
        arguments = [*ARGUMENTS, *CAMERA, f"--use-file-for-fake-video-capture={video}"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        yield browser
        browser.close()
