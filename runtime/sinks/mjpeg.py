"""A web server for overlays: :mod:`seg_edge.runtime.web.view` says what it shows."""

from __future__ import annotations

import re
import socket
import threading
from urllib.parse import urlsplit

import cv2
import numpy as np

from ...core.errors import SinkError
from ..web.server import ThreadedServer
from ..web.view import RunView
from .base import Frame, Run, Sink

DEFAULT_PORT = 8080
_QUALITY = 80


class LiveView(Sink):
    """The images of a run for the viewers of a web application. Each viewer always gets the newest image next.

    A thread of the sink encodes the images, only while there are viewers. The thread of the run only copies the frame.

    Args:
        text: Name of the sink in statistics.

    Attributes:
        view: The application, for whatever server runs it.
        run: The run that is shown; None before it begins.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._changed = threading.Condition()
        self._pending: Frame | None = None  # the newest frame, not yet encoded
        self._free: Frame | None = None
        # Frames that came so far, and which of them the JPEG is.
        self._count, self._pending_count, self._jpeg_count, self._jpeg = 0, 0, 0, b""
        self._closed = False
        self.run: Run | None = None
        self.view = RunView(self)
        self._encoder = threading.Thread(target=self._encode, name="mjpeg-encoder", daemon=True)
        self._encoder.start()

    @property
    def viewers(self) -> int:
        """How many wait for images."""
        return self.view.viewers

    def start(self, run: Run) -> None:
        self.run = run

    def write(self, frame_bgr: Frame) -> None:
        self._count += 1
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
            self._pending_count = self._count
            self._changed.notify_all()

    def newest(self) -> bytes | None:
        """The newest frame's JPEG; None where it isn't encoded."""
        with self._changed:
            return self._jpeg if self._jpeg and self._jpeg_count == self._count else None

    def close(self) -> None:
        if self._closed:
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.view.show(None)
        self._encoder.join(1)

    def _encode(self) -> None:
        while True:
            with self._changed:
                while self._pending is None and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                frame, self._pending = self._pending, None
                count = self._pending_count
            data = cv2.imencode(".jpg", np.asarray(frame), (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()
            with self._changed:
                self._jpeg, self._jpeg_count, self._free = data, count, frame
            self.view.show(data)


class MjpegSink(LiveView):
    """A web server of its own for a run.

    Args:
        text: ``mjpeg://HOST:PORT``. Without a host: all addresses of this machine. Without a port: 8080.

    Raises:
        SinkError: the address is invalid, or the port is in use.
    """

    def __init__(self, text: str) -> None:
        try:
            parts = urlsplit(text)
            host, port = parts.hostname or "", DEFAULT_PORT if parts.port is None else parts.port
        except ValueError as error:
            raise SinkError(f"sink {text}: {error}; expected mjpeg://HOST:PORT such as mjpeg://0.0.0.0:8080") from error
        if re.search(r"[/?#]", text.partition("://")[2]):
            raise SinkError(f"sink {text}: has a path; expected mjpeg://HOST:PORT such as mjpeg://0.0.0.0:8080")
        super().__init__(text)
        try:
            self._server = ThreadedServer(self.view, host, port, "mjpeg-server")
        except OSError as error:
            super().close()
            raise SinkError(f"sink {text}: can't listen there ({error.strerror}); choose another port") from error
        self.port = self._server.port
        self.about = f"http://{host or socket.gethostname()}:{self.port}/"

    def close(self) -> None:
        super().close()
        self._server.close()


def open_mjpeg(text: str, _fps: float | None) -> MjpegSink:
    """Opens ``mjpeg://HOST:PORT``; raises as :class:`MjpegSink` does."""
    return MjpegSink(text)
