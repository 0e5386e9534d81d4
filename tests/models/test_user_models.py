"""The user's models are found in their folders and used like all others; other files do no harm."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.random_models import random_state
from detection_core.cli.main import main
from detection_core.engine import LocalEngine
from detection_core.formats import provenance_of, to_coco_results, to_json
from detection_core.images.reading import read_image
from detection_core.models import catalog, detector, user_models
from detection_core.models.catalog import (
    COCO_MODEL,
    PERSON_MODEL,
    Architecture,
    UnknownModelError,
    get_model_spec,
    list_models,
    list_specs,
    rejected_files,
)
from detection_core.models.checkpoint import Checkpoint, CheckpointError, write_checkpoint
from detection_core.models.detector import Detector
from detection_core.models.empty import NoRandomInitialization, build_empty, build_on_meta
from detection_core.models.loader import ModelLoader
from detection_core.models.user_models import MODELS_DIR, read_model_spec, spec_of_checkpoint, use_folder
from detection_core.models.weights import WeightsError, available_models, find_weights
from tests.random_models import hollow_content, hollow_state

SSDLITE = Architecture("ssdlite320_mobilenet_v3_large", {"num_classes": 3})
# The quickest to build.
QUICK = Architecture("fasterrcnn_mobilenet_v3_large_fpn", {"num_classes": 3})
PETS = ("__background__", "cat", "dog")
# Models that come with the project and with torchvision.
BUILT_IN = 15
IMAGE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """The only folder with models, still empty."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setenv(MODELS_DIR, str(folder))
    return folder


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> bytes:
    """A checkpoint of SSDlite with random weights."""
    with NoRandomInitialization():
        module = build_empty(SSDLITE)
    path = tmp_path_factory.mktemp("content") / "x.pt"
    write_checkpoint(Checkpoint(SSDLITE, PETS, random_state(module)), path)
    return path.read_bytes()


def put(path: Path, architecture: Architecture = QUICK, **changes: Any) -> Path:
    """Writes a checkpoint whose weights are all zero, of pets by default."""
    torch.save(hollow_content(architecture) | {"categories": PETS} | changes, path)
    return path


def own_models() -> list[str]:
    return [spec.key for spec in list_specs() if spec.source == "user"]


def rejections() -> dict[str, str]:
    return {rejected.file_name: rejected.reason for rejected in rejected_files()}


class TestFinding:
    def test_come_after_the_embedded_ones(self, folder):
        before = list_models()
        put(folder / "pets.pt")
        torch.save(hollow_state(QUICK), folder / "bare.pth")
        assert list_models() == [COCO_MODEL, PERSON_MODEL, "bare", "pets", *before[2:]]
        assert {"bare", "pets"} < set(available_models())
        assert find_weights(get_model_spec("pets")) == folder / "pets.pt"
        assert rejected_files() == []

    @pytest.mark.parametrize("place", ["models", "a", "b"])
    def test_folders(self, tmp_path, monkeypatch, place):
        monkeypatch.chdir(tmp_path)
        if place == "models":
            monkeypatch.delenv(MODELS_DIR)
        else:
            monkeypatch.setenv(MODELS_DIR, os.pathsep.join([str(tmp_path / "a"), "b", str(tmp_path / "missing")]))
        (tmp_path / place).mkdir(exist_ok=True)
        put(tmp_path / place / "pets.pt")
        assert "pets" in list_models()
        monkeypatch.setenv(MODELS_DIR, "")
        assert "pets" not in list_models()

    def test_a_folder_by_flag(self, tmp_path, monkeypatch):
        put(tmp_path / "elsewhere.pt")
        use_folder(str(tmp_path))
        assert "elsewhere" in list_models()
        with pytest.raises(ValueError, match="no folder “nowhere”"):
            use_folder("nowhere")

    @pytest.mark.parametrize(
        ("names", "shown"),
        [
            (["pets.pt", "pets.last.pt"], ["pets"]),
            (["pets.pth", "pets.last.pt"], ["pets"]),
            (["pets.last.pt"], []),
            (["Meine Tiere (2).PT"], ["Meine_Tiere__2_"]),
            ([".pets.pt.7.tmp", ".hidden.pt", "notes.txt"], []),
        ],
        ids=["resume point", "resume point of another ending", "resume point alone", "odd name", "others' files"],
    )
    def test_names(self, folder, names, shown):
        for name in names:
            put(folder / name)
        assert own_models() == shown
        assert len(list_models()) == BUILT_IN + len(shown)
        assert rejected_files() == []

    def test_what_is_no_file_is_ignored(self, folder):
        (folder / "folder.pt").mkdir()
        (folder / "broken.pt").symlink_to(folder / "nothing")
        assert (len(list_models()), rejected_files()) == (BUILT_IN, [])

    def test_collisions_are_rejected(self, folder):
        for name in ("ssd300_vgg16.pt", "a b.pt", "a_b.pt", "a_b.pth"):
            put(folder / name)
        assert own_models() == ["a_b"]
        assert get_model_spec("a_b").file_name == "a b.pt"
        assert get_model_spec("ssd300_vgg16").source == "torchvision"
        reasons = rejections()
        assert reasons.keys() == {"ssd300_vgg16.pt", "a_b.pt", "a_b.pth"}
        assert "There is a model “ssd300_vgg16” already. Rename the file." in reasons["ssd300_vgg16.pt"]
        assert "“a b.pt” is the model “a_b” already" in reasons["a_b.pt"]

    def test_bad_files_are_rejected_and_break_nothing(self, folder, content):
        put(folder / "pets.pt")
        (folder / "text.pt").write_text("hello")
        (folder / "cut.pt").write_bytes(content[:-1000])
        torch.save(torch.nn.Linear(2, 2), folder / "pickled.pt")
        assert own_models() == ["pets"]
        reasons = rejections()
        assert [*reasons] == ["cut.pt", "pickled.pt", "text.pt"]
        assert "cut short" in reasons["cut.pt"]
        assert "could run any code" in reasons["pickled.pt"]
        with pytest.raises(UnknownModelError, match="pets"):
            get_model_spec("text")


