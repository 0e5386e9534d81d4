"""The built-in sample: annotations of the example images that pass the checks of data, and say which objects the models should find."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco_mask

from detection_core.datasets.checks import check
from detection_core.datasets.sources import read_dataset
from detection_core.evaluation.ground_truth import compressed
from detection_core.models.catalog import ASSETS, COCO_MODEL, get_model_spec

SAMPLE = read_dataset(ASSETS / "sample")


def test_the_sample_has_no_faults():
    assert not check(SAMPLE, {"boxes", "masks"})
    assert not SAMPLE.notes
    assert not SAMPLE.malformed


def test_its_classes_are_those_of_coco():
    assert set(SAMPLE.categories) <= set(get_model_spec(COCO_MODEL).categories)
    names = [get_model_spec(COCO_MODEL).categories[number] for number in SAMPLE.category_ids[1:]]
    assert names == list(SAMPLE.categories[1:])


def test_boxes_enclose_the_polygons():
    for image in SAMPLE.images:
        for entry in image.annotations:
            mask = coco_mask.decode(compressed(entry["segmentation"], image.size))
            ys, xs = np.nonzero(mask)
            x, y, width, height = entry["bbox"]
            np.testing.assert_allclose([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], [x, y, x + width, y + height], atol=1.5)
            assert entry["area"] == mask.sum()
