"""A walk through all tabs in German: whatever text appears has a translation, except for names and data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from detection_core.models.catalog import list_specs
from detection_core.ui.shared.examples import EXAMPLE_PATHS
from tests.ui.languages.sentences import PACKAGE
from tests.video.io.videos import make_video

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = 1000
GERMAN: dict[str, str] = json.loads((PACKAGE / "ui/languages/de.json").read_text("utf-8"))
BROKEN = {"name": "letter.jpg", "mimeType": "image/jpeg", "buffer": b"this is text, not an image"}
BROKEN_VIDEO = {"name": "letter.mp4", "mimeType": "video/mp4", "buffer": b"this is text, not a video"}


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{2,}", re.sub(r"\{\w+\}", " ", text).lower()))


# Names of classes and models are in English, or in none.
_NAMES = {word for spec in list_specs() for text in (spec.title, spec.key, *spec.categories, *spec.keypoint_names) for word in words(text)}
# Names of files, the senses of words, and the program's own name.
_NOT_LANGUAGE = re.compile(r"\S+\.\w{2,5}\b|\[\w+\]|Detection Explorer")
# Words of the page that German does not have.
_ENGLISH = {word for key in GERMAN for word in words(key)} - {word for text in GERMAN.values() for word in words(text)} - _NAMES


def english_of(texts: list[str]) -> list[str]:
    """The texts with two words or more of which one at least is certainly English."""
    found = [(text, words(_NOT_LANGUAGE.sub("", text))) for text in texts]
    return [text for text, these in found if len(these) > 1 and these & _ENGLISH]


@pytest.fixture(scope="module")
def browser(camera_browser: Browser) -> Browser:
    """Replaces pytest-playwright's own: with a camera."""
    return camera_browser


@pytest.fixture
def german(page: Page, warm_address: str) -> Iterator[Page]:
    """The page in German; a text without a translation fails the test."""
    page.set_viewport_size({"width": 1440, "height": 900})
    page.add_init_script("globalThis.untranslated = new Set();")
    page.goto(f"{warm_address}?lang=de")
    expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=30 * SECONDS)
    yield page
    met = page.evaluate("[...globalThis.untranslated]")
    # The names of classes, at least.
    assert met
    if english := english_of(met):
        pytest.fail("\n".join(["Translate in ui/languages:", *english]), pytrace=False)


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def press(page: Page, name: str, **options) -> None:
    page.get_by_role("button", name=name, **options).locator("visible=true").first.click()


def try_all_choices(page: Page) -> None:
    """Chooses everything there is to choose in the open tab, for what appears then."""
    for chosen in page.locator(".tabitem:visible :is(input[type=radio], summary):visible").all():
        if chosen.is_visible() and chosen.is_enabled():
            chosen.click(force=True)


def test_detect(german: Page):
    german.locator(".dv tbody tr").first.click()
    try_all_choices(german)
    german.locator(".tabitem:visible input[type=file]").first.set_input_files(BROKEN)
    expect(german.get_by_text("letter.jpg").first).to_be_attached(timeout=20 * SECONDS)


def test_explain(german: Page):
    press(german, "Erklären", exact=True)
    panel = german.get_by_role("region", name="Erklären")
    expect(panel).to_be_visible(timeout=30 * SECONDS)
    sentence = panel.locator(".dv-explain-sentence:visible")
    image = german.locator(".dv-image").first
    image.click(position={"x": 200, "y": 4})
    expect(sentence).to_contain_text("Das Modell hatte hier keinen Kandidaten", timeout=30 * SECONDS)
    for x in (0.2, 0.4, 0.6, 0.8):
        for y in (0.3, 0.6, 0.9):
            box = image.bounding_box()
            assert box is not None
            image.click(position={"x": x * box["width"], "y": y * box["height"]})
            german.wait_for_timeout(400)
    press(german, "Was wäre, wenn?")
    german.get_by_label(re.compile("NMS-IoU")).locator("visible=true").first.fill("1")
    german.wait_for_timeout(500)
    press(german, "Stufen")
    for step in range(1, 7):
        expect(sentence).to_contain_text(f"Schritt {step} von")
        press(german, "Weiter")


def test_compare(german: Page):
    open_tab(german, "Vergleichen")
    expect(german.locator(".tabitem:visible")).to_contain_text("Übereinstimmung", timeout=30 * SECONDS)
    press(german, "Modell hinzufügen")
    german.wait_for_timeout(3000)
    try_all_choices(german)


def test_live(german: Page):
    open_tab(german, "Live")
    press(german, "Kamera starten")
    expect(german.locator(".lv .dv-layer-boxes .dv-object:not([hidden])").first).to_be_attached(timeout=30 * SECONDS)
    german.wait_for_timeout(2000)
    press(german, "Stopp")
    try_all_choices(german)


def test_video(german: Page, tmp_path: Path):
    open_tab(german, "Video")
    expect(german.get_by_text(re.compile("^MP4, MOV, WebM"))).to_be_visible(timeout=30 * SECONDS)
    video = german.locator(".tabitem:visible input[type=file]").first
    video.set_input_files(make_video(tmp_path / "walk.mp4", size=(160, 96)))
    german.get_by_role("button", name=re.compile("^Erkennen")).locator("visible=true").click(timeout=20 * SECONDS)
    expect(german.locator(".vv-counts")).to_be_visible(timeout=60 * SECONDS)
    try_all_choices(german)
    press(german, "Anderes Video")
    video.set_input_files(BROKEN_VIDEO)
    expect(german.get_by_text("letter.mp4").first).to_be_attached(timeout=20 * SECONDS)
    german.wait_for_timeout(1000)


def test_batch(german: Page):
    open_tab(german, "Stapel")
    expect(german.get_by_text(re.compile(r"^Bis zu \d+ Bilder auf einmal"))).to_be_visible(timeout=30 * SECONDS)
    german.locator(".tabitem:visible input[type=file]").first.set_input_files([*map(str, EXAMPLE_PATHS[:2])])
    german.locator(".tabitem:visible input[type=file]").first.set_input_files([BROKEN])
    german.wait_for_timeout(1000)
    german.get_by_role("button", name=re.compile("^Erkennen")).locator("visible=true").click(timeout=20 * SECONDS)
    expect(german.locator(".bv-card[data-state=done]")).to_have_count(2, timeout=60 * SECONDS)
    try_all_choices(german)


def test_evaluate(german: Page):
    open_tab(german, "Auswerten")
    press(german, "Modell hinzufügen")
    press(german, "Auswerten", exact=True)
    expect(german.get_by_role("heading", name="Verwechslungen")).to_be_visible(timeout=90 * SECONDS)
    try_all_choices(german)
    german.get_by_role("region", name="Konfusionsmatrix").get_by_role("button").first.click()
    german.locator("[data-ref=cellList] .ev-crop").locator("visible=true").first.click()
    german.wait_for_timeout(1500)


def test_models(german: Page):
    open_tab(german, "Modelle")
    expect(german.locator(".tabitem:visible table").first).to_be_visible()
    try_all_choices(german)