class TestSpec:
    def test_of_a_trained_model(self, folder):
        put(
            folder / "my pets.pt",
            metrics={"box_map": 31.5, "other": 3.0},
            default_threshold=0.35,
            training={"metrics_on": "40 images of my pets"},
        )
        spec = get_model_spec("my_pets")
        assert (spec.title, spec.source, spec.file_name) == ("my pets", "user", "my pets.pt")
        assert (spec.tasks, spec.categories, spec.architecture) == (("boxes",), PETS, QUICK)
        assert (spec.metrics, spec.metrics_on, spec.default_threshold) == ({"box_map": 31.5}, "40 images of my pets", 0.35)
        assert spec.best_for == "Your model: Faster R-CNN MobileNetV3 FPN for 2 classes: cat, dog."
        assert spec.gflops is None
        assert spec.params == sum(parameter.numel() for parameter in build_on_meta(QUICK).parameters())
        assert spec.file_size == pytest.approx((folder / "my pets.pt").stat().st_size / 2**20, abs=0.1)
        assert json.loads(json.dumps(spec.facts())) == spec.facts()

    @pytest.mark.parametrize(
        ("builder", "family", "tasks", "threshold"),
        [
            ("ssd300_vgg16", "SSD", "Boxes", 0.4),
            ("fcos_resnet50_fpn", "FCOS", "Boxes", 0.4),
            ("maskrcnn_resnet50_fpn_v2", "Mask R-CNN", "Boxes, masks", 0.5),
            ("keypointrcnn_resnet50_fpn", "Keypoint R-CNN", "Boxes, keypoints", 0.7),
        ],
    )
    def test_of_bare_weights(self, folder, builder, family, tasks, threshold):
        torch.save(hollow_state(Architecture(builder, {"num_classes": 9})), folder / "x.pt")
        spec = get_model_spec("x")
        assert (spec.family, spec.group, spec.default_threshold) == (family, tasks, threshold)
        assert (spec.metrics, spec.metrics_on) == ({}, "")
        assert spec.best_for.endswith("for 8 classes: class 1, class 2, class 3, class 4, class 5 and 3 more.")

    def test_of_one_with_three_heads(self, folder):
        architecture = Architecture("person_mobilenet_v2_fpn", {"num_classes": 2, "num_keypoints": 2})
        put(folder / "x.pt", architecture, categories=("__background__", "fish"), keypoint_names=("head", "tail"))
        spec = get_model_spec("x")
        assert (spec.tasks, spec.keypoint_names) == (("boxes", "masks", "keypoints"), ("head", "tail"))
        assert spec.best_for == "Your model: Faster R-CNN MobileNetV2 FPN for 1 class: fish."

    def test_never_suggests_less_than_the_model_gives(self, folder):
        put(folder / "x.pt", Architecture("fcos_resnet50_fpn", {"num_classes": 3}), default_threshold=0.1)
        assert get_model_spec("x").default_threshold == get_model_spec("x").min_score == 0.2


