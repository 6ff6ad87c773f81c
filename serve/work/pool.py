"""Codec threads behind a bounded queue: the event loop hands work over and never waits in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter
from typing import Any, Generic, TypeVar

from .errors import ApiError, busy

T = TypeVar("T")
#: Weight of the newest request in the mean that Retry-After is computed from.
_NEWEST = 0.05


class CodecPool:
    """Runs functions in threads, in the order in which they came; refuses what would wait too long.

    Not for several event loops: everything but the functions runs in one.

    Args:
        threads: How many.
        queue: Most calls that wait for a thread.
        timeout_s: Of a call, waiting included.
    """

    def __init__(self, threads: int, queue: int, timeout_s: float) -> None:
        self.threads = threads
        self._most = threads + queue
        self._timeout_s = timeout_s
        self._pool = ThreadPoolExecutor(threads, "seg-edge-codec")
        self._mean_s = 0.05
        #: Calls that were accepted and are not done, those in threads included.
        self.accepted = 0

    async def run(self, function: Callable[..., T], *args: Any) -> tuple[T, float]:
        """What ``function(*args)`` returns or raises, and the seconds that it waited for a thread.

        Raises:
            ApiError: ``busy``: the queue is full; ``timeout``.
        """
        if self.accepted >= self._most:
            seconds = self.accepted * self._mean_s / self.threads
            raise busy("busy", f"{self.accepted} requests are waiting or being answered; try again later", seconds)
        loop = asyncio.get_running_loop()
        call = _Call(function, args)
        answer: asyncio.Future[tuple[T, float]] = loop.create_future()
        self.accepted += 1
        future = self._pool.submit(call)

        def done(finished: Future[tuple[T, float]]) -> None:
            if finished.cancelled():
                loop.call_soon_threadsafe(settle, None, busy("draining", "the service is closing; ask another one"))
            elif (error := finished.exception()) is not None:
                loop.call_soon_threadsafe(settle, None, error)
            else:
                loop.call_soon_threadsafe(settle, finished.result(), None)

        def settle(result: tuple[T, float] | None, error: BaseException | None) -> None:
            self.accepted -= 1
            if answer.done():
                return  # too late, or nobody listens any more
            if error is not None:
                answer.set_exception(error)
            elif result is not None:
                self._mean_s += _NEWEST * (perf_counter() - call.begun_s - self._mean_s)
                answer.set_result(result)

        def expire() -> None:
            if not answer.done():
                text = f"not answered within {self._timeout_s:g} s; send fewer requests at once, or smaller images"
                answer.set_exception(ApiError("timeout", text))
                future.cancel()

        future.add_done_callback(done)
        timer = loop.call_later(self._timeout_s, expire)
        try:
            return await answer
        finally:
            timer.cancel()
            if not future.done():
                future.cancel()

    def close(self) -> None:
        """Waits for what is being computed; what still waits is cancelled."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class _Call(Generic[T]):
    """A function call that remembers when it was handed over and when it began."""

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        self._function, self._args = function, args
        self._made_s = perf_counter()
        self.begun_s = self._made_s

    def __call__(self) -> tuple[T, float]:
        self.begun_s = perf_counter()
        return self._function(*self._args), self.begun_s - self._made_s


class Budget:
    """Memory that everything of one kind may take together.

    >>> budget = Budget(10)
    >>> budget.take(8), budget.take(8)
    (True, False)
    >>> budget.give(8)
    """

    def __init__(self, most: int) -> None:
        self.most, self.taken = most, 0
        self._lock = threading.Lock()

    def take(self, amount: int) -> bool:
        """False where it would be too much; then nothing was taken."""
        with self._lock:
            if self.taken + amount > self.most:
                return False
            self.taken += amount
            return True

    def give(self, amount: int) -> None:
        with self._lock:
            self.taken -= amount
