"""Detectors on backbones of our own, built from torchvision's parts: anything with `out_channels` can carry a Faster R-CNN."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.models import mobilenet_v2
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.keypoint_rcnn import KeypointRCNNHeads, KeypointRCNNPredictor
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops import FrozenBatchNorm2d, MultiScaleRoIAlign

# MobileNetV2 blocks whose outputs have strides 8, 16 and 32, and the channels they give (Sandler et al. 2018, table 2).
_MOBILENET_V2_STAGES = {"6": 32, "13": 96, "17": 320}
_FPN_CHANNELS = 128
_BOX_HEAD_SIZE = 512
# Two anchor scales a level, from 12 px (a distant person at 320 px) to 288 px (a portrait that fills the frame).
_ANCHOR_SIZES = ((12, 20), (32, 48), (80, 128), (192, 288))
_ASPECT_RATIOS = (0.5, 1.0, 2.0)


def person_mobilenet_v2_fpn(
    *,
    num_classes: int = 2,
    num_keypoints: int = 17,
    min_size: int = 320,
    max_size: int = 512,
    box_batch_size_per_image: int = 512,
) -> FasterRCNN:
    """Builds a small Faster R-CNN whose `roi_heads` also carry a mask head and a keypoint head.

    The backbone is MobileNetV2 with a 128-channel feature pyramid on strides 8, 16, 32 and 64. Its batch norms are frozen, as in
    torchvision's other detectors, and therefore folded into the convolutions, which is exact and saves a third of the time.
    No weights are downloaded.

    Args:
        num_classes: Classes including the background, so 2 for persons only.
        num_keypoints: Joints per instance.
        min_size: Length in pixels to which the shorter side is scaled at inference.
        max_size: Bound in pixels on the longer side after scaling.
        box_batch_size_per_image: Proposals sampled per picture for the box loss; only matters for training.

    Returns:
        A `FasterRCNN` that keeps torchvision's contract and returns boxes, labels, scores, masks and keypoints.
    """
    body = mobilenet_v2(weights=None, norm_layer=FrozenBatchNorm2d).features
    _fold_frozen_batch_norms(body)
    backbone = BackboneWithFPN(
        body,
        return_layers={stage: str(level) for level, stage in enumerate(_MOBILENET_V2_STAGES)},
        in_channels_list=list(_MOBILENET_V2_STAGES.values()),
        out_channels=_FPN_CHANNELS,
    )
    levels = [str(level) for level in range(len(_MOBILENET_V2_STAGES))]
    model = FasterRCNN(
        backbone,
        min_size=min_size,
        max_size=max_size,
        rpn_anchor_generator=AnchorGenerator(_ANCHOR_SIZES, (_ASPECT_RATIOS,) * len(_ANCHOR_SIZES)),
        rpn_pre_nms_top_n_test=500,
        rpn_post_nms_top_n_test=200,
        rpn_pre_nms_top_n_train=1000,
        rpn_post_nms_top_n_train=400,
        box_roi_pool=MultiScaleRoIAlign(levels, output_size=7, sampling_ratio=2),
        box_head=TwoMLPHead(_FPN_CHANNELS * 7 * 7, _BOX_HEAD_SIZE),
        box_predictor=FastRCNNPredictor(_BOX_HEAD_SIZE, num_classes),
        box_batch_size_per_image=box_batch_size_per_image,
        # Each object costs a pass through the mask and the keypoint head, and a resize per joint.
        box_detections_per_img=50,
    )
    heads = model.roi_heads
    heads.mask_roi_pool = MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2)
    heads.mask_head = MaskRCNNHeads(_FPN_CHANNELS, (_FPN_CHANNELS,) * 3, dilation=1)
    heads.mask_predictor = MaskRCNNPredictor(_FPN_CHANNELS, _FPN_CHANNELS, num_classes)
    heads.keypoint_roi_pool = MultiScaleRoIAlign(levels, output_size=14, sampling_ratio=2)
    heads.keypoint_head = KeypointRCNNHeads(_FPN_CHANNELS, (_FPN_CHANNELS,) * 4)
    heads.keypoint_predictor = KeypointRCNNPredictor(_FPN_CHANNELS, num_keypoints)
    return model


def load_imagenet_backbone(model: FasterRCNN, state_dict: dict[str, Tensor]) -> None:
    """Puts ImageNet MobileNetV2 weights into the body of `person_mobilenet_v2_fpn`.

    Args:
        model: The detector; changed in place.
        state_dict: A MobileNetV2 state dict under torchvision's names, or under those of the original one-list-per-block layout
            (`features.B.conv.I.*`), which is renamed here. A classifier in it is ignored.

    Raises:
        KeyError: If a weight that the body needs is missing.
    """
    if "features.1.conv.0.0.weight" not in state_dict:
        state_dict = {_torchvision_name(name): tensor for name, tensor in state_dict.items()}
    source = mobilenet_v2(weights=None, norm_layer=FrozenBatchNorm2d).features
    source.load_state_dict({name: state_dict[f"features.{name}"] for name in source.state_dict()})
    _fold_frozen_batch_norms(source)
    folded = source.state_dict()
    model.backbone.body.load_state_dict({name: folded[name] for name in model.backbone.body.state_dict()})


def _fold_frozen_batch_norms(module: nn.Module) -> None:
    """Turns every convolution that a frozen batch norm follows, and that norm, into one convolution with a bias."""
    children = list(module.named_children())
    for (_, conv), (norm_name, norm) in pairwise(children):
        if isinstance(conv, nn.Conv2d) and isinstance(norm, FrozenBatchNorm2d):
            conv.weight, conv.bias = fuse_conv_bn_weights(
                conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
            )
            setattr(module, norm_name, nn.Identity())
    for _, child in children:
        _fold_frozen_batch_norms(child)


def _torchvision_name(name: str) -> str:
    """Maps `features.B.conv.I.rest`, with I counting every layer of a block, to torchvision's nested names."""
    parts = name.split(".")
    if len(parts) != 5 or parts[:1] != ["features"] or parts[2] != "conv":
        return name
    nested = {0: "0.0", 1: "0.1", 3: "1", 4: "2"} if parts[1] == "1" else {0: "0.0", 1: "0.1", 3: "1.0", 4: "1.1", 6: "2", 7: "3"}
    return ".".join(["features", parts[1], "conv", nested[int(parts[3])], parts[4]])
