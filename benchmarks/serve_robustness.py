"""Tries to break seg-edge serve: malformed requests, SIGTERM under load, slow clients, hours of full load.

python benchmarks/serve_robustness.py [--scale 0.1]

Exits with 3 if a limit is broken. ``tests/serve/test_robustness.py`` runs each part with small counts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

# The benchmarks are scripts, not a package; tests load this file by its path.
sys.path.insert(0, str(Path(__file__).parent))
from serve_load import Link, full_load, raw_request

RESULTS = Path(__file__).parent / "results" / "serve_robustness.json"
#: MiB over idle while requests are malformed; MiB that a long full load may add; p99 of others beside slow clients ÷ before.
LIMITS = {"malformed_mib": 64.0, "soak_mib": 8.0, "slow_clients": 2.0}
TOKEN = "correct-horse-battery"


@dataclass
class Service:
    """A running ``seg-edge serve``."""

    process: subprocess.Popen[bytes]
    port: int

    def memory_mib(self) -> float:
        """Resident memory."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def settle(self, most_s: float = 60.0) -> None:
        """Waits until the service computes nothing."""
        deadline, before = time.monotonic() + most_s, -1
        while time.monotonic() < deadline:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
            spent = int(fields[11]) + int(fields[12])
            if spent - before <= 5 * os.sysconf("SC_CLK_TCK") // 100:  # 5 % of a core
                return
            before = spent
            time.sleep(1)

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@contextmanager
def service(model: str, folder: Path, *words: str) -> Iterator[Service]:
    """Starts the command and waits until it is ready; its log goes to ``folder``."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "seg_edge.cli", "serve", model, "--port", str(port), *words]
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((folder / "serve.log").read_text()) from None
                time.sleep(0.1)
        yield Service(process, port)
    finally:
        process.kill()
        process.wait()


# --- malformed requests


def _png(width: int, height: int) -> bytes:
    ihdr = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + ihdr + zlib.crc32(ihdr).to_bytes(4, "big") + b"\0\0\0\0IDAT" + bytes(8)


def _post(
    body: bytes, kind: str = "image/jpeg", length: int | None = None, token: str = TOKEN, path: str = "/v1/segment"
) -> bytes:
    stated = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {stated}\r\n\r\n".encode() + body


def malformed_request(dice: random.Random, image: bytes) -> tuple[str, bytes, set[int], bool]:
    """One malformed request: its kind, its bytes, the statuses that are right, and whether its sender hangs up at once."""
    cut = image[: dice.randrange(20, len(image) // 2)]
    boundary = "multipart/form-data; boundary=xX"
    part = b'--xX\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    noisy = bytearray(image[:2000])
    for _ in range(40):
        noisy[dice.randrange(2, len(noisy))] = dice.randrange(256)
    header = (
        b'{"inputs":[{"name":"frames","datatype":"UINT8","shape":[1,999999,999999,3],"parameters":{"binary_data_size":4}}]}'
    )
    kinds: dict[str, tuple[bytes, set[int], bool]] = {
        "empty": (_post(b""), {400}, False),
        # A decoder may show what there is of a cut image.
        "cut image": (_post(cut), {200, 400}, False),
        "noise in the header": (_post(bytes(noisy)), {200, 400, 413, 415}, False),
        "no image": (_post(dice.randbytes(300)), {400, 415}, False),
        "giant declared size": (_post(_png(dice.randrange(20_000, 2**31), 20_000), "image/png"), {413}, False),
        "size that is a lie": (_post(_png(3000, 3000), "image/png"), {400}, False),
        "giant stated length": (_post(b"abc", length=dice.randrange(2**30, 2**50)), {413}, False),
        "length is no number": (_post(b"").replace(b"Content-Length: 0", b"Content-Length: x1"), {400}, False),
        "truncated multipart": (_post(part + cut, boundary), {400}, False),
        "multipart without boundary": (_post(part + cut, "multipart/form-data"), {400}, False),
        "unknown part": (_post(part.replace(b"image", b"other") + cut + b"\r\n--xX--\r\n", boundary), {400}, False),
        "not JSON": (_post(b"{" * dice.randrange(1, 5000), "application/json"), {400}, False),
        "JSON without base64": (_post(b'{"image": {"type": "base64", "value": "*"}}', "application/json"), {400}, False),
        "wrong token": (_post(image, token="x" * dice.randrange(1, 60)), {401}, False),
        "wrong option": (_post(image, path="/v1/segment?alpha=7"), {422}, False),
        "wrong model": (_post(image, path="/v1/segment/none"), {404}, False),
        "body stops": (_post(cut, length=len(image)), set(), True),
        "head stops": (_post(image)[: dice.randrange(1, 60)], set(), True),
        "no HTTP": (dice.randbytes(80) + b"\r\n\r\n", {400}, False),
        "tensor without data": (_post(header, "application/json", path="/v2/models/{model}/infer"), {400, 404}, False),
        "unsupported type": (_post(image, "text/html"), {415}, False),
    }
    kind = dice.choice(list(kinds))
    return kind, *kinds[kind]


def malformed(target: Service, image: bytes, count: int, seed: int = 0, senders: int = 4) -> dict[str, Any]:
    """Sends malformed requests; every one must get a right status, and a good request after each hundred succeed.

    Returns:
        Kind → count; ``wrong``: what got another answer; ``memory_mib``: the highest over idle.
    """
    good = _post(image)
    link = Link(target.port)
    assert link.ask(good)[0] == 200
    idle_mib = target.memory_mib()
    kinds: Counter[str] = Counter()
    wrong: list[str] = []
    peak = [idle_mib]
    lock = threading.Lock()

    def send(number: int) -> None:
        dice = random.Random(seed * 1000 + number)
        for _ in range(count // senders):
            kind, data, statuses, hangs_up = malformed_request(dice, image)
            status = _send(target.port, data, hangs_up)
            with lock:
                kinds[kind] += 1
                peak[0] = max(peak[0], target.memory_mib())
                if statuses and status not in statuses:
                    wrong.append(f"{kind}: {status}")
                if sum(kinds.values()) % 100 == 0 and _ask_once(target.port, good) != 200:
                    wrong.append(f"a good request after {kind}")

    threads = [threading.Thread(target=send, args=(number,)) for number in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if link.ask(good)[0] != 200:
        wrong.append("the last good request")
    link.close()
    return {"kinds": dict(kinds), "wrong": wrong, "memory_mib": peak[0] - idle_mib}


def _ask_once(port: int, request: bytes) -> int:
    with contextlib.closing(Link(port)) as link:
        return link.ask(request)[0]


def _send(port: int, data: bytes, hangs_up: bool) -> int:
    """The status of the answer; 0 where there is none."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as link:
        with contextlib.suppress(ConnectionError):
            link.sendall(data)
        if hangs_up:
            return 0
        answer = b""
        with contextlib.suppress(ConnectionError):
            while b"\r\n" not in answer and (more := link.recv(4096)):
                answer += more
    words = answer.split(b" ", 2)
    return int(words[1]) if len(words) > 2 and words[1].isdigit() else 0


