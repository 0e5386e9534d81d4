"""The optimizer of a training run, its learning rate over time, and the average of its weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from detection_core.training.recipe import Recipe

_FINAL_LR = 0.02


def make_optimizer(module: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """Returns AdamW over the trainable parameters: one group for the backbone, with its own factor, and one for the rest."""
    # The layers that torchvision adds to a backbone, such as the pyramid, are as untrained as the heads.
    backbone_module: Any = module.backbone
    body = getattr(backbone_module, "body", backbone_module)
    backbone = {id(parameter) for parameter in body.parameters()}
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trainable if id(p) in backbone], "factor": recipe.backbone_lr},
        {"params": [p for p in trainable if id(p) not in backbone], "factor": 1.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.lr, weight_decay=recipe.weight_decay)


def schedule(step: int, total: int, warmup: int) -> float:
    """Returns the learning rate as a fraction of its maximum: a linear warm-up (at most a tenth of the run), then half a cosine to 2 %."""
    warmup = min(warmup, total // 10)
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return _FINAL_LR + (1 - _FINAL_LR) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


@torch.no_grad()
def update_average(average: dict[str, Tensor], state: dict[str, Tensor], step: int, horizon: int) -> None:
    """Updates an exponential average of weights in place; its horizon grows with the run, so that the first weights soon fade."""
    share = 1 / min(step / 4 + 1, horizon)
    for name, value in state.items():
        if value.is_floating_point():
            average[name].lerp_(value, share)
        else:
            average[name].copy_(value)
