"""The page in German and Spanish: chosen by the browser or the address, translated whole, and as wide as a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

pytestmark = pytest.mark.browser

SECONDS = 1000
TABS = {
    "en": ["Detect", "Compare", "Live", "Video", "Batch", "Evaluate", "Models"],
    "de": ["Erkennen", "Vergleichen", "Live", "Video", "Stapel", "Auswerten", "Modelle"],
    "es": ["Detectar", "Comparar", "En vivo", "Vídeo", "Lote", "Evaluar", "Modelos"],
}
# A part of a text of Detect and of Compare, of the templates, the modules and Python each.
TEXTS = {
    "de": (
        ["PNG herunterladen", "Schwellenwert", "Standard 0.20", "2 Objekte · 1 person, 1 tie"],
        ["Nebeneinander", "Modell hinzufügen", "Übereinstimmung"],
    ),
    "es": (
        ["Descargar PNG", "Umbral", "Por defecto: 0.20", "2 objetos · 1 person, 1 tie"],
        ["Lado a lado", "Añadir un modelo", "Coincidencia"],
    ),
}
# English words that German and Spanish do not have.
_ENGLISH = re.compile(r"\b(the|of|and|to|is|are|with|for|from|this|not|its|below|above)\b", re.IGNORECASE)
_ALL_TEXTS = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = walker.currentNode; node; node = walker.nextNode()) {
    if (node instanceof Text && !node.parentElement.closest("script, style")) texts.push(node.data);
    if (node instanceof Element) texts.push(...["aria-label", "title", "alt", "label"].map((name) => node.getAttribute(name) ?? ""));
  }
  return texts;
}"""


@pytest.fixture
def visit(browser: Browser, warm_address: str) -> Iterator:
    """A function that opens the page in a browser with a language."""
    contexts: list[BrowserContext] = []

    def open_page(locale: str, *, query: str = "", width: int = 1440) -> Page:
        contexts.append(browser.new_context(locale=locale, viewport={"width": width, "height": 900}))
        page = contexts[-1].new_page()
        page.goto(warm_address + query)
        expect(page.locator(".dv tbody tr").first).to_be_visible(timeout=30 * SECONDS)
        return page

    yield open_page
    for context in contexts:
        context.close()


def open_tab(page: Page, place: int) -> None:
    page.get_by_role("tab").nth(place).click()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locale", "query", "language"),
    [
        ("de-AT", "", "de"),
        ("es-ES", "", "es"),
        ("en-US", "", "en"),
        ("fr-FR", "", "en"),
        ("en-US", "?lang=de", "de"),
        ("de-DE", "?lang=es", "es"),
        ("de-DE", "?lang=en", "en"),
        ("es-MX", "?lang=tlh", "es"),
    ],
)
def test_the_language_is_that_of_the_browser_or_the_address(visit, locale: str, query: str, language: str):
    page = visit(locale, query=query)
    expect(page.get_by_role("tab")).to_have_text(TABS[language])
    expect(page.locator("html")).to_have_attribute("lang", language)


@pytest.mark.slow
@pytest.mark.parametrize("language", ["de", "es"])
def test_detect_and_compare_are_translated(visit, language: str):
    page = visit(f"{language}-{language.upper()}")
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.get_by_role("tab")).to_have_text(TABS[language])
    detect, compare = TEXTS[language]
    for text in detect:
        expect(page.locator(".dv").first).to_contain_text(text)
    open_tab(page, 1)
    for text in compare:
        expect(page.locator(".tabitem:visible")).to_contain_text(text)
    assert not [text for text in page.evaluate(_ALL_TEXTS) if _ENGLISH.search(text)]


@pytest.mark.slow
@pytest.mark.parametrize("language", TEXTS)
def test_every_tab_is_translated_and_fits_a_phone(visit, language: str):
    page = visit(language, width=390)
    for place in range(len(TABS[language])):
        open_tab(page, place)
        expect(page.locator(".tabitem:visible").first).not_to_be_empty()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert not [text for text in page.evaluate(_ALL_TEXTS) if _ENGLISH.search(text)]
