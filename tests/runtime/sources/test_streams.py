"""HTTP streams, the question to RTSP servers, passwords."""

from __future__ import annotations

import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import InputError
from seg_edge.runtime import open_source
from seg_edge.runtime.sources import CameraOptions, VideoOptions, redact
from seg_edge.runtime.sources.feed import Cancelled, Wake
from seg_edge.runtime.sources.streams import rtsp_knock


@pytest.fixture
def serve():
    """A function (request handler) → port of a running server."""
    servers = []

    def start(handler):
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_address[1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


class Growing(BaseHTTPRequestHandler):
    """Motion JPEG without an end whose frames change their size within one connection."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for i in range(100_000):
                size = (48, 64) if i < 40 else (96, 128)
                data = cv2.imencode(".jpg", np.full((*size, 3), 80 if i < 40 else 160, np.uint8))[1].tobytes()
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data))
                self.wfile.write(data + b"\r\n")
        except OSError:
            pass

    def log_message(self, *_words):
        pass


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_words):
        pass


@pytest.mark.parametrize("reader", ["pyav", "opencv"])
def test_size_changes_within_a_connection(serve, reader):
    """OpenCV scales to the size that the connection began with; PyAV gives the frames as they are."""
    address = f"http://127.0.0.1:{serve(Growing)}/stream"
    with open_source(address, video=VideoOptions(reader=reader)) as source:
        assert source.live
        for frame in source:
            large = frame.image_bgr.mean() > 120
            assert frame.image_bgr.shape == ((96, 128, 3) if large and reader == "pyav" else (48, 64, 3))
            if large:
                break
            assert frame.index < 100
        assert frame.image_bgr.mean() == pytest.approx(160, abs=2)
        assert source.reconnects == 0


def test_a_video_over_http_is_a_file(serve, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "clip.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 20, (64, 48))
    for i in range(30):
        writer.write(np.full((48, 64, 3), 8 * i, np.uint8))
    writer.release()
    with open_source(f"http://127.0.0.1:{serve(partial(Quiet, directory=str(tmp_path)))}/clip.mp4") as source:
        assert (source.live, source.count, source.fps) == (False, 30, pytest.approx(20))
        frames = list(source)
    assert [round(float(frame.image_bgr.mean())) for frame in frames] == pytest.approx([8 * i for i in range(30)], abs=6)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:s3cret@cam/1?x=1", "rtsp://me:***@cam/1?x=1"),
        ("rtsp://cam:554/1", "rtsp://cam:554/1"),
        ("rtsp://me@cam/1", "rtsp://me@cam/1"),
        ("gst://rtspsrc location=rtsp://a:b@c/d ! x", "gst://rtspsrc location=rtsp://a:***@c/d ! x"),
        ("method DESCRIBE of rtsp://a:b@c failed", "method DESCRIBE of rtsp://a:***@c failed"),
        ("video.mp4", "video.mp4"),
    ],
)
def test_passwords_are_not_shown(text, shown):
    assert redact(text) == shown


@pytest.fixture
def wake():
    wake = Wake()
    yield wake
    wake.close()


def test_knock(rtsp_server, free_port, serve, wake):
    assert "Connection refused" in rtsp_knock(f"rtsp://127.0.0.1:{free_port}/x", wake)
    rtsp_server(free_port)
    assert rtsp_knock(f"rtsp://user:word@127.0.0.1:{free_port}/x", wake) is None
    assert "is no RTSP server" in rtsp_knock(f"rtsp://127.0.0.1:{serve(Quiet)}/x", wake)
    assert "is not found" in rtsp_knock("rtsp://no-such-host.invalid/x", wake)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        assert "does not answer" in rtsp_knock(address, wake, 0.2)
        wake.set()
        with pytest.raises(Cancelled):
            rtsp_knock(address, wake, 60)


def test_camera_options():
    assert CameraOptions.parse("1280x720", 30.0, "mjpg") == CameraOptions(size_wh=(1280, 720), fps=30.0, pixel_format="MJPG")
    assert CameraOptions.parse() == CameraOptions()
    for options, message in (
        (("1280",), "`size_wh`: expected WIDTHxHEIGHT"),
        ((None, 0.0), "`fps`: expected"),
        ((None, None, "JPEG2000"), "`pixel_format`: expected four letters"),
    ):
        with pytest.raises(InputError, match=message):
            CameraOptions.parse(*options)
