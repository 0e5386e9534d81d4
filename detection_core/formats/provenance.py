"""Provenance: which model, weights, versions and settings a result came from, and when."""

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

# As torchvision names its files: the start of their SHA-256 before the ending.
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,})\.[a-z]+$")


class ModelFacts(Protocol):
    """What is asked of a model; a `ModelSpec` has it."""

    @property
    def key(self) -> str:
        """Its key in the catalog."""

    @property
    def file_name(self) -> str:
        """Name of its weights file."""

    @property
    def revision(self) -> str:
        """Which content of a user's file, or ""."""


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from; it is stamped into every file that has a place for it.

    Attributes:
        model: Key of the model.
        weights: Name of the weights file, without its folder.
        revision: Which content that file had: the start of its SHA-256 where the name holds it, or the revision of a user's file; "" if
            unknown.
        threshold: Lowest score kept, 0–1, or None if nothing was left out.
        settings: Anything else that was chosen, as plain types.
        time: When it was made, ISO 8601 in UTC.
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
        """All attributes as plain types."""
        return asdict(self) | {"settings": dict(self.settings), "versions": dict(self.versions)}

    @classmethod
    def from_json(cls, data: Any) -> Provenance:
        """Reads what `to_json` gave.

        Raises:
            ResultsFormatError: If it is something else.
        """
        if not isinstance(data, dict) or not isinstance(data.get("model"), str):
            raise ResultsFormatError("The provenance must be an object with a “model”.")
        if not all(isinstance(data.get(name, {}), dict) for name in ("settings", "versions")):
            raise ResultsFormatError("The provenance's “settings” and “versions” must be objects.")
        try:
            return cls(**data)
        except TypeError as error:
            raise ResultsFormatError(f"The provenance has something else in it than expected: {error}.") from error

    def same_run(self, other: Provenance) -> bool:
        """Whether both come from the same model, weights and settings, whenever that was."""

        def chosen(one: Provenance) -> tuple[Any, ...]:
            return one.model, one.weights, one.revision, one.threshold, dict(one.settings)

        return chosen(self) == chosen(other)


def provenance_of(
    spec: ModelFacts, *, threshold: float | None = None, settings: Mapping[str, Any] | None = None, time: datetime | None = None
) -> Provenance:
    """Provenance of what a model finds.

    Args:
        spec: The model.
        threshold: Lowest score kept, 0–1, or None if nothing is left out.
        settings: Anything else that was chosen, as plain types.
        time: When, with a time zone; None is now.
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
