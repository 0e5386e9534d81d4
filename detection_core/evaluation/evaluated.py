"""The evaluation of several models on the same images; whatever is asked of it is computed from the matched detections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.datasets.coco import CocoDataset
from detection_core.evaluation.average_precision import ClassFigures, class_figures
from detection_core.evaluation.bootstrap import Interval, Resampled, interval, resample
from detection_core.evaluation.calibration import Calibration, calibration
from detection_core.evaluation.confusion import Confusion, Confusions
from detection_core.evaluation.curves import Curves, OperatingPoint, Thresholds, thresholds_of
from detection_core.evaluation.error_kinds import ErrorKinds, error_kinds
from detection_core.evaluation.errors import EvaluationError
from detection_core.evaluation.ground_truth import GroundTruth
from detection_core.evaluation.mapping import ClassMapping
from detection_core.evaluation.match import Matches, match
from detection_core.evaluation.overlaps import LOWEST_IOU
from detection_core.evaluation.paired import PairedComparison, compare_models
from detection_core.formats.thresholds import ModelThresholds

USUAL_IOU = 0.5
# Matches at IoUs that the user has chosen; each takes as much memory as all detections.
_KEPT_IOUS = 8


def require_iou(iou: float) -> None:
    """Checks the lowest IoU of a match.

    Raises:
        EvaluationError: If it is out of range.
    """
    if not LOWEST_IOU <= iou <= 1:
        raise EvaluationError(f"The lowest IoU of a match must be from {LOWEST_IOU} to 1, not {iou:g}.")


@dataclass(frozen=True)
class Cost:
    """What a model costs.

    Attributes:
        seconds: Median time of an image on this machine, from pixels to results; None if unknown.
        memory: Largest number of bytes that the model and an image took, or None.
        file_size: Size of the weights file in MiB, or None.
    """

    seconds: float | None = None
    memory: int | None = None
    file_size: float | None = None


class _AtIou:
    """What is computed once for an IoU: the matches and its index in their thresholds, and what answers moves of a threshold."""

    def __init__(self, matches: Matches, index: int) -> None:
        self.matches, self.index = matches, index

    @cached_property
    def curves(self) -> Curves:
        return Curves(self.matches, self.index)

    @cached_property
    def confusions(self) -> Confusions:
        return Confusions(self.matches, self.index)


@dataclass(frozen=True, eq=False)
class ModelEvaluation:
    """One model's evaluation. The first call of a property or method computes it; after that, a move of a threshold takes milliseconds.

    Attributes:
        name: The model's key, or the name of its results file.
        matches: Its detections, matched at COCO's ten IoU thresholds.
        mapping: Its classes and those of the data.
        threshold: The score threshold to start with.
        class_thresholds: Those of single classes, by the data's name of the class.
        cost: What it costs.
        notes: Sentences for the user.
        resamples: Number of resampled sets of images for intervals.
    """

    name: str
    matches: Matches
    mapping: ClassMapping
    threshold: float
    cost: Cost = field(default_factory=Cost)
    notes: tuple[str, ...] = ()
    resamples: int = 200
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    _by_iou: dict[float, _AtIou] = field(default_factory=dict, repr=False)

    @cached_property
    def figures(self) -> ClassFigures:
        """COCO's average precision and recall."""
        return class_figures(self.matches)

    @cached_property
    def resampled(self) -> Resampled:
        """The same figures on resampled images."""
        return resample(self.matches, self.resamples)

    @cached_property
    def error_kinds(self) -> dict[str, ErrorKinds]:
        """The kinds of its errors at an IoU of 0.5, by object size: "all", and COCO's sizes."""
        return {name: error_kinds(self.matches, size=size) for size, name in enumerate(self.matches.sizes)}

    def matches_at(self, iou: float = USUAL_IOU) -> tuple[Matches, int]:
        """Returns the detections matched at an IoU, and its index in their thresholds."""
        at = self._at(iou)
        return at.matches, at.index

    def curves(self, iou: float = USUAL_IOU) -> Curves:
        """Returns precision, recall and F1 at any score threshold."""
        return self._at(iou).curves

    def confusion(self, thresholds: Thresholds | None = None, iou: float = USUAL_IOU) -> Confusion:
        """Returns the confusion matrix.

        Args:
            thresholds: Score thresholds, one for all classes or one for each label; None for the model's `thresholds`.
            iou: Lowest IoU of a match.
        """
        return self._at(iou).confusions.at(self.thresholds if thresholds is None else thresholds)

    def calibration(self, iou: float = USUAL_IOU, *, bins: int = 10) -> Calibration:
        """Returns the precision of detections by their score."""
        at = self._at(iou)
        return calibration(at.matches, iou=at.index, bins=bins)

    @property
    def thresholds(self) -> NDArray[np.float64]:
        """A threshold for each label: the class's own, or else the model's, float64 [K]."""
        return thresholds_of(self.matches.truth.categories, self.threshold, self.class_thresholds)

    def chosen_thresholds(self) -> ModelThresholds:
        """Returns the thresholds under the model's names of its classes, as a thresholds file has them."""
        by_own = {own: self.class_thresholds[name] for own, name in self.mapping.partners.items() if name in self.class_thresholds}
        return ModelThresholds(self.threshold, by_own)

    def point(self, iou: float = USUAL_IOU) -> OperatingPoint:
        """Returns precision, recall and F1 of all classes together at the model's thresholds."""
        return replace(self.curves(iou).together(self.thresholds), threshold=self.threshold)

    def _at(self, iou: float) -> _AtIou:
        require_iou(iou)
        if iou not in self._by_iou:
            index = int(np.abs(self.matches.thresholds - iou).argmin())
            if abs(self.matches.thresholds[index] - iou) < 1e-9:
                matches = self.matches
            else:
                own = self.matches
                matches, index = match(own.truth, own.found, own.overlaps, thresholds=[iou], sizes=["all"]), 0
            if len(self._by_iou) == _KEPT_IOUS:
                del self._by_iou[next(iter(self._by_iou))]
            self._by_iou[iou] = _AtIou(matches, index)
        return self._by_iou[iou]

    def metrics(self, iou: float = USUAL_IOU) -> dict[str, Any]:
        """Returns all figures as plain types."""
        curves = self.curves(iou)
        intervals = self.resampled.intervals() if self.resamples else {}
        return {
            **self.figures.summary,
            "intervals": {name: bounds and list(bounds) for name, bounds in intervals.items()},
            "at_threshold": self.point(iou).to_json(),
            "class_thresholds": dict(self.class_thresholds),
            "at_best_threshold": None if (best := curves.best()) is None else curves.together(best).to_json(),
            "calibration_error": self.calibration(iou).error,
            "errors": {
                size: {str(kind): {"count": count, "ap50_gain": errors.gains[kind]} for kind, count in errors.counts.items()}
                for size, errors in self.error_kinds.items()
            },
            "cost": asdict(self.cost),
            "classes": {"renamed": self.mapping.renamed, "not_detected": list(self.mapping.not_detected)}
            | {"left_out": list(self.mapping.left_out)},
            "notes": list(self.notes),
        }

    def per_class(self, iou: float = USUAL_IOU) -> list[dict[str, Any]]:
        """Returns a row of figures for each class of the data."""
        curves, rows = self.curves(iou), []
        points = curves.at(self.thresholds)
        for label, name in enumerate(self.matches.truth.categories):
            if not label:
                continue
            bounds = self.resampled.intervals(label)["AP"] if self.resamples else None
            low, high = bounds or (None, None)
            best = curves.best(label)
            figures = self.figures.of_class(label)
            point = points[label].to_json()
            rows.append(
                {
                    "model": self.name,
                    "class": name,
                    "objects": points[label].objects,
                    "AP": figures.pop("AP"),
                    "AP_low": low,
                    "AP_high": high,
                }
                | figures
                | point
                | {"best_threshold": best, "best_f1": None if best is None else curves.at(best)[label].f1}
            )
        return rows


