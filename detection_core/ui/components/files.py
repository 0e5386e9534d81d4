"""The browser's side of a component: its template, style and script, kept in files of their own."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def component_files(name: str) -> dict[str, str]:
    """Reads `name.html`, `name.css` and `name.js` as the arguments of `gr.HTML` that they are."""
    return {
        "html_template": (_HERE / f"{name}.html").read_text(),
        "css_template": (_HERE / f"{name}.css").read_text(),
        "js_on_load": (_HERE / f"{name}.js").read_text(),
    }
