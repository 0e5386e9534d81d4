from __future__ import annotations

import inspect
from collections import OrderedDict

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.rpn import AnchorGenerator

from detection_core.models.builders import BUILDERS, detector_on_backbone, movenet_body, person_mobilenet_v2_fpn
from detection_core.models.empty import NoRandomInitialization
from tests.random_models import QUICK_FAMILIES, quick_first

RPN_LOSSES = {"loss_objectness", "loss_rpn_box_reg"}
BOX_LOSSES = RPN_LOSSES | {"loss_classifier", "loss_box_reg"}
LOSSES = {
    "person_mobilenet_v2_fpn": BOX_LOSSES | {"loss_mask", "loss_keypoint"},
    "fasterrcnn_mobilenet_v2": BOX_LOSSES,
    "fasterrcnn_mobilenet_v2_fpn": BOX_LOSSES,
    "maskrcnn_mobilenet_v2_fpn": BOX_LOSSES | {"loss_mask"},
    "keypointrcnn_mobilenet_v2_fpn": BOX_LOSSES | {"loss_keypoint"},
    "ssdlite300_mobilenet_v2": {"bbox_regression", "classification", "loss_mask", "loss_keypoint"},
}


pytestmark = pytest.mark.usefixtures("one_thread")


def structure(module: nn.Module) -> list[tuple[str, str]]:
    return [(name, str(child)) for name, child in module.named_modules() if name and not isinstance(child, AnchorGenerator)]


def sizes(module: nn.Module) -> list[tuple[str, torch.Size]]:
    return [(name, tensor.shape) for name, tensor in module.state_dict().items()]


def anchors(module: FasterRCNN) -> tuple:
    return module.rpn.anchor_generator.sizes, module.rpn.anchor_generator.aspect_ratios


def torchvisions_example() -> FasterRCNN:
    """The code on torchvision's page, without the download."""
    backbone = torchvision.models.mobilenet_v2(weights=None).features
    backbone.out_channels = 1280
    anchor_generator = AnchorGenerator(sizes=((32, 64, 128, 256, 512),), aspect_ratios=((0.5, 1.0, 2.0),))
    roi_pooler = torchvision.ops.MultiScaleRoIAlign(featmap_names=["0"], output_size=7, sampling_ratio=2)
    return FasterRCNN(backbone, num_classes=2, rpn_anchor_generator=anchor_generator, box_roi_pool=roi_pooler)


def test_the_documented_example_runs():
    lines = [line.strip() for line in detector_on_backbone.__doc__.splitlines()]
    *preparation, prediction = [line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")]
    names = {"torch": torch, "torchvision": torchvision, "detector_on_backbone": detector_on_backbone}
    torch.manual_seed(0)
    exec("\n".join(preparation), names)
    # A thousand proposals in an image scaled to 800 px, its defaults, would take 15 seconds.
    names["model"].rpn._post_nms_top_n["testing"] = 20
    names["model"].transform.min_size = (200,)
    with torch.no_grad():
        exec(prediction, names)
    assert [image.shape for image in names["x"]] == [(3, 300, 400), (3, 500, 400)]
    assert [set(found) for found in names["predictions"]] == [{"boxes", "labels", "scores"}] * 2


def test_a_plain_backbone_gives_torchvisions_example():
    with torch.device("meta"):
        theirs = torchvisions_example()
        ours = detector_on_backbone(torchvision.models.mobilenet_v2(weights=None).features, 1280, 2)
    assert structure(ours) == structure(theirs)
    assert sizes(ours) == sizes(theirs)
    assert anchors(ours) == anchors(theirs)


def test_the_same_weights_give_the_same_predictions_as_torchvisions_example():
    torch.manual_seed(0)
    theirs = torchvisions_example().eval()
    with NoRandomInitialization():
        ours = detector_on_backbone(torchvision.models.mobilenet_v2(weights=None).features, 1280, 2, box_detections_per_img=100).eval()
    ours.load_state_dict(theirs.state_dict())
    images = [torch.rand(3, 64, 96), torch.rand(3, 80, 64)]
    for model in (theirs, ours):
        model.transform.min_size, model.transform.max_size = (64,), 128
    with torch.no_grad():
        for found, expected in zip(ours(images), theirs(images), strict=True):
            assert len(expected["boxes"]) > 0
            assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    ("builder", "options"),
    [
        ("fasterrcnn_resnet50_fpn", {}),
        ("maskrcnn_resnet50_fpn", {"masks": True}),
        ("keypointrcnn_resnet50_fpn", {"num_keypoints": 17}),
    ],
    ids=["boxes", "masks", "keypoints"],
)
def test_a_pyramid_gives_torchvisions_own_detectors(builder, options):
    sampled = {"min_size": (640, 672, 704, 736, 768, 800)} if builder.startswith("keypoint") else {}
    with torch.device("meta"):
        theirs = get_model(builder, weights=None, weights_backbone=None, num_classes=7)
        backbone = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=nn.BatchNorm2d, trainable_layers=5)
        ours = detector_on_backbone(backbone, 256, 7, **options, **sampled)
    assert structure(ours) == structure(theirs)
    assert sizes(ours) == sizes(theirs)
    assert anchors(ours) == anchors(theirs)


