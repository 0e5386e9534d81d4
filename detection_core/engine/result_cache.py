"""What a job is to do, and the results that are kept for later requests of the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace

from detection_core.engine.base import Function, Result
from detection_core.images.reading import LoadedImage
from detection_core.models.families import Task
from detection_core.models.spec import ModelSpec

KEPT_RESULTS = 128

Key = tuple[str, tuple[str, str], frozenset[Task]]


@dataclass(frozen=True)
class Request:
    """What a job is to do; the attributes are the arguments of `Engine.submit`, and the function of `Engine.call`."""

    image: LoadedImage
    spec: ModelSpec
    measure: bool
    keep: bool
    tasks: frozenset[Task]
    function: Function | None = None

    @classmethod
    def create(cls, image: LoadedImage, spec: ModelSpec, *, measure: bool, keep: bool, tasks: Collection[Task] | None) -> Request:
        """Makes a request for those of the tasks that the model has; boxes are always among them."""
        wanted = frozenset(task for task in spec.tasks if tasks is None or task == "boxes" or task in tasks)
        return cls(image, spec, measure, keep, wanted)

    @property
    def key(self) -> Key:
        """Under which the result is kept: the image, the model, the revision of its weights, and the tasks."""
        return self.image.digest, self.spec.identity, self.tasks

    @property
    def may_be_shared(self) -> bool:
        """Whether the result may be one that somebody else has asked for."""
        return self.keep and not self.measure


class ResultCache:
    """The latest results by what was requested. Not safe for threads: its owner has a lock.

    Args:
        size: How many results are kept.
    """

    def __init__(self, size: int = KEPT_RESULTS) -> None:
        self._results: OrderedDict[Key, Result] = OrderedDict()
        self._size = size

    def find(self, request: Request) -> Result | None:
        """Returns the result that answers a request, or None if there is none or the request wants the model to run."""
        found = self._results.get(request.key) if request.may_be_shared else None
        if found is not None:
            self._results.move_to_end(request.key)
        return found

    def add(self, request: Request, result: Result) -> None:
        """Keeps a result, unless the request says that it is not worth it."""
        if request.keep:
            self._results[request.key] = replace(result, kept=True, first_run=False, memory=None)
        while len(self._results) > self._size:
            self._results.popitem(last=False)
