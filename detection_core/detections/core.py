"""Detections: the result type that the detector, page, drawing, export and matching share. No torch, no drawing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection_core.detections.masks import mask_crop, mask_crops, mask_polygons


@dataclass(frozen=True, eq=False)
class Detections:
    """The objects that one model found in one image, sorted by score, highest first.

    Indexing filters, as in NumPy: `detections[detections.scores > 0.5]`, `detections[:10]`, `detections[[3, 1]]`.

    Attributes:
        boxes: float32 [N,4], XYXY in pixels of the given image.
        labels: int64 [N], indices into `categories`; 0 is the background, which trained models never return.
        scores: float32 [N] in 0–1.
        image_size: (height, width) of the image in pixels.
        categories: Class names by label; index 0 is the background.
        masks: float32 [N,M,M] soft masks over each box in 0–1 (M is 28 for torchvision's models), or None. They are resampled
            only when pixels are needed: see `mask` and `polygons`.
        keypoints: float32 [N,K,2] in pixels, or None. A model may predict them for some of its classes only: an object of another
            class has NaN in its whole row, here and in `keypoint_scores`. See `has_keypoints`.
        keypoint_scores: float32 [N,K] logits, not probabilities, or None.
        keypoint_names: Names of the K keypoints.
        model: Key of the model in the catalog, or "".
        category_ids: The id of each label in the data that the model was trained on, such as COCO's category ids; the background's is 0.
            Empty where the labels are the ids.
        whole_scores: float32 [N] in 0–1, or None for an image that was not cut into slices: the score with which each object was found in
            the whole image, 0 if it was found in slices only.

    Raises:
        ValueError: If shapes or lengths do not match, or values are out of range.
    """

    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    image_size: tuple[int, int]
    categories: tuple[str, ...]
    masks: NDArray[np.float32] | None = None
    keypoints: NDArray[np.float32] | None = None
    keypoint_scores: NDArray[np.float32] | None = None
    keypoint_names: tuple[str, ...] = ()
    model: str = ""
    category_ids: tuple[int, ...] = ()
    whole_scores: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        dtypes = {"labels": np.int64}
        for name in _PER_OBJECT:
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(value, dtypes.get(name, np.float32)))
        object.__setattr__(self, "image_size", (int(self.image_size[0]), int(self.image_size[1])))
        object.__setattr__(self, "categories", tuple(self.categories))
        object.__setattr__(self, "keypoint_names", tuple(self.keypoint_names))
        object.__setattr__(self, "category_ids", tuple(map(int, self.category_ids)))
        self._validate()
        if np.any(np.diff(self.scores) > 0):
            order = np.argsort(-self.scores, kind="stable")
            for name in _PER_OBJECT:
                if (value := getattr(self, name)) is not None:
                    object.__setattr__(self, name, value[order])

    def _validate(self) -> None:
        n = len(self.scores)
        num_keypoints = len(self.keypoint_names)
        expected = {
            "boxes": (n, 4),
            "labels": (n,),
            "scores": (n,),
            "keypoints": (n, num_keypoints, 2),
            "keypoint_scores": (n, num_keypoints),
            "whole_scores": (n,),
        }
        for name, shape in expected.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise ValueError(f"{name} has shape {value.shape}, expected {shape}")
        if self.masks is not None and (self.masks.ndim != 3 or len(self.masks) != n or self.masks.shape[1] != self.masks.shape[2]):
            raise ValueError(f"masks has shape {self.masks.shape}, expected ({n}, M, M)")
        if (self.keypoints is None) != (self.keypoint_scores is None):
            raise ValueError("keypoints and keypoint_scores must be given together")
        if not all(np.isfinite(values).all() for values in (self.boxes, self.scores, self.whole_scores) if values is not None):
            raise ValueError("boxes and scores must be finite")
        if self.keypoints is not None and self.keypoint_scores is not None:
            keypoints = np.concatenate([self.keypoints, self.keypoint_scores[..., None]], axis=2)
            if not (np.isfinite(keypoints).all(axis=(1, 2)) | np.isnan(keypoints).all(axis=(1, 2))).all():
                raise ValueError("each object's keypoints and keypoint_scores must be all finite, or all NaN if it has none")
        if n and (self.labels.min() < 0 or self.labels.max() >= len(self.categories)):
            raise ValueError(f"labels must lie in 0–{len(self.categories) - 1}, indices into the categories")
        if self.category_ids and len(self.category_ids) != len(self.categories):
            raise ValueError(f"there are {len(self.category_ids)} category_ids for {len(self.categories)} categories")
        if min(self.image_size) < 1:
            raise ValueError(f"image_size must be positive, got {self.image_size}")

    @classmethod
    def empty(cls, image_size: tuple[int, int], categories: Sequence[str], *, model: str = "") -> Detections:
        """Returns a result without objects.

        Args:
            image_size: (height, width) in pixels.
            categories: Class names by label, starting with the background.
            model: Key of the model.
        """
        none = np.zeros(0)
        return cls(none.reshape(0, 4), none, none, image_size, tuple(categories), model=model)  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self.scores)

    def __getitem__(self, index: slice | NDArray[Any] | Sequence[int] | Sequence[bool]) -> Detections:
        """Selects objects by slice, boolean array or integer array; the result is sorted by score again.

        Raises:
            TypeError: If `index` is a single integer.
        """
        if isinstance(index, int | np.integer):
            raise TypeError("index with a slice, a boolean array or a list of integers; for one object use detections[[i]]")
        picked = index if isinstance(index, slice) else np.asarray(index, dtype=None if len(index) else np.int64)
        changes = {name: value[picked] for name in _PER_OBJECT if (value := getattr(self, name)) is not None}
        return replace(self, **changes)

    @property
    def names(self) -> list[str]:
        """The class name of each object, N strings."""
        return [self.categories[label] for label in self.labels]

    @property
    def ids_of_labels(self) -> Sequence[int]:
        """The category id of each label: `category_ids`, or the labels themselves where there are none."""
        return self.category_ids or range(len(self.categories))

    @property
    def has_keypoints(self) -> NDArray[np.bool_]:
        """Whether each object has keypoints, bool [N]; False for all where `keypoints` is None."""
        if self.keypoints is None:
            return np.zeros(len(self), np.bool_)
        return np.asarray(np.isfinite(self.keypoints).all(axis=(1, 2)))

    def counts(self) -> dict[str, int]:
        """Returns the number of objects per class name, most frequent first."""
        return dict(Counter(self.names).most_common())

    def describe(self) -> str:
        """Returns a phrase for people and screen readers, such as "4 persons, 1 dog"; "nothing" when empty."""
        return in_words(self.counts())

    @property
    def _soft_masks(self) -> NDArray[np.float32]:
        if self.masks is None:
            raise ValueError("these detections have no masks")
        return self.masks

    def mask(self, index: int) -> tuple[NDArray[np.bool_], tuple[int, int]]:
        """Returns the pixels of one object's mask, equal to torchvision's full-frame `masks >= 0.5` inside the crop and False outside.

        Args:
            index: Index of the object.

        Returns:
            A bool crop [h,w] and the (x, y) of its upper left corner in the image. The crop lies within the image and may be
            empty.

        Raises:
            ValueError: If the detections have no masks.
        """
        return mask_crop(self._soft_masks[index], self.boxes[index], self.image_size)

    def mask_crops(self) -> Iterator[tuple[NDArray[np.bool_], tuple[int, int]]]:
        """Yields `mask(index)` for every object in turn, in a fraction of the time that separate calls take.

        Raises:
            ValueError: If the detections have no masks.
        """
        return mask_crops(self._soft_masks, self.boxes, self.image_size)

    def polygons(self, index: int) -> list[NDArray[np.float32]]:
        """Returns one object's mask as polygons: closed rings, float32 [P,2] in pixels each; holes are rings too (even-odd rule).

        Raises:
            ValueError: If the detections have no masks.
        """
        return mask_polygons(self._soft_masks[index], self.boxes[index], self.image_size)


_OF_THE_IMAGE = {"image_size", "categories", "keypoint_names", "model", "category_ids"}
_PER_OBJECT = tuple(f.name for f in fields(Detections) if f.name not in _OF_THE_IMAGE)

# COCO class names with an irregular plural.
_IRREGULAR = {"knife": "knives", "mouse": "mice", "sheep": "sheep", "skis": "skis", "scissors": "scissors", "broccoli": "broccoli"}


def in_words(counts: Mapping[str, int]) -> str:
    """Formats counts by class name as a phrase, such as "4 persons, 1 dog"; "nothing" when empty."""
    return ", ".join(f"{n} {name if n == 1 else plural(name)}" for name, n in counts.items()) or "nothing"


def plural(name: str) -> str:
    """Returns the English plural of a class name, such as "buses" for "bus"."""
    if name in _IRREGULAR:
        return _IRREGULAR[name]
    return name + ("es" if name.endswith(("s", "x", "ch", "sh")) else "s")
