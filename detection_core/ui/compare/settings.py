"""A visitor's settings of a comparison: which objects count, and how they are matched and drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

import numpy as np

from detection_core.detections import Detections
from detection_core.ui.components.client_values import bounded, items_of_type, mapping_of, read_style
from detection_core.visualization import AnnotationStyle

Rule = Literal["default", "same", "top", "own"]
Mode = Literal["side", "swipe", "difference", "consensus"]

MAX_MODELS = 4
_MAX_TOP = 100
# More models than any message has.
_MAX_THRESHOLDS = 100
_Choice = TypeVar("_Choice", bound=str)


@dataclass(frozen=True)
class CompareSettings:
    """How the visitor compares; the defaults are the view's own.

    Attributes:
        rule: Which objects count: those above each model's default threshold, above the same one for all, the `top` best of each
            model, or those above `thresholds`.
        threshold: Of the rule "same", 0–1.
        thresholds: Of the rule "own", by model id, 0–1 each; a model without one has its default threshold.
        top: Of the rule "top", 1–100.
        iou: Objects of two models match from this overlap on, 0.05–0.95.
        mode: Which of the views is shown.
        pair: Ids of the two models whose differences are shown; None means the first two.
        votes: How many models must agree on an object, 2–4.
        style: Which layers are drawn, and how.
        hidden_classes: Names of the classes that do not count.
    """

    rule: Rule = "default"
    threshold: float = 0.5
    thresholds: Mapping[str, float] = field(default_factory=dict)
    top: int = 10
    iou: float = 0.5
    mode: Mode = "side"
    pair: tuple[str, str] | None = None
    votes: int = 2
    style: AnnotationStyle = field(default_factory=AnnotationStyle)
    hidden_classes: frozenset[str] = frozenset()

    @classmethod
    def from_client(cls, sent: object) -> CompareSettings:
        """Reads what a browser sent; anything missing, of a wrong type or out of range becomes a default or the nearest bound."""
        values = mapping_of(sent)
        rules: tuple[Rule, ...] = get_args(Rule)
        modes: tuple[Mode, ...] = get_args(Mode)
        return cls(
            rule=_one_of(values.get("rule"), rules, cls.rule),
            threshold=bounded(values.get("threshold"), 0, 1, cls.threshold),
            thresholds=_thresholds(values.get("thresholds")),
            top=round(bounded(values.get("top"), 1, _MAX_TOP, cls.top)),
            iou=bounded(values.get("iou"), 0.05, 0.95, cls.iou),
            mode=_one_of(values.get("mode"), modes, cls.mode),
            pair=_pair(values.get("pair")),
            votes=round(bounded(values.get("votes"), 2, MAX_MODELS, cls.votes)),
            style=read_style(values),
            hidden_classes=frozenset(items_of_type(values.get("hidden_classes"), str)),
        )

    def select(self, models: Mapping[str, tuple[Detections, float]]) -> dict[str, Detections]:
        """The objects that count, exactly those that the browser shows.

        Args:
            models: Each model's detections and its default threshold, by model id.
        """
        return {identity: self._counted(identity, found, default) for identity, (found, default) in models.items()}

    def threshold_of(self, identity: str, default: float) -> float | None:
        """The lowest score at which a model's objects count; None if the rule has no threshold.

        Args:
            identity: Id of the model.
            default: Its default threshold.
        """
        thresholds = {"default": default, "same": self.threshold, "own": self.thresholds.get(identity, default)}
        return thresholds.get(self.rule)

    def _counted(self, identity: str, found: Detections, default: float) -> Detections:
        active = found[~np.isin(found.names, sorted(self.hidden_classes))] if self.hidden_classes and len(found) else found
        threshold = self.threshold_of(identity, default)
        if threshold is None:
            return active[: self.top]
        # The browser compares the same numbers with the same slack: its sliders step by 0.01 in binary fractions.
        return active[active.scores.astype(np.float64) >= threshold - 1e-6]


def _one_of(value: object, choices: tuple[_Choice, ...], default: _Choice) -> _Choice:
    return next((choice for choice in choices if choice == value), default)


def _thresholds(value: object) -> dict[str, float]:
    if not isinstance(value, Mapping):
        return {}
    read = {key: bounded(number, 0, 1, -1) for key, number in list(value.items())[:_MAX_THRESHOLDS] if isinstance(key, str)}
    return {key: number for key, number in read.items() if number >= 0}


def _pair(value: object) -> tuple[str, str] | None:
    ids = items_of_type(value, str)
    return (ids[0], ids[1]) if len(ids) == 2 and ids[0] != ids[1] else None
