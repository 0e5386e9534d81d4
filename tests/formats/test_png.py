from __future__ import annotations

import io
import json
from dataclasses import asdict

import numpy as np
from PIL import Image, ImageCms

from detection_core.formats import Provenance, annotated_png
from detection_core.visualization import AnnotationStyle, annotate
from tests.factories import make_detections

IMAGE = Image.fromarray(np.full((480, 640, 3), 90, np.uint8))


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def test_the_file_records_how_it_was_made():
    found = make_detections(3, categories=("bg", "dog “ü”"))
    style, provenance = AnnotationStyle(opacity=0.7, labels=False), Provenance("m", "w.pth", threshold=0.3, versions={"torch": "2"})
    image = opened(annotated_png(IMAGE, found, style=style, provenance=provenance))
    assert image.text["Description"] == found.describe()
    assert image.text["Software"].startswith("Detection Explorer ")
    settings = json.loads(image.text["Settings"])
    assert settings["style"] == asdict(style)
    assert Provenance.from_json(settings["provenance"]) == provenance


def test_the_image_is_what_is_drawn():
    found = make_detections(2)
    colors = [(1, 2, 3), (250, 0, 0)]
    image = opened(annotated_png(IMAGE, found, colors=colors))
    np.testing.assert_array_equal(np.asarray(image), np.asarray(annotate(IMAGE, found, colors=colors)))


def test_a_color_profile_is_kept():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    image = IMAGE.copy()
    image.info["icc_profile"] = profile
    assert opened(annotated_png(image, make_detections(1))).info["icc_profile"] == profile
