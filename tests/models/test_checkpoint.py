"""Checkpoints are written atomically and read back unchanged; bare weights are recognized, and bad files rejected with a reason."""

from __future__ import annotations

import argparse
import collections
import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import get_model

from benchmarks.random_models import random_state
from detection_core.detections.coco_names import COCO_KEYPOINTS
from detection_core.models import checkpoint as checkpoint_module
from detection_core.models import fitting
from detection_core.models.build import build_empty, build_model
from detection_core.models.builders import BUILDERS
from detection_core.models.catalog import COCO_MODEL, Architecture, get_model_spec
from detection_core.models.checkpoint import Checkpoint, CheckpointError, read_checkpoint, write_checkpoint
from detection_core.models.empty import FROZEN_NORM_EPSILON, TORCHVISION_BUILDERS, NoRandomInitialization, build_on_meta
from detection_core.models.state_dict import infer_architecture
from detection_core.models.user_models import read_model_spec
from tests.random_models import QUICK_FAMILIES, hollow_content, hollow_state, quick_first, raw_output

SSDLITE = Architecture("ssdlite320_mobilenet_v3_large", {"num_classes": 4})
CLASSES = "roi_heads.box_predictor.cls_score.weight"
# The quickest to build, and the quickest to fill.
QUICK = Architecture("fasterrcnn_mobilenet_v3_large_fpn", {"num_classes": 4})
PETS = ("__background__", "cat", "dog", "bird")
BOXES = "roi_heads.box_predictor.bbox_pred.bias"
# Which torchvision builder of two with the same weights is taken.
TWINS = {"fasterrcnn_mobilenet_v3_large_320_fpn": "fasterrcnn_mobilenet_v3_large_fpn"}


pytestmark = pytest.mark.usefixtures("one_thread")


def arguments_of(builder: str, keypoints: int = 17) -> dict[str, Any]:
    if builder == "person_mobilenet_v2_fpn" or builder.startswith("keypointrcnn"):
        return {"num_classes": 2, "num_keypoints": keypoints}
    return {"num_classes": 5}


def make_checkpoint(architecture: Architecture = SSDLITE, **changes: Any) -> Checkpoint:
    """A checkpoint whose weights are all zero."""
    classes, keypoints = architecture.arguments["num_classes"], architecture.arguments.get("num_keypoints", 0)
    categories = PETS if classes == 4 else ("__background__", *(f"thing {label}" for label in range(1, classes)))
    names = tuple(f"point {number}" for number in range(keypoints))
    fields = {"architecture": architecture, "categories": categories, "keypoint_names": names, "state": hollow_state(architecture)}
    return Checkpoint(**{**fields, **changes})


@cache
def random_ssdlite() -> dict[str, torch.Tensor]:
    with NoRandomInitialization():
        module = build_empty(SSDLITE)
    return random_state(module)


def saved(content: Any, path: Path, **how: Any) -> Path:
    torch.save(content, path, **how)
    return path


def outputs_equal(ours: nn.Module, theirs: nn.Module) -> bool:
    found, expected = raw_output(ours), raw_output(theirs)
    assert len(expected["boxes"]) > 0
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in expected)


