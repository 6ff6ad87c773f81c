"""The threads of a run: started and joined together, with the first error of any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter

#: Seconds that all threads together get to end after a stop; a camera driver may hang longer.
JOIN_S = 1.5


class Workers:
    """Daemon threads, each with a body and a function that runs after it.

    Attributes:
        error: The first error that a body raised; None if there is none.
    """

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def add(self, name: str, body: Callable[[], None], after: Callable[[], None]) -> None:
        """Adds a thread. ``after`` is called when ``body`` ends, even with an error, to notify the next stage."""
        thread = threading.Thread(target=self._guard, args=(body, after), name=f"seg-edge-{name}", daemon=True)
        self._threads.append(thread)

    def start(self) -> None:
        """Starts all threads."""
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Waits for all threads, at most :data:`JOIN_S` in total; abandons threads that hang."""
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
