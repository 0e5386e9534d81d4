"""Report of a comparison of models on one image: figures in JSON, and annotated images."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from PIL import Image

from detection_core.detections import Detections
from detection_core.detections.comparison import Agreed, Comparison, compare, consensus
from detection_core.formats import Provenance, annotated_png, png_with_facts, to_json
from detection_core.formats.target import Target, shortened_stem
from detection_core.visualization import AnnotationStyle, annotate_comparison

REPORT_FILE = "comparison.json"
_STYLE = AnnotationStyle(color_by="class")


@dataclass(frozen=True, eq=False)
class Found:
    """The objects of one model that take part in the comparison.

    Attributes:
        name: Unique name of the model in this report.
        detections: The objects that take part.
        provenance: Their provenance.
        seconds: Time of the detection, or None if the model did not run.
    """

    name: str
    detections: Detections
    provenance: Provenance
    seconds: float | None = None


@dataclass(eq=False)
class ComparisonReport:
    """All figures and images of one comparison.

    Attributes:
        image_name: Name of the image.
        iou: Lowest IoU at which two objects count as the same place.
        results: The result of each model; fill them in first, because the comparison is computed once, on first use.
        failed: Name of each model that could not be compared → the reason.
        notes: Sentences about the image, for example that its file is cut off.
    """

    image_name: str
    iou: float
    results: list[Found] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Comparison]:
        """The comparison of every two models, by their names."""
        return {
            (first.name, second.name): compare(first.detections, second.detections, iou=self.iou)
            for first, second in itertools.combinations(self.results, 2)
        }

    @cached_property
    def agreed(self) -> list[Agreed]:
        """The objects that at least two models found."""
        return consensus([result.detections for result in self.results], votes=2, iou=self.iou)

    def to_json(self) -> dict[str, Any]:
        """Returns everything as plain types. Indices count a model's `objects`, and `members` the models, from 0."""
        return {
            "image": self.image_name,
            **({"notes": list(self.notes)} if self.notes else {}),
            "iou_threshold": self.iou,
            "models": [
                {"name": result.name, "seconds": result.seconds, **to_json(result.detections, provenance=result.provenance)}
                for result in self.results
            ],
            "pairs": [{**pair.to_json(), "a": a, "b": b} for (a, b), pair in self.pairs.items()],
            "consensus": [found.to_json() for found in self.agreed],
            "failed": self.failed,
        }

    def difference_png(self, image: Image.Image, a: str, b: str, style: AnnotationStyle = _STYLE) -> bytes:
        """Draws the difference of two models as a PNG with its settings.

        Args:
            image: The image, RGB.
            a: Name of the first model.
            b: Name of the second model, which comes later in `results`.
            style: The style of the image.
        """
        pair = self.pairs[a, b]
        drawn = annotate_comparison(image, pair, style=style, names=(a, b))
        drawn.info["icc_profile"] = image.info.get("icc_profile")
        counts = pair.counts()
        description = f"{a} and {b}: " + ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items())
        provenances = {result.name: result.provenance.to_json() for result in self.results}
        facts = {"iou_threshold": self.iou, "counts": counts, "a": provenances[a], "b": provenances[b]}
        return png_with_facts(drawn, description, facts)

    def write(self, image: Image.Image, target: Target, stems: Mapping[tuple[str, ...], str], style: AnnotationStyle = _STYLE) -> None:
        """Writes `comparison.json`, an annotated image per model, and a difference image per pair of models.

        Args:
            image: The image, RGB.
            target: The target of the files.
            stems: Stems of the image files, by the names of the model or the two models; see `report_stems`.
            style: The style of the images.

        Raises:
            OSError: If a file cannot be written.
        """
        target.write(REPORT_FILE, json.dumps(self.to_json(), indent=2).encode())
        for result in self.results:
            drawn = annotated_png(image, result.detections, style=style, provenance=result.provenance)
            target.write(f"{stems[result.name,]}.png", drawn)
        for a, b in self.pairs:
            target.write(f"{stems[a, b]}.png", self.difference_png(image, a, b, style))


def report_stems(names: list[str], target: Target) -> dict[tuple[str, ...], str]:
    """Returns unused stems for the images of all models and all pairs of models."""
    stems: dict[tuple[str, ...], str] = {(name,): target.free_stem(name) for name in names}
    pairs = itertools.combinations(names, 2)
    return stems | {(a, b): target.free_stem(shortened_stem(f"difference_{a}_{b}")) for a, b in pairs}
