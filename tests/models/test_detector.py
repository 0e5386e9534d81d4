from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from benchmarks.random_models import box_finder, random_module
from detection_core.detections import Detections
from detection_core.models import detector as detector_module
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.detector import Detector, run
from detection_core.models.optimized import optimize
from tests.random_models import FAMILIES, QUICK_FAMILIES, quick_first

CPU = torch.device("cpu")
EXAMPLE = ASSETS / "examples" / "astronaut.jpg"


def make_image(width: int = 200, height: int = 150) -> Image.Image:
    """A real image, so that features have structure."""
    return Image.open(EXAMPLE).convert("RGB").resize((width, height))


def torchvisions_own(module: torch.nn.Module, image: Image.Image) -> dict[str, np.ndarray]:
    """The documented way: convert, call, read the dict."""
    with torch.no_grad():
        output = module([pil_to_tensor(image).float() / 255])[0]
    return {name: value.numpy() for name, value in output.items()}


@pytest.mark.parametrize("key", quick_first(FAMILIES, QUICK_FAMILIES))
def test_results_are_torchvisions(key):
    module, image = random_module(key), make_image()
    expected = torchvisions_own(module, image)
    (found,), _ = run(module, get_model_spec(key), [np.asarray(image)], CPU)
    assert len(found) > 5
    np.testing.assert_array_equal(found.boxes, expected["boxes"])
    np.testing.assert_array_equal(found.labels, expected["labels"])
    np.testing.assert_array_equal(found.scores, expected["scores"])
    assert (found.masks is not None) == ("masks" in expected) == ("masks" in get_model_spec(key).tasks)
    assert (found.keypoints is not None) == ("keypoints" in expected) == ("keypoints" in get_model_spec(key).tasks)
    if found.masks is not None:
        for index, full in enumerate(expected["masks"][:, 0] >= 0.5):
            crop, (x, y) = found.mask(index)
            pasted = np.zeros_like(full)
            pasted[y : y + crop.shape[0], x : x + crop.shape[1]] = crop
            np.testing.assert_array_equal(pasted, full)
    if found.keypoints is not None:
        np.testing.assert_array_equal(found.keypoints, expected["keypoints"][..., :2])
        np.testing.assert_array_equal(found.keypoint_scores, expected["keypoints_scores"])


def rows(found: Detections) -> set[tuple[float, ...]]:
    """Boxes, labels and scores as a set: equal scores may come in any order."""
    return {tuple(row) for row in np.column_stack([found.boxes, found.labels, found.scores]).tolist()}


@pytest.mark.parametrize("key", quick_first(FAMILIES, QUICK_FAMILIES))
def test_filtering_is_the_threshold_inside_the_model(key, monkeypatch):
    module = random_module(key)
    (found,), _ = run(module, get_model_spec(key), [np.asarray(make_image())], CPU)
    threshold = float(np.median(found.scores))
    monkeypatch.setattr(box_finder(module), "score_thresh", threshold)
    (stricter,), _ = run(module, get_model_spec(key), [np.asarray(make_image())], CPU)
    kept = found[found.scores > threshold]
    assert rows(kept) == rows(stricter)


@pytest.mark.parametrize("key", quick_first(FAMILIES, QUICK_FAMILIES))
@pytest.mark.parametrize(("width", "height"), [(8, 8), (160, 8), (8, 160)], ids=["smallest", "widest", "tallest"])
def test_the_most_extreme_images_allowed_pass(key, width, height):
    module = random_module(key)
    (found,), _ = run(module, get_model_spec(key), [np.zeros((height, width, 3), np.uint8)], CPU)
    assert found.image_size == (height, width)


@pytest.mark.parametrize("tasks", [("boxes",), ("boxes", "keypoints")], ids=", ".join)
@pytest.mark.parametrize("fast", [False, True], ids=["stock", "optimized"])
@pytest.mark.parametrize("key", [COCO_MODEL, PERSON_MODEL])
def test_only_what_is_wanted_is_given(tasks, fast, key):
    module = optimize(random_module(key)) if fast else random_module(key)
    (whole,), _ = run(module, get_model_spec(key), [np.asarray(make_image())], CPU)
    (found,), _ = run(module, get_model_spec(key), [np.asarray(make_image())], CPU, tasks=tasks)
    np.testing.assert_array_equal(found.boxes, whole.boxes)
    assert found.masks is None
    assert (found.keypoints is not None) == ("keypoints" in tasks and "keypoints" in get_model_spec(key).tasks)


def test_a_batch_takes_images_of_different_sizes():
    key = "fasterrcnn_mobilenet_v3_large_320_fpn"
    sizes = [(150, 200), (90, 120)]
    found, timings = run(random_module(key), get_model_spec(key), [np.zeros((*size, 3), np.uint8) for size in sizes], CPU)
    assert [result.image_size for result in found] == sizes
    assert timings.network > 0


class OneModel:
    """A loader that has a module already."""

    def __init__(self, module: torch.nn.Module) -> None:
        self.module = module

    def load(self, key: str) -> torch.nn.Module:
        return self.module


@pytest.fixture(scope="module")
def detector() -> Detector:
    key = "ssdlite320_mobilenet_v3_large"
    return Detector(key, loader=OneModel(random_module(key)))  # type: ignore[arg-type]


def test_takes_a_path_an_image_or_an_array(detector):
    by_path = detector.detect(EXAMPLE)
    by_text = detector.detect(str(EXAMPLE))
    by_image = detector.detect(Image.open(EXAMPLE))
    by_array = detector.detect(np.asarray(Image.open(EXAMPLE).convert("RGB")))
    for other in (by_text, by_image, by_array):
        np.testing.assert_array_equal(by_path.boxes, other.boxes)


@pytest.mark.parametrize("batch_size", [1, 2])
def test_detect_batch(detector, batch_size):
    images = [make_image(), make_image(120, 90), make_image(64, 64)]
    results = detector.detect_batch(images, batch_size=batch_size)
    assert [result.image_size for result in results] == [(150, 200), (90, 120), (64, 64)]
    for image, result in zip(images, results, strict=True):
        np.testing.assert_allclose(result.scores[:3], detector.detect(image).scores[:3], atol=1e-4)


def test_a_batch_has_so_many_slices_of_an_image(monkeypatch):
    passes: list[int] = []

    def counted(module, spec, images, device):
        passes.append(len(images))
        return run(module, spec, images, device)

    monkeypatch.setattr(detector_module, "run", counted)
    key = "ssdlite320_mobilenet_v3_large"
    sliced = Detector(f"{key}@slices128", loader=OneModel(random_module(key)))  # type: ignore[arg-type]
    progress: list[tuple[int, int]] = []
    alone = sliced.detect(make_image(300, 200), on_slice=lambda *done: progress.append(done))
    assert (passes, progress) == ([1] * 7, [(number, 7) for number in range(1, 8)])
    passes.clear()
    (together,) = sliced.detect_batch([make_image(300, 200)], batch_size=4)
    assert passes == [1, 4, 2]
    np.testing.assert_allclose(together.scores[:3], alone.scores[:3], atol=1e-4)
