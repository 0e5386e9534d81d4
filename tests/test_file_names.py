from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detection_core.file_names import longest_name, on_one_line, shortened
from detection_core.formats.target import Target
from detection_core.inputs import InputFile, free_stems

ENDINGS = ("_detections.png", "_detections.json")
# Everything that Linux takes but "/" and NUL; lone surrogates stand for bytes that are no UTF-8.
CHARACTERS = st.one_of(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), st.integers(0xDC80, 0xDCFF).map(chr), st.sampled_from("é中😀a.- ")
)
NAMES = (
    st.text(CHARACTERS, min_size=1, max_size=255).map(lambda name: shortened(name, 255)).filter(lambda name: name not in {"", ".", ".."})
)


@given(st.text(CHARACTERS, max_size=300), st.integers(0, 260))
def test_as_much_of_a_name_as_fits(name, most):
    kept = shortened(name, most)
    assert name.startswith(kept)
    assert len(os.fsencode(kept)) <= most
    assert kept == name or len(os.fsencode(name[: len(kept) + 1])) > most


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(NAMES, min_size=1, max_size=4))
def test_results_of_every_name_can_be_written_and_are_apart(tmp_path, names):
    files = [InputFile(f"{number}/{name}", name, name) for number, name in enumerate(names)]
    stems = free_stems(files, tmp_path, set(), ENDINGS)
    assert len({stem.casefold() for stem in stems.values()}) == len(files)
    target = Target(tmp_path)
    for stem in stems.values():
        for ending in ENDINGS:
            target.write(f"{stem}{ending}", b"content")
            assert (tmp_path / f"{stem}{ending}").read_bytes() == b"content"
            (tmp_path / f"{stem}{ending}").unlink()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a" * 251 + ".jpg", "a" * 255, "中" * 85, "中" * 83 + ".jpg", "😀" * 62 + "abc.png", "é" * 125 + ".jpeg"])
def test_names_as_long_as_the_system_takes_are_shortened_and_numbered(tmp_path, name):
    files = [InputFile(f"{folder}/{name}", name, name) for folder in "ab"]
    first, second = free_stems(files, tmp_path, set(), ENDINGS).values()
    assert name.startswith(first)
    assert second.endswith("-2")
    assert name.startswith(second[:-2])
    for stem in (first, second):
        assert 235 <= len(os.fsencode(f"{stem}{ENDINGS[1]}")) <= 255


def test_short_names_stay(tmp_path):
    files = [InputFile("x/a.b.jpg", "a.b.jpg", "sub/a.b.jpg"), InputFile(".jpg", ".jpg", ".jpg")]
    assert list(free_stems(files, tmp_path, set(), ENDINGS).values()) == ["sub/a.b", ".jpg"]


@pytest.mark.parametrize(("name", "stem"), [("..0", "..0"), ("...jpg", "...jpg"), ("..a.jpg", "..a"), ("a..0", "a.")])
def test_names_that_begin_with_dots_are_no_folders(tmp_path, name, stem):
    files = [InputFile(f"{folder}/{name}", name, f"sub/{name}") for folder in "ab"]
    assert list(free_stems(files, tmp_path, set(), ENDINGS).values()) == [f"sub/{stem}", f"sub/{stem}-2"]


def test_the_limit_is_the_file_systems(tmp_path, monkeypatch):
    assert longest_name(tmp_path) == 255
    assert longest_name(tmp_path / "missing") == 255
    monkeypatch.setattr(os, "pathconf", lambda folder, what: 143)
    assert longest_name(tmp_path) == 143


LINES = {
    "two\nlines.jpg": r"two\nlines.jpg",
    "a\r\tb": r"a\r\tb",
    "\x1b[31mred": r"\x1b[31mred",
    "\x85\u2028\u2029": r"\x85\u2028\u2029",
    "\u202egpj.exe": r"\u202egpj.exe",
    "Füße 中 😀.jpg": "Füße 中 😀.jpg",
    r"back\slash": r"back\slash",
}


@pytest.mark.parametrize("text", LINES)
def test_names_take_one_line(text):
    assert on_one_line(text) == LINES[text]


def test_what_cannot_be_written_is_reported_for_the_file_that_was_meant(tmp_path: Path):
    with pytest.raises(OSError, match="File name too long") as caught:
        Target(tmp_path).write("a" * 300, b"")
    assert caught.value.filename == str(tmp_path / ("a" * 300))
    assert list(tmp_path.iterdir()) == []
