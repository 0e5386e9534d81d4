"""Provenance: the model, weights, versions and settings that produced a result, and the time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from detection_core import __version__
from detection_core.formats.errors import ResultsFormatError

# torchvision's file names contain the start of their SHA-256 before the extension.
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.[a-z]+$")


class ModelFacts(Protocol):
    """The attributes of a model that are needed here; `ModelSpec` has them."""

    @property
    def key(self) -> str:
        """Key in the catalog."""

    @property
    def file_name(self) -> str:
        """Name of the weights file."""

    @property
    def revision(self) -> str:
        """Revision of a user's file, or ""."""


@dataclass(frozen=True)
class Provenance:
    """The origin of a result; it is written into every file whose format has a place for it.

    Attributes:
        model: Key of the model.
        weights: Name of the weights file, without its folder.
        revision: Revision of that file: the start of its SHA-256 if its name contains it, or the revision of a user's file; "" if
            unknown.
        threshold: Lowest score kept, 0–1, or None if all objects were kept.
        settings: Other settings, as plain types.
        time: Time at which it was made, ISO 8601 in UTC.
        versions: Versions of `detection_explorer`, and of `torch` and `torchvision` where they are installed.
    """

    model: str
    weights: str = ""
    revision: str = ""
    threshold: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    time: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Returns all attributes as plain types."""
        return asdict(self) | {"settings": dict(self.settings), "versions": dict(self.versions)}

    @classmethod
    def from_json(cls, data: Any) -> Provenance:
        """Reads the output of `to_json`.

        Raises:
            ResultsFormatError: If the data has another structure.
        """
        if not isinstance(data, dict) or not isinstance(data.get("model"), str):
            raise ResultsFormatError("The provenance must be an object with a “model”.")
        if not all(isinstance(data.get(name, {}), dict) for name in ("settings", "versions")):
            raise ResultsFormatError("The provenance's “settings” and “versions” must be objects.")
        try:
            return cls(**data)
        except TypeError as error:
            raise ResultsFormatError(f"The provenance has unexpected contents: {error}.") from error

    def same_run(self, other: Provenance) -> bool:
        """Returns whether both have the same model, weights and settings, regardless of the time."""

        def chosen(one: Provenance) -> tuple[Any, ...]:
            return one.model, one.weights, one.revision, one.threshold, dict(one.settings)

        return chosen(self) == chosen(other)


def provenance_of(
    spec: ModelFacts, *, threshold: float | None = None, settings: Mapping[str, Any] | None = None, time: datetime | None = None
) -> Provenance:
    """Returns the provenance of a model's results.

    Args:
        spec: The model.
        threshold: Lowest score kept, 0–1, or None if all objects are kept.
        settings: Other settings, as plain types.
        time: Time of the result, with a time zone; None is now.
    """
    found = _HASH_IN_NAME.search(spec.file_name)
    return Provenance(
        model=spec.key,
        weights=spec.file_name,
        revision=spec.revision or (found.group(1) if found else ""),
        threshold=threshold,
        settings=dict(settings or {}),
        time=(time or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds"),
        versions=_versions(),
    )


@cache
def _versions() -> dict[str, str]:
    versions = {"detection_explorer": __version__}
    for package in ("torch", "torchvision"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