class TestRoundTrip:
    @pytest.mark.parametrize("builder", quick_first([*BUILDERS, "fcos_resnet50_fpn", "ssdlite320_mobilenet_v3_large"], QUICK_FAMILIES))
    def test_a_model_of_every_kind(self, tmp_path, builder):
        architecture = Architecture(builder, arguments_of(builder, keypoints=7))
        if builder in FROZEN_NORM_EPSILON:
            architecture.arguments["frozen_norm_epsilon"] = 1e-3
        with NoRandomInitialization():
            module = build_empty(architecture).eval()
        module.load_state_dict(random_state(module))
        written = make_checkpoint(architecture, state=module.state_dict())
        write_checkpoint(written, tmp_path / "x.pt")
        spec = read_model_spec(tmp_path / "x.pt")
        assert (spec.architecture, spec.categories, spec.keypoint_names) == (architecture, written.categories, written.keypoint_names)
        if builder in BUILDERS:
            module.to(memory_format=torch.channels_last)
        assert outputs_equal(build_model(spec, tmp_path / "x.pt"), module)

    def test_everything_that_is_known_about_it(self, tmp_path):
        state = random_ssdlite()
        written = make_checkpoint(
            state=state,
            training={"epochs": 3, "losses": [1.5, 0.5], "init": None, "nested": {"lr": (0.1, 0.2)}},
            metrics={"box_map": 31.5},
            default_threshold=0.35,
            resume={"optimizer": {"state": {0: {"step": torch.tensor(7.0)}}}, "random": torch.get_rng_state()},
            category_ids=(0, 0, 7, 900000),
        )
        write_checkpoint(written, tmp_path / "x.pt")
        for mmap in (True, False):
            read = read_checkpoint(tmp_path / "x.pt", mmap=mmap)
            for name in ("architecture", "categories", "category_ids", "keypoint_names", "training", "metrics", "default_threshold"):
                assert getattr(read, name) == getattr(written, name)
            assert read.state.keys() == state.keys()
            assert all(torch.equal(read.state[name], tensor) for name, tensor in state.items())
            assert read.resume is not None
            assert read.resume["optimizer"]["state"][0]["step"] == 7
            assert torch.equal(read.resume["random"], torch.get_rng_state())

    def test_the_file_says_what_it_is(self, tmp_path):
        write_checkpoint(make_checkpoint(), tmp_path / "x.pt")
        content = torch.load(tmp_path / "x.pt", weights_only=True)
        assert (content["format"], content["version"]) == ("detection-explorer", 1)
        assert content["architecture"] == {"builder": SSDLITE.builder, "arguments": {"num_classes": 4}}


