"""How good models are on annotated images, and where exactly they are wrong."""

from detection_core.evaluation.api import EvaluationOptions, evaluate
from detection_core.evaluation.errors import EvaluationError
from detection_core.evaluation.evaluated import Evaluated, ModelEvaluation
from detection_core.evaluation.one_model import Evaluation
from detection_core.evaluation.run import Candidate, EvaluationRun, Step

__all__ = [
    "Candidate",
    "Evaluated",
    "Evaluation",
    "EvaluationError",
    "EvaluationOptions",
    "EvaluationRun",
    "ModelEvaluation",
    "Step",
    "evaluate",
]
