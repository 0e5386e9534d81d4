from __future__ import annotations

import copy
import inspect
from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models import get_model, mobilenet_v2, mobilenet_v3_large, resnet18
from torchvision.models.detection import backbone_utils, ssd, ssdlite
from torchvision.models.vgg import cfgs, make_layers
from torchvision.ops import FrozenBatchNorm2d

from detection_core.models.builders import BUILDERS, detector_on_backbone
from detection_core.training.initialization import Report, freeze_backbone, transfer
from tests.random_models import quick_first

SOURCE = ("__background__", "cat", "dog", "Person", "boat")
TARGET = ("__background__", "person", "bird", "cat")
SOURCE_KEYPOINTS = ("nose", "left_eye", "right_eye", "tail")
TARGET_KEYPOINTS = ("right_eye", "left_ear", "nose")
# One of every family: they share the names of the last layers, so a light one will do.
FAMILIES = (
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_mobilenet_v2_fpn",
    "keypointrcnn_mobilenet_v2_fpn",
    "person_mobilenet_v2_fpn",
    "ssdlite300_mobilenet_v2",
    "fcos_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
)
LAST_LAYERS = ("box_predictor.", "mask_fcn_logits.", "kps_score_lowres.", "cls_logits.", "classification_head.module_list.")


pytestmark = pytest.mark.usefixtures("one_thread")


def build(builder: str, num_classes: int, num_keypoints: int, device: str) -> nn.Module:
    sizes = {"num_classes": num_classes}
    if builder in BUILDERS and "num_keypoints" in inspect.signature(BUILDERS[builder]).parameters:
        sizes["num_keypoints"] = num_keypoints
    with torch.device(device):
        if builder in BUILDERS:
            return BUILDERS[builder](**sizes)
        return get_model(builder, weights=None, weights_backbone=None, **sizes)


def trained(builder: str) -> nn.Module:
    """A detector of the source's classes with random weights."""
    module = build(builder, len(SOURCE), len(SOURCE_KEYPOINTS), "meta").to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in module.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.01, 0.1, generator=generator)
        else:
            tensor.fill_(3)
    return module


def fresh(builder: str, num_classes: int, num_keypoints: int) -> nn.Module:
    """A detector whose last layers give numbers of their own, whatever they see."""
    module = build(builder, num_classes, num_keypoints, "meta").to_empty(device="cpu").eval()
    for name, tensor in module.state_dict().items():
        is_last = name.endswith(".bias") and any(part in name for part in LAST_LAYERS)
        tensor.copy_(torch.linspace(1, 2, len(tensor)) if is_last else torch.zeros_like(tensor))
    return module


@pytest.fixture(
    scope="module", params=quick_first(FAMILIES, ["person_mobilenet_v2_fpn", "ssdlite300_mobilenet_v2", "retinanet_resnet50_fpn"])
)
def family(request) -> tuple[str, nn.Module]:
    """A builder and a trained detector of it; one at a time, for they are large."""
    return request.param, trained(request.param)


@torch.no_grad()
def last_outputs(module: nn.Module) -> tuple[dict[str, torch.Tensor], torch.Tensor | None]:
    """What the last layers give for the same random features, with the classes (or the keypoints) as the last dimension.

    torchvision's own code divides it by anchor, class and coordinate.
    """
    generator = torch.Generator().manual_seed(1)
    heads = getattr(module, "roi_heads", None)
    if not hasattr(module, "rpn"):
        head = module.head.classification_head
        blocks = getattr(head, "module_list", [head])
        channels = [next(layer for layer in block.modules() if isinstance(layer, nn.Conv2d)).in_channels for block in blocks]
        outputs = {"classes": head([torch.rand(2, count, 3, 3, generator=generator) for count in channels])}
    else:
        scores, boxes = heads.box_predictor(torch.rand(2, heads.box_predictor.cls_score.in_features, generator=generator))
        outputs = {"classes": scores, "boxes": boxes.reshape(2, -1, 4).transpose(1, 2)}
        if heads.has_mask():
            channels = heads.mask_predictor.conv5_mask.in_channels
            outputs["masks"] = heads.mask_predictor(torch.rand(2, channels, 3, 3, generator=generator)).movedim(1, -1)
    if heads is None or heads.keypoint_roi_pool is None:
        return outputs, None
    channels = heads.keypoint_predictor.kps_score_lowres.in_channels
    return outputs, heads.keypoint_predictor(torch.rand(2, channels, 3, 3, generator=generator)).movedim(1, -1)


