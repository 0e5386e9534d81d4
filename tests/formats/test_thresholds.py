"""Thresholds files: what is written is read again, and anything else is refused in a sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.formats import ResultsFormatError
from detection_core.formats.thresholds import ModelThresholds, read_thresholds, thresholds_file
from tests.factories import make_detections

scores = st.floats(0, 1)
chosen = st.builds(ModelThresholds, scores, st.dictionaries(st.text(), scores, max_size=3))


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("thresholds") / "thresholds.json"


@given(by_model=st.dictionaries(st.text(), chosen, min_size=1, max_size=3))
def test_what_is_written_is_read(file, by_model):
    file.write_bytes(thresholds_file(by_model))
    assert read_thresholds(file) == by_model


def test_a_number_stands_for_all_classes(file):
    file.write_text('{"thresholds": {"mine": 0.4}}')
    assert read_thresholds(file) == {"mine": ModelThresholds(0.4)}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        (b"\xff", "is not JSON"),
        ("[]", "has no thresholds"),
        ({}, "has no thresholds"),
        ({"thresholds": {}}, "has no thresholds"),
        ({"thresholds": {"mine": {}}}, "“all” of “mine”"),
        ({"thresholds": {"mine": True}}, "“all” of “mine”"),
        ({"thresholds": {"mine": 1.5}}, "from 0 to 1"),
        ({"thresholds": {"mine": {"all": float("nan")}}}, "from 0 to 1"),
        ({"thresholds": {"mine": {"all": 0.5, "classes": []}}}, "must be an object"),
        ({"thresholds": {"mine": {"all": 0.5, "classes": {"cat": "0.5"}}}}, "the class “cat” of “mine”"),
    ],
)
def test_other_files_are_refused(file, content, words):
    file.write_bytes(content if isinstance(content, bytes) else (content if isinstance(content, str) else json.dumps(content)).encode())
    with pytest.raises(ResultsFormatError, match=words):
        read_thresholds(file)


def test_a_file_that_is_not_there(file):
    with pytest.raises(ResultsFormatError, match="cannot be read: No such file"):
        read_thresholds(file.with_name("other.json"))


def test_a_class_has_its_own_threshold():
    found = replace(make_detections(3, labels=[1, 2, 2]), scores=np.array([0.7, 0.6, 0.5], np.float32))
    names = found.categories
    kept = ModelThresholds(0.7, {names[2]: 0.55}).keep(found)
    # The score float32(0.7) is less than 0.7.
    assert kept.scores.tolist() == pytest.approx([0.7, 0.6])
