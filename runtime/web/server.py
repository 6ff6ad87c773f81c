"""A web server in a thread: uvicorn, opened at once, closed at once."""

from __future__ import annotations

import socket
import threading
from typing import Any

import uvicorn

from .protocol import http_protocol

_BACKLOG = 64


class ThreadedServer:
    """Serves an ASGI application in a thread of its own until it is closed.

    Args:
        app: The application; it runs in the server's event loop.
        host: Address to listen on; "" is every address of this machine.
        port: 0 takes a free one.
        name: Of the thread.

    Attributes:
        port: The port.

    Raises:
        OSError: the address can't be listened on.
    """

    def __init__(self, app: Any, host: str, port: int, name: str) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, socket.AF_UNSPEC if host else socket.AF_INET, socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        self._listener = socket.socket(family, kind, protocol)
        try:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(address)
            self._listener.listen(_BACKLOG)
        except OSError:
            self._listener.close()
            raise
        self.port = int(self._listener.getsockname()[1])
        config = uvicorn.Config(
            app, http=http_protocol(), loop="asyncio", ws="none", lifespan="off", log_config=None, access_log=False,
            proxy_headers=False, server_header=False, timeout_keep_alive=5, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends all connections, whatever their clients do, and the thread. May be called twice."""
        self._server.should_exit = True
        self._thread.join(5)
        self._listener.close()


class _Server(uvicorn.Server):
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            transport: Any = connection.transport
            transport.abort()
        await super().shutdown(sockets)
