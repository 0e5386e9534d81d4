"""Gives models to many threads: a model is loaded once for all that ask for it, and then shared from memory."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Literal

import torch
from torch import nn

from detection_core.models.device import is_lack_of_memory
from detection_core.models.memory_budget import memory_budget
from detection_core.models.prepare import LoadProgress, OnProgress, prepare_model
from detection_core.models.residents import ResidentModel, Residents
from detection_core.models.spec import ModelSpec
from detection_core.models.weights import DownloadCancelled, find_weights
from detection_core.process import release_freed_memory
from detection_core.settings import read_setting

logger = logging.getLogger(__name__)

ModelState = Literal["in memory", "on disk", "to download", "not on this machine"]

_POLL_SECONDS = 0.1

LoadOutcome = nn.Module | BaseException


@dataclass(frozen=True, eq=False)
class _Waiter:
    """A request for a model that is being loaded."""

    spec: ModelSpec
    on_progress: OnProgress
    on_done: Callable[[LoadOutcome], None]
    cancelled: Callable[[], bool]


@dataclass(eq=False)
class _PendingLoad:
    """A model that is being loaded, for one or more requests; guarded by the loader's lock."""

    waiters: list[_Waiter]
    progress: LoadProgress | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether a request has not been cancelled."""
        return not all(waiter.cancelled() for waiter in self.waiters)


class ModelLoader:
    """Gives models in evaluation mode, ready on one device; safe to use from many threads.

    Args:
        budget_bytes: Bytes of parameters and buffers to keep. Beyond it, the least recently used models are dropped, but never the one
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
        self._residents = Residents(self.budget_bytes)
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
            if (module := self._residents.use(spec)) is not None:
                return module
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
        """Returns a model, from memory or as `prepare_model` makes it.

        A load is shared as `request` says. The module is shared, so it must not be changed. At another input size it is another module with
        the same weights, which count once. If a user's file has been overwritten, the new one is loaded for specs made since then.

        Args:
            spec: The model.
            on_progress: Called in the caller's thread with each new state.
            cancelled: Asked about ten times a second whether to stop waiting.

        Raises:
            WeightsError: As `prepare_model` does. The next call tries again.
            DownloadCancelled: If `cancelled` returned True.
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
        """Drops a model in all sizes; runs in progress keep it alive until they end. Returns whether it was in memory."""
        with self._lock:
            was_there = self._residents.drop(key)
        release_freed_memory()
        return was_there

    def resident(self) -> list[ResidentModel]:
        """The models in memory, least recently used first."""
        with self._lock:
            return [ResidentModel(key, size, str(self.device)) for key, size in self._residents.sizes().items()]

    def resident_keys(self) -> frozenset[str]:
        """The keys of the models in memory; cheaper than `resident`."""
        with self._lock:
            return self._residents.keys()

    def make_room(self, keep: str = "") -> bool:
        """Drops all models but one, for a device whose memory has run out; runs in progress keep theirs alive until they end.

        Args:
            keep: Key of the model that stays.

        Returns:
            Whether there were any others.
        """
        with self._lock:
            others = self._residents.drop_others(keep)
        if others:
            logger.warning("memory ran out: dropped %s", ", ".join(others))
        gc.collect()
        release_freed_memory()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return bool(others)

    def state(self, spec: ModelSpec) -> ModelState:
        """Where a model is; one that is not on this machine cannot be used if nothing may be downloaded."""
        with self._lock:
            if spec in self._residents:
                return "in memory"
        if find_weights(spec):
            return "on disk"
        return "not on this machine" if read_setting("offline") else "to download"

    def _run_load(self, spec: ModelSpec, pending: _PendingLoad) -> None:
        waiters, outcomes = None, []
        while waiters is None:
            outcome = self._try_to_load(spec, pending)
            with self._lock:
                # A new request may have come after all others had been cancelled: the model is loaded for it.
                if isinstance(outcome, DownloadCancelled) and pending.is_wanted:
                    continue
                waiters = self._pending.pop(spec.weights_identity).waiters
                outcomes = [outcome] * len(waiters)
                if isinstance(outcome, nn.Module):
                    resident = self._residents.add(spec, outcome)
                    outcomes = [resident.at_size(waiter.spec.input_size) for waiter in waiters]
        for waiter, own in zip(waiters, outcomes, strict=True):
            waiter.on_done(own)
        # Of dropped models, and of the file that this one was read from; last, because it takes time and no request waits for it.
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
        return prepare_model(
            spec,
            self.device,
            on_progress=lambda progress: self._report(pending, progress),
            cancelled=lambda: not self._is_wanted(pending),
        )

    def _report(self, pending: _PendingLoad, progress: LoadProgress) -> None:
        with self._lock:
            pending.progress = progress
            for waiter in pending.waiters:
                waiter.on_progress(progress)

    def _is_wanted(self, pending: _PendingLoad) -> bool:
        with self._lock:
            return pending.is_wanted
