"""A bounded queue between threads of the pipeline, which either side can close."""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Channel(Generic[T]):
    """A queue for any number of producers and one consumer.

    Iterating takes items until the channel is closed and empty, or aborted.

    Args:
        size: Maximum number of waiting items per key.
        drop_oldest: When full, :meth:`put` drops the oldest waiting item instead of blocking.
        key: Item → key. Each key has its own ``size`` places, so that no producer displaces the items of another. None:
            all items share the places.

    Attributes:
        dropped: Number of items that were put and never taken: displaced by newer items, or left at the abort.
    """

    def __init__(self, size: int, drop_oldest: bool = False, key: Callable[[T], int] | None = None) -> None:
        self.dropped = 0
        self._key = key or (lambda _item: 0)
        self._waiting: Counter[int] = Counter()
        self._size = size
        self._drop_oldest = drop_oldest
        self._items: deque[T] = deque()
        self._closed = self._aborted = False
        self._changed = threading.Condition()

    def put(self, item: T) -> bool:
        """Adds an item; blocks while the channel is full, unless it drops. False: the channel was aborted."""
        key = self._key(item)
        with self._changed:
            while not self._drop_oldest and self._waiting[key] >= self._size and not self._aborted:
                self._changed.wait()
            if self._aborted:
                self.dropped += 1
                return False
            if self._waiting[key] >= self._size:
                del self._items[next(i for i, old in enumerate(self._items) if self._key(old) == key)]
                self._waiting[key] -= 1
                self.dropped += 1
            self._items.append(item)
            self._waiting[key] += 1
            self._changed.notify_all()
            return True

    def more(self, most: int) -> list[T]:
        """Takes up to ``most`` waiting items, without blocking."""
        with self._changed:
            taken = [self._take() for _ in range(min(most, len(self._items)))]
            self._changed.notify_all()
            return taken

    def _take(self) -> T:
        item = self._items.popleft()
        self._waiting[self._key(item)] -= 1
        return item

    def close(self) -> None:
        """Marks the end of the items; waiting items can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Drops all waiting items and wakes both sides immediately."""
        with self._changed:
            self._aborted = True
            self.dropped += len(self._items)
            self._items.clear()
            self._waiting.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        return self.each()

    def each(self, late_s: float = math.inf, on_late: Callable[[], None] | None = None) -> Iterator[T]:
        """Iterates over items. Calls ``on_late`` once if it is still waiting at ``late_s`` (``perf_counter``)."""
        while True:
            with self._changed:
                while not self._items and not self._closed and not self._aborted:
                    if on_late is None or late_s == math.inf:
                        self._changed.wait()
                    elif not self._changed.wait(max(late_s - perf_counter(), 0)) and perf_counter() >= late_s:
                        called, on_late = on_late, None
                        called()
                if not self._items:
                    return
                item = self._take()
                self._changed.notify_all()
            yield item
