"""Measures a visitor's waiting times: the server's start, the first result on screen, and the result of each uploaded image."""

from __future__ import annotations

import argparse
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.browser_redraw import ARGUMENTS
from benchmarks.common import find_chromium, machine_facts, markdown_table, median_and_range
from benchmarks.drawing import make_scene
from detection_core.engine import LocalEngine
from detection_core.images.reading import encode_jpeg, read_image
from detection_core.models.catalog import COCO_MODEL, get_model_spec
from detection_core.ui.detect.view import view_payload
from detection_core.ui.shared.examples import EXAMPLE_PATHS
from detection_core.visualization import annotate

ROOT = Path(__file__).resolve().parent.parent
# The example with which the page opens; its model is COCO_MODEL.
EXAMPLE = EXAMPLE_PATHS[0]
SIZES = ((640, 480), (1920, 1080))
WARM_UPS = 2
PATIENCE = 120
# The view's line of times: "network 55 ms · draw 12 ms".
TIMING = re.compile(r"(\w+) ([\d.]+) (ms|s)")

# Runs in the page: waits until the view shows the named image with its result, and returns when that was painted, in ms since the
# upload or, before any upload, since navigation began.
WHEN_ON_SCREEN = """async ([name, patience]) => {
  const root = () => document.querySelector(".dv");
  const image = () => root()?.querySelector("img");
  const isReady = () => image()?.src.includes(name) && image().complete && image().naturalWidth > 0
    && !root().classList.contains("dv-without-result");
  while (!isReady()) {
    if (performance.now() - (window.given ?? 0) > 1000 * patience) throw new Error(`no result of ${name} on screen`);
    await new Promise(requestAnimationFrame);
  }
  // A message posted in a frame is delivered after its style, layout and paint.
  await new Promise((painted) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = painted;
    channel.port2.postMessage(null);
  }));
  const total = performance.now() - (window.given ?? 0);
  const requests = performance.getEntriesByType("resource").filter((entry) => entry.startTime > window.given);
  const upload = requests.find((entry) => entry.name.includes("/upload?"));
  return {
    total,
    uploaded: upload ? upload.responseEnd - window.given : 0,
    timings: root().querySelector(".dv-timings").textContent,
    objects: root().querySelectorAll("tbody tr:not([hidden])").length,
  };
}"""
NOTE_WHEN_GIVEN = """() => document.addEventListener("change", (event) => {
  if (event.target.type === "file") window.given = performance.now();
}, true)"""


@cache
def example_image(size: tuple[int, int]) -> Image.Image:
    """Returns the example, stretched to (width, height)."""
    with Image.open(EXAMPLE) as opened:
        return opened.convert("RGB").resize(size, Image.Resampling.BICUBIC)


def new_image(size: tuple[int, int], number: int) -> bytes:
    """Makes a JPEG that is not cached yet: each has another black block of 8×8 pixels."""
    image = example_image(size).copy()
    image.paste((0, 0, 0), (8 * number, 0, 8 * number + 8, 8))
    return encode_jpeg(image)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def started_app() -> Iterator[tuple[str, float]]:
    """Starts the app as in production; yields its address and the time of the start."""
    port = free_port()
    begun = time.perf_counter()
    command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/", begun
    finally:
        process.terminate()
        process.wait()


def wait_for_answer(address: str) -> None:
    deadline = time.perf_counter() + PATIENCE
    while time.perf_counter() < deadline:
        try:
            with urllib.request.urlopen(address) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.01)
    raise TimeoutError(f"the app did not answer within {PATIENCE} s")