class TestChanges:
    def test_are_noticed(self, folder):
        path = put(folder / "pets.pt")
        first = get_model_spec("pets")
        put(path, categories=("__background__", "cow", "pig"))
        second = get_model_spec("pets")
        assert second.categories == ("__background__", "cow", "pig")
        assert first.identity != second.identity
        path.write_text("no more")
        assert "pets" not in list_models()
        assert "pets.pt" in rejections()
        path.unlink()
        assert "pets.pt" not in rejections()

    def test_a_folder_may_vanish_and_come_back(self, folder):
        put(folder / "pets.pt")
        shutil.move(folder, folder.with_name("away"))
        assert (len(list_models()), rejected_files()) == (BUILT_IN, [])
        shutil.move(folder.with_name("away"), folder)
        assert "pets" in list_models()

    def test_each_file_is_read_once(self, folder, monkeypatch):
        read = []
        real = user_models.read_checkpoint
        monkeypatch.setattr(user_models, "read_checkpoint", lambda path: read.append(path.name) or real(path))
        put(folder / "pets.pt")
        (folder / "bad.pt").write_text("bad")
        for _ in range(3):
            list_models()
            rejected_files()
            get_model_spec("pets")
        assert sorted(read) == ["bad.pt", "pets.pt"]

    @pytest.mark.parametrize("moment", ["before it is listed", "before it is read", "while it is read"])
    def test_a_file_that_vanishes_raises_nothing(self, folder, monkeypatch, moment):
        path = put(folder / "pets.pt")
        if moment == "before it is listed":
            monkeypatch.setattr(user_models, "_files", lambda: iter([folder / "gone.pt"]))
        else:
            real = getattr(user_models, "read_model_spec" if moment == "before it is read" else "read_checkpoint")

            def vanish(path):
                path.unlink()
                return real(path)

            monkeypatch.setattr(user_models, real.__name__, vanish)
        assert "pets" not in list_models()
        path.unlink(missing_ok=True)
        assert rejected_files() == []

    def test_a_file_that_comes_and_goes_under_the_eyes_of_many(self, folder, content):
        """Listing the catalog never fails, whatever it finds."""
        done = threading.Event()
        errors: list[BaseException] = []

        def look() -> None:
            try:
                while not done.is_set():
                    assert len(list_specs()) in (BUILT_IN, BUILT_IN + 1)
                    available_models()
            except BaseException as error:
                errors.append(error)

        watchers = [threading.Thread(target=look) for _ in range(3)]
        for watcher in watchers:
            watcher.start()
        for size in (100, 5_000_000, len(content)):
            (folder / "pets.pt").write_bytes(content[:size])
            list_models()
            (folder / "pets.pt").unlink()
        done.set()
        for watcher in watchers:
            watcher.join(10)
        assert errors == []


