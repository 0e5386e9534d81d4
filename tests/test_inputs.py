from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from PIL import Image

from detection_core.inputs import InputFile, NoImagesError, find_images, find_videos, free_stems, identity, natural
from detection_core.video.io import holds_video, open_video
from tests.video.io.videos import make_video


@pytest.fixture
def images(tmp_path, monkeypatch) -> Path:
    """A folder as people have them, below the working folder."""
    monkeypatch.chdir(tmp_path)
    folder = Path("images")
    for name in ("img10.jpg", "IMG9.JPG", "notes.txt", "b/2.png", "b/c/1.webp", ".hidden.jpg", ".git/1.jpg", "empty/readme.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["images"], ["b/2.png", "b/c/1.webp", "IMG9.JPG", "img10.jpg"]),
        (["images/*"], ["IMG9.JPG", "img10.jpg"]),
        (["images/**/*.[pw]*"], ["b/2.png", "b/c/1.webp"]),
        (["images/?/*"], ["b/2.png"]),
        (["images/notes.txt", "images/missing.jpg"], ["images/notes.txt", "images/missing.jpg"]),
        (["images/img10.jpg", "images", "./images/b/2.png"], ["images/img10.jpg", "b/2.png", "b/c/1.webp", "IMG9.JPG"]),
        (["images/.hidden.jpg"], ["images/.hidden.jpg"]),
        (["https://example.org/a.jpg"], ["https://example.org/a.jpg"]),
        (["x" * 300, "x" * 300 + "*"], ["x" * 300, "x" * 300 + "*"]),
    ],
    ids=["folder", "pattern", "any depth", "one folder", "named files", "found twice", "hidden", "web address", "too long"],
)  # fmt: skip
def test_what_is_found_in_which_order(images, names, found):
    assert [image.name for image in find_images(names)] == found


def test_a_search_is_mirrored_and_a_named_file_is_not(images):
    assert find_images(["images/b/2.png"]) == [InputFile("images/b/2.png", "images/b/2.png", "2.png")]
    assert find_images(["images/*/*.png"]) == [InputFile("images/b/2.png", "b/2.png", "b/2.png")]
    assert find_images([str(images.absolute() / "b")])[0] == InputFile(str(images.absolute() / "b" / "2.png"), "2.png", "2.png")


def test_a_file_may_be_called_like_a_pattern(images):
    (images / "a[1].jpg").touch()
    assert [image.name for image in find_images(["images/a[1].jpg"])] == ["images/a[1].jpg"]


def test_annotated_images_of_an_earlier_run_are_not_looked_for(images):
    for name in ("img10_detections.png", "img10_detections.json", "other_detections.png"):
        (images / name).touch()
    assert {image.name for image in find_images(["images/*.png"])} == {"other_detections.png"}
    assert len(find_images(["images/img10_detections.png"])) == 1


def test_linked_folders_lead_in_no_circle(images):
    (images / "b" / "up").symlink_to(images.absolute())
    assert len(find_images(["images"])) == 4


@pytest.mark.parametrize("name", ["images/empty", "images/*.tiff", "nowhere/*", "images/**x*"])
def test_what_leads_to_nothing_is_reported(images, name):
    with pytest.raises(NoImagesError, match=re.escape(name.removeprefix("images/"))):
        find_images(["images", name])


def test_natural_order():
    names = ["b/2.jpg", "a10.jpg", "B1.jpg", "a9.jpg", "a.jpg", "b/10.jpg", "9.jpg", "a09b.jpg"]
    assert sorted(names, key=natural) == ["9.jpg", "a09b.jpg", "a9.jpg", "a10.jpg", "a.jpg", "b/2.jpg", "b/10.jpg", "B1.jpg"]


@pytest.fixture
def videos(images) -> Path:
    """Videos among the images."""
    for name in ("video10.mp4", "Video9.MOV", "moving.gif", "b/deep.webm", "done_detections.mp4", "done_detections.json"):
        (images / name).touch()
    return images


@pytest.mark.parametrize(
    ("names", "found", "others"),
    [
        (["images/video10.mp4", "images/img10.jpg", "images"], ["images/video10.mp4"], ["images/img10.jpg", "images"]),
        (["images/*.mp4"], ["video10.mp4"], []),
        (["images/**/*.webm", "images/*.[Mm][Oo]v"], ["b/deep.webm"], ["images/*.[Mm][Oo]v"]),
        (["images/video10.mp4", "./images/video10.mp4"], ["images/video10.mp4"], []),
        (["images/moving.gif"], [], ["images/moving.gif"]),
        (["missing.avi", "x" * 300 + ".mp4"], ["missing.avi", "x" * 300 + ".mp4"], []),
        (["images/done_detections.mp4"], ["images/done_detections.mp4"], []),
    ],
    ids=["file", "pattern", "any depth", "found twice", "GIF", "missing", "result by its own name"],
)  # fmt: skip
def test_videos_are_recognized_by_their_ending(videos, names, found, others):
    files, rest = find_videos(names)
    assert ([file.name for file in files], rest) == (found, others)


