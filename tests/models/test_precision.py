from __future__ import annotations

import pytest

from detection_core.models.catalog import get_model_spec
from detection_core.models.model_key import ModelKey
from detection_core.models.precision import Precision, usual_precision

KEY = "ssd300_vgg16"


@pytest.mark.parametrize("precision", Precision)
def test_a_precision_is_part_of_key_and_title(precision):
    exact = get_model_spec(KEY)
    spec = get_model_spec(str(ModelKey(KEY, precision)))
    assert spec.precision is precision
    assert spec.title == exact.title + {"exact": "", "fast": " · fast", "stock": " · stock"}[precision]
    assert spec == exact.in_precision(precision)
    assert spec.in_precision(Precision.EXACT) == exact
    assert spec.in_precision(Precision.FAST).title == f"{exact.title} · fast"
    assert spec.facts()["precision"] == precision


def test_precisions_are_different_models_in_caches():
    assert len({get_model_spec(str(ModelKey(KEY, precision))).identity for precision in Precision}) == len(Precision)


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
