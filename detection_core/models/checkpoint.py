"""Reads and writes checkpoints: self-describing .pt files, written atomically and read without running code from them."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detection_core.detections.coco_names import BACKGROUND
from detection_core.errors import UserError
from detection_core.models.fitting import TRAIN_AGAIN, fitting_state
from detection_core.models.spec import Architecture
from detection_core.models.state_dict import (
    default_names,
    has_masks,
    infer_architecture,
    num_keypoints,
    other_network,
)
from detection_core.models.weights_file import SAVE_WEIGHTS_ONLY, Content, objects_beside, read_weights_file
from detection_core.models.wrappers import FoundState, find_states, tensor_names

__all__ = ["Checkpoint", "CheckpointError", "file_revision", "read_checkpoint", "write_checkpoint"]

_FORMAT, _VERSION = "detection-explorer", 1
# Bare weights do not say how the model was built.
_OWN_SETTINGS = (
    "Bare weights can be used if torchvision's builder gives the model with its own settings and any number of classes, and if they are "
    "whole: save model.state_dict()."
)


class CheckpointError(UserError, ValueError):
    """A file is not a usable model; the message says why and what to do, and contains no folder of this machine."""


@dataclass(frozen=True)
class Checkpoint:
    """A trained model.

    Attributes:
        architecture: How it is built.
        categories: Class names by label; index 0 is `BACKGROUND`.
        state: Its weights by name.
        keypoint_names: Names of its keypoints, or empty.
        training: How it was trained, in plain types. `metrics_on` in it names the images on which `metrics` were measured.
        metrics: Average precisions in percent by the catalog's names (`box_map`, `mask_map`, `kp_map`), or empty.
        default_threshold: The threshold to start with, 0–1, or None if it is not known.
        resume: The state that a resumed training needs, in plain types and tensors; only in checkpoints to resume from.
        category_ids: The category id of each label in the training data, 0 for the background; empty if it is not known.

    Raises:
        ValueError: If a field has the wrong type, or lengths do not match the architecture.
    """

    architecture: Architecture
    categories: tuple[str, ...]
    state: dict[str, Tensor]
    keypoint_names: tuple[str, ...] = ()
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    default_threshold: float | None = None
    resume: dict[str, Any] | None = None
    category_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        arguments = self.architecture.arguments
        for names, what in ((self.categories, "categories"), (self.keypoint_names, "keypoint_names")):
            _require(all(isinstance(name, str) and name for name in names), f"its {what} are not names")
        _require(self.categories[:1] == (BACKGROUND,), f"its categories do not begin with “{BACKGROUND}”")
        classes = arguments.get("num_classes")
        _require(len(self.categories) == classes, f"it has {classes} classes, but {len(self.categories)} categories")
        _require(all(type(number) is int for number in self.category_ids), "its category_ids are not whole numbers")
        _require(len(self.category_ids) in (0, classes), f"it has {classes} classes, but {len(self.category_ids)} category_ids")
        _require(len(set(self.category_ids[1:])) == len(self.category_ids[1:]), "two of its categories have the same id")
        _require(all(isinstance(name, str) for name in arguments), "its arguments have no names")
        weights = all(isinstance(name, str) and isinstance(value, Tensor) for name, value in self.state.items())
        _require(weights, "its state is not weights by name")
        keypoints = num_keypoints(self.state)
        _require(len(self.keypoint_names) == keypoints, f"it has {keypoints} keypoints, but {len(self.keypoint_names)} keypoint_names")
        _require(all(_is_number(value, 100) for value in self.metrics.values()), "its metrics are not percentages")
        threshold = self.default_threshold
        _require(threshold is None or _is_number(threshold, 1), "its default_threshold is not between 0 and 1")

    @property
    def has_masks(self) -> bool:
        """Whether the model returns masks."""
        return has_masks(self.state)


def write_checkpoint(checkpoint: Checkpoint, path: Path) -> None:
    """Writes a checkpoint atomically: a reader finds either the old or the new file, even after a crash.

    Args:
        checkpoint: The checkpoint; its weights are copied to the CPU.
        path: The file, in an existing folder; it is replaced if it exists.

    Raises:
        TypeError: If a value is neither a plain type nor a tensor, so it could not be read back safely.
        OSError: If the file cannot be written.
    """
    content: dict[str, Any] = {"format": _FORMAT, "version": _VERSION}
    content |= {item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)}
    content["architecture"] = {"builder": checkpoint.architecture.builder, "arguments": checkpoint.architecture.arguments}
    # A slice of a tensor would be saved together with the tensor that it was cut from.
    content["state"] = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in checkpoint.state.items()}
    _reject_other_than_plain(content, "checkpoint")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path, *, mmap: bool = True) -> Checkpoint:
    """Reads a checkpoint, or bare weights of one of torchvision's builders with any number of classes, of PyTorch or safetensors.

    No code in the file is ever run. Bare weights may be nested in mappings and have prefixes of any name, as training scripts leave them:
    see `wrappers.find_states`. Of several, the averaged ones are used; `training["note"]` says so. Their classes have no names: 91 get
    COCO's, two of a Keypoint R-CNN "person", and others "class 1" and so on.

    Args:
        path: The file.
        mmap: Map the weights instead of reading them, which is quick; the file must not be changed in place meanwhile. False
            reads them and checks the whole file.

    Returns:
        The checkpoint; its weights have been checked against its architecture.

    Raises:
        CheckpointError: If the file is neither of these.
    """
    try:
        content = read_weights_file(path, mmap=mmap)
        if not (isinstance(content.value, dict) and content.value.get("format") == _FORMAT):
            return _bare(content)
        if content.objects:
            raise ValueError(objects_beside(content.objects))
        checkpoint = _ours(content.value)
        return replace(checkpoint, state=fitting_state(checkpoint.architecture, checkpoint.state, TRAIN_AGAIN))
    except ValueError as error:
        raise CheckpointError(f"“{path.name}” {error}") from error


def file_revision(found: os.stat_result) -> str:
    """Returns a string that changes whenever the file is rewritten."""
    return f"{found.st_mtime_ns}-{found.st_size}"


def _ours(content: dict[str, Any]) -> Checkpoint:
    version = content.get("version")
    if isinstance(version, int) and version > _VERSION:
        raise ValueError(f"was written by a newer Detection Explorer (format {version}; this one reads {_VERSION}). Update this one.")
    try:
        _require(version == _VERSION, f"there is no format {version}")
        architecture = Architecture(str(content["architecture"]["builder"]), dict(content["architecture"]["arguments"]))
        return Checkpoint(
            architecture,
            tuple(content["categories"]),
            dict(content["state"]),
            tuple(content["keypoint_names"]),
            dict(content["training"]),
            dict(content["metrics"]),
            # The field's name in files from before the first release.
            content["default_threshold"] if "default_threshold" in content else content["suggested_threshold"],
            content["resume"],
            # Files from before the first release have none.
            tuple(content.get("category_ids", ())),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"is an inconsistent checkpoint of Detection Explorer: {problem}. {TRAIN_AGAIN}") from error


def _bare(content: Content) -> Checkpoint:
    plain, misfit = _plain(content.value), None
    if plain is not None:
        # Most files hold weights without any wrapper. These need no search, whose first call in a process takes half a second.
        try:
            return _of_state(plain)
        except ValueError as error:
            misfit = error
    states = find_states(content.value)
    problems: list[tuple[FoundState, ValueError]] = []
    for found in states:
        if misfit and plain and found.state.keys() == plain.keys():
            problems.append((found, misfit))
            continue
        try:
            checkpoint = _of_state(found.state)
        except ValueError as error:
            problems.append((found, error))
        else:
            return replace(checkpoint, training={"note": note} if (note := _note(found, states, problems)) else {})
    if problems:
        raise problems[0][1]
    names = tensor_names(content.value)
    if content.objects:
        raise ValueError(objects_beside(content.objects))
    if not names:
        raise ValueError(f"is not a state dict, which holds weights by name and nothing else. {SAVE_WEIGHTS_ONLY}")
    raise ValueError(other_network(names))


def _plain(content: Any) -> dict[str, Tensor] | None:
    """Weights without any wrapper; None if there is more in the file."""
    is_plain = isinstance(content, Mapping) and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
    return dict(content) if is_plain and content else None


def _of_state(state: dict[str, Tensor]) -> Checkpoint:
    """The model of weights under torchvision's names.

    Raises:
        ValueError: If they are not all of one model's.
    """
    architecture = infer_architecture(state)
    if architecture is None:
        raise ValueError(other_network(state))
    categories, keypoint_names = default_names(architecture.arguments["num_classes"], num_keypoints(state))
    checkpoint = Checkpoint(architecture, categories, state, keypoint_names)
    return replace(checkpoint, state=fitting_state(architecture, state, _OWN_SETTINGS))


def _note(found: FoundState, states: list[FoundState], problems: list[tuple[FoundState, ValueError]]) -> str:
    """Which of several places the weights are from, and what beside them is not used."""
    notes = []
    if len(states) > 1:
        others = ", ".join(f"“{other.title}”" for other in states if other is not found)
        what = "the averaged weights (EMA)" if found.averaged else "the weights"
        notes.append(f"Uses {what} in “{found.title}” of its file, not those in {others}.")
    notes += [f"Those in “{other.title}” cannot be used: the file {error}" for other, error in problems]
    if found.left_out:
        notes.append(f"Without what else its file has: {', '.join(found.left_out)}.")
    return " ".join(notes)


def _reject_other_than_plain(value: Any, place: str) -> None:
    if type(value) in (dict, OrderedDict):
        for name, item in value.items():
            _reject_other_than_plain(name, f"a key of {place}")
            _reject_other_than_plain(item, f"{place}[{name!r}]")
    elif type(value) in (list, tuple):
        for index, item in enumerate(value):
            _reject_other_than_plain(item, f"{place}[{index}]")
    elif not isinstance(value, Tensor) and type(value) not in (str, int, float, bool, type(None)):
        raise TypeError(f"{place} is a {type(value).__name__}; give numbers, strings, lists, dicts or tensors")


def _require(condition: bool, problem: str) -> None:
    if not condition:
        raise ValueError(problem)


def _is_number(value: Any, highest: float) -> bool:
    return isinstance(value, int | float) and 0 <= value <= highest
