"""Network streams.

PyAV, or else OpenCV's FFmpeg, reads them in a separate process (``grabber.py``). In this process, a hanging name
resolution or a decoder that crashes on a damaged stream would stop the pipeline. If a stream changes its resolution
during a connection, PyAV delivers frames of the new size; OpenCV scales them to the first size.
"""

from __future__ import annotations

import os
import select
import socket
from time import perf_counter
from urllib.parse import urlsplit, urlunsplit

from .feed import Cancelled, Feed, GrabberFeed, Wake
from .live import LiveSource
from .options import CameraOptions, LiveOptions, VideoOptions
from .table import check_address, redact

_KNOCK_S = 1.0


def open_stream(text: str, _rest: str, _camera: CameraOptions, live: LiveOptions, video: VideoOptions) -> LiveSource:
    """Opens a network stream, such as ``rtsp://`` or ``http://``.

    Raises:
        SourceError: no server answers within ``live.start_s``, or the server sends no video.
    """
    check_address(text)
    shown = redact(text)
    with_pyav = video.with_pyav
    ms = 1e3 * live.attempt_s

    def connect(wake: Wake) -> Feed:
        if with_pyav:
            return GrabberFeed(text, "libav", wake, about={"decoder": video.decoder, "weave": video.weave})
        return GrabberFeed(text, "CAP_FFMPEG", wake, parameters={"CAP_PROP_OPEN_TIMEOUT_MSEC": ms}, retry=False)

    def knock(wake: Wake) -> str | None:
        return rtsp_knock(text, wake)

    def why_not(reason: str) -> str:
        return (
            f"source {shown}: no video within {live.start_s:g} s: {reason}; check address, password and network, or wait "
            "longer with `start_s`"
        )

    # Only RTSP is checked first: for a server of another protocol that accepts a single client, the check would be it.
    return LiveSource(
        shown, connect, knock=knock if text.lower().startswith("rtsp://") else None, options=live, why_not=why_not
    )


def rtsp_knock(url: str, wake: Wake, limit_s: float = _KNOCK_S) -> str | None:
    """Checks that an RTSP server answers OPTIONS (RFC 2326, 10.1) within ``limit_s``: the reason if not, else None.

    An attempt to connect to a host that is switched off may hang for minutes, and a stopped server process accepts
    connections without an answer. Short repeated requests detect the return of the server within a second or two.

    Raises:
        Cancelled: the wake was set during the check.
    """
    parts = urlsplit(url)
    until_s = perf_counter() + limit_s
    try:
        port = parts.port or 554
        addresses = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = addresses[0]
    except (OSError, ValueError) as error:
        return f"the host {parts.hostname} is not found ({error})"
    with socket.socket(family, kind, protocol) as link:
        link.setblocking(False)
        code = link.connect_ex(address)
        question = f"OPTIONS {redact_all(url)} RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: seg-edge\r\n\r\n".encode()
        try:
            _wait(link, wake, until_s, write=True)
            code = link.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                return f"{parts.hostname}:{port}: {os.strerror(code)}"
            link.sendall(question)
            _wait(link, wake, until_s, write=False)
            answer = link.recv(64)
        except TimeoutError:
            return f"{parts.hostname}:{port} does not answer"
        except OSError as error:
            return f"{parts.hostname}:{port}: {error.strerror}"
    return None if answer.startswith(b"RTSP/") else f"{parts.hostname}:{port} is no RTSP server"


def redact_all(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _wait(link: socket.socket, wake: Wake, until_s: float, write: bool) -> None:
    left_s = max(until_s - perf_counter(), 0)
    fd = link.fileno()
    readable, writable, _ = select.select([wake.fd] if write else [wake.fd, fd], [fd] if write else [], [], left_s)
    if wake.fd in readable:
        raise Cancelled
    if fd not in (writable if write else readable):
        raise TimeoutError
