"""Runs a model on images and returns `Detections` down to the model's lowest score."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torchvision.models.detection.generalized_rcnn import GeneralizedRCNN
from torchvision.models.detection.image_list import ImageList

from detection_core.detections import Detections
from detection_core.images.reading import load_image
from detection_core.models.catalog import ModelSpec, get_model_spec
from detection_core.models.families import Task
from detection_core.models.instance_ssd import InstanceSSD
from detection_core.models.loader import ModelLoader
from detection_core.models.optimized import heads_with_tasks, takes_bytes
from detection_core.models.space_gpu import on_space_gpu
from detection_core.slicing import Slices

ImageInput = Image.Image | NDArray[np.uint8] | str | Path


@dataclass(frozen=True)
class Timings:
    """The time of one detection by step, in seconds.

    Attributes:
        load: Getting the model: downloading, reading and building it; 0 when it was in memory.
        wait: Waiting in the queue behind other images.
        network: Resizing, the network itself and non-maximum suppression.
        post: Converting results to arrays.
    """

    load: float = 0.0
    wait: float = 0.0
    network: float = 0.0
    post: float = 0.0

    def __add__(self, other: Timings) -> Timings:
        return Timings(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))


class Detector:
    """Finds objects with one model.

    The model runs once per image with its lowest threshold. Filtering the result gives the same objects as a higher threshold:
    `detections[detections.scores > 0.5]`. A model with slices runs once in the whole image and once in each of its tiles.

    Args:
        model: A key from the catalog, or a spec.
        device: The device by torch's name: "cpu", "cuda", "cuda:1", "mps".
        loader: Keeps models in memory; detectors with the same loader share models. None creates a new loader.

    Raises:
        UnknownModelError: If there is no such model.
        WeightsError: If its weights cannot be found or downloaded.
    """

    def __init__(self, model: str | ModelSpec, *, device: str = "cpu", loader: ModelLoader | None = None) -> None:
        self.spec = get_model_spec(model) if isinstance(model, str) else model
        self.device = torch.device(device)
        self._module = (loader or ModelLoader(device=device)).load(self.spec)

    def detect(self, image: ImageInput, *, on_slice: Callable[[int, int], object] | None = None) -> Detections:
        """Finds objects in one image.

        Args:
            image: A PIL image, an RGB uint8 array [H,W,3], or a path.
            on_slice: With slices, called with the number of those that are done and of all, where the whole image is the first.

        Returns:
            All objects down to the model's lowest score.

        Raises:
            ImageError: If the image cannot be read.
            TooManySlicesError: If the model's slices are too small for the image.
        """
        if self.spec.slices is not None:
            return self._detect_in_slices(as_array(image), self.spec.slices, 1, on_slice)
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[ImageInput], *, batch_size: int = 1) -> list[Detections]:
        """Finds objects in many images of any size.

        Args:
            images: As for `detect`.
            batch_size: Images in one pass. More than one is faster only on a GPU, and changes results slightly because torchvision
                pads a batch to its largest image. With slices, as many of one image, which are of one size.
        """
        if self.spec.slices is not None:
            return [self._detect_in_slices(as_array(image), self.spec.slices, batch_size) for image in images]
        results = []
        for start in range(0, len(images), batch_size):
            pixels = [as_array(image) for image in images[start : start + batch_size]]
            results += run(self._module, self.spec, pixels, self.device)[0]
        return results

    def _detect_in_slices(
        self, pixels: NDArray[np.uint8], size: int, batch_size: int, on_slice: Callable[[int, int], object] | None = None
    ) -> Detections:
        slices = Slices((pixels.shape[0], pixels.shape[1]), size)
        while not slices.is_done:
            # The first is the whole image, which is larger than the others.
            end = slices.done + batch_size if slices.done else 1
            tiles = [pixels[y0:y1, x0:x1] for x0, y0, x1, y1 in slices.tiles[slices.done : end]]
            for found in run(self._module, self.spec, tiles, self.device)[0]:
                slices.add(found)
            if on_slice is not None:
                on_slice(slices.done, len(slices.tiles))
        return slices.result()


def as_array(image: ImageInput) -> NDArray[np.uint8]:
    """Reads an image of any kind as RGB uint8 [H,W,3]."""
    return np.asarray(load_image(image))


@on_space_gpu
@torch.inference_mode()
def run(
    module: nn.Module,
    spec: ModelSpec,
    images: Sequence[NDArray[np.uint8]],
    device: torch.device,
    *,
    tasks: Collection[Task] | None = None,
) -> tuple[list[Detections], Timings]:
    """Runs a loaded model on one batch.

    Args:
        module: The model, in eval mode and on `device`; torchvision's own, or one returned by `optimize`.
        spec: The model's entry in the catalog.
        images: RGB uint8 [H,W,3], of any size.
        device: The module's device.
        tasks: The tasks to run; None for all. Boxes are always returned and do not depend on the other tasks. An optimized model
            skips the tasks that are not listed.

    Returns:
        One result per image, equal to torchvision's own output except that masks stay on their grid (for an optimized model, equal up
        to rounding), and the timings of the batch (`network` and `post`).
    """
    wanted = spec.tasks if tasks is None else tasks
    started = time.perf_counter()
    outputs = _forward(module, [to_tensor(image, module).to(device) for image in images], wanted)
    outputs = [{name: value.cpu() for name, value in output.items()} for output in outputs]
    finished = time.perf_counter()
    results = [_to_detections(output, image.shape[:2], spec, wanted) for output, image in zip(outputs, images, strict=True)]
    return results, Timings(network=finished - started, post=time.perf_counter() - finished)


def to_tensor(image: NDArray[np.uint8], module: nn.Module) -> Tensor:
    """Returns the image as `weights.transforms()` does, float32 [3,H,W] in 0–1, or as bytes [3,H,W] for a model that takes them."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
    return pixels if takes_bytes(module) else pixels.contiguous().float().div(255)


