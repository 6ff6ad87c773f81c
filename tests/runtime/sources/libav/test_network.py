"""Network streams: playlists and their pace, motion JPEG under other names, finite files, refusals, passwords."""

from __future__ import annotations

import subprocess
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import SourceError
from seg_edge.runtime.sources import LiveOptions, open_source, redact
from seg_edge.runtime.sources.libav.network import Pace, options_for, segment_s
from seg_edge.runtime.sources.table import check_address


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


class Files(SimpleHTTPRequestHandler):
    def log_message(self, *_words):
        pass


class Parts(BaseHTTPRequestHandler):
    """Motion JPEG whose parts bear a name that is none, as some cameras send it."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for i in range(100_000):
                data = cv2.imencode(".jpg", np.full((48, 64, 3), i % 8 * 30, np.uint8))[1].tobytes()
                self.wfile.write(b"--frame\r\nContent-Type: image/jpg\r\nContent-Length: %d\r\n\r\n" % len(data))
                self.wfile.write(data + b"\r\n")
        except OSError:
            pass

    def log_message(self, *_words):
        pass


class Refusing(BaseHTTPRequestHandler):
    status = 401

    def do_GET(self):
        self.send_error(self.status)

    def log_message(self, *_words):
        pass


def make(folder, *words, seconds=1.2):
    moving = f"testsrc2=s=64x48:r=25:d={seconds}"
    source = ["-f", "lavfi", "-i", moving, "-c:v", "libx264", "-preset", "ultrafast", "-g", "5"]
    command = ["ffmpeg", "-v", "error", "-y", *source, "-pix_fmt", "yuv420p", *words]
    subprocess.run(command, cwd=folder, check=True)


def test_motion_jpeg_whose_parts_are_called_image_jpg(serve):
    with open_source(f"http://127.0.0.1:{serve(Parts)}/video") as source:
        assert source.live
        frames = iter(source)
        values = [round(float(next(frames).image_bgr.mean()) / 30) for _ in range(12)]
    assert values == [(values[0] + i) % 8 for i in range(12)]


@pytest.mark.parametrize(("name", "words"), [("a.ts", ()), ("a.gif", ("-c:v", "gif", "-pix_fmt", "rgb8")), ("l.m3u8", ())])
def test_what_has_an_end_is_a_file(need, serve, tmp_path, name, words):
    need("ffmpeg")
    hls = ("-f", "hls", "-hls_time", "0.4", "-hls_list_size", "0") if name == "l.m3u8" else ()
    make(tmp_path, *words, *hls, name)
    with open_source(f"http://127.0.0.1:{serve(partial(Files, directory=str(tmp_path)))}/{name}") as source:
        assert not source.live
        frames = [(frame.index, frame.time_s) for frame in source]
        assert source.reconnects == 0
        assert source.health()[0]["state"] == "ended"
    assert len(frames) == 30
    assert [time for _, time in frames] == pytest.approx([i / 25 for i in range(30)], abs=0.011)


def test_a_live_playlist_ends_at_its_end_mark(need, serve, tmp_path):
    need("ffmpeg")
    make(tmp_path, "-f", "hls", "-hls_time", "1", "-hls_list_size", "0", "l.m3u8", seconds=2)
    whole = (tmp_path / "l.m3u8").read_text()
    entries = whole.split("#EXTINF")
    live = "#EXTINF".join(entries[:-1])  # the last segment and the end mark come later
    assert "#EXT-X-ENDLIST" not in live
    (tmp_path / "l.m3u8").write_text(live)
    port = serve(partial(Files, directory=str(tmp_path)))
    with open_source(f"http://127.0.0.1:{port}/l.m3u8") as source:
        assert source.live
        frames = iter(source)
        times = [next(frames).time_s]
        (tmp_path / "l.m3u8").write_text(whole)
        times += [frame.time_s for frame in frames]
        assert (source.reconnects, source.health()[0]["state"]) == (0, "ended")
    assert len(times) == 50  # the newest segment, and the one that came
    assert np.diff(times) == pytest.approx([0.04] * 49, abs=2e-3)


class Clock:
    """Time that passes only in waits, and when it is told to."""

    def __init__(self):
        self.now, self.waits = 100.0, []

    def __call__(self):
        return self.now

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds


def test_frames_of_a_burst_come_by_their_time_stamps():
    clock = Clock()
    pace = Pace(2.0, clock.wait, clock)
    shown = []
    for i in range(100):  # two segments at once
        pace.wait(7 + i / 25)
        shown.append(clock.now)
    assert shown == pytest.approx([100 + i / 25 for i in range(100)])
    clock.now += 0.05  # a frame that is a little late is shown at once, and the next one when it is due
    pace.wait(11)
    pace.wait(11.04)
    assert clock.now == pytest.approx(104.04)


def test_a_segment_that_comes_late_moves_the_clock():
    clock = Clock()
    pace = Pace(2.0, clock.wait, clock)
    pace.wait(0)
    clock.now += 1.5
    pace.wait(0.04)  # no burst after a gap: what follows keeps its distances
    pace.wait(0.08)
    assert clock.now == pytest.approx(101.54)


def test_a_delay_of_more_than_a_segment_is_made_up_for():
    clock = Clock()
    pace = Pace(2.0, clock.wait, clock)
    pace.wait(0)
    clock.now += 5
    time_s = 0.0
    for _ in range(25 * 120):
        time_s += 0.04
        pace.wait(time_s)
    assert 0 <= clock.now - 100 - time_s <= 2.01
    assert max(clock.waits) <= 0.0401


def test_the_length_of_a_segment(serve, tmp_path):
    (tmp_path / "master.m3u8").write_text("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nmedia.m3u8\n")
    (tmp_path / "media.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\na.ts\n")
    port = serve(partial(Files, directory=str(tmp_path)))
    assert segment_s(f"http://127.0.0.1:{port}/master.m3u8") == 6
    assert segment_s(f"http://127.0.0.1:{port}/absent.m3u8") == 10


def test_times_go_on_over_a_new_connection(rtsp_server, free_port):
    server = rtsp_server(free_port)
    with open_source(f"rtsp://127.0.0.1:{free_port}/test", live=LiveOptions(stall_s=0.6)) as source:
        frames = iter(source)
        seen = [next(frames) for _ in range(10)]
        assert seen[0].time_s == 0
        assert np.diff([frame.time_s for frame in seen]) == pytest.approx([1 / 30] * 9, abs=0.02)
        server.kill()
        server.wait()
        time.sleep(1.5)
        rtsp_server(free_port)
        while not source.reconnects:
            seen.append(next(frames))
    before, after = seen[-2:]
    passed_s = after.captured_s - before.captured_s
    # No leap back to 0. The first frames of a connection come in a burst, so that its times lag behind the clock.
    assert after.time_s - before.time_s == pytest.approx(passed_s, abs=2)
    assert after.time_s > before.time_s + 1


def test_options_of_ffmpeg(monkeypatch):
    assert options_for("rtsp://cam/1") == {"rtsp_transport": "tcp"}
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;udp|timeout;5000000")
    assert options_for("rtsp://cam/1") == {"rtsp_transport": "udp", "timeout": "5000000"}


def test_a_refusal_is_said_at_once(serve):
    port = serve(Refusing)
    with pytest.raises(SourceError, match="401 Unauthorized") as caught:
        open_source(f"http://me:se%23cret@127.0.0.1:{port}/video", live=LiveOptions(start_s=3600))
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://me:p@ss@cam/1", "rtsp://me:***@cam/1"),
        ("rtsp://me:pa/ss@cam:554/1", "rtsp://me:***@cam:554/1"),
        ("rtsp://me:pa#ss@cam/1", "rtsp://me:***@cam/1"),
        ("rtsp://cam/1?user=me&password=secret1&channel=2", "rtsp://cam/1?user=me&password=***&channel=2"),
        ("http://cam/x?token=abc.def", "http://cam/x?token=***"),
        ("http://cam/x?monkey=1&pass=a", "http://cam/x?monkey=1&pass=***"),
        ("gst://rtspsrc user-id=me user-pw=\"my word\" ! x", "gst://rtspsrc user-id=me user-pw=*** ! x"),
        ("connection to rtsp://a:b@c failed, rtsp://d:e@f too", "connection to rtsp://a:***@c failed, rtsp://d:***@f too"),
    ],
)  # fmt: skip
def test_no_part_of_a_password_is_shown(text, shown):
    assert redact(text) == shown


@pytest.mark.parametrize(("letter", "code"), [("#", "%23"), ("/", "%2F"), ("?", "%3F")])
def test_a_letter_that_ends_the_host_is_named(letter, code):
    with pytest.raises(SourceError, match=rf"write \{letter} as {code}") as caught:
        open_source(f"rtsp://admin:pa{letter}ss@127.0.0.1:9/x")
    assert "pa" not in str(caught.value).replace("password", "")


@pytest.mark.parametrize(
    "text",
    ["rtsp://me:pa%23ss@cam:554/1", "rtsp://cam:554/@here", "rtsp://[::1]:554/a@b", "rtsp://me:p@ss@cam/1", "udp://@:1234"],
)
def test_addresses_that_are_fine(text):
    check_address(text)
