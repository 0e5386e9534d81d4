"""Folders laid out as COCO's own, Roboflow's and others' exports: the annotations and the images that are meant are read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from detection_core.datasets.checks import check
from detection_core.datasets.coco import DataError, read_coco
from detection_core.datasets.coco_layout import annotation_files
from detection_core.datasets.preparation import TrainingData, read_and_check
from detection_core.datasets.sources import parts_of, read_dataset
from tests.coco_folders import coco_folder
from tests.datasets.test_yolo import ULTRALYTICS, yolo_folder

VAL, TRAIN = "annotations/instances_val2017.json", "annotations/instances_train2017.json"
PERSONS = "annotations/person_keypoints_val2017.json"


def laid_out(root: Path, parts: dict[str, str], *, inside: str = "") -> Path:
    """Writes data sets of 1, 2, … images: an annotation file for each folder of images. All name their images 1.png, 2.png, …"""
    for number, (file, images) in enumerate(parts.items(), 1):
        made = coco_folder(root.parent / f"made {number}", images=number, seed=number, size=(40, 40))
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        data = json.loads((made / "annotations.json").read_text())
        for image in data["images"]:
            image["file_name"] = inside + image["file_name"]
        (root / file).write_text(json.dumps(data))
        shutil.copytree(made / "images", root / images / inside, dirs_exist_ok=True)
    return root


@pytest.mark.parametrize("inside", ["", "city/"])
@pytest.mark.parametrize(
    ("file", "images"),
    [
        (VAL, "val2017"),
        (VAL, "images/val2017"),
        (VAL, "images"),
        (PERSONS, "val2017"),
        ("annotations/val.json", "val"),
        ("annotations/instances_default.json", "images/default"),
        ("annotations/annotations.json", "images"),
        ("instances_val2017.json", "val2017"),
        ("valid/_annotations.coco.json", "valid"),
        ("_annotations.coco.json", "."),
        ("labels.json", "data"),
        ("result.json", "images"),
        ("annotations.json", "images"),
    ],
)
def test_images_are_found_without_a_guess(tmp_path, file, images, inside):
    folder = laid_out(tmp_path / "coco", {file: images}, inside=inside)
    for source in (folder, folder / file):
        dataset = read_dataset(source)
        assert [image.path for image in dataset.images] == [folder / images / inside / "1.png"]
        assert (check(dataset, ("boxes", "masks")), dataset.notes) == ([], ())


def test_each_part_has_its_own_images_though_their_names_are_the_same(tmp_path):
    folder = laid_out(tmp_path / "coco", {VAL: "images/val2017", TRAIN: "images/train2017"})
    for split, file, images in (("val", VAL, 1), ("train", TRAIN, 2), (None, VAL, 1)):
        dataset = read_dataset(folder, split=split)
        assert dataset.images == read_coco(folder / file).images
        assert {image.path.parent for image in dataset.images} == {folder / "images" / f"{split or 'val'}2017"}
        assert len(dataset.images) == images
        assert check(dataset, ("boxes", "masks")) == []


def test_file_names_may_begin_with_the_folder(tmp_path):
    folder = laid_out(tmp_path / "coco", {VAL: "."}, inside="val2017/")
    (image,) = read_dataset(folder).images
    assert image.path == folder / "val2017/1.png"


def test_the_other_files_are_listed(tmp_path):
    folder = laid_out(tmp_path / "coco", {VAL: "val2017", TRAIN: "train2017", PERSONS: "val2017"})
    (folder / "annotations/captions_val2017.json").write_text("{}")
    assert read_dataset(folder).notes == (f"The annotations in {VAL} are read. Also there: {TRAIN}, {PERSONS}.",)
    assert read_dataset(folder, keypoints=True).notes == (f"The annotations in {PERSONS} are read. Also there: {VAL}, {TRAIN}.",)
    assert [part.name for part in parts_of(folder)] == [VAL, TRAIN, PERSONS]
    assert [len(read_dataset(part.source, split=part.split).images) for part in parts_of(folder)] == [1, 2, 3]


def test_parts_of_roboflow_and_yolo_and_none_of_a_whole(tmp_path):
    names = [f"{part}/_annotations.coco.json" for part in ("train", "valid", "test")]
    folder = laid_out(tmp_path / "roboflow", dict(zip(names, ("train", "valid", "test"), strict=True)))
    found = [(part.name, len(read_dataset(part.source).images)) for part in parts_of(folder)]
    assert found == [(names[1], 2), (names[2], 3), (names[0], 1)]
    assert len(read_dataset(folder, split="test").images) == 3
    yolo = yolo_folder(tmp_path / "yolo", ULTRALYTICS, {"a": ""})
    yolo_folder(yolo, ULTRALYTICS, {"b": ""}, "images/train")
    assert [(part.name, read_dataset(part.source, split=part.split).images[0].path.name) for part in parts_of(yolo)] == [
        ("val", "a.png"),
        ("train", "b.png"),
    ]
    assert parts_of(coco_folder(tmp_path / "whole")) == []
    assert parts_of(laid_out(tmp_path / "one", {VAL: "val2017"})) == []


@pytest.mark.parametrize(
    ("files", "split", "message"),
    [
        ({VAL: "val2017", TRAIN: "train2017"}, "test", "no annotations for “test”. Its parts are: train, val."),
        ({"annotations.json": "images"}, "val", "no annotations for “val”. Its parts are: none."),
        ({"annotations/instances_default.json": "images"}, "val", "no annotations for “val”. Its parts are: none."),
    ],
)
def test_a_missing_part_is_a_sentence(tmp_path, files, split, message):
    with pytest.raises(DataError, match=message):
        read_dataset(laid_out(tmp_path / "coco", files), split=split)


def test_a_file_has_no_parts(tmp_path):
    with pytest.raises(DataError, match="no parts, so “val” cannot be chosen"):
        read_dataset(coco_folder(tmp_path) / "annotations.json", split="val")


def test_missing_images_are_faults_that_name_the_file(tmp_path):
    folder = laid_out(tmp_path / "coco", {VAL: "val2017"})
    shutil.rmtree(folder / "val2017")
    dataset = read_dataset(folder)
    assert dataset.images[0].path == folder / "val2017/1.png"
    assert [str(fault) for fault in check(dataset, ("boxes",))] == [
        "image 1 (1.png): its image file is missing. Put the file among the images, or remove it from the annotations."
    ]


def test_files_without_boxes_are_no_annotations(tmp_path):
    (tmp_path / "annotations").mkdir()
    for name in ("captions_val2017", "image_info_test2017", "panoptic_val2017", "stuff_val2017"):
        (tmp_path / "annotations" / f"{name}.json").write_text("{}")
    (tmp_path / "train2017").mkdir()
    assert annotation_files(tmp_path) == []
    with pytest.raises(DataError, match="There are no annotations in"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("tasks", "optional", "images"),
    [({"boxes"}, (), 2), ({"boxes", "keypoints"}, (), 3), ({"boxes", "keypoints"}, ("keypoints",), 2)],
    ids=["boxes", "keypoints", "keypoints if there are any"],
)
def test_training_reads_train_and_validates_on_val(tmp_path, tasks, optional, images):
    persons = "annotations/person_keypoints_train2017.json"
    folder = laid_out(tmp_path / "coco", {VAL: "val2017", TRAIN: "train2017", persons: "train2017"})
    training, validation = read_and_check(TrainingData([folder], [folder]), set(tasks), 0, str, optional=optional)
    assert len(training.images) == images
    assert {image.path.parent.name for image in training.images} == {"train2017"}
    assert len(validation.images) == (images if images == 3 else 1)