def _forward(module: nn.Module, images: list[Tensor], tasks: Collection[Task]) -> list[dict[str, Tensor]]:
    """Runs the forward pass without pasting masks into full-frame float images: 100 of them at 12 MP take 5 GB."""
    if not isinstance(module, GeneralizedRCNN | InstanceSSD):
        outputs: list[dict[str, Tensor]] = module(images)
        return outputs
    sizes = [(image.shape[-2], image.shape[-1]) for image in images]
    batch, _ = module.transform(images)
    outputs = module.detect(batch, tasks) if isinstance(module, InstanceSSD) else _two_stages(module, batch, tasks)
    masks = [output.pop("masks", None) for output in outputs]
    outputs = module.transform.postprocess(outputs, batch.image_sizes, sizes)
    return [output if mask is None else {**output, "masks": mask} for output, mask in zip(outputs, masks, strict=True)]


def _two_stages(module: GeneralizedRCNN, batch: ImageList, tasks: Collection[Task]) -> list[dict[str, Tensor]]:
    features = module.backbone(batch.tensors)
    if isinstance(features, Tensor):
        features = OrderedDict([("0", features)])
    proposals, _ = module.rpn(batch, features)
    outputs, _ = heads_with_tasks(module.roi_heads, tasks)(features, proposals, batch.image_sizes)
    return outputs


def _to_detections(output: dict[str, Tensor], image_size: tuple[int, ...], spec: ModelSpec, tasks: Collection[Task]) -> Detections:
    arrays = {name: value.numpy() for name, value in output.items()}
    with_keypoints = "keypoints" in arrays and "keypoints" in tasks
    return Detections(
        boxes=arrays["boxes"],
        labels=arrays["labels"],
        scores=arrays["scores"],
        image_size=(image_size[0], image_size[1]),
        categories=spec.categories,
        masks=arrays["masks"][:, 0] if "masks" in arrays and "masks" in tasks else None,
        keypoints=arrays["keypoints"][..., :2] if with_keypoints else None,
        keypoint_scores=arrays["keypoints_scores"] if with_keypoints else None,
        keypoint_names=spec.keypoint_names if with_keypoints else (),
        model=spec.key,
        category_ids=spec.category_ids,
    )
