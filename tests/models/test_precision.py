from __future__ import annotations

import pytest

from detection_core.models.catalog import UnknownModelError, get_model_spec
from detection_core.models.precision import Precision, join_key, precisions_in, split_key, usual_key, usual_precision

KEY = "ssd300_vgg16"


@pytest.mark.parametrize(
    ("key", "name", "precision"),
    [
        (KEY, KEY, Precision.EXACT),
        (f"{KEY}@fast", KEY, Precision.FAST),
        (f"{KEY}@stock", KEY, Precision.STOCK),
        (f"{KEY}@exact", f"{KEY}@exact", Precision.EXACT),
        (f"{KEY}@slow", f"{KEY}@slow", Precision.EXACT),
        (f"{KEY}@fast@stock", f"{KEY}@fast", Precision.STOCK),
        ("@fast", "@fast", Precision.EXACT),
        ("", "", Precision.EXACT),
    ],
)
def test_keys_are_split(key, name, precision):
    assert split_key(key) == (name, precision)
    assert join_key(name, precision) == key


@pytest.mark.parametrize("precision", Precision)
def test_a_precision_is_part_of_key_and_title(precision):
    exact = get_model_spec(KEY)
    spec = get_model_spec(join_key(KEY, precision))
    assert spec.precision is precision
    assert spec.title == exact.title + {"exact": "", "fast": " · fast", "stock": " · stock"}[precision]
    assert spec == exact.in_precision(precision)
    assert spec.in_precision(Precision.EXACT) == exact
    assert spec.in_precision(Precision.FAST).title == f"{exact.title} · fast"
    assert spec.facts()["precision"] == precision


def test_precisions_are_different_models_to_whoever_keeps_results():
    assert len({get_model_spec(join_key(KEY, precision)).identity for precision in Precision}) == len(Precision)


@pytest.mark.parametrize("key", [f"{KEY}@exact", f"{KEY}@fast@fast", "nothing@fast"])
def test_other_endings_are_no_models(key):
    with pytest.raises(UnknownModelError):
        get_model_spec(key)


def test_the_usual_precision_can_be_set(monkeypatch):
    monkeypatch.delenv("DETECTION_EXPLORER_PRECISION", raising=False)
    assert usual_precision() is Precision.EXACT
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", "stock")
    assert usual_precision() is Precision.STOCK
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", "fast")
    assert usual_precision() is Precision.FAST
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", "half")
    with pytest.raises(ValueError, match="must be one of exact, fast, stock"):
        usual_precision()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [([], []), ([KEY], ["exact"]), ([f"{KEY}@stock", KEY], ["exact", "stock"]), ([f"{KEY}@fast", "other", "other@stock"], ["fast"])],
    ids=str,
)
def test_a_models_precisions_are_read_from_the_keys(keys, expected):
    assert precisions_in(keys, KEY) == expected


def test_the_usual_key_is_one_that_there_is(monkeypatch):
    monkeypatch.setenv("DETECTION_EXPLORER_PRECISION", "fast")
    assert usual_key(KEY, [KEY, f"{KEY}@fast"]) == f"{KEY}@fast"
    assert usual_key(KEY, [KEY, f"{KEY}@stock"]) == KEY