def names_of_keypoints(module: nn.Module, ours: tuple[str, ...], theirs: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    has_keypoints = any("keypoint_predictor" in name for name, _ in module.named_parameters())
    return {"keypoint_names": ours, "source_keypoint_names": theirs} if has_keypoints else {}


def test_classes_of_the_same_name_take_their_weights(family):
    builder, source = family
    target = fresh(builder, len(TARGET), len(TARGET_KEYPOINTS))
    before, keypoints_before = last_outputs(target)
    keypoints = names_of_keypoints(target, TARGET_KEYPOINTS, SOURCE_KEYPOINTS)
    report = transfer(target, source.state_dict(), categories=TARGET, source_categories=SOURCE, **keypoints)
    (found, found_keypoints), (expected, expected_keypoints) = last_outputs(target), last_outputs(source)
    for name, output in found.items():
        assert output.shape[-1] == len(TARGET)
        for ours, theirs in ((0, 0), (1, 3), (3, 1)):
            torch.testing.assert_close(output[..., ours], expected[name][..., theirs], msg=f"{name} {TARGET[ours]}")
        assert torch.equal(output[..., 2], before[name][..., 2])
        assert not torch.allclose(expected[name][..., 1], expected[name][..., 3])
    if keypoints:
        for ours, theirs in ((0, 2), (2, 0)):
            torch.testing.assert_close(found_keypoints[..., ours], expected_keypoints[..., theirs])
        assert torch.equal(found_keypoints[..., 1], keypoints_before[..., 1])
    assert report == Report(
        taken=report.total,
        total=sum(not name.endswith("num_batches_tracked") for name in target.state_dict()),
        classes=("person", "cat"),
        new_classes=("bird",),
        keypoints=("right_eye", "nose") if keypoints else (),
        new_keypoints=("left_ear",) if keypoints else (),
        fresh=(),
        unused=(),
    )
    others = {name for name in target.state_dict() if not any(part in name for part in LAST_LAYERS)}
    if builder == "ssdlite300_mobilenet_v2":
        # One output for all classes.
        others |= {f"roi_heads.mask_predictor.mask_fcn_logits.{kind}" for kind in ("weight", "bias")}
    assert all(torch.equal(target.state_dict()[name], source.state_dict()[name]) for name in others)


def test_the_same_classes_are_load_state_dict(family):
    builder, source = family
    target = fresh(builder, len(SOURCE), len(SOURCE_KEYPOINTS))
    report = transfer(
        target,
        source.state_dict(),
        categories=SOURCE,
        source_categories=SOURCE,
        **names_of_keypoints(target, SOURCE_KEYPOINTS, SOURCE_KEYPOINTS),
    )
    state = source.state_dict()
    assert {name: torch.equal(tensor, state[name]) for name, tensor in target.state_dict().items()} == dict.fromkeys(state, True)
    assert (report.fresh, report.unused) == ((), ())
    assert report.taken == report.total > 50


def test_as_many_classes_of_other_names_keep_nothing_but_the_background(family):
    builder, source = family
    target = fresh(builder, len(SOURCE), len(SOURCE_KEYPOINTS))
    before, keypoints_before = last_outputs(target)
    others = ("__background__", "a", "b", "c", "d")
    keypoints = names_of_keypoints(target, ("e", "f", "g", "h"), SOURCE_KEYPOINTS)
    report = transfer(target, source.state_dict(), categories=others, source_categories=SOURCE, **keypoints)
    (found, found_keypoints), (expected, _) = last_outputs(target), last_outputs(source)
    for name, output in found.items():
        torch.testing.assert_close(output[..., 0], expected[name][..., 0])
        assert torch.equal(output[..., 1:], before[name][..., 1:])
    if keypoints:
        assert torch.equal(found_keypoints, keypoints_before)
    assert report.classes == report.keypoints == ()
    assert report.new_classes == others[1:]
    assert all(any(part in f"{layer}." for part in LAST_LAYERS) for layer in report.fresh)
    assert report.fresh
    assert report.taken < report.total


SMALL = ("__background__", "cat", "dog")


def small(norm_layer: type[nn.Module] = nn.BatchNorm2d, *, num_classes: int = 3, box_head_size: int = 4, **options: int) -> nn.Module:
    features = mobilenet_v2(weights=None, width_mult=0.1, norm_layer=norm_layer).features[:-1]
    return detector_on_backbone(
        features, 32, num_classes, box_head_size=box_head_size, mask_layers=(8,) * 4, keypoint_layers=(8,) * 8, **options
    )


@pytest.mark.parametrize(
    "norms", [(nn.BatchNorm2d, FrozenBatchNorm2d), (FrozenBatchNorm2d, nn.BatchNorm2d)], ids=["to frozen", "from frozen"]
)
def test_frozen_and_trained_norms_share_their_weights(norms):
    source, target = (small(norm) for norm in norms)
    for tensor in source.state_dict().values():
        tensor.add_(1)
    report = transfer(target, source.state_dict(), categories=SMALL, source_categories=SMALL)
    assert (report.fresh, report.unused) == ((), ())
    state = source.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in target.state_dict().items() if not name.endswith("num_batches_tracked"))


