"""Tests that an object which only a slice shows is explained in that slice, in pixels of the image."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.random_models import calibrated_module
from detection_core.detections import Detections
from detection_core.explanation import (
    NOT_RECORDED,
    Explanation,
    FoundObject,
    Query,
    QueryError,
    SliceRecorder,
    Why,
    explain,
    record,
    stages,
    what_if,
    why,
    why_not,
    why_not_in_whole,
)
from detection_core.explanation.in_slices import slices_of
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.detector import Detector, run
from detection_core.models.loader import ModelLoader
from detection_core.slicing import Tile, placed
from tests.explanation.small_cat import TILE, small_cat
from tests.random_models import quick_first

pytestmark = pytest.mark.usefixtures("one_thread")

KEY = f"{COCO_MODEL}@stock@slices128"
SIZE = (128, 332)


@pytest.fixture(scope="module")
def image() -> Image.Image:
    return small_cat()


@pytest.fixture(scope="module")
def loader() -> ModelLoader:
    return ModelLoader()


@pytest.fixture(scope="module")
def found(image: Image.Image, loader: ModelLoader) -> Detections:
    return Detector(KEY, loader=loader).detect(image)


@pytest.fixture(scope="module")
def explanation(image: Image.Image, loader: ModelLoader, found: Detections) -> Explanation:
    assert found.whole_scores is not None
    assert (found.names[0], found.whole_scores[0] < 0.2 < found.scores[0]) == ("cat", True)
    return explain(image, KEY, number=0, quick_saliency=True, loader=loader)


@pytest.mark.parametrize("key", quick_first([COCO_MODEL, PERSON_MODEL], [PERSON_MODEL]))
def test_a_recording_of_a_slice_ends_in_its_result_at_its_place(key: str):
    spec, module, pixels = get_model_spec(f"{key}@stock@slices128"), calibrated_module(key), np.asarray(small_cat())
    tile = Tile(*TILE)
    recording = record(module, spec, pixels, tile)
    expected = placed(run(module, spec, [pixels[:, tile.x0 : tile.x1]], torch.device("cpu"))[0][0], tile, SIZE)
    kept = recording.selection.kept
    assert len(kept)
    for boxes in (recording.in_image(recording.candidates.boxes[kept]), recording.detections.boxes, what_if(recording).detections.boxes):
        np.testing.assert_array_equal(boxes, expected.boxes)
    np.testing.assert_array_equal(recording.detections.scores, expected.scores)
    if expected.keypoints is not None:
        np.testing.assert_array_equal(recording.detections.keypoints, expected.keypoints)
    assert stages(recording)[0].text.endswith(f"scaled by {recording.network_size[0] / 128:.2f}")
    assert why(recording, 0).refinements[-1].box == pytest.approx(expected.boxes[0])


def test_places_are_in_pixels_of_the_image(image: Image.Image):
    recording = record(calibrated_module(COCO_MODEL), get_model_spec(KEY), image, Tile(*TILE))
    left, top, right, bottom = recording.detections.boxes[0].tolist()
    assert "found an object" in why_not(recording, Query(at=((left + right) / 2, (top + bottom) / 2)), 0.2).sentence
    for outside in (Query(at=(90, 100)), Query(box=(10, 10, 100, 120))):
        with pytest.raises(QueryError, match="outside the slice of 128×128 pixels"):
            why_not(recording, outside, 0.2)


def test_the_slice_explains_what_the_whole_image_does_not_show(explanation: Explanation, found: Detections):
    answer, tile = explanation.answer, explanation.recording.tile
    assert isinstance(answer, Why)
    assert tile is not None
    assert answer.refinements[-1].box == pytest.approx(found.boxes[0])
    assert answer.score == pytest.approx(float(found.scores[0]))
    assert explanation.sentence.startswith(f"Only a slice of the image shows this cat {answer.score:.2f}. In the whole image: ")
    assert f" In the slice: This cat {answer.score:.2f} began as an anchor" in explanation.sentence
    report = explanation.to_json()
    assert report["slice"] == list(tile) == list(TILE)
    assert report["why"]["name"] == "cat"
    assert report["why_not"]["places"]
    assert explanation.draw_answer().size == (332, 128)


@pytest.mark.slow
def test_the_saliency_map_lies_in_the_slice_and_on_the_object(explanation: Explanation, image: Image.Image, loader: ModelLoader):
    thorough = explain(image, KEY, number=0, saliency_masks=4, loader=loader)
    x0, y0, x1, y1 = explanation.recording.region
    for heat in (explanation.saliency, thorough.saliency):
        assert heat is not None
        assert heat.shape == SIZE
        inside = heat[y0:y1, x0:x1].copy()
        assert heat.sum() == pytest.approx(inside.sum())
        assert 0.9 < inside.max() <= 1
    assert explanation.saliency is not None
    left, top, right, bottom = (round(side) for side in explanation.answer.refinements[-1].box)  # type: ignore[union-attr]
    assert explanation.saliency[top:bottom, left:right].mean() > 3 * explanation.saliency[y0:y1, x0:x1].mean()


@pytest.mark.slow
def test_what_the_whole_image_shows_is_explained_there(loader: ModelLoader):
    with Image.open(ASSETS / "examples" / "dogs.jpg") as dogs:
        image = dogs.resize((160, 128))
    sliced = explain(image, KEY, number=0, loader=loader)
    assert sliced.recording.tile is None
    assert sliced.absence is None
    assert sliced.sentence.startswith("This dog 0.")
    assert "slice" not in sliced.sentence
    with pytest.raises(QueryError, match="There is no object 5000"):
        explain(image, KEY, number=5000, loader=loader)


@pytest.mark.slow
def test_an_object_of_another_result_is_refused(image: Image.Image, loader: ModelLoader, found: Detections):
    spec = get_model_spec(KEY)
    thing = FoundObject(18, "dog", 0.9, (10.0, 80.0, 40.0, 120.0))
    assert pickle.loads(pickle.dumps(SliceRecorder(spec, thing))) == SliceRecorder(spec, thing)
    whole = record(loader.load(spec), spec, image)
    assert why_not_in_whole(whole, thing, 0.2) is not None
    with pytest.raises(QueryError) as caught:
        SliceRecorder(spec, thing)(loader.load(spec), spec, np.asarray(image))
    assert str(caught.value) == NOT_RECORDED
    with pytest.raises(QueryError, match="There is no object -1"):
        FoundObject.of(found, -1)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        # Complete in one.
        ((10, 10, 50, 50), [(0, 0)]),
        # In the corner of four, all of which contain it, and most of all in the middle of the last.
        ((165, 165, 195, 195), [(150, 150), (0, 150), (150, 0), (0, 0)]),
        # Larger than any.
        ((0, 0, 350, 20), [(0, 0), (150, 0)]),
    ],
)
def test_slices_with_the_largest_part_come_first(box: tuple[float, ...], expected: list[tuple[int, int]]):
    left, top, right, bottom = box
    assert [tile[:2] for tile in slices_of((left, top, right, bottom), (350, 350), 200)] == expected


@pytest.mark.parametrize("size", [None, 400])
def test_an_image_without_slices_has_none(size: int | None):
    assert slices_of((10, 10, 50, 50), (350, 350), size) == []
