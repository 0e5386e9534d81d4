from __future__ import annotations

import pytest

from detection_core.models.families import Family, UnknownFamilyError, family_of, title_of


@pytest.mark.parametrize(
    ("builder", "family", "title"),
    [
        ("person_mobilenet_v2_fpn", Family.FASTER_RCNN, "Faster R-CNN MobileNetV2 FPN"),
        ("fasterrcnn_mobilenet_v3_large_320_fpn", Family.FASTER_RCNN, "Faster R-CNN MobileNetV3 320 FPN"),
        ("maskrcnn_resnet50_fpn_v2", Family.MASK_RCNN, "Mask R-CNN ResNet-50 FPN v2"),
        ("retinanet_resnet50_fpn", Family.RETINANET, "RetinaNet ResNet-50 FPN"),
        ("ssd300_vgg16", Family.SSD, "SSD300 VGG-16"),
        ("ssd512_vgg16", Family.SSD, "SSD512 VGG-16"),
        ("ssdlite320_mobilenet_v3_large", Family.SSDLITE, "SSDlite320 MobileNetV3"),
        ("ssdlite300_mobilenet_v2", Family.SSDLITE, "SSDlite300 MobileNetV2"),
    ],
)
def test_family_and_title_follow_from_a_builders_name(builder, family, title):
    assert family_of(builder) is family
    assert title_of(builder) == title


@pytest.mark.parametrize("builder", ["", "fasterrcnn", "detr_resnet50", "ssdx_vgg16", "myfasterrcnn_resnet50", "FasterRCNN_resnet50"])
def test_other_names_are_of_no_family(builder):
    for ask in (family_of, title_of):
        with pytest.raises(UnknownFamilyError, match=f"“{builder}” belongs to no known family"):
            ask(builder)
