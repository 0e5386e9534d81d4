"""Finds the models in the users' folders and rejects files that cannot be used."""

from __future__ import annotations

import logging
import os
import re
import stat
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detection_core.errors import SettingsError
from detection_core.models.builders import FLOOR_SCORES
from detection_core.models.checkpoint import Checkpoint, CheckpointError, file_revision, read_checkpoint
from detection_core.models.families import FAMILIES, Task, UnknownFamilyError, family_of, title_of
from detection_core.models.spec import Architecture, ModelSpec
from detection_core.models.weights_file import begins_as_weights

logger = logging.getLogger(__name__)

MODELS_DIR = "DETECTION_EXPLORER_MODELS_DIR"
_DEFAULT_FOLDER = "models"
_ENDINGS = {".pt", ".pth", ".ckpt", ".bin", ".pkl", ".safetensors"}
# A checkpoint is called "….pth.tar" by an old custom, and is no archive.
_SECOND_ENDING = ".tar"
# The suffix of the file from which training resumes, beside its result.
_RESUME = ".last"
_NOT_IN_A_KEY = re.compile(r"[^A-Za-z0-9_.-]")
_METRICS = ("box_map", "mask_map", "kp_map")
_NAMED_CLASSES = 5
_NOT_PARAMETERS = ("running_mean", "running_var", "num_batches_tracked")


@dataclass(frozen=True)
class Rejected:
    """A file in a models folder that cannot be used.

    Attributes:
        file_name: Its name, without the folder.
        reason: The problem and its remedy, for the user.
    """

    file_name: str
    reason: str


@dataclass(frozen=True)
class UserModels:
    """The current content of the models folders.

    Attributes:
        specs: The models by key, in the order of their files' names.
        rejected: The other files.
    """

    specs: dict[str, ModelSpec]
    rejected: tuple[Rejected, ...]


# The result of the last read of each file, with the file's revision at that time.
_seen: dict[Path, tuple[str, ModelSpec | str | None]] = {}
_lock = threading.Lock()


def model_folders() -> list[Path]:
    """Returns the folders of the environment variable `DETECTION_EXPLORER_MODELS_DIR`, which are separated as in `PATH`.

    Without the variable it is `models` in the current folder; an empty variable means no folder.
    """
    names = os.environ.get(MODELS_DIR, _DEFAULT_FOLDER).split(os.pathsep)
    return list(dict.fromkeys(Path(name).expanduser().absolute() for name in names if name))


def use_folder(name: str) -> None:
    """Sets the folder of the user's models for this process and its child processes.

    Raises:
        SettingsError: If there is no such folder.
    """
    if not Path(name).expanduser().is_dir():
        raise SettingsError(f"There is no folder “{name}” with models.")
    os.environ[MODELS_DIR] = name


def find_user_models(taken: Collection[str]) -> UserModels:
    """Reads the models folders: every file with a model's suffix is a model, or is rejected with a reason.

    So is a file without a suffix that begins as weights do. A file is only read when it is new or has changed, so repeated calls are
    cheap. `NAME.last.pt`, from which a training resumes, is left out.

    Args:
        taken: Keys of other models, which a file must not have.
    """
    specs: dict[str, ModelSpec] = {}
    rejected = []
    with _lock:
        files = list(_files())
        for path in _seen.keys() - set(files):
            del _seen[path]
        for path in files:
            if (found := _cached_read(path)) is None:
                continue
            key = key_of(path)
            if isinstance(found, str):
                rejected.append(Rejected(path.name, found))
            elif key in taken:
                rejected.append(Rejected(path.name, f"There is a model “{key}” already. Rename the file."))
            elif key in specs:
                rejected.append(Rejected(path.name, f"“{specs[key].file_name}” is the model “{key}” already. Rename one of the files."))
            else:
                specs[key] = found
    return UserModels(specs, tuple(rejected))


def read_model_spec(path: Path) -> ModelSpec:
    """Makes the spec of a model from a single file.

    Raises:
        CheckpointError: If the file cannot be used.
    """
    try:
        file = path.stat()
    except OSError as error:
        raise CheckpointError(f"“{path.name}” cannot be read: {error.strerror}. Check its name and its rights.") from error
    made = spec_of_checkpoint(read_checkpoint(path), path)
    return replace(made, file_size=round(file.st_size / 2**20, 1), file=path, revision=file_revision(file))


