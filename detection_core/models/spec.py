"""Describes a model before it is loaded: its architecture, its tasks and its weights file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torchvision.models._api import WeightsEnum

from detection_core.models.families import Family, Task
from detection_core.models.input_size import LARGEST, SMALLEST, check_input_size, why_one_size
from detection_core.models.model_key import ModelKey, VariantError, weights_key
from detection_core.models.precision import Precision
from detection_core.slicing.grid import LARGEST_SLICE, SMALLEST_SLICE

# See `ModelSpec.video_threshold`.
_LOWEST_IN_VIDEO = 0.35


@dataclass(frozen=True)
class Architecture:
    """A model's structure, in plain types that a file can hold.

    Attributes:
        builder: Name of one of torchvision's detection builders, or of one in `builders.BUILDERS`.
        arguments: The builder's arguments: always `num_classes`, including the background; `num_keypoints` if the model has keypoints;
            and for any builder `frozen_norm_epsilon`, which freezes the backbone's batch norms with that epsilon.
    """

    builder: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class ModelSpec:
    """A model's entry in the catalog.

    Attributes:
        key: Unique name, such as `maskrcnn_resnet50_fpn_v2`; its variant is part of it, see `ModelKey`:
            `maskrcnn_resnet50_fpn_v2@fast@480px`.
        title: Display name.
        family: The detector's family.
        architecture: The builder and its arguments.
        tasks: Boxes always, masks and keypoints if the model has the heads.
        categories: Class names by label; index 0 is the background, and COCO's unused ids are "N/A".
        keypoint_names: Names of its keypoints, or empty.
        params: Number of parameters.
        gflops: Billions of multiply-adds an image, as torchvision counts them; None if not counted.
        file_size: Size of the weights file in MiB.
        metrics: Average precisions in percent, `box_map`, `mask_map`, `kp_map`; as far as known.
        metrics_on: The images on which they were measured, or "" if there are none.
        recipe: Link to the training recipe, or "".
        min_score: The lowest score that the model returns.
        default_threshold: The threshold to start with, 0–1.
        best_for: One line on when to choose it.
        file_name: Name of the weights file; for torchvision's models it ends with the start of the file's SHA-256.
        source: The model's origin: the project itself, torchvision, or the user.
        url: Address of the file, or "" for a local file.
        weights: torchvision's enum member, or None for other models.
        file: A user's file, or None for other models.
        revision: Identifies the content of a user's file, or "" for other models; it changes when the file is overwritten.
        precision: The precision in which it computes.
        input_size: Pixels to which it resizes the shorter side of an image; None: as it was trained, as `gflops` and `metrics` are.
        slices: Side in pixels of the tiles of the image on which it runs, beside the whole; None: on the whole image only.
        category_ids: The category id of each label in the data that the model was trained on, or empty if they are the labels.
        note: What the user should know about how the file was read, such as that its averaged weights are used; or "".
    """

    key: str
    title: str
    family: Family
    architecture: Architecture
    tasks: tuple[Task, ...]
    categories: tuple[str, ...]
    keypoint_names: tuple[str, ...]
    params: int
    gflops: float | None
    file_size: float
    metrics: dict[str, float]
    metrics_on: str
    recipe: str
    min_score: float
    default_threshold: float
    best_for: str
    file_name: str
    source: Literal["embedded", "torchvision", "user"]
    url: str = ""
    weights: WeightsEnum | None = None
    file: Path | None = None
    revision: str = ""
    precision: Precision = Precision.EXACT
    input_size: int | None = None
    slices: int | None = None
    note: str = ""
    category_ids: tuple[int, ...] = ()

    def in_precision(self, precision: Precision) -> ModelSpec:
        """Returns the spec of the same model in another precision, with its own key and title."""
        return self.as_variant(replace(ModelKey.parse(self.key), precision=precision))

    def at_input_size(self, size: int | None) -> ModelSpec:
        """Returns the spec of the same model at another input size, the shorter side in pixels; None for that of its training.

        Raises:
            VariantError: If the model does not run at that size.
        """
        return self.as_variant(replace(ModelKey.parse(self.key), input_size=size))

    def in_slices(self, size: int | None) -> ModelSpec:
        """Returns the spec of the same model in slices of another side in pixels; None for whole images only.

        Raises:
            VariantError: If slices cannot have this side.
        """
        return self.as_variant(replace(ModelKey.parse(self.key), slices=size))

    def as_variant(self, variant: ModelKey) -> ModelSpec:
        """Returns the spec of the same model in the variant of a key, with its own key and title.

        Raises:
            VariantError: If the model has no such variant.
        """
        own = ModelKey.parse(self.key)
        key = replace(variant, name=own.name)
        if key == own:
            return self
        title = self.title.removesuffix(_title_suffix(own))
        if key.input_size is not None:
            check_input_size(title, self.family, key.input_size)
        if key.slices is not None and not SMALLEST_SLICE <= key.slices <= LARGEST_SLICE:
            raise VariantError(f"Slices have {SMALLEST_SLICE} to {LARGEST_SLICE} pixels, not {key.slices}. Choose another size.")
        return replace(
            self, key=str(key), title=title + _title_suffix(key), precision=key.precision, input_size=key.input_size, slices=key.slices
        )

    @property
    def group(self) -> str:
        """The tasks in words: "Boxes, masks"."""
        return ", ".join(self.tasks).capitalize()

    @property
    def identity(self) -> tuple[str, str]:
        """Identifies the model, its variant and the content of its file."""
        return self.key, self.revision

    @property
    def weights_identity(self) -> tuple[str, str]:
        """Identifies what is in memory for the model and the content of its file: models that differ only in size share their weights."""
        return weights_key(self.key), self.revision

    @property
    def video_threshold(self) -> float:
        """The threshold to start with in moving images, 0–1, where every false object flickers.

        The built-in model of COCO's classes has the best F1 at 0.2; at 0.35 its precision is 0.75 instead of 0.53 and its recall 0.29
        instead of 0.38, with 0.9 false objects an image instead of 3.0 (300 of its holdout images, at IoU 0.5).
        """
        return max(self.default_threshold, _LOWEST_IN_VIDEO)

    @property
    def class_names(self) -> list[str]:
        """The classes that the model detects, in the order of their labels."""
        return [name for name in self.categories[1:] if name != "N/A"]

    def facts(self) -> dict[str, Any]:
        """Returns the model's properties as JSON types.

        Returns:
            The attributes under their own names, except `file_size_mib`; `categories` are the classes that the model detects, in
            the order of their labels; `input_sizes` are the smallest and the largest, or empty if it has only one.
        """
        return {
            "key": self.key,
            "title": self.title,
            "source": self.source,
            "family": str(self.family),
            "tasks": list(self.tasks),
            "metrics": dict(self.metrics),
            "metrics_on": self.metrics_on,
            "gflops": self.gflops,
            "params": self.params,
            "file_size_mib": self.file_size,
            "precision": str(self.precision),
            "input_size": self.input_size,
            "input_sizes": [] if why_one_size(self.family) else [SMALLEST, LARGEST],
            "min_score": self.min_score,
            "default_threshold": self.default_threshold,
            "categories": self.class_names,
            "keypoint_names": list(self.keypoint_names),
            "best_for": self.best_for,
            "recipe": self.recipe,
            "url": self.url,
        }


def _title_suffix(key: ModelKey) -> str:
    """Returns the suffix of a title in a key's variant."""
    return "".join(f" · {part}" for part in key.variant)
