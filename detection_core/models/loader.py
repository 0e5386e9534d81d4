"""Models in memory: each is built from its weights once, however many ask, and the most recently used stay within a budget."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from detection_core.models.build import build_model
from detection_core.models.catalog import ModelSpec, get_model_spec
from detection_core.models.checkpoint import CheckpointError
from detection_core.models.memory_budget import memory_budget
from detection_core.models.optimized import optimize, packed_size, sixteen_bits
from detection_core.models.precision import Precision
from detection_core.models.weights import DownloadCancelled, WeightsError, fetch_weights, find_weights, reject_if_damaged
from detection_core.process import release_freed_memory

logger = logging.getLogger(__name__)

ModelState = Literal["in memory", "on disk", "to download"]

_POLL_SECONDS = 0.1
# Where `fast.optimize` has been measured and held to torchvision's results.
_OPTIMIZED = ("cpu", "cuda")


@dataclass(frozen=True)
class LoadProgress:
    """How far a model has come on its way into memory.

    Attributes:
        stage: "download" while its weights arrive, "load" while they are read from the disk.
        done: Bytes that are there; 0 throughout "load", which cannot be measured.
        total: Bytes of the weights file, or None where that is not known.
    """

    stage: Literal["download", "load"]
    done: int
    total: int | None


@dataclass(frozen=True)
class ResidentModel:
    """A model that is in memory.

    Attributes:
        key: Its name in the catalog.
        bytes: What its parameters and buffers take.
        device: Where they are, such as "cpu" or "cuda:0".
    """

    key: str
    bytes: int
    device: str


@dataclass(eq=False)
class _PendingLoad:
    """One load under way; its fields are guarded by the loader's lock, through which `changed` waits."""

    changed: threading.Condition
    waiters: int = 0
    progress: LoadProgress | None = None
    done: bool = False
    module: nn.Module | None = None
    error: BaseException | None = None


@dataclass(eq=False)
class _Resident:
    module: nn.Module
    revision: str

    @property
    def bytes(self) -> int:
        """What it takes now; light models keep some more once they run with one thread and with several."""
        return size_in_memory(self.module)


