"""Names of images as exporters write them: the one file that is meant is found, or the message has the whole name."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from detection_core.datasets.checks import check, without_faults
from detection_core.datasets.coco import read_coco
from detection_core.datasets.image_finder import ImageFinder
from tests.coco_folders import coco_folder, edit

FILES = ["a.jpg", "sub/b.jpg", "one/c.jpg", "two/c.jpg", "Füße 1.jpg", "d.jpg", "deep/d.jpg", "50%25.png", "E.jpg", "e.jpg"]
FOUND = {
    "as it is": ("a.jpg", "a.jpg"),
    "with its folder": ("sub/b.jpg", "sub/b.jpg"),
    "images in front": ("images/a.jpg", "a.jpg"),
    "images in front of a folder": ("images/sub/b.jpg", "sub/b.jpg"),
    "dot in front": ("./a.jpg", "a.jpg"),
    "dot and images": ("./images/a.jpg", "a.jpg"),
    "backslash": (r"sub\b.jpg", "sub/b.jpg"),
    "backslash images": (r"images\a.jpg", "a.jpg"),
    "backslash dot": (r".\images\sub\b.jpg", "sub/b.jpg"),
    "both slashes": (r"images\sub/b.jpg", "sub/b.jpg"),
    "two backslashes": (r"images\\a.jpg", "a.jpg"),
    "percent-encoded": ("F%C3%BC%C3%9Fe%201.jpg", "Füße 1.jpg"),
    "percent-encoded slash": ("images%2Fsub%2Fb.jpg", "sub/b.jpg"),
    "percent-encoded twice": ("F%25C3%25BC%25C3%259Fe%25201.jpg", "Füße 1.jpg"),
    "a percent sign of its own": ("50%25.png", "50%25.png"),
    "URL": ("https://example.org/files/a.jpg", "a.jpg"),
    "URL with a query": ("https://example.org/a.jpg?token=1#x", "a.jpg"),
    "URL, percent-encoded": ("http://host:8080/F%C3%BC%C3%9Fe%201.jpg", "Füße 1.jpg"),
    "bucket": ("s3://bucket/run/sub/b.jpg", "sub/b.jpg"),
    "file URL": ("file:///home/me/a.jpg", "a.jpg"),
    "absolute path": ("/home/me/data/a.jpg", "a.jpg"),
    "absolute path into a folder": ("/home/me/data/images/sub/b.jpg", "sub/b.jpg"),
    "absolute Windows path": (r"C:\Users\me\a.jpg", "a.jpg"),
    "network share": (r"\\server\share\a.jpg", "a.jpg"),
    "Label Studio on Windows": (r"..\..\label-studio\media\upload\4\a.jpg", "a.jpg"),
    "Label Studio's local files": ("/data/local-files/?d=images/sub/b.jpg", "sub/b.jpg"),
    "another case": ("A.JPG", "a.jpg"),
    "another case of the folder": ("Sub/B.jpg", "sub/b.jpg"),
    "accents in two parts": (unicodedata.normalize("NFD", "Füße 1.jpg"), "Füße 1.jpg"),
    "a folder that is not here": ("train/a.jpg", "a.jpg"),
    "only in a folder": ("b.jpg", "sub/b.jpg"),
    "URL, the one in images itself": ("https://example.org/d.jpg", "d.jpg"),
    "spaces around": (" a.jpg\n", "a.jpg"),
    "its own case before another's": ("E.jpg", "E.jpg"),
    "its own case, escaped": (r"images\E.jpg", "E.jpg"),
}
NOT_FOUND = {
    "two of the name": ("c.jpg", 2),
    "two of the name, by URL": ("https://example.org/c.jpg", 2),
    "another folder's": ("three/c.jpg", 2),
    "a folder that is not here, two of the name": ("train/d.jpg", 2),
    "nothing": ("z.jpg", 0),
    "a part of the name": ("xa.jpg", 0),
    "another ending": ("a.png", 0),
    "empty": ("", 0),
    "only slashes": ("///", 0),
    "NUL": ("a\0.jpg", 0),
    "too long": ("x" * 300 + ".jpg", 0),
    "data URL": ("data:image/png;base64," + "A" * 5000, 0),
    "half a pair": ("\ud83d.jpg", 0),
    "neither case": ("images/É.jpg", 0),
}


@pytest.fixture
def finder(tmp_path):
    for name in FILES:
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_text(name)
    return ImageFinder(tmp_path)


@pytest.mark.parametrize(("name", "file"), FOUND.values(), ids=FOUND)
def test_the_file_that_is_meant_is_found(finder, tmp_path, name, file):
    found = finder.find(name)
    assert found.path == tmp_path / "images" / file
    assert found.several == ()


@pytest.mark.parametrize(("name", "several"), NOT_FOUND.values(), ids=NOT_FOUND)
def test_no_file_is_taken_where_none_or_several_fit(finder, name, several):
    found = finder.find(name)
    assert not found.is_guess
    assert len(found.several) == several


def test_images_beside_the_annotations_are_found_too(tmp_path):
    (tmp_path / "val").mkdir()
    for name in ("a.jpg", "val/b.jpg"):
        (tmp_path / name).write_text(name)
    finder = ImageFinder(tmp_path)
    for name, file in ((r"val\b.jpg", "val/b.jpg"), ("A.jpg", "a.jpg"), ("https://x.org/a.jpg", "a.jpg"), ("./a.jpg", "a.jpg")):
        assert finder.find(name).path == tmp_path / file


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="/\\"), min_size=1, max_size=12).map(
    lambda stem: f"{stem}.jpg"
)
STEPS = st.lists(
    st.sampled_from(
        [
            lambda name: name.replace("/", "\\"),
            lambda name: f"./{name}",
            lambda name: f"images/{name}",
            lambda name: quote(name),
            lambda name: unicodedata.normalize("NFD", name),
            lambda name: unicodedata.normalize("NFC", name),
        ]
    ),
    max_size=3,
)
AROUND = st.sampled_from(
    [
        lambda name: name,
        lambda name: f"/mnt/data/{name}",
        lambda name: f"https://example.org/{quote(name)}",
        lambda name: f"D:\\x\\{name}",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(NAMES, st.sampled_from(["", "sub/"]), STEPS, AROUND)
def test_any_way_to_write_a_name_finds_its_file(tmp_path_factory, name, folder, steps, around):
    # What is an escape already, or goes on after a "?", has another meaning in the name itself.
    assume(not set(name) & set("%?#") and unicodedata.normalize("NFC", name) == name and name.strip(". ") == name)
    root = tmp_path_factory.mktemp("names")
    path = root / "images" / f"{folder}{name}"
    path.parent.mkdir(parents=True)
    path.write_text("x")
    written = f"{folder}{name}"
    for step in steps:
        written = step(written)
    assert ImageFinder(root).find(around(written)).path == path


def rename(folder, **names):
    """Gives images of the file, by number, other names."""
    return edit(folder, lambda data: [data["images"][int(n[1:]) - 1].update(file_name=name) for n, name in names.items()])


def test_one_line_sums_up_what_was_found(tmp_path):
    folder = rename(coco_folder(tmp_path, images=3), n1=r"images\1.png", n2="https://example.org/2.png")
    dataset = read_coco(folder)
    assert check(dataset, ("boxes",)) == []
    assert dataset.notes == (
        r"2 images are found by a part of the name or another way to write it, such as images/1.png for “images\1.png”.",
    )


def test_one_file_is_not_taken_for_two_images_of_different_folders(tmp_path):
    folder = rename(coco_folder(tmp_path, images=3), n2="left/1.png", n3="right/1.png")
    dataset = read_coco(folder)
    assert [image.path.name for image in dataset.images if image.several] == ["1.png", "1.png"]
    faults = check(dataset, ("boxes",))
    assert [str(fault).split(":")[0] for fault in faults] == ["image 2 (left/1.png)", "image 3 (right/1.png)"]
    assert "does not tell which file it is" in str(faults[0])


@pytest.mark.parametrize("name", [each[0] for each in NOT_FOUND.values()], ids=NOT_FOUND)
def test_what_is_not_found_is_one_skippable_fault_with_the_whole_name(tmp_path, name):
    folder = coco_folder(tmp_path, images=3)
    for other in ("one", "two", "three/c"):
        (folder / "images" / other).mkdir(parents=True)
    for file in ("one/c.jpg", "two/c.jpg", "one/d.jpg", "two/d.jpg"):
        (folder / "images" / file).write_bytes((folder / "images" / "1.png").read_bytes())
    rename(folder, n1=name)
    dataset = read_coco(folder)
    (fault,) = check(dataset, ("boxes",))
    message = str(fault)
    assert fault.file_name == (name or "images")
    assert message.isprintable()
    assert len(message) < 700
    if len(name) < 400 and name.isprintable() and name:
        assert f"({name})" in message
    assert [image.id for image in without_faults(dataset, [fault]).dataset.images] == [2, 3]
