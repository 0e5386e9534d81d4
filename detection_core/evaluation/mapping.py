"""Which class of a model stands for which class of the data: by name, with changes by the user."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from detection_core.evaluation.errors import EvaluationError

_SEPARATORS = re.compile(r"[\s_\-]+")
# Pascal VOC's names of COCO's classes.
_SYNONYMS = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "tvmonitor": "tv",
}


@dataclass(frozen=True)
class ClassMapping:
    """The classes of a model and those of the data.

    Attributes:
        partners: The data's class by the model's class.
        left_out: The model's classes that have no partner: their detections are left out.
        not_detected: The data's classes that have no partner: their objects all count as missed.
    """

    partners: dict[str, str]
    left_out: tuple[str, ...]
    not_detected: tuple[str, ...]

    @property
    def renamed(self) -> dict[str, str]:
        """The partners of another name."""
        return {own: partner for own, partner in self.partners.items() if own != partner}

    def labels(self, model: Mapping[int, str], data: Sequence[str]) -> dict[int, int]:
        """Returns the data's label by the model's category id.

        Args:
            model: The model's class names by category id.
            data: The data's class names by label.
        """
        label_of = {name: label for label, name in enumerate(data)}
        return {number: label_of[self.partners[name]] for number, name in model.items() if name in self.partners}

    def in_words(self) -> list[str]:
        """Returns sentences about what is not obvious, for the user."""
        sentences = []
        if self.renamed:
            sentences.append("Classes of another name: " + ", ".join(f"{own} → {partner}" for own, partner in self.renamed.items()) + ".")
        if self.not_detected:
            sentences.append(f"It does not detect {_listed(self.not_detected)}: these objects count as missed, with an AP of 0.")
        if self.left_out:
            sentences.append(f"The data has no class for {_listed(self.left_out)}: these detections are left out.")
        return sentences


def map_classes(model: Sequence[str], data: Sequence[str], changes: Mapping[str, str | None] | None = None) -> ClassMapping:
    """Finds a partner for each class: the one of the same name, or else of the same name but for case, spaces, hyphens and underscores.

    Args:
        model: The model's classes.
        data: The data's classes.
        changes: Partners by the user's choice, by the model's class; None leaves a class out. Classes that the model does not have are
            ignored, so that several models can share the changes.

    Raises:
        EvaluationError: If a change names a class that the data does not have.
    """
    changes = changes or {}
    unknown = sorted({partner for partner in changes.values() if partner is not None} - set(data))
    if unknown:
        raise EvaluationError(f"The data has no class {_listed(unknown)}. Its classes are {_listed(data, 100)}.")
    by_key: dict[str, str] = {}
    for name in data:
        by_key.setdefault(_key(name), name)
    partners = {}
    for name in model:
        partner = changes[name] if name in changes else name if name in data else by_key.get(_key(name))
        if partner is not None:
            partners[name] = partner
    taken = set(partners.values())
    return ClassMapping(partners, tuple(name for name in model if name not in partners), tuple(name for name in data if name not in taken))


def _key(name: str) -> str:
    folded = _SEPARATORS.sub(" ", name.casefold()).strip()
    return _SYNONYMS.get(folded.replace(" ", ""), folded)


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
