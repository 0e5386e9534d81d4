"""Finds or downloads the weights files of models, and explains failures to the user."""

from __future__ import annotations

import logging
import os
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch.hub
from torchvision.models._api import WeightsEnum

from detection_core.errors import UserError
from detection_core.models import catalog
from detection_core.models.catalog import ModelSpec, list_specs
from detection_core.models.download import (
    CancelledCallback,
    DownloadCancelled,
    DownloadError,
    ProgressCallback,
    download,
    public_url,
    sha256,
)
from detection_core.settings import read_setting

__all__ = ["DownloadCancelled", "WeightsError", "available_models", "fetch_backbone", "fetch_weights", "find_weights", "reject_if_damaged"]

logger = logging.getLogger(__name__)

WEIGHTS_DIR = "DETECTION_EXPLORER_WEIGHTS_DIR"
MIRROR = "DETECTION_EXPLORER_WEIGHTS_MIRROR"
# torchvision's naming: eight or more digits of the SHA-256 end the name.
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.pth$")


class WeightsError(UserError, RuntimeError):
    """A model's weights cannot be obtained; the message is for the user and contains no path of this machine."""


def find_weights(spec: ModelSpec) -> Path | None:
    """Finds a model's weights file without using the network.

    A user's model has its own file. Other files are searched in this order: in the project's assets (the embedded models'); in the folders
    in the environment variable `DETECTION_EXPLORER_WEIGHTS_DIR`, separated like `PATH`; in torch.hub's cache,
    `$TORCH_HOME/hub/checkpoints`; and in the cache that replaces it if it cannot be written to,
    `detection-explorer-<user id>` in the system's folder for temporary files.

    Returns:
        The file, or None if there is none yet. Its content is not checked.
    """
    if spec.file is not None:
        return spec.file if _exists(spec.file) else None
    assets = [catalog.ASSETS] if spec.source == "embedded" else []
    files = (folder / spec.file_name for folder in [*assets, *_user_folders(), *_caches()])
    return next((file for file in files if _exists(file)), None)