class Levels(nn.Module):
    """Two feature maps under names of their own, with a norm that counts the batches it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        x = self.norm(x)
        return OrderedDict(fine=nn.functional.avg_pool2d(x, 16), coarse=nn.functional.avg_pool2d(x, 32))


def test_a_dict_of_feature_maps():
    backbone = Levels()
    backbone.norm.eval()
    model = detector_on_backbone(backbone, 3, 2, box_head_size=4)
    assert anchors(model)[0] == ((128,), (256,))
    assert model.roi_heads.box_roi_pool.featmap_names == ["fine", "coarse"]
    assert (backbone.training, backbone.norm.training, int(backbone.norm.num_batches_tracked)) == (True, False, 0)


@pytest.mark.parametrize(
    ("channels", "options", "message"),
    [
        (4, {}, r"\[3\] channels, not out_channels=4"),
        (3, {"anchor_sizes": ((32,),)}, r"2 feature maps \(fine, coarse\), but there are 1 anchor_sizes"),
    ],
    ids=["channels", "levels"],
)
def test_what_does_not_fit_the_backbone_is_refused(channels, options, message):
    with pytest.raises(ValueError, match=message):
        detector_on_backbone(Levels(), channels, 2, **options)


@pytest.mark.parametrize("name", quick_first(BUILDERS, QUICK_FAMILIES))
def test_builders_keep_torchvisions_contract(name):
    torch.manual_seed(0)
    parameters = inspect.signature(BUILDERS[name]).parameters
    keypoints = {"num_keypoints": 5} if "num_keypoints" in parameters else {}
    one_size = "size" in parameters
    sides = {"size": 96} if one_size else {"min_size": 96, "max_size": 128}
    model = BUILDERS[name](num_classes=4, **sides, **keypoints)
    images = [torch.rand(3, 96, 128), torch.rand(3, 80, 64)]
    targets = [
        {
            "boxes": torch.tensor([[10.0, 10.0, 50.0, 70.0]]),
            "labels": torch.tensor([3]),
            "masks": torch.ones(1, *image.shape[1:], dtype=torch.uint8),
            "keypoints": torch.tensor([[[20.0, 30.0, 2.0]] * 5]),
        }
        for image in images
    ]
    losses = model(images, targets)
    assert set(losses) == LOSSES[name]
    assert all(torch.isfinite(loss) for loss in losses.values())
    with torch.no_grad():
        outputs = model.eval()(images)
    extra = {"masks"} if "loss_mask" in losses else set()
    extra |= {"keypoints", "keypoints_scores"} if keypoints else set()
    assert set(outputs[0]) == {"boxes", "labels", "scores"} | extra
    if one_size:
        assert model.head.classification_head.num_columns == 4
        assert model.transform.fixed_size == (96, 96)
    else:
        assert model.roi_heads.box_predictor.cls_score.out_features == 4
        assert (model.transform.min_size, model.transform.max_size) == ((96,), 128)


@pytest.mark.parametrize("side", [64, 96])
def test_movenets_kernels_see_what_tensorflow_pads(side):
    """A 3x3 kernel with TensorFlow's "SAME" padding at stride 2, which adds a row and a column at the end of images of even size."""
    body = movenet_body()
    convolutions = [module for module in body.modules() if isinstance(module, nn.Conv2d) and module.stride == (2, 2)]
    assert len(convolutions) == 5
    for convolution in convolutions:
        x = torch.randn(1, convolution.in_channels, side, side)
        kernel = convolution.weight[..., 1:, 1:]
        assert not convolution.weight[..., 0].any()
        assert not convolution.weight[..., 0, :].any()
        expected = nn.functional.conv2d(nn.functional.pad(x, (0, 1, 0, 1)), kernel, convolution.bias, 2, 0, 1, convolution.groups)
        torch.testing.assert_close(convolution(x), expected, rtol=1e-4, atol=1e-5)


def test_the_person_models_structure():
    """Its weights are stored in the project: names and shapes must stay."""
    with torch.device("meta"):
        model = person_mobilenet_v2_fpn()
    state = model.state_dict()
    assert (len(state), sum(tensor.numel() for tensor in state.values())) == (150, 10_011_795)
    assert not any("running" in name for name in state)
    assert state["backbone.body.0.0.weight"].shape == (48, 3, 4, 4)
    assert state["backbone.body.18.0.weight"].shape == (1280, 480, 1, 1)
    assert [state[f"backbone.fpn.inner_blocks.{level}.0.weight"].shape[:2] for level in range(3)] == [(128, 48), (128, 144), (128, 1280)]
    assert state["roi_heads.keypoint_predictor.kps_score_lowres.weight"].shape == (128, 17, 4, 4)
    assert (model.transform.image_mean, model.transform.image_std) == ((0.5,) * 3, (0.5,) * 3)
