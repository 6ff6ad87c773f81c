"""Delivers a spool's messages, a thread for each target."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from ..sources.table import redact
from .spool import Spool

logger = logging.getLogger(__name__)

#: Seconds between attempts: the first, and the longest.
_FIRST_S, _LONGEST_S = 0.2, 10.0
#: A target is looked after so often while nothing happens: a broker expects signs of life.
_IDLE_S = 1.0


class Target(Protocol):
    """Something that messages are sent to. One thread uses it."""

    target: str

    def deliver(self) -> bool: ...

    def close(self) -> None: ...


class Outbox:
    """Sends messages as they arrive in a spool, and those of earlier runs.

    Args:
        spool: An open spool; closed by the caller, after the outbox.
        targets: Where to.
    """

    def __init__(self, spool: Spool, targets: Sequence[Target]) -> None:
        self._spool, self._targets = spool, tuple(targets)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(target,), name=f"events-{number}", daemon=True)
            for number, target in enumerate(self._targets)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def names(self) -> list[str]:
        """The targets' addresses, as the spool knows them."""
        return [target.target for target in self._targets]

    def _run(self, target: Target) -> None:
        pause, lost = _FIRST_S, False
        while not self._stop.is_set():
            try:
                well = target.deliver()
            except Exception:
                logger.exception("%s: events can't be sent; they wait in %s", redact(target.target), self._spool.path)
                well = False
            if well != (not lost):
                lost = not well
                logger.warning(
                    "%s: %s", redact(target.target), f"not reachable, events wait in {self._spool.path}" if lost else "back"
                )
            if well:
                pause = _FIRST_S
                with self._spool.filled:
                    if self._spool.oldest(target.target) is None and not self._stop.is_set():
                        self._spool.filled.wait(_IDLE_S)
            else:
                self._stop.wait(pause)
                pause = min(2 * pause, _LONGEST_S)
        target.close()

    def flush(self, limit_s: float) -> bool:
        """Waits until nothing waits; False after the limit."""
        limit = time.monotonic() + limit_s
        while any(self._spool.oldest(target.target) is not None for target in self._targets):
            if time.monotonic() > limit:
                return False
            time.sleep(0.01)
        return True

    def close(self) -> None:
        """Stops sending; what waits stays in the spool. May be called twice."""
        self._stop.set()
        with self._spool.filled:
            self._spool.filled.notify_all()
        for thread in self._threads:
            thread.join(15.0)
