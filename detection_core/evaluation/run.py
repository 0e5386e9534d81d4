"""Runs models on annotated images, one image in memory at a time, and evaluates what they find."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from detection_core.datasets.coco import AnnotatedImage, CocoDataset, DataError
from detection_core.datasets.images import read_upright
from detection_core.engine import Engine
from detection_core.errors import UserError
from detection_core.evaluation.errors import EvaluationError
from detection_core.evaluation.evaluated import Cost, Evaluated, ModelEvaluation
from detection_core.evaluation.found import Found
from detection_core.evaluation.ground_truth import IOU_TYPES, GroundTruth, IouType, measurable, task_of
from detection_core.evaluation.mapping import map_classes
from detection_core.evaluation.match import match
from detection_core.evaluation.records import FOLDER, Record, Records
from detection_core.evaluation.results_file import ResultsFile, read_results_file
from detection_core.formats import Provenance, provenance_of, to_coco_results
from detection_core.images.reading import LoadedImage
from detection_core.models.download import sha256
from detection_core.models.families import Task
from detection_core.models.spec import ModelSpec

# For results of other tools, whose models have no threshold of their own.
_USUAL_THRESHOLD = 0.5
# Images on which a model's memory is measured, after its first, which takes longer than the others.
_MEASURED = 3
MOST_MODELS = 4


@dataclass(frozen=True)
class Candidate:
    """A model, or the results file of another tool.

    Attributes:
        source: The model, or the file.
        threshold: The score threshold to start with; None for the model's own.
        class_changes: Partners of its classes where they are not those of the same name: see `mapping.map_classes`.
        class_thresholds: Those of single classes, by the model's name of the class.
    """

    source: ModelSpec | Path
    threshold: float | None = None
    class_changes: Mapping[str, str | None] = field(default_factory=dict)
    class_thresholds: Mapping[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's key, or the file's name without its extension."""
        return self.source.stem if isinstance(self.source, Path) else self.source.key


@dataclass(frozen=True)
class Step:
    """The outcome of one image with one model.

    Attributes:
        model: Name of the candidate.
        image: The image; None if the model as a whole cannot be evaluated.
        done: Number of images and models done, with this one.
        total: Number of all.
        reused: Whether the result is from an earlier run.
        seconds: What the model took, or None.
        error: The reason if it failed; the model's other images are then left out.
    """

    model: str
    image: AnnotatedImage | None
    done: int
    total: int
    reused: bool = False
    seconds: float | None = None
    error: UserError | None = None


