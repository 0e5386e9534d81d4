"""Reads and writes checkpoints: self-describing .pt files, written atomically and read without running code from them."""

from __future__ import annotations

import argparse
import logging
import os
import re
import zipfile
from collections import OrderedDict
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from detection_core.detections.coco_names import BACKGROUND
from detection_core.errors import UserError
from detection_core.models.empty import TORCHVISION_BUILDERS, build_on_meta
from detection_core.models.spec import Architecture
from detection_core.models.state_dict import (
    bare_state,
    default_names,
    has_masks,
    infer_architecture,
    num_keypoints,
)

__all__ = ["Checkpoint", "CheckpointError", "file_revision", "read_checkpoint", "write_checkpoint"]

logger = logging.getLogger(__name__)

_FORMAT, _VERSION = "detection-explorer", 1
_ZIP = b"PK\x03\x04"
# torch's messages when it refuses to unpickle something; the operands belong to pickle protocols that it does not write.
_FORBIDDEN = re.compile(r"Unsupported global: GLOBAL (\S+)|Unsupported (?:global|class|operand 149)()")
_SAVE_WEIGHTS_ONLY = "Save its weights alone, with torch.save(model.state_dict(), …), and use that file."
_COPY_AGAIN = "If it is still being written, wait; otherwise copy it again."

# torchvision's own training scripts keep their command line in the checkpoint; it is a bag of plain values.
torch.serialization.add_safe_globals([argparse.Namespace])


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

    def __post_init__(self) -> None:
        arguments = self.architecture.arguments
        for names, what in ((self.categories, "categories"), (self.keypoint_names, "keypoint_names")):
            _require(all(isinstance(name, str) and name for name in names), f"its {what} are not names")
        _require(self.categories[:1] == (BACKGROUND,), f"its categories do not begin with “{BACKGROUND}”")
        classes = arguments.get("num_classes")
        _require(len(self.categories) == classes, f"it has {classes} classes, but {len(self.categories)} categories")
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
    """Reads a checkpoint, or bare weights of one of torchvision's builders with any number of classes.

    Code in the file is never run. Bare weights may be nested under "model" or "state_dict" and have the prefix "module.", as training
    scripts write them. Their classes have no names: 91 get COCO's, two of a Keypoint R-CNN "person", and others "class 1" and so
    on.

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
        content = _load(path, mmap)
        checkpoint = _ours(content) if isinstance(content, dict) and content.get("format") == _FORMAT else _bare(content)
        return Checkpoint(**{**vars(checkpoint), "state": _fitting(checkpoint)})
    except ValueError as error:
        raise CheckpointError(f"“{path.name}” {error}") from error


def file_revision(found: os.stat_result) -> str:
    """Returns a string that changes whenever the file is rewritten."""
    return f"{found.st_mtime_ns}-{found.st_size}"


def _load(path: Path, mmap: bool) -> Any:
    try:
        with path.open("rb") as file:
            zipped = file.read(len(_ZIP)) == _ZIP
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}. Check its name and its rights.") from error
    if zipped and not zipfile.is_zipfile(path):
        raise ValueError(f"is cut short. {_COPY_AGAIN}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap and zipped)
    except MemoryError:
        raise
    except Exception as error:
        logger.info("reading %s failed: %r", path, error)
        raise ValueError(_reason(str(error))) from error
    if zipped and not mmap and not _checksums_fit(path):
        raise ValueError(f"is damaged: its content does not fit its checksums. {_COPY_AGAIN}")
    return content


def _checksums_fit(path: Path) -> bool:
    """Returns whether the content matches its checksums, which torch does not verify."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _reason(message: str) -> str:
    """Explains to the user why torch has refused a file."""
    if "TorchScript" in message:
        return f"is a TorchScript program, not weights. {_SAVE_WEIGHTS_ONLY}"
    if found := _FORBIDDEN.search(message):
        name = f" ({found[1]})" if found[1] else ""
        return f"holds Python objects besides weights{name}, which could run any code and are not loaded. {_SAVE_WEIGHTS_ONLY}"
    return f"is no file of PyTorch weights, or it is damaged. {_COPY_AGAIN}"


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
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"is an inconsistent checkpoint of Detection Explorer: {problem}. Train or export it again.") from error


def _bare(content: Any) -> Checkpoint:
    state = bare_state(content)
    if state is None:
        raise ValueError(f"is not a state dict, which holds weights by name and nothing else. {_SAVE_WEIGHTS_ONLY}")
    architecture = infer_architecture(state)
    if architecture is None:
        raise ValueError(
            "does not hold the weights of one of torchvision's detectors. Use a checkpoint that `train` has written, or a state dict of "
            f"one of {', '.join(sorted(TORCHVISION_BUILDERS))}."
        )
    categories, keypoint_names = default_names(architecture.arguments["num_classes"], num_keypoints(state))
    return Checkpoint(architecture, categories, state, keypoint_names)


def _fitting(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """Returns the weights under the architecture's current names; torchvision has renamed some over the years.

    Raises:
        ValueError: If they do not match the architecture.
    """
    builder, arguments = checkpoint.architecture.builder, checkpoint.architecture.arguments
    if any(name.startswith(("weights", "progress")) for name in arguments):
        raise ValueError("lists weights that do not match its architecture. Train or export it again.")
    try:
        module = build_on_meta(checkpoint.architecture)
    except Exception as error:
        advice = "If a newer Detection Explorer has written it, update this one."
        raise ValueError(f"cannot be built: {str(error).rstrip('.')} (builder {builder}). {advice}") from error
    again = "Train or export it again."
    misfit = f"does not fit {builder} with {arguments['num_classes']} classes"
    for name, expected in module.state_dict().items():
        found = checkpoint.state.get(name, expected)
        if found.shape != expected.shape:
            raise ValueError(
                f"{misfit}: {name} has the shape {list(found.shape)} instead of {list(expected.shape)}. Train or export it again."
            )
        if found.is_floating_point() != expected.is_floating_point():
            raise ValueError(f"{misfit}: {name} is of type {found.dtype}. {again}")
    try:
        missing, unexpected = module.load_state_dict(checkpoint.state, strict=False, assign=True)
    except Exception as error:
        raise ValueError(f"{misfit}: {str(error).splitlines()[-1].strip()} {again}") from error
    for names, problem in ((missing, "is missing"), (unexpected, "is not part of it")):
        if names:
            more = f" (as are {len(names) - 1} more)" if len(names) > 1 else ""
            raise ValueError(f"{misfit}: {names[0]} {problem}{more}. {again}")
    return module.state_dict()


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
