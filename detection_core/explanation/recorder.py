"""record: runs a model once on an image and returns what happened inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from detection_core.explanation.capture import capture, is_two_stage
from detection_core.explanation.one_stage import read_one_stage
from detection_core.explanation.record import Recording
from detection_core.explanation.selection import select
from detection_core.explanation.two_stage import read_two_stages
from detection_core.models.detector import ImageInput, as_array
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec
from detection_core.slicing import Tile, placed

# Longest side of the kept copy of the network's input.
_MAX_SIDE = 640
_NOTES = {
    Precision.EXACT: "Detection in the exact precision runs faster modules, whose boxes and scores equal these up to rounding.",
    Precision.FAST: "Detection in the fast precision computes with 16 bits: its scores and boxes differ slightly from these.",
    Precision.STOCK: "",
}
_IN_SLICES = "This explains the whole image. What the model found in slices only is not part of it."


@torch.inference_mode()
def record(module: nn.Module, spec: ModelSpec, image: ImageInput, tile: Tile | None = None) -> Recording:
    """Records what happens inside a model on one image. It runs once, in the time of a normal detection and a little more.

    Args:
        module: torchvision's own module, as the loader returns it for a spec in the stock precision; it is not changed.
        spec: The model in whatever precision; if it is not stock, the notes say how the results differ.
        image: A PIL image, an RGB uint8 array [H,W,3], or a path.
        tile: The slice of the image to explain, as a model with slices sees it; None for the whole image. Boxes are in pixels of the image.

    Raises:
        ImageError: If the image cannot be read.
    """
    pixels = as_array(image)
    image_size = (pixels.shape[0], pixels.shape[1])
    seen = pixels if tile is None else pixels[tile.y0 : tile.y1, tile.x0 : tile.x1]
    captured = capture(module, spec.in_precision(Precision.STOCK), seen)
    if is_two_stage(module):
        gathered, levels, proposals = read_two_stages(module, captured)
    else:
        (gathered, levels), proposals = read_one_stage(module, captured), None
    batch, _ = captured.outputs["transform"]
    assert captured.detections is not None
    notes = [_NOTES[spec.precision], _IN_SLICES if spec.slices and tile is None else ""]
    return Recording(
        spec=spec.in_precision(Precision.STOCK),
        image_size=image_size,
        network_size=tuple(batch.image_sizes[0]),
        padded_size=(batch.tensors.shape[-2], batch.tensors.shape[-1]),
        network_image=_network_image(module, batch.tensors[0], batch.image_sizes[0]),
        levels=levels,
        steps=tuple(captured.steps),
        proposals=proposals,
        places=gathered.places,
        candidates=gathered.candidates,
        lowest_kept=gathered.lowest_kept,
        rules=gathered.rules,
        selection=select(gathered.candidates, gathered.rules, gathered.entered),
        detections=captured.detections if tile is None else placed(captured.detections, tile, image_size),
        notes=tuple(filter(None, notes)),
        tile=tile,
    )


@dataclass(frozen=True)
class Recorder:
    """`record` as a function for `Engine.call`, which may pickle it.

    Attributes:
        asked: The model in the precision whose results are explained.
    """

    asked: ModelSpec

    def __call__(self, module: nn.Module, spec: ModelSpec, pixels: NDArray[np.uint8]) -> Recording:
        """Records what happens inside the module, which is of the stock precision."""
        return record(module, self.asked, pixels)


def _network_image(module: Any, tensor: Tensor, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Returns the network's input without padding, with the normalization undone."""
    mean, std = (
        torch.tensor(values, device=tensor.device)[:, None, None] for values in (module.transform.image_mean, module.transform.image_std)
    )
    pixels = (tensor[:, : size[0], : size[1]] * std + mean).mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).cpu().numpy()
    image = Image.fromarray(pixels)
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    return np.asarray(image)
