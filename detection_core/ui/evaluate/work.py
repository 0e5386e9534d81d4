"""What the tab's handlers do with a visitor's data: check it, run models on it, and compute results."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from detection_core.datasets.coco import CocoDataset
from detection_core.datasets.preparation import InvalidDataError, without_invalid
from detection_core.errors import UserError
from detection_core.evaluation import Candidate, Evaluated, EvaluationError, EvaluationRun, ModelEvaluation
from detection_core.evaluation.ground_truth import IOU_TYPES, IouType, measurable
from detection_core.evaluation.run import MOST_MODELS
from detection_core.formats.thresholds import ModelThresholds
from detection_core.models.catalog import get_model_spec
from detection_core.models.families import Task
from detection_core.ui.components.messages import ViewStatus
from detection_core.ui.evaluate.messages import MOST_FAULTS, DataFacts, DataOrder, EvaluateOrder
from detection_core.ui.evaluate.store import EvaluationExpiredError, VisitorEvaluation
from detection_core.ui.shared.uploads import uploaded_path

_REPORT_SECONDS = 0.25


def check_data(entry: VisitorEvaluation, *, skip: bool) -> DataFacts:
    """Checks the data as training does.

    Args:
        entry: The visitor's evaluation, with data.
        skip: Whether to leave faulty images and annotations out.

    Returns:
        Facts about the data; if they have faults, nothing can be evaluated yet.

    Raises:
        DataError: If nothing usable is left.
    """
    if entry.unchecked is None:
        raise EvaluationExpiredError
    entry.notes, entry.faults = [], ()
    try:
        entry.dataset = without_invalid(entry.unchecked, tasks_of(entry.unchecked), entry.notes.append, skip=skip)
    except InvalidDataError as error:
        entry.dataset, entry.faults = None, tuple(map(str, error.faults))
    return data_facts(entry)


def data_facts(entry: VisitorEvaluation) -> DataFacts:
    """Facts about the data of an evaluation for its view."""
    dataset = entry.dataset or entry.unchecked
    if dataset is None:
        raise EvaluationExpiredError
    return DataFacts(
        evaluation=entry.token,
        name=entry.name,
        is_sample=entry.is_sample,
        images=len(dataset.images),
        objects=sum(len(image.annotations) for image in dataset.images),
        classes=len(dataset.categories) - 1,
        tasks=sorted(tasks_of(dataset)),
        faults=list(entry.faults[:MOST_FAULTS]),
        fault_count=len(entry.faults),
        parts=list(entry.parts),
        part=entry.part,
    )


def tasks_of(dataset: CocoDataset) -> set[Task]:
    """What can be compared on the data."""
    return {task for task, iou_type in IOU_TYPES.items() if measurable(dataset, iou_type)}


def candidates_of(keys: Sequence[str], data: DataOrder, order: EvaluateOrder) -> tuple[list[Candidate], dict[str, str]]:
    """The models and results files to evaluate, and their names for people by their own names.

    Raises:
        UserError: If there are none or too many, or one is not there.
    """
    candidates, titles = [], {}
    for key in keys:
        spec = get_model_spec(key)
        candidates.append(Candidate(spec, class_changes=order.changes.get(spec.key, {})))
        titles[spec.key] = spec.title
    for sent, name in data.results:
        path = uploaded_path(sent)
        if path is None:
            raise EvaluationError("A results file is no longer on the server. Remove it, and add it again.")
        candidates.append(Candidate(path, class_changes=order.changes.get(path.stem, {})))
        titles[path.stem] = name or path.name
    if not candidates:
        raise EvaluationError("Choose at least one model, or add a results file.")
    if len(candidates) > MOST_MODELS:
        raise EvaluationError(f"At most {MOST_MODELS} models and results files can be evaluated together. Remove some.")
    return candidates, titles


def prepare_run(run: EvaluationRun, entry: VisitorEvaluation, order: EvaluateOrder) -> IouType:
    """Checks that a run will have results, before models run for hours.

    Returns:
        What is compared: what the visitor wants if the data has it, or else boxes.
    """
    iou_type = order.iou_type if entry.dataset is not None and measurable(entry.dataset, order.iou_type) else "bbox"
    run.require_measurable(iou_type)
    return iou_type


def run_models(run: EvaluationRun, titles: Mapping[str, str]) -> Iterator[ViewStatus]:
    """Runs all models on all images; stopping it cancels.

    Yields:
        The progress, a few times a second at most.
    """
    last, started, ran = 0.0, time.monotonic(), 0
    for step in run.run():
        now = time.monotonic()
        ran += not step.reused
        if step.error is None and now - last < _REPORT_SECONDS:
            continue
        last = now
        left = ""
        if ran and step.done < step.total:
            left = f", {_roughly((now - started) / ran * (step.total - step.done))} left"
        text = f"{titles.get(step.model, step.model)}: {step.done:,} of {step.total:,} images of all models{left}"
        yield ViewStatus(stage="run", text=text, done=step.done, total=step.total)


def evaluated_of(entry: VisitorEvaluation, iou_type: IouType) -> Evaluated:
    """The results of the latest run.

    Raises:
        UserError: If there are none, or the data has nothing of what is compared.
    """
    if entry.run is None:
        raise EvaluationExpiredError
    if iou_type not in entry.results:
        entry.results[iou_type] = entry.run.evaluated(iou_type)
    evaluated = entry.results[iou_type]
    if not evaluated.models:
        reasons = " ".join(f"{entry.titles.get(name, name)}: {reason}" for name, reason in evaluated.failed.items())
        raise UserError(f"No model could be evaluated. {reasons}")
    return evaluated


def with_thresholds(evaluated: Evaluated, thresholds: Mapping[str, ModelThresholds]) -> Evaluated:
    """The same results at the visitor's thresholds, those of single classes by the data's name of the class."""
    return replace(evaluated, models=tuple(_with_thresholds(model, thresholds.get(model.name)) for model in evaluated.models))


def _with_thresholds(model: ModelEvaluation, chosen: ModelThresholds | None) -> ModelEvaluation:
    if chosen is None:
        return model
    of_classes = {name: value for name, value in chosen.classes.items() if name in model.matches.truth.categories}
    changed = replace(model, threshold=chosen.all, class_thresholds=of_classes)
    # Average precision and its intervals, which take long, do not depend on the threshold.
    changed.__dict__.update({name: model.__dict__[name] for name in ("figures", "resampled", "error_kinds") if name in model.__dict__})
    return changed


def _roughly(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(seconds, 1):.0f} s"
