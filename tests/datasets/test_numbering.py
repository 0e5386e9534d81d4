"""Ids from the user's own annotation file: which entry an image is, which category a class is, and what is said about the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.datasets.coco import DataError
from detection_core.datasets.matching import ListedImage, match_images
from detection_core.datasets.numbering import read_numbering
from detection_core.formats.numbering import Category

CLASSES = ("__background__", "person", "N/A", "traffic light")


def written(folder: Path, images: dict[str, Any] | list[Any], categories: Any = None, **changes: Any) -> Path:
    """An annotation file of these images, by name, and categories."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = [{"id": number, "file_name": name} for name, number in images.items()] if isinstance(images, dict) else images
    data = {"images": entries, "categories": [{"id": 1, "name": "person"}] if categories is None else categories, **changes}
    (folder / "own.json").write_text(json.dumps(data))
    return folder / "own.json"


@pytest.mark.parametrize(
    ("listed", "images", "ids"),
    [
        pytest.param({"b.jpg": 1, "a.jpg": 2}, ["a.jpg", "b.jpg"], [2, 1], id="another order"),
        pytest.param({"a.jpg": 7}, ["in/a.jpg"], [7], id="in any folder"),
        pytest.param({"val/a.jpg": 7}, ["a.jpg"], [7], id="without the file's folder"),
        pytest.param({"images/a.jpg": 7}, ["other/a.jpg"], [7], id="images/ in front"),
        pytest.param({"x\\a.jpg": 7, "y\\a.jpg": 8}, ["x/a.jpg", "y/a.jpg"], [7, 8], id="backslashes"),
        pytest.param({"a%20b.jpg": 7}, ["a b.jpg"], [7], id="percent encoding"),
        pytest.param({"A.JPG": 7}, ["a.jpg"], [7], id="another case"),
        pytest.param({"A.jpg": 7, "a.jpg": 8}, ["a.jpg", "A.jpg"], [8, 7], id="names that differ in case"),
        pytest.param({"caf\u00e9.jpg": 7}, ["cafe\u0301.jpg"], [7], id="composed accents"),
        pytest.param({"https://host/up/a.jpg?x=1": 7}, ["a.jpg"], [7], id="a URL"),
        pytest.param({"/home/me/set/a.jpg": 7}, ["a.jpg"], [7], id="another machine's path"),
        pytest.param({"C:\\set\\x\\a.jpg": 7, "C:\\set\\y\\a.jpg": 8}, ["y/a.jpg"], [8], id="another machine's folders"),
        pytest.param({"x/a.jpg": 7, "y/a.jpg": 8}, ["in/y/a.jpg", "in/x/a.jpg"], [8, 7], id="equal names in subfolders"),
        pytest.param({"a.jpg": 7, "x/a.jpg": 8}, ["in/a.jpg", "in/x/a.jpg"], [7, 8], id="equal names in a subfolder and not"),
        pytest.param({"x/a.jpg": 7}, ["in/x/a.jpg", "in/y/a.jpg"], [7, None], id="the better one of two"),
        pytest.param({"a.jpg": 7, "b.jpg": 1}, ["x/a.jpg", "y/a.jpg", "b.jpg"], [None, None, 1], id="two images for one entry"),
        pytest.param({"x/a.jpg": 7, "y/a.jpg": 8, "b.jpg": 1}, ["a.jpg", "b.jpg"], [None, 1], id="two entries for one image"),
        pytest.param({"x/a.jpg": 7, "y/a.jpg": 8, "b.jpg": 1}, ["z/a.jpg", "b.jpg"], [None, 1], id="two entries, and neither folder"),
        pytest.param({"b.jpg": 1}, ["a.jpg", "b.jpg"], [None, 1], id="not listed"),
        pytest.param({"ba.jpg": 1, "b.jpg": 2}, ["a.jpg", "b.jpg"], [None, 2], id="a name that ends alike"),
    ],
)
def test_an_image_has_the_id_of_its_name(tmp_path: Path, listed: dict[str, int], images: list[str], ids: list[int | None]):
    numbering = read_numbering(written(tmp_path, listed), images, CLASSES)
    assert list(numbering.image_ids) == ids
    assert (numbering.file, numbering.categories, numbering.first_free) == ("own.json", (Category(1, "person"),), max(listed.values()) + 1)


