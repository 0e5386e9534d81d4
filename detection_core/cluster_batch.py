"""Many images on a Ray cluster: Ray Data hands them to workers that hold the model, and each writes its images' results."""

from __future__ import annotations

import logging
import os
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detection_core.batch import BatchStep, Outcome
from detection_core.engine.ray.installed import require_ray
from detection_core.engine.ray.settings import worker_environment
from detection_core.engine.ray.user_weights import local_copy, read_weights
from detection_core.errors import UserError
from detection_core.inputs import InputFile

if TYPE_CHECKING:
    from detection_core.models.spec import ModelSpec

# Images that a worker takes at a time; their outcomes come back together.
_IMAGES = 8


class ClusterError(UserError, RuntimeError):
    """A cluster cannot be used; the message is for people."""


class ClusterBatch:
    """Processes images on a cluster; `run` is what `BatchRun.run_by` wants.

    The images and the folder for results must have the same paths on all nodes. A worker that dies is replaced, and its images are
    processed again unless their records are there.

    Args:
        spec: The model.
        device: Where workers run it, as torch names it: "cpu" or "cuda".
        workers: The most workers.
    """

    def __init__(self, spec: ModelSpec, device: str, workers: int) -> None:
        self._spec = spec
        self._device = device
        self._workers = workers

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
        rows = [
            {"number": number, "path": str(Path(image.path).absolute()), "name": image.name, "stem": stem}
            for number, (image, stem) in enumerate(found)
        ]
        weights = read_weights(self._spec)
        workers = ray.data.ActorPoolStrategy(min_size=1, max_size=self._workers)
        outcomes = ray.data.from_items(rows).map_batches(
            _Worker,
            fn_constructor_args=(step, self._spec, self._device, None if weights is None else ray.put(weights)),
            batch_size=_IMAGES,
            compute=workers,
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
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    # Progress is reported image by image.
    context.enable_progress_bars = False
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
        self._detector: Detector | UserError
        try:
            self._detector = Detector(local_copy(spec, None if weights is None else ray.get(weights)), device=device)
        except UserError as error:
            # Raised with the first images: of an error here, Ray would tell the user only that an actor has died.
            self._detector = error

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        if isinstance(self._detector, UserError):
            raise self._detector
        outcomes = []
        for path, name, stem in zip(rows["path"], rows["name"], rows["stem"], strict=True):
            outcome = self._step.process(InputFile(str(path), str(name), ""), str(stem), self._detector.detect)
            outcomes.append(pickle.dumps(_without_pixels(outcome)))
        return {"number": rows["number"], "outcome": outcomes}


def _without_pixels(outcome: Outcome) -> Outcome:
    """Leaves out what is in the files already, and the traceback of an error."""
    error = outcome.error
    if not isinstance(error, UserError | OSError | MemoryError | None):
        error = RuntimeError(str(error))
    found = None if outcome.found is None else replace(outcome.found, masks=None, keypoints=None, keypoint_scores=None, keypoint_names=())
    return replace(outcome, found=found, error=error)
