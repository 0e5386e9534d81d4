"""The JSON of the HTTP API's responses, for OpenAPI: what is sent comes from `formats`, and may have more fields than these."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

# Of a field that is there only if there are any.
_NOTES = Field(None, description="Remarks on the image, for example that its file is cut off.")


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


class DetectedObject(_Open):
    """One object."""

    label: str
    class_id: int
    score: float
    box: list[float] = Field(description="Left, top, right and bottom in pixels of the upright image.")
    polygons: list[list[list[float]]] | None = Field(None, description="Rings of [x, y], by the even-odd rule.")
    keypoints: dict[str, Any] | None = Field(None, description="By name: x, y and the logit `score`.")
    whole_score: float | None = Field(None, description="Of a model with slices: the score in the whole image, 0 if only slices found it.")


class Detections(_Open):
    """What a model sees in an image, in the project's own format, which `from_json` reads."""

    format: str
    file_name: str
    model: str
    width: int
    height: int
    summary: str
    notes: list[str] | None = _NOTES
    provenance: dict[str, Any]
    categories: list[str]
    objects: list[DetectedObject]


class Comparison(_Open):
    """What several models see in an image; indices count a model's `objects`, and `members` the models, from 0."""

    image: str
    iou_threshold: float
    models: list[dict[str, Any]]
    pairs: list[dict[str, Any]]
    consensus: list[dict[str, Any]]
    failed: dict[str, str]
    notes: list[str] | None = _NOTES


class Explanation(_Open):
    """Why there is an object, `why`, or why there is none at a place, `why_not`."""

    format: str
    model: str
    sentence: str = Field(description="The answer in a few sentences.")
    threshold: float
    slice: list[int] | None = Field(None, description="Of an object that only a slice shows: the slice that is explained, in pixels.")
    why: dict[str, Any] | None = Field(None, description="The object's anchor, box, class scores and the candidates that it suppressed.")
    why_not: dict[str, Any] | None = Field(None, description="The candidates at the place, best first, and what became of each.")
    stages: list[dict[str, Any]] = Field(description="From the network's input to the result, with counts and times.")


class Frame(_Open):
    """One frame of a stream."""

    stream: str = Field(description="Send it with the next frame.")
    width: int
    height: int
    objects: list[dict[str, Any]] = Field(description="`track` is the same number as long as it is the same object; 0 is not tracked.")
    in_view: dict[str, int]
    total: dict[str, int]
    ms: dict[str, float] = Field(description="Where the time went, in milliseconds.")
    notes: list[str] | None = _NOTES


class Model(_Open):
    """A model."""

    key: str
    title: str
    state: str = Field(description="“in memory”, “on disk” or “to download”.")
    precisions: list[str]
    input_sizes: list[int] = Field(description="The smallest and the largest shorter side in pixels; empty if the model has only one.")
    seconds: dict[str, float] = Field(
        description="What an image takes here, the median of the latest runs, by the keys of the variants that have run: “KEY@480px”."
    )
    categories: list[str]


class ParameterError(BaseModel):
    """What is wrong with one parameter."""

    parameter: str
    detail: str


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(description="Where the kind of problem is described, relative to the request's address.")
    title: str
    status: int
    detail: str = Field(description="What is wrong with this request, and what to do.")
    errors: list[ParameterError] | None = None
