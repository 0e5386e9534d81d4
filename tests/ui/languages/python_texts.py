"""The texts that a Python module may say, read from its source: {} stands for what is put in and unknown."""

from __future__ import annotations

import ast
import builtins
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

# What a name or an argument may say; a name that is missing is unknown.
_Names = Mapping[str, list[str]]
_UNKNOWN = ["{}"]
# Wordings of one text; the parts of further ones have been in these.
_MOST = 64


Kind = Literal["raised", "said", "part"]


def python_texts(tree: ast.Module) -> Iterator[tuple[str, Kind]]:
    """Returns each text, and whether an error is made of it, or it is only a part of another one."""
    yield from _Module(tree).texts()


class _Module:
    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        # Where functions call each other in a circle.
        self._running: set[str] = set()

    def texts(self) -> Iterator[tuple[str, Kind]]:
        done = set(map(id, self._read_elsewhere()))
        raised = {id(part) for part in self._raised()}
        for node, names in self._nodes(self._tree, {}):
            if not isinstance(node, ast.Constant | ast.JoinedStr | ast.BinOp):
                continue
            yield from ((text, "part") for text in self._read(node, None) or [])
            texts = None if id(node) in done else self._read(node, names)
            if texts is not None:
                done |= set(map(id, self._parts(node)))
                yield from ((text, "raised" if id(node) in raised else "said") for text in texts)

    def _read_elsewhere(self) -> Iterator[ast.expr]:
        """Docstrings, and what is read as a part of a text: values of variables, and what functions return."""
        texts = [node for node in ast.walk(self._tree) if isinstance(node, ast.JoinedStr | ast.BinOp)]
        called = {_called(part) for text in texts for part in self._parts(text)}
        for node in ast.walk(self._tree):
            values: list[ast.expr | None] = []
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                values = [node.value]
            elif isinstance(node, ast.FunctionDef):
                own = [text for text in ast.walk(node) if isinstance(text, ast.JoinedStr | ast.BinOp)]
                inside = {part.id for text in own for part in self._parts(text) if isinstance(part, ast.Name)}
                inside &= self._assigned(node, {}).keys()
                values = [each.value for each in _assignments(node) if _target(each) in inside]
                values += [each.value for each in ast.walk(node) if isinstance(each, ast.Return) and node.name in called]
            for value in values:
                if value is not None:
                    yield from (value, *self._parts(value))

    def _nodes(self, node: ast.AST, names: _Names) -> Iterator[tuple[ast.AST, _Names]]:
        """All expressions from the outside to the inside, with what the names in them say."""
        for child in ast.iter_child_nodes(node):
            if isinstance(node, ast.FormattedValue) and child is node.format_spec:
                continue
            known = self._assigned(child, names) if isinstance(child, ast.FunctionDef) else names
            yield child, known
            yield from self._nodes(child, known)

    def _parts(self, node: ast.AST) -> Iterator[ast.expr]:
        """The expressions of which a text consists."""
        parts: list[ast.expr] = []
        match node:
            case ast.JoinedStr():
                parts = node.values
            case ast.FormattedValue():
                parts = [node.value]
            case ast.BinOp(op=ast.Add()):
                parts = [node.left, node.right]
            case ast.IfExp():
                parts = [node.body, node.orelse]
            case ast.Call() if _called(node) in self._functions:
                parts = node.args
        for part in parts:
            yield part
            yield from self._parts(part)

    def _raised(self) -> Iterator[ast.AST]:
        """What errors are made of, also by way of a variable."""
        made = [
            node.exc if isinstance(node, ast.Raise) else node for node in ast.walk(self._tree) if isinstance(node, ast.Raise | ast.Call)
        ]
        errors = [node for node in made if node and _called(node).lower().endswith("error") and not hasattr(builtins, _called(node))]
        inside = [part for error in errors for part in ast.walk(error)]
        names = {part.id for part in inside if isinstance(part, ast.Name)}
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Assign) and names & {target.id for target in node.targets if isinstance(target, ast.Name)}:
                inside += ast.walk(node.value)
        yield from inside

    def _assigned(self, function: ast.FunctionDef, given: _Names) -> dict[str, list[str]]:
        """What the names in a function may say."""
        names = {name: texts for name, texts in given.items() if name not in {argument.arg for argument in function.args.args}}
        targets = [_target(node) for node in _assignments(function)]
        written = [node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
        for node, target in zip(_assignments(function), targets, strict=True):
            if written.count(target) > targets.count(target):
                # Also by a loop, for example.
                continue
            texts, before = self._read(node.value, names) if node.value else None, names.get(target, [])
            if isinstance(node, ast.AugAssign):
                texts = None if texts is None else [first + second for first in before for second in ["", *texts]]
            if texts is None or len(before) + len(texts) > _MOST:
                names.pop(target, None)
            else:
                names[target] = list(dict.fromkeys([*before, *texts]))
        return names

    def _read(self, node: ast.expr, names: _Names | None) -> list[str] | None:
        """What an expression may say, or None if that is unknown; without names, by itself."""
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.Name(id=name) if names is not None:
                return names.get(name)
            case ast.FormattedValue():
                return self._read(node.value, names)
            case ast.IfExp():
                either = [self._read(part, names) for part in (node.body, node.orelse)]
                return None if either == [None, None] else [text for texts in either for text in texts or _UNKNOWN]
            case ast.JoinedStr():
                return self._joined(node.values, names)
            case ast.BinOp(op=ast.Add()):
                return self._joined([node.left, node.right], names)
            case ast.Call(func=ast.Name(id=name)) if names is not None and name in self._functions:
                return self._returned(self._functions[name], node, names)
        return None

    def _joined(self, parts: Sequence[ast.expr], names: _Names | None) -> list[str] | None:
        read = [self._read(part, names) for part in parts]
        if all(texts is None for texts in read):
            return None
        known = [texts or _UNKNOWN for texts in read]
        return ["".join(texts) for texts in itertools.islice(itertools.product(*known), _MOST)]

    def _returned(self, function: ast.FunctionDef, call: ast.Call, names: _Names) -> list[str] | None:
        """What a function may say that is called in a text."""
        if function.name in self._running:
            return None
        self._running.add(function.name)
        given = [(argument.arg, self._read(value, names)) for argument, value in zip(function.args.args, call.args, strict=False)]
        own = self._assigned(function, {}) | {name: texts for name, texts in given if texts is not None}
        found = [self._read(node.value, own) for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
        self._running.remove(function.name)
        return None if all(texts is None for texts in found) else [text for texts in found for text in texts or _UNKNOWN]


def _called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _assignments(function: ast.FunctionDef) -> list[ast.Assign | ast.AugAssign | ast.AnnAssign]:
    found = [node for node in ast.walk(function) if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign)]
    return sorted(found, key=lambda node: node.lineno)


def _target(node: ast.Assign | ast.AugAssign | ast.AnnAssign) -> str:
    target = node.targets[0] if isinstance(node, ast.Assign) else node.target
    return target.id if isinstance(target, ast.Name) else ""
