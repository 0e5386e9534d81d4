"""The browser's side of a component: its template, style and script, kept in files of their own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_UI = Path(__file__).parent.parent
_SHARED = _UI / "components"
# A line of a template that stands for a file in `html/`.
_PART = re.compile(r"^( *)<!-- part (\w+) -->\n", re.MULTILINE)


def component_files(name: str, *parts: str, styles: Sequence[str] = ()) -> dict[str, str]:
    """Reads `name.html`, `name.css` and `name.js` as the arguments of `gr.HTML` that they are.

    Where a line of the template says `<!-- part error -->`, `components/html/error.html` is put in.

    Args:
        name: The component's files in `ui/`, such as `detect/view`.
        parts: Scripts that its own builds on, put in front of it in this order: `dom` is in `components/js/`, `live/pace` in `live/`.
        styles: Style sheets in `components/css/` that its own builds on, put in front of it in this order.
    """
    sheets = [*(_SHARED / "css" / f"{style}.css" for style in styles), _UI / f"{name}.css"]
    scripts = [*((_UI if "/" in part else _SHARED / "js") / f"{part}.js" for part in parts), _UI / f"{name}.js"]
    return {
        "html_template": _PART.sub(_read_part, (_UI / f"{name}.html").read_text("utf-8")),
        "css_template": "\n".join(sheet.read_text("utf-8") for sheet in sheets),
        "js_on_load": "\n".join(script.read_text("utf-8") for script in scripts),
    }


def _read_part(found: re.Match[str]) -> str:
    indent, part = found.groups()
    return "".join(indent + line for line in (_SHARED / "html" / f"{part}.html").read_text("utf-8").splitlines(keepends=True))