class TestLoading:
    def test_an_overwritten_file_is_loaded_anew(self, folder, content):
        (folder / "pets.pt").write_bytes(content)
        models = ModelLoader(10**9)
        first = models.load(get_model_spec("pets"))
        assert models.load(get_model_spec("pets")) is first
        assert models.state(get_model_spec("pets")) == "in memory"
        put(folder / "pets.pt")
        assert models.state(get_model_spec("pets")) == "on disk"
        second = models.load(get_model_spec("pets"))
        assert not any(parameter.any() for parameter in second.parameters())
        assert models.load(get_model_spec("pets")) is second
        assert [model.key for model in models.resident()] == ["pets"]

    def test_a_file_that_turns_out_bad_is_reported_and_kept(self, folder, content):
        damaged = bytearray(content)
        damaged[len(content) // 2] ^= 1
        (folder / "pets.pt").write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"“pets\.pt” is damaged.*copy it again") as raised:
            ModelLoader(10**9).load(get_model_spec("pets"))
        assert str(folder) not in str(raised.value)
        assert (folder / "pets.pt").read_bytes() == damaged

    @pytest.mark.parametrize(
        ("change", "reason"),
        [(Path.unlink, r"pets\.pt, are gone: the file has been removed"), (put, "has been replaced while it was read. Try again")],
        ids=["removed", "replaced"],
    )
    def test_a_file_that_has_changed_since_it_was_chosen(self, folder, change, reason):
        put(folder / "pets.pt")
        spec = get_model_spec("pets")
        change(folder / "pets.pt")
        with pytest.raises(WeightsError, match=reason):
            ModelLoader(10**9).load(spec)

    def test_a_lack_of_memory_is_not_the_files_fault(self, folder, monkeypatch):
        def fail(spec, path):
            raise RuntimeError("can't allocate memory")

        monkeypatch.setattr("detection_core.models.prepare.build_model", fail)
        put(folder / "pets.pt")
        with pytest.raises(RuntimeError, match="allocate memory"):
            ModelLoader(10**9).load(get_model_spec("pets"))

    def test_a_file_anywhere(self, tmp_path, content):
        (tmp_path / "ssd300_vgg16.pt").write_bytes(content)
        spec = read_model_spec(tmp_path / "ssd300_vgg16.pt")
        found = Detector(spec, loader=ModelLoader(10**9)).detect(IMAGE)
        assert found.categories == PETS
        with pytest.raises(CheckpointError, match=r"“none\.pt” cannot be read: No such file"):
            read_model_spec(tmp_path / "none.pt")


class TestEngine:
    @pytest.fixture
    def engine(self):
        engine = LocalEngine(loader=ModelLoader(10**9))
        yield engine
        engine.close()

    def test_a_new_file_gives_new_results(self, engine, folder, content):
        """The model comes when the engine runs already."""
        (folder / "pets.pt").write_bytes(content)
        assert engine.model_states()["pets"] == "on disk"
        first = engine.submit(read_image(IMAGE), get_model_spec("pets")).result(60)
        assert engine.submit(read_image(IMAGE), get_model_spec("pets")).result(60).kept
        assert first.detections.model == "pets"
        put(folder / "pets.pt", SSDLITE, categories=("__background__", "cow", "pig"))
        again = engine.submit(read_image(IMAGE), get_model_spec("pets")).result(60)
        assert not again.kept
        assert again.detections.categories == ("__background__", "cow", "pig")

    def test_a_file_that_is_replaced_between_submitting_and_running_is_reported_as_what_ran(self, engine, folder, monkeypatch):
        """The job waits with the old file's module in line while there is a new file of other classes under the same key."""
        put(folder / "pets.pt", SSDLITE, categories=PETS)
        spec = get_model_spec("pets")
        running, go = threading.Event(), threading.Event()

        def run(*args, **how):
            running.set()
            assert go.wait(10)
            return detector.run(*args, **how)

        monkeypatch.setattr("detection_core.engine.passes.run", run)
        job = engine.submit(read_image(IMAGE), spec)
        assert running.wait(10)
        put(folder / "pets.pt", SSDLITE, categories=("__background__", "cow", "pig"))
        replaced = get_model_spec("pets")
        assert replaced.revision != spec.revision
        go.set()
        result = job.result(60)
        assert (result.spec.revision, result.detections.categories) == (spec.revision, PETS)
        assert provenance_of(result.spec).revision == spec.revision
        again = engine.submit(read_image(IMAGE), replaced).result(60)
        assert not again.kept
        assert (again.spec.revision, again.detections.categories) == (replaced.revision, ("__background__", "cow", "pig"))

    def test_a_file_that_is_replaced_before_it_is_read_is_not_taken_for_the_one_that_was_asked_for(self, engine, folder):
        put(folder / "pets.pt", SSDLITE, categories=PETS)
        spec = get_model_spec("pets")
        put(folder / "pets.pt", SSDLITE, categories=("__background__", "cow", "pig"))
        with pytest.raises(WeightsError, match="has been replaced"):
            engine.submit(read_image(IMAGE), spec).result(60)

    def test_a_model_that_vanishes_while_images_wait_fails_them(self, engine, folder, monkeypatch):
        put(folder / "pets.pt")
        loading, go = threading.Event(), threading.Event()

        def build(spec, path):
            loading.set()
            assert go.wait(10)
            raise RuntimeError("the file is gone")

        monkeypatch.setattr("detection_core.models.prepare.build_model", build)
        job = engine.submit(read_image(IMAGE), get_model_spec("pets"))
        assert loading.wait(10)
        (folder / "pets.pt").unlink()
        go.set()
        with pytest.raises(RuntimeError, match="Detection with pets failed"):
            job.result(10)


