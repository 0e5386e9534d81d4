"""The disclosure of a model's precision, input size and slices, in a picker or a slot."""

from __future__ import annotations

from playwright.sync_api import Locator


def open_variant(place: Locator) -> None:
    """Opens the disclosure in a place, if it is closed."""
    variant = place.locator(".variant")
    if variant.get_attribute("open") is None:
        variant.locator("summary").click()
