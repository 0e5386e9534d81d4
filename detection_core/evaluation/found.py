"""The detections of one model on all images as flat arrays, from entries in COCO's results format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from detection_core.evaluation.ground_truth import GroundTruth, IouType, compressed

# The field of COCO's results that each comparison needs.
FIELD: dict[IouType, str] = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}


@dataclass(frozen=True, eq=False)
class Found:
    """The N detections of a model, in the order of the images, within an image by falling score.

    Attributes:
        image: int32 [N], index of the image in `GroundTruth.images`.
        label: int32 [N], label in the data set.
        scores: float64 [N].
        boxes: float64 [N,4], XYWH; NaN if an entry has none.
        areas: float64 [N], of the box, of the mask, or of the box around the keypoints, as pycocotools has them.
        shapes: For masks N run-length encodings, for keypoints float64 [N,K,3]; None for boxes.
    """

    image: NDArray[np.int32]
    label: NDArray[np.int32]
    scores: NDArray[np.float64]
    boxes: NDArray[np.float64]
    areas: NDArray[np.float64]
    shapes: Any

    @classmethod
    def of(cls, truth: GroundTruth, results: Iterable[tuple[int, Sequence[Mapping[str, Any]]]], labels: Mapping[int, int]) -> Found:
        """Collects the detections of all images.

        Args:
            truth: The annotated objects.
            results: The id of an image and its entries in COCO's results format, checked. Entries without what is compared are left out.
            labels: The data set's label by the entries' category id; detections of other categories are left out.
        """
        field = FIELD[truth.iou_type]
        number = {image.id: index for index, image in enumerate(truth.images)}
        kept = sorted(
            (
                (number[image_id], entry)
                for image_id, entries in results
                if image_id in number
                for entry in entries
                if entry["category_id"] in labels and entry.get(field)
            ),
            key=lambda pair: (pair[0], -pair[1]["score"]),
        )
        boxes = np.array([entry.get("bbox") or (np.nan,) * 4 for _, entry in kept], np.float64).reshape(-1, 4)
        shapes: Any = None
        areas = boxes[:, 2] * boxes[:, 3]
        if truth.iou_type == "segm":
            shapes = [compressed(entry["segmentation"], truth.images[index].size) for index, entry in kept]
            # One at a time: with NumPy 2, pycocotools fails on lists of more than 255.
            areas = np.array([coco_mask.area(run) for run in shapes], np.float64)
        elif truth.iou_type == "keypoints":
            shapes = np.array([entry["keypoints"] for _, entry in kept], np.float64).reshape(-1, len(truth.sigmas), 3)
            extent = np.ptp(shapes[..., :2], axis=1) if len(shapes) else np.zeros((0, 2))
            areas = extent[:, 0] * extent[:, 1]
        return cls(
            image=np.array([index for index, _ in kept], np.int32),
            label=np.array([labels[entry["category_id"]] for _, entry in kept], np.int32),
            scores=np.array([entry["score"] for _, entry in kept], np.float64),
            boxes=boxes,
            areas=areas,
            shapes=shapes,
        )

    def __len__(self) -> int:
        return len(self.scores)

    @cached_property
    def ranks(self) -> NDArray[np.int64]:
        """The place of each detection among those of its image and class, from 0 for the highest score."""
        if not len(self):
            return np.zeros(0, np.int64)
        order = np.lexsort((self.label, self.image))
        new = np.diff(self.image[order], prepend=-1).astype(bool) | np.diff(self.label[order], prepend=-1).astype(bool)
        place = np.arange(len(self))
        ranks = np.empty(len(self), np.int64)
        ranks[order] = place - np.maximum.accumulate(np.where(new, place, 0))
        return ranks
