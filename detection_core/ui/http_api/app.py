"""The operations of the HTTP API, as an application that is mounted beside the page."""

from __future__ import annotations

import asyncio
import io
import json
import secrets
from collections.abc import Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from anyio import to_thread
from fastapi import FastAPI
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from detection_core import __version__
from detection_core.engine import EngineError
from detection_core.explanation import Explanation
from detection_core.formats import FORMATS, ImageResult, number_images
from detection_core.formats.registry import export_one
from detection_core.models.catalog import ModelSpec, get_model_spec
from detection_core.models.example import example_of
from detection_core.ui.http_api import schemas
from detection_core.ui.http_api.bodies import OPENAPI_BODY, OPENAPI_URL, read_body
from detection_core.ui.http_api.documentation import documentation_page
from detection_core.ui.http_api.parameters import (
    ALIASES,
    CompareFormat,
    CompareParameters,
    DetectParameters,
    ExplainFormat,
    ExplainParameters,
    TrackParameters,
    in_variant,
    openapi_parameters,
    read_parameters,
)
from detection_core.ui.http_api.problems import KINDS, MEDIA_TYPE, ProblemError, install
from detection_core.ui.service import Question, Service, checked_models
from detection_core.ui.shared.image_urls import ImageFetcher
from detection_core.ui.shared.session import program_of
from detection_core.visualization import AnnotationStyle

PREFIX = "/api/v1"
_LONGEST_NAME = 60
# Seconds between two checks of whether a client is still there.
_EVERY = 0.5
_Value = TypeVar("_Value")
_DESCRIPTION = "Object detection with torchvision's models. Send an image, and get what a model sees in it."
_FILES = ("text/csv", "image/png", "application/zip")
_MEDIA_TYPES = {".json": "application/json", ".csv": "text/csv; charset=utf-8", ".png": "image/png", ".zip": "application/zip"}


def build_http_api(service: Service, fetcher: ImageFetcher | None = None) -> FastAPI:
    """Builds the application.

    Args:
        service: Serves the requests.
        fetcher: What fetches images from URLs; None refuses them.
    """
    described = partial(_described, by_url=fetcher is not None)
    app = FastAPI(
        title="Detection Explorer",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        # Relative to the description's own address, so that it holds behind any proxy.
        servers=[{"url": "."}],
        root_path_in_servers=False,
        generate_unique_id_function=lambda route: route.name,
    )
    install(app)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]

    @app.post("/detect", summary="Find objects in an image", **described(DetectParameters, schemas.Detections, binary=True))
    async def detect(request: Request) -> Response:
        sent = await read_body(request, fetcher, program_of(request))
        parameters = read_parameters(DetectParameters, sent.fields)
        spec = get_model_spec(parameters.key)
        _check_classes(parameters.classes, spec)
        form = ALIASES.get(parameters.format, str(parameters.format))
        _check_format(form, spec)
        image = await sent.image()
        found = await unless_gone(request, service.detect(image, parameters.key, parameters.threshold, program_of(request)))
        detections = found.detections
        if parameters.classes:
            detections = detections[np.isin(np.asarray(detections.names, dtype=object), parameters.classes)]
        number = number_images([sent.name]).image_ids[0]
        result = ImageResult(sent.name, detections, found.provenance, lambda: image.image, notes=image.notes, image_id=number)
        style = AnnotationStyle(keypoint_threshold=parameters.keypoint_threshold)
        return await to_thread.run_sync(_file_response, result, form, style)

    @app.post("/compare", summary="Compare what models find in an image", **described(CompareParameters, schemas.Comparison, binary=True))
    async def compare(request: Request) -> Response:
        sent = await read_body(request, fetcher, program_of(request))
        parameters = read_parameters(CompareParameters, sent.fields)
        keys = checked_models([in_variant(model, parameters.input_size, parameters.slices) for model in parameters.models])
        for key in keys:
            get_model_spec(key)
        image = await sent.image()
        comparison = service.compare(image, sent.name, keys, parameters.threshold, parameters.iou, program_of(request))
        report = await unless_gone(request, comparison)
        if parameters.format is CompareFormat.JSON:
            return JSONResponse(await to_thread.run_sync(report.to_json))
        first, second = (result.name for result in report.results[:2])
        return Response(await to_thread.run_sync(report.difference_png, image.image, first, second), media_type="image/png")

    @app.post("/explain", summary="Explain an object, or its absence", **described(ExplainParameters, schemas.Explanation, binary=True))
    async def explain(request: Request) -> Response:
        sent = await read_body(request, fetcher, program_of(request))
        parameters = read_parameters(ExplainParameters, sent.fields)
        question = Question.read(_numbers(parameters.at), _numbers(parameters.box), parameters.object)
        image = await sent.image()
        explaining = service.explain(image, parameters.key, question, parameters.label or None, parameters.threshold, program_of(request))
        explanation = await unless_gone(request, explaining)
        if parameters.format is ExplainFormat.JSON:
            return JSONResponse(await to_thread.run_sync(explanation.to_json))
        return Response(await to_thread.run_sync(_answer_png, explanation), media_type="image/png")

    @app.post("/track", summary="Track objects from frame to frame of a stream", **described(TrackParameters, schemas.Frame))
    async def track(request: Request) -> Response:
        """Send a frame after the response to the last, with its `stream`. A stream ends after ten seconds of silence."""
        sent = await read_body(request, fetcher, program_of(request))
        parameters = read_parameters(TrackParameters, sent.fields)
        visitor = program_of(request)
        # Clients behind one address have streams of their own; they share the engine's time.
        owner = f"{visitor}/{secrets.token_hex(8)}"
        image = await sent.image()
        tracking = service.track(image, parameters.key, parameters.threshold, parameters.stream, visitor, owner=owner)
        return JSONResponse(await unless_gone(request, tracking))

    @app.get("/models", summary="List the models", response_model=list[schemas.Model])
    async def models() -> Response:
        """Of `precisions`, “exact” is the model under its own key; “ssd300_vgg16@fast” is one in the precision “fast”.

        `input_sizes` are the smallest and the largest of which one may be appended, as in “fcos_resnet50_fpn@480px”; SSDs have none. All
        models run on slices of 640 pixels, say, beside the whole image, if “@slices640” is appended. `seconds` are what an image takes
        here, the median of the latest runs, by the keys of the variants that have run.
        """
        return JSONResponse(await to_thread.run_sync(service.models))

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return HTMLResponse(documentation_page(app.openapi(), KINDS, PREFIX))

    return app


