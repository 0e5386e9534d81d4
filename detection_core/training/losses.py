"""Computes the training losses of any of torchvision's detectors, with the heads for which the batch has targets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

# The losses that treat an unlabeled object as background, in two-stage and in one-stage detectors.
_BACKGROUND_LOSSES = {"loss_objectness", "loss_classifier", "classification"}


def losses_of(module: nn.Module, images: Sequence[Tensor], targets: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Runs one forward pass in training mode, with the heads for which there are targets.

    Args:
        module: One of torchvision's detectors, or one wrapped for several processes, in training mode.
        images: float32 [3,H,W] in 0–1, of any size.
        targets: torchvision's target dicts. If not all have `masks`, the mask head is skipped. `partial` (bool) says that some
            objects are unlabeled: on such a batch the losses on background are left out.

    Returns:
        torchvision's losses under its own names.
    """
    plain = [{name: value for name, value in target.items() if name != "partial"} for target in targets]
    with _mask_head_enabled(module, all("masks" in target for target in targets)):
        losses: dict[str, Tensor] = module(list(images), plain)
    if any("partial" in target for target in targets):
        losses = {name: loss for name, loss in losses.items() if name not in _BACKGROUND_LOSSES}
    return losses


@contextlib.contextmanager
def _mask_head_enabled(module: nn.Module, has_masks: bool) -> Iterator[None]:
    inner = module.module if isinstance(module, DistributedDataParallel) else module
    heads = getattr(inner, "roi_heads", None)
    if has_masks or heads is None or heads.mask_roi_pool is None:
        yield
        return
    # torchvision tests for a mask head by its pooling.
    pool, heads.mask_roi_pool = heads.mask_roi_pool, None
    try:
        yield
    finally:
        heads.mask_roi_pool = pool
