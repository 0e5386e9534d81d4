"""Ids in the COCO files of the Batch tab: those of an annotation file that the visitor uploads, or of the images' names."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools.coco import COCO

from detection_core.datasets.coco import DataError
from detection_core.formats.coco import NO_RESULTS
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.batch import annotations
from detection_core.ui.batch.store import Batch, BatchImage
from detection_core.ui.batch.tab import pack
from detection_core.ui.batch.view import BatchOrder
from tests.factories import make_detections

IN_NAMES = "Image ids are the numbers in the file names; category ids are COCO's."
IN_ORDER = "Images are numbered 1–2 in the order processed, as file names share a number; category ids are COCO's."


@pytest.fixture
def batch(tmp_path: Path, monkeypatch) -> Batch:
    """Images 139.png of the folders x and y with a person each; scores are 0.95."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    batch = Batch("visitor/batch", get_model_spec(PERSON_MODEL))
    for number, folder in enumerate(("x", "y"), start=1):
        path = tmp_path / "uploads" / folder / "139.png"
        path.parent.mkdir(parents=True)
        Image.new("RGB", (64, 48)).save(path)
        found = make_detections(1, image_size=(48, 64), categories=batch.spec.categories, labels=[1], seed=number)
        batch.images[str(number)] = BatchImage(path, f"{folder}/139.png", found)
    return batch


def uploaded(folder: Path, ids: dict[str, int], **changes: Any) -> dict[str, str]:
    """An annotation file as a browser names it."""
    data = {"images": [{"id": i, "file_name": n} for n, i in ids.items()], "annotations": [], "categories": [{"id": 5, "name": "person"}]}
    (folder / "uploads" / "blob").write_text(json.dumps(data | changes))
    return {"path": str(folder / "uploads" / "blob"), "name": "own.json"}


def packed(batch: Batch, folder: Path, **changes: Any) -> tuple[zipfile.ZipFile, list[str]]:
    """The archive with both COCO formats, and what the page says."""
    sent = {"batch": "x", "images": ["1", "2"], "formats": ["coco", "coco-dataset"], "threshold": 0.5} | changes
    notes: list[str] = []
    return zipfile.ZipFile(pack(batch, BatchOrder.from_client(sent), folder / "cache", notes.append)), notes


def test_ids_are_those_of_the_uploaded_file(batch: Batch, tmp_path: Path):
    archive, notes = packed(batch, tmp_path, annotations=uploaded(tmp_path, {"y/139.png": 1, "x/139.png": 2}))
    results = json.loads(archive.read("coco_results.json"))
    ids = [(entry["file_name"], entry["image_id"], entry["category_id"]) for entry in results]
    assert ids == [("x/139.png", 2, 5), ("y/139.png", 1, 5)]
    assert len(COCO(str(tmp_path / "uploads" / "blob")).loadRes(results).getAnnIds(imgIds=[1])) == 1
    dataset = json.loads(archive.read("coco_dataset.json"))
    assert {image["file_name"]: image["id"] for image in dataset["images"]} == {"x/139.png": 2, "y/139.png": 1}
    assert notes == ["Image ids are those of own.json; so are category ids."]
    assert json.loads(archive.read("provenance.json"))[0]["numbering"]["ids"] == notes[0]


@pytest.mark.parametrize(
    ("changes", "ids", "sentence"),
    [
        ({}, [1, 2], IN_ORDER),
        ({"images": ["2", "1"]}, [1, 2], IN_ORDER),
        ({"images": ["2"]}, [139], IN_NAMES),
        ({"annotations": {"path": 5, "name": []}, "images": ["1"]}, [139], IN_NAMES),
    ],
    ids=["in order", "in another order", "numbers", "nothing usable sent"],
)
def test_without_a_file_ids_are_those_of_the_names(batch: Batch, tmp_path: Path, changes: dict[str, Any], ids: list[int], sentence: str):
    archive, notes = packed(batch, tmp_path, **changes)
    assert [entry["image_id"] for entry in json.loads(archive.read("coco_results.json"))] == ids
    assert notes == [sentence]


@pytest.mark.parametrize("formats", [["json"], ["csv", "yolo-detect"]], ids=str)
def test_formats_without_ids_say_nothing_of_them(batch: Batch, tmp_path: Path, formats: list[str]):
    assert packed(batch, tmp_path, formats=formats)[1] == []


def test_results_of_nothing_say_how_to_go_on(batch: Batch, tmp_path: Path):
    assert packed(batch, tmp_path, threshold=1)[1][-1] == NO_RESULTS


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("gone", "no longer on the server. Choose it again"),
        ("elsewhere", "no longer on the server. Choose it again"),
        ("large", "larger than 20 MB. Remove its annotations"),
        ("other images", "^own.json has none of the images: it lists b.jpg"),
        ("no COCO", '^own.json has no list "images"'),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_without_paths(batch: Batch, tmp_path: Path, monkeypatch, sent: str, message: str):
    file = uploaded(tmp_path, {"b.jpg": 1}, **({"images": 1} if sent == "no COCO" else {}))
    if sent == "gone":
        Path(file["path"]).unlink()
    if sent == "elsewhere":
        (tmp_path / "own.json").write_text("{}")
        file["path"] = str(tmp_path / "own.json")
    if sent == "large":
        monkeypatch.setattr(annotations, "_MAX_BYTES", 10)
        message = "larger than 0 MB"
    with pytest.raises(DataError, match=message) as caught:
        packed(batch, tmp_path, annotations=file)
    assert str(tmp_path) not in str(caught.value)
    assert not list(tmp_path.rglob("*.zip"))
