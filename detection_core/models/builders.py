"""Builds detectors on custom backbones from torchvision's parts: a Faster R-CNN runs on anything that returns feature maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torchvision.models import mobilenet_v2
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import Conv2dNormActivation, MultiScaleRoIAlign

from detection_core.models.ssdlite_mobilenet_v2 import FLOOR_SCORE as SSDLITE_FLOOR_SCORE
from detection_core.models.ssdlite_mobilenet_v2 import ssdlite300_mobilenet_v2
from detection_core.models.tensorflow_convolutions import as_in_tensorflow

_ASPECT_RATIOS = (0.5, 1.0, 2.0)
# Anchors of a single feature map, as in torchvision's example of a custom backbone.
_SINGLE_MAP_ANCHORS = ((32, 64, 128, 256, 512),)
# Anchors of a pyramid are squares of 8 cells' side at every level (Lin et al. 2017, section 4.1): 32 px at stride 4.
_ANCHOR_CELLS = 8
# The level that `LastLevelMaxPool` adds; only the region proposals use it.
_POOL_LEVEL = "pool"
# Side of the image from which the shapes of the feature maps are inferred; a multiple of every stride in use.
_TRIAL_SIDE = 128

# MobileNetV2 blocks whose outputs have strides 8, 16 and 32, and the channels they give (Sandler et al. 2018, table 2); the last is
# the 1x1 convolution in front of the classifier.
_STAGES = {"6": 32, "13": 96, "18": 1280}
# The same of MoveNet's body, 1.5 times as wide.
_MOVENET_STAGES = {"6": 48, "13": 144, "18": 1280}
_MOVENET_WIDTH = 1.5
_FPN_CHANNELS = 128
# Settings of the light pyramid detectors. Two anchor scales a level, from 12 px (a distant person at 320 px) to 288 px (a portrait that
# fills the frame); each object costs a pass through the mask and the keypoint head, and a resize per keypoint.
_LIGHT: Mapping[str, Any] = {
    "anchor_sizes": ((12, 20), (32, 48), (80, 128), (192, 288)),
    "box_head_size": 512,
    "mask_layers": (_FPN_CHANNELS,) * 3,
    "keypoint_layers": (_FPN_CHANNELS,) * 4,
    "rpn_pre_nms_top_n_test": 500,
    "rpn_post_nms_top_n_test": 200,
    "rpn_pre_nms_top_n_train": 1000,
    "rpn_post_nms_top_n_train": 400,
    "box_detections_per_img": 50,
}

# Boxes with lower scores cost time in two more heads, and hardly any of them is a person.
_PERSON_FLOOR_SCORE = 0.1


def detector_on_backbone(
    backbone: nn.Module,
    out_channels: int,
    num_classes: int,
    *,
    min_size: int = 800,
    max_size: int = 1333,
    masks: bool = False,
    num_keypoints: int = 0,
    anchor_sizes: Sequence[Sequence[int]] | None = None,
    box_head_size: int = 1024,
    mask_layers: Sequence[int] = (256,) * 4,
    keypoint_layers: Sequence[int] = (512,) * 8,
    **options: Any,
) -> FasterRCNN:
    """Builds a Faster R-CNN on any backbone, as torchvision's example of a custom backbone does.

    The example on torchvision's page is then:

        >>> backbone = torchvision.models.mobilenet_v2(weights=None).features
        >>> model = detector_on_backbone(backbone, out_channels=1280, num_classes=2)
        >>> model.eval()
        >>> x = [torch.rand(3, 300, 400), torch.rand(3, 500, 400)]
        >>> predictions = model(x)

    On a ResNet-50 with a feature pyramid the result is torchvision's own Faster, Mask or Keypoint R-CNN. Masks and keypoints may
    also be combined. All weights are random except those of the backbone.

    Args:
        backbone: Takes images, float [B, 3, H, W], and returns one feature map [B, C, h, w] or, like `BackboneWithFPN`, a dict of them
            by level, finest first. It becomes part of the result.
        out_channels: The channels C of every feature map.
        num_classes: Classes including the background.
        min_size: Length in pixels to which the shorter side of an image is scaled.
        max_size: Bound in pixels on the longer side after scaling.
        masks: Add torchvision's Mask R-CNN head.
        num_keypoints: Keypoints per instance; more than 0 adds torchvision's Keypoint R-CNN head.
        anchor_sizes: Sides of the anchors in pixels, a sequence per level, each of the same length. None takes those of
            torchvision's example for one feature map, and 8 times the stride for the levels of a pyramid.
        box_head_size: Width of the two layers that classify a box.
        mask_layers: Channels of the convolutions of the mask head.
        keypoint_layers: Channels of the convolutions of the keypoint head.
        **options: Any other argument of torchvision's `FasterRCNN`, such as `image_mean` or `box_detections_per_img`.

    Returns:
        A `FasterRCNN` in training mode that keeps torchvision's contract. Its predictions contain masks and keypoints if requested.

    Raises:
        ValueError: If the backbone's feature maps have another number of channels, or `anchor_sizes` another number of levels.
    """
    strides = _level_strides(backbone, out_channels)
    backbone.out_channels = out_channels  # type: ignore[assignment]
    if anchor_sizes is None:
        anchor_sizes = _SINGLE_MAP_ANCHORS if len(strides) == 1 else [(_ANCHOR_CELLS * stride,) for stride in strides.values()]
    if len(anchor_sizes) != len(strides):
        raise ValueError(
            f"The backbone has {len(strides)} feature maps ({', '.join(strides)}), but there are {len(anchor_sizes)} anchor_sizes."
        )
    levels = [name for name in strides if name != _POOL_LEVEL]
    box_roi_pool = MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2)
    model = FasterRCNN(
        backbone,
        min_size=min_size,
        max_size=max_size,
        rpn_anchor_generator=AnchorGenerator(tuple(map(tuple, anchor_sizes)), (_ASPECT_RATIOS,) * len(strides)),
        box_roi_pool=box_roi_pool,
        box_head=TwoMLPHead(out_channels * 7 * 7, box_head_size),
        box_predictor=FastRCNNPredictor(box_head_size, num_classes),
        **options,
    )
    heads = model.roi_heads
    if masks:
        heads.mask_roi_pool = MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2)
        heads.mask_head = MaskRCNNHeads(out_channels, mask_layers, dilation=1)
        heads.mask_predictor = MaskRCNNPredictor(mask_layers[-1], mask_layers[-1], num_classes)
    if num_keypoints:
        heads.keypoint_roi_pool = MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2)
        heads.keypoint_head = KeypointRCNNHeads(out_channels, keypoint_layers)
        heads.keypoint_predictor = KeypointRCNNPredictor(keypoint_layers[-1], num_keypoints)
    return model


def person_mobilenet_v2_fpn(
    *, num_classes: int = 2, num_keypoints: int = 17, min_size: int = 320, max_size: int = 512, box_batch_size_per_image: int = 512
) -> FasterRCNN:
    """Builds a small detector of people, their masks and their keypoints, on the body of MoveNet (see `movenet_body`).

    The feature pyramid has 128 channels on strides 8, 16, 32 and 64. No weights are downloaded.

    Args:
        num_classes: Classes including the background, so 2 for persons only.
        num_keypoints: Keypoints per instance.
        min_size: Length in pixels to which the shorter side is scaled at inference.
        max_size: Bound in pixels on the longer side after scaling.
        box_batch_size_per_image: Proposals sampled per image for the box loss; only matters for training.

    Returns:
        A `FasterRCNN` that keeps torchvision's contract and returns boxes, labels, scores, masks and keypoints.
    """
    return detector_on_backbone(
        _with_pyramid(movenet_body(), _MOVENET_STAGES),
        _FPN_CHANNELS,
        num_classes,
        min_size=min_size,
        max_size=max_size,
        masks=True,
        num_keypoints=num_keypoints,
        # MoveNet takes pixels from -1 to 1.
        image_mean=(0.5,) * 3,
        image_std=(0.5,) * 3,
        box_batch_size_per_image=box_batch_size_per_image,
        **{**_LIGHT, "rpn_post_nms_top_n_test": 100, "box_score_thresh": _PERSON_FLOOR_SCORE},
    )


def fasterrcnn_mobilenet_v2(*, num_classes: int = 91, min_size: int = 320, max_size: int = 512) -> FasterRCNN:
    """Builds torchvision's example of a custom backbone, MobileNetV2 with one feature map, with a narrower box head and smaller images."""
    return detector_on_backbone(
        mobilenet_v2(weights=None).features, 1280, num_classes, min_size=min_size, max_size=max_size, box_head_size=256
    )


