"""An example of a model's results suits the same formats as results that the model gives."""

from __future__ import annotations

import pytest

from detection_core.formats import FORMATS
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.models.example import example_of


@pytest.mark.parametrize(
    ("model", "unsuitable"),
    [
        (COCO_MODEL, set()),
        (PERSON_MODEL, set()),
        ("ssd300_vgg16", {"yolo-segment", "yolo-pose"}),
        ("maskrcnn_resnet50_fpn", {"yolo-pose"}),
        ("keypointrcnn_resnet50_fpn", {"yolo-segment"}),
    ],
)
def test_shows_which_formats_suit_a_model(model: str, unsuitable: set[str]):
    example = example_of(get_model_spec(model))
    assert {name for name, known in FORMATS.items() if not known.suits(example)} == unsuitable
