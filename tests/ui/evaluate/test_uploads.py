"""Uploaded data: archives and folders are read, and refer to nothing else on the server."""

from __future__ import annotations

import json
import shutil
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from detection_core.datasets.coco import DataError
from detection_core.ui.evaluate import uploads
from detection_core.ui.evaluate.uploads import UploadedFile, read_uploads, uploaded_files
from tests.coco_folders import coco_folder
from tests.datasets.test_coco_layout import TRAIN, VAL, laid_out
from tests.datasets.test_yolo import ULTRALYTICS, yolo_folder


def files_of(folder: Path) -> list[UploadedFile]:
    return [UploadedFile(path, f"shapes/{path.relative_to(folder)}") for path in sorted(folder.rglob("*")) if path.is_file()]


def zipped(folder: Path, target: Path) -> list[UploadedFile]:
    with zipfile.ZipFile(target, "w") as archive:
        for file in files_of(folder):
            archive.write(file.path, file.name)
    return [UploadedFile(target, "shapes.zip")]


def read(files: list[UploadedFile], folder: Path, part: str = ""):
    folder.mkdir()
    with ExitStack() as stack:
        return read_uploads(files, folder, stack, part)


@pytest.mark.parametrize("as_archive", [True, False])
def test_archives_and_folders_are_read(tmp_path, as_archive):
    source = coco_folder(tmp_path / "source")
    files = zipped(source, tmp_path / "upload") if as_archive else files_of(source)
    data = read(files, tmp_path / "own")
    assert len(data.dataset.images) == 4
    assert all(image.path.is_relative_to(tmp_path / "own") for image in data.dataset.images)
    assert (data.parts, data.part) == ((), "")


@pytest.mark.parametrize("as_archive", [True, False])
@pytest.mark.parametrize(("part", "number"), [("", 1), (TRAIN, 2), ("../../secret.json", 1)])
def test_a_part_of_cocos_own_layout_is_read(tmp_path, as_archive, part, number):
    source = laid_out(tmp_path / "source", {VAL: "val2017", TRAIN: "train2017"})
    files = zipped(source, tmp_path / "upload.zip") if as_archive else files_of(source)
    data = read(files, tmp_path / "own", part)
    assert (data.parts, data.part) == ((VAL, TRAIN), part if number == 2 else VAL)
    assert len(data.dataset.images) == number
    assert data.dataset.notes == ()
    assert all(image.path.parent.name == ("val2017", "train2017")[number - 1] for image in data.dataset.images)


def test_archives_are_deleted_with_the_evaluation(tmp_path):
    files = zipped(coco_folder(tmp_path / "source"), tmp_path / "upload.zip")
    read(files, tmp_path / "own")
    assert not any(path.suffix == ".png" for path in (tmp_path / "own").rglob("*"))


@pytest.mark.parametrize("name", ["../../../secret.png", "{absolute}"])
def test_images_outside_of_the_data_are_refused(tmp_path, name):
    source = coco_folder(tmp_path / "source")
    shutil.copy(next(source.rglob("*.png")), tmp_path / "secret.png")
    annotations = json.loads((source / "annotations.json").read_text())
    annotations["images"][0]["file_name"] = name.format(absolute=tmp_path / "secret.png")
    (source / "annotations.json").write_text(json.dumps(annotations))
    with pytest.raises(DataError, match="outside"):
        read(files_of(source), tmp_path / "own")


@pytest.mark.parametrize(
    "line",
    [
        "val: {outside}",
        "path: {outside}\nval: ../../../list.txt",
        "path: {outside}\nval: {outside}",
        "val: [images, ../../../list.txt]",
        "val: images\ntest: {outside}",
    ],
)
def test_descriptions_that_lead_out_of_the_data_are_refused(tmp_path, line):
    (tmp_path / "list.txt").write_text("root:x:0:0\n")
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    (source / "data.yaml").write_text(f"names: [a]\n{line.format(outside=tmp_path)}\n")
    (source / "images" / "x.txt").write_text("")
    with pytest.raises(DataError, match="outside"):
        read(files_of(source), tmp_path / "own")


@pytest.mark.parametrize("as_archive", [True, False])
def test_where_the_data_was_on_the_visitors_machine_does_not_matter(tmp_path, as_archive):
    """Not even if that is this machine: the upload is read, and stays as it is."""
    source = yolo_folder(tmp_path / "source", ULTRALYTICS, {"a": "0 0.5 0.5 0.25 0.5"})
    files = zipped(source, tmp_path / "upload.zip") if as_archive else files_of(source)
    folder = tmp_path / "own"
    folder.mkdir()
    with ExitStack() as stack:
        dataset = read_uploads(files, folder, stack).dataset
        (image,) = dataset.images
        assert image.path.is_relative_to(folder)
        assert len(image.annotations) == 1
    assert (source / "data.yaml").read_text() == ULTRALYTICS.format(root=source)


def test_messages_name_no_folder_of_the_server(tmp_path):
    (tmp_path / "a.txt").write_text("nothing")
    with pytest.raises(DataError) as error:
        read([UploadedFile(tmp_path / "a.txt", "a.txt")], tmp_path / "own")
    assert str(tmp_path) not in str(error.value)


def test_archives_with_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(uploads, "MOST_FILES", 2)
    with pytest.raises(DataError, match="more than 4 files"):
        read(zipped(coco_folder(tmp_path / "source"), tmp_path / "upload.zip"), tmp_path / "own")


@pytest.mark.parametrize("sent", [None, [], "x", [{"path": "/etc/passwd", "name": "x.zip"}], [3]])
def test_only_uploads_are_taken(sent):
    with pytest.raises(DataError):
        uploaded_files(sent)