def open_page(browser: Browser, address: str) -> tuple[Page, float]:
    """Opens a new visitor's page without a cache; returns it and the ms from navigation until the example's result was on screen."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.goto(address, wait_until="commit", timeout=1000 * PATIENCE)
    seen = page.evaluate(WHEN_ON_SCREEN, [EXAMPLE.stem, PATIENCE])
    return page, seen["total"]


def give(page: Page, name: str, content: bytes) -> dict[str, float]:
    """Uploads a file as a visitor does; returns the ms until its result is on screen, and the times of the steps."""
    page.locator("button[aria-label='Clear'], button[aria-label='Remove Image']").first.click()
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "image/jpeg", "buffer": content})
    seen: dict[str, Any] = page.evaluate(WHEN_ON_SCREEN, [name, PATIENCE])
    steps = {step: float(value) * (1000 if unit == "s" else 1) for step, value, unit in TIMING.findall(seen["timings"])}
    return {
        "total": seen["total"],
        "upload": seen["uploaded"],
        "network": steps["network"],
        "draw": steps["draw"],
        "objects": seen["objects"],
    }


def measure_page(starts: int, images: int) -> str:
    times: dict[str, list[float]] = defaultdict(list)
    given: dict[tuple[int, int], list[dict[str, float]]] = {size: [] for size in SIZES}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        for start in range(starts):
            with started_app() as (address, begun):
                wait_for_answer(address)
                times["answer"].append(1000 * (time.perf_counter() - begun))
                _, shown = open_page(browser, address)
                times["first"].append(shown)
                times["start to result"].append(1000 * (time.perf_counter() - begun))
                page, shown = open_page(browser, address)
                times["later"].append(shown)
                if start == starts - 1:
                    page.evaluate(NOTE_WHEN_GIVEN)
                    for number in range(WARM_UPS + images):
                        for size in SIZES:
                            record = give(page, f"image-{size[0]}-{number}.jpg", new_image(size, number))
                            given[size] += [record] * (number >= WARM_UPS)
        browser.close()
    opening = {
        "process start → first answer of `/`": "answer",
        "process start → example's result on screen": "start to result",
        "first visitor: navigation → example's result on screen": "first",
        "later visitor, nothing cached: the same": "later",
    }
    start_table = markdown_table(
        ["the start, ms", "median (range)", "n"], [[text, median_and_range(times[key]), str(starts)] for text, key in opening.items()]
    )
    rows = []
    for (width, height), records in given.items():
        steps = {key: [record[key] for record in records] for key in ("total", "upload", "network", "draw")}
        steps["rest"] = [total - sum(parts) for total, *parts in zip(*steps.values(), strict=True)]
        found = f"{statistics.median(record['objects'] for record in records):.0f}"
        rows.append([f"{width}×{height}", *map(median_and_range, steps.values()), found, str(len(records))])
    header = [
        "file given → result on screen, ms",
        "median (range)",
        "upload",
        "network",
        "drawing script",
        "all the rest",
        "objects shown",
        "n",
    ]
    return f"{start_table}\n\n{markdown_table(header, rows)}"


def measure_server(images: int) -> str:
    """Measures the same work without page, browser and transport, also on images that are not cached."""
    engine = LocalEngine()
    spec = get_model_spec(COCO_MODEL)
    rows = []
    for size in SIZES:
        steps: dict[str, list[float]] = defaultdict(list)
        for number in range(WARM_UPS + images):
            content = new_image(size, number)
            moments = [time.perf_counter()]
            loaded = read_image(content)
            moments.append(time.perf_counter())
            result = engine.submit(loaded, spec).result()
            moments.append(time.perf_counter())
            view_payload(result.detections, EXAMPLE, title=spec.title, threshold=spec.default_threshold, floor=spec.min_score)
            moments.append(time.perf_counter())
            if number >= WARM_UPS:
                parts = [1000 * (end - begin) for begin, end in pairwise(moments)]
                for name, value in zip(("read", "detect", "payload"), parts, strict=True):
                    steps[name].append(value)
                steps["together"].append(sum(parts))
        columns = [median_and_range(steps[name], 1) for name in ("read", "detect", "payload", "together")]
        rows.append([f"{size[0]}×{size[1]}", *columns, str(images)])
    engine.close()
    return markdown_table(["server alone, ms", "read_image", "engine", "view_payload", "together", "n"], rows)


def measure_download(rounds: int) -> str:
    width, height = SIZES[1]
    _, detections = make_scene(100, (height, width))
    drawing, encoding = [], []
    for number in range(1 + rounds):
        begin = time.perf_counter()
        image = annotate(example_image(SIZES[1]), detections)
        middle = time.perf_counter()
        encode_jpeg(image)
        if number:
            drawing.append(1000 * (middle - begin))
            encoding.append(1000 * (time.perf_counter() - middle))
    both = [sum(pair) for pair in zip(drawing, encoding, strict=True)]
    figures = [median_and_range(values, 1) for values in (drawing, encoding, both)]
    header = ["drawing on the server, ms", "annotate", "encode_jpeg", "together", "n"]
    return markdown_table(header, [[f"100 masks, {width}×{height}", *figures, str(rounds)]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=3, help="number of starts of the app (default 3)")
    parser.add_argument("--images", type=int, default=9, help="number of images of each size (default 9)")
    args = parser.parse_args()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    print(f"{machine_facts(torch.get_num_threads())}\n")
    print(f"{measure_page(args.starts, args.images)}\n\n{measure_server(args.images)}\n\n{measure_download(args.images)}")


if __name__ == "__main__":
    main()
