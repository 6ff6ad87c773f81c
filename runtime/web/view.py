"""A run as a web application: a page, motion JPEG, snapshots, statistics, metrics; pause and resume.

GET /          a small page                  GET /stats    the statistics as JSON
GET /stream    motion JPEG                   GET /metrics  the statistics as Prometheus text
GET /snapshot  the newest frame as a JPEG    POST /pause, POST /resume
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from .prometheus import prometheus

#: Viewers of the stream, and snapshots that wait.
MOST_VIEWERS = 16
BOUNDARY = "segedge"
# A viewer that takes nothing for so long is disconnected.
_SEND_LIMIT_S = 10.0
_SNAPSHOT_LIMIT_S = 5.0
_NO_STORE = {"Cache-Control": "no-store"}
_EXPECTED = "expected GET /, /stream, /snapshot, /stats, /metrics, or POST /pause, /resume\n"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>seg-edge</title><link rel="icon" href="data:,">
<style>body{margin:0;background:#111;color:#ddd;font:14px system-ui}img{max-width:100%;display:block;margin:auto}
p{margin:8px}a{color:#8cf;margin-right:8px}button{font:inherit;padding:4px 12px;margin-right:8px}</style>
<img src="stream" alt="live overlay"><p id="s" role="status">&nbsp;</p>
<p><button id="b">Pause</button><a href="snapshot">snapshot</a><a href="stats">stats</a><a href="metrics">metrics</a></p>
<script>
const $=id=>document.getElementById(id),ms=v=>v===null?"-":v.toFixed(1)+" ms"
let paused=false
async function show(){try{const s=await(await fetch("stats")).json()
paused=s.state==="paused";$("b").textContent=paused?"Resume":"Pause"
const fps=s.fps===null?"-":s.fps.toFixed(1)
$("s").textContent=(paused?"paused, ":"")+`${fps} FPS, latency ${ms(s.latency_ms.p50)}, `+
`frame age ${ms(s.frame_age_ms.p50)}, ${s.frames_out} of ${s.frames_in} frames, ${s.engine} on ${s.device}, `+
s.sources.map(r=>`${r.source}: ${r.state}`).join(", ")}catch{$("s").textContent="ended"}}
$("b").onclick=async()=>{await fetch(paused?"resume":"pause",{method:"POST"}).catch(()=>0);show()}
setInterval(show,1000);show()
</script></html>
"""


class RunLike(Protocol):
    """A run: see :class:`seg_edge.runtime.sinks.Run`."""

    @property
    def stats(self) -> Callable[[], dict[str, Any]]: ...
    @property
    def pause(self) -> Callable[[bool], None] | None: ...


class Feed(Protocol):
    """What the application shows."""

    @property
    def run(self) -> RunLike | None:
        """None: it has not begun."""

    def newest(self) -> bytes | None:
        """The newest frame's JPEG; None where it isn't encoded."""


class _Viewer:
    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.jpeg: bytes | None = None  # the newest that was not sent yet
        self.gone = False

    async def next(self) -> bytes | None:
        """Waits for the next JPEG; None where the viewer has left, or the run has ended."""
        while self.jpeg is None and not self.gone:
            self.changed.clear()
            await self.changed.wait()
        jpeg, self.jpeg = self.jpeg, None
        return None if self.gone else jpeg

    def leave(self) -> None:
        self.gone = True
        self.changed.set()


class RunView:
    """The application. Each viewer gets the newest image next; slow viewers skip images.

    Attributes:
        viewers: How many wait for images.
    """

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._viewers: set[_Viewer] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.viewers = 0
        self._router = Router(
            [
                Route("/", self._page), Route("/stream", _Raw(self._stream)), Route("/snapshot", self._snapshot),
                Route("/stats", self._stats), Route("/metrics", self._metrics),
                Route("/pause", self._pause, methods=["POST"]), Route("/resume", self._pause, methods=["POST"]),
            ],
            redirect_slashes=False, default=_nowhere,
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            await self._router(scope, receive, send)
        except HTTPException as error:
            text = _EXPECTED if error.status_code in (404, 405) else f"{error.detail}\n"
            await PlainTextResponse(text, error.status_code, headers={**_NO_STORE, **(error.headers or {})})(
                scope, receive, send
            )

    def show(self, jpeg: bytes | None) -> None:
        """Gives viewers the next JPEG; None: the run has ended. From any thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self._show, jpeg)
            except RuntimeError:  # closed in the meantime
                return

    def _show(self, jpeg: bytes | None) -> None:
        for viewer in self._viewers:
            if jpeg is None:
                viewer.leave()
            else:
                viewer.jpeg = jpeg
                viewer.changed.set()

    @contextmanager
    def _viewer(self) -> Any:
        if self.viewers >= MOST_VIEWERS:
            raise HTTPException(503, f"{MOST_VIEWERS} viewers are watching already")
        viewer = _Viewer()
        self._viewers.add(viewer)
        self.viewers += 1
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            self.viewers -= 1

    async def _page(self, _request: Request) -> Response:
        return HTMLResponse(_PAGE, headers=_NO_STORE)

    async def _stats(self, _request: Request) -> Response:
        return JSONResponse(self._run().stats(), headers=_NO_STORE)

    async def _metrics(self, _request: Request) -> Response:
        text = prometheus(self._run().stats())
        return Response(text, headers={**_NO_STORE, "Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def _pause(self, request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin and urlsplit(origin).netloc != request.headers.get("host"):
            raise HTTPException(403, "pages of other sites may not pause this run")
        pause = self._run().pause
        if pause is None:
            raise HTTPException(503, "this run can't be paused")
        paused = request.url.path == "/pause"
        pause(paused)
        return JSONResponse({"paused": paused}, headers=_NO_STORE)

    async def _snapshot(self, _request: Request) -> Response:
        self._run()
        jpeg = self._feed.newest()
        if jpeg is None:
            with self._viewer() as viewer:
                try:
                    jpeg = await asyncio.wait_for(viewer.next(), _SNAPSHOT_LIMIT_S)
                except asyncio.TimeoutError:
                    raise HTTPException(503, f"no frame came within {_SNAPSHOT_LIMIT_S:g} s; is the run paused?") from None
            if jpeg is None:
                raise HTTPException(503, "the run has ended")
        return Response(jpeg, media_type="image/jpeg", headers=_NO_STORE)

    async def _stream(self, _scope: Scope, receive: Receive, send: Send) -> None:
        with self._viewer() as viewer:
            kind = f"multipart/x-mixed-replace; boundary={BOUNDARY}".encode()
            headers = [(b"content-type", kind), (b"cache-control", b"no-store"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": True})  # the head goes out at once
            watching = asyncio.create_task(_until_gone(receive, viewer))
            try:
                while (jpeg := await viewer.next()) is not None:
                    head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                    body = b"".join((head, jpeg, b"\r\n"))
                    await asyncio.wait_for(
                        send({"type": "http.response.body", "body": body, "more_body": True}), _SEND_LIMIT_S
                    )
            except asyncio.TimeoutError:
                raise ConnectionError("the viewer takes nothing") from None
            finally:
                watching.cancel()
            await send({"type": "http.response.body", "body": b""})

    def _run(self) -> RunLike:
        run = self._feed.run
        if run is None:
            raise HTTPException(503, "the run has not begun")
        return run


class _Raw:
    """An ASGI application as the endpoint of a route: Starlette takes functions for handlers of requests."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _until_gone(receive: Receive, viewer: _Viewer) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    viewer.leave()


async def _nowhere(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise HTTPException(404)
