"""What became of a candidate, in words that are true for each family's rules."""

from __future__ import annotations

from detection_core.explanation.record import Proposals, Recording
from detection_core.explanation.selection import Fate, Rules


def number(value: float, limit: float | None = None) -> str:
    """Formats a score with two digits after the point, or more where it would seem to be 0, 1 or the limit that it is compared with."""
    for digits in range(2, 7):
        text = f"{value:.{digits}f}"
        if value in (0, 1) or (float(text) not in (0, 1) and (limit is None or text != f"{limit:.{digits}f}")):
            return text
    return f"{value:.1g}"


def reason_of_candidate(recording: Recording, index: int, fate: Fate, threshold: float) -> str:
    """Returns what became of a class at a place, as a phrase without a subject: "was suppressed by dog 0.91 …"."""
    candidates, selection, rules = recording.candidates, recording.selection, recording.rules
    rank = int(selection.ranks[index])
    if fate is Fate.BELOW_FLOOR:
        return reason_of_floor(rules)
    if fate is Fate.NOT_IN_TOP_K:
        return f"is number {rank:,} among the candidates of its {rules.top_k_within}, of which only the best {rules.top_k:,} go on to NMS"
    if fate is Fate.TOO_SMALL:
        return "has an empty box once it is clipped to the image"
    if fate is Fate.CUT:
        return f"survived NMS as number {rank:,}, but the model returns only the best {rules.limit:,}"
    if fate is Fate.BELOW_THRESHOLD:
        return f"is part of the model's result, but below your threshold of {number(threshold)}"
    if fate is Fate.KEPT:
        return "is part of the model's result"
    by = int(selection.suppressors[index])
    other = f"{recording.name(int(candidates.labels[by]))} {number(float(candidates.scores[by]))}"
    return f"was suppressed by {other}, which it overlaps with an IoU of {selection.ious[index]:.2f}: {_nms_rule(rules)}" + _then(
        recording, by, threshold
    )


def reason_of_floor(rules: Rules) -> str:
    """Returns what becomes of candidates with low scores, as a phrase without a subject."""
    return f"is not above the score floor of {number(rules.floor)}, under which the model drops everything"


def reason_of_proposal(proposals: Proposals, index: int) -> str:
    """Returns what became of a region proposal network's box, as a phrase without a subject."""
    selection, rules = proposals.selection, proposals.rules
    fate, rank = selection.fate(index), int(selection.ranks[index])
    if fate is Fate.BELOW_FLOOR:
        return f"is below the lowest objectness of {number(rules.floor)}"
    if fate is Fate.NOT_IN_TOP_K:
        return f"is number {rank:,} at its level, of which only the best {rules.top_k:,} go on to NMS"
    if fate is Fate.TOO_SMALL:
        return "is empty once it is clipped to the image"
    if fate is Fate.CUT:
        return f"survived NMS as number {rank:,}, but only the best {rules.limit:,} become proposals"
    if fate is Fate.KEPT:
        return f"became proposal number {rank:,}"
    by = int(selection.suppressors[index])
    return (
        f"was suppressed by one with objectness {number(float(proposals.candidates.scores[by]))}, which it overlaps with an IoU of "
        f"{selection.ious[index]:.2f} (at most {rules.nms_iou:.2f} is allowed within a level)"
    )


def _nms_rule(rules: Rules) -> str:
    which = "of two boxes" if rules.class_agnostic else "of two boxes of the same class"
    return f"{which} with an IoU above {rules.nms_iou:.2f}, NMS keeps the one with the better score"


def _then(recording: Recording, suppressor: int, threshold: float) -> str:
    """What became of the suppressor, where it is not shown either."""
    if recording.selection.fate(suppressor) is Fate.CUT:
        return f". That one was cut itself, because the model returns only the best {recording.rules.limit:,}"
    if recording.candidates.scores[suppressor] < threshold:
        return f". That one is itself below your threshold of {number(threshold)}"
    return ""
