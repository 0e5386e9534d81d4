"""Links to a comparison: reads the short names that links.js writes into an address."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from detection_core.ui.compare.settings import MAX_MODELS, CompareSettings
from detection_core.visualization import LAYERS

_MAX_LENGTH = 4000


def link_models(query: Mapping[str, str]) -> list[str]:
    """Ids of the models that a link names, without repetitions, at most four.

    Args:
        query: The parameters of an address, decoded once; ids are encoded twice, because they may contain commas.
    """
    ids = [unquote(part) for part in query.get("models", "")[:_MAX_LENGTH].split(",") if part]
    return list(dict.fromkeys(ids))[:MAX_MODELS]


def settings_from_link(query: Mapping[str, str]) -> dict[str, Any]:
    """Settings in the form that the browser sends, for `restore`; settings that cannot be read are left out and keep their defaults.

    Args:
        query: The parameters of an address, decoded, such as `dict(request.query_params)`.
    """
    models = link_models(query)
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "rule": ("rule", str),
        "t": ("threshold", float),
        "ts": ("thresholds", lambda text: dict(zip(models, map(float, text.split(",")), strict=True))),
        "top": ("top", int),
        "iou": ("iou", float),
        "mode": ("mode", str),
        "pair": ("pair", lambda text: [models[int(place)] for place in text.split(",")]),
        "votes": ("votes", int),
        "opacity": ("opacity", float),
        "keypoints": ("keypoint_threshold", float),
        # Class names may contain commas.
        "hide": ("hidden_classes", lambda text: text.split("\n")),
    }
    found: dict[str, Any] = {}
    for short, (name, read) in readers.items():
        text = query.get(short, "")[:_MAX_LENGTH]
        try:
            found |= {name: read(text)} if text else {}
        except (ValueError, IndexError, OverflowError):
            continue
    off = query.get("off", "")[:_MAX_LENGTH].split(",")
    found |= {layer: False for layer in LAYERS if layer in off}
    valid = CompareSettings.from_client(found)
    return {name: _plain(getattr(valid.style if hasattr(valid.style, name) else valid, name)) for name in found}


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return sorted(value) if isinstance(value, frozenset) else list(value) if isinstance(value, tuple) else value
