"""Servers and processes that several tests of the runtime need."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seg_edge.runtime.engines.onnxruntime import OnnxRuntimeEngine
from seg_edge.runtime.frame import kernels

SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def _gst_rtsp_server() -> None:
    code = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    try:
        done = subprocess.run([SYSTEM_PYTHON, "-c", code], capture_output=True, timeout=30, check=False)
    except OSError:
        pytest.skip(f"{SYSTEM_PYTHON} is missing")
    if done.returncode:
        pytest.skip("no RTSP server: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good")


@pytest.fixture
def rtsp_server(_gst_rtsp_server: None) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """A function (port, width, height) → running RTSP server, ``rtsp://127.0.0.1:PORT/test``."""
    started: list[subprocess.Popen[str]] = []

    def start(port: int, width: int = 64, height: int = 48) -> subprocess.Popen[str]:
        script = Path(__file__).parent / "rtsp_server.py"
        words = [SYSTEM_PYTHON, str(script), str(port), str(width), str(height)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No descriptor, thread or child process is left after the test."""

    def state() -> tuple[set[str], set[str], set[str]]:
        mine = os.getpid()
        children = {entry for entry in os.listdir("/proc") if entry.isdigit() and _parent(entry) == mine}
        fds = {f"{fd} {_target(fd)}" for fd in os.listdir("/proc/self/fd") if "/proc/" not in _target(fd)}
        return fds, {thread.name for thread in threading.enumerate() if thread.is_alive()}, children

    before = state()
    yield
    deadline = time.monotonic() + 3
    while (left := [now - then for now, then in zip(state(), before, strict=True)]) != [set()] * 3:
        assert time.monotonic() < deadline, f"left behind: {left}"
        time.sleep(0.05)


def _target(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return "/proc/"


def _parent(pid: str) -> int:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return -1


def slower(function: Callable[..., Any], seconds: float) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        time.sleep(seconds)
        return function(*args, **kwargs)

    return wrapped


@pytest.fixture
def slow_network(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Makes ONNX Runtime's network take so many seconds longer."""

    def make(seconds: float) -> None:
        monkeypatch.setattr(OnnxRuntimeEngine, "_infer", slower(OnnxRuntimeEngine._infer, seconds))

    return make


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch, slow_network: Callable[[float], None]) -> None:
    """The network takes 4 ms, the resize 2 ms and the overlay 3 ms longer than they do."""
    slow_network(0.004)
    monkeypatch.setattr(kernels, "resize", slower(kernels.resize, 0.002))
    monkeypatch.setattr(kernels, "upsample_overlay", slower(kernels.upsample_overlay, 0.003))
