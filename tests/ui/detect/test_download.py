from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from detection_core.errors import UserError
from detection_core.formats import FORMATS, Provenance, from_json
from detection_core.images.reading import ImageError
from detection_core.ui.detect.download import result_file
from detection_core.ui.detect.view import ViewSettings
from detection_core.ui.shared.session import KeptResult
from detection_core.visualization import AnnotationStyle, annotate, object_colors
from tests.factories import make_detections

PROVENANCE = Provenance("some_model", "some_model.pth", time="2026-01-02T03:04:05+00:00")
BARE = ViewSettings(threshold=0, style=AnnotationStyle(boxes=False, masks=False, contours=False, skeletons=False, labels=False))


@pytest.fixture
def kept(tmp_path) -> KeptResult:
    """Six objects of three classes in a gray image."""
    path = tmp_path / "gray.png"
    Image.new("RGB", (640, 480), (90, 90, 90)).save(path)
    return KeptResult(path, make_detections(6, masks=True, keypoints=True, model="some_model"), PROVENANCE)


def draw(kept: KeptResult, settings: ViewSettings) -> Image.Image:
    data, name = result_file(kept, settings, "png")
    assert name == "gray_some_model.png"
    return Image.open(io.BytesIO(data))


def changed(image: Image.Image) -> int:
    return int((np.asarray(image) != 90).any(axis=2).sum())


def test_nothing_switched_on_is_the_image(kept):
    assert changed(draw(kept, BARE)) == 0


@pytest.mark.parametrize("layer", ["boxes", "masks", "contours", "skeletons", "labels"])
def test_every_layer_draws(kept, layer):
    assert changed(draw(kept, replace(BARE, style=replace(BARE.style, **{layer: True})))) > 0


def test_the_threshold_and_the_classes_decide_what_is_drawn(kept):
    boxes = replace(BARE, style=replace(BARE.style, boxes=True))
    everyone = changed(draw(kept, boxes))
    best = changed(draw(kept, replace(boxes, threshold=0.9)))
    no_dogs = changed(draw(kept, replace(boxes, hidden_classes=frozenset({2}))))
    assert 0 < best < everyone
    assert 0 < no_dogs < everyone


def test_json_says_that_the_image_is_cut_off(kept):
    kept.image_path.write_bytes(kept.image_path.read_bytes()[:-40])
    data, _ = result_file(kept, BARE, "json")
    assert json.loads(data)["notes"] == ["The file is cut off or damaged: a part of the image is missing."]


def test_colors_and_numbers_stay_when_others_are_hidden(kept):
    settings = ViewSettings(threshold=0, hidden_classes=frozenset({1}))
    visible = settings.visible(kept.detections)
    colors = [color for color, seen in zip(object_colors(kept.detections, "auto"), visible, strict=True) if seen]
    numbers = (np.flatnonzero(visible) + 1).tolist()
    with Image.open(kept.image_path) as image:
        expected = annotate(image, kept.detections[visible], colors=colors, numbers=numbers)
    assert numbers[0] == 2
    assert draw(kept, settings).tobytes() == expected.tobytes()


def test_a_missing_image_is_an_error(kept):
    kept.image_path.unlink()
    with pytest.raises(ImageError, match="no longer on the server"):
        draw(kept, BARE)


def test_a_file_has_its_provenance_and_settings(kept):
    settings = json.loads(draw(kept, ViewSettings(threshold=0.3)).info["Settings"])
    assert settings["provenance"]["weights"] == "some_model.pth"
    assert settings["provenance"]["threshold"] == 0.3
    assert settings["provenance"]["settings"]["opacity"] == 0.4


def test_names_of_any_length_are_saved(kept):
    path = kept.image_path.rename(kept.image_path.with_name("中" * 83 + ".png"))
    long = replace(kept, image_path=path, detections=replace(kept.detections, model="m" * 250))
    for form in ("json", "yolo-pose", "png"):
        _, name = result_file(long, BARE, form)
        assert len(name.encode()) <= 255
        assert name.startswith("中" * 33)


def test_every_format_holds_what_is_seen(kept):
    settings = ViewSettings(threshold=0.5)
    for form in FORMATS:
        data, name = result_file(kept, settings, form)
        assert data, name
        assert name.startswith("gray_some_model")
    data, name = result_file(kept, settings, "json")
    assert name == "gray_some_model.json"
    assert len(from_json(json.loads(data))) == int((kept.detections.scores >= 0.5).sum())
    data, name = result_file(kept, settings, "yolo-pose")
    assert name == "gray_some_model_yolo-pose.zip"
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert any(entry.endswith(".txt") for entry in archive.namelist())


@pytest.mark.parametrize(
    ("form", "message"), [("docx", "no format"), ("yolo-segment", "cannot hold"), (None, "no format"), ("x" * 20_000, r"^.{,120}$")]
)
def test_what_cannot_be_written_is_an_error(kept, form, message: str):
    boxes_only = KeptResult(kept.image_path, make_detections(3, model="some_model"), PROVENANCE)
    with pytest.raises(UserError, match=message):
        result_file(boxes_only, BARE, form)


@pytest.mark.parametrize(("name", "number"), [("000000000139.png", 139), ("gray.png", 1)])
def test_coco_files_have_the_number_of_the_files_name(kept, name: str, number: int):
    named = replace(kept, image_path=kept.image_path.rename(kept.image_path.with_name(name)))
    with zipfile.ZipFile(io.BytesIO(result_file(named, BARE, "coco")[0])) as archive:
        assert {entry["image_id"] for entry in json.loads(archive.read("coco_results.json"))} == {number}
        assert "numbering" in json.loads(archive.read("provenance.json"))[0]
    assert json.loads(result_file(named, BARE, "coco-dataset")[0])["images"][0]["id"] == number
