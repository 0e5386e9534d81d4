from __future__ import annotations

import pytest
import torch
from torchvision.models import get_model, mobilenet_v2
from torchvision.ops import FrozenBatchNorm2d

from detection_core.models.catalog import get_model_spec
from detection_core.models.spec import Architecture
from detection_core.models.weights import MIRROR, WeightsError
from detection_core.training import TrainingError
from detection_core.training.starts import backbone_start, frozen_by_backbone
from tests.download_host import DownloadHost

OWN = ("fasterrcnn_mobilenet_v2", "fasterrcnn_mobilenet_v2_fpn")


def silent(_: str) -> None:
    pass


@pytest.mark.parametrize("builder", OWN)
def test_own_builders_take_a_mobilenet_file(builder, tmp_path):
    torch.manual_seed(3)
    net = mobilenet_v2(weights=None)
    torch.save(net.state_dict(), tmp_path / "net.pth")
    module, origin = backbone_start(frozen_by_backbone(Architecture(builder, {"num_classes": 3})), tmp_path / "net.pth", silent)
    assert origin == "backbone net.pth"
    taken = module.state_dict()
    found = [name for name in taken if name in ("backbone.4.conv.0.0.weight", "backbone.body.4.conv.0.0.weight")]
    assert len(found) == 1
    assert torch.equal(taken[found[0]], net.features[4].conv[0][0].weight)
    assert not any(isinstance(part, torch.nn.BatchNorm2d) for part in module.backbone.modules())


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no weights", "is no backbone of"), (None, "is no backbone of")],
    ids=["not a file of torch", "not there"],
)
def test_a_wrong_file_is_refused(tmp_path, content, message):
    file = tmp_path / "net.pth"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TrainingError, match=message):
        backbone_start(Architecture(OWN[1], {"num_classes": 3}), file, silent)


@pytest.fixture
def host(tmp_path, monkeypatch):
    with DownloadHost() as running:
        monkeypatch.setenv(MIRROR, running.url)
        monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("DETECTION_EXPLORER_WEIGHTS_DIR", raising=False)
        yield running


def test_torchvisions_builders_take_the_cached_backbone_as_torchvision_does(host, tmp_path):
    torch.manual_seed(4)
    net = get_model("mobilenet_v3_large", weights=None)
    cache = tmp_path / "home" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    torch.save(net.state_dict(), cache / "mobilenet_v3_large-8738ca79.pth")
    base = Architecture("fasterrcnn_mobilenet_v3_large_320_fpn", {"num_classes": 3})
    module, _ = backbone_start(frozen_by_backbone(base), None, silent)
    assert torch.equal(module.backbone.body["0"][0].weight, net.features[0][0].weight)
    assert isinstance(module.backbone.body["0"][1], FrozenBatchNorm2d)
    assert module.backbone.body["0"][1].eps == 1e-5
    assert not host.requests
    assert all(parameter.requires_grad for parameter in module.backbone.parameters())


def test_a_backbone_that_cannot_be_downloaded_is_a_message(host):
    base = frozen_by_backbone(get_model_spec("retinanet_resnet50_fpn").architecture)
    with pytest.raises(WeightsError, match="ResNet50_Weights"):
        backbone_start(base, None, silent)
    assert host.requests


@pytest.mark.parametrize(
    ("builder", "file", "message"),
    [
        ("ssdlite320_mobilenet_v3_large", None, "another SSDlite"),
        ("fcos_resnet50_fpn", "net.pth", "Leave it out"),
        ("fasterrcnn_mobilenet_v2", None, "--backbone FILE"),
    ],
)
def test_what_cannot_be_started_this_way_is_reported(tmp_path, builder, file, message):
    with pytest.raises(TrainingError, match=message):
        backbone_start(Architecture(builder, {"num_classes": 3}), tmp_path / file if file else None, silent)
