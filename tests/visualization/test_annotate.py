"""Tests that annotate is pure, validates its arguments and handles unusual results."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from detection_core.detections import Detections
from detection_core.models.detector import as_array
from detection_core.visualization import PALETTE, AnnotationStyle, annotate
from tests.factories import make_detections

LAYERS = ("boxes", "masks", "contours", "skeletons", "labels")


def make_image(image_size=(480, 640)):
    return Image.effect_noise(image_size[::-1], 60).convert("RGB")


def only(*layers, **changes):
    return AnnotationStyle(**{name: name in layers for name in LAYERS}, **changes)


@pytest.mark.parametrize("kind", ["PIL", "array"])
def test_input_is_not_changed(kind):
    detections = make_detections(5, masks=True, keypoints=True)
    image = make_image() if kind == "PIL" else np.array(make_image())
    before = image.tobytes()
    kept = [getattr(detections, name).tobytes() for name in ("boxes", "masks", "keypoints", "scores")]
    result = annotate(image, detections)
    assert image.tobytes() == before
    assert [getattr(detections, name).tobytes() for name in ("boxes", "masks", "keypoints", "scores")] == kept
    assert (result.mode, result.size) == ("RGB", (640, 480))
    assert result.tobytes() != before


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("masks", [False, True], ids=["without masks", "with masks"])
@pytest.mark.parametrize("kind", ["PIL", "array"])
def test_result_shares_nothing_with_the_input(kind, masks, count):
    image = make_image() if kind == "PIL" else np.array(make_image())
    before = image.tobytes()
    annotate(image, make_detections(count, masks=masks, keypoints=masks)).paste((0, 0, 0), (0, 0, 640, 480))
    assert image.tobytes() == before


def test_nothing_found_leaves_the_image_as_it_is():
    image = make_image()
    nothing = Detections.empty((480, 640), ("__background__", "person"))
    assert annotate(image, nothing).tobytes() == image.tobytes()
    assert annotate(image, make_detections(3, masks=True, keypoints=True)[:0]).tobytes() == image.tobytes()


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_draws_something_and_can_be_left_out(layer):
    detections = make_detections(4, masks=True, keypoints=True)
    image = make_image()
    assert annotate(image, detections, only(layer)).tobytes() != image.tobytes()
    others = [name for name in LAYERS if name != layer]
    assert annotate(image, detections, only(*others)).tobytes() != annotate(image, detections).tobytes()


def test_without_layers_the_image_stays():
    image = make_image()
    assert annotate(image, make_detections(4, masks=True, keypoints=True), only()).tobytes() == image.tobytes()


def test_the_same_input_gives_the_same_image():
    image, detections = make_image(), make_detections(20, masks=True, keypoints=True)
    assert annotate(image, detections).tobytes() == annotate(np.asarray(image), detections).tobytes()


def test_labels_lie_on_top_of_everything():
    detections = make_detections(6, masks=True, keypoints=True)
    image = make_image()
    alone, whole = (np.asarray(annotate(image, detections, style)) for style in (only("labels"), AnnotationStyle()))
    labeled = (alone != np.asarray(image)).any(axis=2)
    assert (alone[labeled] == whole[labeled]).all()


def test_given_colors_are_used():
    detections = make_detections(2, labels=[1, 2])
    pink, teal = (255, 0, 200), (0, 130, 130)
    colors = {color for _, color in annotate(make_image(), detections, only("boxes"), colors=[pink, teal]).getcolors(1 << 20)}
    assert {pink, teal} <= colors
    assert not {PALETTE[1], PALETTE[2]} & colors


@pytest.mark.parametrize("masks", [None, np.ones((4, 28, 28), np.float32)], ids=["without masks", "with masks"])
@pytest.mark.parametrize(
    "image_size", [pytest.param((480, 640), id="VGA"), pytest.param((8, 8), id="8 px"), pytest.param((1, 1), id="1 px")]
)
def test_odd_boxes_are_drawn_or_left_out_but_never_fail(masks, image_size):
    height, width = image_size
    boxes = [[0, 0, 1, 1], [width - 0.5, height - 0.5, width, height], [-50, -50, 2 * width, 2 * height], [width / 2, 0, width / 2, height]]
    detections = Detections(
        np.array(boxes), np.ones(4), np.linspace(0.9, 0.6, 4), image_size, ("__background__", "person"), masks=masks
    )  # fmt: skip
    image = make_image(image_size)
    result = annotate(image, detections)
    assert result.size == image.size
    assert result.tobytes() != image.tobytes()


def test_a_speck_is_visible():
    detections = replace(make_detections(1), boxes=np.array([[300.2, 200.2, 300.7, 200.7]], np.float32))
    image = Image.new("RGB", (640, 480), (90, 90, 90))
    changed = np.asarray(annotate(image, detections, only("boxes"))) != 90
    assert changed.any(axis=2).sum() >= 30


@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(Image.new("RGB", (480, 640)), "480×640 pixels but the detections are for 640×480", id="turned"),
        pytest.param(np.zeros((480, 640, 3), np.float32), "float32", id="floats"),
        pytest.param(np.zeros((3, 480, 640), np.uint8), r"\[3, 480, 640\]", id="channels first"),
        pytest.param("nowhere.png", "no such file", id="no file"),
        pytest.param(b"text", "text file", id="no image"),
    ],
)
def test_wrong_images_are_refused(image, message):
    with pytest.raises(ValueError, match=message):
        annotate(image, make_detections())


def test_an_opened_image_that_is_cut_off_is_refused_with_a_reason(tmp_path):
    path = tmp_path / "cut.png"
    make_image().save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with Image.open(path) as image, pytest.raises(ValueError, match="cannot be decoded"):
        annotate(image, make_detections())


def test_there_must_be_one_color_per_object():
    with pytest.raises(ValueError, match="1 colors for 3 objects"):
        annotate(make_image(), make_detections(3), colors=[(0, 0, 0)])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_images_of_every_mode_become_rgb(mode):
    assert annotate(make_image().convert(mode), make_detections()).mode == "RGB"


_RAMP = np.linspace(0, 1, 480 * 640).reshape(480, 640)


def _turned(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    make_image((640, 480)).save(folder / "turned.jpg", exif=exif)
    return folder / "turned.jpg"


def _with_color_key(image):
    image.info["transparency"] = image.getpixel((0, 0))
    return image


def _saved(folder, image, name="image.png"):
    image.save(folder / name)
    return folder / name


SOURCES = {
    "16-bit": lambda _: Image.fromarray(np.rint(_RAMP * 65535).astype(np.uint16)),
    "12 of 16 bits": lambda _: Image.fromarray(np.rint(_RAMP * 4095).astype(np.uint16)),
    "32-bit integers": lambda _: Image.fromarray(np.rint(_RAMP * 2e9 - 1e9).astype(np.int32)),
    "floats": lambda _: Image.fromarray((_RAMP * 9 - 5).astype(np.float32)),
    "alpha": lambda _: Image.new("RGBA", (640, 480), (200, 30, 40, 100)),
    "gray and alpha": lambda _: Image.new("LA", (640, 480), (90, 100)),
    "RGB with a transparent color": lambda _: _with_color_key(make_image()),
    "palette": lambda _: make_image().convert("P"),
    "CMYK": lambda _: make_image().convert("CMYK"),
    "gray array": lambda _: np.full((480, 640), 90, np.uint8),
    "RGBA array": lambda _: np.full((480, 640, 4), 90, np.uint8),
    "RGB array": lambda _: np.asarray(make_image()),
    "path": lambda folder: _saved(folder, make_image()),
    "path as text": lambda folder: str(_saved(folder, make_image())),
    "path of a turned image": _turned,
    "path of a 16-bit image": lambda folder: _saved(folder, SOURCES["16-bit"](folder)),
    "content of a file": lambda folder: _saved(folder, make_image()).read_bytes(),
}


@pytest.mark.parametrize("name", SOURCES)
def test_it_draws_on_the_pixels_that_the_detector_sees(name, tmp_path):
    source = SOURCES[name](tmp_path)
    seen = as_array(source)
    nothing = make_detections(3)[:0]
    np.testing.assert_array_equal(np.asarray(annotate(source, nothing)), seen)
    assert np.asarray(annotate(source, make_detections(3))).tobytes() != seen.tobytes()


def test_drawing_needs_neither_torch_nor_gradio():
    code = "import sys, detection_core.visualization; print({'torch', 'torchvision', 'gradio'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
