"""Clients of a service on this machine: at full load, and at a given rate. For benchmarks/serve.py."""

from __future__ import annotations

import queue
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_BOUNDARY = "seg-edge-benchmark"


def raw_request(path: str, image: bytes) -> bytes:
    """An image as the body."""
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
    return head.encode() + image


def multipart_request(path: str, image: bytes) -> bytes:
    """An image as a form's part ``image``."""
    part = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n'
    part += "Content-Type: image/jpeg\r\n\r\n"
    body = part.encode() + image + f"\r\n--{_BOUNDARY}--\r\n".encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary={_BOUNDARY}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


class Link:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> tuple[int, bytes]:
        """Status and body. A connection that the service closed while it was idle is made anew, once."""
        kept = self._socket is not None
        try:
            return self._ask(request)
        except ConnectionError:
            self.close()
            if not kept:
                raise
            return self._ask(request)

    def _ask(self, request: bytes) -> tuple[int, bytes]:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=120)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        data = b""
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += self._more()
        head = data[:end].decode("latin-1").lower()
        length = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.startswith("content-length:"))
        body = data[end + 4 :]
        while len(body) < length:
            body += self._more()
        if "connection: close" in head:
            self.close()
        return int(head.split(" ", 2)[1]), body

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _more(self) -> bytes:
        assert self._socket is not None
        data = self._socket.recv(1 << 18)
        if not data:
            raise ConnectionError("the service hung up")
        return data


@dataclass
class Load:
    """What clients saw.

    Attributes:
        seconds: How long they asked.
        latency_ms: Of each answer with status 200; at a given rate from the moment at which its turn was.
        statuses: Status → answers.
    """

    seconds: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.statuses.get(200, 0) / self.seconds

    def to_dict(self) -> dict[str, Any]:
        p50, p95, p99 = np.percentile(self.latency_ms, (50, 95, 99)) if self.latency_ms else (None,) * 3
        statuses = {str(status): count for status, count in sorted(self.statuses.items())}
        return {"requests_per_s": self.rate, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "statuses": statuses}

    def _count(self, status: int, ms: float) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:
            self.latency_ms.append(ms)


def full_load(port: int, request: bytes, seconds: float, clients: int = 8) -> Load:
    """So many clients ask one request after the other."""
    load, lock = Load(), threading.Lock()
    begun = time.perf_counter()

    def client() -> None:
        link = Link(port)
        while (at := time.perf_counter()) - begun < seconds:
            status, _ = link.ask(request)
            with lock:
                load._count(status, 1e3 * (time.perf_counter() - at))
        link.close()

    _together(client, clients)
    load.seconds = time.perf_counter() - begun
    return load


def steady_load(port: int, request: bytes, rate: float, seconds: float, clients: int = 32, seed: int = 0) -> Load:
    """Requests at random moments (Poisson), so many a second on average, whatever the answers take."""
    load, lock = Load(), threading.Lock()
    turns: queue.SimpleQueue[float | None] = queue.SimpleQueue()
    gaps = np.random.default_rng(seed).exponential(1 / rate, round(rate * seconds))
    begun = time.perf_counter() + 0.05
    for at in begun + np.cumsum(gaps):
        turns.put(float(at))
    for _ in range(clients):
        turns.put(None)

    def client() -> None:
        link = Link(port)
        while (turn := turns.get()) is not None:
            time.sleep(max(0.0, turn - time.perf_counter()))
            status, _ = link.ask(request)
            with lock:
                load._count(status, 1e3 * (time.perf_counter() - turn))
        link.close()

    _together(client, clients)
    load.seconds = time.perf_counter() - begun
    return load


def _together(client: Any, count: int) -> None:
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            client()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
