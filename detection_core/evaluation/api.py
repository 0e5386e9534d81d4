"""`dc.evaluate`: several models on annotated images, or one model while it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from detection_core.datasets.coco import CocoDataset
from detection_core.datasets.coco_layout import Split
from detection_core.datasets.preparation import without_invalid
from detection_core.datasets.sources import read_dataset, unpacked
from detection_core.detections import Detections
from detection_core.engine import Engine, LocalEngine
from detection_core.evaluation.errors import EvaluationError
from detection_core.evaluation.evaluated import Evaluated, require_iou
from detection_core.evaluation.ground_truth import IouType, task_of
from detection_core.evaluation.one_model import Evaluation, evaluate_model
from detection_core.evaluation.report import write_report
from detection_core.evaluation.run import Candidate, EvaluationRun, Step
from detection_core.evaluation.selection import only_classes
from detection_core.models.catalog import get_model_spec
from detection_core.models.model_key import ModelKey
from detection_core.models.spec import ModelSpec
from detection_core.models.user_models import is_model_file, read_model_spec

Data = CocoDataset | str | Path
Model = str | Path | ModelSpec | Candidate


@dataclass(frozen=True)
class EvaluationOptions:
    """The settings of an evaluation.

    Attributes:
        iou_type: What is compared: boxes, masks or keypoints.
        iou: Lowest IoU of a match for precision, recall, F1, confusion and calibration.
        classes: The classes to evaluate; none for all.
        threshold: Score threshold of models without one of their own choice; None for each model's default.
        class_changes: The data's class by the model's class where the names differ; None leaves a class out.
        split: The part of COCO's or YOLO's data; None for `val`, or else `test` or `train`.
        skip_invalid: Leave faulty images and annotations out instead of refusing.
        resamples: Number of resampled sets of images for the intervals; 0 computes none.
    """

    iou_type: IouType = "bbox"
    iou: float = 0.5
    classes: Sequence[str] = ()
    threshold: float | None = None
    class_changes: Mapping[str, str | None] = field(default_factory=dict)
    split: Split | None = None
    skip_invalid: bool = False
    resamples: int = 200


@overload
def evaluate(
    data: CocoDataset, models: Callable[[NDArray[np.uint8]], Detections], *, on_progress: Callable[[int, int], None] | None = None
) -> Evaluation: ...


@overload
def evaluate(
    data: Data,
    models: Sequence[Model],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    out: str | Path | None = None,
    options: EvaluationOptions | None = None,
    engine: Engine | None = None,
    say: Callable[[str], None] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Evaluated: ...


def evaluate(
    data: Data,
    models: Callable[[NDArray[np.uint8]], Detections] | Sequence[Model],
    *,
    on_progress: Callable[[int, int], None] | None = None,
    out: str | Path | None = None,
    options: EvaluationOptions | None = None,
    engine: Engine | None = None,
    say: Callable[[str], None] | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Evaluation | Evaluated:
    """Measures models on annotated images, as COCO does and beyond.

    `evaluate("my_images", ["ssdlite300_mobilenet_v2", "others.json"], out="evaluated")` is the same as the command `evaluate`. With a
    function instead of the models, it measures just that one, as training does: see `one_model.evaluate_model`.

    Args:
        data: A folder, `.json`, `.yaml` or `.zip` file with annotations in COCO's, YOLO's or Pascal VOC's format, or a data set.
        models: Keys, checkpoints, COCO results files (`.json`) of other tools, specs or candidates; or a function from RGB pixels to
            detections.
        on_progress: Called with the number of images done and their total, of all models together.
        out: Folder for the report and the raw results, from which a later call continues; None writes nothing.
        options: The settings.
        engine: The engine that runs models; None runs them on the CPU.
        say: Called with lines about the data.
        on_step: Called with the outcome of every image of every model.

    Returns:
        The evaluation. Models that failed are in its `failed`.

    Raises:
        DataError: If the data cannot be used.
        UnknownModelError: If there is no such model.
        CheckpointError: If a checkpoint cannot be used.
        EvaluationError: If models or settings do not fit the data.
        OSError: If a file cannot be written.
    """
    if callable(models):
        if not isinstance(data, CocoDataset):
            raise EvaluationError("With a function as the model, the data must be a data set from read_coco.")
        return evaluate_model(data, models, on_progress=on_progress)
    options = options or EvaluationOptions()
    require_iou(options.iou)
    candidates = [_candidate(model, options) for model in models]
    with ExitStack() as stack:
        if engine is None:
            engine = LocalEngine()
            stack.callback(engine.close)
        if isinstance(data, CocoDataset):
            dataset = data
        else:
            place = stack.enter_context(unpacked(Path(data)))
            dataset = read_dataset(place, split=options.split, keypoints=options.iou_type == "keypoints")
        tasks = {"boxes", task_of(options.iou_type)}
        dataset = without_invalid(dataset, tasks, say or _ignore, skip=options.skip_invalid)
        dataset = only_classes(dataset, options.classes) if options.classes else dataset
        run = EvaluationRun(dataset, candidates, engine, None if out is None else Path(out), tasks=tasks)
        # What does not fit the data is said before models run for hours.
        run.require_measurable(options.iou_type)
        for step in run.run(options.iou_type):
            (on_step or _ignore)(step)
            if on_progress:
                on_progress(step.done, step.total)
        evaluated = run.evaluated(options.iou_type, resamples=options.resamples)
    if out is not None:
        write_report(evaluated, Path(out), iou=options.iou)
    return evaluated


def _candidate(model: Model, options: EvaluationOptions) -> Candidate:
    if isinstance(model, Candidate):
        return model
    source = model if isinstance(model, ModelSpec) else _source(str(model))
    return Candidate(source, options.threshold, options.class_changes)


def _source(name: str) -> ModelSpec | Path:
    if name.lower().endswith(".json"):
        return Path(name)
    key = ModelKey.parse(name)
    return read_model_spec(Path(key.name)).as_variant(key) if is_model_file(Path(key.name)) else get_model_spec(name)


def _ignore(_: object) -> None:
    """Does nothing."""
