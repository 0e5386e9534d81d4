"""Which ids images and classes have in COCO's formats, with pycocotools as the reference."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from detection_core.detections import Detections
from detection_core.detections.coco_names import COCO_CLASSES
from detection_core.formats import ImageResult, Numbering, Provenance, export, from_json, number_images, to_coco_results, to_json
from detection_core.formats.coco import NO_RESULTS
from detection_core.formats.numbering import Category
from tests.factories import make_detections

IN_NAMES = "Image ids are the numbers in the file names"
IN_ORDER = "Images are numbered 1–2 in the order processed"


@pytest.mark.parametrize(
    ("names", "ids", "how"),
    [
        (["000000000139.jpg", "000000000285.jpg"], [139, 285], IN_NAMES),
        (["COCO_val2014_000000000042.jpg", "COCO_train2014_000000000009.jpg"], [42, 9], IN_NAMES),
        (["7.png", "3.tar.png"], [1, 2], f"{IN_ORDER}, as not all file names are numbers"),
        (["x/7.png", "y\\0.png"], [7, 0], IN_NAMES),
        (["10.jpg", "2.jpg", "1.jpg"], [10, 2, 1], IN_NAMES),
        (["1.jpg", "01.jpg"], [1, 2], f"{IN_ORDER}, as file names share a number"),
        (["x/1.jpg", "y/1.jpg"], [1, 2], f"{IN_ORDER}, as file names share a number"),
        (["1.jpg", "cover.jpg"], [1, 2], f"{IN_ORDER}, as not all file names are numbers"),
        (["b.jpg", "a.jpg"], [1, 2], IN_ORDER),
        (["IMG_1234.jpg"], [1], "The image has the id 1"),
        (["-5.jpg"], [1], "The image has the id 1"),
        (["²³.jpg"], [1], "The image has the id 1"),
        (["٣.jpg"], [1], "The image has the id 1"),
        ([f"{10**18}.jpg"], [1], "The image has the id 1"),
        (["139.jpg"], [139], IN_NAMES),
    ],
    ids=str,
)
def test_images_have_the_numbers_of_their_names_or_of_their_order(names: list[str], ids: list[int], how: str):
    numbering = number_images(names)
    assert (list(numbering.image_ids), numbering.images) == (ids, how)
    assert numbering.first_free not in ids


@pytest.mark.parametrize(
    ("categories", "name", "number"),
    [
        (["dog", "cat"], "cat", 1),
        (["Traffic_Light"], "traffic light", 0),
        (["  traffic-LIGHT "], "traffic light", 0),
        (["Caf\u00e9"], "cafe\u0301", 0),
        (["Cat", "cat"], "cat", 1),
        (["Cat", "cAT"], "cat", None),
        (["cat", "cat"], "cat", 0),
        (["cats"], "cat", None),
        (["trafficlight"], "traffic light", None),
    ],
    ids=str,
)
def test_classes_have_the_categories_of_their_names(categories: list[str], name: str, number: int | None):
    numbering = Numbering((1,), "", "a.json", tuple(Category(i, each) for i, each in enumerate(categories)))
    found = numbering.category(name)
    assert (found and found.id) == number


@pytest.mark.parametrize(
    ("numbering", "categories", "category_ids", "sentence"),
    [
        (Numbering((), "Image ids are those of a.json", "a.json"), ("x",), (), "Image ids are those of a.json; so are category ids."),
        (number_images(["1.jpg"]), COCO_CLASSES, (), f"{IN_NAMES}; category ids are COCO's."),
        (number_images(["1.jpg"]), COCO_CLASSES[:2], (), f"{IN_NAMES}; category ids are COCO's."),
        (number_images(["1.jpg"]), ("__background__", "cat"), (), f"{IN_NAMES}; category ids are the model's labels."),
        (number_images(["1.jpg"]), ("__background__", "cat"), (0, 7), f"{IN_NAMES}; category ids are those of the model's training data."),
    ],
)
def test_a_sentence_says_which_ids_they_are(numbering, categories, category_ids, sentence):
    assert numbering.sentence(categories, category_ids) == sentence


# The model has person, dog and car; the user's file has no car, and an id of 0.
USERS = Numbering(
    image_ids=(285, None, "a1"),
    images="Image ids are those of own.json",
    file="own.json",
    categories=(Category(0, "Dog"), Category(900000, "person")),
    first_free=286,
    notes=("One is missing.",),
)
OBJECTS = make_detections(3, labels=[1, 2, 3])


def exported(folder: Path, numbering: Numbering, found: Detections = OBJECTS, forms: tuple[str, ...] = ("coco", "coco-dataset")) -> Any:
    """What is in the files of images a.jpg, b.jpg, …, and the notes."""
    source = Provenance("mine")
    names = [f"{letter}.jpg" for letter in "abc"[: len(numbering.image_ids)]]
    results = [ImageResult(n, found, source, image_id=i) for n, i in zip(names, numbering.image_ids, strict=True)]
    notes: list[str] = []
    written = export(results, forms, folder, numbering=numbering, on_note=notes.append)
    return [json.loads((folder / name).read_text()) for name in written], notes


def test_files_have_the_ids_of_the_annotation_file(tmp_path: Path):
    (results, dataset, (source,)), notes = exported(tmp_path, USERS)
    expected = [(name, i, c) for name, i in (("a.jpg", 285), ("c.jpg", "a1")) for c in (900000, 0)]
    assert [(entry["file_name"], entry["image_id"], entry["category_id"]) for entry in results] == expected
    assert [(image["file_name"], image["id"]) for image in dataset["images"]] == [("a.jpg", 285), ("b.jpg", 286), ("c.jpg", "a1")]
    assert {(c["id"], c["name"]) for c in dataset["categories"]} == {(900000, "person"), (0, "Dog"), (3, "car")}
    assert [a["category_id"] for a in dataset["annotations"]] == [900000, 0, 3] * 3
    assert notes == ["2 objects are left out of the COCO results, as own.json has no category for car (2)."]
    sentence = "Image ids are those of own.json; so are category ids."
    assert source["numbering"] == {"ids": sentence, "categories": {"person": 900000, "dog": 0}, "notes": ["One is missing.", *notes]}
    assert dataset["info"]["numbering"] == {"ids": sentence, "notes": ["One is missing."]}
    assert Provenance.from_json(dataset["info"]["provenance"][0]) == Provenance("mine")


def test_images_of_another_size_than_the_files_are_named(tmp_path: Path):
    numbering = replace(USERS, image_ids=(1, 2, 3), sizes={1: (640, 480), 2: (480, 640)})
    _, notes = exported(tmp_path, numbering, OBJECTS[:2], ("coco",))
    assert notes == [
        "1 image has another size than own.json says, so boxes may not correspond: b.jpg (640×480 instead of 480×640). Check that they are "
        "the same images."
    ]


def test_a_free_id_is_none_of_the_files(tmp_path: Path):
    numbering = replace(USERS, categories=(Category(1, "dog"), Category(3, "tree"), Category("x", "person")))
    (_, dataset, _), _ = exported(tmp_path, numbering)
    assert {c["name"]: c["id"] for c in dataset["categories"]} == {"person": "x", "dog": 1, "car": 4}


def test_files_have_the_category_ids_of_the_training_data(tmp_path: Path):
    found = replace(OBJECTS, category_ids=(0, 0, 7, 900000))
    assert [entry["category_id"] for entry in to_coco_results(found, 1)] == [0, 7, 900000]
    assert from_json(json.loads(json.dumps(to_json(found)))).category_ids == (0, 0, 7, 900000)
    assert found[found.scores > 0.5].category_ids == found.category_ids
    (results, dataset, (source,)), notes = exported(tmp_path, number_images(["5.jpg", "6.jpg"]), found)
    assert {(entry["image_id"], entry["category_id"]) for entry in results} == {(i, c) for i in (5, 6) for c in (0, 7, 900000)}
    assert (
        {c["name"]: c["id"] for c in dataset["categories"]} == {"person": 0, "dog": 7, "car": 900000} == source["numbering"]["categories"]
    )
    assert source["numbering"]["ids"] == f"{IN_NAMES}; category ids are those of the model's training data."
    assert notes == []


@pytest.mark.parametrize("ids", [[1, 2], [0, "1", 2.5, True], "0123", None], ids=str)
def test_category_ids_in_a_file_are_checked(ids: object):
    with pytest.raises(ValueError, match="category_ids"):
        from_json(to_json(OBJECTS) | {"category_ids": ids})


def test_results_without_ids_are_counted(tmp_path: Path):
    export([ImageResult("9.jpg", OBJECTS), ImageResult("3.jpg", OBJECTS)], ["coco", "coco-dataset"], tmp_path)
    assert [entry["image_id"] for entry in json.loads((tmp_path / "coco_results.json").read_text())] == [1, 1, 1, 2, 2, 2]
    assert [image["id"] for image in json.loads((tmp_path / "coco_dataset.json").read_text())["images"]] == [1, 2]


def truth(found: Detections, image_ids: list[Any], category_ids: list[Any]) -> COCO:
    """A data set in which the detections are what is there."""
    entries = [entry | {"iscrowd": 0, "area": 1.0} for image_id in image_ids for entry in to_coco_results(found, image_id)]
    coco = COCO()
    coco.dataset = {
        "images": [{"id": number, "width": 640, "height": 480} for number in image_ids],
        "annotations": [
            {**entry, "id": number, "category_id": category_ids[entry["category_id"]]} for number, entry in enumerate(entries, 1)
        ],
        "categories": [{"id": number, "name": name} for number, name in zip(category_ids[1:], found.categories[1:], strict=True)],
    }
    coco.createIndex()
    return coco


def average_precision(gt: COCO, results: COCO) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(gt, results, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


@pytest.mark.parametrize(
    ("image_ids", "category_ids"), [([139, 285], [0, 90, 0, 7]), (["139", "x"], [None, "a", "b", "c"])], ids=["numbers", "texts"]
)
def test_cocos_tools_measure_what_is_written(tmp_path: Path, image_ids: list[Any], category_ids: list[Any]):
    """Also where the ids are texts."""
    gt = truth(OBJECTS, image_ids, category_ids)
    categories = tuple(Category(category["id"], category["name"]) for category in gt.dataset["categories"])
    numbering = Numbering(tuple(image_ids), "", "gt.json", categories)
    exported(tmp_path, numbering)
    results = gt.loadRes(str(tmp_path / "coco_results.json"))
    assert average_precision(gt, results) == 1
    swapped = [category._replace(id=other.id) for category, other in zip(categories, reversed(categories), strict=True)]
    exported(tmp_path, replace(numbering, categories=tuple(swapped)))
    assert average_precision(gt, gt.loadRes(str(tmp_path / "coco_results.json"))) < 0.6


@pytest.mark.parametrize(
    ("found", "numbering"),
    [
        (make_detections(0), number_images(["a.jpg"])),
        (make_detections(2, labels=[3, 3]), USERS),
        (OBJECTS, replace(USERS, image_ids=(None,))),
    ],
    ids=["nothing found", "other classes", "no image of the file"],
)
def test_empty_results_say_that_loadres_fails_and_what_helps(tmp_path: Path, found: Detections, numbering: Numbering):
    (results, (source,)), notes = exported(tmp_path, numbering, found, ("coco",))
    assert results == []
    assert notes[-1] == source["numbering"]["notes"][-1] == NO_RESULTS
    gt = truth(OBJECTS, [1, 2], [0, 1, 2, 3])
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(IndexError):
        gt.loadRes(str(tmp_path / "coco_results.json"))
    assert average_precision(gt, COCO()) == 0


def test_results_with_an_object_have_nothing_to_say(tmp_path: Path):
    assert exported(tmp_path, number_images(["a.jpg"]))[1] == []
