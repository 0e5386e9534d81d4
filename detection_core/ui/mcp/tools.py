"""The tools as plain functions: what each takes, and the JSON and the image that it gives."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from anyio import to_thread
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from detection_core.formats import to_json
from detection_core.models.catalog import COCO_MODEL, PERSON_MODEL, get_model_spec
from detection_core.ui.mcp.images import read_sent
from detection_core.ui.service import Service, checked_models
from detection_core.ui.shared.image_urls import ImageFetcher
from detection_core.visualization import annotate, annotate_comparison

# Assistants scale larger images down, or refuse them.
_LONGEST_SIDE = 1568
_QUALITY = 90
_IMAGE = "The image as base64 or a data: URL."
_IMAGE_OR_URL = "The image as base64 or a data: URL, or the http(s) address of an image on a public host."
_DETAILS = "Whether the JSON has everything, also polygons, keypoints, all classes and how the result came about, which is long."
_MODEL = (
    "Key of the model, as list_models gives it; “KEY@fast” is one in the precision “fast”, “KEY@480px” one at the input size 480, and "
    "“KEY@slices640” one that also runs on slices of 640 pixels, for small objects in large images."
)
# What of the JSON is long and rarely wanted.
_LONG = {"format", "categories", "category_ids", "keypoint_names", "mask_size", "provenance", "recipe"}
_LONG |= {"polygons", "mask_grid", "keypoints"}


@dataclass(frozen=True)
class Given:
    """What a tool gives.

    Attributes:
        data: A JSON object.
        jpeg: The annotated image; None for a tool without an image.
    """

    data: dict[str, Any]
    jpeg: bytes | None = None


class Arguments(BaseModel):
    """What all tools take."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    details: bool = Field(False, description=_DETAILS)


class DetectArguments(Arguments):
    """What `detect` takes."""

    image: str = Field(description=_IMAGE)
    model: str = Field(COCO_MODEL, description=_MODEL)
    threshold: float | None = Field(None, ge=0, le=1, description="Lowest score wanted; without it, the model's default.")


class CompareArguments(Arguments):
    """What `compare` takes."""

    image: str = Field(description=_IMAGE)
    models: list[str] = Field([COCO_MODEL, PERSON_MODEL], description="Keys of two to four models.")
    threshold: float | None = Field(None, ge=0, le=1, description="Lowest score that counts; without it, each model's default.")
    iou: float = Field(0.5, ge=0.05, le=0.95, description="Lowest overlap of two boxes that are in the same place.")


@dataclass(frozen=True)
class Tool:
    """A tool.

    Attributes:
        name: Its name.
        description: What it does, for assistants.
        arguments: What it takes.
        run: Runs it for a visitor.
    """

    name: str
    description: str
    arguments: type[Arguments]
    run: Callable[[Any, str], Awaitable[Given]]

    def schema(self, by_url: bool) -> dict[str, Any]:
        """The arguments as a JSON schema.

        Args:
            by_url: Whether an image may also be a URL.
        """
        schema = self.arguments.model_json_schema()
        if by_url and "image" in schema["properties"]:
            schema["properties"]["image"]["description"] = _IMAGE_OR_URL
        return schema


class Tools:
    """All tools.

    Args:
        service: Serves the requests.
        fetcher: What fetches images from URLs; None refuses them.
    """

    def __init__(self, service: Service, fetcher: ImageFetcher | None) -> None:
        self._service = service
        self._fetcher = fetcher
        tools = (
            Tool(
                "detect",
                "Finds objects in an image: label, score and box (left, top, right, bottom in pixels) of each, and the annotated image.",
                DetectArguments,
                self._detect,
            ),
            Tool(
                "compare",
                "Compares what two to four models find in an image: the objects of each, which of them agree, and an image of the "
                "difference between the first two.",
                CompareArguments,
                self._compare,
            ),
            Tool("list_models", "Lists the models with their tasks, accuracy, cost and state.", Arguments, self._list_models),
        )
        self.by_name = {tool.name: tool for tool in tools}

    async def _detect(self, arguments: DetectArguments, visitor: str) -> Given:
        get_model_spec(arguments.model)
        image, name = await read_sent(arguments.image, self._fetcher, visitor)
        found = await self._service.detect(image, arguments.model, arguments.threshold, visitor)
        data = to_json(found.detections, file_name=name, provenance=found.provenance, notes=image.notes)
        return await _given({"threshold": found.provenance.threshold} | data, arguments, lambda: annotate(image.image, found.detections))

    async def _compare(self, arguments: CompareArguments, visitor: str) -> Given:
        keys = checked_models(arguments.models)
        for key in keys:
            get_model_spec(key)
        image, name = await read_sent(arguments.image, self._fetcher, visitor)
        report = await self._service.compare(image, name, keys, arguments.threshold, arguments.iou, visitor)
        first, second = (result.name for result in report.results[:2])
        data = await to_thread.run_sync(report.to_json)
        return await _given(data, arguments, lambda: annotate_comparison(image.image, report.pairs[first, second], names=(first, second)))

    async def _list_models(self, arguments: Arguments, visitor: str) -> Given:
        return await _given({"models": await to_thread.run_sync(self._service.models)}, arguments)


async def _given(data: dict[str, Any], arguments: Arguments, draw: Callable[[], Image.Image] | None = None) -> Given:
    data = data if arguments.details else _shortened(data)
    return Given(data, None if draw is None else await to_thread.run_sync(lambda: _jpeg(draw())))


def _shortened(data: Any) -> Any:
    if isinstance(data, dict):
        return {name: _shortened(value) for name, value in data.items() if name not in _LONG}
    return [_shortened(each) for each in data] if isinstance(data, list) else data


def _jpeg(image: Image.Image) -> bytes:
    image.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