def spec_of_checkpoint(checkpoint: Checkpoint, path: Path) -> ModelSpec:
    """Makes the spec of a checkpoint in memory, named after a path as if it had been read from there.

    Raises:
        CheckpointError: If its family is not known.
    """
    try:
        family = family_of(checkpoint.architecture.builder)
    except UnknownFamilyError as error:
        raise CheckpointError(
            f"“{path.name}” cannot be used: {error}. If a newer Detection Explorer has written it, update this one."
        ) from error
    traits = FAMILIES[family]
    heads: dict[Task, bool] = {"boxes": True, "masks": checkpoint.has_masks, "keypoints": bool(checkpoint.keypoint_names)}
    metrics = {name: checkpoint.metrics[name] for name in _METRICS if name in checkpoint.metrics}
    floor = FLOOR_SCORES.get(checkpoint.architecture.builder, traits.min_score)
    threshold = traits.default_threshold if checkpoint.default_threshold is None else checkpoint.default_threshold
    note = str(checkpoint.training.get("note", ""))
    return ModelSpec(
        key=key_of(path),
        title=_name_of(path),
        family=family,
        architecture=checkpoint.architecture,
        tasks=tuple(task for task, there in heads.items() if there),
        categories=checkpoint.categories,
        keypoint_names=checkpoint.keypoint_names,
        params=sum(tensor.numel() for name, tensor in checkpoint.state.items() if not name.endswith(_NOT_PARAMETERS)),
        gflops=None,
        file_size=0.0,
        metrics=metrics,
        metrics_on=str(checkpoint.training.get("metrics_on", "its validation images")) if metrics else "",
        recipe="",
        min_score=floor,
        default_threshold=max(floor, threshold),
        best_for=f"Your model: {summary(checkpoint.architecture, checkpoint.categories)} {note}".rstrip(),
        file_name=path.name,
        source="user",
        note=note,
        category_ids=checkpoint.category_ids,
    )


def is_model_file(path: Path) -> bool:
    """Whether a file's name says that it is a model."""
    return _name_of(path) != path.name


def key_of(path: Path) -> str:
    """The key of the model in a file: the file's name without its ending, where _ stands for all but A-Z, a-z, 0-9, _, . and -."""
    return _NOT_IN_A_KEY.sub("_", _name_of(path))


def _name_of(path: Path) -> str:
    """A file's name without the ending of a model; the whole of it where it has none."""
    bare = Path(path.stem) if path.suffix.lower() == _SECOND_ENDING else path
    return bare.stem if bare.suffix.lower() in _ENDINGS else path.name


def _files() -> Iterator[Path]:
    for folder in model_folders():
        try:
            entries = sorted(folder.iterdir())
        except OSError:  # The folder does not exist or must not be read.
            continue
        for path in entries:
            named = is_model_file(path) or not path.suffix or path.suffix[1:].isdigit()
            if named and not path.name.startswith(".") and not _name_of(path).endswith(_RESUME):
                yield path


def _cached_read(path: Path) -> ModelSpec | str | None:
    """Returns the spec of a file's model, or why it cannot be used, or None if the path is no file any more."""
    try:
        file = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(file.st_mode):
        return None
    revision = file_revision(file)
    if _seen.get(path, ("",))[0] != revision:
        _seen[path] = revision, _read(path) if is_model_file(path) or begins_as_weights(path) else None
    return _seen[path][1]


def _read(path: Path) -> ModelSpec | str:
    try:
        return read_model_spec(path)
    except CheckpointError as error:
        return str(error)
    except Exception as error:  # One unreadable file must not make the others unusable.
        logger.exception("reading %s failed", path)
        return f"“{path.name}” cannot be read ({type(error).__name__}). Write or copy it again."


def summary(architecture: Architecture, categories: Sequence[str]) -> str:
    """Describes a model in one sentence: "Faster R-CNN MobileNetV2 FPN for 2 classes: cat, dog."."""
    names = categories[1:]
    some = ", ".join(names[:_NAMED_CLASSES])
    more = f" and {len(names) - _NAMED_CLASSES} more" if len(names) > _NAMED_CLASSES else ""
    classes = f"{len(names)} class{'es' * (len(names) != 1)}"
    return f"{title_of(architecture.builder)} for {classes}: {some}{more}."
