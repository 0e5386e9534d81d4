from __future__ import annotations

import re
from pathlib import Path

import pytest

from detection_core.inputs import NoPicturesError, PictureFile, find_clips, find_pictures, free_stems, identity, natural


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


@pytest.fixture
def clips(photos) -> Path:
    """Clips among the pictures."""
    for name in ("clip10.mp4", "Clip9.MOV", "moving.gif", "b/deep.webm", "done_detections.mp4", "done_detections.json"):
        (photos / name).touch()
    return photos


@pytest.mark.parametrize(
    ("names", "found", "others"),
    [
        (["photos/clip10.mp4", "photos/img10.jpg", "photos"], ["photos/clip10.mp4"], ["photos/img10.jpg", "photos"]),
        (["photos/*.mp4"], ["clip10.mp4"], []),
        (["photos/**/*.webm", "photos/*.[Mm][Oo]v"], ["b/deep.webm"], ["photos/*.[Mm][Oo]v"]),
        (["photos/clip10.mp4", "./photos/clip10.mp4"], ["photos/clip10.mp4"], []),
        (["photos/moving.gif"], [], ["photos/moving.gif"]),
        (["missing.avi", "x" * 300 + ".mp4"], ["missing.avi", "x" * 300 + ".mp4"], []),
        (["photos/done_detections.mp4"], ["photos/done_detections.mp4"], []),
    ],
    ids=["file", "pattern", "any depth", "found twice", "GIF", "missing", "result by its own name"],
)  # fmt: skip
def test_clips_are_told_from_pictures_by_their_ending(clips, names, found, others):
    files, rest = find_clips(names)
    assert ([file.name for file in files], rest) == (found, others)


def test_gifs_are_clips_where_that_is_meant(clips):
    assert [file.name for file in find_clips(["photos/moving.gif"], gifs=True)[0]] == ["photos/moving.gif"]


def test_a_pattern_without_clips_is_told(clips):
    with pytest.raises(NoPicturesError, match="No clip fits"):
        find_clips(["photos/*.avi"])


def test_results_never_share_a_name_nor_lie_on_an_input(tmp_path):
    (tmp_path / "b_out.mp4").touch()
    files = [PictureFile(name, name, name) for name in ("a.mp4", "A.mov", "b.mp4", "c.mp4")]
    inputs = {identity(tmp_path / "b_out.mp4")}
    assert list(free_stems(files, tmp_path, inputs, ("_out.mp4",), ["c", "c-2"]).values()) == ["a", "A-2", "b-2", "c-3"]
