"""The compared implementations from a decoded image to an annotated JPEG: that of torchvision's documentation, and ours."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor, to_pil_image
from torchvision.utils import draw_bounding_boxes, draw_keypoints, draw_segmentation_masks

from detection_core.images.reading import encode_jpeg
from detection_core.models.catalog import ModelSpec
from detection_core.models.detector import run
from detection_core.visualization import annotate

# As in torchvision's gallery, "Visualization utilities".
_CONNECTIONS = [(0, 1), (0, 2), (1, 3), (2, 4), (0, 5), (0, 6), (5, 7), (6, 8), (7, 9), (8, 10), (5, 11), (6, 12)]
_CONNECTIONS += [(11, 13), (12, 14), (13, 15), (14, 16)]


@dataclass(frozen=True)
class Way:
    """One implementation.

    Attributes:
        detect: Detects the objects in an image; the result may be on the device.
        present: Turns that result into the bytes of a JPEG.
    """

    detect: Callable[[], Any]
    present: Callable[[Any], bytes]

    def seconds(self) -> tuple[float, float]:
        """Times detection alone, and with drawing and encoding, in seconds."""
        started = time.perf_counter()
        found = self.detect()
        detected = time.perf_counter()
        self.present(found)
        return detected - started, time.perf_counter() - started


def documented_way(module: nn.Module, spec: ModelSpec, image: Image.Image, threshold: float, device: torch.device) -> Way:
    """Returns an implementation that follows torchvision's documentation."""
    tensor = pil_to_tensor(image)

    @torch.no_grad()
    def detect() -> dict[str, Tensor]:
        # The same as `weights.transforms()`, ObjectDetection.
        output: dict[str, Tensor] = module([(pil_to_tensor(image).float() / 255).to(device)])[0]
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return output

    @torch.no_grad()
    def present(output: dict[str, Tensor]) -> bytes:
        kept = output["scores"] > threshold
        found = {name: values[kept].cpu() for name, values in output.items()}
        drawn = tensor
        if "masks" in found:
            drawn = draw_segmentation_masks(drawn, (found["masks"] > 0.5).squeeze(1), alpha=0.9)
        if "keypoints" in found:
            # Objects of classes without keypoints have NaN, which torchvision does not draw.
            keypoints = found["keypoints"][found["keypoints"].isfinite().all(dim=2).all(dim=1)]
            if len(keypoints):
                drawn = draw_keypoints(drawn, keypoints, connectivity=_CONNECTIONS, colors="blue", radius=4, width=3)
        if len(found["boxes"]):
            labels = [spec.categories[label] for label in found["labels"]]
            drawn = draw_bounding_boxes(drawn, found["boxes"], labels, colors="red", width=4)
        stream = io.BytesIO()
        to_pil_image(drawn).save(stream, "JPEG", quality=90)
        return stream.getvalue()

    return Way(detect, present)


def our_way(module: nn.Module, spec: ModelSpec, image: Image.Image, device: torch.device) -> Way:
    """Returns the app's implementation for an image in memory, without the HTTP transport."""
    pixels = np.asarray(image)
    return Way(lambda: run(module, spec, [pixels], device)[0][0], lambda found: encode_jpeg(annotate(image, found)))
