from __future__ import annotations

import pytest

from detection_core.storage import addresses
from detection_core.storage.addresses import StorageError, below, is_address, public_name, require_pyarrow


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, True) for name in ("s3://bucket", "S3://bucket/a.jpg", "gs://b/c", "abfs://c@a/b", "file:///a")),
        *((name, False) for name in ("bucket/a.jpg", "/a/b", "C:\\a", "https://example.org/a.jpg", "s3:/a", "", "://a")),
    ],
)
def test_addresses(name: str, expected: bool):
    assert is_address(name) is expected


@pytest.mark.parametrize(
    ("address", "path", "expected"),
    [
        ("s3://b", "a.jpg", "s3://b/a.jpg"),
        ("s3://b/c/", "d/a.jpg", "s3://b/c/d/a.jpg"),
        ("s3://u:p@b/c?scheme=http", "a b#?%.jpg", "s3://u:p@b/c/a%20b%23%3F%25.jpg?scheme=http"),
        ("file:///c", "ü.jpg", "file:///c/%C3%BC.jpg"),
    ],
)
def test_addresses_below_a_folder(address: str, path: str, expected: str):
    assert below(address, path) == expected


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("s3://user:secret@b/c%20d?endpoint_override=h", "s3://b/c d"),
        ("file:///a%20b", "/a b"),
        ("s3:///c", "s3:///c"),
        ("s3://[b/c", "s3://[b/c"),
    ],
)
def test_what_people_read_has_no_secrets(address: str, expected: str):
    assert public_name(address) == expected


def test_without_pyarrow_one_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(addresses, "find_spec", lambda name: None)
    with pytest.raises(StorageError, match=r"pip install -r requirements-scale\.txt"):
        require_pyarrow()
