"""Builds a detector from a weights file exactly as torchvision's builders do, but without downloading or initializing anything."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from detection_core.models.builders import BUILDERS
from detection_core.models.checkpoint import CheckpointError, file_revision, read_checkpoint
from detection_core.models.empty import NoRandomInitialization, build_empty
from detection_core.models.quantization import dequantize
from detection_core.models.spec import ModelSpec

__all__ = ["build_empty", "build_model"]


def build_model(spec: ModelSpec, path: Path) -> nn.Module:
    """Builds a model and fills it from its weights file.

    Args:
        spec: The model.
        path: Its state dict as written by `torch.save`, in the zip or the older format, in any floating-point type or quantized by
            `quantize`; for a user's model any file that `read_checkpoint` reads.

    Returns:
        The module on the CPU, in float32, in evaluation mode and without gradients. Its output is bit-identical
        to that of torchvision's builder with the same weights.

    Raises:
        CheckpointError: If a user's file is damaged, or has changed since the spec was made from it.
        Exception: If any other file is damaged or belongs to another model; torch does not document which exception it raises.
    """
    # Not memory-mapped: torchvision's older files are not zips, and a mapped file must not be changed while the model lives.
    state = _user_state(spec, path) if spec.source == "user" else torch.load(path, map_location="cpu", weights_only=True)
    with NoRandomInitialization():
        module = build_empty(spec.architecture)
    module.load_state_dict(dequantize(state), assign=True)
    if spec.architecture.builder in BUILDERS:
        # Channels last halves the time of depthwise convolutions. torchvision's models stay bit-identical.
        module.to(memory_format=torch.channels_last)
    return module.eval().requires_grad_(False)


def _user_state(spec: ModelSpec, path: Path) -> dict[str, Tensor]:
    state = read_checkpoint(path, mmap=False).state
    try:
        replaced = file_revision(path.stat()) != spec.revision
    except OSError:
        replaced = True
    if replaced:
        # The new file may also have other classes than the spec.
        raise CheckpointError(f"“{path.name}” has been replaced while it was read. Try again.")
    return state
