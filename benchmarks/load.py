"""Sends mixed requests of many simulated visitors to a server on this machine, and reports lost, crossed and slow responses, and growth.

Each visitor's image has a size that no other visitor's has, and its detections are determined before the run; a response with another size
or other detections is crossed. Every image sent is new to the server, so that no result comes from its memory. With `--break-off`, every
third request is broken off in the middle: half of an upload is sent, or the connection is closed before the response. The visitor then
sends it again, except where the connection was to the results of a job, which are gone with it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from benchmarks.common import machine_facts, markdown_table
from detection_core.models.catalog import ASSETS, COCO_MODEL, PERSON_MODEL

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ("grace_hopper.jpg", "chelsea.jpg", "astronaut.jpg")
BUSY = re.compile(r"busy|waiting already|queue is full|Too many", re.IGNORECASE)
SUSPICIOUS = re.compile(r"Traceback|ERROR|CRITICAL|Exception")
FORMATS = ("json", "coco", "csv", "png")
# Seconds: longest wait for a response; longest pause of a visitor between two actions.
PATIENCE, LONGEST_PAUSE = 60.0, 2.0
WARM_UP = 0.2


class Busy(Exception):
    """The server has said that it is busy."""


class Lost(Exception):
    """There was no response, or an error."""


class Crossed(Exception):
    """The response is another visitor's, or wrong."""


class BrokenOff(Exception):
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
            rows.append([action, str(len(times)), p50, p95, *(str(failed[kind.__name__]) for kind in (Busy, BrokenOff, Lost, Crossed))])
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
        self._image, self.size = picture(number)
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
                except Busy:
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
                except (Busy, Lost, Crossed, BrokenOff) as failure:
                    tally.failed[action][type(failure).__name__] += 1
                    if not isinstance(failure, Busy | BrokenOff):
                        tally.reasons[f"{action}: {type(failure).__name__.lower()}: {str(failure)[:200]}"] += 1
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
            raise Lost(f"the event stream ended early: {stream[-100:]}")
        kind, content = said[-1]
        if kind == "error":
            raise (Busy if BUSY.search(content) else Lost)(content)
        return json.loads(content)

    async def _send(self, method: str, path: str, **content: Any) -> httpx.Response:
        self._requests += 1
        request = self._client.build_request(method, path, **content)
        try:
            if self._break_off and self._requests % 3 == 0:
                self.broken_off += 1
                await self._send_half(request)
                if "/call/" in path:
                    raise BrokenOff
            response = await self._client.send(request)
        except httpx.HTTPError as error:
            raise Lost(f"{type(error).__name__} {error}") from error
        if response.status_code in (429, 503):
            raise Busy(response.text)
        if not response.is_success:
            raise Lost(f"{response.status_code} {response.text}")
        return response

    async def _send_half(self, request: httpx.Request) -> None:
        body = request.read()
        with suppress(TimeoutError, BrokenOff):
            if len(body) > 10_000 and random.random() < 0.5:
                half = httpx.Request(request.method, request.url, headers=request.headers, content=_half(body))
                await self._client.send(half)
            await asyncio.wait_for(self._client.send(request), random.uniform(0.001, 0.2))


