"""What is known about a model before it is loaded: how it is built, what it gives, and where its weights are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from torchvision.models._api import WeightsEnum

from detection_core.models.families import Family, Task
from detection_core.models.precision import Precision, join_key, split_key


@dataclass(frozen=True)
class Architecture:
    """A model's structure, in plain types that a file can hold.

    Attributes:
        builder: Name of one of torchvision's detection builders, or of one in `architectures.BUILDERS`.
        arguments: What the builder is called with: always `num_classes`, the background included; `num_keypoints` where the model has
            keypoints; and for all builders `frozen_norm_epsilon`, with which the backbone's batch norms are frozen ones of that epsilon.
    """

    builder: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class ModelSpec:
    """A model as the catalog knows it, without loading anything.

    Attributes:
        key: Name under which the whole project knows it, such as `maskrcnn_resnet50_fpn_v2`; in another precision than the usual one,
            that is part of it: `maskrcnn_resnet50_fpn_v2@fast`.
        title: Name for people.
        family: Which kind of detector it is.
        architecture: How it is built.
        tasks: What it gives: boxes always, masks and keypoints where it has the heads.
        categories: Class names by label; index 0 is the background, and COCO's unused ids are "N/A".
        keypoint_names: Names of its keypoints, or empty.
        params: Number of parameters.
        gflops: Billions of multiply-adds an image, as torchvision counts them; None where nobody has counted.
        file_size: Size of the weights file in MiB.
        metrics: Average precisions in percent, `box_map`, `mask_map`, `kp_map`; those that are known.
        metrics_on: What they were measured on, or "" where there are none.
        recipe: Link to how it was trained, or "".
        min_score: No score below it leaves the model.
        default_threshold: Where to begin looking, 0–1.
        best_for: One line on when to choose it.
        file_name: Name of the weights file; of torchvision's, the last part is the start of the file's SHA-256.
        source: Who brings it: the project itself, torchvision, or the user.
        url: Where the file is downloaded from, or "" for a file that is here.
        weights: torchvision's enum member, or None for other models.
        file: A user's file, or None for other models.
        revision: Which content of a user's file this is about, or "" for other models; it changes when the file is overwritten.
        precision: In which numbers it computes.
        note: What one should know about how a user's file was read, such as that its averaged weights are used; or "".
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
    note: str = ""

    def in_precision(self, precision: Precision) -> ModelSpec:
        """The same model in another precision, under a key and a title of its own."""
        if precision is self.precision:
            return self
        name, usual = split_key(self.key)[0], self.title.removesuffix(_marked(self.precision))
        return replace(self, key=join_key(name, precision), title=usual + _marked(precision), precision=precision)

    @property
    def group(self) -> str:
        """What it gives, in words: "Boxes, masks"."""
        return ", ".join(self.tasks).capitalize()

    @property
    def identity(self) -> tuple[str, str]:
        """What tells it from all other models, and from what its own file held before it was overwritten."""
        return self.key, self.revision

    @property
    def class_names(self) -> list[str]:
        """The classes that it can find, in the order of their labels."""
        return [name for name in self.categories[1:] if name != "N/A"]

    def facts(self) -> dict[str, Any]:
        """What programs may want to know, as plain types that JSON can hold.

        Returns:
            Attributes under their own names, except `file_size_mib`; `categories` are those that it can find, in the order of
            their labels.
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
            "min_score": self.min_score,
            "default_threshold": self.default_threshold,
            "categories": self.class_names,
            "keypoint_names": list(self.keypoint_names),
            "best_for": self.best_for,
            "recipe": self.recipe,
            "url": self.url,
        }


def _marked(precision: Precision) -> str:
    """How a title ends."""
    return "" if precision is Precision.EXACT else f" · {precision}"
