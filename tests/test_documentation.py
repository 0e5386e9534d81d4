"""The documentation: its links lead somewhere, and its examples are valid commands and Python."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
from pathlib import Path

import pytest

from detection_core.cli.main import _parser
from detection_core.cli.serve import add_flags

ROOT = Path(__file__).parents[1]
PAGES = [*(ROOT / name for name in ("README.md", "CONTRIBUTING.md")), *sorted((ROOT / "docs").glob("*.md"))]
page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)


def text_of(path: Path) -> str:
    return path.read_text("utf-8")


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text_of(path), re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """Those that GitHub gives to headings: in lower case, without punctuation, with hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text_of(path), flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@page
def test_links_lead_somewhere(path: Path):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(path)):
        if target.startswith(("https://", "http://")):
            continue
        name, _, anchor = target.partition("#")
        file = path.parent / name if name else path
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), target


def test_the_readme_links_every_page():
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)\)", text_of(ROOT / "README.md")))
    assert linked == {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}


@page
def test_commands_are_valid(path: Path):
    server = argparse.ArgumentParser()
    add_flags(server)
    for line in "".join(blocks(path, "sh")).splitlines():
        for command in line.split(" && "):
            words = shlex.split(command, comments=True)
            if words[:3] == ["python", "-m", "detection_core"]:
                _parser().parse_args(words[3:])
            elif words[:2] in (["python", "app.py"], [".venv/bin/python", "app.py"]):
                server.parse_args(words[2:])


@page
def test_python_is_valid(path: Path):
    for block in blocks(path, "python"):
        ast.parse(block)


def test_commands_and_python_are_found():
    readme = ROOT / "README.md"
    assert sum("python -m detection_core" in block for block in blocks(readme, "sh")) == 1
    assert len(blocks(readme, "python")) == 1
