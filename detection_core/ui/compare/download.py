"""A comparison as one archive: each model's objects and annotated image, each pair's difference, and all figures."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from detection_core.comparison_report import REPORT_FILE, ComparisonReport, Found, report_stems
from detection_core.errors import UserError
from detection_core.formats import FORMATS, ImageResult, export, number_images
from detection_core.formats.target import Target, safe_stem
from detection_core.ui.compare.candidate import CandidateResult
from detection_core.ui.compare.view import CompareSettings
from detection_core.ui.components.client_values import plain_settings
from detection_core.ui.shared.uploads import read_upload


@dataclass(frozen=True)
class KeptComparison:
    """A comparison that can be downloaded.

    Attributes:
        image_path: The image as it was given.
        results: Results by the id of the model.
    """

    image_path: Path
    results: Mapping[str, CandidateResult]


def comparison_archive(kept: KeptComparison, settings: CompareSettings) -> bytes:
    """Writes the comparison as the visitor sees it into a ZIP archive.

    It holds `comparison.json` with all figures, an annotated image of each model, the difference image of each pair, and a folder
    for each model with its objects in all formats that can hold them.

    Args:
        kept: Image and results.
        settings: Which objects count, and how they are drawn.

    Raises:
        ImageError: If the image is no longer there.
        UserError: If there is nothing to write.
    """
    if not kept.results:
        raise UserError("No model has given a result yet.")
    loaded = read_upload(kept.image_path)
    numbering = number_images([kept.image_path.name])
    style = replace(settings.style, color_by="class")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        target = Target(archive)
        report = _report(kept, settings)
        report.notes = loaded.notes
        report.write(loaded.image, target, report_stems([found.name for found in report.results], target), style)
        for found in report.results:
            # The annotated image is in the archive already.
            formats = [name for name in FORMATS if name != "png" and FORMATS[name].suits(found.detections)]
            (image_id,) = numbering.image_ids
            result = ImageResult(kept.image_path.name, found.detections, found.provenance, notes=loaded.notes, image_id=image_id)
            export([result], formats, archive, folder=found.name, numbering=numbering)
    return file.getvalue()


def _report(kept: KeptComparison, settings: CompareSettings) -> ComparisonReport:
    shown = settings.select({identity: (result.detections, result.threshold) for identity, result in kept.results.items()})
    chosen = plain_settings(settings)
    report = ComparisonReport(kept.image_path.name, settings.iou)
    names = Target(Path())
    # A folder of that name would collide with the report.
    names.free_stem(REPORT_FILE)
    for identity, result in kept.results.items():
        name = names.free_stem(safe_stem(f"{result.provenance.model}.pt"))
        provenance = replace(result.provenance, threshold=settings.threshold_of(identity, result.threshold), settings=chosen)
        report.results.append(Found(name, shown[identity], provenance))
    return report
