"""Pascal VOC's XML files, as the devkit, LabelImg, CVAT and Roboflow write them."""

from __future__ import annotations

import pytest
from PIL import Image

from detection_core.datasets.checks import check
from detection_core.datasets.coco import DataError
from detection_core.datasets.sources import read_dataset

SIZE = (200, 100)
OBJECT = "<object><name>{name}</name>{more}<bndbox><xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"


def an_object(*sides: float, name: str = "dog", more: str = "") -> str:
    return OBJECT.format(*sides, name=name, more=more)


def voc_folder(path, objects: str, *, xml: str = "Annotations/a.xml", image: str = "JPEGImages/a.png", filename: str = "a.png", size=SIZE):
    for name in (xml, image):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE).save(path / image)
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>" if size else ""
    (path / xml).write_text(f"<annotation><folder>x</folder><filename>{filename}</filename>{stated}{objects}</annotation>")
    return path


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"filename": "of_another_name.png"},
        {"filename": "C:\\photos\\a.png"},
        {"xml": "a.xml", "image": "a.png"},
        {"xml": "train/a.xml", "image": "train/a.png"},
        {"xml": "Annotations/default/a.xml", "image": "JPEGImages/a.png"},
        {"image": "images/a.png", "size": None},
        {"size": (0, 0)},
    ],
    ids=["devkit", "renamed", "path", "LabelImg", "Roboflow", "CVAT", "without a size", "size of zero"],
)
def test_layouts_of_tools(tmp_path, layout):
    """A box that covers the whole image counts pixels from 1."""
    dataset = read_dataset(voc_folder(tmp_path, an_object(1, 1, 200, 100) + an_object(11, 21, 30, 60, name="cat"), **layout))
    assert dataset.categories == ("__background__", "cat", "dog")
    (image,) = dataset.images
    assert (image.path, image.size) == (tmp_path / layout.get("image", "JPEGImages/a.png"), SIZE)
    assert [(a["category_id"], a["bbox"]) for a in image.annotations] == [(2, [0, 0, 200, 100]), (1, [10, 20, 20, 40])]
    assert check(dataset, {"boxes"}) == []
    assert dataset.notes == ()


@pytest.mark.parametrize("sides", [(0, 0, 200, 100), (10.5, 20, 30, 40)])
def test_some_tools_count_from_zero(tmp_path, sides):
    dataset = read_dataset(voc_folder(tmp_path, an_object(*sides)))
    (annotation,) = dataset.images[0].annotations
    assert annotation["bbox"] == [sides[0], sides[1], sides[2] - sides[0], sides[3] - sides[1]]
    assert "count from 0" in dataset.notes[0]


def test_difficult_objects_are_not_evaluated(tmp_path):
    dataset = read_dataset(voc_folder(tmp_path, an_object(1, 1, 20, 20) + an_object(5, 5, 50, 50, more="<difficult>1</difficult>")))
    (image,) = dataset.images
    assert (len(image.annotations), len(image.crowds)) == (1, 1)
    assert dataset.notes == ("1 object is marked as difficult, and not evaluated.",)


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ("<object><name>dog</name></object>", "Annotations/a.xml, object 2: its <bndbox> must have the numbers"),
        ("<object><bndbox/></object>", "object 2: it has an empty name"),
        (an_object(1, 1, float("nan"), 5), "not finite"),
        (an_object(50, 50, 20, 90), "pixels"),
        (an_object(50, 50, 260, 90), "beyond the image"),
    ],
)
def test_objects_that_cannot_be_used_are_faults(tmp_path, broken, problem):
    (fault,) = check(read_dataset(voc_folder(tmp_path, an_object(1, 1, 20, 20) + broken)), {"boxes"})
    assert problem in str(fault)


def test_missing_images_are_faults(tmp_path):
    voc_folder(tmp_path, an_object(1, 1, 20, 20))
    (tmp_path / "JPEGImages" / "a.png").unlink()
    (fault,) = check(read_dataset(tmp_path), {"boxes"})
    assert "image 1 (a.png): its image file is missing" in str(fault)


@pytest.mark.parametrize(
    ("xml", "message"),
    [("<annotation><object>", "not valid XML"), ("<annotation/>", "no objects"), ("<other/>", "no XML file has an <annotation>")],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path, xml, message):
    (tmp_path / "a.xml").write_text(xml)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path)
