"""Which class of a model stands for which class of the data."""

from __future__ import annotations

import pytest

from detection_core.evaluation.errors import EvaluationError
from detection_core.evaluation.mapping import map_classes


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("person", "person"),
        ("Person", "person"),
        ("traffic_light", "traffic light"),
        ("Hot-Dog ", "hot dog"),
        ("tvmonitor", "tv"),
        ("dining table", "diningtable"),
        ("couch", "sofa"),
    ],
)
def test_names_that_mean_the_same(model, data):
    assert map_classes([model], [data]).partners == {model: data}


def test_what_has_no_partner_is_reported():
    mapping = map_classes(["person", "Dog", "horse"], ["dog", "person", "boat"])
    assert (mapping.partners, mapping.left_out, mapping.not_detected) == ({"person": "person", "Dog": "dog"}, ("horse",), ("boat",))
    assert mapping.in_words() == [
        "Classes of another name: Dog → dog.",
        "It does not detect “boat”: these objects count as missed, with an AP of 0.",
        "The data has no class for “horse”: these detections are left out.",
    ]
    assert mapping.labels({1: "person", 2: "N/A", 3: "Dog", 4: "horse"}, ["background", "dog", "person", "boat"]) == {1: 2, 3: 1}


def test_the_same_name_comes_before_a_similar_one():
    assert map_classes(["Car", "car"], ["car", "Car"]).partners == {"Car": "Car", "car": "car"}


def test_changes_by_the_user():
    changes = {"truck": "car", "dog": None, "of another model": "car"}
    mapping = map_classes(["car", "truck", "dog"], ["car", "dog"], changes)
    assert mapping.partners == {"car": "car", "truck": "car"}
    assert (mapping.left_out, mapping.not_detected) == (("dog",), ("dog",))


def test_changes_to_unknown_classes_are_a_sentence():
    with pytest.raises(EvaluationError, match=r"no class “boat”\. Its classes are “car”, “dog”"):
        map_classes(["car"], ["car", "dog"], {"car": "boat"})
