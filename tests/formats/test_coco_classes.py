"""Tests that category ids get the names that they have in the file, in a list or in a model, and COCO's only if they can be COCO's."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.detections.coco_names import COCO_CLASSES
from detection_core.formats import ClassList, ResultsFormatError, import_coco_results, read_class_names
from detection_core.formats.coco_classes import COCO_NAMES

REMEDY = "To name the classes, add “categories” to the file or, on the command line, --classes FILE."
PETS = {"Pets": ("__background__", "cat", "dog")}
COCO = {"COCO model": COCO_CLASSES}
PERSON = {"Person model": ("__background__", "person")}
NUMBERS = "So its classes have numbers instead of names. " + REMEDY
LIST = ClassList(("helmet", "vest", "glove"), None, "“names.txt”")


def imported(ids, **options):
    entries = [{"image_id": 1, "category_id": key, "bbox": [0, 0, 5, 5], "score": 0.5} for key in ids]
    found = import_coco_results(entries, (10, 10), **options)
    return found.detections.names, list(found.notes)


@pytest.mark.parametrize(
    ("ids", "options", "names", "notes"),
    [
        ([1, 18, 90], {}, ["person", "dog", "toothbrush"], []),
        ([1, 18], {"compared": COCO}, ["person", "dog"], []),
        ([1, 18], {"compared": PERSON}, ["person", "dog"], []),
        ([0, 2], {}, ["class 0", "class 2"], [f"Its category ids are not COCO's: COCO has no 0. {NUMBERS}"]),
        ([2, 91], {}, ["class 2", "class 91"], [f"Its category ids are not COCO's: 91 is above 90. {NUMBERS}"]),
        ([1, 12], {}, ["class 1", "class 12"], [f"Its category ids are not COCO's: COCO leaves out 12. {NUMBERS}"]),
        (
            [1, 80],
            {"compared": COCO},
            ["class 1", "class 80"],
            ["Its category ids are not COCO's: none is above 80, the last of its classes if they are counted without gaps. " + NUMBERS],
        ),
        ([80, 81], {}, ["toaster", "sink"], []),
        (
            [0, 2, 79],
            {"compared": COCO},
            ["person", "car", "toothbrush"],
            [f"Its category ids are not COCO's: COCO has no 0. They are taken for the classes of COCO model, counted from 0. {REMEDY}"],
        ),
        (
            [1, 12, 80],
            {"compared": COCO},
            ["person", "stop sign", "toothbrush"],
            [
                "Its category ids are not COCO's: COCO leaves out 12. They are taken for the classes of COCO model, counted from 1. "
                + REMEDY
            ],
        ),
        (
            [0, 1],
            {"compared": PETS},
            ["cat", "dog"],
            [f"Its category ids are not COCO's: COCO has no 0. They are taken for the classes of Pets, counted from 0. {REMEDY}"],
        ),
        ([0, 1], {"compared": PETS | COCO}, ["class 0", "class 1"], [f"Its category ids are not COCO's: COCO has no 0. {NUMBERS}"]),
        (
            [1, 2],
            {"compared": PETS},
            ["person", "bicycle"],
            [f"Its category ids are taken for COCO's; if they are those of Pets, its classes have other names. {REMEDY}"],
        ),
        (
            [5, 95],
            {"compared": {"Many": ("__background__", *(f"thing {n}" for n in range(1, 120)))}},
            ["thing 5", "thing 95"],
            [f"Its category ids are not COCO's: 95 is above 90. They are taken for the classes of Many, by its labels. {REMEDY}"],
        ),
        ([0, 2], {"class_list": LIST, "compared": PETS}, ["helmet", "glove"], []),
        (
            [1, 3],
            {"class_list": LIST},
            ["helmet", "glove"],
            ["Its category ids fit the names in “names.txt” counted from 1, so they are counted from 1."],
        ),
        (
            [1, 2],
            {"class_list": LIST},
            ["vest", "glove"],
            [
                "Its category ids fit the names in “names.txt” counted from 0 and from 1; they are counted from 0. "
                "Names with ids, as in a COCO JSON, leave no doubt."
            ],
        ),
        (
            [0, 7],
            {"class_list": LIST},
            ["helmet", "class 7"],
            ["There is no name in “names.txt” for category 7, so such classes have numbers instead of names."],
        ),
        ([3, 1], {"class_list": ClassList((), {1: "oak", 3: "elm"}, "“trees.json”")}, ["elm", "oak"], []),
        ([0, 1], {"categories": {0: "a", 1: "b"}}, ["a", "b"], []),
    ],
    ids=str,
)
def test_names(ids, options, names, notes):
    assert imported(ids, **options) == (names, notes)


def test_the_files_own_names_come_first():
    data = {
        "annotations": [{"image_id": 1, "category_id": 0, "bbox": [0, 0, 5, 5], "score": 0.5}],
        "categories": [{"id": 0, "name": "oak"}],
    }
    found = import_coco_results(data, (10, 10), class_list=LIST, compared=COCO)
    assert (found.detections.names, found.notes) == (["oak"], ())


def test_ids_of_other_images_say_what_the_numbering_is():
    entries = [{"image_id": image, "category_id": key, "bbox": [0, 0, 5, 5], "score": 0.5} for image, key in ((1, 3), (2, 0))]
    found = import_coco_results(entries, (10, 10), image_id=1)
    assert found.detections.names == ["class 3"]


def test_labels_are_those_of_the_model_so_that_colors_are_the_same():
    entries = [{"image_id": 1, "category_id": key, "bbox": [0, 0, 5, 5], "score": 0.5} for key in (0, 79)]
    assert import_coco_results(entries, (10, 10), compared=COCO).detections.labels.tolist() == [1, 90]


def test_an_id_with_several_names_is_no_class():
    entries = [
        {"image_id": 1, "category_id": 0, "category_name": name, "bbox": [0, 0, 5, 5], "score": score}
        for name, score in (("cat", 0.9), ("dog", 0.8), ("zebu", 0.7))
    ]
    assert import_coco_results(entries, (10, 10)).detections.names == ["cat", "dog", "zebu"]


@given(st.lists(st.integers(0, 200) | st.sampled_from(sorted(COCO_NAMES)), min_size=1, max_size=12))
def test_coco_names_are_taken_for_coco_ids_only(ids: list[int]):
    names, notes = imported(ids)
    if set(ids) <= COCO_NAMES.keys() and max(ids) != 80:
        assert (names, notes) == ([COCO_NAMES[key] for key in ids], [])
    else:
        assert names == [f"class {key}" for key in ids]
        assert len(notes) == 1


@given(st.dictionaries(st.integers(0, 10**6), st.text("abc", min_size=1, max_size=3), min_size=1, max_size=8))
def test_names_in_the_file_are_taken_as_they_are(categories: dict[int, str]):
    data = {
        "annotations": [{"image_id": 1, "category_id": str(key), "bbox": [0, 0, 5, 5], "score": 0.5} for key in categories],
        "categories": [{"id": float(key), "name": name} for key, name in categories.items()],
    }
    found = import_coco_results(data, (10, 10))
    assert (found.detections.names, found.notes) == (list(categories.values()), ())


@pytest.mark.parametrize(
    ("name", "content", "names", "by_id"),
    [
        ("classes.txt", b"cat\nbig dog\n\n", ("cat", "big dog"), None),
        ("classes.txt", "\ufeffcat\r\n\r\nKatze ü\r\n".encode(), ("cat", "class 1", "Katze ü"), None),
        ("coco.names", "cat\ndog".encode("utf-16"), ("cat", "dog"), None),
        ("labels.txt", b"__background__\ncat\n", (), {0: "__background__", 1: "cat"}),
        ("data.yaml", b"train: x\nnames:\n  0: cat\n  1: dog\n", ("cat", "dog"), None),
        ("data.yml", b"nc: 2\nnames: [cat, 'dog']\n", ("cat", "dog"), None),
        ("data.yaml", b"names: {3: cat, 5: dog}\n", (), {3: "cat", 5: "dog"}),
        ("coco.json", b'{"categories": [{"id": 7, "name": "cat"}]}', (), {7: "cat"}),
        ("names.json", b'["cat", "dog"]', ("cat", "dog"), None),
    ],
)
def test_names_from_a_file(tmp_path: Path, name: str, content: bytes, names: tuple[str, ...], by_id: dict[int, str] | None):
    (tmp_path / name).write_bytes(content)
    assert read_class_names(tmp_path / name) == ClassList(names, by_id, f"“{name}”")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "“a.txt” has no class names: it must have a name in each line."),
        ("a.txt", b"\x89PNG\xff", "“a.txt” is not valid text in UTF-8, so no class names can be read from it."),
        ("a.yaml", b"train: x", "“a.yaml” has no class names: it must have “names”, as YOLO's data.yaml has them."),
        ("a.yaml", b"names: [", "“a.yaml” is not valid YAML, so no class names can be read from it."),
        ("a.yaml", b"names: !!python/object:os.system {}", "“a.yaml” is not valid YAML, so no class names can be read from it."),
        ("a.json", b"{", "“a.json” is not valid JSON, so no class names can be read from it."),
        ("a.json", b"{}", "“a.json” has no class names: it must have “categories” with “id” and “name”, as COCO's files have them."),
        ("a.json", b'[{"id": 1}]', "categories[0] must have an integer “id” and a string “name”."),
        ("gone.txt", None, "“gone.txt” cannot be read: No such file or directory."),
    ],
)
def test_a_file_without_names_is_refused(tmp_path: Path, name: str, content: bytes | None, message: str):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ResultsFormatError) as raised:
        read_class_names(tmp_path / name)
    assert str(raised.value) == message
