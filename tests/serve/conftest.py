"""A service in a thread, and small images."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

if find_spec("prometheus_client") is None or find_spec("python_multipart") is None:  # a base install
    collect_ignore_glob = ["test_*.py"]
else:
    from seg_edge.serve import ServeOptions, serving


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def image(self) -> np.ndarray:
        image = cv2.imdecode(np.frombuffer(self.body, np.uint8), cv2.IMREAD_UNCHANGED)
        assert image is not None
        return image


class Client:
    """Speaks to one service; each request has a connection of its own."""

    def __init__(self, address: str) -> None:
        self.address = address
        parts = urlsplit(address)
        self.host, self.port = str(parts.hostname), int(parts.port or 0)

    def __call__(
        self, path: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str | None = None
    ) -> Answer:
        link = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            link.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            answer = link.getresponse()
            return Answer(answer.status, answer.headers, answer.read())
        finally:
            link.close()

    def segment(self, image: bytes, query: str = "", kind: str = "image/jpeg", **headers: str) -> Answer:
        return self(f"/v1/segment{query}", image, {"Content-Type": kind, **headers})


@pytest.fixture
def serve() -> Iterator[Callable[..., Client]]:
    """A function (models, options by keyword) → client; the services end with the test."""
    with ExitStack() as stack:

        def start(models: Any, **options: Any) -> Client:
            return Client(stack.enter_context(serving(models, ServeOptions(port=0, **options))))

        yield start


@pytest.fixture(scope="session")
def client(tiny_model: Any) -> Iterator[Client]:
    """One service with the default options and the tiny model, for tests that leave it as it was."""
    with serving({"tiny": tiny_model}, ServeOptions(port=0)) as address:
        yield Client(address)


def encoded(frame: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, frame)[1].tobytes()


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """A function (frame, suffix) → the image file."""
    return encoded


@pytest.fixture
def image(colour_frame: Callable[[int, int], np.ndarray]) -> bytes:
    """48 x 60 pixels as PNG: a blue, a green and a red column."""
    return encoded(colour_frame(48, 60))
