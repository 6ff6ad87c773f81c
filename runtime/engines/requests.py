"""Inference requests in flight: one thread starts them, another waits for them."""

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

#: Seconds that a closing engine waits for the current computation.
_JOIN_S = 0.3


@dataclass(eq=False)
class Ticket:
    """A request that was started and not yet released.

    Attributes:
        slot: Number of the request in the engine, from 0.
        frames: The input; kept until the release, because the backend may read it without a copy.
        started_s: Time of the submission (``time.perf_counter``).
        computed_s: Time at which the output was ready; 0 before :meth:`seg_edge.runtime.Engine.wait` returns.
        handle: The backend's reference to the request.
    """

    slot: int
    frames: npt.NDArray[np.uint8]
    started_s: float
    computed_s: float = 0.0
    handle: Any = field(default=None, repr=False)


class Worker:
    """Computes requests in threads, for backends with blocking calls. Requests begin in the order of submission.

    Args:
        compute: Frames → output; called in the threads.
        name: Name of the threads.
        count: Number of threads, hence of parallel requests; ``compute`` must be thread-safe if it is above 1.
    """

    def __init__(self, compute: Callable[[npt.NDArray[np.uint8]], Any], name: str, count: int = 1) -> None:
        self._compute = compute
        self._jobs: queue.SimpleQueue[tuple[Future[Any], npt.NDArray[np.uint8]] | None] = queue.SimpleQueue()
        # Daemon threads, so that a hanging network can't keep the process from ending.
        self._threads = [threading.Thread(target=self._work, name=name, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, frames: npt.NDArray[np.uint8]) -> Future[Any]:
        """Queues a request. The result of the future is the output and its completion time (``perf_counter``)."""
        future: Future[Any] = Future()
        self._jobs.put((future, frames))
        return future

    def close(self) -> None:
        """Cancels requests that have not begun, and ends the threads."""
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
            del job, future, frames  # free the memory, because the next wait may be long


__all__ = ["CancelledError", "Ticket", "Worker"]
