"""Tests of the sentences, on recordings made by hand, and of questions that make no sense."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from detection_core.detections import Detections
from detection_core.explanation import Query, QueryError, Recording, Rules, why, why_not
from detection_core.explanation.reasons import number
from detection_core.explanation.record import Level, Places, Proposals
from detection_core.explanation.selection import Candidates, select
from detection_core.models.catalog import COCO_MODEL, get_model_spec

DOG, CAT = 18, 17
BOX = (10.0, 10.0, 30.0, 30.0)
NEAR = (12.0, 10.0, 32.0, 30.0)
FAR = (60.0, 60.0, 90.0, 90.0)
ANCHORS = ((11.0, 11.0, 29.0, 29.0), (62.0, 62.0, 88.0, 88.0))
RULES = Rules(min_score=0.05, nms_iou=0.5, limit=2, top_k=3, top_k_within="level")


def recording_of(rows: list[tuple], rules: Rules = RULES, first: Proposals | None = None, background: float | None = None) -> Recording:
    """A recording of (box, label, score) at one place each, in an image of 200×100 that the network sees at half its size."""
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    labels, scores = np.array([row[1] for row in rows], np.int64), np.array([row[2] for row in rows], np.float32)
    levels = np.zeros(len(rows), np.int64)
    order = np.arange(len(rows))
    candidates = Candidates(order, labels, scores, boxes / 2, levels)
    places = Places(
        boxes / 2, boxes / 2, labels, scores, levels, None if background is None else np.full(len(rows), background, np.float32)
    )
    selection = select(candidates, rules)
    spec, kept = get_model_spec(COCO_MODEL), selection.kept
    found = Detections(boxes[kept], labels[kept], scores[kept], (100, 200), spec.categories)
    level = Level("16", (6, 12), np.ones((6, 12), np.float32), np.ones((6, 12), np.float32))
    image = np.zeros((50, 100, 3), np.uint8)
    return Recording(spec, (100, 200), (50, 100), (50, 100), image, (level,), (), first, places, candidates, 0.0, rules, selection, found)


def first_stage(scores: list[float], boxes: list[tuple], **rules: float) -> Proposals:
    own = np.array(boxes, np.float32) / 2
    zeros = np.zeros(len(boxes), np.int64)
    candidates = Candidates(np.arange(len(boxes)), zeros, np.array(scores, np.float32), own, zeros, np.array(scores, np.float32))
    settings = Rules(**{"min_score": 0.0, "nms_iou": 0.7, "limit": 1, "top_k": 2, "min_size": 1e-3, "inclusive": True, **rules})
    return Proposals(own, candidates, settings, select(candidates, settings))


@pytest.mark.parametrize(
    ("rows", "threshold", "expected"),
    [
        ([(BOX, DOG, 0.9)], 0.5, "The model found an object here: dog 0.90."),
        (
            [(BOX, DOG, 0.31)],
            0.5,
            "The best candidate here was dog 0.31. It is in the model's result, but your threshold of 0.50 hides it.",
        ),
        (
            [(BOX, DOG, 0.03)],
            0.5,
            "The model found nothing likely here. Its best candidate, dog 0.03, was dropped: the model keeps only scores above 0.05.",
        ),
        (
            [((0.0, 10.0, 22.0, 30.0), DOG, 0.9), ((4.0, 10.0, 26.0, 30.0), CAT, 0.8), ((8.0, 10.0, 28.0, 30.0), DOG, 0.7)],
            0.95,
            "The best candidate here was cat 0.80. It is in the model's result, but your threshold of 0.95 hides it.",
        ),
        (
            [(FAR, DOG, 0.9), (FAR, CAT, 0.8), (BOX, DOG, 0.7)],
            0.5,
            "The best candidate here was dog 0.70. It survived NMS as number 3, but the model returns at most 2 objects.",
        ),
        (
            [(FAR, DOG, 0.9), (FAR, CAT, 0.8), (FAR, DOG, 0.75), (BOX, DOG, 0.7)],
            0.5,
            "The best candidate here was dog 0.70. "
            "It was dropped early: it is number 4 of its level by score, and only the best 3 go on (top k).",
        ),
    ],
)
def test_sentences_of_one_stage_models(rows: list[tuple], threshold: float, expected: str):
    assert why_not(recording_of(rows), Query(box=(10, 10, 30, 30)), threshold).sentence == expected


@pytest.mark.parametrize(("threshold", "then"), [(0.5, "."), (0.95, ". Your threshold of 0.95 hides that one.")])
def test_the_suppressor_is_named(threshold: float, then: str):
    # The point lies in the middle half of the suppressed box only.
    rows = [((0.0, 10.0, 24.0, 30.0), DOG, 0.9), ((7.0, 10.0, 31.0, 30.0), DOG, 0.7)]
    answer = why_not(recording_of(rows), Query(at=(23, 20)), threshold)
    assert answer.sentence == (
        "The best candidate here was dog 0.70, with a box of 24×20 pixels. It was suppressed by dog 0.90: their overlap (IoU) is "
        f"0.55, and above 0.50 only the best box of a class stays (NMS){then}"
    )
    assert answer.places[0].classes[0].suppressor == {
        "name": "dog",
        "score": pytest.approx(0.9),
        "box": (0.0, 10.0, 24.0, 30.0),
        "iou": pytest.approx(17 / 31),
    }


def test_boxes_of_other_classes_suppress_nothing():
    assert "found an object" in why_not(recording_of([(BOX, DOG, 0.9), (BOX, CAT, 0.7)]), Query(box=BOX, label=CAT), 0.5).sentence


WHOLE = (0.0, 0.0, 200.0, 100.0)


@pytest.mark.parametrize(
    ("rows", "best"),
    [
        ([(WHOLE, CAT, 0.3), ((90.0, 40.0, 110.0, 60.0), DOG, 0.08)], DOG),
        # With so low a score it says less than the large one.
        ([(WHOLE, CAT, 0.3), ((90.0, 40.0, 110.0, 60.0), DOG, 0.07)], CAT),
        ([(WHOLE, CAT, 0.3)], CAT),
        ([((50.0, 0.0, 149.0, 100.0), CAT, 0.3), ((90.0, 40.0, 110.0, 60.0), DOG, 0.08)], CAT),
    ],
    ids=["tighter", "unlikely", "alone", "half of the image"],
)
def test_a_box_of_most_of_the_image_is_not_the_first_answer_at_a_point(rows: list[tuple], best: int):
    answer = why_not(recording_of(rows), Query(at=(100, 50)), 0.5)
    assert [place.classes[0].label for place in answer.places][:1] == [best]
    assert len(answer.places) == len(rows)


def test_a_box_that_is_asked_about_may_be_large():
    rows = [(WHOLE, CAT, 0.3), ((0.0, 0.0, 110.0, 100.0), DOG, 0.2)]
    assert why_not(recording_of(rows), Query(box=WHOLE), 0.5).places[0].classes[0].label == CAT


def test_background_is_named_where_it_won():
    sentence = why_not(recording_of([(BOX, DOG, 0.03)], background=0.93), Query(at=(20, 20)), 0.5).sentence
    assert sentence.endswith("only scores above 0.05. It took this place for background (0.93).")


def test_nothing_fits():
    answer = why_not(recording_of([(BOX, DOG, 0.9)]), Query(box=(10, 10, 90, 90)), 0.5)
    assert answer.sentence == "No candidate overlaps this box enough (IoU of at least 0.50). The closest, dog 0.90, has 0.06."
    nowhere = Query(at=(150, 50))
    recording = recording_of([(BOX, DOG, 0.9)])
    assert why_not(recording, nowhere, 0.5).sentence == "The model had no candidate here."
    assert why_not(replace(recording, lowest_kept=0.002), nowhere, 0.5).sentence == (
        "The model had no candidate here with a score above 0.002."
    )
    assert "no candidate of the class cat here" in why_not(recording_of([(BOX, DOG, 0.9)]), Query(at=(20, 20), label=CAT), 0.5).sentence


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (
            first_stage([0.9, 0.8, 0.1], [FAR, (0, 60, 20, 90), BOX]),
            "It was dropped early: it is number 3 of its level by score, and only the best 2 go on (top k)",
        ),
        (
            first_stage([0.9, 0.1], [FAR, BOX]),
            "It survived NMS as number 2, but only the best 1 become proposals",
        ),
        (
            first_stage([0.9, 0.1], [FAR, BOX], min_score=0.2),
            "It was dropped, because only boxes with an objectness of at least 0.20 go on",
        ),
    ],
)
def test_what_the_first_stage_lost(first: Proposals, expected: str):
    answer = why_not(recording_of([(FAR, DOG, 0.9)], first=first), Query(box=BOX), 0.5)
    assert answer.sentence == (
        "The first stage (RPN) proposed nothing here, so no class was scored. "
        f"Its best box scored 0.10 as an object of any class. {expected}."
    )
    assert answer.first_stage is not None
    assert answer.first_stage.proposals == 0


def test_what_the_box_head_rejected():
    answer = why_not(recording_of([(BOX, DOG, 0.04)], first=first_stage([0.9], [BOX]), background=0.93), Query(box=BOX), 0.5)
    assert answer.sentence == (
        "The model found nothing likely here, although its first stage (RPN) made 1 proposal. Its best candidate, dog 0.04, was dropped: "
        "the model keeps only scores above 0.05. It took this place for background (0.93)."
    )


def test_why_names_the_background_and_what_was_suppressed():
    answer = why(recording_of([(BOX, DOG, 0.9), (NEAR, DOG, 0.7)], background=0.05), 0)
    assert answer.suppressed_count == 1
    assert answer.sentence == (
        "This dog 0.90 began as an anchor, a preset box of 20×20 pixels. Background had 0.05. It suppressed dog 0.70."
    )


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query(), "either a point or a box"),
        (Query(at=(1, 1), box=BOX), "either a point or a box"),
        (Query(at=(201, 50)), "outside the image of 200×100 pixels"),
        (Query(box=(30, 10, 10, 30)), "X0 < X1"),
        (Query(box=(300, 10, 310, 30)), "outside the image"),
    ],
)
def test_questions_without_sense(query: Query, message: str):
    with pytest.raises(QueryError, match=message):
        why_not(recording_of([(BOX, DOG, 0.9)]), query, 0.5)


@pytest.mark.parametrize("index", [-1, 1])
def test_objects_that_do_not_exist(index: int):
    with pytest.raises(QueryError, match=f"There is no object {index}: the model found 1"):
        why(recording_of([(BOX, DOG, 0.9)]), index)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.314, "0.31"), (0.998, "0.998"), (1.0, "1.00"), (0.0012, "0.001"), (0.0, "0.00"), (1e-9, "0.000000"), (1 - 1e-9, "1.000000")],
)
def test_scores_in_words(value: float, text: str):
    assert number(value) == text


def test_scores_are_distinguished_from_their_limit():
    assert number(0.196, 0.2) == "0.196"
    sentence = why_not(recording_of([(BOX, DOG, 0.498)]), Query(box=BOX), 0.5).sentence
    assert sentence.startswith("The best candidate here was dog 0.498. It is in the model's result")


def test_the_box_head_saw_what_it_refined_to_the_place():
    # No proposal fits, but a box that the box head made of another one does.
    answer = why_not(recording_of([(BOX, DOG, 0.04)], first=first_stage([0.9], [FAR])), Query(box=BOX), 0.5)
    assert answer.first_stage is not None
    assert answer.first_stage.proposals == 0
    assert answer.sentence.startswith("The model found nothing likely here. Its best candidate, dog 0.04, was dropped")


def test_a_better_class_at_the_same_place_is_not_the_next_best():
    recording = recording_of([(BOX, DOG, 0.3), (BOX, CAT, 0.8)])
    one_place = replace(recording, candidates=replace(recording.candidates, places=np.zeros(2, np.int64)))
    assert why(one_place, 1).sentence.endswith("Another class scored higher there: cat 0.80.")
    assert why(one_place, 0).sentence.endswith("The next best class was dog 0.30.")
