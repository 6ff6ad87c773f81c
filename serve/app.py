"""The ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send

from .front import Front
from .live.runs import Runs
from .live.stream import Stream
from .page.routes import routes as page_routes
from .request.segment import Models, Segment
from .v2.routes import routes as v2_routes
from .work.metrics import CONTENT_TYPE
from .work.options import ServeOptions
from .work.service import Models as Sources
from .work.service import Service


class App:
    """What :func:`create_app` returns: an ASGI application; its ``service`` says how it is."""

    def __init__(self, service: Service) -> None:
        self.service = service
        routes = Router(_routes(service), redirect_slashes=False, default=_nowhere, lifespan=self._lifespan)
        self._front = Front(routes, service)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self
        await self._front(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _app: Any) -> AsyncIterator[None]:
        await self.service.start()
        try:
            yield
        finally:
            await self.service.close()


def create_app(models: Sources = None, options: ServeOptions | None = None) -> App:
    """An ASGI application that serves models; for uvicorn, hypercorn, granian, or a test client.

    The models are opened when the server starts the application, in its lifespan; until they are warm, ``/readyz`` and
    requests are answered with 503.

    >>> app = create_app({"street": "unet-s-camvid"})

    Args:
        models: A model (an exported file, an artefact's folder, a shipped name or a :class:`seg_edge.Segmenter`), several,
            or a mapping of names. The first is the default. None is the shipped one. Segmenters stay the caller's to
            close, and nobody else may use them.
        options: Limits, threads, token; ``host``, ``port``, ``drain`` and TLS are for :func:`seg_edge.serve.serve`.

    Raises:
        InputError: names that collide, or a token file that can't be read.
    """
    return App(Service(models, options or ServeOptions()))


def _routes(service: Service) -> list[BaseRoute]:
    segment, models, stream, state = Segment(service), Models(service), Stream(service), _State(service)
    return [
        Route("/v1/segment", segment, methods=["POST"]),
        Route("/v1/segment/{model}", segment, methods=["POST"]),
        Route("/v1/models", models.every),
        Route("/v1/models/{model}", models.each),
        Route("/healthz", state.live),
        Route("/readyz", state.ready),
        Route("/metrics", state.metrics),
        WebSocketRoute("/v1/stream", stream),
        WebSocketRoute("/v1/stream/{model}", stream),
        *Runs(service.runs).routes(),
        *v2_routes(service),
        *page_routes(service),
    ]


async def _nowhere(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise HTTPException(404)


class _State:
    """How the service is."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def live(self, _request: Request) -> Response:
        """The process answers."""
        failed = self._service.failure is not None
        return JSONResponse({"status": "failed" if failed else "alive"}, 500 if failed else 200)

    async def ready(self, _request: Request) -> Response:
        """Models are open and warm, and the service isn't closing."""
        service = self._service
        status = "ready" if service.ready else "draining" if service.draining else "starting"
        return JSONResponse({"status": status, "models": service.names}, 200 if service.ready else 503)

    async def metrics(self, _request: Request) -> Response:
        return Response(self._service.metrics.text(), media_type=None, headers={"Content-Type": CONTENT_TYPE})
