"""Results of other tools are added to a comparison as files; tests/browser runs the page itself."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PIL import Image

from detection_core.formats import to_coco_results
from detection_core.models.catalog import PERSON_MODEL
from detection_core.ui.shared.examples import EXAMPLE_PATHS
from tests.factories import make_detections
from tests.ui.compare.visit import IMAGE, MASKS, REQUEST, SSD, Visit


def results_file(path, **changes: Any) -> str:
    with Image.open(IMAGE) as image:
        found = make_detections(4, image_size=(image.height, image.width), categories=("__background__", "person"))
    entries = [entry | changes for entry in to_coco_results(found, 1)]
    path.write_text(json.dumps(entries))
    return str(path)


def test_results_of_another_tool_become_a_model(tmp_path):
    visit = Visit()
    message = visit.add(results_file(tmp_path / "theirs.json"), PERSON_MODEL, SSD)
    theirs = message.models[2]
    assert (theirs.title, len(theirs.objects), theirs.linkable) == ("theirs.json", 4, False)
    other = visit.compare(PERSON_MODEL, SSD, path=str(EXAMPLE_PATHS[0]))
    assert len(other.models) == 2
    assert "theirs.json" in other.notes[-1]


@pytest.mark.parametrize("content", ["", "{", "[7]", '[{"image_id": 1}]'])
def test_a_file_that_is_no_results_says_so(tmp_path, content: str):
    path = tmp_path / "bad.json"
    path.write_text(content)
    visit = Visit()
    message = visit.add(str(path), PERSON_MODEL, SSD)
    assert "bad.json" in message.error.title
    assert visit.files == []


def test_a_failed_upload_is_an_error():
    ((message, *_),) = Visit().tab.results_controls.add(skip_invalid=False)(None, "", IMAGE, [PERSON_MODEL, SSD], [], {}, REQUEST)
    assert "upload has failed" in message.error.text


def test_of_very_many_imported_objects_those_with_the_highest_scores_are_compared(tmp_path):
    entry = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
    path = tmp_path / "many.json"
    path.write_text(json.dumps([entry | {"score": n / 400} for n in range(400)]))
    theirs = Visit().add(str(path), PERSON_MODEL, SSD).models[2]
    assert theirs.title == "many.json (the 300 highest scores of 400)"
    assert [len(theirs.objects), theirs.objects[-1].score] == [300, 0.25]


def test_of_a_file_about_several_images_one_is_asked_for(tmp_path):
    path = tmp_path / "all.json"
    with Image.open(IMAGE) as image:
        size = image.height, image.width
    path.write_text(json.dumps([entry for n in (1, 2, 3) for entry in to_coco_results(make_detections(n, image_size=size), n)]))
    visit = Visit()
    message = visit.add(str(path), PERSON_MODEL, SSD)
    assert "Which of the images" in message.error.title
    assert visit.image_id_box["visible"]
    message = visit.add(str(path), PERSON_MODEL, SSD, image_id=" 3 ")
    assert len(message.models[2].objects) == 3
    assert not visit.image_id_box["visible"]
    assert "has the image id 7" in visit.add(str(path), PERSON_MODEL, SSD, image_id="7").error.text


def test_invalid_entries_are_skipped_when_asked(tmp_path):
    path = tmp_path / "some.json"
    good = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20], "score": 0.9}
    path.write_text(json.dumps([good, good | {"score": 90}, good]))
    visit = Visit()
    error = visit.add(str(path), PERSON_MODEL, SSD).error
    assert error.text == "results[1]: its “score” must be a number from 0 to 1, but is 90. Divide percentages by 100."
    assert visit.skip_button["visible"]
    message = visit.add(str(path), PERSON_MODEL, SSD, skip_invalid=True)
    assert len(message.models[2].objects) == 2
    assert message.notes == [f"“some.json”: 1 of 3 entries is invalid and skipped; the first: {error.text}"]
    assert not visit.skip_button["visible"]
    assert visit.compare(PERSON_MODEL, SSD).notes == message.notes


def test_ids_that_are_not_cocos_are_named_by_a_model_beside_them(tmp_path):
    path = tmp_path / "yolo.json"
    path.write_text(json.dumps([{"image_id": 1, "category_id": key, "bbox": [10, 10, 20, 20], "score": 0.9} for key in (0, 2)]))
    message = Visit().add(str(path), PERSON_MODEL, SSD)
    assert sorted(category.name for category in message.models[2].categories.values()) == ["car", "person"]
    assert "They are taken for the classes of SSD300 VGG-16, counted from 0." in message.notes[0]
    message = Visit().add(str(path), PERSON_MODEL)
    assert sorted(category.name for category in message.models[1].categories.values()) == ["class 0", "class 2"]
    assert "So its classes have numbers instead of names." in message.notes[0]


def test_four_models_leave_no_room_for_a_file(tmp_path):
    visit = Visit()
    visit.add(results_file(tmp_path / "theirs.json"), PERSON_MODEL, SSD)
    message = visit.compare(PERSON_MODEL, SSD, MASKS, "ssdlite320_mobilenet_v3_large")
    assert len(message.models) == 4
    assert "at most 4 models" in message.notes[-1]