class EvaluationRun:
    """The models, the images, and the raw results so far.

    Args:
        dataset: The annotated images, checked for `tasks`.
        candidates: Models and results files, with names that differ.
        engine: Where models run.
        folder: Folder for the raw results, from which a later run continues; None keeps them in memory.
        tasks: What is evaluated beside boxes; models run with no other tasks.
        visitor: The visitor for whom it runs, for the engine.

    Raises:
        EvaluationError: If names occur twice, or there are too many models.
    """

    def __init__(
        self,
        dataset: CocoDataset,
        candidates: Sequence[Candidate],
        engine: Engine,
        folder: Path | None = None,
        *,
        tasks: Collection[Task] = (),
        visitor: str = "",
    ) -> None:
        names = [candidate.name for candidate in candidates]
        if len(set(names)) < len(names) or not names:
            raise EvaluationError("Name at least one model or results file, and each only once; files need names that differ.")
        if len(names) > MOST_MODELS:
            raise EvaluationError(f"At most {MOST_MODELS} models can be evaluated together, but there are {len(names)}.")
        self.dataset = dataset
        self.candidates = tuple(candidates)
        self.failed: dict[str, str] = {}
        self._engine, self._visitor = engine, visitor
        self._tasks: tuple[Task, ...] = tuple(task for task in IOU_TYPES if task == "boxes" or task in tasks)
        self._records = Records(None if folder is None else folder / FOLDER)
        self._files: dict[str, ResultsFile] = {}

    def run(self, iou_type: IouType | None = None) -> Iterator[Step]:
        """Runs all models on all images, and yields each outcome when its record is written. To cancel, stop iterating.

        Args:
            iou_type: What will be compared: models without it fail at once. None runs all models.

        Raises:
            DataError: If an image can no longer be read.
            OSError: If a record cannot be written.
        """
        images, done = self.dataset.images, 0
        self.failed.clear()
        # Files first: a fault in one of them is reported before models run for hours.
        for candidate in sorted(self.candidates, key=lambda candidate: isinstance(candidate.source, ModelSpec)):
            source = candidate.source
            steps = self._read(candidate) if isinstance(source, Path) else self._detect(candidate.name, source, iou_type)
            before = done
            for step in steps:
                done += 1
                yield replace(step, done=done, total=len(images) * len(self.candidates))
            done = before + len(images)

    def _read(self, candidate: Candidate) -> Iterator[Step]:
        assert isinstance(candidate.source, Path)
        try:
            self._files[candidate.name] = read_results_file(candidate.source, self.dataset)
        except UserError as error:
            self.failed[candidate.name] = str(error)
            yield Step(candidate.name, None, 0, 0, error=error)
        else:
            for image in self.dataset.images:
                yield Step(candidate.name, image, 0, 0, reused=True)

    def _detect(self, name: str, spec: ModelSpec, iou_type: IouType | None) -> Iterator[Step]:
        if iou_type and (reason := self._misfit(spec, iou_type)):
            self.failed[name] = reason
            yield Step(name, None, 0, 0, error=EvaluationError(reason))
            return
        ran = 0
        tasks, provenance = self._of(spec)
        for image in self.dataset.images:
            digest = _digest(image)
            record = self._records.read(image, provenance, tasks, digest)
            if record is not None:
                yield Step(name, image, 0, 0, reused=True, seconds=record.seconds)
                continue
            loaded = _loaded(image, digest)
            measure = 0 < ran <= _MEASURED
            try:
                result = self._engine.submit(loaded, spec, visitor=self._visitor, measure=measure, keep=False, tasks=tasks).result()
            except UserError as error:
                self.failed[name] = str(error)
                yield Step(name, image, 0, 0, error=error)
                return
            ran += 1
            seconds = None if result.first_run else result.timings.network + result.timings.post
            entries = to_coco_results(result.detections, image.id)
            self._records.write(image, Record(digest, provenance, entries, seconds, result.memory))
            yield Step(name, image, 0, 0, seconds=seconds)

    def _of(self, spec: ModelSpec) -> tuple[tuple[Task, ...], Provenance]:
        tasks = tuple(task for task in self._tasks if task in spec.tasks)
        return tasks, provenance_of(spec, settings={"tasks": list(tasks)})

    def evaluated(self, iou_type: IouType = "bbox", *, resamples: int = 200) -> Evaluated:
        """Evaluates the raw results; no model runs.

        Args:
            iou_type: What is compared.
            resamples: Number of resampled sets of images for the intervals; 0 computes none.

        Returns:
            The evaluation of the candidates that are complete; `failed` has the reasons of the others.

        Raises:
            EvaluationError: If the data has nothing of what is compared, or a class change names an unknown class.
        """
        images = self.require_measurable(iou_type)
        truth = GroundTruth.of(self.dataset, iou_type, images)
        models, failed = [], dict(self.failed)
        for candidate in self.candidates:
            if candidate.name in failed:
                continue
            try:
                models.append(self._evaluate(candidate, truth, resamples))
            except _IncompleteError as error:
                failed[candidate.name] = str(error)
        notes = [*self.dataset.notes]
        if len(images) < len(self.dataset.images):
            notes.append(f"Evaluated on the {len(images)} of {len(self.dataset.images)} images whose objects all have a mask.")
        return Evaluated(self.dataset, truth, tuple(models), failed, tuple(notes))

    def require_measurable(self, iou_type: IouType) -> list[AnnotatedImage]:
        """Returns the images on which this can be compared.

        Raises:
            EvaluationError: If there are none, or a class change of a candidate names an unknown class.
        """
        images = measurable(self.dataset, iou_type)
        if not images:
            raise EvaluationError(
                f"The data has no {task_of(iou_type)}, so they cannot be evaluated. Annotate some, or compare something else."
            )
        for candidate in self.candidates:
            map_classes([], self.dataset.categories[1:], candidate.class_changes)
        return images

    def _evaluate(self, candidate: Candidate, truth: GroundTruth, resamples: int) -> ModelEvaluation:
        source, dataset = candidate.source, self.dataset
        if isinstance(source, Path):
            file = self._files.get(candidate.name)
            if file is None:
                raise _IncompleteError("The file has not been read yet.")
            categories, results, notes = file.categories, file.results, file.notes
            cost, usual = Cost(), _USUAL_THRESHOLD
        else:
            categories = {label: name for label, name in enumerate(source.categories) if label and name != "N/A"}
            records = self._complete(source, truth)
            results = {image.id: record.results for image, record in zip(truth.images, records, strict=True)}
            notes, usual = (), source.default_threshold
            seconds = [record.seconds for record in records if record.seconds is not None]
            memory = [record.memory for record in records if record.memory is not None]
            cost = Cost(statistics.median(seconds) if seconds else None, max(memory, default=None), source.file_size)
        mapping = map_classes(list(dict.fromkeys(categories.values())), dataset.categories[1:], candidate.class_changes)
        found = Found.of(truth, results.items(), mapping.labels(categories, dataset.categories))
        threshold = usual if candidate.threshold is None else candidate.threshold
        own = {mapping.partners[name]: value for name, value in candidate.class_thresholds.items() if name in mapping.partners}
        notes = (*notes, *mapping.in_words())
        return ModelEvaluation(candidate.name, match(truth, found), mapping, threshold, cost, notes, resamples, own)

    def _misfit(self, spec: ModelSpec, iou_type: IouType) -> str:
        """Returns why a model cannot be compared with the data, or ""."""
        task, count = task_of(iou_type), len(self.dataset.keypoint_names)
        if task not in spec.tasks:
            return f"The model predicts no {task}."
        if task == "keypoints" and len(spec.keypoint_names) != count:
            return f"The model has {len(spec.keypoint_names)} keypoints, but the data has {count}."
        return ""

    def _complete(self, spec: ModelSpec, truth: GroundTruth) -> list[Record]:
        """Returns the records of all images that are measured."""
        if reason := self._misfit(spec, truth.iou_type):
            raise _IncompleteError(reason)
        tasks = [task_of(truth.iou_type)]
        records = [self._records.read(image, provenance_of(spec), tasks) for image in truth.images]
        complete = [record for record in records if record is not None]
        if len(complete) < len(records):
            raise _IncompleteError(f"Only {len(complete)} of {len(records)} images are done.")
        return complete


def _digest(image: AnnotatedImage) -> str:
    try:
        return sha256(image.path)
    except OSError as error:
        raise _gone(image, error) from error


def _loaded(image: AnnotatedImage, digest: str) -> LoadedImage:
    try:
        return LoadedImage(read_upright(image), (), "", web_safe=False, digest=digest)
    except OSError as error:
        raise _gone(image, error) from error


def _gone(image: AnnotatedImage, error: OSError) -> DataError:
    """The error of an image that could be read when the data was checked."""
    return DataError(f"{image.path} can no longer be read ({error.strerror or error}). Put it back, and start again.")


class _IncompleteError(EvaluationError):
    """A model cannot be evaluated yet, or not for what is compared."""
