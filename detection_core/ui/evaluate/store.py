"""What the server keeps of a visitor's evaluation: the data, the raw results in a folder, and the matched detections in memory."""

from __future__ import annotations

import shutil
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from detection_core.datasets.coco import AnnotatedImage, CocoDataset
from detection_core.errors import UserError
from detection_core.evaluation import Evaluated, EvaluationRun
from detection_core.evaluation.ground_truth import IouType
from detection_core.ui.shared.visitor_store import VisitorStore, new_token

# Each may have gigabytes of images on the disk.
_KEPT = 64


class EvaluationExpiredError(UserError):
    """The evaluation is no longer kept; the message is for people."""

    def __init__(self) -> None:
        super().__init__("This data is no longer kept on the server. Choose it again, and press Evaluate.")


@dataclass(eq=False)
class VisitorEvaluation:
    """One visitor's data and what is known of it.

    Attributes:
        visitor: The visitor.
        name: What the visitor calls the data.
        folder: Where unpacked data and raw results are; it is deleted with the evaluation.
        is_sample: Whether it is the built-in sample.
        stack: Deletes unpacked data when it is closed.
        parts: Names of the data's parts; empty if there is only one.
        part: The one that was read.
        unchecked: The data as it was read; None until then.
        dataset: The checked data; None as long as there are faults.
        faults: Its faults, one line each.
        notes: Sentences about the data.
        titles: Names of the models for people, by their names.
        models: Keys of those of them that run here, which are not results files.
        run: The latest finished run.
        results: What has been computed from it, by what is compared.
        running: How many runs of models on it are in progress.
        token: Its name, which cannot be guessed: whoever knows it may see the results.
    """

    visitor: str
    name: str
    folder: Path
    is_sample: bool = False
    stack: ExitStack = field(default_factory=ExitStack)
    parts: tuple[str, ...] = ()
    part: str = ""
    unchecked: CocoDataset | None = None
    dataset: CocoDataset | None = None
    faults: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    titles: dict[str, str] = field(default_factory=dict)
    models: frozenset[str] = frozenset()
    run: EvaluationRun | None = None
    results: dict[IouType, Evaluated] = field(default_factory=dict)
    running: int = 0
    token: str = field(default_factory=new_token)

    def image(self, iou_type: IouType, index: object) -> AnnotatedImage | None:
        """An image by its place in the results, which a browser sent; None if there is none."""
        images = self.results[iou_type].truth.images if iou_type in self.results else ()
        return images[index] if isinstance(index, int) and not isinstance(index, bool) and 0 <= index < len(images) else None


class EvaluationStore(VisitorStore[VisitorEvaluation]):
    """Keeps one evaluation for each visitor, each with a folder of its own.

    Args:
        folder: Where the folders are made.
        capacity: How many evaluations are kept; the least recently used one is evicted, unless models are running on it.
    """

    def __init__(self, folder: Path, capacity: int = _KEPT) -> None:
        super().__init__(EvaluationExpiredError, capacity)
        self._folder = folder

    def begin(self, visitor: str, name: str, *, is_sample: bool = False) -> VisitorEvaluation:
        """Adds an evaluation in place of the visitor's earlier one."""
        with self._lock:
            self.leave(visitor)
            entry = VisitorEvaluation(visitor, name, self._folder, is_sample)
            entry.folder = self._folder / f"evaluation-{entry.token}"
            entry.folder.mkdir(parents=True)
            self.put(entry, token=entry.token, visitor=visitor)
            return entry

    def files(self) -> dict[Path, str | None]:
        """Folders in use, each with the token of its evaluation, or None while models are running on it."""
        with self._lock:
            return {entry.folder: token if self._may_be_evicted(entry) else None for token, entry in self._entries.items()}

    def _may_be_evicted(self, entry: VisitorEvaluation) -> bool:
        return not entry.running

    def _on_removed(self, entry: VisitorEvaluation, *, evicted: bool) -> None:
        threading.Thread(target=_delete, args=[entry], name="discard", daemon=True).start()


def _delete(entry: VisitorEvaluation) -> None:
    entry.stack.close()
    shutil.rmtree(entry.folder, ignore_errors=True)