# --- the end


def sigterm_under_load(model: str, folder: Path, image: bytes, dice: random.Random, clients: int = 6) -> Counter[str]:
    """Ends a service at a random moment of full load. Every request must be answered or refused.

    Returns:
        Outcome → requests; ``lost`` must be missing: a request that was sent and got no answer.
    """
    outcomes: Counter[str] = Counter()
    request = raw_request("/v1/segment", image)
    with service(model, folder) as target:

        def ask() -> None:
            while True:
                try:
                    link = socket.create_connection(("127.0.0.1", target.port), timeout=60)
                except ConnectionRefusedError:
                    outcomes["refused"] += 1
                    return
                with link:
                    while True:
                        try:
                            link.sendall(request)
                            head = b""
                            while b"\r\n\r\n" not in head:
                                more = link.recv(65536)
                                if not more:
                                    raise ConnectionError
                                head += more
                            head, _, body = head.partition(b"\r\n\r\n")
                            head = head.lower()
                            length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
                            while len(body) < length:
                                body += link.recv(65536)
                        except (ConnectionError, IndexError):
                            outcomes["lost"] += 1
                            break
                        outcomes[head.split(b" ", 2)[1].decode()] += 1
                        if b"connection: close" in head:
                            break

        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        time.sleep(dice.uniform(0.05, 1.0))
        target.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        outcomes[f"exit {target.process.wait(60)}"] += 1
    return outcomes


