"""Ids in COCO files that `detect` writes: those of the user's annotation file, of file names, or of a model's training data."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.random_models import random_state
from detection_core.cli.main import main
from detection_core.detections import Detections
from detection_core.detections.coco_names import BACKGROUND, COCO_CLASSES
from detection_core.models.build import build_empty
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL
from detection_core.models.checkpoint import Checkpoint, write_checkpoint
from detection_core.models.empty import NoRandomInitialization
from detection_core.models.spec import Architecture
from tests.factories import make_detections

IMAGE = ASSETS / "examples" / "grace_hopper.jpg"
IN_NAMES = "Image ids are the numbers in the file names; category ids are COCO's."
IN_FILE = "Image ids are those of gt.json; so are category ids."


def detect(*args: object, model: object = PERSON_MODEL) -> int:
    return main(["detect", *map(str, args), "--model", str(model)])


class FakeModel:
    """Finds three objects in an image, which depend on its width; fails at the widths in `failing`."""

    def __init__(self) -> None:
        self.failing: set[int] = set()
        self.labels = [1, 1, 1]

    def objects(self, size: tuple[int, int], categories: tuple[str, ...] = COCO_CLASSES) -> Detections:
        width, height = size
        if width in self.failing:
            raise RuntimeError("out of luck")
        return make_detections(3, image_size=(height, width), categories=categories, labels=self.labels, seed=width)


@pytest.fixture
def model(monkeypatch) -> FakeModel:
    model = FakeModel()

    def loaded(spec, device, loader):
        return SimpleNamespace(detect=lambda image: model.objects(image.size, spec.categories))

    monkeypatch.setattr("detection_core.cli.detect._load", loaded)
    return model


WIDTHS = {"000000000139.png": 621, "000000000285.png": 622}


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with two images in which different objects are found."""
    folder = tmp_path / "pics"
    folder.mkdir()
    for name, width in WIDTHS.items():
        Image.new("RGB", (width, 480)).save(folder / name)
    return folder


def truth(file: Path, ids: dict[str, Any], person: Any = 1, tie: Any = 77) -> Path:
    """An annotation file in which what is found is what is there, above the threshold."""
    annotations: list[dict[str, Any]] = []
    for name, number in ids.items():
        for x0, y0, x1, y1 in FakeModel().objects((WIDTHS[name], 480)).boxes[:2].tolist():
            box = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
            annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": person, **box})
    data = {
        "images": [{"id": number, "file_name": name, "width": WIDTHS[name], "height": 480} for name, number in ids.items()],
        "annotations": annotations,
        "categories": [{"id": tie, "name": "tie"}, {"id": person, "name": "Person"}],
    }
    file.write_text(json.dumps(data))
    return file


