"""What if the settings after the network were different? Answered at once from the kept candidates, without running the network again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.errors import UserError
from detection_core.explanation.record import Recording
from detection_core.explanation.selection import Rules, Selection, select

# Other proposals would reach the box head, which has given them no scores.
NEEDS_A_NEW_RUN = (
    "The settings of the first stage (RPN) decide which proposals the box head sees, "
    "so they cannot be changed without running the model again."
)


class WhatIfError(UserError, ValueError):
    """The kept candidates do not determine what would happen."""


@dataclass(frozen=True, eq=False)
class WhatIf:
    """What the model would find with other settings.

    Attributes:
        rules: The settings.
        detections: The result, without masks and keypoints, which would need another run of their heads.
        is_new: bool [N], which of the detections the model does not return with its own settings.
        gone: Indices of the objects in `Recording.detections` that are missing.
        selection: What would become of the recording's candidates.
    """

    rules: Rules
    detections: Detections
    is_new: NDArray[np.bool_]
    gone: NDArray[np.int64]
    selection: Selection


def what_if(
    recording: Recording,
    *,
    nms_iou: float | None = None,
    min_score: float | None = None,
    limit: int | None = None,
    top_k: int | None = None,
    class_agnostic: bool | None = None,
) -> WhatIf:
    """Selects from the recording's candidates with other settings; None keeps a setting.

    The result is that of torchvision's model built with these settings. The settings of a first stage are not offered: see
    `NEEDS_A_NEW_RUN`.

    Args:
        recording: What happened inside.
        nms_iou: torchvision's `nms_thresh`, 0–1.
        min_score: Its `score_thresh`, 0–1.
        limit: Its `detections_per_img`.
        top_k: Its `topk_candidates`, for one-stage models.
        class_agnostic: Whether NMS compares boxes of all classes, which torchvision does not offer.

    Raises:
        WhatIfError: If a setting is out of range, does not exist for the model, or needs candidates that were not kept.
    """
    asked: dict[str, Any] = {"nms_iou": nms_iou, "min_score": min_score, "limit": limit, "top_k": top_k, "class_agnostic": class_agnostic}
    rules = replace(recording.rules, **{name: value for name, value in asked.items() if value is not None})
    _check(recording, rules)
    selection = select(recording.candidates, rules)
    kept, before = selection.kept, recording.selection.kept
    candidates, spec = recording.candidates, recording.spec
    boxes, labels = recording.in_image(candidates.boxes[kept]), candidates.labels[kept]
    detections = Detections(boxes, labels, candidates.scores[kept], recording.image_size, spec.categories, model=spec.key)
    return WhatIf(rules, detections, ~np.isin(kept, before), np.flatnonzero(~np.isin(before, kept)), selection)


def _check(recording: Recording, rules: Rules) -> None:
    if not 0 <= rules.nms_iou <= 1:
        raise WhatIfError(f"The IoU of NMS must lie between 0 and 1, not at {rules.nms_iou:g}.")
    if not 0 <= rules.min_score <= 1:
        raise WhatIfError(f"The minimum score must lie between 0 and 1, not at {rules.min_score:g}.")
    if rules.limit < 1:
        raise WhatIfError("The limit of detections must be at least 1.")
    if rules.top_k is not None and recording.rules.top_k is None:
        raise WhatIfError(f"{recording.spec.title} has no top k before NMS of its boxes. {NEEDS_A_NEW_RUN}")
    if rules.top_k is not None and rules.top_k < 1:
        raise WhatIfError("The top k must be at least 1.")
    is_complete = recording.lowest_kept <= max(rules.min_score, recording.rules.min_score)
    if rules.top_k is not None and recording.rules.top_k is not None and rules.top_k > recording.rules.top_k and not is_complete:
        raise WhatIfError(
            f"So many candidates have high scores that not all of them were kept. Choose a top k of at most {recording.rules.top_k}."
        )
    if rules.min_score < min(recording.lowest_kept, recording.rules.min_score):
        raise WhatIfError(
            f"Candidates with scores below {recording.lowest_kept:.2g} were not kept, because there are too many of them. "
            "Choose a higher minimum score."
        )