class TestWriting:
    def test_a_failure_leaves_the_old_file_and_nothing_else(self, tmp_path, monkeypatch):
        write_checkpoint(make_checkpoint(), tmp_path / "x.pt")
        before = (tmp_path / "x.pt").read_bytes()

        def fill_the_disk(content, file):
            file.write(b"half of it")
            raise OSError("No space left on device")

        monkeypatch.setattr(torch, "save", fill_the_disk)
        with pytest.raises(OSError, match="No space"):
            write_checkpoint(make_checkpoint(categories=("__background__", *"abc")), tmp_path / "x.pt")
        assert [path.name for path in tmp_path.iterdir()] == ["x.pt"]
        assert (tmp_path / "x.pt").read_bytes() == before

    def test_who_has_the_old_file_open_keeps_it(self, tmp_path):
        state = random_ssdlite()
        write_checkpoint(make_checkpoint(state=state), tmp_path / "x.pt")
        old = read_checkpoint(tmp_path / "x.pt", mmap=True)
        write_checkpoint(make_checkpoint(), tmp_path / "x.pt")
        assert all(torch.equal(old.state[name], tensor) for name, tensor in state.items())

    @pytest.mark.parametrize(
        ("changes", "place"),
        [
            ({"training": {"data": Path("/home")}}, r"checkpoint\['training'\]\['data'\] is a \w*Path"),
            ({"training": {"best": [1.0, np.float64(3)]}}, r"\['best'\]\[1\] is a float64"),
            ({"resume": {"counts": collections.defaultdict(int)}}, r"\['counts'\] is a defaultdict"),
            ({"resume": {"random": np.zeros(3)}}, r"\['random'\] is a ndarray"),
        ],
        ids=["path", "numpy number", "defaultdict", "array"],
    )
    def test_what_could_not_be_read_again_is_refused(self, tmp_path, changes, place):
        with pytest.raises(TypeError, match=place):
            write_checkpoint(make_checkpoint(**changes), tmp_path / "x.pt")
        assert list(tmp_path.iterdir()) == []

    def test_a_slice_is_written_without_what_it_was_cut_from(self, tmp_path):
        state = hollow_state(SSDLITE)
        write_checkpoint(make_checkpoint(state=state), tmp_path / "x.pt")
        name = "head.regression_head.module_list.0.1.bias"
        state[name] = torch.zeros(1_000_000)[: len(state[name])]
        write_checkpoint(make_checkpoint(state=state), tmp_path / "sliced.pt")
        assert (tmp_path / "sliced.pt").stat().st_size == (tmp_path / "x.pt").stat().st_size

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"categories": ("cat", "dog", "bird", "cow")}, "do not begin with"),
            ({"categories": PETS[:3]}, "4 classes, but 3 categories"),
            ({"categories": ("__background__", "cat", 7, "dog")}, "categories are not names"),
            ({"keypoint_names": ("nose",)}, "0 keypoints, but 1 keypoint_names"),
            ({"metrics": {"box_map": float("nan")}}, "not percentages"),
            ({"metrics": {"box_map": 101.0}}, "not percentages"),
            ({"default_threshold": 1.5}, "not between 0 and 1"),
            ({"state": {"weight": [1.0]}}, "not weights by name"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_what_makes_no_sense_is_no_checkpoint(self, changes, problem):
        with pytest.raises(ValueError, match=problem):
            make_checkpoint(**changes)


class TestBareWeights:
    @pytest.mark.parametrize("builder", quick_first(sorted(TORCHVISION_BUILDERS), QUICK_FAMILIES))
    def test_of_every_builder_give_what_its_module_gives(self, tmp_path, builder):
        arguments = arguments_of(builder, keypoints=7 if builder.startswith("keypoint") else 0)
        with NoRandomInitialization():
            theirs = get_model(builder, weights=None, weights_backbone=None, **arguments).eval()
        # Half the size is read and written in half the time.
        state = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in random_state(theirs).items()}
        theirs.load_state_dict(state)
        spec = read_model_spec(saved(state, tmp_path / "x.pth"))
        assert spec.architecture == Architecture(TWINS.get(builder, builder), arguments)
        ours = build_model(spec, tmp_path / "x.pth")
        (tmp_path / "x.pth").unlink()
        if builder not in TWINS:
            assert str(ours) == str(theirs)
        else:  # It differs in how it chooses proposals.
            ours.rpn = theirs.rpn
        assert outputs_equal(ours, theirs)

    @pytest.mark.parametrize(
        "heads",
        [{}, {"num_keypoints": 7}, {"masks": False}, {"num_keypoints": 7, "masks": False}],
        ids=["masks", "both", "none", "keypoints"],
    )
    def test_of_the_coco_models_kind_give_what_the_heads_that_they_have_give(self, tmp_path, heads):
        architecture = Architecture(COCO_MODEL, {"num_classes": 5, **heads})
        with NoRandomInitialization():
            theirs = build_empty(architecture).eval()
        spec = read_model_spec(saved(random_state(theirs), tmp_path / "x.pth"))
        assert spec.architecture == architecture
        assert spec.tasks == ("boxes", *["masks"] * ("masks" not in heads), *["keypoints"] * ("num_keypoints" in heads))
        found, expected = raw_output(build_model(spec, tmp_path / "x.pth")), raw_output(theirs)
        assert len(expected["boxes"]) > 0
        # Sigmoids are rounded one way or the other, depending on where in memory they are computed.
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6, equal_nan=True)

    @pytest.mark.parametrize("builder", sorted(TORCHVISION_BUILDERS - TWINS.keys()))
    @pytest.mark.parametrize("classes", [2, 91])
    def test_are_recognized_with_frozen_norms_too(self, builder, classes):
        arguments: dict[str, Any] = {"num_classes": classes}
        if builder.startswith("keypoint"):
            arguments["num_keypoints"] = 3
        for norms in ({}, {"frozen_norm_epsilon": FROZEN_NORM_EPSILON.get(builder)}):
            architecture = Architecture(builder, arguments | norms if builder in FROZEN_NORM_EPSILON else arguments)
            assert infer_architecture(build_on_meta(architecture).state_dict()) == architecture

    @pytest.mark.parametrize(
        ("builder", "arguments", "categories", "keypoints"),
        [
            ("fcos_resnet50_fpn", {"num_classes": 91}, get_model_spec("fcos_resnet50_fpn").categories, ()),
            ("fcos_resnet50_fpn", {"num_classes": 3}, ("__background__", "class 1", "class 2"), ()),
            ("keypointrcnn_resnet50_fpn", {"num_classes": 2, "num_keypoints": 17}, ("__background__", "person"), COCO_KEYPOINTS),
            (
                "keypointrcnn_resnet50_fpn",
                {"num_classes": 2, "num_keypoints": 2},
                ("__background__", "person"),
                ("keypoint 1", "keypoint 2"),
            ),
        ],
        ids=["COCO", "own", "persons", "own keypoints"],
    )
    def test_have_names_for_their_classes(self, tmp_path, builder, arguments, categories, keypoints):
        read = read_checkpoint(saved(hollow_state(Architecture(builder, arguments)), tmp_path / "x.pt"))
        assert (read.categories, read.keypoint_names) == (categories, keypoints)

    @pytest.mark.parametrize(
        "wrap",
        [
            lambda state: {"model": state, "epoch": 3, "args": argparse.Namespace(lr=0.1), "optimizer": {"state": {}}},
            lambda state: {"state_dict": state},
            lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
            lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
        ],
        ids=["torchvision's scripts", "nested", "data parallel", "nested and data parallel"],
    )
    def test_are_found_where_training_scripts_leave_them(self, tmp_path, wrap):
        read = read_checkpoint(saved(wrap(hollow_state(QUICK)), tmp_path / "x.pt"))
        assert read.architecture == QUICK
        assert read.state.keys() == hollow_state(QUICK).keys()

    def test_of_an_older_torchvision(self, tmp_path):
        architecture = Architecture("maskrcnn_resnet50_fpn", {"num_classes": 3, "frozen_norm_epsilon": 0.0})
        state = hollow_state(architecture)
        older = {
            name.replace("rpn.head.conv.0.0.", "rpn.head.conv.").replace("mask_head.0.0.", "mask_head.mask_fcn1."): tensor
            for name, tensor in state.items()
        }
        assert older.keys() != state.keys()
        read = read_checkpoint(saved(older, tmp_path / "x.pt"))
        assert (read.architecture, read.state.keys()) == (architecture, state.keys())

    def test_in_the_older_file_format(self, tmp_path):
        path = saved(random_ssdlite(), tmp_path / "x.pt", _use_new_zipfile_serialization=False)
        assert read_checkpoint(path).architecture == SSDLITE


