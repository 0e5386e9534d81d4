"""Takes the README's screenshots of the page as it is: `python -m benchmarks.screenshots --out assets/screenshots`.

It starts the app as a visitor would find it, with nothing but the built-in models, and drives it in Chromium with a made-up camera.
`--theme dark` and `--width 390` take the same of the dark theme and of a phone, to be looked at.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image, ImageOps
from playwright.sync_api import Page, expect, sync_playwright

from benchmarks.common import find_chromium
from benchmarks.live import served
from benchmarks.live_camera import CAMERA
from benchmarks.page import ROOT
from detection_core.images.reading import encode_jpeg
from detection_core.models.catalog import ASSETS

_SHOWN = {"detect": 900, "compare": 1000, "live": 900, "video": 900, "batch": 900, "evaluate": 1180, "models": 900}
_SECONDS = 1000
_FRAMES = 60
_FRAME = (640, 480)


def write_film(path: Path) -> None:
    """Writes a camera's Motion JPEG: two people side by side who sway a little."""
    people = []
    for name in ("grace_hopper.jpg", "astronaut.jpg"):
        with Image.open(ASSETS / "examples" / name) as opened:
            people.append(ImageOps.fit(opened.convert("RGB"), (340, 480)))
    frames = []
    for number in range(_FRAMES):
        shift = round(10 * abs(number / (_FRAMES / 2) - 1))
        frame = Image.new("RGB", _FRAME, (205, 210, 215))
        for place, person in enumerate(people):
            frame.paste(person, (place * 320 - shift, 0))
        frames.append(encode_jpeg(frame))
    path.write_bytes(b"".join(frames))


def bring_up(page: Page, tab: str) -> None:
    """Opens a tab and waits until it shows what it is for."""
    page.get_by_role("tab", name=tab.title()).click()
    match tab:
        case "detect":
            expect(page.locator(".dv").first).to_contain_text("tie", timeout=60 * _SECONDS)
        case "compare":
            expect(page.locator(".cv-panes .cv-pane-facts").nth(1)).to_contain_text("object", timeout=60 * _SECONDS)
        case "live":
            page.get_by_role("button", name="Start").first.click()
            expect(page.locator(".lv tbody")).to_contain_text("person", timeout=60 * _SECONDS)
            page.wait_for_timeout(4 * _SECONDS)
        case "video":
            page.get_by_role("button", name="Try an example").click()
            expect(page.get_by_role("button", name="Detect", exact=True).last).to_be_enabled(timeout=60 * _SECONDS)
            page.get_by_role("button", name="Detect", exact=True).last.click()
            expect(page.locator(".vv")).to_contain_text("in the video", timeout=300 * _SECONDS)
            # At its first frame Chromium shows that it is loading.
            page.locator(".vv video").evaluate("video => { video.currentTime = 2.6; }")
            page.wait_for_timeout(2 * _SECONDS)
        case "evaluate":
            page.get_by_role("tabpanel").get_by_role("button", name="Add a model").click()
            page.get_by_role("button", name="Evaluate", exact=True).click()
            expect(page.get_by_role("heading", name="Confusion")).to_be_visible(timeout=120 * _SECONDS)
        case _:
            page.wait_for_timeout(2 * _SECONDS)
    page.wait_for_timeout(_SECONDS)


def main() -> None:
    """Takes the screenshots that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tabs", nargs="+", choices=_SHOWN, default=list(_SHOWN))
    parser.add_argument("--theme", choices=["light", "dark"], default="light")
    parser.add_argument("--width", type=int, default=1440, help="of the window, in CSS pixels")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, served(str(ROOT / "app.py")) as (address, _, _), sync_playwright() as playwright:
        film = Path(folder) / "camera.mjpeg"
        write_film(film)
        arguments = ["--no-sandbox", *CAMERA, f"--use-file-for-fake-video-capture={film}"]
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=arguments)
        for tab in args.tabs:
            page = browser.new_page(viewport={"width": args.width, "height": _SHOWN[tab]}, permissions=["camera"])
            page.goto(f"{address}?__theme={args.theme}")
            bring_up(page, tab)
            page.screenshot(path=args.out / f"{tab}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
