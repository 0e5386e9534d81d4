"""Every family has the same training losses as torchvision's builders, for the same weights and targets."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models import MobileNet_V3_Large_Weights, ResNet50_Weights, get_model
from torchvision.models._api import WeightsEnum
from torchvision.models.detection._utils import overwrite_eps
from torchvision.ops import FrozenBatchNorm2d

from benchmarks.random_models import random_state
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.models.empty import NoRandomInitialization, build_empty
from detection_core.models.spec import Architecture
from detection_core.training.acceleration import accelerate
from detection_core.training.losses import losses_of
from tests.random_models import quick_first

# The catalog's model of every family, and the backbone weights with which torchvision's builder freezes its norms as they are here.
FAMILIES = {
    "fasterrcnn_mobilenet_v3_large_320_fpn": MobileNet_V3_Large_Weights.IMAGENET1K_V1,
    "fasterrcnn_resnet50_fpn_v2": None,
    "maskrcnn_resnet50_fpn": ResNet50_Weights.IMAGENET1K_V1,
    "keypointrcnn_resnet50_fpn": ResNet50_Weights.IMAGENET1K_V1,
    "fcos_resnet50_fpn": ResNet50_Weights.IMAGENET1K_V1,
    "retinanet_resnet50_fpn": ResNet50_Weights.IMAGENET1K_V1,
    "ssd300_vgg16": None,
    "ssdlite320_mobilenet_v3_large": None,
}
CLASSES = 5
LOSSES = {
    "rcnn": {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"},
    "maskrcnn": {"loss_mask"},
    "keypointrcnn": {"loss_keypoint"},
    "fcos": {"classification", "bbox_regression", "bbox_ctrness"},
    "retinanet": {"classification", "bbox_regression"},
    "ssd": {"classification", "bbox_regression"},
}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def no_download(monkeypatch):
    """Leaves a backbone as it is when its weights are to be loaded: all weights are replaced later."""
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, *args, **kwargs: {})
    load = nn.Module.load_state_dict
    monkeypatch.setattr(nn.Module, "load_state_dict", lambda self, state, **kwargs: load(self, state, **kwargs) if state else None)


def batch() -> tuple[list[torch.Tensor], list[dict[str, torch.Tensor]]]:
    """Two images of different sizes with two objects and one."""
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(3, 64, 96, generator=generator), torch.rand(3, 80, 64, generator=generator)]
    targets = []
    for image, boxes, labels in zip(images, [[[8, 6, 60, 50], [30, 20, 90, 60]], [[5, 10, 55, 70]]], [[1, 4], [2]], strict=True):
        corners = torch.tensor(boxes, dtype=torch.float32)
        masks = torch.zeros(len(boxes), *image.shape[1:], dtype=torch.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
            mask[y1:y2, x1 : (x1 + x2) // 2] = 1
        places = torch.rand(len(boxes), 17, 2, generator=generator)
        keypoints = corners[:, None, :2] + places * (corners[:, None, 2:] - corners[:, None, :2])
        visible = torch.ones(len(boxes), 17, 1) * 2
        targets.append(
            {"boxes": corners, "labels": torch.tensor(labels), "masks": masks, "keypoints": torch.cat([keypoints, visible], dim=2)}
        )
    return images, targets


@torch.no_grad()
def losses(module: nn.Module) -> dict[str, torch.Tensor]:
    images, targets = batch()
    torch.manual_seed(2)
    return losses_of(module.train(), images, targets)


@pytest.mark.parametrize("builder", quick_first(FAMILIES, FAMILIES.keys() - {"ssd300_vgg16", "fasterrcnn_resnet50_fpn_v2"}))
def test_losses_equal_torchvisions(builder):
    architecture = get_model_spec(builder).architecture
    sizes = {} if builder.startswith("ssd") else {"min_size": 96, "max_size": 128}
    # The heads take most of the time.
    sizes |= {"box_batch_size_per_image": 24} if "rcnn" in builder else {}
    with NoRandomInitialization():
        ours = build_empty(Architecture(builder, {**architecture.arguments, "num_classes": CLASSES, **sizes}))
        theirs = get_model(builder, weights=None, weights_backbone=FAMILIES[builder], num_classes=CLASSES, **sizes)
    # With its own weights for the whole detector, the builder would do this itself.
    overwrite_eps(theirs, architecture.arguments.get("frozen_norm_epsilon", 0.0))
    assert any(isinstance(layer, FrozenBatchNorm2d) for layer in theirs.modules()) == (FAMILIES[builder] is not None)
    state = random_state(theirs)
    for module in (ours, theirs):
        module.load_state_dict(state)
    found, expected = losses(ours), losses(theirs)
    kinds = [kind for kind in LOSSES if kind in builder]
    assert set(expected) == set().union(*(LOSSES[kind] for kind in kinds))
    assert list(found) == list(expected)
    assert all(torch.isfinite(loss) and loss > 0 for loss in expected.values()), expected
    assert {name: torch.equal(found[name], expected[name]) for name in found} == dict.fromkeys(expected, True)
    accelerate(ours, torch.device("cpu"), bf16=False)
    faster = losses(ours)
    # Norms over a batch of two magnify rounding until other proposals are chosen.
    tolerance = 0.15 if builder.endswith("_v2") else 1e-3
    assert {name: float(loss) for name, loss in faster.items()} == pytest.approx(
        {name: float(loss) for name, loss in expected.items()}, rel=tolerance
    )


@pytest.mark.parametrize("with_masks", [True, False], ids=["masks", "without masks"])
def test_the_coco_model_learns_the_same_when_accelerated(with_masks):
    with NoRandomInitialization():
        module = build_empty(Architecture(COCO_MODEL, {"num_classes": CLASSES, "num_keypoints": 17}))
    random_state(module)
    images, targets = batch()
    if not with_masks:
        del targets[0]["masks"]

    @torch.no_grad()
    def learned() -> dict[str, torch.Tensor]:
        torch.manual_seed(2)
        return losses_of(module.train(), images, targets)

    expected = learned()
    assert set(expected) == LOSSES["ssd"] | LOSSES["keypointrcnn"] | (LOSSES["maskrcnn"] if with_masks else set())
    assert all(torch.isfinite(loss) and loss > 0 for loss in expected.values()), expected
    accelerate(module, torch.device("cpu"), bf16=False)
    assert {name: float(loss) for name, loss in learned().items()} == pytest.approx(
        {name: float(loss) for name, loss in expected.items()}, rel=1e-3
    )
