from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection_core.inputs import InputFile, free_stems
from detection_core.storage.places import safe_place


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("a.jpg", "a.jpg"),
        ("train/cat/a.jpg", "train/cat/a.jpg"),
        ("/etc/passwd", "etc/passwd"),
        ("../../a.jpg", "a.jpg"),
        ("a/../../b.jpg", "a/b.jpg"),
        ("a/./b//c.jpg", "a/b/c.jpg"),
        (r"C:\photos\..\a.jpg", "C_/photos/a.jpg"),
        ("..", "image"),
        ("", "image"),
        ("a\x00b\n.jpg", "a_b_.jpg"),
        ('what?<">|*.jpg', "what______.jpg"),
        ("é/ü.jpg", "é/ü.jpg"),
        ("x" * 300 + "/a.jpg", "x" * 150 + "/a.jpg"),
        ("/".join("abcdefghijklmnop"), "/".join("efghijklmnop")),
    ],
)
def test_places_are_the_names_as_far_as_these_are_safe(name: str, place: str):
    assert safe_place(name) == place


_TEXT = st.text("ab./\\:~\x00 \n\ud800é")


@given(_TEXT)
def test_no_name_leads_out_of_the_folder(name: str):
    place = safe_place(name)
    for path in (PurePosixPath(place), PureWindowsPath(place)):
        assert path.parts
        assert not path.is_absolute()
        assert not path.drive
        assert ".." not in path.parts
    assert "\x00" not in place


@given(name=_TEXT)
def test_stems_of_any_names_are_below_the_folder(tmp_path_factory, name: str):
    folder = tmp_path_factory.getbasetemp()
    images = [InputFile(str(number), "", safe_place(name)) for number in range(2)]
    stems = list(free_stems(images, folder, set(), ("_detections.json",)).values())
    assert len(set(stems)) == 2
    for stem in stems:
        assert (folder / f"{stem}_detections.json").resolve().is_relative_to(folder.resolve())
