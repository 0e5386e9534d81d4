"""Which models are fast enough for a camera, from what the engine has measured on this machine."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from detection_core.models.catalog import ModelSpec, list_specs
from detection_core.models.empty import trained_side
from detection_core.models.input_size import why_one_size
from detection_core.models.model_key import ModelKey
from detection_core.models.precision import Precision
from detection_core.models.size_cost import fixed_share, relative_time
from detection_core.ui.components.model_picker import BUILT_IN, picker_value

# A stream with fewer frames is a series of images.
_LIVE_SECONDS = 0.4
_FAST, _SLOW = "Fast enough for live video here", "Slower here"
# On a CPU, a model's time grows with its GFLOPs and has a constant part. For most models, the estimate is within a factor of about two of
# what `benchmarks.speed` measures.
_BASE_GFLOPS = 2.0


def live_picker_value(selected: str, states: dict[str, str], seconds: Mapping[str, float]) -> dict[str, Any]:
    """As `picker_value`, with built-in models first and fast ones next; slow ones are marked with their time for a frame here.

    That is the time in the chosen precision, or, if no model has run in it yet, in the exact one, which the mark then says; and at the
    chosen input size, which another model would keep, estimated from the time at the size of the training.

    Args:
        selected: The chosen model's key.
        states: Where each model is, by its key.
        seconds: Times for an image on this machine, by the keys of the models that have run.
    """
    value = picker_value(selected, states, seconds)
    specs = list_specs()
    chosen = ModelKey.parse(selected)
    precision, measured = chosen.precision, seconds
    own, exact = _in_precision(precision, seconds), _in_precision(Precision.EXACT, seconds)
    seconds, remark = (own, "") if own or precision is Precision.EXACT else (exact, " in exact precision")
    pace = _pace(specs, seconds)
    expected = {
        spec.key: _at_size(spec, chosen.input_size, seconds.get(spec.key) or _estimate(spec, pace), fixed_share(spec, precision, measured))
        for spec in specs
    }

    def marked(model: dict[str, Any]) -> dict[str, Any]:
        taken = expected[model["key"]]
        fast = taken is not None and taken <= _LIVE_SECONDS
        group = BUILT_IN if model["group"] == BUILT_IN else _FAST if fast else _SLOW
        if taken is None or fast:
            return model | {"group": group}
        pace = f"about {_rounded(taken)} s per frame here{remark}"
        return model | {"group": group, "title": f"{model['title']} · {pace}", "best_for": f"{model['best_for']} {pace.capitalize()}."}

    ordered = sorted(value["models"], key=lambda model: (model["group"] != BUILT_IN, expected[model["key"]] or float("inf")))
    return value | {"models": [marked(model) for model in ordered]}


def _in_precision(precision: Precision, seconds: Mapping[str, float]) -> dict[str, float]:
    """Times for an image in one precision, by the models' names."""
    keys = {ModelKey.parse(text): taken for text, taken in seconds.items()}
    return {key.name: taken for key, taken in keys.items() if key == ModelKey(key.name, precision)}


def _pace(specs: Sequence[ModelSpec], seconds: Mapping[str, float]) -> float | None:
    """Seconds for a GFLOP, from the models that have run; None if none has."""
    paces = [seconds[spec.key] / (spec.gflops + _BASE_GFLOPS) for spec in specs if spec.key in seconds and spec.gflops]
    return statistics.median(paces) if paces else None


def _estimate(spec: ModelSpec, pace: float | None) -> float | None:
    """Estimated seconds of a model that has not run yet; None if there is nothing to estimate from."""
    return pace * (spec.gflops + _BASE_GFLOPS) if pace is not None and spec.gflops else None


def _at_size(spec: ModelSpec, size: int | None, taken: float | None, fixed: float) -> float | None:
    """Seconds at an input size, given those at the size of the training, and which share of them is the same at all sizes."""
    if taken is None or size is None or why_one_size(spec.family):
        return taken
    return taken * relative_time(size, trained_side(spec.architecture), fixed)


def _rounded(seconds: float) -> str:
    return f"{seconds:.1f}" if seconds < 1.95 else f"{seconds:.0f}"