class Dangerous:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def of_ours(**changes: Any) -> Callable[[Path], None]:
    """Writes a checkpoint in which something has been replaced, or is missing if it is "removed"."""

    def write(path: Path) -> None:
        content = hollow_content(QUICK) | changes
        torch.save({name: value for name, value in content.items() if value != "removed"}, path)

    return write


def of_bare(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    return lambda path: torch.save(change(hollow_state(QUICK)), path)


def cut_short(path: Path) -> None:
    torch.save(random_ssdlite(), path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def cut_short_in_the_older_format(path: Path) -> None:
    torch.save(random_ssdlite(), path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:1_000_000])


def with_a_damaged_directory(path: Path) -> None:
    """Writes an archive of a damaged pickle whose directory is not where its end says; zipfile recognizes it all the same."""
    torch.save({}, path)
    content = path.read_bytes().replace(b"\x80\x02}", b"\x02\x02}")
    end = content.rindex(b"PK\x05\x06")
    path.write_bytes(content[:end] + content[end : end + 12] + b"\xff\xff\xff\x7f" + content[end + 16 :])


REFUSED = {
    "empty": (lambda path: path.write_bytes(b""), "is empty.*copy it again"),
    "text": (lambda path: path.write_text("hello"), "no file of PyTorch weights"),
    "web page": (lambda path: path.write_text("<html>Log in</html>"), "is a web page.*Download the file itself"),
    "zip of others": (lambda path: path.write_bytes(b"PK\x05\x06" + bytes(18)), "no file of PyTorch weights"),
    "cut short": (cut_short, "cut short.*If it is still being written, wait"),
    "damaged directory": (with_a_damaged_directory, "is damaged: its content cannot be read"),
    "cut short, older format": (cut_short_in_the_older_format, "it is damaged"),
    "code": (lambda path: torch.save({"a": Dangerous(path.with_name("touched"))}, path), r"could run any code.*torch\.save\(model\.state"),
    "code in a bare pickle": (lambda path: path.write_bytes(pickle.dumps(Dangerous(path.with_name("touched")))), "could run any code"),
    "whole module": (lambda path: torch.save(nn.Linear(2, 2), path), r"\(torch\.nn\.modules\.linear\.Linear\).*Save its weights alone"),
    "tensor": (lambda path: torch.save(torch.zeros(3), path), "is not a state dict.*Save its weights alone"),
    "no weights at all": (lambda path: torch.save({}, path), "weights by name and nothing else"),
    "settings": (lambda path: torch.save({"lr": 0.1}, path), "weights by name and nothing else"),
    "another network": (
        lambda path: torch.save(nn.Linear(2, 2).state_dict(), path),
        "the weights of one of torchvision's detectors",
    ),
    "layers missing": (
        of_bare(lambda state: {name: tensor for name, tensor in state.items() if name != "backbone.body.0.1.weight"}),
        r"does not fit fasterrcnn_mobilenet_v3.*body\.0\.1\.weight is missing",
    ),
    "layers too many": (
        of_bare(lambda state: state | {"backbone.extra.weight": torch.zeros(1)}),
        r"backbone\.extra\.weight is not part of it",
    ),
    "other shapes": (of_bare(lambda state: state | {BOXES: torch.zeros(7)}), r"bbox_pred\.bias has the shape \[7\] instead of \[16\]"),
    "other types": (of_bare(lambda state: state | {BOXES: torch.zeros(16, dtype=torch.int8)}), r"bbox_pred\.bias is of type torch\.int8"),
    "a classifier of no size": (
        of_bare(lambda state: state | {CLASSES: torch.zeros(())}),
        "the weights of one of torchvision's detectors",
    ),
    "numbered arguments": (
        of_ours(architecture={"builder": QUICK.builder, "arguments": {"num_classes": 4, 7: 1}}),
        "arguments have no names",
    ),
    "numbered weights": (of_ours(state={7: torch.zeros(1)}), "state is not weights by name"),
    "newer": (of_ours(version=2), r"newer Detection Explorer \(format 2; this one reads 1\)\. Update this one"),
    "unknown builder": (of_ours(architecture={"builder": "yolo", "arguments": {"num_classes": 4}}), "no builder “yolo”.*update this one"),
    "unknown argument": (
        of_ours(architecture={"builder": "person_mobilenet_v2_fpn", "arguments": {"num_classes": 4, "wings": 2}}),
        "cannot be built:.*wings",
    ),
    "download": (
        of_ours(architecture={"builder": QUICK.builder, "arguments": {"num_classes": 4, "weights_backbone": "DEFAULT"}}),
        "lists weights that do not match",
    ),
    "another builder": (of_ours(architecture={"builder": "ssd300_vgg16", "arguments": {"num_classes": 4}}), "does not fit ssd300_vgg16"),
    "without weights": (of_ours(state="removed"), "lacks 'state'"),
    "without sense": (of_ours(categories=3), "inconsistent.*Train or export it again"),
    "too few category ids": (of_ours(category_ids=[0, 1]), "inconsistent.*it has 4 classes, but 2 category_ids"),
    "one category id twice": (of_ours(category_ids=[0, 7, 7, 8]), "inconsistent.*two of its categories have the same id"),
    "category ids that are texts": (of_ours(category_ids=[0, "1", 2, 3]), "inconsistent.*its category_ids are not whole numbers"),
    "without version": (of_ours(version="removed"), "inconsistent checkpoint"),
    "a directory": (lambda path: path.mkdir(), "cannot be read: Is a directory"),
    "nothing": (lambda path: None, "cannot be read: No such file"),
}


@pytest.mark.parametrize(("kind", "mmap"), [*((kind, True) for kind in REFUSED), ("code", False), ("cut short", False), ("text", False)])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_refused_with_a_reason(tmp_path, kind, mmap):
    write, reason = REFUSED[kind]
    write(tmp_path / "mine.pt")
    with pytest.raises(CheckpointError, match=reason) as raised:
        read_checkpoint(tmp_path / "mine.pt", mmap=mmap)
    assert str(raised.value).startswith("“mine.pt” ")
    assert str(tmp_path) not in str(raised.value)
    assert not (tmp_path / "touched").exists()


def test_weights_that_do_not_fit_are_tried_once(tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(fitting, "build_on_meta", lambda architecture: tried.append(architecture) or build_on_meta(architecture))
    REFUSED["layers missing"][0](path := tmp_path / "model.pt")
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    assert len(tried) == 1


def test_flipped_bits_are_found_when_the_file_is_read_whole(tmp_path):
    path = saved(random_ssdlite(), tmp_path / "x.pt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged: its content does not fit its checksums"):
        read_checkpoint(path, mmap=False)


def test_a_lack_of_memory_is_not_the_files_fault(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    write_checkpoint(make_checkpoint(), tmp_path / "x.pt")
    monkeypatch.setattr(checkpoint_module.torch, "load", fail)
    with pytest.raises(MemoryError):
        read_checkpoint(tmp_path / "x.pt")


def test_a_file_from_before_the_first_release_is_read(tmp_path):
    content = hollow_content(get_model_spec("ssd300_vgg16").architecture)
    content["suggested_threshold"] = content.pop("default_threshold") or 0.25
    torch.save(content, tmp_path / "old.pt")
    assert read_checkpoint(tmp_path / "old.pt").default_threshold == 0.25
    assert read_model_spec(tmp_path / "old.pt").category_ids == ()