@dataclass(frozen=True, eq=False)
class Evaluated:
    """The evaluation of several models on the same images.

    Attributes:
        dataset: The annotated images.
        truth: Their objects, as they were compared.
        models: The evaluation of each model, in the given order.
        failed: Why others were not evaluated, by name.
        notes: Sentences about the data, for the user.
    """

    dataset: CocoDataset
    truth: GroundTruth
    models: tuple[ModelEvaluation, ...]
    failed: dict[str, str]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ModelEvaluation:
        """Returns the evaluation of a model by its name."""
        return next(model for model in self.models if model.name == name)

    def pairs(self) -> list[tuple[ModelEvaluation, ModelEvaluation]]:
        """Returns all pairs of models."""
        return [(a, b) for index, a in enumerate(self.models) for b in self.models[index + 1 :]]

    def compare(self, a: ModelEvaluation, b: ModelEvaluation, iou: float = USUAL_IOU) -> PairedComparison:
        """Compares two models object by object, each at its threshold."""
        at = a._at(iou)
        return compare_models(at.matches, b._at(iou).matches, a.thresholds, b.thresholds, at.index)

    def difference(self, a: ModelEvaluation, b: ModelEvaluation, figure: str = "AP") -> tuple[float | None, Interval | None]:
        """Returns how much higher a figure of A is than B's, and the interval of the difference on resampled images."""
        here, there = a.figures.summary[figure], b.figures.summary[figure]
        if here is None or there is None:
            return None, None
        bounds = interval(a.resampled.samples()[figure] - b.resampled.samples()[figure]) if a.resamples and b.resamples else None
        return here - there, bounds

    def metrics(self, iou: float = USUAL_IOU) -> dict[str, Any]:
        """Returns everything as plain types, as `metrics.json` has it."""
        pairs = []
        for a, b in self.pairs():
            difference, bounds = self.difference(a, b)
            found = self.compare(a, b, iou)
            counts = {"both": found.both, "only_a": len(found.only_a), "only_b": len(found.only_b), "neither": found.neither}
            pairs.append(
                {"a": a.name, "b": b.name, "AP": difference, "interval": bounds and list(bounds), **counts, "p_value": found.p_value}
            )
        return {
            "iou_type": self.truth.iou_type,
            "iou": iou,
            "images": len(self.truth.images),
            "objects": int(self.truth.objects.sum()),
            "models": {model.name: model.metrics(iou) for model in self.models},
            "pairs": pairs,
            "failed": self.failed,
            "notes": list(self.notes),
        }

    def per_class(self, iou: float = USUAL_IOU) -> list[dict[str, Any]]:
        """Returns a row for each model and class, as `per_class.csv` has them."""
        return [row for model in self.models for row in model.per_class(iou)]
