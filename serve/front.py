"""What every request passes: the token, errors as JSON, metrics, one line of log. Plain ASGI: nothing is buffered."""

from __future__ import annotations

import asyncio
import hmac
import logging
from time import monotonic, perf_counter
from typing import Any
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..core.errors import SegEdgeError
from .request.body import header
from .work.errors import ApiError
from .work.service import Service

logger = logging.getLogger("seg_edge.serve")
access = logging.getLogger("seg_edge.access")

#: Need no token: they say nothing about what was segmented, and a balancer and a browser must reach them.
OPEN = (
    "/", "/page.js", "/zones.js", "/page.css", "/docs", "/openapi.json", "/healthz", "/readyz", "/v2/health/live",
    "/v2/health/ready",
)  # fmt: skip
#: A body that nobody wants is read for so long, and so far, that its sender gets the answer instead of a reset.
_LINGER_S, _LINGER_BYTES = 2.0, 8 << 20
_CHALLENGE = {"WWW-Authenticate": "Bearer"}


class Front:
    """Wraps the routes."""

    def __init__(self, routes: ASGIApp, service: Service) -> None:
        self._routes, self._service = routes, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await self._routes(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = perf_counter()
        exchange = _Exchange(scope, receive, send, self._service)
        try:
            self._check_token(scope)
            await self._routes(scope, exchange.receive, exchange.send)
        except ClientDisconnect:
            exchange.status = 499
        except Exception as error:
            await exchange.fail(error)
        seconds = perf_counter() - begun
        # The template of the address, not the address: metrics must stay few.
        route = getattr(scope.get("route"), "path", "other")
        self._service.metrics.request(route, exchange.status, seconds)
        if access.isEnabledFor(logging.INFO):
            client = (scope.get("client") or ("-",))[0]
            path = scope["path"].encode("unicode_escape").decode("ascii")[:200]
            line = "%s %s %s %d %d B %.1f ms"
            access.info(line, client, scope["method"], path, exchange.status, exchange.sent, 1e3 * seconds)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check_token(scope)
            _check_origin(scope)
            await self._routes(scope, receive, send)
        except (ApiError, HTTPException) as failure:
            error = _as_api_error(failure)
            await receive()
            if "websocket.http.response" in scope.get("extensions", {}):
                head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(error.body))]
                head += [(key.lower().encode(), value.encode()) for key, value in error.headers.items()]
                await send({"type": "websocket.http.response.start", "status": error.status, "headers": head})
                await send({"type": "websocket.http.response.body", "body": error.body})
            else:
                await send({"type": "websocket.close", "code": 1008, "reason": error.code})

    def _check_token(self, scope: Scope) -> None:
        token = self._service.token
        if token is None or scope["path"] in OPEN:
            return
        kind, _, given = header(scope, b"authorization").partition(" ")
        if kind.lower() != "bearer":
            given = ""
            # A browser can't set headers on a WebSocket; it can name protocols.
            offered = [name for name in scope.get("subprotocols", []) if name.startswith("bearer.")]
            if offered:
                given = offered[0].removeprefix("bearer.")
        if not hmac.compare_digest(given.strip().encode("utf-8", "replace"), token):
            text = "missing or wrong token; send the header Authorization: Bearer TOKEN"
            raise ApiError("unauthorized", text, _CHALLENGE)


def _check_origin(scope: Scope) -> None:
    """Refuses pages of other sites: a browser lets any of them open a WebSocket to this machine."""
    origin = header(scope, b"origin")
    if origin and urlsplit(origin).netloc != header(scope, b"host"):
        raise ApiError("forbidden", f"pages of {origin[:100]} may not use this service")


class _Exchange:
    """One request and its answer: what was read, what was sent."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, service: Service) -> None:
        self._scope, self._receive, self._send, self._service = scope, receive, send, service
        self.status, self.sent = 0, 0
        stated = header(scope, b"content-length")
        self._all_read = stated in ("", "0") and not header(scope, b"transfer-encoding")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self._all_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            if self._service.draining:
                message = {**message, "headers": [*message.get("headers", []), (b"connection", b"close")]}
        else:
            self.sent += len(message.get("body", b""))
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Answers an error; where an answer has begun, the server cuts it off."""
        answer = _as_api_error(error)
        if answer.status == 500:
            logger.error("%s %s failed", self._scope["method"], self._scope["path"], exc_info=error)
        if self.status:
            raise error
        headers = {"Content-Type": "application/json", "Content-Length": str(len(answer.body)), **answer.headers}
        linger = not self._all_read
        if linger and not self._service.draining:
            headers["Connection"] = "close"
        raw = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
        await self.send({"type": "http.response.start", "status": answer.status, "headers": raw})
        await self.send({"type": "http.response.body", "body": answer.body, "more_body": linger})
        if linger:
            await self._swallow()
            await self.send({"type": "http.response.body", "body": b""})

    async def _swallow(self) -> None:
        deadline_s, left = monotonic() + _LINGER_S, _LINGER_BYTES
        while not self._all_read and left > 0:
            try:
                message = await asyncio.wait_for(self.receive(), max(deadline_s - monotonic(), 0.001))
            except asyncio.TimeoutError:
                return
            if message["type"] == "http.disconnect":
                return
            left -= len(message.get("body", b""))


def _as_api_error(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):  # the router's
        headers: Any = error.headers or {}
        if error.status_code == 405:
            return ApiError("method_not_allowed", f"expected {headers.get('Allow', 'another method')}", headers)
        return ApiError("not_found", "no such address; see /docs")
    if isinstance(error, SegEdgeError):
        return ApiError("engine_failed", str(error))
    return ApiError("internal", f"internal error ({type(error).__name__}); the service's log has the details")
