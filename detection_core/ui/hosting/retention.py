"""Deletes what visitors leave on the server: everything after a set time, and the oldest files before they fill the disk."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from anyio import to_thread

from detection_core.ui.shared.visitor_store import VisitorStore

logger = logging.getLogger(__name__)

# As long as a visitor may leave the page open and go on, in seconds.
KEEP_SECONDS = 6 * 3600.0
# A quota is exceeded by what is uploaded within this time, in seconds.
_LONGEST_PAUSE = 15.0
_SHARE_OF_TIME = 1 / 4
# Seconds without a byte after which an upload has been broken off.
_BROKEN_OFF = 60.0


class FileOwner(Protocol):
    """A store whose entries have files that must stay or go together."""

    def files(self) -> Mapping[Path, str | None]:
        """Files and folders in use, each with the token of its entry, or None while it is being worked on."""

    def remove(self, token: str, *, evicted: bool = False) -> None:
        """Removes an entry, which deletes its folder soon."""


@dataclass(frozen=True)
class _File:
    path: Path
    size: int
    since: float


class Retention:
    """Keeps one folder and the visitors' stores small.

    A file's age is counted from when it was first seen as it is now, by a clock that never jumps, rather than from the time that the
    file system gives: a machine whose time is corrected must neither delete everything nor keep it forever.

    Args:
        folder: Where visitors' files are; all in it belongs to this server.
        keep_seconds: How long uploads, results and archives are kept after they were last written, and entries of stores after they were
            last used. Uploads that were broken off are kept for a minute at most.
        quota_bytes: How large the files may be together; beyond that, the oldest are deleted. None sets no limit.
        stores: What is kept in memory.
        owners: The stores that own files.
        essential: Gives the files of the page itself, which stay.
        clock: Gives the time in seconds; it never jumps.
    """

    def __init__(
        self,
        folder: Path,
        keep_seconds: float = KEEP_SECONDS,
        *,
        quota_bytes: int | None = None,
        stores: Iterable[VisitorStore[Any]] = (),
        owners: Iterable[FileOwner] = (),
        essential: Callable[[], Collection[str]] = frozenset,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._keep_seconds = keep_seconds
        self._quota = quota_bytes
        self._stores = list(stores)
        self._owners = list(owners)
        self._essential = essential
        self._clock = clock
        self._first_seen: dict[tuple[Path, int, int], float] = {}
        self._empty: set[Path] = set()
        self._task: asyncio.Task[None] | None = None
        self.bytes = 0

    async def start(self) -> None:
        """Sweeps again and again, until the event loop ends."""
        self._task = asyncio.create_task(self._sweep_forever())

    def sweep(self) -> None:
        """Deletes what is too old, then the oldest of what is too much."""
        for store in self._stores:
            store.remove_unused(self._keep_seconds)
        owned = {path.resolve(): token for owner in self._owners for path, token in owner.files().items()}
        essential = {Path(path).resolve() for path in self._essential()}
        files = [file for file in self._look() if file.path not in essential]
        now = self._clock()
        kept = [file for file in files if _owner_of(file, owned) or not (now - file.since > self._time_of(file) and _delete(file))]
        self.bytes = sum(file.size for file in kept)
        if self._quota is not None and self.bytes > self._quota:
            self._make_room(kept, owned, self._quota)
        self._remove_empty_folders()

    def _time_of(self, file: _File) -> float:
        # Gradio writes an upload into the folder itself, and moves it into one of its own once it is complete.
        return min(self._keep_seconds, _BROKEN_OFF) if file.path.parent == self._folder.resolve() else self._keep_seconds

    def _look(self) -> list[_File]:
        """All files, the oldest first."""
        now, seen, found = self._clock(), {}, []
        for folder, _, names in os.walk(self._folder.resolve()):
            for name in names:
                path = Path(folder, name)
                with suppress(OSError):  # It has just been deleted.
                    stat = path.lstat()
                    version = path, stat.st_ino, stat.st_mtime_ns
                    since = seen[version] = self._first_seen.get(version, now)
                    found.append((since, stat.st_mtime_ns, _File(path, stat.st_size, since)))
        self._first_seen = seen
        return [file for *_, file in sorted(found, key=lambda each: each[:2])]

    def _make_room(self, files: list[_File], owned: Mapping[Path, str | None], quota: int) -> None:
        removed: set[str] = set()
        for file in files:
            if self.bytes <= quota:
                return
            if path := _owner_of(file, owned):
                token = owned[path]
                if token is None:
                    continue
                if token not in removed:
                    removed.add(token)
                    # Only one of them has it.
                    for owner in self._owners:
                        owner.remove(token, evicted=True)
                # Its folder is deleted in another thread; an upload stays until the next sweep.
                if path == file.path:
                    continue
            elif not _delete(file):
                continue
            self.bytes -= file.size
        if self.bytes > quota:
            logger.warning("visitors' files take %d bytes, above the quota of %d; all of them are in use", self.bytes, quota)

    def _remove_empty_folders(self) -> None:
        # Only those that were empty at the sweep before, too: an upload may be about to be moved into a new one.
        empty = {
            path for folder, folders, names in os.walk(self._folder) if not folders and not names and (path := Path(folder)) != self._folder
        }
        for path in empty & self._empty:
            with suppress(OSError):
                path.rmdir()
        self._empty = empty

    async def _sweep_forever(self) -> None:
        pause = min(_LONGEST_PAUSE, self._keep_seconds * _SHARE_OF_TIME)
        while True:
            await asyncio.sleep(pause)
            try:
                await to_thread.run_sync(self.sweep)
            except Exception:
                # The next sweep may succeed; without any, the disk would fill.
                logger.exception("visitors' files could not be cleaned up")


def _owner_of(file: _File, owned: Mapping[Path, str | None]) -> Path | None:
    """The file or folder in use that this is, or lies in."""
    return next((path for path in (file.path, *file.path.parents) if path in owned), None)


def _delete(file: _File) -> bool:
    """Deletes a file; returns whether it is gone."""
    try:
        file.path.unlink(missing_ok=True)
    except OSError as error:
        logger.warning("a visitor's file cannot be deleted: %s", error.strerror)
        return False
    return True
