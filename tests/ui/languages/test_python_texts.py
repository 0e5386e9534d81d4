"""Texts that Python puts together are read from its source as they will be shown."""

from __future__ import annotations

import ast

import pytest

from tests.ui.languages.python_texts import python_texts

_COUNTED = "def counted(n, noun):\n    return f'{n} {noun}' + ('' if n == 1 else 's')\n"


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("show('Try again.')", {"Try again."}),
        ("'''A docstring.'''\nshow(3)", set()),
        ("show(f'{name:>{width}} of {n:,}')", {"{} of {}"}),
        ("show('No ' + what + '.')", {"No {}."}),
        ('show(f\'It {"runs" if ready else "waits"}.\')', {"It runs.", "It waits."}),
        ("show(f'It is {state if ready else \"late\"}.')", {"It is {}.", "It is late."}),
        ("def say():\n    how = ' here' if near else ''\n    return f'None{how}.'", {"None here.", "None."}),
        ("def say():\n    text = 'One.'\n    text += f' {n} more.'\n    return text", {"One.", " {} more."}),
        ("def say():\n    text = 'One'\n    text += ' more'\n    return f'{text}.'", {"One.", "One more."}),
        ("def say():\n    text = 'One'\n    for text in found:\n        show(f'{text}.')", {"One", "{}."}),
        (_COUNTED + "show(f'{counted(n, \"box\")} found')", {"{} box found", "{} boxs found"}),
    ],
)
def test_texts(source: str, texts: set[str]):
    assert {text for text, kind in python_texts(ast.parse(source)) if kind != "part"} == texts


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("raise ImageError('No image.')", {"No image."}),
        ("raise ValueError('a defect')", set()),
        ("raise _weights_error(file, 'are gone')", {"are gone"}),
        ("message = f'{n} MB'\nfuture.set_exception(ImageError(message))", {"{} MB"}),
        ("log('Began')", set()),
    ],
)
def test_texts_of_errors(source: str, texts: set[str]):
    assert {text for text, kind in python_texts(ast.parse(source)) if kind == "raised"} == texts
