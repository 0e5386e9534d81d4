"""Weights in wrappers: whatever training scripts put around a state dict, the same detections come out, or the true reason is said."""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import pickle
import re
import shutil
import tarfile
import types
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchvision.models import get_model, resnet50
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

from benchmarks.random_models import random_state
from detection_core.cli.main import main
from detection_core.models import catalog
from detection_core.models.build import build_empty, build_model
from detection_core.models.catalog import Architecture, list_specs, rejected_files
from detection_core.models.checkpoint import CheckpointError, read_checkpoint
from detection_core.models.empty import NoRandomInitialization
from detection_core.models.user_models import MODELS_DIR, read_model_spec
from detection_core.models.wrappers import find_states
from tests.random_models import hollow_state, quick_first, raw_output

pytestmark = pytest.mark.usefixtures("one_thread")

SSDLITE = Architecture("ssdlite320_mobilenet_v3_large", {"num_classes": 4})
# With trained norms, which count, and two stages.
QUICK = Architecture("fasterrcnn_mobilenet_v3_large_fpn", {"num_classes": 4})
MASKS = Architecture("maskrcnn_resnet50_fpn", {"num_classes": 3, "frozen_norm_epsilon": 0.0})
BOXES = "roi_heads.box_predictor.bbox_pred.bias"
State = dict[str, Tensor]


