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
    return text


def reason_of_candidate(recording: Recording, index: int, fate: Fate, threshold: float) -> str:
    """Returns what became of a class at a place, as a phrase without a subject: "was suppressed by dog 0.91 …"."""
    candidates, selection, rules = recording.candidates, recording.selection, recording.rules
    rank = int(selection.ranks[index])
    if fate is Fate.BELOW_MIN_SCORE:
        return reason_of_min_score(rules)
    if fate is Fate.NOT_IN_TOP_K:
        return _outside_top_k(rank, rules.top_k_within, rules)
    if fate is Fate.TOO_SMALL:
        return "was dropped, because its box is empty once it is clipped to the image"
    if fate is Fate.CUT:
        return f"survived NMS as number {rank:,}, but the model returns at most {rules.limit:,} objects"
    if fate is Fate.BELOW_THRESHOLD:
        return f"is in the model's result, but your threshold of {number(threshold)} hides it"
    if fate is Fate.KEPT:
        return "is in the model's result"
    by = int(selection.suppressors[index])
    other = f"{recording.name(int(candidates.labels[by]))} {number(float(candidates.scores[by]))}"
    best = "best box" if rules.class_agnostic else "best box of a class"
    return f"was suppressed by {other}: {_overlap(float(selection.ious[index]), best, rules)}{_then(recording, by, threshold)}"


def reason_of_min_score(rules: Rules) -> str:
    """Returns what becomes of candidates with low scores, as a phrase without a subject."""
    return f"was dropped: the model keeps only scores above {number(rules.min_score)}"


def reason_of_proposal(proposals: Proposals, index: int) -> str:
    """Returns what became of a region proposal network's box, as a phrase without a subject."""
    selection, rules = proposals.selection, proposals.rules
    fate, rank = selection.fate(index), int(selection.ranks[index])
    if fate is Fate.BELOW_MIN_SCORE:
        return f"was dropped, because only boxes with an objectness of at least {number(rules.min_score)} go on"
    if fate is Fate.NOT_IN_TOP_K:
        return _outside_top_k(rank, "level", rules)
    if fate is Fate.TOO_SMALL:
        return "was dropped, because it is empty once it is clipped to the image"
    if fate is Fate.CUT:
        return f"survived NMS as number {rank:,}, but only the best {rules.limit:,} become proposals"
    if fate is Fate.KEPT:
        return f"became proposal number {rank:,}"
    by = number(float(proposals.candidates.scores[selection.suppressors[index]]))
    return f"was suppressed by a box with an objectness of {by}: {_overlap(float(selection.ious[index]), 'best box of a level', rules)}"


def _outside_top_k(rank: int, group: str, rules: Rules) -> str:
    return f"was dropped early: it is number {rank:,} of its {group} by score, and only the best {rules.top_k:,} go on (top k)"


def _overlap(iou: float, best: str, rules: Rules) -> str:
    return f"their overlap (IoU) is {number(iou, rules.nms_iou)}, and above {number(rules.nms_iou)} only the {best} stays (NMS)"


def _then(recording: Recording, suppressor: int, threshold: float) -> str:
    """What became of the suppressor, where it is not shown either."""
    if recording.selection.fate(suppressor) is Fate.CUT:
        return f". That one is not in the result either, because the model returns at most {recording.rules.limit:,} objects"
    if recording.candidates.scores[suppressor] < threshold:
        return f". Your threshold of {number(threshold)} hides that one"
    return ""
