"""YOLO labels, as Ultralytics, Roboflow, CVAT and this project write them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from detection_core.datasets.checks import check
from detection_core.datasets.coco import DataError
from detection_core.datasets.sources import read_dataset
from detection_core.datasets.yolo import read_yolo
from detection_core.formats import ImageResult, export
from tests.factories import COCO_KEYPOINT_NAMES, make_detections

SIZE = (200, 100)
ULTRALYTICS = "path: {root}\ntrain: images/train\nval: images/val\nnames:\n  0: person\n  1: dog\n"
ROBOFLOW = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\nnames: ['person', 'dog']\n"
CVAT = "names:\n  0: person\n  1: dog\npath: .\ntrain: train.txt\n"


def yolo_folder(path, yaml: str, labels: dict[str, str], images: str = "images/val"):
    """A data set of one image for each label file; None writes none."""
    for name, text in labels.items():
        image = path / images / f"{name}.png"
        image.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", SIZE).save(image)
        if text is not None:
            folder = path / images.replace("images", "labels")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.txt").write_text(text)
    (path / "data.yaml").write_text(yaml.format(root=path))
    return path


@pytest.mark.parametrize(
    ("yaml", "images", "listed"),
    [
        (ULTRALYTICS, "images/val", None),
        ("path: /elsewhere/on/another/machine\nval: images/val\nnames: [person, dog]\n", "images/val", None),
        (ROBOFLOW, "valid/images", None),
        (CVAT, "images/train", "data/../images/train/a.png\nimages/train/b.png\n"),
        (CVAT, "images/train", "./images/train/a.png\n\n./images/train/b.png\n"),
        ("val: [images/one, images]\nnc: 2\nnames: {{0: person, 1: dog}}\n", "images", None),
    ],
    ids=["Ultralytics", "moved", "Roboflow", "CVAT", "list with dots", "list of folders"],
)
def test_layouts_of_tools(tmp_path, yaml, images, listed):
    labels = {"a": "0 0.5 0.5 0.25 0.5\n1 0.25 0.25 0.1 0.1", "b": None}
    yolo_folder(tmp_path, yaml, labels, images)
    for folder in ("images/one", "data"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    if listed:
        (tmp_path / "train.txt").write_text(listed)
    dataset = read_dataset(tmp_path)
    assert dataset.categories == ("__background__", "person", "dog")
    assert [image.path.name for image in dataset.images] == ["a.png", "b.png"]
    assert [a["bbox"] for a in dataset.images[0].annotations] == [pytest.approx([75, 25, 50, 50]), pytest.approx([40, 20, 20, 10])]
    assert [dataset.labels[a["category_id"]] for a in dataset.images[0].annotations] == [1, 2]
    assert check(dataset, {"boxes"}) == []
    assert "1 image has no label file, and thus no objects." in dataset.notes


def test_polygons(tmp_path):
    yolo_folder(tmp_path, ULTRALYTICS, {"a": "1 0.1 0.1 0.3 0.1 0.3 0.5 0.1 0.5"})
    dataset = read_dataset(tmp_path)
    (annotation,) = dataset.images[0].annotations
    assert annotation["segmentation"] == [pytest.approx([20, 10, 60, 10, 60, 50, 20, 50])]
    assert (annotation["bbox"], annotation["area"]) == (pytest.approx([20, 10, 40, 40]), pytest.approx(1600))
    assert dataset.has_masks
    assert check(dataset, {"boxes", "masks"}) == []


@pytest.mark.parametrize(
    ("shape", "numbers", "names"),
    [
        ("[2, 3]", "0.5 0.5 2 0 0 0", ("keypoint 1", "keypoint 2")),
        ("[2, 2]", "0.5 0.5 0 0", ("keypoint 1", "keypoint 2")),
        ("[2, 3]\nkpt_names: {{0: [head, tail]}}", "0.5 0.5 2 0 0 0", ("head", "tail")),
    ],
)
def test_keypoints(tmp_path, shape, numbers, names):
    yolo_folder(tmp_path, f"{ULTRALYTICS}kpt_shape: {shape}\n", {"a": f"0 0.5 0.5 0.25 0.5 {numbers}"})
    dataset = read_dataset(tmp_path)
    (annotation,) = dataset.images[0].annotations
    assert (annotation["keypoints"], annotation["num_keypoints"]) == (pytest.approx([100, 50, 2, 0, 0, 0]), 1)
    assert dataset.keypoint_names == names
    assert check(dataset, {"boxes", "keypoints"}) == []


@pytest.mark.parametrize("task", ["detect", "segment", "pose"])
def test_own_exports_are_read(tmp_path, task):
    found = make_detections(3, image_size=SIZE[::-1], masks=True, keypoints=True)
    export([ImageResult("a.png", found)], [f"yolo-{task}"], tmp_path)
    folder = tmp_path / f"yolo_{task}"
    (folder / "images").mkdir()
    Image.new("RGB", SIZE).save(folder / "images" / "a.png")
    dataset = read_dataset(folder)
    assert dataset.categories == found.categories
    boxes = np.array([a["bbox"] for a in dataset.images[0].annotations])
    boxes[:, 2:] += boxes[:, :2]
    np.testing.assert_allclose(boxes, found.boxes, atol=10 if task == "segment" else 0.01)
    assert [a["category_id"] for a in dataset.images[0].annotations] == found.labels.tolist()
    assert dataset.keypoint_names == (tuple(COCO_KEYPOINT_NAMES) if task == "pose" else ())


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("0 0.5 0.5 0.2", "4 numbers"),
        ("0 0.5 0.5 0.2 0.2 0.9", "6 numbers"),
        ("2 0.5 0.5 0.2 0.2", "class is 2"),
        ("-1 0.5 0.5 0.2 0.2", "class is -1"),
        ("0.5 0.5 0.5 0.2 0.2", "class is 0.5"),
        ("0 100 50 20 20", "from 0 to 1"),
        ("0 nan 0.5 0.2 0.2", "not finite"),
        ("person 0.5 0.5 0.2 0.2", "not a line of numbers"),
        ("0 0.5 0.5 0 0.2", "0 × 20 pixels"),
        ("0 0.95 0.5 0.2 0.2", "beyond the image"),
    ],
)
def test_lines_that_cannot_be_used_are_faults(tmp_path, line, problem):
    yolo_folder(tmp_path, ULTRALYTICS, {"a": f"0 0.5 0.5 0.2 0.2\n{line}\n"})
    (fault,) = check(read_dataset(tmp_path), {"boxes"})
    assert problem in str(fault)
    assert "labels/val/a.txt, line 2" in str(fault) or "image 1 (images/val/a.png), annotation 2" in str(fault)


def test_repeated_lines_count_once(tmp_path):
    yolo_folder(tmp_path, ULTRALYTICS, {"a": "0 0.5 0.5 0.2 0.2\n1 0.5 0.5 0.2 0.2\n0 0.5 0.5 0.2 0.2\n"})
    assert [a["category_id"] for a in read_dataset(tmp_path).images[0].annotations] == [1, 2]


def test_splits(tmp_path):
    yolo_folder(tmp_path, ULTRALYTICS, {"a": ""})
    yolo_folder(tmp_path, ULTRALYTICS, {"b": ""}, "images/train")
    by_default = read_dataset(tmp_path)
    assert [image.file_name for image in by_default.images] == ["images/val/a.png"]
    assert by_default.notes[0] == "The images of “val” in data.yaml are read."
    assert [image.file_name for image in read_yolo(tmp_path / "data.yaml", split="train").images] == ["images/train/b.png"]


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("[1, 2]", "not the description"),
        ("names: [a\n", "not valid YAML"),
        ("val: images\n", "“names” must list"),
        ("val: images\nnames: [a, a]\n", "names that differ"),
        ("names: [a]\n", "names no images"),
        ("val: nowhere\nnames: [a]\n", "there is no"),
        ("val: 5\nnames: [a]\n", "not the path"),
        ("val: empty\nnames: [a]\n", "no images in"),
        ("val: images\nnames: [a]\nkpt_shape: 17\n", "kpt_shape"),
        ("val: images\nnames: [a]\n", "None of the 1 images has a label file"),
    ],
)
def test_what_cannot_be_read_is_a_sentence(tmp_path, yaml, message):
    (tmp_path / "empty").mkdir()
    yolo_folder(tmp_path, yaml, {"a": None}, "images")
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path)


def test_a_missing_split_is_a_sentence(tmp_path):
    yolo_folder(tmp_path, CVAT, {"a": ""})
    with pytest.raises(DataError, match="for “test”, only for: train"):
        read_yolo(tmp_path / "data.yaml", split="test")