# --- slow clients


def slow_clients(target: Service, image: bytes, seconds: float, slow: int = 4) -> dict[str, float]:
    """p99 of two clients before, and beside clients that take no answer and clients that never finish their body."""
    request = raw_request("/v1/segment", image)
    before = full_load(target.port, request, seconds, 2)
    large = raw_request("/v1/segment?format=overlay&quality=100", image)
    links = [socket.create_connection(("127.0.0.1", target.port)) for _ in range(2 * slow)]
    try:
        for number, link in enumerate(links):
            link.settimeout(0.3)
            if number < slow:  # asks until its answers fill every buffer
                with contextlib.suppress(OSError):
                    while True:
                        link.sendall(large)
            else:  # a body that stops in its middle
                link.sendall(request[: len(request) // 2])
        target.settle()  # what they asked for may be computed; that they take none of it must not matter then
        after = full_load(target.port, request, seconds, 2)
    finally:
        for link in links:
            link.close()
    p99 = [float(np.percentile(load.latency_ms, 99)) for load in (before, after)]
    return {"before_p99_ms": p99[0], "beside_p99_ms": p99[1], "ratio": p99[1] / p99[0]}


# --- long full load


def soak(target: Service, image: bytes, seconds: float, warm_s: float) -> dict[str, float]:
    """Memory and descriptors after a warm-up, and after a long full load."""
    request = raw_request("/v1/segment", image)
    full_load(target.port, request, warm_s)
    time.sleep(1)
    memory, descriptors = target.memory_mib(), target.descriptors()
    load = full_load(target.port, request, seconds)
    time.sleep(7)  # idle connections are closed after five
    grown, left = target.memory_mib() - memory, target.descriptors() - descriptors
    return {"seconds": seconds, "requests": sum(load.statuses.values()), "grown_mib": grown, "descriptors_left": left}


def main() -> int:
    from tempfile import TemporaryDirectory

    from seg_edge.core.artefact import write_json
    from seg_edge.core.shipped import DEFAULT
    from seg_edge.runtime.machine.system import machine
    from serve import example

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full counts")
    parser.add_argument("--json", type=Path, default=RESULTS)
    words = parser.parse_args()
    image, dice, record = example(), random.Random(0), {"machine": machine(), "scale": words.scale}
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "token").write_text(TOKEN)
        with service(DEFAULT, folder, "--token-file", str(folder / "token"), "--body-timeout", "5") as target:
            record["malformed"] = malformed(target, image, round(10_000 * words.scale))
        print(f"malformed: {record['malformed']}", flush=True)
        ends: Counter[str] = Counter()
        for _ in range(round(100 * words.scale)):
            ends += sigterm_under_load(DEFAULT, folder, image, dice)
        record["sigterm"] = dict(ends)
        print(f"SIGTERM: {record['sigterm']}", flush=True)
        with service(DEFAULT, folder, "--body-timeout", "60") as target:
            record["slow_clients"] = slow_clients(target, image, 20 * max(0.2, words.scale))
        print(f"slow clients: {record['slow_clients']}", flush=True)
        with service(DEFAULT, folder) as target:
            record["soak"] = soak(target, image, 1800 * words.scale, 60 * max(0.2, words.scale))
        print(f"soak: {record['soak']}", flush=True)
    write_json(words.json, record)
    return 0 if judge(record) else 3


def judge(record: dict[str, Any]) -> bool:
    """Whether every limit holds."""
    return (
        not record["malformed"]["wrong"]
        and record["malformed"]["memory_mib"] < LIMITS["malformed_mib"]
        and not record["sigterm"].get("lost")
        and set(filter(lambda name: name.startswith("exit"), record["sigterm"])) == {"exit 0"}
        and record["slow_clients"]["ratio"] <= LIMITS["slow_clients"]
        and record["soak"]["grown_mib"] < LIMITS["soak_mib"]
        and record["soak"]["descriptors_left"] <= 0
    )


if __name__ == "__main__":
    sys.exit(main())
