"""Inference requests in flight: started in one thread, waited for in another."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

#: Seconds that a closing engine waits for the network that is just being computed.
_JOIN_S = 0.3


@dataclass(eq=False)
class Ticket:
    """One request that was started and not yet released.

    Attributes:
        slot: Which of the engine's requests it is, from 0.
        frames: Its input; held until the release, because the backend may read it without a copy.
        started_s: ``time.perf_counter`` when it was handed over.
        computed_s: When its output was there; 0 before :meth:`seg_edge.runtime.Engine.wait` returned.
        handle: The backend's own reference to it.
    """

    slot: int
    frames: npt.NDArray[np.uint8]
    started_s: float
    computed_s: float = 0.0
    handle: Any = field(default=None, repr=False)


class Worker:
    """Computes the requests of a backend whose own call waits, in a thread; they begin in the order in which they came.

    Args:
        compute: Frames → output; called in the thread.
        name: Of the thread.
        count: Threads, so that as many requests are computed side by side; ``compute`` must allow it.
    """

    def __init__(self, compute: Callable[[npt.NDArray[np.uint8]], Any], name: str, count: int = 1) -> None:
        self._compute = compute
        self._jobs: queue.SimpleQueue[tuple[Future[Any], npt.NDArray[np.uint8]] | None] = queue.SimpleQueue()
        # A network that never comes back must not keep the process from ending.
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, frames: npt.NDArray[np.uint8]) -> Future[Any]:
        """Queues a request. Its future holds the output and when it was there (``perf_counter``)."""
        future: Future[Any] = Future()
        self._jobs.put((future, frames))
        return future

    def close(self) -> None:
        """Cancels what has not begun and ends the threads."""
        with contextlib.suppress(queue.Empty):
            while (job := self._jobs.get_nowait()) is not None:
                job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        deadline_s = perf_counter() + _JOIN_S
        for thread in self._threads:
            thread.join(max(deadline_s - perf_counter(), 0.0))

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, frames = job
            if not future.set_running_or_notify_cancel():
                continue
            try:
                output = self._compute(frames)
            except BaseException as error:  # the waiting thread raises it
                future.set_exception(error)
            else:
                future.set_result((output, perf_counter()))
            del job, future, frames  # the next wait may be long


__all__ = ["CancelledError", "Ticket", "Worker"]
