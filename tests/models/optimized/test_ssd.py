from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection.ssd import SSD

from benchmarks.random_models import calibrated_module
from detection_core.models.instance_ssd import InstanceSSD
from detection_core.models.optimized.ssd import BestFirstInstanceSSD, BestFirstSSD

SIGMOIDS = "ssdlite300_mobilenet_v2"
KEYS = (pytest.param("ssd300_vgg16", marks=pytest.mark.slow), "ssdlite320_mobilenet_v3_large", SIGMOIDS)
FAST = {SSD: BestFirstSSD, InstanceSSD: BestFirstInstanceSSD}


def outputs_of(generator: torch.Generator, images: int, anchors: int, confidence: float, crowding: float) -> tuple[dict, list]:
    """Logits that are the larger the more confident, and boxes that overlap the more the more crowded."""
    logits = torch.randn(images, anchors, 91, generator=generator) * confidence
    corners = torch.rand(anchors, 2, generator=generator) * 250 * (1 - crowding)
    boxes = torch.cat([corners, corners + 10 + torch.rand(anchors, 2, generator=generator) * 40], dim=1)
    return {"cls_logits": logits, "bbox_regression": torch.randn(images, anchors, 4, generator=generator)}, [boxes] * images


def with_sigmoids(outputs: dict, confidence: float) -> dict:
    """Logits in the same order whose sigmoids are apart, as those near 1 are not; the more confident, the more pass the threshold."""
    logits = outputs["cls_logits"]
    ranks = logits.flatten().argsort().argsort().double().view_as(logits)
    scores = ((ranks + 1) / (ranks.numel() + 1)) ** (30 / confidence)
    return outputs | {"cls_logits": scores.logit().float()}


def both(key: str, outputs: dict, anchors: list, **settings_of_the_model: float) -> tuple[list, list]:
    stock = copy.copy(calibrated_module(key))
    for name, value in settings_of_the_model.items():
        setattr(stock, name, value)
    ours = copy.copy(stock)
    ours.__class__ = FAST[type(stock)]
    sizes = [(300, 300)] * len(anchors)
    return ours.postprocess_detections(outputs, anchors, sizes), stock.postprocess_detections(outputs, anchors, sizes)


@pytest.mark.parametrize("key", KEYS)
@given(
    seed=st.integers(0, 2**31),
    images=st.integers(1, 2),
    anchors=st.sampled_from([0, 1, 30, 600]),
    confidence=st.sampled_from([0.1, 1.0, 3.0]),
    crowding=st.sampled_from([0.0, 0.9, 1.0]),
    topk_candidates=st.sampled_from([3, 400]),
    detections_per_img=st.sampled_from([1, 200]),
)
@settings(max_examples=20)
def test_detections_are_torchvisions(key, seed, images, anchors, confidence, crowding, topk_candidates, detections_per_img):
    outputs, boxes = outputs_of(torch.Generator().manual_seed(seed), images, anchors, confidence, crowding)
    if key == SIGMOIDS:
        outputs = with_sigmoids(outputs, confidence)
    found, expected = both(key, outputs, boxes, topk_candidates=topk_candidates, detections_per_img=detections_per_img)
    for ours_here, stock_here in zip(found, expected, strict=True):
        assert set(ours_here) == set(stock_here)
        for name, values in stock_here.items():
            np.testing.assert_array_equal(in_order(ours_here)[name], in_order(stock_here)[name])
            assert ours_here[name].dtype == values.dtype


def in_order(found: dict) -> dict[str, np.ndarray]:
    """Sorts by score, and objects of one score, whose order torch does not promise, by label and box."""
    order = np.lexsort((*found["boxes"].numpy().T, found["labels"].numpy(), -found["scores"].numpy()))
    return {name: values.numpy()[order] for name, values in found.items()}


@pytest.mark.parametrize(("key", "kind"), [("ssdlite320_mobilenet_v3_large", SSD), (SIGMOIDS, InstanceSSD)])
@pytest.mark.parametrize(("crowding", "is_quick"), [(0.0, True), (1.0, False)], ids=["enough survive", "too few survive"])
def test_torchvisions_own_way_is_gone_only_where_needed(crowding, is_quick, key, kind, monkeypatch):
    called = []
    # It detects something when it is made.
    calibrated_module(key)
    stock_way = kind.postprocess_detections
    monkeypatch.setattr(kind, "postprocess_detections", lambda *given: called.append(1) or stock_way(*given))
    outputs, boxes = outputs_of(torch.Generator().manual_seed(0), 1, 600, 2.0, crowding)
    outputs["bbox_regression"] /= 10
    if key == SIGMOIDS:
        # Many classes, because it takes few candidates of each.
        (found,), (expected,) = both(key, with_sigmoids(outputs, 1.0), boxes, detections_per_img=600)
    else:
        outputs["cls_logits"][..., 4:] = -50
        # As the SSD with VGG has it.
        own = {"score_thresh": 0.01, "nms_thresh": 0.45, "topk_candidates": 400, "detections_per_img": 200}
        (found,), (expected,) = both(key, outputs, boxes, **own)
    assert len(called) == (1 if is_quick else 2)
    np.testing.assert_array_equal(found["scores"], expected["scores"])
