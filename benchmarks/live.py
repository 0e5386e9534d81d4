"""Compares the camera view with Gradio's stream and the model alone: detections a second, delay to the overlay, many visitors, memory.

The camera shows the numbered images of `benchmarks.live_camera`, from which the plain stream's delay is read.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from playwright.sync_api import Browser, Page

from benchmarks.common import machine_facts, markdown_table
from benchmarks.live_camera import BITS, BLOCK, RECORDER, SIZE, browser_with_camera
from benchmarks.live_server import measure_memory, measure_visitors, resident_bytes
from benchmarks.page import ROOT, free_port, wait_for_answer
from detection_core.models.catalog import PERSON_MODEL, get_model_spec

STEADY_MS = 4000


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
    stats: dict[str, Any] = page.evaluate("() => ({ answers: stats.answers, latencies: [...stats.latencies], model: [...stats.modelMs] })")
    return stats | {"rate": (stats["answers"] - before) / (time.perf_counter() - begun)}


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
            stats = watch(page, seconds)
            files["view"] = files_in(folder) - before
            rates["view"].append(stats["rate"])
            ages["view"] += stats["latencies"]
            model += stats["model"]
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
            stats = watch(page, 60)
            memory = f"{resident_bytes(pid) / 2**20:.0f}"
            rows.append([f"minute {minute}", f"{stats['rate']:.1f}", percentiles(stats["latencies"]), memory, str(files_in(folder))])
        page.context.close()
    return markdown_table(["one visitor for long", "a second", "p50 / p95, ms", "server, MB", "files"], rows)


def serve_plain(port: int) -> None:
    """Serves Gradio's documented example: a streaming image in, an image out."""
    import gradio as gr

    from detection_core.models.detector import Detector
    from detection_core.visualization import annotate

    detector = Detector(PERSON_MODEL)
    threshold = get_model_spec(PERSON_MODEL).default_threshold

    def detect(image: np.ndarray) -> Image.Image:
        found = detector.detect(image)
        return annotate(image, found[found.scores >= threshold])

    with gr.Blocks(analytics_enabled=False) as blocks:
        camera = gr.Image(sources=["webcam"], streaming=True, webcam_options=gr.WebcamOptions(mirror=False))
        out = gr.Image(elem_id="out")
        camera.stream(detect, camera, out, stream_every=0.05, time_limit=3600, concurrency_limit=1)
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
