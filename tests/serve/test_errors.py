"""What goes wrong, and the status that says so."""

from __future__ import annotations

import base64
import json
import socket
import time
import zlib

import cv2
import numpy as np
import pytest


def png(width, height):
    """A PNG whose header states a size that its data doesn't have."""
    ihdr = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0d" + ihdr + zlib.crc32(ihdr).to_bytes(4, "big") + b"\0\0\0\0IDAT" + bytes(8)


@pytest.mark.parametrize(
    ("body", "kind", "query", "status", "code"),
    [
        (b"", "image/png", "", 400, "empty"),
        (b"hello world, no image", "image/png", "", 415, "unsupported_media_type"),
        (b"GIF89a..........", "image/gif", "", 415, "unsupported_media_type"),
        (b"hello", "text/plain", "", 415, "unsupported_media_type"),
        (png(10, 10), "image/png", "", 400, "bad_image"),
        (png(0, 10), "image/png", "", 400, "bad_image"),
        (png(40000, 40000), "image/png", "", 413, "image_too_large"),
        (png(17000, 10), "image/png", "", 413, "image_too_large"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg", "", 400, "bad_image"),
        (b"\xff\xd8\xff" + bytes(9000), "image/jpeg", "", 400, "bad_image"),
        (b"II*\0\xff\xff\xff\xff", "image/tiff", "", 400, "bad_image"),
        (b"RIFF\0\0\0\0WEBPVP8X", "image/webp", "", 400, "bad_image"),
        (b"BM", "image/bmp", "", 400, "bad_image"),
        (b"{", "application/json", "", 400, "bad_request"),
        (b"[" * 100_000, "application/json", "", 400, "bad_request"),
        (b"{}", "application/json", "", 400, "empty"),
        (b'{"image": {"type": "url", "value": "http://x/"}}', "application/json", "", 400, "bad_request"),
        (b'{"image": {"type": "base64", "value": "%%"}}', "application/json", "", 400, "bad_request"),
        (b'{"image": {"type": "base64", "value": ""}}', "application/json", "", 400, "empty"),
        (b"--x\r\n", "multipart/form-data; boundary=x", "", 400, "bad_request"),
        (b"nothing", "multipart/form-data", "", 400, "bad_request"),
        (b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\nab', "multipart/form-data; boundary=x", "", 400,
         "bad_request"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", "", 400, "empty"),
        ("image", "image/png", "?format=gif", 422, "bad_option"),
        ("image", "image/png", "?alpha=2", 422, "bad_option"),
        ("image", "image/png", "?alpha=nan", 422, "bad_option"),
        ("image", "image/png", "?classes=sky", 422, "bad_option"),
        ("image", "image/png", "?contours=maybe", 422, "bad_option"),
        ("image", "image/png", "?quality=0", 422, "bad_option"),
        ("image", "image/png", "?mask=json&format=json", 422, "bad_option"),
        ("image", "image/png", "?colour=red", 422, "bad_option"),
    ],
)  # fmt: skip
def test_statuses(client, image, body, kind, query, status, code):
    answer = client.segment(image if body == "image" else body, query, kind)
    assert (answer.status, answer.json["code"]) == (status, code), answer.json
    assert "\n" not in answer.json["error"]
    assert client.segment(image).status == 200


def test_addresses_and_methods(client, image):
    assert client("/nope").json["code"] == "not_found"
    answer = client("/v1/segment")
    assert (answer.status, answer.json["code"], answer.headers["Allow"]) == (405, "method_not_allowed", "POST")
    assert client("/v1/segment/tony", image).json["code"] == "unknown_model"
    assert client.segment(image, Accept="text/html").json["code"] == "not_acceptable"
    assert client.segment(image, Accept="text/html, */*;q=0.1").status == 200


def test_body_limit(serve, tiny_model, image):
    client = serve(tiny_model, max_body_mib=0.01)
    assert client.segment(image).status == 200
    answer = client.segment(bytes(20_000))
    assert (answer.status, answer.json["code"], answer.headers["Connection"]) == (413, "body_too_large", "close")
    chunks = iter([bytes(4000)] * 5)  # chunked: the limit runs with the stream
    answer = client("/v1/segment", chunks, {"Content-Type": "image/png"}, "POST")
    assert (answer.status, answer.json["code"]) == (413, "body_too_large")


def test_pixel_limit_before_decoding(serve, tiny_model, encode):
    client = serve(tiny_model, max_megapixels=0.01)
    assert client.segment(encode(np.zeros((100, 100, 3), np.uint8))).status == 200
    answer = client.segment(encode(np.zeros((101, 100, 3), np.uint8)))
    assert (answer.status, answer.json["code"]) == (413, "image_too_large")
    assert "100 x 101 pixels" in answer.json["error"]


def test_too_many_images(serve, tiny_model, image):
    client = serve(tiny_model, max_images=2)
    value = {"type": "base64", "value": base64.b64encode(image).decode()}
    answer = client.segment(json.dumps({"image": [value] * 3}).encode(), kind="application/json")
    assert (answer.status, answer.json["code"]) == (400, "bad_request")


def raw(client, text, wait=True):
    link = socket.create_connection((client.host, client.port), timeout=10)
    link.sendall(text)
    if not wait:
        return link
    answer = b""
    with link:
        while chunk := link.recv(65536):
            answer += chunk
    return answer


def test_no_length(client):
    answer = raw(client, b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 411 ")


def test_a_slow_body(serve, tiny_model, image):
    client = serve(tiny_model, body_timeout=0.3)
    answer = raw(client, b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"body_timeout"' in answer
    assert b"(3 bytes did)" in answer
    assert client.segment(image).status == 200


def test_a_slow_head_is_cut_off(serve, tiny_model, monkeypatch):
    monkeypatch.setattr("seg_edge.runtime.web.protocol.HEAD_S", 0.3)
    client = serve(tiny_model)
    started = time.monotonic()
    assert raw(client, b"POST /v1/segment HTTP/1.1\r\nHost") == b""
    assert raw(client, b"") == b""
    assert time.monotonic() - started < 5


# --- tokens


@pytest.fixture
def guarded(serve, tiny_model, tmp_path):
    (tmp_path / "token").write_text("correct-horse\nsecond line\n")
    return serve(tiny_model, token_file=tmp_path / "token")


@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer wrong", "Basic correct-horse", "Bearer correct-horse2", "Bearer \xe9"]
)
def test_wrong_tokens(guarded, image, given):
    headers = {} if given is None else {"Authorization": given}
    answer = guarded.segment(image, **headers)
    assert (answer.status, answer.json["code"], answer.headers["WWW-Authenticate"]) == (401, "unauthorized", "Bearer")


def test_the_right_token(guarded, image):
    assert guarded.segment(image, Authorization="Bearer correct-horse").status == 200
    assert guarded("/v1/models").status == guarded("/metrics").status == 401
    assert guarded("/healthz").status == guarded("/readyz").status == 200


def test_a_token_is_asked_for_before_the_body(guarded):
    """Nothing of a body is read, nor is the client told to send it."""
    head = b"POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\nExpect: 100-continue\r\n\r\n"
    started = time.monotonic()
    link = raw(guarded, head, wait=False)
    with link:
        assert link.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("text", ["", "short\n", "with blanks in it\n", "ümlaut-secret\n"])
def test_token_files(tmp_path, text):
    from seg_edge.core.errors import InputError
    from seg_edge.serve.work.options import read_token

    (tmp_path / "token").write_text(text)
    with pytest.raises(InputError, match="`token_file`"):
        read_token(tmp_path / "token")
    with pytest.raises(InputError, match="`token_file`"):
        read_token(tmp_path / "nope")


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_images_deeper_than_8_bits(client, suffix):
    body = cv2.imencode(f".{suffix}", np.full((32, 32, 3), 7000, np.uint16))[1].tobytes()
    answer = client.segment(body, "", f"image/{suffix}")
    assert (answer.status, answer.json["code"]) == (400, "bad_image")
    assert "more than 8 bits per channel" in str(answer.json)
