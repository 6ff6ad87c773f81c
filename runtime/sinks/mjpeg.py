"""A web server for overlays: motion JPEG, statistics and Prometheus metrics over HTTP.

/         a small page        /stats    the statistics as JSON
/stream   motion JPEG         /metrics  the statistics as Prometheus text
"""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np

from ...core.errors import SinkError
from .base import Frame, Run, Sink
from .prometheus import prometheus

DEFAULT_PORT = 8080
_QUALITY = 80
_MOST_VIEWERS = 16
#: Seconds without progress after which a viewer is disconnected.
_SEND_LIMIT_S = 10.0
_BOUNDARY = "segedge"

_PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>seg-edge</title>
<style>body{margin:0;background:#111;color:#ddd;font:14px system-ui}
img{max-width:100%;display:block;margin:auto}p{margin:8px}
a{color:#8cf}</style>
<img src="/stream" alt="live overlay"><p id="s">&nbsp;</p><p><a href="/stats">stats</a> <a href="/metrics">metrics</a></p>
<script>
const ms=v=>v===null?"-":v.toFixed(1)+" ms"
setInterval(async()=>{try{const s=await(await fetch("/stats")).json()
const fps=s.fps===null?"-":s.fps.toFixed(1)
document.getElementById("s").textContent=`${fps} FPS, latency ${ms(s.latency_ms.p50)}, `+
`frame age ${ms(s.frame_age_ms.p50)}, ${s.frames_out} of ${s.frames_in} frames, ${s.engine} on ${s.device}, `+
s.sources.map(r=>`${r.source}: ${r.state}`).join(", ")}catch{document.getElementById("s").textContent="ended"}},1000)
</script>
"""


class MjpegSink(Sink):
    """A web server. Each viewer always gets the newest image next; slow viewers skip images.

    A thread of the sink encodes the images, only while there are viewers. The thread of the run only copies the frame.

    Args:
        text: ``mjpeg://HOST:PORT``. Without a host: all addresses of this machine. Without a port: 8080.

    Raises:
        SinkError: the address is invalid, or the port is in use.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", DEFAULT_PORT if parts.port is None else parts.port
        except ValueError as error:
            raise SinkError(f"sink {text}: {error}; expected mjpeg://HOST:PORT such as mjpeg://0.0.0.0:8080") from error
        if re.search(r"[/?#]", text.partition("://")[2]):
            raise SinkError(f"sink {text}: has a path; expected mjpeg://HOST:PORT such as mjpeg://0.0.0.0:8080")
        self._changed = threading.Condition()
        self._pending: Frame | None = None  # the newest frame, not yet encoded
        self._free: Frame | None = None
        self._jpeg, self._number = b"", 0
        self.viewers = 0
        self._closed = False
        self._run: Run | None = None
        try:
            self._server = _Server((host, port), self)
        except OSError as error:
            raise SinkError(f"sink {text}: can't listen there ({error.strerror}); choose another port") from error
        self.port = int(self._server.server_address[1])
        self.about = f"http://{host or socket.gethostname()}:{self.port}/"
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="mjpeg-server", daemon=True),
            threading.Thread(target=self._encode, name="mjpeg-encoder", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def start(self, run: Run) -> None:
        self._run = run

    def write(self, frame_bgr: Frame) -> None:
        if not self.viewers:
            return
        with self._changed:
            if self._pending is not None:
                self.dropped += 1
                buffer = self._pending
            else:
                buffer = self._free if self._free is not None else np.empty_like(frame_bgr)
            if buffer.shape != frame_bgr.shape:
                buffer = np.empty_like(frame_bgr)
            np.copyto(buffer, frame_bgr)
            self._pending, self._free = buffer, None
            self._changed.notify_all()

    def close(self) -> None:
        if self._closed:
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._server.hang_up()
        for thread in self._threads:
            thread.join(1)

    def stats(self) -> dict[str, Any] | None:
        """The statistics of the run; None before it has begun."""
        return self._run.stats() if self._run is not None else None

    def jpegs(self) -> Iterator[bytes]:
        """Yields the newest JPEG each time, until the sink is closed. For the thread of one viewer."""
        seen = 0
        with self._changed:
            self.viewers += 1
        try:
            while True:
                with self._changed:
                    while self._number == seen and not self._closed:
                        self._changed.wait()
                    if self._closed:
                        return
                    seen, jpeg = self._number, self._jpeg
                yield jpeg
        finally:
            with self._changed:
                self.viewers -= 1

    def _encode(self) -> None:
        while True:
            with self._changed:
                while self._pending is None and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                frame, self._pending = self._pending, None
            data = cv2.imencode(".jpg", np.asarray(frame), (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()
            with self._changed:
                self._jpeg, self._free = data, frame
                self._number += 1
                self._changed.notify_all()


def open_mjpeg(text: str, _fps: float | None) -> MjpegSink:
    """Opens ``mjpeg://HOST:PORT``; raises as :class:`MjpegSink` does."""
    return MjpegSink(text)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], sink: MjpegSink) -> None:
        self.sink = sink
        self._links: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # The method of http.server resolves the machine's full name, which can take many seconds on a device.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        self._links.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._links.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignores errors, because a viewer that disconnects is not an error."""

    def hang_up(self) -> None:
        """Ends every connection, because a thread may block in a send to a viewer that reads nothing."""
        for link in list(self._links):
            try:
                link.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SEND_LIMIT_S
    server: _Server

    def do_GET(self) -> None:
        sink = self.server.sink
        path = self.path.partition("?")[0]
        if path == "/":
            self._send(200, "text/html; charset=utf-8", _PAGE)
        elif path == "/stream":
            self._stream()
        elif path in ("/stats", "/metrics"):
            stats = sink.stats()
            if stats is None:
                self._send(503, "text/plain; charset=utf-8", "the run has not begun\n")
            elif path == "/stats":
                self._send(200, "application/json", json.dumps(stats, allow_nan=False))
            else:
                self._send(200, "text/plain; version=0.0.4; charset=utf-8", prometheus(stats))
        else:
            self._send(404, "text/plain; charset=utf-8", "expected /, /stream, /stats or /metrics\n")

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _stream(self) -> None:
        sink = self.server.sink
        if sink.viewers >= _MOST_VIEWERS:
            self._send(503, "text/plain; charset=utf-8", f"{_MOST_VIEWERS} viewers are watching already\n")
            return
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        for jpeg in sink.jpegs():
            head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")

    def _send(self, status: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
