"""Imports point one way: the page knows the engine, the engine the detector, and never the other way round."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from detection_core import _HOMES

PACKAGE = Path(__file__).parent.parent / "detection_core"
# What a module, or the modules of a folder, must not import, directly or through others of the project.
FORBIDDEN = {
    "detections": {"torch", "torchvision", "gradio", "PIL"},
    "mask_grid": {"torch", "torchvision", "gradio", "PIL"},
    "images": {"torch", "torchvision", "gradio", "detection_core.catalog", "detection_core.detector"},
    "visualization": {"torch", "torchvision", "gradio", "detection_core.catalog", "detection_core.detector", "detection_core.images"},
    "matching": {"torch", "torchvision", "gradio", "PIL"},
    "tracking": {"torch", "torchvision", "gradio", "PIL"},
    "comparison": {"torch", "torchvision", "gradio", "PIL"},
    "comparison_report": {"torch", "torchvision", "gradio", "detection_core.detector"},
    "export": {"torch", "torchvision", "gradio", "detection_core.catalog", "detection_core.detector"},
    "video": {"torch", "torchvision", "gradio", "detection_core.catalog", "detection_core.detector", "detection_core.engine"},
    "clips": {"torch", "torchvision", "gradio", "detection_core.catalog", "detection_core.detector", "detection_core.engine"},
    "cli_detect_clips": {"gradio", "detection_core.ui"},
    "picture_files": {"torch", "torchvision", "gradio", "PIL"},
    "batch": {"torch", "torchvision", "gradio", "detection_core.detector"},
    "catalog": {"gradio", "detection_core.loader", "detection_core.weights", "detection_core.detector", "detection_core.engine"},
    "architectures": {"gradio", "detection_core.model_spec", "detection_core.catalog"},
    "checkpoint": {"gradio", "detection_core.catalog", "detection_core.user_models", "detection_core.build", "detection_core.weights"},
    "user_models": {"gradio", "detection_core.catalog", "detection_core.build", "detection_core.weights", "detection_core.loader"},
    "build": {"gradio", "detection_core.catalog", "detection_core.weights", "detection_core.loader"},
    "weights": {"gradio", "detection_core.loader", "detection_core.detector", "detection_core.engine"},
    "fast": {"gradio", "detection_core.catalog", "detection_core.loader", "detection_core.detector", "detection_core.engine"},
    "loader": {"gradio", "detection_core.detector", "detection_core.engine"},
    "detector": {"gradio", "detection_core.engine"},
    "training": {"gradio", "detection_core.engine"},
    "training/recipe": {"torch", "torchvision", "detection_core.training.augmentation"},
    "evaluation": {"gradio", "detection_core.detector", "detection_core.engine"},
    "engine": {"gradio", "detection_core.ui"},
    # The command `serve` alone, and so the command line as a whole, knows the page.
    **{name: {"gradio", "detection_core.ui"} for name in ("cli_common", "cli_detect", "cli_compare", "cli_compare_report", "cli_train")},
}


def imports_of(path: Path) -> set[str]:
    """Names of all modules that a file imports."""
    return imports_in(path.read_text(), ".".join(path.parent.relative_to(PACKAGE.parent).parts))


def imports_in(source: str, package: str) -> set[str]:
    """Names of all modules that code in a package imports, leaving out those for type checkers only.

    What is imported from a module may be a module itself, so it is named too; what it is not does no harm.
    """
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Import):
                found.update(alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                module = absolute(child)
                found.add(module)
                # The package's own names live in modules of it, and are imported when first used.
                homes = _HOMES if module == PACKAGE.name else {}
                found.update(f"{module}.{homes.get(alias.name, alias.name)}" for alias in child.names)
            visit(child)

    def absolute(node: ast.ImportFrom) -> str:
        above = package.split(".")[: 1 - node.level or None] if node.level else []
        return ".".join([*above, *([node.module] if node.module else [])])

    visit(ast.parse(source))
    return found


def files_of(name: str) -> list[Path]:
    """A module's file, or all files of a folder."""
    folder = PACKAGE / name
    return sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]


def reachable(start: list[Path]) -> set[str]:
    """All modules that some files import, through others of the project too."""
    seen: set[str] = set()
    pending = list(start)
    while pending:
        for name in imports_of(pending.pop()) - seen:
            seen.add(name)
            if name.startswith("detection_core."):
                pending += [path for path in files_of(name.removeprefix("detection_core.").replace(".", "/")) if path.exists()]
    return seen


@pytest.mark.parametrize("name", FORBIDDEN)
def test_imports_point_one_way(name: str):
    imported = reachable(files_of(name))
    wrong = {module for module in imported for bad in FORBIDDEN[name] if module == bad or module.startswith(bad + ".")}
    assert not wrong


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import torch.hub", "torch.hub"),
        ("import torch as t", "torch"),
        ("from torch import nn", "torch"),
        ("from detection_core.weights import fetch_weights", "detection_core.weights"),
        ("from detection_core import weights", "detection_core.weights"),
        ("from detection_core import weights as w", "detection_core.weights"),
        ("from detection_core import Detector", "detection_core.detector"),
        ("from . import session", "detection_core.ui.session"),
        ("from .session import State", "detection_core.ui.session"),
        ("from .. import weights", "detection_core.weights"),
        ("from ..weights import find_weights", "detection_core.weights"),
        ("def f():\n    from detection_core import weights", "detection_core.weights"),
    ],
)
def test_the_check_sees_every_kind_of_import(source: str, module: str):
    assert module in imports_in(source, "detection_core.ui")


def test_the_check_leaves_out_what_only_type_checkers_import():
    assert imports_in("if TYPE_CHECKING:\n    import torch", "detection_core.ui") == set()


def test_the_check_sees_a_forbidden_import():
    assert "gradio" in reachable(files_of("ui/app"))
    assert "torch" in reachable(files_of("engine"))


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_first_line_says_what_the_file_is_for(path: Path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?"))


@pytest.mark.parametrize("name", _HOMES)
def test_no_public_name_is_hidden_by_a_module(name: str):
    """Importing a module puts its name into the package, over what was there."""
    assert not (PACKAGE / name).exists()
    assert not (PACKAGE / f"{name}.py").exists()
