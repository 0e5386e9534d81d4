"""Builds SSDlite on MobileNetV2 as Google trained it on COCO, with additional heads for masks and keypoints."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import Conv2dNormActivation

from detection_core.models.instance_ssd import InstanceHeads, InstanceSSD
from detection_core.models.tensorflow_convolutions import as_in_tensorflow
from detection_core.models.tensorflow_resize import CornerTransform

SIZE = 300
# The lowest score returned: objects below it cost time in the heads and add less than 0.1 points of average precision.
FLOOR_SCORE = 0.04

# MobileNetV2 is cut inside the blocks that halve the resolution, after their first convolution, so each stage ends in the widest
# features of its stride: 4, 8, 16 and 32 px.
_CUT_BLOCKS = (4, 7, 14)
_STAGE_CHANNELS = {"4": 144, "8": 192, "16": 576, "32": 1280}
EXTRA_CHANNELS = (512, 256, 256, 128)
_DETECTION_LEVELS = ("16", "32", "64", "100", "150", "300")
# Sides of each map's boxes as fractions of the image's, and the boxes' aspect ratios (pipeline.config of ssdlite_mobilenet_v2_coco:
# min_scale 0.2, max_scale 0.95, 6 layers, `reduce_boxes_in_lowest_layer`).
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_ASPECT_RATIOS = ([2], *[[2, 3]] * 5)
# The finest map has one small square instead of torchvision's two.
_FINEST_BOXES = ((0.1, 0.1), (0.2 * 2**0.5, 0.2 / 2**0.5), (0.2 / 2**0.5, 0.2 * 2**0.5))
_NORM = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.03)


class MobileNetV2Maps(nn.Module):
    """MobileNetV2 and four further layers, which compute the feature maps of SSDlite and its heads.

    The batch norms are folded into the convolutions, as in Google's frozen graph, and the convolutions pad as in TensorFlow.

    Args:
        size: Side of the images in pixels.
    """

    def __init__(self, size: int = SIZE) -> None:
        super().__init__()
        blocks = mobilenet_v2(weights=None, norm_layer=nn.Identity).features
        stages: list[list[nn.Module]] = [[]]
        for index, block in enumerate(blocks):
            layers: list[nn.Module] = [block]
            if index in _CUT_BLOCKS:
                first, *rest = block.conv
                stages[-1].append(first)
                stages.append([])
                layers = [nn.Sequential(*rest)]
            stages[-1] += layers
        self.features = nn.ModuleList(nn.Sequential(*layers) for layers in stages)
        channels = (_STAGE_CHANNELS["32"], *EXTRA_CHANNELS)
        self.extra = nn.ModuleList(_extra_block(before, after) for before, after in pairwise(channels))
        as_in_tensorflow(self, size)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Computes maps [B,C,h,w], named by their strides, from images [B,3,S,S] in -1 to 1."""
        maps = OrderedDict()
        stages = (*self.features, *self.extra)
        for name, stage in zip((*_STAGE_CHANNELS, *_DETECTION_LEVELS[2:]), stages, strict=True):
            images = maps[name] = stage(images)
        return maps


def ssdlite300_mobilenet_v2(
    *, num_classes: int = 91, masks: bool = True, num_keypoints: int = 0, keypoint_labels: Sequence[int] = (1,), size: int = SIZE
) -> InstanceSSD:
    """Builds SSDlite on MobileNetV2 (Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", section 6.2) with masks.

    No weights are downloaded. The suppression thresholds are those of the original (pipeline.config of ssdlite_mobilenet_v2_coco).

    Args:
        num_classes: Classes including the background.
        masks: Whether the model has a mask head.
        num_keypoints: Keypoints of an object, or 0 for a model without them.
        keypoint_labels: The classes that have keypoints.
        size: Side in pixels to which images are scaled, whatever their aspect ratio. Weights fit only the size for which they were made.

    Returns:
        A detector that keeps torchvision's contract and returns boxes, labels, scores, and masks and keypoints if requested.
    """
    generator = _default_boxes()
    boxes_per_place = [len(pairs) for pairs in generator._wh_pairs]
    channels = [_STAGE_CHANNELS["16"], _STAGE_CHANNELS["32"], *EXTRA_CHANNELS]
    model = InstanceSSD(
        MobileNetV2Maps(size),
        detection_levels=_DETECTION_LEVELS,
        roi_heads=InstanceHeads(_STAGE_CHANNELS, masks=masks, num_keypoints=num_keypoints, keypoint_labels=keypoint_labels),
        anchor_generator=generator,
        size=(size, size),
        num_classes=num_classes,
        head=SSDLiteHead(channels, boxes_per_place, num_classes, _NORM),
        score_thresh=FLOOR_SCORE,
        nms_thresh=0.6,
        topk_candidates=100,
        detections_per_img=100,
    )
    # Scales pixels to -1 to 1.
    model.transform = CornerTransform(size, size, [0.5] * 3, [0.5] * 3, size_divisible=1, fixed_size=(size, size))
    return model


def _default_boxes() -> DefaultBoxGenerator:
    generator = DefaultBoxGenerator(_ASPECT_RATIOS, scales=_SCALES, clip=False)
    generator._wh_pairs[0] = torch.tensor(_FINEST_BOXES, device="cpu")
    return generator


def _extra_block(in_channels: int, out_channels: int) -> nn.Sequential:
    """Builds an extra block of torchvision's SSDlite: half the channels, half the resolution, all the channels."""
    inner = out_channels // 2
    layer = partial(Conv2dNormActivation, norm_layer=nn.Identity, activation_layer=nn.ReLU6)
    return nn.Sequential(
        layer(in_channels, inner, kernel_size=1),
        layer(inner, inner, kernel_size=3, stride=2, groups=inner),
        layer(inner, out_channels, kernel_size=1),
    )
