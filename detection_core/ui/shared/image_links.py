"""Names of images in links, and the image of a name: examples always have one, others if the host keeps them."""

from __future__ import annotations

from pathlib import Path

from detection_core.images.reading import ImageError, LoadedImage, read_image
from detection_core.models.download import sha256
from detection_core.ui.shared.examples import EXAMPLES
from detection_core.ui.shared.kept_images import KeptImages
from detection_core.ui.shared.visitor_store import VisitorStore

_KNOWN = 10_000


class _Names(VisitorStore[str]):
    """Names of images by their digests; those of examples always stay."""

    def _may_be_evicted(self, entry: str) -> bool:
        return not entry.startswith("example:")


class ImageLinks:
    """Names of images in links.

    Args:
        kept: Where visitors' images are kept; None if the host does not allow that.
    """

    def __init__(self, kept: KeptImages | None = None) -> None:
        self._kept = kept
        self._examples = {name.lower().replace(" ", "-"): path for name, path in EXAMPLES.items()}
        self._names = _Names(KeyError, _KNOWN)
        for name, path in self._examples.items():
            self._names.put(f"example:{name}", token=sha256(path))

    @property
    def can_keep(self) -> bool:
        """Whether a visitor's own image can be kept for a link."""
        return self._kept is not None

    def name(self, image: LoadedImage) -> str:
        """The name of an image in links, or "" if it has none."""
        name = self._names.get(image.digest) or ""
        # A kept image may have been deleted to make room for others.
        return name if self._file(name) else ""

    def keep(self, image: LoadedImage) -> str:
        """Keeps an image because its visitor asked for a link.

        Returns:
            Its name; "" where the host keeps none.

        Raises:
            OSError: If it cannot be written.
        """
        if (known := self.name(image)) or self._kept is None:
            return known
        name = self._kept.keep(image.image)
        self._names.put(f"kept:{name}", token=image.digest)
        return f"kept:{name}"

    def find(self, name: str) -> Path | None:
        """The image of a name, or None if there is none, or no longer."""
        path = self._file(name)
        if path is None or path in self._examples.values():
            return path
        try:
            self._names.put(name, token=read_image(path).digest)
        except ImageError:  # The file is damaged.
            return None
        return path

    def _file(self, name: str) -> Path | None:
        kind, _, rest = name.partition(":")
        if kind == "example":
            return self._examples.get(rest)
        return self._kept.find(rest) if kind == "kept" and self._kept else None
