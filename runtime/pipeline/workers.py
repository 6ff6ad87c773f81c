"""The threads of a run: started together, ended together, and the first error of any."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter

#: Seconds that a thread gets to come back after a stop; a camera driver may hang for longer than that.
JOIN_S = 1.5


class Workers:
    """Daemon threads, each with a body and what comes after it.

    Attributes:
        error: The first error that a body raised; None so far.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def add(self, name: str, body: Callable[[], None], after: Callable[[], None]) -> None:
        """Adds a thread. ``after`` is called however ``body`` ends: it tells the next stage of the end."""
        thread = threading.Thread(target=self._guard, args=(body, after), name=f"seg-edge-{name}", daemon=True)
        self._threads.append(thread)

    def start(self) -> None:
        """Starts all threads."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Waits for all threads, :data:`JOIN_S` together; one that hangs is left behind."""
        deadline_s = perf_counter() + JOIN_S
        for thread in self._threads:
            if thread.ident is not None:  # it was started
                thread.join(max(deadline_s - perf_counter(), 0))

    def _guard(self, body: Callable[[], None], after: Callable[[], None]) -> None:
        try:
            body()
        except BaseException as error:
            with self._lock:
                if self.error is None:
                    self.error = error
        finally:
            after()
