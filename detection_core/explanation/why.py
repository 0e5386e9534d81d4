"""Why? The evidence for one object: its anchor and proposal, its refined box, all class scores, and the candidates it suppressed."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from detection_core.explanation.query import Box, QueryError, box_of
from detection_core.explanation.reasons import number
from detection_core.explanation.record import Recording
from detection_core.models.families import Family

# Where FCOS starts; torchvision gives it an anchor of the cell's size.
CELL = "cell"
_MAX_CLASSES = 10
_MAX_SUPPRESSED = 20


@dataclass(frozen=True)
class Refinement:
    """One step on the way to an object's box.

    Attributes:
        name: "anchor" or, in FCOS, which has no anchors, "cell"; "proposal" or "box".
        box: XYXY in pixels of the image.
        moved: How far its center moved in this step, in pixels of the image.
        scaled: The factors by which its width and height changed.
    """

    name: str
    box: Box
    moved: float = 0.0
    scaled: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class SuppressedCandidate:
    """A candidate that an object suppressed.

    Attributes:
        name: Its class.
        score: Its score.
        box: XYXY in pixels of the image.
        iou: Its IoU with the object.
    """

    name: str
    score: float
    box: Box
    iou: float


@dataclass(frozen=True)
class Why:
    """The answer to "why?".

    Attributes:
        sentence: The answer in a few sentences.
        number: The object's index among the detections.
        name: Its class.
        score: Its score.
        level: Name of the feature level that it was found at.
        cells: (height, width) of that level in cells.
        objectness: The RPN's score of its proposal, or None for one-stage models.
        refinements: From its anchor or cell to its box.
        scores: The best classes at its place by name, best first.
        background: The score of the background there, or None.
        suppressed: The best candidates that it suppressed.
        suppressed_count: How many it suppressed.
    """

    sentence: str
    number: int
    name: str
    score: float
    level: str
    cells: tuple[int, int]
    objectness: float | None
    refinements: tuple[Refinement, ...]
    scores: dict[str, float]
    background: float | None
    suppressed: tuple[SuppressedCandidate, ...]
    suppressed_count: int


def why(recording: Recording, index: int) -> Why:
    """Explains one object.

    Args:
        recording: What happened inside.
        index: The object's index among `recording.detections`, from 0.

    Raises:
        QueryError: If there is no such object.
    """
    selection, candidates, proposals = recording.selection, recording.candidates, recording.proposals
    if not 0 <= index < len(selection.kept):
        raise QueryError(no_object(index, len(selection.kept)))
    own = int(selection.kept[index])
    place = int(candidates.places[own])
    sources = [(CELL if recording.spec.family is Family.FCOS else "anchor", recording.places.sources[place])]
    objectness, level = None, int(recording.places.levels[place])
    if proposals is not None:
        anchor = int(proposals.selection.kept[place])
        sources = [("anchor", proposals.anchors[anchor]), ("proposal", recording.places.sources[place])]
        objectness, level = float(proposals.candidates.scores[anchor]), int(proposals.candidates.levels[anchor])
    boxes = recording.in_image(np.array([box for _, box in [*sources, ("box", candidates.boxes[own])]]))
    refinements = _refinements([*(name for name, _ in sources), "box"], [box_of(box) for box in boxes])
    of_place = recording.of_place(place)
    order = np.argsort(-candidates.scores[of_place], kind="stable")[:_MAX_CLASSES] + of_place.start
    lost = np.flatnonzero(selection.suppressors == own)
    best = lost[np.argsort(-candidates.scores[lost], kind="stable")][:_MAX_SUPPRESSED]
    lost_boxes = recording.in_image(candidates.boxes[best])
    background = None if recording.places.background is None else float(recording.places.background[place])
    answer = Why(
        sentence="",
        number=index,
        name=recording.name(int(candidates.labels[own])),
        score=float(candidates.scores[own]),
        level=recording.levels[level].name,
        cells=recording.levels[level].shape,
        objectness=objectness,
        refinements=refinements,
        scores={recording.name(int(candidates.labels[each])): float(candidates.scores[each]) for each in order},
        background=background,
        suppressed=tuple(
            SuppressedCandidate(
                recording.name(int(candidates.labels[each])), float(candidates.scores[each]), box_of(box), float(selection.ious[each])
            )
            for each, box in zip(best, lost_boxes, strict=True)
        ),
        suppressed_count=len(lost),
    )
    return _with_sentence(answer)


def no_object(index: int, count: int) -> str:
    """Returns the sentence about the number of an object that does not exist."""
    found = f"{count} objects, with numbers from 0 to {count - 1}" if count else "none"
    return f"There is no object {index}: the model found {found}."


def _refinements(names: list[str], boxes: list[Box]) -> tuple[Refinement, ...]:
    found = [Refinement(names[0], boxes[0])]
    for name, before, after in zip(names[1:], boxes, boxes[1:], strict=False):
        (x, y, width, height), (new_x, new_y, new_width, new_height) = _center(before), _center(after)
        moved = float(np.hypot(new_x - x, new_y - y))
        found.append(Refinement(name, after, moved, (new_width / max(width, 1e-6), new_height / max(height, 1e-6))))
    return tuple(found)


def _center(box: Box) -> Box:
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, right - left, bottom - top


def _with_sentence(answer: Why) -> Why:
    _, _, width, height = _center(answer.refinements[0].box)
    name, score = answer.name, number(answer.score)
    if answer.refinements[0].name == CELL:
        sentence = f"This {name} {score} was found at a cell of the feature map that covers {width:.0f}×{height:.0f} pixels."
    else:
        sentence = f"This {name} {score} began as an anchor, a preset box of {width:.0f}×{height:.0f} pixels."
    if answer.objectness is not None:
        sentence += f" The first stage (RPN) proposed it as an object of any class, with a score of {number(answer.objectness)}."
    second = next(((name, score) for name, score in answer.scores.items() if name != answer.name), None)
    if second is not None:
        which = "Another class scored higher there:" if second[1] > answer.score else "The next best class was"
        sentence += f" {which} {second[0]} {number(second[1])}."
    if answer.background is not None:
        sentence += f" Background had {number(answer.background)}."
    if answer.suppressed_count:
        best = f"{answer.suppressed[0].name} {number(answer.suppressed[0].score)}"
        several = answer.suppressed_count > 1
        sentence += f" It suppressed {f'{answer.suppressed_count:,} other candidates, the best of them {best}' if several else best}."
    return replace(answer, sentence=sentence)
