"""``POST /v1/segment[/{model}]`` and ``GET /v1/models[/{model}]``."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from ...datasets.imagefiles.header import Bytes
from ..work.metrics import STAGES
from ..work.model import ServedModel
from ..work.service import Service
from .answer import Answer, answer_images
from .body import header, parse, read_body
from .wants import read_wants


class Segment:
    """The route that does the work; an ASGI application of its own, so that nothing stands between it and the socket."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        service, options = self._service, self._service.options
        model = service.model(scope)
        async with read_body(scope, receive, options.max_body, options.body_timeout, service.bodies) as body:
            (answer, images), queued_s = await service.pool.run(self._answer, model, scope, body)
        answer.timings_ms = {"queue": 1e3 * queued_s, **answer.timings_ms}
        service.metrics.segmented(model.name, answer.timings_ms, images)
        timing = ", ".join(f"{stage};dur={answer.timings_ms[stage]:.2f}" for stage in STAGES if stage in answer.timings_ms)
        headers = [
            (b"content-type", answer.media_type.encode()),
            (b"content-length", b"%d" % len(answer.body)),
            (b"cache-control", b"no-store"),
            (b"vary", b"accept"),
            (b"server-timing", timing.encode()),
            (b"x-model", model.name.encode()),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body})

    def _answer(self, model: ServedModel, scope: Scope, body: Bytes) -> tuple[Answer, int]:
        """In a codec thread: taking a large JSON body apart would hold up the others in the event loop."""
        options = self._service.options
        upload = parse(body, header(scope, b"content-type"), options.max_images)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        count = len(upload.images)
        wants = read_wants(query, upload.config, header(scope, b"accept"), model.labels, count)
        return answer_images(model, upload.images, wants, options.max_pixels, options.scaled_decode), count


class Models:
    """The list of models, and each of them."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def every(self, _request: Request) -> Response:
        self._service.check_ready()
        rows: list[dict[str, Any]] = [model.about() for model in self._service.models.values()]
        return JSONResponse({"models": rows, "default": rows[0]["name"]})

    async def each(self, request: Request) -> Response:
        return JSONResponse(self._service.model(request.scope).about())
