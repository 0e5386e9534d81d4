"""Addresses of files in object storage, such as s3://bucket/images: opens them with pyarrow, and says in a sentence why it cannot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from detection_core.errors import UserError
from detection_core.images.reading import read_image_bytes

# What pyarrow opens.
_SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs", "file")
# What the errors of pyarrow's file systems contain, and what that means.
_REASONS = {
    r"NO_SUCH_BUCKET|[Bb]ucket '[^']*' not found": "There is no such bucket. Check its name and the endpoint.",
    r"ACCESS_DENIED|FORBIDDEN|INVALID_ACCESS_KEY|SIGNATURE|INVALID_CLIENT_TOKEN|EXPIRED_TOKEN|PERMISSION_DENIED|Permission denied|"
    r"[Cc]redential|(HTTP|[Ss]tatus)\D{0,12}40[13]": (
        "Access is denied. Check the credentials, on this machine and on all nodes; for S3, they are those of AWS's tools."
    ),
    r"NETWORK_CONNECTION|curlCode|REQUEST_TIMEOUT|UNAVAILABLE": "The server cannot be reached. Check the address and the network.",
}
# Most images fit into it, and so come with one request.
_BUFFER_BYTES = 4 << 20
_LONGEST_REASON = 200


class StorageError(UserError, ValueError):
    """Object storage or a Parquet file cannot be used; the message is for people."""


def is_address(name: str) -> bool:
    """Returns whether a name is an address in object storage, and not a path."""
    scheme, separator, _ = name.partition("://")
    return bool(separator) and scheme.lower() in _SCHEMES


def require_pyarrow() -> None:
    """Checks without importing pyarrow.

    Raises:
        StorageError: If it is not installed.
    """
    if find_spec("pyarrow") is None:
        raise StorageError(
            "Object storage and Parquet files need pyarrow, which is not installed. Run `pip install -r requirements-scale.txt` first."
        )


def locate(address: str) -> tuple[Any, str]:
    """Returns pyarrow's file system for an address, and the path in it.

    Credentials are those of this machine, for S3 from AWS's environment variables and configuration.

    Raises:
        StorageError: If the address cannot be used.
    """
    with explained(address):
        parts = urlsplit(address)
        if parts.fragment:
            raise StorageError(f"“{public_name(address)}” is followed by a “#”: in an address, write it as %23.")
        system, base = _file_system(parts.scheme, parts.netloc, parts.query)
    return system, base + unquote(parts.path)


def below(address: str, path: str) -> str:
    """Returns the address of a file below a folder's address.

    Args:
        address: The address of the folder.
        path: The path from there.
    """
    parts = urlsplit(address)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{quote(path)}").geturl()


def public_name(address: str) -> str:
    """Returns an address as people read it, without a user, a password and the options behind "?"; of a file, its path."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return unquote(parts.path if parts.scheme == "file" else f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def read_object(address: str) -> bytes:
    """Reads an image file; of any other file, only the beginning.

    Raises:
        StorageError: If it cannot be read.
    """
    system, path = locate(address)
    with explained(address), system.open_input_stream(path, buffer_size=_BUFFER_BYTES) as stream:
        return read_image_bytes(stream)


@contextmanager
def explained(address: str) -> Iterator[None]:
    """Turns the errors of pyarrow into sentences.

    Raises:
        StorageError: In place of any of them.
    """
    from pyarrow import ArrowException

    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError, ArrowException) as error:
        text = str(error)
        reason = next((words for pattern, words in _REASONS.items() if re.search(pattern, text)), "")
        if isinstance(error, FileNotFoundError):
            reason = reason or "It is not there. Check the address."
        reason = reason or text.partition("\n")[0][:_LONGEST_REASON].rstrip(".") + "."
        raise StorageError(f"“{public_name(address)}” cannot be read. {reason}") from error


@cache
def _file_system(scheme: str, host: str, query: str) -> tuple[Any, str]:
    """Returns a file system and the path of its root; connecting anew for each file would take longer than reading it."""
    from pyarrow.fs import FileSystem

    system, path = FileSystem.from_uri(f"{scheme}://{host}/{'?' * bool(query)}{query}")
    return system, path.rstrip("/")
