"""Object storage and Parquet files on a real cluster and a real S3 server: results as of the same images in a folder."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from detection_core.cli.main import main
from detection_core.models.catalog import COCO_MODEL
from tests.storage.s3_server import S3Server, encoded_images, start_server, use_credentials

IMAGES = 6
# The workers' processes have another environment than the test.
CREDENTIALS = "user:secret@"


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with start_server() as server:
        yield server


@pytest.fixture(autouse=True)
def credentials() -> None:
    use_credentials()


def results(out: Path) -> dict[str, Any]:
    """The objects of each image, by the names of the files."""
    found = {}
    for path in out.rglob("*_detections.json"):
        data = json.loads(path.read_text("utf-8"))
        found[path.relative_to(out).as_posix()] = (data["file_name"], data["objects"])
    return found


def rows_file(images: list[bytes | None], names: list[str]) -> bytes:
    """A Parquet file as Hugging Face's data sets have them."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    rows = [{"image": {"bytes": content, "path": name}} for content, name in zip(images, names, strict=True)]
    file = io.BytesIO()
    schema = pa.schema({"image": pa.struct({"bytes": pa.binary(), "path": pa.string()})})
    pq.write_table(pa.Table.from_pylist(rows, schema), file, row_group_size=4)
    return file.getvalue()


def on(cluster: Any, *workers: str) -> list[str]:
    return ["--model", COCO_MODEL, "--engine", "ray", "--ray-address", cluster.address, "--workers", *workers]


@pytest.mark.ray
@pytest.mark.usefixtures("one_thread")
def test_results_are_those_of_the_same_images_in_a_folder(tmp_path: Path, server: S3Server, shared_cluster, capsys):
    images = encoded_images(IMAGES)
    folder = tmp_path / "images"
    folder.mkdir()
    for number, content in enumerate(images):
        (folder / f"{number}.png").write_bytes(content)
    assert main(["detect", str(folder), "--model", COCO_MODEL, "--format", "json", "--out", str(tmp_path / "local")]) == 0
    objects = {number: results(tmp_path / "local")[f"{number}_detections.json"][1] for number in range(IMAGES)}
    assert any(objects.values())

    stored = {f"p/sub/{number}.png": content for number, content in enumerate(images)}
    server.fill("bucket", {**stored, "p/broken.jpg": b"no image"})
    names = [*(f"../../row {number}.png" for number in range(IMAGES)), "empty.png"]
    (tmp_path / "rows.parquet").write_bytes(rows_file([*images, None], names))
    sources = [server.address("bucket/p", CREDENTIALS), str(tmp_path / "rows.parquet")]
    out = tmp_path / "work" / "out"
    assert main(["detect", *sources, *on(shared_cluster, "1"), "--format", "json,coco,png", "--out", str(out)]) == 1, "two have no image"
    said = capsys.readouterr().err
    assert "broken.jpg: " in said
    assert "empty.png: This row has no image" in said
    assert results(out) == {
        **{f"sub/{number}_detections.json": (f"sub/{number}.png", expected) for number, expected in objects.items()},
        **{f"row {number}_detections.json": (f"../../row {number}.png", expected) for number, expected in objects.items()},
    }
    assert {path.name for path in tmp_path.iterdir()} == {"images", "local", "rows.parquet", "work"}
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["out"]
    assert (out / "coco_results.json").exists()
    assert len(list(out.rglob("*_detections.png"))) == 2 * IMAGES


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_an_interrupted_run_is_resumed(tmp_path: Path, server: S3Server, shared_cluster, capsys):
    images = encoded_images(IMAGES)
    server.fill("rows", {f"d/{part}.parquet": rows_file([*images], [f"{number}.png" for number in range(IMAGES)]) for part in "ab"})
    command = ["detect", server.address("rows/d", CREDENTIALS), *on(shared_cluster, "2"), "--out", str(tmp_path)]
    assert main(command) == 0
    found = results(tmp_path)
    assert len(found) == 2 * IMAGES
    assert found["b/000003/3_detections.json"] == ("b/000003/3.png", found["3_detections.json"][1])
    (tmp_path / "3_detections.json").unlink()
    capsys.readouterr()
    assert main(command) == 0
    assert f"1 detected, {2 * IMAGES - 1} done before" in capsys.readouterr().err
    assert results(tmp_path) == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s3://bucket/photos"], "“s3://bucket/photos” is read on a Ray cluster only: add --engine ray"),
        (["data.parquet"], "“data.parquet” is read on a Ray cluster only: add --engine ray"),
        (["photos", "--image-column", "jpg"], "leave them out"),
        (["photos", "--name-column", "title"], "leave them out"),
    ],
)
def test_what_needs_a_cluster_is_said_first(arguments: list[str], message: str, capsys):
    assert main(["detect", *arguments, "--model", COCO_MODEL]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_with_parquet_files_needs_a_cluster(tmp_path: Path, capsys):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.parquet").touch()
    assert main(["detect", str(tmp_path), "--model", COCO_MODEL]) == 2
    assert "is read on a Ray cluster only" in capsys.readouterr().err
