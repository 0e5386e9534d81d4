"""What must be true of each outcome: results can be used wherever they go, and messages are short and show nothing of the server."""

from __future__ import annotations

import io
import json
import re
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from detection_core.detections import Detections
from detection_core.detections.comparison import compare, consensus
from detection_core.formats import FORMATS, ImageResult, Numbering, export, from_json, import_coco_results, number_images, to_json
from detection_core.formats.numbering import COUNTED
from detection_core.visualization import annotate

_LONGEST_MESSAGE = 800
_MOST_SENTENCES = 4
_ROOT = Path(__file__).parents[2]
_SERVER = [str(_ROOT), sys.prefix, sys.base_prefix, tempfile.gettempdir(), str(Path.home()), "site-packages", "Traceback"]
_OBJECT = re.compile(r"<[\w.]+ object at 0x|0x[0-9a-f]{8}")


class BrokenPromiseError(AssertionError):
    """A reader has returned or said something that it must not."""


def require(condition: object, what: str) -> None:
    """Raises a BrokenPromiseError that says what is wrong."""
    if not condition:
        raise BrokenPromiseError(what)


def check_message(text: str, *, known: Iterable[str] = ()) -> None:
    """Checks a message for users.

    Args:
        text: The message.
        known: Paths that the user has given, which may occur in it.
    """
    for path in known:
        text = text.replace(path, "FILE")
    require(0 < len(text) <= _LONGEST_MESSAGE, f"a message has {len(text)} characters: {text[:200]!r}")
    require(len(re.findall(r"[.?!…] (?=[A-Z“])", text)) < _MOST_SENTENCES, f"a message has many sentences: {text!r}")
    odd = [letter for letter in text if not (letter.isprintable() or letter.isspace()) or letter in "\r\n\t\u2028\u2029"]
    require(not odd, f"a message contains characters that cannot be shown: {text!r}")
    require(not any(place in text for place in _SERVER), f"a message contains a path of the server: {text!r}")
    require(not _OBJECT.search(text), f"a message contains Python's words for an object: {text!r}")


def check_sendable(value: Any) -> None:
    """Checks that Gradio can send a response to the browser."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError) as error:
        raise BrokenPromiseError(f"a response cannot be sent: {error}") from error


def check_image(image: Image.Image) -> None:
    """Checks that an image can be detected in, shown and saved."""
    pixels = np.asarray(image)
    require(image.mode == "RGB" and pixels.dtype == np.uint8 and pixels.shape == (image.height, image.width, 3), f"{image} is not RGB")
    require(set(image.info) <= {"icc_profile"}, f"an image has {sorted(map(str, image.info))}")
    for kind in ("JPEG", "PNG"):
        image.save(io.BytesIO(), kind, icc_profile=image.info.get("icc_profile"))


def check_detections(found: Detections, numbering: Numbering = COUNTED) -> None:
    """Checks that detections can be drawn, exported in all formats, read again and compared."""
    height, width = found.image_size
    require(np.isfinite(found.boxes).all() and np.isfinite(found.scores).all(), "a box or score is not finite")
    if len(found) > 50 or height * width > 1_000_000:
        found = found[:3]
    check_sendable(to_json(found))
    again = from_json(json.loads(json.dumps(to_json(found))))
    require(np.array_equal(again.boxes, found.boxes) and np.array_equal(again.scores, found.scores), "JSON changes the result")
    if height * width > 4_000_000:
        return
    image = Image.new("RGB", (width, height))
    annotate(image, found)
    compare(found, again)
    consensus([found, again], votes=2)
    file = io.BytesIO()
    result = ImageResult("a.png", found, image=lambda: image, image_id=number_images(["a.png"]).image_ids[0])
    with zipfile.ZipFile(file, "w") as archive:
        export([result], [key for key, form in FORMATS.items() if form.suits(found)], archive, numbering=numbering)
    with zipfile.ZipFile(file) as archive:
        coco = archive.read(next(name for name in archive.namelist() if name.endswith("coco_results.json")))
    # An annotation file may lack some of the classes.
    if len(found) and numbering is COUNTED:
        require(len(import_coco_results(coco, found.image_size).detections) == len(found), "COCO results change the result")