class ModelLoader:
    """Gives models in evaluation mode, ready on one device; safe to use from many threads.

    Args:
        budget_bytes: Bytes of parameters and buffers to keep. Beyond it the least recently used models are let go, never the one
            just loaded. None takes the environment variable `DETECTION_EXPLORER_MEMORY_BUDGET` ("4GiB", "500MB" or bytes), and
            without it half of the memory that is free now.
        device: Where the models are put.

    Raises:
        ValueError: If the environment variable is not a size.
    """

    def __init__(self, budget_bytes: int | None = None, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.budget_bytes = memory_budget(self.device) if budget_bytes is None else budget_bytes
        self._lock = threading.Lock()
        self._residents: OrderedDict[str, _Resident] = OrderedDict()
        self._flights: dict[tuple[str, str], _PendingLoad] = {}

    def load(
        self,
        model: str | ModelSpec,
        *,
        on_progress: Callable[[LoadProgress], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> nn.Module:
        """Returns a model, from memory or built from its weights, which are downloaded where they are missing.

        Unless the spec says stock, `fast.optimize` makes it faster, on a CPU and on CUDA.

        All who ask for a model while it loads share that one load, its result or its error; it is only given up when nobody waits
        for it any more. The module is shared, so it must not be changed. A user's file that has been overwritten is loaded anew.

        Args:
            model: The model's name in the catalog, or its spec.
            on_progress: Called in the caller's thread with the newest state whenever there is one; states may be skipped.
            cancelled: Asked about ten times a second whether the caller has gone.

        Raises:
            UnknownModelError: If there is no such model.
            WeightsError: If its weights cannot be had or are damaged, or the device has no numbers of sixteen bits and the spec says
                fast. The next call tries again.
            DownloadCancelled: If `cancelled` said so.
        """
        spec = _spec(model)
        while True:
            with self._lock:
                if resident := self._find(spec):
                    self._residents.move_to_end(spec.key)
                    return resident.module
                flight = self._flights.get(spec.identity) or self._start_load(spec)
                flight.waiters += 1
            try:
                _wait(flight, on_progress, cancelled)
            finally:
                with self._lock:
                    flight.waiters -= 1
            if flight.module is not None:
                return flight.module
            # A load that others gave up just before this caller joined it is none of its business: it begins another.
            if not isinstance(flight.error, DownloadCancelled):
                assert flight.error is not None
                raise flight.error

    def unload(self, key: str) -> bool:
        """Lets a model go; whoever still computes with it keeps it alive until done. Returns whether it was in memory."""
        with self._lock:
            was_there = self._residents.pop(key, None) is not None
        release_freed_memory()
        return was_there

    def resident(self) -> list[ResidentModel]:
        """The models in memory, least recently used first."""
        with self._lock:
            return [ResidentModel(key, model.bytes, str(self.device)) for key, model in self._residents.items()]

    def state(self, model: str | ModelSpec) -> ModelState:
        """How far away a model is.

        Raises:
            UnknownModelError: If there is no such model.
        """
        spec = _spec(model)
        with self._lock:
            if self._find(spec):
                return "in memory"
        return "on disk" if find_weights(spec) else "to download"

    def _find(self, spec: ModelSpec) -> _Resident | None:
        resident = self._residents.get(spec.key)
        return resident if resident and resident.revision == spec.revision else None

    def _start_load(self, spec: ModelSpec) -> _PendingLoad:
        flight = _PendingLoad(threading.Condition(self._lock))
        threading.Thread(target=self._run_load, args=(spec, flight), name=f"load {spec.key}", daemon=True).start()
        self._flights[spec.identity] = flight
        return flight

    def _run_load(self, spec: ModelSpec, flight: _PendingLoad) -> None:
        module, error = None, None
        try:
            module = self._read(spec, flight)
        except BaseException as caught:
            logger.info("loading %s failed: %r", spec.key, caught)
            error = caught
        with self._lock:
            del self._flights[spec.identity]
            if module is not None:
                self._keep(spec, module)
            flight.module, flight.error, flight.done = module, error, True
            flight.changed.notify_all()
        # Of models that were let go, and of what this one was made from; nobody waits for it.
        release_freed_memory()

    def _read(self, spec: ModelSpec, flight: _PendingLoad) -> nn.Module:
        def tell(progress: LoadProgress) -> None:
            with self._lock:
                flight.progress = progress
                flight.changed.notify_all()

        dtype = self._dtype(spec)
        path = fetch_weights(
            spec,
            on_progress=lambda done, total: tell(LoadProgress("download", done, total)),
            cancelled=lambda: self._is_deserted(flight),
        )
        tell(LoadProgress("load", 0, _size(path)))
        try:
            module = build_model(spec, path)
        except MemoryError:
            raise
        except CheckpointError as error:
            raise WeightsError(str(error)) from error
        except Exception:
            reject_if_damaged(spec, path)
            raise
        module = module.to(self.device)
        return module if dtype is None else optimize(module, dtype)

    def _dtype(self, spec: ModelSpec) -> torch.dtype | None:
        """In which numbers a model is to compute when it is optimized; None to leave it as it is."""
        if spec.precision is Precision.EXACT:
            return torch.float32 if self.device.type in _OPTIMIZED else None
        if spec.precision is Precision.STOCK:
            return None
        dtype = sixteen_bits(self.device)
        if dtype is None:
            raise WeightsError(
                f"{spec.title} cannot run here: this {self.device.type.upper()} has no instructions for numbers of sixteen bits. "
                "Choose the exact precision."
            )
        return dtype

    def _is_deserted(self, flight: _PendingLoad) -> bool:
        with self._lock:
            return flight.waiters == 0

    def _keep(self, spec: ModelSpec, module: nn.Module) -> None:
        self._residents[spec.key] = _Resident(module, spec.revision)
        self._residents.move_to_end(spec.key)
        while len(self._residents) > 1 and sum(model.bytes for model in self._residents.values()) > self.budget_bytes:
            gone, _ = self._residents.popitem(last=False)
            logger.info("let %s go to keep within %d bytes", gone, self.budget_bytes)


def size_in_memory(module: nn.Module) -> int:
    """Bytes that a model's parameters and buffers take, and what it keeps of them in another order once it runs."""
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()]) + packed_size(module)


def _spec(model: str | ModelSpec) -> ModelSpec:
    return get_model_spec(model) if isinstance(model, str) else model


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:  # A user's file may vanish at any time; reading it will say so.
        return None


def _wait(flight: _PendingLoad, on_progress: Callable[[LoadProgress], None] | None, cancelled: Callable[[], bool] | None) -> None:
    told = None
    while True:
        with flight.changed:
            if not flight.done and flight.progress is told:
                flight.changed.wait(_POLL_SECONDS if cancelled else None)
            done, progress = flight.done, flight.progress
        if on_progress and progress is not None and progress is not told:
            on_progress(progress)
        told = progress
        if done:
            return
        if cancelled and cancelled():
            raise DownloadCancelled("Loading was cancelled; what has arrived of the weights is kept for the next time.")