def prefixed(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def inside(part: str, wrapper: str, state: State) -> State:
    """The names as where a part of the model was wrapped."""
    return {name.replace(f"{part}.", f"{part}.{wrapper}.", 1) if name.startswith(f"{part}.") else name: t for name, t in state.items()}


def of_part(part: str, prefix: str, state: State) -> State:
    return {prefix + name if name.startswith(part) else name: tensor for name, tensor in state.items()}


def as_type(dtype: torch.dtype, state: State) -> State:
    return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def all_as(dtype: torch.dtype, state: State) -> State:
    return {name: tensor.to(dtype) for name, tensor in state.items()}


def marked(state: State, value: float) -> State:
    """Weights that can be distinguished from others."""
    return state | {BOXES: torch.full_like(state[BOXES], value)}


WRAPPED: dict[str, Callable[[State], Any]] = {
    "data parallel": lambda s: prefixed("module.", s),
    "compiled": lambda s: prefixed("_orig_mod.", s),
    "compiled in data parallel": lambda s: prefixed("module._orig_mod.", s),
    "data parallel, compiled": lambda s: prefixed("_orig_mod.module.", s),
    "Lightning": lambda s: {"state_dict": prefixed("model.", s), "epoch": 1, "loops": {}, "hyper_parameters": {"lr": 0.1}},
    "Lightning, compiled": lambda s: {"state_dict": prefixed("model._orig_mod.", s)},
    "Lightning, another attribute": lambda s: {"state_dict": prefixed("detector.", s)},
    "an attribute of an attribute": lambda s: prefixed("net.faster_rcnn.core.", s),
    "a wrapper called as a part": lambda s: prefixed("head.", s),
    "FSDP inside": lambda s: inside("roi_heads", "_fsdp_wrapped_module", inside("backbone", "_fsdp_wrapped_module", s)),
    "backbone compiled": lambda s: inside("backbone", "_orig_mod", s),
    "box head compiled": lambda s: prefixed("model.", inside("roi_heads", "_orig_mod", s)),
    "only the backbone has a prefix": lambda s: of_part("backbone.", "module.", s),
    "only the heads have a prefix": lambda s: of_part("roi_heads.", "model.module.", s),
    "under any key": lambda s: {"Weights after 3 epochs": s, "epoch": 3},
    "two levels deep": lambda s: {"run": {"best": s, "loss": 0.3}, "optimizer": {"state": {0: {"step": torch.zeros(())}}}},
    "one list and a tuple": lambda s: [({"net": s}, 0.3)],
    "parts apart": lambda s: {
        part: {name.removeprefix(f"{part}."): t for name, t in s.items() if name.startswith(f"{part}.")}
        for part in ("backbone", "rpn", "roi_heads")
    },
    "metrics and losses beside": lambda s: (
        prefixed("model.", s) | {"val_map.total": torch.zeros(3), "loss.weight": torch.ones(4), "val_map.count": torch.tensor(3)}
    ),
    "averaged model's counter": lambda s: {"n_averaged": torch.tensor(5), **prefixed("module.", s)},
    "Adam's moments by name": lambda s: {
        "model": s,
        "optimizer": {"state": {name: {"exp_avg": t, "exp_avg_sq": t} for name, t in s.items()}},
    },
    "float16": lambda s: as_type(torch.float16, s),
    "bfloat16": lambda s: as_type(torch.bfloat16, s),
    "float64": lambda s: as_type(torch.float64, s),
    "float16, counters too": lambda s: all_as(torch.float16, s),
    "counters of one element": lambda s: {n: t.reshape(1) if t.ndim == 0 else t for n, t in s.items()},
    "parameters with gradients": lambda s: {n: nn.Parameter(t) if t.is_floating_point() else t for n, t in s.items()},
    "a path and a NumPy number beside": lambda s: {"model": s, "out": Path("runs"), "best": np.float64(0.5), "seen": {1, 2}},
    "arguments beside": lambda s: {"net": s, "args": argparse.Namespace(lr=0.1)},
    "other mappings beside": lambda s: {"net": s, "counts": collections.defaultdict(int, a=1), "queue": collections.deque([1])},
    "in another mapping": lambda s: collections.defaultdict(dict, model=s),
}


@pytest.mark.parametrize("wrap", WRAPPED.values(), ids=WRAPPED)
def test_wrappers_are_seen_through(tmp_path, wrap):
    state = hollow_state(QUICK)
    torch.save(wrap(state), tmp_path / "x.pt")
    for mmap in (True, False):
        read = read_checkpoint(tmp_path / "x.pt", mmap=mmap)
        assert (read.architecture, read.state.keys(), read.training) == (QUICK, state.keys(), {})


AVERAGED: dict[str, tuple[Callable[[State, State], Any], str]] = {
    "torchvision's scripts": (lambda s, e: {"model": s, "model_ema": {"n_averaged": torch.tensor(5), **prefixed("module.", e)}}, "EMA"),
    "before the model": (lambda s, e: {"ema": e, "net": s}, "“ema”.*not those in “net”"),
    "prefixes": (lambda s, e: prefixed("model.", s) | prefixed("ema.module.", e), "“ema.module”.*not those in “model”"),
    "in one word": (lambda s, e: {"modelEma": e, "model": s}, "EMA"),
    "capitals": (lambda s, e: {"state_dict": s, "EMA": {"shadow": e, "decay": 0.99}}, "“EMA.shadow”"),
    "known by the counter": (
        lambda s, e: {"a": s, "b": {"n_averaged": torch.tensor(5), **prefixed("module.", e)}},
        "averaged weights .EMA. in “b.module”",
    ),
    "without the norms' statistics": (
        lambda s, e: {"model": s, "ema_state": {n: t for n, t in e.items() if "running" not in n and "batches" not in n}},
        "“ema_state”",
    ),
    "stochastic averages": (lambda s, e: {"model": s, "swa_model": prefixed("module.", e)}, "“swa_model.module”"),
    "beside bare weights": (lambda s, e: s | prefixed("ema.", e), "not those in “the file itself”"),
}


@pytest.mark.parametrize(("wrap", "note"), AVERAGED.values(), ids=AVERAGED)
def test_of_several_the_averaged_weights_are_used_and_reported(tmp_path, wrap, note):
    usual, averaged = marked(hollow_state(QUICK), 1), marked(hollow_state(QUICK), 2)
    torch.save(wrap(usual, averaged), tmp_path / "x.pt")
    spec = read_model_spec(tmp_path / "x.pt")
    read = read_checkpoint(tmp_path / "x.pt")
    assert (read.architecture, read.state.keys()) == (QUICK, usual.keys())
    assert read.state[BOXES][0] == 2
    assert spec.best_for.endswith(spec.note)
    assert re.search(note, spec.note)


def test_of_several_others_the_first_is_used_and_reported(tmp_path):
    first, second = marked(hollow_state(QUICK), 1), marked(hollow_state(QUICK), 2)
    torch.save({"best": first, "last": second}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt").state[BOXES][0] == 1
    assert read_model_spec(tmp_path / "x.pt").note == "Uses the weights in “best” of its file, not those in “last”."


def test_averaged_weights_that_do_not_fit_are_left_out_and_reported(tmp_path):
    state = hollow_state(QUICK)
    broken = {name: tensor for name, tensor in state.items() if not name.startswith("rpn.")}
    torch.save({"model": state, "ema": broken}, tmp_path / "x.pt")
    spec = read_model_spec(tmp_path / "x.pt")
    assert spec.note.startswith(
        "Uses the weights in “model” of its file, not those in “ema”. Those in “ema” cannot be used: the file does not fit"
    )


def test_another_network_beside_is_not_mixed_in(tmp_path):
    student, teacher = hollow_state(QUICK), hollow_state(MASKS)
    torch.save({"student": student, "teacher": teacher}, tmp_path / "x.pt")
    read = read_checkpoint(tmp_path / "x.pt")
    assert (read.architecture, read.state.keys()) == (QUICK, student.keys())


def test_weights_of_something_else_beside_are_named(tmp_path):
    torch.save(hollow_state(QUICK) | {"attention.weight": torch.zeros(2, 2), "n": torch.zeros(1)}, tmp_path / "x.pt")
    assert read_model_spec(tmp_path / "x.pt").note == "Without what else its file has: attention."


@cache
def weights() -> State:
    """Random ones whose numbers float16 and bfloat16 hold, too."""
    with NoRandomInitialization():
        module = build_empty(SSDLITE)
    return {n: t.bfloat16().half().float() if t.is_floating_point() else t for n, t in random_state(module).items()}


@cache
def detections() -> State:
    module = get_model(SSDLITE.builder, weights=None, weights_backbone=None, num_classes=4).eval()
    module.load_state_dict(weights())
    return raw_output(module)


NAMES = st.one_of(
    st.sampled_from(["module", "_orig_mod", "model", "detector", "ema", "state_dict", "net.0", "head", "backbone", "0"]),
    st.text("abcdefgXYZ_-0123456789 ä", min_size=1, max_size=8),
)
BESIDE = st.sampled_from(
    [
        ("epoch", 3),
        ("loss", torch.tensor(0.5)),
        ("metric.total", torch.zeros(3)),
        ("criterion.weight", torch.ones(2)),
        ("n_averaged", torch.tensor(7)),
        ("args", argparse.Namespace(lr=0.1)),
        ("optimizer", {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}),
        ("path", Path("runs")),
        ("best", np.float32(0.25)),
    ]
)


STEPS = st.one_of(
    st.tuples(st.just("prefix"), NAMES),
    st.tuples(st.just("nest"), NAMES),
    st.tuples(st.just("heads"), NAMES),
    st.tuples(st.just("backbone"), NAMES),
    st.tuples(st.just("inside"), st.sampled_from(["module", "_orig_mod", "_fsdp_wrapped_module", "wrapped"])),
    st.tuples(st.just("beside"), BESIDE),
    st.tuples(st.just("type"), st.sampled_from([torch.float16, torch.bfloat16, torch.float64])),
    st.sampled_from([("list", None), ("ordered", None)]),
)


def wrapped(steps: list[tuple[str, Any]]) -> Any:
    """The weights in wrappers, one around the other."""
    content: Any = weights()
    for kind, what in steps:
        flat = isinstance(content, dict) and isinstance(next(iter(content.values())), Tensor)
        if kind == "nest":
            content = {what: content}
        elif kind == "list":
            content = [content, 0.3]
        elif not isinstance(content, dict):
            continue
        elif kind == "beside":
            content = content | {what[0]: what[1]}
        elif kind == "ordered":
            content = collections.OrderedDict(content)
        elif flat and kind == "prefix":
            content = prefixed(f"{what}.", content)
        elif flat and kind in ("heads", "backbone"):
            content = of_part("head." if kind == "heads" else "backbone.", f"{what}.", content)
        elif flat and kind == "inside":
            content = inside("backbone", what, content)
        elif flat:
            content = {k: v.to(what) if isinstance(v, Tensor) and v.is_floating_point() else v for k, v in content.items()}
    return content


@settings(max_examples=150, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.lists(STEPS, max_size=6))
def test_any_wrappers_in_any_order_are_seen_through(steps):
    (found,) = find_states(wrapped(steps))
    assert found.state.keys() == weights().keys()
    assert all(torch.equal(found.state[name].float(), value.float()) for name, value in weights().items() if value.numel() < 1000)
    assert all(found.state[name].shape == value.shape for name, value in weights().items())


@pytest.mark.slow
@example([("nest", "model")], "x.safetensors")
@settings(
    max_examples=2, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(STEPS, max_size=6),
    st.sampled_from(["x.pt", "x.pth", "x.ckpt", "x.pth.tar", "x.bin", "x.pkl", "x.PTH", "x", "x.safetensors"]),
)
def test_any_wrappers_in_any_order_give_the_same_detections(tmp_path, steps, name):
    path = tmp_path / name
    torch.save(wrapped(steps), path)
    found = raw_output(build_model(read_model_spec(path), path))
    path.unlink()
    assert found.keys() == detections().keys()
    assert all(torch.equal(found[key], value) for key, value in detections().items())


class TestSafetensors:
    @pytest.mark.parametrize("wrap", [lambda s: s, lambda s: prefixed("module.", s), lambda s: prefixed("ema.", s) | {"n": torch.ones(1)}])
    @pytest.mark.parametrize("name", ["x.safetensors", pytest.param("renamed.pth", marks=pytest.mark.slow)])
    def test_give_the_same_detections(self, tmp_path, wrap, name):
        path = tmp_path / name
        safetensors.torch.save_file(wrap(weights()), path, metadata={"format": "pt"})
        found = raw_output(build_model(read_model_spec(path), path))
        path.unlink()
        assert all(torch.equal(found[key], value) for key, value in detections().items())


NAMES_OF_FILES = ("a.ckpt", "a.pth.tar", "a.bin", "a.pkl", "a.PTH", "a", "epoch.12", "a.safetensors", "a.b.pt")


@pytest.mark.parametrize("name", quick_first(NAMES_OF_FILES, ["a.pth.tar", "epoch.12", "a.safetensors"]))
def test_names_in_a_folder_and_on_the_command_line(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setenv(MODELS_DIR, str(tmp_path))
    write = safetensors.torch.save_file if name.endswith(".safetensors") else torch.save
    write({key: tensor.clone() for key, tensor in weights().items()}, tmp_path / name)
    (tmp_path / "README").write_text("models")
    (tmp_path / "config.json").write_text("{}")
    (spec,) = (spec for spec in list_specs() if spec.source == "user")
    assert (spec.key, spec.file_name) == ({"epoch.12": "epoch.12", "a.b.pt": "a.b"}.get(name, "a"), name)
    assert rejected_files() == []
    image = str(catalog.ASSETS / "examples" / "coffee.jpg")
    assert main(["detect", image, "--model", str(tmp_path / name)]) == 0
    assert json.loads(capsys.readouterr().out)[0]["model"] == spec.key


def test_the_command_line_says_which_weights_are_used(tmp_path, capsys):
    torch.save({"net": weights(), "ema": dict(weights())}, tmp_path / "x.pth")
    assert main(["detect", str(catalog.ASSETS / "examples" / "coffee.jpg"), "--model", str(tmp_path / "x.pth")]) == 0
    assert "x.pth: Uses the averaged weights (EMA) in “ema” of its file, not those in “net”." in capsys.readouterr().err


class Dangerous:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def with_resnet(depth: str) -> State:
    with NoRandomInitialization():
        return FasterRCNN(resnet_fpn_backbone(backbone_name=depth, weights=None), num_classes=3).state_dict()


def write_tar(path: Path) -> None:
    torch.save({}, path.with_name("inner"))
    with tarfile.open(path, "w") as archive:
        archive.add(path.with_name("inner"))


def cut_safetensors(path: Path) -> None:
    safetensors.torch.save_file({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


REFUSED: dict[str, tuple[Callable[[Path], Any], str]] = {
    "whole module": (lambda p: torch.save(nn.Linear(2, 2), p), r"Python objects besides weights \(torch\.nn\.modules\.linear\.Linear\)"),
    "whole module under a key": (lambda p: torch.save({"model": nn.Linear(2, 2)}, p), "Python objects.*Save its weights alone"),
    "code beside other weights": (
        lambda p: torch.save({"a": Dangerous(p.with_name("touched")), "b.weight": torch.zeros(2)}, p),
        "could run any code",
    ),
    "pickled state": (lambda p: p.write_bytes(pickle.dumps({"a": torch.zeros(1)})), "written by pickle instead of torch.save"),
    "classifier": (
        lambda p: torch.save({"state_dict": resnet50().state_dict()}, p),
        r"one of torchvision's detectors \(the first is state_dict\.conv1",
    ),
    "Ultralytics": (lambda p: torch.save({"model.0.conv.weight": torch.zeros(1)}, p), "look like Ultralytics's"),
    "Detectron2": (
        lambda p: torch.save({"model": {"backbone.bottom_up.res2.0.conv1.weight": torch.zeros(1)}}, p),
        "look like Detectron2's",
    ),
    "DETR": (lambda p: torch.save({"model": {"transformer.encoder.layers.0.norm1.weight": torch.zeros(1)}}, p), "look like DETR's"),
    "own backbone": (
        lambda p: torch.save({n: t for n, t in hollow_state(QUICK).items() if "backbone" not in n}, p),
        "its backbone is none of torchvision's",
    ),
    "ResNet-101": (lambda p: torch.save(prefixed("module.", with_resnet("resnet101")), p), "its backbone is a ResNet-101, not a ResNet-50"),
    "ResNet-18": (lambda p: torch.save(with_resnet("resnet18"), p), "its backbone is a ResNet-18, not a ResNet-50"),
    "compiled part of a ResNet-101": (
        lambda p: torch.save(inside("backbone", "_orig_mod", with_resnet("resnet101")), p),
        "not part of it|ResNet-101",
    ),
    "parameters only": (
        lambda p: torch.save({n: t for n, t in hollow_state(QUICK).items() if "running" not in n}, p),
        r"running_mean is missing.*whole: save model\.state_dict\(\)",
    ),
    "names without numbers": (
        lambda p: torch.save({n: t.to("meta") for n, t in hollow_state(QUICK).items()}, p),
        "names and shapes of weights but no numbers",
    ),
    "optimizer alone": (
        lambda p: torch.save({"state": {0: {"exp_avg": torch.zeros(2)}}}, p),
        "weights by name and nothing else",
    ),
    "Git LFS pointer": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"),
    "web page": (lambda p: p.write_text("<!DOCTYPE html><html>"), "web page.*Download the file itself"),
    "gzip": (lambda p: p.write_bytes(gzip.compress(b"x")), "compressed file. Unpack it"),
    "tar": (write_tar, "tar archive. Unpack it"),
    "zip": (lambda p: shutil.move(shutil.make_archive(str(p), "zip", p.parent), p), "zip archive of other files"),
    "HDF5": (lambda p: p.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99)), "HDF5 file, such as Keras"),
    "NumPy": (lambda p: np.save(p.open("wb"), np.zeros(3)), "NumPy array"),
    "text": (lambda p: p.write_text("hello"), "no file of PyTorch weights. Use a file"),
    "other safetensors": (lambda p: safetensors.torch.save_file({"conv.weight": torch.zeros(1)}, p), "the first is conv.weight"),
    "cut safetensors": (cut_safetensors, "cut short: it is smaller than its own table"),
    "broken safetensors": (lambda p: p.write_bytes((9).to_bytes(8, "little") + b'{"a": 1}}'), "safetensors file that cannot be read"),
}


@pytest.mark.parametrize(("write", "reason"), REFUSED.values(), ids=REFUSED)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_what_cannot_be_used_is_refused_with_the_true_reason(tmp_path, write, reason):
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "mine.ckpt"
    write(path)
    with pytest.raises(CheckpointError, match=reason) as raised:
        read_checkpoint(path)
    message = str(raised.value)
    assert message.startswith("“mine.ckpt” ")
    assert "\n" not in message
    assert len(message) < 500
    assert ("copy it again" in message) == ("cut short" in message)
    assert not path.with_name("touched").exists()


class DangerousToo(Dangerous):
    def __reduce__(self):
        return (shutil.copy, (__file__, str(self.path)))


def test_objects_beside_weights_run_nothing(tmp_path):
    torch.save({"a": DangerousToo(tmp_path / "touched"), "model": hollow_state(QUICK)}, tmp_path / "x.pt")
    assert read_checkpoint(tmp_path / "x.pt").architecture == QUICK
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("name", ["none.ckpt", "none.safetensors", "folder/none", "none.pth.tar"])
def test_a_file_that_is_not_there_is_no_unknown_key(tmp_path, monkeypatch, capsys, name):
    monkeypatch.chdir(tmp_path)
    assert main(["detect", "x.jpg", "--model", name]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_content_that_holds_itself_ends():
    content: dict[str, Any] = {"a": 1}
    content["self"], content["list"] = content, [content, content]
    assert find_states(content) == []
    deep: Any = {"roi_heads.box_predictor.cls_score.weight": torch.zeros(2, 2)}
    for _ in range(100):
        deep = {"x": deep}
    assert find_states(deep) == []
    assert find_states({".".join(["backbone"] * 10_000): torch.zeros(1)}) == []
    assert find_states(types.MappingProxyType({})) == []