def test_the_image_beside_the_file_is_the_one_that_is_meant(tmp_path: Path):
    images = [str(tmp_path / folder / name) for folder in ("other", "set/images") for name in ("a.jpg", "b.jpg")]
    numbering = read_numbering(written(tmp_path / "set", {"a.jpg": 7, "b.jpg": 8}), images, CLASSES)
    assert numbering.image_ids == (None, None, 7, 8)


def test_an_image_may_be_a_link_to_a_file_of_another_name(tmp_path: Path):
    (tmp_path / "blob").write_bytes(b"")
    (tmp_path / "a.jpg").symlink_to(tmp_path / "blob")
    assert read_numbering(written(tmp_path, {"a.jpg": 7}), [str(tmp_path / "a.jpg")], CLASSES).image_ids == (7,)


@pytest.mark.parametrize(
    ("entry", "number"),
    [(5, 5), (0, 0), (5.0, 5), ("5", "5"), ("00a", "00a"), (-3, -3), (2**70, 2**70)],
    ids=str,
)
def test_ids_are_written_as_the_file_has_them(tmp_path: Path, entry: Any, number: Any):
    numbering = read_numbering(written(tmp_path, {"a.jpg": entry}, [{"id": entry, "name": "person"}]), ["a.jpg"], CLASSES)
    assert numbering.image_ids == (number,)
    assert numbering.category("person") == (number, "person")


@pytest.mark.parametrize(
    ("listed", "images", "categories", "notes"),
    [
        ({"a.jpg": 1}, ["a.jpg"], ["person", "traffic light"], []),
        (
            {"a.jpg": 4},
            ["a.jpg", "b.jpg", "c.jpg"],
            ["person"],
            [
                "2 images are left out of COCO results, as own.json does not list them: b.jpg, c.jpg.",
                "In a COCO data set, such images have new ids from 5 on.",
            ],
        ),
        (
            {"x/a.jpg": 1, "y/a.jpg": 2, "b.jpg": 3},
            ["a.jpg", "b.jpg"],
            ["person"],
            [
                "1 image is left out of COCO results, as own.json does not say clearly which image is meant: a.jpg. Keep the images in the "
                "folders that the file names.",
                "In a COCO data set, such images have new ids from 4 on.",
                "2 of the 3 images that own.json lists are not among those given. COCOeval counts their objects as missed, unless its "
                "params.imgIds leave them out.",
            ],
        ),
        (
            {"seq1/1.jpg": 1},
            ["seq2/1.jpg"],
            ["person"],
            [
                "1 image is found in own.json by the end of the name alone, such as seq2/1.jpg as seq1/1.jpg. Check that it is the same "
                "image."
            ],
        ),
        (
            {"a.jpg": 1},
            ["a.jpg"],
            ["Traffic_Light", "person", "person"],
            [
                "Categories of own.json that are written otherwise than the model's classes count as these: Traffic_Light for traffic "
                "light.",
                "Of categories of the same name in own.json, the first is used: person (id 1).",
            ],
        ),
    ],
    ids=["nothing", "images that are not listed", "two entries", "the end of a name", "categories"],
)
def test_what_does_not_fit_exactly_is_reported(
    tmp_path: Path, listed: dict[str, int], images: list[str], categories: list[str], notes: list[str]
):
    file = written(tmp_path, listed, [{"id": number, "name": name} for number, name in enumerate(categories)])
    assert list(read_numbering(file, images, CLASSES).notes) == notes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0 0.5 0.5 1 1", r"own.json is not valid JSON"),
        ("[]", r"own.json is JSON but not in COCO's format"),
        ({"categories": []}, r"own.json has no list \"images\""),
        ({"images": [{"id": 1, "file_name": "a.jpg"}]}, r"own.json has no list \"categories\""),
        ({"images": [{"id": 1}, 5, None], "categories": []}, r"own.json: no entry of \"images\" has both an \"id\" and a \"file_name\""),
        ({"images": [{"id": True, "file_name": "a.jpg"}], "categories": []}, r"no entry of \"images\""),
        ({"images": [{"id": 10**4200, "file_name": "a.jpg"}], "categories": []}, r"no entry of \"images\""),
        ({"images": [{"id": 1, "file_name": "a.jpg"}], "categories": []}, r"no entry of \"categories\" has both an \"id\" and a \"name\""),
        (
            {"images": [{"id": 1, "file_name": "b.jpg"}], "categories": [{"id": 1, "name": "person"}]},
            r"own.json has none of the images: it lists b.jpg, for example, and not a.jpg. Give the annotation file of these images.$",
        ),
        (
            {"images": [{"id": 1, "file_name": "a.jpg"}], "categories": [{"id": 1, "name": "cat"}]},
            r"own.json has none of the model's classes \(person, traffic light\): its categories are cat. Choose a model",
        ),
    ],
    ids=[
        "YOLO",
        "results",
        "no images",
        "no categories",
        "no names",
        "no id",
        "id of 4200 digits",
        "no category",
        "other images",
        "other classes",
    ],
)
def test_a_file_that_cannot_number_them_is_an_error(tmp_path: Path, content: Any, message: str):
    file = tmp_path / "own.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(DataError, match=message):
        read_numbering(file, ["a.jpg"], CLASSES)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(DataError, match=r"There is no own.json"):
        read_numbering(tmp_path / "own.json", ["a.jpg"], CLASSES)


