"""One simulated visitor of the load test: requests to Gradio's endpoints, the HTTP API and the page, and checks of the responses."""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from PIL import Image

from benchmarks.common import markdown_table
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL

EXAMPLES = ("grace_hopper.jpg", "chelsea.jpg", "astronaut.jpg")
BUSY = re.compile(r"busy|waiting already|queue is full|Too many", re.IGNORECASE)
FORMATS = ("json", "coco", "csv", "png")
# Seconds: longest wait for a response; longest pause of a visitor between two actions.
PATIENCE, LONGEST_PAUSE = 60.0, 2.0


class BusyError(Exception):
    """The server has said that it is busy."""


class LostError(Exception):
    """There was no response, or an error."""


class CrossedError(Exception):
    """The response is another visitor's, or wrong."""


class BrokenOffError(Exception):
    """The visitor has broken the request off."""


@dataclass
class Tally:
    """What has become of all actions."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    reasons: Counter[str] = field(default_factory=Counter)
    broken_off: int = 0

    def table(self) -> str:
        """Counts and times by action."""
        rows = []
        for action in ACTIONS:
            times, failed = sorted(self.seconds[action]), self.failed[action]
            p50, p95 = (f"{times[min(int(len(times) * share), len(times) - 1)]:.2f}" if times else "" for share in (0.5, 0.95))
            endings = (str(failed[kind.__name__]) for kind in (BusyError, BrokenOffError, LostError, CrossedError))
            rows.append([action, str(len(times)), p50, p95, *endings])
        return markdown_table(["action", "done", "p50, s", "p95, s", "busy", "broken off", "lost", "crossed"], rows)

    def count(self, kind: type[Exception]) -> int:
        """How many actions have ended that way."""
        return sum(failed[kind.__name__] for failed in self.failed.values())


class Visitor:
    """One visitor with a connection, an image and its known detections.

    Args:
        number: Distinguishes visitors, and the sizes of their images.
        url: The server's address.
        break_off: Whether every third request is broken off.
    """

    def __init__(self, number: int, url: str, break_off: bool) -> None:
        self._break_off = break_off
        self._requests = number
        self.broken_off = 0
        self._image, self.size = marked_image(number)
        self._expected: dict[str, Any] = {}
        self._marker = f"visitor-{number}-"
        # The HTTP API tells visitors apart by their addresses, of which a machine has many.
        own = f"127.0.{1 + number // 200}.{1 + number % 200}" if sys.platform == "linux" and "127.0.0.1" in url else None
        transport = httpx.AsyncHTTPTransport(local_address=own, limits=httpx.Limits(max_connections=6))
        self._client = httpx.AsyncClient(base_url=url, transport=transport, timeout=PATIENCE)

    async def prepare(self) -> None:
        """Determines the detections that all responses have to have."""
        breaking, self._break_off = self._break_off, False
        for model in (COCO_MODEL, PERSON_MODEL):
            while True:
                try:
                    self._expected[model] = (await self._export(model, "json")).json()["objects"]
                    break
                except BusyError:
                    await asyncio.sleep(0.5)
        self._break_off = breaking

    async def visit(self, end: float, tally: Tally) -> None:
        """Does one action after the other until a time."""
        try:
            while time.monotonic() < end:
                action = random.choice(list(ACTIONS))
                started = time.perf_counter()
                try:
                    await ACTIONS[action](self)
                except (BusyError, LostError, CrossedError, BrokenOffError) as failure:
                    tally.failed[action][type(failure).__name__] += 1
                    if not isinstance(failure, BusyError | BrokenOffError):
                        tally.reasons[f"{action}: {type(failure).__name__}: {str(failure)[:200]}"] += 1
                else:
                    tally.seconds[action].append(time.perf_counter() - started)
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))
        finally:
            await self._client.aclose()

    async def page(self) -> None:
        """Loads the page, its configuration and the modules that it names."""
        page = (await self._send("GET", "")).text
        modules = sorted(set(re.findall(r"gradio_api/explorer/[\w/.-]+?\.js", page)))
        check(len(modules) > 3, "the page names no modules")
        await asyncio.gather(*(self._send("GET", module) for module in modules))

    async def detect(self) -> None:
        """Detects objects in an upload by Gradio's endpoint, and downloads the annotated image."""
        model = random.choice((COCO_MODEL, PERSON_MODEL))
        found, annotated = await self._call("detect", await self._upload(), model, None)
        self._check(found, self._expected[model])
        file = await self._send("GET", f"gradio_api/file={annotated['path']}")
        check(Image.open(io.BytesIO(file.content)).size == self.size, "the annotated image has another size")

    async def compare(self) -> None:
        """Compares both built-in models by Gradio's endpoint."""
        report, _ = await self._call("compare", await self._upload(), [COCO_MODEL, PERSON_MODEL], None, None)
        check(report["image"].startswith(self._marker), f"the image is called {report['image']}")
        for entry in report["models"]:
            check(same(entry["objects"], self._expected[entry["name"]]), "a model found other objects")

    async def live(self) -> None:
        """Sends four frames of a stream by Gradio's endpoint."""
        stream, tracks = "", set()
        for _ in range(4):
            frame = await self._call("live", await self._upload(), PERSON_MODEL, 0.5, stream)
            check(stream in ("", frame[0]["stream"]), "another stream")
            check((frame[0]["width"], frame[0]["height"]) == self.size, "the frame has another size")
            stream = frame[0]["stream"]
            tracks |= {each["track"] for each in frame[0]["objects"] if each["track"]}
        most = sum(each["score"] >= 0.5 for each in self._expected[PERSON_MODEL])
        check(len(tracks) <= most, f"{len(tracks)} tracks of {most} objects")

    async def export(self) -> None:
        """Gets results as a file by the HTTP API."""
        model, form = random.choice((COCO_MODEL, PERSON_MODEL)), random.choice(FORMATS)
        response = await self._export(model, form)
        expected = self._expected[model]
        if form == "png":
            check(Image.open(io.BytesIO(response.content)).size == self.size, "the image has another size")
        elif form == "json":
            self._check(response.json(), expected)
        else:
            count = len(response.json()) if form == "coco" else len(response.text.strip().splitlines()) - 1
            check(count == len(expected), f"{count} objects instead of {len(expected)}")

    def _check(self, found: dict[str, Any], expected: Any) -> None:
        check((found["width"], found["height"]) == self.size, f"size {found['width']}×{found['height']} instead of {self.size}")
        check(found["file_name"].startswith(self._marker) if "file_name" in found else True, "another file")
        check(same(found["objects"], expected), "other objects")

    def _new_file(self) -> dict[str, Any]:
        """The image with a comment that makes it a new file with the same pixels."""
        name = f"{self._marker}{uuid.uuid4().hex}"
        comment = b"\xff\xfe" + (len(name) + 2).to_bytes(2, "big") + name.encode()
        return {"content": (f"{name}.jpg", self._image[:2] + comment + self._image[2:], "image/jpeg")}

    async def _upload(self) -> dict[str, Any]:
        files = {"files": self._new_file()["content"]}
        (path,) = (await self._send("POST", "gradio_api/upload", files=files)).json()
        return {"path": path, "meta": {"_type": "gradio.FileData"}}

    async def _export(self, model: str, form: str) -> httpx.Response:
        files = {"image": self._new_file()["content"]}
        return await self._send("POST", f"api/v1/detect?model={model}&format={form}", files=files)

    async def _call(self, endpoint: str, *data: Any) -> Any:
        event = (await self._send("POST", f"gradio_api/call/{endpoint}", json={"data": data})).json()["event_id"]
        stream = (await self._send("GET", f"gradio_api/call/{endpoint}/{event}")).text
        said = re.findall(r"^event: (complete|error)\ndata: (.*)$", stream, re.MULTILINE)
        if not said:
            raise LostError(f"the event stream ended early: {stream[-100:]}")
        kind, content = said[-1]
        if kind == "error":
            raise (BusyError if BUSY.search(content) else LostError)(content)
        return json.loads(content)

    async def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        self._requests += 1
        request = self._client.build_request(method, path, **content)
        try:
            if self._break_off and self._requests % 3 == 0:
                self.broken_off += 1
                await self._send_half(request)
                if "/call/" in path:
                    raise BrokenOffError
            response = await self._client.send(request)
        except httpx.HTTPError as error:
            raise LostError(f"{type(error).__name__} {error}") from error
        if response.status_code in (429, 503):
            raise BusyError(response.text)
        if not response.is_success:
            raise LostError(f"{response.status_code} {response.text}")
        return response

    async def _send_half(self, request: httpx.Request) -> None:
        body = request.read()
        with suppress(TimeoutError, BrokenOffError):
            if len(body) > 10_000 and random.random() < 0.5:
                half = httpx.Request(request.method, request.url, headers=request.headers, content=_half(body))
                await self._client.send(half)
            await asyncio.wait_for(self._client.send(request), random.uniform(0.001, 0.2))


async def _half(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    await asyncio.sleep(0.01)
    raise BrokenOffError


ACTIONS: dict[str, Callable[[Visitor], Awaitable[None]]] = {
    "page": Visitor.page,
    "detect": Visitor.detect,
    "compare": Visitor.compare,
    "live": Visitor.live,
    "export": Visitor.export,
}


def marked_image(number: int) -> tuple[bytes, tuple[int, int]]:
    """A JPEG of an example in a size that belongs to one number, and the size."""
    size = 400 + 2 * number, 300 + number
    file = io.BytesIO()
    with Image.open(ASSETS / "examples" / EXAMPLES[number % len(EXAMPLES)]) as example:
        example.convert("RGB").resize(size).save(file, "JPEG", quality=85)
    return file.getvalue(), size


def check(is_right: bool, otherwise: str) -> None:
    """Raises `CrossedError` unless a response is right."""
    if not is_right:
        raise CrossedError(otherwise)


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether two lists of objects agree except for rounding."""
    return len(found) == len(expected) and all(
        one["label"] == other["label"] and all(abs(a - b) < 0.5 for a, b in zip(one["box"], other["box"], strict=True))
        for one, other in zip(found, expected, strict=True)
    )
