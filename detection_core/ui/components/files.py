"""The files of a component for the browser: its template and its style, with the parts that it shares with others put in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_UI = Path(__file__).parent.parent
_SHARED = _UI / "components"
# A line of a template that stands for a file in `html/`; what follows the name replaces `[words]` in it.
_PART = re.compile(r"^( *)<!-- part (\w+)(?:: (.+))? -->\n", re.MULTILINE)


def read_template(name: str) -> str:
    """Reads `name.html`; where a line of it says `<!-- part error -->`, `components/html/error.html` is put in.

    `<!-- part zoom: Fit all images -->` also puts "Fit all images" in place of `[words]` in `zoom.html`.

    Args:
        name: The component's files in `ui/`, such as `detect/view`.
    """
    return _PART.sub(_read_part, (_UI / f"{name}.html").read_text("utf-8"))


def read_style(name: str, shared: Sequence[str] = (), declarations: Sequence[str] = ()) -> str:
    """Reads `name.css`.

    Args:
        name: The component's files in `ui/`, such as `detect/view`.
        shared: Style sheets in `components/css/` that it builds on, put in front of it in this order.
        declarations: Lines put in front of everything; declarations outside a rule belong to the component itself.
    """
    sheets = [*(_SHARED / "css" / f"{sheet}.css" for sheet in shared), _UI / f"{name}.css"]
    return "\n".join([*declarations, *(sheet.read_text("utf-8") for sheet in sheets)])


def _read_part(found: re.Match[str]) -> str:
    indent, part, words = found.groups()
    text = (_SHARED / "html" / f"{part}.html").read_text("utf-8")
    if words:
        text = text.replace("[words]", words)
    return "".join(indent + line for line in text.splitlines(keepends=True))
