"""CompareView: two to four models on one image, compared object by object in the browser without asking the server again."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from gradio.components.base import Component

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
from detection_core.ui.components.files import component_files
from detection_core.ui.components.safe_image import NoAddresses
from detection_core.visualization import COMPARISON, SIDE_COLORS, ink, to_hex

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

_SCRIPTS = (
    *("dom", "geometry", "overlay", "labels", "viewport", "controls", "feedback"),
    *(
        "compare/matching",
        "compare/selection",
        "compare/comparison",
        "compare/sheet",
        "compare/panes",
        "compare/pairs",
        "compare/pair_table",
        "compare/derived",
        "compare/costs",
        "compare/scatter",
        "compare/links",
    ),
)
_COLORS = [
    *(f"--skeleton-{side}: {to_hex(color)};" for side, color in SIDE_COLORS.items()),
    *(f"--only-{name}: {to_hex(color)}; --on-{name}: {to_hex(ink(color))};" for name, color in zip("ab", COMPARISON, strict=True)),
]


class CompareView(gr.HTML, NoAddresses):
    """Models side by side, under a swipe, as differences of two, or as what they agree on, all in the browser.

    As an output it takes a `CompareMessage` (see `compare_payload` and its neighbors), as an input it gives the `CompareSettings`. Its
    event `download` asks for everything as a file; the handler returns a message that has a `download`. Its event `measure` asks
    for the models' latency and memory on this image; the handler yields complete messages whose models have a `cost`. Its event
    `keep` asks for the image to be kept for a link; the handler returns a message that has only a `link_name`.
    Use `show_progress="hidden"` on events that write to it: it shows its own status.

    Args:
        value: What it shows at first.
        can_keep: Whether visitors' images can be kept for links.
    """

    is_template = True
    data_model = CompareMessage

    def __init__(self, value: CompareMessage | dict[str, Any] | None = None, *, can_keep: bool = False, **kwargs: Any) -> None:
        files = component_files("compare/view", *_SCRIPTS, styles=("view",))
        # Declarations outside a rule belong to the component itself.
        files["css_template"] = "\n".join([*_COLORS, files["css_template"]])
        # Not a property: Gradio forgets those when it builds a hidden component anew.
        files["js_on_load"] = f"const CAN_KEEP = {json.dumps(can_keep)};\n" + files["js_on_load"]
        super().__init__(value, **files, apply_default_css=False, **kwargs)

    def preprocess(self, payload: CompareMessage | None) -> CompareSettings:
        """How the visitor compares."""
        return CompareSettings.from_client(payload.settings if payload else None)

    def postprocess(self, value: CompareMessage | dict[str, Any] | None) -> CompareMessage | None:
        """A message to the view; None empties it."""
        return value if value is None or isinstance(value, CompareMessage) else CompareMessage.model_validate(value)

    def api_info(self) -> dict[str, Any]:
        """The schema of `CompareMessage`."""
        return Component.api_info(self)

    def example_payload(self) -> Any:
        """Settings as a browser sends them."""
        return {"settings": {"rule": "same", "threshold": 0.5}}

    def example_value(self) -> Any:
        """A message without a file."""
        return {"status": {"stage": "run", "text": "Detecting objects"}}
