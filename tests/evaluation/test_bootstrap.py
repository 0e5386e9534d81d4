"""Intervals by resampling images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detection_core.evaluation.average_precision import class_figures
from detection_core.evaluation.bootstrap import Interval, interval, resample
from tests.evaluation.scenes import Scene, make, random_scene


def drawn(scene: Scene, draw: list[int]) -> Scene:
    """The scene with the images of the draw, repeated ones under other ids."""
    images, results = [], {}
    for number, index in enumerate(draw, start=1):
        image = sorted(scene.dataset.images, key=lambda image: image.id)[index]
        images.append(replace(image, id=number))
        results[number] = scene.results[image.id]
    return Scene(replace(scene.dataset, images=tuple(images)), results)


@pytest.mark.parametrize("seed", range(3))
def test_samples_are_those_of_the_drawn_images(seed):
    scene = random_scene(seed, images=8, kinds=False)
    # With equal scores, the order of images matters to a precision before all of them are counted.
    rng = np.random.default_rng(seed)
    for entry in (entry for found in scene.results.values() for entry in found):
        entry["score"] = float(rng.random())
    resampled = resample(scene.matches(), 4)
    draws = np.random.default_rng(0).integers(0, 8, (4, 8))
    for number, draw in enumerate(draws.tolist()):
        figures = class_figures(drawn(scene, draw).matches())
        np.testing.assert_allclose(resampled.precision[number], figures.precision, atol=1e-12)
        np.testing.assert_allclose(resampled.recall[number], figures.recall, atol=1e-12)
        for most, recall in figures.recall_of_first.items():
            np.testing.assert_allclose(resampled.recall_of_first[most][number], recall, atol=1e-12)
        samples = {name: values[number] for name, values in resampled.samples().items()}
        # All of COCO's figures, AR1 and those by size included.
        expected = {name: np.nan if value is None else value for name, value in figures.summary.items()}
        assert samples == pytest.approx(expected, nan_ok=True)


def test_keypoints_have_intervals_of_all_their_figures():
    matches = random_scene(2, images=6).matches("keypoints")
    summary, intervals = class_figures(matches).summary, resample(matches, 20).intervals()
    assert intervals.keys() == summary.keys()
    assert {name for name, bounds in intervals.items() if bounds} == {name for name, value in summary.items() if value is not None}


def test_the_same_images_are_drawn_for_every_model():
    a, b = random_scene(1, kinds=False), random_scene(1, kinds=False)
    assert np.array_equal(resample(a.matches(), 5).precision, resample(b.matches(), 5).precision, equal_nan=True)


def test_more_images_give_narrower_intervals():
    few, many = (resample(random_scene(5, images=number, kinds=False).matches(), 100).intervals()["AP50"] for number in (10, 160))
    assert few.high - few.low > 2 * (many.high - many.low)


def test_without_objects_nothing_is_known():
    assert set(resample(make({1: []}, {}).matches(), 3).intervals().values()) == {None}


def test_interval_holds_95_percent():
    assert interval(np.append(np.arange(1001.0), np.nan)) == Interval(25, 975)
