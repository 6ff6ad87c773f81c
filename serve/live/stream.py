"""``WS /v1/stream[/{model}]``: image files in, masks out, in order; the newest frame wins.

The address has the options of ``/v1/segment``; a text message with a JSON object changes them. Every binary message is a
frame. It is answered with a text message, ``{"frame": its number from 0, "dropped": frames left out so far, "size": [H, W],
"timings_ms": {…}}``, and a binary one, the mask; with ``format=json`` the text message has everything. A frame that can't be
taken is answered with ``{"frame": …, "error": …, "code": …}``.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from ...core.errors import SegEdgeError
from ..request.answer import Answer, answer_images
from ..request.wants import Wants, read_wants
from ..work.errors import ApiError
from ..work.model import ServedModel
from ..work.service import Service

#: What a client may ask the connection to be called; browsers need one when they send a token as another.
PROTOCOL = "seg-edge"


class Stream:
    """The route."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        model = self._service.model(scope)
        connection = _Connection(self._service, model, scope, send)
        await receive()  # the handshake
        accepted: dict[str, Any] = {"type": "websocket.accept"}
        if PROTOCOL in scope.get("subprotocols", []):
            accepted["subprotocol"] = PROTOCOL
        await send(accepted)
        self._service.metrics.streams.inc()
        answering = asyncio.create_task(connection.answer())
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                await connection.take(message)
        finally:
            self._service.metrics.streams.dec()
            connection.forget()
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


class _Connection:
    """One client: at most one frame that waits, and one that is answered."""

    def __init__(self, service: Service, model: ServedModel, scope: Scope, send: Send) -> None:
        self._service, self._model, self._send = service, model, send
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        self._options: dict[str, Any] = {"format": "png", **query}
        self._wants: Wants = read_wants({}, self._options, "", model.labels)
        self._waiting: tuple[int, bytes] | None = None
        self._came = asyncio.Event()
        self._frames = self._dropped = 0

    async def take(self, message: Any) -> None:
        """A message of the client; never waits for an answer to be sent, so that a slow client sees the newest frame."""
        data = message.get("bytes")
        if data is None:
            await self._change(message.get("text") or "")
            return
        number = self._frames
        self._frames += 1
        if self._waiting is not None:
            self._drop()
        if not self._service.bodies.take(len(data)):
            self._dropped += 1
            self._service.metrics.dropped.inc()
            return
        self._waiting = number, data
        self._came.set()

    async def answer(self) -> None:
        """Answers frames until it is cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            if self._waiting is None:
                continue
            (number, data), self._waiting = self._waiting, None
            try:
                await self._answer(number, data)
            finally:
                self._service.bodies.give(len(data))

    def forget(self) -> None:
        """Drops the frame that waits."""
        if self._waiting is not None:
            self._drop()

    def _drop(self) -> None:
        assert self._waiting is not None
        self._service.bodies.give(len(self._waiting[1]))
        self._waiting = None
        self._dropped += 1
        self._service.metrics.dropped.inc()

    async def _answer(self, number: int, data: bytes) -> None:
        service, options = self._service, self._service.options
        about: dict[str, Any] = {"frame": number}
        body: bytes | None = None
        try:
            service.check_ready()
            answer, queued_s = await service.pool.run(
                answer_images, self._model, [("the frame", data)], self._wants, options.max_pixels, options.scaled_decode
            )
        except SegEdgeError as error:
            about |= {"error": str(error), "code": "engine_failed"}
        except ApiError as error:
            about |= json.loads(error.body)
        else:
            answer.timings_ms = {"queue": 1e3 * queued_s, **answer.timings_ms}
            service.metrics.segmented(self._model.name, answer.timings_ms)
            about |= self._about(answer)
            body = None if self._wants.format == "json" else answer.body
        await self._send({"type": "websocket.send", "text": json.dumps(about, separators=(",", ":"))})
        if body is not None:
            await self._send({"type": "websocket.send", "bytes": body})

    def _about(self, answer: Answer) -> dict[str, Any]:
        about: dict[str, Any] = {"dropped": self._dropped, "size": list(answer.size_hw)}
        if self._wants.format == "json":
            about |= json.loads(answer.body)
        about["timings_ms"] = {stage: round(value, 3) for stage, value in answer.timings_ms.items()}
        return about

    async def _change(self, text: str) -> None:
        """Options from a text message; a wrong one is answered, and changes nothing."""
        try:
            try:
                changes = json.loads(text)
            except (ValueError, RecursionError):
                changes = None
            if not isinstance(changes, dict):
                raise ApiError("bad_request", "a text message: expected a JSON object with options")
            options = {**self._options, **changes}
            self._wants = read_wants({}, options, "", self._model.labels)
            self._options = options
        except ApiError as error:
            await self._send({"type": "websocket.send", "text": error.body.decode()})