def test_sizes_are_those_that_the_file_has(tmp_path: Path):
    sizes = [{"width": 64, "height": 48}, {"width": "64", "height": 48.0}, {"width": 0, "height": 48}, {"width": None, "height": 48}, {}]
    images = [{"id": number, "file_name": f"{number}.jpg", **size} for number, size in enumerate(sizes)]
    numbering = read_numbering(written(tmp_path, images), ["0.jpg"], CLASSES)
    assert numbering.sizes == {0: (64, 48), 1: (64, 48)}


def test_messages_have_the_images_names_and_no_paths(tmp_path: Path):
    paths = [str(tmp_path / "in" / name) for name in ("a.jpg", "b.jpg", "x/1.jpg", "y/1.jpg", "2.jpg")]
    names = ["A", "B", "X", "Y", "Z"]
    numbering = read_numbering(written(tmp_path, {"a.jpg": 1, "1.jpg": 2, "v/2.jpg": 3}), paths, CLASSES, names=names)
    assert numbering.image_ids == (1, None, None, None, 3)
    assert [word in " ".join(numbering.notes) for word in (": B.", ": X, Y.", "such as Z as v/2.jpg", str(tmp_path))] == [True] * 3 + [
        False
    ]


def test_a_folder_stands_for_its_annotations(tmp_path: Path):
    written(tmp_path, {"a.jpg": 7}).rename(tmp_path / "annotations.json")
    assert (
        read_numbering(tmp_path, ["a.jpg"], CLASSES).sentence(CLASSES, ())
        == "Image ids are those of annotations.json; so are category ids."
    )


FOLDERS = st.lists(st.sampled_from(["x", "y", "X"]), max_size=2)
NAMES = st.lists(st.tuples(FOLDERS, st.sampled_from(["a.jpg", "A.jpg", "b.jpg"])), min_size=1, max_size=6, unique_by=str)


@given(names=NAMES, order=st.randoms())
def test_no_image_gets_the_id_of_another(names: list[tuple[list[str], str]], order: Any):
    """Each image is listed by its whole name, in any order: it has its own id."""
    images = ["/".join([*folders, name]) for folders, name in names]
    listed = [ListedImage(number, image) for number, image in enumerate(images)]
    order.shuffle(listed)
    found = match_images([f"in/{image}" for image in images], listed, Path("elsewhere"))
    assert [entry and entry.id for entry in found.entries] == list(range(len(images)))
    assert (found.ambiguous, found.guesses) == ([], [])


@given(names=NAMES, given_names=NAMES)
def test_an_id_is_given_once(names: list[tuple[list[str], str]], given_names: list[tuple[list[str], str]]):
    listed = [ListedImage(number, "/".join([*folders, name])) for number, (folders, name) in enumerate(names)]
    found = match_images(["/".join([*folders, name]) for folders, name in given_names], listed, Path("elsewhere"))
    ids = [entry.id for entry in found.entries if entry is not None]
    assert len(set(ids)) == len(ids)
    assert len(found.entries) == len(given_names)