def fasterrcnn_mobilenet_v2_fpn(*, num_classes: int = 91, min_size: int = 320, max_size: int = 512) -> FasterRCNN:
    """Builds a light Faster R-CNN on MobileNetV2 with a feature pyramid on strides 8, 16, 32 and 64."""
    return _light_detector(num_classes, min_size=min_size, max_size=max_size)


def maskrcnn_mobilenet_v2_fpn(*, num_classes: int = 91, min_size: int = 320, max_size: int = 512) -> FasterRCNN:
    """Builds `fasterrcnn_mobilenet_v2_fpn` with a mask head."""
    return _light_detector(num_classes, min_size=min_size, max_size=max_size, masks=True)


def keypointrcnn_mobilenet_v2_fpn(*, num_classes: int = 2, num_keypoints: int = 17, min_size: int = 320, max_size: int = 512) -> FasterRCNN:
    """Builds `fasterrcnn_mobilenet_v2_fpn` with a keypoint head."""
    return _light_detector(num_classes, min_size=min_size, max_size=max_size, num_keypoints=num_keypoints)


# All arguments are plain values, so that a checkpoint can name its architecture.
BUILDERS: dict[str, Callable[..., nn.Module]] = {
    builder.__name__: builder
    for builder in (
        person_mobilenet_v2_fpn,
        ssdlite300_mobilenet_v2,
        fasterrcnn_mobilenet_v2,
        fasterrcnn_mobilenet_v2_fpn,
        maskrcnn_mobilenet_v2_fpn,
        keypointrcnn_mobilenet_v2_fpn,
    )
}

