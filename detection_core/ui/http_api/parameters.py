"""The parameters of the HTTP API's operations, in the query or in fields of a form: read, checked and described for OpenAPI."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detection_core.formats import FORMATS
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL
from detection_core.models.input_size import LARGEST, SMALLEST
from detection_core.models.model_key import ModelKey
from detection_core.slicing.grid import LARGEST_SLICE, SMALLEST_SLICE
from detection_core.ui.http_api.problems import ProblemError
from detection_core.visualization import AnnotationStyle

_MODEL = (
    "Key of the model, as `/models` lists them; “KEY@fast” is the model in the precision “fast”, “KEY@480px” at the input size 480, and "
    "“KEY@fast@480px” both; “KEY@slices640” runs on slices of 640 pixels, too."
)
_INPUT_SIZE = "Pixels to which the shorter side of the image is resized for the model; without it, as trained. SSDs have one size only."
_SLICES = (
    "Side in pixels of overlapping slices on which the model runs beside the whole image, to find small objects in large images; without "
    "it, none."
)
# What a short name stands for, besides the formats themselves.
ALIASES = {"yolo": "yolo-detect"}
DetectFormat = StrEnum("DetectFormat", {name: name for name in (*FORMATS, *ALIASES)})  # type: ignore[misc]
_Parameters = TypeVar("_Parameters", bound=BaseModel)


class CompareFormat(StrEnum):
    """What a comparison is returned as."""

    JSON = "json"
    PNG = "png"


class OneModelParameters(BaseModel):
    """The model of an operation that takes one."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    model: str = Field(COCO_MODEL, description=_MODEL)
    input_size: int | None = Field(None, ge=SMALLEST, le=LARGEST, description=_INPUT_SIZE)

    @property
    def key(self) -> str:
        """The model's key with the input size."""
        return in_variant(self.model, self.input_size)


class DetectParameters(OneModelParameters):
    """What `/detect` takes besides the image."""

    slices: int | None = Field(None, ge=SMALLEST_SLICE, le=LARGEST_SLICE, description=_SLICES)
    threshold: float | None = Field(None, ge=0, le=1, description="Lowest score wanted; without it, the model's default.")
    keypoint_threshold: float = Field(
        AnnotationStyle.keypoint_threshold, ge=0, le=10, description="Lowest logit of keypoints that are drawn, or visible in `yolo-pose`."
    )
    classes: list[str] = Field([], description="Names of the classes wanted, separated by commas or repeated; without any, all.")
    format: DetectFormat = Field(DetectFormat("json"), description="What the response is; YOLO's is a ZIP archive of label files.")

    @property
    def key(self) -> str:
        """The model's key with the input size and the slices."""
        return in_variant(self.model, self.input_size, self.slices)


class CompareParameters(BaseModel):
    """What `/compare` takes besides the image."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    models: list[str] = Field([COCO_MODEL, PERSON_MODEL], description="Keys of two to four models, separated by commas or repeated.")
    input_size: int | None = Field(None, ge=SMALLEST, le=LARGEST, description=f"{_INPUT_SIZE} It counts for all models.")
    slices: int | None = Field(None, ge=SMALLEST_SLICE, le=LARGEST_SLICE, description=f"{_SLICES} It counts for all models.")
    threshold: float | None = Field(None, ge=0, le=1, description="Lowest score that counts; without it, each model's default.")
    iou: float = Field(0.5, ge=0.05, le=0.95, description="Lowest overlap of two boxes that are in the same place.")
    format: CompareFormat = Field(CompareFormat.JSON, description="JSON, or an image of the difference between the first two models.")


class ExplainFormat(StrEnum):
    """What an explanation is returned as."""

    JSON = "json"
    PNG = "png"


class ExplainParameters(OneModelParameters):
    """What `/explain` takes besides the image: one of `at`, `box` and `object`, and more."""

    at: list[str] = Field([], description="Why is there no object at this point? `x,y` in pixels of the image.")
    box: list[str] = Field([], description="Why is there none in this box? `left,top,right,bottom` in pixels of the image.")
    object: int | None = Field(None, description="Why is there this object? Its number in the model's result, the best is 0.")
    label: str = Field("", description="With `at` or `box`, the name of the only class to explain.")
    threshold: float | None = Field(None, ge=0, le=1, description="The threshold that objects must reach; without it, the model's default.")
    format: ExplainFormat = Field(ExplainFormat.JSON, description="JSON, or an image with the candidates.")


class TrackParameters(OneModelParameters):
    """What `/track` takes besides the frame."""

    model: str = Field(COCO_MODEL, description=f"{_MODEL} It counts in the first frame of a stream only.")
    threshold: float | None = Field(None, ge=0, le=1, description="Lowest score of objects that are tracked.")
    stream: str = Field("", description="The `stream` of the response to the frame before; nothing for the first frame.")


def in_variant(model: str, input_size: int | None, slices: int | None = None) -> str:
    """Returns a model's key with an input size and slices in the place of its own, if there are any."""
    key = ModelKey.parse(model)
    return str(replace(key, input_size=input_size or key.input_size, slices=slices or key.slices))


def read_parameters(kind: type[_Parameters], sent: Iterable[tuple[str, str]]) -> _Parameters:
    """Reads the parameters of a request.

    Args:
        kind: What they are.
        sent: Names and values in the query and the form.

    Raises:
        ProblemError: If a parameter is unknown, given twice, or has a value that it cannot have.
    """
    values: dict[str, list[str]] = defaultdict(list)
    for name, value in sent:
        values[name].append(value)
    lists = {name for name, field in kind.model_fields.items() if field.annotation == list[str]}
    twice = [name for name, given in values.items() if len(given) > 1 and name not in lists]
    if twice:
        raise _invalid([(name[:_LONGEST_NAME], "It is given more than once.") for name in twice])
    split = {name: [each.strip() for each in ",".join(given).split(",") if each.strip()] for name, given in values.items() if name in lists}
    try:
        return kind.model_validate({name: given[0] for name, given in values.items()} | split)
    except ValidationError as error:
        unknown = f"There is no such parameter. The parameters are {', '.join(kind.model_fields)}."
        raise _invalid(
            [
                (str(each["loc"][0])[:_LONGEST_NAME], unknown if each["type"] == "extra_forbidden" else f"{each['msg']}.")
                for each in error.errors()
            ]
        ) from error


# Of names that a response repeats.
_LONGEST_NAME = 60


def openapi_parameters(kind: type[BaseModel]) -> list[dict[str, Any]]:
    """The parameters for OpenAPI's description of an operation."""
    schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
    choices = schema.get("$defs", {})
    described = []
    for name, field in schema["properties"].items():
        reference = field.pop("$ref", "").rpartition("/")[2]
        field |= {key: value for key, value in choices.get(reference, {}).items() if key in {"type", "enum"}}
        field.pop("title", None)
        described.append({"name": name, "in": "query", "required": False, "description": field.pop("description"), "schema": field})
    return described


def _invalid(errors: list[tuple[str, str]]) -> ProblemError:
    return ProblemError(" ".join(f"“{name}”: {detail}" for name, detail in errors), "invalid-parameters", errors)
