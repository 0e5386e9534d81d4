"""Prints the structure of the program: packages and their imports, largest files and longest functions: `python benchmarks/house.py`."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
_SHOWN = 8


class Import(NamedTuple):
    """One package's import of another.

    Attributes:
        importer: The package that imports, such as "ui.detect".
        imported: The package that is imported.
        path: The importing file.
    """

    importer: str
    imported: str
    path: Path


def package_of(module: str) -> str:
    """Returns a module's package, without the program's own name: "models" for "detection_core.models.loader".

    A module beside the packages counts as a package, and so does each tab of the page.
    """
    parts = module.split(".")[1:]
    return ".".join(parts[:2] if parts[:1] == ["ui"] else parts[:1])


def modules(root: Path = ROOT) -> dict[str, Path]:
    """Returns the paths of all modules of the program by their full names."""
    paths = sorted((root / "detection_core").rglob("*.py"))
    return {".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path for path in paths}


def imports_in(source: str, package: str) -> Iterator[str]:
    """Yields the full names of all modules that code imports, also within functions, but not those for type checkers only.

    A name imported from a module may be a module itself, so it is included too; other names do no harm.

    Args:
        source: Python code.
        package: The full name of the code's package, for relative imports.
    """

    def visit(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                above = package.split(".")[: 1 - child.level or None] if child.level else []
                module = ".".join([*above, *([child.module] if child.module else [])])
                yield module
                yield from (f"{module}.{alias.name}" for alias in child.names)
            yield from visit(child)

    return visit(ast.parse(source))


def imports_between_packages(root: Path = ROOT) -> set[Import]:
    """Returns all imports from one package of the program into another."""
    known = modules(root)
    found = set()
    for module, path in known.items():
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for imported in imports_in(path.read_text("utf-8"), package):
            home = imported if imported in known else imported.rpartition(".")[0]
            if home in known and home != "detection_core" and package_of(home) != package_of(module):
                found.add(Import(package_of(module), package_of(home), path))
    return found


def functions(root: Path = ROOT) -> list[tuple[int, str]]:
    """Returns lines and name of every function, longest first."""
    found = []
    for module, path in modules(root).items():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.append(((node.end_lineno or node.lineno) - node.lineno + 1, f"{module}.{node.name}"))
    return sorted(found, reverse=True)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout to analyze")
    root = parser.parse_args().root
    known, crossing = modules(root), imports_between_packages(root)
    arrows = sorted({(arrow.importer, arrow.imported) for arrow in crossing})
    packages = sorted({package_of(module) for module in known} - {""})
    print(f"{len(packages)} packages, {len(known)} modules, {len(arrows)} arrows between packages, from {len(crossing)} imports")
    for package in packages:
        print(f"  {package} -> {', '.join(imported for importer, imported in arrows if importer == package) or 'nothing'}")
    sizes = sorted(
        ((len(path.read_text("utf-8").splitlines()), path) for path in root.glob("detection_core/**/*.*") if path.suffix in {".py", ".js"}),
        reverse=True,
    )
    print("largest files:", *(f"{lines} {path.relative_to(root)}" for lines, path in sizes[:_SHOWN]), sep="\n  ")
    print("longest functions:", *(f"{lines} {name}" for lines, name in functions(root)[:_SHOWN]), sep="\n  ")


if __name__ == "__main__":
    main()