def http_api_route() -> Mount:
    """The route of the HTTP API, for `launch(app_kwargs={"routes": [...]})` of a page whose `http_api` is the application."""
    return Mount(PREFIX, app=_of_the_page)


async def _of_the_page(scope: Scope, receive: Receive, send: Send) -> None:
    # Routes are found below the prefix, whether or not a proxy has removed what comes before it.
    path = PREFIX + scope["path"].partition(PREFIX)[2]
    await scope["app"].get_blocks().http_api({**scope, "path": path, "root_path": PREFIX}, receive, send)


async def unless_gone(request: Request, work: Coroutine[Any, Any, _Value]) -> _Value:
    """Awaits something on behalf of a client, and cancels it if the client goes.

    Raises:
        EngineError: If the client has gone; the response will not reach it.
    """
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            await asyncio.wait([task], timeout=_EVERY)
            if not task.done() and await request.is_disconnected():
                raise EngineError("The client has gone before there was a result. Send the request again.")
        return await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _numbers(texts: list[str]) -> list[float] | list[str] | None:
    """The numbers in a parameter; as they are if they are none, and None if it was not sent."""
    try:
        return [float(text) for text in texts] or None
    except ValueError:
        return texts


def _answer_png(explanation: Explanation) -> bytes:
    stream = io.BytesIO()
    explanation.draw_answer().save(stream, "PNG")
    return stream.getvalue()


def _check_classes(classes: list[str], spec: ModelSpec) -> None:
    for name in classes:
        if name not in spec.class_names:
            sentence = f"{spec.title} has no class “{name[:_LONGEST_NAME]}”. Its classes are: {', '.join(spec.class_names)}."
            raise ProblemError(sentence, "invalid-parameters", [("classes", sentence)])


def _check_format(form: str, spec: ModelSpec) -> None:
    if not FORMATS[form].suits(example_of(spec)):
        reason = f"{spec.title} predicts {', '.join(spec.tasks)} only, which is not enough for the format “{form}”"
        raise ProblemError(f"{reason}. Choose another format.", "unsuitable-format")


def _file_response(result: ImageResult, form: str, style: AnnotationStyle) -> Response:
    # COCO's results have no place for their provenance, and one file is easier to read than an archive of two.
    headers = {}
    if form == "coco" and result.provenance is not None:
        headers["Detection-Provenance"] = json.dumps(result.provenance.to_json())
        result = replace(result, provenance=None)
    data, suffix = export_one(result, form, style=style)
    return Response(data, headers=headers, media_type=_MEDIA_TYPES[suffix])


def _openapi(app: FastAPI) -> dict[str, Any]:
    description = FastAPI.openapi(app)
    # FastAPI describes responses of its own media type only.
    _, schemas_of_problems = models_json_schema([(schemas.Problem, "serialization")], ref_template="#/components/schemas/{model}")
    description["components"]["schemas"] |= schemas_of_problems["$defs"]
    return description


def _described(parameters: type[Any], response: type[Any], *, by_url: bool, binary: bool = False) -> dict[str, Any]:
    """What OpenAPI says of an operation that takes an image."""
    files = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in _FILES} if binary else {}
    problems: dict[int | str, dict[str, Any]] = {}
    for kind in KINDS.values():
        titles = problems.setdefault(kind.status, {"description": ""})
        titles["description"] = "; ".join(filter(None, [titles["description"], kind.title]))
        titles["content"] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        "response_model": response,
        "responses": {200: {"content": files}, **problems},
        "openapi_extra": {
            "parameters": [*openapi_parameters(parameters), *([OPENAPI_URL] if by_url else [])],
            "requestBody": OPENAPI_BODY | {"required": not by_url},
        },
    }
