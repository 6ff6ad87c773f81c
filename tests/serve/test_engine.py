"""A server as an engine: ``--engine http://HOST:PORT/MODEL``."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from seg_edge import Segmenter
from seg_edge.cli.main import main
from seg_edge.core.errors import EngineError
from seg_edge.core.shipped import DEFAULT
from seg_edge.runtime import open_engine


@pytest.fixture
def address(client):
    return f"{client.address}/tiny"


@pytest.mark.parametrize("throughput", [False, True])
def test_the_same_masks_as_here(address, tiny_model, colour_frame, throughput):
    frame = colour_frame(48, 60)
    with Segmenter(tiny_model) as here, Segmenter(tiny_model, address, throughput=throughput) as there:
        assert (there.engine.name, there.engine.device_kind) == (address, "server")
        assert (here(frame) == there(frame)).all()
        assert np.abs(here.logits(frame) - there.logits(frame)).max() < 1e-5
        results = list(there.stream(_images(frame, 6)))
        assert len(results) == 6
        assert all((result.mask == here(frame)).all() for result in results)


class _images:  # noqa: N801  # reads like the function that it stands for
    def __new__(cls, frame, count):
        from seg_edge.runtime import Source, SourceFrame

        class Repeated(Source):
            def __iter__(self):
                return (SourceFrame(frame, i, str(i), 0.0) for i in range(count))

        return Repeated("repeated", count=count)


def test_run_and_predict(address, tiny_model, colour_frame, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "a.png"), colour_frame(48, 60))
    assert main(["run", str(tiny_model), "--engine", address, "--source", str(tmp_path / "a.png"), "--sink", "none"]) == 0
    assert f"engine {address} v2 on the server 127.0.0.1:" in capsys.readouterr().out
    out = tmp_path / "out"
    assert (
        main(["predict", str(tiny_model), "--engine", address, "--source", str(tmp_path / "a.png"), "--out", str(out)]) == 0
    )
    assert sorted(np.unique(cv2.imread(str(out / "masks/a.png"), cv2.IMREAD_UNCHANGED))) == [0, 1, 2]


def test_verify(serve, tmp_path):
    """The shipped model's golden frames, computed by a server."""
    address = f"{serve(DEFAULT).address}/{DEFAULT}"
    assert main(["verify", DEFAULT, "--engine", address, "--json", str(tmp_path / "v.json")]) == 0
    frames = json.loads((tmp_path / "v.json").read_text())["frames"]
    assert len(frames) == 3
    assert {frame["engine"] for frame in frames} == {address}


@pytest.mark.parametrize(
    ("path", "text"),
    [("/tony", "no model 'tony'"), ("", "expected http://HOST:PORT/MODEL"), ("/a/b", "the server answers 404")],
)
def test_wrong_addresses(client, tiny_model, path, text):
    with pytest.raises(EngineError, match=text):
        open_engine(tiny_model, client.address + path)


def test_nobody_there(free_port, tiny_model, capsys):
    words = ["run", str(tiny_model), "--engine", f"http://127.0.0.1:{free_port}/tiny", "--source", "0", "--sink", "none"]
    assert main(words) == 1
    assert "the server can't be reached" in capsys.readouterr().err


def test_another_model_than_the_servers(address, tiny_onnx, tmp_path):
    tiny_onnx(tmp_path / "five.onnx", classes=5)
    with pytest.raises(EngineError, match="has 3 classes"):
        open_engine(tmp_path / "five.onnx", address)
    tiny_onnx(tmp_path / "large.onnx", input_hw=(64, 80))
    with pytest.raises(EngineError, match="its spec says one output"):
        open_engine(tmp_path / "large.onnx", address)


def test_a_token(serve, tiny_model, tmp_path, monkeypatch, colour_frame):
    (tmp_path / "token").write_text("correct-horse")
    address = f"{serve({'tiny': tiny_model}, token_file=tmp_path / 'token').address}/tiny"
    with pytest.raises(EngineError, match="the server answers 401"):
        open_engine(tiny_model, address)
    monkeypatch.setenv("SEG_EDGE_TOKEN", "correct-horse")
    with Segmenter(tiny_model, address) as segmenter:
        assert segmenter(colour_frame(48, 60)).shape == (48, 60)


class _LabelsOnly(BaseHTTPRequestHandler):
    """A server that knows labels only, answers in JSON, and hangs up after each answer, as if its connections grew old."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        inputs = [{"name": "frames", "datatype": "UINT8", "shape": [-1, 32, 40, 3]}]
        outputs = [{"name": "labels", "datatype": "UINT8", "shape": [-1, 32, 40]}]
        self._send({"name": "m", "inputs": inputs, "outputs": outputs})

    def do_POST(self):
        chunks = self.rfile.read(int(self.headers["Content-Length"]))
        head = json.loads(chunks[: int(self.headers["Inference-Header-Content-Length"])])
        assert head["outputs"][0]["name"] == "labels"
        data = [1] * (32 * 40)
        self._send({"outputs": [{"name": "labels", "datatype": "UINT8", "shape": [1, 32, 40], "data": data}]})

    def _send(self, data):
        body = json.dumps(data).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        pass


def test_a_server_that_has_labels_only(tiny_model, colour_frame):
    with ThreadingHTTPServer(("127.0.0.1", 0), _LabelsOnly) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with Segmenter(tiny_model, f"http://127.0.0.1:{server.server_port}/m") as segmenter:
                assert segmenter.spec.output == "labels"
                for _ in range(3):
                    assert (segmenter(colour_frame(48, 60)) == 1).all()
        finally:
            server.shutdown()
            thread.join()