class TestOwnKeypoints:
    def test_go_all_the_way_to_the_exports(self, folder):
        names = ("nose", "left ear", "right ear", "withers", "left paw", "right paw", "tail")
        architecture = Architecture(
            "keypointrcnn_mobilenet_v2_fpn", {"num_classes": 2, "num_keypoints": 7, "min_size": 96, "max_size": 128}
        )
        with NoRandomInitialization():
            module = build_empty(architecture)
        write_checkpoint(Checkpoint(architecture, ("__background__", "dog"), random_state(module), names), folder / "dogs.pt")
        found = Detector("dogs", loader=ModelLoader(10**9)).detect(IMAGE)
        assert len(found) > 0
        assert found.keypoints is not None
        assert found.keypoints.shape == (len(found), 7, 2)
        assert found.keypoint_names == names
        assert tuple(to_json(found)["objects"][0]["keypoints"]) == names
        assert len(to_coco_results(found, 1)[0]["keypoints"]) == 21
        nothing = dataclasses.replace(found[:0])
        assert to_json(nothing)["objects"] == []


class TestCommandLine:
    def test_models_lists_them_and_what_is_wrong_with_others(self, folder, capsys):
        put(folder / "pets.pt")
        (folder / "bad.pt").write_text("bad")
        assert main(["models"]) == 0
        captured = capsys.readouterr()
        (line,) = (line for line in captured.out.splitlines() if line.startswith("pets "))
        assert line.split()[:6] == ["pets", "boxes", "-", "-", "-", "-"]
        assert captured.err.startswith("Not usable: bad.pt: “bad.pt” is no file of PyTorch weights")
        assert main(["models", "--format", "json"]) == 0
        rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
        assert (rows["pets"]["source"], rows["pets"]["on_disk"], rows["pets"]["categories"]) == ("user", True, ["cat", "dog"])

    @pytest.mark.parametrize("way", ["folder", "flag", "file"])
    def test_detect(self, tmp_path, folder, monkeypatch, capsys, content, way):
        place = folder if way == "folder" else tmp_path / "elsewhere"
        place.mkdir(exist_ok=True)
        (place / "pets.pt").write_bytes(content)
        image = catalog.ASSETS / "examples" / "coffee.jpg"
        how = {"folder": ["pets"], "flag": ["pets", "--models", str(place)], "file": [str(place / "pets.pt")]}[way]
        assert main(["detect", str(image), "--threshold", "0", "--model", *how]) == 0
        (entry,) = json.loads(capsys.readouterr().out)
        assert entry["model"] == "pets"
        assert {thing["label"] for thing in entry["objects"]} <= {"cat", "dog"}

    @pytest.mark.parametrize(
        ("args", "message"),
        [
            (["--model", "none.pt"], "“none.pt” cannot be read"),
            (["--model", "bad.pt"], "“bad.pt” is no file of PyTorch weights"),
            (["--model", "pets", "--models", "nowhere"], "no folder “nowhere”"),
        ],
        ids=["missing", "bad", "folder"],
    )
    def test_bad_usage_is_status_2(self, tmp_path, monkeypatch, capsys, args, message):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "bad.pt").write_text("bad")
        assert main(["detect", "x.jpg", *args]) == 2
        assert message in capsys.readouterr().err


def test_a_model_of_an_unknown_family_is_refused_in_words():
    checkpoint = Checkpoint(Architecture("detr_resnet50", {"num_classes": 2}), ("__background__", "cat"), {})
    with pytest.raises(CheckpointError, match=r"“mine\.pt” cannot be used: “detr_resnet50” belongs to no known family.*update this one\."):
        spec_of_checkpoint(checkpoint, Path("mine.pt"))
