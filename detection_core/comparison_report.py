"""What models found in one image and on what they agree, as one report: figures in JSON, and images."""

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
from detection_core.formats.target import Target, shortened
from detection_core.visualization import AnnotationStyle, annotate_comparison

REPORT_FILE = "comparison.json"
_STYLE = AnnotationStyle(color_by="class")


@dataclass(frozen=True, eq=False)
class Found:
    """What one model found, as it is compared.

    Attributes:
        name: What the model is called here; unlike the others'.
        detections: Only those that take part.
        provenance: Where they come from.
        seconds: What the detection took, or None if the model did not run.
    """

    name: str
    detections: Detections
    provenance: Provenance
    seconds: float | None = None


@dataclass(eq=False)
class ComparisonReport:
    """Everything about one comparison.

    Attributes:
        image_name: What the image is called.
        iou: From which IoU two objects are in the same place.
        results: Of each model; the comparison is made when it is first asked for, so fill them in before.
        failed: The name of each other model → why it takes no part.
        notes: Sentences on the image, such as that its file was cut off.
    """

    image_name: str
    iou: float
    results: list[Found] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def pairs(self) -> dict[tuple[str, str], Comparison]:
        """Every two models, by their names."""
        return {
            (first.name, second.name): compare(first.detections, second.detections, iou=self.iou)
            for first, second in itertools.combinations(self.results, 2)
        }

    @cached_property
    def agreed(self) -> list[Agreed]:
        """What at least two models found."""
        return consensus([result.detections for result in self.results], votes=2, iou=self.iou)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain types. Indices count a model's `objects`, and `members` the models, from 0."""
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
        """The difference of two models by their names as a PNG with its facts.

        Args:
            image: The image, RGB.
            a: The one model.
            b: The other, which comes after it.
            style: How it is drawn.
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
        """Writes `comparison.json`, an annotated image of each model, and a difference image of every two.

        Args:
            image: The image, RGB.
            target: Where files go.
            stems: Names of the images without their ending, by the names of the model or the two models; see `report_stems`.
            style: How images are drawn.

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
    """Names for the images of all models and of every two, without their ending and unlike any other file's there."""
    stems: dict[tuple[str, ...], str] = {(name,): target.free_stem(name) for name in names}
    pairs = itertools.combinations(names, 2)
    return stems | {(a, b): target.free_stem(shortened(f"difference_{a}_{b}")) for a, b in pairs}
