"""Fuzzes the handlers of what browsers send: the data of events, the arguments of server functions, and links."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import gradio as gr
import numpy as np
from gradio.data_classes import GradioModel

from detection_core.detections import Detections
from detection_core.errors import UserError
from detection_core.images.reading import encode_jpeg, load_image
from detection_core.models.catalog import PERSON_MODEL, get_model_spec
from detection_core.ui.compare.link import link_models, settings_from_link
from detection_core.ui.compare.settings import CompareSettings
from detection_core.ui.components.client_values import text_of
from detection_core.ui.detect.download import result_file
from detection_core.ui.detect.view import ViewSettings
from detection_core.ui.shared.examples import clicked_example
from tests.fuzz.checks import check_message, check_sendable, require
from tests.fuzz.mutation import mutated_bytes, mutated_value, random_value, written
from tests.fuzz.page import BATCH, IMAGE, JOB, NUMBERS, REQUEST, SIZE, STREAM, VIDEO, Page
from tests.fuzz.readers import Reader
from tests.ui.asynchronous import finish


@cache
def _page(folder: Path) -> Page:
    return Page(folder)


def _picker(page: Page, data: Any) -> object:
    key = page.batch.picker.preprocess(data)
    check_sendable(page.live.begin(key, REQUEST).model_dump())
    return page.batch.begin(key, "", REQUEST)


def _slots(page: Page, data: Any) -> object:
    keys = page.compare.slots.preprocess(data)
    *_, (message, *_) = page.compare.compare(str(page.kept.image_path), keys, [], {}, REQUEST)
    return message


def _event(data: Any) -> Any:
    return SimpleNamespace(_data=data)


def _detect_download(page: Page, data: Any) -> object:
    sent = data if isinstance(data, dict) else {}
    content, name = result_file(page.kept, ViewSettings.from_client(sent.get("settings")), text_of(sent.get("format", "png")))
    check_message(name)
    require(content, "a file is empty")
    return name


def _compare_settings(page: Page, data: Any) -> object:
    settings = CompareSettings.from_client(data)
    chosen = settings.select({"a": (page.found, 0.5), "b": (page.found, 0.2)})
    require(all(isinstance(found, Detections) for found in chosen.values()), "no detections are selected")
    return None


# Each gives a response to the browser, or raises a UserError.
_HANDLERS: dict[str, Callable[[Page, Any], object]] = {
    "example": lambda page, data: clicked_example(data),
    "detect": _detect_download,
    "compare": _compare_settings,
    "frame": lambda page, data: finish(page.live.frame(data)),
    "model": lambda page, data: page.video.show_model(get_model_spec(data if isinstance(data, str) else "").key)[1],
    "picker": _picker,
    "slots": _slots,
    "end": lambda page, data: finish(page.live.end(data)),
    "snapshot": lambda page, data: str(page.live.snapshot_path(data)) and None,
    "look_at": lambda page, data: finish(page.batch.detect_image(data)),
    "give_up": lambda page, data: finish(page.batch.give_up(data)),
    "forget": lambda page, data: finish(page.batch.forget(data)),
    "open": lambda page, data: page.batch.image_to_open(data) and None,
    "pack": lambda page, data: page.batch.download(_event(data)),
    "inspect": lambda page, data: finish(page.video.inspect(data)),
    "pace": lambda page, data: finish(page.video.pace(data)),
    "watch": lambda page, data: finish(page.video.watch(data)),
    "stop": lambda page, data: finish(page.video.stop(data)),
    "redraw": lambda page, data: page.video.redraw(_event(data), REQUEST),
    "outcome": lambda page, data: page.video.show_outcome(PERSON_MODEL, _event(data))[1],
    "files": lambda page, data: page.video.download(_event(data)),
}


def _seeds(_: Path) -> list[bytes]:
    frame = base64.b64encode(encode_jpeg(load_image(np.full((*SIZE, 3), 99, np.uint8)))).decode()
    style = {"boxes": True, "labels": False, "masks": True, "opacity": 0.5, "keypoint_threshold": 2}
    compare = {
        "rule": "own",
        "threshold": 0.4,
        "thresholds": {"a": 0.3},
        "top": 5,
        "iou": 0.5,
        "mode": "swipe",
        "pair": ["a", "b"],
        "votes": 2,
    }
    order = {
        "video": JOB,
        "path": VIDEO,
        "name": "a.mp4",
        "rate": "5",
        "threshold": 0.4,
        "track": True,
        "hidden_classes": ["dog"],
        **style,
    }
    pack = {"batch": BATCH, "images": ["1"], "formats": ["json", "coco", "png", "yolo-detect", "csv", "coco-dataset"], "threshold": 0.3}
    messages: dict[str, Any] = {
        "example": {"index": 2},
        "detect": {"format": "png", "settings": {"threshold": 0.4, "hidden_classes": [2], **style}},
        "compare": compare | style | {"hidden_classes": ["dog"]},
        "frame": {"stream": STREAM, "id": 1, "image": frame, "time": 1000, "threshold": 0.5, "stable": True, "tasks": ["masks"]},
        "model": PERSON_MODEL,
        "picker": {"selected": PERSON_MODEL},
        "slots": {"selected": [PERSON_MODEL, "ssd300_vgg16"]},
        "end": {"stream": STREAM},
        "snapshot": {"path": IMAGE},
        "look_at": {"batch": BATCH, "id": "1", "path": IMAGE, "name": "folder/a.png"},
        "give_up": {"batch": BATCH},
        "forget": {"batch": BATCH, "images": ["2"]},
        "open": {"batch": BATCH, "id": "1"},
        "pack": pack | {"annotations": {"path": NUMBERS, "name": "numbers.json"}},
        "inspect": {"path": VIDEO},
        "pace": {"path": VIDEO, "model": PERSON_MODEL},
        "watch": {"video": JOB, "seen": {"stage": "done"}},
        "stop": {"video": JOB},
        "redraw": order,
        "outcome": {"video": JOB},
        "files": order | {"formats": ["mp4", "csv"]},
    }
    assert messages.keys() == _HANDLERS.keys()
    return [json.dumps({"handler": name, "data": data}).encode() for name, data in messages.items()]


def _mutate(random: Random, seeds: Sequence[bytes]) -> bytes:
    message = json.loads(random.choice(seeds))
    data = random_value(random) if random.random() < 0.05 else mutated_value(random, message["data"])
    return written(random, {"handler": message["handler"], "data": data})


def _read(data: bytes, folder: Path) -> object:
    page = _page(folder)
    try:
        message = json.loads(page.filled(data))
        name, sent = message["handler"], message["data"]
        handler = _HANDLERS[name]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise UserError("The web framework refuses it.") from None
    try:
        response = handler(page, sent)
    except gr.Error as error:
        raise UserError(error.message) from error
    shown = response.model_dump() if isinstance(response, GradioModel) else response
    check_sendable(shown)
    if isinstance(shown, dict):
        for text in (shown.get("error"), shown.get("refused"), shown.get("expired"), *(shown.get("notes") or [])):
            said = text.get("text") if isinstance(text, dict) else text
            if said:
                check_message(str(said))
    return response


def _link_seeds(_: Path) -> list[bytes]:
    query = {
        "tab": "compare", "image": "example:cat", "models": f"{PERSON_MODEL},a%2Cb", "rule": "own", "t": "0.4", "ts": "0.3,0.5", "top": "7",
        "iou": "0.5", "mode": "swipe", "pair": "0,1", "votes": "2", "opacity": "0.4", "keypoints": "3", "hide": "dog\ncat",
        "off": "boxes,masks",
    }  # fmt: skip
    return ["&".join(f"{key}={quote(value)}" for key, value in query.items()).encode()]


def _mutated_link(random: Random, seeds: Sequence[bytes]) -> bytes:
    data = mutated_bytes(random, seeds)
    parts = data.split(b"&")
    at = random.randrange(len(parts))
    text = str(random_value(random))[:5000]
    parts[at] = parts[at].partition(b"=")[0] + b"=" + quote(text, errors="surrogatepass").encode()
    return b"&".join(parts)


def _read_link(data: bytes, folder: Path) -> object:
    query = dict(parse_qsl(data.decode("latin-1")))
    settings = settings_from_link(query)
    check_sendable(settings)
    CompareSettings.from_client(settings)
    require(len(link_models(query)) <= 4, "a link names too many models")
    return settings


MESSAGES = Reader(_seeds, _mutate, _read)
LINKS = Reader(_link_seeds, _mutated_link, _read_link)
