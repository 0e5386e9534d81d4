"""What is found below addresses, on a real S3 server."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detection_core.storage.addresses import StorageError, read_object
from detection_core.storage.listing import find_stored, is_stored
from detection_core.storage.parquet import Columns
from tests.storage.s3_server import S3Server, encoded_images, start_server, use_credentials

pytestmark = pytest.mark.ray
# Servers list a thousand at a time.
KEYS = 1100
ANY = Columns()


def parquet(**columns: Any) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with start_server() as server:
        (image,) = encoded_images(1)
        names = ["img10.jpg", "img9.JPG", "sub/a b#1?.png", "sub/ü%20.webp", "notes.txt", ".hidden/a.jpg", "x_detections.png", "video.mp4"]
        server.fill("photos", {f"2024/{name}": image for name in [*names, "x_detections.json"]})
        server.fill("many", {f"all/{number}.jpg": b"" for number in range(KEYS)})
        server.fill("rows", {"d/b.parquet": parquet(image=[image] * 2), "d/a.parquet": parquet(image=[image], name=["a.png"])})
        server.fill("other", {"n/readme.txt": b"", "t/a.parquet": parquet(label=[1]), "e/a.parquet": b""})
        yield server


@pytest.fixture(autouse=True)
def credentials() -> None:
    use_credentials()


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("photos/2024", ["img9.JPG", "img10.jpg", "sub/a b#1?.png", "sub/ü%20.webp"]),
        ("photos/2024/", ["img9.JPG", "img10.jpg", "sub/a b#1?.png", "sub/ü%20.webp"]),
        ("photos/2024/sub", ["a b#1?.png", "ü%20.webp"]),
        ("photos", ["2024/img9.JPG", "2024/img10.jpg", "2024/sub/a b#1?.png", "2024/sub/ü%20.webp"]),
        ("photos/2024/notes.txt", ["s3://photos/2024/notes.txt"]),
        ("photos/2024/sub/a b%231%3F.png", ["s3://photos/2024/sub/a b#1?.png"]),
        ("rows/d", ["a.png", "b/000000", "b/000001"]),
        ("rows/d/b.parquet", ["b/000000", "b/000001"]),
    ],
)
def test_what_is_found_in_which_order(server: S3Server, path: str, names: list[str]):
    assert [image.name for image in find_stored([server.address(path)], ANY)] == names


def test_images_are_read_by_their_addresses(server: S3Server):
    found = find_stored([server.address("photos/2024/sub")], ANY)
    assert [read_object(image.path) for image in found] == encoded_images(1) * 2


def test_all_pages_of_a_long_list_are_read(server: S3Server):
    found = find_stored([server.address("many"), server.address("many/all/7.jpg")], ANY)
    assert [image.name for image in found] == [f"all/{number}.jpg" for number in range(KEYS)]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing/a", "There is no bucket “missing”"),
        ("missing", "There is no bucket “missing”"),
        ("photos/2023", "There is nothing at “s3://photos/2023”"),
        ("other/e/x", "There is nothing at “s3://other/e/x”"),
        ("other/n", "There is no .* file and no Parquet file below “s3://other/n”"),
        ("other/t", "no column with encoded images .* label"),
        ("other/e", r"a\.parquet” cannot be read"),
    ],
)
def test_one_sentence_says_what_is_wrong(server: S3Server, path: str, message: str):
    with pytest.raises(StorageError, match=message) as raised:
        find_stored([server.address(path)], ANY)
    assert "\n" not in str(raised.value)


def test_a_number_sign_would_be_taken_for_a_row():
    with pytest.raises(StorageError, match="write it as %23"):
        find_stored(["s3://bucket/a#1.jpg"], ANY)


def test_a_folder_on_this_machine(tmp_path: Path):
    (tmp_path / "data #1" / "sub").mkdir(parents=True)
    for name in ("2.parquet", "10.parquet", "sub/1.parquet"):
        (tmp_path / "data #1" / name).write_bytes(parquet(image=[b"a"]))
    assert is_stored(str(tmp_path / "data #1"))
    names = ["2/000000", "10/000000", "sub/1/000000"]
    for name in (str(tmp_path / "data #1"), (tmp_path / "data #1").as_uri()):
        assert [image.name for image in find_stored([name], ANY)] == names
    assert [image.name for image in find_stored([str(tmp_path / "data #1" / "*.parquet")], ANY)] == names[:2]
    (tmp_path / "2.parquet").write_bytes(parquet(image=[b"a"]))
    of_one_name = [str(tmp_path / "data #1" / "2.parquet"), str(tmp_path / "2.parquet"), str(tmp_path / "2.parquet")]
    assert [image.name for image in find_stored(of_one_name, ANY)] == ["2/000000", "2-2/000000"]
    for name in ("a_detections.png", "a_detections.json"):
        (tmp_path / "data #1" / name).touch()
    assert is_stored(str(tmp_path / "data #1"))
    assert len(find_stored([str(tmp_path / "data #1")], ANY)) == len(names)
    (tmp_path / "data #1" / "a.jpg").touch()
    assert not is_stored(str(tmp_path / "data #1"))


def test_without_permission(server: S3Server, monkeypatch):
    # From now on, the server checks permissions, which nobody has.
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
    with pytest.raises(StorageError, match=r"Access is denied\. Check the credentials"):
        find_stored([server.address("photos/2024")], ANY)


@pytest.mark.slow
def test_a_server_that_does_not_respond():
    pytest.importorskip("pyarrow")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = S3Server(f"127.0.0.1:{unused.getsockname()[1]}").address("bucket/folder")
        with pytest.raises(StorageError, match="cannot be reached"):
            find_stored([address], ANY)
