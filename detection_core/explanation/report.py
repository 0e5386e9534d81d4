"""explain: why a model found an object, or why it found none, as one report with its JSON and images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from detection_core.detections import Detections
from detection_core.explanation.drawing import draw_level, draw_map, draw_why, draw_why_not, resized_map
from detection_core.explanation.gradients import GradientMap
from detection_core.explanation.in_slices import NOT_RECORDED, FoundObject, SliceRecorder, number_in, why_not_in_whole
from detection_core.explanation.query import Box, Query, QueryError
from detection_core.explanation.record import Recording
from detection_core.explanation.recorder import record
from detection_core.explanation.saliency import SaliencyProgress, drise
from detection_core.explanation.stages import stages
from detection_core.explanation.why import Why, why
from detection_core.explanation.why_not import WhyNot, why_not
from detection_core.images.reading import load_image
from detection_core.models.catalog import get_model_spec
from detection_core.models.detector import Detector, ImageInput, run
from detection_core.models.families import Task
from detection_core.models.loader import ModelLoader
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec
from detection_core.visualization import annotate

FORMAT = "detection-explorer explanation 1"
_DIGITS = 6
_ONLY_BOXES: tuple[Task, ...] = ("boxes",)


@dataclass(frozen=True, eq=False)
class Explanation:
    """The explanation of an object, or of its absence.

    Attributes:
        recording: What happened inside the model; `what_if` and `stages` take it too.
        threshold: The threshold that it was explained for.
        answer: The answer.
        query: The place, or None if an object is explained.
        image: The image.
        saliency: float32 [H,W] in 0–1, the pixels that support the object, or None if it was not asked for.
        absence: Of an object that only a slice shows: why the whole image does not; otherwise None. The recording is of the slice.
    """

    recording: Recording
    threshold: float
    answer: WhyNot | Why
    query: Query | None
    image: Image.Image
    saliency: NDArray[np.float32] | None = None
    absence: WhyNot | None = None

    @property
    def sentence(self) -> str:
        """The answer in a few sentences."""
        return self.answer.sentence if self.absence is None else f"{self.absence.sentence} In the slice: {self.answer.sentence}"

    def to_json(self) -> dict[str, Any]:
        """Converts the explanation to plain types; maps are left out, see `images`."""
        recording = self.recording
        kind = "why" if isinstance(self.answer, Why) else "why_not"
        return {
            "format": FORMAT,
            "model": recording.spec.key,
            "width": recording.image_size[1],
            "height": recording.image_size[0],
            "slice": None if recording.tile is None else list(recording.tile),
            "threshold": self.threshold,
            "sentence": self.sentence,
            "notes": list(recording.notes),
            kind: plain(asdict(self.answer)),
            **({} if self.absence is None else {"why_not": plain(asdict(self.absence))}),
            "settings": plain(asdict(recording.rules)),
            "first_stage_settings": None if recording.proposals is None else plain(asdict(recording.proposals.rules)),
            "stages": [
                {"name": stage.name, "text": stage.text, "count": stage.count, "seconds": plain(stage.seconds)}
                for stage in stages(recording)
            ],
            "levels": [{"name": level.name, "shape": list(level.shape), "best": plain(level.heat.max())} for level in recording.levels],
        }

    def draw_answer(self) -> Image.Image:
        """Draws the candidates at the place that is asked about, or the object with its anchor."""
        if isinstance(self.answer, Why):
            return draw_why(self.image, self.recording, self.answer)
        assert self.query is not None
        return draw_why_not(self.image, self.recording, self.answer, self.query)

    def images(self) -> dict[str, Image.Image]:
        """Draws the explanation: images by name, such as "answer", "result", "input", "features_0", "scores_0" and "saliency"."""
        recording = self.recording
        found = recording.detections
        drawn = {"answer": self.draw_answer()}
        drawn["result"] = annotate(self.image, found[found.scores >= self.threshold])
        drawn["input"] = Image.fromarray(recording.network_image)
        for level in recording.levels:
            drawn[f"features_{level.name}"] = draw_level(recording, level.energy)
            drawn[f"scores_{level.name}"] = draw_level(recording, level.heat)
        if self.saliency is not None:
            drawn["saliency"] = draw_map(self.image, self.saliency)
        return drawn


def explain(
    image: ImageInput,
    model: str | ModelSpec,
    *,
    at: tuple[float, float] | None = None,
    box: Box | None = None,
    number: int | None = None,
    label: str | None = None,
    threshold: float | None = None,
    saliency_masks: int = 0,
    quick_saliency: bool = False,
    loader: ModelLoader | None = None,
    on_progress: Callable[[SaliencyProgress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Explanation:
    """Explains why a model found an object, or why it found none at a place.

    Args:
        image: A PIL image, an RGB uint8 array [H,W,3], or a path.
        model: A key from the catalog, or a spec, in any precision; torchvision's own module is explained. Of a model with slices, the whole
            image is; but for an object that only a slice shows, that slice.
        at: Why is there no object at (x, y), in pixels of the image?
        box: Why is there no object in this box, XYXY in pixels of the image?
        number: Why is there this object? Its index in the model's result, from 0, the best score first.
        label: With `at` or `box`, explain this class only.
        threshold: The threshold, 0–1; None takes the model's default.
        saliency_masks: Runs of the model for a saliency map of the object by D-RISE, such as 500; 0 for none. Only with `number`.
        quick_saliency: Compute the saliency map from gradients instead, see `GradientMap`. Only with `number`.
        loader: Keeps models in memory; None creates a new one.
        on_progress: Called after each run for the saliency map.
        cancelled: Asked before each such run whether the caller has lost interest.

    Raises:
        QueryError: If not exactly one of `at`, `box` and `number` is given, or the image or result does not contain it.
        UnknownModelError: If there is no such model.
        WeightsError: If its weights cannot be found or downloaded.
        ImageError: If the image cannot be read.
        SaliencyCancelled: If `cancelled` said so.
    """
    spec = get_model_spec(model) if isinstance(model, str) else model
    query = check_question(spec, at, box, number, label)
    if number is None and (saliency_masks or quick_saliency):
        raise QueryError("A saliency map shows what an object rests on: give the object's number.")
    if quick_saliency and saliency_masks:
        raise QueryError("Choose either the quick saliency map or a number of runs for D-RISE.")
    loader = loader or ModelLoader()
    module = loader.load(spec.in_precision(Precision.STOCK))
    rgb = load_image(image)
    recording = record(module, spec, rgb)
    threshold = spec.default_threshold if threshold is None else threshold
    if query is not None:
        return answer_question(recording, rgb, query, threshold)
    assert number is not None
    if spec.slices is None:
        explanation = answer_question(recording, rgb, number, threshold)
    else:
        target = FoundObject.of(Detector(recording.spec, device=str(loader.device), loader=loader).detect(rgb), number)
        absence = why_not_in_whole(recording, target, threshold)
        if absence is not None:
            recording = SliceRecorder(spec, target)(module, spec, np.asarray(rgb))
        explanation = answer_about_found(recording, rgb, target, threshold, absence)
    assert isinstance(explanation.answer, Why)
    if quick_saliency:
        heat = GradientMap.of(recording, explanation.answer.number)(module, recording.spec, np.asarray(rgb))
        return replace(explanation, saliency=_in_image(recording, resized_map(heat, recording.region_size[::-1])))
    if saliency_masks:
        heat = drise(
            np.asarray(rgb.crop(recording.region)),
            partial(_boxes, module, recording.spec, loader.device),
            box_in_region(recording, explanation.answer.refinements[-1].box),
            int(recording.detections.labels[explanation.answer.number]),
            masks=saliency_masks,
            on_progress=on_progress,
            cancelled=cancelled,
        )
        return replace(explanation, saliency=_in_image(recording, heat))
    return explanation


def check_question(spec: ModelSpec, at: tuple[float, float] | None, box: Box | None, number: int | None, label: str | None) -> Query | None:
    """Checks a question, as `explain` takes it, before the model runs; returns the query about a place, or None for one about an object.

    Raises:
        QueryError: If it is none.
    """
    if sum(each is not None for each in (at, box, number)) != 1:
        raise QueryError("Give exactly one of a point, a box and an object's number.")
    if number is not None and label is not None:
        raise QueryError("An object has its class: give a class only with a point or a box.")
    return None if number is not None else Query(at, box, _label(spec, label))


def answer_question(recording: Recording, image: Image.Image, question: Query | int, threshold: float | None = None) -> Explanation:
    """Answers a question about a recording.

    Args:
        recording: What happened inside the model.
        image: The image.
        question: The place, or the object's number.
        threshold: The threshold, 0–1; None takes the model's default.

    Raises:
        QueryError: If the image or the result does not contain it.
    """
    threshold = recording.spec.default_threshold if threshold is None else threshold
    if isinstance(question, Query):
        return Explanation(recording, threshold, why_not(recording, question, threshold), question, image)
    return Explanation(recording, threshold, why(recording, question), None, image)


def answer_about_found(
    recording: Recording, image: Image.Image, target: FoundObject, threshold: float, absence: WhyNot | None
) -> Explanation:
    """Answers why there is an object of a result in slices.

    Args:
        recording: What happened inside the model in the whole image or, with an absence, in the slice that shows the object.
        image: The image.
        target: The object.
        threshold: The threshold, 0–1.
        absence: Why the whole image does not show it, see `why_not_in_whole`, or None.

    Raises:
        QueryError: If the recording does not contain it.
    """
    number = number_in(recording, target.label, target.box)
    if number is None:
        raise QueryError(NOT_RECORDED)
    return replace(answer_question(recording, image, number, threshold), absence=absence)


def box_in_region(recording: Recording, box: Box) -> Box:
    """Converts a box from pixels of the image to pixels of the part of it that the model saw."""
    (left, top, right, bottom), (x0, y0, *_) = box, recording.region
    return left - x0, top - y0, right - x0, bottom - y0


def _in_image(recording: Recording, heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns a map of the image [H,W] from one of the part that the model saw; 0 elsewhere."""
    x0, y0, x1, y1 = recording.region
    whole = np.zeros(recording.image_size, np.float32)
    whole[y0:y1, x0:x1] = heat
    return whole


def _label(spec: ModelSpec, name: str | None) -> int | None:
    if name is None:
        return None
    if name not in spec.class_names:
        raise QueryError(f"{spec.title} does not know the class “{name}”. Its classes are: {', '.join(spec.class_names)}.")
    return spec.categories.index(name)


def _boxes(module: nn.Module, spec: ModelSpec, device: torch.device, pixels: NDArray[np.uint8]) -> Detections:
    return run(module, spec, [pixels], device, tasks=_ONLY_BOXES)[0][0]


def plain(value: Any) -> Any:
    """Converts NumPy's numbers to Python's, rounded to a readable length."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    return round(value, _DIGITS) if isinstance(value, float) and math.isfinite(value) else value
