"""The annotated objects of all images as flat arrays: what detections are measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.detections.coco_names import COCO_KEYPOINTS
from detection_core.models.catalog import Task

# COCO's names of what is compared, as in its `iouType`.
IouType = Literal["bbox", "segm", "keypoints"]
IOU_TYPES: dict[Task, IouType] = {"boxes": "bbox", "masks": "segm", "keypoints": "keypoints"}

# COCO's tolerance of each keypoint, as `Params.kpt_oks_sigmas` of pycocotools has it.
_COCO_SIGMAS = np.array([0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89]) / 10
# COCO measured the disagreement of annotators only for its own 17 keypoints; others get a value between its shoulders and wrists.
_OTHER_SIGMA = 0.07


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """The M annotated objects of some images, in the order of the images; an image's crowds come after its other objects.

    Attributes:
        iou_type: What is compared.
        images: The images in the order of their ids, as in pycocotools. Everything else names an image by its index here.
        categories: Class names by label; label 0 is the background.
        image: int32 [M], index of the object's image.
        label: int32 [M].
        boxes: float64 [M,4], XYWH.
        areas: float64 [M], as annotated.
        crowd: bool [M]. A crowd may be matched any number of times, and what matches it is neither right nor wrong.
        ignored: bool [M], crowds and, if keypoints are compared, objects without labeled keypoints.
        shapes: For masks M run-length encodings, for keypoints float64 [M,K,3]; None for boxes.
        sigmas: float64 [K], COCO's tolerance of each keypoint.
    """

    iou_type: IouType
    images: tuple[AnnotatedImage, ...]
    categories: tuple[str, ...]
    image: NDArray[np.int32]
    label: NDArray[np.int32]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    crowd: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    shapes: Any
    sigmas: NDArray[np.float64]

    @classmethod
    def of(cls, dataset: CocoDataset, iou_type: IouType, images: Sequence[AnnotatedImage] | None = None) -> GroundTruth:
        """Collects the annotations of a data set, which must have been checked for what is compared.

        Args:
            dataset: The data set.
            iou_type: What is compared.
            images: The images to measure; None for all that can be, see `measurable`.
        """
        chosen = tuple(sorted(measurable(dataset, iou_type) if images is None else images, key=lambda image: image.id))
        entries = [
            (index, is_crowd, entry)
            for index, image in enumerate(chosen)
            for is_crowd, part in enumerate((image.annotations, image.crowds))
            for entry in part
        ]
        crowd = np.array([is_crowd for _, is_crowd, _ in entries], np.bool_)
        boxes = np.array([entry["bbox"] for *_, entry in entries], np.float64).reshape(-1, 4)
        areas = [entry.get("area", entry["bbox"][2] * entry["bbox"][3]) for *_, entry in entries]
        shapes: Any = None
        ignored = crowd
        if iou_type == "segm":
            shapes = [_run_lengths(entry, chosen[index].size) for index, _, entry in entries]
        elif iou_type == "keypoints":
            count = len(dataset.keypoint_names)
            # A crowd's keypoints are not those of one object.
            points = [(not is_crowd and entry.get("keypoints")) or [0] * 3 * count for _, is_crowd, entry in entries]
            shapes = np.array(points, np.float64).reshape(-1, count, 3)
            # The file's own count may be missing or wrong.
            ignored = crowd | ~(shapes[..., 2] > 0).any(axis=1)
        return cls(
            iou_type=iou_type,
            images=chosen,
            categories=dataset.categories,
            image=np.array([index for index, *_ in entries], np.int32),
            label=np.array([dataset.labels[entry["category_id"]] for *_, entry in entries], np.int32),
            boxes=boxes,
            areas=np.array(areas, np.float64),
            crowd=crowd,
            ignored=ignored,
            shapes=shapes,
            sigmas=_sigmas(dataset.keypoint_names),
        )

    def __len__(self) -> int:
        return len(self.label)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each image's objects start, and where those of the last one end: int64 [images + 1]."""
        return np.searchsorted(self.image, np.arange(len(self.images) + 1))

    @cached_property
    def objects(self) -> NDArray[np.int64]:
        """The number of objects to be found by label, int64 [classes + 1]."""
        return np.bincount(self.label[~self.ignored], minlength=len(self.categories))


def task_of(iou_type: IouType) -> Task:
    """Returns the model's task that is compared."""
    return next(task for task, kind in IOU_TYPES.items() if kind == iou_type)


def measurable(dataset: CocoDataset, iou_type: IouType) -> list[AnnotatedImage]:
    """Returns the images on which this can be measured: for masks, those whose objects all have one; for keypoints all if they have names.

    Args:
        dataset: The data set.
        iou_type: What is compared.
    """
    if iou_type == "segm":
        return [image for image in dataset.images if image.has_masks] if dataset.has_masks else []
    if iou_type == "keypoints":
        return list(dataset.images) if dataset.has_keypoints else []
    return list(dataset.images)


def _sigmas(names: Sequence[str]) -> NDArray[np.float64]:
    return _COCO_SIGMAS if tuple(names) == COCO_KEYPOINTS else np.full(len(names), _OTHER_SIGMA)


def _run_lengths(entry: dict[str, Any], size: tuple[int, int]) -> dict[str, Any]:
    x, y, width, height = entry["bbox"]
    # A crowd without a segmentation covers its box.
    rectangle = [[x, y, x + width, y, x + width, y + height, x, y + height]]
    return compressed(entry.get("segmentation") or rectangle, size)


def compressed(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Returns a COCO segmentation (polygons, plain or compressed run lengths) as compressed run lengths.

    Args:
        segmentation: A checked segmentation.
        size: (width, height) of the image.
    """
    width, height = size
    if isinstance(segmentation, list):
        return dict(coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width)))
    run = {"size": [height, width], "counts": segmentation["counts"]}
    return dict(coco_mask.frPyObjects(run, height, width)) if isinstance(run["counts"], list) else run
