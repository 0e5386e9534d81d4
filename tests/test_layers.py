"""Tests that every package belongs to a layer and imports only its own files and packages of lower layers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.house import ROOT, imports_between_packages, imports_in, modules, package_of
from detection_core import _HOMES

PACKAGE = ROOT / "detection_core"
# From the ground up. A new package, or a file beside the packages, is forbidden until it is given a place here.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("settings", "process", "file_names", "detections"),
    ("images", "slicing"),
    ("visualization",),
    ("formats", "inputs"),
    ("models", "comparison_report", "video"),
    ("batch", "datasets", "engine", "storage"),
    ("evaluation", "explanation", "cluster_batch"),
    ("training",),
    ("ui.theme", "ui.components"),
    ("ui.shared", "ui.languages"),
    ("ui.explain",),
    # Tabs do not know each other; what two of them need lies below.
    ("ui.detect", "ui.compare", "ui.live", "ui.video", "ui.batch", "ui.evaluate", "ui.models"),
    ("ui.service",),
    ("ui.api", "ui.http_api", "ui.mcp", "ui.hosting"),
    ("ui.app",),
    ("cli",),
    ("__main__",),
)
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}
# Libraries that take seconds to import, or that tie a package to one use: who may import them at all.
LIBRARIES = {
    "torch": {"models", "engine", "evaluation", "explanation", "training", "cli"},
    "torchvision": {"models", "explanation", "training"},
    "gradio": {"ui"},
    "PIL": {
        "visualization",
        "images",
        "formats",
        "models",
        "comparison_report",
        "video",
        "batch",
        "datasets",
        "engine",
        "explanation",
        "training",
        "ui",
        "cli",
    },
    "av": {"video"},
    "ray": {"engine", "cluster_batch"},
    "pyarrow": {"storage", "cluster_batch"},
}


def test_every_package_has_a_place():
    assert {package_of(module) for module in modules()} - {"", "ui"} == set(LEVEL)


def test_imports_point_down():
    wrong = [
        f"{i.path.relative_to(ROOT)} imports {i.imported}" for i in imports_between_packages() if LEVEL[i.imported] >= LEVEL[i.importer]
    ]
    assert not wrong


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_stay_where_they_belong(library: str):
    importers = {
        package_of(module).split(".")[0] or "__init__"
        for module, path in modules().items()
        if library in {name.split(".")[0] for name in imports_in(path.read_text("utf-8"), module)}
    }
    assert importers <= LIBRARIES[library]


def test_benchmarks_stand_without_the_tests():
    sources = {path.name: path.read_text("utf-8") for path in (ROOT / "benchmarks").glob("*.py")}
    assert not [name for name, source in sources.items() if any(each.startswith("tests") for each in imports_in(source, "benchmarks"))]


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("import torch.hub", "torch.hub"),
        ("import torch as t", "torch"),
        ("from torch import nn", "torch"),
        ("from detection_core.models import weights", "detection_core.models.weights"),
        ("from detection_core.models import weights as w", "detection_core.models.weights"),
        ("from . import session", "detection_core.ui.session"),
        ("from .session import State", "detection_core.ui.session"),
        ("from .. import inputs", "detection_core.inputs"),
        ("from ..inputs import find", "detection_core.inputs"),
        ("def f():\n    from detection_core import inputs", "detection_core.inputs"),
    ],
)
def test_the_check_sees_every_kind_of_import(source: str, module: str):
    assert module in set(imports_in(source, "detection_core.ui"))


def test_the_check_leaves_out_what_only_type_checkers_import():
    assert set(imports_in("if TYPE_CHECKING:\n    import torch", "detection_core.ui")) == set()


def test_the_check_sees_a_forbidden_import(tmp_path: Path):
    folder = tmp_path / "detection_core"
    for name, source in {"ui/detect/tab.py": "from detection_core.ui.compare import view", "ui/compare/view.py": ""}.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(source)
    assert {(i.importer, i.imported) for i in imports_between_packages(tmp_path)} == {("ui.detect", "ui.compare")}
    assert LEVEL["ui.compare"] >= LEVEL["ui.detect"]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_first_line_says_what_the_file_is_for(path: Path):
    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8")))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", "?"))


@pytest.mark.parametrize("name", _HOMES)
def test_no_public_name_is_hidden_by_a_module(name: str):
    """Importing a module puts its name into the package, over what was there."""
    assert not (PACKAGE / name).exists()
    assert not (PACKAGE / f"{name}.py").exists()
