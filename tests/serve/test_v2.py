"""The Open Inference Protocol, with Triton's own client and byte by byte."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from seg_edge import Segmenter


@pytest.fixture
def frames(colour_frame):
    return np.stack([colour_frame(48, 60), colour_frame(48, 60)[:, ::-1]])


@pytest.fixture
def expected(tiny_model, frames):
    with Segmenter(tiny_model) as segmenter:
        return np.stack([segmenter(np.ascontiguousarray(frame)) for frame in frames])


@pytest.fixture
def triton(client):
    http = pytest.importorskip("tritonclient.http")
    made = http.InferenceServerClient(f"{client.host}:{client.port}")
    yield http, made
    made.close()


def test_tritons_client_asks_about_the_server(triton):
    _, client = triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny")
    assert not client.is_model_ready("tony")
    assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
    metadata = client.get_model_metadata("tiny", "1")
    assert [row["name"] for row in metadata["inputs"]] == ["frames", "image"]
    assert metadata["outputs"] == [
        {"name": "labels", "datatype": "UINT8", "shape": [-1, -1, -1]},
        {"name": "logits", "datatype": "FP32", "shape": [-1, 3, 8, 10]},
    ]


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tritons_client_sends_frames(triton, frames, expected, binary_in, binary_out):
    http, client = triton
    tensor = http.InferInput("frames", list(frames.shape), "UINT8")
    tensor.set_data_from_numpy(frames, binary_data=binary_in)
    wanted = [http.InferRequestedOutput("labels", binary_data=binary_out)]
    answer = client.infer("tiny", [tensor], outputs=wanted, request_id="7")
    assert (answer.as_numpy("labels") == expected).all()
    assert answer.get_response()["id"] == "7"
    assert (client.infer("tiny", [tensor]).as_numpy("labels") == expected).all()


def test_tritons_client_sends_image_files(triton, frames, expected, encode):
    http, client = triton
    files = np.array([encode(np.ascontiguousarray(frame)) for frame in frames], np.object_)
    tensor = http.InferInput("image", [2], "BYTES")
    tensor.set_data_from_numpy(files)
    assert (client.infer("tiny", [tensor], model_version="1").as_numpy("labels") == expected).all()


def test_the_networks_own_output(triton, tiny_model, colour_frame):
    http, client = triton
    frame = colour_frame(32, 40)
    with Segmenter(tiny_model) as segmenter:
        expected = segmenter.logits(frame)
    tensor = http.InferInput("frames", [1, 32, 40, 3], "UINT8")
    tensor.set_data_from_numpy(frame[None])
    wanted = [http.InferRequestedOutput("logits"), http.InferRequestedOutput("labels")]
    answer = client.infer("tiny", [tensor], outputs=wanted)
    assert np.abs(answer.as_numpy("logits")[0] - expected).max() < 1e-5
    assert answer.as_numpy("labels").shape == (1, 32, 40)


def test_tritons_client_gets_errors(triton, frames):
    http, client = triton
    tensor = http.InferInput("frames", list(frames.shape), "UINT8")
    tensor.set_data_from_numpy(frames)
    with pytest.raises(pytest.importorskip("tritonclient.utils").InferenceServerException, match="no model"):
        client.infer("tony", [tensor])


def infer(client, head, blob=b"", **headers):
    text = json.dumps(head).encode()
    if blob:
        headers = {"Inference-Header-Content-Length": str(len(text)), **headers}
    return client("/v2/models/tiny/infer", text + blob, headers)


def test_without_binary_data_the_answer_is_json(client, colour_frame):
    frame = colour_frame(4, 6)
    head = {"inputs": [{"name": "frames", "datatype": "UINT8", "shape": [1, 4, 6, 3], "data": frame.tolist()}]}
    answer = infer(client, head)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["model_name"] == "tiny"
    (output,) = answer.json["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("labels", "UINT8", [1, 4, 6])
    assert output["data"] == [0, 0, 1, 1, 2, 2] * 4


FRAMES = {"name": "frames", "datatype": "UINT8", "shape": [1, 2, 2, 3]}


@pytest.mark.parametrize(
    ("head", "blob", "text"),
    [
        ({}, b"", "missing key 'inputs'"),
        ([], b"", "Open Inference Protocol"),
        ({"inputs": []}, b"", "one input expected"),
        ({"inputs": [{**FRAMES, "name": "x", "data": []}]}, b"", "got x"),
        ({"inputs": [{**FRAMES, "datatype": "FP32", "data": []}]}, b"", "UINT8 expected, got FP32"),
        ({"inputs": [{**FRAMES, "data": [1, 2]}]}, b"", "got 2 values"),
        ({"inputs": [{**FRAMES, "data": [256] * 12}]}, b"", "got 12 values"),
        ({"inputs": [{**FRAMES, "data": ["a"] * 12}]}, b"", "got 12 values"),
        ({"inputs": [{**FRAMES, "shape": [1, 2, 2, 4], "data": [0] * 16}]}, b"", "[N, H, W, 3] expected"),
        ({"inputs": [{**FRAMES, "shape": [-1, 2, 2, 3], "data": [0] * 12}]}, b"", "shape"),
        ({"inputs": [{**FRAMES, "shape": [1, 60000, 60000, 3], "data": [0] * 12}]}, b"", "at most 34 million"),
        ({"inputs": [{**FRAMES, "parameters": {"binary_data_size": 12}}]}, bytes(11), "11 bytes are left"),
        ({"inputs": [{**FRAMES, "parameters": {"binary_data_size": 12}}]}, bytes(13), "1 bytes follow"),
        ({"inputs": [{**FRAMES, "parameters": {"binary_data_size": 11}}]}, bytes(11), "got 11 bytes"),
        ({"inputs": [{**FRAMES, "data": [0] * 12}], "outputs": [{"name": "mask"}]}, b"", "no output 'mask'"),
        ({"inputs": [{**FRAMES, "data": [0] * 12}], "outputs": [{"name": "logits"}]}, b"", "needs the input frames"),
        (
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}}]},
            struct.pack("<I", 99) + b"ab", "end within an element",
        ),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["abc"]}]}, b"", "no JPEG"),
    ],
)  # fmt: skip
def test_bad_requests(client, head, blob, text):
    answer = infer(client, head, blob)
    assert answer.status in (400, 413, 415)
    assert text in answer.json["error"]


def test_bad_header_lengths(client):
    for length in ("-1", "x", "99999999"):
        assert client("/v2/models/tiny/infer", b"{}", {"Inference-Header-Content-Length": length}).status == 400


def test_addresses(client):
    assert client("/v2/models/tony").status == 404
    assert client("/v2/models/tiny/versions/2").status == 404
    assert client("/v2/health/ready").json == {"ready": True}
    assert client("/v2").json["name"] == "seg-edge"
    assert client("/v2/models/tiny/infer", b"{}", {"Content-Encoding": "gzip"}).status == 415
