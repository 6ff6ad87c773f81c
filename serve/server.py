"""The server: uvicorn, with a drain that loses no request."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import os
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from ..core.errors import InputError
from ..runtime.web.protocol import http_protocol
from .app import App, create_app
from .work.options import ServeOptions
from .work.service import Models

# After the signal, clients on open connections get their answers with "Connection: close" before the doors are shut. At
# least so long, because a balancer must see that the service isn't ready; at most so long while connections are open.
_FAREWELL_S = 0.6, 2.5
_BACKLOG = 256
# Seconds in which handshakes that had begun before the door was shut can end.
_HANDSHAKE_S = 0.1
# linux/bpf_common.h, asm-generic/socket.h; Python's socket module has neither.
_SO_ATTACH_FILTER = 26
# Classic BPF (code, jump if true, jump if false, operand) on a TCP header: drop what begins a connection, pass the rest.
_DROP_SYN = (
    (0x30, 0, 0, 13),  # ldb [13]: the flags
    (0x45, 1, 0, 0x02),  # jset #SYN
    (0x06, 0, 0, 0xFFFFFFFF),  # ret #-1: pass
    (0x06, 0, 0, 0),  # ret #0: drop
)
#: Frames of a WebSocket that may wait in its protocol.
_WS_QUEUE = 2


def serve(
    models: Models = None, options: ServeOptions | None = None, *, started: Callable[[str, App], None] | None = None
) -> None:
    """Serves models until SIGTERM or SIGINT, then lets the running requests end; a second signal ends at once.

    >>> serve("unet-s-camvid", ServeOptions(port=8000))  # doctest: +SKIP

    Args:
        models: See :func:`seg_edge.serve.create_app`.
        options: See :class:`seg_edge.serve.ServeOptions`.
        started: Called with the address and the application once the models are open.

    Raises:
        InputError: the port is taken, or a certificate can't be read.
        SegEdgeError: a model can't be opened.
    """
    options = options or ServeOptions()
    _log_to_streams()
    with _listen(options) as listener:
        server = _server(models, options, listener, started)
        server.run(sockets=[listener])
    if server.app.service.failure is not None:
        raise server.app.service.failure


@contextmanager
def serving(models: Models = None, options: ServeOptions | None = None) -> Iterator[str]:
    """Serves models in a thread as long as the block runs; for notebooks and tests. Gives the address once they are open.

    >>> from urllib.request import urlopen
    >>> with serving(options=ServeOptions(port=0)) as address, urlopen(f"{address}/readyz") as answer:
    ...     answer.status
    200

    Args:
        models, options: See :func:`serve`.

    Raises:
        InputError, SegEdgeError: as :func:`serve` says.
    """
    options = options or ServeOptions()
    opened = threading.Event()
    with _listen(options) as listener:
        server = _server(models, options, listener, lambda _address, _app: opened.set())

        def run() -> None:
            try:
                server.run(sockets=[listener])
            finally:
                opened.set()

        thread = threading.Thread(target=run, name="seg-edge-serve")
        thread.start()
        try:
            opened.wait()
            if server.app.service.failure is not None:
                raise server.app.service.failure
            yield server.address
        finally:
            server.should_exit = True
            thread.join()


def _server(
    models: Models, options: ServeOptions, listener: socket.socket, started: Callable[[str, App], None] | None
) -> Server:
    app = create_app(models, options)
    config = uvicorn.Config(
        app,
        http=http_protocol(),
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=max(1, round(options.drain)),
        backlog=_BACKLOG,
        ws_max_size=options.max_body,
        ws_max_queue=_WS_QUEUE,
        ws_per_message_deflate=False,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
    )
    try:
        config.load()
    except OSError as error:  # SSL's own errors too
        raise InputError(f"`tls_certificate`: {options.tls_certificate} can't be used ({error})") from error
    server = Server(config, app, started)
    server.address = _address(options, listener)
    return server


class Server(uvicorn.Server):
    """uvicorn's server for one :class:`App`.

    Args:
        config: Of uvicorn.
        app: Its application.
        started: See :func:`serve`.
    """

    address = ""

    def __init__(self, config: uvicorn.Config, app: App, started: Callable[[str, App], None] | None = None) -> None:
        super().__init__(config)
        self.app, self._started = app, started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Says when the models are open; ends the server if one can't be."""
        try:
            await self.app.service.loaded()
        except Exception:
            self.should_exit = True
        else:
            if self._started is not None:
                self._started(self.address, self.app)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Requests on open connections are answered (those already read) or refused with 503, each with "Connection: close":
        # a connection that was shut while a request is under way would lose it.
        self.app.service.drain()
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        least_s, most_s = (min(seconds, self.app.service.options.drain) for seconds in _FAREWELL_S)
        while not self.force_exit and (spent_s := loop.time() - begun_s) < most_s:
            if spent_s >= least_s and not self.server_state.connections:
                break
            await asyncio.sleep(0.02)
        for listener in sockets or []:
            await self._take_last(listener)
        await super().shutdown(sockets)

    async def _take_last(self, listener: socket.socket) -> None:
        """Takes the connections that wait at the door before it is shut: the kernel would reset them."""
        _drop_newcomers(listener)
        await asyncio.sleep(_HANDSHAKE_S)
        taken = []
        with socket.socket(listener.family) as shut:
            with contextlib.suppress(BlockingIOError):
                while True:
                    taken.append(listener.accept()[0])
            # Not close(): the loop still holds the descriptor, and would do it later.
            os.dup2(shut.fileno(), listener.fileno())
        for link in taken:
            link.setblocking(False)
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().connect_accepted_socket(self._protocol, link, ssl=self.config.ssl)

    def _protocol(self) -> asyncio.Protocol:
        protocol: Any = self.config.http_protocol_class
        made: asyncio.Protocol = protocol(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal that was obeyed is not raised again: a drained service ends with status 0."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: Any) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True


def _drop_newcomers(listener: socket.socket) -> None:
    """Connections that begin from now on are not answered: their clients try again in a second, and are refused.

    A packet filter does it on Linux, without privileges. Between the last accept() and close(), another connection could
    come otherwise, and would be reset although its client had been told that it is connected. Only packets with SYN are
    dropped: dropping all would hit the last packet of a handshake that is under way, and the first data of a connection
    made at this moment, which inherits the filter.
    """
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _DROP_SYN))
    try:
        listener.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HL", len(_DROP_SYN), ctypes.addressof(program))
        )
    except OSError:  # not Linux
        listener.listen(0)


