"""The modules in memory, of which the most recently used stay within a budget."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field

from torch import nn

from detection_core.models.input_size import at_input_size
from detection_core.models.model_key import weights_key
from detection_core.models.optimized import packed_size
from detection_core.models.spec import ModelSpec

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ResidentModel:
    """A model that is in memory, as the engine's status reports it.

    Attributes:
        key: Its name in the catalog.
        bytes: The size of its parameters and buffers.
        device: Where they are, such as "cpu" or "cuda:0".
    """

    key: str
    bytes: int
    device: str


@dataclass(eq=False)
class Resident:
    """A module, and the same weights at other input sizes."""

    module: nn.Module
    revision: str
    _sized: dict[int, nn.Module] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        """The size now; light models grow when they first run with one thread and with several."""
        return size_in_memory(self.module)

    def at_size(self, size: int | None) -> nn.Module:
        """Returns the module at an input size, the same one each time; None: as it was trained."""
        if size is None:
            return self.module
        if size not in self._sized:
            self._sized[size] = at_input_size(self.module, size)
        return self._sized[size]


class Residents:
    """Keeps modules by their models' weights, which models at different input sizes share; not safe to use from several threads.

    Args:
        budget_bytes: Bytes of parameters and buffers to keep.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._residents: OrderedDict[str, Resident] = OrderedDict()

    def __contains__(self, spec: ModelSpec) -> bool:
        return self._find(spec) is not None

    def use(self, spec: ModelSpec) -> nn.Module | None:
        """Returns a model's module at its input size, which counts as a use of it; None if it is not in memory."""
        resident = self._find(spec)
        if resident is None:
            return None
        self._residents.move_to_end(weights_key(spec.key))
        return resident.at_size(spec.input_size)

    def add(self, spec: ModelSpec, module: nn.Module) -> Resident:
        """Keeps a module, as its model was trained; beyond the budget, the least recently used ones are dropped, but never this one."""
        key = weights_key(spec.key)
        resident = self._residents[key] = Resident(module, spec.revision)
        self._residents.move_to_end(key)
        while len(self._residents) > 1 and sum(self.sizes().values()) > self._budget_bytes:
            dropped, _ = self._residents.popitem(last=False)
            logger.info("dropped %s to keep within %d bytes", dropped, self._budget_bytes)
        return resident

    def drop(self, key: str) -> bool:
        """Drops a model in all sizes; returns whether it was in memory."""
        return self._residents.pop(weights_key(key), None) is not None

    def drop_others(self, key: str) -> list[str]:
        """Drops all models but one; returns their keys."""
        others = [each for each in self._residents if each != weights_key(key)]
        for each in others:
            del self._residents[each]
        return others

    def keys(self) -> frozenset[str]:
        """The models' keys, without their sizes, which take a millisecond to add up."""
        return frozenset(self._residents)

    def sizes(self) -> dict[str, int]:
        """The bytes of each model by its key, least recently used first."""
        return {key: resident.bytes for key, resident in self._residents.items()}

    def _find(self, spec: ModelSpec) -> Resident | None:
        resident = self._residents.get(weights_key(spec.key))
        return resident if resident and resident.revision == spec.revision else None


def size_in_memory(module: nn.Module) -> int:
    """Returns the bytes of a model's parameters and buffers, and of their copies in another order that it keeps once it runs."""
    return sum(tensor.nbytes for tensor in [*module.parameters(), *module.buffers()]) + packed_size(module)