def average_precision(gt: Path, results: Path) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(gt))
        evaluation = COCOeval(truth, truth.loadRes(str(results)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def results_in(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "coco_results.json").read_text())


@pytest.mark.parametrize(
    ("ids", "person", "tie"),
    [
        ({"000000000139.png": 139, "000000000285.png": 285}, 1, 77),
        ({"000000000139.png": 1, "000000000285.png": 2}, 0, 1),
        ({"000000000139.png": 2, "000000000285.png": 1}, 900000, 7),
        ({"000000000285.png": "b", "000000000139.png": "a"}, "p", "1"),
    ],
    ids=["those of the names", "1 and 2", "2 and 1", "texts"],
)
def test_results_can_be_measured_against_the_users_own_file(
    tmp_path: Path, capsys, model: FakeModel, images: Path, ids: dict[str, Any], person: Any, tie: Any
):
    gt = truth(tmp_path / "gt.json", ids, person, tie)
    assert detect(images, "--out", tmp_path / "out", "--format", "coco,coco-dataset", "--annotations", gt) == 0
    assert {(entry["file_name"], entry["image_id"]) for entry in results_in(tmp_path / "out")} == set(ids.items())
    assert {entry["category_id"] for entry in results_in(tmp_path / "out")} == {person}
    assert average_precision(gt, tmp_path / "out" / "coco_results.json") == 1
    dataset = json.loads((tmp_path / "out" / "coco_dataset.json").read_text())
    assert {image["file_name"]: image["id"] for image in dataset["images"]} == ids
    assert [(category["id"], category["name"]) for category in dataset["categories"]] == [(person, "Person")]
    assert IN_FILE in capsys.readouterr().err.splitlines()
    (source,) = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert (source["numbering"]["ids"], source["numbering"]["categories"]) == (IN_FILE, {"person": person})


def test_ids_in_file_names_are_used_without_an_annotation_file(tmp_path: Path, capsys, model: FakeModel, images: Path):
    gt = truth(tmp_path / "gt.json", {"000000000139.png": 139, "000000000285.png": 285})
    assert detect(images, "--out", tmp_path, "--format", "coco") == 0
    assert average_precision(gt, tmp_path / "coco_results.json") == 1
    assert IN_NAMES in capsys.readouterr().err.splitlines()
    (images / "000000000285.png").rename(images / "b.png")
    assert detect(images, "--format", "coco") == 0
    captured = capsys.readouterr()
    assert {(entry["file_name"], entry["image_id"]) for entry in json.loads(captured.out)} == {("000000000139.png", 1), ("b.png", 2)}
    assert "Images are numbered 1–2 in the order processed, as not all file names are numbers; category ids are COCO's." in captured.err


def test_a_class_that_the_file_lacks_is_left_out_and_reported(tmp_path: Path, capsys, model: FakeModel, images: Path):
    gt = truth(tmp_path / "gt.json", {"000000000139.png": 2, "000000000285.png": 1}, person=3)
    model.labels = [1, 17, 18]
    assert detect(images, "--out", tmp_path / "out", "--format", "coco", "--annotations", gt, "--threshold", 0, model=COCO_MODEL) == 0
    assert [(entry["image_id"], entry["category_id"]) for entry in results_in(tmp_path / "out")] == [(2, 3), (1, 3)]
    said = "4 objects are left out of the COCO results, as gt.json has no category for cat (2), dog (2)."
    assert said in capsys.readouterr().err.splitlines()
    assert COCO(str(gt)).loadRes(str(tmp_path / "out" / "coco_results.json")).getCatIds(catNms=["Person"]) == [3]


@pytest.mark.parametrize(
    ("names", "listed", "ids"),
    [
        (["a.png", "b.png", "c.png"], None, {"a.png": 1, "b.png": 2, "c.png": 3}),
        (["7.png", "8.png", "9.png"], None, {"7.png": 7, "8.png": 8, "9.png": 9}),
        (["7.png", "8.png", "x.png"], None, {"7.png": 1, "8.png": 2, "x.png": 3}),
        (["a.png", "b.png", "c.png"], {"c.png": 1, "a.png": 5}, {"a.png": 5, "c.png": 1}),
    ],
    ids=["in order", "numbers", "nearly all numbers", "annotations"],
)
def test_an_image_that_fails_at_first_changes_no_other_ones_id(
    tmp_path: Path, model: FakeModel, names: list[str], listed: dict[str, int] | None, ids: dict[str, int]
):
    """Neither in that run nor when the same command goes on."""
    for width, name in enumerate(names, 21):
        Image.new("RGB", (width, 20)).save(tmp_path / name)
    options = ["--annotations", truth_of(tmp_path / "gt.json", listed)] if listed else []
    command = [f"{tmp_path}/*.png", "--out", tmp_path / "out", "--format", "coco,coco-dataset", *options]
    model.failing.add(22)
    assert detect(*command) == 1
    others = {name: number for name, number in ids.items() if name != names[1]}
    assert {entry["file_name"]: entry["image_id"] for entry in results_in(tmp_path / "out")} == others
    model.failing.clear()
    assert detect(*command) == 0
    assert {entry["file_name"]: entry["image_id"] for entry in results_in(tmp_path / "out")} == ids
    whole = (tmp_path / "out" / "coco_results.json").read_bytes(), (tmp_path / "out" / "coco_dataset.json").read_bytes()
    assert detect(*command) == 0
    assert ((tmp_path / "out" / "coco_results.json").read_bytes(), (tmp_path / "out" / "coco_dataset.json").read_bytes()) == whole


def truth_of(file: Path, ids: dict[str, int]) -> Path:
    entries = [{"id": number, "file_name": name} for name, number in ids.items()]
    file.write_text(json.dumps({"images": entries, "categories": [{"id": 9, "name": "person"}]}))
    return file


def test_images_of_equal_names_are_distinguished_by_their_folders(tmp_path: Path, model: FakeModel):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (20, 20)).save(tmp_path / folder / "a.png")
    file = truth_of(tmp_path / "gt.json", {"y/a.png": 1, "x/a.png": 2})
    assert detect(tmp_path / "x", tmp_path / "y", "--out", tmp_path / "out", "--format", "coco", "--annotations", file) == 0
    assert [entry["image_id"] for entry in results_in(tmp_path / "out")] == [2, 2, 1, 1]


def test_results_of_nothing_say_how_to_go_on(tmp_path: Path, capsys, model: FakeModel, images: Path):
    for form in ("coco", "json"):
        assert detect(images, "--threshold", "1", "--format", form) == 0
        captured = capsys.readouterr()
        assert ("pycocotools' loadRes fails on an empty list" in captured.err) == (form == "coco")
        if form == "coco":
            assert json.loads(captured.out) == []


def test_a_fine_tuned_model_writes_the_ids_of_its_training_data(tmp_path: Path, capsys, monkeypatch):
    architecture = Architecture("ssdlite320_mobilenet_v3_large", {"num_classes": 4})
    with NoRandomInitialization():
        state = random_state(build_empty(architecture))
    write_checkpoint(Checkpoint(architecture, (BACKGROUND, "a", "b", "c"), state, category_ids=(0, 0, 7, 900000)), tmp_path / "mine.pt")
    out = tmp_path / "out"
    for _ in ("detected", "read from the record"):
        assert detect(IMAGE, "--threshold", 0, "--out", out, "--format", "coco,coco-dataset", model=tmp_path / "mine.pt") == 0
        found = {entry["category_id"] for entry in results_in(out)}
        assert found
        assert found <= {0, 7, 900000}
        dataset = json.loads((out / "coco_dataset.json").read_text())
        assert {category["name"]: category["id"] for category in dataset["categories"]} == {"a": 0, "b": 7, "c": 900000}
        assert "category ids are those of the model's training data." in capsys.readouterr().err
        # The second time, the model is not needed.
        monkeypatch.setattr("detection_core.cli.detect._load", lambda *_: SimpleNamespace(detect=None))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--annotations", "missing.json", "--format", "coco"], "There is no missing.json"),
        (["--annotations", IMAGE, "--format", "coco"], "grace_hopper.jpg is not valid JSON"),
        (["--annotations", "gt.json"], "--annotations gives ids to the formats coco and coco-dataset: add --format coco."),
        (["--annotations", "gt.json", "--format", "coco"], "gt.json has none of the images: it lists other.jpg"),
    ],
    ids=["missing", "no JSON", "no format with ids", "other images"],
)
def test_annotations_that_cannot_be_used_are_an_error_before_anything_runs(tmp_path: Path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    truth_of(tmp_path / "gt.json", {"other.jpg": 1})
    assert detect(IMAGE, "--out", "out", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