def fetch_weights(
    spec: ModelSpec,
    on_progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> Path:
    """Finds a model's weights file, or downloads it into the first cache that can be written to.

    The environment variable `DETECTION_EXPLORER_WEIGHTS_MIRROR` names an address, such as `http://host/dir`, that replaces
    torchvision's own.

    Args:
        spec: The model.
        on_progress: Called with the bytes received so far and the size of the file (None if unknown); not called without a download.
        cancelled: Called repeatedly; True stops the download.

    Returns:
        The file.

    Raises:
        WeightsError: If there is no such file and it cannot be downloaded, or nothing may be.
        DownloadCancelled: If `cancelled` returned True; the bytes received are used the next time.
    """
    if found := find_weights(spec):
        return found
    if spec.source == "user":
        raise _weights_error(spec, "are gone: the file has been removed", "Put it back, or choose another model.")
    if spec.source == "embedded":
        raise _weights_error(spec, "is missing from the project's assets folder", "Install the project again.")
    _refuse_if_offline(spec)
    return _fetch(spec, _writable_cache(spec), on_progress, cancelled)


def fetch_backbone(weights: WeightsEnum) -> Path:
    """Finds a backbone's ImageNet weights in torch.hub's cache, where torchvision's builders search for them, or downloads them there.

    Raises:
        WeightsError: If they cannot be downloaded.
    """
    file = _RemoteFile(f"the backbone {weights}", weights.url.rpartition("/")[2], weights.url)
    found = _hub_cache() / file.file_name
    if _exists(found):
        return found
    _refuse_if_offline(file)
    return _fetch(file, _hub_cache(), None, None)


class _RemoteFile(NamedTuple):
    """The properties of a file that a download needs; a ModelSpec has them, too."""

    title: str
    file_name: str
    url: str


def _refuse_if_offline(file: ModelSpec | _RemoteFile) -> None:
    if read_setting("offline"):
        raise _weights_error(file, "are not on this machine, and nothing is downloaded here (setting offline)", "Choose another model.")


def _fetch(file: ModelSpec | _RemoteFile, folder: Path, on_progress: ProgressCallback | None, cancelled: CancelledCallback | None) -> Path:
    target = folder / file.file_name
    mirror = os.environ.get(MIRROR)
    url = f"{mirror.rstrip('/')}/{file.file_name}" if mirror else file.url
    logger.info("downloading %s to %s", public_url(url), target)
    try:
        download(url, target, _expected_hash(file), on_progress, cancelled)
    except OSError as error:
        logger.exception("writing %s failed", target)
        raise _weights_error(file, "cannot be written to the cache", _advice("Set TORCH_HOME to another folder", file)) from error
    except DownloadError as error:
        problem = f"cannot be downloaded from {public_url(url).rpartition('/')[0]}: {error}"
        raise _weights_error(file, problem, _advice("Try again later", file)) from error
    return target


def reject_if_damaged(spec: ModelSpec, path: Path) -> None:
    """Checks a file that could not be loaded, and deletes it from the cache if it is damaged, so that it is downloaded again.

    Files in the user's own folders and in the project's assets are never deleted.

    Raises:
        WeightsError: If the file cannot be read, or its hash does not match its name, or its name has no hash.
    """
    if spec.source == "user":
        return  # Building the model has already checked the file.
    expected = _expected_hash(spec)
    try:
        found = sha256(path)
    except OSError as error:
        logger.exception("reading %s failed", path)
        raise _weights_error(spec, "cannot be read", "Check the rights of the file.") from error
    if expected and found.startswith(expected):
        return
    problem = "is damaged: it is cut short, or it is not the file of this model"
    if path.parent in _caches() and path.parent not in _user_folders():
        logger.warning("deleting the damaged weights %s", path)
        path.unlink(missing_ok=True)
        raise _weights_error(spec, f"{problem}. It has been deleted", "Try again to download it.")
    logger.warning("the weights %s are damaged", path)
    raise _weights_error(spec, problem, _advice("Replace it") if spec.url else "Install the project again.")


def available_models() -> list[str]:
    """Lists the keys of the models that need no download, in the catalog's order."""
    return [spec.key for spec in list_specs() if find_weights(spec)]


def _exists(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # A folder without access rights counts as empty.
        return False


def _user_folders() -> list[Path]:
    return [Path(folder).expanduser() for folder in os.environ.get(WEIGHTS_DIR, "").split(os.pathsep) if folder]


def _hub_cache() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


def _caches() -> list[Path]:
    hub = _hub_cache()
    stand_in = Path(tempfile.gettempdir()) / f"detection-explorer-{_user_id()}"
    # Other users can write to the folder for temporary files, so a folder of ours that another user owns is not trusted.
    trusted = not stand_in.exists() or stand_in.stat().st_uid == _user_id()
    return [hub, stand_in] if trusted else [hub]


def _user_id() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _writable_cache(spec: ModelSpec) -> Path:
    for folder in _caches():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError as error:
            logger.warning("weights cannot be kept in %s: %s", folder, error)
    raise _weights_error(spec, "cannot be kept: no cache folder can be written to", _advice("Set TORCH_HOME to a folder that can be"))


def _expected_hash(file: ModelSpec | _RemoteFile) -> str:
    match = _HASH_IN_NAME.search(file.file_name)
    return match[1] if match else ""


def _weights_error(file: ModelSpec | _RemoteFile, problem: str, advice: str) -> WeightsError:
    ready = ", ".join(available_models()) or "none"
    return WeightsError(f"The weights of {file.title}, {file.file_name}, {problem}. {advice} Models that work right now: {ready}.")


def _advice(first: str, file: ModelSpec | _RemoteFile | None = None) -> str:
    # torchvision's builders search backbones only in torch.hub's cache.
    place = "torch.hub's cache (hub/checkpoints in TORCH_HOME)" if isinstance(file, _RemoteFile) else f"a folder named by {WEIGHTS_DIR}"
    return f"{first}, put the file into {place}, or set {MIRROR} to an address that has it."
