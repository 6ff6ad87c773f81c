"""uvicorn's HTTP protocol with limits on clients that send a request's head slowly, or don't take its answer."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import Any

#: Seconds in which the head of a request must be complete, from the connection or from its first byte on.
HEAD_S = 10.0
# A connection that was made just before the end gets so long to send its request, which is then refused in words.
_FIRST_S = 2.0
#: Milliseconds without progress after which the kernel ends a connection whose client takes nothing.
_STUCK_MS = 30_000


class _Limits(asyncio.Protocol):
    """Mixed into uvicorn's class, whose attributes ``transport``, ``cycle`` and ``loop`` it reads."""

    transport: Any
    cycle: Any
    loop: Any
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        link = transport.get_extra_info("socket")
        if link is not None and hasattr(socket, "TCP_USER_TIMEOUT") and link.family != getattr(socket, "AF_UNIX", None):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STUCK_MS)
        self._head_timer = self.loop.call_later(HEAD_S, self._late)

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        if self._head_timer is None and (before is None or before.response_complete):
            self._head_timer = self.loop.call_later(HEAD_S, self._late)
        super().data_received(data)
        if self._head_timer is not None and self.cycle is not before:
            self._stop()

    def connection_lost(self, error: Exception | None) -> None:
        self._stop()
        super().connection_lost(error)

    def shutdown(self) -> None:
        """The server ends: an idle connection is closed, unless its next request is there or, on a new one, on its way."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self.transport.is_closing() and self._unread():
            return  # it is read next, and its answer closes the connection
        if self.cycle is None and not self.transport.is_closing():
            self._stop()
            self._head_timer = self.loop.call_later(_FIRST_S, self._late)
            return
        super().shutdown()  # type: ignore[misc]

    def _unread(self) -> bool:
        link = self.transport.get_extra_info("socket")
        if link is None:
            return False
        with socket.socket(fileno=os.dup(link.fileno())) as copy:
            try:
                return bool(copy.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
            except OSError:
                return False

    def _stop(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _late(self) -> None:
        self._head_timer = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def http_protocol() -> type[asyncio.Protocol]:
    """httptools' parser where it is installed, else h11's: each in the class that uvicorn has for it."""
    base: Any
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as base
    except ImportError:
        from uvicorn.protocols.http.h11_impl import H11Protocol as base
    return type("LimitedProtocol", (_Limits, base), {})
