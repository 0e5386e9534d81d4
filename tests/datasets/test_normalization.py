"""Data sets as exporters write them: read as they are meant with a note, or refused in one line; never a traceback."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detection_core.cli.main import main
from detection_core.datasets.checks import check, without_faults
from detection_core.datasets.coco import BACKGROUND, CocoDataset, DataError, merge, read_coco
from detection_core.datasets.preparation import TrainingData, read_and_check
from tests.coco_folders import coco_folder, edit

TASKS = ("boxes", "masks", "keypoints")


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> tuple[Path, CocoDataset]:
    """Four images with a person and a dog each, as COCO would have them."""
    folder = coco_folder(tmp_path_factory.mktemp("sound"), size=(64, 48))
    return folder, read_coco(folder)


def read_changed(sound: tuple[Path, CocoDataset], change: Any) -> CocoDataset:
    """The data set read from a file that has been changed, beside the same images."""
    data = json.loads((sound[0] / "annotations.json").read_text())
    change(data)
    (sound[0] / "changed.json").write_text(json.dumps(data))
    return read_coco(sound[0] / "changed.json")


def each(part: str, **changes: Any):
    """A change of every entry; a function changes what is there."""

    def change(data):
        for entry in data[part]:
            entry.update({name: value(entry.get(name)) if callable(value) else value for name, value in changes.items()})

    return change


def both(*changes: Any):
    return lambda data: [change(data) for change in changes]


def with_categories(*categories: dict[str, Any]):
    """A change of the categories, by hand; persons keep their keypoints."""
    return lambda data: data.update(categories=[data["categories"][0] | each if each.get("id") == 1 else each for each in categories])


def without(part: str, *names: str):
    return lambda data: [entry.pop(name, None) for entry in data[part] for name in names]


SAME = {
    "image ids as digits": both(each("images", id=str), each("annotations", image_id=str)),
    "image ids with zeros": both(each("images", id=lambda i: str(i).zfill(12)), each("annotations", image_id=lambda i: str(i).zfill(12))),
    "only annotations have texts": each("annotations", image_id=str),
    "category ids as digits": both(each("categories", id=str), each("annotations", category_id=str)),
    "annotation ids as digits": each("annotations", id=str),
    "ids as texts with a point": each("annotations", image_id=lambda i: f"{i}.0".replace(".0.0", ".0")),
    "width and height as texts": each("images", width=str, height=str),
    "width with a point": each("images", width=float, height=float),
    "iscrowd false": each("annotations", iscrowd=False),
    "iscrowd text 0": each("annotations", iscrowd="0"),
    "iscrowd text false": each("annotations", iscrowd="False"),
    "iscrowd empty": each("annotations", iscrowd=""),
    "iscrowd NaN": each("annotations", iscrowd=math.nan),
    "iscrowd 0.0": each("annotations", iscrowd=0.0),
    "no iscrowd": without("annotations", "iscrowd"),
    "annotations by id": lambda data: data.update(annotations={str(a["id"]): a for a in data["annotations"]}),
    "images by id": lambda data: data.update(images={str(i["id"]): i for i in data["images"]}),
    "spaces around names": with_categories({"id": 1, "name": " person "}, {"id": 2, "name": "dog\n"}),
}


def comparable(dataset: CocoDataset) -> Any:
    entries = [image.annotations + image.crowds for image in dataset.images]
    kept = [[{key: value for key, value in a.items() if key != "iscrowd"} for a in of_image] for of_image in entries]
    images = [(image.id, image.path, image.size, len(image.crowds), image.has_masks, image.partial) for image in dataset.images]
    return images, kept, dataset.categories, dataset.category_ids, dataset.keypoint_names, dataset.malformed, dataset.orphans


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_other_ways_to_write_the_same_are_read_alike(sound, change):
    dataset = read_changed(sound, change)
    assert comparable(dataset) == comparable(sound[1])
    assert (dataset.notes, check(dataset, TASKS)) == ((), [])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.sampled_from(sorted(SAME))))
def test_any_of_them_together_are_read_alike(sound, names):
    # Those that turn lists into objects come last, the others change entries.
    ordered = sorted(names, key=lambda name: name.endswith("by id"))
    assert comparable(read_changed(sound, both(*(SAME[name] for name in ordered)))) == comparable(sound[1])


@pytest.mark.parametrize("value", [1, "1", True, "true", "TRUE", 1.0, "1.0", " yes "])
def test_crowds_in_any_spelling_are_crowds(sound, value):
    dataset = read_changed(sound, lambda data: data["annotations"][0].update(iscrowd=value))
    assert [len(image.crowds) for image in dataset.images] == [1, 0, 0, 0]
    assert dataset.images[0].crowds[0]["iscrowd"] == 1


PERSON, DOG = {"id": 1, "name": "person"}, {"id": 2, "name": "dog"}
NOTED = {
    "Roboflow's parent": (
        with_categories({"id": 0, "name": "pets", "supercategory": "none"}, PERSON | {"supercategory": "pets"}, DOG),
        "Left out of the classes: “pets” (id 0). Nobody annotates them; they only group other classes.",
    ),
    "a parent of the same name": (
        with_categories({"id": 0, "name": "dog", "supercategory": "none"}, PERSON, DOG | {"supercategory": "dog"}),
        "they only group other classes",
    ),
    "two parents": (
        with_categories(
            {"id": 0, "name": "all"}, {"id": 9, "name": "pets", "supercategory": "all"}, PERSON, DOG | {"supercategory": "pets"}
        ),
        "“all” (id 0), “pets” (id 9)",
    ),
    "background as class 0": (with_categories({"id": 0, "name": "background"}, PERSON, DOG), "knows the background without a class."),
    "background in torchvision's spelling": (with_categories({"id": 0, "name": "__background__"}, PERSON, DOG), "“__background__”"),
    "background in capitals": (with_categories(PERSON, DOG, {"id": 3, "name": "BACKGROUND"}), "“BACKGROUND”"),
    "background in two words": (with_categories(PERSON, DOG, {"id": 3, "name": "Back-Ground"}), "“Back-Ground”"),
    "background, short": (with_categories(PERSON, DOG, {"id": 3, "name": "_BG_"}), "“_BG_”"),
    "two of one name": (
        both(with_categories(PERSON, DOG, {"id": 7, "name": "dog"}), lambda data: data["annotations"][1].update(category_id=7)),
        "Several categories are called “dog” and count as one class.",
    ),
    "one twice": (with_categories(PERSON, DOG, DOG), "Several categories are called “dog”"),
    "unused ids": (
        with_categories(PERSON, DOG, {"id": 3, "name": "N/A"}, {"id": 4, "name": "n/a"}, {"id": 5, "name": ""}),
        "Nobody annotates them, and they have no names.",
    ),
    "no annotation ids": (without("annotations", "id"), "Most annotations have no ids that are whole numbers, so all are numbered"),
    "annotation ids as texts": (each("annotations", id=lambda i: f"a{i}"), "have no ids that are whole numbers"),
    "annotation ids repeat": (lambda data: [a.update(id=1 + a["id"] % 2) for a in data["annotations"]], "share their ids with others"),
    "no size": (without("images", "width", "height"), "The size of 4 images is read from the file, as the annotations do not tell it."),
    "size 0": (each("images", width=0, height=0), "The size of 4 images is read"),
    "size NaN": (each("images", width=math.nan), "The size of 4 images is read"),
    "size None": (each("images", width=None), "The size of 4 images is read"),
    "size of words": (lambda data: data["images"][0].update(width="unknown"), "The size of 1 image is read"),
    "slivers": (
        lambda data: [a["segmentation"].extend([[1, 2], [1, 2, 3, 4], []]) for a in data["annotations"][:2]],
        "6 polygons have fewer than three points",
    ),
    "an image listed twice": (
        lambda data: data["images"].append(data["images"][0] | {"id": 99}),
        "1 image is listed again under another id; their annotations are put together.",
    ),
    "an image listed twice, annotated in both": (
        lambda data: (
            data["images"].append(data["images"][0] | {"id": 99, "file_name": "./1.png"}),
            data["annotations"][1].update(image_id=99),
        ),
        "their annotations are put together.",
    ),
    "an image and its annotations twice": (
        lambda data: (
            data["images"].append(data["images"][0] | {"id": 99}),
            data["annotations"].extend([a | {"id": a["id"] + 900, "image_id": 99} for a in data["annotations"][:2]]),
        ),
        "but for 2 that are there twice",
    ),
    "a keypoint without a name": (
        lambda data: data["categories"][0].update(keypoints=["nose", "", "right_hand", "nose", "right_foot"]),
        "Keypoints without a name of their own are called “keypoint 2”, “nose 4”.",
    ),
}
RENAMED = {"annotation ids repeat", "annotation ids as texts", "no annotation ids", "a keypoint without a name"}


@pytest.mark.parametrize(("change", "note"), NOTED.values(), ids=NOTED)
def test_what_is_read_otherwise_than_written_is_reported_in_one_line(sound, change, note):
    dataset = read_changed(sound, change)
    (said,) = dataset.notes
    assert note in said
    assert check(dataset, TASKS) == []
    assert dataset.categories == (BACKGROUND, "person", "dog")
    assert [image.size for image in dataset.images] == [(64, 48)] * 4
    assert [len(image.annotations) for image in dataset.images] == [2, 2, 2, 2]
    boxes = [sorted(a["bbox"] for a in image.annotations) for image in dataset.images]
    assert boxes == [sorted(a["bbox"] for a in image.annotations) for image in sound[1].images]
    assert [sorted(dataset.labels[a["category_id"]] for a in image.annotations) for image in dataset.images] == [[1, 2]] * 4


def test_run_lengths_with_a_point_are_whole_numbers(tmp_path):
    folder = coco_folder(tmp_path, segmentation="counts")
    whole = read_coco(folder)
    for kind in (float, str):
        edit(folder, lambda data: [a["segmentation"].update(counts=[*map(kind, a["segmentation"]["counts"])]) for a in data["annotations"]])  # noqa: B023
        edit(folder, lambda data: [a["segmentation"].update(size=[*map(kind, a["segmentation"]["size"])]) for a in data["annotations"]])  # noqa: B023
        assert read_coco(folder) == whole
    assert read_coco(folder) == whole
    assert type(read_coco(folder).images[0].annotations[0]["segmentation"]["counts"][0]) is int


def test_annotations_of_a_background_class_are_dropped(sound):
    dataset = read_changed(sound, with_categories(PERSON, {"id": 2, "name": "Background"}))
    assert "4 annotations of it are dropped." in dataset.notes[0]
    assert (dataset.categories, check(dataset, TASKS)) == ((BACKGROUND, "person"), [])
    assert [len(image.annotations) for image in dataset.images] == [1] * 4


def test_a_group_that_is_annotated_is_a_class(sound):
    dataset = read_changed(sound, with_categories(PERSON, DOG | {"supercategory": "person"}))
    assert (dataset.categories, dataset.notes) == ((BACKGROUND, "person", "dog"), ())


def test_ids_with_gaps_and_names_of_other_scripts_are_kept(sound):
    names = {1: "人 😀", 2: "می‌خواهم", 900_000: "c"}
    dataset = read_changed(sound, lambda data: data.update(categories=[{"id": i, "name": n} for i, n in names.items()]))
    assert (dataset.categories[1:], dataset.category_ids[1:]) == (tuple(names.values()), tuple(names))


ONE_LINE = {
    "image ids as stems": (both(each("images", id=lambda i: f"p{i}"), each("annotations", image_id=lambda i: f"p{i}")), 'such as "p1"'),
    "only images have stems": (each("images", id=lambda i: f"p{i}"), '"id" of "images" is a text'),
    "only annotations have stems": (each("annotations", image_id="x.jpg"), '"image_id" of "annotations" is a text, such as "x.jpg"'),
    "classes by name": (each("annotations", category_id="dog"), '"category_id" of "annotations" is a text, such as "dog"'),
    "category ids as words": (each("categories", id=lambda i: f"c{i}"), '"id" of "categories" is a text'),
    "an empty name": (with_categories({"id": 1, "name": ""}, DOG), "the category 1 has an empty name"),
    "a blank name": (with_categories({"id": 1, "name": "  "}, DOG), "the category 1 has an empty name"),
    "N/A": (with_categories({"id": 1, "name": "N/A"}, DOG), "is called “N/A”"),
    "a line break": (with_categories({"id": 1, "name": "per\nson"}, DOG), "line break"),
    "a NUL": (with_categories({"id": 1, "name": "per\0son"}, DOG), "cannot be shown"),
    "half a pair": (with_categories({"id": 1, "name": "\ud83d"}, DOG), "cannot be shown"),
    "two names of one id": (
        with_categories(PERSON, {"id": 2, "name": "dog"}, {"id": 2, "name": "cat"}),
        "several categories have the id 2",
    ),
    "only a background": (lambda data: data.update(categories=[{"id": 0, "name": "background"}]), "no category is a class"),
    "a keypoint with a line break": (
        lambda data: data["categories"][0].update(keypoints=["no\nse", "a", "b", "c", "d"]),
        "a keypoint of the category",
    ),
    "no annotations": (lambda data: data.pop("annotations"), 'no list "annotations"'),
    "keypoints by number": (lambda data: data["categories"][0].update(keypoints=[{"a": 1}]), "must be a list of the keypoints' names"),
}


@pytest.mark.parametrize(("change", "says"), ONE_LINE.values(), ids=ONE_LINE)
@pytest.mark.parametrize("skip_invalid", [False, True])
def test_what_cannot_be_read_is_one_line_before_anything_starts(sound, capsys, change, says, skip_invalid):
    with pytest.raises(DataError) as error:
        read_changed(sound, change)
    message = str(error.value)
    assert says in message
    assert message.isprintable()
    options = ["--model", "fasterrcnn_mobilenet_v2_fpn", "--init", "random", "--image-size", "64"]
    options += ["--skip-invalid"] * skip_invalid
    assert main(["train", "--data", str(sound[0] / "changed.json"), "--out", str(sound[0] / "never.pt"), *options]) == 2
    assert capsys.readouterr().err == f"{message}\n"


def test_a_few_ids_that_are_texts_are_faults_of_their_entries(sound):
    dataset = read_changed(sound, lambda data: data["images"][0].update(id="p1"))
    assert len(dataset.malformed) == 1
    assert "it needs \"id\", a whole number (it has 'p1')" in dataset.malformed[0].problem
    left = without_faults(dataset, check(dataset, TASKS))
    assert [image.id for image in left.dataset.images] == [2, 3, 4]


@pytest.mark.parametrize("value", [True, [1], {}, math.inf, 1.5, "9" * 5000])
@pytest.mark.parametrize("field", ["id", "width"])
def test_numbers_that_are_none_are_faults_of_their_entries(sound, field, value):
    dataset = read_changed(sound, lambda data: data["images"][0].update({field: value}))
    faults = [] if field == "width" and value != 1.5 else [entry.position for entry in dataset.malformed]
    assert faults in ([], [0])
    check(dataset, TASKS)


@pytest.mark.parametrize("rle", [{"counts": None}, {"counts": 5, "size": "x"}, {"size": [None, [1]], "counts": [{}]}])
def test_run_lengths_of_another_kind_stay_a_fault(sound, rle):
    dataset = read_changed(sound, lambda data: data["annotations"][0].update(segmentation=rle))
    assert {fault.annotation_id for fault in check(dataset, TASKS)} == {1}


def test_a_polygon_without_a_good_ring_stays_a_fault(sound):
    dataset = read_changed(sound, lambda data: data["annotations"][0].update(segmentation=[[1, 2, 3, 4], [5, 6]]))
    assert [fault.annotation_id for fault in check(dataset, TASKS)] == [1]
    assert dataset.notes == ()


def test_the_size_of_a_missing_image_stays_a_fault(sound):
    dataset = read_changed(sound, lambda data: data["images"][0].update(file_name="gone.png", width=None))
    assert '"width", a whole number (it has None)' in dataset.malformed[0].problem


class TestSeveralFiles:
    """A category may group others in one file and be a class in another."""

    @pytest.fixture
    def folders(self, tmp_path):
        first, second = coco_folder(tmp_path / "a"), coco_folder(tmp_path / "b", images=2)
        for folder in (first, second):
            edit(folder, with_categories({"id": 1, "name": "person"}, DOG | {"supercategory": "person"}))
        edit(second, lambda data: data.update(annotations=[a for a in data["annotations"] if a["category_id"] == 2]))
        return first, second

    def test_merged(self, folders):
        first, second = (read_coco(folder) for folder in folders)
        assert second.categories == (BACKGROUND, "dog")
        for order in ([first, second], [second, first]):
            merged = merge(order)
            assert merged.categories == (BACKGROUND, "person", "dog")
            assert {merged.labels[a["category_id"]] for image in merged.images for a in image.annotations} == {1, 2}

    def test_one_to_learn_from_and_one_to_measure_on(self, folders):
        said: list[str] = []
        training, validation = read_and_check(TrainingData([folders[0]], [folders[1]]), {"boxes"}, 0, said.append)
        assert training.categories == validation.categories == (BACKGROUND, "person", "dog")
        assert len(said) == 1
        training, validation = read_and_check(TrainingData([folders[1]], [folders[0]]), {"boxes"}, 0, said.append)
        assert training.categories == validation.categories == (BACKGROUND, "person", "dog")


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3) | st.sampled_from(["1", "N/A", "\ud83d", "1.png"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "name", "counts", "size"]), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["images", "annotations", "categories"]),
            st.integers(0, 1),
            st.sampled_from(
                [
                    "id",
                    "file_name",
                    "width",
                    "image_id",
                    "category_id",
                    "bbox",
                    "segmentation",
                    "iscrowd",
                    "name",
                    "keypoints",
                    "supercategory",
                ]
            ),
            JUNK,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_nothing_in_a_file_reaches_a_traceback(sound, changes):
    def change(data):
        for part, position, field, value in changes:
            data[part][position][field] = copy.deepcopy(value)

    try:
        check(read_changed(sound, change), TASKS)
        read_and_check(TrainingData([sound[0] / "changed.json"], skip_invalid=True), {"boxes", "masks", "keypoints"}, 0, lambda _: None)
    except DataError as error:
        problem = str(error)
    else:
        problem = ""
    assert "\n" not in problem
