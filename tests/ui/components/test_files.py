"""A component's files become its template, style and script, with the parts that it shares with others put in."""

from __future__ import annotations

from pathlib import Path

import pytest

from detection_core.ui.components import files
from detection_core.ui.components.files import component_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "_HERE", tmp_path)
    for name, text in {
        "view.html": "<div>\n  <!-- part error -->\n</div>\n",
        "html/error.html": "<p>\n  none\n</p>\n",
        "view.css": "a {}",
        "css/base.css": "b {}",
        "view.js": "go();",
        "js/dom.js": "const go = 1;",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_puts_parts_in(folder: Path):
    assert component_files("view", "dom", styles=["base"]) == {
        "html_template": "<div>\n  <p>\n    none\n  </p>\n</div>\n",
        "css_template": "b {}\na {}",
        "js_on_load": "const go = 1;\ngo();",
    }


def test_a_part_that_is_not_there_is_a_fault(folder: Path):
    (folder / "html" / "error.html").unlink()
    with pytest.raises(FileNotFoundError):
        component_files("view")


@pytest.mark.parametrize("template", sorted(Path(files.__file__).parent.glob("*.html")), ids=lambda path: path.stem)
def test_all_parts_of_our_templates_are_there(template: Path):
    assert "<!-- part" not in component_files(template.stem)["html_template"]
