"""Annotated images from folders, files and archives."""

from __future__ import annotations

import zipfile

import pytest

from detection_core.datasets import sources
from detection_core.datasets.coco import DataError
from detection_core.datasets.sources import read_dataset, unpacked
from tests.coco_folders import coco_folder


def packed(folder, archive, prefix: str = ""):
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__MACOSX/._data", b"")
        for path in folder.rglob("*"):
            file.write(path, f"{prefix}{path.relative_to(folder)}")
    return archive


@pytest.mark.parametrize("prefix", ["", "data/", "export/data/"])
def test_archives(tmp_path, prefix):
    archive = packed(coco_folder(tmp_path / "data"), tmp_path / "data.zip", prefix)
    with unpacked(archive) as place:
        dataset = read_dataset(place)
        assert all(image.path.is_file() for image in dataset.images)
    assert len(dataset.images) == 4
    assert not place.exists()


@pytest.mark.parametrize("name", ["annotations.json", "_annotations.coco.json"])
def test_names_of_coco_files(tmp_path, name):
    folder = coco_folder(tmp_path)
    (folder / "annotations.json").rename(folder / name)
    assert read_dataset(folder) == read_dataset(folder / name)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("nothing", None, "There is no"),
        ("data.txt", b"", "neither a folder nor"),
        ("data.zip", b"no archive", "cannot be unpacked"),
        ("folder", None, "There are no annotations in"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path, name, content, message):
    (tmp_path / "folder").mkdir()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message), unpacked(tmp_path / name) as place:
        read_dataset(place)


def test_a_folder_without_annotations_says_what_was_looked_for(tmp_path):
    (tmp_path / "images").mkdir()
    for number in range(7):
        (tmp_path / f"{number}.txt").write_text("")
    with pytest.raises(DataError) as error:
        read_dataset(tmp_path)
    looked_for = (
        "annotations.json",
        "_annotations.coco.json",
        "data.yaml",
        "data.yml",
        "dataset.yaml",
        ".xml",
        "COCO",
        "YOLO",
        "Pascal VOC",
    )
    assert [words for words in looked_for if words not in str(error.value)] == []
    assert str(error.value).endswith("There is: 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, 2 more.")


def test_archives_that_are_too_large_are_not_unpacked(tmp_path, monkeypatch):
    archive = packed(coco_folder(tmp_path / "data"), tmp_path / "data.zip")
    monkeypatch.setattr(sources, "_MOST_BYTES", 1000)
    with pytest.raises(DataError, match="too much"), unpacked(archive):
        pass


def test_names_that_lead_out_of_the_folder(tmp_path):
    archive = tmp_path / "data.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("../../outside.txt", "x")
    with unpacked(archive) as place:
        assert [path.name for path in place.rglob("*.txt")] == ["outside.txt"]