@contextmanager
def _listen(options: ServeOptions) -> Iterator[socket.socket]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            options.host or None, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"`host`: {options.host} is no address of this machine ({error.strerror})") from error
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError as error:
            place = f"{options.host}:{options.port}"
            if error.errno == errno.EADDRNOTAVAIL:
                raise InputError(
                    f"`host`: {options.host} is no address of this machine; choose one of its own, or 0.0.0.0 for all"
                ) from error
            raise InputError(f"`port`: can't listen on {place} ({error.strerror}); choose another one") from error
        yield listener


def _address(options: ServeOptions, listener: socket.socket) -> str:
    scheme = "http" if options.tls_certificate is None else "https"
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": socket.gethostname(), "::": socket.gethostname()}.get(host, host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _log_to_streams() -> None:
    """One line a request on standard output, everything else on standard error; a program's own handlers stay."""
    for name, stream, form in (
        ("seg_edge.access", sys.stdout, "%(asctime)s %(message)s"),
        ("seg_edge.serve", sys.stderr, "seg-edge: %(message)s"),
    ):
        logger = logging.getLogger(name)
        if not logger.hasHandlers():
            handler = logging.StreamHandler(stream)
            handler.setFormatter(logging.Formatter(form, "%Y-%m-%dT%H:%M:%S"))
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
            logger.propagate = False
