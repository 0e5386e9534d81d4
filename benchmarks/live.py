"""Compares the camera view with Gradio's stream and the model alone: detections a second, delay to the overlay, many visitors, memory.

The camera is Chromium's fake one, which plays an example image panned; a strip at the bottom encodes each image's number, from which the
plain stream's delay can be read.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import itertools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageOps
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.browser_redraw import ARGUMENTS
from benchmarks.common import find_chromium, machine_facts, markdown_table
from benchmarks.page import ROOT, free_port, wait_for_answer
from detection_core.detections import Detections
from detection_core.engine import Engine, Job, LocalEngine, Result
from detection_core.images.reading import LoadedImage, encode_jpeg
from detection_core.models.catalog import ASSETS, PERSON_MODEL, ModelSpec, get_model_spec
from detection_core.models.detector import Timings
from detection_core.ui.live.frames import detect_in_frame
from detection_core.ui.live.streams import LiveStreams

SIZE = (640, 480)
IMAGES = 300
BITS, BLOCK = 10, 40
CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
STEADY_MS = 4000

# Runs in the plain stream's page: records when each camera image was first seen, and the age of each returned image.
RECORDER = """([bits, block]) => {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const numberOf = (source, width, height) => {
    Object.assign(canvas, { width, height });
    pen.drawImage(source, 0, 0);
    let number = 0;
    for (let bit = 0; bit < bits; bit++) {
      const [red] = pen.getImageData((bit + 0.5) * block, height - block / 2, 1, 1).data;
      if (red > 127) number += 2 ** bit;
    }
    return number;
  };
  const seen = new Map();
  const record = (window.record = { ages: [], times: [] });
  const video = document.querySelector("video");
  const next = (now) => {
    seen.set(numberOf(video, video.videoWidth, video.videoHeight), now);
    video.requestVideoFrameCallback(next);
  };
  video.requestVideoFrameCallback(next);
  let last = "";
  const look = () => {
    const image = document.querySelector("#out img[src*='/file=']");
    if (image && image.complete && image.naturalWidth && image.src !== last) {
      last = image.src;
      const taken = seen.get(numberOf(image, image.naturalWidth, image.naturalHeight));
      if (taken) record.ages.push(performance.now() - taken);
      record.times.push(performance.now());
    }
    requestAnimationFrame(look);
  };
  look();
}"""


@cache
def make_images() -> list[bytes]:
    """Makes JPEGs of the panned example image, each with its number in a strip of black and white blocks."""
    with Image.open(ASSETS / "examples" / "astronaut.jpg") as opened:
        image = ImageOps.contain(opened.convert("RGB"), (900, 900))
    shown = []
    for number in range(IMAGES):
        phase = (1 - np.cos(2 * np.pi * number / IMAGES)) / 2
        x, y = ((large - small) * phase for large, small in zip(image.size, SIZE, strict=True))
        part = image.crop((int(x), int(y), int(x) + SIZE[0], int(y) + SIZE[1]))
        pen = ImageDraw.Draw(part)
        for bit in range(BITS):
            corner = (bit * BLOCK, SIZE[1] - BLOCK)
            pen.rectangle((*corner, corner[0] + BLOCK, SIZE[1]), fill="white" if number >> bit & 1 else "black")
        shown.append(encode_jpeg(part))
    return shown


@contextmanager
def browser_with_camera() -> Iterator[Browser]:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        film = Path(folder) / "camera.mjpeg"
        film.write_bytes(b"".join(make_images()))
        arguments = [*ARGUMENTS, *CAMERA, f"--use-file-for-fake-video-capture={film}"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        yield browser
        browser.close()


@contextmanager
def served(*command: str) -> Iterator[tuple[str, int, Path]]:
    """Starts a server; yields its address, its process, and Gradio's folder for files."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"GRADIO_TEMP_DIR": folder}
        process = subprocess.Popen([sys.executable, *command, "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL, env=environment)
        try:
            address = f"http://127.0.0.1:{port}/"
            wait_for_answer(address)
            yield address, process.pid, Path(folder)
        finally:
            process.terminate()
            process.wait()


def files_in(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def resident_bytes(pid: int | str = "self") -> int:
    """Returns the resident memory of a process; Linux only."""
    found = re.search(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


def open_camera_view(browser: Browser, address: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(address)
    page.get_by_role("tab", name="Live").click()
    page.get_by_role("button", name="Start the camera").click()
    page.wait_for_function("() => [...document.querySelectorAll('*')].some((node) => node.liveStats?.answers > 3)", timeout=60_000)
    page.evaluate("() => { window.stats = [...document.querySelectorAll('*')].find((node) => node.liveStats).liveStats; }")
    return page


def watch(page: Page, seconds: float) -> dict[str, Any]:
    """Records the camera view's statistics over some seconds."""
    before = page.evaluate("() => { stats.latencies.length = 0; stats.modelMs.length = 0; return stats.answers; }")
    begun = time.perf_counter()
    page.wait_for_timeout(1000 * seconds)
    told: dict[str, Any] = page.evaluate("() => ({ answers: stats.answers, latencies: [...stats.latencies], model: [...stats.modelMs] })")
    return told | {"rate": (told["answers"] - before) / (time.perf_counter() - begun)}


def percentiles(values: list[float]) -> str:
    return f"{np.percentile(values, 50):.0f} / {np.percentile(values, 95):.0f}" if values else "–"


def measure_streams(browser: Browser, rounds: int, seconds: float) -> str:
    """Measures our view and Gradio's stream alternately, each with its own server that runs only in its turn."""
    rates: dict[str, list[float]] = defaultdict(list)
    ages: dict[str, list[float]] = defaultdict(list)
    model: list[float] = []
    files: dict[str, int] = {}
    for _ in range(rounds):
        with served("app.py") as (address, _, folder):
            page = open_camera_view(browser, address)
            page.wait_for_timeout(STEADY_MS)
            before = files_in(folder)
            told = watch(page, seconds)
            files["view"] = files_in(folder) - before
            rates["view"].append(told["rate"])
            ages["view"] += told["latencies"]
            model += told["model"]
            page.context.close()
        with served("-m", "benchmarks.live", "--serve-plain") as (address, _, folder):
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(address)
            page.get_by_role("button", name="Click to Access Webcam").click()
            page.get_by_role("button", name="capture image").click()
            page.wait_for_selector("#out img[src*='/file=']", timeout=60_000)
            page.evaluate(RECORDER, [BITS, BLOCK])
            page.wait_for_timeout(STEADY_MS)
            before = files_in(folder)
            page.evaluate("() => { record.ages.length = record.times.length = 0; }")
            page.wait_for_timeout(1000 * seconds)
            files["plain"] = files_in(folder) - before
            rates["plain"].append(page.evaluate("() => record.times.length") / seconds)
            ages["plain"] += page.evaluate("() => record.ages")
            page.context.close()
    rows = [
        ["camera view", f"{statistics.median(rates['view']):.1f}", percentiles(ages["view"]), str(files["view"])],
        ["gr.Image stream in, gr.Image out", f"{statistics.median(rates['plain']):.1f}", percentiles(ages["plain"]), str(files["plain"])],
        ["the model in the camera view", "", percentiles(model), ""],
    ]
    return markdown_table([f"one visitor, {SIZE[0]}×{SIZE[1]}", "a second", "p50 / p95, ms", "files in a round"], rows)


def measure_pages(browser: Browser, visitors: int, seconds: float) -> str:
    """Measures several real pages at once; the browser uses some of the cores, too."""
    with served("app.py") as (address, *_):
        pages = [open_camera_view(browser, address) for _ in range(visitors)]
        before = [page.evaluate("() => stats.answers") for page in pages]
        pages[0].wait_for_timeout(1000 * seconds)
        rates = [(page.evaluate("() => stats.answers") - start) / seconds for page, start in zip(pages, before, strict=True)]
        for page in pages:
            page.context.close()
    return f"{visitors} pages at once: {', '.join(f'{rate:.1f}' for rate in rates)} detections a second"


def measure_soak(browser: Browser, minutes: int) -> str:
    """Measures whether anything accumulates: the delay in each minute, the server's memory and its files."""
    rows = []
    with served("app.py") as (address, pid, folder):
        page = open_camera_view(browser, address)
        for minute in range(1, minutes + 1):
            told = watch(page, 60)
            memory = f"{resident_bytes(pid) / 2**20:.0f}"
            rows.append([f"minute {minute}", f"{told['rate']:.1f}", percentiles(told["latencies"]), memory, str(files_in(folder))])
        page.context.close()
    return markdown_table(["one visitor for long", "a second", "p50 / p95, ms", "server, MB", "files"], rows)


class Constant:
    """An engine whose network takes no time and always finds the same objects, so that only our own code is measured."""

    def submit(self, image: LoadedImage, spec: ModelSpec, *, visitor: str = "", keep: bool = True, **_: Any) -> Job:
        """Returns a finished job."""
        job = Job(spec, visitor)
        height, width = image.image.height, image.image.width
        box, label, score = np.array([[50, 50, 250, 400]], np.float32), np.array([1]), np.array([0.9], np.float32)
        found = Detections(box, label, score, (height, width), spec.categories)
        job.future.set_result(Result(found, Timings(), spec))
        return job

    def jobs_of_others(self, visitor: str) -> int:
        """Returns 0: there are no other jobs."""
        return 0


async def send_frames(engine: Engine, streams: LiveStreams, visitor: str, wanted: Callable[[int], bool]) -> int:
    """Acts as a visitor without a browser, who sends a frame after each response; returns the number of frames."""
    stream = streams.begin(visitor, get_model_spec(PERSON_MODEL))
    frames = [base64.b64encode(image).decode() for image in make_images()[::10]]
    for number in itertools.count():
        if not wanted(number):
            streams.remove(stream.token)
            return number
        sent = {"stream": stream.token, "id": number, "image": frames[number % len(frames)]}
        sent |= {"time": 1000 * time.perf_counter(), "threshold": 0.5}
        answer = await detect_in_frame(sent, engine, streams)
        while "status" in answer:
            answer = await detect_in_frame({"stream": stream.token, "id": number}, engine, streams)
        if "result" not in answer:
            raise RuntimeError(f"no result: {answer}")
    raise AssertionError


def measure_visitors(counts: list[int], seconds: float) -> str:
    """Measures the server alone: visitors without browsers, each with one frame in flight."""
    engine = LocalEngine()
    rows = []

    async def together(count: int) -> list[int]:
        until = time.perf_counter() + seconds
        streams = LiveStreams(most=12)
        return await asyncio.gather(
            *(send_frames(engine, streams, f"visitor {who}", lambda _: time.perf_counter() < until) for who in range(count))
        )

    asyncio.run(together(1))
    for count in counts:
        rates = [answers / seconds for answers in asyncio.run(together(count))]
        each = ", ".join(f"{rate:.1f}" for rate in sorted(rates, reverse=True))
        rows.append([str(count), each, f"{sum(rates):.1f}"])
    engine.close()
    return markdown_table(["visitors without browsers", "detections a second, each", "together"], rows)


def measure_memory(frames: int) -> str:
    """Measures the server's memory after a tenth of the frames and after all, with a network that takes no time."""
    held = []
    streams = LiveStreams(most=12)
    for share in (0.1, 0.9):
        asyncio.run(send_frames(Constant(), streams, "visitor", lambda number, last=int(share * frames): number < last))  # type: ignore[arg-type, misc]
        gc.collect()
        held.append(resident_bytes() / 2**20)
    return f"{frames:,} frames with a network that takes no time: {held[0]:.0f} MB after a tenth, {held[1]:.0f} MB after all."


def serve_plain(port: int) -> None:
    """Serves Gradio's documented example: a streaming image in, an image out."""
    import gradio as gr

    from detection_core.models.detector import Detector
    from detection_core.visualization import annotate

    detector = Detector(PERSON_MODEL)
    threshold = get_model_spec(PERSON_MODEL).default_threshold

    def look(image: np.ndarray) -> Image.Image:
        found = detector.detect(image)
        return annotate(image, found[found.scores >= threshold])

    with gr.Blocks(analytics_enabled=False) as blocks:
        camera = gr.Image(sources=["webcam"], streaming=True, webcam_options=gr.WebcamOptions(mirror=False))
        out = gr.Image(elem_id="out")
        camera.stream(look, camera, out, stream_every=0.05, time_limit=3600, concurrency_limit=1)
    blocks.launch(server_port=port, quiet=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="number of turns of the two streams (default 3)")
    parser.add_argument("--seconds", type=float, default=20, help="seconds per measurement (default 20)")
    parser.add_argument("--pages", type=int, nargs="*", default=[2], help="number of simultaneous pages (default 2)")
    parser.add_argument("--soak-minutes", type=int, default=0, help="how long one page runs on (default: not)")
    parser.add_argument("--frames", type=int, default=10_000, help="number of frames of the memory measurement (default 10,000)")
    parser.add_argument("--serve-plain", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    if args.serve_plain:
        serve_plain(args.port)
        return
    print(f"{machine_facts(torch.get_num_threads())}\n", flush=True)
    with browser_with_camera() as browser:
        if args.rounds:
            print(f"{measure_streams(browser, args.rounds, args.seconds)}\n", flush=True)
        for count in args.pages:
            print(f"{measure_pages(browser, count, args.seconds)}\n", flush=True)
        if args.soak_minutes:
            print(f"{measure_soak(browser, args.soak_minutes)}\n", flush=True)
    print(f"{measure_visitors([1, 2, 8], args.seconds)}\n", flush=True)
    print(measure_memory(args.frames))


if __name__ == "__main__":
    main()