async def _half(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    await asyncio.sleep(0.01)
    raise BrokenOff


ACTIONS: dict[str, Callable[[Visitor], Awaitable[None]]] = {
    "page": Visitor.page,
    "detect": Visitor.detect,
    "compare": Visitor.compare,
    "live": Visitor.live,
    "export": Visitor.export,
}


def picture(number: int) -> tuple[bytes, tuple[int, int]]:
    """A JPEG of an example in a size that belongs to one number, and the size."""
    size = 400 + 2 * number, 300 + number
    file = io.BytesIO()
    with Image.open(ASSETS / "examples" / EXAMPLES[number % len(EXAMPLES)]) as example:
        example.convert("RGB").resize(size).save(file, "JPEG", quality=85)
    return file.getvalue(), size


def check(is_right: bool, otherwise: str) -> None:
    """Raises `Crossed` unless a response is right."""
    if not is_right:
        raise Crossed(otherwise)


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> bool:
    """Whether two lists of objects agree except for rounding."""
    return len(found) == len(expected) and all(
        one["label"] == other["label"] and all(abs(a - b) < 0.5 for a, b in zip(one["box"], other["box"], strict=True))
        for one, other in zip(found, expected, strict=True)
    )


@contextmanager
def server(folder: Path) -> Iterator[tuple[str, int, Path]]:
    """A server in a process of its own: its address, its process, and its log."""
    log = folder / "log"
    uploads = folder / "uploads"
    environment = os.environ | {"GRADIO_TEMP_DIR": str(uploads), "TMPDIR": str(folder), "DETECTION_EXPLORER_KEEP_UPLOADS_SECONDS": "60"}
    with log.open("w") as output:
        command = [sys.executable, "app.py", "--port", "0"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            while not (ready := re.search(r"The page is ready: (http\S+)", log.read_text())):
                if process.poll() is not None:
                    raise SystemExit(f"The server has ended:\n{log.read_text()}")
                time.sleep(0.2)
            yield f"{ready[1]}/", process.pid, log
        finally:
            process.terminate()
            process.wait()


def resources(process: int, folder: Path) -> list[str]:
    """Memory, files and threads of a process (Linux only), and the size of its folder."""
    status = dict(re.findall(r"^(\w+):\s+(\d+)", Path(f"/proc/{process}/status").read_text(), re.MULTILINE))
    files = [path for path in (folder / "uploads").rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    return [f"{int(status['VmRSS']) / 1024:.0f}", str(len(os.listdir(f"/proc/{process}/fd"))), status["Threads"], f"{size / 2**20:.1f}"]


async def run(args: argparse.Namespace, url: str, sample: Callable[[str], None]) -> Tally:
    """Has the visitors come, act and leave."""
    tally = Tally()
    visitors = [Visitor(number, url, args.break_off) for number in range(args.visitors)]
    for visitor in visitors:
        await visitor.prepare()
    sample("visitors' images known")
    end = time.monotonic() + args.seconds
    visits = [asyncio.create_task(visitor.visit(end, tally)) for visitor in visitors]
    for share in (WARM_UP, 0.6, 1.0):
        await asyncio.sleep(max(0, end - args.seconds * (1 - share) - time.monotonic()))
        sample(f"{args.seconds * share:.0f} s")
    await asyncio.gather(*visits)
    tally.broken_off = sum(visitor.broken_off for visitor in visitors)
    await asyncio.sleep(args.rest)
    sample("all have gone")
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--visitors", type=int, default=50, help="simultaneous visitors (default 50)")
    parser.add_argument("--seconds", type=float, default=300, help="how long they act (default 300)")
    parser.add_argument("--rest", type=float, default=20, help="seconds until the last sample of memory (default 20)")
    parser.add_argument("--break-off", action="store_true", help="break off every third request in the middle")
    parser.add_argument("--url", help="a running server; without it, one is started")
    args = parser.parse_args()
    print(f"{machine_facts(0)}\n")
    rows: list[list[str]] = []
    suspicious: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        if args.url:
            tally = asyncio.run(run(args, args.url.rstrip("/") + "/", lambda _: None))
        else:
            folder = Path(name)
            with server(folder) as (url, process, log):
                rows.append(["server ready", *resources(process, folder)])
                tally = asyncio.run(run(args, url, lambda when: rows.append([when, *resources(process, folder)])))
                suspicious = [line for line in log.read_text().splitlines() if SUSPICIOUS.search(line)]
    print(f"{args.visitors} visitors for {args.seconds:.0f} seconds; {tally.broken_off} requests broken off.\n")
    print(tally.table(), "\n")
    if rows:
        print(markdown_table(["server", "memory, MB", "open files", "threads", "uploads, MB"], rows), "\n")
        print(f"{len(suspicious)} errors in the server's log.", *suspicious[:10], sep="\n")
    for reason, count in tally.reasons.most_common(20):
        print(f"{count} × {reason}")
    if suspicious or tally.count(Lost) or tally.count(Crossed):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