def older_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What torchvision called the layers of its first weights."""
    renamed = {
        "rpn.head.conv.0.0.": "rpn.head.conv.",
        **{f"backbone.fpn.{kind}_blocks.{i}.0.": f"backbone.fpn.{kind}_blocks.{i}." for kind in ("inner", "layer") for i in range(3)},
        **{f"roi_heads.mask_head.{i}.0.": f"roi_heads.mask_head.mask_fcn{i + 1}." for i in range(3)},
    }
    for new, old in renamed.items():
        state = {name.replace(new, old): tensor for name, tensor in state.items()}
    return state


def test_weights_under_older_names():
    source = trained("maskrcnn_mobilenet_v2_fpn")
    state = older_names(source.state_dict())
    assert len(state.keys() - source.state_dict().keys()) == 2 + 12 + 6
    target = fresh("maskrcnn_mobilenet_v2_fpn", len(SOURCE), 0)
    report = transfer(target, state, categories=SOURCE, source_categories=SOURCE)
    assert (report.fresh, report.unused) == ((), ())
    assert all(torch.equal(tensor, source.state_dict()[name]) for name, tensor in target.state_dict().items())


def test_weights_in_half_precision():
    source, target = small(), small()
    state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in source.state_dict().items()}
    transfer(target, state, categories=(*SMALL[:2], "new"), source_categories=SMALL)
    assert {parameter.dtype for parameter in target.parameters()} == {torch.float32}
    for found, expected in zip(target.roi_heads.parameters(), source.roi_heads.parameters(), strict=True):
        assert torch.equal(found[:2], expected[:2].half().float())


def test_a_name_that_occurs_twice():
    categories = ("__background__", "N/A", "cat", "N/A")
    source, target = (small(num_classes=4) for _ in range(2))
    transfer(target, source.state_dict(), categories=categories, source_categories=categories)
    assert torch.equal(target.roi_heads.box_predictor.bbox_pred.weight, source.roi_heads.box_predictor.bbox_pred.weight)


def test_a_head_more_and_another_less():
    source, target = small(num_keypoints=3), small(masks=True)
    report = transfer(target, source.state_dict(), categories=SMALL, source_categories=SMALL, source_keypoint_names=("a", "b", "c"))
    assert report.fresh == (
        *(f"roi_heads.mask_head.{i}.0" for i in range(4)),
        "roi_heads.mask_predictor.conv5_mask",
        "roi_heads.mask_predictor.mask_fcn_logits",
    )
    assert {name.split(".")[1] for name in report.unused} == {"keypoint_head", "keypoint_predictor"}
    assert str(report) == (
        f"{report.taken} of {report.taken + 12} tensors taken; known classes: cat, dog; layers started afresh: roi_heads.mask_head.0.0, "
        "roi_heads.mask_head.1.0, roi_heads.mask_head.2.0, roi_heads.mask_head.3.0, roi_heads.mask_predictor.conv5_mask, "
        "roi_heads.mask_predictor.mask_fcn_logits; weights without a place: roi_heads.keypoint_head.0.weight, "
        "roi_heads.keypoint_head.0.bias, roi_heads.keypoint_head.2.weight, roi_heads.keypoint_head.2.bias, "
        "roi_heads.keypoint_head.4.weight, roi_heads.keypoint_head.4.bias and 12 more"
    )


def test_layers_of_other_sizes_start_afresh():
    source, target = (small(box_head_size=size) for size in (4, 5))
    before = copy.deepcopy(target.roi_heads.state_dict())
    report = transfer(target, source.state_dict(), categories=SMALL, source_categories=SMALL)
    assert report.fresh == tuple(
        f"roi_heads.box_{layer}" for layer in ("head.fc6", "head.fc7", "predictor.cls_score", "predictor.bbox_pred")
    )
    assert "roi_heads.box_head.fc6.weight" in report.unused
    assert torch.equal(before["box_head.fc6.weight"], target.roi_heads.box_head.fc6.weight)


@pytest.mark.parametrize(
    ("state", "names", "message"),
    [
        (lambda: {}, {}, r"another architecture: they fill 0 of the model's \d+ tensors"),
        (lambda: mobilenet_v2(weights=None).state_dict(), {}, "another architecture"),
        (lambda: trained("ssdlite320_mobilenet_v3_large").state_dict(), {}, "another architecture"),
        (lambda: small().state_dict(), {"source_categories": ("__background__", "cat")}, "has 3 rows, which does not fit 2 classes"),
        (lambda: small().state_dict(), {"categories": SOURCE}, "new model's layer .* has 3 rows, which does not fit 5 classes"),
    ],
    ids=["empty", "classification", "another detector", "the weights' classes", "the model's classes"],
)
def test_what_does_not_fit_is_refused(state, names, message):
    with pytest.raises(ValueError, match=message):
        transfer(small(), state(), **({"categories": SMALL, "source_categories": SMALL} | names))


class Detector(nn.Module):
    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone


def vgg(layers: int) -> nn.Module:
    holder = nn.Module()
    holder.features = make_layers(cfgs["D"])
    return ssd._vgg_extractor(holder, False, layers)


EXTRACTORS = {
    "resnet": (5, lambda layers: backbone_utils._resnet_fpn_extractor(resnet18(), layers)),
    "mobilenet v2": (6, lambda layers: backbone_utils._mobilenet_extractor(mobilenet_v2(), True, layers)),
    "mobilenet v3": (6, lambda layers: backbone_utils._mobilenet_extractor(mobilenet_v3_large(), True, layers)),
    "vgg": (5, vgg),
    "ssdlite": (
        6,
        lambda layers: ssdlite._mobilenet_extractor(mobilenet_v3_large(reduced_tail=True), layers, partial(nn.BatchNorm2d, eps=1e-3)),
    ),
}


@pytest.mark.parametrize(
    ("extractor", "most", "layers"),
    [(extractor, most, layers) for most, extractor in EXTRACTORS.values() for layers in range(most + 1)],
    ids=[f"{name} {layers}" for name, (most, _) in EXTRACTORS.items() for layers in range(most + 1)],
)
def test_freezes_what_torchvision_freezes(extractor, most, layers):
    with torch.device("meta"):
        theirs, ours = extractor(layers), extractor(most)
    freeze_backbone(Detector(ours), layers)
    expected = {name: parameter.requires_grad for name, parameter in theirs.named_parameters()}
    assert {name: parameter.requires_grad for name, parameter in ours.named_parameters()} == expected
    assert all(expected.values()) == (layers == most)


@pytest.mark.parametrize("builder", dict.fromkeys([*BUILDERS, *FAMILIES]))
def test_every_detectors_backbone_can_be_frozen(builder):
    module = build(builder, 3, 2, "meta")
    layers = 5 if "resnet" in builder or "vgg" in builder else 6
    freeze_backbone(module, layers)
    assert all(parameter.requires_grad for parameter in module.parameters())
    freeze_backbone(module, layers - 1)
    first = next(parameter for name, parameter in module.named_parameters() if name.startswith("backbone") and parameter.ndim == 4)
    frozen = [name for name, parameter in module.named_parameters() if not parameter.requires_grad]
    assert not first.requires_grad
    assert all(name.startswith("backbone.") for name in frozen)
    freeze_backbone(module, 0)
    trained_parts = {
        name.split(".")[1] for name, parameter in module.named_parameters() if name.startswith("backbone.") and parameter.requires_grad
    }
    assert trained_parts <= {"fpn", "extra", "scale_weight"}
    for wrong in (-1, layers + 1):
        with pytest.raises(ValueError, match=f"has {layers} stages: train 0 to {layers} of them, not {wrong}"):
            freeze_backbone(module, wrong)
