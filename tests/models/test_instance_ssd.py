"""The SSD with heads for masks and keypoints keeps torchvision's contract in training and evaluation mode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import pytest
import torch
from torchvision.models.detection.roi_heads import paste_masks_in_image

from benchmarks.random_models import random_state
from detection_core.models.instance_ssd import InstanceSSD, noisy_boxes
from detection_core.models.optimized import optimize
from detection_core.models.ssdlite_mobilenet_v2 import FLOOR_SCORE, ssdlite300_mobilenet_v2

CLASSES, KEYPOINTS = 5, 3
BOX_LOSSES = {"bbox_regression", "classification"}
HEADS = [(masks, keypoints) for masks in (True, False) for keypoints in (0, KEYPOINTS)]
HEADS_IDS = ["masks", "masks and keypoints", "boxes", "keypoints"]


pytestmark = pytest.mark.usefixtures("one_thread")


def model(*, masks: bool = True, keypoints: int = KEYPOINTS, keypoint_labels: Sequence[int] = (1,)) -> InstanceSSD:
    """A model with random weights that finds a hundred objects of all classes in every image."""
    module = ssdlite300_mobilenet_v2(num_classes=CLASSES, masks=masks, num_keypoints=keypoints, keypoint_labels=keypoint_labels)
    random_state(module)
    return module.requires_grad_(False).eval()


@cache
def whole() -> InstanceSSD:
    """One with both heads; leave it as it is."""
    return model()


def make_images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, 120, 160, generator=generator), torch.rand(3, 90, 60, generator=generator)]


def targets(numbers: Sequence[int] = (2, 1), *, masks: bool = True, keypoints: bool = True) -> list[dict[str, torch.Tensor]]:
    """What so many objects of each image are, of labels 1, 2 and so on."""
    made = []
    for number, image in zip(numbers, make_images(), strict=True):
        height, width = image.shape[-2:]
        boxes = torch.tensor([[4.0 + 8 * n, 6.0, width / 2 + 8 * n, height - 9.0] for n in range(number)]).reshape(-1, 4)
        target = {"boxes": boxes, "labels": torch.arange(1, number + 1)}
        if masks:
            target["masks"] = torch.ones(number, height, width, dtype=torch.uint8)
        if keypoints:
            places = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
            target["keypoints"] = torch.cat([places, torch.full_like(places[..., :1], 2)], dim=2).repeat(1, KEYPOINTS, 1)
        made.append(target)
    return made


@pytest.mark.parametrize(("masks", "keypoints"), HEADS, ids=HEADS_IDS)
def test_finds_what_torchvision_promises(masks, keypoints):
    images = make_images()
    found = model(masks=masks, keypoints=keypoints)(images)
    assert len(found) == len(images)
    for result, image in zip(found, images, strict=True):
        (height, width), number = image.shape[-2:], len(result["boxes"])
        assert number == 100
        shapes = {"boxes": (number, 4), "labels": (number,), "scores": (number,)}
        shapes |= {"masks": (number, 1, height, width)} if masks else {}
        shapes |= {"keypoints": (number, keypoints, 3), "keypoints_scores": (number, keypoints)} if keypoints else {}
        assert {name: tuple(values.shape) for name, values in result.items()} == shapes
        assert {values.dtype for name, values in result.items() if name != "labels"} == {torch.float32}
        assert result["labels"].dtype == torch.int64
        assert set(result["labels"].tolist()) == set(range(1, CLASSES))
        assert (result["scores"].diff() <= 0).all()
        assert (result["scores"] > FLOOR_SCORE).all()
        assert (result["boxes"] >= 0).all()
        assert (result["boxes"] <= torch.tensor([width, height] * 2) + 1e-3).all()
        if masks:
            assert 0 <= result["masks"].min() <= result["masks"].max() <= 1


def test_an_image_in_a_batch_gives_what_it_gives_alone():
    images = make_images()
    for image, result in zip(images, whole()(images), strict=True):
        (alone,) = whole()([image])
        assert torch.equal(alone["labels"], result["labels"])
        torch.testing.assert_close(alone["boxes"], result["boxes"], rtol=0, atol=1e-2)
        torch.testing.assert_close(alone["masks"], result["masks"], rtol=0, atol=1e-3)


def test_each_class_has_a_sigmoid_of_its_own():
    module, seen = model(), {}
    module.head.register_forward_hook(lambda _, inputs, outputs: seen.update(outputs))
    (found,) = module(make_images()[:1])
    scores = seen["cls_logits"][0].sigmoid()
    torch.testing.assert_close(module.scores(seen["cls_logits"][0]), scores[:, 1:])
    of_its_class = scores[:, found["labels"]]
    assert (of_its_class - found["scores"]).abs().min(dim=0).values.max() < 1e-6
    # A softmax's would add up to 1 at most.
    assert scores[:, 1:].sum(dim=1).max() > 1


@pytest.mark.parametrize("labels", [(1,), (2, 4), (77,)], ids=["one class", "two classes", "a class that is not found"])
def test_only_objects_of_some_classes_have_keypoints(labels):
    (found,) = model(keypoint_labels=labels)(make_images()[:1])
    have = torch.isin(found["labels"], torch.tensor(labels))
    assert torch.equal(found["keypoints"].isnan().all(dim=(1, 2)), ~have)
    assert torch.equal(found["keypoints_scores"].isnan().all(dim=1), ~have)
    points, boxes = found["keypoints"][have], found["boxes"][have]
    assert not points.isnan().any()
    assert (points[..., 2] == 1).all()
    # Half a cell of the heat map is the most that a point may lie outside.
    margin = 1 + (boxes[:, None, 2:] - boxes[:, None, :2]) / 56
    assert (points[..., :2] >= boxes[:, None, :2] - margin).all()
    assert (points[..., :2] <= boxes[:, None, 2:] + margin).all()


def test_where_nothing_is_found_results_are_empty():
    module = model()
    module.score_thresh = 1.0
    for result, image in zip(module(make_images()), make_images(), strict=True):
        shapes = {name: tuple(values.shape) for name, values in result.items()}
        assert shapes == {
            "boxes": (0, 4),
            "labels": (0,),
            "scores": (0,),
            "masks": (0, 1, *image.shape[-2:]),
            "keypoints": (0, KEYPOINTS, 3),
            "keypoints_scores": (0, KEYPOINTS),
        }


def test_masks_are_their_grids_over_the_boxes():
    module, images = whole(), make_images()
    batch, _ = module.transform(images)
    with torch.no_grad():
        grids = [result["masks"] for result in module.detect(batch)]
    for grid, result, image in zip(grids, module(images), images, strict=True):
        assert grid.shape == (len(result["boxes"]), 1, 28, 28)
        assert torch.equal(result["masks"], paste_masks_in_image(grid, result["boxes"], tuple(image.shape[-2:])))


@pytest.mark.parametrize(
    ("tasks", "given"),
    [
        (("boxes",), set()),
        (("boxes", "masks"), {"masks"}),
        (("boxes", "keypoints"), {"keypoints", "keypoints_scores"}),
        (("boxes", "masks", "keypoints"), {"masks", "keypoints", "keypoints_scores"}),
    ],
    ids=["boxes", "masks", "keypoints", "all"],
)
@pytest.mark.parametrize("fast", [False, True], ids=["stock", "optimized"])
def test_only_what_is_wanted_is_computed(tasks, given, fast):
    module = optimize(model()) if fast else model()
    parts = {"pyramid": {"masks", "keypoints"}, "mask_head": {"masks"}, "keypoint_head": {"keypoints"}}
    called = []
    for name in parts:
        getattr(module.roi_heads, name).register_forward_hook(lambda *_, name=name: called.append(name))
    batch, _ = module.transform(make_images())
    with torch.no_grad():
        found = module.detect(batch, tasks)
    assert all(set(result) == {"boxes", "labels", "scores"} | given for result in found)
    assert called == [name for name, needed_for in parts.items() if needed_for & set(tasks)]


@pytest.mark.parametrize(("masks", "keypoints"), HEADS, ids=HEADS_IDS)
def test_optimized_it_finds_the_same(masks, keypoints):
    module = model(masks=masks, keypoints=keypoints)
    with torch.no_grad():
        found, expected = optimize(module)(make_images()), module(make_images())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.keys() == theirs.keys()
        torch.testing.assert_close(ours["scores"], theirs["scores"], rtol=0, atol=1e-4)
        # Objects whose scores are equal within rounding may change places.
        apart = (ours["boxes"][:, None] - theirs["boxes"]).abs().amax(dim=2) + 1e6 * (ours["labels"][:, None] != theirs["labels"])
        distance, partner = apart.min(dim=1)
        assert (distance < 0.1).float().mean() >= 0.98
        same = distance < 0.1
        if masks:
            assert (ours["masks"][same] - theirs["masks"][partner][same]).abs().mean() < 1e-3
        if keypoints:
            assert torch.equal(ours["keypoints"][same].isnan(), theirs["keypoints"][partner][same].isnan())


def trainable(**heads: int) -> InstanceSSD:
    return model(**heads).requires_grad_(True).train()


@pytest.mark.parametrize(("masks", "keypoints"), HEADS, ids=HEADS_IDS)
@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param((2, 1), id="objects in all images", marks=pytest.mark.slow),
        pytest.param((2, 0), id="one image without objects"),
        pytest.param((0, 0), id="no objects at all", marks=pytest.mark.slow),
    ],
)
def test_learns_from_every_target(masks, keypoints, numbers):
    module = trainable(masks=masks, keypoints=keypoints)
    torch.manual_seed(0)
    losses = module(make_images(), targets(numbers))
    expected = BOX_LOSSES | ({"loss_mask"} if masks else set()) | ({"loss_keypoint"} if keypoints else set())
    assert set(losses) == expected
    assert all(torch.isfinite(loss) and loss >= 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in module.parameters())
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())
    if any(numbers):
        assert all(loss > 0 for loss in losses.values())
        learning = {name.split(".")[0] for name, parameter in module.named_parameters() if parameter.grad is not None}
        assert learning == {"backbone", "head"} | ({"roi_heads"} if masks or keypoints else set())


@pytest.mark.parametrize(
    ("given", "learned"),
    [
        ({"masks": False, "keypoints": False}, set()),
        ({"keypoints": False}, {"loss_mask"}),
        ({"masks": False}, {"loss_keypoint"}),
        ({}, {"loss_mask", "loss_keypoint"}),
    ],
    ids=["boxes", "masks", "keypoints", "all"],
)
def test_a_head_without_targets_learns_nothing(given, learned):
    losses = trainable()(make_images(), targets(**given))
    assert set(losses) == BOX_LOSSES | learned


def test_a_class_without_keypoints_teaches_none():
    module = model(keypoint_labels=(4,)).requires_grad_(True).train()
    losses = module(make_images(), targets())
    assert losses["loss_keypoint"] == 0
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())


def test_training_needs_targets():
    with pytest.raises(ValueError, match="needs targets"):
        trainable()(make_images())


def test_the_loss_counts_objects_and_three_times_as_many_of_the_worst_others():
    module, anchors = whole(), torch.tensor([[10.0 * n, 0.0, 10.0 * n + 9, 9.0] for n in range(20)])
    matched = torch.full((20,), -1)
    matched[:2] = 0
    logits = torch.zeros(1, 20, CLASSES)
    # The background's column says nothing, and what is surely nothing is not among the worst.
    logits[..., 0] = 50
    logits[:, 8:, 1:] = -50
    outputs = {"cls_logits": logits, "bbox_regression": torch.zeros(1, 20, 4)}
    of_object = [{"boxes": anchors[:1], "labels": torch.tensor([3])}]
    losses = module.compute_loss(of_object, outputs, [anchors], [matched])
    # Eight anchors of four classes with a logit of 0, for two that are an object's.
    assert float(losses["classification"]) == pytest.approx(8 * (CLASSES - 1) * math.log(2) / 2, rel=1e-5)
    # The first anchor is where the object is, the second ten pixels, in units of a tenth of its side, to the right.
    assert float(losses["bbox_regression"]) == pytest.approx((10 / 9 / 0.1 - 0.5) / 2, rel=1e-4)


def test_boxes_for_the_heads_are_a_little_off():
    torch.manual_seed(0)
    boxes = torch.tensor([[20.0, 30.0, 120.0, 90.0], [0.0, 0.0, 200.0, 100.0], [5.0, 5.0, 6.0, 6.0]]).repeat(200, 1)
    moved = noisy_boxes(boxes, (100, 200))
    assert (moved >= 0).all()
    assert (moved <= torch.tensor([200.0, 100.0] * 2)).all()
    assert ((moved[:, 2:] > moved[:, :2]).all(dim=1)).all()
    sides = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    away = ((moved - boxes) / sides)[0::3]
    assert 0.06 < away.std() < 0.1
    assert abs(float(away.mean())) < 0.02
    assert noisy_boxes(boxes[:0], (100, 200)).shape == (0, 4)
