"""CompareView: two to four models on one image, compared object by object in the browser without asking the server again."""

from __future__ import annotations

from typing import Any

from detection_core.ui.compare.link import link_models, settings_from_link
from detection_core.ui.compare.messages import (
    CompareCost,
    CompareMessage,
    CompareModel,
    ComparePoint,
    compare_model,
    compare_payload,
    failed_model,
    waiting_model,
)
from detection_core.ui.compare.settings import MAX_MODELS, CompareSettings
from detection_core.ui.components.base import View
from detection_core.ui.components.drawing import SKELETON_COLORS, drawing_constants
from detection_core.visualization import COMPARISON, ink, to_hex

__all__ = [
    "MAX_MODELS",
    "CompareCost",
    "CompareMessage",
    "CompareModel",
    "ComparePoint",
    "CompareSettings",
    "CompareView",
    "compare_model",
    "compare_payload",
    "failed_model",
    "link_models",
    "settings_from_link",
    "waiting_model",
]

_COLORS = [
    *SKELETON_COLORS,
    *(f"--only-{name}: {to_hex(color)}; --on-{name}: {to_hex(ink(color))};" for name, color in zip("ab", COMPARISON, strict=True)),
]


class CompareView(View):
    """Models side by side, under a swipe, as differences of two, or as what they agree on, all in the browser.

    As an output it takes a `CompareMessage` (see `compare_payload` and its neighbors), as an input it gives the `CompareSettings`. Its
    event `download` asks for everything as a file; the handler returns a message that has a `download`. Its event `measure` asks
    for the models' latency and memory on this image; the handler yields complete messages whose models have a `cost`. Its event
    `keep` asks for the image to be kept for a link; the handler returns a message that has only a `link_name`.

    Args:
        value: What it shows at first.
        can_keep: Whether visitors' images can be kept for links.
    """

    data_model = CompareMessage
    files = "compare/view"
    styles = ("view",)
    declarations = _COLORS
    browser_events = ("download", "measure", "keep")

    def __init__(self, value: CompareMessage | dict[str, Any] | None = None, *, can_keep: bool = False, **kwargs: Any) -> None:
        super().__init__(value, constants={**drawing_constants(), "canKeep": can_keep}, **kwargs)

    def preprocess(self, payload: CompareMessage | None) -> CompareSettings:
        """How the visitor compares."""
        return CompareSettings.from_client(payload.settings if payload else None)

    def example_payload(self) -> Any:
        """Settings as a browser sends them."""
        return {"settings": {"rule": "same", "threshold": 0.5}}
