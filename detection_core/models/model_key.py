"""A model's key: its name and the variant of it that runs, as one text that files, links and messages carry.

The grammar is `NAME[@PRECISION][@SIZEpx][@slicesSIZE]`, in this order: `maskrcnn_resnet50_fpn@fast@480px`. A variant can therefore be
chosen, cached, compared with the model as it was trained, and named in results like any other model. This module imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeVar

from detection_core.errors import UserError
from detection_core.models.precision import Precision, usual_precision

# Every key is read in one way only: "exact", a leading zero and another order are no part of the grammar, but of the name.
_KEY = re.compile(
    r"(?P<name>.+?)(?:@(?P<precision>fast|stock))?(?:@(?P<input_size>[1-9][0-9]{0,4})px)?(?:@slices(?P<slices>[1-9][0-9]{0,4}))?", re.DOTALL
)

_Value = TypeVar("_Value")


class VariantError(UserError, ValueError):
    """A model does not run in the variant that a key asks for; the message says why."""


@dataclass(frozen=True)
class ModelKey:
    """The parts of a key; `str` joins them.

    Attributes:
        name: The model's name, such as `maskrcnn_resnet50_fpn`, or whatever else stands before the variant.
        precision: The precision in which it computes.
        input_size: Pixels to which the shorter side of an image is resized; None: as the model was trained.
        slices: Side in pixels of the tiles of the image on which it runs, beside the whole; None: on the whole image only.
    """

    name: str
    precision: Precision = Precision.EXACT
    input_size: int | None = None
    slices: int | None = None

    @classmethod
    def parse(cls, text: str) -> ModelKey:
        """Splits a key. Any text is one: what is no variant by the grammar belongs to the name."""
        parts = _KEY.fullmatch(text)
        if parts is None:
            return cls(text)
        size, slices = (int(each) if each else None for each in parts.group("input_size", "slices"))
        return cls(parts["name"], Precision(parts["precision"] or Precision.EXACT), size, slices)

    @property
    def variant(self) -> tuple[str, ...]:
        """The parts after the name in words, such as `("fast", "480 px", "slices of 640 px")`; empty for a model as it was trained."""
        precision = () if self.precision is Precision.EXACT else (str(self.precision),)
        size = () if self.input_size is None else (f"{self.input_size} px",)
        slices = () if self.slices is None else (f"slices of {self.slices} px",)
        return precision + size + slices

    def __str__(self) -> str:
        precision = "" if self.precision is Precision.EXACT else f"@{self.precision}"
        size = "" if self.input_size is None else f"@{self.input_size}px"
        slices = "" if self.slices is None else f"@slices{self.slices}"
        return self.name + precision + size + slices


def weights_key(key: str) -> str:
    """Returns the key without input size and slices: models that differ in nothing else share one module and its weights."""
    parts = ModelKey.parse(key)
    return str(ModelKey(parts.name, parts.precision))


def precisions_in(keys: Collection[str], name: str) -> list[Precision]:
    """Lists the precisions in which a model is among the keys, such as those of `Engine.model_states`."""
    return [precision for precision in Precision if str(ModelKey(name, precision)) in keys]


def variants_of(name: str, values: Mapping[str, _Value]) -> dict[str, _Value]:
    """Returns what a mapping by key, such as `Engine.run_seconds`, has of the variants of a model."""
    return {key: value for key, value in values.items() if ModelKey.parse(key).name == name}


def state_of(key: str, states: Mapping[str, str]) -> str | None:
    """Returns where a model is, given `Engine.model_states`, which lists no sizes and slices; None for one that is not there."""
    return states.get(weights_key(key))


def usual_key(name: str, keys: Collection[str]) -> str:
    """Returns the key of a model in the default precision, or in the exact one if the keys do not contain that.

    Raises:
        SettingsError: If the environment names no precision.
    """
    key = str(ModelKey(name, usual_precision()))
    return key if key in keys else name
