"""The web server: pages, statistics, viewers that are slow or leave."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from seg_edge.core.errors import SinkError
from seg_edge.core.labels import Labels
from seg_edge.runtime import open_sink, open_source
from seg_edge.runtime.sinks import MjpegSink, Run
from seg_edge.runtime.web import view

pytestmark = pytest.mark.usefixtures("nothing_left")

STATS = {
    "engine": "openvino", "device": "CPU, 2 threads", "seconds": 2.5, "frames_in": 10, "frames_out": 9,
    "computed": 7,
    "dropped": {"stale": 1, "corrupt": 0, "queue": 0}, "reconnects": 1, "state": "running",
    "sources": [{
        "source": 'gst://x name="a"', "state": "stalled", "reconnects": 1, "stalls": 2, "lost_s": 3.25, "size": None,
        "reason": None,
    }],
    "sinks": [{"sink": "mjpeg://", "dropped": 4}],
    "fps": None,
    "latency_ms": {"p50": 5.0, "p95": None, "p99": None}, "frame_age_ms": {"p50": 20.0, "p95": 21.0, "p99": 22.0},
    "stages_ms": {"engine": {"p50": 4.0, "p95": 4.5, "p99": 5.0}},
}  # fmt: skip


@pytest.fixture
def sink():
    with MjpegSink("mjpeg://127.0.0.1:0") as sink:
        yield sink


def get(sink, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{sink.port}{path}", timeout=5) as answer:
        return answer.headers["Content-Type"], answer.read().decode()


def watch(sink):
    """A viewer's socket that has asked for the stream and got the answer's head."""
    link = socket.create_connection(("127.0.0.1", sink.port), timeout=5)
    link.sendall(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += link.recv(1)
    assert b"200 OK" in head
    deadline = time.monotonic() + 5
    while not sink.viewers:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return link


def test_pages(sink):
    with pytest.raises(urllib.error.HTTPError, match="503"):
        get(sink, "/stats")  # the run has not begun
    sink.start(Run(Labels.numbered(3), lambda: STATS))
    kind, page = get(sink, "/")
    assert kind.startswith("text/html")
    assert '<img src="stream"' in page
    kind, text = get(sink, "/stats")
    assert kind == "application/json"
    assert json.loads(text) == STATS
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(sink, "/nope")


def test_metrics(sink):
    sink.start(Run(Labels.numbered(3), lambda: STATS))
    kind, text = get(sink, "/metrics")
    assert kind.startswith("text/plain; version=0.0.4")
    lines = text.splitlines()
    assert "seg_edge_frames_in_total 10" in lines
    assert "seg_edge_frames_computed_total 7" in lines
    assert 'seg_edge_frames_dropped_total{reason="stale"} 1' in lines
    assert 'seg_edge_latency_seconds{quantile="0.50"} 0.005' in lines
    assert 'seg_edge_stage_seconds{stage="engine",quantile="0.95"} 0.0045' in lines
    assert 'seg_edge_source_state{source="gst://x name=\\"a\\"",state="stalled"} 1' in lines
    assert 'seg_edge_source_state{source="gst://x name=\\"a\\"",state="live"} 0' in lines
    assert 'seg_edge_sink_frames_dropped_total{sink="mjpeg://"} 4' in lines
    assert "seg_edge_fps" not in text  # null: not measured
    sample = re.compile(r'seg_edge_[a-z_]+(\{([a-z]+="([^"\\]|\\.)*",?)+\})? [-+0-9.e]+')
    assert all(line.startswith("# ") or sample.fullmatch(line) for line in lines)
    helped = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert len(helped) == len(set(helped))


def test_a_viewer_sees_the_frames(sink):
    """Through our own source: what one seg-edge serves, another one segments."""
    stop = threading.Event()

    def play():
        i = 0
        while not stop.is_set():
            frame = np.full((48, 64, 3), 200, np.uint8)
            frame[:, :32] = i % 200
            sink.write(frame)
            i += 1
            time.sleep(0.01)

    player = threading.Thread(target=play)
    player.start()
    try:
        with open_source(f"http://127.0.0.1:{sink.port}/stream") as source:
            assert source.live
            for frame in source:
                assert frame.image_bgr.shape == (48, 64, 3)
                assert abs(int(frame.image_bgr[:, 40:].mean()) - 200) < 4
                if frame.index == 10:
                    break
    finally:
        stop.set()
        player.join()


def test_a_viewer_that_takes_nothing_costs_nothing(sink):
    noise = np.random.default_rng(1).integers(0, 256, (360, 640, 3), np.uint8)  # large JPEGs: socket buffers fill
    link = watch(sink)
    slowest = 0.0
    for _ in range(60):
        started = time.perf_counter()
        sink.write(noise)
        slowest = max(slowest, time.perf_counter() - started)
        time.sleep(0.01)
    assert slowest < 0.1
    started = time.perf_counter()
    sink.close()  # while a thread sits in a send to it
    assert time.perf_counter() - started < 1
    link.close()


def test_a_viewer_that_leaves_is_forgotten(sink):
    link = watch(sink)
    link.close()
    deadline = time.monotonic() + 5
    while sink.viewers:
        assert time.monotonic() < deadline
        sink.write(np.zeros((48, 64, 3), np.uint8))
        time.sleep(0.02)


def test_nothing_is_encoded_without_viewers(sink, monkeypatch):
    calls = []
    encode = cv2.imencode
    monkeypatch.setattr(cv2, "imencode", lambda *words: calls.append(1) or encode(*words))
    for _ in range(5):
        sink.write(np.zeros((48, 64, 3), np.uint8))
    time.sleep(0.1)
    assert calls == []


def test_what_cannot_be_served(sink):
    with pytest.raises(SinkError, match="can't listen there .*Address already in use"):
        open_sink(f"mjpeg://127.0.0.1:{sink.port}")
    with pytest.raises(SinkError, match="expected mjpeg://HOST:PORT"):
        open_sink("mjpeg://127.0.0.1:http")
    with pytest.raises(SinkError, match="has a path"):
        open_sink("mjpeg://127.0.0.1:0/live")


def post(sink, path, **headers):
    request = urllib.request.Request(f"http://127.0.0.1:{sink.port}{path}", b"", headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def test_pause_and_resume(sink):
    with pytest.raises(urllib.error.HTTPError, match="503"):
        post(sink, "/pause")  # the run has not begun
    asked = []
    sink.start(Run(Labels.numbered(3), lambda: STATS, asked.append))
    assert post(sink, "/pause") == {"paused": True}
    assert post(sink, "/resume", Origin=f"http://127.0.0.1:{sink.port}") == {"paused": False}
    with pytest.raises(urllib.error.HTTPError, match="403"):
        post(sink, "/pause", Origin="http://elsewhere.example")
    with pytest.raises(urllib.error.HTTPError, match="405"):
        get(sink, "/pause")
    assert asked == [True, False]


def test_a_snapshot_is_the_newest_frame(sink):
    sink.start(Run(Labels.numbered(3), lambda: STATS))
    stop = threading.Event()

    def play():
        while not stop.is_set():
            sink.write(np.full((48, 64, 3), level, np.uint8))
            time.sleep(0.01)

    for level in (40, 200):  # noqa: B007  # the player reads it
        stop.clear()
        player = threading.Thread(target=play)
        player.start()
        link = watch(sink)
        time.sleep(0.1)
        stop.set()
        player.join()
        # Nothing comes any more, as in a run that is paused.
        with urllib.request.urlopen(f"http://127.0.0.1:{sink.port}/snapshot", timeout=5) as answer:
            assert answer.headers["Content-Type"] == "image/jpeg"
            image = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
        assert abs(int(image.mean()) - level) < 4
        link.close()


def test_a_snapshot_without_frames(sink, monkeypatch):
    monkeypatch.setattr(view, "_SNAPSHOT_LIMIT_S", 0.1)
    sink.start(Run(Labels.numbered(3), lambda: STATS))
    with pytest.raises(urllib.error.HTTPError, match="503"):
        get(sink, "/snapshot")
    assert sink.viewers == 0


def test_too_many_viewers_are_refused(sink, monkeypatch):
    monkeypatch.setattr(view, "MOST_VIEWERS", 1)
    link = watch(sink)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        get(sink, "/stream")
    link.close()
