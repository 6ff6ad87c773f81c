"""``/v1/stream``: order, newest frame, slow clients."""

from __future__ import annotations

import json
import threading
import time

import cv2
import numpy as np
import pytest

from seg_edge import Segmenter
from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine

websockets = pytest.importorskip("websockets")
from websockets.exceptions import InvalidStatus  # noqa: E402
from websockets.sync.client import connect  # noqa: E402


@pytest.fixture
def stream(client):
    with connect(f"ws://{client.host}:{client.port}/v1/stream") as link:
        yield link


def mask(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_masks_in_order(stream, tiny_model, colour_frame, encode):
    with Segmenter(tiny_model) as segmenter:
        for number in range(5):
            frame = colour_frame(40 + number, 60)
            stream.send(encode(frame))
            about = json.loads(stream.recv(10))
            assert (about["frame"], about["dropped"], about["size"]) == (number, 0, [40 + number, 60])
            assert {"queue", "decode", "engine", "encode"} <= set(about["timings_ms"])
            assert (mask(stream.recv(10)) == segmenter(frame)).all()


def test_options_change_on_the_way(stream, image):
    stream.send(json.dumps({"format": "json", "mask": "none"}))
    stream.send(image)
    about = json.loads(stream.recv(10))
    assert [row["name"] for row in about["classes"]] == ["class0", "class1", "class2"]
    stream.send('{"format": "gif"}')
    assert json.loads(stream.recv(10))["code"] == "bad_option"
    stream.send("[]")
    assert json.loads(stream.recv(10))["code"] == "bad_request"
    stream.send(json.dumps({"format": "overlay", "classes": ["class1"]}))
    stream.send(image)
    assert json.loads(stream.recv(10))["frame"] == 1
    assert stream.recv(10)[:3] == b"\xff\xd8\xff"


def test_a_bad_frame_does_not_end_the_stream(stream, image):
    stream.send(b"nothing")
    assert json.loads(stream.recv(10)) | {"error": ""} == {"frame": 0, "error": "", "code": "unsupported_media_type"}
    stream.send(image)
    assert json.loads(stream.recv(10))["frame"] == 1


def test_the_newest_frame_wins(serve, tiny_model, image, monkeypatch):
    infer = OnnxRuntimeEngine._infer
    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", lambda self, frames: (time.sleep(0.1), infer(self, frames))[1])
    client = serve(tiny_model, engine="onnxruntime")
    with connect(f"ws://{client.host}:{client.port}/v1/stream?format=json&mask=none") as stream:
        for _ in range(60):
            stream.send(image)
            time.sleep(0.01)
        answers = []
        while not answers or answers[-1]["frame"] < 59:
            answers.append(json.loads(stream.recv(10)))
    numbers = [answer["frame"] for answer in answers]
    assert numbers == sorted(set(numbers))
    assert 3 <= len(numbers) < 30
    assert answers[-1]["dropped"] == 60 - len(numbers)
    assert "seg_edge_stream_frames_dropped_total" in client("/metrics").body.decode()


def test_a_client_that_takes_nothing_costs_bounded_memory(client, encode):
    """It sends frames and reads no answer: the service keeps one frame, and answers what fits the socket."""
    large = encode(np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8), ".jpg")
    address = f"ws://{client.host}:{client.port}/v1/stream?format=overlay&quality=100"
    with connect(address, max_queue=1, ping_interval=None) as stream:
        before = _resident_mib()
        until = time.monotonic() + 3
        sent = 0
        while time.monotonic() < until:
            stream.send(large)
            sent += 1
        assert _resident_mib() - before < 64
        assert sent > 20
        threading.Timer(0.0, stream.close).start()


def _resident_mib():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def test_frames_that_are_too_large(serve, tiny_model):
    client = serve(tiny_model, max_body_mib=0.01)
    with connect(f"ws://{client.host}:{client.port}/v1/stream") as stream:
        stream.send(bytes(20_000))
        with pytest.raises(websockets.exceptions.ConnectionClosedError, match="1009"):
            stream.recv(10)


def test_who_may_connect(serve, tiny_model, tmp_path, image):
    (tmp_path / "token").write_text("correct-horse")
    client = serve(tiny_model, token_file=tmp_path / "token")
    address = f"ws://{client.host}:{client.port}/v1/stream"
    for options, status in (
        ({}, 401),
        ({"additional_headers": {"Authorization": "Bearer wrong"}}, 401),
        ({"additional_headers": {"Authorization": "Bearer correct-horse"}, "origin": "http://evil.example"}, 403),
    ):
        with pytest.raises(InvalidStatus, match=str(status)):
            connect(address, **options)
    with pytest.raises(InvalidStatus, match="404"):
        connect(f"{address}/tony", additional_headers={"Authorization": "Bearer correct-horse"})
    with connect(address, subprotocols=["seg-edge", "bearer.correct-horse"], origin=client.address) as stream:
        assert stream.subprotocol == "seg-edge"
        stream.send(image)
        assert json.loads(stream.recv(10))["frame"] == 0
