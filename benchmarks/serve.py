"""seg-edge serve beside a plain FastAPI service and LitServe, in turns: 1280x720 JPEG in, PNG mask out, on the loopback.

python benchmarks/serve.py --fp32 FOLDER --peers-python PYTHON

FOLDER is an export of the shipped network's weights (made there if it is missing); PYTHON has fastapi, uvicorn,
python-multipart, litserve, onnxruntime and OpenCV. Exits with 3 if a limit is broken.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import urlopen

import cv2
from serve_load import full_load, multipart_request, raw_request, steady_load

from seg_edge import Segmenter
from seg_edge.core.artefact import write_json
from seg_edge.core.cpu import resolve_threads
from seg_edge.core.shipped import CHECKPOINT, DEFAULT, shipped
from seg_edge.runtime.machine.system import machine
from seg_edge.serve.request.answer import answer_images
from seg_edge.serve.request.wants import read_wants
from seg_edge.serve.work.model import ServedModel

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "serve.json"
CLIENTS, SHARE = 8, 0.7
#: Least times as many requests a second as each peer; most of p99 / p50 at 70 % of the highest rate; most CPU time that the
#: service adds to the work.
LIMITS = {"fastapi": 5.0, "litserve": 3.0, "p99_to_p50": 3.0, "overhead": 0.25}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fp32", type=Path, default=Path("build/serve/fp32"), help="export of unet-s in fp32")
    parser.add_argument("--peers-python", type=Path, help="Python of an environment with the peers; without it, ours alone")
    parser.add_argument("--image", type=Path, help="a JPEG; default: a golden frame, enlarged")
    parser.add_argument("--duration", type=float, default=8.0, help="seconds of a turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, default=RESULTS)
    words = parser.parse_args()
    jpeg = words.image.read_bytes() if words.image else example()
    with ExitStack() as stack:
        sides = {"seg-edge": stack.enter_context(running(ours, raw_request("/v1/segment", jpeg)))}
        if words.peers_python:
            fp32 = exported(words.fp32) / "model.fp32.onnx"
            int8 = shipped(DEFAULT) / "model.int8.onnx"
            form = multipart_request("/segment", jpeg)
            sides["fastapi"] = stack.enter_context(running(peer(words.peers_python, "fastapi_plain.py", fp32), form))
            workers = str(resolve_threads(None))
            sides["litserve"] = stack.enter_context(
                running(peer(words.peers_python, "litserve_int8.py", int8, workers), form)
            )
        record = measure(sides, jpeg, words.duration, words.rounds)
    record = {"machine": machine(), "clients": CLIENTS, "jpeg_bytes": len(jpeg), **record}
    write_json(words.json, record)
    print(words.json)
    return judge(record)


def example() -> bytes:
    """A street at 1280x720, quality 95."""
    frame = cv2.imread(str(shipped(DEFAULT) / "golden" / "frame0.png"))
    large = cv2.resize(frame, (1280, 720), interpolation=cv2.INTER_CUBIC)
    return cv2.imencode(".jpg", large, (cv2.IMWRITE_JPEG_QUALITY, 95))[1].tobytes()


def exported(folder: Path) -> Path:
    if not (folder / "model.fp32.onnx").exists():
        words = [sys.executable, "-m", "seg_edge.cli", "export", str(shipped(DEFAULT) / CHECKPOINT), "--out", str(folder)]
        subprocess.run(words, check=True)
    return folder


# --- the sides


def ours(port: int) -> list[str]:
    return [sys.executable, "-m", "seg_edge.cli", "serve", "--port", str(port)]


def peer(python: Path, script: str, *words: Any) -> Callable[[int], list[str]]:
    model, *rest = map(str, words)
    return lambda port: [str(python), str(HERE / "serve_peers" / script), model, str(port), *rest]


class Side:
    """A service in a process group of its own, asleep unless it is its turn."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, request: bytes) -> None:
        self.process, self.port, self.request = process, port, request

    @contextmanager
    def awake(self) -> Iterator[None]:
        os.killpg(self.process.pid, signal.SIGCONT)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGSTOP)

    def cpu_s(self) -> float:
        """CPU seconds of the process and its children so far."""
        ticks, pids = 0, {self.process.pid}
        for entry in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(entry.name) in pids or int(fields[1]) in pids:
                pids.add(int(entry.name))
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(command: Callable[[int], list[str]], request: bytes) -> Iterator[Side]:
    """Starts a service and waits until it is ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    side = Side(process, port, request)
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{' '.join(command(port))}: did not become ready") from None
                time.sleep(0.2)
        warm = full_load(port, request, 2.0, CLIENTS)
        if set(warm.statuses) != {200}:
            raise RuntimeError(f"{' '.join(command(port))}: answers with {warm.statuses}")
        os.killpg(process.pid, signal.SIGSTOP)
        yield side
    finally:
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


# --- in process


class InProcess:
    """The same work without a service: decode, segment, encode in a loop, in as many threads as the service has clients."""

    def __init__(self, jpeg: bytes) -> None:
        self._model = ServedModel("here", Segmenter(DEFAULT, throughput=True))
        self._model.segmenter.warmup()
        self._jpeg = jpeg
        self._wants = read_wants({}, {}, "", self._model.labels)

    def run(self, seconds: float, threads: int) -> tuple[float, float]:
        """Images a second, and CPU milliseconds of an image."""
        counts = [0] * threads
        begun, spent = time.perf_counter(), time.process_time()

        def loop(number: int) -> None:
            while time.perf_counter() - begun < seconds:
                answer_images(self._model, [("", self._jpeg)], self._wants, 10**9)
                counts[number] += 1

        workers = [threading.Thread(target=loop, args=(number,)) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        elapsed = time.perf_counter() - begun
        return sum(counts) / elapsed, 1e3 * (time.process_time() - spent) / sum(counts)


# --- measuring


def measure(sides: dict[str, Side], jpeg: bytes, duration_s: float, rounds: int) -> dict[str, Any]:
    """Turns of every side, and of the work in process; then each at 70 % of its rate."""
    here = InProcess(jpeg)
    threads = resolve_threads(None) + 2
    rates: dict[str, list[float]] = {name: [] for name in (*sides, "in_process")}
    cpu_ms: dict[str, list[float]] = {name: [] for name in rates}
    for number in range(rounds):
        for name, side in sides.items():
            with side.awake():
                spent = side.cpu_s()
                load = full_load(side.port, side.request, duration_s, CLIENTS)
                cpu_ms[name].append(1e3 * (side.cpu_s() - spent) / max(1, sum(load.statuses.values())))
            rates[name].append(load.rate)
        rate, cpu = here.run(duration_s, threads)
        rates["in_process"].append(rate)
        cpu_ms["in_process"].append(cpu)
        print(f"round {number + 1}: " + ", ".join(f"{name} {found[-1]:.1f}/s" for name, found in rates.items()), flush=True)
    steady: dict[str, Any] = {}
    for name, side in sides.items():
        with side.awake():
            rate = SHARE * median(rates[name])
            steady[name] = {"rate": rate, **steady_load(side.port, side.request, rate, max(3 * duration_s, 20)).to_dict()}
    mine = rates["seg-edge"]
    ratios = {name: median(a / b for a, b in zip(mine, rates[name], strict=True)) for name in sides if name != "seg-edge"}
    return {
        "requests_per_s": rates,
        "cpu_ms": cpu_ms,
        "times_as_many": ratios,
        "overhead": median(a / b - 1 for a, b in zip(cpu_ms["seg-edge"], cpu_ms["in_process"], strict=True)),
        "rate_to_in_process": median(a / b for a, b in zip(mine, rates["in_process"], strict=True)),
        "at_70_percent": steady,
    }


def judge(record: dict[str, Any]) -> int:
    steady = record["at_70_percent"]["seg-edge"]
    checks = [(f"times {name}", ratio, ratio >= LIMITS[name]) for name, ratio in record["times_as_many"].items()]
    tail = steady["p99_ms"] / steady["p50_ms"]
    checks.append(("p99 / p50 at 70 %", tail, tail <= LIMITS["p99_to_p50"]))
    checks.append(("CPU added to the work in process", record["overhead"], record["overhead"] <= LIMITS["overhead"]))
    for name, value, passed in checks:
        print(f"{name}: {value:.2f} {'ok' if passed else 'MISSED'}")
    return 0 if all(passed for _, _, passed in checks) else 3


if __name__ == "__main__":
    sys.exit(main())
