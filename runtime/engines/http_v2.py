"""A model server as an engine: seg-edge serve, Triton, KServe, OpenVINO Model Server; the Open Inference Protocol 2."""

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
#: Datatypes of the protocol as NumPy names them, and as they lie in memory.
_DTYPES = {"UINT8": ("uint8", "u1"), "FP32": ("float32", "<f4")}
#: Environment variable with the bearer token of servers that want one.
TOKEN = "SEG_EDGE_TOKEN"


class HttpV2Engine(Engine):
    """Sends frames to a server and takes the network's output from it; :func:`server_engine` makes one for an address.

    The local model file says what the network is (classes, input, resize); its weights are the server's. Where the
    server has no output of the model's own kind, but ``labels``, those are taken.
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
        """Input and output of the server's model; its other ones are not needed."""
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
        """An answer: its JSON, and the raw tensors behind it."""
        token = os.environ.get(TOKEN)
        headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        link: HTTPConnection | None = getattr(self._local, "link", None)
        for fresh in (False, True):
            try:
                if link is None:
                    link = self._connect()
                    fresh = True
                # The parts one after the other: frames are not copied behind their header.
                link.request(method, path, iter(parts) if parts else None, headers)
                answer = link.getresponse()
                stated = answer.headers.get("Inference-Header-Content-Length")
                # Read apart, a tensor begins where its numbers can be read.
                body = answer.read(int(stated) if stated else None)
                tensors = answer.read() if stated else b""
                break
            except (OSError, HTTPException) as error:
                if link is not None:
                    link.close()
                    self._links.discard(link)
                link = self._local.link = None
                if fresh:  # an idle connection may have been closed meanwhile; a new one was not
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
    """The engine class of a server.

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
