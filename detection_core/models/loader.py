"""Models in memory: each is built from its weights once, however many ask, and the most recently used stay within a budget."""

from __future__ import annotations

import gc
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

import torch
from torch import nn

from detection_core.models.build import build_model
from detection_core.models.checkpoint import CheckpointError
from detection_core.models.device import is_lack_of_memory
from detection_core.models.input_size import at_input_size
from detection_core.models.memory_budget import memory_budget
from detection_core.models.model_key import ModelKey
from detection_core.models.optimized import optimize, packed_size, sixteen_bits
from detection_core.models.precision import Precision
from detection_core.models.spec import ModelSpec
from detection_core.models.weights import DownloadCancelled, WeightsError, fetch_weights, find_weights, reject_if_damaged
from detection_core.process import release_freed_memory
from detection_core.settings import read_setting

logger = logging.getLogger(__name__)

ModelState = Literal["in memory", "on disk", "to download", "not on this machine"]

_POLL_SECONDS = 0.1
# Where `optimized.optimize` has been measured and held to torchvision's results.
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


OnProgress = Callable[[LoadProgress], None]
LoadOutcome = nn.Module | BaseException


@dataclass(frozen=True, eq=False)
class _Waiter:
    """Who asked for a model that is loading."""

    spec: ModelSpec
    on_progress: OnProgress
    on_done: Callable[[LoadOutcome], None]
    cancelled: Callable[[], bool]


@dataclass(eq=False)
class _PendingLoad:
    """A model that is loading, how far it is and who waits for it; guarded by the loader's lock."""

    waiters: list[_Waiter]
    progress: LoadProgress | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether anybody still waits for it."""
        return not all(waiter.cancelled() for waiter in self.waiters)


@dataclass(eq=False)
class _Resident:
    """A module, and the same weights at other input sizes; guarded by the loader's lock."""

    module: nn.Module
    revision: str
    _sized: dict[int, nn.Module] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """What it takes now; light models keep some more once they run with one thread and with several."""
        return size_in_memory(self.module)

    def at_size(self, size: int | None) -> nn.Module:
        """Returns the module at an input size, the same one each time; None: as it was trained."""
        if size is None:
            return self.module
        if size not in self._sized:
            self._sized[size] = at_input_size(self.module, size)
        return self._sized[size]


