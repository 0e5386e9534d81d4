from __future__ import annotations

import pytest
import torch
from torchvision.models import mobilenet_v2

from detection_core.architectures import load_imagenet_backbone, person_mobilenet_v2_fpn


def original_layout(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Renames torchvision's MobileNetV2 to one flat list of layers a block, as the original repository has it."""
    renamed = {}
    for name, value in state.items():
        block = name.split(".")[1]
        flat = {"0.0": 0, "0.1": 1, "1": 3, "2": 4} if block == "1" else {"0.0": 0, "0.1": 1, "1.0": 3, "1.1": 4, "2": 6, "3": 7}
        for nested, index in sorted(flat.items(), key=lambda item: -len(item[0])):
            prefix = f"features.{block}.conv.{nested}."
            if name.startswith(prefix) and len(name.split(".")) == 4 + len(nested.split(".")):
                name = f"features.{block}.conv.{index}.{name.removeprefix(prefix)}"
                break
        renamed[name] = value
    return renamed


@pytest.fixture(scope="module")
def imagenet() -> torch.nn.Module:
    """A MobileNetV2 with batch norm statistics that are not trivial."""
    torch.manual_seed(0)
    module = mobilenet_v2(weights=None)
    module.train()(torch.randn(4, 3, 64, 64))
    return module.eval()


@pytest.mark.parametrize("rename", [dict, original_layout], ids=["torchvision's names", "original names"])
def test_the_folded_backbone_computes_what_mobilenet_does(imagenet, rename):
    model = person_mobilenet_v2_fpn().eval()
    load_imagenet_backbone(model, rename(imagenet.state_dict()))
    x = torch.randn(1, 3, 96, 128)
    expected = {}
    with torch.no_grad():
        outputs = model.backbone.body(x)
        for index, block in enumerate(imagenet.features[:18]):
            x = block(x)
            expected[index] = x
    for level, index in enumerate((6, 13, 17)):
        torch.testing.assert_close(outputs[str(level)], expected[index], rtol=1e-3, atol=1e-4)


def test_a_missing_weight_is_named(imagenet):
    state = imagenet.state_dict()
    del state["features.3.conv.2.weight"]
    with pytest.raises(KeyError, match=r"features\.3\.conv\.2\.weight"):
        load_imagenet_backbone(person_mobilenet_v2_fpn(), state)


def test_keeps_torchvisions_contract():
    torch.manual_seed(0)
    model = person_mobilenet_v2_fpn(box_batch_size_per_image=16)
    images = [torch.rand(3, 96, 128), torch.rand(3, 80, 64)]
    box = torch.tensor([[10.0, 10.0, 50.0, 70.0]])
    targets = [
        {
            "boxes": box,
            "labels": torch.ones(1, dtype=torch.int64),
            "masks": torch.ones(1, *image.shape[1:], dtype=torch.uint8),
            "keypoints": torch.tensor([[[20.0, 30.0, 2.0]] * 17]),
        }
        for image in images
    ]
    losses = model(images, targets)
    assert set(losses) == {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg", "loss_mask", "loss_keypoint"}
    assert all(torch.isfinite(loss) for loss in losses.values())
    outputs = model.eval()(images)
    assert set(outputs[0]) == {"boxes", "labels", "scores", "masks", "keypoints", "keypoints_scores"}
