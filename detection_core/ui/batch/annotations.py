"""The ids of a batch's images and classes: those of an annotation file that the visitor has uploaded, or of the images' names."""

from __future__ import annotations

from collections.abc import Sequence

from detection_core.datasets.coco import DataError
from detection_core.datasets.numbering import read_numbering
from detection_core.formats import Numbering, number_images
from detection_core.models.spec import ModelSpec
from detection_core.ui.batch.view import BatchOrder
from detection_core.ui.shared.uploads import image_name, uploaded_path

# As much as COCO's own val2017; read, it takes ten times as much memory.
_MAX_BYTES = 20 * 2**20


def numbering_of(order: BatchOrder, names: Sequence[str], spec: ModelSpec) -> Numbering:
    """Returns the ids of images and classes in COCO's formats.

    Args:
        order: What the visitor wants.
        names: The names of the chosen images, in their order.
        spec: The model.

    Raises:
        DataError: If the annotation file is no longer there, is too large, or cannot be used.
    """
    if not order.annotations:
        return number_images(names)
    file = uploaded_path(order.annotations)
    if file is None:
        raise DataError("The annotation file is no longer on the server. Choose it again.")
    if file.stat().st_size > _MAX_BYTES:
        raise DataError(f"The annotation file is larger than {_MAX_BYTES >> 20} MB. Remove its annotations: images and categories suffice.")
    return read_numbering(file, names, spec.categories, title=image_name(order.annotations_name, file))
