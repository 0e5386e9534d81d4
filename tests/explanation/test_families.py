"""Tests for every family that a recording ends in torchvision's result, and that its reasons and what-if are true."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms, nms
from torchvision.ops import boxes as box_ops

from benchmarks.random_models import box_finder, calibrated_module, image_tensor
from detection_core.detections import Detections
from detection_core.explanation import Fate, Recording, WhatIfError, record, stages, what_if, why
from detection_core.explanation.capture import with_shared_weights
from detection_core.explanation.selection import FATES, select, suppressors_of
from detection_core.models import instance_ssd
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.models.detector import run
from detection_core.models.families import Family
from detection_core.models.precision import Precision
from tests.random_models import FAMILIES, quick_first

# One of each kind, with two stages and with one.
QUICK = ("person_mobilenet_v2_fpn", "ssdlite300_mobilenet_v2")
EVERY_FAMILY = pytest.mark.parametrize("key", quick_first(FAMILIES, QUICK))
TWO_STAGES = [key for key in FAMILIES if "rcnn" in key or "person" in key]
PIXELS = (image_tensor(200, 150) * 255).byte().permute(1, 2, 0).numpy()
# So few that candidates are lost at every step.
TIGHT = {"nms_thresh": 0.2, "detections_per_img": 3, "topk_candidates": 8}
OWN = {
    "person_mobilenet_v2_fpn": {"nms_thresh": 0.6},
    "fcos_resnet50_fpn": {"nms_thresh": 0.05, "topk_candidates": 40},
}
ABOVE_FLOOR = 400

pytestmark = pytest.mark.usefixtures("one_thread")


@cache
def tight_module(key: str) -> Any:
    """A model with settings at which candidates are lost at every step."""
    module = with_shared_weights(calibrated_module(key))
    scores = np.sort(record(module, get_model_spec(key), PIXELS).candidates.scores)
    change(module, score_thresh=float(scores[-min(ABOVE_FLOOR, len(scores) // 2)]), **{**TIGHT, **OWN.get(key, {})})
    if hasattr(module, "rpn"):
        module.rpn._pre_nms_top_n = {"testing": 60}
        module.rpn._post_nms_top_n = {"testing": 30}
        module.roi_heads.mask_roi_pool = module.roi_heads.keypoint_roi_pool = None
    return module


@cache
def recording_of(key: str) -> Recording:
    return record(tight_module(key), get_model_spec(key), PIXELS)


def change(module: Any, **settings: Any) -> Any:
    finder = box_finder(module)
    for name, value in settings.items():
        if hasattr(finder, name):
            setattr(finder, name, value)
    return module


def changed(key: str, **settings: Any) -> Any:
    return change(with_shared_weights(tight_module(key)), **settings)


def detect(module: Any, key: str) -> Detections:
    spec = get_model_spec(key).in_precision(Precision.STOCK)
    return run(module, spec, [PIXELS], torch.device("cpu"), tasks=("boxes",))[0][0]


def assert_same(found: Detections, expected: Detections) -> None:
    np.testing.assert_array_equal(found.scores, expected.scores)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.boxes, expected.boxes)


def with_fate(recording: Recording, fate: Fate, most: int = 3) -> list[int]:
    """A few candidates with a fate, the best ones and others."""
    own = np.flatnonzero(recording.selection.fates == FATES.index(fate))
    own = own[np.argsort(-recording.candidates.scores[own], kind="stable")]
    return own[np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).astype(int))].tolist()


def is_in(found: Detections, recording: Recording, index: int) -> bool:
    candidates = recording.candidates
    box = recording.in_image(candidates.boxes[[index]])
    same = (found.boxes == box).all(axis=1) & (found.labels == candidates.labels[index]) & (found.scores == candidates.scores[index])
    return bool(same.any())


@EVERY_FAMILY
def test_the_chain_ends_in_torchvisions_result(key: str):
    for module in (calibrated_module(key), tight_module(key)):
        recording = record(module, get_model_spec(key), PIXELS)
        expected = detect(module, key)
        kept = recording.selection.kept
        assert len(kept)
        chain = replace(
            expected,
            boxes=recording.in_image(recording.candidates.boxes[kept]),
            labels=recording.candidates.labels[kept],
            scores=recording.candidates.scores[kept],
        )
        assert_same(chain, expected)
        assert_same(recording.detections, expected)
        assert not any(part._forward_hooks or part._forward_pre_hooks for part in module.modules())
        if recording.proposals is not None:
            first = recording.proposals
            np.testing.assert_array_equal(first.candidates.boxes[first.selection.kept], recording.places.sources)


@EVERY_FAMILY
def test_candidates_below_the_floor_appear_when_it_is_lowered(key: str):
    recording = recording_of(key)
    lost = with_fate(recording, Fate.BELOW_MIN_SCORE, most=2 * ABOVE_FLOOR)[:40:20]
    assert lost
    # Nothing else stands in their way.
    free = {"topk_candidates": 10**6, "nms_thresh": 1.0, "detections_per_img": 10**6}
    for index in lost:
        score = recording.candidates.scores[index]
        assert is_in(detect(changed(key, score_thresh=float(np.nextafter(score, np.float32(0))), **free), key), recording, index)
        assert not is_in(detect(changed(key, score_thresh=float(score), **free), key), recording, index)


@EVERY_FAMILY
def test_candidates_outside_the_top_k_appear_when_it_is_raised(key: str):
    recording = recording_of(key)
    lost = with_fate(recording, Fate.NOT_IN_TOP_K)
    assert bool(lost) == (recording.rules.top_k is not None)
    for index in lost:
        rank = int(recording.selection.ranks[index])
        for top_k, expected in ((rank, True), (rank - 1, False)):
            module = changed(key, topk_candidates=top_k, nms_thresh=1.0, detections_per_img=10**6)
            assert is_in(detect(module, key), recording, index) == expected


@EVERY_FAMILY
def test_candidates_cut_after_nms_appear_when_the_limit_is_raised(key: str):
    recording = recording_of(key)
    lost = with_fate(recording, Fate.CUT)
    assert lost
    for index in lost:
        rank = int(recording.selection.ranks[index])
        assert is_in(detect(changed(key, detections_per_img=rank), key), recording, index)
        assert not is_in(detect(changed(key, detections_per_img=rank - 1), key), recording, index)


@EVERY_FAMILY
def test_suppressed_candidates_appear_without_their_suppressors(key: str):
    recording = recording_of(key)
    candidates, rules, selection = recording.candidates, recording.rules, recording.selection
    lost = with_fate(recording, Fate.SUPPRESSED, most=20)
    assert lost
    assert_suppressed(candidates, selection, rules, lost, candidates.labels)


@pytest.mark.parametrize("key", quick_first(TWO_STAGES, QUICK))
def test_suppressed_proposals_appear_without_their_suppressors(key: str):
    first = recording_of(key).proposals
    assert first is not None
    lost = np.flatnonzero(first.selection.fates == FATES.index(Fate.SUPPRESSED))[:20].tolist()
    assert lost
    assert_suppressed(first.candidates, first.selection, first.rules, lost, first.candidates.levels)


def assert_suppressed(candidates: Any, selection: Any, rules: Any, lost: list[int], groups: np.ndarray) -> None:
    def survives(index: int, among: np.ndarray) -> bool:
        all_of_them = np.append(among, index)
        boxes, scores, own = (torch.from_numpy(array[all_of_them]) for array in (candidates.boxes, candidates.scores, groups))
        return len(among) in batched_nms(boxes, scores, own, rules.nms_iou).tolist()

    for index in lost:
        by = suppressors_of(candidates, selection, rules, index)
        assert selection.suppressors[index] == by[0]
        assert groups[by[0]] == groups[index]
        assert not survives(index, by[:1])
        assert survives(index, np.setdiff1d(selection.survivors, by))


@pytest.mark.parametrize("key", quick_first(TWO_STAGES, QUICK))
def test_reasons_of_lost_proposals_hold(key: str):
    first = recording_of(key).proposals
    assert first is not None

    def proposals_with(before: int, after: int, nms_iou: float) -> np.ndarray:
        module = with_shared_weights(tight_module(key))
        module.rpn._pre_nms_top_n, module.rpn._post_nms_top_n, module.rpn.nms_thresh = {"testing": before}, {"testing": after}, nms_iou
        return record(module, get_model_spec(key), PIXELS).places.sources

    def contains(boxes: np.ndarray, index: int) -> bool:
        return bool((boxes == first.candidates.boxes[index]).all(axis=1).any())

    outside = np.flatnonzero(first.selection.fates == FATES.index(Fate.NOT_IN_TOP_K))
    sides = first.candidates.boxes[outside, 2:] - first.candidates.boxes[outside, :2]
    index = int(outside[(sides > 1).all(axis=1)][0])
    rank = int(first.selection.ranks[index])
    assert contains(proposals_with(rank, 10**6, 1.0), index)
    assert not contains(proposals_with(rank - 1, 10**6, 1.0), index)
    index = int(np.flatnonzero(first.selection.fates == FATES.index(Fate.CUT))[0])
    rank = int(first.selection.ranks[index])
    assert contains(proposals_with(first.rules.top_k or 0, rank, first.rules.nms_iou), index)
    assert not contains(proposals_with(first.rules.top_k or 0, rank - 1, first.rules.nms_iou), index)


@EVERY_FAMILY
@pytest.mark.parametrize(
    "settings",
    [
        {"nms_iou": 0.2},
        {"nms_iou": 0.8, "limit": 50},
        {"limit": 3},
        {"higher_min_score": True},
        {"lower_min_score": True, "limit": 100},
        {"top_k": 3},
        {"top_k": 30, "limit": 100},
        {"class_agnostic": True},
    ],
    ids=str,
)
def test_what_if_is_what_torchvision_does(key: str, settings: dict, monkeypatch: pytest.MonkeyPatch):
    recording, settings = recording_of(key), dict(settings)
    if "top_k" in settings and recording.rules.top_k is None:
        with pytest.raises(WhatIfError, match="no top k"):
            what_if(recording, **settings)
        return
    floor, passing = recording.rules.min_score, np.sort(recording.candidates.scores)
    if settings.pop("higher_min_score", False):
        settings["min_score"] = float(passing[passing > floor][-5])
    if settings.pop("lower_min_score", False):
        settings["min_score"] = float(passing[passing < floor][-min(40, int((passing < floor).sum()))])
    answer = what_if(recording, **settings)
    if settings.get("class_agnostic"):

        def agnostic(boxes: torch.Tensor, scores: torch.Tensor, groups: torch.Tensor, iou: float) -> torch.Tensor:
            # The levels of a first stage begin at 0, the classes of a box head at 1.
            first_stage = recording.proposals is not None and int(groups.min()) == 0
            return batched_nms(boxes, scores, groups, iou) if first_stage else nms(boxes, scores, iou)

        monkeypatch.setattr(box_ops, "batched_nms", agnostic)
        monkeypatch.setattr(instance_ssd, "batched_nms", agnostic)
    names = {"nms_iou": "nms_thresh", "limit": "detections_per_img", "min_score": "score_thresh", "top_k": "topk_candidates"}
    expected = detect(changed(key, **{names[name]: value for name, value in settings.items() if name in names}), key)
    assert_same(answer.detections, expected)
    before = recording.detections
    assert answer.is_new.sum() - len(answer.gone) == len(expected) - len(before)


@EVERY_FAMILY
def test_stages_and_objects(key: str):
    recording = recording_of(key)
    found = stages(recording)
    counts = [stage.count for stage in found if stage.count is not None]
    assert counts[-1] == len(recording.detections)
    assert counts[-4:] == sorted(counts[-4:], reverse=True)
    assert all(len(stage.boxes) <= 2000 for stage in found)
    assert all(step.seconds >= 0 for step in recording.steps)
    for level in recording.levels:
        assert max(level.energy.shape) <= 128
        assert 0 <= level.heat.min() <= level.heat.max() <= 1
    answer = why(recording, 0)
    assert answer.score == recording.detections.scores[0]
    np.testing.assert_allclose(answer.refinements[-1].box, recording.detections.boxes[0])
    assert [step.name for step in answer.refinements] == [
        "cell" if recording.spec.family is Family.FCOS else "anchor",
        *(["proposal"] if recording.proposals else []),
        "box",
    ]
    assert next(iter(answer.scores.values())) >= answer.score


@pytest.mark.parametrize("key", ["retinanet_resnet50_fpn", COCO_MODEL])
def test_the_result_is_right_where_more_are_above_the_minimum_score_than_are_kept(key: str, monkeypatch: pytest.MonkeyPatch):
    everything = recording_of(key)
    monkeypatch.setattr("detection_core.explanation.gathering.MAX_CANDIDATES", 20)
    recording = record(tight_module(key), get_model_spec(key), PIXELS)
    assert len(recording.candidates) < (everything.candidates.scores > everything.rules.min_score).sum()
    kept, expected = recording.selection.kept, everything.selection.kept
    np.testing.assert_array_equal(recording.candidates.boxes[kept], everything.candidates.boxes[expected])
    assert_same(what_if(recording, nms_iou=0.9).detections, what_if(everything, nms_iou=0.9).detections)
    with pytest.raises(WhatIfError, match="Choose a top k of at most 8"):
        what_if(recording, top_k=9)


def test_the_best_candidates_are_kept_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    key = "retinanet_resnet50_fpn"
    monkeypatch.setattr("detection_core.explanation.gathering.MAX_CANDIDATES", 1000)
    recording = record(tight_module(key), get_model_spec(key), PIXELS)
    everything = recording_of(key)
    assert len(recording.candidates) == 1000
    assert recording.lowest_kept == np.sort(everything.candidates.scores)[-1000]
    assert_same(recording.detections, everything.detections)
    np.testing.assert_array_equal(select(recording.candidates, recording.rules).kept, recording.selection.kept)
    with pytest.raises(WhatIfError, match="were not kept"):
        what_if(recording, min_score=recording.lowest_kept / 2)


@pytest.mark.parametrize("key", ["retinanet_resnet50_fpn", pytest.param("ssd300_vgg16", marks=pytest.mark.slow)])
def test_of_equal_scores_those_are_kept_that_torchvision_keeps(key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("detection_core.explanation.gathering.MAX_CANDIDATES", 1000)
    module = changed(key, score_thresh=0.001, detections_per_img=300, topk_candidates=60, nms_thresh=0.9)
    classifiers = [part for name, part in module.named_modules() if "classification_head" in name and isinstance(part, torch.nn.Conv2d)]
    for classifier in [each for each in classifiers if each.bias is not None][-6:] if "ssd" in key else classifiers[-1:]:
        # The same scores at all places.
        classifier.weight = torch.nn.Parameter(torch.zeros_like(classifier.weight), requires_grad=False)
    recording = record(module, get_model_spec(key), PIXELS)
    assert len(np.unique(recording.candidates.scores)) < len(recording.candidates) / 2
    candidates, kept = recording.candidates, recording.selection.kept
    expected = detect(module, key)
    np.testing.assert_array_equal(candidates.labels[kept], expected.labels)
    np.testing.assert_array_equal(recording.in_image(candidates.boxes[kept]), expected.boxes)
