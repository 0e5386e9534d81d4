from __future__ import annotations

from torchvision.models._meta import _COCO_CATEGORIES
from torchvision.models.detection import KeypointRCNN_ResNet50_FPN_Weights

from detection_core.detections.coco_names import COCO_CLASSES, COCO_KEYPOINTS


def test_classes_are_torchvisions():
    assert list(COCO_CLASSES) == _COCO_CATEGORIES


def test_keypoints_are_torchvisions():
    assert list(COCO_KEYPOINTS) == KeypointRCNN_ResNet50_FPN_Weights.DEFAULT.meta["keypoint_names"]