# The builders whose lowest score differs from their family's.
FLOOR_SCORES = {"person_mobilenet_v2_fpn": _PERSON_FLOOR_SCORE, "ssdlite300_mobilenet_v2": SSDLITE_FLOOR_SCORE}


def movenet_body() -> nn.Sequential:
    """Builds the body of MoveNet MultiPose Lightning: torchvision's MobileNetV2 of width 1.5, without the norms and the classifier.

    The norms are folded into the convolutions, as in MoveNet's published weights (see `backbone_weights.read_movenet_backbone`), which
    saves a third of the time; the convolutions pad as TensorFlow does in images whose sides are multiples of 32.

    Returns:
        The layers, with random weights. They take images [B, 3, H, W] from -1 to 1 and return [B, 1280, H/32, W/32].
    """
    features = mobilenet_v2(weights=None, width_mult=_MOVENET_WIDTH, norm_layer=nn.Identity).features
    # torchvision would widen the last convolution too; MoveNet keeps its 1280 channels.
    last = Conv2dNormActivation(features[-1][0].in_channels, 1280, kernel_size=1, norm_layer=nn.Identity, activation_layer=nn.ReLU6)
    body = nn.Sequential(*features[:-1], last)
    as_in_tensorflow(body, _TRIAL_SIDE)
    return body


def _light_detector(num_classes: int, **options: Any) -> FasterRCNN:
    return detector_on_backbone(
        _with_pyramid(mobilenet_v2(weights=None).features, _STAGES), _FPN_CHANNELS, num_classes, **_LIGHT, **options
    )


def _with_pyramid(body: nn.Sequential, stages: Mapping[str, int]) -> BackboneWithFPN:
    return BackboneWithFPN(
        body,
        return_layers={stage: str(level) for level, stage in enumerate(stages)},
        in_channels_list=list(stages.values()),
        out_channels=_FPN_CHANNELS,
    )


@torch.no_grad()
def map_shapes(backbone: nn.Module, side: int) -> dict[str, torch.Size]:
    """Returns the shapes of a backbone's feature maps for one square image, by name, without computing them."""
    weights = {name: weight.to("meta") for name, weight in chain(backbone.named_parameters(), backbone.named_buffers())}
    maps = functional_call(backbone, weights, torch.zeros(1, 3, side, side, device="meta"))
    # A single map gets this name from torchvision too.
    return {"0": maps.shape} if isinstance(maps, Tensor) else {name: features.shape for name, features in maps.items()}


def _level_strides(backbone: nn.Module, out_channels: int) -> dict[str, int]:
    """Returns the names and the strides in pixels of a backbone's feature maps, measured with a small image."""
    modes = {module: module.training for module in backbone.modules()}
    shapes = map_shapes(backbone.eval(), _TRIAL_SIDE)
    for module, training in modes.items():
        module.training = training
    channels = {shape[1] for shape in shapes.values()}
    if channels != {out_channels}:
        raise ValueError(f"The backbone's feature maps have {sorted(channels)} channels, not out_channels={out_channels}.")
    return {name: _TRIAL_SIDE // shape[-1] for name, shape in shapes.items()}
