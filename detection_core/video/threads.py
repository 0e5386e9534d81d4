"""Parallel work in threads that always end: an iterator that prefetches, an ordered parallel map, and a background worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition, Thread
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Channel(Generic[T]):
    """A bounded queue between two threads, either of which may end it; an error that ends it is raised in the other."""

    def __init__(self, places: int) -> None:
        self._items: deque[T] = deque()
        self._places = places
        self._changed = Condition()
        self._ended = False
        self.error: BaseException | None = None

    def put(self, item: T) -> bool:
        """Waits for a free place; returns False or raises the error if the queue has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or len(self._items) < self._places)
            if self.error is not None:
                raise self.error
            if not self._ended:
                self._items.append(item)
                self._changed.notify_all()
            return not self._ended

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or self._items)
                if not self._items:
                    if self.error is not None:
                        raise self.error
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item

    def end(self, error: BaseException | None = None, *, drop: bool = False) -> None:
        """Ends the queue; waiting items can still be taken, unless they are dropped."""
        with self._changed:
            self._ended = True
            self.error = self.error or error
            if drop:
                self._items.clear()
            self._changed.notify_all()


def prefetch(items: Iterable[T], places: int) -> Generator[T, None, None]:
    """Yields items that a background thread produces up to `places` ahead. Close the iterator if you leave it early.

    An error in producing an item is raised here, after the items before it.
    """
    channel: _Channel[T] = _Channel(places)

    def make() -> None:
        try:
            for item in items:
                if not channel.put(item):
                    break
        except BaseException as error:  # The consumer waits for an item or an error, whatever it is.
            channel.end(error)
        channel.end()

    thread = Thread(target=make, name="video-ahead", daemon=True)
    thread.start()
    try:
        yield from channel
    finally:
        channel.end(drop=True)
        thread.join()


def ordered_map(function: Callable[[T], R], items: Iterable[T], max_in_flight: int) -> Generator[tuple[T, R], None, None]:
    """Yields each item with the function's result, in the items' order; up to `max_in_flight` calls run in threads at the same time.

    Items are taken in the calling thread. An error in taking or processing an item is raised after all results before it.
    """
    pending: deque[tuple[T, Future[R]]] = deque()
    source, error = iter(items), None
    with ThreadPoolExecutor(max_in_flight, thread_name_prefix="video-side") as pool:
        try:
            while True:
                while error is None and len(pending) < max_in_flight:
                    try:
                        item = next(source)
                    except Exception as caught:
                        error = caught
                    else:
                        pending.append((item, pool.submit(function, item)))
                if not pending:
                    break
                item, made = pending.popleft()
                yield item, made.result()
        finally:
            for _, made in pending:
                made.cancel()
    if error is not None and not isinstance(error, StopIteration):
        raise error


class BackgroundWorker(Generic[T]):
    """Handles items in a background thread, in order; use it in a `with` statement, which ends when all are handled.

    An error in handling is raised by `put` or at the end of the statement, and waiting items are dropped. After an error in the
    statement, the items that were put before it are still handled.

    Args:
        handle: Handles one item.
        places: Number of items that may wait.
    """

    def __init__(self, handle: Callable[[T], None], places: int) -> None:
        self._handle = handle
        self._channel: _Channel[T] = _Channel(places)
        self._thread = Thread(target=self._work, name="video-behind", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Queues an item, once there is a free place."""
        self._channel.put(item)

    def _work(self) -> None:
        try:
            for item in self._channel:
                self._handle(item)
        except BaseException as error:  # The other thread waits for its end, whatever the error is.
            self._channel.end(error, drop=True)

    def __enter__(self) -> BackgroundWorker[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._channel.end()
        try:
            self._thread.join()
        except BaseException:  # Interrupted while waiting: the thread must not use what the caller closes next.
            self._channel.end(drop=True)
            self._thread.join()
            raise
        if self._channel.error is not None and error is None:
            raise self._channel.error
