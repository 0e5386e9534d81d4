"""VisitorStore: what the server keeps for visitors from one request to the next, up to a limit."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

_Entry = TypeVar("_Entry")


def new_token() -> str:
    """A name that cannot be guessed: whoever knows it may see what is kept under it."""
    return secrets.token_urlsafe(16)


class VisitorStore(Generic[_Entry]):
    """Keeps entries in memory under tokens; all methods may be called from any thread.

    Subclasses override `_may_be_evicted` and `_on_removed` where their entries hold more than memory.

    Args:
        expired: Makes the error for a token that has no entry, or no longer.
        capacity: How many entries are kept; beyond that, the least recently used one is evicted.
        clock: Gives the time in seconds; it never jumps.
    """

    def __init__(self, expired: Callable[[], Exception], capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._expired = expired
        self._capacity = capacity
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._visitors: dict[str, str] = {}
        self._used: dict[str, float] = {}
        self._lock = threading.RLock()

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def put(self, entry: _Entry, *, token: str = "", visitor: str = "") -> str:
        """Keeps an entry.

        Args:
            entry: What is kept.
            token: Its token; an earlier entry of that token is replaced. Empty for a new token.
            visitor: Who leaves it behind, for `leave`; empty for an entry that stays until it is evicted.

        Returns:
            Its token.
        """
        token = token or new_token()
        with self._lock:
            self._entries[token] = entry
            self._entries.move_to_end(token)
            self._visitors[token] = visitor
            self._used[token] = self._clock()
            if (surplus := len(self._entries) - self._capacity) > 0:
                others = [each for each, kept in self._entries.items() if each != token and self._may_be_evicted(kept)]
                for other in others[:surplus]:
                    self.remove(other, evicted=True)
        return token

    def get(self, token: object) -> _Entry | None:
        """The entry of a token, or None; tokens come from browsers, so they may be anything."""
        with self._lock:
            if not isinstance(token, str) or token not in self._entries:
                return None
            self._entries.move_to_end(token)
            self._used[token] = self._clock()
            return self._entries[token]

    def find(self, token: object) -> _Entry:
        """The entry of a token, as `get`; if there is none, it raises the store's error for expired entries."""
        entry = self.get(token)
        if entry is None:
            raise self._expired()
        return entry

    def remove(self, token: str, *, evicted: bool = False) -> None:
        """Removes an entry; an unknown token is ignored.

        Args:
            token: The entry's token.
            evicted: Whether it only makes room for others, and its visitor may still be there.
        """
        with self._lock:
            entry = self._entries.pop(token, None)
            self._visitors.pop(token, None)
            self._used.pop(token, None)
            if entry is not None:
                self._on_removed(entry, evicted=evicted)

    def leave(self, visitor: str) -> None:
        """Removes the entries of a visitor who has gone."""
        with self._lock:
            for token in [token for token, owner in self._visitors.items() if owner == visitor]:
                self.remove(token)

    def remove_unused(self, seconds: float) -> None:
        """Removes entries that have not been used for so long, unless they are still being worked on."""
        with self._lock:
            latest = self._clock() - seconds
            for token in [token for token, used in self._used.items() if used < latest and self._may_be_evicted(self._entries[token])]:
                self.remove(token)

    def _may_be_evicted(self, entry: _Entry) -> bool:
        """Whether an entry may make room for others now."""
        return True

    def _on_removed(self, entry: _Entry, *, evicted: bool) -> None:
        """Releases what an entry holds besides memory."""
