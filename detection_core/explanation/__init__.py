"""Explanations: what happened inside a model on one image, and so why it found an object, or why it did not."""

from detection_core.explanation.gradients import GradientMap
from detection_core.explanation.in_slices import NOT_RECORDED, FoundObject, SliceRecorder, number_in, why_not_in_whole
from detection_core.explanation.query import Query, QueryError
from detection_core.explanation.record import Recording
from detection_core.explanation.recorder import Recorder, record
from detection_core.explanation.report import Explanation, explain
from detection_core.explanation.saliency import SaliencyCancelled, SaliencyProgress, drise, faithfulness
from detection_core.explanation.selection import Fate, Rules
from detection_core.explanation.stages import Stage, stages
from detection_core.explanation.what_if import NEEDS_A_NEW_RUN, WhatIf, WhatIfError, what_if
from detection_core.explanation.why import Why, why
from detection_core.explanation.why_not import WhyNot, why_not

__all__ = [
    "NEEDS_A_NEW_RUN",
    "NOT_RECORDED",
    "Explanation",
    "Fate",
    "FoundObject",
    "GradientMap",
    "Query",
    "QueryError",
    "Recorder",
    "Recording",
    "Rules",
    "SaliencyCancelled",
    "SaliencyProgress",
    "SliceRecorder",
    "Stage",
    "WhatIf",
    "WhatIfError",
    "Why",
    "WhyNot",
    "drise",
    "explain",
    "faithfulness",
    "number_in",
    "record",
    "stages",
    "what_if",
    "why",
    "why_not",
    "why_not_in_whole",
]
