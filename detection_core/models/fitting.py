"""Checks that weights fit their architecture, and explains what does not fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from detection_core.models.empty import build_on_meta
from detection_core.models.spec import Architecture

TRAIN_AGAIN = "Train or export it again."
# The blocks of the third stage by the depth of a ResNet.
_RESNET_DEPTHS = {(2, False): 18, (6, False): 34, (6, True): 50, (23, True): 101, (36, True): 152}


def fitting_state(architecture: Architecture, state: dict[str, Tensor], advice: str) -> dict[str, Tensor]:
    """The weights under the names that the architecture has for them now; torchvision has renamed some over the years.

    Args:
        architecture: The architecture; it is built without memory for its weights.
        state: Weights by name, as they were saved.
        advice: What to do if they do not fit.

    Raises:
        ValueError: If they do not fit; the message ends in the advice.
    """
    builder, arguments = architecture.builder, architecture.arguments
    if any(name.startswith(("weights", "progress")) for name in arguments):
        raise ValueError(f"lists weights that do not match its architecture. {TRAIN_AGAIN}")
    try:
        module = build_on_meta(architecture)
    except Exception as error:
        update = "If a newer Detection Explorer has written it, update this one."
        raise ValueError(f"cannot be built: {str(error).rstrip('.')} (builder {builder}). {update}") from error
    expected = module.state_dict()
    state = _with_whole_counters(state, expected)
    misfit = f"does not fit {builder} with {arguments['num_classes']} classes"
    if other := _other_resnet(state, expected):
        raise ValueError(f"{misfit}: its backbone is {other}, not a ResNet-50. {advice}")
    for name, value in expected.items():
        found = state.get(name, value)
        if found.shape != value.shape:
            raise ValueError(f"{misfit}: {name} has the shape {list(found.shape)} instead of {list(value.shape)}. {advice}")
        if found.is_floating_point() != value.is_floating_point():
            raise ValueError(f"{misfit}: {name} is of type {found.dtype}. {advice}")
        if found.is_meta and name in state:
            raise ValueError(f"has names and shapes of weights but no numbers ({name} is on the device “meta”). {advice}")
    try:
        missing, unexpected = module.load_state_dict(state, strict=False, assign=True)
    except Exception as error:
        raise ValueError(f"{misfit}: {str(error).splitlines()[-1].strip()} {advice}") from error
    for names, problem in ((missing, "is missing"), (unexpected, "is not part of it")):
        if names:
            more = f" (as are {len(names) - 1} more)" if len(names) > 1 else ""
            raise ValueError(f"{misfit}: {names[0]} {problem}{more}. {advice}")
    return module.state_dict()


def _with_whole_counters(state: dict[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights, where what norms count is a whole number: scripts that halve or average all tensors do so with counters, too."""
    counters = {name for name, value in expected.items() if value.dtype == torch.int64 and value.ndim == 0}
    wrong = {name: state[name] for name in counters & state.keys() if state[name].numel() == 1}
    return state | {name: value.detach().reshape(()).to(torch.int64) for name, value in wrong.items()}


def _other_resnet(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Which ResNet weights belong to, where the builder has another one."""
    third = "backbone.body.layer3."

    def depth(names: Iterable[str]) -> int | None:
        blocks = {name.split(".")[3] for name in names if name.startswith(third)}
        return _RESNET_DEPTHS.get((len(blocks), f"{third}0.conv3.weight" in names))

    found = depth(state.keys())
    return f"a ResNet-{found}" if found and found != depth(expected.keys()) else ""
