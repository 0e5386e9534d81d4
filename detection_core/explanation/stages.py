"""The stages of a detection, from the network's input to the result, with the number of boxes left and the time at each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detection_core.explanation.record import Recording
from detection_core.explanation.selection import FATES, Candidates, Fate
from detection_core.models.families import Family

# More are not returned of any stage.
MAX_BOXES = 2_000
_STRETCHED = 1.02


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage.

    Attributes:
        name: "input", "features", "anchors", "proposals", "candidates", "before NMS", "after NMS" or "result".
        text: What it is, in a phrase.
        count: Number of boxes, or None for stages without boxes.
        boxes: float32 [N,4], the best of them, XYXY in pixels of the image, best first; at most 2,000.
        scores: float32 [N].
        labels: int64 [N], 0 for boxes without a class.
        seconds: Time of the steps up to here since the last stage with a time, or None.
    """

    name: str
    text: str
    count: int | None
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    seconds: float | None = None


def stages(recording: Recording) -> tuple[Stage, ...]:
    """Returns a recording's stages in their order; the maps of the feature levels are `recording.levels`."""
    seconds = {step.name: step.seconds for step in recording.steps}
    places = recording.places
    found = [
        _plain("input", input_text(recording), seconds.get("resize")),
        _plain("features", f"{len(recording.levels)} levels of feature maps", seconds.get("backbone")),
    ]
    if recording.proposals is not None:
        proposals, candidates = recording.proposals, recording.proposals.candidates
        found += [
            _stage(recording, "anchors", "boxes of the first stage (RPN), one for each anchor", candidates, np.arange(len(candidates))),
            _stage(recording, "proposals before NMS", "the best of each level", candidates, proposals.selection.entered),
            _stage(recording, "proposals", "left after NMS within each level", candidates, proposals.selection.kept, seconds.get("rpn")),
        ]
    candidates, selection = recording.candidates, recording.selection
    where = "proposals" if recording.proposals is not None else "cells" if recording.spec.family is Family.FCOS else "anchors"
    pairs = f"all classes at {len(places.scores):,} {where} with scores above the model's minimum of {recording.rules.min_score:g}"
    above = np.flatnonzero(selection.fates != FATES.index(Fate.BELOW_MIN_SCORE))
    found += [
        _stage(recording, "candidates", pairs, candidates, above, seconds.get("head")),
        _stage(recording, "before NMS", _before_nms(recording), candidates, selection.entered),
        _stage(recording, "after NMS", f"left after NMS at IoU {recording.rules.nms_iou:g}", candidates, selection.survivors),
        _stage(
            recording,
            "result",
            f"the best {recording.rules.limit:,} at most",
            candidates,
            selection.kept,
            seconds.get("box head", seconds.get("the rest")),
        ),
    ]
    return tuple(found)


def input_text(recording: Recording) -> str:
    """Returns how the network sees the image: "800×600 pixels, scaled by 1.25"."""
    (height, width), (network_height, network_width) = recording.region_size, recording.network_size
    across, down = network_width / width, network_height / height
    text = f"{network_width}×{network_height} pixels, "
    if max(across / down, down / across) > _STRETCHED:
        return text + f"stretched: scaled by {across:.2f} across and {down:.2f} down"
    return text + f"scaled by {(across + down) / 2:.2f}"


def _before_nms(recording: Recording) -> str:
    rules = recording.rules
    return "all of them" if rules.top_k is None else f"the best {rules.top_k:,} of each {rules.top_k_within}"


def _plain(name: str, text: str, seconds: float | None) -> Stage:
    return Stage(name, text, None, np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), seconds)


def _stage(recording: Recording, name: str, text: str, candidates: Candidates, index: np.ndarray, seconds: float | None = None) -> Stage:
    best = index[np.argsort(-candidates.scores[index], kind="stable")][:MAX_BOXES]
    boxes = recording.in_image(candidates.boxes[best])
    return Stage(name, text, len(index), boxes, candidates.scores[best], candidates.labels[best], seconds)
