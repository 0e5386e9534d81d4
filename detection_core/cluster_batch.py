"""Many images on a Ray cluster: Ray Data hands them to workers that hold the model, and each writes its images' results."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.batch import BatchStep, Outcome
from detection_core.engine.ray.installed import require_ray
from detection_core.engine.ray.settings import worker_environment
from detection_core.engine.ray.user_weights import local_copy, read_weights
from detection_core.errors import UserError
from detection_core.inputs import InputFile
from detection_core.storage.addresses import StorageError, is_address, read_object
from detection_core.storage.parquet import Columns, is_row, read_rows, row_group

if TYPE_CHECKING:
    from detection_core.models.spec import ModelSpec

# Images that a worker takes at a time.
_IMAGES = 8
# Images of one of Ray's tasks if there are many; their outcomes come back together.
_MOST_IMAGES = 32
# Images from Parquet files travel to workers in blocks of this size; of Ray's own 128 MB, one worker would get all images of most files.
_BLOCK_BYTES = 2 << 20


class ClusterError(UserError, RuntimeError):
    """A cluster cannot be used; the message is for people."""


class ClusterBatch:
    """Processes images on a cluster; `run` is what `BatchRun.run_by` wants.

    The folder for results, and images that are files, must have the same paths on all nodes. Images in object storage are read by the
    workers; those in Parquet files by tasks that pass them on to workers. A worker that dies is replaced, and its images are processed
    again unless their records are there.

    Args:
        spec: The model.
        device: Where workers run it, as torch names it: "cpu" or "cuda".
        workers: The most workers.
        columns: The columns of Parquet files that the user names.
    """

    def __init__(self, spec: ModelSpec, device: str, workers: int, columns: Columns = Columns()) -> None:  # noqa: B008 - frozen.
        self._spec = spec
        self._device = device
        self._workers = workers
        self._columns = columns

    def run(self, step: BatchStep, images: Iterator[tuple[InputFile, str]]) -> Iterator[Outcome]:
        """Yields the outcomes as they come.

        Args:
            step: What is done with an image.
            images: The images, with the stems of their files.

        Raises:
            ClusterError: If the cluster is gone, or its workers cannot load the model.
        """
        import ray

        found = list(images)
        weights = read_weights(self._spec)
        outcomes = self._dataset(found).map_batches(
            _Worker,
            fn_constructor_args=(step, self._spec, self._device, None if weights is None else ray.put(weights)),
            batch_size=_IMAGES,
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=self._workers),
            num_cpus=1,
            num_gpus=1 if self._device == "cuda" else 0,
        )
        try:
            for row in outcomes.iter_rows():
                yield replace(pickle.loads(row["outcome"]), image=found[row["number"]][0])
        except ray.exceptions.RayError as error:
            logging.getLogger(__name__).debug("the cluster failed", exc_info=error)
            cause = getattr(error, "cause", None)
            reason = str(cause if isinstance(cause, UserError) else error).strip().partition("\n")[0]
            raise ClusterError(f"The cluster has failed: {reason} Run the same command again to continue.") from error

    def _dataset(self, found: Sequence[tuple[InputFile, str]]) -> Any:
        """Returns Ray's data set of the images that workers read, and of the rows of Parquet files, which others read for them."""
        import ray

        def blocks(*, of_parquet: bool, together: Callable[[int, str], object]) -> list[Any]:
            items = ((number, image, stem) for number, (image, stem) in enumerate(found) if is_row(image.path) == of_parquet)
            return [_block(block) for _, block in groupby(items, key=lambda item: together(item[0], item[1].path))]

        size = min(_MOST_IMAGES, max(_IMAGES, len(found) // (8 * self._workers)))
        datasets = []
        if files := blocks(of_parquet=False, together=lambda number, path: number // size):
            datasets.append(ray.data.from_arrow(files))
        if rows := blocks(of_parquet=True, together=lambda number, path: row_group(path)):
            read = ray.data.from_arrow(rows).map_batches(
                read_rows,
                fn_args=(self._columns,),
                batch_size=None,
                batch_format="pyarrow",
                compute=ray.data.TaskPoolStrategy(size=min(self._workers, len(rows))),
                # Without a core of its own, such a task runs although workers have all.
                num_cpus=0,
            )
            datasets.append(read)
        first, *others = datasets
        return first.union(*others) if others else first


@contextmanager
def on_cluster(address: str) -> Iterator[None]:
    """Joins a cluster, or starts one on this machine if there is no address, and leaves it in the end.

    Raises:
        RayMissingError: If Ray is not installed.
        ClusterError: If the cluster cannot be reached.
    """
    require_ray()
    # Ray's own lines would stand between those about images.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray

    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "runtime_env": {"env_vars": worker_environment()}}
    where: dict[str, Any] = {"address": address} if address else {"address": "local", "include_dashboard": False}
    try:
        ray.init(**where, **quiet)
    except (ConnectionError, ray.exceptions.RayError, ValueError) as error:
        raise ClusterError(f"The cluster at “{address}” cannot be reached. Check the address, and that Ray runs there.") from error
    context = ray.data.DataContext.get_current()
    # Not before: importing ray.data, which the line above does, sets the level.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Progress is reported image by image.
    context.enable_progress_bars = False
    context.target_max_block_size = _BLOCK_BYTES
    try:
        yield
    finally:
        ray.shutdown()


class _Worker:
    """Holds the model on a node, and processes images."""

    def __init__(self, step: BatchStep, spec: ModelSpec, device: str, weights: Any) -> None:
        import ray

        from detection_core.models.detector import Detector

        self._step = step
        self._threads = ThreadPoolExecutor(_IMAGES)
        self._detector: Detector | UserError
        try:
            self._detector = Detector(local_copy(spec, None if weights is None else ray.get(weights)), device=device)
        except UserError as error:
            # Raised with the first images: of an error here, Ray would tell the user only that an actor has died.
            self._detector = error

    def __call__(self, rows: Any) -> dict[str, Any]:
        if isinstance(self._detector, UserError):
            raise self._detector
        found = rows.to_pylist()
        # All are requested at once, so that the model does not wait for each.
        readers = [self._reader(row) for row in found]
        outcomes = []
        for row, read in zip(found, readers, strict=True):
            path, name, stem = (os.fsdecode(row[part]) for part in ("path", "name", "stem"))
            outcome = self._step.process(InputFile(path, name, ""), stem, self._detector.detect, read)
            outcomes.append(pickle.dumps(_without_pixels(outcome)))
        return {"number": [row["number"] for row in found], "outcome": outcomes}

    def _reader(self, row: dict[str, Any]) -> Callable[[], bytes] | None:
        """Returns what reads the image; None if it is a file."""
        # Of files, a data set that has rows of Parquet files as well has null there.
        if row.get("reason") is not None:
            return partial(_content, row["content"], row["reason"])
        path = os.fsdecode(row["path"])
        return self._threads.submit(read_object, path).result if is_address(path) else None


def _content(content: bytes, reason: str) -> bytes:
    if reason:
        raise StorageError(reason)
    return content


def _block(members: Iterable[tuple[int, InputFile, str]]) -> Any:
    """Returns a table of Ray's; in bytes, because the names of files need not be valid text."""
    import pyarrow as pa

    rows = []
    for number, image, stem in members:
        path = image.path if is_address(image.path) else str(Path(image.path).absolute())
        rows.append({"number": number, "path": os.fsencode(path), "name": os.fsencode(image.name), "stem": os.fsencode(stem)})
    return pa.Table.from_pylist(rows)


def _without_pixels(outcome: Outcome) -> Outcome:
    """Leaves out what is in the files already, and the traceback of an error."""
    error = outcome.error
    if not isinstance(error, UserError | OSError | MemoryError | None):
        error = RuntimeError(str(error))
    found = None if outcome.found is None else replace(outcome.found, masks=None, keypoints=None, keypoint_scores=None, keypoint_names=())
    return replace(outcome, found=found, error=error)
