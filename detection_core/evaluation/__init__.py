"""How good models are on annotated images, and where exactly they are wrong."""

from detection_core.evaluation.one_model import Evaluation, evaluate_model as evaluate

__all__ = ["Evaluation", "evaluate"]
