"""Model servers as engines (Open Inference Protocol 2): seg-edge serve, Triton, KServe, OpenVINO Model Server."""

from __future__ import annotations

import json
import math
import os
import threading
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import numpy as np

from ...core.errors import EngineError
from .base import INPUT_NAME, Availability, Engine, Frames, Output, Tensor

_TIMEOUT_S = 30.0
#: Datatypes of the protocol → NumPy's name, and the dtype in memory.
_DTYPES = {"UINT8": ("uint8", "u1"), "FP32": ("float32", "<f4")}
#: Environment variable with the bearer token for servers that require one.
TOKEN = "SEG_EDGE_TOKEN"


class HttpV2Engine(Engine):
    """Sends frames to a server and receives the network's output. :func:`server_engine` makes the class for an address.

    The local model file describes the network (classes, input, resize); the weights are on the server. If the server
    lacks the model's output but offers ``labels``, the engine uses ``labels``.
    """

    #: The server's address with the model's name: ``http://HOST:PORT/MODEL``.
    name: ClassVar[str] = "http"
    device_kind: ClassVar[str] = "server"

    @classmethod
    def available(cls) -> Availability:
        return Availability(True, version="v2")

    @property
    def device(self) -> str:
        return f"the server {urlsplit(self.name).netloc}"

    def _open(self) -> tuple[list[Tensor], list[Tensor]]:
        parts = urlsplit(self.name)
        *prefix, model = parts.path.strip("/").split("/")
        if not parts.hostname or not model:
            raise EngineError(f"engine {self.name}: expected http://HOST:PORT/MODEL")
        self._base = "/".join(["", *prefix, "v2", "models", quote(model)])
        self._local = threading.local()
        self._links: set[HTTPConnection] = set()
        if self.throughput:
            self.parallel = min(4, self.threads)
        try:
            return self._signature(json.loads(self._ask("GET", self._base)[0]))
        except BaseException:
            self._close()
            raise

    def _signature(self, about: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
        """The input and the output of the server's model that the engine uses; others are ignored."""
        inputs, outputs = ([_tensor(row) for row in about[kind]] for kind in ("inputs", "outputs"))
        names = {tensor.name for tensor in outputs}
        if self.spec.output not in names and "labels" in names:
            self.spec = self.spec.with_(output="labels")
        classes = (about.get("parameters") or {}).get("classes")
        if classes is not None and len(classes) != len(self.spec.labels):
            raise EngineError(
                f"engine {self.name}: the server's model has {len(classes)} classes, {self.path} has "
                f"{len(self.spec.labels)}; name the model that the server runs"
            )
        return (
            [tensor for tensor in inputs if tensor.name == INPUT_NAME],
            [tensor for tensor in outputs if tensor.name == self.spec.output],
        )

    def _infer(self, frames: Frames) -> Output:
        head = {
            "inputs": [
                {
                    "name": INPUT_NAME, "datatype": "UINT8", "shape": list(frames.shape),
                    "parameters": {"binary_data_size": frames.nbytes},
                }
            ],
            "outputs": [{"name": self.spec.output, "parameters": {"binary_data": True}}],
        }  # fmt: skip
        text = json.dumps(head).encode()
        headers = {"Inference-Header-Content-Length": str(len(text)), "Content-Type": "application/octet-stream"}
        headers["Content-Length"] = str(len(text) + frames.nbytes)
        answer, tensors = self._ask("POST", f"{self._base}/infer", (text, frames.data.cast("B")), headers)
        return _output(answer, tensors, self.spec.output)

    def _close(self) -> None:
        for link in list(self._links):
            link.close()
        self._links.clear()

    def _ask(
        self, method: str, path: str, parts: tuple[Any, ...] = (), headers: dict[str, str] | None = None
    ) -> tuple[bytes, bytes]:
        """Sends a request; returns the JSON of the response and the raw tensors that follow it."""
        token = os.environ.get(TOKEN)
        headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        link: HTTPConnection | None = getattr(self._local, "link", None)
        for fresh in (False, True):
            try:
                if link is None:
                    link = self._connect()
                    fresh = True
                # The parts are sent one after the other, so that the frames are not copied.
                link.request(method, path, iter(parts) if parts else None, headers)
                answer = link.getresponse()
                stated = answer.headers.get("Inference-Header-Content-Length")
                # Read separately, so that the tensors start at an aligned address.
                body = answer.read(int(stated) if stated else None)
                tensors = answer.read() if stated else b""
                break
            except (OSError, HTTPException) as error:
                if link is not None:
                    link.close()
                    self._links.discard(link)
                link = self._local.link = None
                if fresh:  # the server may close an idle connection, so only a failure of a new one is an error
                    reason = str(error) or type(error).__name__
                    raise EngineError(
                        f"engine {self.name}: the server can't be reached ({reason}); is it running?"
                    ) from error
        if answer.status != 200:
            raise EngineError(f"engine {self.name}: the server answers {answer.status}: {_error(body)}")
        return body, tensors

    def _connect(self) -> HTTPConnection:
        parts = urlsplit(self.name)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        link = kind(str(parts.hostname), parts.port, timeout=_TIMEOUT_S)
        self._local.link = link
        self._links.add(link)
        return link


def server_engine(address: str) -> type[Engine]:
    """The engine class for the address of a server, ``http://HOST:PORT/MODEL``.

    >>> server_engine("http://127.0.0.1:8000/unet-s-camvid").name
    'http://127.0.0.1:8000/unet-s-camvid'
    """
    return type("ServerEngine", (HttpV2Engine,), {"name": address})


def _tensor(row: dict[str, Any]) -> Tensor:
    dtype = _DTYPES.get(row["datatype"], (str(row["datatype"]), ""))[0]
    return Tensor(str(row["name"]), dtype, tuple(None if side == -1 else int(side) for side in row["shape"]))


def _output(text: bytes, tensors: bytes, name: str) -> Output:
    at = 0
    for row in json.loads(text)["outputs"]:
        if row["name"] == name:
            dtype = np.dtype(_DTYPES[row["datatype"]][1])
            if "data" in row:
                listed: Output = np.asarray(row["data"], dtype).reshape(row["shape"])
                return listed
            return np.require(np.frombuffer(tensors, dtype, math.prod(row["shape"]), at).reshape(row["shape"]), None, "A")
        at += int((row.get("parameters") or {}).get("binary_data_size", 0))
    raise ValueError(f"the answer has no output {name}")


def _error(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])[:200]
    except (ValueError, KeyError, TypeError):
        return body[:100].decode("utf-8", "replace") or "nothing more"
