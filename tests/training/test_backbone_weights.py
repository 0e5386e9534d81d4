from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import mobilenet_v2

from detection_core.models.builders import BUILDERS, movenet_body
from detection_core.training.backbone_weights import imagenet_backbone, read_movenet_backbone

PREFIX = "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/model/"


def keras_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the body in MoveNet's file, in its order."""
    # Expansion factor, output channels and repeats of MobileNetV2 (Sandler et al. 2018, table 2), 1.5 times as wide.
    settings = [(1, 24, 1), (6, 40, 2), (6, 48, 3), (6, 96, 4), (6, 144, 3), (6, 240, 3), (6, 480, 1)]
    shapes: dict[str, tuple[int, ...]] = {"Conv1/Conv2D_weights": (3, 3, 3, 48), "Conv1/Conv2D_bn_offset": (48,)}
    channels, block = 48, 0
    for factor, out, repeats in settings:
        for _ in range(repeats):
            layer = f"block_{block}" if block else "expanded_conv"
            wide = factor * channels
            if block:
                shapes |= {f"{layer}_expand/Conv2D_weights": (1, 1, channels, wide), f"{layer}_expand/Conv2D_bn_offset": (wide,)}
            shapes |= {f"{layer}_depthwise/depthwise_weights": (3, 3, wide, 1), f"{layer}_depthwise/depthwise_bn_offset": (wide,)}
            shapes |= {f"{layer}_project/Conv2D_weights": (1, 1, wide, out), f"{layer}_project/Conv2D_bn_offset": (out,)}
            channels, block = out, block + 1
    return shapes | {"Conv_1/Conv2D_weights": (1, 1, 480, 1280), "Conv_1/Conv2D_bn_offset": (1280,)}


def write_graph_model(folder: Path, shapes: dict[str, tuple[int, ...]], *, halves: bool = True) -> tuple[Path, dict[str, np.ndarray]]:
    """A TensorFlow.js model of random weights, with a constant before and a weight of another layer behind them."""
    rng = np.random.default_rng(0)
    kind = np.float16 if halves else np.float32
    values = {PREFIX + name: rng.normal(0, 0.05, shape).astype(kind) for name, shape in shapes.items()}
    values["StatefulPartitionedCall/head"] = rng.normal(0, 1, 5).astype(kind)
    quantization = {"quantization": {"dtype": "float16", "original_dtype": "float32"}} if halves else {}
    entries = [{"name": "a/constant", "shape": [], "dtype": "int32"}]
    entries += [{"name": name, "shape": list(value.shape), "dtype": "float32", **quantization} for name, value in values.items()]
    # Files of a group are cut anywhere.
    data = np.int32(7).tobytes() + b"".join(value.tobytes() for value in values.values())
    (folder / "a.bin").write_bytes(data[:1001])
    (folder / "b.bin").write_bytes(data[1001:])
    path = folder / "model.json"
    path.write_text(json.dumps({"format": "graph-model", "weightsManifest": [{"paths": ["a.bin", "b.bin"], "weights": entries}]}))
    return path, values


@pytest.fixture(scope="module")
def movenet(tmp_path_factory) -> tuple[Path, dict[str, np.ndarray]]:
    return write_graph_model(tmp_path_factory.mktemp("movenet"), keras_shapes())


def test_movenets_weights_fit_the_embedded_model(movenet):
    state = read_movenet_backbone(movenet[0])
    with torch.device("meta"):
        body = BUILDERS["person_mobilenet_v2_fpn"]().backbone.body
    assert {name: tensor.shape for name, tensor in state.items()} == {name: tensor.shape for name, tensor in body.state_dict().items()}
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}


