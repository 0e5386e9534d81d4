from __future__ import annotations

import re
from pathlib import Path

import pytest

from detection_core.picture_files import NoPicturesError, PictureFile, find_pictures, natural


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """A folder as people have them, below the working folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("photos")
    for name in ("img10.jpg", "IMG9.JPG", "notes.txt", "b/2.png", "b/c/1.webp", ".hidden.jpg", ".git/1.jpg", "empty/readme.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["photos"], ["b/2.png", "b/c/1.webp", "IMG9.JPG", "img10.jpg"]),
        (["photos/*"], ["IMG9.JPG", "img10.jpg"]),
        (["photos/**/*.[pw]*"], ["b/2.png", "b/c/1.webp"]),
        (["photos/?/*"], ["b/2.png"]),
        (["photos/notes.txt", "photos/missing.jpg"], ["photos/notes.txt", "photos/missing.jpg"]),
        (["photos/img10.jpg", "photos", "./photos/b/2.png"], ["photos/img10.jpg", "b/2.png", "b/c/1.webp", "IMG9.JPG"]),
        (["photos/.hidden.jpg"], ["photos/.hidden.jpg"]),
        (["https://example.org/a.jpg"], ["https://example.org/a.jpg"]),
        (["x" * 300, "x" * 300 + "*"], ["x" * 300, "x" * 300 + "*"]),
    ],
    ids=["folder", "pattern", "any depth", "one folder", "named files", "found twice", "hidden", "web address", "too long"],
)  # fmt: skip
def test_what_is_found_in_which_order(photos, names, found):
    assert [picture.name for picture in find_pictures(names)] == found


def test_a_search_is_mirrored_and_a_named_file_is_not(photos):
    assert find_pictures(["photos/b/2.png"]) == [PictureFile("photos/b/2.png", "photos/b/2.png", "2.png")]
    assert find_pictures(["photos/*/*.png"]) == [PictureFile("photos/b/2.png", "b/2.png", "b/2.png")]
    assert find_pictures([str(photos.absolute() / "b")])[0] == PictureFile(str(photos.absolute() / "b" / "2.png"), "2.png", "2.png")


def test_a_file_may_be_called_like_a_pattern(photos):
    (photos / "a[1].jpg").touch()
    assert [picture.name for picture in find_pictures(["photos/a[1].jpg"])] == ["photos/a[1].jpg"]


def test_annotated_pictures_of_an_earlier_run_are_not_looked_for(photos):
    for name in ("img10_detections.png", "img10_detections.json", "other_detections.png"):
        (photos / name).touch()
    assert {picture.name for picture in find_pictures(["photos/*.png"])} == {"other_detections.png"}
    assert len(find_pictures(["photos/img10_detections.png"])) == 1


def test_linked_folders_lead_in_no_circle(photos):
    (photos / "b" / "up").symlink_to(photos.absolute())
    assert len(find_pictures(["photos"])) == 4


@pytest.mark.parametrize("name", ["photos/empty", "photos/*.tiff", "nowhere/*", "photos/**x*"])
def test_what_leads_to_nothing_is_said(photos, name):
    with pytest.raises(NoPicturesError, match=re.escape(name.removeprefix("photos/"))):
        find_pictures(["photos", name])


def test_natural_order():
    names = ["b/2.jpg", "a10.jpg", "B1.jpg", "a9.jpg", "a.jpg", "b/10.jpg", "9.jpg", "a09b.jpg"]
    assert sorted(names, key=natural) == ["9.jpg", "a09b.jpg", "a9.jpg", "a10.jpg", "a.jpg", "b/2.jpg", "b/10.jpg", "B1.jpg"]
