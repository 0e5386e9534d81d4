"""Downloads one large file over HTTP and keeps it only if it is complete and verified."""

from __future__ import annotations

import errno
import hashlib
import logging
import shutil
import socket
import ssl
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, InvalidURL
from io import FileIO
from pathlib import Path
from typing import cast
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

ProgressCallback = Callable[[int, int | None], None]
CancelledCallback = Callable[[], bool]

_CHUNK_BYTES = 1 << 20
_STALL_SECONDS = 20.0
_BACK_OFF_SECONDS = (0.5, 1.0, 2.0)
_POLL_SECONDS = 0.1


class DownloadError(RuntimeError):
    """A file could not be downloaded; the message is the reason in plain words, without addresses or paths."""


class DownloadCancelled(RuntimeError):  # noqa: N818 - not an error: it is what the caller asked for.
    """The caller has cancelled the download."""


def download(
    url: str,
    target: Path,
    sha256_prefix: str,
    on_progress: ProgressCallback | None = None,
    cancelled: CancelledCallback | None = None,
) -> None:
    """Downloads `url` to `target`, unless another process has done so.

    The bytes are written to `<target>.part`, which survives an interruption and is continued by a Range request, now or in a
    later call. Dropped connections are retried as long as each makes progress, and three times when it does not. A lock
    beside the target keeps a second process waiting until the first is done.

    Args:
        url: An http(s) address; a user and password in it are sent as basic authentication, to its own host only.
        target: The file to write, in an existing folder with write access.
        sha256_prefix: The start of the file's SHA-256 in lower-case hexadecimal digits; "" accepts any file.
        on_progress: Called with the bytes received so far and the size of the whole file, or None if the server does not send it.
        cancelled: Called between chunks and while waiting; True stops the download.

    Raises:
        DownloadError: If the file cannot be downloaded, does not fit on the disk, or is not the expected one (it is then deleted).
        DownloadCancelled: If `cancelled` returned True; the bytes received are kept for a later call.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError("the address does not begin with http:// or https://")
    report = on_progress or (lambda done, total: None)
    stop = cancelled or (lambda: False)
    part = target.with_name(target.name + ".part")
    with _only_downloader(target, lambda: report(_size(part), None), stop):
        if target.exists():
            return
        # The part may be complete, if a process was killed just before it could rename the file.
        if not (sha256_prefix and part.exists() and sha256(part).startswith(sha256_prefix)):
            _fetch(url, part, report, stop)
            found = sha256(part)
            if not found.startswith(sha256_prefix):
                part.unlink()
                raise DownloadError(
                    f"the downloaded file is not the expected one: its SHA-256 begins with {found[:8]} and not {sha256_prefix}"
                )
        part.replace(target)


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 lower-case hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def public_url(url: str) -> str:
    """Returns `url` without user, password, query and fragment, so that it is safe to show."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@contextmanager
def _only_downloader(target: Path, on_wait: Callable[[], None], cancelled: CancelledCallback) -> Iterator[None]:
    lock = FileLock(target.with_name(target.name + ".lock"))
    while True:
        try:
            lock.acquire(timeout=0)
            break
        except Timeout:
            on_wait()
            _pause(2 * _POLL_SECONDS, cancelled)
    try:
        yield
    finally:
        lock.release()


def _fetch(url: str, part: Path, report: ProgressCallback, cancelled: CancelledCallback) -> None:
    # Unbuffered, so that closing the file cannot fail on bytes still to be written.
    with part.open("ab", buffering=0) as file:
        failures, furthest = 0, file.tell()
        while True:
            try:
                return _fetch_rest(url, file, report, cancelled)
            except (OSError, HTTPException) as error:
                failures = 1 if file.tell() > furthest else failures + 1
                furthest = max(file.tell(), furthest)
                logger.warning("download of %s interrupted at %d bytes: %r", public_url(url), file.tell(), error)
                if not _may_succeed_on_retry(error) or failures > len(_BACK_OFF_SECONDS):
                    raise DownloadError(_explanation(error)) from error
            _pause(_BACK_OFF_SECONDS[failures - 1], cancelled)


def _fetch_rest(url: str, file: FileIO, report: ProgressCallback, cancelled: CancelledCallback) -> None:
    done = file.tell()
    _raise_if(cancelled)
    with _open(url, done) as response:
        if response.status != 206:  # The server sends the whole file instead of the requested rest.
            file.seek(0)
            file.truncate()
            done = 0
        # None also for a header that is not a number.
        total = done + response.length if response.length is not None else None
        if total is not None:
            _check_space(file, total - done)
        report(done, total)
        # read1 returns the bytes received so far, so a slow server delays neither progress nor cancellation.
        while chunk := response.read1(_CHUNK_BYTES):
            _write(file, chunk)
            done += len(chunk)
            report(done, total)
            _raise_if(cancelled)
    if total is not None and done < total:
        raise ConnectionError(f"closed after {done} of {total} bytes")


def _open(url: str, offset: int) -> HTTPResponse:
    try:
        return cast(HTTPResponse, urlopen(_request(url, offset), timeout=_STALL_SECONDS))
    except HTTPError as error:
        if error.code == 416 and offset:  # The file has no bytes from there on: the part on the disk belongs to another file.
            return cast(HTTPResponse, urlopen(_request(url, 0), timeout=_STALL_SECONDS))
        raise


def _request(url: str, offset: int) -> Request:
    parts = urlsplit(url)
    request = Request(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), headers={"User-Agent": "detection-explorer"})
    if parts.username:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + b64encode(secret.encode()).decode())
    if offset:
        request.add_header("Range", f"bytes={offset}-")
    return request


def _may_succeed_on_retry(error: Exception) -> bool:
    """Returns whether an immediate retry may help: it may after a broken connection, not after one that could not be made."""
    if isinstance(error, HTTPError):
        return error.code in (408, 429) or error.code >= 500
    return not isinstance(error, (URLError, InvalidURL))


def _explanation(error: Exception) -> str:
    if isinstance(error, HTTPError):
        meaning = {401: "asks for a password", 403: "refuses access", 404: "has no such file", 410: "has no such file any more"}
        return f"the server {meaning.get(error.code, 'answered with an error')} (HTTP {error.code})"
    cause = error.reason if isinstance(error, URLError) else error
    for kind, words in (
        (socket.gaierror, "the server's name cannot be resolved, so there is probably no network"),
        (ConnectionRefusedError, "the server refuses the connection"),
        (ssl.SSLCertVerificationError, "the server's certificate cannot be verified"),
        (TimeoutError, "the server does not answer"),
        (InvalidURL, "the address is not valid"),
    ):
        if isinstance(cause, kind):
            return words
    return "the server cannot be reached" if isinstance(error, URLError) else "the connection keeps breaking off"


def _write(file: FileIO, chunk: bytes) -> None:
    try:
        rest = memoryview(chunk)
        while rest:
            rest = rest[file.write(rest) :]
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise DownloadError("the disk is full" if full else "the file cannot be written to the disk") from error


def _check_space(file: FileIO, needed: int) -> None:
    free = shutil.disk_usage(file.name).free
    if free < needed:
        raise DownloadError(f"the disk is too full: {needed / 1e6:,.1f} MB are needed and {free / 1e6:,.1f} MB are free")


def _pause(seconds: float, cancelled: CancelledCallback) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        _raise_if(cancelled)
        time.sleep(min(left, _POLL_SECONDS))


def _raise_if(cancelled: CancelledCallback) -> None:
    if cancelled():
        raise DownloadCancelled("The download was cancelled; the part received is kept for the next time.")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