class ModelLoader:
    """Gives models in evaluation mode, ready on one device; safe to use from many threads.

    Args:
        budget_bytes: Bytes of parameters and buffers to keep. Beyond it the least recently used models are let go, never the one
            just loaded. None takes the environment variable `DETECTION_EXPLORER_MEMORY_BUDGET` ("4GiB", "500MB" or bytes), and
            without it half of the memory that is free now.
        device: Where the models are put.

    Raises:
        SettingsError: If the environment variable is not a size.
    """

    def __init__(self, budget_bytes: int | None = None, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self.budget_bytes = memory_budget(self.device) if budget_bytes is None else budget_bytes
        self._lock = threading.Lock()
        self._residents: OrderedDict[str, _Resident] = OrderedDict()
        self._pending: dict[tuple[str, str], _PendingLoad] = {}

    def request(
        self, spec: ModelSpec, *, on_progress: OnProgress, on_done: Callable[[LoadOutcome], None], cancelled: Callable[[], bool]
    ) -> nn.Module | None:
        """Asks for a model without waiting for it.

        All who ask for a model while it loads share that one load, its result or its error; it ends early only when all of them have
        cancelled. Callbacks must return quickly and must not raise; all but `on_done` must not call the loader.

        Args:
            spec: The model.
            on_progress: Called with each new state, and at once with the current one if the model is loading already.
            on_done: Called once, with the module or with the error that `load` would raise.
            cancelled: Asked again and again whether the caller has lost interest.

        Returns:
            The module if it is in memory, and then nothing is called; otherwise None.
        """
        waiter = _Waiter(spec, on_progress, on_done, cancelled)
        with self._lock:
            if resident := self._find(spec):
                self._residents.move_to_end(_weights_key(spec.key))
                return resident.at_size(spec.input_size)
            pending = self._pending.get(spec.weights_identity)
            if pending is None:
                pending = _PendingLoad([waiter])
                threading.Thread(target=self._run_load, args=(spec, pending), name=f"load {spec.key}", daemon=True).start()
                self._pending[spec.weights_identity] = pending
            else:
                pending.waiters.append(waiter)
                # Within the lock, so that a newer state cannot come before this one.
                if pending.progress is not None:
                    on_progress(pending.progress)
        return None

    def load(self, spec: ModelSpec, *, on_progress: OnProgress | None = None, cancelled: Callable[[], bool] | None = None) -> nn.Module:
        """Returns a model, from memory or built from its weights, which are downloaded where they are missing.

        Unless the spec says stock, `optimized.optimize` makes it faster, on a CPU and on CUDA.

        A load is shared as `request` says. The module is shared, so it must not be changed. At another input size it is another module with
        the same weights, which count once. A user's file that has been overwritten is
        loaded anew for whoever has looked its spec up since.

        Args:
            spec: The model.
            on_progress: Called in the caller's thread with each new state.
            cancelled: Asked about ten times a second whether the caller has gone.

        Raises:
            WeightsError: If its weights cannot be had or are damaged, or the device has no numbers of sixteen bits and the spec says
                fast. The next call tries again.
            DownloadCancelled: If `cancelled` said so.
        """
        events: SimpleQueue[LoadProgress | LoadOutcome] = SimpleQueue()
        gone = threading.Event()
        module = self.request(spec, on_progress=events.put, on_done=events.put, cancelled=gone.is_set)
        try:
            while module is None:
                try:
                    event = events.get(timeout=_POLL_SECONDS if cancelled else None)
                except Empty:
                    event = None
                if isinstance(event, BaseException):
                    raise event
                if isinstance(event, nn.Module):
                    return event
                if event is not None and on_progress:
                    on_progress(event)
                if cancelled and cancelled():
                    raise DownloadCancelled("Loading was cancelled; what has arrived of the weights is kept for the next time.")
            return module
        finally:
            gone.set()

    def unload(self, key: str) -> bool:
        """Lets a model go in all sizes; whoever still computes with it keeps it alive until done. Returns whether it was in memory."""
        with self._lock:
            was_there = self._residents.pop(_weights_key(key), None) is not None
        release_freed_memory()
        return was_there

    def resident(self) -> list[ResidentModel]:
        """The models in memory, least recently used first."""
        with self._lock:
            return [ResidentModel(key, model.bytes, str(self.device)) for key, model in self._residents.items()]

    def resident_keys(self) -> frozenset[str]:
        """The keys of the models in memory, without their sizes, which take a millisecond to add up."""
        with self._lock:
            return frozenset(self._residents)

    def make_room(self, keep: str = "") -> bool:
        """Lets all models go but one, for a device whose memory has run out; whoever computes with them keeps them until done.

        Args:
            keep: Key of the model that stays.

        Returns:
            Whether there were any others.
        """
        with self._lock:
            others = [key for key in self._residents if key != _weights_key(keep)]
            for key in others:
                del self._residents[key]
        if others:
            logger.warning("memory ran out: let %s go", ", ".join(others))
        gc.collect()
        release_freed_memory()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return bool(others)

    def state(self, spec: ModelSpec) -> ModelState:
        """How far away a model is; what is not on this machine cannot be used if nothing may be downloaded."""
        with self._lock:
            if self._find(spec):
                return "in memory"
        if find_weights(spec):
            return "on disk"
        return "not on this machine" if read_setting("offline") else "to download"

    def _find(self, spec: ModelSpec) -> _Resident | None:
        resident = self._residents.get(_weights_key(spec.key))
        return resident if resident and resident.revision == spec.revision else None

    def _run_load(self, spec: ModelSpec, pending: _PendingLoad) -> None:
        waiters, outcomes = None, []
        while waiters is None:
            outcome = self._try_to_load(spec, pending)
            with self._lock:
                # Somebody may have asked for it after all others had cancelled: it is loaded for them.
                if isinstance(outcome, DownloadCancelled) and pending.is_wanted:
                    continue
                waiters = self._pending.pop(spec.weights_identity).waiters
                outcomes = [outcome] * len(waiters)
                if isinstance(outcome, nn.Module):
                    resident = self._keep(spec, outcome)
                    outcomes = [resident.at_size(waiter.spec.input_size) for waiter in waiters]
        for waiter, own in zip(waiters, outcomes, strict=True):
            waiter.on_done(own)
        # Of models that were let go, and of what this one was made from; nobody waits for it.
        release_freed_memory()

    def _try_to_load(self, spec: ModelSpec, pending: _PendingLoad) -> LoadOutcome:
        try:
            try:
                return self._read(spec, pending)
            except Exception as error:
                if not is_lack_of_memory(error):
                    raise
                # Without its traceback, which keeps alive what was read so far.
                lack = error.with_traceback(None)
            if not self.make_room():
                raise lack
            return self._read(spec, pending)
        except BaseException as error:
            logger.info("loading %s failed: %r", spec.key, error)
            return error

    def _read(self, spec: ModelSpec, pending: _PendingLoad) -> nn.Module:
        dtype = self._dtype(spec)
        path = fetch_weights(
            spec,
            on_progress=lambda done, total: self._report(pending, LoadProgress("download", done, total)),
            cancelled=lambda: not self._is_wanted(pending),
        )
        self._report(pending, LoadProgress("load", 0, _size(path)))
        try:
            module = build_model(spec, path)
        except CheckpointError as error:
            raise WeightsError(str(error)) from error
        except Exception as error:
            if not is_lack_of_memory(error):
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

    def _report(self, pending: _PendingLoad, progress: LoadProgress) -> None:
        with self._lock:
            pending.progress = progress
            for waiter in pending.waiters:
                waiter.on_progress(progress)

    def _is_wanted(self, pending: _PendingLoad) -> bool:
        with self._lock:
            return pending.is_wanted

    def _keep(self, spec: ModelSpec, module: nn.Module) -> _Resident:
        key = _weights_key(spec.key)
        resident = self._residents[key] = _Resident(module, spec.revision)
        self._residents.move_to_end(key)
        while len(self._residents) > 1 and sum(model.bytes for model in self._residents.values()) > self.budget_bytes:
            gone, _ = self._residents.popitem(last=False)
            logger.info("let %s go to keep within %d bytes", gone, self.budget_bytes)
        return resident


def _weights_key(key: str) -> str:
    """Returns the key under which a model's weights are in memory."""
    return str(ModelKey.parse(key).weights)


def size_in_memory(module: nn.Module) -> int:
    """Bytes that a model's parameters and buffers take, and what it keeps of them in another order once it runs."""
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()]) + packed_size(module)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:  # A user's file may vanish at any time; reading it will say so.
        return None
