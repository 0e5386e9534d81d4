"""Why not? The candidates that a model had at a place, what became of each, and one sentence about the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from detection_core.explanation.query import FITTING_IOU, Box, Query, box_of
from detection_core.explanation.reasons import number, reason_of_candidate, reason_of_min_score, reason_of_proposal
from detection_core.explanation.record import Proposals, Recording
from detection_core.explanation.selection import Fate

_MAX_PLACES = 10
_MAX_CLASSES = 5


@dataclass(frozen=True)
class ClassOutcome:
    """What became of one class at one place.

    Attributes:
        label: The class.
        name: Its name.
        score: Its score.
        fate: What became of it.
        reason: The same in words, without a subject: "was suppressed by …".
        suppressor: The candidate that suppressed it, as `name`, `score`, `box` and `iou`, or None.
    """

    label: int
    name: str
    score: float
    fate: Fate
    reason: str
    suppressor: dict[str, Any] | None


@dataclass(frozen=True)
class PlaceReport:
    """One place at which the model predicted classes.

    Attributes:
        place: Index into `Recording.places`.
        box: The box of its best class, XYXY in pixels of the image.
        source: Its anchor or proposal.
        level: Name of the feature level of an anchor; "" for proposals.
        iou: The IoU of the box with the one asked about, or None.
        background: The score of the background, or None where it has none.
        classes: The best classes, best first.
    """

    place: int
    box: Box
    source: Box
    level: str
    iou: float | None
    background: float | None
    classes: tuple[ClassOutcome, ...]


@dataclass(frozen=True)
class FirstStage:
    """What the region proposal network of a two-stage model did at the place.

    Attributes:
        fitting: How many of its boxes fit, of all anchors.
        proposals: How many of them became proposals.
        best: The one with the best objectness among those that fit, otherwise the closest to the box; None if there is none. It has
            `objectness`, `box`, `anchor`, `level`, `fate`, `reason` and, if a box is asked about, `iou`.
    """

    fitting: int
    proposals: int
    best: dict[str, Any] | None


@dataclass(frozen=True)
class WhyNot:
    """The answer to "why not?".

    Attributes:
        sentence: The answer in one or two sentences.
        places: The places that fit, best first; if none fits the box, the closest one.
        first_stage: The RPN's part, or None for one-stage models.
    """

    sentence: str
    places: tuple[PlaceReport, ...]
    first_stage: FirstStage | None


def why_not(recording: Recording, query: Query, threshold: float) -> WhyNot:
    """Finds out why a model shows no object at a place.

    Args:
        recording: What happened inside.
        query: The place.
        threshold: The threshold of the user, 0–1.

    Raises:
        QueryError: If the place is not in the image.
    """
    query.check(recording)
    candidates = recording.candidates
    boxes = recording.in_image(candidates.boxes)
    fitting = query.fits(boxes)
    if query.label is not None:
        fitting &= candidates.labels == query.label
    found = np.flatnonzero(fitting)
    found = found[np.argsort(-query.relevances(boxes[found], candidates.scores[found], recording.region_size), kind="stable")]
    places = list(dict.fromkeys(candidates.places[found].tolist()))[:_MAX_PLACES]
    fits = bool(places)
    if not fits:
        places = _other_places(recording, query)
        fits = bool(places) and bool(query.fits(recording.in_image(recording.places.boxes[places])).all())
    reports = tuple(_report(recording, place, query, threshold) for place in places)
    first = _first_stage(recording, recording.proposals, query) if recording.proposals else None
    return WhyNot(_sentence(recording, query, threshold, reports, first, fits), reports, first)


def _other_places(recording: Recording, query: Query) -> list[int]:
    """Returns the best place whose candidates were not kept, or the closest one that does not fit."""
    boxes = recording.in_image(recording.places.boxes)
    fitting = np.flatnonzero(query.fits(boxes)) if query.label is None else np.zeros(0, np.int64)
    if len(fitting):
        return [int(fitting[query.relevances(boxes[fitting], recording.places.scores[fitting], recording.region_size).argmax()])]
    if query.box is None or not len(boxes) or query.label is not None:
        return []
    return [int(query.overlaps(boxes).argmax())]


def _report(recording: Recording, place: int, query: Query, threshold: float) -> PlaceReport:
    places = recording.places
    of_place = recording.of_place(place)
    own = np.arange(of_place.start, of_place.stop)
    own = own[np.argsort(-recording.candidates.scores[own], kind="stable")]
    if query.label is not None:
        # The class asked about comes first, whatever its score.
        own = own[np.argsort(recording.candidates.labels[own] != query.label, kind="stable")]
    box = recording.in_image(recording.candidates.boxes[own[:1]] if len(own) else places.boxes[[place]])
    outcomes = tuple(_outcome(recording, int(index), threshold) for index in own[:_MAX_CLASSES])
    if not outcomes:
        label, score = int(places.labels[place]), float(places.scores[place])
        reason = reason_of_min_score(recording.rules)
        outcomes = (ClassOutcome(label, recording.name(label), score, Fate.BELOW_MIN_SCORE, reason, None),)
    return PlaceReport(
        place,
        box_of(box[0]),
        box_of(recording.in_image(places.sources[[place]])[0]),
        "" if recording.proposals else recording.levels[places.levels[place]].name,
        None if query.box is None else float(query.overlaps(box)[0]),
        None if places.background is None else float(places.background[place]),
        outcomes,
    )


def _outcome(recording: Recording, index: int, threshold: float) -> ClassOutcome:
    candidates, selection = recording.candidates, recording.selection
    score, label = float(candidates.scores[index]), int(candidates.labels[index])
    fate = selection.fate(index)
    if fate is Fate.KEPT and score < threshold:
        fate = Fate.BELOW_THRESHOLD
    suppressor = None
    if fate is Fate.SUPPRESSED:
        by = int(selection.suppressors[index])
        suppressor = {
            "name": recording.name(int(candidates.labels[by])),
            "score": float(candidates.scores[by]),
            "box": box_of(recording.in_image(candidates.boxes[[by]])[0]),
            "iou": float(selection.ious[index]),
        }
    return ClassOutcome(label, recording.name(label), score, fate, reason_of_candidate(recording, index, fate, threshold), suppressor)


def _first_stage(recording: Recording, proposals: Proposals, query: Query) -> FirstStage:
    boxes = recording.in_image(proposals.candidates.boxes)
    fitting = np.flatnonzero(query.fits(boxes))
    kept = int(np.isin(fitting, proposals.selection.kept).sum())
    scores = proposals.candidates.scores
    if len(fitting):
        best = int(fitting[scores[fitting].argmax()])
    elif query.box is not None:
        best = int(query.overlaps(boxes).argmax())
    else:
        return FirstStage(0, 0, None)
    found: dict[str, Any] = {
        "objectness": float(scores[best]),
        "box": box_of(boxes[best]),
        "anchor": box_of(recording.in_image(proposals.anchors[[best]])[0]),
        "level": recording.levels[proposals.candidates.levels[best]].name,
        "fate": proposals.selection.fate(best),
        "reason": reason_of_proposal(proposals, best),
    }
    if query.box is not None:
        found["iou"] = float(query.overlaps(boxes[[best]])[0])
    return FirstStage(len(fitting), kept, found)


def _sentence(
    recording: Recording, query: Query, threshold: float, places: tuple[PlaceReport, ...], first: FirstStage | None, fits: bool
) -> str:
    if not (places and fits) and first is not None and first.proposals == 0:
        return _lost_in_first_stage(first)
    if not places:
        what = f" of the class {recording.name(query.label)}" if query.label is not None else ""
        # Below it, candidates are not kept.
        above = f" with a score above {number(recording.lowest_kept)}" if recording.lowest_kept else ""
        return f"The model had no candidate{what} here{above}."
    best, background = places[0].classes[0], places[0].background
    limit = {Fate.BELOW_MIN_SCORE: recording.rules.min_score, Fate.BELOW_THRESHOLD: threshold}.get(best.fate)
    who = f"{best.name} {number(best.score, limit)}"
    if not fits:
        iou = number(places[0].iou or 0, FITTING_IOU)
        return f"No candidate overlaps this box enough (IoU of at least {FITTING_IOU:.2f}). The closest, {who}, has {iou}."
    if query.at is not None:
        # Large boxes often cover a point at which a small object was meant.
        left, top, right, bottom = places[0].box
        who += f", with a box of {right - left:.0f}×{bottom - top:.0f} pixels"
    if best.fate is Fate.KEPT:
        return f"The model found an object here: {who}."
    if best.fate is not Fate.BELOW_MIN_SCORE:
        return f"The best candidate here was {who}. It {best.reason}."
    made = f", although its first stage (RPN) made {_counted(first.proposals, 'proposal')}" if first and first.proposals else ""
    took = "" if background is None or background < best.score else f" It took this place for background ({number(background)})."
    return f"The model found nothing likely here{made}. Its best candidate, {who}, {best.reason}.{took}"


def _lost_in_first_stage(first: FirstStage) -> str:
    if first.best is None:
        return "The first stage (RPN) has no box that fits here, so no class was scored."
    if first.fitting == 0:
        return (
            f"No box of the first stage (RPN) overlaps this box with an IoU of at least {FITTING_IOU:.2f}: the closest has "
            f"{number(first.best['iou'], FITTING_IOU)}. "
            "So no class was scored for it as a whole."
        )
    return (
        "The first stage (RPN) proposed nothing here, so no class was scored. "
        f"Its best box scored {number(first.best['objectness'])} as an object of any class. It {first.best['reason']}."
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")
