"""A component's files become its template and style, with the parts that it shares with others put in."""

from __future__ import annotations

from pathlib import Path

import pytest

from detection_core.ui.components import files
from detection_core.ui.components.files import read_style, read_template

UI = Path(files.__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(files, "_UI", tmp_path)
    monkeypatch.setattr(files, "_SHARED", tmp_path / "components")
    for name, text in {
        "tab/view.html": "<div>\n  <!-- part error -->\n</div>\n",
        "components/html/error.html": "<p>\n  none\n</p>\n",
        "tab/view.css": "a {}",
        "components/css/base.css": "b {}",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_puts_parts_in(folder: Path):
    assert read_template("tab/view") == "<div>\n  <p>\n    none\n  </p>\n</div>\n"
    assert read_style("tab/view", ["base"], ["--size: 1px;"]) == "--size: 1px;\nb {}\na {}"


def test_a_part_may_take_words(folder: Path):
    (folder / "tab" / "view.html").write_text("<!-- part fit: Fit all images -->\n")
    (folder / "components" / "html" / "fit.html").write_text('<a title="[words].">[words]</a>\n')
    assert read_template("tab/view") == '<a title="Fit all images.">Fit all images</a>\n'


def test_a_part_that_is_not_there_is_a_fault(folder: Path):
    (folder / "components" / "html" / "error.html").unlink()
    with pytest.raises(FileNotFoundError):
        read_template("tab/view")


@pytest.mark.parametrize(
    "template", sorted([*UI.glob("*/view.html"), *(UI / "components").glob("*.html")]), ids=lambda path: path.relative_to(UI).as_posix()
)
def test_all_parts_of_our_templates_are_there(template: Path):
    text = read_template(template.relative_to(UI).with_suffix("").as_posix())
    assert "<!-- part" not in text
    assert "[words]" not in text
