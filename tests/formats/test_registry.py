from __future__ import annotations

import io
import json
import weakref
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from detection_core.formats import FORMATS, ImageResult, Provenance, export, from_json
from detection_core.formats.target import safe_stem
from tests.factories import make_detections


def make_image() -> Image.Image:
    return Image.fromarray(np.full((480, 640, 3), 90, np.uint8))


def result(name: str = "a.jpg", **values) -> ImageResult:
    found = make_detections(2, masks=True, keypoints=True)
    return ImageResult(name, found, Provenance("m", "w.pth"), make_image, **values)


EXPECTED = {
    "a_detections.json", "a_detections.png", "coco_results.json", "coco_dataset.json", "detections.csv", "provenance.json",
    "yolo_detect/labels/a.txt", "yolo_detect/data.yaml", "yolo_segment/labels/a.txt", "yolo_segment/data.yaml",
    "yolo_pose/labels/a.txt", "yolo_pose/data.yaml",
}  # fmt: skip


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_all_formats_into_a_folder(tmp_path: Path):
    names = export([result()], list(FORMATS), tmp_path / "new" / "place")
    assert set(names) == EXPECTED == files_in(tmp_path / "new" / "place")
    assert len(names) == len(EXPECTED)


def test_all_formats_into_an_archive_are_the_same_files(tmp_path: Path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        names = export([result()], list(FORMATS), archive, folder="m")
    export([result()], list(FORMATS), tmp_path)
    with zipfile.ZipFile(content) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == names
        for name in EXPECTED:
            assert archive.read(f"m/{name}") == (tmp_path / name).read_bytes()


def test_an_archive_never_holds_two_files_of_a_name():
    with zipfile.ZipFile(io.BytesIO(), "w") as archive:
        export([result()], ["json"], archive, folder="a")
        export([result()], ["json"], archive, folder="b")
        with pytest.raises(FileExistsError, match="a/a_detections"):
            export([result()], ["json"], archive, folder="a")


def test_names_never_collide(tmp_path: Path):
    names = ["a.jpg", "a.png", "x/a.jpg", "y\\A.jpg", "a-2.jpg", "/", "..", "con:?.png", "", "ü" * 300 + ".jpg"]
    written = export([result(name) for name in names], ["json"], tmp_path)
    assert len({name.casefold() for name in written}) == len(names)
    assert [json.loads((tmp_path / name).read_text())["file_name"] for name in written] == names
    assert all("/" not in name for name in written)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("x/a.b.jpg", "a.b"),
        ("C:\\pics\\a.jpg", "a"),
        ("../../etc/passwd", "passwd"),
        ("..", "image"),
        ("a\x00b?.png", "a_b_"),
        ("\udcff.jpg", "_"),
    ],
)
def test_stems_fit_every_file_system(name, stem):
    assert safe_stem(name) == stem


def test_a_chosen_stem_is_used(tmp_path: Path):
    assert export([result(stem="chosen.name")], ["json"], tmp_path) == ["chosen.name_detections.json"]


def test_only_drawn_formats_ask_for_the_image_and_let_it_go(tmp_path: Path):
    asked: list[weakref.ref] = []

    def results() -> Iterator[ImageResult]:
        for number in range(3):
            assert not any(reference() for reference in asked)

            def ask() -> Image.Image:
                image = make_image()
                asked.append(weakref.ref(image))
                return image

            yield ImageResult(f"{number}.jpg", make_detections(1), image=ask)

    export(results(), [key for key in FORMATS if key not in {"png", "yolo-pose", "yolo-segment"}], tmp_path)
    assert not asked
    export(results(), ["png"], tmp_path)
    assert len(asked) == 3


def test_files_are_replaced_whole(tmp_path: Path):
    export([result()], ["json"], tmp_path)
    before = (tmp_path / "a_detections.json").read_bytes()

    def broken() -> Image.Image:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        export([ImageResult("a.jpg", make_detections(9), image=broken)], ["coco", "png"], tmp_path)
    assert files_in(tmp_path) == {"a_detections.json"}
    assert (tmp_path / "a_detections.json").read_bytes() == before
    export([ImageResult("a.jpg", make_detections(9))], ["json"], tmp_path)
    assert len(from_json(json.loads((tmp_path / "a_detections.json").read_bytes()))) == 9
    assert files_in(tmp_path) == {"a_detections.json"}


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path):
    (tmp_path / "a_detections.json").mkdir()
    with pytest.raises(OSError, match="a_detections"):
        export([result()], ["json"], tmp_path)
    assert files_in(tmp_path) == set()


@pytest.mark.parametrize(
    ("formats", "given", "message"),
    [
        (["tiff"], make_detections(1), "no format “tiff”.*json"),
        (["yolo-segment"], make_detections(1), "a.jpg cannot be written as YOLO polygons"),
        (["yolo-pose"], make_detections(1, masks=True), "a.jpg cannot be written as YOLO keypoints"),
        (["png"], make_detections(1), "a.jpg cannot be drawn"),
    ],
    ids=["unknown", "no masks", "no keypoints", "no image"],
)
def test_what_is_impossible_is_reported(tmp_path: Path, formats, given, message):
    with pytest.raises(ValueError, match=message):
        export([ImageResult("a.jpg", given)], formats, tmp_path)


@pytest.mark.parametrize("key", FORMATS)
def test_nothing_found_suits_every_format(tmp_path: Path, key):
    empty = make_detections(0)
    assert FORMATS[key].suits(empty)
    assert export([ImageResult("a.jpg", empty, image=make_image)], [key], tmp_path)


def test_provenance_has_a_file_of_its_own_where_the_format_has_no_place(tmp_path: Path):
    assert "provenance.json" not in export([result()], ["json", "png", "coco-dataset"], tmp_path)
    assert "provenance.json" in export([result(), result("b.jpg")], ["coco"], tmp_path)
    assert [run["weights"] for run in json.loads((tmp_path / "provenance.json").read_text())] == ["w.pth"]


def test_no_images_make_valid_files(tmp_path: Path):
    export([], list(FORMATS), tmp_path)
    assert json.loads((tmp_path / "coco_results.json").read_text()) == []
    assert json.loads((tmp_path / "coco_dataset.json").read_text())["images"] == []
