"""DetectionView: an image with its detections, explored in the browser without asking the server again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections import Detections
from detection_core.ui.components.base import View
from detection_core.ui.components.client_values import bounded, items_of_type, mapping_of, read_style
from detection_core.ui.components.drawing import SKELETON_COLORS, drawing_constants
from detection_core.ui.components.export_choices import format_choices
from detection_core.ui.components.messages import (
    ViewMessage,
    ViewStatus,
    download_payload,
    error_payload,
    image_payload,
    status_payload,
    view_payload,
)
from detection_core.visualization import AnnotationStyle

__all__ = [
    "DetectionView",
    "ViewMessage",
    "ViewSettings",
    "ViewStatus",
    "download_payload",
    "error_payload",
    "image_payload",
    "status_payload",
    "view_payload",
]


@dataclass(frozen=True)
class ViewSettings:
    """The visitor's settings of the view; the defaults are the view's own.

    Attributes:
        threshold: Objects with a score of at least this are shown, 0–1.
        hidden_classes: Ids of the classes that are switched off.
        style: Which layers are drawn, and how.
        only_slices: Whether only objects are shown that the whole image does not have at the threshold.
    """

    threshold: float = 0.5
    hidden_classes: frozenset[int] = frozenset()
    style: AnnotationStyle = field(default_factory=AnnotationStyle)
    only_slices: bool = False

    @classmethod
    def from_client(cls, sent: object) -> ViewSettings:
        """Reads what a browser sent; anything missing, of a wrong type or out of range becomes a default or the nearest bound."""
        values = mapping_of(sent)
        return cls(
            threshold=bounded(values.get("threshold"), 0, 1, cls.threshold),
            hidden_classes=frozenset(items_of_type(values.get("hidden_classes"), int)),
            style=read_style(values),
            only_slices=values.get("only_slices") is True,
        )

    def visible(self, detections: Detections) -> NDArray[np.bool_]:
        """Which objects the visitor sees, bool [N]."""
        hidden = np.isin(detections.labels, list(self.hidden_classes))
        # The browser compares with the same slack: its slider steps by 0.01 in binary fractions.
        lowest = self.threshold - 1e-6
        seen: NDArray[np.bool_] = (detections.scores >= lowest) & ~hidden
        if self.only_slices and detections.whole_scores is not None:
            seen &= detections.whole_scores < lowest
        return seen


class DetectionView(View):
    """An image with its detections: threshold, classes, layers, hover, zoom and table, all in the browser.

    As an output it takes a `ViewMessage` (see `view_payload` and its neighbors), as an input it gives the `ViewSettings`. Its event
    `download` asks for a file in the `format` that its data names; the handler returns a `download_payload`. `explain` asks for the mode
    Explain. `change` fires whenever settings or result have changed.

    Args:
        value: What it shows at first.
        explain_functions: The server functions of the mode Explain; without any, it is not offered.
        **kwargs: As for `gr.HTML`.
    """

    data_model = ViewMessage
    files = "detect/view"
    styles = ("view", "export_menu", "explain")
    declarations = SKELETON_COLORS
    browser_events = ("download", "explain")

    def __init__(
        self, value: ViewMessage | dict[str, Any] | None = None, *, explain_functions: Sequence[Callable[..., Any]] = (), **kwargs: Any
    ) -> None:
        constants = {**drawing_constants(), "exportFormats": format_choices(), "explains": bool(explain_functions)}
        super().__init__(value, constants=constants, server_functions=list(explain_functions), **kwargs)

    def preprocess(self, payload: ViewMessage | None) -> ViewSettings:
        """The visitor's settings."""
        return ViewSettings.from_client(payload.settings if payload else None)

    def example_payload(self) -> Any:
        """Settings as a browser sends them."""
        return {"settings": {"threshold": 0.5}}
