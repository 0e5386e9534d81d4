"""Tables of what other tools write: what is read as they mean it, and what is refused, with its message."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from detection_core.formats import (
    InvalidEntryError,
    ResultsFormatError,
    SeveralImagesError,
    import_coco_results,
    read_coco_results,
    to_coco_results,
)
from tests.factories import make_detections
from tests.formats.pixels import full_mask, mask_iou

SIZE = (48, 64)
GOOD: dict[str, Any] = {"image_id": 7, "category_id": 18, "bbox": [10, 20, 30, 20], "score": 0.5}
BOX = [10, 20, 40, 40]
SQUARE = np.zeros(SIZE, np.uint8, order="F")
SQUARE[20:40, 10:40] = 1
RLE = coco_mask.encode(SQUARE)
RING = [10, 20, 40, 20, 40, 40, 10, 40]
PLAIN_RLE = {"size": [48, 64], "counts": [500, *[20, 28] * 29, 20, 1160]}
CROWD = GOOD | {"iscrowd": 1, "bbox": [0, 0, 64, 48]}


def without(field: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != field} | changes


def as_bytes(data: Any) -> bytes:
    return json.dumps(data).encode()


# What differs in the entry, and what differs in the result from one dog with a score of 0.5 in the box, without a mask.
TOLERATED_ENTRIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{
        f"segmentation {value!r}": ({"segmentation": value}, {})
        for value in (None, "", [], {}, [[]], {"size": [48, 64], "counts": []}, {"size": [48, 64], "counts": ""})
    },
    "polygon of two points": ({"segmentation": [[1, 2, 3, 4]]}, {"note": "1 object is shown without a mask, because it has"}),
    "sliver beside a polygon": ({"segmentation": [RING, [1, 2, 3, 4], []]}, {"mask": True}),
    "flat list of points": ({"segmentation": RING}, {"mask": True}),
    "run lengths as bytes": ({"segmentation": RLE}, {"mask": True}),
    "run lengths in a list": ({"segmentation": [RLE]}, {"mask": True}),
    "plain run lengths": ({"segmentation": PLAIN_RLE}, {"mask": True}),
    "run lengths as floats": ({"segmentation": {"size": (48.0, "64"), "counts": [*map(float, PLAIN_RLE["counts"])]}}, {"mask": True}),
    "run lengths as an array": ({"segmentation": {"size": np.array(SIZE), "counts": np.array(PLAIN_RLE["counts"])}}, {"mask": True}),
    "polygon as an array": ({"segmentation": [np.array(RING, np.float32)]}, {"mask": True}),
    "box of zeros with a mask": ({"bbox": [0, 0, 0, 0], "segmentation": RLE}, {"mask": True}),
    "no box but a mask": ({"bbox": [], "segmentation": RLE}, {"mask": True}),
    "box as texts": ({"bbox": ["10", "20.0", " 30", "2e1"]}, {}),
    "box as an array": ({"bbox": np.array([10, 20, 30, 20], np.float32)}, {}),
    "box as a tuple": ({"bbox": (10, 20, 30, 20)}, {}),
    "box over the edge": ({"bbox": [10, 20, 54.4, 28.3]}, {"box": [10, 20, 64, 48]}),
    "box of zeros": ({"bbox": [0, 0, 0, 0]}, {"box": [0, 0, 0, 0]}),
    "score as a text": ({"score": "0.5"}, {}),
    "score of NumPy": ({"score": np.float32(0.5)}, {}),
    "score of an array": ({"score": np.array(0.5)}, {}),
    "score a hair over 1": ({"score": 1.0000001}, {"score": 1}),
    "score a thousandth over 1": ({"score": 1.001}, {"score": 1}),
    "score a hair below 0": ({"score": -1e-7}, {"score": 0}),
    "category as a text": ({"category_id": "18"}, {}),
    "category as a float": ({"category_id": 18.0}, {}),
    "category of NumPy": ({"category_id": np.int64(18)}, {}),
    "category by name": ({"category_id": "Dog"}, {}),
    "category with its name, of SAHI": ({"category_id": 16, "category_name": "dog"}, {}),
    "category by an unknown name": ({"category_id": "zebu"}, {"name": "zebu"}),
    "image id as a float": ({"image_id": 7.0}, {}),
    "image id of NumPy": ({"image_id": np.int32(7)}, {}),
    "image id as a text": ({"image_id": "000007"}, {}),
    "file name in place of an id": ({"image_id": None, "file_name": "a.jpg"}, {}),
    "mask NaN, of pandas": ({"segmentation": float("nan")}, {}),
    "keypoints null": ({"keypoints": None}, {}),
    "keypoints as triples": ({"keypoints": np.ones((17, 3))}, {"keypoints": 17}),
    "five keypoints": ({"keypoints": [20, 30, 2] * 5}, {"keypoints": 5}),
    "no crowd": ({"iscrowd": "0"}, {}),
}


@pytest.mark.parametrize(("changes", "expected"), TOLERATED_ENTRIES.values(), ids=TOLERATED_ENTRIES)
def test_entries_are_read_as_they_are_meant(changes: dict[str, Any], expected: dict[str, Any]):
    imported = import_coco_results([GOOD | changes], SIZE)
    found = imported.detections
    assert found.boxes.tolist() == [expected.get("box", BOX)]
    assert found.scores.tolist() == [expected.get("score", 0.5)]
    assert found.names == [expected.get("name", "dog")]
    assert (found.keypoints.shape[1] if found.keypoints is not None else 0) == expected.get("keypoints", 0)
    assert (found.masks is not None) == expected.get("mask", False)
    if found.masks is not None:
        assert mask_iou(full_mask(found, 0), SQUARE.astype(bool)) == 1
    assert [note[:45] for note in imported.notes] == ([expected["note"][:45]] if "note" in expected else [])


TOLERATED_FILES: dict[str, tuple[Any, int, list[str]]] = {
    "nothing": ([], 0, []),
    "byte-order mark": (b"\xef\xbb\xbf" + as_bytes([GOOD]), 1, []),
    "UTF-16": (json.dumps([GOOD]).encode("utf-16"), 1, []),
    "gzip": (gzip.compress(as_bytes([GOOD])), 1, []),
    "JSON lines with half of a pair": (
        as_bytes(GOOD) + b"\n" + as_bytes(GOOD)[:-1] + b', "note": "\xed\xa0\x80"}' + b"\n",
        2,
        [],
    ),
    "JSON lines": (as_bytes(GOOD) + b"\r\n" + as_bytes(GOOD) + b"\n", 2, []),
    "one line": (as_bytes(GOOD), 1, []),
    "array of objects": (np.array([GOOD, GOOD], dtype=object), 2, []),
    "file names of a data set": (
        {"images": [{"id": 1, "file_name": "a.jpg"}], "annotations": [without("image_id", file_name="a.jpg"), GOOD | {"image_id": 1}]},
        2,
        [],
    ),
    "wrapped": ({"results": [GOOD]}, 1, []),
    "predictions": ({"predictions": [GOOD], "images": None}, 1, []),
    "annotations": ({"annotations": [GOOD], "categories": None}, 1, []),
    "array of COCO.loadRes": (np.array([[7, 10, 20, 30, 20, 0.5, 18]]), 1, []),
    "number and text": ([GOOD, GOOD | {"image_id": "7"}], 2, []),
    "crowd": ([GOOD, CROWD], 1, ["1 crowd is (“iscrowd”) left out, because a crowd is not a single object."]),
    "sizes as texts": ({"images": [{"id": "7", "width": "64", "height": 48.0}], "annotations": [GOOD]}, 1, []),
    "categories": ({"categories": [{"id": "18", "name": "dog"}, {"id": 2, "name": "dog"}], "annotations": [GOOD]}, 1, []),
    "corners": (
        [GOOD | {"bbox": [40, 30, 60, 45]}, GOOD | {"bbox": [30, 30, 60, 40]}],
        2,
        [
            "2 of 2 boxes reach beyond the image and are cut off there. All would be inside as [left, top, right, bottom], but COCO's "
            "boxes are [x, y, width, height]: check what the tool has written."
        ],
    ),
}


@pytest.mark.parametrize(("data", "count", "notes"), TOLERATED_FILES.values(), ids=TOLERATED_FILES)
def test_files_are_read_as_they_are_meant(data: Any, count: int, notes: list[str]):
    imported = import_coco_results(data, SIZE)
    assert imported.detections.names == ["dog"] * count
    assert list(imported.notes) == notes


NO_SCORE = (
    "its “score” is missing. Write the detection's confidence, from 0 to 1, under this name; annotations by people, which have none, are "
    "read as a COCO data set with “images” and “categories”."
)
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no score": (without("score"), NO_SCORE),
    "score null": (GOOD | {"score": None}, NO_SCORE),
    "another name for the score": (without("score", confidence=0.9), NO_SCORE),
    "percentage": (GOOD | {"score": 87}, "its “score” must be a number from 0 to 1, but is 87. Divide percentages by 100."),
    "score NaN": (GOOD | {"score": float("nan")}, "its “score” must be a number from 0 to 1, but is NaN."),
    "score above 1": (GOOD | {"score": 1.01}, "its “score” must be a number from 0 to 1, but is 1.01."),
    "score below 0": (GOOD | {"score": -0.2}, "its “score” must be a number from 0 to 1, but is -0.2."),
    "score a word": (GOOD | {"score": "high\n"}, "its “score” must be a number from 0 to 1, but is “high\\n”."),
    "score a flag": (GOOD | {"score": True}, "its “score” must be a number from 0 to 1, but is true."),
    "no category": (without("category_id"), "its “category_id” must be a whole number of at least 0, but is missing."),
    "category -1": (GOOD | {"category_id": -1}, "its “category_id” must be a whole number of at least 0, but is -1."),
    "category 1.5": (GOOD | {"category_id": "1.5"}, "its “category_id” must be a whole number of at least 0, but is “1.5”."),
    "box an object": (GOOD | {"bbox": {"x": 1}}, "its “bbox” must be a list of four numbers [x, y, width, height], but is an object of 1."),
    "box of three": (GOOD | {"bbox": [1, 2, 3]}, "its “bbox” must be a list of four numbers [x, y, width, height], but is a list of 3."),
    "box infinite": (
        GOOD | {"bbox": [1, 2, float("inf"), 4]},
        "its “bbox” must contain finite numbers up to a billion, but position 2 is Infinity.",
    ),
    "box negative": (
        GOOD | {"bbox": [40, 20, -30, 20]},
        "its “bbox” must be [x, y, width, height] with no negative size, but is -30×20 pixels.",
    ),
    "box outside": (
        GOOD | {"bbox": [70, 20, 3, 3]},
        "its box lies outside the image of 64×48 pixels, so it belongs to another image or size.",
    ),
    "no box": (without("bbox"), "it has no “bbox”, and no mask or keypoints from which to compute one."),
    "mask of another size": (
        GOOD | {"segmentation": {"size": [64, 48], "counts": "0"}},
        "its mask is 48×64, but the image has 64×48 pixels.",
    ),
    "half a run length": (
        GOOD | {"segmentation": {"size": [48, 64], "counts": [3071.5, 0.5]}},
        "its run lengths are not integers within the image.",
    ),
    "runs too short": (
        GOOD | {"segmentation": {"size": [48, 64], "counts": [5]}},
        "its run lengths do not add up to the image's 3,072 pixels.",
    ),
    "odd polygon": (
        GOOD | {"segmentation": [[1, 2, 3, 4, 5, 6, 7]]},
        "a polygon of its “segmentation” must be [x, y, x, y, …] with at least three points.",
    ),
    "pairs of keypoints": (GOOD | {"keypoints": [5, 6] * 17}, "its “keypoints” must be [x, y, v, x, y, v, …], but there are 34 numbers."),
    "no image": (without("image_id"), "its “image_id” must be an integer or a string, or it must have a “file_name”."),
    "image NaN": (
        GOOD | {"image_id": float("nan")},
        "its “image_id” must be an integer or a string, or it must have a “file_name”.",
    ),
}


@pytest.mark.parametrize(("entry", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_named_or_skipped(entry: dict[str, Any], message: str):
    data = [GOOD, entry, GOOD | {"score": 0.25}]
    with pytest.raises(InvalidEntryError) as raised:
        read_coco_results(data, SIZE)
    assert str(raised.value) == f"results[1]: {message}"
    imported = import_coco_results(data, SIZE, skip_invalid=True)
    assert imported.detections.scores.tolist() == [0.5, 0.25]
    assert imported.skipped == 1
    assert imported.notes == (f"1 of 3 entries is invalid and skipped; the first: results[1]: {message}",)


def test_percentages_are_not_skipped():
    entries = [GOOD | {"score": score} for score in (90, 1.5, 0.7)]
    with pytest.raises(ResultsFormatError, match=r"^2 of 3 scores are above 1, so they seem to be percentages\. Divide them by 100\.$"):
        import_coco_results(entries, SIZE, skip_invalid=True)


def test_if_all_entries_are_invalid_none_is_left():
    imported = import_coco_results([without("score"), without("bbox")], SIZE, skip_invalid=True)
    assert (len(imported.detections), imported.skipped) == (0, 2)
    assert imported.notes[0].startswith("2 of 2 entries are invalid and skipped; the first: results[0]: its “score” is missing.")


def test_notes_are_pythons_warnings_where_only_detections_are_returned():
    with pytest.warns(UserWarning, match=r"^1 crowd is \(“iscrowd”\) left out"):
        assert len(read_coco_results([GOOD, CROWD], SIZE)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(as_bytes([GOOD]))[:-12], "The file is compressed by gzip, but cut off. Copy it again."),
        (b"\x1f\x8bno", "The file is compressed by gzip, but damaged. Compress it again."),
        (as_bytes(GOOD) + b"\n\n{no}\n", "Line 3 of the file is not valid JSON, as each line of JSON lines must be."),
        (as_bytes([GOOD]) + b"\n3", "The file is not valid JSON: Extra data: line 2 column 1 (char 77)."),
    ],
)
def test_broken_files_are_refused(content: bytes, message: str):
    with pytest.raises(ResultsFormatError) as raised:
        read_coco_results(content, SIZE)
    assert str(raised.value) == message


def test_no_number_in_json_is_named_by_its_entry():
    content = b'[{"image_id": 7, "category_id": 1, "bbox": [0, 0, NaN, 1], "score": 1}]'
    message = r"^results\[0\]: its “bbox” must contain finite numbers up to a billion, but position 2 is NaN\.$"
    with pytest.raises(InvalidEntryError, match=message):
        read_coco_results(content, SIZE)


def test_of_differing_keypoints_those_of_most_objects_are_kept():
    entries = [GOOD | {"keypoints": [20, 30, 1] * count} for count in (1, 2, 2)]
    imported = import_coco_results(entries, SIZE, skip_invalid=True)
    assert (len(imported.detections), imported.detections.keypoints.shape[1], imported.skipped) == (2, 2, 1)
    assert "results[0] has 1 keypoints and results[1] has 2" in imported.notes[0]


def test_in_a_data_set_with_scores_each_entry_needs_one():
    data = {"images": [{"id": 7}], "annotations": [GOOD, without("score")]}
    with pytest.raises(InvalidEntryError, match=r"^annotations\[1\]: its “score” is missing"):
        read_coco_results(data, SIZE)
    with pytest.raises(InvalidEntryError, match=r"^annotations\[0\]: its “score” is missing"):
        read_coco_results({"annotations": [without("score")]}, SIZE)


SEVERAL = [GOOD | {"image_id": 139, "score": 0.1}, GOOD | {"image_id": "chelsea", "score": 0.2}, GOOD | {"image_id": 0, "score": 0.3}]
NAMED = [
    GOOD | {"image_id": 1, "file_name": "a/cat.jpg", "score": 0.1},
    GOOD | {"image_id": 2, "file_name": "1.jpg", "score": 0.2},
    without("image_id", file_name="b/cat.jpg", score=0.3),
]


@pytest.mark.parametrize(
    ("entries", "image_id", "file_name", "score"),
    [
        (SEVERAL, 139, "", 0.1),
        (SEVERAL, "139", "", 0.1),
        (SEVERAL, "000000000139", "", 0.1),
        (SEVERAL, "000000000139.jpg", "", 0.1),
        (SEVERAL, np.int64(139), "", 0.1),
        ([{**each, "image_id": str(each["image_id"]).zfill(12)} for each in SEVERAL], "000000000139", "", 0.1),
        ([{**each, "image_id": str(each["image_id"]).zfill(12)} for each in SEVERAL], 139, "", 0.1),
        (SEVERAL, "chelsea", "", 0.2),
        (SEVERAL, None, "chelsea.png", 0.2),
        (SEVERAL, None, "000000000139.jpg", 0.1),
        (SEVERAL, "0", "chelsea.png", 0.3),
        (NAMED, "a/cat.jpg", "", 0.1),
        (NAMED, None, "1.jpg", 0.2),
        (NAMED, None, "1.png", 0.2),
        (NAMED, "1", "", 0.1),
    ],
)
def test_the_image_that_is_meant_is_found(entries: list[dict[str, Any]], image_id: Any, file_name: str, score: float):
    imported = import_coco_results(entries, SIZE, image_id=image_id, file_name=file_name)
    assert imported.detections.scores.tolist() == [np.float32(score)]
    assert [note.startswith("Of the 3 images in the file, this is taken for") for note in imported.notes] == [True] * (image_id is None)


@pytest.mark.parametrize(
    ("entries", "image_id", "file_name", "message"),
    [
        (SEVERAL, None, "other.jpg", "The file covers 3 images; choose one of the image ids 0, 139, chelsea."),
        (NAMED, None, "cat.jpg", "The file covers 3 images; choose one of the image ids 1, 2, b/cat.jpg."),
        (NAMED, None, "2.jpg", "The file covers 3 images; choose one of the image ids 1, 2, b/cat.jpg."),
        (NAMED, "cat.jpg", "", "Several images in the file fit the id cat.jpg; choose one of the image ids 1, b/cat.jpg."),
        (SEVERAL, "x\n", "", "Nothing in the file has the image id “x”; it has 0, 139, chelsea."),
    ],
)
def test_an_image_that_is_not_clear_is_asked_for(entries: list[dict[str, Any]], image_id: Any, file_name: str, message: str):
    with pytest.raises(ResultsFormatError) as raised:
        import_coco_results(entries, SIZE, image_id=image_id, file_name=file_name)
    assert str(raised.value) == message
    assert isinstance(raised.value, SeveralImagesError) == ("Nothing" not in message)


@given(st.integers(0, 10**15), st.integers(0, 8), st.sampled_from([int, float, str, np.int64]))
def test_an_id_is_found_however_it_is_written(number: int, zeros: int, kind: type):
    padded = "0" * zeros + str(number)
    entries = [GOOD | {"image_id": kind(number)}, GOOD | {"image_id": number + 1, "score": 0.25}]
    entries = [each if kind is not float else each | {"image_id": float(each["image_id"])} for each in entries]
    for image_id in (number, padded):
        assert import_coco_results(entries, SIZE, image_id=image_id).detections.scores.tolist() == [0.5]


@pytest.mark.parametrize("wrap", [list, lambda entries: {"annotations": entries}, as_bytes, lambda found: gzip.compress(as_bytes(found))])
def test_own_results_come_back_without_a_note(wrap):
    found = make_detections(4, masks=True, keypoints=True)
    imported = import_coco_results(wrap(to_coco_results(found, 3)), found.image_size, categories=dict(enumerate(found.categories)))
    assert imported.notes == ()
    for name in ("boxes", "labels", "scores", "keypoints", "keypoint_scores"):
        np.testing.assert_array_equal(getattr(imported.detections, name), getattr(found, name), err_msg=name)


def test_masks_are_those_of_pycocotools():
    ring = [10.5, 20.25, 41, 21, 38.75, 40, 12, 39.5]
    expected = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([ring], *SIZE))).astype(bool)
    runs = coco_mask.encode(np.asfortranarray(expected.astype(np.uint8)))
    for segmentation, least in (([ring], 0.93), (ring, 0.93), (runs, 1)):
        found = import_coco_results([without("bbox", segmentation=segmentation)], SIZE).detections
        assert mask_iou(full_mask(found, 0), expected) >= least