CONTAINERS = {
    # name: (ending that says the container, codec, what the file is called)
    "camcorder": (".mts", "libx264", "00001.MTS"),
    "broadcast": (".ts", "mpeg2video", "a.ts"),
    "windows": (".wmv", "wmv2", "a.WMV"),
    "flash": (".flv", "flv1", "a.flv"),
    "old phone": (".3gp", "mpeg4", "a.3gp"),
    "mpeg": (".mpg", "mpeg1video", "a.mpg"),
    "dvd": (".vob", "mpeg2video", "VTS_01_1.VOB"),
    "no ending": (".mp4", "libx264", "clip"),
    "webm, no ending": (".webm", "libvpx-vp9", "clip"),
    "avi, no ending": (".avi", "mjpeg", "clip"),
    "transport stream, no ending": (".ts", "libx264", "clip"),
    "windows, no ending": (".wmv", "wmv2", "clip"),
    "another ending": (".mp4", "libx264", "a.bin"),
    "an image's ending": (".mkv", "libx264", "a.jpg"),
    "of another container": (".mkv", "libx264", "a.mp4"),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_what_holds_a_video_is_one_whatever_it_is_called(name, tmp_path):
    ending, codec, called = CONTAINERS[name]
    made = make_video(tmp_path / f"made{ending}", 8, fps=25, codec=codec, pixels="yuvj420p" if codec == "mjpeg" else "yuv420p")
    path = made.rename(tmp_path / called)
    files, others = find_videos([str(path)], holds_video=holds_video)
    assert ([file.path for file in files], others) == ([str(path)], [])
    assert len(list(open_video(path).frames())) == 8


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(2000)
RAW = b"\0\0\0\x18ftypcrx \0\0\0\1crx isom" + bytes(2000)
NO_VIDEOS = {
    "jpeg called mp4": ("a.mp4", "JPEG"),
    "png without an ending": ("a", "PNG"),
    "gif called mov": ("a.mov", "GIF"),
    "avif": ("a.avif", "AVIF"),
    "heic": ("a.heic", HEIC),
    "raw image": ("a.cr3", RAW),
    "text": ("a.txt", b"G" * 5000),
    "zip": ("a.zip", b"PK\3\4" + bytes(2000)),
    "noise": ("a.bin", bytes(range(256)) * 40),
}


@pytest.mark.parametrize("name", NO_VIDEOS)
def test_what_holds_no_video_is_none_whatever_it_is_called(name, tmp_path):
    called, content = NO_VIDEOS[name]
    path = tmp_path / called
    if isinstance(content, str):
        Image.new("RGB", (64, 48), "red").save(path, content)
    else:
        path.write_bytes(content)
    assert find_videos([str(path)], holds_video=holds_video) == ([], [str(path)])


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert find_videos([str(tmp_path / "pipe")], holds_video=holds_video) == ([], [str(tmp_path / "pipe")])


def test_patterns_find_all_endings_of_videos(images):
    for name in ("1.MTS", "2.ts", "3.wmv", "4.ogv"):
        (images / name).touch()
    assert [file.name for file in find_videos(["images/*.[Mm][Tt][Ss]", "images/*.wmv", "images/*.ogv", "images/*.ts"])[0]] == [
        "3.wmv",
        "4.ogv",
        "2.ts",
    ]
    assert [file.name for file in find_videos(["images/*.MTS"])[0]] == ["1.MTS"]


def test_gifs_are_videos_where_that_is_meant(videos):
    assert [file.name for file in find_videos(["images/moving.gif"], gifs=True)[0]] == ["images/moving.gif"]


def test_a_pattern_without_videos_is_reported(videos):
    with pytest.raises(NoImagesError, match="No video matches"):
        find_videos(["images/*.avi"])


def test_results_never_share_a_name_nor_lie_on_an_input(tmp_path):
    (tmp_path / "b_out.mp4").touch()
    files = [InputFile(name, name, name) for name in ("a.mp4", "A.mov", "b.mp4", "c.mp4")]
    inputs = {identity(tmp_path / "b_out.mp4")}
    assert list(free_stems(files, tmp_path, inputs, ("_out.mp4",), ["c", "c-2"]).values()) == ["a", "A-2", "b-2", "c-3"]
