"""A result as its visitor sees it, written in any of the export formats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detection_core.errors import UserError
from detection_core.file_names import shortened
from detection_core.formats import FORMATS, ImageResult, number_images
from detection_core.formats.coco_values import shown
from detection_core.formats.registry import export_one
from detection_core.ui.components.client_values import plain_settings
from detection_core.ui.detect.view import ViewSettings
from detection_core.ui.shared.session import KeptResult
from detection_core.ui.shared.uploads import read_upload
from detection_core.visualization import object_colors

_LONGEST = 100


def result_file(kept: KeptResult, settings: ViewSettings, form: str) -> tuple[bytes, str]:
    """Writes what the visitor sees in one format.

    Args:
        kept: Image and detections.
        settings: Threshold, classes, layers and opacities of the view.
        form: A key of `formats.FORMATS`.

    Returns:
        The file, an archive where the format has several, and its name.

    Raises:
        ImageError: If the image is no longer there.
        UserError: If there is no such format, or it cannot hold the result.
    """
    result = seen_result(kept, settings)
    if form not in FORMATS:
        raise UserError(f"There is no format {shown(form)}. Choose one from the menu.")
    if not FORMATS[form].suits(result.detections):
        raise UserError(f"{FORMATS[form].title} cannot hold this model's results. Choose another format.")
    data, ending = export_one(result, form, style=settings.style)
    # Each may be as long as the file system allows.
    stem = f"{shortened(kept.image_path.stem, _LONGEST)}_{shortened(kept.detections.model, _LONGEST)}"
    return data, f"{stem}{ending}" if ending == f".{form}" else f"{stem}_{form}{ending}"


def seen_result(kept: KeptResult, settings: ViewSettings) -> ImageResult:
    """The objects that the visitor sees, with the colors and numbers that they have in the page.

    Raises:
        ImageError: If the image is no longer there.
    """
    visible = settings.visible(kept.detections)
    # Colors come from the whole result, as in the browser: they stay when the threshold moves.
    colors = object_colors(kept.detections, "auto")
    indices = np.flatnonzero(visible)
    loaded = read_upload(kept.image_path)
    chosen = plain_settings(settings)
    if kept.detections.whole_scores is None:
        del chosen["only_slices"]
    return ImageResult(
        file_name=kept.image_path.name,
        detections=kept.detections[visible],
        provenance=replace(kept.provenance, threshold=settings.threshold, settings=chosen) if kept.provenance else None,
        image=lambda: loaded.image,
        colors=[colors[index] for index in indices],
        # Numbers too: the table beside the image explains them.
        numbers=[int(index) + 1 for index in indices],
        notes=loaded.notes,
        image_id=number_images([kept.image_path.name]).image_ids[0],
    )
