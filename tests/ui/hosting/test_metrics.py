from __future__ import annotations

from dataclasses import replace

import pytest

from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.hosting.metrics import OWN_MODEL, model_label


@pytest.mark.parametrize(
    ("key", "label"),
    [(PERSON_MODEL, PERSON_MODEL), (f"{PERSON_MODEL}@480px", PERSON_MODEL), (f"{PERSON_MODEL}@stock@999px", f"{PERSON_MODEL}@stock")],
)
def test_visitors_cannot_add_labels_by_asking_for_many_sizes(key, label):
    assert model_label(get_model_spec(key)) == label
    assert model_label(replace(get_model_spec(key), source="user")) == OWN_MODEL
