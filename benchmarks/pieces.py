"""Compares single optimized steps with those that they replace, on the same input: speed and differences."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torchvision.models.detection import roi_heads
from torchvision.ops import MultiScaleRoIAlign

from benchmarks.common import Action, interleaved, markdown_table
from benchmarks.drawing import full_masks, make_scene, our_actions, torchvision_actions
from benchmarks.plain import PlainProcess
from detection_core.images.reading import encode_jpeg
from detection_core.models.optimized.keypoints import heatmaps_to_keypoints
from detection_core.models.optimized.roi_align import GatherRoIAlign

_VGA, _FULL_HD = (480, 640), (1080, 1920)
_PERSONS, _KEYPOINTS, _HEATMAP = 20, 17, 56
_CHANNELS = 256
# Runs in each turn: the first of them find the caches filled by the other process.
_RUNS = 3
# An R-CNN with a ResNet-50: its input size for a VGA image, and the strides of its levels.
_BATCH = (800, 1088)
_STRIDES = (4, 8, 16, 32)


@dataclass(frozen=True)
class Piece:
    """One comparison.

    Attributes:
        name: The step and its input.
        theirs: The usual implementation.
        ours: Our implementation.
        apart: The difference of the results in words; "" if they are not meant to be equal.
    """

    name: str
    theirs: Action
    ours: Action
    apart: str = ""


def measured_table(rounds: int, threads: int) -> str:
    """Returns a Markdown table of minima and medians over several turns; their implementations run in a separate process."""
    rows = []
    plain = PlainProcess(threads)
    for make in _PIECES:
        piece = make()
        plain.do(_prepare, make)
        theirs: list[float] = []
        ours: list[float] = []
        for _ in range(rounds):
            theirs += plain.do(_their_seconds)
            ours += interleaved([piece.ours], _RUNS)[0]
        times = [f"{min(seconds) * 1e3:.2f} / {np.median(seconds) * 1e3:.2f}" for seconds in (theirs, ours)]
        rows.append([piece.name, *times, f"{min(theirs) / min(ours):.1f}", piece.apart])
    plain.close()
    rows.append(["threshold moved over 100 polygons, in the browser", "", "`python -m benchmarks.browser_redraw`", "", ""])
    return markdown_table(["piece", "theirs, ms", "ours, ms", "gain", "difference"], rows)


# The piece prepared in the plain process.
_ready: list[Piece] = []


def _prepare(make: Callable[[], Piece]) -> None:
    _ready[:] = [make()]


def _their_seconds() -> list[float]:
    """Times some runs in seconds, after an uncounted one."""
    return interleaved([_ready[0].theirs], _RUNS)[0]


def _roi_align() -> Piece:
    torch.manual_seed(0)
    maps = {str(level): torch.randn(1, _CHANNELS, _BATCH[0] // stride, _BATCH[1] // stride) for level, stride in enumerate(_STRIDES)}
    last = {level: values.to(memory_format=torch.channels_last) for level, values in maps.items()}
    sides = torch.exp(torch.empty(1000, 2).uniform_(np.log(16), np.log(600)))
    corners = torch.rand(1000, 2) * (torch.tensor(_BATCH[::-1]) - sides).clamp(min=0)
    boxes = [torch.cat([corners, corners + sides], dim=1)]
    stock, gather = (pool(list(maps), output_size=7, sampling_ratio=2) for pool in (MultiScaleRoIAlign, GatherRoIAlign))

    # Each gets the maps in the memory format of its network.
    def theirs() -> Any:
        return stock(maps, boxes, [_BATCH])

    def ours() -> Any:
        return gather(last, boxes, [_BATCH])

    difference = (theirs() - ours()).abs().max()
    return Piece("RoIAlign, 1,000 boxes, 4 levels of 256 channels", theirs, ours, f"≤ {difference:.1e}")


def _mask_paste(name: str, count: int, image_size: tuple[int, int]) -> Piece:
    detections = make_scene(count, image_size)[1]
    assert detections.masks is not None
    grids, boxes = torch.from_numpy(detections.masks)[:, None], torch.from_numpy(detections.boxes)

    def theirs() -> Any:
        return roi_heads.paste_masks_in_image(grids, boxes, detections.image_size) >= 0.5

    def ours() -> Any:
        return list(detections.mask_crops())

    different = int((theirs()[:, 0].numpy() != full_masks(detections)).sum())
    return Piece(f"masks to pixels and cut at ½, {name}, {len(detections)} objects", theirs, ours, f"{different} px")


def _mask_drawing() -> Piece:
    image, detections = make_scene(100, _FULL_HD)
    theirs = torchvision_actions(image, detections, full_masks(detections))["masks"]
    return Piece("masks drawn, 1080p, 100 objects (ours with contours)", theirs, our_actions(image, detections)["masks"])


def _keypoints() -> Piece:
    torch.manual_seed(0)
    boxes = torch.from_numpy(make_scene(_PERSONS, _FULL_HD)[1].boxes)
    coarse = torch.randn(_PERSONS, _KEYPOINTS, _HEATMAP // 8, _HEATMAP // 8)
    maps = torch.nn.functional.interpolate(coarse, size=(_HEATMAP, _HEATMAP), mode="bicubic")

    def theirs() -> Any:
        return roi_heads.heatmaps_to_keypoints(maps, boxes)

    def ours() -> Any:
        return heatmaps_to_keypoints(maps, boxes)

    (keypoints, heights), (own_keypoints, own_heights) = theirs(), ours()
    moved = (keypoints - own_keypoints)[..., :2].abs().amax(-1)
    # Neighboring pixels at a flat maximum may be equal within rounding.
    apart = (
        f"{int((moved > 0.5).sum())} of {moved.numel()} moved, ≤ {moved.max():.2g} px; heights ≤ {(heights - own_heights).abs().max():.1e}"
    )
    return Piece(f"keypoints from heat maps, 1080p, {_PERSONS} persons", theirs, ours, apart)


def _encoding() -> Piece:
    image = make_scene(100, _FULL_HD)[0]

    def theirs() -> bytes:
        # `gr.Image` shows results as WebP by default.
        stream = io.BytesIO()
        image.save(stream, "WEBP")
        return stream.getvalue()

    def ours() -> bytes:
        return encode_jpeg(image)

    sizes = f"{len(theirs()) / 1e3:.0f} kB, {len(ours()) / 1e3:.0f} kB"
    return Piece("1080p encoded: WebP as Gradio does, JPEG q90", theirs, ours, sizes)


_PIECES: tuple[Callable[[], Piece], ...] = (
    _roi_align,
    partial(_mask_paste, "VGA", 20, _VGA),
    partial(_mask_paste, "1080p", 100, _FULL_HD),
    _mask_drawing,
    _keypoints,
    _encoding,
)
