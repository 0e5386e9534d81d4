"""Comparison of results for one image: where two models agree, and which objects several models agree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections.core import Detections
from detection_core.detections.matching import agree, iou_matrix, match, same_names


@dataclass(frozen=True)
class Pair:
    """An object of A and an object of B at the same place.

    Attributes:
        a: Index of A's object.
        b: Index of B's object.
        iou: Intersection over union of their boxes, 0–1.
        score_difference: B's score minus A's.
    """

    a: int
    b: int
    iou: float
    score_difference: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """The comparison of two results for one image. Every object is in exactly one of the four groups.

    Attributes:
        a: The first result.
        b: The second result.
        iou_threshold: Lowest IoU at which two objects count as the same place, 0–1.
        matched: Same place and class, in the order of A's objects.
        other_class: Same place, other class, in the order of A's objects.
        only_a: Indices of A's objects that B does not have.
        only_b: Indices of B's objects that A does not have.
    """

    a: Detections
    b: Detections
    iou_threshold: float
    matched: tuple[Pair, ...]
    other_class: tuple[Pair, ...]
    only_a: tuple[int, ...]
    only_b: tuple[int, ...]

    @property
    def agreement(self) -> float | None:
        """Matched pairs divided by the number of places where either model found something, 0–1; None if neither did."""
        places = sum(self.counts().values())
        return len(self.matched) / places if places else None

    @property
    def mean_iou(self) -> float | None:
        """Mean IoU of the matched pairs; None if there are none."""
        return fmean(pair.iou for pair in self.matched) if self.matched else None

    @property
    def mean_score_difference(self) -> float | None:
        """Mean of B's score minus A's over the matched pairs; None if there are none."""
        return fmean(pair.score_difference for pair in self.matched) if self.matched else None

    def counts(self) -> dict[str, int]:
        """Returns the sizes of the groups `matched`, `only_a`, `only_b` and `other_class`."""
        return {name: len(getattr(self, name)) for name in ("matched", "only_a", "only_b", "other_class")}

    def to_json(self) -> dict[str, Any]:
        """Returns everything except the results themselves, as plain types; indices count the objects of A and B from 0."""
        return {
            "a": self.a.model,
            "b": self.b.model,
            "iou_threshold": self.iou_threshold,
            "counts": self.counts(),
            "agreement": self.agreement,
            "mean_iou": self.mean_iou,
            "mean_score_difference": self.mean_score_difference,
            "matched": [asdict(pair) for pair in self.matched],
            "other_class": [asdict(pair) for pair in self.other_class],
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
        }


@dataclass(frozen=True, eq=False)
class Agreed:
    """An object that several models found.

    Attributes:
        name: Its class.
        members: Index of the result → index of the object in it.
        box: float64 [4], XYXY in pixels: the mean of the members' boxes.
        score: The mean of the members' scores, 0–1.
    """

    name: str
    members: dict[int, int]
    box: NDArray[np.float64]
    score: float

    @property
    def votes(self) -> int:
        """Number of models that found the object."""
        return len(self.members)

    def to_json(self) -> dict[str, Any]:
        """Returns the object as plain types."""
        members = [{"result": result, "object": index} for result, index in self.members.items()]
        return {"name": self.name, "votes": self.votes, "score": self.score, "box": self.box.tolist(), "members": members}


def select(detections: Detections, *, threshold: float | None = None, top: int | None = None) -> Detections:
    """Selects the objects that take part in a comparison.

    Scores of different families are not comparable, so there are three fair rules: one threshold for all models, a threshold per
    model, or the same number of objects.

    Args:
        detections: All objects that a model found.
        threshold: Lowest score, 0–1; None keeps all.
        top: Number of objects to keep, highest scores first; None keeps all.
    """
    chosen = detections if threshold is None else detections[detections.scores >= threshold]
    return chosen if top is None else chosen[:top]


def compare(a: Detections, b: Detections, *, iou: float = 0.5) -> Comparison:
    """Finds the objects that two results have in common.

    Objects of the same class are paired first; the remaining ones are paired across classes. See `matching.match`.

    Args:
        a: One model's objects; filter them first, for example with `select`.
        b: Another model's objects in the same image.
        iou: Lowest IoU at which two objects count as the same place, above 0 and up to 1.

    Raises:
        ValueError: If the images differ in size, or `iou` is out of range.
    """
    _require_comparable([a, b], iou)
    overlaps, same = iou_matrix(a.boxes, b.boxes), same_names(a.names, b.names)
    matched = match(overlaps, same, iou)
    free = ~same
    for i, j in matched:
        free[i, :] = free[:, j] = False
    other_class = match(overlaps, free, iou)
    in_pairs = matched + other_class
    rows, columns = {i for i, _ in in_pairs}, {j for _, j in in_pairs}

    def pairs(found: list[tuple[int, int]]) -> tuple[Pair, ...]:
        return tuple(Pair(i, j, float(overlaps[i, j]), float(b.scores[j]) - float(a.scores[i])) for i, j in sorted(found))

    return Comparison(
        a=a,
        b=b,
        iou_threshold=iou,
        matched=pairs(matched),
        other_class=pairs(other_class),
        only_a=tuple(index for index in range(len(a)) if index not in rows),
        only_b=tuple(index for index in range(len(b)) if index not in columns),
    )


def consensus(results: Sequence[Detections], *, votes: int, iou: float = 0.5) -> list[Agreed]:
    """Returns the objects that at least `votes` models agree on. With two models and two votes, these are the pairs that `compare` matches.

    Args:
        results: One result per model, for the same image; filter them first, for example with `select`.
        votes: Number of models that must have found an object, 1 or more.
        iou: Lowest IoU at which two objects count as the same place, above 0 and up to 1; see `matching.agree`.

    Returns:
        The objects, sorted by votes, then by mean score, highest first.

    Raises:
        ValueError: If the images differ in size, or `votes` or `iou` are out of range.
    """
    _require_comparable(results, iou)
    if votes < 1:
        raise ValueError(f"votes must be 1 or more, got {votes}")
    groups = agree([result.boxes for result in results], [result.names for result in results], iou)
    agreed = [_agreed(results, members) for members in groups if len(members) >= votes]
    return sorted(agreed, key=lambda found: (-found.votes, -found.score, list(found.members.items())))


def _agreed(results: Sequence[Detections], members: dict[int, int]) -> Agreed:
    boxes = [results[result].boxes[index] for result, index in members.items()]
    scores = [float(results[result].scores[index]) for result, index in members.items()]
    first, index = next(iter(members.items()))
    return Agreed(results[first].names[index], members, np.mean(boxes, axis=0, dtype=np.float64), fmean(scores))


def _require_comparable(results: Sequence[Detections], iou: float) -> None:
    if not 0 < iou <= 1:
        raise ValueError(f"iou must be above 0 and at most 1, got {iou}")
    sizes = {result.image_size for result in results}
    if len(sizes) > 1:
        found = " and ".join(f"{width}×{height}" for height, width in sorted(sizes))
        raise ValueError(f"the results are for images of different sizes, {found} pixels; compare results for the same image")