@pytest.mark.parametrize("halves", [True, False], ids=["float16", "float32"])
def test_movenets_weights_are_turned_to_torchs_order(tmp_path, halves):
    path, values = write_graph_model(tmp_path, keras_shapes(), halves=halves)
    state = read_movenet_backbone(path)
    expand = values[PREFIX + "block_3_expand/Conv2D_weights"]
    torch.testing.assert_close(state["4.conv.0.0.weight"], torch.tensor(expand[0, 0].T[:, :, None, None].astype(np.float32)))
    depthwise = values[PREFIX + "block_2_depthwise/depthwise_weights"]
    torch.testing.assert_close(state["3.conv.1.0.weight"][7, 0], torch.tensor(depthwise[:, :, 7, 0].astype(np.float32)))
    strided = values[PREFIX + "block_1_depthwise/depthwise_weights"]
    torch.testing.assert_close(state["2.conv.1.0.weight"][7, 0, 1:, 1:], torch.tensor(strided[:, :, 7, 0].astype(np.float32)))
    assert not state["2.conv.1.0.weight"][:, 0, 0].any()
    assert not state["2.conv.1.0.weight"][:, 0, :, 0].any()
    first = values[PREFIX + "Conv1/Conv2D_weights"]
    torch.testing.assert_close(state["0.0.weight"][5, 2, 1:, 1:], torch.tensor(first[:, :, 2, 5].astype(np.float32)))
    torch.testing.assert_close(state["18.0.bias"], torch.tensor(values[PREFIX + "Conv_1/Conv2D_bn_offset"].astype(np.float32)))
    movenet_body().load_state_dict(state)


def without(name: str) -> dict[str, tuple[int, ...]]:
    return {key: shape for key, shape in keras_shapes().items() if key != name}


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (without("block_7_project/Conv2D_weights"), r"has no weight .*block_7_project/Conv2D_weights"),
        (keras_shapes() | {"Conv_1/Conv2D_bn_offset": (1281,)}, r"18\.0\.bias .* shape \(1281,\) instead of \(1280,\)"),
        (keras_shapes() | {"Conv_1/Conv2D_weights": (480, 1280)}, r"no weight .*Conv_1/Conv2D_weights of 4 dimensions"),
        ({}, "it is not MoveNet MultiPose Lightning"),
    ],
    ids=["missing", "size", "dimensions", "another model"],
)
def test_other_weights_are_refused(tmp_path, shapes, message):
    path, _ = write_graph_model(tmp_path, shapes)
    with pytest.raises(ValueError, match=message):
        read_movenet_backbone(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [(lambda data: data[:-1], "cut short"), (lambda data: data + b"1", "belongs to another model")],
    ids=["too short", "too long"],
)
def test_a_bin_file_of_another_length_is_refused(tmp_path, change, message):
    path, _ = write_graph_model(tmp_path, keras_shapes())
    file = tmp_path / "b.bin"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(ValueError, match=message):
        read_movenet_backbone(path)


@pytest.mark.parametrize(
    "text",
    ["not json", "[1, 2]", "{}", '{"weightsManifest": [{"paths": [], "weights": ["x"]}]}'],
    ids=["text", "list", "empty", "names only"],
)
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "model.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"model\.json is not a TensorFlow\.js graph model"):
        read_movenet_backbone(path)


def test_an_unknown_number_type_is_named(tmp_path):
    path = tmp_path / "model.json"
    entry = {"name": "w", "shape": [1], "dtype": "float32", "quantization": {"dtype": "uint8", "min": 0, "scale": 1}}
    path.write_text(json.dumps({"weightsManifest": [{"paths": [], "weights": [entry]}]}))
    with pytest.raises(ValueError, match="w is stored as uint8"):
        read_movenet_backbone(path)


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
def imagenet() -> dict[str, torch.Tensor]:
    return mobilenet_v2(weights=None).state_dict()


def without_counts(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


@pytest.mark.parametrize("change", [dict, original_layout, without_counts], ids=["torchvision's names", "original names", "older norms"])
def test_imagenet_weights_fit_the_other_builders(imagenet, change):
    state = imagenet_backbone(change(imagenet))
    model = BUILDERS["maskrcnn_mobilenet_v2_fpn"]()
    model.backbone.body.load_state_dict(state)
    found = model.backbone.body.state_dict()
    assert {name: torch.equal(tensor, imagenet[f"features.{name}"]) for name, tensor in found.items()} == dict.fromkeys(state | found, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: {name: tensor for name, tensor in state.items() if name != "features.3.conv.2.weight"},
            r"3\.conv\.2\.weight is missing",
        ),
        (lambda state: state | {"features.18.0.weight": torch.zeros(1792, 448, 1, 1)}, r"18\.0\.weight .* \(1792, 448, 1, 1\) instead of"),
    ],
    ids=["missing", "another width"],
)
def test_other_imagenet_weights_are_refused(imagenet, change, message):
    with pytest.raises(ValueError, match=message):
        imagenet_backbone(change(imagenet))
