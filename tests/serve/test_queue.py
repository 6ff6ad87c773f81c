"""More requests than the service can answer, and the end of it."""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine


def together(client, image, count):
    """Statuses of so many requests at once."""
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(client.segment(image))) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@pytest.fixture
def slow_engine(monkeypatch):
    """Makes the network of ONNX Runtime wait for an event; gives a function that lets it go."""
    go = threading.Event()
    infer = OnnxRuntimeEngine._infer

    def wait(self, frames):
        if enabled.is_set():
            go.wait(10)
        return infer(self, frames)

    enabled = threading.Event()
    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", wait)
    yield enabled, go
    go.set()


def test_a_full_queue_is_refused(serve, tiny_model, image, slow_engine):
    enabled, go = slow_engine
    client = serve(tiny_model, engine="onnxruntime", codec_threads=1, queue=2)
    enabled.set()
    threading.Timer(1.0, go.set).start()
    answers = together(client, image, 8)
    assert sorted(answer.status for answer in answers) == [200] * 3 + [503] * 5
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.json["code"] == "busy"
    assert int(refused.headers["Retry-After"]) >= 1
    assert client.segment(image).status == 200


def test_a_timeout(serve, tiny_model, image, slow_engine):
    enabled, go = slow_engine
    client = serve(tiny_model, engine="onnxruntime", codec_threads=1, timeout=0.3)
    enabled.set()
    assert {answer.json["code"] for answer in together(client, image, 3)} == {"timeout"}
    go.set()
    assert client.segment(image).status == 200


def test_many_threads_get_their_own_masks(client, encode):
    """Requests side by side: no answer is another one's."""
    frames = [np.full((40 + i, 50, 3), 20, np.uint8) for i in range(12)]
    for i, frame in enumerate(frames):
        frame[..., i % 3] = 200
    wrong = []

    def ask(i):
        for _ in range(15):
            mask = client.segment(encode(frames[i])).image
            if mask.shape != frames[i].shape[:2] or not (mask == i % 3).all():
                wrong.append(i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(frames))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_failing_engine(serve, tiny_model, image, monkeypatch):
    infer, broken = OnnxRuntimeEngine._infer, threading.Event()
    monkeypatch.setattr(OnnxRuntimeEngine, "_infer", lambda self, frames: 1 / 0 if broken.is_set() else infer(self, frames))
    client = serve(tiny_model, engine="onnxruntime")
    broken.set()
    answer = client.segment(image)
    assert (answer.status, answer.json["code"]) == (500, "engine_failed")
    broken.clear()
    assert client.segment(image).status == 200


def test_a_slow_reader_delays_nobody(serve, tiny_model, encode):
    """It asks again and again and takes no answer."""
    client = serve(tiny_model, codec_threads=2)
    image = encode(np.random.default_rng(0).integers(0, 256, (600, 800, 3), np.uint8), ".jpg")
    before = [_timed(client, image) for _ in range(10)]
    request = b"POST /v1/segment?format=overlay&quality=100 HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(image)
    links = [socket.socket() for _ in range(4)]
    stop = threading.Event()

    def flood(link):
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect((client.host, client.port))
        link.settimeout(0.2)
        data, at = (request + image), 0
        with contextlib.suppress(ConnectionError):  # the kernel gives such a client up after 30 s
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    at = (at + link.send(data[at:])) % len(data)

    threads = [threading.Thread(target=flood, args=(link,)) for link in links]
    for thread in threads:
        thread.start()
    segmented, deadline = -1, time.monotonic() + 60
    while segmented != (now := _segmented(client)):  # until the answers that nobody takes fill all buffers
        assert time.monotonic() < deadline
        segmented = now
        time.sleep(0.6)
    after = [_timed(client, image) for _ in range(10)]
    stop.set()
    for thread, link in zip(threads, links, strict=True):
        thread.join()
        link.close()
    assert sorted(after)[5] < 3 * sorted(before)[5] + 0.05


def _segmented(client):
    lines = client("/metrics").body.decode().splitlines()
    return next((line for line in lines if line.startswith("seg_edge_images_total")), "")


def _timed(client, image):
    started = time.perf_counter()
    assert client.segment(image).status == 200
    return time.perf_counter() - started


# --- the command


@pytest.fixture
def command(tiny_model, free_port, tmp_path):
    """``seg-edge serve`` as a process that is ready; its port, and the file that it prints to."""
    words = [sys.executable, "-m", "seg_edge.cli", "serve", str(tiny_model), "--port", str(free_port)]
    printed = tmp_path / "printed"
    with printed.open("w") as file:  # a pipe that nobody reads would stop it
        process = subprocess.Popen(words, stdout=file, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 30
    while "serving" not in printed.read_text():
        assert process.poll() is None, printed.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process, free_port, printed
    process.kill()
    process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(command, image, number):
    process, port, printed = command
    answered, failures = [], []

    def ask():
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            while True:
                if link.sock is None:
                    try:
                        link.connect()
                    except ConnectionRefusedError:
                        return
                link.request("POST", "/v1/segment", image, {"Content-Type": "image/png"})
                answer = link.getresponse()
                answer.read()
                answered.append(answer.status)
        except Exception as error:
            failures.append(error)
        finally:
            link.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    process.send_signal(number)
    for thread in threads:
        thread.join()
    assert process.wait(timeout=15) == 0
    assert failures == []
    assert set(answered) <= {200, 503}
    lines = printed.read_text().splitlines()
    assert sum(" POST /v1/segment " in line for line in lines) == len(answered)
    assert all(" 127.0.0.1 " in line for line in lines[3:])


def test_errors_before_it_serves(tiny_model, free_port, tmp_path, capsys):
    from seg_edge.cli.main import main

    for words, text in (
        (["nope.onnx"], "nope.onnx"),
        ([tiny_model, tiny_model], "two are called tiny"),
        ([tiny_model, "--port", 1 << 20], "--port: expected 0 to 65535"),
        ([tiny_model, "--host", "256.1.1.1"], "--host"),
        ([tiny_model, "--tls-key", "k"], "--tls-certificate"),
        ([tiny_model, "--tls-certificate", tmp_path / "none.pem"], "--tls-certificate"),
        ([tiny_model, "--token-file", tmp_path / "none"], "--token-file"),
    ):
        assert main(["serve", "--port", str(free_port), *map(str, words)]) == 1
        assert text in capsys.readouterr().err


def test_a_port_that_is_taken(client, tiny_model, capsys):
    from seg_edge.cli.main import main

    assert main(["serve", str(tiny_model), "--port", str(client.port)]) == 1
    assert "can't listen on 127.0.0.1" in capsys.readouterr().err


# --- other servers


def test_the_application_needs_no_server_of_ours(tiny_model, image):
    httpx = pytest.importorskip("httpx")
    assert httpx
    from starlette.testclient import TestClient

    from seg_edge.serve import create_app

    with TestClient(create_app(tiny_model)) as client:
        deadline = time.monotonic() + 10
        while client.get("/readyz").status_code == 503:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        answer = client.post("/v1/segment", content=image, headers={"Content-Type": "image/png"})
        assert answer.status_code == 200
        assert cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED).shape == (48, 60)


def test_metrics(client, image):
    client.segment(image)
    answer = client("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    for stage in ("queue", "decode", "engine", "encode"):
        assert f'seg_edge_stage_seconds_count{{model="tiny",stage="{stage}"}}' in text
    assert 'seg_edge_requests_total{route="/v1/segment",status="200"}' in text
    assert client("/readyz").json == {"status": "ready", "models": ["tiny"]}
    assert client("/healthz").json == {"status": "alive"}
