"""Measures how fast the view follows the threshold slider: 100 masks at 1080p, dragged over 60 values in Chromium.

Prints, as median and 95th percentile in ms: the script's own time per redraw, the time from the input event until the browser has
handed the frame to its compositor, and the time between frames during the drag; and the number of requests, which must be 0.

Run: python -m benchmarks.browser_redraw [--chromium PATH]
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from detection_core.detections import Detections

SIZE = (1080, 1920)
OBJECTS = 100
VALUES = 60
# Chromium without a graphics card, as in a container.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]

# Runs in the page: records when each input event came, when its frame was done, and how long the view's script took.
RECORDER = """() => {
  const hook = document.querySelector("#view .dv").parentElement.__detectionView;
  const record = (window.record = { script: [], painted: [], frames: [] });
  const channel = new MessageChannel();
  let waiting = [];
  channel.port1.onmessage = () => {
    record.painted.push(...waiting.map((start) => performance.now() - start));
    waiting = [];
  };
  let redraws = hook.redraws;
  let last = performance.now();
  const eachFrame = () => {
    const now = performance.now();
    record.frames.push(now - last);
    last = now;
    if (hook.redraws !== redraws) record.script.push(hook.lastRedrawMs);
    redraws = hook.redraws;
    // A message posted in a frame is delivered after its style, layout and paint.
    if (waiting.length) channel.port2.postMessage(null);
    requestAnimationFrame(eachFrame);
  };
  document.querySelector("#view input[type=range]").addEventListener("input", (event) => waiting.push(event.timeStamp), true);
  requestAnimationFrame(eachFrame);
}"""


def make_crowd(points: int = 230) -> Detections:
    """Makes 100 star-shaped masks on a 1080p image, on a fine grid, so that a polygon has about the requested number of points."""
    rng = np.random.default_rng(0)
    height, width = SIZE
    size = rng.uniform(60, 400, (OBJECTS, 2))
    corner = rng.uniform(0, 1, (OBJECTS, 2)) * ((width, height) - size)
    grid = np.linspace(-1, 1, points // 4)
    radius, angle = np.hypot(*np.meshgrid(grid, grid)), np.arctan2(*np.meshgrid(grid, grid))
    masks = [1 / (1 + np.exp(12 * (radius - 0.7 - 0.2 * np.sin(angle * rng.integers(3, 9))))) for _ in range(OBJECTS)]
    names = ("__background__", *(f"class {i}" for i in range(1, 9)))
    return Detections(
        boxes=np.concatenate([corner, corner + size], axis=1),
        labels=rng.integers(1, len(names), OBJECTS),
        scores=np.linspace(0.99, 0.06, OBJECTS, dtype=np.float32),
        image_size=SIZE,
        categories=names,
        masks=np.stack(masks).astype(np.float32),
        model="crowd",
    )


def main() -> None:
    """Serves the view, drags its slider and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    default = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    parser.add_argument("--chromium", default=os.environ.get("CHROMIUM", default), help="path of the browser")
    chromium = parser.parse_args().chromium
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    from detection_core.ui.components.modules import MODULES
    from detection_core.ui.detect.view import DetectionView, view_payload

    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "noise.jpg"
        Image.effect_noise(SIZE[::-1], 80).convert("RGB").save(image)
        payload = view_payload(make_crowd(), image, threshold=0.5, floor=0.05)
        rings = [ring for item in payload.objects or [] for ring in item.polygons or []]
        with gr.Blocks() as app:
            DetectionView(payload, elem_id="view")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        routes = {"routes": [MODULES.route()]}
        app.launch(server_port=port, prevent_thread_lock=True, quiet=True, allowed_paths=[folder], app_kwargs=routes)
        record, requests = drag(str(app.local_url), chromium)
        app.close(verbose=False)
    print(f"{OBJECTS} masks, {sum(map(len, rings)) / 2 / OBJECTS:.0f} points each, {SIZE[1]}×{SIZE[0]}; {VALUES} slider values")
    print(f"{'':24} {'median':>8} {'p95':>8}   ms")
    for name, key in {"script per redraw": "script", "input → frame painted": "painted", "between frames": "frames"}.items():
        print(f"{name:24} {np.median(record[key]):8.1f} {np.percentile(record[key], 95):8.1f}   n={len(record[key])}")
    print(f"requests during the drag: {requests}")


def drag(url: str, chromium: str | None) -> tuple[dict[str, list[float]], int]:
    """Drags the threshold from one end to the other and back; returns the recorded times in ms and the number of requests."""
    from playwright.sync_api import sync_playwright

    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1920, "height": 1200})
        page.goto(url)
        page.wait_for_selector("#view tbody tr:not([hidden])")
        page.wait_for_timeout(1000)
        box = page.get_by_label("Threshold").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.on("request", lambda request: requests.append(request.url))
        page.evaluate(RECORDER)
        for step in range(VALUES):
            share = 1 - abs(1 - 2 * step / (VALUES - 1))
            page.mouse.move(box["x"] + 8 + share * (box["width"] - 16), box["y"] + box["height"] / 2)
            page.wait_for_timeout(30)
        page.mouse.up()
        record: dict[str, list[float]] = page.evaluate("window.record")
        browser.close()
    return record, len(requests)


if __name__ == "__main__":
    main()
