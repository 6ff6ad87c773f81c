"""``/``, ``/docs`` and ``/openapi.json``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from ..work.service import Service
from .openapi import documentation, openapi

_FILES = {
    "/": ("index.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/zones.js": ("zones.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
}
#: Nothing from elsewhere, and no frame around it.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' blob: data:; "
    "media-src 'self' blob:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def routes(service: Service) -> list[Route]:
    """The routes of the page."""
    described = openapi(service)
    page = documentation(described)

    async def docs(_request: Request) -> Response:
        return HTMLResponse(page, headers=HEADERS)

    async def description(_request: Request) -> Response:
        return JSONResponse(described)

    files = [Route(path, _file(name, kind)) for path, (name, kind) in _FILES.items()]
    return [*files, Route("/docs", docs), Route("/openapi.json", description)]


def _file(name: str, kind: str) -> Callable[[Request], Awaitable[Response]]:
    content = Path(__file__).with_name(name).read_bytes()

    async def send(_request: Request) -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    return send
