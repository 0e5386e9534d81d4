from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from detection_core.datasets.checks import check
from detection_core.datasets.coco import read_coco
from detection_core.datasets.images import read_part, read_upright
from tests.coco_folders import coco_folder
from tests.images.tiffs import tiff


def with_large_text(image: Image.Image) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 1_300_000, zip=True)
    stream = io.BytesIO()
    image.save(stream, "PNG", pnginfo=text)
    return stream.getvalue()


def jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=95)
    return stream.getvalue()


def planar(image: Image.Image) -> bytes:
    return tiff(np.asarray(image, np.uint16) * 257, planar=True, photometric=2)


# name: (intact file, the same image as other programs write it)
UNUSUAL = {
    "large text": (with_large_text, with_large_text),
    "planar TIFF of 16 bits": (with_large_text, planar),
    "jpeg without its end": (jpeg, lambda image: jpeg(image)[:-2]),
    "jpeg with half its end": (jpeg, lambda image: jpeg(image)[:-1]),
    "jpeg filled up": (jpeg, lambda image: jpeg(image) + bytes(5000)),
    "jpeg behind a blank line": (jpeg, lambda image: b"\r\n" + jpeg(image)),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_images_that_every_viewer_opens_are_used(tmp_path, name):
    intact, unusual = UNUSUAL[name]
    folder = coco_folder(tmp_path, images=1)
    dataset = read_coco(folder)
    record = dataset.images[0]
    with Image.open(record.path) as opened:
        image = opened.convert("RGB")
    record.path.write_bytes(intact(image))
    expected = np.asarray(read_upright(record), int)
    record.path.write_bytes(unusual(image))
    assert check(dataset, ("boxes",)) == []
    assert np.abs(np.asarray(read_upright(record), int) - expected).max() <= 1
    part = np.asarray(read_part(record, (20, 30, 60, 60), (40, 30)), int)
    assert np.abs(part - expected[30:60, 20:60]).max() <= 1
