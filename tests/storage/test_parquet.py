"""Rows of Parquet files: columns that are found, names, and images as pyarrow itself returns them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from detection_core.inputs import InputFile
from detection_core.storage.addresses import StorageError
from detection_core.storage.parquet import Chosen, Columns, choose_columns, is_row, list_rows, read_rows

pytestmark = pytest.mark.ray
pa: Any = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install -r requirements-scale-dev.txt")
pq: Any = pytest.importorskip("pyarrow.parquet")

HUGGING_FACE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


@pytest.mark.parametrize(
    ("schema", "wanted", "chosen"),
    [
        ({"image": HUGGING_FACE, "label": pa.int64()}, Columns(), Chosen("image.bytes", "image.path")),
        ({"image": HUGGING_FACE, "file_name": pa.string()}, Columns(), Chosen("image.bytes", "file_name")),
        ({"jpg": pa.large_binary(), "__key__": pa.string()}, Columns(), Chosen("jpg", "__key__")),
        ({"content": pa.binary_view(), "id": pa.int32()}, Columns(), Chosen("content", "id")),
        ({"image": pa.binary(), "mask": pa.binary()}, Columns(), Chosen("image", None)),
        ({"image": pa.binary(), "mask": pa.binary()}, Columns("mask"), Chosen("mask", None)),
        ({"image": pa.binary(), "id": pa.string(), "title": pa.string()}, Columns(None, "title"), Chosen("image", "title")),
        ({"image": pa.binary(), "name": pa.dictionary(pa.int8(), pa.string())}, Columns(), Chosen("image", "name")),
        ({"image": pa.binary(), "path": pa.list_(pa.string())}, Columns(), Chosen("image", None)),
        ({"image": pa.struct({"bytes": pa.binary()})}, Columns(), Chosen("image.bytes", None)),
    ],
)
def test_columns_are_found_by_the_schema(schema: dict[str, Any], wanted: Columns, chosen: Chosen):
    assert choose_columns(pa.schema(schema), wanted, "a.parquet") == chosen


@pytest.mark.parametrize(
    ("schema", "wanted", "message"),
    [
        ({"label": pa.int64(), "text": pa.string()}, Columns(), "no column with encoded images .* label, text"),
        ({"left": pa.binary(), "right": pa.binary()}, Columns(), "--image-column one of left, right"),
        ({"left": pa.binary(), "id": pa.string()}, Columns("middle"), "no column “middle”: give --image-column one of left, id"),
        ({"left": pa.binary(), "id": pa.string()}, Columns("id"), "“id” of “a.parquet” has no bytes"),
        ({"left": pa.binary()}, Columns(None, "title"), "give --name-column one of left"),
        ({"image": pa.struct({"path": pa.string()})}, Columns(), "no column with encoded images"),
    ],
)
def test_one_sentence_lists_the_columns(schema: dict[str, Any], wanted: Columns, message: str):
    with pytest.raises(StorageError, match=message):
        choose_columns(pa.schema(schema), wanted, "a.parquet")


def write(path: Path, rows: list[dict[str, Any]], schema: dict[str, Any], **options: Any) -> str:
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(schema)), path, **options)
    return path.as_uri()


def listed(address: str, wanted: Columns = Columns()) -> list[InputFile]:  # noqa: B008 - frozen.
    return list(list_rows(address, "data/a", wanted, set()))


def as_rows(images: list[InputFile]) -> Any:
    return pa.Table.from_pylist([{"number": number, "path": os.fsencode(image.path)} for number, image in enumerate(images)])


def test_names_are_unique_and_places_safe(tmp_path: Path):
    names = ["b.jpg", "../../B.jpg", "b.jpg", "B.JPG", None, "", "scan.17", "scan.18", "/etc/x.png"]
    address = write(tmp_path / "a.parquet", [{"image": b"", "name": name} for name in names], {"image": pa.binary(), "name": pa.string()})
    images = listed(address)
    assert [image.name for image in images] == [
        *("b.jpg", "../../B.jpg", "data/a/000002/b.jpg", "data/a/000003/B.JPG", "data/a/000004", "data/a/000005"),
        *("scan.17", "scan.18", "/etc/x.png"),
    ]
    assert [image.place for image in images] == [
        *("b.jpg", "B.jpg", "data/a/000002/b.jpg", "data/a/000003/B.JPG", "data/a/000004.row", "data/a/000005.row"),
        *("scan.17.row", "scan.18.row", "etc/x.png"),
    ]
    assert all(is_row(image.path) for image in images)


@pytest.mark.parametrize("group_size", [1, 3, 20, 100])
def test_images_are_those_of_the_rows(tmp_path: Path, group_size: int):
    contents = [bytes([number]) * (100 + number) + b"\0" * number for number in range(50)]
    rows = [{"image": {"bytes": content, "path": f"{number}.png"}} for number, content in enumerate(contents)]
    rows[7] = {"image": None}
    rows[11] = {"image": {"bytes": None, "path": "elsewhere.png"}}
    images = listed(write(tmp_path / "ä #1?.parquet", rows, {"image": HUGGING_FACE}, row_group_size=group_size))
    tables = list(read_rows(as_rows(images), Columns()))
    assert max(table.num_rows for table in tables) <= 8, "few are in memory at a time"
    found = pa.concat_tables(tables).to_pylist()
    assert [row["number"] for row in found] == list(range(50))
    assert [row["content"] for row in found] == [None if number in (7, 11) else content for number, content in enumerate(contents)]
    assert {row["number"] for row in found if row["reason"]} == {7, 11}
    assert images[3].name == "3.png"
    assert images[7].name == "data/a/000007"


def test_what_becomes_unreadable_is_the_reason_of_its_rows(tmp_path: Path):
    path = tmp_path / "a.parquet"
    images = listed(write(path, [{"image": b"content"}] * 10, {"image": pa.binary()}))
    path.unlink()
    found = pa.concat_tables(read_rows(as_rows(images), Columns())).to_pylist()
    assert len(found) == 10
    assert all(row["content"] is None and "cannot be read" in row["reason"] for row in found)


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path):
    (tmp_path / "a.parquet").write_bytes(b"nothing")
    with pytest.raises(StorageError, match=r"a\.parquet” cannot be read"):
        listed((tmp_path / "a.parquet").as_uri())
