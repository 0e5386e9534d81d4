"""Tests that the quick saliency map comes from the score of the very candidate that became the object, and lies on the object."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.random_models import calibrated_module, image_tensor
from detection_core.explanation import GradientMap, record
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL, get_model_spec
from tests.random_models import FAMILIES, quick_first

PIXELS = (image_tensor(200, 150) * 255).byte().permute(1, 2, 0).numpy()

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("key", quick_first(FAMILIES, [COCO_MODEL, PERSON_MODEL]))
def test_it_comes_from_the_score_of_the_object(key: str, monkeypatch: pytest.MonkeyPatch):
    module, spec = calibrated_module(key), get_model_spec(key)
    recording = record(module, spec, PIXELS)
    scores: list[float] = []
    logit = torch.logit
    monkeypatch.setattr(torch, "logit", lambda score, epsilon: scores.append(score.item()) or logit(score, epsilon))
    last = len(recording.detections) - 1
    for number in (0, last):
        heat = pickle.loads(pickle.dumps(GradientMap.of(recording, number)))(module, spec, PIXELS)
        assert heat.dtype == np.float32
        assert 0 <= heat.min() < heat.max() == 1
        # The padding is cut off.
        assert heat.shape[1] / heat.shape[0] == pytest.approx(200 / 150 if "ssd" not in key else 1, rel=0.1)
    np.testing.assert_allclose(scores, recording.detections.scores[[0, last]], rtol=1e-4)
    assert not any(part._forward_hooks for part in module.modules())
    assert not any(parameter.requires_grad for parameter in module.parameters())


@pytest.mark.parametrize(("key", "example"), [(COCO_MODEL, "dogs"), (PERSON_MODEL, "salon")])
def test_it_lies_on_the_object(key: str, example: str):
    with Image.open(ASSETS / "examples" / f"{example}.jpg") as image:
        pixels = np.asarray(image.convert("RGB").resize((320, 240)))
    module, spec = calibrated_module(key), get_model_spec(key)
    recording = record(module, spec, pixels)
    heat = GradientMap.of(recording, 0)(module, spec, pixels)
    left, top, right, bottom = recording.detections.boxes[0] * np.tile([heat.shape[1] / 320, heat.shape[0] / 240], 2)
    inside = np.zeros(heat.shape, bool)
    inside[round(top) : round(bottom), round(left) : round(right)] = True
    assert heat[inside].mean() > 3 * heat[~inside].mean()
