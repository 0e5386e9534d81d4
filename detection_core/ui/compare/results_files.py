"""Results of other tools, which visitors add to a comparison as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from detection_core.formats import ResultsFormatError, import_coco_results
from detection_core.images.reading import LoadedImage
from detection_core.ui.compare.candidate import CandidateResult, imported
from detection_core.ui.compare.settings import MAX_MODELS
from detection_core.ui.shared.session import ResultExpiredError
from detection_core.ui.shared.visitor_store import VisitorStore

_MAX_BYTES = 20 * 2**20
# As many as any model here gives; ten thousand would take the server's memory to compare.
_MAX_OBJECTS = 300


class ResultsFiles(VisitorStore[tuple[str, CandidateResult, list[str]]]):
    """Keeps results from files, each with the digest of its image.

    Args:
        capacity: How many are kept, of all visitors together.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(ResultExpiredError, capacity)

    def add(
        self,
        file: Path,
        image: LoadedImage,
        image_id: str,
        *,
        file_name: str = "",
        skip_invalid: bool = False,
        compared: Mapping[str, Sequence[str]] | None = None,
    ) -> str:
        """Reads a COCO results file.

        Args:
            file: The uploaded file.
            image: The image that the results belong to.
            image_id: The image's id in the file, if it holds results for several images; empty otherwise.
            file_name: Name of the image's file, by which it may be found in the file.
            skip_invalid: Whether invalid entries are skipped and counted.
            compared: Categories by label of the models compared with, by their titles.

        Returns:
            Name of the results.

        Raises:
            ResultsFormatError: If the file cannot be used.
            InvalidEntryError: If an entry cannot be used, and `skip_invalid` is not set.
            SeveralImagesError: If it holds results for several images, and the id is missing.
            OSError: If it cannot be read.
        """
        if file.stat().st_size > _MAX_BYTES:
            raise ResultsFormatError(f"The file is larger than {_MAX_BYTES >> 20} MB. Remove the results for other images from it.")
        size = image.image.height, image.image.width
        results = import_coco_results(
            file.read_bytes(),
            size,
            image_id=image_id.strip() or None,
            file_name=file_name,
            skip_invalid=skip_invalid,
            compared=compared,
        )
        found, title = results.detections, file.name
        notes = [f"“{title}”: {note}" for note in results.notes]
        if len(found) > _MAX_OBJECTS:
            title = f"{title} (the {_MAX_OBJECTS} highest scores of {len(found):,})"
        return self.put((image.digest, imported(title, found[:_MAX_OBJECTS]), notes))

    def for_image(self, names: Sequence[str], image: LoadedImage, room: int) -> tuple[dict[str, CandidateResult], list[str]]:
        """The results that belong to an image.

        Args:
            names: Names of all results that the visitor has added.
            image: The image.
            room: How many results can be compared beside the chosen models.

        Returns:
            The results by an id, and remarks on how they were read and on those that are left out.
        """
        results: dict[str, CandidateResult] = {}
        notes: list[str] = []
        for number, name in enumerate(names, start=1):
            entry = self.get(name)
            if entry is None:
                notes.append("Results from a file are no longer kept on the server. Add the file again.")
                continue
            digest, result, remarks = entry
            if digest != image.digest:
                notes.append(f"“{result.title}” is left out: it belongs to another image.")
            elif len(results) >= room:
                notes.append(f"“{result.title}” is left out: at most {MAX_MODELS} models can be compared. Remove one.")
            else:
                results[f"file:{number}"] = result
                notes += remarks
        return results, notes
